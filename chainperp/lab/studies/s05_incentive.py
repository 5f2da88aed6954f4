"""S5: what a liquidation vault earns, and who would like it to liquidate earlier.

The engine runs the same falls, wicks and gaps with other thresholds for the backstop (a share b of
maintenance), checked against the mark or against the last price: the vault takes positions over
with what is left of their margin and works them off into a book. The margin goes to the vault's
depositors or, by the rule that routes it, to the assistance fund, which buys the token in the spot
book by the engine's schedule and burns it. An operator's utility is what its tokens gain in that
book. Source: adl-and-scenarios 9, S5; U6.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.token_venue import TokenVenue
from chainperp.lab.venue import DOLLAR, USD
from chainperp.model.actions import TimeInForce

TITLE: Final = "What a liquidation vault earns, and who would like more of it"
ENTRY: Final = 100 * DOLLAR
REFERENCE_PERCENT: Final = 40_986_825 / 5_511_042_925 * 100
"""Two liquidator vaults' gain over notional liquidated, 10 October 2025 (adl-and-scenarios S5)."""
DOCUMENTED: Final = 67
"""Two thirds of maintenance."""
CHECKS: Final = ("mark", "last price")
ROUTINGS: Final = {"(1, 0, 0)": 0, "(0, 1, 0)": 10_000}
"""Depositors, purchases, insurance; and basis points of seized margin to the assistance fund."""
TOKEN: Final = 40.0
SPENT_MS: Final = 1_000
"""The fund may buy each second here: its schedule is not what is studied."""


class Values(Strict):
    """Percent of maintenance, percent a step, seconds, and runs."""

    thresholds_percent: Annotated[tuple[Percent, ...], Field(min_length=2)] = (30, 45, 67, 80, 100)
    traders: Annotated[int, Field(ge=5, le=500)] = 40
    steps: Annotated[int, Field(ge=5, le=400)] = 60
    step_percent: Annotated[float, Field(gt=0, le=5)] = 0.35
    drift_percent: float = -0.15
    fall_percent: Annotated[int, Field(ge=1, le=100)] = 60
    """Of the steps; in the rest the price comes back."""
    rebounds_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 50, 100)
    """Of the fall, won back; the middle one in all tables but the last."""
    gap_percent: Annotated[float, Field(ge=0, le=20)] = 2.5
    gap_chance_percent: Annotated[float, Field(ge=0, le=100)] = 2.0
    wick_percent: Annotated[float, Field(ge=0, le=20)] = 1.0
    wick_chance_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    paths: Annotated[int, Field(ge=1, le=200)] = 8
    book_percent: Annotated[int, Field(ge=0, le=100)] = 5
    half_lives_seconds: Annotated[tuple[int, ...], Field(min_length=1)] = (10, 600, 3600)
    pool_usd: Annotated[int, Field(ge=1000, le=10**8)] = 20_000
    supply_pools: Annotated[int, Field(ge=1, le=1000)] = 10
    holdings_percent: Annotated[int, Field(ge=0, le=100)] = 30


class World(NamedTuple):
    """One path before anybody decides: longs with margins, marks, last prices, and the longs whose
    equity falls below zero at some mark: those must be closed by anybody's rule."""

    longs: dict[str, int]
    margins: dict[str, int]
    prices: dict[str, list[int]]
    needed: frozenset[str]


class Terms(NamedTuple):
    """How the venue liquidates: share of maintenance, checked price, routing, unwinding."""

    threshold: int
    check: str = "mark"
    fund_bps: int = 0
    half_life: int = 10


@dataclass(slots=True)
class Sum:
    """Over all paths of a cell, in micro-USD."""

    vault: int = 0
    seized: int = 0
    deficits: int = 0
    rounds: int = 0
    accounts: int = 0
    excess: int = 0
    notional: int = 0
    bought: int = 0
    price: float = 0.0
    """Sum of the token's price over its first one, at the end of each path."""
    line: list[float] = field(default_factory=list)
    chain: Chain | None = None

    @property
    def profit(self) -> int:
        """Of vault and fund together."""
        return self.vault + self.bought

    @property
    def cost(self) -> int:
        """What traders lost by being taken over, and deficits."""
        return self.seized + self.deficits


def world_of(values: Values, number: int, seed: int, rebound: int) -> World:
    """A path's people and prices: marks walk, drift and gap, and win back a share of the fall; last
    prices have wicks besides."""
    draws = Draws(seed, f"S5/{number}")
    longs = {f"long{k}": draws.whole(100, 20_000) for k in range(values.traders)}
    margins = {n: -(-lots * USD // draws.whole(10, 40)) for n, lots in longs.items()}
    prices: dict[str, list[int]] = {check: [] for check in CHECKS}
    price, drift = float(ENTRY), values.drift_percent
    falling = values.steps * values.fall_percent // 100
    for step in range(values.steps):
        if step == falling:
            won = 1 + (ENTRY - price) / price * rebound / 100
            drift = (won ** (1 / (values.steps - falling)) - 1) * 100
        moved = drift + values.step_percent * 3.46 * (draws.unit() - 0.5)
        has_gap = draws.unit() * 100 < values.gap_chance_percent
        moved -= values.gap_percent if has_gap and step < falling else 0
        price *= 1 + moved / 100
        wick = draws.unit() * values.wick_percent
        wick = wick if draws.unit() * 100 < values.wick_chance_percent else 0.0
        prices["mark"].append(int(price) // 100 * 100)
        prices["last price"].append(int(price * (1 - wick / 100)) // 100 * 100)
    fall = ENTRY - min(prices["mark"])
    needed = frozenset(name for name, lots in longs.items() if lots * fall > margins[name])
    return World(longs, margins, prices, needed)


def venue_of(values: Values, world: World, terms: Terms) -> TokenVenue:
    """The venue with everybody's positions, and the pool's offers of the token."""
    tokens = int(values.pool_usd / TOKEN)
    venue = TokenVenue(
        values.pool_usd, 1, tokens, policy_id=600, leverage=40, vault=10**7 * USD,
        backstop_numerator=terms.threshold, backstop_denominator=100,
        unwind_half_life_ms=terms.half_life * 1000, unwind_interval_ms=1000,
        liquidation_fund_bps=terms.fund_bps, buyback_interval_ms=SPENT_MS,
        buyback_depth_bps=10_000, buyback_balance_min=USD, buyback_value_min=USD,
    )  # fmt: skip
    if terms.fund_bps:
        venue.offer(TOKEN, values.pool_usd, 1.5, 0.002)
        # One trade, so that the pair has a last price.
        venue.to_spot("first buyer", 1000)
        venue.buy("first buyer", 1)
    venue.mark(ENTRY)
    venue.join({"book": 10 * sum(world.longs.values()) * USD})
    venue.join(world.margins)
    venue.trade("book", world.longs, ENTRY)
    return venue


def one_path(values: Values, world: World, terms: Terms, into: Sum) -> None:
    """One path through the engine."""
    venue = venue_of(values, world, terms)
    start, first = venue.value("vault"), venue.ask
    size = max(1, sum(world.longs.values()) * values.book_percent // 100)
    line = [1.0]
    for checked, price in zip(world.prices[terms.check], world.prices["mark"], strict=True):
        bid = price * 995 // 1000 // 100 * 100
        venue.block([venue.order("book", size, bid, TimeInForce.GTC)])
        now = venue.engine.state.markets[0].mark
        held = {
            name: venue.value(name) + venue.lots(name) * (checked - now) for name in world.longs
        }
        told = venue.mark(checked)
        for name, lots in told.taken.items():
            into.seized += max(0, held[name])
            into.accounts += 1
            into.excess += name not in world.needed
            into.notional += lots * checked
        into.rounds += len(told.rounds)
        into.deficits += told.drawn + told.owed
        into.deficits += sum(sum(one.haircuts.values()) for one in told.rounds)
        line.append(venue.ask / first if first else 1.0)
    # What is still held is worth the mark, not the last print.
    venue.mark(world.prices["mark"][-1])
    if terms.fund_bps:
        while venue.fund >= 2 * USD and line[-1] != venue.ask:
            line.append(venue.ask)
            venue.block()
        line[values.steps + 1 :] = [venue.ask / first]
    into.vault += venue.value("vault") - start
    into.bought += venue.spent
    into.price += line[-1]
    into.line, into.chain = line, venue.evidence()


def cell(values: Values, worlds: list[World], terms: Terms) -> Sum:
    """All paths under the same terms."""
    into = Sum()
    for world in worlds:
        one_path(values, world, terms, into)
    return into


Cells = dict[tuple[str, str, int], Sum]


def run(values: Values, seed: int) -> Outcome:
    """All thresholds, both prices and both routings on the same paths."""
    middle = values.rebounds_percent[len(values.rebounds_percent) // 2]
    worlds = [world_of(values, number, seed, middle) for number in range(values.paths)]
    cells: Cells = {}
    outcome = Outcome()
    for routing, share in ROUTINGS.items():
        for check in CHECKS:
            for threshold in values.thresholds_percent:
                one = cell(values, worlds, Terms(threshold, check, share))
                cells[routing, check, threshold] = one
                if one.chain is not None:
                    name = f"{routing} {check}, threshold {threshold} %, last path"
                    outcome.chains[name] = one.chain
    slopes = {
        (routing, check): _slope(values, cells, routing, check)
        for routing in ROUTINGS
        for check in CHECKS
    }
    horizons, gains = _horizons(values, seed)
    outcome.tables = [_thresholds(values, cells), _routing(values, cells, slopes), horizons]
    outcome.figures = _figures(values, cells)
    outcome.assumed = {
        "U6": "how profit is routed is not public: two vectors are run, and none is asserted"
    }
    outcome.notes = [
        f"For scale only: the two liquidator vaults of 10 October 2025 gained "
        f"{REFERENCE_PERCENT:.2f} % of the notional liquidated in the window.",
        "Documentation gives liquidation profit to vault depositors; the essay merges it with fees "
        "that buy the token. Here the engine routes seized margin; losses of working positions off "
        "stay with the vault under either routing.",
        "Last prices are marks with downward prints that revert at once; an account is taken over "
        "in excess when its equity at the marks never fell below zero.",
        f"The token's book is a pool of {values.pool_usd:,} USD; its supply is worth "
        f"{values.supply_pools} pools. Fees are none here, so an operator's fees are not counted.",
    ]
    outcome.verdicts = _verdicts(values, cells, slopes, gains)
    return outcome


def utility(values: Values, one: Sum) -> float:
    """What the operator's tokens gain over all paths, in USD."""
    held = values.pool_usd * values.supply_pools * values.holdings_percent / 100
    return held * (one.price - values.paths)


def _around(values: Values) -> tuple[int, int, int]:
    """The documented threshold of the grid, and its neighbours."""
    ordered = sorted(values.thresholds_percent)
    at = min(ordered, key=lambda one: abs(one - DOCUMENTED))
    place = ordered.index(at)
    return ordered[max(place - 1, 0)], at, ordered[min(place + 1, len(ordered) - 1)]


def _slope(values: Values, cells: Cells, routing: str, check: str) -> float:
    """Change of the operator's utility per point of threshold at the documented one."""
    below, _, above = _around(values)
    gain = utility(values, cells[routing, check, above])
    gain -= utility(values, cells[routing, check, below])
    return gain / (above - below)


def _thresholds(values: Values, cells: Cells) -> Table:
    rows: list[list[Cell]] = []
    for check in CHECKS:
        for threshold in values.thresholds_percent:
            one = cells["(1, 0, 0)", check, threshold]
            edge = one.vault / one.notional * 100 if one.notional else 0.0
            rows.append([check, threshold, one.accounts, one.excess, one.notional / USD,
                         one.seized / USD, one.vault / USD, edge, one.deficits / USD, one.rounds,
                         one.cost / USD])  # fmt: skip
    columns = ["checked against", "backstop below (% of maintenance)", "accounts taken over",
               "of them in excess", "notional taken over (USD)", "margin kept by the vault (USD)",
               "vault's result (USD)", "edge (% of notional)", "deficits (USD)", "ADL rounds",
               "traders' losses and deficits (USD)"]  # fmt: skip
    return Table("thresholds", "The same paths, other thresholds, all profit to depositors",
                 columns, rows)  # fmt: skip


def _routing(values: Values, cells: Cells, slopes: dict[tuple[str, str], float]) -> Table:
    rows: list[list[Cell]] = []
    documented = _around(values)[1]
    for routing, check in slopes:
        found = {t: cells[routing, check, t] for t in sorted(values.thresholds_percent)}
        one = found[documented]
        gains = {t: utility(values, each) for t, each in found.items()}
        best = max(gains, key=lambda t: (gains[t], -t)) if any(gains.values()) else None
        social = min(found, key=lambda t: (found[t].cost, t))
        rows.append([routing, check, one.bought / USD, one.price / values.paths, gains[documented],
                     slopes[routing, check], best, social])  # fmt: skip
    columns = ["routing (depositors, purchases, insurance)", "checked against",
               "fund bought tokens for (USD)", "token's price after (times)",
               "operator's utility (USD)", "change per point of threshold (USD)",
               "operator's best threshold (%)", "best for traders and venue (%)"]  # fmt: skip
    title = f"An operator that holds {values.holdings_percent} % of the token"
    return Table("routing", title, columns, rows)


def _horizons(values: Values, seed: int) -> tuple[Table, dict[str, int]]:
    """How long the vault works off what it took, by how much of the fall is won back; its result
    in each case."""
    rows: list[list[Cell]] = []
    gains: dict[str, int] = {}
    documented = _around(values)[1]
    for rebound in values.rebounds_percent:
        worlds = [world_of(values, number, seed, rebound) for number in range(values.paths)]
        for seconds in values.half_lives_seconds:
            one = cell(values, worlds, Terms(documented, "mark", 0, seconds))
            gains[f"{rebound} %, {seconds} s"] = one.vault
            rows.append([rebound, seconds, one.vault / USD,
                         one.vault / one.notional * 100 if one.notional else 0.0])  # fmt: skip
    columns = ["won back of the fall (%)", "half-life of the vault's position (s)",
               "vault's result (USD)", "edge (% of notional)"]  # fmt: skip
    title = f"Working off, at {documented} % of maintenance"
    return Table("horizons", title, columns, rows), gains


def _figures(values: Values, cells: Cells) -> list[Figure]:
    xs = [float(one) for one in values.thresholds_percent]
    lines: list[Series] = []
    for check in CHECKS:
        found = [cells["(1, 0, 0)", check, t] for t in values.thresholds_percent]
        lines.append(Series(f"vault, {check}", xs, [one.vault / USD for one in found]))
        lines.append(Series(f"cost, {check}", xs, [one.cost / USD for one in found]))
    tokens = [
        Series(f"{t} % of maintenance", [float(k) for k in range(len(one.line))], one.line)
        for t in values.thresholds_percent
        if (one := cells["(0, 1, 0)", "mark", t])
    ]
    wealth = [
        Series(f"{routing}, {check}", xs,
               [utility(values, cells[routing, check, t]) for t in values.thresholds_percent])
        for routing in ROUTINGS
        for check in CHECKS
    ]  # fmt: skip
    return [
        Figure(name="edge", title="The vault's result, and what traders and venue lose",
               x="backstop below (% of maintenance)", y="USD", series=lines),
        Figure(name="token", title="The token in the book, profit routed to purchases, one path",
               x="second", y="price / first price", series=tokens, kind="steps"),
        Figure(name="utility", title="What an operator's tokens gain",
               x="backstop below (% of maintenance)", y="USD", series=wealth),
    ]  # fmt: skip


def _verdicts(
    values: Values,
    cells: Cells,
    slopes: dict[tuple[str, str], float],
    gains: dict[str, int],
) -> list[Verdict]:
    won = [name for name, vault in gains.items() if vault > 0]
    lost = [name for name, vault in gains.items() if vault <= 0]
    bought = sum(one.bought for (routing, *_), one in cells.items() if routing == "(0, 1, 0)")
    documented = _around(values)[1]
    fund, depositors = slopes["(0, 1, 0)", "mark"], slopes["(1, 0, 0)", "mark"]
    wild = cells["(1, 0, 0)", "last price", documented]
    calm = cells["(1, 0, 0)", "mark", documented]
    return [
        verdict("C14", bool(won) or None, "Profit is: what the vault is worth at the mark after "
                "the path, less before; turned into buybacks is: routed to the fund, which spends "
                "it in the book. So defined the vault gains with (share of the fall won back, "
                "half-life of its position) "
                f"{'; '.join(won) or 'none'}, and loses with {'; '.join(lost) or 'none'}; seized "
                f"margin routed to the fund bought tokens for {bought / USD:,.0f} USD over all "
                "cells, whatever the vault lost. Of the venue itself only a gain of "
                f"{REFERENCE_PERCENT:.2f} % on one occasion is public, and no routing",
                "a longer or shorter rebound, thinner books, the published routing",
                boundary=True),
        verdict("C15", (fund > 0 and depositors == 0) or None, "The incentive is: the operator's "
                "tokens gain in the book when the threshold rises from the documented one, fees "
                f"left out. So defined it is {fund:,.2f} USD a point of threshold with margin "
                f"routed to purchases and {depositors:,.2f} USD with it routed to depositors; "
                f"checking the last price instead of the mark takes over {wild.accounts} accounts "
                f"instead of {calm.accounts}, {wild.excess} instead of {calm.excess} in excess, "
                f"with {wild.rounds} ADL rounds instead of {calm.rounds}",
                "the published routing vector", boundary=True),
    ]  # fmt: skip
