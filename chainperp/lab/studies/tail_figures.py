"""S3's figures, and the estimators of a tail that two of them draw."""

from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from chainperp.lab.outcome import Figure, Series
from chainperp.lab.studies import damping
from chainperp.lab.studies.damping import Losers

if TYPE_CHECKING:
    import numpy as np

EXEMPT: Final = (0.0, 0.2, 0.4, 0.6)
CAP: Final = 4.0
"""Of the Pareto sample that the moment estimator sees with a finite end."""


def hill(sample: "np.ndarray[Any, Any]", k: int) -> tuple[float, float]:
    """Hill's tail index of the largest k, and its standard error."""
    import numpy as np

    largest = np.sort(sample)[-k - 1 :]
    index = 1 / float(np.mean(np.log(largest[1:] / largest[0])))
    return index, index / sqrt(k)


def moment_shape(sample: "np.ndarray[Any, Any]", k: int) -> float:
    """Shape by the moment estimator of Dekkers, Einmahl and de Haan: below 0 for a finite end."""
    import numpy as np

    largest = np.sort(sample)[-k - 1 :]
    logs = np.log(largest[1:] / largest[0])
    first, second = float(np.mean(logs)), float(np.mean(logs**2))
    if second <= 0:
        return -float("inf")
    spread = 1 - first * first / second
    return -float("inf") if spread <= 0 else first + 1 - 0.5 / spread


def figures(freedom: float, daily_percent: float, pareto: "np.ndarray[Any, Any]") -> list[Figure]:
    """D for margin distributions, survival, the ratio against the cap, discount by interval, what
    exempt and other winners get, and the two estimators by their number of values."""
    xs = [k / 200 for k in range(101)]
    classes: dict[str, Losers] = {
        "all 8 %": [(1.0, 0.08)],
        "half 6 %, half 10 %": [(0.5, 0.06), (0.5, 0.1)],
        "half 5 %, half 20 %": [(0.5, 0.05), (0.5, 0.2)],
        "tenths from 2 % to 50 %": [(0.1, 0.02 + 0.0533 * k) for k in range(10)],
    }
    scale = daily_percent / 100 / sqrt(freedom / (freedom - 2))
    moves = [10 ** (-2.5 + 2.5 * k / 120) for k in range(121)]
    tail = [damping.student_tail(x / scale, freedom) for x in moves]
    capped = [y if x < 0.2 else 0.0 for x, y in zip(moves, tail, strict=True)]
    caps = [0.01 * k for k in range(2, 101)]
    ratios = [damping.capped_ratio(freedom, scale, cap) for cap in caps]
    hours = [10 ** (-2 + 4 * k / 60) for k in range(61)]
    return [
        Figure(name="gain", title="What a winner gets, by losers' margins", x="move",
               y="paid gain",
               series=[Series(name, xs, [damping.damped(x, one) for x in xs])
                       for name, one in classes.items()]),
        Figure(name="survival", title="Survival of the move, raw and damped at 20 %",
               x="move", y="P(greater)", log="xy",
               series=[Series("raw", moves, tail), Series("damped", moves, capped)]),
        Figure(name="ratio", title="Relative tail ratio against the cap", x="cap",
               y="P(>10σ) / P(>2σ)", series=[Series("damped", caps, ratios)],
               marks={"cap = 10σ": damping.boundary(freedom, scale)}),
        Figure(name="discount", title="ADL discount by check interval (80 % a year)",
               x="hours between checks", y="per 100 of notional", log="xy",
               series=[Series(name, hours,
                              [damping.adl_discount(100.0, one, 0.8, h / 24 / 365) for h in hours])
                       for name, one in classes.items()]),
        exempt_figure(),
        *estimator_figures(pareto),
        Figure(name="smile", title="Implied volatility of damped calls (80 %, 1 day, ±10 %)",
               x="strike", y="implied volatility (% a year)", series=[_smile()]),
    ]  # fmt: skip


def _smile() -> Series:
    strikes = [95.0 + 0.5 * k for k in range(29)]
    worth = [
        damping.black_scholes_call(100.0, k, 0.8, 1 / 365)
        - damping.black_scholes_call(100.0, 110.0, 0.8, 1 / 365)
        for k in strikes
    ]
    implied = [
        damping.implied_volatility(100.0, k, 1 / 365, price) * 100
        for k, price in zip(strikes, worth, strict=True)
    ]
    return Series("damped call", strikes, implied)


def exempt_figure() -> Figure:
    """What is paid of a move when a share of the winners is paid in full, losers having 8 %."""
    moves = [k / 500 for k in range(101)]
    lines = [Series("raw, and exempt", moves, moves)]
    for share in EXEMPT:
        ys = [damping.exempt_rest(move, [(1.0, 0.08)], share) for move in moves]
        lines.append(Series(f"others, {share * 100:.0f} % exempt", moves, ys))
    return Figure(name="exempt", title="Raw and damped gains, by the share of exempt winners",
                  x="move", y="paid gain (below 0 the venue is dead)", series=lines)  # fmt: skip


def estimator_figures(pareto: "np.ndarray[Any, Any]") -> list[Figure]:
    """Hill's index of an exact Pareto and of its damped powers, and the moment shape of the raw and
    of a capped sample, against the share of values that they use."""
    import numpy as np

    shares = [0.001 * 1.35**k for k in range(15)]
    counts = [int(share * len(pareto)) for share in shares]
    percents = [share * 100 for share in shares]
    hills = [
        Series(f"β = {beta:g}, expected {3 / (1 - beta):.3g}", percents,
               [hill(pareto ** (1 - beta), k)[0] for k in counts])
        for beta in (0.0, 0.3, 0.5)
    ]  # fmt: skip
    # A hard cap puts mass on its end, which no shape describes: moves are damped towards it.
    capped = CAP * (1 - np.exp(-pareto / CAP))
    moments = [
        Series("raw, expected 0.333", percents, [moment_shape(pareto, k) for k in counts]),
        Series("damped towards an end, expected below 0", percents,
               [moment_shape(capped, k) for k in counts]),
    ]  # fmt: skip
    return [
        Figure(name="hill", title="Hill plot: tail index of a damped Pareto",
               x="k (% of the sample)", y="index", series=hills, log="x"),
        Figure(name="moment", title="Moment plot: shape of the tail",
               x="k (% of the sample)", y="shape", series=moments, log="x"),
    ]  # fmt: skip
