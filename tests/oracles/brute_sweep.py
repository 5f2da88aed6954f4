"""Liquidatable scopes by definition: every scope of every account, with fractions.

Written from the protocol alone (4.1, 6.4): maintenance is summed bracket by bracket, like an income
tax; nothing of the margin rules, of the valuation or of the sweep is used.
"""

from fractions import Fraction
from math import ceil

from chainperp.base.units import Address
from chainperp.model.accounts import Exposure
from chainperp.model.markets import MarketTerms
from chainperp.state.store import State

CROSS = 0xFFFF_FFFF


def bracket_maintenance(notional: int, terms: MarketTerms) -> int:
    """Half the initial margin at each bracket's maximum leverage, on the notional inside it."""
    total = Fraction(0)
    for number, tier in enumerate(terms.tiers):
        top = notional
        if number + 1 < len(terms.tiers):
            top = min(notional, terms.tiers[number + 1].lower)
        if top > tier.lower:
            total += Fraction(top - tier.lower, 2 * tier.leverage_max)
    return ceil(total)


def numbers_of(state: State, raw: int, held: list[Exposure]) -> tuple[int, int]:
    """Value and maintenance margin of some positions with their cash."""
    value, maintenance = raw, 0
    for exposure in held:
        market = state.markets[exposure.asset]
        value += exposure.lots * market.mark
        maintenance += bracket_maintenance(abs(exposure.lots) * market.mark, market.terms)
    return value, maintenance


def liquidatable_scopes(state: State) -> list[tuple[Address, int]]:
    """All scopes with value below maintenance, by address and scope."""
    found: list[tuple[Address, int]] = []
    for address, account in state.accounts.items():
        held = [one for one in account.exposures.values() if one.lots]
        cross = [one for one in held if one.is_cross]
        scopes = [(CROSS, account.raw, cross)] if cross else []
        scopes += [(one.asset, one.raw_isolated, [one]) for one in held if not one.is_cross]
        for scope, raw, positions in scopes:
            value, maintenance = numbers_of(state, raw, positions)
            if value < maintenance:
                found.append((address, scope))
    return sorted(found)
