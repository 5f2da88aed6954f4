"""The words of a refusal: published texts, with the numbers that belong in them."""

from typing import Final

from chainperp.base.units import (
    USD_DECIMALS,
    address_text,
    price_text,
    strip_decimal,
    usd_text,
)
from chainperp.model.accounts import Account, NonceSet
from chainperp.model.actions import (
    ClassTransfer,
    RenameSubAccount,
    SendAsset,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TwapOrder,
)
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import REASONS, Rejection
from chainperp.node.effects import OrderRecord
from chainperp.node.vault_words import vault_words
from chainperp.state.store import State

NONCE_CODES: Final = (
    Rejection.NONCE_DUPLICATE,
    Rejection.NONCE_TOO_LOW,
    Rejection.NONCE_TOO_HIGH,
)


def order_text(state: State, record: OrderRecord) -> str:
    """Why one order was refused, as clients know it: the asset's number stands at the end."""
    text = REASONS[record.rejection].text
    if record.rejection is Rejection.BAD_ALO_PRICE:
        text = text.format(**_best_prices(state, record))
    full_stop = "" if text.endswith((".", "margin", "balance")) else "."
    return f"{text}{full_stop} asset={record.asset}"


def cancel_text(record: OrderRecord) -> str:
    """Why a cancel or a modify was refused."""
    text = REASONS[record.rejection].text
    return f"{text} asset={record.asset}" if record.rejection is Rejection.MISSING_ORDER else text


def _best_prices(state: State, record: OrderRecord) -> dict[str, str]:
    """Best prices of the book: the one that the order would have met is in its record."""
    book = state.book(record.asset)
    bid, ask = book.bids.best_price(), book.asks.best_price()
    if record.is_buy:
        ask = record.needed
    else:
        bid = record.needed
    decimals = state.size_decimals(record.asset)
    return {
        "bid": "None" if bid is None else price_text(bid, decimals),
        "ask": "None" if ask is None else price_text(ask, decimals),
    }


def action_text(state: State, code: Rejection, transaction: Transaction) -> str:
    """Why a whole action was refused."""
    if code in NONCE_CODES:
        return REASONS[code].text + _nonce_numbers(state, code, transaction)
    return REASONS[code].text.format_map(_words(state, code, transaction))


def _words(state: State, code: Rejection, transaction: Transaction) -> dict[str, str]:
    """What the names in a text stand for."""
    account = _account(state, transaction)
    user = transaction.signer if account is None else account.address
    vault = transaction.vault
    words = {
        "signer": address_text(transaction.signer),
        "vault": "" if vault is None else address_text(vault),
        "user": address_text(user),
        "traded": "0.0" if account is None else usd_text(account.volume_total),
        "required": _whole_usd(_least_value(state, code)),
        "limit": str(_agents_limit(state, account)),
    }
    action = transaction.action
    if isinstance(action, TwapOrder):
        words["minutes"] = str(action.minutes)
    if isinstance(action, SubAccountTransfer | SubAccountSpotTransfer | RenameSubAccount):
        words["sub"] = address_text(action.sub)
    if isinstance(action, ClassTransfer | SendAsset) and action.sub is not None:
        words["sub"] = address_text(action.sub)
    if isinstance(action, SubAccountTransfer | SubAccountSpotTransfer):
        ends = [words["user"], words["sub"]]
        words["source"], words["destination"] = ends if action.is_deposit else ends[::-1]
    return words | vault_words(state, code, transaction, user)


def _account(state: State, transaction: Transaction) -> Account | None:
    """The account whose key, agent or envelope asked."""
    if transaction.multi_sig is not None:
        return state.accounts.get(transaction.multi_sig.user)
    agent = state.agents.get(transaction.signer)
    if agent is not None and agent.master is not None and not transaction.is_user_signed:
        return state.accounts[agent.master]
    return state.accounts.get(transaction.signer)


def _least_value(state: State, code: Rejection) -> int:
    parameters = state.parameters
    if code is Rejection.SCHEDULE_VOLUME:
        return parameters.schedule_cancel_volume_min
    if code is Rejection.TWAP_TOO_SMALL:
        return parameters.twap_value_min
    return parameters.sub_account_volume_min


def _whole_usd(amount: int) -> str:
    return strip_decimal(amount, USD_DECIMALS)


def _agents_limit(state: State, account: Account | None) -> int:
    parameters = state.parameters
    subs = 0 if account is None else len(state.subs_of.get(account.address, ()))
    return parameters.named_agents_max + subs * parameters.named_agents_per_sub_account


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
