"""Auto-deleveraging: whole positions of underwater scopes are closed against the other side.

Each round is one position of one scope. Before it the state is committed; then the full list of
candidates is written, each with its inputs, its reason and its take; then the trades; then the end.
Prices and quantities are the rules' (`rules/adl/`); here they are only carried out and recorded.
Source: hyperliquid-protocol 7.6, audit-log-and-consensus 9.5.
"""

from chainperp.model.accounts import Account, Exposure
from chainperp.model.decisions import AdlReason, CommitReason, Kind, LedgerType, rule_number
from chainperp.rules.adl.allocate import round_seed, tie_keys, waterfill
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import Candidate, PriceRule, Round, terms_of
from chainperp.rules.adl.price import (
    adl_lots,
    adl_price,
    adl_price_shift,
    bankruptcy_price,
    deficit_share,
    shifted_price,
)
from chainperp.state.store import INSURANCE, Market, State
from chainperp.transition.fills import apply_fill, plan_fill, plan_in_own_cell
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
from chainperp.transition.transfers import empty_cell, into_cell, move_cash
from chainperp.transition.valuation import refresh


def process_adl(state: State, recorder: Recorder, phase: AdlPhase, underwater: list[Scope]) -> None:
    """Close every position of the underwater scopes, in the order of U-ADL-9.

    First they are netted against each other; what is still below zero then gets its prices and is
    closed against the other side of its markets, one round for each position.
    """
    _net_opposites(state, recorder, underwater)
    cases: list[AdlCase] = []
    for scope in underwater:
        measure(state, scope)
        if scope.value < 0:
            cases.extend(_open_cases(state, recorder, scope))
    cases.sort(key=_case_order)
    for case in cases:
        _round(state, recorder, phase, case)
    for scope in underwater:
        _settle_closed(state, recorder, scope)


def _case_order(case: AdlCase) -> tuple[int, bool, int, bytes]:
    lots = case.exposure.lots
    return case.exposure.asset, lots < 0, case.value, case.scope.account.address


def _open_cases(state: State, recorder: Recorder, scope: Scope) -> list[AdlCase]:
    """Prices of a scope's positions (ADL-2), and who bears what they do not cover.

    What is missing at these prices the insurance pays as far as it can; the rest moves the prices
    in the scope's favour, split by notional (ADL-3). A policy that takes money closes at the mark
    and collects its share of what is missing instead.
    """
    positions = scope_positions(scope)
    policy = policy_with_id(state.parameters.adl_policy)
    rule = policy.price_rule if policy.in_lots else PriceRule.MARK
    total = 0
    for exposure in positions:
        total += abs(exposure.value)
    deficit = -scope.value
    missing = deficit
    cases: list[AdlCase] = []
    for exposure in positions:
        market = state.markets[exposure.asset]
        is_long = exposure.lots > 0
        share = deficit_share(deficit, abs(exposure.value), total)
        bankrupt = bankruptcy_price(-share, abs(exposure.lots), market.mark, is_long)
        price = adl_price(rule, market.mark_previous, market.mark, bankrupt)
        missing -= exposure.lots * (price - market.mark)
        cases.append(AdlCase(scope, exposure, price, scope.value))
    before = state.accounts[INSURANCE].raw
    if missing > 0:
        missing -= _draw_insurance(state, recorder, scope, missing)
    for case in cases:
        case.insurance_before, case.insurance_after = before, state.accounts[INSURANCE].raw
        share = deficit_share(max(0, missing), abs(case.exposure.value), total)
        if policy.in_lots:
            shift = adl_price_shift(share, adl_lots(case.exposure.lots, scope.value))
            case.price = max(1, shifted_price(case.price, shift, case.exposure.lots > 0))
        else:
            case.budget = share
    return cases


def _draw_insurance(state: State, recorder: Recorder, scope: Scope, missing: int) -> int:
    """Pay from the insurance account towards a deficit; never more than it has."""
    fund = state.accounts[INSURANCE]
    amount = min(missing, fund.raw)
    if amount <= 0:
        return 0
    move_cash(state, recorder, fund, scope.account.address, amount, LedgerType.INSURANCE_DRAW)
    into_cell(state, scope.account, scope.asset, amount)
    return amount


def _net_opposites(state: State, recorder: Recorder, underwater: list[Scope]) -> None:
    """Underwater positions of both sides of a market are closed against each other first, at the
    previous mark, each in its own cell (U-ADL-11)."""
    held: list[tuple[int, int, bytes, Account, Exposure]] = []
    for scope in underwater:
        for exposure in scope_positions(scope):
            account = scope.account
            held.append((exposure.asset, scope.value, account.address, account, exposure))
    held.sort(key=_held_order)
    for asset, _, _, long_account, long in held:
        for other_asset, _, _, short_account, short in held:
            lots = min(long.lots, -short.lots)
            if other_asset != asset or lots <= 0:
                continue
            market = state.markets[asset]
            index = recorder.next_index()
            recorder.record(
                Kind.ADL_NET,
                {
                    "asset": asset,
                    "long_account": long_account.address,
                    "short_account": short_account.address,
                    "lots": lots,
                    "price": market.mark_previous,
                    "rule": rule_number("ADL-4"),
                },
            )
            price = market.mark_previous
            trade = ForcedTrade(long_account, long, short_account, short, price)
            trade.in_own_cells = True
            _close(state, recorder, market, trade, lots, index)


def _held_order(held: tuple[int, int, bytes, Account, Exposure]) -> tuple[int, int, bytes]:
    return held[:3]


class ForcedTrade:
    """Who is closed against whom, at which price.

    `in_own_cells`: the other side is bankrupt too, so that its isolated position keeps its own
    losses as well.
    """

    __slots__ = ("in_own_cells", "other", "ours", "price", "target", "theirs")

    def __init__(
        self, target: Account, ours: Exposure, other: Account, theirs: Exposure, price: int
    ) -> None:
        self.target = target
        self.ours = ours
        self.other = other
        self.theirs = theirs
        self.price = price
        self.in_own_cells = False


def _round(state: State, recorder: Recorder, phase: AdlPhase, case: AdlCase) -> None:
    """One ADL round: commit, list, trade, end."""
    measure(state, case.scope)
    case.value = case.scope.value
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
        candidate_of(state, market, address, exposure) for address, exposure in holders
    ]
    _decide(state, phase, market, receipt)
    receipt.begin = recorder.next_index()
    phase.begins.append(receipt.begin)
    record_begin(recorder, phase, market, committed, receipt)
    record_rows(recorder, receipt.begin, receipt.rows)
    _collect(state, recorder, receipt)
    trades, marginal = _carry_out(state, recorder, market, receipt)
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

    A policy that takes money also closes the lots, at the mark, where closing takes nothing: pro
    rata by position, from its eligible candidates first.
    """
    case, policy = receipt.case, receipt.policy
    receipt.round = Round(
        seed=round_seed(phase.parent_hash, market.asset, phase.rounds),
        asset=market.asset,
        is_target_long=case.exposure.lots > 0,
        lots=abs(case.exposure.lots),
        budget=case.budget,
        mark=market.mark,
        previous_mark=market.mark_previous,
        price=case.price,
        open_interest=market.lots_long * market.mark,
        terms=terms_of(state.parameters),
    )
    phase.rounds += 1
    allocation = allocate(policy, receipt.round, receipt.candidates)
    if not policy.in_lots:
        receipt.amounts = allocation.takes
        allocation.takes = lots_at_mark(
            receipt.candidates, allocation.reasons, receipt.round.lots, receipt.round.seed
        )
        allocation.shortfall = receipt.round.lots - sum(allocation.takes)
    receipt.allocation = allocation
    receipt.rows = receipt_rows(receipt.candidates, allocation)


def lots_at_mark(
    candidates: list[Candidate], reasons: list[AdlReason], lots: int, seed: bytes
) -> list[int]:
    """Lots of each candidate under a policy that takes money: pro rata by position, from the
    candidates first."""
    ties = tie_keys(seed, candidates)
    eligible = [
        0 if reason else candidate.lots
        for candidate, reason in zip(candidates, reasons, strict=True)
    ]
    takes = waterfill(lots, eligible, eligible, ties)
    left = lots - sum(takes)
    if left:
        others = [
            candidate.lots if reason and reason != AdlReason.EXEMPT else 0
            for candidate, reason in zip(candidates, reasons, strict=True)
        ]
        more = waterfill(left, others, others, ties)
        takes = [first + second for first, second in zip(takes, more, strict=True)]
    return takes


def _carry_out(
    state: State, recorder: Recorder, market: Market, receipt: Receipt
) -> tuple[int, int]:
    """The trades in rank order; returns how many, and the last rank that gave lots."""
    trades = 0
    marginal = 0
    case, takes = receipt.case, receipt.allocation.takes
    for rank, index in enumerate(receipt.allocation.order):
        lots = takes[index]
        if lots:
            address, exposure = receipt.holders[index]
            other = state.accounts[address]
            trade = ForcedTrade(case.scope.account, case.exposure, other, exposure, case.price)
            _close(state, recorder, market, trade, lots, receipt.begin)
            trades += 1
            marginal = rank
    return trades, marginal


def _collect(state: State, recorder: Recorder, receipt: Receipt) -> None:
    """The money that a policy in wealth space takes: from the winner's scope to the bankrupt one,
    before any lot is closed."""
    scope = receipt.case.scope
    for index, amount in enumerate(receipt.amounts):
        if amount:
            address, exposure = receipt.holders[index]
            payer = state.accounts[address]
            if not exposure.is_cross:
                into_cell(state, payer, exposure.asset, -amount)
            move_cash(state, recorder, payer, scope.account.address, amount, LedgerType.ADL_HAIRCUT)
            into_cell(state, scope.account, scope.asset, amount)
            state.unfile(payer)


def _close(
    state: State,
    recorder: Recorder,
    market: Market,
    trade: ForcedTrade,
    lots: int,
    cause: int,
) -> None:
    """Close lots of the bankrupt position against another account, without fees."""
    target, ours = trade.target, trade.ours
    other, theirs, price = trade.other, trade.theirs, trade.price
    refresh(state, target)
    refresh(state, other)
    delta = -lots if ours.lots > 0 else lots
    fill = Fill(other.address, target.address, price, lots, cause)
    fill.flags = FLAG_ADL | (FLAG_TAKER_BUYS if delta > 0 else 0)
    fill.maker_start, fill.taker_start = theirs.lots, ours.lots
    plan = plan_in_own_cell(target, ours, delta, price)
    fill.taker_pnl = apply_fill(state, market, target, ours, delta, price, plan)
    if trade.in_own_cells:
        plan = plan_in_own_cell(other, theirs, -delta, price)
    else:
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


def _settle_closed(state: State, recorder: Recorder, scope: Scope) -> None:
    """The end of a scope that is closed whole (LIQ-8).

    What it still owes becomes a debt of the insurance account, in the open: an isolated loss takes
    nothing from its owner's cross balance, and no account stays below zero without a position.
    What is left in the cell of an isolated position returns to cross.
    """
    measure(state, scope)
    if scope_positions(scope):
        return
    account, fund = scope.account, state.accounts[INSURANCE]
    if scope.value < 0:
        owed = -scope.value
        move_cash(state, recorder, fund, account.address, owed, LedgerType.DEFICIT)
        into_cell(state, account, scope.asset, owed)
    empty_cell(state, account, scope.asset)
