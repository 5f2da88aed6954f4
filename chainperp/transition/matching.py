"""The walk of an incoming order over the opposite side of the book: the exchange's hot loop.

Each step looks at the best resting order and does exactly one thing: cancel it for a logged reason
(own order, no longer reducing, cannot pay), trade with it, or stop. Source: MAT-1..MAT-3, U-ORD-11.
"""

from chainperp.model.accounts import Account, Exposure
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.entries import FORMAT
from chainperp.model.orders import Order
from chainperp.rules.fees import trading_fee
from chainperp.rules.matching import execution_price, is_self_trade
from chainperp.rules.orders import reducible_lots, would_match
from chainperp.state.store import ASSISTANCE_FUND, Market, State
from chainperp.transition.fills import FillPlan, apply_fill, plan_fill, roll_fee_day
from chainperp.transition.recorder import (
    FILL,
    FILL_SIZE,
    FLAG_MAKER_DONE,
    FLAG_TAKER_BUYS,
    OrderFacts,
    Recorder,
)
from chainperp.transition.valuation import refresh, revalue


class Taker:
    """An incoming order while it matches."""

    __slots__ = ("account", "cause", "exposure", "found", "is_buy", "needed", "oid", "price",
                 "reduce_only", "remaining", "stopped")  # fmt: skip

    def __init__(
        self, oid: int, account: Account, exposure: Exposure, is_buy: bool, price: int,
        lots: int, reduce_only: bool, cause: int,
    ) -> None:  # fmt: skip
        self.oid = oid
        self.account = account
        self.exposure = exposure
        self.is_buy = is_buy
        self.price = price
        self.remaining = lots
        self.reduce_only = reduce_only
        self.cause = cause
        self.stopped = Rejection.ACCEPTED
        self.found = 0
        self.needed = 0


def match(state: State, recorder: Recorder, market: Market, taker: Taker) -> None:
    """Fill as much of the taker as its limit and the rules allow; what is left stays in it."""
    side = market.book.opposite(taker.is_buy)
    while taker.remaining:
        level = side.best()
        if level is None or not would_match(taker.price, taker.is_buy, level.price):
            return
        maker = level.first
        if maker is None:
            return
        if is_self_trade(maker.account.address, taker.account.address):
            end_order(state, recorder, market, maker, Rejection.SELF_TRADE)
            continue
        lots = min(taker.remaining, maker.remaining)
        if maker.reduce_only:
            lots = min(lots, reducible_lots(maker.exposure.lots, maker.is_buy))
            if lots == 0:
                end_order(state, recorder, market, maker, Rejection.REDUCE_ONLY_CANCELED)
                continue
        if taker.reduce_only:
            lots = min(lots, reducible_lots(taker.exposure.lots, taker.is_buy))
            if lots == 0:
                taker.stopped = Rejection.REDUCE_ONLY_CANCELED
                return
        if not _trade(state, recorder, market, maker, taker, lots):
            return


def _trade(
    state: State, recorder: Recorder, market: Market, maker: Order, taker: Taker, lots: int
) -> bool:
    """One match of `lots`. False when the taker must stop."""
    maker_account = maker.account
    taker_account = taker.account
    refresh(state, maker_account)
    roll_fee_day(state, maker_account)
    price = execution_price(maker.price)
    notional = lots * price
    maker_fee = trading_fee(notional, maker_account.fee_maker)
    taker_fee = trading_fee(notional, taker_account.fee_taker)
    taker_delta = lots if taker.is_buy else -lots
    limit = state.parameters.user_fill_limit
    exposure = maker.exposure
    leaves = 0 if maker.reduce_only else notional
    maker_plan = plan_fill(
        market, maker_account, exposure, -taker_delta, price, maker_fee,
        bids=exposure.bids_notional - (leaves if maker.is_buy else 0),
        asks=exposure.asks_notional - (0 if maker.is_buy else leaves),
        limit=limit,
    )  # fmt: skip
    if not maker_plan.allowed:
        end_order(state, recorder, market, maker, Rejection.MARGIN_CANCELED, maker_plan)
        return True
    taker_plan = plan_fill(
        market, taker_account, taker.exposure, taker_delta, price, taker_fee,
        bids=taker.exposure.bids_notional, asks=taker.exposure.asks_notional, limit=limit,
    )  # fmt: skip
    if not taker_plan.allowed:
        taker.stopped = Rejection.PERP_MARGIN
        taker.found = taker_plan.found
        taker.needed = taker_plan.needed
        return False
    maker_start = exposure.lots
    taker_start = taker.exposure.lots
    _shrink(market, maker, lots)
    maker_pnl = apply_fill(state, market, maker_account, exposure, -taker_delta, price, maker_plan)
    taker_pnl = apply_fill(
        state, market, taker_account, taker.exposure, taker_delta, price, taker_plan
    )
    fund = state.accounts[ASSISTANCE_FUND]
    fund.raw += maker_fee + taker_fee
    state.touch(fund)
    state.fees_in_block += maker_fee + taker_fee
    market.book.price_last = price
    market.is_dirty = True
    taker.remaining -= lots
    done = maker.remaining == 0
    entries = recorder.entries
    entries.append(
        FILL.pack(
            FORMAT,
            Kind.FILL,
            recorder.height,
            len(entries),
            FILL_SIZE,
            state.next_tid,
            market.asset,
            price,
            lots,
            maker_account.address,
            maker.oid,
            maker_fee,
            maker_start,
            maker_pnl,
            taker_account.address,
            taker.oid,
            taker_fee,
            taker_start,
            taker_pnl,
            (FLAG_TAKER_BUYS if taker.is_buy else 0) | (FLAG_MAKER_DONE if done else 0),
            taker.cause,
        )
    )
    state.next_tid += 1
    if done:
        forget_order(market, maker)
    _end_reduce_only(state, recorder, market, maker_account, exposure)
    _end_reduce_only(state, recorder, market, taker_account, taker.exposure)
    return True


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


def _end_reduce_only(
    state: State, recorder: Recorder, market: Market, account: Account, exposure: Exposure
) -> None:
    """Cancel the account's reduce-only orders that can no longer reduce."""
    if exposure.reduce_only_orders == 0:
        return
    for order in list(account.orders.values()):
        if (
            order.reduce_only
            and order.asset == market.asset
            and reducible_lots(exposure.lots, order.is_buy) == 0
        ):
            end_order(state, recorder, market, order, Rejection.REDUCE_ONLY_CANCELED)


def rest_order(state: State, market: Market, order: Order) -> None:
    """Put an order into the book and hold its margin."""
    account = order.account
    exposure = order.exposure
    market.book.side(order.is_buy).add(order)
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    if order.reduce_only:
        exposure.reduce_only_orders += 1
        return
    if order.is_buy:
        exposure.bids_lots += order.remaining
        exposure.bids_notional += order.remaining * order.price
    else:
        exposure.asks_lots += order.remaining
        exposure.asks_notional += order.remaining * order.price
    revalue(account, exposure, market.mark)


def forget_order(market: Market, order: Order) -> None:
    """Take an order that is done out of the book and out of its owner's lists."""
    market.book.side(order.is_buy).remove(order)
    account = order.account
    del account.orders[order.oid]
    if order.cloid is not None:
        del account.cloids[order.cloid]
    if order.reduce_only:
        order.exposure.reduce_only_orders -= 1


def end_order(
    state: State,
    recorder: Recorder,
    market: Market,
    order: Order,
    reason: Rejection,
    plan: FillPlan | None = None,
) -> None:
    """Cancel a resting order for a logged reason and free what it held."""
    refresh(state, order.account)
    remaining = order.remaining
    forget_order(market, order)
    _shrink(market, order, remaining)
    revalue(order.account, order.exposure, market.mark)
    facts = OrderFacts(
        order.oid, order.account.address, order.asset, order.is_buy, order.price, order.lots,
        order.tif, order.reduce_only, order.cloid,
    )  # fmt: skip
    found, needed = (plan.found, plan.needed) if plan is not None else (0, 0)
    recorder.order(facts, OrderStatus.CANCELED, reason, remaining, found, needed)
