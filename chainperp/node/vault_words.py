"""The numbers that belong in a vault's refusals. Part of `node/refusals.py`."""

from datetime import UTC, datetime

from chainperp.base.rounding import floor_div
from chainperp.base.units import USD_DECIMALS, Address, address_text, strip_decimal
from chainperp.model.actions import CreateVault, VaultDistribute, VaultModify, VaultTransfer
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Rejection
from chainperp.model.vaults import Share, Vault
from chainperp.node.documents.vaults import distributable, payable
from chainperp.state.store import State
from chainperp.transition.shares import is_liquidity_vault, vault_value
from chainperp.transition.vaults import holder_equity


def vault_words(
    state: State, code: Rejection, transaction: Transaction, account: Address
) -> dict[str, str]:
    """What the names in a text stand for; nothing for an action that is about no vault."""
    action = transaction.action
    least = state.parameters.vault_transfer_min
    if code is Rejection.VAULT_INITIAL_TOO_SMALL:
        least = state.parameters.vault_initial_min
    words = {
        "required": _usd(least),
        "percent": str(state.parameters.vault_leader_percent),
    }
    if isinstance(action, CreateVault):
        return words
    if not isinstance(action, VaultTransfer | VaultModify | VaultDistribute):
        return {}
    words["vault"] = address_text(action.vault)
    vault = state.vaults.get(action.vault)
    if vault is not None:
        share = vault.holders.get(account, Share(0))
        words["equity"] = _usd(holder_equity(state, vault, share))
        words["until"] = _clock(share.locked_until)
        words["limit"] = _usd(_limit(state, vault, isinstance(action, VaultDistribute)))
    return words


def _limit(state: State, vault: Vault, is_distribution: bool) -> int:
    if is_distribution and not is_liquidity_vault(vault):
        return distributable(state, vault, vault_value(state, vault))
    return payable(state, vault)


def _usd(amount: int) -> str:
    return strip_decimal(amount, USD_DECIMALS)


def _clock(time_ms: int) -> str:
    """UTC to the second, rounded up: then it is over."""
    return datetime.fromtimestamp(-floor_div(-time_ms, 1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
