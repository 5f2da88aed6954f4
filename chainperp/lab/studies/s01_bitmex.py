"""S1: a venue with periodic checks, a vault that absorbs positions, a fund, and a published report.

Before the move the venue publishes a safety-net report from its state: open risk, fund, and for
each gap g the shortfall sum over losers of max(0, gap loss - margin), hence the payout ratio that a
winner may count on. Then the price falls by g within a minute, looked at every tau seconds, through
the real engine: liquidated positions go to the vault, its profit to the fund; deficits are paid by
the fund, then by winners. The report also says at which intervals the venue looked, by the times of
its own blocks, before the move and in it: overload stretches them. Then the same with what the
report cannot see: positions opened after it, a list that is not published; and under P2, whose
price rule lets winners pay before the fund. Source: adl-and-scenarios 9, S1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.scenario import Move, PartPercent, Strict
from chainperp.lab.studies.overload import (
    MINUTE,
    MINUTE_MS,
    Achieved,
    Question,
    achieved,
    check_times,
)
from chainperp.lab.studies.safety_report import ENTRY, Report
from chainperp.lab.venue import USD, Venue
from chainperp.model.actions import TimeInForce

TITLE: Final = "Periodic checks, a fund, and a report that can be relied on or not"
P2: Final = 200
P6: Final = 600
"""The fund pays first, then all winners in proportion: the order that BitMEX documents. In our
engine P2 closes at the bankruptcy price, where nothing is missing that the fund could pay."""
QUIET: Final = 2
"""Checks before the report: their intervals are what it can say of them."""
Seconds = Annotated[int, Field(ge=1, le=60)]


class Values(Strict):
    """Seconds, percent, and the fund as a share of open interest in percent."""

    check_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (1, 5, 15, 60)
    overload_percent: tuple[Annotated[int, Field(ge=1, le=2000)], ...] = (100, 300, 900)
    """Orders per second at the end of the fall, as percent of what the venue can take."""
    gaps_percent: Annotated[tuple[Move, ...], Field(min_length=1)] = (2, 5, 10, 20, 50)
    funds_percent: Annotated[tuple[PartPercent, ...], Field(min_length=1)] = (
        0.1,
        0.5,
        1.0,
        5.0,
        25.0,
    )
    traders: Annotated[int, Field(ge=4, le=1000)] = 60
    leverage_low: Annotated[int, Field(ge=1, le=50)] = 2
    leverage_high: Annotated[int, Field(ge=1, le=50)] = 50
    book_percent: Annotated[int, Field(ge=0, le=100)] = 20


@dataclass(frozen=True, slots=True)
class World:
    """Longs by name: lots and margin; the shorts hold the same lots in equal parts."""

    longs: dict[str, tuple[int, int]]

    @property
    def lots(self) -> int:
        """Open interest in lots."""
        return sum(lots for lots, _ in self.longs.values())


def world_of(values: Values, seed: int) -> World:
    """Longs with drawn sizes and leverages."""
    draws = Draws(seed, "S1")
    longs: dict[str, tuple[int, int]] = {}
    for place in range(values.traders):
        lots = int(draws.log_even(100, 20_000))
        leverage = draws.whole(values.leverage_low, values.leverage_high)
        longs[f"long{place}"] = (lots, -(-lots * USD // leverage))
    return World(longs)


def report_of(venue: Venue, world: World, tau: int = 1) -> Report:
    """The report from the state: margins are account values; the vault's capital is no promise.
    Looks at the unmoved price a few times before, so that there are intervals to report."""
    times = [venue.engine.state.time_ms]
    for _ in range(QUIET):
        venue.mark(ENTRY, tau * 1000)
        times.append(venue.engine.state.time_ms)
    losers = tuple((venue.lots(name), venue.value(name)) for name in world.longs)
    return Report(sum(lots for lots, _ in losers), venue.insurance, losers, achieved(times))


@dataclass(slots=True)
class Run:
    """What happened in one move."""

    report: Report
    checked: Achieved
    """Seconds between the checks of the move."""
    realised: Fraction
    winners_lost: int
    adl_rounds: int
    absorbed: int
    vault_result: int
    seized: int
    fund_end: int
    insurance_end: int
    evidence: Chain


def move(values: Values, world: World, question: Question) -> Run:
    """The fall of a minute through the engine, looked at as often as the venue can."""
    fund = int(world.lots * USD * question.fund / 100)
    trick = question.trick
    venue, shorts = _opened(values, world, fund, trick)
    report = report_of(venue, world, question.tau)
    vault = venue.value("vault")
    counted = list(shorts)
    if trick == "opened after":
        _open_more(venue, world)
    if trick == "secret list":
        venue.exempt(counted[: len(counted) // 2])
        counted = counted[len(counted) // 2 :]
    rounds, absorbed, seized, lost = 0, 0, 0, 0
    times = [venue.engine.state.time_ms]
    for price, after_ms in _falling(question):
        now = venue.engine.state.markets[0].mark
        held = {n: venue.value(n) + venue.lots(n) * (price - now) for n in world.longs}
        due = {name: venue.value(name) + venue.lots(name) * (price - now) for name in counted}
        told = venue.mark(price, after_ms)
        times.append(venue.engine.state.time_ms)
        # Paid in rounds at the marks of the rounds; what a closed position misses later is no loss.
        lost += sum(max(0, due[name] - venue.value(name)) for name in counted)
        rounds += len(told.rounds)
        absorbed += sum(told.taken.values())
        seized += sum(max(0, held[name]) for name in told.taken)
    last = venue.engine.state.markets[0].mark
    marked = sum(-shorts[name] * (ENTRY - last) for name in counted)
    end = venue.value("vault") + venue.insurance
    return Run(
        report,
        achieved(times),
        1 - Fraction(lost, marked),
        lost,
        rounds,
        absorbed,
        venue.value("vault") - vault,
        seized,
        end,
        venue.insurance,
        venue.evidence(),
    )


def _falling(question: Question) -> Iterator[tuple[int, int]]:
    """Price at each check, and milliseconds since the one before."""
    before = 0
    for at in check_times(question.tau, question.peak):
        fallen = ENTRY * question.gap * min(at, MINUTE_MS) // (100 * MINUTE_MS)
        yield _on_grid(ENTRY - fallen), at - before
        before = at


def _opened(
    values: Values, world: World, fund: int, trick: str = ""
) -> tuple[Venue, dict[str, int]]:
    venue = Venue(
        policy_id=P2 if trick == "P2" else P6,
        leverage=50,
        vault=max(1, fund // 2),
        insurance=max(1, fund),
        liquidation_insurance_bps=10_000,
    )
    venue.mark(ENTRY)
    total = world.lots
    venue.join({"book": 4 * total * USD})
    venue.join({name: margin for name, (_, margin) in world.longs.items()})
    count = max(2, values.traders // 3)
    shorts = {f"short{place}": -(total // count) for place in range(count)}
    shorts["short0"] -= total - total // count * count
    venue.join({name: 2 * -lots * USD for name, lots in shorts.items()})
    venue.trade("book", {name: lots for name, (lots, _) in world.longs.items()}, ENTRY)
    venue.trade("book", shorts, ENTRY)
    bid = total * values.book_percent // 100
    if bid:
        # Visible bids two percent below, for part of what may be liquidated.
        venue.block([venue.order("book", bid, ENTRY * 98 // 100, TimeInForce.GTC)])
    return venue, shorts


def _open_more(venue: Venue, world: World) -> None:
    """Thin positions opened after the report, as large as all others together."""
    lots = world.lots
    venue.join({"late": lots * USD // 50 + lots, "other": 4 * lots * USD})
    venue.trade("other", {"late": lots}, ENTRY)


def _on_grid(price: int) -> int:
    """A price with at most five figures."""
    step = 10 if price >= 100_000 else 1
    step = 100 if price >= 1_000_000 else step
    return price // step * step


def run(values: Values, seed: int) -> Outcome:
    """The grid, the report's curve, and the two tricks."""
    world = world_of(values, seed)
    rows: list[list[Cell]] = []
    broken: list[str] = []
    negative, taken_over = 0, 0
    emptied: dict[float, int] = {}
    outcome = Outcome()
    for fund in values.funds_percent:
        for gap in values.gaps_percent:
            for tau in values.check_seconds:
                one = move(values, world, Question(tau, gap, fund))
                promised = one.report.payout(Fraction(gap, 100))
                kept = one.realised >= promised - Fraction(1, 10**6)
                if not kept:
                    broken.append(f"fund {fund:g} %, gap {gap} %, check {tau} s")
                negative += one.absorbed > 0 and one.vault_result < 0
                taken_over += one.absorbed > 0
                if one.insurance_end <= 0:
                    emptied[fund] = min(gap, emptied.get(fund, gap))
                rows.append(
                    [fund, gap, tau, one.report.shortfall(Fraction(gap, 100)) / USD,
                     float(promised) * 100, float(one.realised) * 100, one.adl_rounds,
                     one.absorbed, one.seized / USD, one.vault_result / USD, one.fund_end / USD,
                     "kept" if kept else "broken"]
                )  # fmt: skip
                outcome.chains[f"fund {fund:g} gap {gap} check {tau}"] = one.evidence
    columns = ["fund / open interest (%)", "gap (%)", "check interval (s)",
               "reported shortfall (USD)", "reported payout (%)", "realised payout (%)",
               "ADL rounds", "lots absorbed by the vault", "value seized (USD)",
               "vault's result (USD)", "fund and vault at the end (USD)", "promise"]  # fmt: skip
    outcome.tables = [Table("runs", "Report and reality", columns, rows), _curve(world, values)]
    tricked, tricks = _tricks(values, world)
    loaded, late = _overloads(values, world, outcome)
    outcome.tables += [tricked, loaded]
    outcome.figures = [_figure(world, values)]
    outcome.assumed = {
        "U12": "BitMEX's check interval is not public: a grid of 1, 5, 15 and 60 seconds, "
        "and under overload an interval times 1 + orders per second / capacity, orders rising "
        "with the fall",
        "U-ADL-5": "a policy that takes money closes at the mark; P2 at the bankruptcy price",
    }
    outcome.notes = [
        "Intervals are differences of block times: anybody who has the log can check the report's. "
        "What is reported before a move says nothing of the intervals in it.",
        "Under P2 the fund is not used: at the bankruptcy price nothing is missing, so winners pay "
        "first. BitMEX documents the other order; the table of tricks has both.",
        "The report takes the whole move as one gap and no help from the book: checks in between "
        "only reduce what losers owe, unless the fund itself loses by absorbing positions.",
        "An account below maintenance is offered to the vault; what the vault cannot afford waits "
        "until its account value is negative.",
    ]
    rows += loaded.rows
    outcome.verdicts = _verdicts(len(rows), broken + late, tricks, (taken_over, negative), emptied)
    return outcome


def _curve(world: World, values: Values) -> Table:
    """Survivable gap of each fund."""
    rows: list[list[Cell]] = []
    for fund in values.funds_percent:
        venue, _ = _opened(values, world, int(world.lots * USD * fund / 100))
        report = report_of(venue, world)
        ratios = [float(report.payout(Fraction(gap, 100))) * 100 for gap in values.gaps_percent]
        rows.append([fund, report.fund / USD, float(report.survivable()) * 100, *ratios])
    columns = ["fund / open interest (%)", "fund (USD)", "survivable gap (%)",
               *(f"payout at {gap} % (%)" for gap in values.gaps_percent)]  # fmt: skip
    return Table("report", "The published report", columns, rows)


def _tricks(values: Values, world: World) -> tuple[Table, dict[str, bool]]:
    """What the report cannot see, at each gap with the smallest fund."""
    rows: list[list[Cell]] = []
    breaks: dict[str, bool] = {}
    for trick in ("opened after", "secret list", "P2"):
        fund = max(values.funds_percent) if trick == "P2" else min(values.funds_percent)
        for gap in values.gaps_percent:
            one = move(values, world, Question(MINUTE, gap, fund, trick))
            promised = one.report.payout(Fraction(gap, 100))
            is_broken = one.realised < promised - Fraction(1, 10**6)
            breaks[trick] = breaks.get(trick, False) or is_broken
            rows.append([trick, gap, float(promised) * 100, float(one.realised) * 100,
                         "broken" if is_broken else "kept"])  # fmt: skip
    columns = ["what the report does not see", "gap (%)", "reported payout (%)",
               "payout of those not exempt (%)", "promise"]  # fmt: skip
    return Table("tricks", "Where the report misleads", columns, rows), breaks


def _overloads(values: Values, world: World, outcome: Outcome) -> tuple[Table, list[str]]:
    """The same falls when the venue looks less often the more is ordered, with the smallest fund;
    and runs in which the report's promise was broken."""
    rows: list[list[Cell]] = []
    broken: list[str] = []
    fund = min(values.funds_percent)
    for tau in values.check_seconds:
        for peak in (0, *values.overload_percent):
            for gap in values.gaps_percent:
                one = move(values, world, Question(tau, gap, fund, peak=peak))
                promised = one.report.payout(Fraction(gap, 100))
                kept = one.realised >= promised - Fraction(1, 10**6)
                if not kept:
                    broken.append(f"overload {peak} %, gap {gap} %, check {tau} s")
                if peak:
                    name = f"overload {peak} gap {gap} check {tau}"
                    outcome.chains[name] = one.evidence
                rows.append(
                    [tau, peak, gap, one.report.checked.middle, *one.checked,
                     float(promised) * 100, float(one.realised) * 100, one.winners_lost / USD,
                     one.adl_rounds, "kept" if kept else "broken"]
                )  # fmt: skip
    columns = ["check interval meant (s)", "orders / capacity at the end of the fall (%)",
               "gap (%)", "interval reported before (s, median)", "achieved: least (s)",
               "achieved: median (s)", "achieved: most (s)", "reported payout (%)",
               "realised payout (%)", "winners paid (USD)", "ADL rounds", "promise"]  # fmt: skip
    title = f"Overload: checks come late, fund of {fund:g} %"
    return Table("overload", title, columns, rows), broken


def _figure(world: World, values: Values) -> Figure:
    gaps = [step / 2 for step in range(1, 101)]
    lines: list[Series] = []
    for fund in values.funds_percent:
        venue, _ = _opened(values, world, int(world.lots * USD * fund / 100))
        report = report_of(venue, world)
        ratios = [float(report.payout(Fraction(int(gap * 2), 200))) * 100 for gap in gaps]
        lines.append(Series(f"fund {fund:g} %", gaps, ratios))
    return Figure(
        name="payout",
        title="Payout that the report promises, by gap",
        x="gap (%)",
        y="payout (% of marked gains)",
        series=lines,
    )


def _verdicts(
    runs: int,
    broken: list[str],
    tricks: dict[str, bool],
    vault: tuple[int, int],
    emptied: dict[float, int],
) -> list[Verdict]:
    taken_over, negative = vault
    promise = (
        f"the realised payout was at least the reported one in {runs - len(broken)} of {runs} runs"
        + (f"; not in: {'; '.join(broken[:3])}" if broken else "")
        + f"; with positions opened after the report the promise is "
        f"{'broken' if tricks.get('opened after') else 'kept'}, with an unpublished list "
        f"{'broken' if tricks.get('secret list') else 'kept'}"
    )
    funds = ", ".join(f"{fund:g} % at {gap} %" for fund, gap in sorted(emptied.items())) or "none"
    return [
        verdict("C1", taken_over > 0, f"in {taken_over} of {runs} runs accounts below maintenance "
                "were taken over at a check: zeroed, their positions the vault's",
                "an engine that sells before it seizes"),
        verdict("C2", negative > 0, f"in {negative} of {taken_over} runs with takeovers the vault "
                "ended below where it began: working off cost more than was seized",
                "a book deep enough to sell into at once"),
        verdict("C4", not broken or None, promise,
                "a report per block, and an empty or public list", boundary=any(tricks.values())),
        verdict("C5", bool(emptied), f"funds (as % of open interest) emptied, and by which gap: "
                f"{funds}", "a fund as large as all open interest"),
        verdict("C19", tricks.get("secret list", False), "the unpublished list breaks the report's "
                "promise to those who are not on it", "publishing the list in the report"),
    ]  # fmt: skip
