"""How JSON-RPC writes and reads bytes and numbers.

QUANTITY is hex without leading zeros ("0x0" for zero); DATA is hex of even, often fixed, length.
Strict clients refuse the one where the other belongs (audit-log-and-consensus 19).
"""

import re
from typing import Any, Final

from chainperp.base.errors import BadRequest

QUANTITY: Final = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})", re.ASCII)
DATA: Final = re.compile(r"0x([0-9a-fA-F]{2})*", re.ASCII)


def invalid(what: str, found: object) -> BadRequest:
    """A parameter that is not what the method takes."""
    return BadRequest("params", f"{what}: {found!r:.80}")


def quantity(number: int) -> str:
    """A number."""
    return hex(number)


def data(raw: bytes) -> str:
    """Bytes, all of them."""
    return "0x" + raw.hex()


def word(number: int) -> str:
    """A number as 32 bytes."""
    return data(number.to_bytes(32, "big"))


def read_quantity(value: Any, what: str) -> int:
    """A number of at most 32 bytes. Raises BadRequest `params`."""
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise invalid(f"{what} must be a hex quantity", value)
    return int(value, 16)


def read_data(value: Any, what: str, length: int | None = None) -> bytes:
    """Bytes, of a fixed length when one is asked for. Raises BadRequest `params`."""
    if not isinstance(value, str) or not DATA.fullmatch(value):
        raise invalid(f"{what} must be hex data", value)
    raw = bytes.fromhex(value[2:])
    if length is not None and len(raw) != length:
        raise invalid(f"{what} must have {length} bytes", value)
    return raw


def read_slot(value: Any) -> int:
    """A storage slot: tools send a quantity or 32 bytes. Raises BadRequest `params`."""
    if isinstance(value, str) and re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value, re.ASCII):
        return int(value, 16)
    raise invalid("storage slot must be hex of at most 32 bytes", value)
