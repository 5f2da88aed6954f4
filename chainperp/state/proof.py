"""What one hash of a collection commits to, and how a proof against it is checked.

Decides the bytes of paths, leaves and annotations of the state tree, and whether a proof shows
a key with its value, or shows that the key is absent. Holds no tree: an auditor needs this file
and nothing of the machine that made the proof.

    path       = SHA-256(12 || u8 len(name) || name || key)     position, first bit = top
    leaf       : ann = 1 || sums;  h = SHA-256(10 || path || ann || SHA-256(13 || value))
    inner(L,R) : ann = L.ann + R.ann;  h = SHA-256(11 || L.h || L.ann || R.h || R.ann)
    empty      : h = 00 * 32, ann = 0

`ann` is u64 count || one i128 per column. Each hash fixes both children's counts and sums
separately, so no operator can publish a total below the true one.

    proof      = u8 kind (0 present, 1 absent: empty slot, 2 absent: another leaf) || u16 depth
                 || bitmap, bit i = the sibling at depth i + 1 is not empty
                 || those siblings, root side first, each h32 || ann
                 || kind 2 only: the other leaf's path32 || ann || value hash

Source: audit-log-and-consensus 5.2, 5.4.
"""

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final

from chainperp.base.canonical import Reader, pack_i128
from chainperp.base.errors import InvalidBytes, InvalidProof, ensure

PATH_BITS: Final = 256
COLUMNS_MAX: Final = 8
NAME_MAX: Final = 64
LOW64: Final = 2**64 - 1

PRESENT: Final = 0
ABSENT_EMPTY: Final = 1
ABSENT_OTHER: Final = 2


@dataclass(frozen=True, slots=True)
class Root:
    """What a collection commits to: its hash, how many leaves, and the sum of each column."""

    h: bytes
    count: int
    sums: tuple[int, ...]


def encode_name(name: str) -> bytes:
    """Bytes of a collection's name: 1 to 64 characters of ASCII 21-7E."""
    fits = 0 < len(name) <= NAME_MAX and all("\x21" <= letter <= "\x7e" for letter in name)
    ensure(fits, "INV-T1", "a collection name must be 1 to 64 characters of ASCII 21-7E", name=name)
    return name.encode("ascii")


def path_prefix(name: str) -> bytes:
    """What is hashed before the key to give its path."""
    encoded = encode_name(name)
    return bytes((0x12, len(encoded))) + encoded


def value_hash(value: bytes) -> bytes:
    """Hash by which a leaf binds its value."""
    return sha256(b"\x13" + value).digest()


def leaf_summary(path: bytes, value: bytes, annotation: bytes) -> bytes:
    """h32 || ann of a leaf."""
    hashed = sha256(b"\x13" + value).digest()  # `value_hash`, without a call
    return sha256(b"".join((b"\x10", path, annotation, hashed))).digest() + annotation


def bit_at(path: bytes, depth: int) -> int:
    """Bit of a path that chooses the child at this depth; 0 is left."""
    return (path[depth >> 3] >> (7 - (depth & 7))) & 1


def annotation_struct(columns: int) -> Struct:
    """Layout of an annotation: count, then a signed high and an unsigned low half per column."""
    return Struct(">Q" + "qQ" * columns)


def summary_struct(columns: int) -> Struct:
    """Layout of a summary: h32, then its annotation."""
    return Struct(">32sQ" + "qQ" * columns)


def pair_struct(columns: int) -> Struct:
    """Layout of what an inner node hashes, tag and two summaries, without the hashes in it."""
    return Struct(">x" + 2 * ("32xQ" + "qQ" * columns))


def add_annotations(layout: Struct, left: bytes, right: bytes) -> bytes:
    """Sum of two summaries' annotations, field by field.

    Raises: struct.error when a count leaves u64 or a sum leaves i128; it never wraps.
    """
    return layout.pack(*add_fields(layout.unpack_from(left, 32) + layout.unpack_from(right, 32)))


def add_fields(fields: tuple[int, ...]) -> tuple[int, ...]:
    """Fields of the sum of two annotations whose fields stand one after the other. The carry of a
    low half goes to its high half; whether they fit is seen when they are packed."""
    if len(fields) == 6:  # One and two columns are what there is most of.
        low = fields[2] + fields[5]
        return fields[0] + fields[3], fields[1] + fields[4] + (low >> 64), low & LOW64
    if len(fields) == 10:
        low, last = fields[2] + fields[7], fields[4] + fields[9]
        return (
            fields[0] + fields[5], fields[1] + fields[6] + (low >> 64), low & LOW64,
            fields[3] + fields[8] + (last >> 64), last & LOW64,
        )  # fmt: skip
    half = len(fields) >> 1
    sums = [fields[0] + fields[half]]
    for at in range(1, half, 2):
        low = fields[at + 1] + fields[half + at + 1]
        sums.append(fields[at] + fields[half + at] + (low >> 64))
        sums.append(low & LOW64)
    return tuple(sums)


def encode_annotation(count: int, sums: tuple[int, ...]) -> bytes:
    """u64 count || i128 sums. Raises OverflowError when one does not fit."""
    return count.to_bytes(8, "big") + b"".join([pack_i128(amount) for amount in sums])


def decode_summary(summary: bytes) -> Root:
    """Root with the hash, count and sums of a summary."""
    sums = tuple(
        int.from_bytes(summary[at : at + 16], "big", signed=True)
        for at in range(40, len(summary), 16)
    )
    return Root(summary[:32], int.from_bytes(summary[32:40], "big"), sums)


def verify_state_proof(
    name: str,
    root: Root,
    key: bytes,
    value: bytes | None,
    sums: tuple[int, ...],
    proof: bytes,
) -> None:
    """A key has this value and these sums under a collection's root, or (value None) is absent.

    The number of columns is that of the root. A slot holds at most one leaf, so a proof of
    presence and one of absence for the same key cannot both verify.

    Raises: InvalidProof naming the step: wrong form, a kind that does not answer the question,
    a foreign leaf off the path, an inner node with fewer than two leaves, a sum out of range,
    or a root, count or sum that differs.
    Source: audit-log-and-consensus 5.4.
    """
    columns = len(root.sums)
    if len(sums) != (columns if value is not None else 0):
        raise InvalidProof(f"state proof: {len(sums)} sums for {columns} columns of {name}")
    path = sha256(path_prefix(name) + key).digest()
    reader = Reader(proof)
    try:
        kind = reader.unsigned(1)
        siblings = _read_siblings(reader, 40 + 16 * columns)
        start = _start(reader, kind, path, len(siblings), columns, (value, sums))
        reader.finish()
    except InvalidBytes as error:
        raise InvalidProof(f"state proof for {name}: {error}") from error
    _compare_root(name, decode_summary(_climb(path, start, siblings, columns)), root)


def _read_siblings(reader: Reader, width: int) -> list[bytes]:
    """Sibling at each depth below the root, in order; empty ones are all zero."""
    depth = reader.unsigned(2)
    if depth > PATH_BITS:
        raise InvalidProof(f"state proof: depth {depth} is above {PATH_BITS}")
    size = (depth + 7) >> 3
    bitmap = reader.unsigned(size)
    unused = (size << 3) - depth
    if bitmap & ((1 << unused) - 1):
        raise InvalidProof("state proof: unused bits of the bitmap are set")
    bitmap >>= unused
    empty = bytes(width)
    siblings: list[bytes] = []
    for at in range(depth):
        listed = (bitmap >> (depth - 1 - at)) & 1
        sibling = reader.take(width) if listed else empty
        if listed and sibling[32:40] == bytes(8):
            raise InvalidProof(f"state proof: sibling at depth {at + 1} is listed but counts 0")
        siblings.append(sibling)
    return siblings


def _start(
    reader: Reader,
    kind: int,
    path: bytes,
    depth: int,
    columns: int,
    claim: tuple[bytes | None, tuple[int, ...]],
) -> bytes:
    """Summary that must stand at the end of the path for the claim to be true."""
    value, sums = claim
    if (kind == PRESENT) != (value is not None) or kind > ABSENT_OTHER:
        asked = "absence" if value is None else "presence"
        raise InvalidProof(f"state proof: kind {kind} does not show {asked}")
    if value is not None:
        try:
            return leaf_summary(path, value, encode_annotation(1, sums))
        except OverflowError as error:
            raise InvalidProof(f"state proof: sums {sums} leave i128") from error
    if kind == ABSENT_EMPTY:
        return bytes(40 + 16 * columns)
    other = reader.take(32)
    annotation = reader.take(8 + 16 * columns)
    hashed = reader.take(32)
    if other == path:
        raise InvalidProof("state proof: the other leaf is the key itself")
    if int.from_bytes(annotation[:8], "big") != 1:
        raise InvalidProof("state proof: the other leaf does not count 1")
    shift = PATH_BITS - depth
    if int.from_bytes(other, "big") >> shift != int.from_bytes(path, "big") >> shift:
        raise InvalidProof(f"state proof: the other leaf leaves the path within {depth} bits")
    return sha256(b"\x10" + other + annotation + hashed).digest() + annotation


def _climb(path: bytes, start: bytes, siblings: list[bytes], columns: int) -> bytes:
    """Summary of the root above a slot. Raises InvalidProof for a node that cannot exist."""
    layout = annotation_struct(columns)
    running = start
    for depth in range(len(siblings) - 1, -1, -1):
        sibling = siblings[depth]
        left, right = (sibling, running) if bit_at(path, depth) else (running, sibling)
        try:
            annotation = add_annotations(layout, left, right)
        except StructError as error:
            raise InvalidProof(f"state proof: a sum at depth {depth} leaves i128") from error
        if int.from_bytes(annotation[:8], "big") < 2:
            raise InvalidProof(f"state proof: inner node at depth {depth} has fewer than 2 leaves")
        running = sha256(b"\x11" + left + right).digest() + annotation
    return running


def _compare_root(name: str, computed: Root, claimed: Root) -> None:
    if computed.count != claimed.count or computed.sums != claimed.sums:
        raise InvalidProof(
            f"state proof root of {name}: computed count {computed.count} sums {computed.sums}, "
            f"claimed count {claimed.count} sums {claimed.sums}"
        )
    if computed.h != claimed.h:
        raise InvalidProof(
            f"state proof root of {name}: computed {computed.h.hex()}, claimed {claimed.h.hex()}"
        )
