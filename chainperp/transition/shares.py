"""What vaults are worth, and the one place where shares are made, paid out and written down.

Every change of a holder's shares or basis is one SHARES entry with all that its arithmetic needs.
Money moves elsewhere (`transition/vaults.py`).
"""

from typing import NamedTuple

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.decisions import Kind, rule_number
from chainperp.model.records import CROSS_SCOPE
from chainperp.model.vaults import Share, ShareEvent, Vault, VaultEvent
from chainperp.rules.margin import is_liquidatable
from chainperp.rules.prices import is_price_fresh
from chainperp.rules.vaults import Standing, shares_bought
from chainperp.state.store import HLP_MEMBERS, INSURANCE, LIQUIDITY_VAULT, State
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import refresh, scope_value_and_maintenance


class Payment(NamedTuple):
    """What a change of shares came to, in micro-USDC but for `requested` shares' worth: see
    `Kind.SHARES`."""

    requested: int
    gross: int
    net: int
    commission: int = 0
    closing_cost: int = 0


def is_liquidity_vault(vault: Vault) -> bool:
    """Whether this is the vault that provides the exchange's liquidity."""
    return vault.address == LIQUIDITY_VAULT


def members(vault: Vault) -> tuple[Address, ...]:
    """The accounts whose value is the vault's: its own, and its children's."""
    return HLP_MEMBERS if is_liquidity_vault(vault) else (vault.address,)


def total_value(state: State, account: Account) -> int:
    """Value of an account at the marks, isolated positions included."""
    refresh(state, account)
    value = account.raw + account.raw_isolated_total
    for exposure in account.exposures.values():
        value += exposure.value
    return value


def vault_value(state: State, vault: Vault) -> int:
    """What the vault is worth at the marks, in micro-USDC, never from a cache of its own
    (INV-V5)."""
    return sum(total_value(state, state.accounts[address]) for address in members(vault))


def standing_of(state: State, vault: Vault) -> Standing:
    """The vault as a deposit or a withdrawal finds it."""
    liquidatable, fresh = False, True
    for address in members(vault):
        account = state.accounts[address]
        scopes = [CROSS_SCOPE]
        for asset in sorted(account.exposures):
            exposure = account.exposures[asset]
            if exposure.lots:
                market = state.markets[asset]
                limit = state.parameters.price_stale_ms
                fresh = fresh and is_price_fresh(market.oracle_time, state.time_ms, limit)
                if not exposure.is_cross:
                    scopes.append(asset)
        for scope in scopes:
            liquidatable |= is_liquidatable(*scope_value_and_maintenance(state, account, scope))
    return Standing(vault_value(state, vault), vault.shares, liquidatable, fresh)


def change_share(
    state: State,
    recorder: Recorder,
    vault: Vault,
    holder: Address,
    event: ShareEvent,
    *,
    value: int,
    change: int,
    basis_change: int,
    payment: Payment,
    locked_until: int,
    rule: str,
    total: int | None = None,
) -> None:
    """Carry out a change of a holder's shares and basis, and write it down. `value` and `total` are
    the vault's value and shares before it, of a closing before anybody was paid. A holder who has
    no shares left is forgotten."""
    share = vault.holders.get(holder)
    if share is None:
        share = Share(state.time_ms)
        vault.holders[holder] = share
    recorder.record(
        Kind.SHARES,
        {
            "vault": vault.address,
            "holder": holder,
            "event": event,
            "requested": payment.requested,
            "value": value,
            "total": vault.shares if total is None else total,
            "held": share.shares,
            "basis": share.basis,
            "change": change,
            "basis_change": basis_change,
            "gross": payment.gross,
            "closing_cost": payment.closing_cost,
            "commission": payment.commission,
            "net": payment.net,
            "locked_until": locked_until,
            "rule": rule_number(rule),
        },
    )
    share.shares += change
    share.basis += basis_change
    share.locked_until = locked_until
    if event not in (ShareEvent.DEPOSIT, ShareEvent.SEED):
        share.realised += payment.net + basis_change
    vault.shares += change
    if not share.shares:
        del vault.holders[holder]
    state.note("share", vault.address + holder)
    state.note("vault", vault.address)


def record_vault(
    state: State, recorder: Recorder, vault: Vault, event: VaultEvent, amount: int, rule: str
) -> None:
    """Write down what happens to a vault as a whole."""
    state.note("vault", vault.address)
    recorder.record(
        Kind.USER_VAULT,
        {
            "vault": vault.address,
            "leader": vault.leader,
            "event": event,
            "name": vault.name.encode(),
            "description": vault.description.encode(),
            "allow_deposits": vault.allow_deposits,
            "always_close": vault.always_close,
            "amount": amount,
            "value": vault_value(state, vault),
            "shares": vault.shares,
            "rule": rule_number(rule),
        },
    )


def seed_at_genesis(state: State) -> None:
    """Give what genesis put into the liquidity vault's accounts shares of its own, at one share for
    each micro-USDC: without them the first depositor would own it. They are the insurance
    account's, which has no key, so they never leave (U-VLT-11)."""
    vault = state.vaults[LIQUIDITY_VAULT]
    value = vault_value(state, vault)
    if value < state.parameters.vault_shares_min:
        return
    share = Share(state.time_ms)
    share.shares = share.basis = vault.shares = value
    vault.holders[INSURANCE] = share
    state.note("share", vault.address + INSURANCE)
    state.note("vault", vault.address)


def seed(state: State, recorder: Recorder, vault: Vault) -> None:
    """Before the first deposit into the liquidity vault: what is there already, fee shares and
    takeovers, is the insurance account's."""
    value = vault_value(state, vault)
    if not vault.shares and value > 0:
        _seed(state, recorder, vault, value=value, bought=value, cost=value)


def seed_deposit(state: State, recorder: Recorder, vault: Vault, amount: int, value: int) -> None:
    """A deposit seen outside that names an account of the liquidity vault buys shares for the
    insurance account; `value` is the vault's before it. Before there are any, `seed` does it."""
    if vault.shares and value > 0:
        bought, _ = shares_bought(amount, value, vault.shares)
        _seed(state, recorder, vault, value=value, bought=bought, cost=amount)


def _seed(
    state: State, recorder: Recorder, vault: Vault, *, value: int, bought: int, cost: int
) -> None:
    held = vault.holders.get(INSURANCE)
    change_share(
        state, recorder, vault, INSURANCE, ShareEvent.SEED,
        value=value, change=bought, basis_change=cost, payment=Payment(cost, cost, cost),
        locked_until=0 if held is None else held.locked_until, rule="VLT-3",
    )  # fmt: skip
