"""Auto-deleveraging: whole positions of underwater scopes are closed against the other side.

Each round is one position of one scope. Before it the state is committed; then the full list of
candidates is written, each with its inputs, its reason and its take; then the trades; then the end.
Prices and quantities are the rules' (`rules/adl/`); here they are only carried out and recorded.
Source: hyperliquid-protocol 7.6, audit-log-and-consensus 9.5.
"""

from typing import Final

from chainperp.model.accounts import Account, Exposure
from chainperp.model.decisions import CommitReason, Kind, LedgerType, rule_number
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.adl.allocate import round_seed
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import (
    ExemptMode,
    Round,
    ScoreMode,
    Terms,
)
from chainperp.rules.adl.price import (
    adl_lots,
    adl_price,
    adl_price_shift,
    bankruptcy_price,
    deficit_share,
    shifted_price,
)
from chainperp.state.store import INSURANCE, Market, State
from chainperp.transition.fills import FillPlan, apply_fill, plan_fill
from chainperp.transition.liquidation import Scope, measure, scope_positions
from chainperp.transition.matching import end_reduce_only
from chainperp.transition.receipts import (
    AdlCase,
    AdlPhase,
    Receipt,
    candidate_of,
    receipt_rows,
    record_begin,
    record_rows,
)
from chainperp.transition.recorder import FLAG_ADL, FLAG_TAKER_BUYS, Fill, Recorder
from chainperp.transition.transfers import move_cash
from chainperp.transition.valuation import refresh, revalue

PRO_RATA_BY_POSITION: Final = 500


def process_adl(state: State, recorder: Recorder, phase: AdlPhase, underwater: list[Scope]) -> None:
    """Close every position of the underwater scopes, in the order of U-ADL-9."""
    cases: list[AdlCase] = []
    for scope in underwater:
        cases.extend(_open_cases(state, recorder, scope))
    cases.sort(key=_case_order)
    _net_opposites(state, recorder, cases)
    for case in cases:
        if case.exposure.lots:
            _round(state, recorder, phase, case)
    for scope in underwater:
        _close_isolated(state, scope)


def _case_order(case: AdlCase) -> tuple[int, bool, int, bytes]:
    lots = case.exposure.lots
    return case.exposure.asset, lots < 0, case.value, case.scope.account.address


def _open_cases(state: State, recorder: Recorder, scope: Scope) -> list[AdlCase]:
    """Prices of a scope's positions: the previous mark, shifted in the scope's favour by what is
    missing even there, after the insurance has paid what it can (U-ADL-5, U-ADL-6)."""
    positions = scope_positions(scope)
    policy = policy_with_id(state.parameters.adl_policy)
    prices: list[int] = []
    missing = -scope.value
    for exposure in positions:
        market = state.markets[exposure.asset]
        bankrupt = bankruptcy_price(scope.value, abs(exposure.lots), market.mark, exposure.lots > 0)
        price = adl_price(policy.price_rule, market.mark_previous, market.mark, bankrupt)
        missing -= exposure.lots * (price - market.mark)
        prices.append(price)
    before = state.accounts[INSURANCE].raw
    if missing > 0:
        missing -= _draw_insurance(state, recorder, scope, missing)
    after = state.accounts[INSURANCE].raw
    total = 0
    for exposure in positions:
        total += abs(exposure.value)
    cases: list[AdlCase] = []
    for exposure, price in zip(positions, prices, strict=True):
        share = deficit_share(max(0, missing), abs(exposure.value), total)
        shift = adl_price_shift(share, adl_lots(exposure.lots, scope.value))
        shifted = max(1, shifted_price(price, shift, exposure.lots > 0))
        case = AdlCase(scope, exposure, shifted, scope.value)
        case.insurance_before, case.insurance_after = before, after
        cases.append(case)
    return cases


def _draw_insurance(state: State, recorder: Recorder, scope: Scope, missing: int) -> int:
    """Pay from the insurance account towards a deficit; never more than it has."""
    fund = state.accounts[INSURANCE]
    amount = min(missing, fund.raw)
    if amount <= 0:
        return 0
    account = scope.account
    move_cash(state, recorder, fund, account.address, amount, LedgerType.INSURANCE_DRAW)
    if scope.asset != CROSS_SCOPE:
        exposure = account.exposures[scope.asset]
        account.raw -= amount
        account.raw_isolated_total += amount
        exposure.raw_isolated += amount
        state.touch_exposure(account, exposure)
    return amount


def _net_opposites(state: State, recorder: Recorder, cases: list[AdlCase]) -> None:
    """Underwater positions of both sides of a market are closed against each other first, at the
    unshifted price (U-ADL-11)."""
    for long in cases:
        if long.exposure.lots <= 0:
            continue
        for short in cases:
            if short.exposure.asset != long.exposure.asset or short.exposure.lots >= 0:
                continue
            lots = min(long.exposure.lots, -short.exposure.lots)
            if lots <= 0:
                break
            market = state.markets[long.exposure.asset]
            price = market.mark_previous
            index = recorder.next_index()
            recorder.record(
                Kind.ADL_NET,
                {
                    "asset": market.asset,
                    "long_account": long.scope.account.address,
                    "short_account": short.scope.account.address,
                    "lots": lots,
                    "price": price,
                    "rule": rule_number("ADL-4"),
                },
            )
            counterparty = (short.scope.account, short.exposure)
            _close(state, recorder, market, long, counterparty, (lots, price, index))


def _round(state: State, recorder: Recorder, phase: AdlPhase, case: AdlCase) -> None:
    """One ADL round: commit, list, trade, end."""
    market = state.markets[case.exposure.asset]
    is_target_long = case.exposure.lots > 0
    committed = phase.commitment.commit(state)
    policy = policy_with_id(state.parameters.adl_policy)
    holders = [
        (address, exposure)
        for address, exposure in sorted(market.holders.items())
        if (exposure.lots < 0) is is_target_long
    ]
    receipt = Receipt(case, policy, holders)
    receipt.state_index = recorder.next_index()
    recorder.record(
        Kind.STATE_COMMIT,
        {
            "reason": CommitReason.ADL_ROUND,
            "state_root": committed.state_root,
            "n_collections": committed.collections,
        },
    )
    receipt.candidates = [
        candidate_of(state, market, address, exposure, case) for address, exposure in holders
    ]
    _decide(state, phase, market, receipt)
    receipt.begin = recorder.next_index()
    phase.begins.append(receipt.begin)
    record_begin(recorder, phase, market, committed, receipt)
    record_rows(recorder, receipt.begin, receipt.rows)
    trades, marginal = _carry_out(state, recorder, market, receipt)
    _collect(state, recorder, receipt)
    measure(state, case.scope)
    recorder.record(
        Kind.ADL_END,
        {
            "begin_index": receipt.begin,
            "filled_lots": sum(receipt.allocation.takes),
            "shortfall_lots": receipt.allocation.shortfall,
            "marginal_rank": marginal,
            "remainder": abs(case.exposure.lots),
            "target_value_after": case.scope.value,
            "n_fills": trades,
        },
    )


def _decide(state: State, phase: AdlPhase, market: Market, receipt: Receipt) -> None:
    """Ask the policy, and write every candidate's row.

    A policy that takes money closes the lots pro rata by position, and the money besides.
    """
    case, policy = receipt.case, receipt.policy
    parameters = state.parameters
    receipt.round = Round(
        seed=round_seed(phase.parent_hash, market.asset, phase.rounds),
        asset=market.asset,
        is_target_long=case.exposure.lots > 0,
        lots=abs(case.exposure.lots),
        budget=max(0, -case.value),
        mark=market.mark,
        previous_mark=market.mark_previous,
        price=case.price,
        open_interest=market.lots_long,
        terms=Terms(
            score_mode=ScoreMode(parameters.adl_score_mode),
            exempt_mode=ExemptMode(parameters.exempt_mode),
        ),
    )
    phase.rounds += 1
    allocation = allocate(policy, receipt.round, receipt.candidates)
    if not policy.in_lots:
        receipt.amounts = allocation.takes
        by_position = policy_with_id(PRO_RATA_BY_POSITION)
        lots = allocate(by_position, receipt.round, receipt.candidates)
        allocation.takes, allocation.shortfall = lots.takes, lots.shortfall
    receipt.allocation = allocation
    receipt.rows = receipt_rows(receipt.candidates, allocation)


def _carry_out(
    state: State, recorder: Recorder, market: Market, receipt: Receipt
) -> tuple[int, int]:
    """The trades in rank order; returns how many, and the last rank that gave lots."""
    trades = 0
    marginal = 0
    takes = receipt.allocation.takes
    price = receipt.case.price
    for rank, index in enumerate(receipt.allocation.order):
        if takes[index]:
            address, exposure = receipt.holders[index]
            other = (state.accounts[address], exposure)
            trade = (takes[index], price, receipt.begin)
            _close(state, recorder, market, receipt.case, other, trade)
            trades += 1
            marginal = rank
    return trades, marginal


def _collect(state: State, recorder: Recorder, receipt: Receipt) -> None:
    """What a policy in wealth space takes besides the lots, paid to the bankrupt scope."""
    target = receipt.case.scope.account
    for index, amount in enumerate(receipt.amounts):
        if amount:
            payer = state.accounts[receipt.holders[index][0]]
            move_cash(state, recorder, payer, target.address, amount, LedgerType.ADL_HAIRCUT)


def _close(
    state: State,
    recorder: Recorder,
    market: Market,
    case: AdlCase,
    counterparty: tuple[Account, Exposure],
    trade: tuple[int, int, int],
) -> None:
    """Close lots of the bankrupt position against another account, without fees.

    `trade` is (lots, price, log index of the cause).
    """
    target, ours = case.scope.account, case.exposure
    other, theirs = counterparty
    lots, price, cause = trade
    refresh(state, target)
    refresh(state, other)
    delta = -lots if ours.lots > 0 else lots
    fill = Fill(other.address, target.address, price, lots, cause)
    fill.flags = FLAG_ADL | (FLAG_TAKER_BUYS if delta > 0 else 0)
    fill.maker_start, fill.taker_start = theirs.lots, ours.lots
    if ours.is_cross:
        plan = FillPlan(True, target.raw - delta * price, 0, 0, 0)
    else:
        plan = FillPlan(True, target.raw, ours.raw_isolated - delta * price, 0, 0)
    fill.taker_pnl = apply_fill(state, market, target, ours, delta, price, plan)
    plan = plan_fill(
        market,
        other,
        theirs,
        -delta,
        price,
        0,
        bids=theirs.bids_notional,
        asks=theirs.asks_notional,
        limit=0,
    )
    fill.maker_pnl = apply_fill(state, market, other, theirs, -delta, price, plan)
    recorder.fill(state.next_tid, market.asset, fill)
    state.next_tid += 1
    for account, exposure in ((target, ours), (other, theirs)):
        if exposure.reduce_only_orders:
            end_reduce_only(state, recorder, market, account, exposure)


def _close_isolated(state: State, scope: Scope) -> None:
    """What is left in the cell of an isolated position that is gone returns to cross."""
    if scope.asset == CROSS_SCOPE:
        return
    account = scope.account
    exposure = account.exposures[scope.asset]
    if exposure.lots or not exposure.raw_isolated:
        return
    account.raw += exposure.raw_isolated
    account.raw_isolated_total -= exposure.raw_isolated
    exposure.raw_isolated = 0
    revalue(account, exposure, state.markets[scope.asset].mark)
    state.touch(account)
    state.unfile(account)
