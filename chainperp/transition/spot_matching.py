"""The walk of a spot order over the book of its pair, and what a trade moves.

The walk is that of `matching.py` (MAT-1, MAT-2). Nothing can stop a trade: a resting order holds
what it gives, an incoming one was asked for it before.
"""

from chainperp.base.rounding import floor_div
from chainperp.base.units import Price
from chainperp.model.accounts import Account, Rates
from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import LedgerType, OrderStatus, Rejection
from chainperp.model.orders import Order
from chainperp.model.tokens import SPOT_FIRST, USDC, token_key
from chainperp.rules.matching import execution_price, is_self_trade
from chainperp.rules.orders import would_match
from chainperp.rules.spot import spot_fee, spot_hold
from chainperp.state.pairs import SpotPair
from chainperp.state.store import State
from chainperp.transition.matching import end_order, record_forced, take_fees
from chainperp.transition.rates import begin_day, count_trade, rates_today
from chainperp.transition.recorder import FLAG_MAKER_DONE, FLAG_TAKER_BUYS, Fill, Recorder
from chainperp.transition.tokens import burn


def match_spot(state: State, recorder: Recorder, pair: SpotPair, taker: Order, cause: int) -> int:
    """Fill as much of an incoming order as its limit allows; what is left stays in the order.
    Returns the USDC that changed hands. `cause` is the log index of the transaction."""
    is_buy, limit = taker.is_buy, taker.price
    side = pair.book.opposite(is_buy)
    notional = 0
    while taker.remaining:
        level = side.top
        if level is None or not would_match(limit, is_buy, level.price):
            break
        maker = level.first
        if maker is None:
            break
        if is_self_trade(maker.account.address, taker.account.address):
            end_spot_order(state, recorder, pair, maker, Rejection.SELF_TRADE)
            continue
        notional += _trade(state, recorder, pair, maker, taker, cause)
    return notional


def _trade(
    state: State, recorder: Recorder, pair: SpotPair, maker: Order, taker: Order, cause: int
) -> int:
    """One match at the resting order's price: tokens and USDC change hands, each side pays its fee
    out of what it receives. Returns the USDC that changed hands."""
    maker_rates = rates_today(state, maker.account)
    taker_rates = rates_today(state, taker.account)
    fill = _new_fill(state, pair, maker, taker, cause)
    _set_fees(pair, maker, taker, fill, maker_rates, taker_rates)
    lots = fill.lots
    _release(state, pair, maker, lots)
    maker.remaining -= lots
    if maker.level is not None:
        maker.level.lots -= lots
    taker.remaining -= lots
    if maker.remaining == 0:
        fill.flags |= FLAG_MAKER_DONE
        _forget(pair, maker)
    notional = fill.price * lots
    if taker.is_buy:
        buyer, seller = taker.account.address, maker.account.address
        fee_token, fee_usdc = fill.taker_fee, fill.maker_fee
    else:
        buyer, seller = maker.account.address, taker.account.address
        fee_token, fee_usdc = fill.maker_fee, fill.taker_fee
    state.add_spot(pair.base, seller, -lots * pair.wei_per_lot)
    state.add_spot(pair.base, buyer, lots * pair.wei_per_lot)
    state.add_spot(USDC, buyer, -notional)
    state.add_spot(USDC, seller, notional - fee_usdc)
    begin_day(state, maker.account, maker_rates)
    begin_day(state, taker.account, taker_rates)
    count_trade(state, maker.account, taker.account, notional, is_spot=True)
    state.touch(maker.account)
    state.touch(taker.account)
    if taker.is_buy:
        take_fees(state, maker.account, fee_usdc, taker.account, 0)
    else:
        take_fees(state, maker.account, 0, taker.account, fee_usdc)
    pair.book.price_last = Price(fill.price)
    state.note("pair", token_key(pair.asset))
    recorder.fill(state.next_tid, pair.asset, fill)
    state.next_tid += 1
    if fee_token:
        burn(state, recorder, pair.base, buyer, fee_token, LedgerType.SPOT_FEE_BURN)
    return notional


def _new_fill(state: State, pair: SpotPair, maker: Order, taker: Order, cause: int) -> Fill:
    """The trade at the resting order's price, with both balances before."""
    price = execution_price(maker.price)
    lots = min(taker.remaining, maker.remaining)
    fill = Fill(maker.account.address, taker.account.address, price, lots, cause)
    fill.maker_oid, fill.taker_oid = maker.oid, taker.oid
    balances = state.spot[pair.base]
    fill.maker_start = balances.get(maker.account.address, 0)
    fill.taker_start = balances.get(taker.account.address, 0)
    if taker.is_buy:
        fill.flags = FLAG_TAKER_BUYS
    return fill


def _set_fees(
    pair: SpotPair, maker: Order, taker: Order, fill: Fill, maker_rates: Rates, taker_rates: Rates
) -> None:
    """Both fees of a trade (SPT-6), each of what its side receives."""
    paid, given = fill.price * fill.lots, fill.lots * pair.wei_per_lot
    received = given if maker.is_buy else paid
    fill.maker_fee = spot_fee(received, maker_rates.spot_maker, maker_rates.discount)
    received = given if taker.is_buy else paid
    fill.taker_fee = spot_fee(received, taker_rates.spot_taker, taker_rates.discount)


def held_token(pair: SpotPair, order: Order) -> int:
    """The token of which an order holds an amount."""
    return USDC if order.is_buy else pair.base


def _release(state: State, pair: SpotPair, order: Order, lots: int) -> None:
    """Free what a resting order held for lots."""
    amount = spot_hold(order.is_buy, order.price, lots, pair.wei_per_lot)
    state.hold_spot(held_token(pair, order), order.account.address, -amount)


def rest_spot_order(state: State, pair: SpotPair, order: Order) -> None:
    """Put an order into the book and hold what it gives (SPT-4)."""
    account = order.account
    pair.book.side(order.is_buy).add(order)
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    amount = spot_hold(order.is_buy, order.price, order.remaining, pair.wei_per_lot)
    state.hold_spot(held_token(pair, order), account.address, amount)


def _forget(pair: SpotPair, order: Order) -> None:
    """Take an order that is done out of the book and out of its owner's lists."""
    pair.book.side(order.is_buy).remove(order)
    account = order.account
    del account.orders[order.oid]
    if order.cloid is not None:
        del account.cloids[order.cloid]


def end_spot_order(
    state: State, recorder: Recorder, pair: SpotPair, order: Order, reason: Rejection
) -> None:
    """Cancel a resting order for a logged reason and free what it held."""
    _release(state, pair, order, order.remaining)
    _forget(pair, order)
    recorder.order(order, OrderStatus.CANCELED, reason, 0, 0)


def end_any_order(state: State, recorder: Recorder, order: Order, reason: Rejection) -> None:
    """Cancel an order wherever it rests or waits."""
    if order.asset >= SPOT_FIRST:
        end_spot_order(state, recorder, state.pairs[order.asset - SPOT_FIRST], order, reason)
    else:
        end_order(recorder, state.markets[order.asset], order, reason)


def buy_forced(
    state: State,
    recorder: Recorder,
    pair: SpotPair,
    account: Account,
    limit: int,
    lots: int,
    *,
    cause: int,
    reason: Rejection,
) -> tuple[int, int]:
    """Buy with an IOC order of the exchange's own, out of the account's free USDC, and record how
    it ended with the reason it was sent for.

    Returns lots bought and micro-USDC spent. Lots that the balance does not cover at the limit are
    left out; without any, nothing is recorded.
    """
    free = state.spot_free(USDC, account.address)
    lots = min(lots, floor_div(free, limit))
    if lots <= 0:
        return 0, 0
    order = Order(
        state.next_oid, account, pair.exposure, True, limit, lots, False, TimeInForce.IOC, None
    )
    state.next_oid += 1
    spent = match_spot(state, recorder, pair, order, cause)
    return record_forced(recorder, order, (reason, free, lots * limit)), spent
