"""One side of one fill: what it would leave (plan), and the change itself (apply).

Raw USD moves by minus price times signed size, so the two sides cancel exactly; fees go to the
assistance fund in the same step. An isolated position has its own raw USD: opening moves margin
in from cross, closing gives a share back, a flip is a full close and then an open.
Source: hyperliquid-protocol 2.3, U-MAR-2..4, U-REL-1, U-FEE-4.
"""

from chainperp.model.accounts import Account, Exposure
from chainperp.rules.margin import (
    initial_margin,
    maintenance_margin,
    opening_margin,
    released_margin,
)
from chainperp.rules.matching import is_fill_affordable
from chainperp.rules.pnl import entry_after_close, realised_pnl
from chainperp.state.store import Market, State
from chainperp.transition.valuation import revalue


class FillPlan:
    """The money of one side after a fill: cross raw, isolated raw, and whether the rules allow it,
    with the two numbers that MAT-3 compared."""

    __slots__ = ("allowed", "found", "needed", "raw", "raw_isolated")

    def __init__(self, allowed: bool, raw: int, raw_isolated: int, found: int, needed: int) -> None:
        self.allowed = allowed
        self.raw = raw
        self.raw_isolated = raw_isolated
        self.found = found
        self.needed = needed


def plan_fill(
    market: Market,
    account: Account,
    exposure: Exposure,
    delta: int,
    price: int,
    fee: int,
    *,
    bids: int,
    asks: int,
    limit: int,
    keeps_margin: bool = False,
) -> FillPlan:
    """What a fill of `delta` signed lots at `price` leaves. `bids` and `asks` are the resting
    notionals after the fill; `limit` is the parameter `user_fill_limit`. `keeps_margin` is for
    liquidations: an isolated position gives nothing back while it is reduced (U-LIQ-9)."""
    cost = price * delta + fee
    if not exposure.is_cross:
        if keeps_margin:
            return _plan_liquidation(market, account, exposure, delta, cost, limit)
        return _plan_isolated(
            market, account, exposure, delta, price, fee, bids=bids, asks=asks, limit=limit
        )
    lots = exposure.lots
    after = lots + delta
    raw = account.raw - cost
    before = account.raw + account.position_value
    value = after * market.mark
    found = before - cost - exposure.value + value
    reduces = -lots < after < lots if lots > 0 else lots < after < -lots
    needed = 0
    if not reduces:
        margin = initial_margin(value, bids, asks, exposure.leverage, True)
        needed = account.margin_total - exposure.margin + margin
    allowed = is_fill_affordable(before, found, needed, reduces, limit)
    return FillPlan(allowed, raw, 0, found, needed)


def _plan_isolated(
    market: Market,
    account: Account,
    exposure: Exposure,
    delta: int,
    price: int,
    fee: int,
    *,
    bids: int,
    asks: int,
    limit: int,
) -> FillPlan:
    """The isolated twin: close what the fill closes, then open what is left of it."""
    lots = exposure.lots
    closed = min(abs(lots), abs(delta)) if lots * delta < 0 else 0
    opened = abs(delta) - closed
    raw = account.raw - fee
    isolated = exposure.raw_isolated
    if closed:
        released = released_margin(isolated, lots * price, closed, abs(lots))
        if released < 0 and limit:
            return FillPlan(False, account.raw, isolated, released, 0)
        raw += released
        isolated += (closed * price if lots > 0 else -closed * price) - released
    if opened:
        margin = opening_margin(opened * price, exposure.leverage)
        raw -= margin
        isolated += margin - (opened * price if delta > 0 else -opened * price)
    found = raw + account.position_value
    after = lots + delta
    if opened:
        value_at_mark = after * market.mark
        orders = initial_margin(value_at_mark, bids, asks, exposure.leverage, False)
        held = account.margin_total - exposure.margin + orders
        floor = maintenance_margin(abs(value_at_mark), market.terms)
        value = isolated + value_at_mark
        if value < floor:
            return FillPlan(False, account.raw, exposure.raw_isolated, value, floor)
        allowed = is_fill_affordable(found, found, held, False, limit)
        return FillPlan(allowed, raw, isolated, found, held)
    before = account.raw + account.position_value
    allowed = is_fill_affordable(before, found, 0, True, limit)
    return FillPlan(allowed, raw, isolated, found, 0)


def _plan_liquidation(
    market: Market,
    account: Account,
    exposure: Exposure,
    delta: int,
    cost: int,
    limit: int,
) -> FillPlan:
    """Reduce an isolated position by force: freed equity and the fee stay in its own cell, and
    only a full close returns what is left to cross. `cost` is price times signed lots, and fee."""
    after = exposure.lots + delta
    isolated = exposure.raw_isolated - cost
    before = exposure.raw_isolated + exposure.value
    found = isolated + after * market.mark
    allowed = is_fill_affordable(before, found, 0, True, limit)
    if after == 0:
        return FillPlan(allowed, account.raw + isolated, 0, found, 0)
    return FillPlan(allowed, account.raw, isolated, found, 0)


def plan_in_own_cell(account: Account, exposure: Exposure, delta: int, price: int) -> FillPlan:
    """The money of a forced trade: gains and losses stay in the scope's own cell, whatever the
    size. Asks nothing."""
    cost = delta * price
    if exposure.is_cross:
        return FillPlan(True, account.raw - cost, 0, 0, 0)
    return FillPlan(True, account.raw, exposure.raw_isolated - cost, 0, 0)


def apply_fill(
    state: State,
    market: Market,
    account: Account,
    exposure: Exposure,
    delta: int,
    price: int,
    plan: FillPlan,
) -> int:
    """Carry out a planned fill and return the profit it realised (fees apart)."""
    account.raw = plan.raw
    if not exposure.is_cross:
        account.raw_isolated_total += plan.raw_isolated - exposure.raw_isolated
        exposure.raw_isolated = plan.raw_isolated
    lots = exposure.lots
    after = lots + delta
    pnl = 0
    if lots * delta < 0:
        closed = min(abs(lots), abs(delta))
        left = abs(lots) - closed
        entry = entry_after_close(exposure.entry_notional, abs(lots), left)
        pnl = realised_pnl(exposure.entry_notional - entry, closed * price, lots > 0)
        exposure.entry_notional = entry if left else abs(after) * price
    else:
        exposure.entry_notional += delta * price if delta > 0 else -delta * price
    exposure.lots = after
    _count_open_interest(market, account, exposure, lots, after)
    revalue(account, exposure, market.mark)
    state.touch(account)
    state.unfile(account)
    state.touch_exposure(account, exposure)
    return pnl


def _count_open_interest(
    market: Market, account: Account, exposure: Exposure, before: int, after: int
) -> None:
    """Keep the market's totals and its list of holders."""
    if before > 0:
        market.lots_long -= before
    elif before < 0:
        market.lots_short += before
    else:
        market.holders[account.address] = exposure
    if after > 0:
        market.lots_long += after
    elif after < 0:
        market.lots_short -= after
    elif before:
        del market.holders[account.address]
