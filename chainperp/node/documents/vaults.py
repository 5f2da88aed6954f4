"""Vaults and their holders as clients read them. A few numbers are JSON numbers here.

Source: hyperliquid-api 5.3, 5.4.
"""

from typing import Any, Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import DAY_MS, USD_ONE, Address
from chainperp.model.vaults import Share, Vault
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.rules.vaults import daily_withdrawal_left, equity
from chainperp.state.store import (
    BACKSTOP_VAULT,
    HLP_MEMBERS,
    LIQUIDITY_VAULT,
    MARKET_MAKER,
    State,
)
from chainperp.transition.shares import is_liquidity_vault, vault_value
from chainperp.transition.transfers import available

FOLLOWERS_MAX: Final = 100
CHILDREN: Final = HLP_MEMBERS[1:]
CHILD_NAMES: Final = {BACKSTOP_VAULT: "Liquidator", MARKET_MAKER: "Market maker"}
LIQUIDITY_TEXT: Final = (
    "Provides liquidity, takes liquidated positions over, and receives a part of trading fees."
)


def is_vault(state: State, address: bytes) -> bool:
    """Whether an address is a vault's, or a child's of the liquidity vault."""
    return Address(address) in state.vaults or address in CHILDREN


def number(amount: int) -> float:
    """Micro-USDC as a JSON number of USDC."""
    return amount / USD_ONE


def relationship(address: bytes) -> Document:
    """How a vault stands to others."""
    if address == LIQUIDITY_VAULT:
        children = [hex_text(one) for one in CHILDREN]
        return {"type": "parent", "data": {"childAddresses": children}}
    if address in CHILDREN:
        return {"type": "child", "data": {"parentAddress": hex_text(LIQUIDITY_VAULT)}}
    return {"type": "normal"}


def follower(
    vault: Vault, holder: Address, share: Share, value: int, now_ms: int, *, named: bool = True
) -> Document:
    """A holder: what he has, and what he made since he came. `named` shows the leader as such."""
    worth = equity(share.shares, value, vault.shares)
    is_leader = named and holder == vault.leader
    return {
        "user": "Leader" if is_leader else hex_text(holder),
        "vaultEquity": usd(worth),
        "pnl": usd(worth - share.basis),
        "allTimePnl": usd(share.realised + worth - share.basis),
        "daysFollowing": floor_div(now_ms - share.entered, DAY_MS),
        "vaultEntryTime": share.entered,
        "lockupUntil": share.locked_until,
    }


def details(
    state: State, vault: Vault, user: bytes | None, portfolio: list[Any], apr: float
) -> Document:
    """`vaultDetails`: settings, holders with the most first, and what can be paid out now."""
    value = vault_value(state, vault)
    now_ms = state.time_ms
    ranked = sorted(vault.holders.items(), key=lambda one: (-one[1].shares, one[0]))
    own = None if user is None else vault.holders.get(Address(user))
    led = vault.holders.get(vault.leader)
    is_liquidity = is_liquidity_vault(vault)
    percent = 0 if is_liquidity else state.parameters.vault_commission_percent
    return {
        "name": vault.name,
        "vaultAddress": hex_text(vault.address),
        "leader": hex_text(vault.leader),
        "description": LIQUIDITY_TEXT if is_liquidity else vault.description,
        "portfolio": portfolio,
        "apr": apr,
        "followerState": None
        if own is None or user is None
        else follower(vault, Address(user), own, value, now_ms, named=False),
        "leaderFraction": 0.0 if led is None or not vault.shares else led.shares / vault.shares,
        "leaderCommission": percent / 100,
        "followers": [
            follower(vault, holder, share, value, now_ms)
            for holder, share in ranked[:FOLLOWERS_MAX]
        ],
        "maxDistributable": number(distributable(state, vault, value)),
        "maxWithdrawable": number(payable(state, vault)),
        "isClosed": vault.is_closed,
        "relationship": relationship(vault.address),
        "allowDeposits": vault.allow_deposits and not vault.is_closed,
        "alwaysCloseOnWithdraw": vault.always_close,
    }


def child_details(state: State, address: bytes, portfolio: list[Any], apr: float) -> Document:
    """`vaultDetails` of a child of the liquidity vault: nobody owns shares of it alone."""
    parent = state.vaults[LIQUIDITY_VAULT]
    return {
        **details(state, parent, None, portfolio, apr),
        "name": CHILD_NAMES.get(Address(address), "Child"),
        "vaultAddress": hex_text(address),
        "description": "A child of the liquidity vault.",
        "leaderFraction": 0.0,
        "followers": [],
        "maxDistributable": 0.0,
        "maxWithdrawable": 0.0,
        "relationship": relationship(address),
        "allowDeposits": False,
    }


def payable(state: State, vault: Vault) -> int:
    """What the vault can pay to those who leave without closing anything, in micro-USDC."""
    if vault.is_closed:
        return 0
    free = available(state, state.accounts[vault.address])
    if is_liquidity_vault(vault):
        percent = state.parameters.liquidity_vault_day_percent
        free = min(free, daily_withdrawal_left(vault.day_value, vault.day_paid, percent))
    return free


def distributable(state: State, vault: Vault, value: int) -> int:
    """What its leader can pay out to all holders, in micro-USDC."""
    if vault.is_closed or is_liquidity_vault(vault):
        return 0
    free = available(state, state.accounts[vault.address])
    return max(0, min(free, value - state.parameters.vault_initial_min))


def equities(state: State, user: bytes) -> list[Document]:
    """`userVaultEquities`: what an account has in vaults, by address."""
    found: list[Document] = []
    for address in sorted(state.vaults):
        vault = state.vaults[address]
        share = vault.holders.get(Address(user))
        if share is not None:
            worth = equity(share.shares, vault_value(state, vault), vault.shares)
            found.append(
                {
                    "vaultAddress": hex_text(address),
                    "equity": usd(worth),
                    "lockedUntilTimestamp": share.locked_until,
                }
            )
    return found


def total_equity(state: State, user: bytes) -> int:
    """What an account has in all vaults together, in micro-USDC."""
    total = 0
    for vault in state.vaults.values():
        share = vault.holders.get(Address(user))
        if share is not None:
            total += equity(share.shares, vault_value(state, vault), vault.shares)
    return total


def led_by(state: State, user: bytes) -> list[Document]:
    """`leadingVaults`: open vaults that an account leads, oldest first."""
    return [
        {"address": hex_text(vault.address), "name": vault.name}
        for vault in state.vaults_of.get(Address(user), ())
        if not vault.is_closed
    ]


def summary(state: State, vault: Vault) -> Document:
    """A row of `vaultSummaries`."""
    return {
        "name": vault.name,
        "vaultAddress": hex_text(vault.address),
        "leader": hex_text(vault.leader),
        "tvl": usd(vault_value(state, vault)),
        "isClosed": vault.is_closed,
        "relationship": relationship(vault.address),
        "createTimeMillis": vault.created,
    }
