"""How an exemption list grows month by month, and how long the venue lives. Arithmetic on
capacities; the engine's part of the same question is in `s04_exempt_list`.

A month: the largest non-exempt fee payer whose share of fees is large enough asks, and is granted
with probability `grant`. Fees are in proportion to capacity. Then a shock D, Pareto with tail
`alpha`, P(D > first fund) = `ruin` a year. The venue dies when D exceeds the fund and what is not
exempt. Who lost more than the share `leave` goes. A tenth of the fees (1 % of capacity a year)
goes to the fund. When the list is public, the others pay fees less in the measure of the
multiplier, and the venue grants only while the asker brings more than that costs.
"""

from dataclasses import dataclass
from math import log
from typing import Final

from chainperp.lab.draws import generator

FEES_A_MONTH: Final = 0.01 / 12
FUND_SHARE: Final = 0.1
LEAST: Final = 1e-9
"""Of capacity that is left, so that a list of everybody has a multiplier to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Shares between 0 and 1; `alpha` is the tail index of the shocks."""

    grant: float
    fee_share: float
    alpha: float
    ruin: float
    fund: float
    leave: float
    is_public: bool


@dataclass(frozen=True, slots=True)
class Grown:
    """Survival by month from hazards, the simulated share alive with its standard error, and the
    list at the end (means over paths)."""

    survival: list[float]
    simulated: float
    error: float
    listed: float
    exempt_share: float
    multiplier: float
    shares: list[float]


def hazard(distance: float, first_fund: float, terms: Terms) -> float:
    """Probability that a month's shock exceeds `distance` (fund and capacity, same unit).

    The scale is that of the first fund: P(D > first fund) = 1 - (1 - ruin)^(1/12).
    """
    monthly = 1 - (1 - terms.ruin) ** (1 / 12)
    if distance <= 0:
        return 1.0
    tail = (distance / first_fund) ** -terms.alpha
    return float(min(1.0, monthly * tail))


def grow(capacities: list[int], terms: Terms, months: int, paths: int, seed: int) -> Grown:
    """Many paths of the list; survival is the mean of each path's product of (1 - hazard)."""
    whole = float(sum(capacities))
    shares = [one / whole for one in capacities]
    label = f"growth/{terms.alpha}/{terms.grant}/{terms.is_public}"
    draws = generator(seed, label)
    survival = [0.0] * months
    exempt_by_month = [0.0] * months
    alive_at_end, listed, exempt_end, multiplier = 0, 0.0, 0.0, 0.0
    for _ in range(paths):
        coins = draws.random(months)
        shocks = draws.random(months)
        fund, exempt, place, alive, product = terms.fund, 0.0, 0, True, 1.0
        for month in range(months):
            if _asks(shares, place, exempt, terms) and coins[month] < terms.grant:
                exempt += shares[place]
                place += 1
            chance = hazard(fund + 1 - exempt, terms.fund, terms)
            product *= 1 - chance
            alive = alive and shocks[month] >= chance
            fund += FUND_SHARE * FEES_A_MONTH * _volume(exempt, terms)
            survival[month] += product / paths
            exempt_by_month[month] += exempt / paths
        alive_at_end += alive
        listed += place / paths
        exempt_end += exempt / paths
        multiplier += 1 / max(LEAST, 1 - exempt) / paths
    share = alive_at_end / paths
    error = (max(share * (1 - share), 1 / paths) / paths) ** 0.5
    return Grown(survival, share, error, listed, exempt_end, multiplier, exempt_by_month)


def _volume(exempt: float, terms: Terms) -> float:
    """Fees in units of those without a list: when it is public the others trade less."""
    return exempt + (1 - exempt) ** 2 if terms.is_public else 1.0


def _asks(shares: list[float], place: int, exempt: float, terms: Terms) -> bool:
    """Whether the next in line is large enough, and, when the list is public, worth granting.

    A grant keeps the asker's fees and costs those of the others who now see a higher multiplier.
    """
    if place >= len(shares) or shares[place] < terms.fee_share:
        return False
    if not terms.is_public:
        return True
    after = exempt + shares[place]
    return _volume(after, terms) + terms.leave * shares[place] > _volume(exempt, terms)


def median_time(survival: list[float]) -> float:
    """Month at which half are dead; beyond the horizon with the last month's hazard."""
    for month, alive in enumerate(survival, start=1):
        if alive <= 0.5:
            return float(month)
    last = survival[-1] / survival[-2]
    if last >= 1:
        return float("inf")
    return len(survival) + log(0.5 / survival[-1]) / log(last)
