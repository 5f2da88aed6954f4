"""Orders at rest and the price levels that queue them.

A level is a doubly linked list in arrival order, threaded through the orders themselves, so a
cancel needs no search. Hot nouns: plain slotted classes.
"""

from chainperp.base.units import Price
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import TimeInForce


class Order:
    """An order, incoming or resting. `price` is on the market's grid, `lots` the size placed.

    `remaining` is what has not been filled; `level`, `previous` and `next_order` are its place in
    the queue, None while it is not in the book.
    """

    __slots__ = (
        "account", "asset", "cloid", "exposure", "is_buy", "is_liquidation", "level", "lots", "next_order", "oid",
        "previous", "price", "reduce_only", "remaining", "tif",
    )  # fmt: skip

    def __init__(
        self,
        oid: int,
        account: Account,
        exposure: Exposure,
        is_buy: bool,
        price: int,
        lots: int,
        reduce_only: bool,
        tif: TimeInForce,
        cloid: bytes | None,
    ) -> None:
        self.oid = oid
        self.account = account
        self.exposure = exposure
        self.asset = exposure.asset
        self.is_buy = is_buy
        self.price = price
        self.lots = lots
        self.remaining = lots
        self.reduce_only = reduce_only
        self.tif = tif
        self.is_liquidation = False
        self.cloid = cloid
        self.level: Level | None = None
        self.previous: Order | None = None
        self.next_order: Order | None = None


class Level:
    """All orders at one price and side, first come first served. `lots` is their sum."""

    __slots__ = ("first", "last", "lots", "price")

    def __init__(self, price: Price) -> None:
        self.price = price
        self.lots = 0
        self.first: Order | None = None
        self.last: Order | None = None
