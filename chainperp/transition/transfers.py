"""Deposits, sends, withdrawals and isolated margin: money that moves without a trade."""

from chainperp.base.units import Address
from chainperp.model.accounts import Account, Withdrawal
from chainperp.model.actions import UpdateIsolatedMargin, UsdSend, Withdraw
from chainperp.model.decisions import Kind, LedgerType, Rejection
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import isolated_removable, withdrawable
from chainperp.rules.transfers import (
    activation_fee,
    check_send,
    check_withdrawal,
    is_next_deposit,
)
from chainperp.state.store import (
    ASSISTANCE_FUND,
    HLP_MEMBERS,
    LIQUIDITY_VAULT,
    SYSTEM_ACCOUNTS,
    State,
)
from chainperp.transition.accounts import claim_key
from chainperp.transition.recorder import Recorder
from chainperp.transition.shares import is_liquidity_vault, seed_deposit, vault_value
from chainperp.transition.valuation import account_value, position_notional, refresh

AMOUNT_MAX = 2**62


def available(state: State, account: Account) -> int:
    """What may leave the account now (MRG-5)."""
    refresh(state, account)
    return withdrawable(
        account_value(account),
        account.margin_total,
        position_notional(account),
        state.parameters.transfer_margin_divisor,
    )


def process_deposit(
    state: State, recorder: Recorder, user: Address, amount: int, nonce: int, reference: bytes
) -> Rejection:
    """Credit a deposit seen outside, once and in order."""
    if not is_next_deposit(nonce, state.deposits):
        return Rejection.DEPOSIT_NONCE
    if not 0 < amount <= AMOUNT_MAX:
        return Rejection.AMOUNT_INVALID
    state.deposits += 1
    claim_key(state, recorder, user)
    vault = state.vaults.get(user)
    if vault is not None and not is_liquidity_vault(vault):
        user = vault.leader  # nobody can pay into a vault but for shares (U-REL-3)
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
        Kind.DEPOSIT, {"user": user, "amount": amount, "l1_nonce": nonce, "l1_ref": reference}
    )
    return Rejection.ACCEPTED


def process_send(state: State, recorder: Recorder, account: Account, action: UsdSend) -> Rejection:
    """Move USDC to another account; a new address costs the sender the activation fee."""
    if action.destination in SYSTEM_ACCOUNTS or action.destination in state.vaults:
        # Plain sends to a vault would move the price of its shares (U-REL-3).
        return Rejection.DESTINATION_INVALID
    free = available(state, account)
    same = action.destination == account.address
    verdict = check_send(action.amount, free, same)
    if verdict is not Rejection.ACCEPTED or action.amount is None:
        return verdict
    is_new = action.destination not in state.accounts
    fee = activation_fee(is_new, state.parameters.activation_fee)
    if action.amount + fee > free:
        return Rejection.BALANCE_TRANSFER_GAS
    move_cash(state, recorder, account, action.destination, action.amount, LedgerType.USD_SEND)
    if fee:
        move_cash(state, recorder, account, ASSISTANCE_FUND, fee, LedgerType.ACTIVATION_FEE)
    return Rejection.ACCEPTED


def move_cash(
    state: State,
    recorder: Recorder,
    source: Account,
    destination: Address,
    amount: int,
    kind: LedgerType,
) -> None:
    """The one way cash goes from account to account: both sides and one entry."""
    target = state.open_account(destination)
    source.raw -= amount
    target.raw += amount
    state.touch(source)
    state.touch(target)
    state.unfile(source)
    state.unfile(target)
    recorder.ledger(source.address, destination, amount, kind)


def into_cell(state: State, account: Account, asset: int, amount: int) -> None:
    """Move an account's cash into the cell of an isolated position, or out of it when negative.
    The cross scope has no cell of its own."""
    if asset == CROSS_SCOPE:
        return
    exposure = account.exposures[asset]
    account.raw -= amount
    account.raw_isolated_total += amount
    exposure.raw_isolated += amount
    state.touch(account)
    state.unfile(account)
    state.touch_exposure(account, exposure)


def empty_cell(state: State, account: Account, asset: int) -> None:
    """Return what is left in the cell of an isolated position that is gone to cross."""
    if asset != CROSS_SCOPE:
        into_cell(state, account, asset, -account.exposures[asset].raw_isolated)


def process_withdraw(
    state: State, recorder: Recorder, account: Account, action: Withdraw
) -> Rejection:
    """Debit a withdrawal and hold it, less the fee, until it is paid out."""
    fee = state.parameters.withdrawal_fee
    verdict = check_withdrawal(action.amount, available(state, account), fee)
    if verdict is not Rejection.ACCEPTED or action.amount is None:
        return verdict
    wid = state.next_wid
    state.next_wid += 1
    pending = action.amount - fee
    account.raw -= pending
    state.touch(account)
    state.unfile(account)
    state.withdrawals[wid] = Withdrawal(
        wid, account.address, action.destination, pending, recorder.next_index()
    )
    state.changed_withdrawals[wid] = None
    recorder.record(
        Kind.WITHDRAW_REQ,
        {
            "wid": wid,
            "user": account.address,
            "destination": action.destination,
            "amount": pending,
            "fee": fee,
        },
    )
    move_cash(state, recorder, account, ASSISTANCE_FUND, fee, LedgerType.WITHDRAWAL_FEE)
    return Rejection.ACCEPTED


def process_withdrawal_done(
    state: State, recorder: Recorder, wid: int, reference: bytes
) -> Rejection:
    """Note that a withdrawal was paid out: it leaves the custody sum."""
    pending = state.withdrawals.pop(wid, None)
    if pending is None:
        return Rejection.WITHDRAWAL_UNKNOWN
    state.custody -= pending.amount
    state.changed_withdrawals[wid] = None
    recorder.record(Kind.WITHDRAW_DONE, {"wid": wid, "l1_ref": reference, "outcome": 1})
    return Rejection.ACCEPTED


def process_isolated_margin(
    state: State, recorder: Recorder, account: Account, action: UpdateIsolatedMargin
) -> Rejection:
    """Add margin to an isolated position, or take out what its own requirement leaves (MRG-7)."""
    if not 0 <= action.asset < len(state.markets):
        return Rejection.MARKET_UNKNOWN
    if action.amount == 0:
        return Rejection.ISOLATED_UPDATE_ZERO
    exposure = account.exposures.get(action.asset)
    if exposure is None or exposure.lots == 0:
        return Rejection.ISOLATED_NO_POSITION
    if exposure.is_cross:
        return Rejection.ISOLATED_NOT_USED
    market = state.markets[action.asset]
    amount = action.amount
    if amount > 0 and amount > available(state, account):
        return Rejection.ISOLATED_ADD_TOO_MUCH
    refresh(state, account)
    if amount < 0:
        if market.terms.is_isolated_only:
            return Rejection.ISOLATED_REMOVE_FORBIDDEN
        removable = isolated_removable(
            exposure.raw_isolated + exposure.value,
            abs(exposure.value),
            exposure.leverage,
            state.parameters.transfer_margin_divisor,
        )
        if -amount > removable:
            return Rejection.ISOLATED_REMOVE_TOO_MUCH
    into_cell(state, account, exposure.asset, amount)
    kind = LedgerType.ISOLATED_MARGIN_ADDED if amount > 0 else LedgerType.ISOLATED_MARGIN_REMOVED
    recorder.ledger(account.address, account.address, amount, kind)
    return Rejection.ACCEPTED
