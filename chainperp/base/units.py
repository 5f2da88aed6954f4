"""Numbers with a meaning: prices, sizes, money, rates, times.

Scales (hyperliquid-protocol 1.3), for a market with `size_decimals` d:

- `Price`: integer on the grid 10^-(6-d); 2985.9 with d = 4 is 298590.
- `Size`: lots of 10^-d base units, never negative; `SizeSigned` is positive for long.
- `Usd`: 10^-6 USDC. Price times size is exactly Usd, so notional needs no rounding.
- `Rate`: 10^-8, used for funding rates; fee rates are in 10^-6 (`FeeRate`),
  builders' rates in tenths of a basis point, 10^-5.
- `Millis`: Unix time in milliseconds; `Height`: block number.
- `E8`: a decimal from the wire, times 10^8, before its market's grid is known.

The types cost nothing at run time; they stop a price from being passed as an amount.
"""

from typing import Final, NewType

from chainperp.base.errors import BadRequest
from chainperp.base.rounding import exact_or_none, floor_div

Price = NewType("Price", int)
Size = NewType("Size", int)
SizeSigned = NewType("SizeSigned", int)
Usd = NewType("Usd", int)
Rate = NewType("Rate", int)
FeeRate = NewType("FeeRate", int)
Millis = NewType("Millis", int)
Height = NewType("Height", int)
E8 = NewType("E8", int)
Address = NewType("Address", bytes)

USD_DECIMALS: Final = 6
USD_ONE: Final = 1_000_000
E8_DECIMALS: Final = 8
RATE_ONE: Final = 100_000_000
FEE_RATE_ONE: Final = 1_000_000
BUILDER_RATE_ONE: Final = 100_000
PRICE_DECIMALS_MAX: Final = 6
SIGNIFICANT_FIGURES_MAX: Final = 5

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

U64_MAX: Final = 2**64 - 1
I64_MAX: Final = 2**63 - 1

DIGITS: Final = frozenset("0123456789")


def notional(size: int, price: int) -> Usd:
    """Value of a size at a price. Exact; the sign of the size carries over."""
    return Usd(size * price)


def parse_decimal(text: str, decimals: int, field: str) -> int:
    """Read a plain decimal such as `-12.5` into an integer of 10^-`decimals`.

    Rejects: anything but ASCII digits with one point and a leading minus, more decimals
    than the scale holds, and more than 30 characters.

    >>> parse_decimal("12.5", 6, "amount")
    12500000
    """
    body = text[1:] if text.startswith("-") else text
    whole, point, fraction = body.partition(".")
    if (
        len(text) > 30
        or not whole
        or (point and not fraction)
        or not DIGITS.issuperset(whole)
        or not DIGITS.issuperset(fraction)
    ):
        raise BadRequest("number", f"{field} is not a plain decimal: was {text[:40]!r}")
    if len(fraction) > decimals:
        raise BadRequest("number", f"{field} has more than {decimals} decimals: was {text!r}")
    value = int(whole + fraction.ljust(decimals, "0"))
    return -value if text.startswith("-") else value


def format_decimal(value: int, decimals: int) -> str:
    """Write an integer of 10^-`decimals` as a decimal with at least one place.

    >>> format_decimal(12500000, 6), format_decimal(-5, 1), format_decimal(7, 0)
    ('12.5', '-0.5', '7.0')
    """
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(decimals + 1, "0")
    whole = digits[: len(digits) - decimals]
    fraction = digits[len(digits) - decimals :].rstrip("0") or "0"
    return f"{sign}{whole}.{fraction}"


def strip_decimal(value: int, decimals: int) -> str:
    """Write an integer of 10^-`decimals` without trailing zeros, as signed actions want it.

    >>> strip_decimal(2930000000000, 8), strip_decimal(1000000, 8)
    ('29300', '0.01')
    """
    text = format_decimal(value, decimals)
    return text[:-2] if text.endswith(".0") else text


def usd_text(amount: int) -> str:
    """Write micro-USDC for people.

    >>> usd_text(1250000000)
    '1250.0'
    """
    return format_decimal(amount, USD_DECIMALS)


def price_decimals(size_decimals: int) -> int:
    """Decimals that a perpetual's price grid keeps."""
    return PRICE_DECIMALS_MAX - size_decimals


def price_from_e8(value: int, size_decimals: int) -> Price | None:
    """Move a wire decimal to the price grid; None when it does not fit."""
    grid = exact_or_none(value, 10 ** (E8_DECIMALS - price_decimals(size_decimals)))
    return None if grid is None else Price(grid)


def size_from_e8(value: int, size_decimals: int) -> Size | None:
    """Move a wire decimal to lots; None when it does not fit."""
    lots = exact_or_none(value, 10 ** (E8_DECIMALS - size_decimals))
    return None if lots is None else Size(lots)


def price_text(price: int, size_decimals: int) -> str:
    """Write a grid price without trailing zeros."""
    return strip_decimal(price, price_decimals(size_decimals))


def size_text(lots: int, size_decimals: int) -> str:
    """Write lots in base units without trailing zeros."""
    return strip_decimal(lots, size_decimals)


def day_of(time_ms: int) -> int:
    """UTC day number of a time."""
    return floor_div(time_ms, DAY_MS)


def address_text(address: bytes) -> str:
    """Lower-case hex of a 20-byte address, with 0x."""
    return "0x" + address.hex()
