"""The first place where two tellings of a chain differ, said in words.

Entries are compared by bytes, then named by block, entry, record and field; states (snapshots) by
collection, key and field. Both values are always given.
"""

from dataclasses import dataclass
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Reader, Record, Schema
from chainperp.base.errors import InvalidBytes
from chainperp.model.decisions import Kind, Rejection, rule_code
from chainperp.model.entries import Entry, decode_entry, decode_payload
from chainperp.model.tokens import SPOT_FIRST
from chainperp.state import schemas
from chainperp.state.arrangements import COLLECTIONS
from chainperp.state.snapshot import HEAD, LEAF, MAGIC, NONCES, SECTIONS

NOTHING = "nothing"
BOOK_LISTS: Final = (
    ("orders", schemas.BOOK_ORDER),
    ("waiting orders", schemas.WAITING_ORDER),
    ("order groups", schemas.ORDER_GROUP),
    ("order builders", schemas.ORDER_BUILDER),
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two chains part. `expected` is what re-execution gives, `found` what the log holds."""

    height: int
    index: int
    entry: int
    collection: str
    record: str
    field: str
    expected: str
    found: str

    def sentence(self) -> str:
        """One line for people."""
        return (
            f"block {self.height}, entry {self.entry} (log index {self.index}), "
            f"{self.collection} {self.record}, field {self.field}: "
            f"expected {self.expected}, found {self.found}"
        )


def show(value: object) -> str:
    """A field's value for people: bytes in hex, the rest as it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bytes):
        return (
            "0x" + value.hex()
            if len(value) <= 64
            else f"0x{value[:32].hex()}… ({len(value)} bytes)"
        )
    if isinstance(value, list):
        return f"{len(value)} rows"
    return str(value)


def first_entry_difference(
    height: int, first_index: int, expected: list[bytes], found: list[bytes]
) -> Divergence | None:
    """The first entry of a block that differs, or None when all are equal."""
    if expected == found:
        return None
    for place in range(max(len(expected), len(found))):
        ours = expected[place] if place < len(expected) else None
        theirs = found[place] if place < len(found) else None
        if ours != theirs:
            return _entry_difference(height, first_index + place, place, ours, theirs)
    return None


def _entry_difference(
    height: int, index: int, place: int, ours: bytes | None, theirs: bytes | None
) -> Divergence:
    left, right = _entry(ours), _entry(theirs)
    if isinstance(left, str) or isinstance(right, str):
        kind = right if isinstance(left, str) else left
        name = kind if isinstance(kind, str) else kind.kind.name
        return Divergence(height, index, place, name, "-", "form", _form(left), _form(right))
    if left.kind is not right.kind:
        return Divergence(
            height, index, place, left.kind.name, record_name(left), "kind",
            left.kind.name, right.kind.name,
        )  # fmt: skip
    for field, one, other in (("height", left.height, right.height), ("seq", left.seq, right.seq)):
        if one != other:
            return Divergence(height, index, place, left.kind.name, record_name(left), field,
                              str(one), str(other))  # fmt: skip
    ours_fields, theirs_fields = _fields(left), _fields(right)
    field, expected, actual = first_field_difference(ours_fields, theirs_fields)
    return Divergence(
        height, index, place, left.kind.name, record_name(left), field, expected, actual
    )


def _entry(raw: bytes | None) -> Entry | str:
    if raw is None:
        return NOTHING
    try:
        return decode_entry(raw)
    except InvalidBytes as error:
        return f"unreadable entry ({error})"


def _form(entry: Entry | str) -> str:
    return entry if isinstance(entry, str) else f"{entry.kind.name} of {len(entry.payload)} bytes"


def _fields(entry: Entry) -> Record:
    try:
        return decode_payload(entry)
    except InvalidBytes as error:
        return {"payload": f"unreadable ({error})"}


def first_field_difference(ours: Record, theirs: Record) -> tuple[str, str, str]:
    """Name and both values of the first field that differs; lists are entered row by row."""
    for field, value in ours.items():
        other = theirs.get(field)
        if value == other:
            continue
        if isinstance(value, list) and isinstance(other, list):
            for row, (one, two) in enumerate(zip(value, other, strict=False)):
                for name, cell in one.items():
                    if cell != two.get(name):
                        return f"{field}[{row}].{name}", show(cell), show(two.get(name))
        return field, show(value), show(other)
    missing = [field for field in theirs if field not in ours]
    field = missing[0] if missing else "payload"
    return field, NOTHING, show(theirs.get(field))


def record_name(entry: Entry) -> str:
    """What an entry is about, in a few words."""
    try:
        fields = decode_payload(entry)
    except InvalidBytes:
        return "(unreadable)"
    kind = entry.kind
    if kind is Kind.ORDER:
        return f"oid {fields['oid']} of 0x{fields['account'].hex()} ({rule_code(fields['rule'])})"
    if kind is Kind.FILL:
        return f"tid {fields['tid']}"
    if kind in (Kind.TX_USER, Kind.TX_SYSTEM):
        signer = fields.get("signer")
        outcome = Rejection(fields["code"]).name.lower()
        return f"{'0x' + signer.hex() if signer else 'system'} ({outcome})"
    for key in ("asset", "user", "wid", "account"):
        if key in fields:
            return f"{key} {show(fields[key])}"
    return "-"


def first_state_difference(height: int, expected: bytes, found: bytes) -> Divergence | None:
    """The first collection, key and field in which two snapshots of a height differ."""
    if expected == found:
        return None
    ours, theirs = _sections(expected), _sections(found)
    for name, rows in ours.items():
        others = theirs.get(name, {})
        for key in sorted(rows.keys() | others.keys()):
            one, two = rows.get(key), others.get(key)
            if one != two:
                return _leaf_difference(height, name, key, one, two)
    return Divergence(height, 0, 0, "snapshot", "-", "bytes", f"{len(expected)} bytes",
                      f"{len(found)} bytes")  # fmt: skip


def _leaf_difference(
    height: int, name: str, key: bytes, one: bytes | None, two: bytes | None
) -> Divergence:
    field, expected, found = "value", show(one), show(two)
    if one is not None and two is not None and name.partition("/")[0] in schemas.SCHEMAS:
        schema = schemas.schema_of(name)
        field, expected, found = first_field_difference(_leaf(schema, one), _leaf(schema, two))
    return Divergence(height, 0, 0, name, show(key), field, expected, found)


def _leaf(schema: Schema, raw: bytes) -> Record:
    try:
        return canonical.decode(schema, raw)
    except InvalidBytes as error:
        return {"value": f"unreadable ({error})"}


def _sections(raw: bytes) -> dict[str, dict[bytes, bytes]]:
    """Collections of a snapshot's bytes as (key -> value); orders and nonces under own names."""
    reader = Reader(raw)
    reader.take(len(MAGIC))
    head = canonical.decode_from(HEAD, reader)
    found: dict[str, dict[bytes, bytes]] = {
        "head": {key.encode("ascii"): str(value).encode("ascii") for key, value in head.items()}
    }
    for name in (*SECTIONS, *COLLECTIONS):
        found[name] = _leaves(reader)
    for token in range(len(found["token"])):
        found[schemas.spot_collection(token)] = _leaves(reader)
    markets, pairs = len(found["oracle"]), len(found["pair"])
    for asset in range(markets):
        for side in ("L", "S"):
            found[f"pos/{asset:08x}/{side}"] = _leaves(reader)
    for name in ("nonces of accounts", "nonces of agents", "nonces of validators"):
        rows = [canonical.decode_from(NONCES, reader) for _ in range(reader.unsigned(4))]
        found[name] = {row["owner"]: canonical.encode(NONCES, row) for row in rows}
    for asset in range(markets):
        for name, schema in BOOK_LISTS:
            found[f"{name} of market {asset}"] = _listed(reader, schema)
    for asset in range(SPOT_FIRST, SPOT_FIRST + pairs):
        found[f"orders of pair {asset}"] = _listed(reader, schemas.BOOK_ORDER)
    return found


def _leaves(reader: Reader) -> dict[bytes, bytes]:
    rows = [canonical.decode_from(LEAF, reader) for _ in range(reader.unsigned(4))]
    return {row["key"]: row["value"] for row in rows}


def _listed(reader: Reader, schema: Schema) -> dict[bytes, bytes]:
    """Rows of a list by their place."""
    rows = [canonical.decode_from(schema, reader) for _ in range(reader.unsigned(4))]
    return {
        place.to_bytes(4, "big"): canonical.encode(schema, row) for place, row in enumerate(rows)
    }
