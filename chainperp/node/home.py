"""A node's data directory: made, or opened and brought to its last durable block.

Truth is in the segments. The newest snapshot that is whole saves replaying what came before it;
the blocks after it are executed again and must give the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgpack

from chainperp.base.errors import InvalidBlock, InvalidSnapshot
from chainperp.chain.engine import Engine
from chainperp.chain.replay import Replay
from chainperp.storage.collector import collector_off, settle
from chainperp.storage.package import rules_hash
from chainperp.storage.store import ChainStore

Say = Callable[[str], None]


@dataclass(slots=True)
class OpenChain:
    """An engine at the last durable block of a store, and what opening did."""

    engine: Engine
    store: ChainStore
    notes: list[str] = field(default_factory=list)


def open_chain(path: Path) -> OpenChain:
    """Open a data directory for writing and execute it up to its last block.

    Raises: what `ChainStore.open` raises; InvalidBlock when the log is not what the rules give.
    """
    store = ChainStore.open(path)
    notes = list(store.mended)
    if store.torn is not None:
        notes.append(str(store.torn))
    is_open = False
    try:
        if store.height < 0:
            engine = Engine(store.data.genesis, rules_hash())
            store.commit(engine.seal_genesis())
        else:
            engine = _catch_up(store, notes)
        is_open = True
    finally:
        if not is_open:
            store.abandon()
    return OpenChain(engine, store, notes)


def _catch_up(store: ChainStore, notes: list[str]) -> Engine:
    """The engine after the last block: from the newest good snapshot, else from genesis."""
    run, first = _from_snapshot(store, notes)
    for block in store.read_blocks(first, store.height):
        difference = run.feed(block.height, block.entries)
        if difference is not None:
            raise InvalidBlock(f"block {block.height}", difference.expected, difference.sentence())
    notes.extend(run.report.notes)
    notes.append(
        f"at block {store.height}: {run.report.blocks} blocks executed from block {first} on"
    )
    run.engine.rules_hash = rules_hash()
    return run.engine


def _from_snapshot(store: ChainStore, notes: list[str]) -> tuple[Replay, int]:
    """A replay that begins behind a snapshot, and its first height."""
    genesis = store.data.genesis
    for height, path in store.newest_snapshots():
        run = Replay(genesis, rules_hash(), None, msgpack.unpackb)
        seal = next(iter(store.read_blocks(height, height))).entries[-1]
        try:
            with collector_off():
                run.start_from(path.read_bytes(), seal)
            settle()
        except InvalidSnapshot as error:
            notes.append(f"{path.name} is not used: {error}")
            continue
        return run, height + 1
    return Replay(genesis, rules_hash(), None, msgpack.unpackb), 0
