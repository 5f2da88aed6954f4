"""BKS: the liquidator vault: when it takes a scope over, how much it can take, how it sells.

It is an ordinary account. What it earns and loses is its depositors'; it draws on nobody else.
"""

from typing import Final

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.rules.catalogue import rule

LN2_PPM: Final = 693_147


@rule("BKS-1")
def is_backstop_due(value: int, maintenance: int, numerator: int, denominator: int) -> bool:
    """What the book did not rescue is taken over when its value is positive and below two thirds
    of maintenance: positions at mark, and all of its margin.

    Formula: 0 < value and value * 3 < maintenance * 2. Source: DOC[Liquidations], U-LIQ-10..12.

    >>> is_backstop_due(4_000, 7_280, 2, 3), is_backstop_due(4_854, 7_280, 2, 3)
    (True, False)
    >>> is_backstop_due(0, 7_280, 2, 3)
    False
    """
    return value > 0 and value * denominator < maintenance * numerator


@rule("BKS-2")
def is_backstop_affordable(
    vault_value: int, vault_margin: int, vault_notional: int, notional_max: int
) -> bool:
    """The vault takes a scope whole or not at all: afterwards its own value covers its margin at
    10x, and its positions are within its capital cap.

    Source: U-LIQ-13.

    >>> is_backstop_affordable(100, 100, 50, 50), is_backstop_affordable(99, 100, 50, 50)
    (True, False)
    >>> is_backstop_affordable(100, 100, 51, 50)
    False
    """
    return vault_value >= vault_margin and vault_notional <= notional_max


@rule("BKS-3")
def unwind_lots(lots: int, elapsed_ms: int, half_life_ms: int) -> int:
    """The vault works its positions off by a published schedule: in every step it offers the
    share that would halve them in ten minutes.

    Formula: lots * ln 2 * elapsed / half life, at most all. Rounding: up to a lot.
    Source: U-LIQ-15.

    Example: 100,000 lots after one second: 115.5 lots.

    >>> unwind_lots(100_000, 1_000, 600_000), unwind_lots(5, 1_000, 600_000)
    (116, 1)
    """
    return min(lots, ceil_div(lots * LN2_PPM * elapsed_ms, half_life_ms * 1_000_000))


@rule("BKS-4")
def is_backstop_offered(is_isolated_only: bool) -> bool:
    """Markets that are isolated only have no backstop: the book, then auto-deleveraging.

    Source: U-LIQ-16.

    >>> is_backstop_offered(True), is_backstop_offered(False)
    (False, True)
    """
    return not is_isolated_only


@rule("BKS-5")
def unwind_limit(mark: int, is_buy: bool, slippage_bps: int) -> int:
    """The vault's selling accepts at most 2 % less than the mark, its buying at most 2 % more.

    Rounding: towards the mark. Source: U-LIQ-15.

    >>> unwind_limit(10_000, False, 200), unwind_limit(10_000, True, 200)
    (9800, 10200)
    """
    if is_buy:
        return floor_div(mark * (10_000 + slippage_bps), 10_000)
    return ceil_div(mark * (10_000 - slippage_bps), 10_000)


@rule("BKS-6")
def routed_share(collateral: int, share_bps: int) -> int:
    """Of the margin that a takeover brings, published shares go to the assistance fund and to the
    insurance account; the vault's depositors keep the rest.

    Rounding: down, the residue is the depositors'. Default: all of it theirs, as on Hyperliquid.
    Source: DOC[Liquidations], decision 12.

    >>> routed_share(1_999, 5_000)
    999
    """
    return floor_div(collateral * share_bps, 10_000)
