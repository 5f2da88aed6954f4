"""apply_block: the phases of a block, in order, on one screen.

    1 time and validity   2 system inputs: oracle votes, deposits, payouts
    3 oracle and marks    4 funding: settlement due, then premium samples;
                            then dead man's switches, TWAP slices, triggers
    5 user actions in class order   6 the vault's unwinding, its children's netting, capital and
                                      quotes, fee shares, the fund's purchase, housekeeping
    7 liquidation and backstop      8 auto-deleveraging      9 invariants

Nothing here decides: every phase calls the rules. The caller commits the state and seals the block.
Nothing moves money after phase 8, so the sealed root is the root of the phase (decision 9).
Source: U-BLK-2.
"""

from collections.abc import Callable
from typing import Any, Final

from chainperp.base import canonical
from chainperp.base.canonical import Record, Schema
from chainperp.base.errors import InvalidBytes
from chainperp.base.units import HOUR_MS, day_of
from chainperp.model.accounts import Account
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    CancelOrders,
    ClaimRewards,
    ClassTransfer,
    ConvertToMultiSig,
    CreateSubAccount,
    CreateVault,
    ModifyOrders,
    Noop,
    NotOffered,
    PlaceOrders,
    RegisterReferrer,
    RenameSubAccount,
    ScheduleCancel,
    SendAsset,
    SetDisplayName,
    SetReferrer,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TwapCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    UsdSend,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
    Withdraw,
)
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.bridge import (
    BRIDGE_DEPOSIT_BODY,
    BRIDGE_PAYOUT_BODY,
    EVM_BUYBACK_BODY,
    GRANT_BODY,
)
from chainperp.model.decisions import ACCEPTED, LedgerType, Rejection, SystemType
from chainperp.rules.admission import refusal_of
from chainperp.rules.conservation import check_book, check_lots, check_time
from chainperp.rules.ordering import CLASS_PASSIVE, action_class, periods_due
from chainperp.rules.transfers import check_border
from chainperp.state.commitment import Commitment
from chainperp.state.store import ASSISTANCE_FUND, LIQUIDITY_VAULT, State
from chainperp.transition.accounts import (
    process_agent,
    process_display_name,
    process_leverage,
    prune_agents,
)
from chainperp.transition.admission import admit
from chainperp.transition.backstop import unwind
from chainperp.transition.bridge import (
    process_bridge_deposit,
    process_deposit,
    process_grant,
    process_payout,
    process_vault_purchase,
    process_withdrawal_done,
)
from chainperp.transition.builders import process_approve_builder
from chainperp.transition.buyback import buy_back, settle_fund
from chainperp.transition.children import process_children
from chainperp.transition.exemptions import end_exemptions, process_exemption
from chainperp.transition.funding import process_funding
from chainperp.transition.multisig import process_convert, record_envelope
from chainperp.transition.oracle import accept_vote, process_prices
from chainperp.transition.orders import process_cancel, process_modify, process_place
from chainperp.transition.quoting import process_quotes
from chainperp.transition.rates import close_exchange_day
from chainperp.transition.recorder import Recorder
from chainperp.transition.referrals import (
    pay_rewards,
    process_claim_rewards,
    process_register_referrer,
    process_set_referrer,
)
from chainperp.transition.risk import RiskOutcome, process_risk
from chainperp.transition.schedules import (
    process_schedule,
    process_schedules,
    prune_schedules,
)
from chainperp.transition.spot import (
    process_asset_send,
    process_class_transfer,
    process_sub_account_spot_transfer,
)
from chainperp.transition.subaccounts import (
    process_create_sub_account,
    process_rename_sub_account,
    process_sub_account_transfer,
)
from chainperp.transition.sweep import Sweep
from chainperp.transition.transfers import (
    process_isolated_margin,
    process_send,
    process_withdraw,
)
from chainperp.transition.triggers import process_triggers
from chainperp.transition.twaps import process_twap, process_twap_cancel, process_twaps
from chainperp.transition.vault_actions import (
    process_create_vault,
    process_vault_distribute,
    process_vault_modify,
    process_vault_transfer,
)
from chainperp.transition.vaults import begin_day

DEPOSIT_BODY: Schema = (
    ("user", "b20"), ("amount", "u128"), ("l1_nonce", "u64"), ("l1_ref", "b32"),
)  # fmt: skip
EXEMPTION_BODY: Schema = (
    ("account", "b20"), ("cap_ppb", "u64"), ("from_height", "u64"), ("to_height", "u64"),
)  # fmt: skip
WITHDRAWAL_DONE_BODY: Schema = (("wid", "u64"), ("l1_ref", "b32"))
VOTE_BODY: Schema = (("envelope", "bytes"), ("signer", "b20"))

# The body of each input but votes, and what carries it out.
SYSTEM_INPUTS: Final[
    dict[SystemType, tuple[Schema, Callable[[State, Recorder, Record], Rejection]]]
] = {
    SystemType.DEPOSIT: (DEPOSIT_BODY, process_deposit),
    SystemType.WITHDRAWAL_DONE: (WITHDRAWAL_DONE_BODY, process_withdrawal_done),
    SystemType.EXEMPTION: (EXEMPTION_BODY, process_exemption),
    SystemType.BRIDGE_DEPOSIT: (BRIDGE_DEPOSIT_BODY, process_bridge_deposit),
    SystemType.BRIDGE_PAYOUT: (BRIDGE_PAYOUT_BODY, process_payout),
    SystemType.EVM_BUYBACK: (EVM_BUYBACK_BODY, process_vault_purchase),
    SystemType.GRANT: (GRANT_BODY, process_grant),
}

# What carries out each action that places no orders.
ACCOUNT_ACTIONS: Final[dict[type, Callable[[State, Recorder, Account, Any], Rejection]]] = {
    UpdateLeverage: process_leverage,
    UpdateIsolatedMargin: process_isolated_margin,
    ScheduleCancel: process_schedule,
    TwapOrder: process_twap,
    TwapCancel: process_twap_cancel,
    UsdSend: process_send,
    Withdraw: process_withdraw,
    ApproveAgent: process_agent,
    ApproveBuilderFee: process_approve_builder,
    ConvertToMultiSig: process_convert,
    SetDisplayName: process_display_name,
    CreateSubAccount: process_create_sub_account,
    RenameSubAccount: process_rename_sub_account,
    SubAccountTransfer: process_sub_account_transfer,
    CreateVault: process_create_vault,
    VaultModify: process_vault_modify,
    ClassTransfer: process_class_transfer,
    SendAsset: process_asset_send,
    SubAccountSpotTransfer: process_sub_account_spot_transfer,
    RegisterReferrer: process_register_referrer,
    SetReferrer: process_set_referrer,
    ClaimRewards: process_claim_rewards,
}


class BlockOutcome:
    """What a SEAL needs to know of its block: markets whose mark moved, and the risk phase."""

    __slots__ = ("moved", "risk")

    def __init__(self, moved: list[int], risk: RiskOutcome) -> None:
        self.moved = moved
        self.risk = risk


class Companions:
    """What the engine keeps beside the state: the state tree, the sweep index, the last seal."""

    __slots__ = ("commitment", "parent_hash", "sweep")

    def __init__(self, commitment: Commitment, sweep: Sweep, parent_hash: bytes) -> None:
        self.commitment = commitment
        self.sweep = sweep
        self.parent_hash = parent_hash


def apply_block(
    state: State, block: BlockInput, recorder: Recorder, beside: Companions
) -> BlockOutcome:
    """Execute one block on the state and record every decision.

    Raises InvariantBroken when the state contradicts itself; the caller then drops the block
    whole.
    """
    time_before = state.time_ms
    check_time(time_before, block.time_ms)
    state.time_ms = block.time_ms
    today = day_of(block.time_ms)
    if today != state.day:
        yesterday, state.day = state.day, today
        close_exchange_day(state, yesterday)
    state.height = recorder.height
    changed: dict[int, None] = {}
    for item in block.system:
        process_system(state, recorder, item, changed)
    moved = process_prices(state, recorder, changed)
    process_funding(state, recorder, time_before)
    process_schedules(state, recorder)
    process_twaps(state, recorder, beside.parent_hash)
    process_triggers(state, recorder)
    begin_day(state)
    for same_class in _by_class(block.transactions):
        for transaction in same_class:
            process_transaction(state, recorder, transaction)
    unwind(state, recorder, time_before)
    process_children(state, recorder, time_before)
    process_quotes(state, recorder, time_before)
    route_fees(state, recorder)
    buy_back(state, recorder)
    process_housekeeping(state, time_before)
    risk = process_risk(state, recorder, beside.sweep, beside.commitment, moved, beside.parent_hash)
    route_fees(state, recorder)
    settle_fund(state, recorder)
    for market in state.markets:
        check_lots(market.asset, market.lots_long, market.lots_short)
        check_book(market.asset, market.book.bids.best_price(), market.book.asks.best_price())
    for pair in state.pairs:
        check_book(pair.asset, pair.book.bids.best_price(), pair.book.asks.best_price())
    return BlockOutcome(moved, risk)


def _by_class(transactions: list[Transaction]) -> list[list[Transaction]]:
    """The transactions of a block in the order of their classes (BLK-1), as proposed within one."""
    classes: list[list[Transaction]] = [[], [], []]
    for transaction in transactions:
        classes[action_class(transaction.action) - CLASS_PASSIVE].append(transaction)
    return classes


def process_system(
    state: State, recorder: Recorder, item: SystemInput, changed: dict[int, None]
) -> None:
    """Carry out a recorded input, and log it with its result before its effects."""
    place = recorder.reserve()
    if item.type is SystemType.ORACLE_VOTE:
        vote = item.vote
        code = Rejection.NOT_A_VALIDATOR if vote is None else accept_vote(state, vote, changed)
    else:
        code = _take_input(state, recorder, item)
    recorder.fill_system(place, code, item.type, item.body)


def _take_input(state: State, recorder: Recorder, item: SystemInput) -> Rejection:
    """Hand an input to the one function that carries it out (TRF-9)."""
    verdict = check_border(item.type, state.evm is not None)
    if verdict is not Rejection.ACCEPTED:
        return verdict
    schema, processor = SYSTEM_INPUTS[item.type]
    try:
        fields = canonical.decode(schema, item.body)
    except InvalidBytes:
        return Rejection.SYSTEM_MALFORMED
    return processor(state, recorder, fields)


def process_transaction(state: State, recorder: Recorder, transaction: Transaction) -> None:
    """Admit one transaction, carry out its action, and log it with its result."""
    place = recorder.reserve()
    if transaction.multi_sig is not None:
        record_envelope(recorder, transaction.multi_sig)
    code, account = admit(state, transaction)
    if code is ACCEPTED and account is not None:
        action = transaction.action
        cause = recorder.first_index + place
        if isinstance(action, PlaceOrders):
            code = process_place(state, recorder, account, action, cause)
        elif isinstance(action, CancelOrders):
            code = process_cancel(state, recorder, account, action)
        elif isinstance(action, ModifyOrders):
            code = process_modify(state, recorder, account, action, cause)
        else:
            code = _execute(state, recorder, account, action, cause)
    recorder.fill_transaction(place, code, transaction.envelope, transaction.signer)


def _execute(
    state: State, recorder: Recorder, account: Account, action: Action, cause: int
) -> Rejection:
    """Hand an action that is no order, cancel or modify to the function that carries it out."""
    if isinstance(action, VaultTransfer):
        return process_vault_transfer(state, recorder, account, action, cause)
    if isinstance(action, VaultDistribute):
        return process_vault_distribute(state, recorder, account, action, cause)
    processor = ACCOUNT_ACTIONS.get(type(action))
    if processor is None:
        if isinstance(action, Noop):
            return Rejection.ACCEPTED
        return refusal_of(action.name if isinstance(action, NotOffered) else "")
    return processor(state, recorder, account, action)


def process_housekeeping(state: State, time_before: int) -> None:
    """End exemptions that are over; hourly, drop keys nobody needs."""
    end_exemptions(state)
    if periods_due(time_before, state.time_ms, HOUR_MS)[1]:
        prune_agents(state)
        prune_schedules(state)


def route_fees(state: State, recorder: Recorder) -> None:
    """Pay referrers (REF-4) and the liquidity vault (FEE-3) for the trades since the last time."""
    pay_rewards(state, recorder)
    pay_vault_share(state, recorder)


def pay_vault_share(state: State, recorder: Recorder) -> None:
    """Move what trades owe the liquidity vault since the last time (FEE-3)."""
    share = state.owed_to_vault
    if share:
        state.owed_to_vault = 0
        fund = state.accounts[ASSISTANCE_FUND]
        vault = state.accounts[LIQUIDITY_VAULT]
        fund.raw -= share
        vault.raw += share
        for account in (fund, vault):
            state.touch(account)
            state.unfile(account)
        recorder.ledger(ASSISTANCE_FUND, LIQUIDITY_VAULT, share, LedgerType.FEE_SHARE)
