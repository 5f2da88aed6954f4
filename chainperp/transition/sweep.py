"""Finds the scopes that are liquidatable after marks moved, without looking at all accounts.

A scope is the cross positions of an account, or one isolated position. The sweep keeps an index
beside the state: for each position of a safe scope a last safe price, filed by market and side.
The index is made from the state, is never committed and never decides: MRG-8 does, with exact
numbers, so the answer is that of a walk over every account.

The box of a scope. Write f(m) = lots * m - maintenance(|lots| * m) for what one position adds to
`slack = value - maintenance` of its scope, so slack(m1, m2, ..) = raw + f1(m1) + f2(m2) + ..;
each position appears in one term only and each term depends on one mark only.
1. A safe scope has slack S >= 0 at the marks c of its filing. S is split into shares s_i >= 0
   whose sum is at most S.
2. The last safe price t_i is the farthest price with f_i(t_i) >= f_i(c_i) - s_i = target. Rates
   rise from tier to tier and the table is continuous, so maintenance is the largest of the tiers'
   lines, and f_i(m) >= target says the same of every line. On one line it is linear in m, exactly:
   the target is whole, so rounding the maintenance up cancels. Rates are at most 1/2 (1x), so the
   line rises with m for a long and falls for a short, and the prices that satisfy all lines are
   one range: for a long every m >= t_i, for a short every m <= t_i, whatever tiers lie between.
3. While every mark is on its near side, slack >= raw + sum f_i(c_i) - sum s_i = S - sum s_i >= 0:
   the scope is safe for any combination of marks in the box. A scope can only become liquidatable
   after at least one trigger was crossed, and a crossed trigger brings the exact test.
4. t_i is the nearest to c_i of the lines' own bounds, rounded towards c_i; nothing is lost. An
   isolated position's share is all of S: its trigger is the last price at which it is safe.
Money that comes in only adds slack: a box stays safe without being filed anew.

The line of a scope decides most of the scopes that a crash brings at once, without a division.
Maintenance is the largest of the tiers' lines, rounded up, so with the first tier's line for each
position, line = raw + sum (lots * m - |lots| * m * rate) is never below the slack: a scope whose
line is negative is liquidatable. While every position is in its first tier, which holds as long as
no mark has more than doubled since the line was drawn (one era), rounding alone separates the two,
by less than 1 for each position: a scope whose line is at least that is safe. All times `scale`,
the common denominator of all markets' rates. Whatever lies between is tested exactly.
"""

from heapq import heappop, heappush
from math import lcm
from operator import mul
from typing import Final

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.markets import MarketTerms
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.state.store import Market, State

DEAD: Final = -1
TRIGGERS_LEAST: Final = 64
BUCKET_BITS: Final = 10
NO_ERA: Final = -1
ERA_FACTOR: Final = 2
# Of the safe scopes whose triggers were crossed at once, a quarter is filed at each call.
TURN_LEAST: Final = 64
TURN_SHARE: Final = 4


class Filing:
    """One scope in the index. Its triggers with another version than its own are stale.

    `assets` and `slopes` are its line; `era` is the one in which the line is exact up to rounding,
    or NO_ERA.
    """

    __slots__ = ("account", "assets", "era", "scope", "slopes", "version")

    def __init__(self, account: Account, scope: int) -> None:
        self.account = account
        self.scope = scope
        self.version = 0
        self.assets: tuple[int, ...] = ()
        self.slopes: tuple[int, ...] = ()
        self.era = NO_ERA

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
                self._put(key, filing)

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


class Sweep:
    """The index of last safe prices of one state.

    Invariant: a scope with a position is in a box that was true when it was filed, or in
    `at_risk` or `waiting`, or its account is in `state.unfiled`.
    """

    __slots__ = (
        "at_risk", "era", "falling", "filings", "reference", "rising", "scale", "units", "version",
        "waiting",
    )  # fmt: skip

    def __init__(self, state: State) -> None:
        self.falling = [Triggers() for _ in state.markets]
        self.rising = [Triggers() for _ in state.markets]
        self.filings: dict[Address, tuple[Filing, ...]] = {}
        self.at_risk: list[Filing] = []
        # Safe scopes whose boxes are open: tested at every call until their turn to be filed comes.
        self.waiting: list[Filing] = []
        self.version = 0
        denominators = [market.terms.tier_denominator for market in state.markets]
        self.scale = lcm(*denominators)
        self.units = [floor_div(self.scale, denominator) for denominator in denominators]
        self.era = 0
        self.reference = [market.mark for market in state.markets]
        found: list[Filing] = []
        for account in state.accounts.values():
            self._enter(account, found)
        state.unfiled.clear()
        self.at_risk = [filing for filing in found if not self._file(state, filing)]

    def due(self, state: State, moved: list[int]) -> list[tuple[Account, int]]:
        """All scopes that are liquidatable at the current marks, by address and then scope.

        `moved` must name every market whose mark changed since the last call; more do no harm.
        """
        queue: list[Filing] = []
        for account in state.unfiled:
            self._enter(account, queue)
        state.unfiled.clear()
        for filings in (self.at_risk, self.waiting):
            for filing in filings:
                if filing.version != DEAD:
                    queue.append(filing)
        marks = [market.mark for market in state.markets]
        for asset in moved:
            start = len(queue)
            self.falling[asset].take_crossed(-marks[asset], queue)
            self.rising[asset].take_crossed(marks[asset], queue)
            for filing in queue[start:]:
                # One crossed trigger is enough: the scope's other triggers are stale from here.
                self._renew(filing)
        self._keep_era(marks, moved)
        self._sort_out(state, queue, marks)
        found = [(filing.account.address, filing.scope, filing.account) for filing in self.at_risk]
        found.sort()
        return [(account, scope) for _, scope, account in found]

    def _enter(self, account: Account, queue: list[Filing]) -> None:
        """Strike out an account's filings and queue its present scopes."""
        account.is_filed = True
        old = self.filings.pop(account.address, None)
        if old is not None:
            for filing in old:
                filing.version = DEAD
        fresh: list[Filing] = []
        has_cross = False
        for exposure in account.exposures.values():
            if exposure.lots == 0 or (exposure.is_cross and has_cross):
                continue
            has_cross = has_cross or exposure.is_cross
            scope = CROSS_SCOPE if exposure.is_cross else exposure.asset
            filing = Filing(account, scope)
            self._renew(filing)
            fresh.append(filing)
        if fresh:
            self.filings[account.address] = tuple(fresh)
            queue += fresh

    def _renew(self, filing: Filing) -> None:
        self.version += 1
        filing.version = self.version

    def _keep_era(self, marks: list[int], moved: list[int]) -> None:
        """Begin a new era when a mark has doubled, or a first one has come."""
        for asset in moved:
            if marks[asset] > ERA_FACTOR * self.reference[asset]:
                self.reference = list(marks)
                self.era += 1
                return

    def _sort_out(self, state: State, queue: list[Filing], marks: list[int]) -> None:
        """Keep what is liquidatable at hand, and file the others, or some of them when they are
        many: in a crash everything that was crossed has to be tested now, but not filed now."""
        at_risk: list[Filing] = []
        safe: list[Filing] = []
        scale = self.scale
        for filing in queue:
            if filing.assets:
                line = filing.line(scale, marks)
                if line < 0:
                    at_risk.append(filing)
                    continue
                if line >= scale * len(filing.assets) and filing.era == self.era:
                    safe.append(filing)
                    continue
            if not self._file(state, filing):
                at_risk.append(filing)
        turn = max(TURN_LEAST, floor_div(len(safe), TURN_SHARE))
        for filing in safe[:turn]:
            if not self._file(state, filing):
                at_risk.append(filing)
        self.waiting = safe[turn:]
        self.at_risk = at_risk

    def _file(self, state: State, filing: Filing) -> bool:
        """File a scope's triggers at the current marks; False when it is liquidatable."""
        account = filing.account
        is_cross = filing.scope == CROSS_SCOPE
        if is_cross:
            slack = account.raw
            exposures = list(account.exposures.values())
        else:
            exposures = [account.exposures[filing.scope]]
            slack = exposures[0].raw_isolated
        gross = 0
        held: list[tuple[int, Market, int, int]] = []  # lots, market, |notional|, f at the mark
        for exposure in exposures:
            lots = exposure.lots
            if lots == 0 or exposure.is_cross is not is_cross:
                continue
            market = state.markets[exposure.asset]
            worth = lots * market.mark
            notional = worth if worth >= 0 else -worth
            part = worth - maintenance_margin(notional, market.terms)
            slack += part
            gross += notional
            held.append((lots, market, notional, part))
        if not filing.assets:
            self._draw_line(filing, held)
        # The slack is the scope's value less its maintenance.
        if is_liquidatable(slack, 0):
            return False
        for lots, market, notional, part in held:
            target = part - share_of(slack, notional, gross)
            if lots > 0:
                price = last_safe_price_long(lots, target, market.terms)
                # Marks are at least 1, so a long that is safe there needs no trigger.
                if price > 1:
                    self.falling[market.asset].add(-price, filing)
            else:
                price = last_safe_price_short(-lots, target, market.terms)
                self.rising[market.asset].add(price, filing)
        return True

    def _draw_line(self, filing: Filing, held: list[tuple[int, Market, int, int]]) -> None:
        """Sum of the lines of its positions' first tiers, over the scale of all markets."""
        scale = self.scale
        filing.assets = tuple([market.asset for _, market, _, _ in held])
        filing.slopes = tuple(
            [
                scale * lots - self.units[market.asset] * market.terms.tiers[0].rate * abs(lots)
                for lots, market, _, _ in held
            ]
        )
        filing.era = self.era
        for lots, market, _, _ in held:
            tiers = market.terms.tiers
            limit = ERA_FACTOR * self.reference[market.asset] * abs(lots)
            if len(tiers) > 1 and limit >= tiers[1].lower:
                filing.era = NO_ERA


def share_of(slack: int, notional: int, gross: int) -> int:
    """A position's share of its scope's slack, by notional. Rounding: down, so that the shares
    never exceed the slack. Without a mark there is nothing to share by."""
    return floor_div(slack * notional, gross) if gross else 0


def last_safe_price_long(lots: int, target: int, terms: MarketTerms) -> int:
    """Least price m with lots * m - maintenance(lots * m) >= target, for a long of `lots`.

    On a tier's line: lots * m * (denominator - rate) + deduction >= target * denominator. Below
    the bound of a tier its line is not the one that binds. Rounding: up, towards the mark.
    """
    scaled = target * terms.tier_denominator
    found = 0
    for tier in terms.tiers:
        if lots * found < tier.lower:
            break
        price = ceil_div(scaled - tier.deduction, lots * (terms.tier_denominator - tier.rate))
        if price > found:
            found = price
    return found


def last_safe_price_short(lots: int, target: int, terms: MarketTerms) -> int:
    """Greatest price m with -lots * m - maintenance(lots * m) >= target, for a short of `lots`.

    On a tier's line: lots * m * (denominator + rate) - deduction <= -target * denominator. Below
    the bound of a tier its line is not the one that binds. Rounding: down, towards the mark.
    """
    scaled = -target * terms.tier_denominator
    first = terms.tiers[0]
    found = floor_div(scaled, lots * (terms.tier_denominator + first.rate))
    for tier in terms.tiers[1:]:
        if lots * found < tier.lower:
            break
        price = floor_div(scaled + tier.deduction, lots * (terms.tier_denominator + tier.rate))
        if price < found:
            found = price
    return found
