"""TRG: stop and take-profit orders. The walk over the waiting ones is `transition/triggers.py`.

A trigger order waits outside the book until the mark reaches its price, and is then sent as an
ordinary order with the id it always had. While it waits it holds no margin and counts as open.
"""

from chainperp.base.units import Price
from chainperp.rules.catalogue import rule
from chainperp.rules.prices import round_to_price_grid


@rule("TRG-1")
def is_ahead_of_mark(trigger: int, mark: int, rises: bool) -> bool:
    """When it is placed, a trigger lies ahead of the mark: a stop that buys and a take-profit that
    sells above it, a stop that sells and a take-profit that buys below it.

    The entry price of the position, or of the parent, is not asked. `rises`: it waits for the mark
    to rise. Source: DOC[TP/SL], OBS: python-sdk issues 117 and 190.

    Example: at a mark of 100 a stop that buys at 100 is refused, one at 101 waits.

    >>> is_ahead_of_mark(100, 100, True), is_ahead_of_mark(101, 100, True)
    (False, True)
    """
    return trigger > mark if rises else trigger < mark


@rule("TRG-2")
def has_fired(trigger: int, mark: int, rises: bool) -> bool:
    """A trigger fires when the mark is at its price or beyond. Nothing but the mark counts: no
    trade, no oracle price.

    Source: DOC[TP/SL].

    >>> has_fired(101, 101, True), has_fired(101, 100, True), has_fired(99, 99, False)
    (True, False, True)
    """
    return mark >= trigger if rises else mark <= trigger


@rule("TRG-3")
def firing_rank(trigger: int, mark: int, oid: int) -> tuple[int, int]:
    """Triggers that have fired are sent before the users' actions of the block: market by market,
    those farthest behind the mark first, then by order id; at most `triggers_per_block`, the others
    in the next block.

    The lowest rank is first. Source: U-ORD-4, U-BLK-2.

    Example: at a mark of 100 a trigger at 90 goes before those at 108 and 92.

    >>> sorted([(92, 1), (108, 2), (90, 3)], key=lambda one: firing_rank(one[0], 100, one[1]))
    [(90, 3), (92, 1), (108, 2)]
    """
    return (trigger - mark if trigger < mark else mark - trigger), oid


@rule("TRG-4")
def ends_siblings(is_parent: bool, filled: int) -> bool:
    """The first fill of a take-profit or stop cancels its siblings, the other children of the same
    parent. One that was sent and rests unfilled leaves them armed.

    Source: DOC[TP/SL], U-ORD-5.

    >>> ends_siblings(False, 1), ends_siblings(False, 0), ends_siblings(True, 1)
    (True, False, False)
    """
    return filled > 0 and not is_parent


@rule("TRG-5")
def wakes_children(lots: int, remaining: int, lacks_margin: bool) -> bool:
    """The children of an order wait until it is done. They wake if it was filled completely, or
    filled in part and then cancelled for insufficient margin; else they are cancelled with it.

    A modified order keeps its place, as a parent or as a child. Source: DOC[TP/SL].

    >>> wakes_children(5, 0, False), wakes_children(5, 3, True), wakes_children(5, 3, False)
    (True, True, False)
    """
    return remaining == 0 or (lacks_margin and remaining < lots)


@rule("TRG-6")
def market_trigger_price(
    mark: int, limit: int, is_buy: bool, numerator: int, denominator: int, size_decimals: int
) -> Price:
    """A market trigger is sent as an order that matches at once or not at all, at most 10 % worse
    than the mark and never worse than the price that its owner signed.

    Formula: buy min(limit, mark * 110 / 100), sell max(limit, mark * 90 / 100).
    Rounding: to the price grid (PRC-2). Source: DOC[TP/SL], U-ORD-14.

    >>> market_trigger_price(100, 120, True, 10, 100, 0)
    110
    >>> market_trigger_price(100, 95, False, 10, 100, 0)
    95
    """
    if is_buy:
        bound = round_to_price_grid(mark * (denominator + numerator), denominator, size_decimals)
        return bound if bound < limit else Price(limit)
    bound = round_to_price_grid(mark * (denominator - numerator), denominator, size_decimals)
    return bound if bound > limit else Price(limit)


@rule("TRG-7")
def may_join_group(is_trigger: bool, reduce_only: bool) -> bool:
    """What belongs to a parent or a position is a take-profit or stop, and reduce-only; an order
    that is not refuses its whole action.

    It may not reduce anything yet: that is asked when it is sent (ORD-8). The first order of an
    action, and each that is no trigger order or is in another market, is a parent of those that
    follow it. Source: DOC[Error responses], RE-HYP.

    >>> may_join_group(True, True), may_join_group(True, False), may_join_group(False, True)
    (True, False, False)
    """
    return is_trigger and reduce_only


@rule("TRG-8")
def lots_when_sent(lots: int, reducible: int) -> int:
    """A take-profit or stop of a position without a size of its own closes what the position is
    when it is sent; one with a size keeps it. Both are cancelled when the position closes.

    `lots` 0 means no size. Source: DOC[TP/SL].

    >>> lots_when_sent(0, 7), lots_when_sent(3, 7)
    (7, 3)
    """
    return lots if lots else reducible
