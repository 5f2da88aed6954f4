"""Questions about markets as they are now."""

from typing import Any, Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import HOUR_MS, format_decimal
from chainperp.node.documents import markets, spot
from chainperp.node.documents.listing import listed_of
from chainperp.node.documents.markets import (
    MARGIN_TABLE_FIRST,
    RATE_DECIMALS,
    Merging,
    funding_so_far,
    margin_table,
)
from chainperp.node.documents.texts import usd
from chainperp.node.info.kinds import COIN, DEX
from chainperp.node.info.registry import Context, Fields, Query
from chainperp.wire.shapes import Misfit, field, integer, optional, text, u32

SINGLE_TIER_MAX: Final = 50


def meta(context: Context, _fields: Fields) -> Any:
    """The perpetuals in asset order, with their margin tables."""
    return markets.meta(context.state())


def all_perp_metas(context: Context, _fields: Fields) -> Any:
    """The one exchange's meta."""
    return [markets.meta(context.state())]


def meta_and_ctxs(context: Context, _fields: Fields) -> Any:
    """Meta, and a context for each market."""
    return markets.meta_and_ctxs(context.state(), context.index().days)


def spot_meta(context: Context, _fields: Fields) -> Any:
    """Tokens and the pairs in which they trade."""
    return spot.spot_meta(context.state())


def spot_meta_and_ctxs(context: Context, _fields: Fields) -> Any:
    """The same, and a context for each pair, in the same order."""
    state = context.state()
    return [spot.spot_meta(state), spot.spot_ctxs(state, context.index().spot_days)]


def token_details(context: Context, fields: Fields) -> Any:
    """A token with its supply and price; null for an id that no token has."""
    state = context.state()
    return spot.token_details(state, context.index().spot_days, fields["tokenId"])


def perp_dexs(_context: Context, _fields: Fields) -> Any:
    """The main exchange alone, which has no entry."""
    return [None]


def outcome_meta(_context: Context, _fields: Fields) -> Any:
    """No outcomes."""
    return {"outcomes": [], "questions": []}


def all_mids(context: Context, _fields: Fields) -> Any:
    """Middle of each book; of a one-sided or empty one the mark, on spot the last trade."""
    return markets.mids(context.state())


def l2_book(context: Context, fields: Fields) -> Any:
    """Both sides of a book, best first. Raises Misfit for a mantissa without five figures."""
    state = context.state()
    market = listed_of(state, fields["coin"])
    mantissa = fields.get("mantissa", 1)
    figures = fields.get("nSigFigs", 0)
    if mantissa != 1 and figures != FIGURES_MAX:
        raise Misfit("choice", "a mantissa goes with nSigFigs 5 only", "mantissa")
    if market is None:
        return None
    return markets.book(market, state.time_ms, Merging(figures, mantissa))


def exchange_status(context: Context, _fields: Fields) -> Any:
    """The node's time."""
    return {"time": context.clock.now(), "specialStatuses": None}


def predicted_fundings(context: Context, _fields: Fields) -> Any:
    """The rate that each market's samples so far would give, and when it is settled."""
    state = context.state()
    following = (floor_div(state.time_ms, HOUR_MS) + 1) * HOUR_MS
    rows: list[Any] = []
    for market in state.markets:
        rate = format_decimal(funding_so_far(state, market), RATE_DECIMALS)
        row = {"fundingRate": rate, "nextFundingTime": following, "fundingIntervalHours": 1}
        rows.append([market.terms.name, [["HlPerp", row]]])
    return rows


def one_margin_table(context: Context, fields: Fields) -> Any:
    """The tiers of a table; of a number up to 50, one tier of that leverage."""
    number = fields["id"]
    if 1 <= number <= SINGLE_TIER_MAX:
        tier = {"lowerBound": "0.0", "maxLeverage": number}
        return {"description": "", "marginTiers": [tier]}
    state = context.state()
    asset = number - MARGIN_TABLE_FIRST
    if 0 <= asset < len(state.markets) and len(state.markets[asset].terms.tiers) > 1:
        return margin_table(state.markets[asset].terms)
    return None


def max_market_order_values(context: Context, _fields: Fields) -> Any:
    """Largest value of a market order, by the market's maximum leverage."""
    classes = context.state().parameters.order_value_classes
    return [[leverage, usd(value)] for leverage, value in sorted(classes, reverse=True)]


def nothing(_context: Context, _fields: Fields) -> Any:
    """An empty list."""
    return []


def null(_context: Context, _fields: Fields) -> Any:
    """Nothing."""
    return None


FIGURES_MAX: Final = 5
FIGURES: Final = optional("nSigFigs", integer(2, FIGURES_MAX))
MANTISSA: Final = optional("mantissa", integer(1, 5))
QUERIES: Final = [
    Query("meta", (DEX,), meta),
    Query("allPerpMetas", (), all_perp_metas),
    Query("metaAndAssetCtxs", (DEX,), meta_and_ctxs),
    Query("spotMeta", (), spot_meta),
    Query("spotMetaAndAssetCtxs", (), spot_meta_and_ctxs),
    Query("tokenDetails", (field("tokenId", text(64)),), token_details),
    Query("perpDexs", (), perp_dexs, grade="partial", note="one exchange: `[null]`"),
    Query("outcomeMeta", (), outcome_meta, grade="partial", note="no outcome markets"),
    Query("allMids", (DEX,), all_mids, weight=2),
    Query("l2Book", (COIN, FIGURES, MANTISSA), l2_book, weight=2),
    Query("exchangeStatus", (), exchange_status, weight=2),
    Query(
        "predictedFundings",
        (),
        predicted_fundings,
        grade="partial",
        note="this exchange's own rate only",
    ),
    Query("perpsAtOpenInterestCap", (DEX,), nothing, note="no market has a cap"),
    Query("marginTable", (field("id", u32), DEX), one_margin_table),
    Query("maxMarketOrderNtls", (), max_market_order_values),
    Query(
        "liquidatable",
        (),
        nothing,
        grade="partial",
        note="empty: scopes are liquidated in the block that finds them",
    ),
    Query("perpDexLimits", (field("dex", text(64)),), null, note="no builder-deployed exchange"),
    Query("perpDexStatus", (field("dex", text(64)),), null, note="no builder-deployed exchange"),
    Query("perpCategories", (), nothing, grade="partial", note="no categories"),
    Query("perpConciseAnnotations", (), nothing, grade="partial", note="no annotations"),
]
