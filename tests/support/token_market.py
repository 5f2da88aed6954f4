"""A chain with a market of the exchange's own token: holders, quotes, and money for the fund."""

from chainperp.base.canonical import Record
from chainperp.base.units import Address, parse_decimal
from chainperp.model.actions import ClassTransfer, OrderRequest, SendAsset
from chainperp.model.decisions import Kind
from chainperp.model.tokens import SPOT_FIRST, USDC, wire_name
from chainperp.state.store import ASSISTANCE_FUND
from tests.support.forced import usdc
from tests.support.proofs import LoggedStage
from tests.support.world import VALIDATOR, Result, address_of, order

CHP = SPOT_FIRST
TOKEN = 1
TOKEN_NAME = wire_name(TOKEN, "CHP")
MINUTE = 60_000


def tokens(text: str) -> int:
    """Smallest units of a token amount."""
    return parse_decimal(text, 8, "tokens")


class TokenStage(LoggedStage):
    """A stage on which named people hold USDC and tokens in their spot balances."""

    def holder(self, name: str, money: str = "1000000", amount: str = "1000000") -> None:
        """Somebody with USDC and tokens."""
        self.fund(**{name: money})
        self.act(name, ClassTransfer(usdc(money), False), user_signed=True)
        gift = self.transaction(
            name, SendAsset(address_of(name), tokens(amount), TOKEN_NAME), user_signed=True
        )
        gift.signer = VALIDATOR
        assert self.block([gift]).codes == [0]

    def quote(self, name: str, side: str, size: str, price: str, tif: str = "Gtc") -> Result:
        """An order in the token's book."""
        return self.place(name, spot_order(side, size, price, tif))

    def market(self, bid: str = "0.99", ask: str = "1", size: str = "30000") -> None:  # type: ignore[override]
        """Ann and Ben quote both sides; one trade of ten tokens makes a last price at the ask."""
        self.holder("Ann")
        self.holder("Ben")
        self.quote("Ann", "sell", "10", ask)
        self.quote("Ben", "buy", "10", ask)
        self.quote("Ann", "sell", size, ask)
        self.quote("Ben", "buy", size, bid)

    def give_fund(self, amount: str) -> Result:
        """Money for the fund from outside, in a block of its own."""
        return self.block(system=[self.deposit_to(ASSISTANCE_FUND, amount)])

    def later(self, milliseconds: int = MINUTE, *requests: tuple[str, OrderRequest]) -> Result:
        """A block that much later, with these orders if any."""
        from chainperp.model.actions import PlaceOrders

        transactions = [
            self.transaction(name, PlaceOrders([request])) for name, request in requests
        ]
        return self.block(transactions, at=self.engine.state.time_ms + milliseconds)

    def purchase(self, result: Result) -> Record | None:
        """The purchase of a block, if one was due."""
        found = result.of(Kind.BUYBACK)
        assert len(found) <= 1
        return found[0] if found else None

    def balance(self, who: str | Address, token: int = USDC) -> int:
        """A spot balance."""
        address = address_of(who) if isinstance(who, str) else who
        found: int = self.engine.state.spot[token].get(address, 0)
        return found


def spot_order(side: str, size: str, price: str, tif: str = "Gtc") -> OrderRequest:
    """An order in the token's book."""
    return order(CHP, side, size, price, tif)
