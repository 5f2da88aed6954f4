"""Kinds of values in an action's JSON, and the shapes that are made of them.

A kind takes a decoded JSON value and returns its canonical form, or raises `Misfit` with a
sentence; shapes and lists add the place (`orders[2].p`). What a kind changes is exactly what the
venue changes when it decodes a request and encodes it again for hashing (hyperliquid-api 3.5):
trailing zeros of decimals and the case of addresses and client ids. Everything else stands as sent.

JSON booleans and integers are never confused: Python's `True == 1` is kept out by comparing types.
"""

import re
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.base.units import U64_MAX
from chainperp.wire.schema import (
    REQUIRED,
    described,
    fields_schema,
    schema_of,
    variant_schemas,
)
from chainperp.wire.schema import Field as Field
from chainperp.wire.schema import Kind as Kind

DECIMALS_MAX: Final = 8
DECIMAL_LENGTH_MAX: Final = 20
SHOWN_MAX: Final = 64

# One zero or digits without a leading zero; at most eight places, the last of them not zero.
_CANONICAL_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]{0,7}[1-9])?")
_PLAIN_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_CLOID: Final = re.compile(r"0x[0-9a-fA-F]{32}")
_CHAIN_ID: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
_SCALAR: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2}){0,4096}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_NEWLINE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Misfit(BadRequest):
    """A value that does not fit its kind, with the path to it."""

    def __init__(self, code: str, sentence: str, path: str = "") -> None:
        super().__init__(code, f"{path}: {sentence}" if path else sentence)
        self.sentence = sentence
        self.path = path

    def inside(self, step: str) -> "Misfit":
        """The same misfit, seen from one level further out."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return Misfit(self.code, self.sentence, f"{step}{joint}{self.path}")


def shown(value: Any) -> str:
    """A value in an error message: escaped, at most 64 characters, big containers not printed."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, str):
        return ascii(value[:SHOWN_MAX])
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > SHOWN_MAX:
        return "an integer beyond 64 bits"
    return str(value)[:SHOWN_MAX]


def integer(low: int, high: int) -> Kind:
    """A JSON integer between two bounds."""

    def read(value: Any) -> int:
        if type(value) is not int:
            raise Misfit("wrong_type", f"an integer is wanted, was {shown(value)}")
        if low <= value <= high:
            return value
        raise Misfit("range", f"an integer from {low} to {high} is wanted, was {shown(value)}")

    return described(read, {"type": "integer", "minimum": low, "maximum": high})


u32: Final = integer(0, 2**32 - 1)
u64: Final = integer(0, U64_MAX)
i64: Final = integer(-(2**63), 2**63 - 1)


def boolean(value: Any) -> bool:
    """JSON true or false, nothing that only looks like it."""
    if value is True or value is False:
        return value
    raise Misfit("wrong_type", f"true or false is wanted, was {shown(value)}")


def decimal(value: Any) -> str:
    """A decimal string, not negative, without the trailing zeros that it may have come with.

    >>> decimal("0.010"), decimal("29300.0"), decimal("5")
    ('0.01', '29300', '5')
    """
    if type(value) is not str:
        raise Misfit("wrong_type", f"a decimal string is wanted, was {shown(value)}")
    if len(value) <= DECIMAL_LENGTH_MAX and _CANONICAL_DECIMAL.fullmatch(value):
        return value
    text = _plain_decimal(value)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return _eight_places(text)


def amount(value: Any) -> str:
    """A decimal string, not negative, kept to the letter: the venue hashes it as it was sent.

    PY writes `str(float)` here, so "1.0" is normal and is what was signed.
    """
    if type(value) is not str:
        raise Misfit("wrong_type", f"a decimal string is wanted, was {shown(value)}")
    return _eight_places(_plain_decimal(value))


_DECIMAL_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^(?:0|[1-9][0-9]*)(?:\.[0-9]{1,8})?$",
    "maxLength": DECIMAL_LENGTH_MAX,
}
described(boolean, {"type": "boolean"})
described(decimal, _DECIMAL_SCHEMA)
described(amount, _DECIMAL_SCHEMA)


def _plain_decimal(text: str) -> str:
    if len(text) > DECIMAL_LENGTH_MAX:
        raise Misfit("number", f"a decimal has at most {DECIMAL_LENGTH_MAX} characters")
    if text.startswith("-"):
        raise Misfit("number", f"a decimal without sign is wanted, was {shown(text)}")
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise Misfit(
            "number",
            f"a decimal string without sign, exponent or leading zero is wanted, was {shown(text)}",
        )
    return text


def _eight_places(text: str) -> str:
    if len(text.partition(".")[2]) > DECIMALS_MAX:
        raise Misfit("number", f"a decimal has at most {DECIMALS_MAX} places, was {shown(text)}")
    return text


def _pattern(pattern: re.Pattern[str], code: str, wanted: str) -> Kind:
    def read(value: Any) -> str:
        if type(value) is not str:
            raise Misfit("wrong_type", f"{wanted} is wanted, was {shown(value)}")
        if not pattern.fullmatch(value):
            raise Misfit(code, f"{wanted} is wanted, was {shown(value)}")
        return value

    return described(read, {"type": "string", "pattern": f"^(?:{pattern.pattern})$"})


def _lowered(kind: Kind) -> Kind:
    def read(value: Any) -> str:
        text: str = kind(value)
        return text.lower()

    return described(read, schema_of(kind))


# An address whose letters are signed as they stand, and one that stands for 20 bytes.
address_text: Final = _pattern(_ADDRESS, "address", "an address (0x and 40 hex digits)")
address: Final = _lowered(address_text)
cloid: Final = _lowered(_pattern(_CLOID, "cloid", "a client id (0x and 32 hex digits)"))
hex_data: Final = _lowered(_pattern(_DATA, "data", "0x and whole bytes in hex, at most 4096,"))
scalar_text: Final = _pattern(_SCALAR, "signature_shape", "0x and 1 to 64 hex digits")
_chain_id: Final = _pattern(_CHAIN_ID, "chain_id", "a chain id (0x and 1 to 16 hex digits)")


def scalar(value: Any) -> str:
    """r or s: a number in hex, hashed without leading zeros (hyperliquid-api 3.4)."""
    return f"0x{int(scalar_text(value), 16):x}"


described(scalar, schema_of(scalar_text))


def chain_id(value: Any) -> str:
    """`signatureChainId`: any chain but 0, in lower case without leading zeros.

    Only the number is signed, so one number must have one text.
    """
    number = int(_chain_id(value), 16)
    if not number:
        raise Misfit("chain_id", "chain 0 does not exist")
    return f"0x{number:x}"


described(chain_id, schema_of(_chain_id))


def text(longest: int, *, lines: bool = False) -> Kind:
    """Text kept to the letter: valid UTF-8, no control characters, bounded."""
    control = _CONTROL_BUT_NEWLINE if lines else _CONTROL

    def read(value: Any) -> str:
        if type(value) is not str:
            raise Misfit("wrong_type", f"text is wanted, was {shown(value)}")
        if len(value) > longest:
            raise Misfit("text", f"at most {longest} characters are wanted, was {len(value)}")
        if control.search(value):
            raise Misfit("text", f"control characters are not allowed, was {shown(value)}")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise Misfit("text", f"the text is not Unicode: {error.reason}") from error
        return value

    return described(read, {"type": "string", "maxLength": longest})


def choice(*words: str) -> Kind:
    """One of a few words."""
    allowed = frozenset(words)
    listed = ", ".join(words)

    def read(value: Any) -> str:
        if type(value) is str and value in allowed:
            return value
        code = "choice" if type(value) is str else "wrong_type"
        raise Misfit(code, f"one of {listed} is wanted, was {shown(value)}")

    return described(read, {"type": "string", "enum": list(words)})


def nil(value: Any) -> None:
    """An explicit null."""
    if value is not None:
        raise Misfit("wrong_type", f"null is wanted, was {shown(value)}")


described(nil, {"type": "null"})


def either(word: Kind, other: Kind, other_type: type) -> Kind:
    """Two kinds told apart by their JSON type."""

    def read(value: Any) -> Any:
        return other(value) if type(value) is other_type else word(value)

    return described(read, {"anyOf": [schema_of(word), schema_of(other)]})


def listing(kind: Kind, longest: int) -> Kind:
    """A list of one kind. The length is checked before the first item is looked at."""

    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Misfit("wrong_type", f"a list is wanted, was {shown(value)}")
        if len(value) > longest:
            raise Misfit("limit", f"at most {longest} items are wanted, was {len(value)}")
        out: list[Any] = []
        try:
            for item in value:
                out.append(kind(item))
        except Misfit as misfit:
            raise misfit.inside(f"[{len(out)}]") from None
        return out

    return described(read, {"type": "array", "items": schema_of(kind), "maxItems": longest})


def row(*kinds: Kind) -> Kind:
    """A list of fixed length, one kind for each place."""

    def read(value: Any) -> list[Any]:
        if type(value) is not list or len(value) != len(kinds):
            raise Misfit("wrong_type", f"a list of {len(kinds)} is wanted, was {shown(value)}")
        return [kind(item) for kind, item in zip(kinds, value, strict=True)]

    schema = {
        "type": "array",
        "prefixItems": [schema_of(kind) for kind in kinds],
        "minItems": len(kinds),
        "maxItems": len(kinds),
    }
    return described(read, schema)


# What stands in the canonical form when an optional key is absent or null.
LEFT_OUT: Final = object()


def field(key: str, kind: Kind) -> Field:
    """A key that must be there."""
    return key, kind, REQUIRED


def optional(key: str, kind: Kind) -> Field:
    """A key that is left out of the hash when it is absent or null."""
    return key, kind, LEFT_OUT


def filled(key: str, kind: Kind, absent: Any = None) -> Field:
    """A key that is always hashed: absent or null, it is `absent`."""
    return key, kind, absent


def shape(*fields: Field) -> Kind:
    """An object with the given keys, rebuilt in their order; other keys are refused.

    A key that nobody reads would be neither hashed nor executed; whoever sent it believes that it
    does something, so he is told.
    """
    known = frozenset(key for key, _, _ in fields)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Misfit("wrong_type", f"an object is wanted, was {shown(value)}")
        out: dict[str, Any] = {}
        seen = 0
        key = ""
        try:
            for key, kind, absent in fields:
                item = value.get(key)
                if item is not None:
                    out[key] = kind(item)
                    seen += 1
                else:
                    seen += key in value
                    if absent is REQUIRED:
                        raise _nothing(key in value)
                    if absent is not LEFT_OUT:
                        out[key] = absent
        except Misfit as misfit:
            raise misfit.inside(key) from None
        if seen != len(value):
            raise _unknown_key(value, known)
        return out

    return described(read, fields_schema(fields, is_closed=True))


def _nothing(is_null: bool) -> Misfit:
    if is_null:
        return Misfit("wrong_type", "null is not allowed here")
    return Misfit("missing_key", "the key is missing")


def variants(options: dict[str, Kind], *, typed: bool = False) -> Kind:
    """An object with exactly one of the given keys (behind `type`, when typed)."""
    listed = ", ".join(options)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Misfit("wrong_type", f"an object is wanted, was {shown(value)}")
        if len(value) != 1 + typed:
            raise Misfit("choice", f"exactly one of {listed} is wanted, was {shown(value)}")
        out: dict[str, Any] = {"type": value["type"]} if typed else {}
        for key, item in value.items():
            if typed and key == "type":
                continue
            kind = options.get(key)
            if kind is None:
                raise _unknown_key(value, frozenset(options))
            try:
                out[key] = kind(item)
            except Misfit as misfit:
                raise misfit.inside(key) from None
        return out

    return described(read, {"oneOf": variant_schemas(options, typed=typed)})


def _unknown_key(value: dict[Any, Any], known: frozenset[str]) -> Misfit:
    """The first key, in the order sent, that the shape does not have."""
    for key in value:
        if key not in known and key != "type":
            return Misfit("unknown_key", f"key {shown(key)} is not known here")
    return Misfit("unknown_key", "key 'type' is not known here")
