"""PRC: grids, the oracle price and the mark price.

All prices are integers on the market's grid. The mark decides margin, triggers and profit; the
oracle decides funding. Nothing here reads a clock: elapsed time is an argument.
"""

from typing import Final

from chainperp.base.rounding import ceil_div, floor_div, half_even, remainder, shift_down
from chainperp.base.units import SIGNIFICANT_FIGURES_MAX, Price, price_decimals
from chainperp.rules.catalogue import rule

FIXED_BITS: Final = 64
WORK_BITS: Final = 160
FIGURES_CAP: Final = 10**SIGNIFICANT_FIGURES_MAX


@rule("PRC-1")
def is_on_price_grid(price: int, size_decimals: int) -> bool:
    """A price has at most five significant figures, or is a whole number.

    `price` is already an integer of 10^-(6 - size_decimals), so the limit on decimals holds.
    Source: DOC[Tick and lot size].

    Example: 1234.5 is on the grid, 1234.56 is not (six figures), 123456 is (whole).

    >>> is_on_price_grid(12345, 5), is_on_price_grid(123456, 4), is_on_price_grid(12345600, 4)
    (True, False, True)
    """
    if price < FIGURES_CAP:
        return True
    if remainder(price, 10 ** price_decimals(size_decimals)) == 0:
        return True
    scaled = price
    while scaled >= FIGURES_CAP:
        if remainder(scaled, 10):
            return False
        scaled = floor_div(scaled, 10)
    return True


@rule("PRC-2")
def round_to_price_grid(numerator: int, denominator: int, size_decimals: int) -> Price:
    """A derived price is rounded half-even to five significant figures; whole numbers keep all.

    The value is numerator / denominator in grid units. Rounding: half-even, once.
    Source: OBS (published marks), U-NUM-3.

    Example: 60999.97 becomes 61000; 123456.4 becomes 123456.

    >>> round_to_price_grid(609_999_7, 10, 5), round_to_price_grid(1_234_564, 1, 5)
    (610000, 1234560)
    """
    nearest = half_even(numerator, denominator)
    step = grid_step(nearest, size_decimals)
    if step == 1:
        return Price(nearest)
    return Price(half_even(numerator, denominator * step) * step)


def grid_step(price: int, size_decimals: int) -> int:
    """Distance between valid prices around a price, in grid units (the tick).

    >>> grid_step(99_999, 4), grid_step(359_942, 4), grid_step(3_599_421, 4)
    (1, 10, 100)
    """
    if price < FIGURES_CAP:
        return 1
    whole: int = 10 ** price_decimals(size_decimals)
    step = 1
    while floor_div(price, step) >= FIGURES_CAP:
        step *= 10
    return min(step, whole)


@rule("PRC-9")
def is_price_fresh(oracle_ms: int, now_ms: int, stale_after_ms: int) -> bool:
    """A market whose oracle price is older than the limit is suspended: no order that increases a
    position, no liquidation and no takeover until a fresh price comes.

    A limit of 0 switches this off. Source: reliability INV-C5, OURS (U-ORA-8).

    >>> is_price_fresh(1000, 61_000, 60_000), is_price_fresh(1000, 61_001, 60_000)
    (True, False)
    >>> is_price_fresh(1000, 10**9, 0)
    True
    """
    return stale_after_ms == 0 or now_ms - oracle_ms <= stale_after_ms


@rule("PRC-8")
def round_for_seller(price: int, size_decimals: int) -> Price:
    """A limit that is computed for a forced sale is rounded up to the tick, for a forced purchase
    down (`round_for_buyer`): always in favour of the account that is forced.

    Source: reliability 5.6 (bankruptcy price).

    >>> round_for_seller(359_942, 4), round_for_buyer(359_942, 4), round_for_seller(99_999, 4)
    (359950, 359940, 99999)
    """
    step = grid_step(price, size_decimals)
    return Price(ceil_div(price, step) * step)


def round_for_buyer(price: int, size_decimals: int) -> Price:
    """The twin of PRC-8 for purchases: down to the tick, at least one."""
    step = grid_step(price, size_decimals)
    return Price(max(1, floor_div(price, step) * step))


@rule("PRC-3")
def weighted_median(votes: list[tuple[int, bytes, int]], power_total: int) -> int | None:
    """The oracle price is the stake-weighted median of the validators' votes in force.

    Votes are (price, validator, power), fresh ones only; sorted by price then validator, the
    first whose cumulative power reaches half of the power that voted wins (lower median). None
    without a quorum of more than half of all power: the old price stays and is stale.
    Source: DOC[Oracle], U-ORA-1.

    Example: powers 1, 3, 2, 5 at 99.9, 100.0, 100.1, 100.2: cumulative 1, 4, 6 of 11.

    >>> weighted_median([(999, b"a", 1), (1000, b"b", 3), (1001, b"c", 2), (1002, b"d", 5)], 11)
    1001
    """
    power_voted = 0
    for _, _, power in votes:
        power_voted += power
    if 2 * power_voted <= power_total:
        return None
    cumulative = 0
    for price, _, power in sorted(votes):
        cumulative += power
        if 2 * cumulative >= power_voted:
            return price
    return None


@rule("PRC-4")
def mark_price(
    oracle: int,
    basis: tuple[int, int],
    book: int | None,
    external: int | None,
    book_average: tuple[int, int] | None,
    size_decimals: int,
) -> Price:
    """The mark is the median of: oracle plus the 150 s average of (mid - oracle); the median of
    best bid, best ask and last trade; the median perp price elsewhere.

    With exactly two of the three, the 30 s average of the book's value is the third; with one,
    that one. Averages are fractions (numerator, denominator); a market that never had a mid has
    the average (0, 1). With two and no average of the book, the mean of the two.
    Rounding: only the result is rounded (PRC-2). Source: DOC[Robust price indices], U-ORA-3..5.

    Example: oracle 10,000, average basis +4, book 10,003, elsewhere 9,998: the mark is 10,003.

    >>> mark_price(100000, (40, 1), 100030, 99980, None, 5)
    100030
    """
    values = [(oracle * basis[1] + basis[0], basis[1])]
    if book is not None:
        values.append((book, 1))
    if external is not None:
        values.append((external, 1))
    if len(values) == 2:
        if book_average is None:
            (first, scale), (second, _) = values
            return round_to_price_grid(first + second * scale, 2 * scale, size_decimals)
        values.append(book_average)
    if len(values) == 1:
        numerator, denominator = values[0]
        return round_to_price_grid(numerator, denominator, size_decimals)
    numerator, denominator = _median_of_three(values)
    return round_to_price_grid(numerator, denominator, size_decimals)


@rule("PRC-10")
def bounded_mark(mark: int, oracle: int, band_bps: int, size_decimals: int) -> Price:
    """However a thin book is swept, the mark stays within a band around the oracle price.

    A band of 0 switches this off. Rounding: the band inwards, then inwards to the tick.
    Source: reliability INV-C6, 11[XPL], OURS (U-ORA-9).

    >>> [bounded_mark(mark, 100_000, 500, 4) for mark in (94_999, 95_000, 105_000, 180_000)]
    [95000, 95000, 105000, 105000]
    >>> bounded_mark(180_000, 100_000, 0, 4)
    180000
    """
    away = floor_div(oracle * band_bps, 10_000)
    if band_bps and mark > oracle + away:
        return round_for_buyer(oracle + away, size_decimals)
    if band_bps and mark < oracle - away:
        return round_for_seller(oracle - away, size_decimals)
    return Price(mark)


def _median_of_three(values: list[tuple[int, int]]) -> tuple[int, int]:
    """Middle of three fractions with positive denominators, compared without dividing."""
    first, second, third = values
    if first[0] * second[1] > second[0] * first[1]:
        first, second = second, first
    if second[0] * third[1] > third[0] * second[1]:
        second = third
        if first[0] * second[1] > second[0] * first[1]:
            second = first
    return second


@rule("PRC-5")
def ema_step(
    numerator: int, denominator: int, sample: int, elapsed_ms: int, decay: int
) -> tuple[int, int]:
    """An average forgets by exp(-t / tau): num = num * decay + sample * t, den = den * decay + t.

    Both are scaled by 2^64 and `decay` is exp(-t / tau) * 2^64; the average is num / den.
    Rounding: the products round down to 2^-64. Source: DOC[Robust price indices], U-ORA-2.

    Example: tau 150 s, samples 5, 7, 4 every 3 s: 5.0000, 6.0100, 5.3266.
    """
    weight = elapsed_ms << FIXED_BITS
    return (
        shift_down(numerator * decay, FIXED_BITS) + sample * weight,
        shift_down(denominator * decay, FIXED_BITS) + weight,
    )


@rule("PRC-6")
def decay_factor(elapsed_ms: int, tau_ms: int) -> int:
    """exp(-t / tau) is computed in integers, exact to the last of 64 fractional bits.

    Formula: 1 / (sum of x^k / k!) for x = t / tau, with 160 working bits; t is capped at 10 tau.
    Rounding: down. No library's exponential is used, so every machine has the same bits.
    Source: U-ORA-2.

    >>> decay_factor(0, 150_000) == 1 << 64, decay_factor(150_000, 150_000)
    (True, 6786177901268885274)
    """
    capped = min(elapsed_ms, 10 * tau_ms)
    term = 1 << WORK_BITS
    total = term
    step = 1
    while term:
        term = floor_div(term * capped, tau_ms * step)
        total += term
        step += 1
    return floor_div(1 << (WORK_BITS + FIXED_BITS), total)


@rule("PRC-7")
def book_price(bid: int | None, ask: int | None, last: int | None) -> int | None:
    """The book's own price is the median of best bid, best ask and last trade.

    None while one of them is missing: a one-sided or untraded book has no say in the mark.
    Source: DOC[Robust price indices], U-ORA-3.

    >>> book_price(10001, 10003, 10010), book_price(10001, None, 10010)
    (10003, None)
    """
    if bid is None or ask is None or last is None:
        return None
    return sorted((bid, ask, last))[1]
