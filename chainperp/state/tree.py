"""One collection of the state as an annotated compact sparse Merkle tree.

Decides the root of a set of (key, value, sums) and proves what is in it. Never decides what a
key or value means; the bytes that are hashed stand in `proof.py`. The shape, hence the root, is a
function of the set: a leaf sits at the shortest prefix of its path that no other leaf shares, an
inner node has at least two leaves below it, and deleting a leaf lifts a lone sibling.

Changes wait in a dict until `commit`, which takes them in the order of their paths and hashes an
inner node when it has left it for good: each touched one once, whatever happened to it in between.
Loops instead of recursion: a path may be 256 deep.

Source: audit-log-and-consensus 5.2, 5.4, 5.5.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final

from chainperp.base.errors import InvalidBytes, InvariantBroken, ensure
from chainperp.state.nodes import DEPTH_LAST, NO_DEPTH, NOTHING, Nodes
from chainperp.state.proof import (
    ABSENT_EMPTY,
    ABSENT_OTHER,
    COLUMNS_MAX,
    PATH_BITS,
    PRESENT,
    Root,
    decode_summary,
    encode_annotation,
    leaf_summary,
    path_prefix,
    value_hash,
)

LENGTH: Final = Struct(">I")


class Tree:
    """A collection. Changes are seen at once by `get`; they reach the root at `commit`."""

    __slots__ = (
        "_count", "_free", "_nodes", "_prefix", "_root", "_rows", "_waiting", "columns", "name",
    )  # fmt: skip

    def __init__(self, name: str, columns: int) -> None:
        ensure(0 <= columns <= COLUMNS_MAX, "INV-T1", "too many columns", columns=columns)
        self.name: str = name
        self.columns: int = columns
        self._prefix: bytes = path_prefix(name)
        self._nodes: Nodes = Nodes(columns, 0)
        self._count: int = 0
        # Root of what is in the tree, once somebody has asked: most trees are as they were.
        self._root: Root | None = None
        # By leaf: u32 length || key || u32 length || value, as a snapshot has them. A leaf's path
        # is hashed anew where it is needed: kept, it would be a tenth of a tree's memory.
        self._rows: list[bytes] = []
        self._free: list[int] = []
        # key -> (value, annotation), or None for a deletion, in order of first change.
        self._waiting: dict[bytes, tuple[bytes, bytes] | None] = {}

    def set(self, key: bytes, value: bytes, sums: tuple[int, ...]) -> None:
        """Give a key a value and its amounts, one per column."""
        ensure(
            len(sums) == self.columns,
            "INV-T1",
            f"collection {self.name} was given the wrong number of sums",
            columns=self.columns,
            sums=len(sums),
        )
        try:
            annotation = encode_annotation(1, sums)
        except OverflowError as error:
            raise InvariantBroken(
                "INV-T2", f"an amount of {self.name} leaves i128", key=key.hex(), sums=sums
            ) from error
        self._waiting[key] = (value, annotation)

    def delete(self, key: bytes) -> None:
        """Remove a key; the absence of an absent key is no change."""
        if self.get(key) is not None:
            self._waiting[key] = None

    def get(self, key: bytes) -> bytes | None:
        """Value of a key now, committed or not; None when absent."""
        if key in self._waiting:
            change = self._waiting[key]
            return None if change is None else change[0]
        children, depths = self._nodes.children, self._nodes.depths
        path = self._path(key)
        node = children[0]
        while node > 0:
            node = children[2 * node + ((path >> (DEPTH_LAST - depths[node])) & 1)]
        if node != NOTHING and self._rows[-1 - node].startswith(_head(key)):
            return self._rows[-1 - node][len(key) + 8 :]
        return None

    def __len__(self) -> int:
        """Number of keys now."""
        self._apply()
        return self._count

    def commit(self) -> Root:
        """Bring every change into the tree and return its root."""
        self._apply()
        root = self._root
        if root is None:
            self._root = root = decode_summary(self._nodes.summary(0))
        return root

    def load(self, rows: list[bytes], annotations: Sequence[bytes]) -> None:
        """Fill an empty tree with its leaves at once, each a row and its annotation; takes the list
        of rows over. A node is hashed when the last leaf below it has been seen.

        Raises: InvalidBytes when the rows are not in path order, or one stands twice.
        """
        ensure(not self._rows, "INV-T1", "a tree that has leaves is not loaded", name=self.name)
        self._rows = rows
        self._root = None
        self._count = len(rows)
        self._nodes = nodes = Nodes(self.columns, len(rows))
        prefix, depths = self._prefix, nodes.depths
        # Nodes whose right side is not complete, from the top. What comes next is on that side.
        pending: list[int] = []
        last = -1
        number = 0
        child, summary = NOTHING, nodes.empty  # the last leaf, which has no slot yet
        try:
            for row, annotation in zip(rows, annotations, strict=True):
                end = 4 + int.from_bytes(row[:4], "big")
                digest = sha256(prefix + row[4:end]).digest()
                path = int.from_bytes(digest, "big")
                if path <= last:
                    raise InvalidBytes(f"leaf {number} of {self.name} is out of order")
                if number:
                    depth = _parting(last, path)
                    if pending and depths[pending[-1]] > depth:
                        child, summary = _close(nodes, pending, depth, last, child, summary)
                    depths[number] = depth
                    nodes.put(2 * number, child, summary)
                    nodes.children[2 * pending[-1] + 1 if pending else 0] = number
                    pending.append(number)
                number += 1
                last = path
                child, summary = -number, leaf_summary(digest, row[end + 4 :], annotation)
            if pending:
                child, summary = _close(nodes, pending, NO_DEPTH, last, child, summary)
            nodes.put(0, child, summary)
        except StructError as error:
            raise self._overflow() from error

    def items(self) -> Iterator[tuple[bytes, bytes, tuple[int, ...]]]:
        """Every (key, value, sums), committed, in path order: the order of a snapshot."""
        self.commit()
        nodes = self._nodes
        for slot in nodes.leaf_slots():
            row = self._rows[-1 - nodes.children[slot]]
            end = 4 + int.from_bytes(row[:4], "big")
            yield row[4:end], row[end + 4 :], decode_summary(nodes.summary(slot)).sums

    def rows(self) -> list[bytes]:
        """Every leaf, committed, in path order: u32 length || key || u32 length || value."""
        self.commit()
        children = self._nodes.children
        return [self._rows[-1 - children[slot]] for slot in self._nodes.leaf_slots()]

    def prove(self, key: bytes) -> bytes:
        """Proof that the key is in the committed tree with its value, or is not in it.

        Commits first, so that the proof belongs to the root `commit` returns now.
        """
        self.commit()
        nodes = self._nodes
        path = self._path(key)
        slots = self._slots_to(path)
        leaf = nodes.children[slots[-1]]
        levels = [nodes.depths[slot >> 1] for slot in slots[1:]]
        siblings = [nodes.summary(slot ^ 1) for slot in slots[1:]]
        if leaf == NOTHING:
            return _encode_proof(ABSENT_EMPTY, 0, levels, siblings, b"")
        row = self._rows[-1 - leaf]
        found = self._path_of(row)
        parting = _parting(path, found)
        shared = len([level for level in levels if level < parting])
        if shared < len(levels):
            # The path ends on the empty side of a node that is left out.
            beside = nodes.encoded(nodes.children[slots[shared]], parting, found)
            levels = [*levels[:shared], parting]
            siblings = [*siblings[:shared], beside]
            return _encode_proof(ABSENT_EMPTY, parting + 1, levels, siblings, b"")
        depth = levels[-1] + 1 if levels else 0
        if parting == PATH_BITS:
            return _encode_proof(PRESENT, depth, levels, siblings, b"")
        value = row[8 + int.from_bytes(row[:4], "big") :]
        tail = found.to_bytes(32, "big") + nodes.summary(slots[-1])[32:] + value_hash(value)
        return _encode_proof(ABSENT_OTHER, depth, levels, siblings, tail)

    def _overflow(self) -> InvariantBroken:
        return InvariantBroken("INV-T2", f"a sum of collection {self.name} leaves i128")

    def _path(self, key: bytes) -> int:
        return int.from_bytes(sha256(self._prefix + key).digest(), "big")

    def _path_of(self, row: bytes) -> int:
        return self._path(row[4 : 4 + int.from_bytes(row[:4], "big")])

    def _path_below(self, node: int) -> int:
        """Path of some leaf below a node: down to its depth all are the same."""
        child = node
        while child > 0:
            child = self._nodes.children[2 * child]
        return self._path_of(self._rows[-1 - child])

    def _slots_to(self, path: int) -> list[int]:
        """Slot 0 and every further one on the way to the leaf at which a path ends."""
        children, depths = self._nodes.children, self._nodes.depths
        slots = [0]
        node = children[0]
        while node > 0:
            slot = 2 * node + ((path >> (DEPTH_LAST - depths[node])) & 1)
            slots.append(slot)
            node = children[slot]
        return slots

    def _apply(self) -> None:
        """Bring every change into the tree."""
        waiting = self._waiting
        if not waiting:
            return
        self._waiting = {}
        self._root = None
        prefix = self._prefix
        nodes = self._nodes
        children, depths = nodes.children, nodes.depths
        # Slots of the nodes above the last leaf, from the top, and its path.
        climb: list[int] = []
        last = 0
        try:
            for digest, key in sorted([(sha256(prefix + key).digest(), key) for key in waiting]):
                path = int.from_bytes(digest, "big")
                nodes.leave(climb, _parting(last, path), last)
                slot = self._below(climb, path)
                node = children[slot]
                while node > 0:
                    climb.append(slot)
                    slot = 2 * node + ((path >> (DEPTH_LAST - depths[node])) & 1)
                    node = children[slot]
                change = waiting[key]
                if change is None:
                    last = self._remove(climb, slot, _head(key), path)
                else:
                    value, annotation = change
                    summary = leaf_summary(digest, value, annotation)
                    self._place(climb, slot, key, value, summary, path)
                    last = path
            nodes.leave(climb, NO_DEPTH, last)
        except StructError as error:
            raise self._overflow() from error

    def _below(self, climb: list[int], path: int) -> int:
        """Slot by which a path goes on below a climb."""
        if not climb:
            return 0
        node = self._nodes.children[climb[-1]]
        return 2 * node + ((path >> (DEPTH_LAST - self._nodes.depths[node])) & 1)

    def _place(
        self, climb: list[int], slot: int, key: bytes, value: bytes, summary: bytes, path: int
    ) -> None:
        """Put a leaf into the slot at which its path ends; a different leaf there, and what lies
        with it on the other side of the bit that parts them, gets a node in between."""
        nodes = self._nodes
        head = _head(key)
        row = b"".join((head, LENGTH.pack(len(value)), value))
        leaf = nodes.children[slot]
        if leaf == NOTHING:
            self._count = 1
            nodes.put(0, self._new_leaf(row), summary)
            return
        there = self._rows[-1 - leaf]
        if there.startswith(head):
            self._rows[-1 - leaf] = row
            nodes.put(slot, leaf, summary)
            return
        self._count += 1
        other = self._path_of(there)
        depth = _parting(path, other)
        nodes.leave(climb, depth, other)
        slot = self._below(climb, path)
        fresh = nodes.take(depth)
        place = 2 * fresh + ((path >> (DEPTH_LAST - depth)) & 1)
        nodes.put(place, self._new_leaf(row), summary)
        beside = nodes.children[slot]
        nodes.put(place ^ 1, beside, nodes.summary(slot))
        nodes.children[slot] = fresh
        if beside > 0:
            nodes.rehash(place ^ 1, depth, other)
        climb.append(slot)

    def _remove(self, climb: list[int], slot: int, head: bytes, path: int) -> int:
        """Take a leaf out, and the node that parted it: what was beside it takes its place. The
        path that the climb belongs to: that of another leaf, when this one is not there."""
        nodes = self._nodes
        leaf = nodes.children[slot]
        if leaf == NOTHING:
            return path
        if not self._rows[-1 - leaf].startswith(head):
            return self._path_of(self._rows[-1 - leaf])
        self._count -= 1
        self._rows[-1 - leaf] = b""
        self._free.append(leaf)
        if slot == 0:
            nodes.put(0, NOTHING, nodes.empty)
            return path
        above = climb.pop()
        beside = nodes.children[slot ^ 1]
        nodes.put(above, beside, nodes.summary(slot ^ 1))
        nodes.drop(slot >> 1)
        if beside > 0:
            floor = nodes.depths[above >> 1] if above else NO_DEPTH
            nodes.rehash(above, floor, self._path_below(beside))
        return path

    def _new_leaf(self, row: bytes) -> int:
        """A leaf, as it stands in a slot."""
        if self._free:
            leaf = self._free.pop()
            self._rows[-1 - leaf] = row
            return leaf
        self._rows.append(row)
        return -len(self._rows)


def _head(key: bytes) -> bytes:
    """How the row of a key begins. No row of another key begins so."""
    return LENGTH.pack(len(key)) + key


def _parting(one: int, other: int) -> int:
    """Depth of the first bit in which two paths differ, PATH_BITS when there is none."""
    return PATH_BITS - (one ^ other).bit_length()


def _close(
    nodes: Nodes, pending: list[int], depth: int, path: int, child: int, summary: bytes
) -> tuple[int, bytes]:
    """Hash the pending nodes that are deeper than `depth`, the last of which has this right child;
    what then takes that child's place."""
    slot = 2 * pending[-1] + 1
    nodes.put(slot, child, summary)
    while pending and nodes.depths[pending[-1]] > depth:
        pending.pop()
        slot = 2 * pending[-1] + 1 if pending else 0
        above = nodes.depths[pending[-1]] if pending else NO_DEPTH
        nodes.rehash(slot, max(above, depth), path)
    return nodes.children[slot], nodes.summary(slot)


def _encode_proof(
    kind: int, depth: int, levels: list[int], siblings: list[bytes], tail: bytes
) -> bytes:
    """Bytes of a proof. `levels` are the depths of the nodes above that have two sides."""
    bitmap = 0
    for level in levels:
        bitmap |= 1 << (depth - 1 - level)
    width = (depth + 7) >> 3
    packed = (bitmap << ((width << 3) - depth)).to_bytes(width, "big")
    head = bytes((kind,)) + depth.to_bytes(2, "big")
    return b"".join((head, packed, *siblings, tail))
