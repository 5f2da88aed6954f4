"""Orders at rest and the price levels that queue them.

A level is a doubly linked list in arrival order, threaded through the orders themselves, so a
cancel needs no search. Hot nouns: plain slotted classes.
"""

from chainperp.base.units import Price
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import BuilderTerms, TimeInForce
from chainperp.model.arrangements import Twap


class Order:
    """An order, incoming or resting. `price` is on the market's grid, `lots` the size placed.

    `remaining` is what has not been filled; `level`, `previous` and `next_order` are its place in
    the queue, None while it is not in the book. `trigger` is what it waits for, None once it was
    sent; `group` the parent and siblings it has, `builder` who adds a fee to its fills,
    `twap` what it is a slice of, if any.
    """

    __slots__ = (
        "account", "asset", "builder", "cloid", "exposure", "group", "is_buy", "is_liquidation",
        "level", "lots", "next_order", "oid", "previous", "price", "reduce_only", "remaining",
        "tif", "trigger", "twap",
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
        self.trigger: Trigger | None = None
        self.group: Group | None = None
        self.builder: BuilderTerms | None = None
        self.twap: Twap | None = None


class Trigger:
    """What a waiting order waits for. `price` is on the market's grid; it fires when the mark
    rises to it, or else falls to it. `is_position`: it ends with the account's position."""

    __slots__ = ("is_market", "is_position", "is_stop", "price", "rises")

    def __init__(
        self, price: int, rises: bool, is_market: bool, is_stop: bool, is_position: bool
    ) -> None:
        self.price = price
        self.rises = rises
        self.is_market = is_market
        self.is_stop = is_stop
        self.is_position = is_position


class Group:
    """A parent and its take-profit and stop orders. `gid` is the first parent's order id.

    `parent` is None when it is done; `is_awake` then says that its children may fire. Children
    are live orders in order of their ids.
    """

    __slots__ = ("children", "gid", "is_awake", "parent")

    def __init__(self, gid: int) -> None:
        self.gid = gid
        self.parent: Order | None = None
        self.children: list[Order] = []
        self.is_awake = False


class Level:
    """All orders at one price and side, first come first served. `lots` is their sum."""

    __slots__ = ("first", "last", "lots", "price")

    def __init__(self, price: Price) -> None:
        self.price = price
        self.lots = 0
        self.first: Order | None = None
        self.last: Order | None = None
