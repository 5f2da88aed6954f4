"""Place, modify and cancel: check, plan, apply.

A request is first made an `Intent` on the market's grid, or refused; then asked the questions of
`rules/orders.py` in their fixed order; then matched; then what is left rests or is cancelled. Every
request ends in exactly one ORDER decision that says how.
"""

from typing import Final

from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import (
    CancelOrders,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
)
from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.model.orders import Order
from chainperp.rules.margin import initial_margin
from chainperp.rules.matching import rests
from chainperp.rules.orders import (
    is_cloid_free,
    is_inside_band,
    is_margin_enough,
    is_market_known,
    is_modify_offered,
    is_own_order,
    is_tier_respected,
    is_value_enough,
    open_orders_limit,
    order_price,
    order_size,
    order_value_max,
    reducible_lots,
    would_match,
)
from chainperp.rules.prices import is_on_price_grid
from chainperp.state.store import Market, State
from chainperp.transition.fills import roll_fee_day
from chainperp.transition.matching import Taker, end_order, match, rest_order
from chainperp.transition.recorder import OrderFacts, Recorder
from chainperp.transition.valuation import refresh

Verdict = tuple[Rejection, int, int]
ACCEPTED: Verdict = (Rejection.ACCEPTED, 0, 0)


class Intent:
    """A request on its market's grid, with the account's exposure in that market."""

    __slots__ = ("account", "cloid", "exposure", "is_buy", "lots", "market", "oid", "price",
                 "reduce_only", "tif")  # fmt: skip

    def __init__(
        self, oid: int, account: Account, exposure: Exposure, market: Market,
        request: OrderRequest, price: int, lots: int,
    ) -> None:  # fmt: skip
        self.oid = oid
        self.account = account
        self.exposure = exposure
        self.market = market
        self.is_buy = request.is_buy
        self.price = price
        self.lots = lots
        self.reduce_only = request.reduce_only
        self.tif = request.tif
        self.cloid = request.cloid


def _check_batch(state: State, count: int) -> Rejection:
    """An action has at least one order and at most the stated number (ORD-1)."""
    if count == 0:
        return Rejection.ORDERS_EMPTY
    if count > state.parameters.orders_per_action_max:
        return Rejection.TOO_MANY_IN_ACTION
    return Rejection.ACCEPTED


def process_place(
    state: State, recorder: Recorder, account: Account, action: PlaceOrders, cause: int
) -> Rejection:
    """Place the orders of one action, one after another; each is judged by itself."""
    verdict = _check_batch(state, len(action.orders))
    if verdict is not Rejection.ACCEPTED:
        return verdict
    for request in action.orders:
        place(state, recorder, account, request, cause, None)
    return Rejection.ACCEPTED


def place(
    state: State,
    recorder: Recorder,
    account: Account,
    request: OrderRequest,
    cause: int,
    replaced: Order | None,
) -> None:
    """Judge one order and carry it out. `replaced` is the order that a modify gives up for it:
    it counts as gone in every check and is cancelled only when the new order is accepted."""
    oid = state.next_oid
    state.next_oid += 1
    verdict, intent = _intent(state, oid, account, request)
    if intent is None:
        _refuse_form(recorder, account, request, oid, verdict)
        return
    verdict = _check(state, intent, replaced)
    if verdict[0] is not Rejection.ACCEPTED:
        recorder.order(
            _facts(intent), OrderStatus.REJECTED, verdict[0], intent.lots, verdict[1], verdict[2]
        )
        return
    if replaced is not None:
        end_order(state, recorder, intent.market, replaced, Rejection.MODIFIED)
    _execute(state, recorder, intent, cause, verdict)


def _intent(
    state: State, oid: int, account: Account, request: OrderRequest
) -> tuple[Verdict, Intent | None]:
    """The request on the grid, or the first refusal of its form (ORD-1 to ORD-3)."""
    asset = request.asset
    if not is_market_known(asset, len(state.markets)):
        return (Rejection.MARKET_UNKNOWN, asset, len(state.markets)), None
    if request.is_trigger:
        return (Rejection.TRIGGER_NOT_OFFERED, 0, 0), None
    market = state.markets[asset]
    lots = order_size(request.size, market.lot_e8)
    if lots is None:
        return (Rejection.SIZE_INVALID, request.size, market.lot_e8), None
    if lots == 0:
        return (Rejection.SIZE_ZERO, 0, 1), None
    price = order_price(request.price, market.tick_e8)
    if price is None or price <= 0 or not is_on_price_grid(price, market.terms.size_decimals):
        return (Rejection.TICK, request.price, market.tick_e8), None
    if not market.oracle:
        return (Rejection.NO_PRICE, 0, 1), None
    refresh(state, account)
    exposure = state.open_exposure(account, asset)
    return ACCEPTED, Intent(oid, account, exposure, market, request, price, lots)


def _check(state: State, intent: Intent, replaced: Order | None) -> Verdict:
    """Questions about the order in its market and about its owner (ORD-4 to ORD-11)."""
    market, exposure, account = intent.market, intent.exposure, intent.account
    parameters = state.parameters
    price, lots = intent.price, intent.lots
    if not is_inside_band(
        price, market.oracle, parameters.order_band_numerator, parameters.order_band_denominator
    ):
        return Rejection.ORACLE_BAND, price, market.oracle
    notional = price * lots
    reducible = reducible_lots(exposure.lots, intent.is_buy)
    closes = intent.reduce_only and 0 < reducible <= lots
    if not is_value_enough(notional, parameters.order_value_min, closes):
        return Rejection.MIN_TRADE_NOTIONAL, notional, parameters.order_value_min
    value_max = order_value_max(
        market.terms.leverage_max, intent.tif is not TimeInForce.IOC, parameters
    )
    if notional > value_max:
        return Rejection.MAX_ORDER_VALUE, notional, value_max
    live = len(account.orders) - (1 if replaced is not None else 0)
    if live >= parameters.open_orders_base:
        limit = open_orders_limit(account.volume_total, parameters)
        if live >= limit or intent.reduce_only:
            return Rejection.TOO_MANY_OPEN_ORDERS, live, limit
    if not is_cloid_free(intent.cloid, account.cloids) and (
        replaced is None or replaced.cloid != intent.cloid
    ):
        return Rejection.CLOID_IN_USE, 0, 0
    if intent.reduce_only and reducible == 0:
        return Rejection.REDUCE_ONLY, exposure.lots, lots
    opposite = market.book.opposite(intent.is_buy)
    best = opposite.best_price()
    if best is not None and replaced is not None:
        best = _best_without(market, intent, replaced)
    crosses = would_match(price, intent.is_buy, best)
    if intent.tif is TimeInForce.ALO and crosses:
        return Rejection.BAD_ALO_PRICE, price, best if best is not None else 0
    return _check_margin(intent, replaced, reducible, crosses)


def _best_without(market: Market, intent: Intent, replaced: Order) -> int | None:
    """Best opposite price as if the order to be replaced were gone already."""
    opposite = market.book.opposite(intent.is_buy)
    level = replaced.level
    if (
        replaced.is_buy is intent.is_buy
        or level is None
        or level.first is not level.last
        or opposite.best() is not level
    ):
        return opposite.best_price()
    return opposite.sign * opposite.keys[-2] if len(opposite.keys) > 1 else None


def _check_margin(intent: Intent, replaced: Order | None, reducible: int, crosses: bool) -> Verdict:
    """ORD-10 and ORD-11: the tier, and margin for everything open with this order in it."""
    market, exposure, account = intent.market, intent.exposure, intent.account
    price, lots, is_buy = intent.price, intent.lots, intent.is_buy
    found = account.raw + account.position_value
    if intent.reduce_only:
        return Rejection.ACCEPTED, found, account.margin_total
    mark = market.mark
    after = abs(exposure.lots + (lots if is_buy else -lots)) * mark
    if after > abs(exposure.value) and not is_tier_respected(
        after, exposure.leverage, market.terms
    ):
        return Rejection.PERP_MAX_POSITION, after, exposure.leverage
    bids, asks = exposure.bids_notional, exposure.asks_notional
    same_side_lots = exposure.bids_lots if is_buy else exposure.asks_lots
    if replaced is not None and not replaced.reduce_only and replaced.exposure is exposure:
        given_up = replaced.remaining * replaced.price
        if replaced.is_buy:
            bids -= given_up
        else:
            asks -= given_up
        if replaced.is_buy is is_buy:
            same_side_lots -= replaced.remaining
    matching = _matching_lots(intent, replaced) if crosses else 0
    held = (lots - matching) * price + matching * mark
    if is_buy:
        bids += held
    else:
        asks += held
    margin = initial_margin(exposure.value, bids, asks, exposure.leverage, exposure.is_cross)
    needed = account.margin_total - exposure.margin + margin
    if is_margin_enough(found, needed) or same_side_lots + lots <= reducible:
        return Rejection.ACCEPTED, found, needed
    return Rejection.PERP_MARGIN, found, needed


def _matching_lots(intent: Intent, replaced: Order | None) -> int:
    """Lots of the order that would match at once, without the order it replaces."""
    opposite = intent.market.book.opposite(intent.is_buy)
    gone = 0
    if (
        replaced is not None
        and replaced.is_buy is not intent.is_buy
        and would_match(intent.price, intent.is_buy, replaced.price)
    ):
        gone = replaced.remaining
    return opposite.lots_within(intent.price, intent.lots + gone) - gone


def _execute(
    state: State, recorder: Recorder, intent: Intent, cause: int, verdict: Verdict
) -> None:
    """Match an accepted order, then rest or cancel what is left, and record the outcome."""
    account, exposure, market = intent.account, intent.exposure, intent.market
    roll_fee_day(state, account)
    taker = Taker(
        intent.oid,
        account,
        exposure,
        intent.is_buy,
        intent.price,
        intent.lots,
        intent.reduce_only,
        cause,
    )
    if intent.tif is not TimeInForce.ALO:
        match(state, recorder, market, taker)
    remaining = taker.remaining
    filled = intent.lots - remaining
    found, needed = verdict[1], verdict[2]
    stopped = taker.stopped
    if stopped is Rejection.PERP_MARGIN:
        found, needed = taker.found, taker.needed
    elif stopped is Rejection.ACCEPTED and rests(intent.tif is not TimeInForce.IOC, remaining):
        stopped = _check_rest(intent, remaining) if filled else Rejection.ACCEPTED
        if stopped is Rejection.ACCEPTED:
            _rest(state, recorder, intent, remaining, found, needed)
            return
        found, needed = account.raw + account.position_value, account.margin_total
    if remaining == 0:
        status, reason = OrderStatus.FILLED, Rejection.ACCEPTED
    elif filled:
        status, reason = OrderStatus.CANCELED, ENDED_PARTLY_FILLED[stopped]
    else:
        status, reason = OrderStatus.REJECTED, ENDED_UNFILLED[stopped]
    recorder.order(_facts(intent), status, reason, remaining, found, needed)


# How an order ends that stopped for a reason, with and without fills.
ENDED_PARTLY_FILLED: Final = {
    Rejection.ACCEPTED: Rejection.IOC_REMAINDER,
    Rejection.PERP_MARGIN: Rejection.MARGIN_CANCELED,
    Rejection.REDUCE_ONLY_CANCELED: Rejection.REDUCE_ONLY_CANCELED,
}
ENDED_UNFILLED: Final = {
    Rejection.ACCEPTED: Rejection.IOC_CANCEL,
    Rejection.PERP_MARGIN: Rejection.PERP_MARGIN,
    Rejection.REDUCE_ONLY_CANCELED: Rejection.REDUCE_ONLY,
}


def _rest(
    state: State, recorder: Recorder, intent: Intent, remaining: int, found: int, needed: int
) -> None:
    """Put what is left into the book."""
    order = Order(
        intent.oid,
        intent.account,
        intent.exposure,
        intent.is_buy,
        intent.price,
        intent.lots,
        intent.reduce_only,
        intent.tif,
        intent.cloid,
    )
    order.remaining = remaining
    rest_order(state, intent.market, order)
    filled = remaining < intent.lots
    status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    recorder.order(_facts(intent), status, Rejection.ACCEPTED, remaining, found, needed)


def _check_rest(intent: Intent, remaining: int) -> Rejection:
    """After partial fills: whether the rest still reduces, and is still covered at its limit."""
    account, exposure, is_buy = intent.account, intent.exposure, intent.is_buy
    reducible = reducible_lots(exposure.lots, is_buy)
    if intent.reduce_only:
        return Rejection.ACCEPTED if reducible else Rejection.REDUCE_ONLY_CANCELED
    same_side_lots = exposure.bids_lots if is_buy else exposure.asks_lots
    if same_side_lots + remaining <= reducible:
        return Rejection.ACCEPTED
    held = remaining * intent.price
    margin = initial_margin(
        exposure.value,
        exposure.bids_notional + (held if is_buy else 0),
        exposure.asks_notional + (0 if is_buy else held),
        exposure.leverage,
        exposure.is_cross,
    )
    needed = account.margin_total - exposure.margin + margin
    found = account.raw + account.position_value
    return Rejection.ACCEPTED if is_margin_enough(found, needed) else Rejection.PERP_MARGIN


def _facts(intent: Intent) -> OrderFacts:
    return OrderFacts(
        intent.oid, intent.account.address, intent.market.asset, intent.is_buy, intent.price,
        intent.lots, intent.tif, intent.reduce_only, intent.cloid,
    )  # fmt: skip


def _refuse_form(
    recorder: Recorder, account: Account, request: OrderRequest, oid: int, verdict: Verdict
) -> None:
    """Record a refusal of a request that is not on its market's grid, or has no market.

    Price and size are then in the record as signed, times 10^8; the reason (ORD-1 to ORD-3, or a
    market without a price) says so.
    """
    facts = OrderFacts(
        oid,
        account.address,
        request.asset,
        request.is_buy,
        request.price,
        request.size,
        request.tif,
        request.reduce_only,
        request.cloid,
    )
    recorder.order(facts, OrderStatus.REJECTED, verdict[0], request.size, verdict[1], verdict[2])


def process_cancel(
    state: State, recorder: Recorder, account: Account, action: CancelOrders
) -> Rejection:
    """Cancel the account's own orders, found by order id or client id."""
    verdict = _check_batch(state, len(action.targets))
    if verdict is not Rejection.ACCEPTED:
        return verdict
    for asset, target in action.targets:
        order = _own_order(account, target)
        if order is None or order.asset != asset:
            _refuse_missing(recorder, account, asset, target)
        else:
            end_order(state, recorder, state.markets[asset], order, Rejection.CANCELED_BY_USER)
    return Rejection.ACCEPTED


def _own_order(account: Account, target: int | bytes) -> Order | None:
    if isinstance(target, bytes):
        return account.cloids.get(target)
    return account.orders[target] if is_own_order(account.orders, target) else None


def _refuse_missing(
    recorder: Recorder, account: Account, asset: int, target: int | bytes,
    reason: Rejection = Rejection.MISSING_ORDER,
) -> None:  # fmt: skip
    oid, cloid = (0, target) if isinstance(target, bytes) else (target, None)
    facts = OrderFacts(oid, account.address, asset, False, 0, 0, 0, False, cloid)
    recorder.order(facts, OrderStatus.REJECTED, reason, 0, 0, 0)


def process_modify(
    state: State, recorder: Recorder, account: Account, action: ModifyOrders, cause: int
) -> Rejection:
    """Replace orders: the old one goes only when the new one is accepted (ORD-13)."""
    verdict = _check_batch(state, len(action.modifies))
    if verdict is not Rejection.ACCEPTED:
        return verdict
    for target, request in action.modifies:
        order = _own_order(account, target)
        if order is not None and order.asset != request.asset:
            order = None
        if order is None and not action.always_place:
            _refuse_missing(recorder, account, request.asset, target, Rejection.MODIFY_MISSING)
            continue
        is_gtc = request.tif is TimeInForce.GTC
        is_alo = request.tif is TimeInForce.ALO
        if not is_modify_offered(is_alo, is_gtc, action.always_place):
            _refuse_missing(recorder, account, request.asset, target, Rejection.MODIFY_INVALID)
            continue
        if is_gtc and not action.always_place:
            request = _as_post_only(request)
        place(state, recorder, account, request, cause, order)
    return Rejection.ACCEPTED


def _as_post_only(request: OrderRequest) -> OrderRequest:
    """The same request as ALO: what a modify without `always_place` makes of a GTC."""
    return OrderRequest(
        request.asset,
        request.is_buy,
        request.price,
        request.size,
        request.reduce_only,
        TimeInForce.ALO,
        cloid=request.cloid,
        is_trigger=request.is_trigger,
    )
