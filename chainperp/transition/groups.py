"""Orders that wait for the mark, and the ties between an order and its take-profit and stop.

Bookkeeping under `matching.py`, which ends orders, and `triggers.py`, which places and sends them.
"""

from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.model.orders import Group, Order, Trigger
from chainperp.rules.triggers import ends_siblings, wakes_children
from chainperp.state.store import Market
from chainperp.transition.recorder import Recorder


def is_armed(order: Order) -> bool:
    """Whether a waiting order fires by the mark alone: it has no parent, or one that is done."""
    group = order.group
    return group is None or group.is_awake or group.parent is order


def wait(market: Market, order: Order, trigger: Trigger) -> None:
    """Let an accepted trigger order wait. It holds no margin."""
    account = order.account
    order.trigger = trigger
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    if trigger.is_position:
        order.exposure.reduce_only_orders += 1
    market.triggers.orders[order.oid] = order
    if is_armed(order):
        market.triggers.arm(order, trigger)


def stop_waiting(market: Market, order: Order, trigger: Trigger) -> None:
    """Take a waiting order out of every list, because it is sent or ends."""
    account = order.account
    market.triggers.remove(order, trigger)
    del account.orders[order.oid]
    if order.cloid is not None:
        del account.cloids[order.cloid]
    if trigger.is_position:
        order.exposure.reduce_only_orders -= 1


def record_waiting(recorder: Recorder, market: Market, order: Order, trigger: Trigger) -> None:
    """Record that an order waits, for its parent or for the mark, with mark and trigger price."""
    status = OrderStatus.WAITING_FOR_TRIGGER
    if not is_armed(order):
        status = OrderStatus.WAITING_FOR_FILL
    recorder.order(order, status, Rejection.ACCEPTED, market.mark, trigger.price)


def wake(recorder: Recorder, market: Market, group: Group) -> None:
    """Arm the children of a parent that is done (TRG-5)."""
    group.is_awake = True
    for child in group.children:
        if child.trigger is not None:
            market.triggers.arm(child, child.trigger)
            record_waiting(recorder, market, child, child.trigger)


def end_waiting(recorder: Recorder, market: Market, order: Order, reason: Rejection) -> None:
    """Cancel an order that waits for the mark. One that has ended with its parent is passed over:
    who cancels all orders of an account meets both."""
    trigger = order.trigger
    if trigger is None or order.oid not in market.triggers.orders:
        return
    stop_waiting(market, order, trigger)
    recorder.order(order, OrderStatus.CANCELED, reason, market.mark, trigger.price)
    leave_group(recorder, market, order, reason)


def leave_group(recorder: Recorder, market: Market, order: Order, reason: Rejection) -> None:
    """Take an order that is done out of its group. A parent wakes its children or ends them, who
    all wait for it."""
    group = order.group
    if group is None:
        return
    order.group = None
    if group.parent is not order:
        group.children.remove(order)
        return
    group.parent = None
    if wakes_children(order.lots, order.remaining, reason is Rejection.MARGIN_CANCELED):
        wake(recorder, market, group)
        return
    for child in group.children:
        child.group = None
        if child.trigger is not None:
            stop_waiting(market, child, child.trigger)
            recorder.order(
                child,
                OrderStatus.CANCELED,
                Rejection.PARENT_ENDED,
                market.mark,
                child.trigger.price,
            )
    group.children = []


def inherit(old: Order, new: Order) -> None:
    """Give the place of an order that a modify replaces to the new one, if it can take it."""
    group = old.group
    if group is None:
        return
    if group.parent is old:
        group.parent = new
    elif new.trigger is not None and new.reduce_only:
        group.children.remove(old)
        group.children.append(new)
    else:
        return
    new.group = group
    old.group = None


def siblings_to_end(order: Order) -> list[Order]:
    """After a fill: the siblings that end with it (TRG-4). The group is then no more."""
    group = order.group
    if group is None or not ends_siblings(group.parent is order, order.lots - order.remaining):
        return []
    siblings = [child for child in group.children if child is not order]
    for child in group.children:
        child.group = None
    group.children = []
    return siblings
