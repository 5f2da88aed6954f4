"""What crosses the border of the exchange: deposits and grants in, payouts out, and the fund's
money on its way to the contract that buys on the EVM.

Each is a recorded input; the ones of a chain with contracts cite an event (`model/bridge.py`).
Whether the event happened is for an audit to check: nothing here reads an EVM. Source: ADR 0006.
"""

from typing import NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.errors import ensure
from chainperp.base.units import Address
from chainperp.model.bridge import GRANT_MARK, GRANT_NONCE, PAID
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.model.fund import FUND_KEY
from chainperp.rules.buyback import Receipt, check_vault_purchase, vault_transfer
from chainperp.rules.transfers import AMOUNT_MAX, check_grant, is_next_deposit, payout_split
from chainperp.state.store import (
    ASSISTANCE_FUND,
    HLP_MEMBERS,
    LIQUIDITY_VAULT,
    REFERRALS,
    State,
)
from chainperp.transition.accounts import claim_key
from chainperp.transition.recorder import Recorder
from chainperp.transition.shares import is_liquidity_vault, seed_deposit, vault_value
from chainperp.transition.transfers import hold_withdrawal

TESTNET = "Testnet"


class Credit(NamedTuple):
    """Money that comes in: for whom, how much, and its number and reference outside."""

    user: Address
    amount: int
    nonce: int
    reference: bytes


def process_deposit(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """A bare deposit, of a chain without contracts."""
    credit = Credit(Address(fields["user"]), fields["amount"], fields["l1_nonce"], fields["l1_ref"])
    return _deposit(state, recorder, credit, is_own=True)


def process_bridge_deposit(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """A deposit into the bridge contract."""
    user = Address(fields["user"])
    credit = Credit(user, fields["amount"], fields["nonce"], fields["block_hash"])
    return _deposit(state, recorder, credit, is_own=fields["payer"] == user)


def _deposit(state: State, recorder: Recorder, credit: Credit, is_own: bool) -> Rejection:
    """Credit a deposit seen outside, once and in order."""
    if not is_next_deposit(credit.nonce, state.deposits):
        return Rejection.DEPOSIT_NONCE
    if not 0 < credit.amount <= AMOUNT_MAX:
        return Rejection.AMOUNT_INVALID
    state.deposits += 1
    state.credited += credit.amount
    if is_own:
        claim_key(state, recorder, credit.user)
    _credit(state, recorder, credit)
    return Rejection.ACCEPTED


def process_grant(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """Money of a development chain that comes from nowhere."""
    credit = Credit(Address(fields["user"]), fields["amount"], GRANT_NONCE, GRANT_MARK)
    verdict = check_grant(credit.amount, state.network == TESTNET)
    if verdict is Rejection.ACCEPTED:
        state.granted += credit.amount
        claim_key(state, recorder, credit.user)
        _credit(state, recorder, credit)
    return verdict


def _credit(state: State, recorder: Recorder, credit: Credit) -> None:
    """Open an account where there is none, add to it and to custody, and write it down."""
    user, amount = credit.user, credit.amount
    vault = state.vaults.get(user)
    if vault is not None and not is_liquidity_vault(vault):
        user = vault.leader  # nobody can pay into a vault but for shares (U-REL-3)
    if user == REFERRALS:
        user = ASSISTANCE_FUND  # that account holds what referrers can claim, no more (U-BR-8)
    account = state.open_account(user)
    liquidity = state.vaults[LIQUIDITY_VAULT]
    if user in HLP_MEMBERS:
        seed_deposit(state, recorder, liquidity, amount, vault_value(state, liquidity))
    account.raw += amount
    if user == ASSISTANCE_FUND:
        recorder.fund_moves.append((amount, 0))
    state.custody += amount
    state.touch(account)
    state.unfile(account)
    recorder.record(
        Kind.DEPOSIT,
        {"user": user, "amount": amount, "l1_nonce": credit.nonce, "l1_ref": credit.reference},
    )


def process_withdrawal_done(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """A bare payout, of a chain without contracts."""
    return _end_withdrawal(state, recorder, fields["wid"], PAID, fields["l1_ref"])


def process_payout(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """A withdrawal that the bridge contract paid or cancelled."""
    return _end_withdrawal(state, recorder, fields["wid"], fields["outcome"], fields["block_hash"])


def _end_withdrawal(
    state: State, recorder: Recorder, wid: int, outcome: int, reference: bytes
) -> Rejection:
    """Take a withdrawal from those that wait: out of custody, or back to its account (TRF-8)."""
    pending = state.withdrawals.get(wid)
    if pending is None:
        return Rejection.WITHDRAWAL_UNKNOWN
    split = payout_split(outcome, pending.amount)
    if split is None:
        return Rejection.PAYOUT_OUTCOME
    paid, back = split
    del state.withdrawals[wid]
    state.changed_withdrawals[wid] = None
    state.custody -= paid
    state.paid_out += paid
    if back:
        account = state.open_account(pending.user)
        account.raw += back
        state.touch(account)
        state.unfile(account)
        if pending.user == ASSISTANCE_FUND:
            state.fund.sent -= back
            state.note("fund", FUND_KEY)
    recorder.record(Kind.WITHDRAW_DONE, {"wid": wid, "l1_ref": reference, "outcome": outcome})
    return Rejection.ACCEPTED


def send_to_vault(state: State, recorder: Recorder) -> None:
    """Ask for a withdrawal of the fund's money to the contract that buys with it (BUY-7), when a
    purchase was due and the fund's books are settled."""
    destination, fund = state.buyback_vault, state.fund
    if destination is None:
        return
    amount = vault_transfer(fund.balance, fund.sent - fund.evm_spent, state.parameters)
    if not amount:
        return
    # All of the balance is cash: a purchase leaves nothing in the fund's spot balance.
    hold_withdrawal(state, recorder, state.accounts[ASSISTANCE_FUND], destination, amount, 0)
    fund.sent += amount
    state.note("fund", FUND_KEY)


def process_vault_purchase(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """Take a purchase on the EVM into the fund's books (BUY-8)."""
    fund = state.fund
    receipt = Receipt(fields["spent"], fields["bought"], fields["burned"])
    verdict = check_vault_purchase(fields["number"], fund.evm_purchases, receipt)
    if verdict is not Rejection.ACCEPTED:
        return verdict
    waiting = sum(one.amount for one in state.withdrawals.values() if one.user == ASSISTANCE_FUND)
    own = min(receipt.spent, fund.sent - waiting - fund.evm_spent)
    ensure(own >= 0, "INV-T3", "the vault spent more than it was sent", sent=fund.sent,
           waiting=waiting, spent=fund.evm_spent)  # fmt: skip
    fund.evm_spent += own
    fund.evm_gifts += receipt.spent - own
    fund.evm_bought += receipt.bought
    fund.evm_burned += receipt.burned
    fund.evm_purchases += 1
    state.note("fund", FUND_KEY)
    recorder.record(Kind.EVM_BUYBACK, {**fields, "rule": rule_number("BUY-8")})
    return Rejection.ACCEPTED
