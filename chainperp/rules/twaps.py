"""TWP: large orders sent in slices over time. The clock and the book are `transition/twaps.py`."""

from collections.abc import Mapping
from typing import Final

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import Price
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule
from chainperp.rules.prices import round_for_buyer, round_for_seller

BPS_ONE: Final = 10_000
DRAW_MAX: Final = 0xFFFF


@rule("TWP-1")
def check_twap(
    minutes: int, notional: int, reduces: bool, running: int, parameters: Parameters
) -> Rejection:
    """A TWAP order runs for 5 minutes to 7 days and is worth at least 100 USDC at the mark; a
    reduce-only one has a position to reduce; an account has at most 20 at a time.

    `reduces` is true also for one that is not reduce-only; `running` counts the account's others.
    Rejects: duration, value, reduce-only, number.
    Source: DOC[Order types], hyperliquid-api 4.2, U-TWP-1 (how many).
    """
    if not parameters.twap_minutes_min <= minutes <= parameters.twap_minutes_max:
        return Rejection.TWAP_DURATION
    if notional < parameters.twap_value_min:
        return Rejection.TWAP_TOO_SMALL
    if not reduces:
        return Rejection.TWAP_REDUCE_ONLY
    return Rejection.ACCEPTED if running < parameters.twaps_max else Rejection.TWAP_TOO_MANY


@rule("TWP-2")
def slice_count(
    lots: int, notional: int, duration_ms: int, randomize: bool, parameters: Parameters
) -> int:
    """A TWAP order has a slice every 30 s, one at each end included, but no more than would be
    worth 10 USDC each at the mark of its start, and no more than it has lots.

    With randomised sizes the smallest slice is counted, 20 % below the others.
    Rounding: down, at least one. Source: DOC[Order types], U-ORD-6.

    Example: 10,000 USDC over an hour are 121 slices.
    """
    by_time = floor_div(duration_ms, parameters.twap_interval_ms) + 1
    smallest = 100 - (parameters.twap_jitter_percent if randomize else 0)
    by_value = floor_div(notional * smallest, parameters.twap_slice_value_min * 100)
    return max(1, min(by_time, by_value, lots))


@rule("TWP-3")
def slice_time(start_ms: int, index: int, slices: int, duration_ms: int) -> int:
    """Slice `index`, counted from 0, is due at its even share of the duration and is sent in the
    first block at or after it, before triggers and users' actions; of several that are due only the
    last is sent.

    In order of time, then id; those beyond `twap_slices_per_block` are sent in the next block.
    Rounding: down to the millisecond. Source: DOC[Order types], U-ORD-6, U-BLK-2.

    >>> slice_time(1_000, 0, 3, 300_000), slice_time(1_000, 2, 3, 300_000)
    (1000, 301000)
    """
    return start_ms if slices == 1 else start_ms + floor_div(index * duration_ms, slices - 1)


@rule("TWP-4")
def slice_lots(
    total: int, executed: int, index: int, slices: int, draw: int | None, parameters: Parameters
) -> int:
    """A slice sends what is missing to its even share of the whole, at most three times a normal
    slice.

    The share after slice i of n is total * (i + 1) / n. With randomised sizes each share but the
    last moves by up to a tenth of a slice, so that sizes differ by up to 20 % and their sum is
    exact; `draw` is 0 to 65535, from the hash of the block before, None without.
    Rounding: down; a normal slice up. Source: DOC[Order types], U-ORD-6.
    """
    share = floor_div(total * (index + 1), slices)
    if draw is not None and index < slices - 1:
        share += floor_div(
            total * parameters.twap_jitter_percent * (2 * draw - DRAW_MAX), slices * 200 * DRAW_MAX
        )
    most = parameters.twap_catch_up * ceil_div(total, slices)
    return max(0, min(share, total, executed + most) - executed)


@rule("TWP-5")
def slice_price(mark: int, is_buy: bool, slippage_bps: int, size_decimals: int) -> Price:
    """A slice is an IOC order of its account at most 3 % worse than the mark, and is asked all that
    any order is asked; what it does not fill is caught up by later ones.

    Rounding: to the price grid, toward the mark (PRC-8). Source: DOC[Order types].

    >>> slice_price(100_000, True, 300, 0), slice_price(100_000, False, 300, 0)
    (103000, 97000)
    """
    if is_buy:
        return round_for_buyer(floor_div(mark * (BPS_ONE + slippage_bps), BPS_ONE), size_decimals)
    return round_for_seller(ceil_div(mark * (BPS_ONE - slippage_bps), BPS_ONE), size_decimals)


@rule("TWP-6")
def is_own_twap(running: Mapping[int, object], twap_id: int) -> bool:
    """Only the account's own running TWAP order, named with its market, can be cancelled.

    What its slices filled stays filled. Source: hyperliquid-api 4.2.

    >>> is_own_twap({7: None}, 7), is_own_twap({7: None}, 8)
    (True, False)
    """
    return twap_id in running
