"""One collection of the state as an annotated compact sparse Merkle tree.

Decides the root of a set of (key, value, sums) and proves what is in it. Never decides what a
key or value means; the bytes that are hashed stand in `proof.py`. The shape, hence the root, is a
function of the set: a leaf sits at the shortest prefix of its path that no other leaf shares, an
inner node has at least two leaves below it, and deleting a leaf lifts a lone sibling.

Changes wait in a dict until `commit`, which hashes each touched leaf and inner node once,
whatever happened to it in between. Loops instead of recursion: a path may be 256 deep.

Source: audit-log-and-consensus 5.2, 5.4, 5.5.
"""

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Union

from chainperp.base.errors import InvariantBroken, ensure
from chainperp.base.hashing import ZERO32
from chainperp.state.proof import (
    ABSENT_EMPTY,
    ABSENT_OTHER,
    COLUMNS_MAX,
    PRESENT,
    Root,
    add_annotations,
    annotation_struct,
    bit_at,
    decode_summary,
    encode_annotation,
    leaf_summary,
    path_prefix,
    value_hash,
)


class Leaf:
    """One pair. `summary` is the node's form in its parent: h32 || ann. Its path is hashed anew
    where it is needed: kept, it would be a seventh of a tree's memory."""

    __slots__ = ("key", "summary", "value")

    def __init__(self, key: bytes, value: bytes, summary: bytes) -> None:
        self.key: bytes = key
        self.value: bytes = value
        self.summary: bytes = summary


class Inner:
    """Two children, at least two leaves. `summary` is empty while something below has changed."""

    __slots__ = ("left", "right", "summary")

    def __init__(self) -> None:
        self.left: Node | None = None
        self.right: Node | None = None
        self.summary: bytes = b""


Node = Union[Leaf, Inner]  # noqa: UP007 - a string in `|` form is not evaluable at run time


class Tree:
    """A collection. Changes are seen at once by `get`; they reach the root at `commit`."""

    __slots__ = ("_count", "_empty", "_layout", "_prefix", "_top", "_waiting", "columns", "name")

    def __init__(self, name: str, columns: int) -> None:
        ensure(0 <= columns <= COLUMNS_MAX, "INV-T1", "too many columns", columns=columns)
        self.name: str = name
        self.columns: int = columns
        self._prefix: bytes = path_prefix(name)
        self._layout: Struct = annotation_struct(columns)
        self._empty: bytes = ZERO32 + bytes(8 + 16 * columns)
        self._top: Node | None = None
        self._count: int = 0
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
        self._waiting[key] = None

    def get(self, key: bytes) -> bytes | None:
        """Value of a key now, committed or not; None when absent."""
        if key in self._waiting:
            change = self._waiting[key]
            return None if change is None else change[0]
        node, _depth = self._descend(self._path(key))
        if type(node) is Leaf and node.key == key:
            return node.value
        return None

    def __len__(self) -> int:
        """Number of keys now."""
        self._apply()
        return self._count

    def commit(self) -> Root:
        """Bring every change into the tree and return its root."""
        self._apply()
        top = self._top
        if type(top) is Inner and not top.summary:
            self._rehash(top)
        return decode_summary(self._empty if top is None else top.summary)

    def _apply(self) -> None:
        """Bring every change into the tree's shape; inner nodes above it lose their summary."""
        waiting = self._waiting
        self._waiting = {}
        for key, change in waiting.items():
            path = self._path(key)
            if change is None:
                self._remove(key, path)
            else:
                leaf = Leaf(key, change[0], leaf_summary(path, change[0], change[1]))
                self._place(leaf, path)

    def items(self) -> Iterator[tuple[bytes, bytes, tuple[int, ...]]]:
        """Every (key, value, sums), committed, in path order: the order of a snapshot."""
        for leaf in self.leaves():
            yield leaf.key, leaf.value, decode_summary(leaf.summary).sums

    def leaves(self) -> Iterator[Leaf]:
        """Every leaf, committed, in path order. To read: changes go through `set`."""
        self.commit()
        stack = [] if self._top is None else [self._top]
        while stack:
            node = stack.pop()
            if type(node) is Leaf:
                yield node
            elif type(node) is Inner:
                if node.right is not None:
                    stack.append(node.right)
                if node.left is not None:
                    stack.append(node.left)

    def prove(self, key: bytes) -> bytes:
        """Proof that the key is in the committed tree with its value, or is not in it.

        Commits first, so that the proof belongs to the root `commit` returns now.
        """
        self.commit()
        path = self._path(key)
        siblings: list[bytes] = []
        bitmap = 0
        node = self._top
        while type(node) is Inner:
            goes_right = bit_at(path, len(siblings))
            other = node.left if goes_right else node.right
            siblings.append(b"" if other is None else other.summary)
            bitmap = (bitmap << 1) | (other is not None)
            node = node.right if goes_right else node.left
        depth = len(siblings)
        kind, tail = PRESENT, b""
        if node is None:
            kind = ABSENT_EMPTY
        elif type(node) is Leaf and node.key != key:
            kind = ABSENT_OTHER
            tail = self._path(node.key) + node.summary[32:] + value_hash(node.value)
        width = (depth + 7) >> 3
        packed = (bitmap << ((width << 3) - depth)).to_bytes(width, "big")
        head = bytes((kind,)) + depth.to_bytes(2, "big")
        return b"".join((head, packed, *siblings, tail))

    def _path(self, key: bytes) -> bytes:
        return sha256(self._prefix + key).digest()

    def _descend(self, path: bytes) -> tuple[Node | None, int]:
        """Node at the end of a path, with its depth; nothing changes."""
        node = self._top
        depth = 0
        while type(node) is Inner:
            node = node.right if bit_at(path, depth) else node.left
            depth += 1
        return node, depth

    def _place(self, leaf: Leaf, path: bytes) -> None:
        """Put a leaf where its path ends; a different leaf there is pushed down."""
        node = self._top
        parent: Inner | None = None
        depth = 0
        goes_right = 0
        while type(node) is Inner:
            node.summary = b""
            parent = node
            goes_right = (path[depth >> 3] >> (7 - (depth & 7))) & 1
            node = node.right if goes_right else node.left
            depth += 1
        if type(node) is Leaf and node.key == leaf.key:
            self._hang(parent, goes_right, leaf)
            return
        self._count += 1
        child: Node = leaf
        if type(node) is Leaf:
            child = _fork((node, self._path(node.key)), (leaf, path), depth)
        self._hang(parent, goes_right, child)

    def _hang(self, parent: Inner | None, goes_right: int, child: Node | None) -> None:
        if parent is None:
            self._top = child
        elif goes_right:
            parent.right = child
        else:
            parent.left = child

    def _remove(self, key: bytes, path: bytes) -> None:
        """Take a leaf out and lift a lone sibling to the shortest prefix that is its own."""
        found, depth = self._descend(path)
        if type(found) is not Leaf or found.key != key:
            return
        self._count -= 1
        parents: list[Inner] = []
        node = self._top
        while type(node) is Inner:
            node.summary = b""
            parents.append(node)
            node = node.right if bit_at(path, len(parents) - 1) else node.left
        lifted: Node | None = None
        while parents:
            depth = len(parents) - 1
            parent = parents.pop()
            goes_right = bit_at(path, depth)
            other = parent.left if goes_right else parent.right
            # A node that keeps two or more leaves stays; one that keeps a single leaf becomes it.
            if type(other) is Inner or (lifted is not None and other is not None):
                self._hang(parent, goes_right, lifted)
                return
            lifted = other if lifted is None else lifted
        self._top = lifted

    def _rehash(self, top: Inner) -> None:
        """Give every changed inner node its summary, children before parents."""
        order: list[Inner] = []
        stack = [top]
        while stack:
            node = stack.pop()
            order.append(node)
            left = node.left
            right = node.right
            if type(left) is Inner and not left.summary:
                stack.append(left)
            if type(right) is Inner and not right.summary:
                stack.append(right)
        empty = self._empty
        layout = self._layout
        order.reverse()
        try:
            for node in order:
                left = node.left
                right = node.right
                mine = empty if left is None else left.summary
                other = empty if right is None else right.summary
                node.summary = sha256(b"\x11" + mine + other).digest() + add_annotations(
                    layout, mine, other
                )
        except StructError as error:
            raise InvariantBroken(
                "INV-T2", f"a sum of collection {self.name} leaves i128"
            ) from error


def _fork(one: tuple[Leaf, bytes], other: tuple[Leaf, bytes], depth: int) -> Inner:
    """The smallest subtree at `depth` in which two leaves stand apart, each with its path."""
    old, old_path = one
    new, new_path = other
    top = Inner()
    node = top
    while True:
        old_right = bit_at(old_path, depth)
        new_right = bit_at(new_path, depth)
        if old_right != new_right:
            node.left, node.right = (new, old) if old_right else (old, new)
            return top
        below = Inner()
        if new_right:
            node.right = below
        else:
            node.left = below
        node = below
        depth += 1
