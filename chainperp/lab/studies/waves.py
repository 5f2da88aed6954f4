"""Repeated shocks: what each policy has cost after a series of budgets, with regrets.

Endowments shrink by what was taken. The budget of a wave is known to every policy but P10's mirror
descent, which announces its share before the wave and forecasts the deficit as the last one. The
fairness reference is P11 in money, which is the true min-max; the published study compares with an
integer programme that is not (adl-and-scenarios 7.3, item 8).
"""

from dataclasses import dataclass, field

from chainperp.lab.allocation import solve
from chainperp.lab.metrics import (
    PPB,
    Round,
    fairness_regret,
    largest_share_ppb,
    overshoot_regret,
    ptsr,
    revenue_loss,
)
from chainperp.lab.outcome import Cell, Table
from chainperp.lab.problem import Run, Winner, code_of
from chainperp.rules.adl.choose import policy_named
from chainperp.rules.adl.policy import Policy
from chainperp.rules.adl.severity import (
    MirrorTerms,
    mirror_gradient,
    mirror_step,
    planned_budget,
    severity_limit,
)

SEED = bytes(32)
FAIREST = "pro_rata_equity"


@dataclass(slots=True)
class Series:
    """One policy over all waves."""

    rounds: list[Round] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    revenue: float = 0.0
    left: int = 0


def through(policy: Policy, winners: list[Winner], budgets: list[int], mirror: bool) -> Series:
    """A policy over the budgets; `mirror` plans each budget by P10's mirror descent."""
    found = Series()
    now = list(winners)
    share, before = PPB, None
    for time, need in enumerate(budgets, start=1):
        capacity = max(one.cap for one in now)
        whole = sum(one.cap for one in now)
        budget = planned_budget(share, need, before, whole) if mirror else need
        takes = solve(Run(policy, budget, 0), now, SEED, "winners").takes
        survivor = max(one.cap - take for one, take in zip(now, takes, strict=True))
        found.rounds.append(
            Round(need, need, float(sum(takes)), float(min(need, whole)), float(survivor))
        )
        found.largest.append(largest_share_ppb(takes, [one.e for one in now]) / PPB)
        found.revenue += revenue_loss([one.cap for one in now], takes)
        now = [_after(one, take) for one, take in zip(now, takes, strict=True)]
        if mirror:
            slope = mirror_gradient(share, capacity, need, MirrorTerms())
            limit = severity_limit(None, capacity, need)
            share = mirror_step(share, slope, time, limit, MirrorTerms())
        before = need
    found.left = sum(one.cap for one in now)
    return found


def _after(one: Winner, take: int) -> Winner:
    w, e = one.w - take, one.e - take
    return Winner(one.id, w, e, one.n, min(w, e), one.n * 10**6 // e if e > 0 else 0)


def waves_table(policies: list[Policy], winners: list[Winner], budgets: list[int]) -> Table:
    """All policies, and P10's mirror descent, over the same waves (money in USD)."""
    fairest = through(policy_named(FAIREST), winners, budgets, mirror=False)
    cases = [(f"{code_of(one)} {one.name}", one, False) for one in policies]
    cases.append(("P10 mirror descent", policy_named("pro_rata_pnl"), True))
    rows: list[list[Cell]] = []
    for name, policy, mirror in cases:
        one = through(policy, winners, budgets, mirror)
        over = overshoot_regret(one.rounds) / 1e6
        fair = fairness_regret(one.rounds, one.largest, fairest.largest) / 1e6
        short = sum(max(0.0, r.needed - r.removed) for r in one.rounds) / 1e6
        survivors = [ratio for ratio in map(ptsr, one.rounds) if ratio is not None]
        rows.append(
            [name, sum(r.removed for r in one.rounds) / 1e6, short, over, fair, over + fair,
             max(one.largest) * 100, sum(survivors) / len(survivors) if survivors else None,
             one.revenue / 1e6]
        )  # fmt: skip
    columns = ["policy", "removed (USD)", "not covered (USD)", "overshoot regret (USD)",
               "fairness regret against P11 (USD)", "total regret (USD)",
               "largest payment / equity (%)", "mean PTSR where undercovered",
               "revenue lost in two years, proxy (USD)"]  # fmt: skip
    return Table("waves", f"{len(budgets)} waves, endowments carried over", columns, rows)
