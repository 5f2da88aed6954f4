"""How single values look on the wire."""

from typing import Any, Final

from chainperp.base.rounding import half_even
from chainperp.base.units import USD_DECIMALS, format_decimal, price_decimals
from chainperp.node.documents.listing import Coin

Document = dict[str, Any]

ZERO_HASH: Final = "0x" + "00" * 32
RATIO_DECIMALS: Final = 10
PPB_DECIMALS: Final = 9


def usd(amount: int) -> str:
    """Micro-USDC.

    >>> usd(-1_250_000)
    '-1.25'
    """
    return format_decimal(amount, USD_DECIMALS)


def price(terms: Coin, value: int) -> str:
    """A price on the market's grid."""
    return format_decimal(value, price_decimals(terms.size_decimals))


def size(terms: Coin, lots: int) -> str:
    """Lots in base units, with their sign."""
    return format_decimal(lots, terms.size_decimals)


def average_price(terms: Coin, notional: int, lots: int) -> str:
    """Notional over lots, rounded half-even to the price grid; `0.0` without lots."""
    return price(terms, half_even(notional, lots) if lots else 0)


def ratio(numerator: int, denominator: int) -> str:
    """A quotient, rounded half-even at 10 places; `0.0` when the denominator is zero.

    >>> ratio(1, 3), ratio(5, 0)
    ('0.3333333333', '0.0')
    """
    if not denominator:
        return "0.0"
    scaled = numerator * 10**RATIO_DECIMALS
    if denominator < 0:
        scaled, denominator = -scaled, -denominator
    return format_decimal(half_even(scaled, denominator), RATIO_DECIMALS)


def hex_text(raw: bytes) -> str:
    """Bytes as lower-case hex with 0x: addresses, hashes, client ids."""
    return "0x" + raw.hex()


def side(*, is_buy: bool) -> str:
    """`B` or `A`."""
    return "B" if is_buy else "A"
