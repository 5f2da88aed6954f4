"""The state root: what one SEAL says about every collection at once.

Decides the bytes of a collection's descriptor and how the descriptors of a state become one hash.
Never reads a leaf: a collection arrives here as the `Root` that its tree committed.

    descriptor = 5C || u8 len(name) || name || u8 m || h32 || u64 count || sums (i128 each)
    state_root = MTH(descriptors sorted by name bytes); collections with count 0 are left out

`merkle_root` is the RFC 6962 hash of a list. It stands on this floor because the lists inside a
block (descriptors, mark rows, ADL rows) need it as much as the log above does.

Source: audit-log-and-consensus 4.4, 5.3.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from chainperp.base.canonical import Reader, pack_i128
from chainperp.base.errors import InvalidBytes, ensure
from chainperp.base.hashing import EMPTY_LOG_ROOT, leaf_hash
from chainperp.state.proof import COLUMNS_MAX, NAME_MAX, Root, encode_name
from chainperp.state.schemas import CASH_COLLECTIONS

DESCRIPTOR_TAG: Final = 0x5C


def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 tree hash of a list of leaf hashes; SHA-256 of nothing for the empty list.

    A level pairs its neighbours and carries an odd last node up unchanged, which is the same
    shape as the recursive definition that splits at the largest power of two below n.
    """
    if not leaf_hashes:
        return EMPTY_LOG_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        above = [
            sha256(b"\x01" + level[at] + level[at + 1]).digest()
            for at in range(0, len(level) - 1, 2)
        ]
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0]


def list_root(rows: Sequence[bytes]) -> bytes:
    """RFC 6962 tree hash of rows, each hashed as a leaf."""
    return merkle_root([leaf_hash(row) for row in rows])


def encode_descriptor(name: str, root: Root) -> bytes:
    """Bytes that stand for one collection in the state root."""
    encoded = encode_name(name)
    sums = b"".join(pack_i128(amount) for amount in root.sums)
    return b"".join(
        (
            bytes((DESCRIPTOR_TAG, len(encoded))),
            encoded,
            bytes((len(root.sums),)),
            root.h,
            root.count.to_bytes(8, "big"),
            sums,
        )
    )


def decode_descriptor(raw: bytes) -> tuple[str, Root]:
    """Name and root of a descriptor.

    Raises: InvalidBytes for a wrong tag, a name outside ASCII 21-7E, a count of 0, too many
    columns, or a length that does not fit.
    """
    reader = Reader(raw)
    tag = reader.unsigned(1)
    if tag != DESCRIPTOR_TAG:
        raise InvalidBytes(f"descriptor starts with {tag:02x}, expected {DESCRIPTOR_TAG:02x}")
    encoded = reader.take(reader.unsigned(1))
    if not encoded or any(byte < 0x21 or byte > 0x7E for byte in encoded):
        raise InvalidBytes(f"descriptor names a collection outside ASCII 21-7E: {encoded!r}")
    columns = reader.unsigned(1)
    if columns > COLUMNS_MAX or len(encoded) > NAME_MAX:
        raise InvalidBytes(f"descriptor has {columns} columns, at most {COLUMNS_MAX}")
    h = reader.take(32)
    count = reader.unsigned(8)
    sums = tuple(int.from_bytes(reader.take(16), "big", signed=True) for _column in range(columns))
    reader.finish()
    if count == 0:
        raise InvalidBytes("descriptor of an empty collection, which is never listed")
    return encoded.decode("ascii"), Root(h, count, sums)


def descriptors(roots: Mapping[str, Root]) -> list[bytes]:
    """Descriptors in the order of the state root: by name bytes, without empty collections."""
    # Names are ASCII, as encoding them makes sure: they sort like their bytes.
    listed = [
        encode_descriptor(name, roots[name]) for name in sorted(roots) if roots[name].count > 0
    ]
    ensure(len(listed) <= 0xFFFFFFFF, "INV-T3", "a state has too many collections")
    return listed


def state_root(roots: Mapping[str, Root]) -> bytes:
    """One hash over every non-empty collection; `len(descriptors(roots))` is n_collections."""
    return list_root(descriptors(roots))


def cash_of(roots: Mapping[str, Root]) -> int:
    """Every cell of the custody sum: accounts with isolated positions, spot balances, pending
    withdrawals. A collection that is empty need not be there (INV-1)."""
    return sum(roots[name].sums[0] for name in CASH_COLLECTIONS if name in roots)
