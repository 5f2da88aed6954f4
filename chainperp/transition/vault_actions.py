"""What accounts ask of vaults: open one, put in and take out, change settings, pay out, close."""

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import CreateVault, VaultDistribute, VaultModify, VaultTransfer
from chainperp.model.decisions import LedgerType, Rejection
from chainperp.model.vaults import ShareEvent, Vault, VaultEvent
from chainperp.rules.fees import hlp_share
from chainperp.rules.vaults import (
    check_distribution,
    check_new_vault,
    commission,
    distribution_part,
    equity,
    vault_address,
)
from chainperp.state.store import ASSISTANCE_FUND, ROUNDING, State
from chainperp.transition.accounts import claim_key
from chainperp.transition.recorder import Recorder
from chainperp.transition.shares import Payment, change_share, record_vault, standing_of
from chainperp.transition.transfers import available, move_cash
from chainperp.transition.vault_closing import close_all
from chainperp.transition.vaults import (
    buy,
    commission_percent,
    deposit,
    pay_commission,
    pay_out,
    withdraw,
)


def process_create_vault(
    state: State, recorder: Recorder, account: Account, action: CreateVault
) -> Rejection:
    """Open a vault (VLT-1, VLT-2), with the fee and the leader's first deposit."""
    free = available(state, account)
    verdict = check_new_vault(
        action.name, action.description, action.initial, free, state.parameters
    )
    if verdict is not Rejection.ACCEPTED:
        return verdict
    number = len(state.vaults_of.get(account.address, ()))
    address = vault_address(account.address, number)
    claim_key(state, recorder, address)
    state.touch(state.open_account(address))
    vault = Vault(address, account.address, number, action.name)
    vault.description = action.description
    vault.created = state.time_ms
    state.add_vault(vault)
    record_vault(state, recorder, vault, VaultEvent.CREATED, action.initial, "VLT-1")
    fee = state.parameters.vault_creation_fee
    if fee:
        move_cash(state, recorder, account, ASSISTANCE_FUND, fee, LedgerType.VAULT_CREATION_FEE)
        state.owed_to_vault += hlp_share(fee, state.parameters.hlp_fee_share_bps)
    buy(state, recorder, vault, account, action.initial, LedgerType.VAULT_CREATE)
    return Rejection.ACCEPTED


def process_vault_transfer(
    state: State, recorder: Recorder, account: Account, action: VaultTransfer, cause: int
) -> Rejection:
    """A deposit into a vault, or a withdrawal from it."""
    vault = _open(state, action.vault)
    if vault is None:
        return Rejection.VAULT_NOT_REGISTERED
    if action.is_deposit:
        return deposit(state, recorder, vault, account, action.amount)
    return withdraw(state, recorder, vault, account, action.amount, cause)


def process_vault_modify(
    state: State, recorder: Recorder, account: Account, action: VaultModify
) -> Rejection:
    """Change a vault's settings; what is not named stays."""
    vault = _open(state, action.vault)
    if vault is None:
        return Rejection.VAULT_NOT_REGISTERED
    if vault.leader != account.address:
        return Rejection.VAULT_NOT_LEADER
    if action.allow_deposits is not None:
        vault.allow_deposits = action.allow_deposits
    if action.always_close is not None:
        vault.always_close = action.always_close
    record_vault(state, recorder, vault, VaultEvent.MODIFIED, 0, "VLT-12")
    return Rejection.ACCEPTED


def process_vault_distribute(
    state: State, recorder: Recorder, account: Account, action: VaultDistribute, cause: int
) -> Rejection:
    """Pay out to all holders by their shares (VLT-12, VLT-13); an amount of 0 closes the vault."""
    vault = _open(state, action.vault)
    if vault is None:
        return Rejection.VAULT_NOT_REGISTERED
    standing = standing_of(state, vault)
    is_leader = vault.leader == account.address
    if is_leader and (standing.is_liquidatable or standing.value <= 0):
        return Rejection.VAULT_WITHDRAWAL_LIQUIDATABLE
    if is_leader and action.amount == 0:
        return _close(state, recorder, vault, cause)
    free = available(state, state.accounts[vault.address])
    verdict = check_distribution(action.amount, free, standing.value, is_leader, state.parameters)
    if verdict is Rejection.ACCEPTED:
        amount = action.amount
        record_vault(state, recorder, vault, VaultEvent.DISTRIBUTED, amount, "VLT-12")
        for holder in sorted(vault.holders):
            _distribute(state, recorder, vault, holder, amount=amount, value=standing.value)
    return verdict


def _distribute(
    state: State, recorder: Recorder, vault: Vault, holder: Address, *, amount: int, value: int
) -> None:
    """One holder's part, less the leader's commission on the profit in it."""
    share, account = vault.holders[holder], state.accounts[holder]
    paid, part = distribution_part(amount, value, share.shares, vault.shares, share.basis)
    percent = commission_percent(state, vault, account)
    charge, _ = commission(paid, 1, 1, part, percent)
    change_share(
        state, recorder, vault, holder, ShareEvent.DISTRIBUTION,
        value=value, change=0, basis_change=-part,
        payment=Payment(amount, paid, paid - charge, charge),
        locked_until=share.locked_until, rule="VLT-13",
    )  # fmt: skip
    source = state.accounts[vault.address]
    if paid - charge:
        kind = LedgerType.VAULT_DISTRIBUTION
        move_cash(state, recorder, source, holder, paid - charge, kind)
    pay_commission(state, recorder, vault, charge)


def _close(state: State, recorder: Recorder, vault: Vault, cause: int) -> Rejection:
    """End everything that is open and pay everybody out, locked or not. What the book does not take
    stays open, and the vault with it, without new deposits: its leader closes it again later."""
    vault.allow_deposits = False
    if not close_all(state, recorder, vault, cause):
        record_vault(state, recorder, vault, VaultEvent.CLOSING, 0, "VLT-12")
        return Rejection.ACCEPTED
    standing = standing_of(state, vault)
    vault.is_closed = True
    record_vault(state, recorder, vault, VaultEvent.CLOSED, max(0, standing.value), "VLT-12")
    total = vault.shares
    for holder in sorted(vault.holders):
        held = vault.holders[holder].shares
        gross = equity(held, standing.value, total)
        payment = Payment(gross, gross, gross)
        account = state.accounts[holder]
        pay_out(
            state, recorder, vault, account, standing.value, payment,
            redeemed=held, event=ShareEvent.CLOSE, total=total,
        )  # fmt: skip
    account = state.accounts[vault.address]
    if account.raw > 0:
        move_cash(state, recorder, account, ROUNDING, account.raw, LedgerType.VAULT_ROUNDING)
    return Rejection.ACCEPTED


def _open(state: State, address: Address) -> Vault | None:
    """The vault with this address, unless it does not exist or is closed."""
    vault = state.vaults.get(address)
    return None if vault is None or vault.is_closed else vault
