"""Orders and positions that a vault gives up so that a holder can leave, or that it may end.

The orders are ordinary IOC orders with an id of their own and the reason VAULT_CLOSING; they pay
the ordinary taker fee. Rules: VLT-15 to VLT-18.
"""

from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import TimeInForce, TwapCancel
from chainperp.model.decisions import Rejection
from chainperp.model.orders import Order
from chainperp.model.vaults import Vault
from chainperp.rules.vault_closing import cancel_rank, closing_limit, lots_to_close
from chainperp.state.store import State
from chainperp.transition.matching import end_order, match_forced
from chainperp.transition.recorder import Recorder
from chainperp.transition.shares import total_value
from chainperp.transition.transfers import available
from chainperp.transition.twaps import process_twap_cancel

PERCENT = 100


class Closing:
    """One withdrawal's closing: the vault's account, what it owes, its value before, and the log
    index of the transaction that asked for it."""

    __slots__ = ("account", "cause", "owed", "value")

    def __init__(self, state: State, vault: Vault, owed: int, cause: int) -> None:
        self.account = state.accounts[vault.address]
        self.cause = cause
        self.owed = owed
        self.value = total_value(state, self.account)

    def cost(self, state: State) -> int:
        """What closing cost so far against the mark, fees included; a gain is none."""
        return max(0, self.value - total_value(state, self.account))

    def is_covered(self, state: State) -> bool:
        """Whether the margin that may leave covers what is still owed."""
        return available(state, self.account) >= self.owed - self.cost(state)


def cover(state: State, recorder: Recorder, vault: Vault, owed: int, cause: int) -> int:
    """Free what a withdrawal is owed, as far as orders and the book allow; returns the cost."""
    closing = Closing(state, vault, owed, cause)
    if vault.always_close:
        _close_round(state, recorder, closing, owed, max(closing.value, 1))
    _cancel_orders(state, recorder, closing)
    parameters = state.parameters
    for _ in range(parameters.vault_close_rounds):
        if closing.is_covered(state) or not has_positions(closing.account):
            break
        if not _close_round(state, recorder, closing, parameters.vault_close_percent, PERCENT):
            break
    return closing.cost(state)


def close_all(state: State, recorder: Recorder, vault: Vault, cause: int) -> bool:
    """End everything that the vault has open, as far as the book allows; whether nothing is left.
    The cost is everybody's."""
    account = state.accounts[vault.address]
    for order in list(account.orders.values()):
        _cancel(state, recorder, order)
    for twap_id in list(state.twaps_of.get(account.address, ())):
        cancel = TwapCancel(state.twaps[twap_id].asset, twap_id)
        process_twap_cancel(state, recorder, account, cancel)
    closing = Closing(state, vault, max(0, total_value(state, account)), cause)
    _close_round(state, recorder, closing, 1, 1)
    return not has_positions(account)


def has_positions(account: Account) -> bool:
    """Whether any position is open."""
    return any(exposure.lots for exposure in account.exposures.values())


def _cancel_orders(state: State, recorder: Recorder, closing: Closing) -> None:
    """Cancel orders that hold margin, the least first, until what is owed is covered (VLT-15)."""
    ranked: list[tuple[tuple[int, int], Order]] = []
    for order in closing.account.orders.values():
        if order.trigger is None and not order.reduce_only:
            notional = order.remaining * order.price
            rank = cancel_rank(notional, order.exposure.leverage, order.oid)
            ranked.append((rank, order))
    ranked.sort(key=_rank_of)
    for _, order in ranked:
        if closing.is_covered(state):
            return
        _cancel(state, recorder, order)


def _cancel(state: State, recorder: Recorder, order: Order) -> None:
    """Cancel an order, unless it ended with another of its group."""
    if order.oid in order.account.orders:
        market = state.markets[order.asset]
        end_order(recorder, market, order, Rejection.VAULT_WITHDRAWAL_CANCELED)


def _rank_of(ranked: tuple[tuple[int, int], Order]) -> tuple[int, int]:
    return ranked[0]


def _close_round(
    state: State, recorder: Recorder, closing: Closing, numerator: int, denominator: int
) -> bool:
    """Close that part of every position, by asset; whether anything was filled (VLT-16)."""
    filled = 0
    account = closing.account
    for asset in sorted(account.exposures):
        exposure = account.exposures[asset]
        if exposure.lots:
            lots = lots_to_close(abs(exposure.lots), numerator, denominator)
            filled += _close(state, recorder, closing, exposure, lots)
    return filled > 0


def _close(
    state: State, recorder: Recorder, closing: Closing, exposure: Exposure, lots: int
) -> int:
    """One closing order within its limit (VLT-17); returns how many lots it filled."""
    market = state.markets[exposure.asset]
    parameters = state.parameters
    is_buy = exposure.lots < 0
    rate = max(row[1] for row in parameters.fee_tiers)
    budget = closing.owed - closing.cost(state)
    limit = closing_limit(market.mark, is_buy, lots, budget, parameters.vault_close_band_bps, rate)
    if limit is None:
        return 0
    held = abs(exposure.lots)
    order = Order(
        state.next_oid, closing.account, exposure, is_buy, limit, lots, True, TimeInForce.IOC, None
    )
    state.next_oid += 1
    verdict = (Rejection.VAULT_CLOSING, held, lots)
    return match_forced(state, recorder, market, order, closing.cause, verdict)
