"""Places trigger orders, and sends those that the mark has reached.

A waiting order is in its account's orders and in the market's `TriggerBook`; nothing of it is in
the book, and it holds no margin. Sent, it is an ordinary order with the same id (U-ORD-9): a
TRIGGER entry says why, the usual FILL and ORDER entries what became of it.
"""

from chainperp.model.accounts import Account
from chainperp.model.actions import OrderRequest, TimeInForce, TriggerTerms
from chainperp.model.decisions import Kind, OrderStatus, Rejection, rule_number
from chainperp.model.orders import Group, Order, Trigger
from chainperp.rules.orders import is_inside_band, order_price, reducible_lots, would_match
from chainperp.rules.prices import is_on_price_grid
from chainperp.rules.triggers import (
    firing_rank,
    has_fired,
    is_ahead_of_mark,
    lots_when_sent,
    market_trigger_price,
)
from chainperp.state.store import Market, State
from chainperp.transition.groups import (
    inherit,
    leave_group,
    record_waiting,
    stop_waiting,
    wait,
)
from chainperp.transition.matching import Verdict, end_order
from chainperp.transition.placing import (
    check_form,
    check_limits,
    check_margin,
    execute,
    refuse_form,
)
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import refresh


def place_trigger(
    state: State,
    recorder: Recorder,
    account: Account,
    request: OrderRequest,
    *,
    is_position: bool = False,
    group: Group | None = None,
    is_child: bool = False,
    replaced: Order | None = None,
) -> None:
    """Judge one trigger order and let it wait.

    `is_position`: it ends with the account's position; `group` and `is_child`: it is a parent or a
    child; `replaced`: the order that a modify gives up for it, whose place it takes.
    """
    terms = request.trigger
    if terms is None:
        return
    oid = state.next_oid
    state.next_oid += 1
    if replaced is not None and replaced.trigger is not None:
        is_position = replaced.trigger.is_position and request.reduce_only
    reason, price, lots = form = check_form(state, request, is_position)
    if reason is not Rejection.ACCEPTED:
        refuse_form(recorder, account, request, oid, form)
        return
    market = state.markets[request.asset]
    trigger = _trigger_of(market, request, terms, is_position)
    if trigger is None:
        refusal = (Rejection.TICK, terms.price, market.tick_e8)
        refuse_form(recorder, account, request, oid, refusal)
        return
    refresh(state, account)
    exposure = state.open_exposure(account, request.asset)
    tif = TimeInForce.IOC if terms.is_market else TimeInForce.GTC
    order = Order(
        oid, account, exposure, request.is_buy, price, lots, request.reduce_only, tif, request.cloid
    )
    order.trigger = trigger
    order.builder = request.builder
    verdict = _check_waiting(state, market, order, trigger, replaced)
    if verdict[0] is Rejection.ACCEPTED and group is not None and is_child and _is_over(group):
        verdict = Rejection.PARENT_ENDED, 0, 0
    if verdict[0] is not Rejection.ACCEPTED:
        recorder.order(order, OrderStatus.REJECTED, verdict[0], verdict[1], verdict[2])
        return
    if group is not None:
        _join(group, order, is_child)
    if replaced is not None:
        inherit(replaced, order)
        end_order(recorder, market, replaced, Rejection.MODIFIED)
    wait(market, order, trigger)
    record_waiting(recorder, market, order, trigger)


def _trigger_of(
    market: Market, request: OrderRequest, terms: TriggerTerms, is_position: bool
) -> Trigger | None:
    """The trigger on the market's price grid, or None when it is between two prices."""
    price = order_price(terms.price, market.tick_e8)
    if price is None or price <= 0 or not is_on_price_grid(price, market.terms.size_decimals):
        return None
    rises = request.is_buy is terms.is_stop
    return Trigger(price, rises, terms.is_market, terms.is_stop, is_position)


def _is_over(group: Group) -> bool:
    """Whether the parent is gone and its children will never wake."""
    return group.parent is None and not group.is_awake


def _join(group: Group, order: Order, is_child: bool) -> None:
    order.group = group
    if is_child:
        group.children.append(order)
    else:
        group.parent = order


def _check_waiting(
    state: State, market: Market, order: Order, trigger: Trigger, replaced: Order | None
) -> Verdict:
    """Band, side of the mark, limits, and for a position that there is one. Values at the mark."""
    parameters = state.parameters
    if not is_inside_band(
        order.price,
        market.oracle,
        parameters.order_band_numerator,
        parameters.order_band_denominator,
    ):
        return Rejection.ORACLE_BAND, order.price, market.oracle
    if not is_ahead_of_mark(trigger.price, market.mark, trigger.rises):
        return Rejection.BAD_TRIGGER_PRICE, trigger.price, market.mark
    reducible = reducible_lots(order.exposure.lots, order.is_buy)
    lots = lots_when_sent(order.lots, reducible)
    closes = order.reduce_only and 0 < reducible <= lots
    if trigger.is_position and reducible == 0:
        return Rejection.REDUCE_ONLY, order.exposure.lots, order.lots
    limits = check_limits(state, market, order, replaced, market.mark * lots, closes)
    return limits or (Rejection.ACCEPTED, market.mark, trigger.price)


def process_triggers(state: State, recorder: Recorder) -> None:
    """Send the triggers that the marks have reached: by market, farthest behind the mark first.

    What one of them wakes may fire too. Those beyond the block's limit are first in the next.
    """
    left = state.parameters.triggers_per_block
    for market in state.markets:
        while left and market.triggers.orders:
            order = next_to_fire(market)
            if order is None:
                break
            _send(state, recorder, market, order)
            left -= 1


def next_to_fire(market: Market) -> Order | None:
    """The waiting order that is sent next at the market's mark, or None (TRG-2, TRG-3)."""
    found: Order | None = None
    best = (0, 0)
    for order in market.triggers.heads():
        trigger = order.trigger
        if trigger is None or not has_fired(trigger.price, market.mark, trigger.rises):
            continue
        rank = firing_rank(trigger.price, market.mark, order.oid)
        if found is None or rank < best:
            found, best = order, rank
    return found


def _send(state: State, recorder: Recorder, market: Market, order: Order) -> None:
    """Record that an order's trigger fired, and carry the order out."""
    trigger = order.trigger
    if trigger is None:
        return
    account = order.account
    cause = recorder.next_index()
    recorder.record(
        Kind.TRIGGER,
        {
            "oid": order.oid,
            "account": account.address,
            "asset": market.asset,
            "mark": market.mark,
            "trigger_price": trigger.price,
            "is_stop": trigger.is_stop,
            "rule": rule_number("TRG-2"),
        },
    )
    stop_waiting(market, order, trigger)
    order.trigger = None
    refresh(state, account)
    parameters = state.parameters
    reducible = reducible_lots(order.exposure.lots, order.is_buy)
    order.lots = order.remaining = lots_when_sent(order.lots, reducible)
    if trigger.is_market:
        order.price = market_trigger_price(
            market.mark,
            order.price,
            order.is_buy,
            parameters.trigger_tolerance_numerator,
            parameters.trigger_tolerance_denominator,
            market.terms.size_decimals,
        )
    verdict = _check_sent(state, market, order, reducible)
    if verdict[0] is not Rejection.ACCEPTED:
        recorder.order(order, OrderStatus.REJECTED, verdict[0], verdict[1], verdict[2])
        leave_group(recorder, market, order, verdict[0])
        return
    execute(state, recorder, market, order, cause, verdict)
    if order.oid in account.orders:
        # It rests, and stands where it always stood: an account's orders are in order of their ids.
        account.orders = {oid: account.orders[oid] for oid in sorted(account.orders)}


def _check_sent(state: State, market: Market, order: Order, reducible: int) -> Verdict:
    """What is asked again when a trigger order is sent: band, reduce-only, tier and margin."""
    parameters = state.parameters
    price, account = order.price, order.account
    if not is_inside_band(
        price, market.oracle, parameters.order_band_numerator, parameters.order_band_denominator
    ):
        return Rejection.ORACLE_BAND, price, market.oracle
    if order.reduce_only:
        if reducible == 0:
            return Rejection.REDUCE_ONLY, order.exposure.lots, order.lots
        return Rejection.ACCEPTED, account.raw + account.position_value, account.margin_total
    best = market.book.opposite(order.is_buy).best_price()
    crosses = would_match(price, order.is_buy, best)
    return check_margin(market, order, None, reducible, crosses)
