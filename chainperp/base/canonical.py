"""CPE-1: the one byte form of any record.

A record is its fields in declared order: big-endian, fixed widths, no names, no defaults, no
floats. Lengths: `bytes` u32, `str` u16 (ASCII 21-7E), `list` u32 count. A decoder refuses every
other form of the same value: `decode(encode(x)) == x` and `encode(decode(b)) == b`.

A schema is a tuple of `(field, type)`. Types are the words in `SCALARS`, or `bytes`, `str`,
`opt:<scalar>`, or a nested schema in a one-element list for a list of records.
Source: audit-log-and-consensus 2.2.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

from chainperp.base.errors import InvalidBytes

# A schema's second column: a type word, or [schema] for a list of records.
Schema = tuple[tuple[str, Any], ...]
Record = dict[str, Any]

UNSIGNED: Final = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "u256": 32}
SIGNED: Final = {"i64": 8, "i128": 16}
RAW: Final = {"b16": 16, "b20": 20, "b32": 32, "b64": 64}
WIDTHS: Final = {**UNSIGNED, **SIGNED, **RAW}
CODES: Final = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "bool": "B"}
LIST_MAX: Final = 1_000_000


def pack_i128(value: int) -> bytes:
    """Sixteen bytes, two's complement; overflow is an error."""
    return value.to_bytes(16, "big", signed=True)


def encode(schema: Schema, record: Record) -> bytes:
    """Bytes of a record. Raises InvalidBytes naming the field that does not fit its type."""
    out: list[bytes] = []
    if len(record) != len(schema):
        raise InvalidBytes(f"record has fields {sorted(record)}, schema has {len(schema)} fields")
    for name, kind in schema:
        try:
            out.append(_encode_one(kind, record[name]))
        except (OverflowError, TypeError, ValueError, KeyError, AttributeError) as error:
            found = record.get(name, "nothing")
            raise InvalidBytes(f"field {name} does not fit {kind}: was {found!r}") from error
    return b"".join(out)


def _encode_one(kind: Any, value: Any) -> bytes:
    if isinstance(kind, list):
        rows = [encode(kind[0], row) for row in value]
        return struct.pack(">I", len(rows)) + b"".join(rows)
    if kind in UNSIGNED:
        return int.to_bytes(_integer(value), UNSIGNED[kind], "big")
    if kind in SIGNED:
        return int.to_bytes(_integer(value), SIGNED[kind], "big", signed=True)
    if kind in RAW:
        if len(value) != RAW[kind]:
            raise ValueError(kind)
        return bytes(value)
    if kind == "bool":
        return b"\x01" if _boolean(value) else b"\x00"
    if kind == "bytes":
        return struct.pack(">I", len(value)) + bytes(value)
    if kind == "str":
        return struct.pack(">H", len(value)) + _identifier(value.encode("ascii"))
    if kind.startswith("opt:"):
        return b"\x00" if value is None else b"\x01" + _encode_one(kind[4:], value)
    raise InvalidBytes(f"unknown type {kind!r} in a schema")


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not an int")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("not a bool")
    return value


def _identifier(raw: bytes) -> bytes:
    if raw and (min(raw) < 0x21 or max(raw) > 0x7E):
        raise ValueError("identifier outside ASCII 21-7E")
    return raw


class Reader:
    """Walks over canonical bytes; every read past the end is refused."""

    __slots__ = ("at", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.at + count
        if end > len(self.raw):
            raise InvalidBytes(f"record ends at byte {len(self.raw)}, needed {end}")
        piece = self.raw[self.at : end]
        self.at = end
        return piece

    def unsigned(self, width: int) -> int:
        """The next big-endian unsigned integer."""
        return int.from_bytes(self.take(width), "big")

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self.at != len(self.raw):
            raise InvalidBytes(f"{len(self.raw) - self.at} bytes follow the record")


def decode(schema: Schema, raw: bytes) -> Record:
    """Record of canonical bytes. Raises InvalidBytes for every other form."""
    reader = Reader(raw)
    record = decode_from(schema, reader)
    reader.finish()
    return record


def decode_from(schema: Schema, reader: Reader) -> Record:
    """Record that starts at the reader's place."""
    record: Record = {}
    raw = reader.raw
    size = len(raw)
    for name, kind in schema:
        # Fields of fixed width are most of what there is: read without a call for each.
        width = WIDTHS.get(kind, 0) if type(kind) is str else 0
        end = reader.at + width
        if width == 0 or end > size:
            record[name] = _decode_one(kind, reader, name)
            continue
        piece = raw[reader.at : end]
        reader.at = end
        record[name] = piece if kind in RAW else int.from_bytes(piece, "big", signed=kind in SIGNED)
    return record


class Layout:
    """A schema whose first fields, all of fixed width, are read at once: for many records of one.

    `decode` gives what the function of that name gives, error for error.
    """

    __slots__ = ("flags", "names", "rest", "schema", "struct", "wide")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.names: list[str] = []
        self.wide: list[tuple[str, bool]] = []
        self.flags: list[str] = []
        form = ">"
        for name, kind in schema:
            if type(kind) is not str or (kind not in WIDTHS and kind != "bool"):
                break
            self.names.append(name)
            if kind in CODES:
                form += CODES[kind]
                if kind == "bool":
                    self.flags.append(name)
            else:
                form += f"{WIDTHS[kind]}s"
                if kind not in RAW:
                    self.wide.append((name, kind in SIGNED))
        self.struct = struct.Struct(form)
        self.rest = schema[len(self.names) :]

    def decode(self, raw: bytes) -> Record:
        """Record of canonical bytes. Raises InvalidBytes for every other form."""
        if len(raw) < self.struct.size:
            return decode(self.schema, raw)
        record: Record = dict(zip(self.names, self.struct.unpack_from(raw), strict=True))
        for name, is_signed in self.wide:
            record[name] = int.from_bytes(record[name], "big", signed=is_signed)
        for name in self.flags:
            if record[name] > 1:
                return decode(self.schema, raw)
            record[name] = record[name] == 1
        reader = Reader(raw)
        reader.at = self.struct.size
        record.update(decode_from(self.rest, reader))
        reader.finish()
        return record


def _decode_one(kind: Any, reader: Reader, name: str) -> Any:
    if isinstance(kind, list):
        count = reader.unsigned(4)
        if count > LIST_MAX:
            raise InvalidBytes(f"list {name} has {count} rows, at most {LIST_MAX}")
        return [decode_from(kind[0], reader) for _ in range(count)]
    if kind in UNSIGNED:
        return reader.unsigned(UNSIGNED[kind])
    if kind in SIGNED:
        return int.from_bytes(reader.take(SIGNED[kind]), "big", signed=True)
    if kind in RAW:
        return reader.take(RAW[kind])
    if kind == "bool":
        return _flag(reader, name) == 1
    if kind == "bytes":
        return reader.take(reader.unsigned(4))
    if kind == "str":
        return _decode_identifier(reader, name)
    if kind.startswith("opt:"):
        return _decode_one(kind[4:], reader, name) if _flag(reader, name) else None
    raise InvalidBytes(f"unknown type {kind!r} in a schema")


def _decode_identifier(reader: Reader, name: str) -> str:
    raw = reader.take(reader.unsigned(2))
    try:
        return _identifier(raw).decode("ascii")
    except ValueError as error:
        raise InvalidBytes(f"field {name} is not an ASCII identifier: was {raw!r}") from error


def _flag(reader: Reader, name: str) -> int:
    flag = reader.unsigned(1)
    if flag > 1:
        raise InvalidBytes(f"field {name} has flag byte {flag:02x}, only 00 and 01 exist")
    return flag


def encode_rows(schema: Schema, rows: Sequence[Record]) -> bytes:
    """Bytes of a list of records (u32 count, then the rows)."""
    return struct.pack(">I", len(rows)) + b"".join(encode(schema, row) for row in rows)
