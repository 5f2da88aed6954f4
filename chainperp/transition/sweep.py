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
"""

from heapq import heapify, heappop, heappush
from typing import Final

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import Address
from chainperp.model.accounts import Account, Exposure
from chainperp.model.markets import MarketTerms
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.state.store import State

DEAD: Final = -1
HEAP_LIMIT_LEAST: Final = 64


class Filing:
    """One scope in the index. Its entries with another version than its own are stale."""

    __slots__ = ("account", "scope", "version")

    def __init__(self, account: Account, scope: int, version: int) -> None:
        self.account = account
        self.scope = scope
        self.version = version


# Sort key, version, filing. The key is the last safe price of a short, minus that of a long.
# A version is filed once per market at most, so a comparison never reaches the filing.
Entry = tuple[int, int, Filing]


class Heap:
    """Triggers of one side of one market, nearest to the mark first, stale ones among them."""

    __slots__ = ("entries", "limit")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.limit = HEAP_LIMIT_LEAST

    def add(self, key: int, filing: Filing) -> None:
        """File a trigger. A heap that has doubled drops its stale entries first."""
        entries = self.entries
        if len(entries) >= self.limit:
            live = [entry for entry in entries if entry[1] == entry[2].version]
            heapify(live)
            self.entries = entries = live
            self.limit = max(2 * len(live), HEAP_LIMIT_LEAST)
        heappush(entries, (key, filing.version, filing))

    def take_crossed(self, bound: int, found: list[Filing]) -> None:
        """Move the filings of live triggers with a key below `bound` to `found`."""
        entries = self.entries
        while entries and entries[0][0] < bound:
            _, version, filing = heappop(entries)
            if version == filing.version:
                found.append(filing)


class Sweep:
    """The index of last safe prices of one state.

    Invariant: a scope with a position is in a box that was true when it was filed, or in
    `at_risk`, or its account is in `state.unfiled`.
    """

    __slots__ = ("at_risk", "falling", "filings", "rising", "version")

    def __init__(self, state: State) -> None:
        self.falling = [Heap() for _ in state.markets]
        self.rising = [Heap() for _ in state.markets]
        self.filings: dict[Address, list[Filing]] = {}
        self.at_risk: list[Filing] = []
        self.version = 0
        waiting: list[Filing] = []
        for account in state.accounts.values():
            self._enter(account, waiting)
        state.unfiled.clear()
        self._sort_out(state, waiting)

    def due(self, state: State, moved: list[int]) -> list[tuple[Account, int]]:
        """All scopes that are liquidatable at the current marks, by address and then scope.

        `moved` must name every market whose mark changed since the last call; more do no harm.
        """
        waiting: list[Filing] = []
        for account in state.unfiled:
            self._enter(account, waiting)
        state.unfiled.clear()
        for filing in self.at_risk:
            if filing.version != DEAD:
                waiting.append(filing)
        for asset in moved:
            mark = state.markets[asset].mark
            start = len(waiting)
            self.falling[asset].take_crossed(-mark, waiting)
            self.rising[asset].take_crossed(mark, waiting)
            for filing in waiting[start:]:
                # One crossed trigger is enough: the scope's other entries are stale from here.
                self._renew(filing)
        self._sort_out(state, waiting)
        found = [(filing.account.address, filing.scope, filing.account) for filing in self.at_risk]
        found.sort()
        return [(account, scope) for _, scope, account in found]

    def _enter(self, account: Account, waiting: list[Filing]) -> None:
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
            filing = Filing(account, scope, 0)
            self._renew(filing)
            fresh.append(filing)
        if fresh:
            self.filings[account.address] = fresh
            waiting += fresh

    def _renew(self, filing: Filing) -> None:
        self.version += 1
        filing.version = self.version

    def _sort_out(self, state: State, waiting: list[Filing]) -> None:
        """Test every queued scope: file the safe ones, keep the others at hand."""
        at_risk: list[Filing] = []
        for filing in waiting:
            account = filing.account
            if filing.scope == CROSS_SCOPE:
                held = [one for one in account.exposures.values() if one.lots and one.is_cross]
                is_safe = self._file(state, filing, account.raw, held)
            else:
                exposure = account.exposures[filing.scope]
                is_safe = self._file(state, filing, exposure.raw_isolated, [exposure])
            if not is_safe:
                at_risk.append(filing)
        self.at_risk = at_risk

    def _file(self, state: State, filing: Filing, raw: int, held: list[Exposure]) -> bool:
        """File a scope's triggers at the current marks; False when it is liquidatable."""
        markets = state.markets
        value = raw
        maintenance = 0
        gross = 0
        terms_of_slack: list[tuple[int, int]] = []  # |notional|, f at the mark
        for exposure in held:
            market = markets[exposure.asset]
            worth = exposure.lots * market.mark
            notional = worth if worth >= 0 else -worth
            margin = maintenance_margin(notional, market.terms)
            value += worth
            maintenance += margin
            gross += notional
            terms_of_slack.append((notional, worth - margin))
        if is_liquidatable(value, maintenance):
            return False
        slack = value - maintenance
        for exposure, (notional, part) in zip(held, terms_of_slack, strict=True):
            target = part - share_of(slack, notional, gross)
            terms = markets[exposure.asset].terms
            if exposure.lots > 0:
                price = last_safe_price_long(exposure.lots, target, terms)
                # Marks are at least 1, so a long that is safe there needs no trigger.
                if price > 1:
                    self.falling[exposure.asset].add(-price, filing)
            else:
                price = last_safe_price_short(-exposure.lots, target, terms)
                self.rising[exposure.asset].add(price, filing)
        return True


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
