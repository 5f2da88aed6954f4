"""Place one order: check, match, then rest or cancel what is left.

A request is first made an order on the market's grid, or refused; then asked the questions of
`rules/orders.py` in their fixed order; then matched. It ends in exactly one ORDER decision that
says how, with the two numbers that the deciding rule compared.
"""

from typing import Final

from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import ALO, IOC, OrderRequest
from chainperp.model.arrangements import Twap
from chainperp.model.decisions import ACCEPTED, OrderStatus, Rejection
from chainperp.model.orders import Group, Order
from chainperp.parameters.schema import Parameters
from chainperp.rules.margin import initial_margin
from chainperp.rules.matching import rests
from chainperp.rules.orders import (
    is_cloid_free,
    is_inside_band,
    is_margin_enough,
    is_market_known,
    is_tier_respected,
    is_value_enough,
    open_orders_limit,
    order_price,
    order_size,
    order_value_max,
    reducible_lots,
    would_match,
)
from chainperp.rules.prices import is_on_price_grid, is_price_fresh
from chainperp.state.book import Book
from chainperp.state.store import Market, State
from chainperp.transition.groups import inherit, leave_group
from chainperp.transition.matching import Verdict, end_order, match, rest_order
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import refresh

OPEN: Final = OrderStatus.OPEN
PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
FILLED: Final = OrderStatus.FILLED
CANCELED: Final = OrderStatus.CANCELED
REJECTED: Final = OrderStatus.REJECTED
MODIFIED: Final = Rejection.MODIFIED

# How an order ends that stopped for a reason, with and without fills.
ENDED_PARTLY_FILLED: Final = {
    ACCEPTED: Rejection.IOC_REMAINDER,
    Rejection.PERP_MARGIN: Rejection.MARGIN_CANCELED,
    Rejection.REDUCE_ONLY_CANCELED: Rejection.REDUCE_ONLY_CANCELED,
}
ENDED_UNFILLED: Final = {
    ACCEPTED: Rejection.IOC_CANCEL,
    Rejection.PERP_MARGIN: Rejection.PERP_MARGIN,
    Rejection.REDUCE_ONLY_CANCELED: Rejection.REDUCE_ONLY,
}


def place(
    state: State,
    recorder: Recorder,
    account: Account,
    request: OrderRequest,
    cause: int,
    replaced: Order | None,
    *,
    group: Group | None = None,
    twap: Twap | None = None,
) -> None:
    """Judge one order and carry it out. `replaced` is the order that a modify gives up for it:
    it counts as gone in every check and is cancelled only when the new order is accepted.
    `group` is for the children that follow it; `twap` is what it is a slice of."""
    oid = state.next_oid
    state.next_oid = oid + 1
    reason, price, lots = form = check_form(state, request)
    if reason is not ACCEPTED:
        refuse_form(recorder, account, request, oid, form)
        return
    refresh(state, account)
    asset = request.asset
    market = state.markets[asset]
    exposure = account.exposures.get(asset)
    if exposure is None:
        exposure = state.open_exposure(account, asset)
    order = Order(
        oid,
        account,
        exposure,
        request.is_buy,
        price,
        lots,
        request.reduce_only,
        request.tif,
        request.cloid,
    )
    order.builder = request.builder
    order.twap = twap
    best = best_opposite(market.book, order, replaced)
    crosses = would_match(price, request.is_buy, best)
    reason, found, needed = verdict = _check(state, market, order, replaced, best, crosses)
    if reason is not ACCEPTED:
        recorder.order(order, REJECTED, reason, found, needed)
        return
    if group is not None:
        group.parent = order
        order.group = group
    if replaced is not None:
        inherit(replaced, order)
        end_order(recorder, market, replaced, MODIFIED)
    stop = match(state, recorder, market, order, cause) if crosses else None
    conclude(recorder, market, order, verdict, stop)


def check_form(state: State, request: OrderRequest, sizeless: bool = False) -> Verdict:
    """The first refusal of a request's form (ORD-1 to ORD-3), or its price and size on the grid.
    `sizeless` allows the size zero."""
    asset, markets = request.asset, state.markets
    if not is_market_known(asset, len(markets)):
        return Rejection.MARKET_UNKNOWN, asset, len(markets)
    market = markets[asset]
    lots = order_size(request.size, market.lot_e8)
    if lots is None:
        return Rejection.SIZE_INVALID, request.size, market.lot_e8
    if lots == 0 and not sizeless:
        return Rejection.SIZE_ZERO, 0, 1
    price = order_price(request.price, market.tick_e8)
    if price is None or price <= 0 or not is_on_price_grid(price, market.terms.size_decimals):
        return Rejection.TICK, request.price, market.tick_e8
    if not market.oracle:
        return Rejection.NO_PRICE, 0, 1
    return ACCEPTED, price, lots


def refuse_form(
    recorder: Recorder, account: Account, request: OrderRequest, oid: int, refusal: Verdict
) -> None:
    """Record a refusal of a request that is not on its market's grid, or has no market.

    Price and size are then in the record as signed, times 10^8; the reason (ORD-1 to ORD-3, or a
    market without a price) says so.
    """
    order = Order(
        oid,
        account,
        Exposure(request.asset, True, 1),
        request.is_buy,
        request.price,
        request.size,
        request.reduce_only,
        request.tif,
        request.cloid,
    )
    recorder.order(order, REJECTED, refusal[0], refusal[1], refusal[2])


def _check(
    state: State,
    market: Market,
    order: Order,
    replaced: Order | None,
    best: int | None,
    crosses: bool,
) -> Verdict:
    """Questions about the order in its market and about its owner (ORD-4 to ORD-9). `best` is the
    best price that it could match, and `crosses` whether it would."""
    exposure, account = order.exposure, order.account
    parameters = state.parameters
    price, lots, is_buy = order.price, order.lots, order.is_buy
    if not is_inside_band(
        price, market.oracle, parameters.order_band_numerator, parameters.order_band_denominator
    ):
        return Rejection.ORACLE_BAND, price, market.oracle
    reducible = reducible_lots(exposure.lots, is_buy)
    if not is_price_fresh(market.oracle_time, state.time_ms, parameters.price_stale_ms) and not (
        order.reduce_only or lots <= reducible
    ):
        age = state.time_ms - market.oracle_time
        return Rejection.STALE_PRICE, age, parameters.price_stale_ms
    closes = order.reduce_only and 0 < reducible <= lots
    limits = check_limits(state, market, order, replaced, price * lots, closes)
    if limits is not None:
        return limits
    if order.reduce_only and reducible == 0:
        return Rejection.REDUCE_ONLY, exposure.lots, lots
    if crosses and order.tif is ALO:
        return Rejection.BAD_ALO_PRICE, price, best if best is not None else 0
    if order.reduce_only:
        return ACCEPTED, account.raw + account.position_value, account.margin_total
    if replaced is not None and replaced.level is None:
        replaced = None  # it waits for a trigger: nothing of it is in the book or reserved
    return check_margin(market, order, replaced, reducible, crosses)


def check_limits(
    state: State,
    market: Market,
    order: Order,
    replaced: Order | None,
    notional: int,
    closes: bool,
) -> Verdict | None:
    """The first limit on value, number or client id that is broken (ORD-5 to ORD-7, ORD-12), or
    None."""
    parameters = state.parameters
    if not is_value_enough(notional, parameters.order_value_min, closes):
        return Rejection.MIN_TRADE_NOTIONAL, notional, parameters.order_value_min
    taking, resting = market.order_values or order_values(market, parameters)
    value_max = taking if order.tif is IOC else resting
    if notional > value_max:
        return Rejection.MAX_ORDER_VALUE, notional, value_max
    account = order.account
    live = len(account.orders) if replaced is None else len(account.orders) - 1
    if live >= parameters.open_orders_base:
        limit = open_orders_limit(account.volume_total, parameters)
        if live >= limit or order.reduce_only or order.trigger is not None:
            return Rejection.TOO_MANY_OPEN_ORDERS, live, limit
    cloid = order.cloid
    if (
        cloid is not None
        and not is_cloid_free(cloid, account.cloids)
        and (replaced is None or replaced.cloid != cloid)
    ):
        return Rejection.CLOID_IN_USE, 0, 0
    return None


def order_values(market: Market, parameters: Parameters) -> tuple[int, int]:
    """Greatest values of orders in a market (ORD-6), kept with it: nothing changes them."""
    leverage = market.leverage_max
    taking = order_value_max(leverage, False, parameters)
    resting = order_value_max(leverage, True, parameters)
    market.order_values = taking, resting
    return taking, resting


def best_opposite(book: Book, order: Order, replaced: Order | None) -> int | None:
    """Best price that an order could match, as if the order that it replaces were gone already."""
    opposite = book.asks if order.is_buy else book.bids
    top = opposite.top
    if top is None:
        return None
    if replaced is not None and replaced.level is top and top.first is top.last:
        return opposite.sign * opposite.keys[-2] if len(opposite.keys) > 1 else None
    return top.price


def check_margin(
    market: Market, order: Order, replaced: Order | None, reducible: int, crosses: bool
) -> Verdict:
    """ORD-10 and ORD-11: the tier, and margin for everything open with this order in it."""
    exposure, account = order.exposure, order.account
    price, lots, is_buy = order.price, order.lots, order.is_buy
    mark = market.mark
    # No abs() here: compiled, it would be a call into the interpreter.
    after = (exposure.lots + (lots if is_buy else -lots)) * mark
    if after < 0:
        after = -after
    if -after < exposure.value < after and not is_tier_respected(
        after, exposure.leverage, market.terms
    ):
        return Rejection.PERP_MAX_POSITION, after, exposure.leverage
    bids, asks = exposure.bids_notional, exposure.asks_notional
    if replaced is not None and not replaced.reduce_only:
        given_up = replaced.remaining * replaced.price
        if replaced.is_buy:
            bids -= given_up
        else:
            asks -= given_up
    held = lots * price
    if crosses:
        held += _matching_lots(market, order, replaced) * (mark - price)
    if is_buy:
        bids += held
    else:
        asks += held
    found = account.raw + account.position_value
    margin = initial_margin(exposure.value, bids, asks, exposure.leverage, exposure.is_cross)
    needed = account.margin_total - exposure.margin + margin
    if is_margin_enough(found, needed):
        return ACCEPTED, found, needed
    if reducible and _resting_lots(exposure, is_buy, replaced) + lots <= reducible:
        return ACCEPTED, found, needed
    return Rejection.PERP_MARGIN, found, needed


def _resting_lots(exposure: Exposure, is_buy: bool, replaced: Order | None) -> int:
    """Lots at rest on one side, without the order that is replaced."""
    lots = exposure.bids_lots if is_buy else exposure.asks_lots
    if replaced is not None and not replaced.reduce_only and replaced.is_buy is is_buy:
        lots -= replaced.remaining
    return lots


def _matching_lots(market: Market, order: Order, replaced: Order | None) -> int:
    """Lots of the order that would match at once, without the order it replaces."""
    opposite = market.book.opposite(order.is_buy)
    gone = 0
    if (
        replaced is not None
        and replaced.is_buy is not order.is_buy
        and would_match(order.price, order.is_buy, replaced.price)
    ):
        gone = replaced.remaining
    return opposite.lots_within(order.price, order.lots + gone) - gone


def execute(
    state: State, recorder: Recorder, market: Market, order: Order, cause: int, verdict: Verdict
) -> None:
    """Match an accepted order, then rest or cancel what is left, and record the outcome."""
    stop = None if order.tif is ALO else match(state, recorder, market, order, cause)
    conclude(recorder, market, order, verdict, stop)


def conclude(
    recorder: Recorder, market: Market, order: Order, verdict: Verdict, stop: Verdict | None
) -> None:
    """Rest or cancel what matching has left of an order, and record the outcome. `stop` is why it
    must not match on, if it must not."""
    stopped, found, needed = verdict
    if stop is not None:
        stopped = stop[0]
        if stopped is Rejection.PERP_MARGIN:
            found, needed = stop[1], stop[2]
    remaining = order.remaining
    filled = remaining < order.lots
    if stopped is ACCEPTED and rests(order.tif is not IOC, remaining):
        if filled:
            stopped, found, needed = _check_rest(order, found, needed)
        if stopped is ACCEPTED:
            rest_order(market, order)
            status = PARTIALLY_FILLED if filled else OPEN
            recorder.order(order, status, stopped, found, needed)
            return
    reason = stopped
    if remaining == 0:
        recorder.order(order, FILLED, ACCEPTED, found, needed)
    elif filled:
        reason = ENDED_PARTLY_FILLED[stopped]
        recorder.order(order, CANCELED, reason, found, needed)
    else:
        reason = ENDED_UNFILLED[stopped]
        recorder.order(order, REJECTED, reason, found, needed)
    if order.group is not None:
        leave_group(recorder, market, order, reason)


def _check_rest(order: Order, found: int, needed: int) -> Verdict:
    """After partial fills: whether the rest still reduces, and is still covered at its limit."""
    account, exposure, is_buy = order.account, order.exposure, order.is_buy
    reducible = reducible_lots(exposure.lots, is_buy)
    value = account.raw + account.position_value
    if order.reduce_only:
        reason = ACCEPTED if reducible else Rejection.REDUCE_ONLY_CANCELED
        return reason, value, account.margin_total
    same_side_lots = exposure.bids_lots if is_buy else exposure.asks_lots
    if same_side_lots + order.remaining <= reducible:
        return ACCEPTED, found, needed
    held = order.remaining * order.price
    margin = initial_margin(
        exposure.value,
        exposure.bids_notional + (held if is_buy else 0),
        exposure.asks_notional + (0 if is_buy else held),
        exposure.leverage,
        exposure.is_cross,
    )
    total = account.margin_total - exposure.margin + margin
    if is_margin_enough(value, total):
        return ACCEPTED, found, needed
    return Rejection.PERP_MARGIN, value, total
