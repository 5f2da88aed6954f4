"""Other forms of an action that a client may have signed by mistake.

The exchange signs for one form only: keys in the order of the type, decimals without trailing
zeros, addresses in lower case, no empty keys (hyperliquid-api 3.5). Each usual mistake gives
another form of the same action; all of them together are a few hundred, quickly tried.
"""

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final, NamedTuple

import msgpack

from chainperp.wire.typed_data import keccak

NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
DECIMAL_KEYS: Final = ("p", "s", "triggerPx", "x", "amount")


class Mistake(NamedTuple):
    """A usual mistake: a stable word and a sentence."""

    code: str
    sentence: str


AS_SENT: Final = Mistake(
    "trailing_zeros", "numbers were signed as sent, with trailing zeros that the exchange removes"
)
POINT_ZERO: Final = Mistake(
    "point_zero", 'whole numbers were signed with ".0" behind them, as Python writes a float'
)
AS_FLOATS: Final = Mistake("float", "numbers were signed as floats instead of text")
MIXED_SENT: Final = Mistake(
    "mixed_case", "addresses were signed in mixed case, as sent; the exchange hashes lower case"
)
CHECKSUMMED: Final = Mistake(
    "mixed_case", "addresses were signed in mixed case (EIP-55); the exchange hashes lower case"
)
SENT_ORDER: Final = Mistake(
    "key_order", "keys were signed in the order in which they were sent, not in the type's order"
)
SORTED: Final = Mistake("key_order", "keys were signed in alphabetical order, not in the type's")
NULLS: Final = Mistake("null_keys", "empty keys were signed as null instead of left out")

Leaf = Callable[[str, str, Any], Any]


def checksum(address: str) -> str:
    """An address in mixed case (EIP-55).

    >>> checksum("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
    """
    digits = address[2:].lower()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join(
        letter.upper() if nibble >= "8" else letter
        for letter, nibble in zip(digits, nibbles, strict=False)
    )


def _same(_key: str, canonical: str, _sent: Any) -> Any:
    return canonical


def _number_as_sent(key: str, canonical: str, sent: Any) -> Any:
    return sent if isinstance(sent, str) and key in DECIMAL_KEYS else canonical


def _point_zero(key: str, canonical: str, _sent: Any) -> Any:
    is_whole = key in DECIMAL_KEYS and canonical.isdigit()
    return canonical + ".0" if is_whole else canonical


def _as_float(key: str, canonical: str, _sent: Any) -> Any:
    is_number = key in DECIMAL_KEYS and NUMBER.fullmatch(canonical)
    return float(canonical) if is_number else canonical


def _address_as_sent(_key: str, canonical: str, sent: Any) -> Any:
    is_address = isinstance(sent, str) and ADDRESS.fullmatch(canonical)
    return sent if is_address else canonical


def _address_mixed(_key: str, canonical: str, _sent: Any) -> Any:
    return checksum(canonical) if ADDRESS.fullmatch(canonical) else canonical


NUMBERS: Final[tuple[tuple[Mistake | None, Leaf], ...]] = (
    (None, _same), (AS_SENT, _number_as_sent), (POINT_ZERO, _point_zero), (AS_FLOATS, _as_float),
)  # fmt: skip
ADDRESSES: Final[tuple[tuple[Mistake | None, Leaf], ...]] = (
    (None, _same), (MIXED_SENT, _address_as_sent), (CHECKSUMMED, _address_mixed),
)  # fmt: skip
ORDERS: Final[tuple[Mistake | None, ...]] = (None, SENT_ORDER, SORTED)
EMPTY: Final[tuple[Mistake | None, ...]] = (None, NULLS)


def forms(canonical: dict[str, Any], sent: dict[str, Any]) -> dict[bytes, tuple[Mistake, ...]]:
    """MessagePack of every form of an action, with the fewest mistakes that lead to it."""
    found: dict[bytes, tuple[Mistake, ...]] = {}
    for number, address, order, empty in product(NUMBERS, ADDRESSES, ORDERS, EMPTY):
        mistakes = tuple(one for one in (number[0], address[0], order, empty) if one is not None)

        def leaf(
            key: str, text: str, raw: Any, pair: tuple[Leaf, Leaf] = (number[1], address[1])
        ) -> Any:
            changed = pair[0](key, text, raw)
            return pair[1](key, changed, raw) if isinstance(changed, str) else changed

        value = _form(canonical, sent, leaf, order, is_full=empty is not None)
        packed: bytes = msgpack.packb(value)
        if packed not in found or len(mistakes) < len(found[packed]):
            found[packed] = mistakes
    return found


def _form(
    canonical: Any, sent: Any, leaf: Leaf, order: Mistake | None, *, is_full: bool, key: str = ""
) -> Any:
    """A value in another form. Recursion is as deep as the JSON, which has a limit."""
    if isinstance(canonical, dict):
        raw = sent if isinstance(sent, dict) else {}
        names = list(canonical)
        if is_full:
            names += [name for name in raw if name not in canonical and raw[name] is None]
        if order is SENT_ORDER:
            names = [name for name in raw if name in names] + [n for n in names if n not in raw]
        elif order is SORTED:
            names.sort()
        return {
            name: _form(canonical.get(name), raw.get(name), leaf, order, is_full=is_full, key=name)
            for name in names
        }
    if isinstance(canonical, list):
        rows = sent if isinstance(sent, list) else [None] * len(canonical)
        return [
            _form(one, raw, leaf, order, is_full=is_full, key=key)
            for one, raw in zip(canonical, rows, strict=False)
        ]
    return leaf(key, canonical, sent) if isinstance(canonical, str) else canonical


def text_forms(value: str, sent: Any) -> Iterator[tuple[str, Mistake | None]]:
    """Forms of one text of a user-signed action: a number or an address, otherwise written."""
    yield value, None
    if NUMBER.fullmatch(value):
        short = value.rstrip("0").rstrip(".") if "." in value else value
        if short != value:
            yield short, Mistake("trailing_zeros", "the amount was signed without trailing zeros")
        if "." not in value:
            yield value + ".0", POINT_ZERO
    if ADDRESS.fullmatch(value):
        yield value.lower(), Mistake("mixed_case", "the address was signed in lower case")
        yield checksum(value), Mistake("mixed_case", "the address was signed in mixed case")
    if isinstance(sent, str) and sent != value:
        yield sent, MIXED_SENT
