"""A shock through the real engine, once under each policy: who pays, how much, how unevenly.

The same people open the same positions on a fresh chain for each policy; then the marks move. What
a winner pays is the difference between his account value and what it would be had nobody been
deleveraged, on the same prices: that counterfactual, and its horizon, stand in the column's name.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from chainperp.lab.cases import NOBODY, PERIOD, Case, find_case
from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.metrics import (
    PPB,
    Round,
    gini,
    herfindahl,
    largest_share_ppb,
    leverage_imbalance,
    pmr,
    ptsr,
    rd_nse,
    severity,
    severity_load,
    top_share,
)
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table
from chainperp.lab.scenario import ShockFile, Traders, micro
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.rules.adl import policy as adl
from chainperp.rules.adl.choose import allocate, policy_named
from chainperp.rules.adl.policy import Candidate, ExemptMode

MAKER: Final = "maker"
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Crowd:
    """People before the shock: lots (above zero long), deposit in micro-USD, and the price."""

    lots: dict[str, int]
    deposits: dict[str, int]
    entry: int


@dataclass(slots=True)
class Bill:
    """What a shock cost under one policy; money in micro-USD by name where it is by name."""

    case: Case
    deficit: int = 0
    """Negative equity of the losers at the marks that bankrupted them, before anybody paid."""
    owing: dict[str, int] = field(default_factory=dict)
    """Of it, by loser: who stays below zero is counted once."""
    uncovered: int = 0
    """Of it, what neither fund nor winners paid."""
    fund: int = 0
    recovered: int = 0
    """Deficits that a rebound of the price made good, where positions stay."""
    others: int = 0
    """Paid by those who did not win, where a settlement reaches them."""
    at_round: dict[str, int] = field(default_factory=dict)
    """Lost by each winner in the rounds themselves, at their marks."""
    at_end: dict[str, int] = field(default_factory=dict)
    """Less than without auto-deleveraging at the end of the path (never below zero)."""
    equity: dict[str, int] = field(default_factory=dict)
    """Of each winner at the worst mark, had nobody been deleveraged."""
    gains: dict[str, int] = field(default_factory=dict)
    """Of each winner at that mark."""
    marked: int = 0
    """Gains of the winning side at the mark of the first bankruptcy."""
    imbalance: float | None = None
    """Lambda at that mark: winners' leverages over those of the bankrupt."""
    kept: int = 0
    """What bankrupt accounts own after their rounds: it was taken from winners too much."""
    rounds: int = 0
    evidence: Chain | None = None


def grid(text: str) -> int:
    """A price on the market's grid."""
    return int(Decimal(text) * DOLLAR)


def crowd_of(scenario: ShockFile) -> Crowd:
    """The traders of a scenario; shorts are scaled so that both sides hold as many lots."""
    entry = grid(scenario.market[0].oracle[0][1])
    draws = Draws(scenario.seed, "traders")
    sides: dict[str, dict[str, int]] = {"long": {}, "short": {}}
    leverages: dict[str, int] = {}
    for number, group in enumerate(scenario.traders):
        for name, count, leverage in _members(group, number, entry, draws):
            sides[group.direction][name] = count
            leverages[name] = leverage
    shorts = scaled(sides["short"], sum(sides["long"].values()))
    lots = {**sides["long"], **{name: -count for name, count in shorts.items()}}
    deposits = {
        name: -(-abs(count) * entry // leverages[name]) for name, count in lots.items() if count
    }
    return Crowd({name: lots[name] for name in deposits}, deposits, entry)


def _members(
    group: Traders, number: int, entry: int, draws: Draws
) -> Iterable[tuple[str, int, int]]:
    low, high = micro(group.notional.low), micro(group.notional.high)
    for place in range(group.count):
        notional = int(draws.log_even(low, high)) if high > low else low
        leverage = draws.whole(group.leverage.low, group.leverage.high)
        yield f"{group.direction}{number}-{place}", max(1, notional // entry), leverage


def scaled(lots: dict[str, int], total: int) -> dict[str, int]:
    """Lots in the same proportion with another sum; the first names get what is left over.

    >>> scaled({"a": 1, "b": 2}, 10)
    {'a': 4, 'b': 6}
    """
    old = sum(lots.values())
    shares = {name: count * total // old for name, count in lots.items()}
    left = total - sum(shares.values())
    for name in list(shares)[:left]:
        shares[name] += 1
    return shares


def opened(crowd: Crowd, venue: Venue) -> None:
    """Everybody's positions, opened through the book against one maker who ends flat."""
    venue.mark(crowd.entry)
    total = sum(count for count in crowd.lots.values() if count > 0)
    venue.join({MAKER: 3 * total * crowd.entry})
    venue.join(crowd.deposits)
    for sign in (1, -1):
        venue.trade(MAKER, {n: c for n, c in crowd.lots.items() if c * sign > 0}, crowd.entry)


def bill(scenario: ShockFile, case: Case) -> Bill:
    """The shock under one policy."""
    crowd = crowd_of(scenario)
    venue = Venue(
        policy_id=case.policy_id,
        exempt_mode=ExemptMode.LAST_RESORT if case.is_last else ExemptMode.HARD,
        leverage=scenario.market[0].max_leverage,
        insurance=micro(scenario.insurance),
    )
    opened(crowd, venue)
    found = Bill(case)
    path = [grid(text) for _, text in scenario.market[0].oracle]
    falls = path[-1] < crowd.entry
    winners = [name for name, count in crowd.lots.items() if (count < 0) is falls]
    venue.exempt(_largest(crowd, winners, scenario.exempt_top))
    before = venue.insurance
    for price in path[1:]:
        _one_mark(venue, crowd, winners, price, found)
    last = path[-1]
    for name in winners:
        alone = crowd.deposits[name] + crowd.lots[name] * (last - crowd.entry)
        found.at_end[name] = max(0, alone - venue.value(name))
    found.fund = before - max(0, venue.insurance)
    found.uncovered += sum(
        max(0, -venue.value(name)) for name in crowd.lots if name not in found.at_end
    )
    if case.settlement:
        _settle(venue, crowd, winners, found)
    if case.policy_id == policy_named(NOBODY).policy_id:
        # Nobody was closed: what a rebound brought back was not needed of anybody.
        found.recovered = needed(found) - sum(found.at_round.values())
    found.evidence = venue.evidence()
    return found


def _settle(venue: Venue, crowd: Crowd, winners: list[str], found: Bill) -> None:
    """What is missing at the end is taken from balances or from profits; positions stay."""
    values = {name: venue.value(name) for name in crowd.lots}
    missing = max(0, -sum(min(0, value) for value in values.values()) - max(0, venue.insurance))
    able = {name: value for name, value in values.items() if value > 0}
    if found.case.settlement == PERIOD:
        rows = [
            Candidate(
                name.encode(),
                1,
                entry_notional=0,
                notional=0,
                account_value=value,
                pnl=value - crowd.deposits[name],
            )
            for name, value in able.items()
        ]
        answer = allocate(policy_named("clawback"), adl.Round(seed=bytes(32), budget=missing), rows)
        paid = dict(zip(able, answer.takes, strict=True))
    else:
        total = max(1, sum(able.values()))
        paid = {name: min(value, missing * value // total) for name, value in able.items()}
    found.at_round = {name: paid.get(name, 0) for name in winners}
    found.at_end = dict(found.at_round)
    found.equity = {name: max(1, values[name]) for name in winners}
    found.uncovered = missing - sum(paid.values())
    found.others = sum(paid.values()) - sum(found.at_round.values())
    found.fund = min(max(0, venue.insurance), found.deficit)


def _one_mark(venue: Venue, crowd: Crowd, winners: list[str], price: int, found: Bill) -> None:
    """Move the mark; measure what the rounds of that block, if any, took from the winners."""
    names = list(crowd.lots)
    held = {name: venue.lots(name) for name in names}
    mark = venue.engine.state.markets[0].mark
    values = {name: venue.value(name) + held[name] * (price - mark) for name in names}
    told = venue.mark(price)
    found.rounds += len(told.rounds)
    found.uncovered += told.owed
    losers = [name for name in names if values[name] < 0 and held[name]]
    if not losers:
        return
    if not found.deficit:
        found.gains = {name: crowd.lots[name] * (price - crowd.entry) for name in winners}
        found.marked = sum(found.gains.values())
        found.equity = {name: values[name] for name in winners}
        sides = [[(abs(held[n]) * price, values[n]) for n in side] for side in (winners, losers)]
        found.imbalance = leverage_imbalance(*sides)
    if told.rounds:
        for name in losers:
            more = max(0, -values[name] - found.owing.get(name, 0))
            found.owing[name] = found.owing.get(name, 0) + more
            found.deficit += more
        found.kept += sum(venue.value(name) for name in losers)
        for name in winners:
            paid = values[name] - venue.value(name)
            found.at_round[name] = found.at_round.get(name, 0) + paid


def _largest(crowd: Crowd, names: list[str], count: int) -> list[str]:
    """The largest positions; ties by name."""
    return sorted(names, key=lambda name: (-abs(crowd.lots[name]), name))[:count]


def dollars(micro_usd: int) -> float:
    """Dollars of micro-USD, for tables."""
    return micro_usd / USD


COLUMNS: Final[dict[str, tuple[str, Callable[[Bill], Cell]]]] = {
    "deficit": ("deficit (USD)", lambda one: dollars(one.deficit)),
    "fund": ("fund paid (USD)", lambda one: dollars(one.fund)),
    "shortfall": ("uncovered (USD)", lambda one: dollars(one.uncovered)),
    "paid": ("winners paid at the round (USD)", lambda one: dollars(sum(one.at_round.values()))),
    "overshoot": (
        "overshoot at the round (USD)",
        lambda one: dollars(sum(one.at_round.values()) - needed(one)),
    ),
    "second_round_losses": (
        "second round: less at the path's end (USD)",
        lambda one: dollars(sum(one.at_end.values()) - sum(one.at_round.values())),
    ),
    "accounts_hit": ("accounts hit", lambda one: sum(1 for x in one.at_round.values() if x > 0)),
    "haircut_concentration": ("Gini of payments", lambda one: float(gini(_payments(one)))),
    "top10": ("share of the top 10", lambda one: float(top_share(_payments(one), 10))),
    "largest": (
        "largest payment / equity (%)",
        lambda one: largest_share_ppb(_payments(one), _equities(one)) / PPB * 100,
    ),
    "hhi": ("HHI of payments", lambda one: float(herfindahl(_payments(one)))),
    "severity": ("severity (paid / deficit)", lambda one: severity(round_of(one))),
    "severity_load": (
        "severity load (kappa)",
        lambda one: severity_load(sum(_payments(one)), list(one.gains.values())),
    ),
    "leverage_imbalance": ("leverage imbalance (Lambda)", lambda one: one.imbalance),
    "ptsr": ("PTSR", lambda one: ptsr(round_of(one))),
    "pmr": ("PMR", lambda one: pmr(round_of(one))),
    "rd_nse": ("RD-NSE", lambda one: rd_nse(round_of(one))),
}  # fmt: skip
ALWAYS: Final = ("deficit", "fund", "paid")


def needed(one: Bill) -> int:
    """What winners had to pay: the deficit less what the fund paid and what stayed uncovered."""
    return one.deficit - one.fund - one.uncovered - one.others - one.recovered


def round_of(one: Bill) -> Round:
    """The shock as the metrics of the study see it: endowments are the winners' gains."""
    left = [gain - one.at_round.get(name, 0) for name, gain in one.gains.items()]
    return Round(
        deficit=float(one.deficit),
        largest_loss=float(max(one.owing.values(), default=0)),
        removed=float(sum(one.at_round.values())),
        needed=float(needed(one)),
        survivor=float(max([0, *left])),
    )


def _payments(one: Bill) -> list[int]:
    return [max(0, amount) for amount in one.at_round.values()]


def _equities(one: Bill) -> list[int]:
    return [one.equity[name] for name in one.at_round]


def bills(
    scenario: ShockFile, pool: Executor | None = None, step: Step | None = None
) -> list[Bill]:
    """The shock under each policy of the scenario, in its order."""
    cases = [find_case("policies", name) for name in scenario.policies]
    run: Iterable[Bill]
    if pool is None:
        run = (bill(scenario, case) for case in cases)
    else:
        run = pool.map(bill, [scenario] * len(cases), cases)
    found: list[Bill] = []
    for one in run:
        found.append(one)
        if step is not None:
            step(one.case.label)
    return found


def table_of(found: list[Bill], measures: list[str]) -> Table:
    """One row per policy."""
    names = [*ALWAYS, *measures]
    if "haircut_concentration" in measures:
        names += ["top10", "largest"]
    rows: list[list[Cell]] = [
        [one.case.label, *(COLUMNS[name][1](one) for name in names)] for one in found
    ]
    return Table(
        "policies", "One shock under each policy", ["policy", *(COLUMNS[n][0] for n in names)], rows
    )


def lorenz(one: Bill) -> Series:
    """Share of payments of the poorest payers, zeros included."""
    amounts = sorted(_payments(one))
    total, running = sum(amounts), 0
    xs, ys = [0.0], [0.0]
    for place, amount in enumerate(amounts, start=1):
        running += amount
        xs.append(place / len(amounts))
        ys.append(running / total if total else 0.0)
    return Series(one.case.label, xs, ys)


def waterfall(found: list[Bill]) -> Figure:
    """Who bore the deficit under each policy: fund, winners as far as needed, others, nobody."""
    parts: dict[str, Callable[[Bill], int]] = {
        "fund": lambda one: one.fund,
        "winners, needed": lambda one: min(needed(one), sum(one.at_round.values())),
        "winners, beyond need": lambda one: max(0, sum(one.at_round.values()) - needed(one)),
        "others": lambda one: one.others,
        "uncovered": lambda one: one.uncovered,
    }
    places = [float(place) for place in range(len(found))]
    return Figure(
        name="waterfall",
        title="Where the deficit went",
        x="policy",
        y="USD",
        series=[Series(name, places, [dollars(of(one)) for one in found])
                for name, of in parts.items()],
        kind="stacked",
        ticks=[one.case.label.split()[0] for one in found],
    )  # fmt: skip


def outcome_of(
    scenario: ShockFile, pool: Executor | None = None, step: Step | None = None
) -> Outcome:
    """The whole experiment."""
    found = bills(scenario, pool, step)
    paying = [one for one in found if any(_payments(one))]
    return Outcome(
        tables=[table_of(found, scenario.measure.report)],
        figures=[
            Figure(
                name="lorenz",
                title="Who pays: cumulative share of payments",
                x="share of winning accounts, smallest payments first",
                y="share of payments",
                series=[lorenz(one) for one in paying],
            ),
            waterfall(found),
        ],
        assumed={
            "U-ADL-1": "the queue ranks by leverage times profit ratio",
            "U11": "P16 takes the same part of every positive balance, at the end of the path",
            "U-ADL-5": "the previous mark is the one in force before the latest mark update",
        },
        notes=[
            "A price that comes from the previous mark is as good as that mark is near: when one "
            "update jumps over the bankruptcy prices, winners pay back the whole jump and the "
            "bankrupt accounts keep their margin. The overshoot column shows it.",
            "Payments are counted on the realised marks of this path; on another path they differ.",
        ],
        chains={one.case.label.split()[0]: one.evidence for one in found if one.evidence},
    )
