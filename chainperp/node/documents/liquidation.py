"""The mark at which a position's scope is liquidated, by the rules and to the tick.

The rules round the requirement up once for each position, so the closed form of each tier gives a
first guess and the test itself (MRG-8) decides between its neighbours.
Source: hyperliquid-protocol 4.4.
"""

from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.model.accounts import Account, Exposure
from chainperp.model.markets import MarketTerms
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.state.store import State

PRICE_MAX: Final = 10**15
"""No mark is shown above this, on the grid of a market without decimals (10^-6)."""


def liquidation_price(state: State, account: Account, exposure: Exposure) -> int | None:
    """The mark nearest to the present one at which the scope of a position is liquidated: the
    highest below for a long, the lowest above for a short, everything else standing still.

    Returns a price on the market's grid, or None when no positive mark does it.
    """
    base, others = _without(state, account, exposure)
    terms = state.markets[exposure.asset].terms
    lots = exposure.lots

    def fails(mark: int) -> bool:
        worth = lots * mark
        needed = others + maintenance_margin(abs(worth), terms)
        found: bool = is_liquidatable(base + worth, needed)
        return found

    step = 1 if lots > 0 else -1
    guess = max(1, _guess(base - others, lots, terms))
    # Each step away from zero equity moves the test by the same sign: at most a few are needed.
    while guess + step >= 1 and fails(guess + step):
        guess += step
    while guess >= 1 and not fails(guess):
        guess -= step
    return guess if 1 <= guess <= PRICE_MAX else None


def _without(state: State, account: Account, exposure: Exposure) -> tuple[int, int]:
    """Value and maintenance of the scope without the position itself."""
    if not exposure.is_cross:
        return exposure.raw_isolated, 0
    base: int = account.raw
    others = 0
    for other in account.exposures.values():
        if other.lots and other.is_cross and other is not exposure:
            market = state.markets[other.asset]
            worth = other.lots * market.mark
            base += worth
            others += maintenance_margin(abs(worth), market.terms)
    return base, others


def _guess(free: int, lots: int, terms: MarketTerms) -> int:
    """The price where free + lots * p is the requirement of the tier that is valid there, down.

    free + lots p = (|lots| p rate - deduction) / d, so p = (free d + deduction) / (|lots| rate -
    lots d). The requirement is the largest of all tiers' lines, so the valid tier is the one whose
    crossing comes first: the highest price for a long, the lowest for a short.
    """
    denominator = terms.tier_denominator
    found: list[int] = []
    for tier in terms.tiers:
        slope = abs(lots) * tier.rate - lots * denominator
        over = free * denominator + tier.deduction
        found.append(floor_div(-over, -slope) if slope < 0 else floor_div(over, slope))
    return max(found) if lots > 0 else min(found)
