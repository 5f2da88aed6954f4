"""Sub-accounts: opened, named and funded by their master."""

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import CreateSubAccount, RenameSubAccount, SubAccountTransfer
from chainperp.model.arrangements import SubAccount
from chainperp.model.decisions import Kind, LedgerType, Rejection, rule_number
from chainperp.rules.subaccounts import (
    check_new_sub_account,
    check_sub_account_transfer,
    is_sub_account_name,
    sub_account_address,
)
from chainperp.state.store import State
from chainperp.transition.accounts import claim_key
from chainperp.transition.recorder import Recorder
from chainperp.transition.transfers import available, move_cash


def process_create_sub_account(
    state: State, recorder: Recorder, account: Account, action: CreateSubAccount
) -> Rejection:
    """Open a sub-account (SUB-1, SUB-2)."""
    master = account.address
    subs = state.subs_of.get(master, [])
    volume = state.family_volume(account)
    verdict = check_new_sub_account(action.name, len(subs), volume, state.parameters)
    if verdict is not Rejection.ACCEPTED:
        return verdict
    address = sub_account_address(master, len(subs))
    claim_key(state, recorder, address)
    state.touch(state.open_account(address))
    sub = SubAccount(address, master, len(subs), action.name)
    state.add_sub_account(sub)
    _record(state, recorder, sub, "SUB-1")
    return Rejection.ACCEPTED


def process_rename_sub_account(
    state: State, recorder: Recorder, account: Account, action: RenameSubAccount
) -> Rejection:
    """Give a sub-account another name."""
    sub = _own(state, account, action.sub)
    if sub is None:
        return Rejection.SUB_NOT_REGISTERED
    if not is_sub_account_name(action.name):
        return Rejection.SUB_NAME_INVALID
    sub.name = action.name
    _record(state, recorder, sub, "SUB-1")
    return Rejection.ACCEPTED


def process_sub_account_transfer(
    state: State, recorder: Recorder, account: Account, action: SubAccountTransfer
) -> Rejection:
    """Move USDC between a master and its sub-account (SUB-3)."""
    sub = _own(state, account, action.sub)
    source, target = account, action.sub
    if sub is not None and not action.is_deposit:
        source, target = state.accounts[action.sub], account.address
    free = available(state, source)
    verdict = check_sub_account_transfer(action.amount, free, sub is not None)
    if verdict is Rejection.ACCEPTED:
        kind = LedgerType.SUB_ACCOUNT_TRANSFER
        move_cash(state, recorder, source, target, action.amount, kind)
    return verdict


def _own(state: State, account: Account, address: Address) -> SubAccount | None:
    sub = state.sub_accounts.get(address)
    return sub if sub is not None and sub.master == account.address else None


def _record(state: State, recorder: Recorder, sub: SubAccount, rule: str) -> None:
    state.note("sub", sub.address)
    recorder.record(
        Kind.SUB_ACCOUNT,
        {
            "master": sub.master,
            "sub": sub.address,
            "number": sub.number,
            "name": sub.name.encode("ascii"),
            "rule": rule_number(rule),
        },
    )
