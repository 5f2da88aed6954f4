"""The liabilities tree: what the exchange owes to each account, in two columns without a sign.

    leaf  SHA-256(20 || address || u128 claim || u128 deficit || SHA-256(account value))
    node  SHA-256(21 || L.h || L.claim || L.deficit || R.h || R.claim || R.deficit)

A negative balance cannot hide in a sum: it stands in the deficit column. Leaves stand by address,
strictly ascending; the tree has the shape of RFC 6962. Source: audit-log-and-consensus 10.3.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple, Self

from chainperp.base.errors import InvalidProof, ensure

SUM_BYTES: Final = 16
NODE_BYTES: Final = 32 + 2 * SUM_BYTES
EMPTY: Final = bytes(32)


class Node(NamedTuple):
    """A subtree: its hash and its two sums in micro-USDC."""

    h: bytes
    claim: int
    deficit: int

    def encode(self) -> bytes:
        """h || u128 claim || u128 deficit. Raises OverflowError when a sum leaves u128."""
        return self.h + self.claim.to_bytes(SUM_BYTES, "big") + self.deficit.to_bytes(
            SUM_BYTES, "big"
        )  # fmt: skip

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Node of its bytes. Raises InvalidProof for a wrong length."""
        if len(raw) != NODE_BYTES:
            raise InvalidProof(f"liabilities node has {len(raw)} bytes, expected {NODE_BYTES}")
        claim = int.from_bytes(raw[32:48], "big")
        return cls(raw[:32], claim, int.from_bytes(raw[48:], "big"))


class Liability(NamedTuple):
    """One account's leaf: at most one of claim and deficit is above zero."""

    address: bytes
    claim: int
    deficit: int
    value_hash: bytes
    """SHA-256 of the account's value in the state tree."""

    @classmethod
    def of(cls, address: bytes, equity: int, value: bytes) -> Self:
        """Leaf of an account that is worth `equity`."""
        return cls(address, max(0, equity), max(0, -equity), sha256(value).digest())

    def node(self) -> Node:
        """The leaf as a subtree."""
        sums = self.claim.to_bytes(SUM_BYTES, "big") + self.deficit.to_bytes(SUM_BYTES, "big")
        bound = sha256(b"\x20" + self.address + sums + self.value_hash).digest()
        return Node(bound, self.claim, self.deficit)


def join(left: Node, right: Node) -> Node:
    """The subtree over two."""
    h = sha256(b"\x21" + left.encode() + right.encode()).digest()
    return Node(h, left.claim + right.claim, left.deficit + right.deficit)


def levels_of(rows: Sequence[Liability]) -> list[list[Node]]:
    """Every level of the tree, leaves first; an odd last node is carried up unchanged."""
    for one, other in pairwise(rows):
        ensure(one.address < other.address, "INV-T1", "liabilities are not in order")
    levels = [[row.node() for row in rows]]
    while len(levels[-1]) > 1:
        level = levels[-1]
        above = [join(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) & 1:
            above.append(level[-1])
        levels.append(above)
    return levels


def liability_root(rows: Sequence[Liability]) -> Node:
    """Root over all accounts; an empty tree owes nothing."""
    return levels_of(rows)[-1][0] if rows else Node(EMPTY, 0, 0)


def prove_liability(rows: Sequence[Liability], index: int) -> list[bytes]:
    """Nodes that lead from a leaf to the root, leaf side first."""
    levels = levels_of(rows)
    found: list[bytes] = []
    at = index
    for level in levels[:-1]:
        if at ^ 1 < len(level):
            found.append(level[at ^ 1].encode())
        at >>= 1
    return found


def verify_liability(row: Liability, index: int, count: int, path: Sequence[bytes]) -> Node:
    """The root that a leaf at an index of a tree of `count` leads to.

    Raises: InvalidProof for an index outside, a path of wrong length, or a sum that leaves u128.
    """
    if not 0 <= index < count:
        raise InvalidProof(f"liabilities: index {index} is outside {count} accounts")
    running = row.node()
    at, last, used = index, count - 1, 0
    while last:
        if at & 1 or at < last:
            if used >= len(path):
                raise InvalidProof(f"liabilities: {len(path)} nodes do not reach the root")
            other = Node.decode(path[used])
            used += 1
            try:
                running = join(other, running) if at & 1 else join(running, other)
            except OverflowError as error:
                raise InvalidProof("liabilities: a sum leaves u128") from error
        at >>= 1
        last >>= 1
    if used != len(path):
        raise InvalidProof(f"liabilities: {len(path)} nodes, needed {used}")
    return running
