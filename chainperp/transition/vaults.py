"""Money into vaults and out of them: deposits, withdrawals, commission.

A deposit moves cash and makes shares; a withdrawal makes room if it must, redeems shares and moves
cash. What vaults are worth, and the shares themselves, are in `transition/shares.py`.
"""

from chainperp.model.accounts import Account
from chainperp.model.decisions import LedgerType, Rejection
from chainperp.model.vaults import Share, ShareEvent, Vault
from chainperp.rules.vault_closing import amount_covered
from chainperp.rules.vaults import (
    check_vault_deposit,
    check_vault_withdrawal,
    commission,
    daily_withdrawal_left,
    equity,
    is_leader_share_enough,
    shares_bought,
    shares_redeemed,
    unlocks_at,
)
from chainperp.state.store import LIQUIDITY_VAULT, State
from chainperp.transition.recorder import Recorder
from chainperp.transition.shares import (
    Payment,
    change_share,
    is_liquidity_vault,
    seed,
    standing_of,
)
from chainperp.transition.shares import vault_value as vault_value
from chainperp.transition.transfers import available, move_cash
from chainperp.transition.vault_closing import cover


def deposit(
    state: State, recorder: Recorder, vault: Vault, account: Account, amount: int
) -> Rejection:
    """Buy shares of a vault for an account (VLT-3, VLT-9)."""
    standing = standing_of(state, vault)
    verdict = check_vault_deposit(
        amount,
        available(state, account),
        standing,
        vault.allow_deposits,
        _is_full(state, vault, account),
        state.parameters,
    )
    if verdict is not Rejection.ACCEPTED:
        return verdict
    bought, _ = shares_bought(amount, standing.value, vault.shares)
    if not _keeps_leader(state, vault, account, bought):
        return Rejection.VAULT_LEADER_SHARE
    if is_liquidity_vault(vault):
        seed(state, recorder, vault)
    buy(state, recorder, vault, account, amount, LedgerType.VAULT_DEPOSIT)
    return Rejection.ACCEPTED


def buy(
    state: State,
    recorder: Recorder,
    vault: Vault,
    account: Account,
    amount: int,
    kind: LedgerType,
) -> None:
    """Carry out a deposit that was checked."""
    value = vault_value(state, vault)
    bought, cost = shares_bought(amount, value, vault.shares)
    change_share(
        state, recorder, vault, account.address, ShareEvent.DEPOSIT,
        value=value, change=bought, basis_change=cost, payment=Payment(amount, cost, cost),
        locked_until=unlocks_at(state.time_ms, is_liquidity_vault(vault), state.parameters),
        rule="VLT-3",
    )  # fmt: skip
    move_cash(state, recorder, account, vault.address, cost, kind)


def _is_full(state: State, vault: Vault, account: Account) -> bool:
    """Whether this account would be one holder too many."""
    is_new = account.address not in vault.holders and not is_liquidity_vault(vault)
    return is_new and len(vault.holders) >= state.parameters.vault_holders_max


def _keeps_leader(state: State, vault: Vault, account: Account, change: int) -> bool:
    """Whether the leader holds enough when this account has so many more or fewer shares."""
    if is_liquidity_vault(vault):
        return True
    own = vault.holders.get(vault.leader)
    held = 0 if own is None else own.shares
    if account.address == vault.leader:
        held += change
        if change > 0:
            return True
    elif change < 0:
        return True
    return is_leader_share_enough(held, vault.shares + change, state.parameters)


def withdraw(
    state: State, recorder: Recorder, vault: Vault, account: Account, amount: int, cause: int
) -> Rejection:
    """Redeem shares of a vault for an account (VLT-5, VLT-10). `cause` is the log index of the
    transaction that asks for it."""
    share = vault.holders.get(account.address, Share(0))
    standing = standing_of(state, vault)
    verdict = check_vault_withdrawal(
        amount, share.shares, standing, share.locked_until, state.time_ms, state.parameters
    )
    if verdict is not Rejection.ACCEPTED:
        return verdict
    redeemed, gross = shares_redeemed(amount, share.shares, standing.value, vault.shares)
    if not _keeps_leader(state, vault, account, -redeemed):
        return Rejection.VAULT_LEADER_SHARE
    if is_liquidity_vault(vault):
        verdict = _check_liquidity(state, vault, gross)
        if verdict is not Rejection.ACCEPTED:
            return verdict
        vault.day_paid += gross
        payment = Payment(amount, gross, gross)
        pay_out(state, recorder, vault, account, standing.value, payment, redeemed=redeemed)
        return Rejection.ACCEPTED
    cost = cover(state, recorder, vault, gross, cause)
    free = available(state, state.accounts[vault.address])
    settled = amount_covered(gross, cost, free)
    if settled == 0:
        return Rejection.VAULT_CASH
    if settled < gross:
        redeemed, _ = shares_redeemed(settled, share.shares, standing.value, vault.shares)
    payment = Payment(amount, settled, settled - cost, closing_cost=cost)
    pay_out(state, recorder, vault, account, standing.value, payment, redeemed=redeemed)
    return Rejection.ACCEPTED


def _check_liquidity(state: State, vault: Vault, gross: int) -> Rejection:
    """What the liquidity vault may pay: a part of its value a day, and only what is free."""
    percent = state.parameters.liquidity_vault_day_percent
    if gross > daily_withdrawal_left(vault.day_value, vault.day_paid, percent):
        return Rejection.VAULT_DAILY_LIMIT
    if gross > available(state, state.accounts[vault.address]):
        return Rejection.VAULT_CASH
    return Rejection.ACCEPTED


def commission_percent(state: State, vault: Vault, account: Account) -> int:
    """The leader's part of this holder's profit."""
    if is_liquidity_vault(vault) or account.address == vault.leader:
        return 0
    return state.parameters.vault_commission_percent


def pay_out(
    state: State,
    recorder: Recorder,
    vault: Vault,
    account: Account,
    value: int,
    payment: Payment,
    *,
    redeemed: int,
    event: ShareEvent = ShareEvent.WITHDRAWAL,
    total: int | None = None,
) -> None:
    """Take shares from a holder, and pay him and the leader. `value` is the vault's before anything
    was closed for it; `payment.net` is the money that leaves the vault, commission included."""
    share = vault.holders[account.address]
    percent = commission_percent(state, vault, account)
    paid = payment.net
    charge, part = commission(paid, redeemed, share.shares, share.basis, percent)
    source = state.accounts[vault.address]
    change_share(
        state, recorder, vault, account.address, event,
        value=value, change=-redeemed, basis_change=-part,
        payment=payment._replace(net=paid - charge, commission=charge),
        locked_until=share.locked_until, rule="VLT-5", total=total,
    )  # fmt: skip
    if paid - charge:
        kind = LedgerType.VAULT_WITHDRAWAL
        move_cash(state, recorder, source, account.address, paid - charge, kind)
    pay_commission(state, recorder, vault, charge)


def pay_commission(state: State, recorder: Recorder, vault: Vault, amount: int) -> None:
    """The leader's commission, out of the vault into the margin of his account."""
    if amount:
        source = state.accounts[vault.address]
        move_cash(state, recorder, source, vault.leader, amount, LedgerType.VAULT_COMMISSION)


def holder_equity(state: State, vault: Vault, share: Share) -> int:
    """What a holder's shares are worth now."""
    return equity(share.shares, vault_value(state, vault), vault.shares)


def begin_day(state: State) -> None:
    """At the first block of a UTC day, note what the liquidity vault is worth (VLT-11)."""
    vault = state.vaults[LIQUIDITY_VAULT]
    if vault.day != state.day:
        vault.day = state.day
        vault.day_value = vault_value(state, vault)
        vault.day_paid = 0
        state.note("vault", vault.address)
