"""The book and its matching agree with the book by definition, operation by operation."""

import os
import random

import pytest

from chainperp.base.canonical import Record
from chainperp.base.units import E8, Price
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
)
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.orders import Order
from chainperp.state.book import BookSide
from chainperp.transition.block import Companions, apply_block
from chainperp.transition.recorder import Recorder
from chainperp.transition.sweep import Sweep
from tests.oracles.naive_book import Event, NaiveBook, Resting, Venue
from tests.support.world import VALIDATOR, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(40) if LONG else range(4)
OPERATIONS = 2500
NAMES = ("ann", "bob", "cem", "dan", "eve")
MARKET = {
    "name": "AAA",
    "size_decimals": 2,
    "margin_tiers": [[0, 20]],
    "impact_notional": 6000,
    "isolated_only": False,
}
TICK_E8 = 10**4
LOT_E8 = 10**6
MIDDLE = 1_000_000
GRID = 100


def venue_world() -> World:
    """One market at 100 with five accounts that no margin rule can stop."""
    world = World(parameters={"order_value_min": 1}, markets=[dict(MARKET)])
    world.fund(**dict.fromkeys(NAMES, "1000000000"))
    world.prices({0: "100"})
    return world


def events_of(records: list[tuple[Kind, Record]]) -> list[Event]:
    """Orders and fills as the naive venue names them."""
    found: list[Event] = []
    for kind, fields in records:
        if kind is Kind.ORDER:
            status, reason = OrderStatus(fields["status"]), Rejection(fields["reason"])
            remaining = fields["remaining"]
            found.append(("order", fields["oid"], status, reason, remaining))
        elif kind is Kind.FILL:
            found.append(
                ("fill", fields["price"], fields["lots"], fields["maker_oid"], fields["taker_oid"])
            )
    return found


def run(world: World, name: str, action: Action) -> list[Event]:
    """One action, without committing the state: only what it recorded."""
    state = world.engine.state
    recorder = Recorder(state.height + 1, 0)
    transaction = world.transaction(name, action)
    block = BlockInput(state.time_ms + 1, VALIDATOR, [], [transaction])
    beside = Companions(world.engine.commitment, Sweep(state), bytes(32))
    apply_block(state, block, recorder, beside)
    entries = [decode_entry(raw) for raw in recorder.entries]
    return events_of([(entry.kind, decode_payload(entry)) for entry in entries])


def resting(orders: list[Resting]) -> list[tuple[object, ...]]:
    """What must be equal about the orders of a side, in order."""
    return [(one.oid, one.owner, one.price, one.remaining, one.reduce_only) for one in orders]


def walked(side: BookSide) -> list[tuple[object, ...]]:
    """The same of the fast book."""
    return [
        (one.oid, one.account.address, one.price, one.remaining, one.reduce_only)
        for one in side.walk()
    ]


def check_books(world: World, venue: Venue) -> None:
    """Same queues, same level sums, never crossed or locked."""
    book = world.market(0).book
    for is_buy, side in ((True, book.bids), (False, book.asks)):
        assert walked(side) == resting(venue.book.side(is_buy))
        levels = [side.levels[side.sign * key] for key in reversed(side.keys)]
        assert [(one.price, one.lots) for one in levels] == venue.book.levels(is_buy)
        assert len(side.levels) == len(side.keys)
    bid, ask = venue.book.best(True), venue.book.best(False)
    assert bid is None or ask is None or bid < ask


def draw_request(draw: random.Random) -> OrderRequest:
    """An order near the middle; often crossing, sometimes reduce-only."""
    is_buy = draw.random() < 0.5
    offset = draw.randint(-6, 4) * GRID
    price = MIDDLE + offset if is_buy else MIDDLE - offset
    tif = draw.choices(
        (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.ALO), weights=(5, 2, 2)
    )[0]  # fmt: skip
    reduce_only = draw.random() < 0.2
    return OrderRequest(
        0, is_buy, E8(price * TICK_E8), E8(draw.randint(1, 30) * LOT_E8), reduce_only, tif
    )


def as_resting(oid: int, name: str, request: OrderRequest) -> Resting:
    """A request as the naive venue takes it."""
    lots = request.size // LOT_E8
    return Resting(
        oid, address_of(name), request.is_buy, request.price // TICK_E8, lots, lots,
        request.reduce_only, request.tif,
    )  # fmt: skip


def one_operation(world: World, venue: Venue, draw: random.Random) -> list[Event]:
    """Draw an operation, carry it out on both sides, return the fast side's events."""
    name = draw.choice(NAMES)
    venue.events = []
    live = [order for order in venue.book.orders if order.owner == address_of(name)]
    dice = draw.random()
    if dice < 0.25 or len(venue.book.orders) > 60:
        anything = draw.random() < 0.1 or not live
        oid = draw.randint(1, 500) if anything else draw.choice(live).oid
        venue.cancel(address_of(name), oid)
        return run(world, name, CancelOrders([(0, oid)]))
    request = draw_request(draw)
    if dice < 0.35 and live:
        old = draw.choice(live)
        next_oid = world.engine.state.next_oid
        modify(venue, old, as_resting(next_oid, name, request))
        return run(world, name, ModifyOrders([(old.oid, request)], True))
    venue.place(as_resting(world.engine.state.next_oid, name, request))
    return run(world, name, PlaceOrders([request]))


def modify(venue: Venue, old: Resting, new: Resting) -> None:
    """The old order goes if, without it, the new one is acceptable; then the new one is placed."""
    queue = list(venue.book.orders)
    venue.book.orders.remove(old)
    position = venue.position(new.owner)
    reduces = position < 0 if new.is_buy else position > 0
    refused = (new.reduce_only and not reduces) or (
        new.tif == TimeInForce.ALO and bool(venue.book.crossing(new.is_buy, new.price))
    )
    if refused:
        venue.place(new)
        venue.book.orders = queue
        return
    venue.say(old, OrderStatus.CANCELED, Rejection.MODIFIED)
    venue.place(new)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_give_the_same_fills_queues_and_levels(seed: int) -> None:
    """Places, cancels and modifies of five accounts: both books tell the same story."""
    draw = random.Random(seed)
    world = venue_world()
    venue = Venue()
    fills = 0
    for number in range(OPERATIONS):
        events = one_operation(world, venue, draw)
        assert events == venue.events, f"seed {seed}, operation {number}"
        fills += sum(1 for event in events if event[0] == "fill")
        check_books(world, venue)
        for name in NAMES:
            exposure = world.account(name).exposures.get(0)
            lots = 0 if exposure is None else exposure.lots
            assert lots == venue.position(address_of(name)), f"seed {seed}, operation {number}"
    assert fills > OPERATIONS // 6, "the workload trades too little to mean anything"


@pytest.mark.parametrize("is_buy", [True, False])
def test_a_side_adds_removes_and_counts_like_a_sorted_list(is_buy: bool) -> None:
    """The level list alone, without matching: walk, best price and lots within a limit."""
    draw = random.Random(99)
    account = Account(address_of("ann"))
    exposure = Exposure(0, True, 20)
    side = BookSide(1 if is_buy else -1)
    slow = NaiveBook()
    orders: dict[int, Order] = {}
    for oid in range(1, 4000):
        if orders and draw.random() < 0.48:
            gone = draw.choice(sorted(orders))
            side.remove(orders.pop(gone))
            slow.orders = [one for one in slow.orders if one.oid != gone]
        else:
            price, lots = Price(draw.randint(1, 25)), draw.randint(1, 9)
            orders[oid] = Order(oid, account, exposure, is_buy, price, lots, False,
                                TimeInForce.GTC, None)  # fmt: skip
            side.add(orders[oid])
            slow.orders.append(Resting(oid, account.address, is_buy, price, lots, lots, False, 1))
        assert walked(side) == resting(slow.side(is_buy))
        assert side.best_price() == slow.best(is_buy)
        limit, most = draw.randint(0, 26), draw.randint(0, 60)
        met = sum(one.remaining for one in slow.crossing(not is_buy, limit))
        assert side.lots_within(limit, most) == min(met, most)


def test_reduce_only_remainder_without_a_position_is_cancelled() -> None:
    """Long 5, reduce-only sell of 10 meets a bid of 5: nothing is left to reduce, nothing rests."""
    world = venue_world()
    world.place("bob", order(0, "sell", "5", "100"))
    world.place("ann", order(0, "buy", "5", "100"))
    world.place("cem", order(0, "buy", "5", "100"))
    result = world.place("ann", order(0, "sell", "10", "100", reduce_only=True))
    assert result.orders[0]["status"] == OrderStatus.CANCELED
    assert result.orders[0]["reason"] == Rejection.REDUCE_ONLY_CANCELED
    assert not world.account("ann").orders
