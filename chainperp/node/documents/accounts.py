"""An account: its margin, positions and what it may still do. Amounts in micro-USDC inside.

accountValue = totalRawUsd + signed position value, at the marks of the last block.
Source: hyperliquid-api 5.4; hyperliquid-protocol 2.3 to 2.5, 4.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from chainperp.base.rounding import floor_div
from chainperp.base.units import USD_ONE
from chainperp.model.accounts import Account, Exposure
from chainperp.node.documents.liquidation import liquidation_price
from chainperp.node.documents.texts import (
    Document,
    average_price,
    hex_text,
    price,
    ratio,
    size,
    usd,
)
from chainperp.rules.margin import (
    initial_margin,
    maintenance_margin,
    opening_margin,
    withdrawable,
)
from chainperp.state.store import State


class CumFunding(NamedTuple):
    """What a position paid in funding (negative: received), in micro-USDC."""

    all_time: int = 0
    since_open: int = 0
    since_change: int = 0


NO_FUNDING: Final = CumFunding()


class Figures:
    """Sums over an account's positions and orders at the present marks, past all caches."""

    __slots__ = (
        "isolated_value", "maintenance", "margin", "notional", "notional_cross", "raw",
        "raw_total", "used", "used_cross", "value_cross", "worth",
    )  # fmt: skip

    def __init__(self, state: State, account: Account | None) -> None:
        self.raw = 0 if account is None else account.raw
        self.raw_total = 0 if account is None else account.raw + account.raw_isolated_total
        self.value_cross = self.raw
        self.worth = 0
        self.notional = self.notional_cross = 0
        self.used = self.used_cross = 0
        self.maintenance = 0
        self.margin = 0
        if account is None:
            return
        for exposure in account.exposures.values():
            self._add(state, exposure)

    def _add(self, state: State, exposure: Exposure) -> None:
        market = state.markets[exposure.asset]
        value = exposure.lots * market.mark
        self.margin += initial_margin(
            value,
            exposure.bids_notional,
            exposure.asks_notional,
            exposure.leverage,
            exposure.is_cross,
        )
        if not exposure.lots:
            return
        used = margin_used(exposure, value)
        self.worth += value
        self.notional += abs(value)
        self.used += used
        if exposure.is_cross:
            self.value_cross += value
            self.notional_cross += abs(value)
            self.used_cross += used
            self.maintenance += maintenance_margin(abs(value), market.terms)

    def withdrawable(self, divisor: int) -> int:
        """What may leave the account (MRG-5)."""
        free: int = withdrawable(self.value_cross, self.margin, self.notional_cross, divisor)
        return free


def margin_used(exposure: Exposure, value: int) -> int:
    """Margin of a position: at mark over its leverage (up) when cross, all it has when isolated."""
    if exposure.is_cross:
        used: int = opening_margin(abs(value), exposure.leverage)
        return used
    return exposure.raw_isolated + value


def clearinghouse_state(
    state: State, account: Account | None, funding: Mapping[int, CumFunding]
) -> Document:
    """Margin and positions of an account; None is one that was never seen. `funding` is what its
    positions paid, by asset."""
    figures = Figures(state, account)
    positions: list[Document] = []
    if account is not None:
        for asset in sorted(account.exposures):
            exposure = account.exposures[asset]
            if exposure.lots:
                paid = funding.get(asset, NO_FUNDING)
                positions.append(
                    {"type": "oneWay", "position": position(state, account, exposure, paid)}
                )
    return {
        "marginSummary": {
            "accountValue": usd(figures.raw_total + figures.worth),
            "totalNtlPos": usd(figures.notional),
            "totalRawUsd": usd(figures.raw_total),
            "totalMarginUsed": usd(figures.used),
        },
        "crossMarginSummary": {
            "accountValue": usd(figures.value_cross),
            "totalNtlPos": usd(figures.notional_cross),
            "totalRawUsd": usd(figures.raw),
            "totalMarginUsed": usd(figures.used_cross),
        },
        "crossMaintenanceMarginUsed": usd(figures.maintenance),
        "withdrawable": usd(figures.withdrawable(state.parameters.transfer_margin_divisor)),
        "assetPositions": positions,
        "time": state.time_ms,
    }


def account_value(state: State, account: Account | None) -> int:
    """Value of the whole account at the present marks."""
    if account is None:
        return 0
    value = account.raw + account.raw_isolated_total
    for exposure in account.exposures.values():
        value += exposure.lots * state.markets[exposure.asset].mark
    return value


def position(
    state: State, account: Account, exposure: Exposure, paid: CumFunding = NO_FUNDING
) -> Document:
    """One open position."""
    market = state.markets[exposure.asset]
    terms = market.terms
    lots, entry = exposure.lots, exposure.entry_notional
    value = lots * market.mark
    profit = value - entry if lots > 0 else value + entry
    liquidation = liquidation_price(state, account, exposure)
    return {
        "coin": terms.name,
        "szi": size(terms, lots),
        "leverage": leverage(exposure),
        "entryPx": average_price(terms, entry, abs(lots)),
        "positionValue": usd(abs(value)),
        "unrealizedPnl": usd(profit),
        "returnOnEquity": ratio(profit * exposure.leverage, entry),
        "liquidationPx": None if liquidation is None else price(terms, liquidation),
        "marginUsed": usd(margin_used(exposure, value)),
        "maxLeverage": terms.leverage_max,
        "cumFunding": {
            "allTime": usd(paid.all_time),
            "sinceOpen": usd(paid.since_open),
            "sinceChange": usd(paid.since_change),
        },
    }


def leverage(exposure: Exposure) -> Document:
    """Mode and leverage of a market; an isolated position shows its own raw USD."""
    if exposure.is_cross:
        return {"type": "cross", "value": exposure.leverage}
    return {"type": "isolated", "value": exposure.leverage, "rawUsd": usd(exposure.raw_isolated)}


def active_asset_data(
    state: State, address: bytes, account: Account | None, asset: int
) -> Document:
    """Leverage in a market and what may still be traded there, to buy and to sell.

    Free margin is the cross value less everything held; a side that reduces the position has the
    position's own margin and its size on top. Sizes are rounded down to a lot.
    """
    market = state.markets[asset]
    terms = market.terms
    exposure = _exposure(state, account, asset)
    figures = Figures(state, account)
    free = max(0, figures.value_cross - figures.margin)
    lots = exposure.lots
    value = lots * market.mark
    freed = margin_used(exposure, value) if lots else 0
    available: list[int] = []
    sizes: list[int] = []
    for is_buy in (True, False):
        reduces = lots < 0 if is_buy else lots > 0
        amount = free + (max(0, 2 * freed) if reduces else 0)
        available.append(amount)
        sizes.append(floor_div(amount * exposure.leverage, market.mark) if market.mark else 0)
    return {
        "user": hex_text(address),
        "coin": terms.name,
        "leverage": leverage(exposure),
        "maxTradeSzs": [size(terms, one) for one in sizes],
        "availableToTrade": [usd(one) for one in available],
        "markPx": price(terms, market.mark),
    }


def _exposure(state: State, account: Account | None, asset: int) -> Exposure:
    """The account's exposure in a market, or what it would begin with."""
    if account is not None and asset in account.exposures:
        return account.exposures[asset]
    terms = state.markets[asset].terms
    first = min(state.parameters.leverage_default, terms.leverage_max)
    return Exposure(asset, not terms.is_isolated_only, first)


def rate_limit(volume: int, requests: int) -> Document:
    """Requests of an account: 10000 and one for each USDC of volume (micro-USDC here)."""
    return {
        "cumVlm": usd(volume),
        "nRequestsUsed": requests,
        "nRequestsCap": 10_000 + floor_div(volume, USD_ONE),
        "nRequestsSurplus": 0,
    }
