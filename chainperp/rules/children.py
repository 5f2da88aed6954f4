"""VLT: capital of the liquidity vault's children, and positions that they hold against each other.

A child is an independent account. Its losses end with its own money: nothing is moved to a child
that is below its maintenance margin, and nothing out of one; what moves, moves once a day, by a
published share, within a published part of the whole vault.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from chainperp.base.rounding import floor_div
from chainperp.rules.catalogue import rule

BPS: Final = 10_000


class Child(NamedTuple):
    """A child as the daily rule sees it: micro-USDC of value, maintenance margin, cash that may
    leave, and its target."""

    value: int
    maintenance: int
    available: int
    target: int


@rule("VLT-27")
def netted_lots(one: int, other: int) -> int:
    """Opposite positions of two children in one market are netted: the smaller of the two is closed
    on both sides at the mark, without a fee.

    The value of neither changes; only their margin falls. Source: OBS (`netChildVaultPositions`),
    U-VLT-16.

    >>> netted_lots(5, -3), netted_lots(-5, 8), netted_lots(5, 3), netted_lots(0, 3)
    (3, 5, 0, 0)
    """
    return min(abs(one), abs(other)) if one * other < 0 else 0


@rule("VLT-28")
def capital_share(whole: int, bps: int) -> int:
    """Each child has a published share of the whole vault's value as its target; a published share
    is the most that moves on one day, 5 %.

    Rounding: down. Source: U-VLT-6, U-VLT-15.

    >>> capital_share(1_000_009, 500), capital_share(-5, 500)
    (50000, 0)
    """
    return floor_div(max(whole, 0) * bps, BPS)


@rule("VLT-29")
def plan_capital(
    children: Sequence[Child], parent_available: int, budget: int, least: int
) -> list[int]:
    """Once per UTC day children above their target give to the parent what may leave them, then
    the parent fills up those below it, each in their order, within the day's budget.

    Nothing goes out of or into a child below its maintenance margin, and no move is smaller than
    `least`. Returns signed micro-USDC per child: positive from the parent. Source: U-VLT-6.

    Example: the second child gives its surplus of 30 and the first gets 20 of it: the budget is 50.

    >>> plan_capital([Child(70, 0, 70, 100), Child(80, 0, 80, 50)], 0, 50, 1)
    [20, -30]
    >>> plan_capital([Child(-1, 0, 0, 100)], 500, 50, 1)
    [0]
    """
    moves = [0] * len(children)
    left, cash = budget, parent_available
    for place, child in enumerate(children):
        amount = min(child.value - child.target, child.available, left)
        if child.value >= child.maintenance and amount >= least:
            moves[place] = -amount
            left -= amount
            cash += amount
    for place, child in enumerate(children):
        amount = min(child.target - child.value, cash, left)
        if child.value >= child.maintenance and amount >= least:
            moves[place] = amount
            left -= amount
            cash -= amount
    return moves
