"""S11's run as tables: day 0 by two routes, rules of withdrawal, measures that stop a chain."""

from itertools import combinations
from typing import Final, NamedTuple, Protocol

from chainperp.lab.chain import Chain
from chainperp.lab.outcome import Cell, Figure, Series, Table
from chainperp.lab.studies.run_dynamics import (
    BYBIT,
    FREE,
    HOLDERS,
    HOURS,
    LIMIT,
    RULES,
    TWO_DAYS,
    Day,
    Ran,
    Terms,
    day_zero,
    day_zero_closed,
    redeemed_hourly,
    simulate,
)

STOPPED: Final = 1.2
BESIDES: Final = (
    (False, "", False),
    (True, "", False),
    (False, "equal with users", False),
    (False, "after users", True),
    (True, "equal with users", False),
    (True, "after users", True),
)
"""Whether holders redeem, the lender's rank, and whether users come first."""
NEARLY_ALL: Final = 95
"""Exempt share of venue 4 on day 0's table: there what is left cannot pay a large fall."""
MEASURES: Final = ("no exemptions", "custodian must pay", "withdrawal limits", "no credit lines")


class Sizes(Protocol):
    """What the study's values say about the venues."""

    fall_percent: int
    margin_percent: int
    thin_percent: int
    equity_permille: int
    credit: int
    open_interest: tuple[int, int, int, int]
    cash: tuple[int, int, int, int]
    funds: tuple[int, int, int, int]
    issuer: int
    issuer_percent: tuple[int, int, int, int]
    others_percent: tuple[int, int, int]
    liquid_percent: int
    haste_percent: int
    wound_up_percent: int
    frozen_percent: int
    second_gap_percent: int
    redeem_percent: float
    at_venues_percent: int
    loans: int


class Question(NamedTuple):
    """The last venue's exempt share, the custody state, the rule of withdrawal, and what there is
    besides venues: the ring's lines, redemptions at the issuer, an outside lender."""

    exempt: int
    law: str
    rule: str = FREE
    has_lines: bool = True
    fall: int = 0
    redeems: bool = False
    has_lender: bool = False
    is_lender_last: bool = False


def terms_of(values: Sizes, question: Question) -> Terms:
    """The run's terms; an exempt share of 0 at the last venue is none anywhere."""
    fall = question.fall or values.fall_percent
    owed = values.issuer * values.issuer_percent[1] / 100 * fall / 100
    others = values.others_percent if question.exempt else (0, 0, 0)
    return Terms(
        exempt=(*others, question.exempt),
        open_interest=values.open_interest,
        cash=values.cash,
        funds=values.funds,
        missing_elsewhere=(0.0, owed if question.law == "A" else 0.0, 0.0, 0.0),
        credit=values.credit if question.has_lines else 0,
        fall_percent=fall,
        margin_percent=values.margin_percent,
        thin_percent=values.thin_percent,
        equity_permille=values.equity_permille,
        rule=question.rule,
        liquid_percent=values.liquid_percent,
        haste_percent=values.haste_percent,
        wound_up_percent=values.wound_up_percent,
        frozen_percent=values.frozen_percent,
        second_gap_percent=values.second_gap_percent,
        redeem_percent=values.redeem_percent,
        at_venues=at_venues(values) if question.redeems else (),
        loans=values.loans if question.has_lender else 0,
        is_lender_last=question.is_lender_last,
    )  # fmt: skip


def at_venues(values: Sizes) -> tuple[float, ...]:
    """Millions that the issuer has lying at each venue itself, outside its custodian."""
    part = values.issuer * values.at_venues_percent / 100
    return tuple(part * share / 100 for share in values.issuer_percent)


def answer(values: Sizes, question: Question, days: list[Day] | None = None) -> Ran:
    """One run, with days 0 in closed form unless others are given."""
    terms = terms_of(values, question)
    fall = question.fall or values.fall_percent
    holders = values.issuer * values.issuer_percent[1] / 100 * fall / 100
    if days is None:
        days = [day_zero_closed(terms, place) for place in range(len(terms.cash))]
    return simulate(terms, days, holders if question.law == "B" else 0.0)


def day_table(values: Sizes, falls: tuple[int, ...]) -> tuple[Table, float, dict[str, Chain]]:
    """Day 0 of each venue through the engine and in closed form; the largest difference in USD."""
    rows: list[list[Cell]] = []
    chains: dict[str, Chain] = {}
    worst = 0.0
    for fall in falls:
        terms = terms_of(values, Question(NEARLY_ALL, "B", fall=fall))
        for place in range(len(terms.cash)):
            found, chain = day_zero(terms, place)
            exact = day_zero_closed(terms, place)
            worst = max(worst, abs(found.haircuts - exact.haircuts), abs(found.hole - exact.hole))
            chains[f"venue {place + 1}, fall of {fall} %"] = chain
            rows.append([fall, f"venue {place + 1}", terms.exempt[place], found.haircuts,
                         exact.haircuts, found.hole, exact.hole])  # fmt: skip
    columns = ["fall (%)", "venue", "exempt share (%)", "winners pay, engine (m)",
               "winners pay, closed form (m)", "hole, engine (m)",
               "hole, closed form (m)"]  # fmt: skip
    title = f"Day 0 through the engine, {HOLDERS} winners a venue"
    return Table("day", title, columns, rows), worst * 1e6, chains


def run_table(
    values: Sizes, exempt: tuple[int, ...], falls: tuple[int, ...]
) -> tuple[Table, dict[Question, Ran]]:
    """Every rule, state and exempt share."""
    rows: list[list[Cell]] = []
    found: dict[Question, Ran] = {}
    for fall in falls:
        for rule in RULES:
            for law in ("A", "B"):
                for share in exempt:
                    question = Question(share, law, rule, fall=fall)
                    one = answer(values, question)
                    found[question] = one
                    halts = ", ".join(f"{name} at {hour} h" for name, hour in one.halts)
                    rows.append([fall, rule, law, share, one.first, one.total, one.amplification,
                                 halts or "none", one.out_in_a_day * 100,
                                 *one.classes.values()])  # fmt: skip
    columns = ["fall (%)", "withdrawals", "custody state", "exempt share of venue 4 (%)",
               "first loss (m)", "total loss (m)", "amplification", "who cannot pay, when",
               "left within a day (%)", "exempt users lose (m)", "other users lose (m)",
               "issuer's holders lose (m)", "owners lose (m)",
               "outside lender loses (m)"]  # fmt: skip
    return Table("run", "The run: rules of withdrawal", columns, rows), found


def calibration(values: Sizes) -> Table:
    """The pace against its anchor: a sound venue of which a third leaves within a day."""
    rows: list[list[Cell]] = []
    cash = values.cash[1]
    for rule in (FREE, LIMIT):
        terms = terms_of(values, Question(0, "B", rule))._replace(
            exempt=(0,), open_interest=(values.open_interest[1],), cash=(cash,), funds=(0,),
            missing_elsewhere=(0.0,), credit=0, liquid_percent=60,
        )  # fmt: skip
        one = simulate(terms, [Day(1e-9, 0.0)])
        rows.append([rule, BYBIT * 100, one.out_in_a_day * 100, one.total / cash * 100,
                     len(one.halts)])  # fmt: skip
    columns = ["withdrawals", "leave an hour (%)", "left within a day (%)",
               "lost by sales in haste (% of deposits)", "halted"]  # fmt: skip
    return Table("pace", "A sound venue in a run: a third in a day, as at Bybit", columns, rows)


def stopping(
    values: Sizes, exempt: int, falls: tuple[int, ...]
) -> tuple[Table, dict[int, list[str]]]:
    """Every set of measures on the worst case, and for each fall the smallest that stop it."""
    rows: list[list[Cell]] = []
    names: dict[int, list[str]] = {}
    sets = [one for size in range(len(MEASURES) + 1) for one in combinations(MEASURES, size)]
    for fall in falls:
        enough: list[tuple[str, ...]] = []
        for chosen in sets:
            question = Question(
                0 if MEASURES[0] in chosen else exempt,
                "B" if MEASURES[1] in chosen else "A",
                LIMIT if MEASURES[2] in chosen else FREE,
                MEASURES[3] not in chosen,
                fall,
            )
            one = answer(values, question)
            word = "does not stop"
            if one.amplification <= STOPPED:
                word = "stops"
                if not any(set(other) <= set(chosen) for other in enough):
                    enough.append(chosen)
                    word = "stops, and nothing less does"
            rows.append([fall, ", ".join(chosen) or "nothing", one.total, one.amplification,
                         len(one.halts), word])  # fmt: skip
        names[fall] = [" and ".join(chosen) or "nothing" for chosen in enough]
    columns = ["fall (%)", "measures", "total loss (m)", "amplification",
               "venues that cannot pay", "verdict"]  # fmt: skip
    title = f"Which measures stop the chain (venue 4 exempt {exempt} %, state A)"
    return Table("measures", title, columns, rows), names


def beyond(
    values: Sizes, exempt: int, falls: tuple[int, ...]
) -> tuple[Table, dict[int, list[float]]]:
    """Free withdrawals with redemptions at the issuer and a lender outside the ring, each alone and
    both, the lender equal with users and after them; for each fall all amplifications in state A.
    """
    rows: list[list[Cell]] = []
    found: dict[int, list[float]] = {fall: [] for fall in falls}
    for fall in falls:
        for law in ("A", "B"):
            for redeems, lender, is_last in BESIDES:
                one = answer(values, Question(exempt, law, FREE, True, fall, redeems,
                                              bool(lender), is_last))  # fmt: skip
                if law == "A":
                    found[fall].append(one.amplification)
                rows.append([fall, law, "yes" if redeems else "no", lender or "none", one.total,
                             one.amplification, len(one.halts), *one.classes.values()])  # fmt: skip
    columns = ["fall (%)", "custody state", "holders redeem", "outside lender", "total loss (m)",
               "amplification", "venues that cannot pay", "exempt users lose (m)",
               "other users lose (m)", "issuer's holders lose (m)", "owners lose (m)",
               "outside lender loses (m)"]  # fmt: skip
    title = (
        f"Beyond the ring: {values.redeem_percent:g} % redeemed in two days, and loans of "
        f"{values.loans} m to each venue (venue 4 exempt {exempt} %)"
    )
    return Table("beyond", title, columns, rows), found


def redemption_table(values: Sizes) -> Table:
    """The issuer's curve: what holders have asked for, and what venues are asked for by it."""
    rows: list[list[Cell]] = []
    hourly = redeemed_hourly(values.redeem_percent)
    lying = sum(at_venues(values))
    for hour in (0, 6, 12, 24, TWO_DAYS, HOURS):
        gone = 1 - (1 - hourly) ** hour
        rows.append([hour, gone * 100, gone * values.issuer, gone * lying])
    columns = ["hour", "redeemed (%)", "paid out to holders (m)", "of it asked of venues (m)"]
    return Table("redemptions", "The issuer's redemption curve", columns, rows)


def run_figure(found: dict[Question, Ran], fall: int) -> Figure:
    """Amplification by exempt share, for each rule in state A."""
    lines: list[Series] = []
    for rule in RULES:
        points = [(q.exempt, one.amplification) for q, one in found.items()
                  if q.rule == rule and q.law == "A" and q.fall == fall]  # fmt: skip
        lines.append(Series(rule, [float(x) for x, _ in points], [y for _, y in points]))
    return Figure(name="run", title=f"The run, custodian may refuse, fall of {fall} %",
                  x="exempt share of venue 4 (%)", y="total loss / first loss",
                  series=lines)  # fmt: skip
