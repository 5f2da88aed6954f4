"""Order books from PyPI on the standard flow, where they are installed: they only match.

No margin, no fees, no records and no log: what they take is what a bare book costs in Python. Each
gets the same seeded operations. Install them beside chainperp to measure them:
pip install --no-deps lightmatchingengine pyorderbook.
"""

import importlib
from importlib.util import find_spec
from typing import Any, Final, Protocol

from chainperp.cli.bench.flow import Flow
from chainperp.cli.bench.stages import Stage, timed
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
)

OPERATIONS: Final = 4_000
GRID: Final = 10_000
LOT: Final = 1_000_000


class Peer(Protocol):
    """A book that adds and cancels; ids are the flow's."""

    def add(self, oid: int, order: OrderRequest) -> None:
        """Match an order and let the rest wait, unless it is immediate or cancel."""

    def cancel(self, oid: int) -> None:
        """Take an order out, if it still waits."""


class Light:
    """lightmatchingengine."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("lightmatchingengine.lightmatchingengine")
        self.engine = self.module.LightMatchingEngine()
        self.waiting: dict[int, Any] = {}

    def add(self, oid: int, order: OrderRequest) -> None:
        """By instrument, price and quantity."""
        side = self.module.Side.BUY if order.is_buy else self.module.Side.SELL
        name = str(order.asset)
        placed, _ = self.engine.add_order(name, order.price // GRID, order.size // LOT, side)
        if placed.leaves_qty and order.tif is not TimeInForce.IOC:
            self.waiting[oid] = placed
        elif placed.leaves_qty:
            self.engine.cancel_order(placed.order_id, name)

    def cancel(self, oid: int) -> None:
        """By its own id; of an order that was filled it must not be asked."""
        found = self.waiting.pop(oid, None)
        if found is not None and found.leaves_qty:
            self.engine.cancel_order(found.order_id, found.instmt)


class Decimals:
    """pyorderbook."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("pyorderbook")
        self.book = self.module.Book()
        self.waiting: dict[int, Any] = {}

    def add(self, oid: int, order: OrderRequest) -> None:
        """By symbol, price and quantity."""
        side = self.module.Side.BID if order.is_buy else self.module.Side.ASK
        placed = self.module.Order(side, str(order.asset), order.price // GRID, order.size // LOT)
        self.book.match(placed)
        if placed.quantity and order.tif is not TimeInForce.IOC:
            self.waiting[oid] = placed
        elif placed.quantity:
            self.book.cancel(placed)

    def cancel(self, oid: int) -> None:
        """By the object that was placed."""
        found = self.waiting.pop(oid, None)
        if found is not None and self.book.get_order(found.id) is not None:
            self.book.cancel(found)


PEERS: Final[dict[str, type[Light] | type[Decimals]]] = {
    "lightmatchingengine": Light, "pyorderbook": Decimals,
}  # fmt: skip


def play(peer: Peer, actions: list[Action], first_oid: int) -> int:
    """Put operations to a book; returns the next order id."""
    oid = first_oid
    for action in actions:
        if isinstance(action, PlaceOrders):
            peer.add(oid, action.orders[0])
            oid += 1
        elif isinstance(action, CancelOrders):
            target = action.targets[0][1]
            if isinstance(target, int):
                peer.cancel(target)
        elif isinstance(action, ModifyOrders):
            old, order = action.modifies[0]
            if isinstance(old, int):
                peer.cancel(old)
            peer.add(oid, order)
            oid += 1
    return oid


def peer_stages() -> list[Stage]:
    """A stage for each peer that is installed."""
    return [_peer_stage(name) for name in PEERS if find_spec(name) is not None]


def _peer_stage(name: str) -> Stage:
    peer = PEERS[name]()
    flow = Flow(10_000)
    oid = play(peer, [one.action for one in flow.transactions(10_000)], 1)

    def run() -> float:
        nonlocal oid
        actions = [one.action for one in flow.transactions(OPERATIONS)]

        def work() -> None:
            nonlocal oid
            oid = play(peer, actions, oid)

        return timed(work, OPERATIONS)

    title = f"peer {name}: matching only"
    return Stage(title, "operation", "raw SHA-256, 200 B", None, run)
