"""S8: is there a right order? Every policy on the same shocks, by three judges.

In money: the reference's five accounts and a large population (made, or the real half of 10 October
2025), at several budgets and with a list. Through the engine: every policy in one gap, with part of
the winners hedged elsewhere, so that a closed lot is a broken hedge. Judges: the platform (what
stays uncovered), the winners (inequality, largest haircut), the market (lots closed, hedges).
Source: adl-and-scenarios 9, S8, and 6.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from chainperp.lab.allocation import exempted, solve, summary
from chainperp.lab.metrics import (
    PPB,
    gini,
    herfindahl,
    largest_share_ppb,
    majorises,
    rank_breaks,
    top_share,
)
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.problem import Run, Winner, code_of
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.studies.endowments import endowments
from chainperp.lab.studies.engine_waves import (
    LEVERAGE,
    SMALLEST,
    crowd_of,
    through_waves,
    waved_figure,
    waved_table,
)
from chainperp.lab.studies.waves import waves_table
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.rules.adl.choose import POLICIES
from chainperp.rules.adl.policy import Policy

TITLE: Final = "Every policy on the same shock"
MONEY: Final = tuple(policy for policy in POLICIES if not policy.in_lots)
ENTRY: Final = 100 * DOLLAR
REAL_CAPACITY: Final = 417_635_954
"""Of the real half of the users, in USD: made populations take the same shares of theirs."""
SEED: Final = bytes(32)
FIVE: Final = tuple(
    Winner(name, w * USD, e * USD, n * USD, w * USD, n * 10**6 // e)
    for name, w, e, n in (
        ("a", 50, 400, 500), ("b", 30, 40, 300), ("c", 12, 30, 60), ("d", 6, 8, 90), ("e", 2, 10, 4)
    )
)  # fmt: skip


class Values(Strict):
    """Budgets in USD; percentages where the name says so."""

    winners: Annotated[int, Field(ge=10, le=50_000)] = 2000
    alpha: Annotated[float, Field(gt=0, le=10)] = 0.85
    budgets_usd: Annotated[tuple[int, ...], Field(min_length=1)] = (5_000_000, 30_000_000)
    budget_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (2, 10, 30)
    exempt_top: tuple[int, ...] = (0, 10)
    engine_winners: Annotated[int, Field(ge=5, le=1000)] = 60
    hedged_percent: Annotated[int, Field(ge=0, le=100)] = 30
    gap_percent: Annotated[int, Field(ge=2, le=40)] = 10
    waves_usd: Annotated[tuple[int, ...], Field(min_length=1)] = (
        2_266_240, 1_383_878, 1_065_843, 115_497, 8_056, 1_576_039, 44_868, 1_622_229, 373_726,
    )  # fmt: skip
    data: str = ""


def in_money(
    winners: list[Winner], budgets: list[int], exempt: tuple[int, ...]
) -> tuple[Table, dict[str, list[int]]]:
    """Every money policy at every budget and list; the takes of the middle budget without one."""
    rows: list[list[Cell]] = []
    takes: dict[str, list[int]] = {}
    middle = budgets[len(budgets) // 2]
    for budget in budgets:
        for count in exempt:
            able = exempted(winners, count)
            for policy in MONEY:
                run = Run(policy, budget, count)
                answer = solve(run, able, SEED, "winners")
                one = summary(run, able, answer)
                rows.append(_row(policy, one, able, answer.takes))
                if budget == middle and count == 0:
                    takes[code_of(policy)] = answer.takes
    columns = ["policy", "budget (USD)", "exempt", "shortfall (USD)", "hit", "closed out",
               "Gini", "HHI", "top 10 (%)", "largest payment / equity (%)", "rank breaks",
               "Sybil gain (%)", "sha256"]  # fmt: skip
    return Table("money", "Policies that take money", columns, rows), takes


def _row(policy: Policy, one: dict[str, Any], able: list[Winner], takes: list[int]) -> list[Cell]:
    endowments_ = [row.cap for row in able]
    return [
        f"{code_of(policy)} {policy.name}", one["budget"] / USD, one["exempt_top"],
        one["shortfall"] / USD, one["n_hit"], one["n_full"], one["gini"],
        float(herfindahl(takes)), float(top_share(takes, 10)) * 100, one["max_pct_ppb"] / PPB * 100,
        rank_breaks(endowments_, takes), sybil_gain(policy, one["budget"], able) * 100,
        one["sha256"][:16],
    ]  # fmt: skip


def sybil_gain(policy: Policy, budget: int, winners: list[Winner], parts: int = 4) -> float:
    """What the largest winner pays less, as a share, when it splits into equal accounts first."""
    able = [one for one in winners if one.cap]
    if not able:
        return 0.0
    first = max(able, key=lambda one: (one.w, one.id))
    run = Run(policy, budget, 0)
    alone = solve(run, winners, SEED, "winners").takes[winners.index(first)]
    split = [
        Winner(f"{first.id}/{part}", first.w // parts, first.e // parts, first.n // parts,
               min(first.w // parts, first.e // parts), 0)
        for part in range(parts)
    ]  # fmt: skip
    split = [one._replace(lam=one.n * 10**6 // one.e if one.e else 0) for one in split]
    others = [one for one in winners if one is not first]
    together = sum(solve(run, [*others, *split], SEED, "winners").takes[-parts:])
    return (alone - together) / alone if alone else 0.0


def majorisation(takes: dict[str, list[int]]) -> Table:
    """Which allocation is more equal, by prefix sums: a partial order."""
    codes = list(takes)
    totals = {code: sum(takes[code]) for code in codes}
    rows: list[list[Cell]] = []
    for one in codes:
        row: list[Cell] = [one]
        for other in codes:
            same = totals[one] == totals[other]
            row.append(majorises(takes[one], takes[other]) if same else "other total")
        rows.append(row)
    return Table("majorisation", "The row's allocation is … than the column's",
                 ["policy", *codes], rows)  # fmt: skip


class Judged:
    """One policy in the engine: the scores of the three judges, lower is better."""

    __slots__ = ("broken", "closed", "evidence", "gini", "kept", "largest", "paid", "policy",
                 "uncovered")  # fmt: skip

    def __init__(self, policy: Policy, winners: list[Winner], values: Values) -> None:
        self.policy = policy
        gap = values.gap_percent
        lots, deposits = crowd_of(winners, values.engine_winners, gap, 20)
        venue = Venue(policy_id=policy.policy_id, leverage=20)
        venue.mark(ENTRY)
        venue.join(deposits)
        total = -sum(lots.values())
        # Half of the other side is thin, half can pay whatever comes: a round closes half.
        thin = total // 2
        venue.join({"book": 3 * total * USD, "solid": total * USD})
        venue.join({"thin": thin * USD * max(6, gap - 2) // 100})
        venue.trade("book", lots, ENTRY)
        venue.trade("book", {"thin": thin, "solid": total - thin}, ENTRY)
        names = sorted(lots)
        hedged = set(names[: len(names) * values.hedged_percent // 100])
        before = venue.values(names)
        told = venue.mark(ENTRY * (100 - gap) // 100)
        gains = {name: -lots[name] * gap * USD // 100 for name in names}
        self.paid = [before[name] + gains[name] - venue.value(name) for name in names]
        equity = [before[name] + gains[name] for name in names]
        closed = {name: abs(lots[name] - venue.lots(name)) for name in names}
        self.closed = sum(closed.values()) / total
        hedges = sum(abs(lots[name]) for name in hedged)
        self.broken = sum(closed[name] for name in hedged) / hedges if hedges else 0.0
        self.uncovered = told.owed + max(0, -venue.value("thin"))
        self.gini = float(gini([max(0, one) for one in self.paid]))
        self.largest = largest_share_ppb([max(0, one) for one in self.paid], equity) / PPB
        self.kept = [1 - paid / gains[name] for name, paid in zip(names, self.paid, strict=True)]
        self.evidence = venue.evidence()

    def scores(self) -> tuple[float, float, float]:
        """Platform: uncovered. Winners: mean of Gini and largest haircut, plus what was taken too
        much counts in the haircut. Market: lots closed and hedges broken."""
        return (
            float(self.uncovered),
            (self.gini + self.largest) / 2,
            (self.closed + self.broken) / 2,
        )


def is_dominated(one: Judged, others: list[Judged]) -> bool:
    """Whether another policy is at least as good for all three judges and better for one."""
    mine = one.scores()
    return any(
        all(a <= b for a, b in zip(other.scores(), mine, strict=True)) and other.scores() != mine
        for other in others
    )


def engine_table(judged: list[Judged]) -> Table:
    """All policies through the engine."""
    rows: list[list[Cell]] = [
        [f"{code_of(one.policy)} {one.policy.name}", one.uncovered / USD, sum(one.paid) / USD,
         sum(1 for paid in one.paid if paid > 0), one.gini, one.largest * 100, one.closed * 100,
         one.broken * 100, "no" if is_dominated(one, judged) else "yes"]
        for one in judged
    ]  # fmt: skip
    columns = ["policy", "platform: uncovered (USD)", "winners paid (USD)", "hit",
               "winners: Gini", "winners: largest payment / equity (%)",
               "market: lots closed (%)", "market: hedges broken (%)", "on the front"]  # fmt: skip
    return Table("engine", "All policies through the engine, one gap", columns, rows)


def run(values: Values, seed: int) -> Outcome:
    """All parts."""
    winners, origin = endowments(values.data, values.winners, values.alpha, seed)
    capacity = sum(one.cap for one in winners)
    if values.data:
        budgets = [usd * USD for usd in values.budgets_usd]
    else:
        budgets = [capacity * percent // 100 for percent in values.budget_percent]
    waves = [
        usd * USD if values.data else usd * capacity // REAL_CAPACITY for usd in values.waves_usd
    ]
    five, _ = in_money(list(FIVE), [20 * USD], (0, 1))
    large, takes = in_money(winners, budgets, values.exempt_top)
    judged = [Judged(policy, winners, values) for policy in POLICIES]
    crowd = crowd_of(winners, values.engine_winners, 10, LEVERAGE, SMALLEST)
    able = -sum(crowd.lots.values()) * USD // 10
    sizes = [usd * able // REAL_CAPACITY for usd in values.waves_usd]
    waved = [through_waves(policy, crowd, sizes) for policy in POLICIES]
    best = [min(one.scores()[judge] for one in judged) for judge in range(3)]
    tops = [
        code_of(one.policy)
        for one in judged
        if all(one.scores()[judge] == best[judge] for judge in range(3))
    ]
    outcome = Outcome(
        tables=[
            Table("five", "The reference's five accounts, budget 20", five.columns, five.rows),
            large,
            majorisation(takes),
            waves_table(list(MONEY), winners, waves),
            engine_table(judged),
            waved_table(waved),
        ],
        figures=[lorenz(takes), scatter(judged), payouts(judged), waved_figure(waved)],
        defects=bool(values.data),
        chains={
            **{code_of(one.policy): one.evidence for one in judged},
            **{f"{code_of(one.policy)} waves": one.chain for one in waved},
        },
        assumed={
            "U-ADL-1": "the queue ranks by leverage times profit ratio",
            "U8": "P10 socialises the whole deficit",
            "U9": "P14 walks accounts in address order",
            "U10": "P15 divides exactly",
        },
        notes=[f"Winners: {origin}; capacity {capacity // USD:,} USD.",
               "In the engine a policy that takes money also closes the bankrupt position against "
               "the other side, at the mark and in proportion to size: it breaks hedges too.",
               "P0 has no book here: nobody pays, and the venue stays short.",
               "Mirror descent announces its budget before the wave, from the last deficit: it "
               "takes too much and too little by turns, which is what its regret counts."],
    )  # fmt: skip
    outcome.verdicts = [
        verdict(
            "C18",
            not tops,
            "no policy is best for the platform, the winners and the market at once"
            if not tops
            else f"{', '.join(tops)} is best for all three judges",
            "judges with other weights; one judge alone has a best policy",
        )
    ]
    return outcome


def lorenz(takes: dict[str, list[int]]) -> Figure:
    """Lorenz curves of the payments at the middle budget."""
    lines: list[Series] = []
    for code, amounts in takes.items():
        ordered, running, total = sorted(amounts), 0, sum(amounts)
        step = max(1, len(ordered) // 300)
        xs, ys = [0.0], [0.0]
        for place, amount in enumerate(ordered, start=1):
            running += amount
            if place % step == 0 or place > len(ordered) - 20:
                xs.append(place / len(ordered))
                ys.append(running / total if total else 0.0)
        lines.append(Series(code, xs, ys))
    return Figure(
        name="lorenz",
        title="Who pays: cumulative share of payments",
        x="share of winners, smallest payments first",
        y="share of payments",
        series=lines,
    )


def payouts(judged: list[Judged]) -> Figure:
    """What each winner keeps of its marked gain, from the worst treated to the best."""
    lines = []
    for one in judged:
        kept = sorted(one.kept)
        shares = [(place + 1) / len(kept) for place in range(len(kept))]
        lines.append(Series(code_of(one.policy), shares, kept))
    return Figure(
        name="payouts",
        title="The same deficit: what each winner keeps of its gain",
        x="share of winners, worst treated first",
        y="kept / marked gain",
        series=lines,
    )


def scatter(judged: list[Judged]) -> Figure:
    """Two of the three judges, for policies that leave nothing uncovered."""
    return Figure(
        name="front",
        title="Winners' inequality against closures in the market",
        x="market: mean share of lots closed and hedges broken",
        y="winners: mean of Gini and largest payment / equity",
        series=[
            Series(code_of(one.policy), [one.scores()[2]], [one.scores()[1]])
            for one in judged
            if not one.uncovered
        ],
        kind="points",
    )
