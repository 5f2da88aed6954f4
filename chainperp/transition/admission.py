"""Whether a signed transaction is executed, for which account, and its nonce being used up.

Order of the questions: who (ADM-2), nonce (ADM-1), multi-sig (SIG-2, SIG-3), own key (ADM-5),
sub-account (SUB-4), expiry (ADM-3). A stranger has no nonce set, so nothing of his is stored; a
known signer's nonce is used up by inclusion.
"""

from bisect import insort
from typing import Final

from chainperp.base.units import Address
from chainperp.model.accounts import Account, Agent, NonceSet
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ClaimRewards,
    CreateSubAccount,
    CreateVault,
    ModifyOrders,
    Noop,
    NotOffered,
    PlaceOrders,
    RegisterReferrer,
    RenameSubAccount,
    ScheduleCancel,
    SetDisplayName,
    SetReferrer,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TwapCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
)
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import ACCEPTED, Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.admission import (
    check_authority,
    check_nonce,
    check_own_key,
    is_expired,
)
from chainperp.rules.multisig import may_act_alone
from chainperp.rules.subaccounts import check_on_behalf
from chainperp.rules.vaults import may_trade_asset
from chainperp.state.store import State
from chainperp.transition.multisig import admit_envelope

# What no agent may do, and what may be done in a sub-account's name.
FOR_OWNER: Final = frozenset(
    (
        CreateSubAccount,
        CreateVault,
        RenameSubAccount,
        SubAccountTransfer,
        SubAccountSpotTransfer,
        SetDisplayName,
        RegisterReferrer,
        SetReferrer,
        ClaimRewards,
        VaultDistribute,
        VaultModify,
        VaultTransfer,
    )
)
TRADING: Final = frozenset(
    (
        PlaceOrders,
        CancelOrders,
        ModifyOrders,
        UpdateLeverage,
        UpdateIsolatedMargin,
        ScheduleCancel,
        TwapOrder,
        TwapCancel,
        Noop,
        NotOffered,  # refused by name afterwards
    )
)


def admit(state: State, transaction: Transaction) -> tuple[Rejection, Account | None]:
    """The account that the transaction moves, or why it is refused.

    A key has one nonce set, whatever it acts as: while it is known as an agent, in force or
    retired, that is the agent's, also for an account that somebody opened at the same address.
    The key that leads a multi-sig envelope is asked like one that trades.
    """
    signer = transaction.signer
    known = state.agents.get(signer)
    multi_sig = transaction.multi_sig
    is_for_owner = transaction.is_user_signed and multi_sig is None
    agent = None
    owner = signer
    if known is not None and not is_for_owner:
        agent = agent_in_force(state, signer)
        if agent is not None and agent.master is not None:
            owner = agent.master
    account = state.accounts.get(owner)
    verdict = check_authority(account is not None, agent is not None, is_for_owner)
    if verdict is not ACCEPTED or account is None:
        return (verdict if multi_sig is None else Rejection.MULTI_SIG_OUTER_UNKNOWN), None
    if known is None:
        nonces = account.nonces
        state.touch(account)
    else:
        nonces = known.nonces
        state.changed_agents[known.address] = None
    verdict = use_nonce(nonces, transaction.nonce, state.time_ms, state.parameters)
    if verdict is not ACCEPTED:
        return verdict, None
    if agent is not None or multi_sig is not None or state.multi_sigs:
        verdict, account = _acting(state, transaction, account, agent is not None)
    if verdict is ACCEPTED and transaction.vault is not None:
        verdict, account = _on_behalf(state, transaction, account)
    if verdict is not ACCEPTED:
        return verdict, None
    expires_after = transaction.expires_after
    if expires_after is not None and is_expired(expires_after, state.time_ms):
        return Rejection.EXPIRED, None
    return ACCEPTED, account


def _acting(
    state: State, transaction: Transaction, account: Account, is_agent: bool
) -> tuple[Rejection, Account]:
    """The account whose own action this is: of the key, of its master, or of an envelope."""
    multi_sig = transaction.multi_sig
    if multi_sig is not None:
        return admit_envelope(state, transaction, multi_sig, account, is_agent)
    if not may_act_alone(account.address in state.multi_sigs, is_agent):
        return Rejection.MULTI_SIG_REQUIRED, account
    return check_own_key(is_agent, type(transaction.action) in FOR_OWNER), account


def _on_behalf(
    state: State, transaction: Transaction, master: Account
) -> tuple[Rejection, Account]:
    """The sub-account or vault that the signer names and may trade for; a user-signed action names
    none."""
    if transaction.is_user_signed or transaction.vault is None:
        return ACCEPTED, master
    address = Address(transaction.vault)
    sub, vault = state.sub_accounts.get(address), state.vaults.get(address)
    is_own = sub is not None and sub.master == master.address
    is_led = vault is not None and vault.leader == master.address and not vault.is_closed
    verdict = check_on_behalf(is_own or is_led, type(transaction.action) in TRADING)
    if is_led and not all(may_trade_asset(asset) for asset in _assets_of(transaction.action)):
        verdict = Rejection.VAULT_PERPS_ONLY
    return verdict, state.accounts[address] if is_own or is_led else master


def _assets_of(action: Action) -> list[int]:
    """The markets in which an action may open a position."""
    if isinstance(action, PlaceOrders):
        return [request.asset for request in action.orders]
    if isinstance(action, ModifyOrders):
        return [request.asset for _, request in action.modifies]
    return [action.asset] if isinstance(action, TwapOrder) else []


def agent_in_force(state: State, address: Address) -> Agent | None:
    """The agent with this key, if it may act at block time."""
    agent = state.agents.get(address)
    if agent is None or agent.master is None or agent.valid_until <= state.time_ms:
        return None
    return agent


def use_nonce(nonces: NonceSet, nonce: int, time_ms: int, parameters: Parameters) -> Rejection:
    """Check a nonce and, if it is good, keep it among the highest ones used."""
    verdict = check_nonce(nonces, nonce, time_ms, parameters)
    if verdict is not ACCEPTED:
        return verdict
    kept = nonces.kept
    if nonce > nonces.highest:
        kept.append(nonce)
        nonces.highest = nonce
    else:
        insort(kept, nonce)
    if len(kept) > parameters.nonces_kept:
        del kept[0]
        if not kept:  # a genesis may keep none
            nonces.highest = -1
    return ACCEPTED
