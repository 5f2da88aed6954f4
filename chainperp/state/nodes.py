"""The nodes of one tree of the state, in columns: an object for each would be most of a state's
memory.

Inner nodes with one empty side are left out; `lift` hashes them where they are needed. So a tree of
n leaves has n - 1 nodes, and a node of depth d parts its leaves by bit d of their paths: slot
2 * node holds what has a 0 there, slot 2 * node + 1 what has a 1. Slot 0 holds the top; there is no
node 0. In a slot stands a node, NOTHING, or a leaf: leaf number 0 as -1, 1 as -2, and so on.
"""

from array import array
from hashlib import sha256
from struct import Struct
from typing import Final

from chainperp.state.proof import add_fields, pair_struct, summary_struct

NOTHING: Final = 0
NO_DEPTH: Final = -1
DEPTH_LAST: Final = 255
INNER_TAG: Final = b"\x11"


class Nodes:
    """Columns by slot: `children`, and their summaries h32 || ann as they are at the depth below
    the parent. By node: `depths`.

    The summaries of a node's slots lie behind one another after the tag: what it hashes. Paths are
    integers here, the first bit the highest of 256.
    """

    __slots__ = (
        "_free", "_packed", "_pair", "_summary", "_width", "children", "depths",
        "empty",
    )  # fmt: skip

    def __init__(self, columns: int, leaves: int) -> None:
        """Room for so many leaves, without any of them."""
        self._summary: Struct = summary_struct(columns)
        self._pair: Struct = pair_struct(columns)
        self._width: int = 40 + 16 * columns
        self.empty: bytes = bytes(self._width)
        nodes = max(leaves, 1)
        self.children: array[int] = array("i", bytes(4)) * (2 * nodes)
        self._packed: bytearray = bytearray(INNER_TAG + self.empty + self.empty) * nodes
        self.depths: bytearray = bytearray(nodes)
        self._free: list[int] = []

    def put(self, slot: int, child: int, summary: bytes) -> None:
        """Fill a slot."""
        self.children[slot] = child
        at = slot * self._width + (slot >> 1) + 1
        self._packed[at : at + self._width] = summary

    def summary(self, slot: int) -> bytes:
        """Summary of what is in a slot; zeros for nothing."""
        at = slot * self._width + (slot >> 1) + 1
        return bytes(self._packed[at : at + self._width])

    def hashed(self, node: int, floor: int, path: int) -> tuple[bytes, tuple[int, ...]]:
        """Hash and annotation of a node as they are at the depth below `floor`, from what is in its
        slots. `path` is that of some leaf below it."""
        size = 2 * self._width + 1
        at = node * size
        found = sha256(self._packed[at : at + size]).digest()
        fields = add_fields(self._pair.unpack_from(self._packed, at))
        for level in range(self.depths[node] - 1, floor, -1):
            # A node that is left out: its other side is empty.
            summary = self._summary.pack(found, *fields)
            is_right = (path >> (DEPTH_LAST - level)) & 1
            pair = self.empty + summary if is_right else summary + self.empty
            found = sha256(INNER_TAG + pair).digest()
        return found, fields

    def encoded(self, node: int, floor: int, path: int) -> bytes:
        """The same as a summary. Raises struct.error when a sum leaves i128."""
        found, fields = self.hashed(node, floor, path)
        return self._summary.pack(found, *fields)

    def rehash(self, slot: int, floor: int, path: int) -> None:
        """Bring the summary of the node in a slot up to date, its parent being at depth `floor`.
        Raises struct.error when a sum leaves i128."""
        found, fields = self.hashed(self.children[slot], floor, path)
        at = slot * self._width + (slot >> 1) + 1
        self._summary.pack_into(self._packed, at, found, *fields)

    def take(self, depth: int) -> int:
        """A new node at a depth, with nothing in its slots that counts."""
        if self._free:
            node = self._free.pop()
            self.depths[node] = depth
            return node
        self.depths.append(depth)
        self.children.extend((NOTHING, NOTHING))
        self._packed += INNER_TAG + self.empty + self.empty
        return len(self.depths) - 1

    def drop(self, node: int) -> None:
        """Let a node be taken again."""
        self._free.append(node)

    def leaf_slots(self) -> list[int]:
        """Slots of all leaves in path order."""
        children = self.children
        found: list[int] = []
        stack = [0]
        while stack:
            slot = stack.pop()
            child = children[slot]
            if child > 0:
                stack.append(2 * child + 1)
                stack.append(2 * child)
            elif child != NOTHING:
                found.append(slot)
        return found

    def leave(self, climb: list[int], depth: int, path: int) -> None:
        """Bring the nodes that are deeper than `depth` up to date and take them off the climb: the
        slots of the nodes above a leaf of this path, from the top. Below them nothing changes any
        more. Raises struct.error when a sum leaves i128."""
        children, depths, packed = self.children, self.depths, self._packed
        width = self._width
        size = 2 * width + 1
        while climb:
            node = children[climb[-1]]
            own = depths[node]
            if own <= depth:
                return
            slot = climb.pop()
            floor = depths[slot >> 1] if slot else NO_DEPTH
            if own > floor + 1:
                self.rehash(slot, floor, path)
                continue
            # What `rehash` does, without a call for each of the many.
            at = node * size
            found = sha256(packed[at : at + size]).digest()
            fields = add_fields(self._pair.unpack_from(packed, at))
            self._summary.pack_into(packed, slot * width + (slot >> 1) + 1, found, *fields)
