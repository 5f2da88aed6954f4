"""Keeps an account's cached value and margin right. No decision is made here.

Marks move for everybody at once (`mark_epoch`); an account's caches are recomputed when the account
is next looked at, and adjusted in place when one of its exposures changes.
"""

from chainperp.model.accounts import Account, Exposure
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import initial_margin, maintenance_margin
from chainperp.state.store import State


def refresh(state: State, account: Account) -> None:
    """Bring the account's caches to the current marks."""
    if account.epoch == state.mark_epoch:
        return
    markets = state.markets
    is_known = account.epoch >= 0
    position_value = 0
    margin_total = 0
    for exposure in account.exposures.values():
        lots = exposure.lots
        # Without a position no mark matters, and its margin is known from the last change.
        if lots or not is_known:
            value = lots * markets[exposure.asset].mark
            exposure.value = value
            exposure.margin = initial_margin(
                value,
                exposure.bids_notional,
                exposure.asks_notional,
                exposure.leverage,
                exposure.is_cross,
            )
            if exposure.is_cross:
                position_value += value
        margin_total += exposure.margin
    account.position_value = position_value
    account.margin_total = margin_total
    account.epoch = state.mark_epoch


def revalue(account: Account, exposure: Exposure, mark: int) -> None:
    """Recompute one exposure after its position or orders changed. The account's sums stay those of
    its epoch: who compares them refreshes the account first."""
    value = exposure.lots * mark
    if exposure.is_cross:
        account.position_value += value - exposure.value
    exposure.value = value
    hold(account, exposure)


def hold(account: Account, exposure: Exposure) -> None:
    """Recompute what one exposure holds after its resting orders, but not its position, changed."""
    margin = initial_margin(
        exposure.value,
        exposure.bids_notional,
        exposure.asks_notional,
        exposure.leverage,
        exposure.is_cross,
    )
    account.margin_total += margin - exposure.margin
    exposure.margin = margin


def account_value(account: Account) -> int:
    """Value of the cross scope of a refreshed account, in micro-USDC."""
    return account.raw + account.position_value


def position_notional(account: Account) -> int:
    """Value of all cross positions without sign, of a refreshed account."""
    total = 0
    for exposure in account.exposures.values():
        if exposure.is_cross:
            total += abs(exposure.value)
    return total


def scope_value_and_maintenance(state: State, account: Account, asset: int) -> tuple[int, int]:
    """Value and maintenance margin of a scope at the current marks, exactly, past all caches.

    `asset` names an isolated position, or is `CROSS_SCOPE` for everything that is held cross.
    """
    markets = state.markets
    if asset != CROSS_SCOPE:
        exposure = account.exposures[asset]
        market = markets[asset]
        worth = exposure.lots * market.mark
        return exposure.raw_isolated + worth, maintenance_margin(abs(worth), market.terms)
    value = account.raw
    maintenance = 0
    for exposure in account.exposures.values():
        if exposure.lots and exposure.is_cross:
            market = markets[exposure.asset]
            worth = exposure.lots * market.mark
            value += worth
            maintenance += maintenance_margin(abs(worth), market.terms)
    return value, maintenance
