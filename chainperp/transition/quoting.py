"""A round of the market-making child: what rests and is no longer due goes, what is due is placed.

The whole round is planned from the state before anything changes (`rules/quoting.py`), and recorded
with its inputs before its effects. Its orders are post-only and go the way of everybody's orders:
same checks, same records. A round that changes nothing leaves no entry.
"""

from typing import Final, NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.units import E8
from chainperp.model.accounts import Account
from chainperp.model.actions import OrderRequest, TimeInForce
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.model.orders import Order
from chainperp.rules.ordering import periods_due
from chainperp.rules.prices import is_price_fresh
from chainperp.rules.quoting import (
    QuoteInputs,
    SidePlan,
    inventory_cap,
    may_take_on,
    plan_side,
)
from chainperp.state.book import BookSide
from chainperp.state.store import MARKET_MAKER, Market, State
from chainperp.transition.matching import end_order
from chainperp.transition.placing import place
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import account_value, position_notional, refresh

NOTHING: Final = SidePlan([], [])


class MarketPlan(NamedTuple):
    """What a round does in one market: the record's row, the orders that go, and the new ones as
    (is it a bid, price, lots)."""

    market: Market
    row: Record
    ended: list[Order]
    placed: list[tuple[bool, int, int]]


def process_quotes(state: State, recorder: Recorder, time_before: int) -> None:
    """One round, when it is due: plan, record, cancel, place."""
    maker = state.accounts[MARKET_MAKER]
    interval = state.parameters.quote_interval_ms
    if not interval or (not maker.raw and not maker.exposures):
        return
    if not periods_due(time_before, state.time_ms, interval)[1]:
        return
    refresh(state, maker)
    value, notional = account_value(maker), position_notional(maker)
    day_value = state.day_values.get(MARKET_MAKER)
    if day_value is None:
        day_value = value
        set_day_value(state, value)
    cap = quote_cap(state, value, notional, day_value)
    plans: list[MarketPlan] = []
    for market in state.markets:
        plan = plan_market(state, maker, market, value, cap)
        if plan is not None:
            plans.append(plan)
    if not plans:
        return
    cause = recorder.next_index()
    recorder.record(
        Kind.QUOTE,
        {
            "account": maker.address,
            "value": value,
            "notional": notional,
            "day_value": day_value,
            "rule": rule_number("VLT-26"),
            "rows": [plan.row for plan in plans],
        },
    )
    for plan in plans:
        _carry_out(state, recorder, maker, plan, cause)


def set_day_value(state: State, value: int) -> None:
    """Begin the market-making child's day."""
    state.day_values[MARKET_MAKER] = value
    state.note("mm", MARKET_MAKER)


def quote_cap(state: State, value: int, notional: int, day_value: int) -> int:
    """What the child may hold in one market now (VLT-20, VLT-21)."""
    parameters = state.parameters
    takes_on = may_take_on(
        value, notional, day_value, parameters.quote_leverage_max, parameters.quote_loss_bps
    )
    return inventory_cap(value, parameters.quote_cap_bps, takes_on)


def resting_orders(maker: Account, asset: int, is_buy: bool) -> list[Order]:
    """The child's orders on a side, best price first, then by id."""
    found = [one for one in maker.orders.values() if one.asset == asset and one.is_buy is is_buy]
    found.sort(key=_bid_rank if is_buy else _ask_rank)
    return found


def _bid_rank(order: Order) -> tuple[int, int]:
    return -order.price, order.oid


def _ask_rank(order: Order) -> tuple[int, int]:
    return order.price, order.oid


def best_of_others(side: BookSide, maker: Account) -> int | None:
    """The best price at which somebody else has an order."""
    for order in side.walk():
        if order.account is not maker:
            return order.price
    return None


def plan_market(
    state: State, maker: Account, market: Market, value: int, cap: int
) -> MarketPlan | None:
    """What the round does in one market; None when it changes nothing there. A market without a
    fresh price, or held isolated only, is not quoted."""
    asset = market.asset
    sides = {is_buy: resting_orders(maker, asset, is_buy) for is_buy in (True, False)}
    parameters = state.parameters
    is_quoted = (
        market.mark > 0
        and not market.terms.is_isolated_only
        and is_price_fresh(market.oracle_time, state.time_ms, parameters.quote_stale_ms)
    )
    if not is_quoted and not sides[True] and not sides[False]:
        return None
    exposure = maker.exposures.get(asset)
    inputs = QuoteInputs(
        market.oracle,
        market.mark,
        market.terms.size_decimals,
        value,
        cap,
        0 if exposure is None else exposure.lots,
        0 if exposure is None else exposure.entry_notional,
        best_of_others(market.book.bids, maker),
        best_of_others(market.book.asks, maker),
    )
    ended: list[Order] = []
    placed: list[tuple[bool, int, int]] = []
    kept = 0
    for is_buy, orders in sides.items():
        resting = [(one.price, one.remaining) for one in orders]
        plan = plan_side(inputs, is_buy, resting, parameters) if is_quoted else NOTHING
        ended += [one for at, one in enumerate(orders) if at not in plan.kept]
        placed += [(is_buy, price, lots) for price, lots in plan.placed]
        kept += len(plan.kept)
    if not ended and not placed:
        return None
    row = {
        "asset": asset,
        "oracle": inputs.oracle,
        "mark": inputs.mark,
        "oracle_time": market.oracle_time,
        "lots": inputs.lots,
        "entry_notional": inputs.entry_notional,
        "bid": inputs.bid,
        "ask": inputs.ask,
        "kept": kept,
        "cancelled": len(ended),
        "placed": len(placed),
    }
    return MarketPlan(market, row, ended, placed)


def _carry_out(
    state: State, recorder: Recorder, maker: Account, plan: MarketPlan, cause: int
) -> None:
    """Cancel, then place, by the way of every order."""
    market = plan.market
    for order in plan.ended:
        end_order(recorder, market, order, Rejection.QUOTE_MOVED)
    for is_buy, price, lots in plan.placed:
        request = OrderRequest(
            market.asset,
            is_buy,
            E8(price * market.tick_e8),
            E8(lots * market.lot_e8),
            False,
            TimeInForce.ALO,
        )
        place(state, recorder, maker, request, cause, None)
