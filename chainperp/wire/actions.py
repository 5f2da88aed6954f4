"""From the JSON of a request to the canonical form of its action, which is signed and stored.

The venue does not hash the JSON it receives: it decodes it into a type and encodes that again. So
key order comes from the type, decimals lose trailing zeros, addresses and client ids are in lower
case, and absent optional keys are left out (hyperliquid-api 3.5). `canonical_action` does exactly
that; what it returns is packed as MessagePack, hashed, and kept for ever.

Unknown keys are refused rather than dropped. Both keep them out of the hash, as 3.5 demands, but
dropping lets a trader believe in an instruction (`"reduceOnly": true` for `"r"`) that nobody reads.

Source: hyperliquid-api 3.3 to 3.5; reliability 9.2 and 9.3 for what bad input gets.
"""

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.model.envelope import L1, MULTI_SIG, USER_SIGNED
from chainperp.wire.action_table import L1_SHAPES, TYPE
from chainperp.wire.shapes import (
    Field,
    Kind,
    Misfit,
    address,
    address_text,
    boolean,
    chain_id,
    choice,
    field,
    filled,
    hex_data,
    integer,
    listing,
    optional,
    scalar,
    shape,
    shown,
    text,
    u32,
    u64,
)
from chainperp.wire.typed_data import ABSTRACTION_WORDS, USER_SIGNED_TYPES

MAX_SIGNERS: Final = 10
MAX_BODY_BYTES: Final = 2 * 1024 * 1024
MAX_JSON_DEPTH: Final = 32
MAX_INTEGER_DIGITS: Final = 20

# How a field of typed data is checked; most fields need no more than its type.
_BY_TYPE: Final[dict[str, Kind]] = {
    "string": text(128),
    "address": address,
    "uint32": u32,
    "uint64": u64,
    "bool": boolean,
    "bytes": hex_data,
}
_BY_NAME: Final[dict[str, Kind]] = {
    "hyperliquidChain": choice("Mainnet", "Testnet"),
    "destination": address_text,
    "signers": text(4096, lines=True),
}


def _user_signed(name: str, *, nested: bool) -> Kind:
    """Shape of a user-signed action: type, both chains, then the fields in signing order."""
    fields: list[Field] = [TYPE, field("signatureChainId", chain_id)]
    for key, kind in USER_SIGNED_TYPES[name][1]:
        reader = _BY_NAME.get(key, _BY_TYPE[kind])
        if key == "agentName":
            # Absent, null and empty are one signature, so at the top they are one form. In a
            # multi-sig payload the leader hashes the key as it was sent.
            fields.append(optional(key, reader) if nested else filled(key, reader, ""))
        elif key == "abstraction" and nested:
            fields.append(field(key, choice(*ABSTRACTION_WORDS, *ABSTRACTION_WORDS.values())))
        elif key == "abstraction":
            fields.append(field(key, choice(*ABSTRACTION_WORDS.values())))
        else:
            fields.append(field(key, reader))
    return shape(*fields)


_USER_SHAPES: Final = {name: _user_signed(name, nested=False) for name in USER_SIGNED_TYPES}
_PAYLOAD_SHAPES: Final = L1_SHAPES | {
    name: _user_signed(name, nested=True) for name in USER_SIGNED_TYPES
}

_SIGNATURE: Final = shape(field("r", scalar), field("s", scalar), field("v", integer(0, 255)))


def _payload_action(value: Any) -> dict[str, Any]:
    """The action inside a multi-sig envelope: any but another envelope."""
    return _shaped(value, _PAYLOAD_SHAPES)


_MULTI_SIG: Final = shape(
    TYPE,
    field("signatureChainId", chain_id),
    field("signatures", listing(_SIGNATURE, MAX_SIGNERS)),
    field(
        "payload",
        shape(
            field("multiSigUser", address),
            field("outerSigner", address),
            field("action", _payload_action),
        ),
    ),
)

SHAPES: Final[dict[str, Kind]] = L1_SHAPES | _USER_SHAPES | {"multiSig": _MULTI_SIG}


def canonical_action(action: object) -> dict[str, Any]:
    """The action as it is hashed: keys in the order of its type, values in their one form.

    Raises: BadRequest naming the key, what is wanted, and what was found.

    >>> canonical_action({"time": 5, "type": "scheduleCancel"})
    {'type': 'scheduleCancel', 'time': 5}
    """
    return _shaped(action, SHAPES)


def scheme_of(action_type: str) -> int:
    """The signing scheme, which the type alone decides."""
    if action_type in USER_SIGNED_TYPES:
        return USER_SIGNED
    return MULTI_SIG if action_type == "multiSig" else L1


def _shaped(action: object, shapes: dict[str, Kind]) -> dict[str, Any]:
    if type(action) is not dict:
        raise Misfit("wrong_type", f"an object is wanted, was {shown(action)}", "action")
    name = action.get("type")
    kind = shapes.get(name) if type(name) is str else None
    if kind is None:
        raise _unknown_type(action, shapes)
    shaped: dict[str, Any] = kind(action)
    return shaped


def _unknown_type(action: dict[Any, Any], shapes: dict[str, Kind]) -> Misfit:
    if "type" not in action:
        return Misfit("missing_key", "the key is missing", "type")
    name = action["type"]
    if type(name) is not str:
        return Misfit("wrong_type", f"text is wanted, was {shown(name)}", "type")
    near = get_close_matches(name[:64], shapes, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return Misfit("unknown_type", f"unknown variant {shown(name)}{hint}", "type")


def read_json(raw: bytes) -> Any:
    """A request body as plain values, read so that no two parsers could differ about it.

    Refused: more than 2 MiB, nesting beyond 32, a key twice, fractions and exponents (no number
    of this API has them), integers of more than 20 digits, NaN, -0, text that is not Unicode.
    Raises: BadRequest.
    """
    if len(raw) > MAX_BODY_BYTES:
        raise BadRequest("size", f"body has {len(raw)} bytes, at most {MAX_BODY_BYTES}")
    # Fewer brackets than the limit cannot be nested deeper: the usual request ends here.
    if raw.count(b"[") + raw.count(b"{") > MAX_JSON_DEPTH:
        _check_depth(raw)
    try:
        document = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("json", f"invalid JSON: byte {error.start} is not UTF-8") from error
    value = _read_plain(document)
    return read_strictly(document) if value is None else value


def read_strictly(document: str) -> Any:
    """The same, once size and depth are known: gives every other refusal. Raises: BadRequest."""
    try:
        value = _DECODER.decode(document)
    except json.JSONDecodeError as error:
        raise BadRequest("json", f"invalid JSON: {error.msg} at {error.pos}") from error
    if "\\u" in document:
        _check_text(value)
    return value


# A text without its closing quote swallows the rest: otherwise every later quote would start
# another search to the end, which is quadratic.
_STRUCTURE: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def _check_depth(raw: bytes) -> None:
    """Count open brackets on the bytes, so that the parser never has to recurse deeply."""
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        byte = raw[match.start()]
        if byte in b"[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise BadRequest("depth", f"nested deeper than {MAX_JSON_DEPTH}")
        elif byte in b"]}":
            depth -= 1


_NO_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")


def _check_text(value: Any) -> None:
    """Refuse lone surrogates and NUL, which only an escape can bring in."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            waiting.extend(item)
            waiting.extend(item.values())
        elif type(item) is list:
            waiting.extend(item)
        elif type(item) is str and _NO_TEXT.search(item):
            raise BadRequest("json", "invalid JSON: text holds NUL or half a surrogate pair")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadRequest("duplicate_key", f"duplicate key {shown(key)}")
            seen.add(key)
    return built


def _whole(digits: str) -> int:
    # The number of digits is checked before conversion, whose cost is quadratic.
    if len(digits) > MAX_INTEGER_DIGITS:
        raise BadRequest("number", f"a number has {len(digits)} digits, beyond 64 bits")
    if digits == "-0":
        raise BadRequest("number", "-0 is no integer")
    return int(digits)


def _fraction(found: str) -> Any:
    raise BadRequest(
        "number", f"numbers are integers, decimals are text: was {shown(found)} without quotes"
    )


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_fraction,
    parse_int=_whole,
    parse_constant=_fraction,
)
# Objects built by C alone: of two equal keys the later would win without a word.
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(
    parse_float=_fraction, parse_int=_whole, parse_constant=_fraction
).scan_once  # type: ignore[attr-defined]  # typeshed does not know it


def _read_plain(document: str) -> Any:
    """What the strict reader would give, in less time, for an object without blanks around it,
    escapes, or colons in texts; None for anything else.

    Each key has a colon behind it. As many colons as keys in the result: none of them stands in a
    text, and no key was lost to another of its name.
    """
    if "\\" in document:
        return None
    try:
        value, end = _SCAN(document, 0)
    except (ValueError, StopIteration, BadRequest):
        return None
    if type(value) is not dict or end != len(document):
        return None
    return value if _keys_in(value) == document.count(":") else None


def _keys_in(value: Any) -> int:
    """How many keys the objects of an object or a list have, at all depths (at most 32)."""
    found = 0
    items = value
    if type(value) is dict:
        found = len(value)
        items = value.values()
    for item in items:
        kind = type(item)
        if kind is dict or kind is list:
            found += _keys_in(item)
    return found
