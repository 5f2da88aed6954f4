"""A vault with everything in it, as a document of our own: value, shares, price of a share, members
with their positions, holders with their lock-ups, and the rule by which its child quotes.

Amounts are decimals; nothing is rounded but the decimals of a share's price.
"""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import Address, format_decimal, price_text, size_text
from chainperp.model.accounts import Account
from chainperp.model.records import CROSS_SCOPE
from chainperp.model.vaults import Share, Vault
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.parameters.schema import Parameters
from chainperp.rules.children import capital_share
from chainperp.rules.vaults import daily_withdrawal_left, equity
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER, Market, State
from chainperp.transition.quoting import plan_market, quote_cap
from chainperp.transition.shares import is_liquidity_vault, members, total_value, vault_value
from chainperp.transition.transfers import available
from chainperp.transition.valuation import (
    account_value,
    position_notional,
    refresh,
    scope_value_and_maintenance,
)

HOLDERS_MAX: Final = 100
PRICE_DECIMALS: Final = 12
NAMES: Final = {
    LIQUIDITY_VAULT: "parent", BACKSTOP_VAULT: "liquidator", MARKET_MAKER: "market maker",
}  # fmt: skip
RULE: Final = (
    "intervalMs", "staleMs", "levels", "halfSpreadBps", "stepBps", "sizeBps", "skewBps",
    "driftBps", "capBps", "leverageMax", "lossBps",
)  # fmt: skip


def report_of(state: State, vault: Vault) -> Document:
    """One vault after the state's block."""
    value = vault_value(state, vault)
    document: Document = {
        "address": hex_text(vault.address),
        "name": vault.name,
        "description": vault.description,
        "leader": hex_text(vault.leader),
        "created": vault.created,
        "allowDeposits": vault.allow_deposits and not vault.is_closed,
        "alwaysCloseOnWithdraw": vault.always_close,
        "isClosed": vault.is_closed,
        "height": state.height,
        "time": state.time_ms,
        "value": usd(value),
        "shares": str(vault.shares),
        "pricePerShare": price_of_share(value, vault.shares),
        "holders": len(vault.holders),
        "followers": followers(vault, value),
        "members": [_member(state, state.accounts[address], value) for address in members(vault)],
    }
    if is_liquidity_vault(vault):
        percent = state.parameters.liquidity_vault_day_percent
        document["day"] = {
            "value": usd(vault.day_value),
            "paid": usd(vault.day_paid),
            "left": usd(daily_withdrawal_left(vault.day_value, vault.day_paid, percent)),
        }
        document["quoting"] = quoting_of(state)
    return document


def summary_of(state: State, vault: Vault) -> Document:
    """One vault as a row."""
    value = vault_value(state, vault)
    return {
        "address": hex_text(vault.address),
        "name": vault.name,
        "leader": hex_text(vault.leader),
        "value": usd(value),
        "shares": str(vault.shares),
        "pricePerShare": price_of_share(value, vault.shares),
        "holders": len(vault.holders),
        "isClosed": vault.is_closed,
    }


def all_of(state: State) -> Document:
    """All vaults, by address."""
    rows = [summary_of(state, state.vaults[address]) for address in sorted(state.vaults)]
    return {"height": state.height, "time": state.time_ms, "vaults": rows}


def price_of_share(value: int, shares: int) -> Document | None:
    """USDC for a share: the exact fraction of micro-USDC, and its decimal rounded down."""
    if not shares:
        return None
    scaled = floor_div(value * 10**PRICE_DECIMALS, shares * 10**6)
    return {
        "decimal": format_decimal(scaled, PRICE_DECIMALS),
        "numerator": str(value),
        "denominator": str(shares),
    }


def followers(vault: Vault, value: int) -> list[Document]:
    """Holders, those with the most first."""
    ranked = sorted(vault.holders.items(), key=_rank)
    return [
        {
            "user": hex_text(holder),
            "isLeader": holder == vault.leader,
            "shares": str(share.shares),
            "equity": usd(equity(share.shares, value, vault.shares)),
            "basis": usd(share.basis),
            "profit": usd(equity(share.shares, value, vault.shares) - share.basis),
            "realised": usd(share.realised),
            "entered": share.entered,
            "lockedUntil": share.locked_until,
        }
        for holder, share in ranked[:HOLDERS_MAX]
    ]


def _rank(one: tuple[Address, Share]) -> tuple[int, bytes]:
    return -one[1].shares, one[0]


def _member(state: State, account: Account, whole: int) -> Document:
    """One account of a vault. A child of the liquidity vault has a target for its capital."""
    address, parameters = account.address, state.parameters
    value, maintenance = scope_value_and_maintenance(state, account, CROSS_SCOPE)
    shares = {
        BACKSTOP_VAULT: parameters.child_backstop_bps, MARKET_MAKER: parameters.child_maker_bps,
    }  # fmt: skip
    target = usd(capital_share(whole, shares[address])) if address in shares else None
    return {
        "address": hex_text(address),
        "name": NAMES.get(address, "vault"),
        "value": usd(total_value(state, account)),
        "crossValue": usd(value),
        "maintenance": usd(maintenance),
        "withdrawable": usd(available(state, account)),
        "target": target,
        "orders": len(account.orders),
        "positions": [
            _position(state.markets[asset], account, asset)
            for asset in sorted(account.exposures)
            if account.exposures[asset].lots
        ],
    }


def _position(market: Market, account: Account, asset: int) -> Document:
    exposure, decimals = account.exposures[asset], market.terms.size_decimals
    return {
        "market": market.terms.name,
        "size": size_text(exposure.lots, decimals),
        "entry": usd(exposure.entry_notional),
        "mark": price_text(market.mark, decimals),
        "value": usd(exposure.lots * market.mark),
        "isCross": exposure.is_cross,
        "leverage": exposure.leverage,
    }


def rule_of(parameters: Parameters) -> Document:
    """The numbers of the published quoting rule (VLT-20 to VLT-26)."""
    values = (
        parameters.quote_interval_ms, parameters.quote_stale_ms, parameters.quote_levels,
        parameters.quote_half_spread_bps, parameters.quote_step_bps, parameters.quote_size_bps,
        parameters.quote_skew_bps, parameters.quote_drift_bps, parameters.quote_cap_bps,
        parameters.quote_leverage_max, parameters.quote_loss_bps,
    )  # fmt: skip
    return dict(zip(RULE, values, strict=True))


def quoting_of(state: State) -> Document:
    """The rule, its inputs as they are now, what rests, and in which markets a round that was held
    now would change something."""
    maker = state.accounts[MARKET_MAKER]
    refresh(state, maker)
    value, notional = account_value(maker), position_notional(maker)
    began = state.day_values.get(MARKET_MAKER, value)
    cap = quote_cap(state, value, notional, began)
    changing = [
        market.terms.name
        for market in state.markets
        if plan_market(state, maker, market, value, cap) is not None
    ]
    resting: list[Document] = []
    for order in sorted(maker.orders.values(), key=lambda one: (one.asset, one.oid)):
        decimals = state.markets[order.asset].terms.size_decimals
        resting.append(
            {
                "market": state.markets[order.asset].terms.name,
                "side": "bid" if order.is_buy else "ask",
                "price": price_text(order.price, decimals),
                "size": size_text(order.remaining, decimals),
                "oid": order.oid,
            }
        )
    return {
        "rule": rule_of(state.parameters),
        "value": usd(value),
        "positions": usd(notional),
        "dayBegan": usd(began),
        "cap": usd(cap),
        "resting": resting,
        "wouldChange": changing,
    }


def round_document(
    height: int, time_ms: int, index: int, fields: Record, markets: list[Market]
) -> Document:
    """A round as its QUOTE entry says it."""
    rows: list[Document] = []
    for row in fields["rows"]:
        terms = markets[row["asset"]].terms
        decimals = terms.size_decimals
        rows.append(
            {
                "market": terms.name,
                "oracle": price_text(row["oracle"], decimals),
                "mark": price_text(row["mark"], decimals),
                "position": size_text(row["lots"], decimals),
                "entry": usd(row["entry_notional"]),
                "bid": _price_or_none(row["bid"], decimals),
                "ask": _price_or_none(row["ask"], decimals),
                "kept": row["kept"],
                "cancelled": row["cancelled"],
                "placed": row["placed"],
            }
        )
    return {
        "height": height,
        "time": time_ms,
        "index": index,
        "value": usd(fields["value"]),
        "positions": usd(fields["notional"]),
        "dayBegan": usd(fields["day_value"]),
        "markets": rows,
    }


def _price_or_none(price: int | None, decimals: int) -> str | None:
    return None if price is None else price_text(price, decimals)
