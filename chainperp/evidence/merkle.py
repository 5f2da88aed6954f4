"""The append-only tree of RFC 6962: roots, inclusion and consistency.

Decides nothing about entries: it sees leaf hashes only. A log grows through a `Frontier`, the
handful of hashes of its complete subtrees. Proofs are made from a `NodeReader`, a function that
returns the hash of the complete subtree (level, index), which covers the leaves
[index << level, (index + 1) << level). Tiles hold exactly those nodes, so the same two functions
make proofs from memory and from a directory.

Reading a node is not verifying it: whoever receives a proof runs `verify_…` against a signed root.

Source: RFC 6962 section 2.1, RFC 9162 section 2.1; audit-log-and-consensus 4.4.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from chainperp.base import canonical
from chainperp.base.errors import InvalidBytes, InvalidProof, ensure
from chainperp.base.hashing import EMPTY_LOG_ROOT, node_hash
from chainperp.state.root import merkle_root

NodeReader = Callable[[int, int], bytes]

SIZE_MAX: Final = 2**63 - 1
PROOF_MAX: Final = 64
HASH_LENGTH: Final = 32

FRONTIER_SCHEMA: Final[canonical.Schema] = (("size", "u64"), ("hashes", [(("hash", "b32"),)]))


class Frontier:
    """A log's size and the roots of its complete subtrees, largest first.

    Invariant: there is one hash for each one-bit of `size`. This is all that appending and the
    root need, so a snapshot of a log with a million entries is about twenty hashes.
    """

    __slots__ = ("size", "stack")

    def __init__(self) -> None:
        self.size: int = 0
        self.stack: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash. Merges the complete subtrees that it closes."""
        remaining = self.size
        stack = self.stack
        while remaining & 1:
            leaf = sha256(b"\x01" + stack.pop() + leaf).digest()
            remaining >>= 1
        stack.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes in order: what `append` of each gives, level by level."""
        nodes = list(leaves)
        bits = self.size
        self.size += len(nodes)
        single: list[bytes] = []
        while nodes:
            if bits & 1:
                nodes.insert(0, self.stack.pop())
            if len(nodes) & 1:
                single.append(nodes.pop())
            nodes = [
                sha256(b"\x01" + nodes[at] + nodes[at + 1]).digest()
                for at in range(0, len(nodes), 2)
            ]
            bits >>= 1
        self.stack.extend(reversed(single))

    def root(self) -> bytes:
        """Root of the tree of this size."""
        return _fold(self.stack)

    def copy(self) -> "Frontier":
        """An independent frontier of the same log."""
        other = Frontier()
        other.size = self.size
        other.stack = self.stack[:]
        return other

    def encode(self) -> bytes:
        """Canonical bytes for snapshots: u64 size, then the hashes as a list."""
        rows = [{"hash": subtree} for subtree in self.stack]
        return canonical.encode(FRONTIER_SCHEMA, {"size": self.size, "hashes": rows})

    @staticmethod
    def decode(raw: bytes) -> "Frontier":
        """Frontier of canonical bytes. Raises InvalidBytes when hashes and size disagree."""
        record = canonical.decode(FRONTIER_SCHEMA, raw)
        frontier = Frontier()
        frontier.size = record["size"]
        frontier.stack = [row["hash"] for row in record["hashes"]]
        needed = frontier.size.bit_count()
        if len(frontier.stack) != needed:
            raise InvalidBytes(
                f"frontier of size {frontier.size} has {len(frontier.stack)} hashes, "
                f"needed {needed}"
            )
        return frontier


def _fold(subtrees: Sequence[bytes]) -> bytes:
    """Root over complete subtrees of falling size, from right to left."""
    if not subtrees:
        return EMPTY_LOG_ROOT
    folded = subtrees[-1]
    for at in range(len(subtrees) - 2, -1, -1):
        folded = node_hash(subtrees[at], folded)
    return folded


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over a list of leaf hashes."""
    return merkle_root(leaf_hashes)


class CompleteNodes:
    """Every complete subtree over a list of leaf hashes; `node` is a `NodeReader`."""

    __slots__ = ("levels",)

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        level = list(leaf_hashes)
        self.levels: list[list[bytes]] = [level]
        while len(level) > 1:
            level = [
                sha256(b"\x01" + level[at] + level[at + 1]).digest()
                for at in range(0, len(level) - 1, 2)
            ]
            self.levels.append(level)

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree (level, index)."""
        ensure(
            level < len(self.levels) and index < len(self.levels[level]),
            "INV-L1",
            "a proof asked for a subtree that is not complete",
            level=level,
            index=index,
        )
        return self.levels[level][index]


def _split(count: int) -> int:
    """Largest power of two below `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def range_root(node: NodeReader, start: int, end: int) -> bytes:
    """Root over the leaves [start, end), where `start` is a multiple of the range's top subtree."""
    subtrees: list[bytes] = []
    at = start
    while at < end:
        level = (end - at).bit_length() - 1
        subtrees.append(node(level, at >> level))
        at += 1 << level
    return _fold(subtrees)


def root_at(node: NodeReader, size: int) -> bytes:
    """Root of the tree of `size`, from its complete subtrees."""
    return range_root(node, 0, size)


def prove_inclusion(node: NodeReader, index: int, size: int) -> list[bytes]:
    """Hashes that lead from leaf `index` to the root of `size`, leaf side first.

    Raises: InvalidProof when the tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidProof(f"inclusion: index {index} is outside a tree of size {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(node, middle, end))
            end = middle
        else:
            proof.append(range_root(node, start, middle))
            start = middle
    proof.reverse()
    return proof


def prove_consistency(node: NodeReader, old_size: int, new_size: int) -> list[bytes]:
    """Hashes that show the tree of `old_size` to be a prefix of the tree of `new_size`.

    Empty when the sizes are equal or the old tree is empty.
    Raises: InvalidProof when the old size is larger.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidProof(f"consistency: old size {old_size} is above new size {new_size}")
    if old_size in (0, new_size):
        return []
    proof: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(range_root(node, middle, end))
            end = middle
        else:
            proof.append(range_root(node, start, middle))
            start = middle
    # The verifier knows the old root itself, so it is sent only when it is not one whole subtree.
    if start > 0:
        proof.append(range_root(node, start, end))
    proof.reverse()
    return proof


def _check_hashes(what: str, proof: Sequence[bytes]) -> None:
    """Refuse a proof that is too long or holds anything but 32-byte hashes.

    The node hash joins two strings; a 31-byte and a 33-byte one would read as another pair.
    """
    if len(proof) > PROOF_MAX:
        raise InvalidProof(f"{what}: {len(proof)} hashes, at most {PROOF_MAX}")
    for step, piece in enumerate(proof, 1):
        if len(piece) != HASH_LENGTH:
            raise InvalidProof(f"{what} step {step}: hash has {len(piece)} bytes, expected 32")


def _compare(what: str, computed: bytes, claimed: bytes) -> None:
    if computed != claimed:
        raise InvalidProof(f"{what}: computed {computed.hex()}, claimed {claimed.hex()}")


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """A leaf hash is at `index` of the tree with this size and root.

    Raises: InvalidProof naming the step: index outside the tree, a hash of wrong length, a proof
    too long or too short, a root that differs.
    Source: RFC 9162 2.1.3.2.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise InvalidProof(f"inclusion: index {index} is outside a tree of size {size}")
    _check_hashes("inclusion leaf", (leaf,))
    _check_hashes("inclusion", proof)
    place, last, running = index, size - 1, leaf
    for step, piece in enumerate(proof, 1):
        if last == 0:
            raise InvalidProof(
                f"inclusion step {step}: the root is reached, {len(proof)} hashes are too many"
            )
        if place & 1 or place == last:
            running = node_hash(piece, running)
            while not (place & 1 or place == 0):
                place >>= 1
                last >>= 1
        else:
            running = node_hash(running, piece)
        place >>= 1
        last >>= 1
    if last != 0:
        raise InvalidProof(f"inclusion: {len(proof)} hashes do not reach the root of size {size}")
    _compare("inclusion root", running, root)


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """The tree of the old size and root is a prefix of the tree of the new size and root.

    Raises: InvalidProof naming the step: sizes in the wrong order, a hash of wrong length, a
    proof too long, too short or where none belongs, an old or new root that differs.
    Source: RFC 9162 2.1.4.2.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise InvalidProof(f"consistency: old size {old_size} is above new size {new_size}")
    _check_hashes("consistency roots", (old_root, new_root))
    _check_hashes("consistency", proof)
    if old_size in (0, new_size):
        if proof:
            raise InvalidProof(f"consistency: {len(proof)} hashes where none belong")
        expected = new_root if old_size == new_size else EMPTY_LOG_ROOT
        _compare("consistency old root", expected, old_root)
        return
    path = list(proof)
    # An old tree that is one whole subtree is itself the first step.
    if old_size.bit_count() == 1:
        path.insert(0, old_root)
    if not path:
        raise InvalidProof("consistency: the proof is empty")
    _walk_consistency(old_size, new_size, path, old_root, new_root)


def _walk_consistency(
    old_size: int, new_size: int, path: list[bytes], old_root: bytes, new_root: bytes
) -> None:
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    old_running = new_running = path[0]
    for step, piece in enumerate(path[1:], 1):
        if last == 0:
            raise InvalidProof(f"consistency step {step}: the root is reached, hashes remain")
        if place & 1 or place == last:
            old_running = node_hash(piece, old_running)
            new_running = node_hash(piece, new_running)
            while not (place & 1 or place == 0):
                place >>= 1
                last >>= 1
        else:
            new_running = node_hash(new_running, piece)
        place >>= 1
        last >>= 1
    if last != 0:
        raise InvalidProof(f"consistency: hashes do not reach the root of size {new_size}")
    _compare("consistency old root", old_running, old_root)
    _compare("consistency new root", new_running, new_root)
