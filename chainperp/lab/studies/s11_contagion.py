"""S11: one failure among venues, an issuer, a market maker: how far it goes.

First the reference's five firms, cleared exactly. Then four venues, an issuer whose collateral is
at a custodian, a ring of credit lines: losses that arrive directly, through the custodian, through
windings-up and through the lines, cleared together. Then the same venues hour by hour: day 0
through the engine, a run under each rule of withdrawal, a second round, and the clearing. Sizes are
those of real venues, exempt shares assumed (U14); nothing is a statement about a named firm.
Source: adl-and-scenarios 11.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from chainperp.base.errors import BadRequest
from chainperp.lab.clearing import Debt, Pool, System, clear, debt_rank, open_ledger
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.scenario import Millions, Move, Percent, Strict
from chainperp.lab.studies.run_dynamics import FREE, Ran
from chainperp.lab.studies.run_tables import (
    STOPPED,
    Question,
    beyond,
    calibration,
    day_table,
    redemption_table,
    run_figure,
    run_table,
    stopping,
)

TITLE: Final = "One refusal among venues: how far it goes"
MILLION: Final = 10**12
"""A million dollars in micro-USD."""
CASES: Final = {
    "custodian must pay": (60, 30),
    "custodian refuses": (0, 30),
    "must pay, venue's cash stolen": (60, 0),
    "refuses and stolen": (0, 0),
    "half": (30, 30),
}
FIRST: Final = ("free", "rate limit")
"""Who is paid first in a winding-up: exempt firms, or all alike."""


class Values(Strict):
    """Millions of USD, and shares in percent."""

    fall_percent: Annotated[int, Field(ge=1, le=60)] = 20
    margin_percent: Annotated[int, Field(ge=1, le=60)] = 8
    exempt_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 20, 40, 50, 60, 80)
    open_interest: tuple[Millions, Millions, Millions, Millions] = (14_000, 9_000, 7_000, 3_000)
    cash: tuple[Millions, Millions, Millions, Millions] = (20_000, 11_000, 4_000, 2_500)
    funds: tuple[Millions, Millions, Millions, Millions] = (1_000, 300, 350, 100)
    credit: Annotated[int, Field(ge=0)] = 600
    issuer: Annotated[int, Field(ge=0)] = 14_600
    issuer_percent: tuple[Percent, Percent, Percent, Percent] = (45, 35, 5, 15)
    thin_percent: Annotated[int, Field(ge=1, le=100)] = 35
    equity_permille: Annotated[int, Field(ge=0, le=1000)] = 20
    keep_percent: tuple[Percent, Percent] = (70, 90)
    """Assets kept in a winding-up: after a run, and when withdrawals are limited."""
    falls_percent: Annotated[tuple[Move, ...], Field(min_length=1)] = (20, 40)
    others_percent: tuple[Percent, Percent, Percent] = (20, 10, 0)
    """Exempt shares of the first three venues in the run."""
    liquid_percent: Annotated[int, Field(ge=1, le=100)] = 60
    haste_percent: Annotated[int, Field(ge=1, le=100)] = 90
    wound_up_percent: Annotated[int, Field(ge=1, le=100)] = 85
    frozen_percent: Annotated[int, Field(ge=0, le=100)] = 20
    second_gap_percent: Annotated[int, Field(ge=0, le=100)] = 5
    redeem_percent: Annotated[float, Field(ge=0, lt=100)] = 13
    at_venues_percent: Percent = 10
    """Of the issuer's collateral, lying at venues and not at its custodian."""
    loans: Millions = 600
    """Of a lender outside the ring to each venue."""


def five_firms(issuer_pays: int, cash: int) -> System:
    """The reference's example, in micro-USD: what E's custodian hands over, and B's cash."""
    m = MILLION
    return System(
        {"E": issuer_pays * m, "B": cash * m, "M": 5 * m, "D": 8 * m, "B users": 0, "D winners": 0},
        (
            Debt("E", "B", 60 * m),
            Debt("B", "M", 50 * m),
            Debt("B", "B users", 30 * m),
            Debt("M", "D", 40 * m),
            Debt("D", "D winners", 45 * m),
        ),
    )


def example() -> Table:
    """What everybody pays in each case."""
    rows: list[list[Cell]] = []
    for name, (issuer, cash) in CASES.items():
        system = five_firms(issuer, cash)
        done = clear(system)
        paid = [done.paid(system, firm) / MILLION for firm in ("E", "B", "M", "D")]
        got = [done.received(system, who) / MILLION for who in ("B users", "D winners")]
        rows.append([name, *paid, *got])
    columns = ["case", "E pays (m)", "B pays (m)", "M pays (m)", "D pays (m)", "B users get (m)",
               "D winners get (m)"]  # fmt: skip
    return Table("clearing", "Five firms, cleared", columns, rows)


NAMES: Final = ("venue 1", "venue 2", "venue 3", "venue 4")
REFUSER: Final = 1
"""The venue that mirrors the issuer's collateral."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where the losses ended, by class and by way, in millions of USD."""

    first: float
    classes: dict[str, float]
    ways: dict[str, float]
    failed: tuple[str, ...]
    unpaid: tuple[float, ...]
    """After each round of the clearing."""

    @property
    def total(self) -> float:
        """All losses, wherever they were borne."""
        return sum(self.classes.values())

    @property
    def amplification(self) -> float:
        """Total over first loss."""
        return self.total / self.first if self.first else 1.0


def shortfalls(values: Values, law: str) -> tuple[list[int], list[int]]:
    """Gains of winners and what neither losers nor fund pay of them, by venue, in micro-USD; in
    state A the issuer's settlement is missing at one venue too."""
    gains: list[int] = []
    missing: list[int] = []
    fall = values.fall_percent
    for place, (size, fund) in enumerate(zip(values.open_interest, values.funds, strict=True)):
        gain = size * MILLION * fall // 200
        thin = gain * values.thin_percent // 100
        paid = thin * min(fall, values.margin_percent) // fall + gain - thin
        short = max(0, gain - paid - fund * MILLION)
        if law == "A" and place == REFUSER:
            short += settlement(values)
        gains.append(gain)
        missing.append(short)
    return gains, missing


def settlement(values: Values) -> int:
    """What the issuer owes the one venue after the fall, in micro-USD."""
    share = values.issuer_percent[REFUSER]
    return values.issuer * MILLION * share // 100 * values.fall_percent // 100


def spread_run(values: Values, exempt_percent: int, law: str, rule: str = "free") -> Ending:
    """One failure: the shortfall is first taken from non-exempt winners (a venue scales winners, it
    does not default on them); what is left is a hole, and holes are cleared together with the
    credit lines. A venue that cannot pay loses part of its assets in the winding-up. Exempt firms
    are paid first where withdrawals are free."""
    gains, missing = shortfalls(values, law)
    cash: dict[str, int] = {}
    debts: list[Debt] = []
    haircuts = 0
    is_first = rule == "free"
    ring = zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)
    for place, name in enumerate(NAMES):
        able = gains[place] * (100 - exempt_percent) // 100
        taken = min(missing[place], able)
        haircuts += taken
        cash[name] = max(0, values.cash[place] * MILLION - (missing[place] - taken))
        users = values.cash[place] * MILLION * (1000 - values.equity_permille) // 1000
        privileged = users * exempt_percent // 100
        debts.append(Debt(name, f"{name} exempt", privileged, senior=is_first))
        debts.append(Debt(name, f"{name} others", users - privileged))
        cash[f"{name} exempt"] = cash[f"{name} others"] = 0
    for debtor, lender in ring:
        # The line was drawn: the debtor has the money, and owes it.
        cash[debtor] += values.credit * MILLION
        cash[lender] = max(0, cash[lender] - values.credit * MILLION)
        debts.append(Debt(debtor, lender, values.credit * MILLION))
    keep = dict.fromkeys(NAMES, (values.keep_percent[rule != "free"], 100))
    system = System(cash, tuple(debts), keep)
    return _ending(values, system, haircuts, sum(missing), law)


def _ending(values: Values, system: System, haircuts: int, first: int, law: str) -> Ending:
    done = clear(system)
    lost = {"exempt": 0, "others": 0, "lines": 0}
    failed: list[str] = []
    for debt, amount in zip(system.debts, done.payments, strict=True):
        kind = debt.creditor.rpartition(" ")[2]
        lost[kind if kind in lost else "lines"] += debt.amount - amount
        if amount < debt.amount and debt.debtor not in failed:
            failed.append(debt.debtor)
    equity = 0
    for place, name in enumerate(NAMES):
        had = values.cash[place] * MILLION * values.equity_permille // 1000
        equity += max(0, had - max(0, done.left[name]))
    # In state B the issuer's holders bear the settlement, and it goes no further.
    holders = settlement(values) if law == "B" else 0
    winding_up = sum(system.assets[name] * (100 - system.keep[name][0]) // 100 for name in failed)
    classes = {
        "exempt users": lost["exempt"],
        "other users": lost["others"] + haircuts,
        "issuer's holders": holders,
        "owners": equity,
    }
    ways = {
        "first shortfall": first + holders,
        "winding up": winding_up,
        "credit lines unpaid": lost["lines"],
    }
    m = float(MILLION)
    return Ending(
        (first + holders) / m,
        {name: amount / m for name, amount in classes.items()},
        {name: amount / m for name, amount in ways.items()},
        tuple(failed),
        tuple(amount / m for amount in done.unpaid),
    )


def run(values: Values, seed: int) -> Outcome:
    """The example, the sweep, and the books that count twice."""
    rows: list[list[Cell]] = []
    endings: dict[tuple[int, str], Ending] = {}
    for percent in values.exempt_percent:
        for law in ("A", "B"):
            one = spread_run(values, percent, law)
            endings[percent, law] = one
            rows.append(
                [percent, law, one.first, one.total, one.amplification, len(one.failed),
                 ", ".join(one.failed) or "none", *one.classes.values()]
            )  # fmt: skip
    columns = ["exempt share (%)", "custody state", "first loss (m)", "total loss (m)",
               "amplification", "venues failed", "which", "exempt users lose (m)",
               "other users lose (m)", "issuer's holders lose (m)", "owners lose (m)"]  # fmt: skip
    measures: list[list[Cell]] = []
    worst = max(values.exempt_percent)
    for rule in FIRST:
        for percent in (0, worst):
            one = spread_run(values, percent, "A", rule)
            measures.append([rule, percent, one.total, one.amplification, len(one.failed),
                             one.classes["exempt users"], one.classes["other users"]])  # fmt: skip
    day, off, chains = day_table(values, values.falls_percent)
    ran, found = run_table(values, values.exempt_percent, values.falls_percent)
    stops, enough = stopping(values, worst, values.falls_percent)
    besides, wider = beyond(values, worst, values.falls_percent)
    twice = Pool("custody (D)", 60 * MILLION, {"issuer": 60 * MILLION, "venue": 60 * MILLION})
    refused = ""
    try:
        open_ledger([twice])
    except BadRequest as error:
        refused = str(error)
    outcome = Outcome(
        tables=[
            example(),
            Table("sweep", "Four venues: exempt share and custody", columns, rows),
            Table("rules", "Who is paid first (state A)",
                  ["withdrawals", "exempt share (%)", "total loss (m)", "amplification",
                   "venues failed", "exempt users lose (m)", "other users lose (m)"], measures),
            _distress(values),
            day,
            calibration(values),
            ran,
            stops,
            besides,
            redemption_table(values),
        ],
        figures=[*_figures(endings), *(run_figure(found, fall) for fall in values.falls_percent)],
        chains=chains,
        assumed={"U14": "exempt shares, credit lines and special arrangements: swept",
                 "U13": "the custody state: both run; D is refused",
                 "U11": "P16's factor is the loss still uncovered over all positive balances; both "
                 "leavers who go on and leavers who wait are run"},
        notes=_notes(values, refused, off, wider),
    )  # fmt: skip
    outcome.verdicts = _verdicts(endings, found, enough, off)
    return outcome


def _notes(values: Values, refused: str, off: float, wider: dict[int, list[float]]) -> list[str]:
    return [
        f"State D is not cleared: {refused}.",
        "Only sizes are taken from real venues, and conclusions are about regions.",
        f"Day 0 through the engine and in closed form differ by at most {off:,.2f} USD.",
        "An exempt share of 0 at venue 4 means no exemptions anywhere; the other venues "
        f"have {values.others_percent} % otherwise.",
        _wider_note(wider),
        "P16 takes no winners' gains on day 0; what leavers have not paid after "
        "the run is borne by those who stayed.",
    ]


def _wider_note(wider: dict[int, list[float]]) -> str:
    """What redemptions and an outside lender change."""
    ranges = "; ".join(
        f"a fall of {fall} %: {min(found):.2f} to {max(found):.2f}, {found[0]:.2f} without both"
        for fall, found in wider.items()
    )
    return (
        "Redemptions ask venues only for what the issuer has lying there, which is an assumption; "
        "with them and an outside lender amplification in state A is, by "
        f"{ranges}. Loans that are not repaid count as losses of their lender."
    )


def _distress(values: Values) -> Table:
    """DebtRank: equity lost before anybody defaults, when the first venue loses a tenth."""
    weight = values.credit / 1_000
    exposures = {(a, b): weight / (len(NAMES) - 1) for a in NAMES for b in NAMES if a != b}
    level = debt_rank(exposures, {NAMES[REFUSER]: 0.1})
    return Table("distress", "Distress before default (DebtRank), a tenth lost at one venue",
                 ["firm", "equity lost (%)"], [[n, level[n] * 100] for n in NAMES])  # fmt: skip


def _verdicts(
    endings: dict[tuple[int, str], Ending],
    found: dict[Question, Ran],
    enough: dict[int, list[str]],
    off: float,
) -> list[Verdict]:
    high = [one.amplification for (p, law), one in endings.items() if p >= 50 and law == "A"]
    low = [one.amplification for (p, law), one in endings.items() if p == 0 and law == "B"]
    edge = [p for (p, law), one in sorted(endings.items()) if law == "A" and one.amplification > 2]
    free = {q: one.amplification for q, one in found.items() if q.rule == FREE}
    first = min(q.fall for q in found)
    runs = [a for q, a in free.items() if q.exempt >= 50 and q.law == "A" and q.fall == first]
    calm = [a for q, a in free.items() if q.exempt == 0 and q.law == "B" and q.fall == first]
    worse = [a for q, a in free.items() if q.exempt >= 50 and q.law == "A" and q.fall > first]
    stops = "; ".join(
        f"a fall of {fall} %: {', or '.join(names) or 'none of the measures tried'}"
        for fall, names in enough.items()
    )
    holds = bool(high) and bool(low) and min(high) > 2 and max(low) <= STOPPED
    moves = bool(runs) and bool(calm) and min(runs) > 2 and max(calm) <= STOPPED and off < 1
    some = bool(edge) or max(runs, default=0) > 2
    sentence = (
        "Amplification is: all losses, whoever bears them, over the first shortfall; the claim "
        f"needs more than 2 at exempt shares of 50 % and more in state A, and at most {STOPPED} "
        "with no exemptions in state B. Balance sheets with the same share at each venue: "
        f"{', '.join(f'{a:.2f}' for a in high)} and {', '.join(f'{a:.2f}' for a in low)}, above 2 "
        f"from a share of {min(edge, default=100)} %. The run with the share at one venue, hour by "
        f"hour, fall of {first} %: {', '.join(f'{a:.2f}' for a in runs)} and "
        f"{', '.join(f'{a:.2f}' for a in calm)}; larger falls, whose first loss is larger: "
        f"{', '.join(f'{a:.2f}' for a in worse) or 'not run'}. What stops the run: {stops}"
    )
    system = five_firms(0, 30)
    loss = 45 - clear(system).received(system, "D winners") / MILLION
    both = holds and moves
    return [
        verdict("C10", both or (some or None), sentence,
                "exempt shares, credit lines and runs that were measured", boundary=some),
        verdict("C21", loss == 13.25, f"one refusal of 60 costs users of a venue without any "
                f"custody arrangement {loss:g}; counted twice, the books do not start",
                "netting between the venue and its market maker"),
        verdict("C22", both or (some or None), sentence,
                "no credit lines, or withdrawal limits; see the table of measures", boundary=True),
    ]  # fmt: skip


def _figures(endings: dict[tuple[int, str], Ending]) -> list[Figure]:
    shares = sorted({percent for percent, _ in endings})
    lines = [
        Series(f"state {law}", [float(p) for p in shares],
               [endings[p, law].amplification for p in shares])
        for law in ("A", "B")
    ]  # fmt: skip
    ways = list(endings[shares[0], "A"].ways)
    bars = [
        Series(way, [float(k) for k in range(len(shares))],
               [endings[p, "A"].ways[way] for p in shares])
        for way in ways
    ]  # fmt: skip
    return [
        Figure(name="amplification", title="Total loss over first loss", x="exempt share (%)",
               y="amplification", series=lines),
        Figure(name="rounds", title="Contagion, round by round (custodian may refuse)",
               x="round of the clearing", y="debts unpaid (million USD)", kind="steps",
               series=[Series(f"{p} % exempt", [float(k) for k in range(len(one.unpaid))],
                              list(one.unpaid))
                       for p in shares if (one := endings[p, "A"])]),
        Figure(name="waterfall", title="Where losses come from (custodian may refuse)",
               x="exempt share", y="million USD", series=bars, kind="stacked",
               ticks=[f"{p} %" for p in shares]),
    ]  # fmt: skip
