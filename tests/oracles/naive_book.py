"""Order books by definition: a list of orders, sorted again whenever somebody asks.

Written from the rules alone (protocol 3.2, ORD-8, ORD-9, MAT-1 to MAT-4); nothing of the fast book
or of the matching loop is used. `Venue` is one market where money is no question.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import OrderStatus, Rejection

Event = tuple[object, ...]
NOBODY = Rejection.ACCEPTED


@dataclass
class Resting:
    """An order, at rest or on its way in."""

    oid: int
    owner: bytes
    is_buy: bool
    price: int
    lots: int
    remaining: int
    reduce_only: bool
    tif: int
    cloid: bytes | None = None
    builder: tuple[bytes, int] | None = None


@dataclass
class NaiveBook:
    """All live orders of a market in arrival order."""

    orders: list[Resting] = field(default_factory=list)

    def side(self, is_buy: bool) -> list[Resting]:
        """One side, best price first, then arrival (sorting keeps the order of equals)."""
        mine = [order for order in self.orders if order.is_buy is is_buy]
        return sorted(mine, key=lambda order: -order.price if is_buy else order.price)

    def crossing(self, is_buy: bool, price: int) -> list[Resting]:
        """What an incoming order with this limit would meet, in order."""
        return [
            order
            for order in self.side(not is_buy)
            if (order.price <= price if is_buy else order.price >= price)
        ]

    def best(self, is_buy: bool) -> int | None:
        """Best price of a side."""
        orders = self.side(is_buy)
        return orders[0].price if orders else None

    def levels(self, is_buy: bool) -> list[tuple[int, int]]:
        """Price and lots of each level, best first."""
        prices = list(dict.fromkeys(order.price for order in self.side(is_buy)))
        return [
            (price, sum(one.remaining for one in self.side(is_buy) if one.price == price))
            for price in prices
        ]


def room(position: int, is_buy: bool) -> int:
    """How many lots an order of this direction can close."""
    return max(0, -position if is_buy else position)


def match(
    book: NaiveBook,
    taker: Resting,
    position: Callable[[bytes], int],
    end: Callable[[Resting, Rejection], None],
    trade: Callable[[Resting, Resting, int], Rejection],
) -> Rejection:
    """Meet the best resting order again and again; returns why the taker had to stop, if it had.

    `trade` returns ACCEPTED, MARGIN_CANCELED (the resting side cannot pay) or PERP_MARGIN (the
    incoming side cannot); `end` removes a resting order for a reason.
    """
    while taker.remaining:
        met = book.crossing(taker.is_buy, taker.price)
        if not met:
            return NOBODY
        maker = met[0]
        if maker.owner == taker.owner:
            end(maker, Rejection.SELF_TRADE)
            continue
        lots = min(taker.remaining, maker.remaining)
        if maker.reduce_only:
            lots = min(lots, room(position(maker.owner), maker.is_buy))
        if lots == 0:
            end(maker, Rejection.REDUCE_ONLY_CANCELED)
            continue
        if taker.reduce_only:
            lots = min(lots, room(position(taker.owner), taker.is_buy))
        if lots == 0:
            return Rejection.REDUCE_ONLY_CANCELED
        verdict = trade(maker, taker, lots)
        if verdict is Rejection.PERP_MARGIN:
            return verdict
        if verdict is Rejection.MARGIN_CANCELED:
            end(maker, verdict)
    return NOBODY


def outcome(taker: Resting, stopped: Rejection, left: int) -> tuple[OrderStatus, Rejection]:
    """Status and reason of an incoming order after matching; `left` is what it may still reduce."""
    filled = taker.lots - taker.remaining
    if taker.remaining == 0:
        return OrderStatus.FILLED, NOBODY
    rests = taker.tif != TimeInForce.IOC
    if stopped is NOBODY and rests and taker.reduce_only and left == 0:
        stopped = Rejection.REDUCE_ONLY_CANCELED
    if stopped is NOBODY and rests:
        return (OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN), NOBODY
    if filled:
        reasons = {
            Rejection.PERP_MARGIN: Rejection.MARGIN_CANCELED,
            NOBODY: Rejection.IOC_REMAINDER,
        }
        return OrderStatus.CANCELED, reasons.get(stopped, stopped)
    reasons = {
        Rejection.REDUCE_ONLY_CANCELED: Rejection.REDUCE_ONLY,
        NOBODY: Rejection.IOC_CANCEL,
    }
    return OrderStatus.REJECTED, reasons.get(stopped, stopped)


class Venue:
    """One market for people with endless money: a book and everybody's position."""

    def __init__(self) -> None:
        self.book = NaiveBook()
        self.positions: dict[bytes, int] = {}
        self.events: list[Event] = []

    def position(self, owner: bytes) -> int:
        """Signed lots of an owner."""
        return self.positions.get(owner, 0)

    def place(self, order: Resting) -> None:
        """Refuse, match and rest one order; events say what happened."""
        if order.reduce_only and room(self.position(order.owner), order.is_buy) == 0:
            self.say(order, OrderStatus.REJECTED, Rejection.REDUCE_ONLY)
            return
        if order.tif == TimeInForce.ALO and self.book.crossing(order.is_buy, order.price):
            self.say(order, OrderStatus.REJECTED, Rejection.BAD_ALO_PRICE)
            return
        stopped = match(self.book, order, self.position, self.end, self.trade)
        status, reason = outcome(order, stopped, room(self.position(order.owner), order.is_buy))
        if status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED):
            self.book.orders.append(order)
        self.say(order, status, reason)

    def cancel(self, owner: bytes, oid: int) -> None:
        """Cancel an own live order, if there is one with this id."""
        for order in list(self.book.orders):
            if order.oid == oid and order.owner == owner:
                self.end(order, Rejection.CANCELED_BY_USER)
                return
        self.events.append(("order", oid, OrderStatus.REQUEST_REFUSED, Rejection.MISSING_ORDER, 0))

    def end(self, order: Resting, reason: Rejection) -> None:
        """Take a resting order away."""
        self.book.orders.remove(order)
        self.say(order, OrderStatus.CANCELED, reason)

    def trade(self, maker: Resting, taker: Resting, lots: int) -> Rejection:
        """Move lots; then nobody keeps a reduce-only order that reduces nothing."""
        for order in (maker, taker):
            order.remaining -= lots
            signed = lots if order.is_buy else -lots
            self.positions[order.owner] = self.position(order.owner) + signed
        self.events.append(("fill", maker.price, lots, maker.oid, taker.oid))
        if maker.remaining == 0:
            self.book.orders.remove(maker)
        for owner in (maker.owner, taker.owner):
            for order in sorted(self.book.orders, key=lambda one: one.oid):
                useless = room(self.position(owner), order.is_buy) == 0
                if order.owner == owner and order.reduce_only and useless:
                    self.end(order, Rejection.REDUCE_ONLY_CANCELED)
        return NOBODY

    def say(self, order: Resting, status: OrderStatus, reason: Rejection) -> None:
        """Note what became of an order."""
        self.events.append(("order", order.oid, status, reason, order.remaining))
