"""Place, modify and cancel: the orders of one action, one after another.

Each order is judged by itself (`transition/placing.py`); one refusal does not undo the others.
"""

from typing import Final

from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import (
    ALO,
    GTC,
    CancelOrders,
    Grouping,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
)
from chainperp.model.decisions import ACCEPTED, OrderStatus, Rejection
from chainperp.model.orders import Group, Order
from chainperp.model.tokens import SPOT_FIRST
from chainperp.rules.orders import is_modify_offered, is_own_order
from chainperp.rules.triggers import may_join_group
from chainperp.state.store import State
from chainperp.transition.builders import may_charge
from chainperp.transition.placing import place
from chainperp.transition.recorder import Recorder
from chainperp.transition.spot_matching import end_any_order
from chainperp.transition.spot_placing import place_spot
from chainperp.transition.triggers import place_trigger

PARENT: Final = Grouping.PARENT
POSITION: Final = Grouping.POSITION
CANCELED_BY_USER: Final = Rejection.CANCELED_BY_USER


def _check_batch(state: State, count: int) -> Rejection:
    """An action has at least one order and at most the stated number (ORD-1)."""
    if count == 0:
        return Rejection.ORDERS_EMPTY
    if count > state.parameters.orders_per_action_max:
        return Rejection.TOO_MANY_IN_ACTION
    return ACCEPTED


def process_place(
    state: State, recorder: Recorder, account: Account, action: PlaceOrders, cause: int
) -> Rejection:
    """Place the orders of one action."""
    verdict = _check_batch(state, len(action.orders))
    if verdict is not ACCEPTED:
        return verdict
    if action.builder is not None and not may_charge(state, account, action.builder):
        return Rejection.BUILDER_NOT_APPROVED
    requests, grouping = action.orders, action.grouping
    if grouping is PARENT:
        return _place_families(state, recorder, account, requests, cause)
    if grouping is POSITION and not _are_protective(requests):
        return Rejection.TRIGGER_NOT_REDUCE_ONLY
    for request in requests:
        if request.asset >= SPOT_FIRST:
            place_spot(state, recorder, account, request, cause)
        elif request.trigger is None:
            place(state, recorder, account, request, cause, None)
        else:
            is_position = grouping is POSITION
            place_trigger(state, recorder, account, request, is_position=is_position)
    return ACCEPTED


def _are_protective(requests: list[OrderRequest]) -> bool:
    """Whether every order among them may belong to a parent or position (TRG-7)."""
    return all(may_join_group(one.trigger is not None, one.reduce_only) for one in requests)


def _place_families(
    state: State, recorder: Recorder, account: Account, requests: list[OrderRequest], cause: int
) -> Rejection:
    """Place parents, each with the trigger orders that follow it as its children."""
    families: list[list[OrderRequest]] = []
    for request in requests:
        if request.trigger is None or not families or families[-1][0].asset != request.asset:
            families.append([request])
        else:
            families[-1].append(request)
    if not all(_are_protective(family[1:]) for family in families):
        return Rejection.TRIGGER_NOT_REDUCE_ONLY
    for parent, *children in families:
        group = Group(state.next_oid)
        if parent.asset >= SPOT_FIRST:
            # The children have triggers, which spot does not take: each is refused by itself.
            for request in (parent, *children):
                place_spot(state, recorder, account, request, cause)
            continue
        if parent.trigger is None:
            place(state, recorder, account, parent, cause, None, group=group)
        else:
            place_trigger(state, recorder, account, parent, group=group)
        for child in children:
            place_trigger(state, recorder, account, child, group=group, is_child=True)
    return ACCEPTED


def process_cancel(
    state: State, recorder: Recorder, account: Account, action: CancelOrders
) -> Rejection:
    """Cancel the account's own orders, found by order id or client id."""
    verdict = _check_batch(state, len(action.targets))
    if verdict is not ACCEPTED:
        return verdict
    for asset, target in action.targets:
        order = _own_order(account, target)
        if order is None or order.asset != asset:
            _refuse_missing(recorder, account, asset, target, Rejection.MISSING_ORDER)
        else:
            end_any_order(state, recorder, order, CANCELED_BY_USER)
    return ACCEPTED


def _own_order(account: Account, target: int | bytes) -> Order | None:
    if isinstance(target, bytes):
        return account.cloids.get(target)
    return account.orders[target] if is_own_order(account.orders, target) else None


def _refuse_missing(
    recorder: Recorder, account: Account, asset: int, target: int | bytes, reason: Rejection
) -> None:
    """Record a cancel or modify that was refused. The order that it names, if it lives at all, is
    as it was: the decision has a status of its own."""
    oid, cloid = (0, target) if isinstance(target, bytes) else (target, None)
    order = Order(oid, account, Exposure(asset, True, 1), False, 0, 0, False, GTC, cloid)
    recorder.order(order, OrderStatus.REQUEST_REFUSED, reason, 0, 0)


def process_modify(
    state: State, recorder: Recorder, account: Account, action: ModifyOrders, cause: int
) -> Rejection:
    """Replace orders: the old one goes only when the new one is accepted (ORD-13)."""
    verdict = _check_batch(state, len(action.modifies))
    if verdict is not ACCEPTED:
        return verdict
    for target, request in action.modifies:
        order = _own_order(account, target)
        if order is not None and order.asset != request.asset:
            order = None
        if order is None and not action.always_place:
            _refuse_missing(recorder, account, request.asset, target, Rejection.MODIFY_MISSING)
            continue
        is_gtc = request.tif is GTC and request.trigger is None
        is_alo = request.tif is ALO
        if not is_modify_offered(is_alo, is_gtc, action.always_place):
            _refuse_missing(recorder, account, request.asset, target, Rejection.MODIFY_INVALID)
            continue
        if is_gtc and not action.always_place:
            request = _as_post_only(request)
        if request.asset >= SPOT_FIRST:
            place_spot(state, recorder, account, request, cause, order)
        elif request.trigger is None:
            place(state, recorder, account, request, cause, order)
        else:
            place_trigger(state, recorder, account, request, replaced=order)
    return ACCEPTED


def _as_post_only(request: OrderRequest) -> OrderRequest:
    """The same request as ALO: what a modify without `always_place` makes of a GTC."""
    return OrderRequest(
        request.asset,
        request.is_buy,
        request.price,
        request.size,
        request.reduce_only,
        ALO,
        cloid=request.cloid,
    )
