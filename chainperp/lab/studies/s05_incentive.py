"""S5: what a liquidation vault earns, and who would like it to liquidate earlier.

The engine runs the same falls and rebounds with other thresholds for the backstop (a share b of
maintenance): the vault takes positions over with what is left of their margin and works them off
into a book. From each run: the vault's result, what traders lost by being taken over, deficits. An
operator's utility is the part of profit that is routed to it: depositors, assistance fund (whose
purchases raise a token that the operator holds), insurance. Source: adl-and-scenarios 9, S5; U6.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Strict
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.model.actions import TimeInForce

TITLE: Final = "What a liquidation vault earns, and who would like more of it"
ENTRY: Final = 100 * DOLLAR
REFERENCE_PERCENT: Final = 40_986_825 / 5_511_042_925 * 100
"""Two liquidator vaults' gain over notional liquidated, 10 October 2025 (adl-and-scenarios S5)."""


class Values(Strict):
    """Percent of maintenance, percent a year, and runs."""

    thresholds_percent: Annotated[tuple[int, ...], Field(min_length=2)] = (30, 45, 67, 80, 100)
    traders: Annotated[int, Field(ge=5, le=500)] = 40
    steps: Annotated[int, Field(ge=5, le=400)] = 60
    step_percent: Annotated[float, Field(gt=0, le=5)] = 0.35
    drift_percent: float = -0.15
    paths: Annotated[int, Field(ge=1, le=200)] = 8
    book_percent: Annotated[int, Field(ge=0, le=100)] = 5
    holdings_percent: Annotated[int, Field(ge=0, le=100)] = 30


@dataclass(slots=True)
class Sum:
    """Over all paths of a threshold, in micro-USD."""

    vault: int = 0
    seized: int = 0
    deficits: int = 0
    taken: int = 0
    accounts: int = 0
    notional: int = 0


def one_path(values: Values, threshold: int, number: int, seed: int, into: Sum) -> Chain:
    """One path through the engine."""
    venue = Venue(
        policy_id=600,
        leverage=40,
        vault=10**7 * USD,
        backstop_numerator=threshold,
        backstop_denominator=100,
        unwind_half_life_ms=10_000,
        unwind_interval_ms=1000,
    )
    venue.mark(ENTRY)
    draws = Draws(seed, f"S5/{number}")
    longs = {f"long{k}": draws.whole(100, 20_000) for k in range(values.traders)}
    total = sum(longs.values())
    margins = {n: -(-lots * USD // draws.whole(10, 40)) for n, lots in longs.items()}
    venue.join({"book": 10 * total * USD})
    venue.join(margins)
    venue.trade("book", longs, ENTRY)
    start = venue.value("vault")
    price = float(ENTRY)
    for _ in range(values.steps):
        price *= (
            1 + (values.drift_percent + values.step_percent * 3.46 * (draws.unit() - 0.5)) / 100
        )
        mark = int(price) // 100 * 100
        bid = mark * 995 // 1000 // 100 * 100
        size = max(1, total * values.book_percent // 100)
        venue.block([venue.order("book", size, bid, TimeInForce.GTC)])
        held = {name: venue.value(name) for name in longs}
        told = venue.mark(mark)
        for name, lots in told.taken.items():
            into.seized += max(0, held[name])
            into.taken += lots
            into.accounts += 1
            into.notional += lots * mark
        into.deficits += told.drawn + told.owed
        into.deficits += sum(sum(one.haircuts.values()) for one in told.rounds)
    into.vault += venue.value("vault") - start
    return venue.evidence()


def run(values: Values, seed: int) -> Outcome:
    """All thresholds on the same paths."""
    rows: list[list[Cell]] = []
    results: dict[int, Sum] = {}
    outcome = Outcome()
    for threshold in values.thresholds_percent:
        into = Sum()
        for number in range(values.paths):
            evidence = one_path(values, threshold, number, seed, into)
        outcome.chains[f"threshold {threshold} %, last path"] = evidence
        results[threshold] = into
        edge = into.vault / into.notional * 100 if into.notional else 0.0
        rows.append([threshold, into.accounts, into.notional / USD, into.seized / USD,
                     into.vault / USD, edge, into.deficits / USD,
                     (into.seized + into.deficits) / USD])  # fmt: skip
    columns = ["backstop below (% of maintenance)", "accounts taken over",
               "notional taken over (USD)", "margin kept by the vault (USD)",
               "vault's result (USD)", "edge (% of notional)", "deficits (USD)",
               "traders' losses and deficits (USD)"]  # fmt: skip
    routed, gradients = _routing(values, results)
    outcome.tables = [Table("thresholds", "The same paths, other thresholds", columns, rows),
                      routed]  # fmt: skip
    xs = [float(one) for one in values.thresholds_percent]
    outcome.figures = [
        Figure(name="edge", title="The vault's result by threshold",
               x="backstop below (% of maintenance)", y="USD",
               series=[Series("vault", xs, [results[t].vault / USD for t in results]),
                       Series("traders and deficits", xs,
                              [(results[t].seized + results[t].deficits) / USD for t in results])]),
    ]  # fmt: skip
    outcome.assumed = {"U6": "how profit is routed is not public: three vectors are compared, and "
                       "none is asserted"}  # fmt: skip
    outcome.notes = [
        f"For scale only: the two liquidator vaults of 10 October 2025 gained "
        f"{REFERENCE_PERCENT:.2f} % of the notional liquidated in the window.",
        "Documentation gives liquidation profit to vault depositors; the essay merges it with fees "
        "that buy the token.",
    ]
    profitable = sum(one.vault for one in results.values()) > 0
    fund, depositors = gradients["(0, 1, 0)"], gradients["(1, 0, 0)"]
    outcome.verdicts = [
        verdict("C14", profitable or None, f"over all thresholds the vault gained "
                f"{sum(one.vault for one in results.values()) / USD:,.0f} USD; whether it buys "
                "tokens depends on the routing", "falls without a rebound, or thin books",
                boundary=True),
        verdict("C15", (fund > 0 and depositors == 0) or None, "raising the documented threshold "
                f"changes the operator's utility by {fund / USD:,.2f} USD a point with the profit "
                f"routed to purchases, by {depositors / USD:,.2f} USD with it routed to depositors",
                "the published routing vector", boundary=True),
    ]  # fmt: skip
    return outcome


def _routing(values: Values, results: dict[int, Sum]) -> tuple[Table, dict[str, float]]:
    """An operator's utility under three routings and its slope at the documented threshold."""
    share = values.holdings_percent / 100
    rows: list[list[Cell]] = []
    gradients: dict[str, float] = {}
    thresholds = sorted(results)
    documented = min(thresholds, key=lambda one: abs(one - 67))
    place = thresholds.index(documented)
    above = thresholds[min(place + 1, len(thresholds) - 1)]
    below = thresholds[max(place - 1, 0)]
    for name, vector in (("(1, 0, 0)", 0.0), ("(0, 1, 0)", 1.0), ("(½, ½, 0)", 0.5)):
        utility = {t: vector * share * max(0, results[t].vault) for t in thresholds}
        slope = (utility[above] - utility[below]) / (above - below)
        gradients[name] = slope
        best = max(thresholds, key=lambda t: (utility[t], -t)) if slope else None
        social = min(thresholds, key=lambda t: (results[t].seized + results[t].deficits, t))
        rows.append([name, utility[documented] / USD, slope / USD, best, social])
    columns = ["routing (depositors, purchases, insurance)", "operator's utility (USD)",
               "change per point of threshold (USD)", "operator's best threshold (%)",
               "best for traders and venue (%)"]  # fmt: skip
    return Table("routing", f"An operator that holds {values.holdings_percent} % of the token",
                 columns, rows), gradients  # fmt: skip
