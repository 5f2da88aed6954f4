"""Place one spot order: check, match, then rest or cancel what is left.

As `placing.py` does it on perpetuals; the questions are SPT-1 to SPT-5 with the limits on number
and client id (ORD-7, ORD-12) and post-only (ORD-9). It ends in exactly one ORDER decision.
"""

from chainperp.model.accounts import Account
from chainperp.model.actions import OrderRequest, TimeInForce
from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.model.orders import Order
from chainperp.model.tokens import SPOT_FIRST
from chainperp.rules.matching import rests
from chainperp.rules.orders import (
    is_cloid_free,
    open_orders_limit,
    order_price,
    order_size,
    would_match,
)
from chainperp.rules.prices import is_on_price_grid
from chainperp.rules.spot import (
    check_spot_kind,
    is_pair_known,
    is_spot_balance_enough,
    is_spot_value_enough,
    spot_hold,
)
from chainperp.state.pairs import SpotPair
from chainperp.state.store import State
from chainperp.transition.matching import Verdict
from chainperp.transition.placing import best_opposite, refuse_form
from chainperp.transition.recorder import Recorder
from chainperp.transition.spot_matching import (
    end_spot_order,
    held_token,
    match_spot,
    rest_spot_order,
)


def place_spot(
    state: State,
    recorder: Recorder,
    account: Account,
    request: OrderRequest,
    cause: int,
    replaced: Order | None = None,
) -> None:
    """Judge one spot order and carry it out. `replaced` is the order of the same pair that a modify
    gives up for it: it counts as gone in every check."""
    oid = state.next_oid
    state.next_oid += 1
    form = _check_form(state, request)
    if form[0] is not Rejection.ACCEPTED:
        refuse_form(recorder, account, request, oid, form)
        return
    pair = state.pairs[request.asset - SPOT_FIRST]
    order = Order(
        oid, account, pair.exposure, request.is_buy, form[1], form[2], False, request.tif,
        request.cloid,
    )  # fmt: skip
    verdict = _check(state, pair, order, replaced)
    if verdict[0] is not Rejection.ACCEPTED:
        recorder.order(order, OrderStatus.REJECTED, verdict[0], verdict[1], verdict[2])
        return
    if replaced is not None:
        end_spot_order(state, recorder, pair, replaced, Rejection.MODIFIED)
    _execute(state, recorder, pair, order, cause, verdict)


def _check_form(state: State, request: OrderRequest) -> Verdict:
    """The first refusal of a request's form, or its price and size on the pair's grid."""
    asset, pairs = request.asset, len(state.pairs)
    if not is_pair_known(asset, pairs):
        return Rejection.MARKET_UNKNOWN, asset, SPOT_FIRST + pairs
    pair = state.pairs[asset - SPOT_FIRST]
    lots = order_size(request.size, pair.lot_e8)
    if lots is None:
        return Rejection.SIZE_INVALID, request.size, pair.lot_e8
    if lots == 0:
        return Rejection.SIZE_ZERO, 0, 1
    price = order_price(request.price, pair.tick_e8)
    if price is None or price <= 0 or not is_on_price_grid(price, pair.size_decimals):
        return Rejection.TICK, request.price, pair.tick_e8
    kind = check_spot_kind(
        request.reduce_only, request.trigger is not None, request.builder is not None
    )
    if kind is not Rejection.ACCEPTED:
        return kind, request.price, request.size
    return Rejection.ACCEPTED, price, lots


def _check(state: State, pair: SpotPair, order: Order, replaced: Order | None) -> Verdict:
    """Questions about the order's value, its owner's other orders, the book and the balance."""
    parameters, account = state.parameters, order.account
    notional = order.price * order.lots
    if not is_spot_value_enough(notional, parameters.spot_order_value_min):
        return Rejection.SPOT_MIN_NOTIONAL, notional, parameters.spot_order_value_min
    live = len(account.orders) - (1 if replaced is not None else 0)
    if live >= parameters.open_orders_base:
        limit = open_orders_limit(account.volume_total, parameters)
        if live >= limit:
            return Rejection.TOO_MANY_OPEN_ORDERS, live, limit
    if not is_cloid_free(order.cloid, account.cloids) and (
        replaced is None or replaced.cloid != order.cloid
    ):
        return Rejection.CLOID_IN_USE, 0, 0
    best = best_opposite(pair.book, order, replaced)
    if order.tif is TimeInForce.ALO and would_match(order.price, order.is_buy, best):
        return Rejection.BAD_ALO_PRICE, order.price, best if best is not None else 0
    free = state.spot_free(held_token(pair, order), account.address)
    if replaced is not None and replaced.is_buy is order.is_buy:
        free += spot_hold(replaced.is_buy, replaced.price, replaced.remaining, pair.wei_per_lot)
    needed = spot_hold(order.is_buy, order.price, order.lots, pair.wei_per_lot)
    if not is_spot_balance_enough(free, needed):
        return Rejection.SPOT_BALANCE, free, needed
    return Rejection.ACCEPTED, free, needed


def _execute(
    state: State, recorder: Recorder, pair: SpotPair, order: Order, cause: int, verdict: Verdict
) -> None:
    """Match an accepted order, then rest or cancel what is left, and record the outcome."""
    if order.tif is not TimeInForce.ALO:
        match_spot(state, recorder, pair, order, cause)
    filled = order.remaining < order.lots
    reason = Rejection.ACCEPTED
    if rests(order.tif is not TimeInForce.IOC, order.remaining):
        rest_spot_order(state, pair, order)
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    elif order.remaining == 0:
        status = OrderStatus.FILLED
    elif filled:
        status, reason = OrderStatus.CANCELED, Rejection.IOC_REMAINDER
    else:
        status, reason = OrderStatus.REJECTED, Rejection.IOC_CANCEL
    recorder.order(order, status, reason, verdict[1], verdict[2])
