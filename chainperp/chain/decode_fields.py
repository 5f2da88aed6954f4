"""Values of a canonical map, read strictly. Every reader names the key in what it raises."""

from chainperp.base.errors import BadRequest
from chainperp.base.units import (
    E8,
    E8_DECIMALS,
    I64_MAX,
    USD_DECIMALS,
    Address,
    parse_decimal,
)


def read_whole(value: object, key: str, highest: int) -> int:
    """A whole number from 0 to `highest`. Raises TypeError or ValueError naming the key."""
    if type(value) is not int or not 0 <= value <= highest:
        raise ValueError(f"{key} is not a whole number up to {highest}: was {value!r}")
    return value


def read_flag(value: object, key: str) -> bool:
    """A boolean. Raises TypeError or ValueError naming the key."""
    if type(value) is not bool:
        raise TypeError(f"{key} is not a boolean: was {value!r}")
    return value


def read_decimal(value: object, key: str) -> E8:
    """A decimal string times 10^8, not negative. Raises TypeError or ValueError naming the key."""
    if not isinstance(value, str):
        raise TypeError(f"{key} is not a decimal string: was {value!r}")
    number = parse_decimal(value, E8_DECIMALS, key)
    if not 0 <= number <= I64_MAX:
        raise ValueError(f"{key} is out of range: was {value}")
    return E8(number)


def read_text(value: object, key: str) -> str:
    """Text. Raises TypeError or ValueError naming the key."""
    if not isinstance(value, str):
        raise TypeError(f"{key} is not text: was {value!r}")
    return value


def read_address(value: object, key: str) -> Address:
    """An address, letters of either case. Raises TypeError or ValueError naming the key."""
    if not isinstance(value, str) or len(value) != 42 or not value.startswith(("0x", "0X")):
        raise ValueError(f"{key} is not an address: was {value!r}")
    return Address(bytes.fromhex(value[2:]))


def read_cloid(value: object, key: str) -> bytes:
    """The 16 bytes of a client order id. Raises TypeError or ValueError naming the key."""
    if not isinstance(value, str) or len(value) != 34 or not value.startswith("0x"):
        raise ValueError(f"{key} is not a client order id: was {value!r}")
    return bytes.fromhex(value[2:])


def read_amount(value: object, decimals: int = USD_DECIMALS) -> int | None:
    """An amount as signed, in 10^-`decimals`: micro-USDC unless another scale is named. None when
    it is not one: the engine refuses it."""
    if not isinstance(value, str):
        raise TypeError(f"amount is not a string: was {value!r}")
    try:
        return parse_decimal(value, decimals, "amount")
    except BadRequest:
        return None
