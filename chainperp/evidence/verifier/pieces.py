"""The pieces that proofs are built of: an entry, a run of entries, a SEAL, a part of the state.

Each is read from a proof file and checked against what was proven before it; what comes back has
been verified and nothing else.

    entry  {entry, index, inclusion}                     one log entry, its way to the checkpoint
    run    {first, entries, before, after}               consecutive entries: `before` are the
           roots of the complete subtrees of the log before them, `after` the consistency proof
           from the log that ends with them to the checkpoint
    state  [{collection, leaves}]                        leaves {key, value or null, acsmt_proof}
           under the collection's descriptor {descriptor, index, inclusion}; for a collection that
           is not in the state: {name, before, after, leaves: [{key}]}

Source: audit-log-and-consensus 4.3, 4.4, 5.3, 5.4, 9.2.
"""

from typing import Final, Protocol

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.evidence.checkpoint import Checkpoint
from chainperp.evidence.merkle import Frontier, verify_consistency, verify_inclusion
from chainperp.evidence.proof import (
    ListedDescriptor,
    verify_collection,
    verify_collection_absent,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.steps import Steps
from chainperp.model.decisions import Kind
from chainperp.model.entries import Entry, decode_entry, decode_payload
from chainperp.state.proof import NAME_MAX, Root, verify_state_proof
from chainperp.state.root import decode_descriptor
from chainperp.state.schemas import schema_of

RUN_MAX: Final = 20_000


class Placed:
    """A log entry that was proven to stand at an index."""

    __slots__ = ("entry", "fields", "index", "raw")

    def __init__(self, raw: bytes, index: int) -> None:
        self.raw = raw
        self.index = index
        self.entry: Entry = decode_entry(raw)
        self.fields: Record = decode_payload(self.entry)

    @property
    def kind(self) -> Kind:
        """Kind of the entry."""
        return self.entry.kind

    @property
    def height(self) -> int:
        """Block of the entry."""
        return self.entry.height

    def expect(self, kind: Kind) -> "Placed":
        """Itself, when it is of a kind. Raises InvalidProof naming both."""
        if self.entry.kind is not kind:
            raise InvalidProof(
                f"entry {self.index} is a {self.entry.kind.name}, expected {kind.name}"
            )
        return self


def read_entry(steps: Steps, fields: Fields, checkpoint: Checkpoint, name: str) -> Placed:
    """One entry, included in the log of the checkpoint."""
    steps.begin(f"{name} included")
    raw, index = fields.raw("entry"), fields.count("index")
    hashes = fields.hashes("inclusion")
    fields.finish()
    verify_inclusion(leaf_hash(raw), index, checkpoint.size, hashes, checkpoint.root)
    placed = Placed(raw, index)
    steps.done(f"{placed.kind.name} of block {placed.height} at log index {index}")
    return placed


def read_run(steps: Steps, fields: Fields, checkpoint: Checkpoint, name: str) -> list[Placed]:
    """Consecutive entries, none left out, included in the log of the checkpoint."""
    steps.begin(f"{name} included")
    frontier = Frontier()
    frontier.size = first = fields.count("first")
    frontier.stack = fields.hashes("before")
    if len(frontier.stack) != first.bit_count():
        raise InvalidProof(
            f"run: {len(frontier.stack)} subtrees before index {first}, "
            f"expected {first.bit_count()}"
        )
    entries = fields.raws("entries", RUN_MAX)
    after = fields.hashes("after")
    fields.finish()
    if not entries:
        raise InvalidProof("run: it has no entries")
    frontier.extend([leaf_hash(raw) for raw in entries])
    size, root = checkpoint.size, checkpoint.root
    verify_consistency(frontier.size, size, frontier.root(), root, after)
    placed = [Placed(raw, first + at) for at, raw in enumerate(entries)]
    kinds = placed[0].kind.name if len(placed) == 1 else f"{placed[0].kind.name} and what follows"
    steps.done(f"{kinds}, log index {first} to {frontier.size - 1}")
    return placed


def read_seal(steps: Steps, fields: Fields, checkpoint: Checkpoint) -> Placed:
    """A block's SEAL, included in the log, with its own arithmetic in order."""
    seal = read_entry(steps, fields, checkpoint, "SEAL").expect(Kind.SEAL)
    steps.begin("SEAL arithmetic")
    found = seal.fields
    if found["first_index"] + found["n_entries"] != seal.index:
        raise InvalidProof(
            f"SEAL at {seal.index} says its block has {found['n_entries']} entries from "
            f"{found['first_index']} on"
        )
    if found["cash_sum"] - found["entry_sum"] != found["custody"]:
        raise InvalidProof(
            f"cash {found['cash_sum']} less entry {found['entry_sum']} is not custody "
            f"{found['custody']}"
        )
    steps.done(f"block {seal.height}: cash_sum - entry_sum = custody = {found['custody']}")
    return seal


def check_of_block(placed: Placed, seal: Placed) -> None:
    """An entry belongs to the block of a SEAL. Raises InvalidProof."""
    first = seal.fields["first_index"]
    if placed.height != seal.height or not first <= placed.index < seal.index:
        raise InvalidProof(
            f"entry {placed.index} of block {placed.height} is not in block {seal.height}, "
            f"entries {first} to {seal.index}"
        )


class Leaves(Protocol):
    """A state that can be asked for leaves: what was proven of it, or all of it in memory."""

    def shows(self, collection: str, key: bytes) -> bool:
        """Whether a key may be asked for."""

    def record(self, collection: str, key: bytes) -> Record | None:
        """Named fields of a key's value, None when it is absent."""

    def root(self, collection: str) -> Root | None:
        """Root of a collection, None when it is empty."""

    def finish(self) -> None:
        """Refuse what was shown and not read."""


class StateView:
    """Leaves that were proven under one state root; whatever was not proven cannot be read."""

    __slots__ = ("collections", "name", "roots", "state_root", "unread", "values")

    def __init__(self, name: str, state_root: bytes, collections: int) -> None:
        self.name = name
        self.state_root = state_root
        self.collections = collections
        self.values: dict[tuple[str, bytes], bytes | None] = {}
        self.roots: dict[str, Root | None] = {}
        self.unread: dict[str, None] = {}

    def shows(self, collection: str, key: bytes) -> bool:
        """Whether a key was shown, present or absent."""
        return (collection, key) in self.values

    def value(self, collection: str, key: bytes) -> bytes | None:
        """Value of a key, None when its absence was proven. Raises InvalidProof otherwise."""
        if (collection, key) not in self.values:
            raise InvalidProof(f"{self.name} does not show key {key.hex()} of {collection}")
        self.unread.pop(f"key {key.hex()} of {collection}", None)
        return self.values[collection, key]

    def record(self, collection: str, key: bytes) -> Record | None:
        """Named fields of a key's value, None when its absence was proven."""
        value = self.value(collection, key)
        if value is None:
            return None
        return canonical.decode(schema_of(collection), value)

    def root(self, collection: str) -> Root | None:
        """Root of a collection, None when it was proven to be empty. Raises InvalidProof."""
        if collection not in self.roots:
            raise InvalidProof(f"{self.name} does not show collection {collection}")
        self.unread.pop(f"collection {collection}", None)
        return self.roots[collection]

    def finish(self) -> None:
        """Refuse what no step has read: a proof carries nothing that it does not need."""
        if self.unread:
            raise InvalidProof(
                f"{self.name} also shows {next(iter(self.unread))}, which no step uses"
            )


# The field that other collections sum, by family.
SUMMED: Final = {
    "wd": "amount",
    "spot": "total",
    "token": "circulating",
    "ref": "unclaimed",
    "vault": "shares",
    "share": "shares",
}


def sums_of(collection: str, value: bytes) -> tuple[int, ...]:
    """The amounts that a leaf with this value must carry. Raises InvalidBytes."""
    family = collection.partition("/")[0]
    fields = canonical.decode(schema_of(collection), value)
    if family == "acct":
        return (fields["raw"] + fields["raw_isolated"],)
    if family == "pos":
        entry = fields["entry_notional"]
        return (fields["lots"], entry if collection.endswith("/L") else -entry)
    return (fields[SUMMED[family]],) if family in SUMMED else ()


def read_state(
    steps: Steps, rows: list[Fields], root: bytes, n_collections: int, name: str
) -> StateView:
    """Leaves and absences of some collections under a state root."""
    steps.begin(name)
    view = StateView(name, root, n_collections)
    shown = 0
    for row in rows:
        if row.holds("name"):
            shown += _read_absent(row, view)
        else:
            shown += _read_collection(row, view)
        row.finish()
    steps.done(f"{shown} leaves of {len(rows)} collections under state root {root.hex()}")
    return view


def _read_listed(fields: Fields) -> ListedDescriptor:
    listed = ListedDescriptor(
        fields.raw("descriptor"), fields.count("index"), tuple(fields.hashes("inclusion"))
    )
    fields.finish()
    return listed


def _read_collection(row: Fields, view: StateView) -> int:
    listed = _read_listed(row.part("collection"))
    name, found = decode_descriptor(listed.descriptor)
    _check_new(view, name)
    verify_collection(name, found, listed, view.state_root, view.collections)
    view.roots[name] = found
    leaves = row.parts("leaves")
    if not leaves:
        view.unread[f"collection {name}"] = None
    for leaf in leaves:
        key = leaf.raw("key")
        value = leaf.raw("value") if leaf.has("value") else None
        sums = () if value is None else sums_of(name, value)
        verify_state_proof(name, found, key, value, sums, leaf.raw("acsmt_proof"))
        leaf.finish()
        _note(view, name, key, value)
    return len(leaves)


def _read_absent(row: Fields, view: StateView) -> int:
    name = row.text("name")
    if not 0 < len(name) <= NAME_MAX or not all("\x21" <= letter <= "\x7e" for letter in name):
        raise InvalidProof(f"collection name was {name[:60]!r}")
    _check_new(view, name)
    before = _read_listed(row.part("before")) if row.has("before") else None
    after = _read_listed(row.part("after")) if row.has("after") else None
    verify_collection_absent(name, before, after, view.state_root, view.collections)
    view.roots[name] = None
    leaves = row.parts("leaves")
    if not leaves:
        view.unread[f"collection {name}"] = None
    for leaf in leaves:
        _note(view, name, leaf.raw("key"), None)
        leaf.finish()
    return len(leaves)


def _check_new(view: StateView, name: str) -> None:
    """Collections stand in order, each once."""
    last = next(reversed(view.roots), "")
    if name <= last:
        raise InvalidProof(f"collection {name} is out of order after {last}")


def _note(view: StateView, name: str, key: bytes, value: bytes | None) -> None:
    """Keys of a collection stand in order, each once."""
    before = next(reversed(view.values), ("", b""))
    if before[0] == name and key <= before[1]:
        raise InvalidProof(f"key {key.hex()} of {name} is out of order")
    view.values[name, key] = value
    view.unread[f"key {key.hex()} of {name}"] = None
