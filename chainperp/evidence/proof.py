"""Proofs that travel: an entry with its way to a checkpoint, a collection with its way to a state.

Decides the bytes of a `.tlog-proof` file and what the absence of a collection must show. Never
decides whom to trust: the checkpoint inside a file is checked by `checkpoint.read_checkpoint`.

    c2sp.org/tlog-proof@v1
    extra <base64>                 optional: the entry itself
    index <decimal>
    <base64 hash>                  leaf side first, one line each
    (blank line)
    <checkpoint note>

Source: C2SP tlog-proof v1; audit-log-and-consensus 5.3, 9.1, 9.2.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import EMPTY_LOG_ROOT, leaf_hash
from chainperp.evidence.checkpoint import Checkpoint
from chainperp.evidence.merkle import PROOF_MAX, verify_inclusion
from chainperp.evidence.note import decode_base64, decode_hash, parse_count
from chainperp.state.proof import Root
from chainperp.state.root import decode_descriptor, encode_descriptor

HEADER: Final = b"c2sp.org/tlog-proof@v1"
FILE_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogProof:
    """An entry's place in the log. `extra` is untrusted until it hashes to the proven leaf."""

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None


@dataclass(frozen=True, slots=True)
class ListedDescriptor:
    """One descriptor with its place in the list under a state root."""

    descriptor: bytes
    index: int
    hashes: tuple[bytes, ...]


def encode_log_proof(proof: LogProof) -> bytes:
    """Bytes of a `.tlog-proof` file."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(b"extra " + b64encode(proof.extra))
    lines.append(b"index " + str(proof.index).encode("ascii"))
    lines.extend(b64encode(piece) for piece in proof.hashes)
    return b"\n".join(lines) + b"\n\n" + proof.note


def parse_log_proof(raw: bytes) -> LogProof:
    """Log proof of file bytes. Raises InvalidProof naming the line that is malformed."""
    if len(raw) > FILE_BYTES_MAX:
        raise InvalidProof(f"log proof has {len(raw)} bytes, at most {FILE_BYTES_MAX}")
    head, blank, note = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    if not blank or lines[0] != HEADER:
        raise InvalidProof(f"log proof starts with {lines[0][:40]!r}, expected {HEADER!r}")
    at = 1
    extra: bytes | None = None
    if at < len(lines) and lines[at].startswith(b"extra "):
        extra = decode_base64(lines[at][6:], "log proof extra")
        at += 1
    if at >= len(lines) or not lines[at].startswith(b"index "):
        raise InvalidProof("log proof has no index line")
    index = parse_count(lines[at][6:], "log proof index")
    pieces = lines[at + 1 :]
    if len(pieces) > PROOF_MAX:
        raise InvalidProof(f"log proof has {len(pieces)} hashes, at most {PROOF_MAX}")
    hashes = [decode_hash(piece, f"log proof hash {step}") for step, piece in enumerate(pieces, 1)]
    return LogProof(index, tuple(hashes), note, extra)


def verify_entry(proof: LogProof, checkpoint: Checkpoint, entry: bytes) -> None:
    """An entry is in the log of a checkpoint, at the place the proof gives.

    The checkpoint is the one the caller has read, with its signatures, from `proof.note`.
    Raises: InvalidProof naming the step.
    """
    leaf = leaf_hash(entry)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)


def verify_collection(
    name: str, root: Root, place: ListedDescriptor, state_root: bytes, n_collections: int
) -> None:
    """A collection has this root in a state. Raises InvalidProof naming the step."""
    if place.descriptor != encode_descriptor(name, root):
        raise InvalidProof(f"descriptor is not that of collection {name} with the given root")
    leaf = leaf_hash(place.descriptor)
    verify_inclusion(leaf, place.index, n_collections, place.hashes, state_root)


def verify_collection_absent(
    name: str,
    before: ListedDescriptor | None,
    after: ListedDescriptor | None,
    state_root: bytes,
    n_collections: int,
) -> None:
    """A state has no leaf in a collection: two neighbours in the list leave no room for its name.

    `before` is None only when `after` is the first of the list, `after` only when `before` is the
    last; both only for a state without any collection.
    Raises: InvalidProof naming the step.
    """
    gap = 0 if before is None else before.index + 1
    if gap != (n_collections if after is None else after.index):
        raise InvalidProof(f"absence of {name}: the neighbours are not adjacent")
    if n_collections == 0 and state_root != EMPTY_LOG_ROOT:
        raise InvalidProof(f"absence of {name}: a state without collections has another root")
    wanted = name.encode()
    for place in (before, after):
        if place is not None:
            leaf = leaf_hash(place.descriptor)
            verify_inclusion(leaf, place.index, n_collections, place.hashes, state_root)
    if before is not None and decode_descriptor(before.descriptor)[0].encode() >= wanted:
        raise InvalidProof(f"absence of {name}: the neighbour before does not sort before it")
    if after is not None and decode_descriptor(after.descriptor)[0].encode() <= wanted:
        raise InvalidProof(f"absence of {name}: the neighbour after does not sort after it")
