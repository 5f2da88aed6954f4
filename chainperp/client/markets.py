"""Markets as a client knows them, and what their grids allow.

The terms come from a node's `meta`, from a genesis file, or from the default one; the grids are
the rules themselves (PRC-1, ORD-2), so a client's advice is never another law than the node's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from chainperp.base.errors import BadRequest
from chainperp.base.units import (
    E8_DECIMALS,
    parse_decimal,
    price_decimals,
    price_from_e8,
    size_from_e8,
    strip_decimal,
)
from chainperp.client.refusal import Unreachable
from chainperp.model.markets import MarketTerms
from chainperp.model.tokens import SPOT_FIRST, SpotListing, tokens_of, wire_name
from chainperp.rules.prices import grid_step, is_on_price_grid

HUNDRED_PERCENT_E6: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Market:
    """A perpetual or a spot pair (asset 10000 and up, without leverage): its number on the wire and
    its grids."""

    name: str
    asset: int
    size_decimals: int
    leverage_max: int

    @property
    def lot(self) -> str:
        """Smallest size step."""
        return strip_decimal(10 ** (E8_DECIMALS - self.size_decimals), E8_DECIMALS)

    @property
    def price_unit_e8(self) -> int:
        """Finest step of the price grid, in 10^-8."""
        unit: int = 10 ** (E8_DECIMALS - price_decimals(self.size_decimals))
        return unit

    @property
    def price_rule(self) -> str:
        """The grid in words."""
        decimals = price_decimals(self.size_decimals)
        some = (
            f"at most {decimals} decimal{'s' if decimals > 1 else ''}"
            if decimals
            else "no decimals"
        )
        return f"5 significant figures, {some}, integers always valid"


class Neighbours(NamedTuple):
    """The valid prices around a price, in 10^-8; equal when it is valid. `below` 0: none."""

    below: int
    above: int


def markets_of_meta(meta: Any) -> list[Market]:
    """Markets of a node's `meta`. Raises Unreachable when that is not what it answers with."""
    try:
        return [
            Market(row["name"], asset, row["szDecimals"], row["maxLeverage"])
            for asset, row in enumerate(meta["universe"])
        ]
    except (TypeError, KeyError) as error:
        raise Unreachable("the node's meta lists no markets: is it a node?") from error


def markets_of_terms(terms: Sequence[MarketTerms]) -> list[Market]:
    """Markets of a genesis file."""
    return [Market(one.name, one.asset, one.size_decimals, one.leverage_max) for one in terms]


def pairs_of_meta(meta: Any) -> list[Market]:
    """Spot pairs of a node's `spotMeta`. Raises Unreachable when that is not what it answers
    with."""
    try:
        decimals = {row["index"]: row["szDecimals"] for row in meta["tokens"]}
        return [
            Market(row["name"], SPOT_FIRST + row["index"], decimals[row["tokens"][0]], 0)
            for row in meta["universe"]
        ]
    except (TypeError, KeyError, IndexError) as error:
        raise Unreachable("the node's spotMeta lists no pairs: is it a node?") from error


def pairs_of_listing(listing: SpotListing) -> list[Market]:
    """Spot pairs of a genesis file."""
    tokens = tokens_of(listing)
    return [
        Market(f"{tokens[base].name}/USDC", SPOT_FIRST + index, tokens[base].size_decimals, 0)
        for index, base in enumerate(listing.pairs)
    ]


def token_names_of_meta(meta: Any) -> dict[str, str]:
    """Tokens of a node's `spotMeta` as signed actions name them, by their short names."""
    try:
        return {row["name"]: f"{row['name']}:{row['tokenId']}" for row in meta["tokens"]}
    except (TypeError, KeyError) as error:
        raise Unreachable("the node's spotMeta lists no tokens: is it a node?") from error


def token_names_of_listing(listing: SpotListing) -> dict[str, str]:
    """The same of a genesis file."""
    return {one.name: wire_name(one.index, one.name) for one in tokens_of(listing)}


def find_market(markets: Sequence[Market], name: str) -> Market:
    """A market by name; case matters only where two names differ in nothing else.

    Raises: BadRequest `market`, listing those that exist.
    """
    for market in markets:
        if market.name == name:
            return market
    for market in markets:
        if market.name.casefold() == name.casefold():
            return market
    names = [market.name for market in markets]
    listed = " ".join(names[:40]) + (f" … ({len(names)} in all)" if len(names) > 40 else "")
    raise BadRequest("market", f"there is no market {name[:40]!r}; markets: {listed}")


def neighbours(market: Market, price_e8: int) -> Neighbours:
    """The valid prices around a positive price.

    >>> btc = Market("BTC", 0, 5, 40)
    >>> [strip_decimal(price, 8) for price in neighbours(btc, 9_500_055_000_000)]
    ['95000', '95001']
    """
    unit = market.price_unit_e8
    on_grid = price_e8 // unit
    step = grid_step(on_grid, market.size_decimals)
    below = on_grid - on_grid % step
    if below * unit == price_e8:
        return Neighbours(price_e8, price_e8)
    return Neighbours(below * unit, (below + step) * unit)


def is_valid_price(market: Market, price_e8: int) -> bool:
    """Whether a price is on the market's grid (PRC-1)."""
    price = price_from_e8(price_e8, market.size_decimals)
    return price is not None and price > 0 and is_on_price_grid(price, market.size_decimals)


def is_valid_size(market: Market, size_e8: int) -> bool:
    """Whether a size is a positive whole number of lots."""
    return size_e8 > 0 and size_from_e8(size_e8, market.size_decimals) is not None


def price_with_slippage(market: Market, price: str, slippage_e6: int, *, is_buy: bool) -> str:
    """A price so many 10^-6 percent beyond another, cut to the grid on the near side.

    >>> btc = Market("BTC", 0, 5, 40)
    >>> price_with_slippage(btc, "95000.5", 5_000_000, is_buy=True)
    '99750'
    >>> price_with_slippage(btc, "95000.5", 5_000_000, is_buy=False)
    '90251'
    """
    start = parse_decimal(price, E8_DECIMALS, "price")
    factor = HUNDRED_PERCENT_E6 + (slippage_e6 if is_buy else -slippage_e6)
    beyond = start * factor // HUNDRED_PERCENT_E6
    around = neighbours(market, max(beyond, 1))
    chosen = around.below if is_buy and around.below else around.above
    return strip_decimal(chosen, E8_DECIMALS)


def smallest_size(market: Market, price: str, value_usdc: int) -> str:
    """The least size that is worth a value at a price.

    >>> smallest_size(Market("BTC", 0, 5, 40), "95000", 10)
    '0.00011'
    """
    price_e8 = parse_decimal(price, E8_DECIMALS, "price")
    lots = -(-value_usdc * 10 ** (E8_DECIMALS + market.size_decimals) // price_e8)
    return strip_decimal(lots, market.size_decimals)
