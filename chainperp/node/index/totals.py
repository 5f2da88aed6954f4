"""What accounts and the exchange did by day, and altogether."""

import sqlite3
from typing import Final

from chainperp.base.units import day_of
from chainperp.model.tokens import SPOT_FIRST
from chainperp.node.effects import FillRecord
from chainperp.node.index.schema import EXCHANGE

ADD_DAY: Final = """INSERT INTO days VALUES (?,?,?,?) ON CONFLICT (user, day) DO UPDATE SET
 taker = taker + excluded.taker, maker = maker + excluded.maker"""
ADD_REQUESTS: Final = "UPDATE users SET requests = requests + ? WHERE id = ?"
ADD_VOLUME: Final = "UPDATE users SET volume = volume + ? WHERE id = ?"


class Totals:
    """Requests, volume by day as fee tiers count it, and volume as it was traded."""

    __slots__ = ("_days", "_requests", "_spot_weight", "_traded")

    def __init__(self, spot_weight: int) -> None:
        self._spot_weight = spot_weight
        self._requests: dict[int, int] = {}
        self._days: dict[tuple[int, int], list[int]] = {}
        self._traded: dict[int, int] = {}

    def asked(self, user: int, requests: int) -> None:
        """Requests of one action."""
        self._requests[user] = self._requests.get(user, 0) + requests

    def trade(self, fill: FillRecord, maker: int, taker: int, time_ms: int) -> None:
        """A trade on a book."""
        day, notional = day_of(time_ms), fill.price * fill.lots
        for user in (taker, maker):
            self._traded[user] = self._traded.get(user, 0) + notional
        if fill.asset >= SPOT_FIRST:
            notional *= self._spot_weight
        for user, side in ((taker, 0), (maker, 1), (EXCHANGE, 0)):
            volume = self._days.get((user, day))
            if volume is None:
                volume = self._days[user, day] = [0, 0]
            volume[side] += notional

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the batch to the tables."""
        run = connection.executemany
        run(ADD_REQUESTS, [(count, user) for user, count in self._requests.items()])
        run(ADD_DAY, [(*key, *volume) for key, volume in self._days.items()])
        run(ADD_VOLUME, [(notional, user) for user, notional in self._traded.items()])
        self._requests.clear()
        self._days.clear()
        self._traded.clear()
