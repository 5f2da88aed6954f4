"""Repeated shocks through the engine: each policy on one chain, wave after wave.

The winners of a population are short after a first fall. In a wave a thin long, bought from a
solid one, is jumped over by the mark so that it owes the wave's budget; then the mark comes back.
Who was closed or paid stays so: later rounds see the books that earlier ones left.
Source: adl-and-scenarios 9, S8 (iii); 6.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from chainperp.lab.chain import Chain
from chainperp.lab.metrics import (
    PPB,
    Round,
    fairness_regret,
    largest_share_ppb,
    overshoot,
    overshoot_regret,
    pmr,
    ptsr,
    rd_nse,
    severity,
)
from chainperp.lab.outcome import Cell, Figure, Series, Table
from chainperp.lab.problem import Winner, code_of
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.rules.adl.policy import Policy

ENTRY = 100 * DOLLAR
BASE = 90 * DOLLAR
"""The mark between waves: the winners' gains are a tenth of their notional."""
LOW = 84 * DOLLAR
LEVERAGE = 50
SMALLEST = 10_000
"""Lots of the smallest winner, so that a wave is many lots."""
FAIREST = "pro_rata_equity"


class Crowd(NamedTuple):
    """Shorts by name: lots below zero, and deposits in micro-USD."""

    lots: dict[str, int]
    deposits: dict[str, int]


def crowd_of(
    winners: list[Winner], count: int, gap_percent: int, leverage: int, smallest: int = 100
) -> Crowd:
    """The largest winners as positions: lots in proportion to profit, cut at 50,000 times the
    smallest; equity after the gap is the same multiple of the gain as in the population."""
    largest = sorted(winners, key=lambda one: (-one.w, one.id))[:count]
    unit = largest[-1].w
    lots = {one.id: -smallest * min(50_000, max(1, one.w // unit)) for one in largest}
    multiples = {one.id: one.e * 100 // one.w for one in largest}
    deposits = {
        name: max(
            -lots[name] * USD // leverage + 1, -lots[name] * USD * gap_percent * multiple // 10_000
        )
        for name, multiple in multiples.items()
    }
    return Crowd(lots, deposits)


@dataclass(slots=True)
class Waved:
    """One policy over all waves; money in micro-USD."""

    policy: Policy
    chain: Chain
    rounds: list[Round] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    uncovered: int = 0
    closed: int = 0


def through_waves(policy: Policy, crowd: Crowd, budgets: list[int]) -> Waved:
    """A policy over the budgets, on a chain of its own."""
    venue = Venue(policy_id=policy.policy_id, leverage=LEVERAGE)
    venue.mark(ENTRY)
    total = -sum(crowd.lots.values())
    venue.join(crowd.deposits)
    venue.join({"solid": 2 * total * USD})
    venue.trade("solid", crowd.lots, ENTRY)
    venue.mark(BASE)
    found = Waved(policy, venue.evidence())
    for number, budget in enumerate(budgets):
        _wave(venue, crowd, number, budget, found)
    found.closed = total + sum(venue.lots(name) for name in crowd.lots)
    found.chain = venue.evidence()
    return found


def _wave(venue: Venue, crowd: Crowd, number: int, budget: int, found: Waved) -> None:
    thin = f"thin{number}"
    owed = BASE - LOW - BASE // LEVERAGE
    lots = max(1, budget // owed)
    venue.join({thin: lots * BASE // LEVERAGE})
    venue.trade("solid", {thin: lots}, BASE)
    before = {name: venue.value(name) + venue.lots(name) * (LOW - BASE) for name in crowd.lots}
    gains = {name: -venue.lots(name) * (ENTRY - LOW) for name in crowd.lots}
    deficit = -(venue.value(thin) + lots * (LOW - BASE))
    told = venue.mark(LOW)
    paid = {name: before[name] - venue.value(name) for name in crowd.lots}
    found.uncovered += told.owed + max(0, -venue.value(thin))
    survivor = max(max(0, gains[name] - paid[name]) for name in paid)
    removed = float(sum(paid.values()))
    found.rounds.append(Round(deficit, deficit, removed, deficit, survivor))
    amounts = [max(0, one) for one in paid.values()]
    found.largest.append(largest_share_ppb(amounts, list(before.values())) / PPB)
    venue.mark(BASE)


def waved_table(found: list[Waved]) -> Table:
    """One row per policy; fairness against the min-max policy on its own chain."""
    reference = next(one for one in found if one.policy.name == FAIREST)
    rows: list[list[Cell]] = []
    for one in found:
        over = overshoot_regret(one.rounds) / USD
        fair = fairness_regret(one.rounds, one.largest, reference.largest) / USD
        thetas = [share for share in map(severity, one.rounds) if share is not None]
        rows.append(
            [f"{code_of(one.policy)} {one.policy.name}",
             sum(r.deficit for r in one.rounds) / USD, sum(r.removed for r in one.rounds) / USD,
             one.uncovered / USD, sum(map(overshoot, one.rounds)) / USD, over, fair, over + fair,
             sum(thetas) / len(thetas), max(one.largest) * 100, one.closed,
             *(_mean([measure(r) for r in one.rounds]) for measure in (ptsr, pmr, rd_nse))]
        )  # fmt: skip
    columns = ["policy", "deficits (USD)", "winners paid (USD)", "uncovered (USD)",
               "overshoot (USD)", "overshoot regret (USD)", "fairness regret against P11 (USD)",
               "total regret (USD)", "mean severity (paid / deficit)",
               "largest payment / equity (%)", "lots closed", "PTSR where undercovered",
               "PMR where undercovered", "RD-NSE where undercovered"]  # fmt: skip
    count = len(found[0].rounds)
    return Table("engine_waves", f"{count} waves through the engine, one chain per policy",
                 columns, rows)  # fmt: skip


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def waved_figure(found: list[Waved]) -> Figure:
    """What winners have paid too much, added up wave by wave."""
    lines: list[Series] = []
    for one in found:
        running, ys = 0.0, [0.0]
        for this_round in one.rounds:
            running += overshoot(this_round) / USD
            ys.append(running)
        lines.append(Series(code_of(one.policy), [float(k) for k in range(len(ys))], ys))
    return Figure(name="waves", title="Overshoot, added up over the waves", x="wave", y="USD",
                  series=lines)  # fmt: skip
