"""What the sweep's index is made of: a scope's filing, and the triggers of one side of a market.

See `sweep.py` for what a trigger and a line are. Nothing here decides.
"""

from heapq import heappop, heappush
from operator import mul
from typing import Final

from chainperp.model.accounts import Account
from chainperp.model.records import CROSS_SCOPE

DEAD: Final = -1
TRIGGERS_LEAST: Final = 64
BUCKET_BITS: Final = 10
NO_ERA: Final = -1


class Filing:
    """One scope in the index. Its triggers with another version than its own are stale.

    `assets` and `slopes` are its line, drawn in an `era`: in that one it is exact up to rounding,
    if it `is_exact` at all.
    """

    __slots__ = ("account", "assets", "era", "is_exact", "scope", "slopes", "version")

    def __init__(self, account: Account, scope: int) -> None:
        self.account = account
        self.scope = scope
        self.version = 0
        self.assets: tuple[int, ...] = ()
        self.slopes: tuple[int, ...] = ()
        self.era = NO_ERA
        self.is_exact = False

    def line(self, scale: int, marks: list[int]) -> int:
        """Its line at these marks: never below its slack times the scale."""
        if self.scope == CROSS_SCOPE:
            raw = self.account.raw
        else:
            raw = self.account.exposures[self.scope].raw_isolated
        total: int = sum(map(mul, self.slopes, map(marks.__getitem__, self.assets)))
        return raw * scale + total


class Bucket:
    """Triggers whose keys differ in their last bits only, in three columns: no object for each."""

    __slots__ = ("filings", "keys", "versions")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.versions: list[int] = []
        self.filings: list[Filing] = []


class Triggers:
    """Triggers of one side of one market. The key is the last safe price of a short, minus that of
    a long: the mark, or minus the mark, crosses small keys first.

    They lie in buckets of about a thousandth of the price, so that filing a trigger is an append
    and a crossed bucket is taken whole: its cost does not depend on how many others there are.
    Stale ones stay until their bucket is crossed or the number of all has doubled.
    """

    __slots__ = ("buckets", "count", "limit", "numbers", "shift")

    def __init__(self) -> None:
        self.buckets: dict[int, Bucket] = {}
        # Numbers of the buckets, as a heap.
        self.numbers: list[int] = []
        self.count = 0
        self.limit = TRIGGERS_LEAST
        self.shift = 0

    def add(self, key: int, filing: Filing) -> None:
        """File a trigger of a filing as it is now."""
        if self.count >= self.limit:
            self._drop_stale(key)
        self._put(key, filing)

    def _put(self, key: int, filing: Filing) -> None:
        self.count += 1
        number = key >> self.shift
        bucket = self.buckets.get(number)
        if bucket is None:
            self.buckets[number] = bucket = Bucket()
            heappush(self.numbers, number)
        bucket.keys.append(key)
        bucket.versions.append(filing.version)
        bucket.filings.append(filing)

    def take_crossed(self, bound: int, found: list[Filing]) -> None:
        """Move the filings of live triggers with a key below `bound` to `found`."""
        numbers = self.numbers
        last = (bound - 1) >> self.shift
        while numbers and numbers[0] <= last:
            number = heappop(numbers)
            bucket = self.buckets.pop(number)
            self.count -= len(bucket.keys)
            is_whole = (number + 1) << self.shift <= bound
            for key, version, filing in zip(
                bucket.keys, bucket.versions, bucket.filings, strict=True
            ):
                if version == filing.version and (is_whole or key < bound):
                    found.append(filing)
            if not is_whole:
                self._keep(bucket, bound)
                return

    def _keep(self, bucket: Bucket, bound: int) -> None:
        """Put back the triggers of a bucket that the mark has not crossed."""
        for key, version, filing in zip(bucket.keys, bucket.versions, bucket.filings, strict=True):
            if key >= bound and version == filing.version:
                self.add(key, filing)

    def _drop_stale(self, key: int) -> None:
        """File the live triggers anew, in buckets that fit a price as large as this one."""
        old = self.buckets
        self.buckets = {}
        self.numbers = []
        self.count = 0
        self.shift = max(0, abs(key).bit_length() - BUCKET_BITS)
        for bucket in old.values():
            for one, version, filing in zip(
                bucket.keys, bucket.versions, bucket.filings, strict=True
            ):
                if version == filing.version:
                    self._put(one, filing)
        self.limit = max(2 * self.count, TRIGGERS_LEAST)
