"""The liquidity vault and its children: netting of their positions, and the daily split of capital.

Nothing here draws on one child for the loss of another: netting changes no value, and capital moves
by the daily rule only.
"""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.units import DAY_MS, Address
from chainperp.model.accounts import Account
from chainperp.model.decisions import Kind, LedgerType, rule_number
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.children import Child, capital_share, netted_lots, plan_capital
from chainperp.rules.ordering import periods_due
from chainperp.rules.prices import is_price_fresh
from chainperp.state.store import HLP_MEMBERS, LIQUIDITY_VAULT, MARKET_MAKER, Market, State
from chainperp.transition.fills import apply_fill, plan_in_own_cell
from chainperp.transition.quoting import set_day_value
from chainperp.transition.recorder import FLAG_NETTED, Fill, Recorder
from chainperp.transition.shares import vault_value
from chainperp.transition.transfers import available, move_cash
from chainperp.transition.valuation import account_value, refresh, scope_value_and_maintenance

CHILDREN: Final = HLP_MEMBERS[1:]


def process_children(state: State, recorder: Recorder, time_before: int) -> None:
    """Net positions each minute, split capital each UTC day."""
    interval = state.parameters.netting_interval_ms
    if interval and periods_due(time_before, state.time_ms, interval)[1]:
        net_positions(state, recorder)
    if periods_due(time_before, state.time_ms, DAY_MS)[1]:
        split_capital(state, recorder)


def net_positions(state: State, recorder: Recorder) -> None:
    """Close opposite cross positions of the two children against each other at the mark (VLT-27).

    Markets whose price is too old to act on wait.
    """
    backstop, maker = (state.accounts[address] for address in CHILDREN)
    rows: list[Record] = []
    pairs: list[tuple[Market, int]] = []
    limit = state.parameters.price_stale_ms
    for asset in sorted(backstop.exposures.keys() & maker.exposures.keys()):
        market = state.markets[asset]
        lots = netted_lots(backstop.exposures[asset].lots, maker.exposures[asset].lots)
        if lots and is_price_fresh(market.oracle_time, state.time_ms, limit):
            rows.append({"asset": asset, "lots": lots, "price": market.mark})
            pairs.append((market, lots))
    if not pairs:
        return
    cause = recorder.next_index()
    _record(state, recorder, {"rule": rule_number("VLT-27"), "netted": rows})
    for market, lots in pairs:
        _net(state, recorder, market, lots, cause)


def _record(state: State, recorder: Recorder, fields: Record) -> None:
    blank = {
        "vault": LIQUIDITY_VAULT, "whole": whole_value(state), "budget": 0, "available": 0,
        "children": [], "netted": [],
    }  # fmt: skip
    recorder.record(Kind.CHILDREN, {**blank, **fields})


def _net(state: State, recorder: Recorder, market: Market, lots: int, cause: int) -> None:
    """One trade between the children: the long sells to the short, at the mark, without fees."""
    accounts = [state.accounts[address] for address in CHILDREN]
    maker, taker = sorted(accounts, key=lambda one: one.exposures[market.asset].lots)
    theirs, ours = maker.exposures[market.asset], taker.exposures[market.asset]
    for account in accounts:
        refresh(state, account)
    fill = Fill(maker.address, taker.address, market.mark, lots, cause)
    fill.flags = FLAG_NETTED
    fill.maker_start, fill.taker_start = theirs.lots, ours.lots
    plan = plan_in_own_cell(maker, theirs, lots, market.mark)
    fill.maker_pnl = apply_fill(state, market, maker, theirs, lots, market.mark, plan)
    plan = plan_in_own_cell(taker, ours, -lots, market.mark)
    fill.taker_pnl = apply_fill(state, market, taker, ours, -lots, market.mark, plan)
    recorder.fill(state.next_tid, market.asset, fill)
    state.next_tid += 1


def whole_value(state: State) -> int:
    """Value of the whole vault: the parent and its children, at the current marks."""
    return vault_value(state, state.vaults[LIQUIDITY_VAULT])


def split_capital(state: State, recorder: Recorder) -> None:
    """Move capital towards the published shares (VLT-28, VLT-29), then begin the market-making
    child's day. A day on which nothing moves leaves no entry."""
    parameters = state.parameters
    parent = state.accounts[LIQUIDITY_VAULT]
    whole = whole_value(state)
    budget = capital_share(whole, parameters.capital_day_bps)
    free = available(state, parent)
    shares = (parameters.child_backstop_bps, parameters.child_maker_bps)
    accounts = [state.accounts[address] for address in CHILDREN]
    children = [
        _child(state, account, capital_share(whole, bps))
        for account, bps in zip(accounts, shares, strict=True)
    ]
    moves = plan_capital(children, free, budget, parameters.capital_move_min)
    if any(moves):
        rows = [
            {"child": account.address, **child._asdict(), "moved": moved}
            for account, child, moved in zip(accounts, children, moves, strict=True)
        ]
        _record(
            state,
            recorder,
            {"rule": rule_number("VLT-29"), "budget": budget, "available": free, "children": rows},
        )
        for is_inflow in (False, True):
            for address, moved in zip(CHILDREN, moves, strict=True):
                if moved and (moved > 0) is is_inflow:
                    _move(state, recorder, address, moved)
    maker = state.accounts[MARKET_MAKER]
    if maker.raw or MARKET_MAKER in state.day_values:
        refresh(state, maker)
        set_day_value(state, account_value(maker))


def _child(state: State, account: Account, target: int) -> Child:
    value, maintenance = scope_value_and_maintenance(state, account, CROSS_SCOPE)
    return Child(value, maintenance, available(state, account), target)


def _move(state: State, recorder: Recorder, child: Address, moved: int) -> None:
    """Positive to the child, negative from it."""
    giver, taker = (LIQUIDITY_VAULT, child) if moved > 0 else (child, LIQUIDITY_VAULT)
    kind = LedgerType.CHILD_CAPITAL
    move_cash(state, recorder, state.accounts[giver], taker, abs(moved), kind)
