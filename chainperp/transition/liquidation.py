"""One scope below maintenance: cancel its orders, sell into the book, test again.

Everything is decided by `rules/liquidation.py` at the marks of the phase. The orders are ordinary
IOC orders with an id of their own; they pay the ordinary taker fee, and their limit is the
bankruptcy price of the scope, so that they cannot make bad debt (U-REL-2).
"""

from chainperp.base.rounding import floor_div
from chainperp.base.units import FEE_RATE_ONE
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import Rejection
from chainperp.model.orders import Order
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.liquidation import (
    bankruptcy_price,
    is_in_cooldown,
    is_order_of_scope,
    liquidation_lots,
    position_rank,
)
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.rules.prices import round_for_buyer, round_for_seller
from chainperp.state.store import Market, State
from chainperp.transition.matching import end_order, match_forced
from chainperp.transition.rates import rates_today
from chainperp.transition.recorder import Recorder
from chainperp.transition.twaps import end_scope_twaps
from chainperp.transition.valuation import refresh, scope_value_and_maintenance


class Scope:
    """A cross account, or one isolated position, with the figures it was found with."""

    __slots__ = ("account", "asset", "maintenance", "value")

    def __init__(self, account: Account, asset: int, value: int, maintenance: int) -> None:
        self.account = account
        self.asset = asset
        self.value = value
        self.maintenance = maintenance

    def key(self) -> bytes:
        """Key in the block's list of liquidation tests: address and asset."""
        return self.account.address + self.asset.to_bytes(4, "big")


def scope_positions(scope: Scope) -> list[Exposure]:
    """Open positions of a scope, by asset."""
    exposures = scope.account.exposures
    if scope.asset != CROSS_SCOPE:
        exposure = exposures.get(scope.asset)
        return [exposure] if exposure is not None and exposure.lots else []
    return [
        exposures[asset]
        for asset in sorted(exposures)
        if exposures[asset].is_cross and exposures[asset].lots
    ]


def measure(state: State, scope: Scope) -> None:
    """Bring a scope's value and maintenance to the present state and marks."""
    account = scope.account
    refresh(state, account)
    scope.value, scope.maintenance = scope_value_and_maintenance(state, account, scope.asset)


def cancel_scope_orders(state: State, recorder: Recorder, scope: Scope) -> None:
    """Cancel the scope's open orders and end its TWAP orders before anything is sold (LIQ-2)."""
    for order in list(scope.account.orders.values()):
        if is_order_of_scope(order.asset, order.exposure.is_cross, scope.asset, CROSS_SCOPE):
            market = state.markets[order.asset]
            end_order(recorder, market, order, Rejection.LIQUIDATED)
    end_scope_twaps(state, recorder, scope.account, scope.asset, CROSS_SCOPE)


def sell_into_book(state: State, recorder: Recorder, scope: Scope, cause: int) -> None:
    """Market liquidation: position after position until the scope is safe (LIQ-3 to LIQ-6)."""
    ranked: list[tuple[tuple[int, int], Exposure]] = []
    for exposure in scope_positions(scope):
        terms = state.markets[exposure.asset].terms
        maintenance = maintenance_margin(abs(exposure.value), terms)
        ranked.append((position_rank(maintenance, exposure.asset), exposure))
    ranked.sort(key=_rank_of)
    account = scope.account
    parameters = state.parameters
    was_cooling = is_in_cooldown(account.cooldown, state.time_ms, parameters.liq_cooldown_ms)
    for _, exposure in ranked:
        size = abs(exposure.lots)
        lots = liquidation_lots(
            size,
            abs(exposure.value),
            parameters.liq_partial_threshold,
            parameters.liq_partial_percent,
            was_cooling,
        )
        filled = _sell(state, recorder, scope, exposure, lots, cause)
        if filled and lots < size:
            account.cooldown = state.time_ms
            state.touch(account)
        measure(state, scope)
        if not is_liquidatable(scope.value, scope.maintenance):
            return


def _rank_of(ranked: tuple[tuple[int, int], Exposure]) -> tuple[int, int]:
    return ranked[0]


def _sell(
    state: State, recorder: Recorder, scope: Scope, exposure: Exposure, lots: int, cause: int
) -> int:
    """One liquidation order; returns how many lots it filled."""
    account = scope.account
    market = state.markets[exposure.asset]
    is_buy = exposure.lots < 0
    price = _limit_price(state, market, scope, exposure)
    order = Order(
        state.next_oid, account, exposure, is_buy, price, lots, True, TimeInForce.IOC, None
    )
    order.is_liquidation = True
    state.next_oid += 1
    verdict = (Rejection.LIQUIDATION, scope.value, scope.maintenance)
    return match_forced(state, recorder, market, order, cause, verdict)


def _limit_price(state: State, market: Market, scope: Scope, exposure: Exposure) -> int:
    """The worst price of a liquidation order: the price band, or the bankruptcy price inside it."""
    parameters = state.parameters
    away = floor_div(
        market.oracle * parameters.order_band_numerator, parameters.order_band_denominator
    )
    lowest, highest = max(1, market.oracle - away), market.oracle + away
    is_buy = exposure.lots < 0
    if parameters.liq_limit == 0:
        return highest if is_buy else lowest
    rate = rates_today(state, scope.account).taker
    bankrupt = bankruptcy_price(exposure.lots, market.mark, scope.value, rate, FEE_RATE_ONE)
    decimals = market.terms.size_decimals
    if is_buy:
        return min(highest, round_for_buyer(bankrupt, decimals))
    return max(lowest, round_for_seller(bankrupt, decimals))
