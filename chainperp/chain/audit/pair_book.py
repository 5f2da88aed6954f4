"""A spot pair's book as the log tells it: resting orders followed from decisions and trades alone.

What the fund may buy depends on quotes that no leaf commits to. An auditor needs no trust in the
engine for them: every order that rests, shrinks or goes is an entry.
"""

from collections.abc import Iterable

from chainperp.base.canonical import Record
from chainperp.model.decisions import OrderStatus
from chainperp.model.orders import Order
from chainperp.transition.recorder import FLAG_TAKER_BUYS

RESTING = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


class PairBook:
    """The asks and bids of one pair by order id: (price, lots left), in order of arrival."""

    __slots__ = ("asks", "bids", "last")

    def __init__(self) -> None:
        self.bids: dict[int, tuple[int, int]] = {}
        self.asks: dict[int, tuple[int, int]] = {}
        self.last: int | None = None

    def start_from(self, orders: Iterable[Order], last: int | None) -> None:
        """Take over the resting orders of a state that was checked against its SEAL."""
        for order in orders:
            side = self.bids if order.is_buy else self.asks
            side[order.oid] = (order.price, order.remaining)
        self.last = last

    def order(self, fields: Record) -> None:
        """A decision about an order: it rests with what is left, or it is gone."""
        status = fields["status"]
        side = self.bids if fields["is_buy"] else self.asks
        if status in RESTING:
            side[fields["oid"]] = (fields["price"], fields["remaining"])
        elif status != OrderStatus.REQUEST_REFUSED:
            side.pop(fields["oid"], None)

    def fill(self, fields: Record) -> None:
        """A trade: the resting order shrinks."""
        self.last = fields["price"]
        side = self.asks if fields["flags"] & FLAG_TAKER_BUYS else self.bids
        found = side.get(fields["maker_oid"])
        if found is None:
            return
        left = found[1] - fields["lots"]
        if left > 0:
            side[fields["maker_oid"]] = (found[0], left)
        else:
            side.pop(fields["maker_oid"])

    @property
    def bid(self) -> int | None:
        """Best bid."""
        return max((price for price, _ in self.bids.values()), default=None)

    @property
    def ask(self) -> int | None:
        """Best ask."""
        return min((price for price, _ in self.asks.values()), default=None)

    def worth_within(self, limit: int) -> int:
        """Sum of price times lots of the asks up to a price, in micro-USDC."""
        return sum(price * lots for price, lots in self.asks.values() if price <= limit)

    def cost_of(self, lots: int, limit: int) -> tuple[int, int]:
        """Lots that a purchase gets up to a limit, and what they cost: cheapest first."""
        left, cost = lots, 0
        for price, offered in sorted(self.asks.values()):
            if price > limit or not left:
                break
            taken = min(left, offered)
            left -= taken
            cost += taken * price
        return lots - left, cost
