"""ORD: reasons to refuse an order, each with the two numbers it compared.

`transition/orders.py` asks in this fixed order (U-ORD-3): market, size, price grid, band, value,
open orders, client id, reduce-only, post-only, tier, margin. The first refusal stands.
"""

from collections.abc import Mapping

from chainperp.base.rounding import floor_div
from chainperp.base.units import Price, Size
from chainperp.model.markets import MarketTerms
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule
from chainperp.rules.margin import tier_of


@rule("ORD-1")
def is_market_known(asset: int, markets: int) -> bool:
    """An order names a market of this exchange; an action holds at least one order.

    Source: DOC[Asset IDs]. Asset numbers are positions in the universe and never re-used.

    >>> is_market_known(3, 4), is_market_known(4, 4)
    (True, False)
    """
    return 0 <= asset < markets


@rule("ORD-2")
def order_size(size_e8: int, lot_e8: int) -> Size | None:
    """A size is a positive whole number of lots.

    Returns the lots, or None for a size between lots; zero is zero lots.
    Source: DOC[Tick and lot size].

    Example: with four decimals a lot is 0.0001: 0.0335 is 335 lots, 0.00335 is none.

    >>> order_size(3_350_000, 10_000), order_size(335_000, 10_000)
    (335, None)
    """
    lots = floor_div(size_e8, lot_e8)
    return Size(lots) if lots * lot_e8 == size_e8 else None


@rule("ORD-3")
def order_price(price_e8: int, tick_e8: int) -> Price | None:
    """A price has no more decimals than the market's grid; PRC-1 then limits its figures.

    Source: DOC[Tick and lot size].

    >>> order_price(298_590_000_000, 1_000_000), order_price(298_590_500_000, 1_000_000)
    (298590, None)
    """
    price = floor_div(price_e8, tick_e8)
    return Price(price) if price * tick_e8 == price_e8 else None


@rule("ORD-4")
def is_inside_band(price: int, oracle: int, numerator: int, denominator: int) -> bool:
    """A price lies within 95 % of the oracle price on either side.

    Formula: |price - oracle| <= oracle * 95 / 100. Source: U-ORD-8.

    >>> is_inside_band(195, 100, 95, 100), is_inside_band(196, 100, 95, 100)
    (True, False)
    """
    distance = price - oracle if price > oracle else oracle - price
    return distance * denominator <= oracle * numerator


@rule("ORD-5")
def is_value_enough(notional: int, minimum: int, closes_position: bool) -> bool:
    """An order is worth at least 10 USDC at its limit price, a trigger order at the mark, unless
    it is reduce-only and closes the whole position.

    Source: DOC[Error responses], U-NUM-1, U-NUM-2.

    >>> is_value_enough(10_000_000, 10_000_000, False), is_value_enough(9_999_999, 10_000_000, True)
    (True, True)
    """
    return closes_position or notional >= minimum


@rule("ORD-6")
def order_value_max(leverage_max: int, is_resting: bool, parameters: Parameters) -> int:
    """An order's value is limited by the market's leverage class; limit orders may be ten times
    larger than market orders (IOC).

    Source: DOC[Contract specifications], U-ORD-12 (which orders count as market orders).
    """
    found = 0
    for leverage_from, value in parameters.order_value_classes:
        if leverage_max >= leverage_from:
            found = value
            break
    return found * parameters.limit_order_value_factor if is_resting else found


@rule("ORD-7")
def open_orders_limit(volume: int, parameters: Parameters) -> int:
    """An account may have 1,000 open orders, one more per 5M USDC traded, at most 5,000; from the
    1,000th on, new reduce-only and trigger orders are refused. Waiting trigger orders count.

    Source: DOC[Rate limits and user limits].
    """
    earned = floor_div(volume, parameters.open_orders_volume_step)
    return min(parameters.open_orders_base + earned, parameters.open_orders_max)


@rule("ORD-8")
def reducible_lots(position_lots: int, is_buy: bool) -> int:
    """A reduce-only order may shrink a position and never opens or flips one; larger ones are cut
    to the position at each match, and one that no longer reduces is cancelled.

    Returns how many lots an order of this side could close. Source: DOC, U-ORD-11.

    >>> reducible_lots(-5, is_buy=True), reducible_lots(-5, is_buy=False)
    (5, 0)
    """
    if is_buy:
        return -position_lots if position_lots < 0 else 0
    return position_lots if position_lots > 0 else 0


@rule("ORD-9")
def would_match(price: int, is_buy: bool, best_opposite: int | None) -> bool:
    """A post-only order that would match at all is refused whole, never repriced.

    Source: DOC[Order types].

    >>> would_match(100, True, 100), would_match(99, True, 100), would_match(99, True, None)
    (True, False, False)
    """
    if best_opposite is None:
        return False
    return price >= best_opposite if is_buy else price <= best_opposite


@rule("ORD-10")
def is_tier_respected(notional: int, leverage: int, terms: MarketTerms) -> bool:
    """A position may not grow into a tier whose maximum leverage is below the account's setting.

    Source: DOC[Error responses], PerpMaxPosition.
    """
    # No tier allows less than the last one.
    return leverage <= terms.tiers[-1].leverage_max or (
        leverage <= tier_of(notional, terms).leverage_max
    )


@rule("ORD-11")
def is_margin_enough(account_value: int, margin_after: int) -> bool:
    """An order is accepted if the account value covers the initial margin of everything open,
    this order included: resting parts at their limit price, matching parts at mark.

    An order that only reduces is not asked (U-MAR-3). Source: DOC[Margining], U-MAR-2.

    >>> is_margin_enough(100, 100), is_margin_enough(99, 100)
    (True, False)
    """
    return account_value >= margin_after


@rule("ORD-12")
def is_cloid_free(cloid: bytes | None, live: Mapping[bytes, object]) -> bool:
    """A client order id names one live order of an account at a time.

    Source: reliability INV-B4, U-ORD-13.

    >>> is_cloid_free(b"c", {}), is_cloid_free(b"c", {b"c": 1}), is_cloid_free(None, {})
    (True, False, True)
    """
    return cloid is None or cloid not in live


@rule("ORD-13")
def is_modify_offered(is_alo: bool, is_gtc: bool, always_place: bool) -> bool:
    """A modify is cancel and place in one step. Unless it says `always_place`, the new order must
    be post-only, or a GTC that does not execute and is then treated as post-only.

    The new order has a new id and loses priority. Source: DOC[Exchange endpoint] since 11 June
    2026, U-ORD-2.

    >>> is_modify_offered(False, False, False), is_modify_offered(False, True, False)
    (False, True)
    """
    return always_place or is_alo or is_gtc


@rule("ORD-14")
def is_own_order(owner_orders: Mapping[int, object], oid: int) -> bool:
    """Only an account's own live order can be cancelled; any other is simply unknown.

    Source: DOC[Error responses], MissingOrder.

    >>> is_own_order({7: "order"}, 7), is_own_order({}, 7)
    (True, False)
    """
    return oid in owner_orders
