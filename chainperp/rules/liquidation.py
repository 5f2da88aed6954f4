"""LIQ: who is liquidated, in which order, how much, and at which worst price.

A scope is the cross account or one isolated position. The test itself is MRG-8: account value below
maintenance, strictly. Every input of these rules is in the scope's LIQ_TEST entry or proven by it.
"""

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.rules.catalogue import rule

RATIO_BITS = 256


@rule("LIQ-1")
def scope_rank(value: int, maintenance: int) -> int:
    """Scopes are handled from the lowest ratio of account value to maintenance margin up; equal
    ratios by address, the cross account before isolated positions, those by asset.

    Returns the ratio as an integer that keeps the exact order: two different ratios of amounts
    below 2^127 differ by more than 2^-254. Source: U-LIQ-2.

    >>> scope_rank(1, 3) < scope_rank(1, 2) < scope_rank(2, 3)
    True
    >>> scope_rank(-5, 10) == scope_rank(-1, 2)
    True
    """
    return floor_div(value << RATIO_BITS, maintenance)


@rule("LIQ-2")
def is_order_of_scope(order_asset: int, is_cross_order: bool, scope_asset: int, cross: int) -> bool:
    """Before anything is sold, the scope's open orders are cancelled: all in cross markets, or
    those of the isolated position's market.

    Source: U-LIQ-4.

    >>> is_order_of_scope(3, True, 99, 99), is_order_of_scope(3, False, 99, 99)
    (True, False)
    >>> is_order_of_scope(3, False, 3, 99)
    True
    """
    if scope_asset == cross:
        return is_cross_order
    return order_asset == scope_asset


@rule("LIQ-3")
def liquidation_lots(
    lots: int, notional: int, threshold: int, percent: int, in_cooldown: bool
) -> int:
    """A position worth more than 100,000 USDC is first reduced by 20 %; in the 30 seconds after a
    partial liquidation of the account, and below that size, all of it is sold at once.

    Rounding: up to a lot, at least one. Source: DOC[Liquidations], U-LIQ-6.

    >>> liquidation_lots(101, 200_000_000_000, 100_000_000_000, 20, False)
    21
    >>> liquidation_lots(101, 100_000_000_000, 100_000_000_000, 20, False)
    101
    >>> liquidation_lots(101, 200_000_000_000, 100_000_000_000, 20, True)
    101
    """
    if in_cooldown or notional <= threshold:
        return lots
    return max(1, ceil_div(lots * percent, 100))


@rule("LIQ-4")
def bankruptcy_price(lots_signed: int, mark: int, value: int, fee_rate: int, fee_one: int) -> int:
    """A market liquidation never sells below the price at which the scope's value would be zero,
    fee included: it cannot make bad debt.

    Formula: the p with value + lots * (p - mark) - |lots| * p * fee = 0.
    Rounding: in the account's favour (a sale up, a purchase down); at least 1.
    Source: U-REL-2 (the parameter `liq_limit` 0 uses the price band alone, U-LIQ-5).

    Example: long 100 at 3,670 with a value of 7,000 and no fee is bankrupt at 3,600.

    >>> bankruptcy_price(100, 3670, 7000, 0, 1_000_000)
    3600
    >>> bankruptcy_price(-100, 3670, 7000, 0, 1_000_000)
    3740
    """
    size = abs(lots_signed)
    if lots_signed > 0:
        worth = (size * mark - value) * fee_one
        return max(1, ceil_div(worth, size * (fee_one - fee_rate)))
    worth = (size * mark + value) * fee_one
    return max(1, floor_div(worth, size * (fee_one + fee_rate)))


@rule("LIQ-5")
def position_rank(maintenance: int, asset: int) -> tuple[int, int]:
    """Inside a cross account the position with the largest maintenance margin is sold first, equal
    ones by asset; the account is tested again after each and selling stops when it is safe.

    Source: U-LIQ-3.

    >>> sorted([(5, 0), (9, 2), (9, 1)], key=lambda one: position_rank(*one))
    [(9, 1), (9, 2), (5, 0)]
    """
    return -maintenance, asset


@rule("LIQ-6")
def is_in_cooldown(started_ms: int, now_ms: int, period_ms: int) -> bool:
    """The cooldown lasts 30 seconds from the block of the account's last partial liquidation.

    A start of 0 means never. Source: DOC[Liquidations], U-LIQ-7.

    >>> is_in_cooldown(1000, 30_999, 30_000), is_in_cooldown(1000, 31_000, 30_000)
    (True, False)
    >>> is_in_cooldown(0, 10, 30_000)
    False
    """
    return started_ms > 0 and now_ms - started_ms < period_ms


@rule("LIQ-7")
def work_and_wait(due: int, limit: int) -> tuple[int, int]:
    """A block handles at most its limit of scopes; the rest wait, are logged as waiting, and are
    tested again in the next block.

    Source: reliability INV-L13.

    >>> work_and_wait(5, 3), work_and_wait(2, 3)
    ((3, 2), (2, 0))
    """
    work = min(due, limit)
    return work, due - work


@rule("LIQ-8")
def uncovered_deficit(values: list[int]) -> int:
    """What is left uncovered is the sum of all negative values after the phase, counted once.

    A scope that is closed whole leaves what it owes to the insurance account, whose balance may go
    below zero for that reason only; it counts until somebody pays it.
    Source: reliability E5, INV-M10.

    >>> uncovered_deficit([5, -3, -4])
    7
    """
    total = 0
    for value in values:
        if value < 0:
            total -= value
    return total
