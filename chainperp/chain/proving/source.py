"""What a proof is made from: a chain's log with its published checkpoint, and its blocks.

`storage/proof_source.py` makes one of a data directory; tests make one of a chain in memory. The
state at a block, or in the middle of one, is not stored: it is executed again from the nearest
snapshot, and believed only when its root is the one that the log committed to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chainperp.base import msgpack
from chainperp.base.errors import InvalidProof, NotFound
from chainperp.chain.decode import Unpack
from chainperp.chain.genesis import Genesis
from chainperp.chain.replay import Replay, read_block
from chainperp.evidence.checkpoint import Checkpoint, parse_checkpoint
from chainperp.evidence.merkle import NodeReader
from chainperp.evidence.note import parse_note
from chainperp.model.blocks import BlockInput
from chainperp.model.entries import HEADER, HEADER_SIZE
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.store import State

Blocks = Iterator[tuple[int, list[bytes]]]
# State, trees and roots at one commit of a block, counted from 0; the SEAL's is the last.
OnCommit = Callable[[State, Commitment, Committed], None]


@dataclass(slots=True)
class Source:
    """A chain to make proofs from. `note` is the checkpoint that the proofs lead to."""

    genesis: Genesis
    rules_hash: bytes
    note: bytes
    node: NodeReader
    entry: Callable[[int], bytes]
    blocks: Callable[[int, int], Blocks]
    """Blocks from one height to another, both included."""
    snapshots: list[tuple[int, Callable[[], bytes]]] = field(default_factory=list)
    """Heights, ascending, and what reads each."""
    unpack: Unpack = msgpack.unpack

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the note."""
        return parse_checkpoint(parse_note(self.note).text)

    def height_of(self, index: int) -> int:
        """Block of a log entry. Raises NotFound when the checkpoint does not cover it."""
        size = self.checkpoint.size
        if not 0 <= index < size:
            raise NotFound(f"the checkpoint covers log entries 0 to {size - 1}, not {index}")
        height: int = HEADER.unpack_from(self.entry(index))[2]
        return height

    @property
    def height(self) -> int:
        """Last block that the checkpoint covers."""
        return self.height_of(self.checkpoint.size - 1)

    def block(self, height: int) -> "BlockAt":
        """One block. Raises NotFound when the checkpoint does not cover it."""
        last = self.height
        if not 0 <= height <= last:
            raise NotFound(f"the checkpoint covers blocks 0 to {last}, not {height}")
        _height, entries = next(iter(self.blocks(height, height)))
        first = int.from_bytes(entries[-1][HEADER_SIZE + 72 : HEADER_SIZE + 80], "big")
        return BlockAt(height, first, entries)


@dataclass(frozen=True, slots=True)
class BlockAt:
    """A block's entries, SEAL last, and the log index of the first."""

    height: int
    first: int
    entries: list[bytes]

    @property
    def seal_index(self) -> int:
        """Log index of its SEAL."""
        return self.first + len(self.entries) - 1


class WatchedCommitment(Commitment):
    """A commitment that shows each of a block's commits to whoever wants to prove from it."""

    __slots__ = ("commits", "on_commit")

    def __init__(self, inner: Commitment, on_commit: OnCommit) -> None:
        self.trees = inner.trees
        self.last = inner.last
        self.on_commit = on_commit
        self.commits = 0

    def commit(self, state: State, with_books: bool = False) -> Committed:
        """As its base, and then the watcher is told."""
        committed = Commitment.commit(self, state, with_books)
        self.commits += 1
        self.on_commit(state, self, committed)
        return committed


def replay_before(source: Source, height: int) -> Replay:
    """A replay that has executed every block before `height`, from the nearest snapshot.

    Raises InvalidProof when the log before that block is not what the rules give.
    """
    run = Replay(source.genesis, source.rules_hash, None, source.unpack)
    first = 0
    for at, load in source.snapshots:
        if at < height:
            first, chosen = at + 1, load
    if first:
        seal = source.block(first - 1).entries[-1]
        run.start_from(chosen(), seal)
    for at, entries in source.blocks(first, height - 1) if first < height else ():
        difference = run.feed(at, entries)
        if difference is not None:
            raise InvalidProof(f"the log cannot be replayed to block {height}: "
                               f"{difference.sentence()}")  # fmt: skip
    return run


def execute_watched(source: Source, height: int, on_commit: OnCommit) -> None:
    """Execute one block and show each of its commits; block 0 has one, its SEAL's.

    Nothing is compared with the log here: the caller compares the roots it uses, so that a proof
    against a block that was forged further down can still be made.
    """
    run = replay_before(source, height)
    engine = run.engine
    engine.commitment = WatchedCommitment(engine.commitment, on_commit)
    if height == 0:
        engine.seal_genesis()
        return
    _height, entries = next(iter(source.blocks(height, height)))
    logged: BlockInput = read_block(height, entries, source.unpack).block
    engine.execute(logged)
