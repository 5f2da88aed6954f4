"""What markets did: candles, marks, and the last 24 hours of each.

The last 24 hours are kept in memory by the minute, so that a market's context costs nothing.
"""

import sqlite3
from collections import deque
from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import DAY_MS
from chainperp.model.tokens import SPOT_FIRST
from chainperp.node.documents.markets import DayStats
from chainperp.node.index.schema import SPANS

MINUTE_MS: Final = 60_000

Key = tuple[int, int, int]


class CandleRows:
    """Candles of a batch: (market, length, start) → first, high, low, last, lots, notional,
    trades. Merged into what is there when they are written."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[Key, list[int]] = {}

    def add(self, asset: int, price: int, lots: int, time_ms: int) -> None:
        """One trade."""
        rows = self.rows
        for span in SPANS:
            key = asset, span, time_ms - time_ms % span
            row = rows.get(key)
            if row is None:
                rows[key] = [price, price, price, price, lots, lots * price, 1]
                continue
            if price > row[1]:
                row[1] = price
            elif price < row[2]:
                row[2] = price
            row[3] = price
            row[4] += lots
            row[5] += lots * price
            row[6] += 1

    def write(self, connection: sqlite3.Connection) -> None:
        """Merge the batch into the table."""
        connection.executemany(
            """INSERT INTO candles VALUES (?,?,?,?,?,?,?,?,?,?)
               ON CONFLICT (asset, span, start) DO UPDATE SET high = max(high, excluded.high),
               low = min(low, excluded.low), last = excluded.last, lots = lots + excluded.lots,
               notional = notional + excluded.notional, trades = trades + excluded.trades""",
            [(*key, *row) for key, row in self.rows.items()],
        )
        self.rows.clear()


class _Window:
    """One market's trades and marks of the last 24 hours, by the minute."""

    __slots__ = ("lots", "marks", "minutes", "notional")

    def __init__(self) -> None:
        self.minutes: deque[list[int]] = deque()
        self.marks: deque[list[int]] = deque()
        self.lots = 0
        self.notional = 0

    def trade(self, minute: int, lots: int, notional: int) -> None:
        minutes = self.minutes
        if not minutes or minutes[-1][0] != minute:
            minutes.append([minute, 0, 0])
        minutes[-1][1] += lots
        minutes[-1][2] += notional
        self.lots += lots
        self.notional += notional

    def mark(self, minute: int, mark: int) -> None:
        if not self.marks or self.marks[-1][0] != minute:
            self.marks.append([minute, mark])
        self.marks[-1][1] = mark

    def stats(self, time_ms: int) -> DayStats:
        """The 24 hours that end with a time's minute."""
        oldest = time_ms - DAY_MS
        while self.minutes and self.minutes[0][0] <= oldest - MINUTE_MS:
            _, lots, notional = self.minutes.popleft()
            self.lots -= lots
            self.notional -= notional
        # The last mark at or before the beginning stays; without one, the oldest there is.
        while len(self.marks) > 1 and self.marks[1][0] <= oldest:
            self.marks.popleft()
        return DayStats(self.marks[0][1] if self.marks else 0, self.notional, self.lots)


class MarketDays:
    """The last 24 hours of all markets. `stats` is replaced as a whole, never changed."""

    __slots__ = ("_changed", "_windows", "marks", "spot", "stats")

    def __init__(self, connection: sqlite3.Connection, assets: list[int], time_ms: int) -> None:
        self._windows = {asset: _Window() for asset in assets}
        self._changed: dict[tuple[int, int], int] = {}
        self.marks = dict.fromkeys(assets, 0)
        """The latest marks; of a spot pair the last trade."""
        since = time_ms - DAY_MS - MINUTE_MS
        rows = connection.execute(
            """SELECT asset, start, lots, notional FROM candles
               WHERE span = ? AND start >= ? ORDER BY start""",
            (MINUTE_MS, since),
        )
        for asset, start, lots, notional in rows:
            self._windows[asset].trade(start, lots, notional)
        for asset in assets:
            self._load_marks(connection, asset, since)
        self.stats: list[DayStats] = []
        self.spot: list[DayStats] = []
        """The same of the spot pairs, in order."""
        self.refresh(time_ms)

    def _load_marks(self, connection: sqlite3.Connection, asset: int, since: int) -> None:
        row = connection.execute(
            "SELECT max(minute) FROM marks WHERE asset = ? AND minute <= ?", (asset, since)
        ).fetchone()
        first = since if row[0] is None else row[0]
        for minute, mark in connection.execute(
            "SELECT minute, mark FROM marks WHERE asset = ? AND minute >= ? ORDER BY minute",
            (asset, first),
        ):
            self._windows[asset].mark(minute, mark)
            self.marks[asset] = mark

    def trade(self, asset: int, price: int, lots: int, time_ms: int) -> None:
        """One trade."""
        self._windows[asset].trade(_minute(time_ms), lots, lots * price)

    def mark(self, asset: int, mark: int, time_ms: int) -> None:
        """A market's mark moved."""
        minute = _minute(time_ms)
        self.marks[asset] = mark
        self._windows[asset].mark(minute, mark)
        self._changed[asset, minute] = mark

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the last mark of each minute."""
        connection.executemany(
            """INSERT INTO marks VALUES (?,?,?)
               ON CONFLICT (asset, minute) DO UPDATE SET mark = excluded.mark""",
            [(*key, mark) for key, mark in self._changed.items()],
        )
        self._changed.clear()

    def refresh(self, time_ms: int) -> None:
        """Publish the figures as of a time."""
        found = {asset: window.stats(time_ms) for asset, window in self._windows.items()}
        self.stats = [one for asset, one in found.items() if asset < SPOT_FIRST]
        self.spot = [one for asset, one in found.items() if asset >= SPOT_FIRST]


def _minute(time_ms: int) -> int:
    return floor_div(time_ms, MINUTE_MS) * MINUTE_MS
