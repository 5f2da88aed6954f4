"""ADL: how much of a deficit is socialised at all (P10). Who gives it is P6.

A controller publishes the share theta for the next round; all shares are parts per billion and all
steps are integer arithmetic, so that two machines publish the same one. The constants are not
public anywhere: our starting values are those of adl-and-scenarios U8.
"""

from collections.abc import Sequence
from math import isqrt
from typing import Final, NamedTuple

from chainperp.base.rounding import floor_div
from chainperp.rules.adl.policy import PPB, Allocation, Candidate, Round
from chainperp.rules.adl.proportional import fill_by
from chainperp.rules.catalogue import rule

ROOT_SCALE: Final = PPB * PPB


class MirrorTerms(NamedTuple):
    """Constants of the mirror descent, per unit of deficit."""

    reward: int = PPB
    """lambda: what covering the deficit is worth."""
    largest: int = 500_000_000
    """mu: weight of the largest winner's capacity left above what is taken."""
    excess: int = 2 * PPB
    """nu: weight of taking more than the deficit, squared."""
    rate: int = 250_000_000
    """eta: first step; later ones shrink with the root of time."""


def severity_limit(ratio: tuple[int, int] | None, largest: int, deficit: int) -> int:
    """Largest share allowed: R / (1 + R) * largest capacity / deficit; None is an endless R.

    Rounding: down.

    >>> severity_limit((1, 1), 30, 10), severity_limit(None, 30, 10)
    (1500000000, 3000000000)
    """
    if ratio is None:
        return floor_div(PPB * largest, deficit)
    return floor_div(PPB * largest * ratio[0], deficit * (ratio[0] + ratio[1]))


def backoff(before: int, factor: int, start: int, limit: int) -> int:
    """Next share: the last one times a factor, at least the first one, at most the limit.

    >>> backoff(800_000_000, 500_000_000, 100_000_000, PPB)
    400000000
    >>> backoff(100_000_000, 500_000_000, 100_000_000, 90_000_000)
    90000000
    """
    return min(max(floor_div(factor * before, PPB), start), limit)


def mirror_gradient(share: int, largest: int, deficit: int, terms: MirrorTerms) -> int:
    """Slope of the loss at a share, with the deficit as the unit.

    Formula: -lambda - mu (when the largest capacity exceeds share * deficit) + 2 nu (share - 1)+.

    >>> mirror_gradient(PPB, 10, 10, MirrorTerms()), mirror_gradient(PPB, 11, 10, MirrorTerms())
    (-1000000000, -1500000000)
    """
    slope = -terms.reward
    if largest * PPB > share * deficit:
        slope -= terms.largest
    return slope + floor_div(2 * terms.excess * max(0, share - PPB), PPB)


def mirror_step(share: int, slope: int, time: int, limit: int, terms: MirrorTerms) -> int:
    """Next share: share - eta * slope / root(time), inside [0, limit]. Time counts from 1.

    Rounding: the root down to 10^-9, the step down.

    >>> mirror_step(PPB, 400_000_000, 4, 2 * PPB, MirrorTerms())
    950000000
    """
    step = floor_div(terms.rate * slope, isqrt(time * ROOT_SCALE))
    return min(max(share - step, 0), limit)


def dual_step(dual: int, violation: int, rate: int, time: int) -> int:
    """Price of a violated floor (revenue, fund): rises while it is violated, never below 0.

    >>> dual_step(0, 400_000_000, PPB, 4), dual_step(1, -400_000_000, PPB, 4)
    (200000000, 0)
    """
    return max(0, dual + floor_div(rate * violation, isqrt(time * ROOT_SCALE)))


def planned_budget(share: int, deficit: int, deficit_before: int | None, capacity: int) -> int:
    """Budget fixed before the shock: the share of the last deficit, of this one the first time.

    >>> planned_budget(PPB, 70, 50, 60), planned_budget(PPB, 70, None, 60)
    (50, 60)
    """
    forecast = deficit if deficit_before is None else deficit_before
    return min(floor_div(share * forecast, PPB), capacity)


@rule("ADL-20")
def severity_pro_rata(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P10: only a published share of the deficit is taken from the winners, as in P6; the rest
    stays with the venue.

    Formula: budget * share. Static: the share never moves; backoff and mirror descent move it
    between rounds. Rounding: the budget down, then as P6.
    Rejects: as ADL-1. Source: adl-and-scenarios P10, U8.

    >>> from chainperp.rules.adl.policy import Terms
    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 8), (b"b", 4))]
    >>> half = Terms(severity_ppb=500_000_000)
    >>> severity_pro_rata(Round(seed=bytes(32), budget=6, terms=half), rows).takes
    [2, 1]
    """
    total = floor_div(this_round.budget * this_round.terms.severity_ppb, PPB)
    return fill_by(this_round, candidates, lambda one, cap: cap, total=total)
