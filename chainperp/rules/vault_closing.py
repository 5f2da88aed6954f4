"""VLT: what a vault gives up so that one holder can leave, and who pays for it.

First orders, then positions, in rounds. What the closing costs against the mark is taken from the
one who leaves; its limit prices are such that it cannot cost more than he is owed.
"""

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import FEE_RATE_ONE
from chainperp.rules.catalogue import rule


@rule("VLT-15")
def cancel_rank(notional: int, leverage: int, oid: int) -> tuple[int, int]:
    """When the margin does not cover a withdrawal, the vault's orders that hold margin are
    cancelled, the one that holds least first, until it does.

    Orders that hold none (reduce-only, waiting for a trigger) stay. Ties: lower order id first.
    Rounding: the margin up. Source: DOC[For vault depositors].

    >>> cancel_rank(1_001, 10, 7)
    (101, 7)
    """
    return ceil_div(notional, leverage), oid


@rule("VLT-16")
def lots_to_close(lots: int, numerator: int, denominator: int) -> int:
    """Then 20 % of each position is closed, by asset, and again until the margin covers it, at most
    20 times; a vault that always closes first closes the part of each position that is withdrawn.

    Rounding: up to a lot, at most the position. Source: DOC[For vault depositors], U-VLT-5.

    >>> lots_to_close(11, 20, 100), lots_to_close(3, 5, 4)
    (3, 3)
    """
    return min(lots, ceil_div(lots * numerator, denominator))


@rule("VLT-17")
def closing_limit(
    mark: int, is_buy: bool, lots: int, budget: int, band_bps: int, rate: int
) -> int | None:
    """A position is closed for a withdrawal within 10 % of the mark, and never at a price at which
    it would cost more than is owed to the one who leaves.

    Without the second limit, orders far from the mark could take others' money: at 20x, a tenth of
    the price is twice the margin. `budget` is what is owed less what was spent; `rate` the highest
    fee rate. None: the budget does not even pay the fee. A `budget` below 0 is none at all.
    Formula: mark -/+ min(mark * band, (budget - fee at the band) / lots).
    Rounding: towards the mark. Source: U-VLT-5, U-VLT-3, INV-V3.

    >>> closing_limit(10_000, False, 10, 10**9, 1_000, 0)
    9000
    >>> closing_limit(10_000, True, 10, 5_005, 1_000, 0)
    10500
    """
    band = floor_div(mark * band_bps, 10_000)
    fee = ceil_div(lots * (mark + band) * rate, FEE_RATE_ONE)
    if budget < fee:
        return None
    away = min(band, floor_div(budget - fee, lots))
    return mark + away if is_buy else max(1, mark - away)


@rule("VLT-18")
def amount_covered(owed: int, cost: int, available: int) -> int:
    """Who leaves pays what closing cost against the mark, fees included; a gain stays in the vault.
    What the margin still does not cover after the last round stays in the vault as his shares.

    Returns how much of what he is owed is settled now: the cost, and what can be paid.
    Source: U-VLT-3, INV-V3.

    Example: of 100 owed, closing cost 7 and 60 can be paid: 67 are settled, 33 stay.

    >>> amount_covered(100, 7, 60), amount_covered(100, 7, 500), amount_covered(100, 0, 0)
    (67, 100, 0)
    """
    return min(owed, cost + max(0, available))
