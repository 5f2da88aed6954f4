"""The words of a refusal: published texts, with the numbers that belong in them."""

from typing import Final

from chainperp.base.units import USD_DECIMALS, address_text, price_text, strip_decimal
from chainperp.model.accounts import NonceSet
from chainperp.model.actions import RenameSubAccount, SubAccountTransfer
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import REASONS, Rejection
from chainperp.node.effects import OrderRecord
from chainperp.state.store import State

NONCE_CODES: Final = (
    Rejection.NONCE_DUPLICATE,
    Rejection.NONCE_TOO_LOW,
    Rejection.NONCE_TOO_HIGH,
)

REQUIRED_VOLUMES: Final = {
    Rejection.SCHEDULE_VOLUME: "schedule_cancel_volume_min",
    Rejection.SUB_VOLUME: "sub_account_volume_min",
}
"""Refusals for too little volume, and the parameter that asks for it."""


def order_text(state: State, record: OrderRecord) -> str:
    """Why one order was refused, as clients know it: the asset's number stands at the end."""
    text = REASONS[record.rejection].text
    if record.rejection is Rejection.BAD_ALO_PRICE:
        text = text.format(**_best_prices(state, record))
    full_stop = "" if text.endswith((".", "margin")) else "."
    return f"{text}{full_stop} asset={record.asset}"


def cancel_text(record: OrderRecord) -> str:
    """Why a cancel or a modify was refused."""
    text = REASONS[record.rejection].text
    return f"{text} asset={record.asset}" if record.rejection is Rejection.MISSING_ORDER else text


def _best_prices(state: State, record: OrderRecord) -> dict[str, str]:
    """Best prices of the book: the one that the order would have met is in its record."""
    market = state.markets[record.asset]
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    if record.is_buy:
        ask = record.needed
    else:
        bid = record.needed
    decimals = market.terms.size_decimals
    return {
        "bid": "None" if bid is None else price_text(bid, decimals),
        "ask": "None" if ask is None else price_text(ask, decimals),
    }


def action_text(state: State, code: Rejection, transaction: Transaction) -> str:
    """Why a whole action was refused."""
    if code in NONCE_CODES:
        return REASONS[code].text + _nonce_numbers(state, code, transaction)
    return REASONS[code].text.format_map(_Names(_names(state, code, transaction)))


class _Names(dict[str, str]):
    """Names in a text. One that nobody fills is shown as a question mark: a node does not stop for
    the words of a refusal."""

    def __missing__(self, name: str) -> str:
        return "?"


def _names(state: State, code: Rejection, transaction: Transaction) -> dict[str, str]:
    """What may stand in the text of a refused action."""
    parameters = state.parameters
    signer, vault, action = transaction.signer, transaction.vault, transaction.action
    agent = state.agents.get(signer)
    owner = signer if agent is None or agent.master is None else agent.master
    names = {
        "signer": address_text(signer),
        "vault": "" if vault is None else address_text(vault),
        "user": address_text(owner),
    }
    if code in REQUIRED_VOLUMES:
        account = state.accounts.get(owner)
        traded = 0 if account is None else state.family_volume(account)
        required: int = getattr(parameters, REQUIRED_VOLUMES[code])
        names |= {"required": _dollars(required), "traded": _dollars(traded)}
    elif code is Rejection.AGENT_TOO_MANY:
        subs = len(state.subs_of.get(owner, []))
        limit = parameters.named_agents_max + subs * parameters.named_agents_per_sub_account
        names["limit"] = str(limit)
    elif isinstance(action, RenameSubAccount | SubAccountTransfer):
        names["sub"] = names["source"] = names["destination"] = address_text(action.sub)
        if isinstance(action, SubAccountTransfer):
            names["source" if action.is_deposit else "destination"] = names["user"]
    return names


def _dollars(amount: int) -> str:
    """Micro-USDC without decimals that are zero."""
    return strip_decimal(amount, USD_DECIMALS)


def _nonce_numbers(state: State, code: Rejection, transaction: Transaction) -> str:
    nonce = transaction.nonce
    if code is Rejection.NONCE_DUPLICATE:
        return f" {nonce}"
    parameters = state.parameters
    if code is Rejection.NONCE_TOO_HIGH:
        return f" {nonce} > {state.time_ms + parameters.nonce_window_future_ms}"
    kept = _nonces(state, transaction).kept
    lowest = state.time_ms - parameters.nonce_window_past_ms
    if len(kept) >= parameters.nonces_kept:
        lowest = max(lowest, kept[0])
    return f" {nonce} < {lowest}"


def _nonces(state: State, transaction: Transaction) -> NonceSet:
    signer = transaction.signer
    if signer in state.agents:
        return state.agents[signer].nonces
    if signer in state.accounts:
        return state.accounts[signer].nonces
    return NonceSet()
