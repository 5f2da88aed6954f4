"""Sends, withdrawals and isolated margin: money that moves without a trade."""

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
)
from chainperp.state.store import (
    ASSISTANCE_FUND,
    SYSTEM_ACCOUNTS,
    State,
)
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import account_value, position_notional, refresh


def available(state: State, account: Account) -> int:
    """What may leave the account now (MRG-5)."""
    refresh(state, account)
    return withdrawable(
        account_value(account),
        account.margin_total,
        position_notional(account),
        state.parameters.transfer_margin_divisor,
    )


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
    bridge = None if state.evm is None else state.evm.bridge
    is_payable = any(action.destination) and action.destination != bridge
    verdict = check_withdrawal(action.amount, available(state, account), fee, is_payable)
    if verdict is not Rejection.ACCEPTED or action.amount is None:
        return verdict
    hold_withdrawal(state, recorder, account, action.destination, action.amount - fee, fee)
    move_cash(state, recorder, account, ASSISTANCE_FUND, fee, LedgerType.WITHDRAWAL_FEE)
    return Rejection.ACCEPTED


def hold_withdrawal(
    state: State, recorder: Recorder, account: Account, destination: Address, amount: int, fee: int
) -> None:
    """Take an amount out of an account and keep it, under the next number, until its payout is
    recorded. `fee` is what the account pays besides; the caller moves it."""
    wid = state.next_wid
    state.next_wid += 1
    account.raw -= amount
    state.touch(account)
    state.unfile(account)
    state.withdrawals[wid] = Withdrawal(
        wid, account.address, destination, amount, recorder.next_index()
    )
    state.changed_withdrawals[wid] = None
    recorder.record(
        Kind.WITHDRAW_REQ,
        {
            "wid": wid,
            "user": account.address,
            "destination": destination,
            "amount": amount,
            "fee": fee,
        },
    )


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
