"""USDC between the two cells of accounts, the margin of perpetuals and the spot balance; and other
tokens between spot balances."""

from typing import NamedTuple

from chainperp.base.rounding import exact_or_none
from chainperp.base.units import E8_DECIMALS, Address
from chainperp.model.accounts import Account
from chainperp.model.actions import ClassTransfer, SendAsset, SubAccountSpotTransfer
from chainperp.model.decisions import LedgerType, Rejection
from chainperp.model.tokens import USDC
from chainperp.rules.subaccounts import check_sub_account_transfer
from chainperp.rules.transfers import (
    activation_fee,
    check_asset_send,
    check_class_transfer,
)
from chainperp.state.store import ASSISTANCE_FUND, SYSTEM_ACCOUNTS, State
from chainperp.transition.recorder import Recorder
from chainperp.transition.tokens import move_token
from chainperp.transition.transfers import available


class Cell(NamedTuple):
    """One cell of an account: its spot balance of a token, or its cash."""

    address: Address
    is_spot: bool
    token: int = USDC


def free_in(state: State, cell: Cell) -> int:
    """What may leave the cell of an account that exists (TRF-5)."""
    if cell.is_spot:
        return state.spot_free(cell.token, cell.address)
    return available(state, state.accounts[cell.address])


def move(
    state: State, recorder: Recorder, source: Cell, target: Cell, amount: int, kind: LedgerType
) -> None:
    """The one way money goes into a spot balance or out of it without a trade: both sides and one
    entry."""
    if source.token != USDC:
        move_token(state, recorder, source.token, (source.address, target.address), amount, kind)
        return
    _change(state, source, -amount)
    _change(state, target, amount)
    recorder.ledger(source.address, target.address, amount, kind)


def _change(state: State, cell: Cell, amount: int) -> None:
    """Every holder of a spot balance has an account, so that the balance is somebody's claim."""
    account = state.open_account(cell.address)
    if cell.is_spot:
        state.touch(account)
        state.add_spot(USDC, cell.address, amount)
    else:
        account.raw += amount
        state.touch(account)
        state.unfile(account)


def process_class_transfer(
    state: State, recorder: Recorder, account: Account, action: ClassTransfer
) -> Rejection:
    """Move USDC between an account's margin and its spot balance (TRF-5)."""
    owner = sender(state, account, action.sub)
    if owner is None:
        return Rejection.SUB_NOT_REGISTERED
    source, target = Cell(owner, action.to_perp), Cell(owner, not action.to_perp)
    verdict = check_class_transfer(action.amount, free_in(state, source))
    if verdict is Rejection.ACCEPTED and action.amount is not None:
        kind = LedgerType.CLASS_TO_PERP if action.to_perp else LedgerType.CLASS_TO_SPOT
        move(state, recorder, source, target, action.amount, kind)
    return verdict


def process_asset_send(
    state: State, recorder: Recorder, account: Account, action: SendAsset
) -> Rejection:
    """Send a token from a cell to a cell; a new address costs the activation fee (TRF-6)."""
    owner = sender(state, account, action.sub)
    if owner is None:
        return Rejection.SUB_NOT_REGISTERED
    if action.destination in SYSTEM_ACCOUNTS or action.destination in state.vaults:
        # Nobody could take it out again; and U-REL-3.
        return Rejection.DESTINATION_INVALID
    is_own = action.destination == owner
    token = state.token_numbers.get(action.token)
    verdict = check_asset_send(token, action.from_spot, action.to_spot, is_own)
    if verdict is not Rejection.ACCEPTED or token is None:
        return verdict
    source = Cell(owner, bool(action.from_spot), token)
    target = Cell(action.destination, bool(action.to_spot), token)
    amount = amount_in_wei(state, token, action.amount)
    verdict = check_class_transfer(amount, free_in(state, source))
    if verdict is not Rejection.ACCEPTED or amount is None:
        return verdict
    is_new = action.destination not in state.accounts
    fee = activation_fee(is_new, state.parameters.activation_fee)
    purse = Cell(owner, source.is_spot)  # the fee is USDC, whatever is sent
    if fee and (amount if token == USDC else 0) + fee > free_in(state, purse):
        return Rejection.BALANCE_TRANSFER_GAS
    move(state, recorder, source, target, amount, _kind(action, source, target))
    if fee:
        paid = LedgerType.SPOT_ACTIVATION_FEE if source.is_spot else LedgerType.ACTIVATION_FEE
        move(state, recorder, purse, Cell(ASSISTANCE_FUND, False), fee, paid)
    return Rejection.ACCEPTED


def amount_in_wei(state: State, token: int, amount: int | None) -> int | None:
    """An amount as an action has it (micro-USDC, or 10^-8 of another token) in the token's smallest
    unit, None if it is none or between two units."""
    if amount is None or token == USDC:
        return amount
    return exact_or_none(amount, 10 ** (E8_DECIMALS - state.tokens[token].wei_decimals))


def process_sub_account_spot_transfer(
    state: State, recorder: Recorder, account: Account, action: SubAccountSpotTransfer
) -> Rejection:
    """Move a token between the spot balances of a master and its sub-account (SUB-3)."""
    token = state.token_numbers.get(action.token)
    if token is None:
        return Rejection.TOKEN_UNKNOWN
    amount = amount_in_wei(state, token, action.amount)
    if amount is None:
        return Rejection.AMOUNT_INVALID
    own, other = Cell(account.address, True, token), Cell(action.sub, True, token)
    source, target = (own, other) if action.is_deposit else (other, own)
    is_own = sender(state, account, action.sub) is not None
    verdict = check_sub_account_transfer(amount, free_in(state, source), is_own)
    if verdict is Rejection.ACCEPTED:
        kind = LedgerType.SUB_ACCOUNT_SPOT_TRANSFER
        move(state, recorder, source, target, amount, kind)
    return verdict


def sender(state: State, account: Account, sub: Address | None) -> Address | None:
    """Whose cells an action is about: the account's, or those of a sub-account that is its own."""
    if sub is None:
        return account.address
    found = state.sub_accounts.get(sub)
    return sub if found is not None and found.master == account.address else None


def _kind(action: SendAsset, source: Cell, target: Cell) -> LedgerType:
    if action.is_plain:
        return LedgerType.SPOT_SEND
    if source.is_spot:
        kinds = LedgerType.ASSET_SPOT_TO_PERP, LedgerType.ASSET_SPOT_TO_SPOT
    else:
        kinds = LedgerType.ASSET_PERP_TO_PERP, LedgerType.ASSET_PERP_TO_SPOT
    return kinds[target.is_spot]
