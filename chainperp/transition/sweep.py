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

The line of a scope does all this for nearly all of them without a tier in sight. Maintenance is the
largest of the tiers' lines, rounded up, so with the first tier's line for each position,
line = raw + sum slope_i * m_i, slope = lots - |lots| * rate, is never below the slack: a scope
whose line is negative is liquidatable. While every position is in its first tier, which holds as
long as no mark has more than doubled since the line was drawn (one era), rounding alone separates
the two, by less than 1 for each of n positions: a scope is safe if its line is at least n. All
times `scale`, the common denominator of all markets' rates. What lies between is tested exactly.

The box of a line has line - n to spare, shared by |slope_i| * c_i: so each mark may move by the
same share of itself, spare / sum |slope_i| * c_i. Rounding: the distance down, towards the mark.
A short's trigger ends with the era, beyond which its tier may be another; a rising long only gains.
"""

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
from chainperp.transition.sweep_index import DEAD, NO_ERA, Filing, Triggers

ERA_FACTOR: Final = 2
# Of the safe scopes whose triggers were crossed at once, an eighth is filed at each call, and not
# less than so many.
TURN_LEAST: Final = 1_000
TURN_SHARE: Final = 8
# No position has so many lots.
UNLIMITED: Final = 2**200


class Sweep:
    """The index of last safe prices of one state.

    Invariant: a scope with a position is in a box that was true when it was filed, or in
    `at_risk` or `waiting`, or its account is in `state.unfiled`.
    """

    __slots__ = (
        "at_risk", "era", "falling", "filings", "lots_max", "per_long", "per_short", "reference",
        "rising", "scale", "waiting",
    )  # fmt: skip

    def __init__(self, state: State) -> None:
        self.falling = [Triggers() for _ in state.markets]
        self.rising = [Triggers() for _ in state.markets]
        self.filings: dict[Address, tuple[Filing, ...]] = {}
        self.at_risk: list[Filing] = []
        # Safe scopes whose boxes are open: tested at every call until their turn to be filed comes.
        self.waiting: list[Filing] = []
        self.scale = lcm(*[market.terms.tier_denominator for market in state.markets])
        # By market: a line's slope for each lot of a long and of a short.
        self.per_long: list[int] = []
        self.per_short: list[int] = []
        for market in state.markets:
            terms = market.terms
            rate = floor_div(self.scale, terms.tier_denominator) * terms.tiers[0].rate
            self.per_long.append(self.scale - rate)
            self.per_short.append(self.scale + rate)
        self.era = NO_ERA
        marks = [market.mark for market in state.markets]
        self._begin_era(state, marks)
        found: list[Filing] = []
        for account in state.accounts.values():
            self._enter(account, found)
        state.unfiled.clear()
        self._sort_out(state, found, marks, len(found))

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
                filing.version += 1
        if any(marks[asset] > ERA_FACTOR * self.reference[asset] for asset in moved):
            self._begin_era(state, marks)
        self._sort_out(state, queue, marks, TURN_LEAST)
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
            fresh.append(Filing(account, scope))
        if fresh:
            self.filings[account.address] = tuple(fresh)
            queue += fresh

    def _begin_era(self, state: State, marks: list[int]) -> None:
        """Take these marks as those that lines are drawn at: a mark has doubled, or a first one has
        come. `lots_max`: with so many a position stays in its first tier for the whole era."""
        self.era += 1
        self.reference = list(marks)
        self.lots_max: list[int] = []
        for market, mark in zip(state.markets, marks, strict=True):
            tiers = market.terms.tiers
            is_open = len(tiers) == 1 or mark == 0
            self.lots_max.append(
                UNLIMITED if is_open else floor_div(tiers[1].lower - 1, ERA_FACTOR * mark)
            )

    def _sort_out(
        self, state: State, queue: list[Filing], marks: list[int], turn_least: int
    ) -> None:
        """Keep what is liquidatable at hand, and file the others, or some of them when they are
        many: in a crash everything that was crossed has to be tested now, but not filed now."""
        at_risk: list[Filing] = []
        safe: list[Filing] = []
        spares: list[int] = []
        scale, era = self.scale, self.era
        for filing in queue:
            if filing.era != era:
                self._draw_line(filing)
            line = filing.line(scale, marks)
            spare = line - scale * len(filing.assets)
            if line < 0:
                at_risk.append(filing)
            elif spare >= 0 and filing.is_exact:
                safe.append(filing)
                spares.append(spare)
            elif not self._file(state, filing):
                at_risk.append(filing)
        turn = max(turn_least, floor_div(len(safe), TURN_SHARE))
        for filing, spare in zip(safe[:turn], spares, strict=False):
            self._file_line(filing, spare, marks)
        self.waiting = safe[turn:]
        self.at_risk = at_risk

    def _file_line(self, filing: Filing, spare: int, marks: list[int]) -> None:
        """File the triggers of a scope whose line has so much to spare at these marks."""
        assets, slopes = filing.assets, filing.slopes
        gross: int = sum(map(abs, map(mul, slopes, map(marks.__getitem__, assets))))
        for asset, slope in zip(assets, slopes, strict=True):
            mark = marks[asset]
            away = distance_of(spare, mark, gross)
            if slope > 0:
                # Marks are at least 1, so a long that is safe there needs no trigger.
                if mark - away > 1:
                    self.falling[asset].add(away - mark, filing)
            else:
                self.rising[asset].add(min(mark + away, ERA_FACTOR * self.reference[asset]), filing)

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

    def _draw_line(self, filing: Filing) -> None:
        """The line of a scope's positions in this era."""
        account, scope = filing.account, filing.scope
        is_cross = scope == CROSS_SCOPE
        exposures = account.exposures.values() if is_cross else [account.exposures[scope]]
        assets: list[int] = []
        slopes: list[int] = []
        filing.era = self.era
        filing.is_exact = True
        for exposure in exposures:
            lots = exposure.lots
            if lots == 0 or exposure.is_cross is not is_cross:
                continue
            asset = exposure.asset
            assets.append(asset)
            slopes.append(lots * (self.per_long[asset] if lots > 0 else self.per_short[asset]))
            if abs(lots) > self.lots_max[asset]:
                filing.is_exact = False
        filing.assets = tuple(assets)
        filing.slopes = tuple(slopes)


def distance_of(spare: int, mark: int, gross: int) -> int:
    """How far a mark may move when all may move by the same share of themselves. Rounding: down,
    so that together they never use more than there is to spare. Nothing moves without marks."""
    return floor_div(mark * spare, gross) if gross else 0


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
