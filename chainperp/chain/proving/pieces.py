"""Makes the pieces of proofs that `evidence/verifier/pieces.py` reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from chainperp.base.errors import NotFound
from chainperp.base.hashing import leaf_hash
from chainperp.chain.proving.source import BlockAt, Source
from chainperp.evidence.merkle import (
    CompleteNodes,
    NodeReader,
    prove_consistency,
    prove_inclusion,
)
from chainperp.evidence.verifier.bundle import base64_list, base64_text
from chainperp.state.commitment import Committed
from chainperp.state.proof import Root
from chainperp.state.root import descriptors
from chainperp.state.tree import Tree

Part = dict[str, Any]


def note_text(source: Source) -> str:
    """The checkpoint of a proof."""
    return source.note.decode("utf-8")


def entry_piece(source: Source, index: int) -> Part:
    """One log entry with its way to the checkpoint."""
    hashes = prove_inclusion(source.node, index, source.checkpoint.size)
    return {
        "entry": base64_text(source.entry(index)),
        "index": index,
        "inclusion": base64_list(hashes),
    }


def seal_piece(source: Source, block: BlockAt) -> Part:
    """A block's SEAL with its way to the checkpoint."""
    return entry_piece(source, block.seal_index)


def run_piece(source: Source, first: int, entries: Sequence[bytes]) -> Part:
    """Consecutive entries with their way to the checkpoint."""
    end = first + len(entries)
    return {
        "first": first,
        "before": base64_list(subtrees(source.node, first)),
        "entries": base64_list(list(entries)),
        "after": base64_list(prove_consistency(source.node, end, source.checkpoint.size)),
    }


def subtrees(node: NodeReader, size: int) -> list[bytes]:
    """Roots of the complete subtrees of the log's first `size` leaves, largest first."""
    found: list[bytes] = []
    at = 0
    while at < size:
        level = (size - at).bit_length() - 1
        found.append(node(level, at >> level))
        at += 1 << level
    return found


def list_inclusion(rows: Sequence[bytes], index: int) -> list[str]:
    """Way of a row in a list to the list's root."""
    nodes = CompleteNodes([leaf_hash(row) for row in rows])
    return base64_list(prove_inclusion(nodes.node, index, len(rows)))


class StateProver:
    """Makes proofs under one committed state. Everything that is asked for is in `rows`.

    Keys are asked for once or many times; a collection without keys shows its descriptor alone.
    """

    def __init__(self, trees: Mapping[str, Tree], committed: Committed) -> None:
        self._trees = trees
        self._roots: dict[str, Root] = committed.roots
        self._listed = descriptors(committed.roots)
        self._names = sorted(
            (name for name, root in committed.roots.items() if root.count), key=str.encode
        )
        self._asked: dict[str, dict[bytes, bytes | None]] = {}
        self._leaves: dict[str, dict[bytes, Part]] = {}

    def collection(self, name: str) -> None:
        """Show a collection's root."""
        self._asked.setdefault(name, {})
        self._leaves.setdefault(name, {})

    def leaf(self, name: str, key: bytes) -> bytes | None:
        """Show a key; returns its value, None when it is absent."""
        self.collection(name)
        asked = self._asked[name]
        if key not in asked:
            tree = self._trees.get(name)
            asked[key] = None if tree is None else tree.get(key)
            leaf: Part = {"key": base64_text(key)}
            if self._is_listed(name) and tree is not None:
                value = asked[key]
                leaf["value"] = None if value is None else base64_text(value)
                leaf["acsmt_proof"] = base64_text(tree.prove(key))
            self._leaves[name][key] = leaf
        return asked[key]

    def holds(self, name: str, key: bytes) -> bool:
        """Whether a key is there, without showing it."""
        tree = self._trees.get(name)
        return tree is not None and tree.get(key) is not None

    def rows(self) -> list[Part]:
        """The `state` field of a proof."""
        return [
            {"collection": self._descriptor(self._names.index(name)), "leaves": self._sorted(name)}
            if self._is_listed(name)
            else {"name": name, **self._neighbours(name), "leaves": self._sorted(name)}
            for name in sorted(self._asked)
        ]

    def _sorted(self, name: str) -> list[Part]:
        return [self._leaves[name][key] for key in sorted(self._leaves[name])]

    def all_descriptors(self) -> list[bytes]:
        """Descriptors of every collection, in the order of the state root."""
        return self._listed

    def _is_listed(self, name: str) -> bool:
        return name in self._roots and self._roots[name].count > 0

    def _descriptor(self, index: int) -> Part:
        return {
            "descriptor": base64_text(self._listed[index]),
            "index": index,
            "inclusion": list_inclusion(self._listed, index),
        }

    def _neighbours(self, name: str) -> Part:
        gap = sum(1 for other in self._names if other.encode() < name.encode())
        return {
            "before": self._descriptor(gap - 1) if gap else None,
            "after": self._descriptor(gap) if gap < len(self._names) else None,
        }


def nothing(sentence: str) -> NotFound:
    """There is nothing to prove: exit code 3."""
    return NotFound(sentence)
