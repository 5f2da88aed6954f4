"""The liquidator vault takes scopes over, and works its positions off by a published schedule.

A takeover moves every position of the scope at the mark, without fees, and then what is left of
the scope's money: the scope ends at exactly zero. The vault is an ordinary account and taker.
"""

from chainperp.base.canonical import Record
from chainperp.base.rounding import ceil_div
from chainperp.base.units import Address
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import Kind, LedgerType, Rejection, rule_number
from chainperp.model.orders import Order
from chainperp.rules.backstop import (
    is_backstop_affordable,
    is_backstop_offered,
    routed_share,
    unwind_limit,
    unwind_lots,
)
from chainperp.rules.ordering import periods_due
from chainperp.state.store import ASSISTANCE_FUND, BACKSTOP_VAULT, INSURANCE, State
from chainperp.transition.fills import apply_fill, plan_in_own_cell
from chainperp.transition.liquidation import Scope, scope_positions
from chainperp.transition.matching import end_reduce_only, match_forced
from chainperp.transition.recorder import FLAG_BACKSTOP, FLAG_TAKER_BUYS, Fill, Recorder
from chainperp.transition.transfers import empty_cell, move_cash
from chainperp.transition.valuation import account_value, position_notional, refresh


def take_over(state: State, recorder: Recorder, scope: Scope, cause: int) -> bool:
    """Offer a scope to the vault; it takes all of it or nothing (BKS-2, BKS-4)."""
    vault = state.accounts[BACKSTOP_VAULT]
    positions = scope_positions(scope)
    rule = "BKS-2"
    taken = scope.account is not vault
    for exposure in positions:
        if not is_backstop_offered(state.markets[exposure.asset].terms.is_isolated_only):
            taken, rule = False, "BKS-4"
    refresh(state, vault)
    value, margin, notional = _vault_after(state, vault, scope, positions)
    limit = state.parameters.backstop_notional_max
    taken = taken and is_backstop_affordable(value, margin, notional, limit)
    recorder.record(
        Kind.BACKSTOP,
        {
            "account": scope.account.address,
            "asset": scope.asset,
            "vault": vault.address,
            "value": scope.value,
            "maintenance": scope.maintenance,
            "vault_value_after": value,
            "vault_margin_after": margin,
            "taken": taken,
            "rule": rule_number(rule),
            "collateral": scope.value if taken else 0,
            "positions": [_row(state, exposure) for exposure in positions],
        },
    )
    if taken:
        for exposure in positions:
            _transfer(state, recorder, scope.account, exposure, vault, cause)
        _seize(state, recorder, scope)
    return taken


def _row(state: State, exposure: Exposure) -> Record:
    mark = state.markets[exposure.asset].mark
    return {"asset": exposure.asset, "lots": exposure.lots, "price": mark}


def _vault_after(
    state: State, vault: Account, scope: Scope, positions: list[Exposure]
) -> tuple[int, int, int]:
    """The vault's value, margin at its own leverage, and position value, if it took the scope."""
    added = {exposure.asset: exposure.lots for exposure in positions}
    margin = 0
    notional = 0
    for asset in sorted(vault.exposures.keys() | added.keys()):
        own = vault.exposures.get(asset)
        lots = (own.lots if own is not None else 0) + added.get(asset, 0)
        worth = abs(lots) * state.markets[asset].mark
        notional += worth
        margin += ceil_div(worth, state.parameters.backstop_leverage)
    return account_value(vault) + scope.value, margin, notional


def _transfer(
    state: State,
    recorder: Recorder,
    victim: Account,
    exposure: Exposure,
    vault: Account,
    cause: int,
) -> None:
    """Move one position to the vault at the mark, without a fee."""
    market = state.markets[exposure.asset]
    lots, mark = exposure.lots, market.mark
    theirs = state.open_exposure(vault, exposure.asset)
    refresh(state, vault)
    fill = Fill(victim.address, vault.address, mark, abs(lots), cause)
    fill.flags = FLAG_BACKSTOP | (FLAG_TAKER_BUYS if lots > 0 else 0)
    fill.maker_start, fill.taker_start = lots, theirs.lots
    plan = plan_in_own_cell(victim, exposure, -lots, mark)
    fill.maker_pnl = apply_fill(state, market, victim, exposure, -lots, mark, plan)
    plan = plan_in_own_cell(vault, theirs, lots, mark)
    fill.taker_pnl = apply_fill(state, market, vault, theirs, lots, mark, plan)
    recorder.fill(state.next_tid, market.asset, fill)
    state.next_tid += 1
    if exposure.reduce_only_orders:
        end_reduce_only(state, recorder, market, victim, exposure)


def _seize(state: State, recorder: Recorder, scope: Scope) -> None:
    """Move the scope's remaining money to the vault, and from there by the routing vector."""
    victim = scope.account
    vault = state.accounts[BACKSTOP_VAULT]
    collateral = scope.value
    empty_cell(state, victim, scope.asset)
    move_cash(state, recorder, victim, vault.address, collateral, LedgerType.BACKSTOP_COLLATERAL)
    parameters = state.parameters
    for address, share_bps in (
        (ASSISTANCE_FUND, parameters.liquidation_fund_bps),
        (INSURANCE, parameters.liquidation_insurance_bps),
    ):
        share = routed_share(collateral, share_bps)
        if share:
            kind = LedgerType.LIQUIDATION_PROFIT
            move_cash(state, recorder, vault, Address(address), share, kind)


def unwind(state: State, recorder: Recorder, time_before: int) -> None:
    """One step of the vault's published schedule: reduce-only IOC orders, market by market."""
    parameters = state.parameters
    vault = state.accounts[BACKSTOP_VAULT]
    if not any(exposure.lots for exposure in vault.exposures.values()):
        return
    steps = periods_due(time_before, state.time_ms, parameters.unwind_interval_ms)[1]
    if not steps:
        return
    refresh(state, vault)
    elapsed = steps * parameters.unwind_interval_ms
    for asset in sorted(vault.exposures):
        exposure = vault.exposures[asset]
        market = state.markets[asset]
        if not exposure.lots or not market.mark:
            continue
        is_buy = exposure.lots < 0
        held = abs(exposure.lots)
        lots = unwind_lots(held, elapsed, parameters.unwind_half_life_ms)
        limit = unwind_limit(market.mark, is_buy, parameters.unwind_slippage_bps)
        order = Order(
            state.next_oid, vault, exposure, is_buy, limit, lots, True, TimeInForce.IOC, None
        )
        state.next_oid += 1
        cause = recorder.next_index()
        match_forced(state, recorder, market, order, cause, (Rejection.UNWIND, held, lots))
    refresh(state, vault)
    recorder.record(
        Kind.VAULT,
        {
            "vault": vault.address,
            "value": account_value(vault),
            "margin": vault.margin_total,
            "positions": sum(1 for one in vault.exposures.values() if one.lots),
            "notional": position_notional(vault),
            "rule": rule_number("BKS-3"),
        },
    )
