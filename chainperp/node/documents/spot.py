"""The spot market: tokens, pairs, balances, supply. Source: hyperliquid-api 5.4."""

from collections.abc import Mapping
from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import USD_DECIMALS, Address, format_decimal
from chainperp.model.tokens import SPOT_FIRST, USDC, Token, token_id
from chainperp.node.documents.listing import PairView, pair_views
from chainperp.node.documents.markets import DayStats, mid
from chainperp.node.documents.texts import Document, hex_text, price, size, usd
from chainperp.state.store import State
from chainperp.transition.tokens import mark_of

USDC_DECIMALS: Final = 8
"""What clients know of USDC; balances of it are in micro-USDC here."""


def spot_meta(state: State) -> Document:
    """Pairs, and the tokens that they trade: place and number of each are the same."""
    return {
        "universe": [
            {
                "tokens": [view.pair.base, USDC],
                "name": view.terms.name,
                "index": view.asset - SPOT_FIRST,
                "isCanonical": True,
            }
            for view in pair_views(state)
        ],
        "tokens": [_token(token) for token in state.tokens],
    }


def _token(token: Token) -> Document:
    is_usdc = token.index == USDC
    return {
        "name": token.name,
        "szDecimals": USDC_DECIMALS if is_usdc else token.size_decimals,
        "weiDecimals": USDC_DECIMALS if is_usdc else token.wei_decimals,
        "index": token.index,
        "tokenId": hex_text(token_id(token.index, token.name)),
        "isCanonical": True,
        "evmContract": None,
        "fullName": None,
        "deployerTradingFeeShare": "0.0",
    }


def spot_ctx(state: State, view: PairView, day: DayStats) -> Document:
    """What is going on in a pair; prices are zero before its first trade."""
    token = state.tokens[view.pair.base]
    mark = mark_of(view.pair) or 0
    return {
        "coin": view.terms.name,
        "prevDayPx": price(view.terms, day.price_before or mark),
        "dayNtlVlm": usd(day.notional),
        "markPx": price(view.terms, mark),
        "midPx": mid(view),
        "circulatingSupply": _amount(token, token.circulating),
        "totalSupply": _amount(token, token.circulating),
        "dayBaseVlm": size(view.terms, day.lots),
    }


def spot_ctxs(state: State, days: list[DayStats]) -> list[Document]:
    """A context for each pair, in order."""
    return [spot_ctx(state, view, day) for view, day in zip(pair_views(state), days, strict=True)]


def token_details(state: State, days: list[DayStats], wanted: str) -> Document | None:
    """A token of an id: supply, and the price of the pair that trades it."""
    for token in state.tokens:
        if hex_text(token_id(token.index, token.name)) == wanted.lower():
            return _details(state, days, token)
    return None


def _details(state: State, days: list[DayStats], token: Token) -> Document:
    prices: Document = {"midPx": None, "markPx": None, "prevDayPx": None}
    for view, day in zip(pair_views(state), days, strict=True):
        if view.pair.base == token.index:
            found = spot_ctx(state, view, day)
            prices = {name: found[name] for name in prices}
    is_usdc = token.index == USDC
    supply = state.custody if is_usdc else token.circulating
    row = _token(token)
    return {
        "name": token.name,
        "maxSupply": _amount(token, supply if is_usdc else token.supply),
        "totalSupply": _amount(token, supply),
        "circulatingSupply": _amount(token, supply),
        "szDecimals": row["szDecimals"],
        "weiDecimals": row["weiDecimals"],
        **prices,
        "genesis": None,
        "deployer": None,
        "deployGas": None,
        "deployTime": None,
        "seededUsdc": "0.0",
        "nonCirculatingUserBalances": [],
        "futureEmissions": "0.0",
    }


def _amount(token: Token, amount: int) -> str:
    return format_decimal(amount, USD_DECIMALS if token.index == USDC else token.wei_decimals)


def spot_state(state: State, address: Address, entries: Mapping[int, int]) -> Document:
    """An account's balances of tokens: all of it, what orders hold of it, and what it cost
    (`entries`, micro-USDC by token)."""
    rows: list[Document] = []
    for token in state.tokens:
        total = state.spot[token.index].get(address, 0)
        if total:
            held = state.spot_held(token.index, address)
            rows.append(
                {
                    "coin": token.name,
                    "token": token.index,
                    "total": _amount(token, total),
                    "hold": _amount(token, held),
                    "entryNtl": usd(entries.get(token.index, 0)),
                }
            )
    return {"balances": rows}


def asset_data(state: State, address: Address, view: PairView) -> Document:
    """What an account may trade in a pair, to buy and to sell: the balances that no order holds,
    bought at the pair's price. Sizes are rounded down to a lot; there is no leverage."""
    mark = mark_of(view.pair) or 0
    dollars = state.spot_free(USDC, address)
    tokens = floor_div(state.spot_free(view.pair.base, address), view.pair.wei_per_lot)
    bought = floor_div(dollars, mark) if mark else 0
    return {
        "user": hex_text(address),
        "coin": view.terms.name,
        "leverage": {"type": "cross", "value": 1},
        "maxTradeSzs": [size(view.terms, one) for one in (bought, tokens)],
        "availableToTrade": [usd(dollars), size(view.terms, tokens)],
        "markPx": price(view.terms, mark),
    }
