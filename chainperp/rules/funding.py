"""FND: the payment that keeps a perpetual near its index. Paid between positions, never a fee.

Premiums and rates are integers of 10^-12 until the hourly rate, which is published at 10^-8.
"""

from typing import Final

from chainperp.base.rounding import ceil_div, half_even
from chainperp.base.units import RATE_ONE
from chainperp.rules.catalogue import rule

PREMIUM_ONE: Final = 10**12
RATE_STEP: Final = 10_000  # 10^-12 units in one 10^-8 unit of a published rate


@rule("FND-1")
def premium_sample(
    bid: tuple[int, int] | None, ask: tuple[int, int] | None, oracle: int
) -> int | None:
    """A premium sample is what selling or buying the impact notional would cost beyond the oracle.

    Formula: (max(impact bid - oracle, 0) - max(oracle - impact ask, 0)) / oracle, where the impact
    prices are fractions (numerator, denominator) in grid units. A side whose book is too thin for
    the notional counts 0; without both sides there is no sample.
    Rounding: half-even at 10^-12. Source: DOC[Funding], U-FUN-1.

    Example: impact bid 10,100 over an oracle of 10,000 is a premium of 0.01.

    >>> premium_sample((10_100, 1), (10_200, 1), 10_000)
    10000000000
    """
    if bid is None and ask is None:
        return None
    premium = 0
    if bid is not None:
        above = bid[0] - oracle * bid[1]
        if above > 0:
            premium += half_even(above * PREMIUM_ONE, oracle * bid[1])
    if ask is not None:
        below = oracle * ask[1] - ask[0]
        if below > 0:
            premium -= half_even(below * PREMIUM_ONE, oracle * ask[1])
    return premium


@rule("FND-2")
def funding_rate(
    premium_sum: int, samples: int, interest: int, clamp: int, cap: int, hours: int
) -> int:
    """The hourly rate is an eighth of: average premium plus the interest, clamped around it.

    Formula: F8 = P + clamp(I - P, -0.05 %, +0.05 %), rate = F8 / 8, at most 4 % either way.
    Without a sample the rate is 0. Inputs in 10^-12, result in 10^-8.
    Rounding: half-even, once. Source: DOC[Funding], U-FUN-3, U-FUN-4.

    Example: a premium of 1 % gives 0.95 % per eight hours, 0.11875 % per hour.

    >>> funding_rate(10**10, 1, 10**8, 5 * 10**8, 4 * 10**10, 8)
    118750
    """
    if samples == 0:
        return 0
    # Everything over the common denominator `samples`.
    gap = interest * samples - premium_sum
    bounded = max(-clamp * samples, min(clamp * samples, gap))
    eight_hours = premium_sum + bounded
    limit = cap * hours * samples
    eight_hours = max(-limit, min(limit, eight_hours))
    return half_even(eight_hours, samples * hours * RATE_STEP)


@rule("FND-3")
def funding_payment(lots_signed: int, oracle: int, rate: int) -> int:
    """Each position pays its value at the oracle price times the rate; longs pay a positive rate.

    Returns what the account pays (negative: receives). Formula: lots * oracle * rate.
    Rounding: the payer up, the receiver down; the difference goes to the rounding account.
    Source: DOC[Funding], U-FUN-3.

    Example: long 10 BTC at an oracle of 10,000 and 0.11875 % pays 118.75 USDC.

    >>> funding_payment(1_000_000, 100_000, 118750)
    118750000
    """
    return ceil_div(lots_signed * oracle * rate, RATE_ONE)


@rule("FND-4")
def impact_price(
    notional: int, lots_filled: int, notional_filled: int, price: int
) -> tuple[int, int]:
    """The impact price is the average price at which the impact notional trades into the book.

    All better levels fill completely (lots and notional given); the rest fills at `price`.
    Returns a fraction: notional * price / (lots * price + rest). Source: DOC[Funding].

    Example: 10 at 100 and 100 at 101 for 6,000: 59.50495 units, average 100.8319.

    >>> impact_price(6000, 10, 1000, 101)
    (606000, 6010)
    """
    return notional * price, lots_filled * price + (notional - notional_filled)
