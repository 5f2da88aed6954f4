"""The frame of a log entry: header, payload, and the fixed SEAL.

    01 | kind u16 | height u64 | seq u32 | payload length u32 | payload

Source: audit-log-and-consensus 4.1 and 4.3.
"""

import struct
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Layout, Record
from chainperp.base.errors import InvalidBytes
from chainperp.model.decisions import Kind
from chainperp.model.records import SCHEMAS, SEAL_SIZE

HEADER: Final = struct.Struct(">BHQII")
HEADER_SIZE: Final = 19
FORMAT: Final = 1
ENTRY_SIZE_MAX: Final = 65_535
LAYOUTS: Final = {kind: Layout(schema) for kind, schema in SCHEMAS.items()}

# A user transaction's entry up to its envelope, without height, place and result: form, kind, and
# the lengths of payload and envelope. The signer follows the envelope.
TRANSACTION_HEAD: Final = struct.Struct(">BH12xI2xI")
TRANSACTION_HEAD_SIZE: Final = 25
SIGNER_SIZE: Final = 20


class Entry:
    """A parsed entry: its header and the bytes of its payload."""

    __slots__ = ("height", "kind", "payload", "seq")

    def __init__(self, kind: Kind, height: int, seq: int, payload: bytes) -> None:
        self.kind = kind
        self.height = height
        self.seq = seq
        self.payload = payload


def encode_entry(kind: int, height: int, seq: int, payload: bytes) -> bytes:
    """Bytes of an entry. Raises InvalidBytes above the size that a tile bundle can hold."""
    if len(payload) > ENTRY_SIZE_MAX - HEADER_SIZE:
        raise InvalidBytes(f"entry of {len(payload)} payload bytes, at most 65516")
    return HEADER.pack(FORMAT, kind, height, seq, len(payload)) + payload


def decode_entry(raw: bytes) -> Entry:
    """Parse an entry's frame. Raises InvalidBytes naming what is wrong."""
    if len(raw) < HEADER_SIZE:
        raise InvalidBytes(f"entry of {len(raw)} bytes is shorter than its header")
    form, kind, height, seq, length = HEADER.unpack_from(raw)
    if form != FORMAT:
        raise InvalidBytes(f"entry format {form:02x}, only 01 exists")
    if length != len(raw) - HEADER_SIZE:
        raise InvalidBytes(f"entry says {length} payload bytes, has {len(raw) - HEADER_SIZE}")
    try:
        known = Kind(kind)
    except ValueError as error:
        raise InvalidBytes(f"entry kind {kind:04x} does not exist") from error
    return Entry(known, height, seq, raw[HEADER_SIZE:])


def decode_payload(entry: Entry) -> Record:
    """Named fields of an entry's payload."""
    if entry.kind is Kind.GENESIS:
        return {"genesis": entry.payload}
    return LAYOUTS[entry.kind].decode(entry.payload)


def cut_transaction(raw: bytes) -> tuple[bytes, bytes]:
    """Envelope and signer of a user transaction's entry, which `decode_payload` would give too.

    Every transaction of a replay passes here, so it is cut at its fixed places. Raises
    InvalidBytes as `decode_entry` and `decode_payload` do.
    """
    end = len(raw) - SIGNER_SIZE
    if end >= TRANSACTION_HEAD_SIZE:
        form, kind, length, size = TRANSACTION_HEAD.unpack_from(raw)
        if (
            form == FORMAT
            and kind == Kind.TX_USER
            and HEADER_SIZE + length == len(raw)
            and TRANSACTION_HEAD_SIZE + size == end
        ):
            return raw[TRANSACTION_HEAD_SIZE:end], raw[end:]
    fields = decode_payload(decode_entry(raw))
    return fields["envelope"], fields["signer"]


def encode_seal(fields: Record) -> bytes:
    """The 392 payload bytes of a SEAL."""
    payload = canonical.encode(SCHEMAS[Kind.SEAL], fields)
    if len(payload) != SEAL_SIZE:
        raise InvalidBytes(f"seal of {len(payload)} bytes, must be {SEAL_SIZE}")
    return payload
