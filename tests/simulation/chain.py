"""A short real chain for storage tests: its blocks, snapshots and roots, made once."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from chainperp.chain.engine import SealedBlock
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint
from chainperp.evidence.merkle import Frontier, root_at
from chainperp.storage.datadir import DataDir
from chainperp.storage.files import Files
from chainperp.storage.logkey import LogKey, verify_ed25519
from chainperp.storage.store import ChainStore
from chainperp.storage.tiles import load_checkpoint, open_reader
from tests.support.world import World, order

SEED = bytes(range(32))
SNAPSHOT_EVERY = 6


@dataclass
class Chain:
    """What was made, and the log's root at the end of each block."""

    genesis: bytes
    origin: str
    blocks: list[SealedBlock]
    snapshots: dict[int, bytes] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=dict)

    def entries(self, height: int) -> list[bytes]:
        """Entries of a block."""
        return self.blocks[height].entries

    def size(self, height: int) -> int:
        """Size of the log with a block; 0 before the first."""
        return sum(len(block.entries) for block in self.blocks[: height + 1])


def step(world: World, number: int) -> None:
    """Make one more block; which one depends on the number only."""
    price = str(50_000 + 37 * (number % 11))
    if number == 0:
        world.fund(alice="1000000", bob="1000000")
    elif number % 4 == 1:
        world.prices({0: price, 1: "3000"})
    else:
        side = "buy" if number % 2 else "sell"
        who = "alice" if number % 3 else "bob"
        world.place(who, *[order(0, side, "0.01", price) for _ in range(number % 7 + 15)])


@cache
def make_chain(count: int = 26) -> Chain:
    """A chain of `count` blocks after block 0."""
    world = World({"snapshot_interval": SNAPSHOT_EVERY})
    chain = Chain(world.engine.genesis.raw, world.engine.genesis.origin, world.blocks)
    for number in range(count):
        step(world, number)
        if world.engine.is_snapshot_height(world.engine.height):
            chain.snapshots[world.engine.height] = world.engine.snapshot()
    frontier = Frontier()
    for block in chain.blocks:
        for leaf in block.leaves:
            frontier.append(leaf)
        chain.roots[frontier.size] = frontier.root()
    return chain


def create(path: Path, chain: Chain, files: Files | None = None) -> None:
    """An empty data directory for the chain."""
    DataDir.create(path, chain.genesis, SEED, files).close()


def commit_from(store: ChainStore, chain: Chain, height: int, acknowledged: list[int]) -> None:
    """Commit the chain's blocks from a height on, with their snapshots."""
    for block in chain.blocks[height:]:
        store.commit(block)
        acknowledged.append(block.height)
        if block.height in chain.snapshots:
            store.save_snapshot(block.height, chain.snapshots[block.height])


def published(path: Path, chain: Chain) -> Checkpoint | None:
    """The checkpoint on disk: signed, with all of its tiles, and of this chain."""
    raw = load_checkpoint(path / "log")
    if raw is None:
        return None
    key = LogKey(chain.origin, SEED).verifier
    checkpoint = read_checkpoint(raw, key, verify_ed25519).checkpoint
    root = root_at(open_reader(path / "log", checkpoint.size).node, checkpoint.size)
    assert root == checkpoint.root == chain.roots[checkpoint.size]
    return checkpoint


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a directory but the pid in LOCK."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "LOCK"
    }
