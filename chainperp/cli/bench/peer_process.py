"""A peer in a process of its own: `python -m chainperp.cli.bench.peer_process NAME`.

It may be another interpreter than ours, in whose environment the peer is installed: nothing here
needs more than the standard library and the peer. One JSON line in, operations of the standard flow
as rows of integers (`peers.py`); one JSON line out, processor time and the fills. What the peer
needs to read a row is prepared before the clock starts, what it filled is read after it stops.
"""

import gc
import importlib
import json
import sys
from hashlib import sha256
from importlib.util import find_spec
from time import process_time
from typing import Any, Final, Protocol

ADD: Final = 0  # oid, market, is_buy, price in ticks, lots, is immediate or cancel
CANCEL: Final = 1  # oid
REPLACE: Final = 2  # old oid, then as ADD
QUOTE: Final = 3  # market, price in ticks
# Not an operation: our self-trade prevention took this order out, which none of the peers has.
WITHDRAW: Final = 4

Row = list[int]
Trade = tuple[int, int, int]  # market, price in ticks, lots


class Peer(Protocol):
    """What is measured. Order ids are the flow's."""

    def add(self, oid: int, market: int, is_buy: int, price: int, lots: int, ioc: int) -> None:
        """Match an order and let the rest wait, unless it is immediate or cancel."""

    def cancel(self, oid: int) -> None:
        """Take an order out, if it still waits."""

    def quote(self, market: int, price: int) -> None:
        """A new price of a market."""

    def trades(self) -> list[Trade]:
        """What was traded since the last call, one row for each resting order, in order."""


class Light:
    """lightmatchingengine: matching only. Best prices by `min` and `max` over the levels, a level's
    orders in a list."""

    def __init__(self) -> None:
        module: Any = importlib.import_module("lightmatchingengine.lightmatchingengine")
        self.sides = (module.Side.SELL, module.Side.BUY)
        self.engine = module.LightMatchingEngine()
        self.waiting: dict[int, Any] = {}
        self.found: list[tuple[Any, Any]] = []

    def add(self, oid: int, market: int, is_buy: int, price: int, lots: int, ioc: int) -> None:
        """By instrument, price and quantity."""
        placed, trades = self.engine.add_order(market, price, lots, self.sides[is_buy])
        if trades:
            self.found.append((placed, trades))
        if placed.leaves_qty:
            if ioc:
                self.engine.cancel_order(placed.order_id, market)
            else:
                self.waiting[oid] = placed

    def cancel(self, oid: int) -> None:
        """By its own id; of an order that was filled it must not be asked."""
        found = self.waiting.pop(oid, None)
        if found is not None and found.leaves_qty:
            self.engine.cancel_order(found.order_id, found.instmt)

    def quote(self, market: int, price: int) -> None:
        """It knows no prices but those of orders."""

    def trades(self) -> list[Trade]:
        """Its lists name the taker once a level, and every maker."""
        rows = [
            (one.instmt, one.trade_price, one.trade_qty)
            for placed, trades in self.found
            for one in trades
            if one.order_id != placed.order_id
        ]
        self.found.clear()
        return rows


class Decimals:
    """pyorderbook: matching only. Decimal prices, levels in a heap, orders by UUID."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("pyorderbook")
        self.sides = (self.module.Side.ASK, self.module.Side.BID)
        self.book = self.module.Book()
        self.waiting: dict[int, Any] = {}
        self.found: list[tuple[int, Any]] = []

    def add(self, oid: int, market: int, is_buy: int, price: int, lots: int, ioc: int) -> None:
        """By symbol, price and quantity."""
        placed = self.module.Order(self.sides[is_buy], market, price, lots)
        blotter = self.book.match(placed)
        if blotter.trades:
            self.found.append((market, blotter.trades))
        if placed.quantity:
            if ioc:
                self.book.cancel(placed)
            else:
                self.waiting[oid] = placed

    def cancel(self, oid: int) -> None:
        """By the object that was placed; of one that was filled it must not be asked."""
        found = self.waiting.pop(oid, None)
        if found is not None and found.quantity:
            self.book.cancel(found)

    def quote(self, market: int, price: int) -> None:
        """It knows no prices but those of orders."""

    def trades(self) -> list[Trade]:
        """One for each maker."""
        rows = [
            (market, int(one.fill_price), one.fill_quantity)
            for market, trades in self.found
            for one in trades
        ]
        self.found.clear()
        return rows


def play(peer: Peer, rows: list[Row]) -> None:
    """Put rows to a peer, one after the other."""
    add, cancel = peer.add, peer.cancel
    for row in rows:
        kind = row[0]
        if kind == ADD:
            add(*row[1:])
        elif kind == REPLACE:
            cancel(row[1])
            add(*row[2:])
        elif kind == QUOTE:
            peer.quote(row[1], row[2])
        else:
            cancel(row[1])


class Tape:
    """Trades so far: their number, lots, and a hash over market, price and lots of each."""

    def __init__(self) -> None:
        self.count = 0
        self.lots = 0
        self.hash = sha256()

    def add(self, trades: list[Trade]) -> None:
        """The next trades."""
        self.count += len(trades)
        for market, price, lots in trades:
            self.lots += lots
            self.hash.update(b"%d %d %d\n" % (market, price, lots))

    def document(self) -> dict[str, Any]:
        """For comparing with another tape."""
        return {"fills": self.count, "lots": self.lots, "digest": self.hash.hexdigest()}


def make(name: str) -> Peer:
    """The peer with the name of its package."""
    if name == "lightmatchingengine":
        return Light()
    if name == "pyorderbook":
        return Decimals()
    from chainperp.cli.bench.peer_nautilus import Nautilus

    return Nautilus()


def say(answer: Any) -> None:
    """One line to whoever asked."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(name: str) -> int:
    """Answer one line with its version or null, then one for each line of rows."""
    if find_spec(name) is None:
        say(None)
        return 0
    version = importlib.import_module("importlib.metadata").version(name)
    peer, tape = make(name), Tape()
    say(version)
    for line in sys.stdin:
        rows: list[Row] = json.loads(line)
        gc.collect()
        gc.disable()
        start = process_time()
        play(peer, rows)
        spent = process_time() - start
        gc.enable()
        tape.add(peer.trades())
        say({"seconds": spent, **tape.document()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
