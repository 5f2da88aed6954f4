"""A market's fixed terms: grids, margin tiers, limits.

Tier n starts at `lower` (micro-USDC of notional) and allows `leverage_max`. The maintenance rate
is half the initial rate at that leverage, r_n = 1 / (2 * leverage_max), with a deduction that
makes the requirement continuous. Rates and deductions are kept over one common denominator, so
that 15x (1/30) is exact.
Source: hyperliquid-protocol 4.1, 4.2, U-MAR-1.
"""

from dataclasses import dataclass
from math import lcm

from chainperp.base.rounding import floor_div
from chainperp.base.units import Usd


@dataclass(frozen=True, slots=True)
class MarginTier:
    """One step of a margin table: maintenance = (notional * rate - deduction) / denominator."""

    lower: Usd
    leverage_max: int
    rate: int
    deduction: int


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What genesis fixes for one perpetual."""

    asset: int
    name: str
    size_decimals: int
    tiers: tuple[MarginTier, ...]
    tier_denominator: int
    impact_notional: Usd
    is_isolated_only: bool

    @property
    def leverage_max(self) -> int:
        """Leverage allowed in the first tier."""
        return self.tiers[0].leverage_max


def margin_tiers(steps: list[tuple[int, int]]) -> tuple[tuple[MarginTier, ...], int]:
    """Tiers with exact rates from (lower bound in micro-USDC, maximum leverage) steps.

    Example: 40x to 150M, 20x above; rates 1/80 and 1/40 over the denominator 80.

    >>> tiers, denominator = margin_tiers([(0, 40), (150_000_000_000_000, 20)])
    >>> denominator, [tier.rate for tier in tiers], tiers[1].deduction
    (80, [1, 2], 150000000000000)
    """
    denominator = 2 * lcm(*(leverage for _, leverage in steps))
    tiers: list[MarginTier] = []
    deduction = 0
    rate_before = 0
    for lower, leverage in steps:
        rate = floor_div(denominator, 2 * leverage)
        if tiers:
            deduction += lower * (rate - rate_before)
        tiers.append(MarginTier(Usd(lower), leverage, rate, deduction))
        rate_before = rate
    return tuple(tiers), denominator
