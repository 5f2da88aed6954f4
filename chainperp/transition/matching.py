"""The walk of an incoming order over the opposite side of the book: the exchange's hot loop.

Each step looks at the best resting order and does exactly one thing: cancel it for a logged reason
(own order, no longer reducing, cannot pay), trade with it, or stop. Source: MAT-1..MAT-3, U-ORD-11.
"""

from typing import Final

from chainperp.model.accounts import Account, Exposure, Rates
from chainperp.model.decisions import LedgerType, OrderStatus, Rejection
from chainperp.model.orders import Order
from chainperp.rules.fees import builder_fee, hlp_share, maker_fee_paid, trading_fee
from chainperp.rules.matching import execution_price, is_self_trade
from chainperp.rules.orders import reducible_lots, would_match
from chainperp.state.store import ASSISTANCE_FUND, Market, State
from chainperp.transition.fills import (
    FillPlan,
    apply_fill,
    plan_fill,
)
from chainperp.transition.groups import end_waiting, leave_group, siblings_to_end
from chainperp.transition.rates import begin_day, count_trade, rates_today
from chainperp.transition.recorder import (
    FLAG_LIQUIDATION,
    FLAG_MAKER_DONE,
    FLAG_TAKER_BUYS,
    FLAG_TWAP,
    Fill,
    Recorder,
)
from chainperp.transition.referrals import owe_rewards
from chainperp.transition.valuation import hold, refresh

Verdict = tuple[Rejection, int, int]

CANCELED: Final = OrderStatus.CANCELED


def match(
    state: State, recorder: Recorder, market: Market, taker: Order, cause: int
) -> Verdict | None:
    """Fill as much of an incoming order as its limit and the rules allow.

    Returns why it must stop before its limit, with the numbers compared, or None. What is left
    stays in the order. `cause` is the log index of the transaction.
    """
    is_buy, price = taker.is_buy, taker.price
    side = market.book.opposite(is_buy)
    while taker.remaining:
        level = side.top
        if level is None or not would_match(price, is_buy, level.price):
            return None
        maker = level.first
        if maker is None:
            return None
        if is_self_trade(maker.account.address, taker.account.address):
            end_order(recorder, market, maker, Rejection.SELF_TRADE)
            continue
        lots = min(taker.remaining, maker.remaining)
        if maker.reduce_only:
            lots = min(lots, reducible_lots(maker.exposure.lots, maker.is_buy))
            if lots == 0:
                end_order(recorder, market, maker, Rejection.REDUCE_ONLY_CANCELED)
                continue
        if taker.reduce_only:
            lots = min(lots, reducible_lots(taker.exposure.lots, is_buy))
            if lots == 0:
                return Rejection.REDUCE_ONLY_CANCELED, taker.exposure.lots, taker.remaining
        stop = _trade(state, recorder, market, maker, taker, lots, cause)
        if stop is not None:
            return stop
    return None


def _trade(
    state: State,
    recorder: Recorder,
    market: Market,
    maker: Order,
    taker: Order,
    lots: int,
    cause: int,
) -> Verdict | None:
    """One match of `lots`, if both sides may. Returns why the taker must stop, or None."""
    refresh(state, maker.account)
    maker_rates = rates_today(state, maker.account)
    taker_rates = rates_today(state, taker.account)
    fill = _new_fill(maker, taker, lots, cause, maker_rates, taker_rates)
    delta = lots if taker.is_buy else -lots
    fee = fill.maker_fee + fill.maker_builder_fee
    maker_plan = _plan_side(state, market, maker, -delta, fill, fee)
    if not maker_plan.allowed:
        end_order(recorder, market, maker, Rejection.MARGIN_CANCELED, maker_plan)
        return None
    fee = fill.taker_fee + fill.taker_builder_fee
    taker_plan = _plan_side(state, market, taker, delta, fill, fee)
    if not taker_plan.allowed:
        return Rejection.PERP_MARGIN, taker_plan.found, taker_plan.needed
    ours, theirs = taker.exposure, maker.exposure
    _shrink(market, maker, lots)
    price, notional = fill.price, fill.price * lots
    fill.maker_pnl = apply_fill(state, market, maker.account, theirs, -delta, price, maker_plan)
    fill.taker_pnl = apply_fill(state, market, taker.account, ours, delta, price, taker_plan)
    begin_day(state, maker.account, maker_rates)
    begin_day(state, taker.account, taker_rates)
    count_trade(state, maker.account, taker.account, notional)
    taker.remaining -= lots
    if maker.remaining == 0:
        fill.flags |= FLAG_MAKER_DONE
    take_fees(state, maker.account, fill.maker_fee, taker.account, fill.taker_fee)
    market.book.price_last = price
    market.is_dirty = True
    recorder.fill(state.next_tid, market.asset, fill)
    state.next_tid += 1
    if maker.remaining == 0:
        forget_order(market, maker)
    if maker.builder is not None or taker.builder is not None:
        _pay_builders(state, recorder, maker, taker, fill)
    if taker.twap is not None:
        taker.twap.executed_lots += lots
        taker.twap.executed_notional += notional
    if maker.group is not None or taker.group is not None:
        _after_fill(state, recorder, market, maker)
        _after_fill(state, recorder, market, taker)
    if theirs.reduce_only_orders:
        end_reduce_only(state, recorder, market, maker.account, theirs)
    if ours.reduce_only_orders:
        end_reduce_only(state, recorder, market, taker.account, ours)
    return None


def _new_fill(
    maker: Order, taker: Order, lots: int, cause: int, maker_rates: Rates, taker_rates: Rates
) -> Fill:
    """The trade of `lots` at the resting order's price, with all fees."""
    price = execution_price(maker.price)
    fill = Fill(maker.account.address, taker.account.address, price, lots, cause)
    fill.maker_oid, fill.taker_oid = maker.oid, taker.oid
    fill.maker_start, fill.taker_start = maker.exposure.lots, taker.exposure.lots
    notional = price * lots
    fill.taker_fee = trading_fee(notional, taker_rates.taker, taker_rates.discount)
    fill.maker_fee = trading_fee(notional, maker_rates.maker, maker_rates.discount)
    if fill.maker_fee < 0:
        fill.maker_fee = maker_fee_paid(fill.maker_fee, fill.taker_fee)
    if maker.builder is not None:
        fill.maker_builder_fee = builder_fee(notional, maker.builder[1])
    if taker.builder is not None:
        fill.taker_builder_fee = builder_fee(notional, taker.builder[1])
    if taker.is_buy:
        fill.flags = FLAG_TAKER_BUYS
    if taker.is_liquidation:
        fill.flags |= FLAG_LIQUIDATION
    if taker.twap is not None:
        fill.flags |= FLAG_TWAP
    return fill


def _plan_side(
    state: State, market: Market, order: Order, delta: int, fill: Fill, fee: int
) -> FillPlan:
    """What the trade leaves one side with; a resting order gives up the reserve of its lots."""
    exposure = order.exposure
    bids, asks = exposure.bids_notional, exposure.asks_notional
    if order.level is not None and not order.reduce_only:
        if order.is_buy:
            bids -= fill.price * fill.lots
        else:
            asks -= fill.price * fill.lots
    return plan_fill(
        market,
        order.account,
        exposure,
        delta,
        fill.price,
        fee,
        bids=bids,
        asks=asks,
        limit=state.parameters.user_fill_limit,
        keeps_margin=order.is_liquidation,
    )


def take_fees(state: State, maker: Account, maker_fee: int, taker: Account, taker_fee: int) -> None:
    """Credit a trade's fees in USDC to the fund, and note what it owes referrers (REF-4) and the
    liquidity vault (FEE-3)."""
    fund = state.accounts[ASSISTANCE_FUND]
    fees = maker_fee + taker_fee
    fund.raw += fees
    state.touch(fund)
    if taker.rates.reward:
        fees -= owe_rewards(state, taker, taker_fee, fees)
    if maker.rates.reward:
        fees -= owe_rewards(state, maker, maker_fee, fees)
    state.owed_to_vault += hlp_share(fees, state.parameters.hlp_fee_share_bps)


def _pay_builders(state: State, recorder: Recorder, maker: Order, taker: Order, fill: Fill) -> None:
    """Credit what each side's builder added to the fill (FEE-5); the side has paid it already."""
    for order, amount in ((maker, fill.maker_builder_fee), (taker, fill.taker_builder_fee)):
        if order.builder is not None and amount:
            builder = state.open_account(order.builder[0])
            builder.raw += amount
            state.touch(builder)
            state.unfile(builder)
            recorder.ledger(order.account.address, builder.address, amount, LedgerType.BUILDER_FEE)


def _shrink(market: Market, maker: Order, lots: int) -> None:
    """Take filled lots out of the resting order, its level and its owner's reserve."""
    maker.remaining -= lots
    level = maker.level
    if level is not None:
        level.lots -= lots
    if maker.reduce_only:
        return
    exposure = maker.exposure
    if maker.is_buy:
        exposure.bids_lots -= lots
        exposure.bids_notional -= lots * maker.price
    else:
        exposure.asks_lots -= lots
        exposure.asks_notional -= lots * maker.price


def end_reduce_only(
    state: State, recorder: Recorder, market: Market, account: Account, exposure: Exposure
) -> None:
    """Cancel the account's reduce-only orders that can no longer reduce: those in the book, and
    the waiting ones of the position (TRG-8)."""
    for order in list(account.orders.values()):
        if (
            order.reduce_only
            and order.asset == market.asset
            and (order.trigger is None or order.trigger.is_position)
            and reducible_lots(exposure.lots, order.is_buy) == 0
        ):
            end_order(recorder, market, order, Rejection.REDUCE_ONLY_CANCELED)


def rest_order(market: Market, order: Order) -> None:
    """Put an order into the book and hold its margin."""
    account = order.account
    exposure = order.exposure
    remaining = order.remaining
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    if order.is_buy:
        market.book.bids.add(order)
    else:
        market.book.asks.add(order)
    if order.reduce_only:
        exposure.reduce_only_orders += 1
        return
    if order.is_buy:
        exposure.bids_lots += remaining
        exposure.bids_notional += remaining * order.price
    else:
        exposure.asks_lots += remaining
        exposure.asks_notional += remaining * order.price
    hold(account, exposure)


def match_forced(
    state: State, recorder: Recorder, market: Market, order: Order, cause: int, verdict: Verdict
) -> int:
    """Match an IOC order of the exchange's own and record how it ended, with the reason it was
    sent for; returns how many lots it filled."""
    match(state, recorder, market, order, cause)
    return record_forced(recorder, order, verdict)


def record_forced(recorder: Recorder, order: Order, verdict: Verdict) -> int:
    """Record how an IOC order of the exchange's own ended; returns how many lots it filled."""
    filled = order.lots - order.remaining
    if order.remaining == 0:
        status = OrderStatus.FILLED
    else:
        status = OrderStatus.CANCELED if filled else OrderStatus.REJECTED
    recorder.order(order, status, verdict[0], verdict[1], verdict[2])
    return filled


def forget_order(market: Market, order: Order) -> None:
    """Take an order that is done out of the book and out of its owner's lists."""
    book = market.book
    if order.is_buy:
        book.bids.remove(order)
    else:
        book.asks.remove(order)
    account = order.account
    del account.orders[order.oid]
    if order.cloid is not None:
        del account.cloids[order.cloid]
    if order.reduce_only:
        order.exposure.reduce_only_orders -= 1


def end_order(
    recorder: Recorder,
    market: Market,
    order: Order,
    reason: Rejection,
    plan: FillPlan | None = None,
) -> None:
    """Cancel a resting or waiting order for a logged reason and free what it held."""
    if order.trigger is not None:
        end_waiting(recorder, market, order, reason)
        return
    remaining = order.remaining
    forget_order(market, order)
    _shrink(market, order, remaining)
    hold(order.account, order.exposure)
    order.remaining = remaining
    found, needed = (plan.found, plan.needed) if plan is not None else (0, 0)
    recorder.order(order, CANCELED, reason, found, needed)
    if order.group is not None:
        leave_group(recorder, market, order, reason)


def _after_fill(state: State, recorder: Recorder, market: Market, order: Order) -> None:
    """What a fill means to the order's group: a parent may be done, a child ends its siblings."""
    group = order.group
    if group is None:
        return
    for sibling in siblings_to_end(order):
        end_order(recorder, market, sibling, Rejection.SIBLING_FILLED)
    if order.group is group and order.remaining == 0:
        leave_group(recorder, market, order, Rejection.ACCEPTED)
