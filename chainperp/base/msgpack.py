"""MessagePack, only the part that signed actions use, and only in its shortest form.

A trader signs the MessagePack bytes of an action, and exactly those bytes are stored. Whoever
replays a chain reads them again, with nothing installed but Python; so this reader belongs to
the ground floor. It accepts one encoding per value: `pack(unpack(raw)) == raw` for everything
that it accepts, and `unpack(pack(value)) == value` for everything that can be packed.

| kind | bytes |
|---|---|
| nil, false, true | c0, c2, c3 |
| integer -2^63 .. 2^64-1 | 00-7f, e0-ff, cc-cf (unsigned) and d0-d3 (only when negative) |
| text, UTF-8 | a0-bf, d9, da, db |
| list | 90-9f, dc, dd |
| map with text keys, order kept | 80-8f, de, df |

Refused: floats, binary, extensions, a longer form where a shorter exists, a key twice, a key that
is no text, invalid UTF-8, more than `DEPTH_MAX` open lists and maps (an empty one opens nothing),
bytes after the value.
Source: the MessagePack specification; audit-log-and-consensus 2.3; hyperliquid-api 3.2.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from chainperp.base.errors import InvalidBytes

# A batch of modifications inside a multi-signature envelope opens exactly eight.
DEPTH_MAX: Final = 8

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 64) - 1

# What one tag byte alone says: small integers, nil and booleans. `NEXT` marks all other tags.
NEXT: Final = object()
IMMEDIATE: Final[list[Any]] = (
    list(range(0x80)) + [NEXT] * 0x40 + [None, NEXT, False, True] + [NEXT] * 0x1C
) + list(range(-32, 0))

# tag -> (bytes of the number that follows, smallest number which needs this form)
LONG_TEXT: Final = {0xD9: (1, 32), 0xDA: (2, 1 << 8), 0xDB: (4, 1 << 16)}
LONG_LIST: Final = {0xDC: (2, 16), 0xDD: (4, 1 << 16)}
LONG_MAP: Final = {0xDE: (2, 16), 0xDF: (4, 1 << 16)}
UNSIGNED: Final = {0xCC: (1, 1 << 7), 0xCD: (2, 1 << 8), 0xCE: (4, 1 << 16), 0xCF: (8, 1 << 32)}
# tag -> (bytes of the number, largest number which needs this form)
SIGNED: Final = {
    0xD0: (1, -(1 << 5) - 1),
    0xD1: (2, -(1 << 7) - 1),
    0xD2: (4, -(1 << 15) - 1),
    0xD3: (8, -(1 << 31) - 1),
}
FOREIGN: Final = {0xC1: "the unused tag", 0xCA: "a float", 0xCB: "a float"} | dict.fromkeys(
    (0xC4, 0xC5, 0xC6), "binary data"
)


def unpack(raw: bytes) -> Any:
    """The value whose only encoding is `raw`.

    Raises: InvalidBytes with the offset and what was found there.

    >>> unpack(bytes.fromhex("81a474797065a46e6f6f70"))
    {'type': 'noop'}
    """
    try:
        value, end = _read(raw)
    except IndexError as error:
        raise InvalidBytes(f"msgpack ends at byte {len(raw)}, inside a value") from error
    if end != len(raw):
        raise InvalidBytes(f"msgpack value ends at byte {end}, {len(raw) - end} bytes follow")
    return value


def _read(raw: bytes) -> tuple[Any, int]:
    """Value at the start of `raw` and where it ends.

    No recursion: `holder` is the open list or map, `left` how many items it still wants, `stack`
    what was open around it, `key` the name under which a map waits for its next value.
    """
    at = 0
    key = ""
    holder: Any = []
    left = 1
    stack: list[tuple[Any, int, str]] = []
    while True:
        if type(holder) is dict:
            key, at = _key(raw, at, holder)
        tag = raw[at]
        at += 1
        value = IMMEDIATE[tag]
        count = 0
        if value is NEXT:
            value, at, count = _short(raw, at, tag)
        if type(holder) is dict:
            holder[key] = value
        else:
            holder.append(value)
        left -= 1
        if count:
            stack.append((holder, left, key))
            if len(stack) > DEPTH_MAX:
                raise InvalidBytes(f"msgpack is nested deeper than {DEPTH_MAX} at byte {at - 1}")
            holder, left = value, count
        while not left:
            if not stack:
                return holder[0], at
            holder, left, key = stack.pop()


def _key(raw: bytes, at: int, holder: dict[str, Any]) -> tuple[str, int]:
    """The next name of a map and where its value starts."""
    tag = raw[at]
    size = tag & 0x1F
    start = at + 1
    if tag & 0xE0 != 0xA0:
        form = LONG_TEXT.get(tag)
        if form is None:
            raise InvalidBytes(f"msgpack key at byte {at} is not text: tag {tag:02x}")
        size = _number(raw, start, tag, form)
        start += form[0]
    key = _text(raw, start, size)
    if key in holder:
        raise InvalidBytes(f"msgpack key {key[:64]!r} at byte {at} stands twice in one map")
    return key, start + size


def _text(raw: bytes, at: int, size: int) -> str:
    piece = raw[at : at + size]
    if len(piece) != size:
        raise InvalidBytes(
            f"msgpack ends at byte {len(raw)}, but a text at byte {at} has {size} bytes"
        )
    try:
        return piece.decode()
    except UnicodeDecodeError as error:
        raise InvalidBytes(
            f"msgpack text at byte {at + error.start} is not UTF-8: {error.reason}"
        ) from error


def _short(raw: bytes, at: int, tag: int) -> tuple[Any, int, int]:
    """A text or container after its tag: (value, where it ends, items that it still wants)."""
    if tag < 0x90:
        return {}, at, tag & 0x0F
    if tag < 0xA0:
        return [], at, tag & 0x0F
    if tag < 0xC0:
        size = tag & 0x1F
        return _text(raw, at, size), at + size, 0
    return _long(raw, at, tag)


def _long(raw: bytes, at: int, tag: int) -> tuple[Any, int, int]:
    """The same for the forms that write a number between tag and content."""
    form = UNSIGNED.get(tag)
    if form is not None:
        return _number(raw, at, tag, form), at + form[0], 0
    form = LONG_TEXT.get(tag)
    if form is not None:
        size = _number(raw, at, tag, form)
        at += form[0]
        return _text(raw, at, size), at + size, 0
    form = LONG_LIST.get(tag)
    if form is not None:
        return [], at + form[0], _number(raw, at, tag, form)
    form = LONG_MAP.get(tag)
    if form is not None:
        return {}, at + form[0], _number(raw, at, tag, form)
    form = SIGNED.get(tag)
    if form is not None:
        return _negative(raw, at, form), at + form[0], 0
    found = FOREIGN.get(tag, "an extension")
    raise InvalidBytes(f"msgpack byte {at - 1} is {found} (tag {tag:02x}), which no action uses")


def _number(raw: bytes, at: int, tag: int, form: tuple[int, int]) -> int:
    width, least = form
    piece = raw[at : at + width]
    if len(piece) != width:
        raise InvalidBytes(f"msgpack ends at byte {len(raw)}, inside a number at byte {at}")
    value = int.from_bytes(piece, "big")
    if value < least:
        raise InvalidBytes(
            f"msgpack byte {at - 1}: {value} is not in its shortest form (tag {tag:02x})"
        )
    return value


def _negative(raw: bytes, at: int, form: tuple[int, int]) -> int:
    width, most = form
    piece = raw[at : at + width]
    if len(piece) != width:
        raise InvalidBytes(f"msgpack ends at byte {len(raw)}, inside a number at byte {at}")
    value = int.from_bytes(piece, "big", signed=True)
    if value > most:
        raise InvalidBytes(f"msgpack byte {at - 1}: {value} is not in its shortest form")
    return value


def pack(value: Any) -> bytes:
    """The only encoding of a value. Raises InvalidBytes when it has none.

    >>> pack({"type": "noop"}).hex()
    '81a474797065a46e6f6f70'
    """
    out = bytearray()
    stack: list[Iterator[Any]] = []
    pending: Iterator[Any] = iter((value,))
    while True:
        for item in pending:
            kind = type(item)
            if item and (kind is list or kind is dict):
                if len(stack) == DEPTH_MAX:
                    raise InvalidBytes(f"value is nested deeper than {DEPTH_MAX}")
                stack.append(pending)
                pending = _open_list(out, item) if kind is list else _open_map(out, item)
                break
            out += _scalar(item)
        else:
            if not stack:
                return bytes(out)
            pending = stack.pop()


def _open_list(out: bytearray, items: list[Any]) -> Iterator[Any]:
    out += _length(len(items), 0x90, 15, LONG_LIST)
    return iter(items)


def _open_map(out: bytearray, items: dict[Any, Any]) -> Iterator[Any]:
    for key in items:
        if type(key) is not str:
            raise InvalidBytes(f"map key is not text: was {key!r:.64}")
    out += _length(len(items), 0x80, 15, LONG_MAP)
    return chain.from_iterable(items.items())


def _length(count: int, short_tag: int, short_max: int, long: dict[int, tuple[int, int]]) -> bytes:
    if count <= short_max:
        return bytes((short_tag | count,))
    for tag, (width, _) in long.items():
        if count < 1 << (8 * width):
            return bytes((tag,)) + count.to_bytes(width, "big")
    raise InvalidBytes(f"length {count} has no msgpack form")


def _scalar(value: Any) -> bytes:
    """One value that opens nothing; lists and maps come here only when they are empty."""
    if value is None:
        return b"\xc0"
    kind = type(value)
    if kind is bool:
        return b"\xc3" if value else b"\xc2"
    if kind is int:
        return _integer(value)
    if kind is list or kind is dict:
        return b"\x90" if kind is list else b"\x80"
    if kind is not str:
        raise InvalidBytes(f"no action holds a {kind.__name__}: was {value!r:.64}")
    try:
        text: bytes = value.encode()
    except UnicodeEncodeError as error:
        raise InvalidBytes(f"text has no UTF-8 form: {error.reason}") from error
    return _length(len(text), 0xA0, 31, LONG_TEXT) + text


def _integer(value: int) -> bytes:
    if not INT_MIN <= value <= INT_MAX:
        raise InvalidBytes("integer is beyond 64 bits")
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    forms = UNSIGNED if value > 0 else SIGNED
    for tag, (width, _) in forms.items():
        bits = 8 * width
        if value < 1 << bits and value >= -(1 << (bits - 1)):
            return bytes((tag,)) + value.to_bytes(width, "big", signed=value < 0)
    raise InvalidBytes("integer is beyond 64 bits")
