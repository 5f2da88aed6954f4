"""BLK: the order of actions inside a block. It never looks at who sent what."""

from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.model.actions import (
    ALO,
    Action,
    CancelOrders,
    ModifyOrders,
    PlaceOrders,
    VaultDistribute,
    VaultTransfer,
)
from chainperp.rules.catalogue import rule

CLASS_PASSIVE: Final = 1
CLASS_CANCEL: Final = 2
CLASS_TAKING: Final = 3


@rule("BLK-1")
def action_class(action: Action) -> int:
    """Inside a block, actions that send no GTC or IOC order to a book run first, then cancels,
    then actions with at least one GTC or IOC order; within a class the proposer's order stands.

    A cancel therefore always comes before the orders that could hit what it cancels. A modify is
    classed by its new orders; trigger orders touch no book when placed. What moves money into
    or out of a vault runs with those that take: it may close positions.
    Source: DOC[Order book (hypercore)], U-BLK-1.

    Example: [IOC u1, ALO u2, cancel u3, {ALO, GTC} u4, send u5] runs u2, u5, u3, u1, u4.
    """
    if isinstance(action, PlaceOrders):
        requests = action.orders
    elif isinstance(action, CancelOrders):
        return CLASS_CANCEL
    elif isinstance(action, ModifyOrders):
        requests = [request for _, request in action.modifies]
    elif isinstance(action, VaultDistribute | VaultTransfer):
        return CLASS_TAKING
    else:
        return CLASS_PASSIVE
    for request in requests:
        if request.tif is not ALO and request.trigger is None:
            return CLASS_TAKING
    return CLASS_PASSIVE


@rule("BLK-2")
def periods_due(time_before: int, time_now: int, period: int) -> tuple[int, int]:
    """Work that is due at multiples of a period runs once, in the first block at or after each.

    Returns the last multiple reached and how many were passed since the block before.
    Rounding: down to the multiple. Source: U-FUN-2, U-BLK-2.

    Example: blocks at 3,599,900 and 3,600,100 ms cross one hour.

    >>> periods_due(3_599_900, 3_600_100, 3_600_000)
    (1, 1)
    """
    before = floor_div(time_before, period)
    now = floor_div(time_now, period)
    return now, now - before
