"""Markets: terms, books, prices and the context of a perpetual.

Source: hyperliquid-api 5.4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chainperp.base.rounding import ceil_div, floor_div, half_even
from chainperp.base.units import USD_DECIMALS, format_decimal, price_decimals
from chainperp.model.markets import MarketTerms
from chainperp.model.orders import Level
from chainperp.node.documents.listing import Coin, Listed, pair_views
from chainperp.node.documents.texts import Document, price, size, usd
from chainperp.rules.funding import funding_rate, impact_price, premium_sample
from chainperp.state.book import BookSide
from chainperp.state.store import Market, State

LEVELS_MAX: Final = 20
MARGIN_TABLE_FIRST: Final = 51
PREMIUM_DECIMALS: Final = 12
RATE_DECIMALS: Final = 8


@dataclass(frozen=True, slots=True)
class DayStats:
    """A market's last 24 hours: the mark at their beginning (0: not known), notional in micro-USDC
    and lots traded."""

    price_before: int = 0
    notional: int = 0
    lots: int = 0


@dataclass(frozen=True, slots=True)
class Merging:
    """How levels are merged: significant figures kept (0: all), times 1, 2 or 5 of the last."""

    figures: int = 0
    mantissa: int = 1


NO_MERGING: Final = Merging()


# --- terms ---------------------------------------------------------------------------------------


def meta(state: State) -> Document:
    """The perpetuals in asset order, with their margin tables."""
    return {
        "universe": [_listed(market.terms) for market in state.markets],
        "marginTables": [
            [table_id(market.terms), margin_table(market.terms)]
            for market in state.markets
            if len(market.terms.tiers) > 1
        ],
        "collateralToken": 0,
    }


def _listed(terms: MarketTerms) -> Document:
    row: Document = {
        "szDecimals": terms.size_decimals,
        "name": terms.name,
        "maxLeverage": terms.leverage_max,
        "marginTableId": table_id(terms),
    }
    if terms.is_isolated_only:
        # Margin of these positions is never taken out: the stricter of the two words.
        row |= {"onlyIsolated": True, "marginMode": "strictIsolated"}
    return row


def table_id(terms: MarketTerms) -> int:
    """Below 50 the id is the leverage of a single tier; tables of several tiers follow it."""
    return terms.leverage_max if len(terms.tiers) == 1 else MARGIN_TABLE_FIRST + terms.asset


def margin_table(terms: MarketTerms) -> Document:
    """A market's tiers."""
    is_tiered = len(terms.tiers) > 1
    return {
        "description": f"tiered {terms.leverage_max}x" if is_tiered else "",
        "marginTiers": [
            {
                "lowerBound": format_decimal(tier.lower, USD_DECIMALS),
                "maxLeverage": tier.leverage_max,
            }
            for tier in terms.tiers
        ],
    }


# --- prices --------------------------------------------------------------------------------------


def mids(state: State) -> dict[str, str]:
    """Middle of each book by coin; of a one-sided or empty one the mark, on spot the last trade."""
    found: dict[str, str] = {}
    for market in state.markets:
        text = mid(market)
        if text is None and market.mark:
            text = price(market.terms, market.mark)
        if text is not None:
            found[market.terms.name] = text
    for view in pair_views(state):
        text, last = mid(view), view.book.price_last
        if text is None and last is not None:
            text = price(view.terms, last)
        if text is not None:
            found[view.terms.name] = text
    return found


def mid(market: Listed) -> str | None:
    """Middle of the book's best prices, to half a tick; None without both sides."""
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    if bid is None or ask is None:
        return None
    return format_decimal((bid + ask) * 5, price_decimals(market.terms.size_decimals) + 1)


# --- books ---------------------------------------------------------------------------------------


def book(
    market: Listed, time_ms: int, merging: Merging = NO_MERGING, depth: int = LEVELS_MAX
) -> Document:
    """A book's best levels, bids falling, asks rising. Merged levels come with a `spread`."""
    bids = _levels(market.book.bids, merging, depth)
    asks = _levels(market.book.asks, merging, depth)
    terms = market.terms
    document: Document = {
        "coin": terms.name,
        "time": time_ms,
        "levels": [[_level(terms, *one) for one in side] for side in (bids, asks)],
    }
    if merging.figures:
        spread = asks[0][0] - bids[0][0] if bids and asks else 0
        document["spread"] = price(terms, spread)
    return document


def bbo(market: Listed, time_ms: int) -> Document:
    """The best level of each side, null where there is none."""
    best: list[Document | None] = []
    for side in (market.book.bids, market.book.asks):
        level = side.top
        if level is None:
            best.append(None)
        else:
            best.append(_level(market.terms, level.price, level.lots, count_orders(level)))
    return {"coin": market.terms.name, "time": time_ms, "bbo": best}


def _level(terms: Coin, value: int, lots: int, count: int) -> Document:
    return {"px": price(terms, value), "sz": size(terms, lots), "n": count}


def count_orders(level: Level) -> int:
    """Orders that queue at a price."""
    count = 0
    order = level.first
    while order is not None:
        count += 1
        order = order.next_order
    return count


def _levels(side: BookSide, merging: Merging, depth: int) -> list[tuple[int, int, int]]:
    """(price, lots, orders) of the best levels of a side."""
    found: list[tuple[int, int, int]] = []
    for level in _best_first(side):
        value: int = level.price
        if merging.figures:
            value = merged_price(value, merging, is_bid=side.sign > 0)
            if found and found[-1][0] == value:
                _, lots, count = found[-1]
                found[-1] = (value, lots + level.lots, count + count_orders(level))
                continue
        if len(found) == depth:
            break
        found.append((value, level.lots, count_orders(level)))
    return found


def _best_first(side: BookSide) -> Iterator[Level]:
    for key in reversed(side.keys):
        yield side.levels[side.sign * key]


def merged_price(value: int, merging: Merging, *, is_bid: bool) -> int:
    """The price that a level is merged into: bids down, asks up. A step below the grid's own
    merges nothing.

    >>> merged_price(123_456, Merging(3), is_bid=True), merged_price(123_456, Merging(3), is_bid=False)
    (123000, 124000)
    >>> merged_price(12_345, Merging(5, 2), is_bid=True), merged_price(1_234, Merging(5), is_bid=True)
    (12344, 1234)
    """  # noqa: E501
    digits = len(str(value)) - merging.figures
    step = merging.mantissa * 10**digits if digits >= 0 else 1
    if is_bid:
        return floor_div(value, step) * step
    return ceil_div(value, step) * step


# --- contexts ------------------------------------------------------------------------------------


def perp_ctx(state: State, market: Market, day: DayStats) -> Document:
    """What is going on in a market. `premium`, `midPx` and `impactPxs` are null without a book."""
    terms = market.terms
    bid = _impact(market.book.bids, terms.impact_notional)
    ask = _impact(market.book.asks, terms.impact_notional)
    premium = premium_sample(bid, ask, market.oracle) if market.oracle else None
    impacts = None
    if bid is not None and ask is not None:
        impacts = [price(terms, half_even(*one)) for one in (bid, ask)]
    return {
        "funding": format_decimal(funding_so_far(state, market), RATE_DECIMALS),
        "openInterest": size(terms, market.lots_long),
        "prevDayPx": price(terms, day.price_before or market.mark),
        "dayNtlVlm": usd(day.notional),
        "premium": None if premium is None else format_decimal(premium, PREMIUM_DECIMALS),
        "oraclePx": price(terms, market.oracle),
        "markPx": price(terms, market.mark),
        "midPx": mid(market),
        "impactPxs": impacts,
        "dayBaseVlm": size(terms, day.lots),
    }


def funding_so_far(state: State, market: Market) -> int:
    """The hourly rate that the samples of the hour so far would give, in 10^-8 (FND-2)."""
    parameters = state.parameters
    rate: int = funding_rate(
        market.premium_sum,
        market.premium_samples,
        parameters.funding_interest,
        parameters.funding_clamp,
        parameters.funding_cap,
        parameters.funding_hours_per_rate,
    )
    return rate


def _impact(side: BookSide, notional: int) -> tuple[int, int] | None:
    """Average price of trading the impact notional into a side (FND-4), or None when it is too
    thin."""
    lots = 0
    filled = 0
    for level in _best_first(side):
        if filled + level.lots * level.price >= notional:
            found: tuple[int, int] = impact_price(notional, lots, filled, level.price)
            return found
        lots += level.lots
        filled += level.lots * level.price
    return None


def meta_and_ctxs(state: State, days: list[DayStats]) -> list[Any]:
    """Meta and one context for each market, in the same order."""
    return [meta(state), ctxs(state, days)]


def ctxs(state: State, days: list[DayStats]) -> list[Document]:
    """The contexts of all markets, in asset order."""
    return [perp_ctx(state, market, day) for market, day in zip(state.markets, days, strict=True)]
