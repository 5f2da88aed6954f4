"""Closed forms for damped assets. Returns are fractions, volatilities a year, times in years."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from typing import Final

from scipy import integrate, optimize, stats

Losers = Sequence[tuple[float, float]]
"""(share of notional, margin as a fraction of notional); shares sum to one."""
NEAR: Final = 1e-12


def payable(x: float, losers: Losers) -> float:
    """P(x): what losers can pay of a move."""
    return sum(share * min(x, margin) for share, margin in losers)


def damped(x: float, losers: Losers, book: float = 0.0, fund: float = 0.0) -> float:
    """D(x) = min(x, book x + (1 - book) P(x) + fund).

    >>> damped(0.10, [(1.0, 0.08)]), round(damped(0.10, [(0.5, 0.06), (0.5, 0.1)]), 12)
    (0.08, 0.08)
    """
    return min(x, book * x + (1 - book) * payable(x, losers) + fund)


def exempt_rest(x: float, losers: Losers, exempt: float) -> float:
    """What those not exempt get per unit when the share `exempt` is paid in full; below 0 the venue
    is dead."""
    return (damped(x, losers) - exempt * x) / (1 - exempt)


def student_tail(x: float, freedom: float) -> float:
    """P(T > x) of Student's law."""
    return float(stats.t.sf(x, freedom))


def student_ratio(freedom: float, a: float = 10.0, b: float = 2.0) -> float:
    """P(X > a) / P(X > b) of Student's law with deviation one."""
    scale = sqrt(freedom / (freedom - 2))
    return student_tail(a * scale, freedom) / student_tail(b * scale, freedom)


def normal_ratio(a: float = 10.0, b: float = 2.0) -> float:
    """The same of the normal law."""
    return float(stats.norm.sf(a) / stats.norm.sf(b))


def bond_ratio(daily: float, default: float) -> float:
    """Lower tail of a bond: normal days, and with a small chance everything is lost."""
    mean = -default
    deviation = sqrt((1 - default) * daily**2 + default - mean**2)
    far, near = mean - 10 * deviation, mean - 2 * deviation

    def below(x: float) -> float:
        return (1 - default) * float(stats.norm.cdf(x / daily)) + default * (x > -1)

    return below(far) / below(near)


def capped_deviation(freedom: float, scale: float, cap: float) -> float:
    """Deviation of scale * T, censored at ±cap."""
    limit = cap / scale
    inside, _ = integrate.quad(
        lambda t: t * t * float(stats.t.pdf(t, freedom)), 0, limit, epsabs=1e-13, limit=200
    )
    return scale * sqrt(2 * inside + 2 * limit**2 * student_tail(limit, freedom))


def capped_ratio(freedom: float, scale: float, cap: float) -> float:
    """P(D > 10σ) / P(D > 2σ) with σ of the censored variable."""
    deviation = capped_deviation(freedom, scale, cap)
    if cap <= 10 * deviation:
        return 0.0
    far = student_tail(10 * deviation / scale, freedom)
    return far / student_tail(2 * deviation / scale, freedom)


def boundary(freedom: float, scale: float) -> float:
    """The cap that is exactly ten deviations of the asset that it damps."""
    found = optimize.brentq(
        lambda cap: cap - 10 * capped_deviation(freedom, scale, cap), scale, 1000 * scale
    )
    return float(found)


def measured_ratio(
    freedom: float, scale: float, points: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Deviation and tail ratio when D is known at some moves: straight lines between them, flat
    after the last, the same for both signs."""
    second = 0.0
    for (x0, d0), (x1, d1) in pairwise(points):
        slope = (d1 - d0) / (x1 - x0)

        def square(t: float, x0: float = x0, d0: float = d0, slope: float = slope) -> float:
            gain = d0 + slope * (scale * t - x0)
            return gain * gain * float(stats.t.pdf(t, freedom))

        part, _ = integrate.quad(square, x0 / scale, x1 / scale, epsabs=1e-14)
        second += part
    last_x, last = points[-1]
    second += last * last * student_tail(last_x / scale, freedom)
    deviation = sqrt(2 * second)
    return deviation, _beyond(freedom, scale, points, 10 * deviation) / _beyond(
        freedom, scale, points, 2 * deviation
    )


def _beyond(
    freedom: float, scale: float, points: Sequence[tuple[float, float]], level: float
) -> float:
    """P(D > level)."""
    for (x0, d0), (x1, d1) in pairwise(points):
        if d1 > level + NEAR:
            x = x0 + (level - d0) / (d1 - d0) * (x1 - x0)
            return student_tail(x / scale, freedom)
    return 0.0


def expected_excess(freedom: float, scale: float, margin: float) -> float:
    """E[(X - margin)+]: what is not paid of a one-sided move."""
    limit = margin / scale
    density = float(stats.t.pdf(limit, freedom))
    mean_above = (freedom + limit**2) / (freedom - 1) * density
    return scale * mean_above - margin * student_tail(limit, freedom)


def black_scholes_call(spot: float, strike: float, volatility: float, years: float) -> float:
    """Undiscounted call at zero interest.

    >>> round(black_scholes_call(100.0, 100.0, 0.8, 1 / 365), 6)
    1.670405
    """
    deviation = volatility * sqrt(years)
    first = log(spot / strike) / deviation + deviation / 2
    return spot * _normal(first) - strike * _normal(first - deviation)


def black_scholes_put(spot: float, strike: float, volatility: float, years: float) -> float:
    """Put by parity."""
    return black_scholes_call(spot, strike, volatility, years) - spot + strike


def _normal(x: float) -> float:
    return float(stats.norm.cdf(x))


def damped_forward(spot: float, cap: float, volatility: float, years: float) -> float:
    """F - C(U) + P(L): what the damped asset is worth forward."""
    above = black_scholes_call(spot, spot * (1 + cap), volatility, years)
    below = black_scholes_put(spot, spot * (1 - cap), volatility, years)
    return spot - above + below


def adl_discount(spot: float, losers: Losers, volatility: float, years: float) -> float:
    """What a winner is short: calls struck at the losers' bankruptcy prices."""
    return sum(
        share * black_scholes_call(spot, spot * (1 + margin), volatility, years)
        for share, margin in losers
    )


def implied_volatility(spot: float, strike: float, years: float, price: float) -> float:
    """The volatility at which Black and Scholes give a price; 0 below the inner value."""
    if price <= max(0.0, spot - strike) + 1e-12:
        return 0.0
    found = optimize.brentq(
        lambda v: black_scholes_call(spot, strike, v, years) - price, 1e-4, 20.0
    )
    return float(found)


def pareto_power(beta: float, alpha: float = 3.0) -> float:
    """Tail index of X^(1 - beta) when X has index alpha.

    >>> pareto_power(0.5)
    6.0
    """
    return alpha / (1 - beta)
