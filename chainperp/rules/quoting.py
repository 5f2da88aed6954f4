"""VLT: what the market-making child of the liquidity vault offers, as a function of the state only.

Every few seconds and for each market with a fresh price the child lays a ladder of post-only orders
around the oracle price. Where the ladder lies, how much it offers and which of its orders stay
follow from the oracle price and the mark, its own value and position, its resting orders and the
best prices of everybody else. It does not lie around the mark: the mark follows the middle of the
book, and where the child alone quotes, both would stand still whatever the oracle says.
It is an ordinary account: no priority, no exemption, its own fees, its own losses.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from chainperp.base.rounding import ceil_div, floor_div, toward_zero
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule
from chainperp.rules.orders import would_match
from chainperp.rules.prices import round_for_buyer, round_for_seller

PPM: Final = 1_000_000
BPS: Final = 10_000
PPM_OF_BPS: Final = 100


class QuoteInputs(NamedTuple):
    """What the ladder of one market follows from. `bid` and `ask` are the best prices of others."""

    oracle: int
    mark: int
    size_decimals: int
    value: int
    cap: int
    lots: int
    entry_notional: int
    bid: int | None
    ask: int | None


class SidePlan(NamedTuple):
    """What becomes of one side: places of the resting orders that stay, and (price, lots) of the
    new ones, from the best price outwards."""

    kept: list[int]
    placed: list[tuple[int, int]]


@rule("VLT-20")
def may_take_on(
    value: int, notional: int, day_value: int, leverage_max: int, loss_bps: int
) -> bool:
    """The market-making child takes on more only while its positions are worth at most three times
    its own value, and it has lost less than a tenth since its day began; else it only reduces.

    `notional` is the value of its positions without sign, `day_value` its own value when the
    day's capital was set. Formula: notional <= value * leverage and (day value - value) * 10,000 <
    day value * stop. Source: U-VLT-14.

    >>> may_take_on(100, 300, 100, 3, 1_000), may_take_on(100, 301, 100, 3, 1_000)
    (True, False)
    >>> may_take_on(91, 0, 100, 3, 1_000), may_take_on(90, 0, 100, 3, 1_000)
    (True, False)
    """
    if value <= 0:
        return False
    return notional <= value * leverage_max and (day_value - value) * BPS < day_value * loss_bps


@rule("VLT-21")
def inventory_cap(value: int, cap_bps: int, takes_on: bool) -> int:
    """In one market the child holds and bids for at most a tenth of its own value; when it may not
    take on more, nothing.

    Micro-USDC. Rounding: down. Source: U-VLT-14, reliability 11[POPCAT].

    >>> inventory_cap(1_000_009, 1_000, True), inventory_cap(1_000_009, 1_000, False)
    (100000, 0)
    """
    return floor_div(max(value, 0) * cap_bps, BPS) if takes_on else 0


@rule("VLT-22")
def room_lots(is_buy: bool, price: int, lots: int, entry_notional: int, cap: int) -> int:
    """What may rest on a side: away from zero, up to the cap less what the position is worth or
    cost, whichever is more; towards zero, the position and then up to the cap beyond.

    A position that lost half of its worth does not make room for more: what was paid for it counts.
    `price` is the higher of mark and oracle price. Rounding: down to lots. Source: U-VLT-14.

    Example: cap 1,000, price 10, a long of 60 lots that cost 700.

    >>> room_lots(True, 10, 60, 700, 1_000), room_lots(False, 10, 60, 700, 1_000)
    (30, 160)
    """
    held = abs(lots)
    if lots and (lots < 0) is is_buy:
        return held + floor_div(cap, price)
    return floor_div(max(cap - max(held * price, entry_notional), 0), price)


@rule("VLT-23")
def quote_skew(lots: int, price: int, cap: int, skew_bps: int) -> int:
    """Inventory moves both sides of the ladder against it, in proportion to the used part of the
    cap: a full long shifts them down by the whole skew, a full short up.

    Parts per million of the price, positive downwards. Formula: skew * worth / cap, at most the
    skew; the whole skew when the cap is 0. Rounding: toward zero. Source: U-VLT-13.

    >>> quote_skew(50, 10, 1_000, 20), quote_skew(-200, 10, 1_000, 20), quote_skew(1, 10, 0, 20)
    (1000, -2000, 2000)
    """
    full = skew_bps * PPM_OF_BPS
    worth = lots * price
    if abs(worth) >= cap:
        return full if worth > 0 else -full if worth < 0 else 0
    return toward_zero(full * worth, cap)


@rule("VLT-24")
def quote_price(oracle: int, is_buy: bool, offset_bps: int, skew: int, size_decimals: int) -> int:
    """A level stands its distance from the oracle price, less the skew, rounded outwards to the
    tick.

    Formula: oracle * (1 - skew -/+ distance). Rounding: bids down, asks up. Source: U-VLT-13.

    Example: oracle price 3,650, distances 20, 40 and 60 basis points, no inventory.

    >>> [quote_price(365_000, True, offset, 0, 4) for offset in (20, 40, 60)]
    [364270, 363540, 362810]
    >>> [quote_price(365_000, False, offset, 0, 4) for offset in (20, 40, 60)]
    [365730, 366460, 367190]
    """
    away = offset_bps * PPM_OF_BPS
    if is_buy:
        return round_for_buyer(floor_div(oracle * (PPM - skew - away), PPM), size_decimals)
    return round_for_seller(ceil_div(oracle * (PPM - skew + away), PPM), size_decimals)


@rule("VLT-25")
def is_quote_kept(price: int, remaining: int, due_price: int, due_lots: int, drift: int) -> bool:
    """A resting quote keeps its place in the queue while it is within the drift of the price that
    is due, and between half and twice of the size that is due; else it is cancelled.

    Source: U-VLT-13 (so that a calm market fills neither the book's queue nor the log).

    >>> is_quote_kept(1_000, 10, 1_002, 10, 2), is_quote_kept(1_000, 10, 1_003, 10, 2)
    (True, False)
    >>> is_quote_kept(1_000, 5, 1_000, 10, 2), is_quote_kept(1_000, 4, 1_000, 10, 2)
    (True, False)
    """
    return abs(price - due_price) <= drift and due_lots <= 2 * remaining <= 4 * due_lots


@rule("VLT-26")
def plan_side(
    inputs: QuoteInputs,
    is_buy: bool,
    resting: Sequence[tuple[int, int]],
    parameters: Parameters,
) -> SidePlan:
    """A side of the ladder has three levels of one percent of the child's value each, as far as the
    cap leaves room; a level that would match at once, or is worth less than the least order, is
    left out.

    `resting` are (price, remaining) of the child's orders there, best price first. A level takes
    the first of them that it may keep, else it is placed anew. What rests never exceeds the room.
    Sizes are worth the higher of mark and oracle price, so that neither makes them large.
    Rounding: sizes down. Source: U-VLT-13, U-VLT-14.
    """
    top = max(inputs.oracle, inputs.mark)
    left = room_lots(is_buy, top, inputs.lots, inputs.entry_notional, inputs.cap)
    size = floor_div(max(inputs.value, 0) * parameters.quote_size_bps, BPS * top)
    skew = quote_skew(inputs.lots, top, inputs.cap, parameters.quote_skew_bps)
    drift = floor_div(inputs.oracle * parameters.quote_drift_bps, BPS)
    opposite = inputs.ask if is_buy else inputs.bid
    plan = SidePlan([], [])
    unused = list(range(len(resting)))
    for level in range(parameters.quote_levels):
        offset = parameters.quote_half_spread_bps + level * parameters.quote_step_bps
        price = quote_price(inputs.oracle, is_buy, offset, skew, inputs.size_decimals)
        due = min(size, left)
        stays = None
        for place in unused:
            found, remaining = resting[place]
            if remaining <= left and is_quote_kept(found, remaining, price, due, drift):
                stays = place
                break
        if stays is not None:
            unused.remove(stays)
            plan.kept.append(stays)
            left -= resting[stays][1]
        elif due * price >= parameters.order_value_min and not would_match(price, is_buy, opposite):
            plan.placed.append((price, due))
            left -= due
    return plan
