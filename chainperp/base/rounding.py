"""The only file that divides. Each function says which way it rounds; callers say why.

No division may favour the one who chooses its inputs (reliability, section 6).
All denominators are positive; numerators may be negative unless a line says otherwise.
"""

from collections.abc import Sequence

from chainperp.base.errors import ensure


def floor_div(numerator: int, denominator: int) -> int:
    """Largest integer not above the quotient (down, also for negatives).

    >>> floor_div(7, 2), floor_div(-7, 2)
    (3, -4)
    """
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """Smallest integer not below the quotient (up, also for negatives).

    >>> ceil_div(7, 2), ceil_div(-7, 2)
    (4, -3)
    """
    return -(-numerator // denominator)


def toward_zero(numerator: int, denominator: int) -> int:
    """The quotient without its fraction.

    >>> toward_zero(7, 2), toward_zero(-7, 2)
    (3, -3)
    """
    if numerator >= 0:
        return numerator // denominator
    return -(-numerator // denominator)


def half_even(numerator: int, denominator: int) -> int:
    """The nearest integer; exact halves go to the even neighbour.

    >>> half_even(5, 2), half_even(7, 2), half_even(-5, 2)
    (2, 4, -2)
    """
    quotient, remainder = divmod(numerator, denominator)
    double = 2 * remainder
    if double > denominator or (double == denominator and quotient & 1):
        return quotient + 1
    return quotient


def exact_or_none(numerator: int, denominator: int) -> int | None:
    """The quotient when the division leaves nothing, else None.

    >>> exact_or_none(8, 2), exact_or_none(7, 2)
    (4, None)
    """
    quotient, remainder = divmod(numerator, denominator)
    return quotient if remainder == 0 else None


def remainder(numerator: int, denominator: int) -> int:
    """What a floor division leaves, in [0, denominator)."""
    return numerator % denominator


def shift_down(value: int, bits: int) -> int:
    """Floor of `value / 2**bits`, for fixed-point products."""
    return value >> bits


def order_keys(ratios: Sequence[tuple[int, int]]) -> list[int]:
    """Integers that stand in the same order as exact fractions; equal fractions, equal keys.

    Two different fractions with denominators below 2**k are at least 1 / (b * d) > 2**-2k apart,
    so their floors after scaling by 2**2k differ too. A denominator of 0 stands above all.

    >>> keys = order_keys([(1, 3), (2, 6), (333_333, 1_000_000), (-1, 3), (1, 0)])
    >>> keys[0] == keys[1], keys[2] < keys[0], keys[3] < 0, keys[4] > keys[0]
    (True, True, True, True)
    """
    bits = 2 * max((denominator for _, denominator in ratios), default=0).bit_length()
    keys = [(one << bits) // below if below else 0 for one, below in ratios]
    if any(below == 0 for _, below in ratios):
        top = max(keys) + 1
        return [key if below else top for key, (_, below) in zip(keys, ratios, strict=True)]
    return keys


def largest_remainder(total: int, weights: Sequence[int], keys: Sequence[bytes]) -> list[int]:
    """Split `total` in proportion to `weights`, to the unit.

    Each share is first rounded down; the units left go to the largest remainders,
    ties to the smallest key. Weights are not negative and not all zero.

    >>> largest_remainder(10, [1, 1, 1], [b"c", b"a", b"b"])
    [3, 4, 3]
    """
    weight_sum = sum(weights)
    ensure(weight_sum > 0, "INV-M6", "a split needs a positive weight", weights=len(weights))
    shares = [total * weight // weight_sum for weight in weights]
    left = total - sum(shares)
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % weight_sum), keys[i]))
    for index in order[:left]:
        shares[index] += 1
    return shares
