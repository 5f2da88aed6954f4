"""Auto-deleveraging: whole positions of underwater scopes are closed against the other side.

Each round is one position of one scope. Before it the state is committed; then the full list of
candidates is written, each with its inputs, its reason and its take; then the trades; then the end.
Prices and quantities are the rules' (`rules/adl/`); here they are only carried out and recorded.
Source: hyperliquid-protocol 7.6, audit-log-and-consensus 9.5.
"""

import struct
from hashlib import sha256
from typing import Final

from chainperp.base.canonical import pack_i128
from chainperp.base.units import Address
from chainperp.model.accounts import Account, Exposure
from chainperp.model.decisions import (
    ADL_ROWS_PER_ENTRY,
    CROSS_SCOPE,
    AdlReason,
    CommitReason,
    Kind,
    LedgerType,
    rule_number,
)
from chainperp.rules.adl.allocate import round_seed
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import (
    Allocation,
    Candidate,
    ExemptMode,
    Policy,
    Round,
    ScoreMode,
    Terms,
    terms_hash,
)
from chainperp.rules.adl.price import (
    adl_lots,
    adl_price,
    adl_price_shift,
    bankruptcy_price,
    deficit_share,
    shifted_price,
)
from chainperp.rules.exemptions import is_exempt
from chainperp.rules.margin import maintenance_margin
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.root import merkle_root
from chainperp.state.store import INSURANCE, Market, State
from chainperp.transition.fills import FillPlan, apply_fill, plan_fill
from chainperp.transition.liquidation import Scope, measure, scope_positions
from chainperp.transition.matching import end_reduce_only
from chainperp.transition.recorder import FLAG_ADL, FLAG_TAKER_BUYS, Fill, Recorder
from chainperp.transition.transfers import move_cash
from chainperp.transition.valuation import refresh, revalue

ROW: Final = struct.Struct(">I20sBQ16s16sBQ16s16sQ")
ROWS_HEAD: Final = struct.Struct(">QII")
ROW_PREFIX: Final = b"\x00\x41"
SCOPE_CROSS: Final = 0
SCOPE_ISOLATED: Final = 1
WATERFALL_INSURANCE: Final = 4
PRO_RATA_BY_POSITION: Final = 500


class AdlCase:
    """One position to be closed: its scope, its price, and what the insurance paid towards it."""

    __slots__ = ("exposure", "insurance_after", "insurance_before", "price", "scope", "value")

    def __init__(self, scope: Scope, exposure: Exposure, price: int, value: int) -> None:
        self.scope = scope
        self.exposure = exposure
        self.price = price
        self.value = value
        self.insurance_before = 0
        self.insurance_after = 0


class AdlPhase:
    """What the rounds of one block share."""

    __slots__ = ("begins", "commitment", "marks_root", "parent_hash", "rounds")

    def __init__(self, commitment: Commitment, marks_root: bytes, parent_hash: bytes) -> None:
        self.commitment = commitment
        self.marks_root = marks_root
        self.parent_hash = parent_hash
        self.rounds = 0
        self.begins: list[int] = []


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
            _close(state, recorder, market, long, short.scope.account, short.exposure,
                   lots, price, index)  # fmt: skip


def _round(state: State, recorder: Recorder, phase: AdlPhase, case: AdlCase) -> None:
    """One ADL round: commit, list, trade, end."""
    market = state.markets[case.exposure.asset]
    policy = policy_with_id(state.parameters.adl_policy)
    terms = Terms(
        score_mode=ScoreMode(state.parameters.adl_score_mode),
        exempt_mode=ExemptMode(state.parameters.exempt_mode),
    )
    is_target_long = case.exposure.lots > 0
    committed = phase.commitment.commit(state)
    state_index = recorder.next_index()
    recorder.record(
        Kind.STATE_COMMIT,
        {
            "reason": CommitReason.ADL_ROUND,
            "state_root": committed.state_root,
            "n_collections": committed.collections,
        },
    )
    seed = round_seed(phase.parent_hash, market.asset, phase.rounds)
    phase.rounds += 1
    holders = [
        (address, exposure)
        for address, exposure in sorted(market.holders.items())
        if (exposure.lots < 0) is is_target_long
    ]
    candidates = [_candidate(state, market, address, one, case) for address, one in holders]
    this_round = Round(
        seed=seed,
        asset=market.asset,
        is_target_long=is_target_long,
        lots=abs(case.exposure.lots),
        budget=max(0, -case.value),
        mark=market.mark,
        previous_mark=market.mark_previous,
        price=case.price,
        open_interest=market.lots_long,
        terms=terms,
    )
    allocation = allocate(policy, this_round, candidates)
    amounts: list[int] = []
    if not policy.in_lots:
        amounts = allocation.takes
        by_position = policy_with_id(PRO_RATA_BY_POSITION).apply(this_round, candidates)
        allocation.takes, allocation.shortfall = by_position.takes, by_position.shortfall
    rows = _rows(candidates, allocation)
    begin = recorder.next_index()
    phase.begins.append(begin)
    _record_begin(state, recorder, phase, case, committed, policy, this_round, rows,
                  allocation, state_index)  # fmt: skip
    _record_rows(recorder, begin, rows)
    trades = _carry_out(state, recorder, market, case, holders, allocation, begin)
    _collect(state, recorder, case, holders, amounts)
    measure(state, case.scope)
    recorder.record(
        Kind.ADL_END,
        {
            "begin_index": begin,
            "filled_lots": sum(allocation.takes),
            "shortfall_lots": allocation.shortfall,
            "marginal_rank": trades[1],
            "remainder": abs(case.exposure.lots),
            "target_value_after": case.scope.value,
            "n_fills": trades[0],
        },
    )


def _candidate(
    state: State, market: Market, address: Address, exposure: Exposure, case: AdlCase
) -> Candidate:
    """What the policy sees of one position of the other side."""
    account = state.accounts[address]
    refresh(state, account)
    value = exposure.value
    notional = abs(value)
    pnl = value - exposure.entry_notional if exposure.lots > 0 else exposure.entry_notional + value
    if exposure.is_cross:
        account_value = account.raw + account.position_value
    else:
        # Closing at another price than the mark must not leave a debt in the isolated cell.
        at_price = exposure.raw_isolated + exposure.lots * case.price
        account_value = min(exposure.raw_isolated + value, at_price)
    exemption = state.exempt.get(account.address)
    exempt = exemption is not None and is_exempt(
        exemption.from_height, exemption.to_height, state.height
    )
    return Candidate(
        account.address,
        abs(exposure.lots),
        entry_notional=exposure.entry_notional,
        notional=notional,
        account_value=account_value,
        pnl=pnl,
        cash=account_value - pnl,
        maintenance=maintenance_margin(notional, market.terms),
        exempt=exempt,
        cap_ppb=exemption.cap_ppb if exemption is not None and exempt else 0,
        is_long=exposure.lots > 0,
        is_isolated=not exposure.is_cross,
    )


def _rows(candidates: list[Candidate], allocation: Allocation) -> list[bytes]:
    """Every candidate in rank order with its inputs, reason, take and the running sums."""
    rows: list[bytes] = []
    weights = 0
    takes = 0
    for rank, index in enumerate(allocation.order):
        candidate = candidates[index]
        weight, take = allocation.weights[index], allocation.takes[index]
        weights += weight
        takes += take
        rows.append(
            ROW.pack(
                rank,
                candidate.key,
                SCOPE_ISOLATED if candidate.is_isolated else SCOPE_CROSS,
                candidate.lots,
                candidate.entry_notional.to_bytes(16, "big"),
                pack_i128(candidate.account_value),
                allocation.reasons[index],
                take,
                weight.to_bytes(16, "big"),
                weights.to_bytes(16, "big"),
                takes,
            )
        )
    return rows


def _record_begin(
    state: State,
    recorder: Recorder,
    phase: AdlPhase,
    case: AdlCase,
    committed: Committed,
    policy: Policy,
    this_round: Round,
    rows: list[bytes],
    allocation: Allocation,
    state_index: int,
) -> None:
    """The head of the receipt: everything that the list of candidates rests on."""
    market = state.markets[this_round.asset]
    side = "S" if this_round.is_target_long else "L"
    collection = committed.roots[f"pos/{market.asset:08x}/{side}"]
    exempt = committed.roots["exempt"]
    eligible = sum(1 for reason in allocation.reasons if reason == AdlReason.ELIGIBLE)
    recorder.record(
        Kind.ADL_BEGIN,
        {
            "policy_id": policy.policy_id,
            "asset": market.asset,
            "candidate_side": 1 if this_round.is_target_long else 0,
            "target": case.scope.account.address,
            "target_scope": SCOPE_CROSS if case.scope.asset == CROSS_SCOPE else SCOPE_ISOLATED,
            "target_value": case.value,
            "target_lots": this_round.lots,
            "adl_price": case.price,
            "state_index": state_index,
            "marks_root": phase.marks_root,
            "coll_h": collection.h,
            "coll_count": collection.count,
            "coll_lots": collection.sums[0],
            "coll_entry": collection.sums[1],
            "exempt_h": exempt.h,
            "exempt_count": exempt.count,
            "exempt_mode": this_round.terms.exempt_mode,
            "params_hash": terms_hash(policy.policy_id, this_round.terms),
            "budget": 0 if policy.in_lots else this_round.budget,
            "previous_mark": market.mark_previous,
            "mark": market.mark,
            "waterfall": [
                {
                    "stage": WATERFALL_INSURANCE,
                    "before": case.insurance_before,
                    "after": case.insurance_after,
                }
            ],
            "seed": this_round.seed,
            "queue_root": merkle_root([sha256(ROW_PREFIX + row).digest() for row in rows]),
            "queue_count": len(rows),
            "n_eligible": eligible,
        },
    )


def _record_rows(recorder: Recorder, begin: int, rows: list[bytes]) -> None:
    """The whole list, in chunks that fit an entry."""
    for first in range(0, len(rows), ADL_ROWS_PER_ENTRY):
        chunk = rows[first : first + ADL_ROWS_PER_ENTRY]
        recorder.add(Kind.ADL_ROWS, ROWS_HEAD.pack(begin, first, len(chunk)) + b"".join(chunk))


def _carry_out(
    state: State,
    recorder: Recorder,
    market: Market,
    case: AdlCase,
    holders: list[tuple[Address, Exposure]],
    allocation: Allocation,
    begin: int,
) -> tuple[int, int]:
    """The trades in rank order; returns how many, and the last rank that gave lots."""
    trades = 0
    marginal = 0
    for rank, index in enumerate(allocation.order):
        lots = allocation.takes[index]
        if not lots:
            continue
        address, exposure = holders[index]
        account = state.accounts[address]
        _close(state, recorder, market, case, account, exposure, lots, case.price, begin)
        trades += 1
        marginal = rank
    return trades, marginal


def _collect(
    state: State,
    recorder: Recorder,
    case: AdlCase,
    holders: list[tuple[Address, Exposure]],
    amounts: list[int],
) -> None:
    """What a policy in wealth space takes besides the lots, paid to the bankrupt scope."""
    target = case.scope.account
    for (address, _), amount in zip(holders, amounts, strict=bool(amounts)):
        if amount:
            payer = state.accounts[address]
            move_cash(state, recorder, payer, target.address, amount, LedgerType.ADL_HAIRCUT)


def _close(
    state: State,
    recorder: Recorder,
    market: Market,
    case: AdlCase,
    other: Account,
    theirs: Exposure,
    lots: int,
    price: int,
    cause: int,
) -> None:
    """Close lots of the bankrupt position against another account, without fees."""
    target, ours = case.scope.account, case.exposure
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
        market, other, theirs, -delta, price, 0,
        bids=theirs.bids_notional, asks=theirs.asks_notional, limit=0,
    )  # fmt: skip
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
