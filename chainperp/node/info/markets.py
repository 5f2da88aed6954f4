"""Questions about markets as they are now."""

from typing import Any, Final

from chainperp.base.units import format_decimal
from chainperp.model.markets import MarketTerms
from chainperp.node.info.registry import Context, Fields, Query
from chainperp.state.book import BookSide
from chainperp.state.store import Market, State
from chainperp.wire.shapes import field, optional, text

LEVELS_MAX: Final = 20
DEX: Final = optional("dex", text(64))
MARGIN_TABLE_FIRST: Final = 51

USDC: Final = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
    "evmContract": None,
    "fullName": None,
    "deployerTradingFeeShare": "0.0",
}


def meta(context: Context, _fields: Fields) -> Any:
    """The perpetuals in asset order, with their margin tables."""
    markets = context.state().markets
    return {
        "universe": [_listed(market.terms) for market in markets],
        "marginTables": [
            [_table_id(market.terms), margin_table(market.terms)]
            for market in markets
            if len(market.terms.tiers) > 1
        ],
        "collateralToken": 0,
    }


def _listed(terms: MarketTerms) -> dict[str, Any]:
    row: dict[str, Any] = {
        "szDecimals": terms.size_decimals,
        "name": terms.name,
        "maxLeverage": terms.leverage_max,
        "marginTableId": _table_id(terms),
    }
    if terms.is_isolated_only:
        row |= {"onlyIsolated": True, "marginMode": "noCross"}
    return row


def _table_id(terms: MarketTerms) -> int:
    """Below 50 the id is the leverage of a single tier; tables of several tiers follow it."""
    return terms.leverage_max if len(terms.tiers) == 1 else MARGIN_TABLE_FIRST + terms.asset


def margin_table(terms: MarketTerms) -> dict[str, Any]:
    """A market's tiers."""
    return {
        "description": f"tiered {terms.leverage_max}x" if len(terms.tiers) > 1 else "",
        "marginTiers": [
            {"lowerBound": format_decimal(tier.lower, 6), "maxLeverage": tier.leverage_max}
            for tier in terms.tiers
        ],
    }


def spot_meta(_context: Context, _fields: Fields) -> Any:
    """The tokens: collateral only, no pairs."""
    return {"universe": [], "tokens": [USDC]}


def all_mids(context: Context, _fields: Fields) -> Any:
    """Middle of each book; of a one-sided or empty one the mark."""
    return mids(context.state())


def mids(state: State) -> dict[str, str]:
    """Middle prices by coin."""
    found: dict[str, str] = {}
    for market in state.markets:
        price = mid_text(market)
        if price is None and market.mark:
            price = format_decimal(market.mark, 6 - market.terms.size_decimals)
        if price is not None:
            found[market.terms.name] = price
    return found


def mid_text(market: Market) -> str | None:
    """Middle of the book's best prices, to half a tick; None without both sides."""
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    if bid is None or ask is None:
        return None
    decimals = 6 - market.terms.size_decimals
    return format_decimal((bid + ask) * 5, decimals + 1)


def l2_book(context: Context, fields: Fields) -> Any:
    """Both sides of a book, best first."""
    state = context.state()
    for market in state.markets:
        if market.terms.name == fields["coin"]:
            return book_document(state, market)
    return None


def book_document(state: State, market: Market) -> dict[str, Any]:
    """A book's best levels."""
    decimals = market.terms.size_decimals
    return {
        "coin": market.terms.name,
        "time": state.time_ms,
        "levels": [
            _levels(market.book.bids, decimals),
            _levels(market.book.asks, decimals),
        ],
    }


def _levels(side: BookSide, decimals: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for key in reversed(side.keys[-LEVELS_MAX:]):
        level = side.levels[side.sign * key]
        count = 0
        order = level.first
        while order is not None:
            count += 1
            order = order.next_order
        rows.append(
            {
                "px": format_decimal(level.price, 6 - decimals),
                "sz": format_decimal(level.lots, decimals),
                "n": count,
            }
        )
    return rows


QUERIES: Final = [
    Query("meta", (DEX,), meta),
    Query("spotMeta", (), spot_meta),
    Query("allMids", (DEX,), all_mids, weight=2),
    Query("l2Book", (field("coin", text(64)),), l2_book, weight=2),
]
