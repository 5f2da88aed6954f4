"""S3: damping is no fair game, so funding must pay the difference: predicted, and measured.

Both sides have the same margin, so a long's gain is cut at it above and its loss below. Of a
lognormal price the upper cut is worth more: the damped forward C(L) - C(U) lies below the price,
and shorts would have to pay longs what is missing. The engine's gain of a long at a grid of moves
gives the same number by integration.
"""

from bisect import bisect_right
from math import exp, sqrt
from typing import Final

from chainperp.lab.chain import Chain
from chainperp.lab.outcome import Cell, Table
from chainperp.lab.studies import damping
from chainperp.lab.venue import DOLLAR, USD, Venue

ENTRY: Final = 1000 * DOLLAR
LOTS: Final = 10_000
MARGIN_PERMILLE: Final = 100
MOVES: Final = (-300, -200, -150, -101, -100, -80, -50, -20, 0, 20, 50, 80, 100, 101, 150, 200, 300)
"""In tenths of a percent; beyond them nothing changes."""
POINTS: Final = 10_001
CASES: Final = ((0.8, 1), (0.8, 7), (2.0, 1))


def long_gains() -> tuple[list[float], Chain]:
    """What a long gets of each move through the engine, per unit of notional."""
    found: list[float] = []
    for move in MOVES:
        venue = Venue(policy_id=600, leverage=50)
        venue.mark(ENTRY)
        notional = LOTS * (ENTRY // DOLLAR) * USD // 100
        venue.join(dict.fromkeys(("long", "short"), notional * MARGIN_PERMILLE // 1000))
        venue.trade("short", {"long": LOTS}, ENTRY)
        before = venue.value("long")
        venue.mark(ENTRY * (1000 + move) // 1000)
        found.append((venue.value("long") - before) / notional)
    return found, venue.evidence()


def expected(gains: list[float], volatility: float, days: float) -> float:
    """Mean of a long's gain under a lognormal price, from gains at the grid of moves."""
    from scipy.stats import norm

    spread = volatility * sqrt(days / 365)
    total = 0.0
    for quantile in norm.ppf([(k + 0.5) / POINTS for k in range(POINTS)]):
        total += _between(gains, (exp(spread * quantile - spread**2 / 2) - 1) * 1000)
    return total / POINTS


def _between(gains: list[float], move: float) -> float:
    """Linear between the moves of the grid, and flat beyond."""
    if move <= MOVES[0] or move >= MOVES[-1]:
        return gains[0 if move <= 0 else -1]
    at = bisect_right(MOVES, move) - 1
    share = (move - MOVES[at]) / (MOVES[at + 1] - MOVES[at])
    return gains[at] + share * (gains[at + 1] - gains[at])


def bias_table() -> tuple[Table, float, Chain]:
    """Predicted and measured funding; the largest difference in basis points."""
    gains, chain = long_gains()
    rows: list[list[Cell]] = []
    worst = 0.0
    for volatility, days in CASES:
        forward = damping.damped_forward(100.0, MARGIN_PERMILLE / 1000, volatility, days / 365)
        predicted = (100.0 - forward) * 100
        measured = -expected(gains, volatility, days) * 10_000
        worst = max(worst, abs(predicted - measured))
        rows.append([volatility * 100, days, forward, predicted, measured])
    columns = ["volatility (%)", "days", "damped forward of 100",
               "shorts must pay longs (basis points)", "the same, engine"]  # fmt: skip
    return Table("funding", "Margins of 10 % on both sides: what funding must pay", columns,
                 rows), worst, chain  # fmt: skip
