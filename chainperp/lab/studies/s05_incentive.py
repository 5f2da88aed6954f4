"""S5: what a liquidation vault earns, and who would like it to liquidate earlier.

The engine runs the same falls, wicks and gaps with other thresholds for the backstop (a share b of
maintenance), checked against the mark or against the last price: the vault takes positions over
with what is left of their margin and works them off into a book. The margin goes to the vault's
depositors or, by the rule that routes it, to the assistance fund, which buys the token in the spot
book by the engine's schedule and burns it. An operator's utility is what its tokens gain in that
book. Source: adl-and-scenarios 9, S5; U6.
"""

from typing import Final

from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.studies.book_success import fee_table, success_figure, success_table
from chainperp.lab.studies.vault_paths import CHECKS, Sum, Terms, Values, cell, world_of
from chainperp.lab.venue import USD

__all__ = ("TITLE", "Values", "run")

TITLE: Final = "What a liquidation vault earns, and who would like more of it"
REFERENCE_PERCENT: Final = 40_986_825 / 5_511_042_925 * 100
"""Two liquidator vaults' gain over notional liquidated, 10 October 2025 (adl-and-scenarios S5)."""
DOCUMENTED: Final = 67
"""Two thirds of maintenance."""
ROUTINGS: Final = {"(1, 0, 0)": 0, "(0, 1, 0)": 10_000}
"""Depositors, purchases, insurance; and basis points of seized margin to the assistance fund."""


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
    curve, points = success_table(values, worlds, _around(values)[1])
    token_fees, per_point = fee_table(values, cells, slopes, _around(values))
    outcome.tables = [_thresholds(values, cells), _routing(values, cells, slopes), horizons,
                      curve, token_fees]  # fmt: skip
    outcome.figures = [*_figures(values, cells), success_figure(points)]
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
        f"{values.supply_pools} pools. The engine charges no fees here: they are counted beside "
        "it, on what went through the book at an assumed rate, and taken from nobody.",
        "A book's success is the share of liquidated lots that it took before the backstop did.",
    ]
    outcome.verdicts = _verdicts(values, cells, slopes, gains, per_point)
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
    fees: dict[tuple[str, str], float],
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
                f"fees add {fees['(0, 1, 0)', 'mark']:,.2f} and "
                f"{fees['(1, 0, 0)', 'mark']:,.2f} USD a point; "
                f"checking the last price instead of the mark takes over {wild.accounts} accounts "
                f"instead of {calm.accounts}, {wild.excess} instead of {calm.excess} in excess, "
                f"with {wild.rounds} ADL rounds instead of {calm.rounds}",
                "the published routing vector", boundary=True),
    ]  # fmt: skip
