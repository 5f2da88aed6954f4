"""The spot market's part of the state: pairs with their books, balances and what orders hold."""

from chainperp.base.errors import ensure
from chainperp.base.units import Address
from chainperp.model.accounts import Exposure
from chainperp.model.tokens import SPOT_FIRST, Token
from chainperp.state.book import Book


class SpotPair:
    """A token against USDC: its book, its grid, and how much of the token a lot is.

    `exposure` stands for the position that spot orders do not have: an order names its asset by it.
    """

    __slots__ = (
        "asset", "base", "book", "exposure", "lot_e8", "size_decimals", "tick_e8", "wei_per_lot",
    )  # fmt: skip

    def __init__(self, index: int, base: Token) -> None:
        self.asset = SPOT_FIRST + index
        self.base = base.index
        self.book = Book()
        self.size_decimals = base.size_decimals
        self.tick_e8 = 10 ** (2 + base.size_decimals)
        self.lot_e8 = 10 ** (8 - base.size_decimals)
        self.wei_per_lot: int = 10 ** (base.wei_decimals - base.size_decimals)
        # Isolated: no scope of a liquidation has this asset.
        self.exposure = Exposure(self.asset, False, 1)


def change(amounts: dict[Address, int], address: Address, amount: int, what: str) -> None:
    """Add a signed amount; an address without any leaves the table."""
    total = amounts.get(address, 0) + amount
    ensure(total >= 0, "INV-1", f"spot {what} below zero", total=total)
    if total:
        amounts[address] = total
    else:
        amounts.pop(address, None)
