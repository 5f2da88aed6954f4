"""TWAP orders: placed and cancelled by their account, sliced by the clock.

A TWAP entry tells every event: that one begins, each slice before its order, and how it ends.
"""

from bisect import bisect_left, insort

from chainperp.base.hashing import tagged_hash
from chainperp.base.units import E8
from chainperp.model.accounts import Account
from chainperp.model.actions import OrderRequest, TimeInForce, TwapCancel, TwapOrder
from chainperp.model.arrangements import Twap
from chainperp.model.decisions import Kind, Rejection, TwapEvent, rule_number
from chainperp.rules.liquidation import is_order_of_scope
from chainperp.rules.orders import is_market_known, order_size, reducible_lots
from chainperp.rules.spot import is_pair_known
from chainperp.rules.twaps import (
    check_twap,
    is_own_twap,
    slice_count,
    slice_lots,
    slice_price,
    slice_time,
)
from chainperp.state.store import Market, State
from chainperp.transition.placing import place
from chainperp.transition.recorder import Recorder

MINUTE_MS = 60_000


def process_twap(
    state: State, recorder: Recorder, account: Account, action: TwapOrder
) -> Rejection:
    """Begin a TWAP order (TWP-1); its first slice is due at once, so it goes in the next block."""
    if not is_market_known(action.asset, len(state.markets)):
        is_spot = is_pair_known(action.asset, len(state.pairs))
        return Rejection.SPOT_TWAP if is_spot else Rejection.MARKET_UNKNOWN
    if action.has_details:
        return Rejection.TWAP_DETAILS
    market = state.markets[action.asset]
    lots = order_size(action.size, market.lot_e8)
    if not lots:
        return Rejection.SIZE_INVALID if lots is None else Rejection.SIZE_ZERO
    if not market.oracle:
        return Rejection.NO_PRICE
    position = state.open_exposure(account, action.asset).lots
    reduces = not action.reduce_only or reducible_lots(position, action.is_buy) > 0
    running = len(state.twaps_of.get(account.address, ()))
    notional = lots * market.mark
    verdict = check_twap(action.minutes, notional, reduces, running, state.parameters)
    if verdict is Rejection.ACCEPTED:
        _begin(state, recorder, account, action, lots)
    return verdict


def _begin(
    state: State, recorder: Recorder, account: Account, action: TwapOrder, lots: int
) -> None:
    twap = Twap(state.next_twap, account.address, action.asset, action.is_buy, lots)
    state.next_twap += 1
    twap.reduce_only = action.reduce_only
    twap.randomize = action.randomize
    twap.minutes = action.minutes
    twap.start = state.time_ms
    twap.slices = slice_count(
        lots,
        lots * state.markets[action.asset].mark,
        action.minutes * MINUTE_MS,
        action.randomize,
        state.parameters,
    )
    state.add_twap(twap)
    _wait_for(state, twap, 0)
    _record(recorder, twap, TwapEvent.ACTIVATED, "TWP-1")


def process_twap_cancel(
    state: State, recorder: Recorder, account: Account, action: TwapCancel
) -> Rejection:
    """End a running TWAP order (TWP-6)."""
    running = {
        one: None
        for one in state.twaps_of.get(account.address, ())
        if state.twaps[one].asset == action.asset
    }
    if not is_own_twap(running, action.twap_id):
        return Rejection.TWAP_MISSING
    _end(state, recorder, state.twaps[action.twap_id], TwapEvent.TERMINATED, "TWP-6")
    return Rejection.ACCEPTED


def process_twaps(state: State, recorder: Recorder, parent_hash: bytes) -> None:
    """Send the slices that are due (TWP-3)."""
    left = state.parameters.twap_slices_per_block
    queue = state.twap_queue
    while left and queue and queue[0][0] <= state.time_ms:
        twap = state.twaps[queue.pop(0)[1]]
        index = twap.index
        while index + 1 < twap.slices and _time_of(twap, index + 1) <= state.time_ms:
            index += 1
        _send(state, recorder, twap, index, parent_hash)
        left -= 1


def _send(state: State, recorder: Recorder, twap: Twap, index: int, parent_hash: bytes) -> None:
    """One slice, and the end after the last."""
    market = state.markets[twap.asset]
    draw = _draw(twap, index, parent_hash) if twap.randomize else None
    lots = slice_lots(twap.lots, twap.executed_lots, index, twap.slices, draw, state.parameters)
    if lots:
        _place_slice(state, recorder, market, twap, index, lots)
    if index + 1 == twap.slices:
        _end(state, recorder, twap, TwapEvent.FINISHED, "TWP-3")
    else:
        _wait_for(state, twap, index + 1)


def _place_slice(
    state: State, recorder: Recorder, market: Market, twap: Twap, index: int, lots: int
) -> None:
    """Place the order of a slice, behind the entry that announces it."""
    cause = recorder.next_index()
    _record(recorder, twap, TwapEvent.SLICE, "TWP-4", index=index, oid=state.next_oid, lots=lots)
    slippage = state.parameters.twap_slippage_bps
    price = slice_price(market.mark, twap.is_buy, slippage, market.terms.size_decimals)
    request = OrderRequest(
        twap.asset,
        twap.is_buy,
        E8(price * market.tick_e8),
        E8(lots * market.lot_e8),
        twap.reduce_only,
        TimeInForce.IOC,
    )
    place(state, recorder, state.accounts[twap.account], request, cause, None, twap=twap)


def _draw(twap: Twap, index: int, parent_hash: bytes) -> int:
    """Two bytes that nobody knew when the block before was made."""
    seed = parent_hash + twap.key() + index.to_bytes(4, "big")
    return int.from_bytes(tagged_hash("twap", seed)[:2], "big")


def end_scope_twaps(
    state: State, recorder: Recorder, account: Account, scope: int, cross: int
) -> None:
    """End the TWAP orders of a scope that is liquidated, as its orders are (LIQ-2)."""
    for twap_id in list(state.twaps_of.get(account.address, ())):
        twap = state.twaps[twap_id]
        is_cross = state.open_exposure(account, twap.asset).is_cross
        if is_order_of_scope(twap.asset, is_cross, scope, cross):
            _end(state, recorder, twap, TwapEvent.TERMINATED, "LIQ-2")


def _end(state: State, recorder: Recorder, twap: Twap, event: TwapEvent, rule: str) -> None:
    """Forget a TWAP order, wherever it stands."""
    if event is TwapEvent.TERMINATED:
        del state.twap_queue[bisect_left(state.twap_queue, (twap.due, twap.twap_id))]
    state.remove_twap(twap)
    state.note("twap", twap.key())
    _record(recorder, twap, event, rule)


def _wait_for(state: State, twap: Twap, index: int) -> None:
    """Queue the next slice."""
    twap.index = index
    twap.due = _time_of(twap, index)
    insort(state.twap_queue, (twap.due, twap.twap_id))
    state.note("twap", twap.key())


def _time_of(twap: Twap, index: int) -> int:
    return slice_time(twap.start, index, twap.slices, twap.minutes * MINUTE_MS)


def _record(
    recorder: Recorder,
    twap: Twap,
    event: TwapEvent,
    rule: str,
    *,
    index: int = 0,
    oid: int = 0,
    lots: int = 0,
) -> None:
    recorder.record(
        Kind.TWAP,
        {
            "twap_id": twap.twap_id,
            "event": event,
            "account": twap.account,
            "asset": twap.asset,
            "is_buy": twap.is_buy,
            "lots": twap.lots,
            "reduce_only": twap.reduce_only,
            "randomize": twap.randomize,
            "minutes": twap.minutes,
            "start": twap.start,
            "slices": twap.slices,
            "slice": index,
            "oid": oid,
            "slice_lots": lots,
            "executed_lots": twap.executed_lots,
            "executed_notional": twap.executed_notional,
            "rule": rule_number(rule),
        },
    )
