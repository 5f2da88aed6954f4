"""Numbers of accounts, and the few things about them that the next block needs.

Bounded: the numbers kept in memory are the most recent ones; agents and open funding sums are as
many as the engine itself keeps.
"""

import sqlite3
from typing import Final

CACHED_MAX: Final = 100_000


class Users:
    """Number of each address, given at its first appearance."""

    __slots__ = ("_connection", "_known")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[bytes, int] = {}

    def number(self, address: bytes) -> int:
        """The account's number."""
        found = self._known.get(address)
        return self._load(address) if found is None else found

    def _load(self, address: bytes) -> int:
        cursor = self._connection.execute("SELECT id FROM users WHERE address = ?", (address,))
        row = cursor.fetchone()
        if row is None:
            cursor = self._connection.execute("INSERT INTO users (address) VALUES (?)", (address,))
            number = int(cursor.lastrowid or 0)
        else:
            number = int(row[0])
        if len(self._known) >= CACHED_MAX:
            for old in list(self._known)[: CACHED_MAX // 2]:
                del self._known[old]
        self._known[address] = number
        return number


class FundingSums:
    """Which positions have funding to show: (account, market) → since opening, since change.

    A position's sums go back to zero when it is opened, closed or turned, the second one at every
    change of its size.
    """

    __slots__ = ("_open", "_total", "_touched")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._open: dict[tuple[int, int], list[int]] = {}
        self._total: dict[tuple[int, int], int] = {}
        self._touched: dict[tuple[int, int], None] = {}
        query = """SELECT user, asset, since_open, since_change FROM funding_sums
                   WHERE since_open != 0 OR since_change != 0"""
        for user, asset, since_open, since_change in connection.execute(query):
            self._open[user, asset] = [since_open, since_change]

    def pay(self, user: int, asset: int, payment: int) -> None:
        """An hour's payment."""
        key = user, asset
        sums = self._open.setdefault(key, [0, 0])
        sums[0] += payment
        sums[1] += payment
        self._total[key] = self._total.get(key, 0) + payment
        self._touched[key] = None

    def trade(self, user: int, asset: int, start: int, delta: int) -> None:
        """A position changed from `start` by `delta` lots."""
        key = user, asset
        sums = self._open.get(key)
        if sums is None:
            return
        after = start + delta
        sums[1] = 0
        if start * after <= 0:
            sums[0] = 0
        self._touched[key] = None

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what changed and forget what is zero."""
        rows = []
        for key in self._touched:
            sums = self._open[key]
            rows.append((*key, self._total.get(key, 0), *sums))
            if not any(sums):
                del self._open[key]
        connection.executemany(
            """INSERT INTO funding_sums VALUES (?,?,?,?,?) ON CONFLICT (user, asset) DO UPDATE SET
               all_time = all_time + excluded.all_time, since_open = excluded.since_open,
               since_change = excluded.since_change""",
            rows,
        )
        self._touched.clear()
        self._total.clear()
