"""The durable commit of one chain: blocks to segments, then tiles, then a signed checkpoint.

Decides the order of effects, which is the whole promise: a block counts when its flush returned;
tiles follow; a checkpoint comes last, and only after its text was saved as the one about to be
signed. Never signs a size below one it signed before, or another root at the same size.

Tiles, checkpoint and snapshots are derived: what is missing or damaged among them is made again
from the segments when the store opens. A verified checkpoint that contradicts the segments is not
mended but refused, for then the segments are not the ones that were signed.

Source: audit-log-and-consensus 6, 7, 17; reliability 7.2 to 7.4.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Self

from chainperp.base.errors import InvalidFile, InvalidProof, ensure
from chainperp.base.hashing import leaf_hash
from chainperp.chain.engine import SealedBlock
from chainperp.evidence.checkpoint import (
    Checkpoint,
    format_checkpoint,
    parse_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)
from chainperp.evidence.merkle import Frontier, root_at
from chainperp.evidence.note import Line
from chainperp.evidence.tiles import WIDTH, Tile, TileReader, format_tile_path, plan_growth
from chainperp.model.entries import HEADER_SIZE
from chainperp.storage.datadir import DataDir, snapshot_path
from chainperp.storage.files import Files, StorageFault, read_file
from chainperp.storage.logkey import LogKey, verify_ed25519
from chainperp.storage.recovery import TornTail, recover
from chainperp.storage.segments import (
    SEAL_ENTRY_SIZE,
    SegmentWriter,
    StoredBlock,
    Tip,
    read_blocks,
    tip_of,
)
from chainperp.storage.tiles import (
    CHECKPOINT,
    TileLog,
    add_cosignatures,
    load_checkpoint,
    open_reader,
    rebuild,
)

CHECKPOINT_INTERVAL_MS: Final = 1000
SNAPSHOTS_KEPT: Final = 3
ROOM_BYTES: Final = 64 << 20
"""Below this much free disk no block should be started."""

PENDING_MAX: Final = 1 << 16
"""Entries that may wait in memory for their tiles when checkpoints are rare."""

LOG_ROOT: Final = slice(HEADER_SIZE + 84, HEADER_SIZE + 116)
"""A SEAL's `log_root` within its entry."""


class ChainStore:
    """One chain on disk, open for writing.

    Invariant: after a `StorageFault` the store refuses everything but `abandon`; what was
    acknowledged before is durable.
    """

    __slots__ = ("_key", "_published", "_published_ms", "_signed", "_spoiled", "_tiles", "_writer",
                 "checkpoint_interval_ms", "data", "mended", "snapshots_kept", "tip",
                 "torn")  # fmt: skip

    def __init__(self, data: DataDir, checkpoint_interval_ms: int, snapshots_kept: int) -> None:
        ensure(data.is_writer, "INV-G1", "a chain is opened for writing under its lock")
        self.data = data
        self.checkpoint_interval_ms = checkpoint_interval_ms
        self.snapshots_kept = snapshots_kept
        self.mended: list[str] = []
        """What was derived again on opening, one sentence each."""
        self._spoiled = False
        self._key: LogKey = data.load_log_key()
        self._published: Checkpoint | None = self._load_published()
        self._signed: Checkpoint | None = self._load_signed()
        signed_size = self._signed.size if self._signed else 0
        recovery = recover(data.segments, data.files, signed_size)
        self.tip: Tip = recovery.tip
        self.torn: TornTail | None = recovery.torn
        self._remove_temporary(signed_size)
        self._tiles, done = self._resume_tiles()
        self._published_ms: int = done.time_ms if self._signed else -checkpoint_interval_ms
        self._derive_tiles(done)
        self._writer = SegmentWriter(data.segments, self.tip.height, data.files)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        checkpoint_interval_ms: int = CHECKPOINT_INTERVAL_MS,
        snapshots_kept: int = SNAPSHOTS_KEPT,
        files: Files | None = None,
    ) -> "ChainStore":
        """Open a data directory for writing and bring it to its last sealed block.

        Raises: what `DataDir.open` raises; InvalidFile for segments that are damaged, end before
        a size that was signed, or have another root than was signed.
        """
        data = DataDir.open(path, write=True, files=files)
        opened = False
        try:
            store = cls(data, checkpoint_interval_ms, snapshots_kept)
            if store.mended:
                store.publish()
            opened = True
        finally:
            if not opened:
                data.close()
        return store

    @property
    def height(self) -> int:
        """Height of the last committed block; -1 before block 0."""
        return self.tip.height

    @property
    def size(self) -> int:
        """Number of log entries in committed blocks."""
        return self.tip.size

    @property
    def signed_size(self) -> int:
        """Largest log size that a checkpoint was signed for; 0 before the first."""
        return self._signed.size if self._signed else 0

    def commit(self, block: SealedBlock) -> None:
        """Make a block durable; then its tiles and a checkpoint, when one is due.

        Once `height` has moved the block is committed, even if what follows fails.
        Raises: StorageFault; the store is of no use afterwards.
        """
        ensure(
            block.first_index == self.tip.size, "INV-G1", "a block does not continue the log",
            first_index=block.first_index, size=self.tip.size,
        )  # fmt: skip
        with self._work():
            self._writer.append(block)
            self.tip = tip_of(block.entries[-1])
            for entry, leaf in zip(block.entries, block.leaves, strict=True):
                self._tiles.append(entry, leaf)
            if block.time_ms - self._published_ms >= self.checkpoint_interval_ms:
                self._publish()
            elif self._tiles.size - self._tiles.builder.taken >= PENDING_MAX:
                self._tiles.write()

    def publish(self) -> None:
        """Write all tiles, then sign and publish a checkpoint of the last block.

        Nothing happens when it is published already.
        """
        with self._work():
            if self.tip.size and (self._published is None or self.tip.size > self._published.size):
                self._publish()

    def add_cosignatures(self, text: bytes, lines: Sequence[Line]) -> bool:
        """Put cosignatures onto the published checkpoint, if its text still is this one.

        False, and nothing written, when a later one has been published since.
        """
        with self._work():
            return add_cosignatures(self.data.log, text, lines, self.data.files)

    def save_snapshot(self, height: int, raw: bytes) -> Path:
        """Save the state of a committed height and remove all but the newest snapshots."""
        ensure(0 < height <= self.tip.height, "INV-G1", "a snapshot of a block not committed",
               height=height, last=self.tip.height)  # fmt: skip
        path = snapshot_path(self.data.snapshots, height)
        with self._work():
            self.data.files.replace(path, raw)
            for _height, old in self.data.list_snapshots()[self.snapshots_kept :]:
                self.data.files.unlink(old)
        return path

    def newest_snapshots(self) -> list[tuple[int, Path]]:
        """Height and file of snapshots of committed blocks, newest first, for `restore` to try."""
        return [row for row in self.data.list_snapshots() if row[0] <= self.tip.height]

    def read_blocks(
        self, from_height: int = 0, to_height: int | None = None
    ) -> Iterator[StoredBlock]:
        """Committed blocks; see `segments.read_blocks`."""
        return read_blocks(self.data.segments, from_height, to_height)

    def has_room(self, needed: int = ROOM_BYTES) -> bool:
        """The disk still has room for a block and what follows it. Ask before starting one."""
        return self.data.files.free_bytes(self.data.path) >= needed

    def close(self) -> None:
        """Publish what is not published yet and give the lock back."""
        try:
            if not self._spoiled:
                self.publish()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the lock back and leave everything else as it is."""
        self._spoiled = True
        self._writer.close()
        self.data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @contextmanager
    def _work(self) -> Iterator[None]:
        """What changes the disk. A fault inside spoils the store: memory and disk may differ."""
        if self._spoiled:
            raise StorageFault(f"{self.data.path}: closed, or a write failed before; open it again")
        self._spoiled = True
        yield
        self._spoiled = False

    def _publish(self) -> None:
        """Tiles, then the text about to be signed, then the signed checkpoint."""
        self._tiles.write()
        checkpoint = self._checkpoint()
        if checkpoint != self._signed:
            self.data.files.replace(self.data.signed, format_checkpoint(checkpoint))
            self._signed = checkpoint
        self._tiles.publish(sign_checkpoint(checkpoint, self._key.verifier, self._key.sign))
        self._published = checkpoint
        self._published_ms = self.tip.time_ms

    def _checkpoint(self) -> Checkpoint:
        """Checkpoint of the last block, from the tiles as they are on disk.

        Pairs the checks: the root before the SEAL is the one in the SEAL, and the tree of the
        last signed size still has the root that was signed.
        """
        size = self.tip.size
        node = open_reader(self.data.log, size).node
        before = root_at(node, size - 1)
        sealed = self.tip.seal[LOG_ROOT]
        ensure(before == sealed, "INV-L3", "tiles on disk do not have the root in the seal",
               size=size - 1, tiles=before.hex(), seal=sealed.hex())  # fmt: skip
        if self._signed is not None:
            ensure(size >= self._signed.size, "INV-L3", "a log does not shrink",
                   size=size, signed=self._signed.size)  # fmt: skip
            again, signed = root_at(node, self._signed.size), self._signed.root
            ensure(again == signed, "INV-L3", "the log is not the one signed before",
                   size=self._signed.size, tiles=again.hex(), signed=signed.hex())  # fmt: skip
        return Checkpoint(self._key.verifier.name, size, root_at(node, size))

    def _load_published(self) -> Checkpoint | None:
        """The published checkpoint, if it verifies under the log's key."""
        raw = load_checkpoint(self.data.log)
        if raw is None:
            return None
        try:
            return read_checkpoint(raw, self._key.verifier, verify_ed25519).checkpoint
        except InvalidProof as error:
            self.mended.append(f"{self.data.log / CHECKPOINT} is signed again: {error}")
            return None

    def _load_signed(self) -> Checkpoint | None:
        """The largest checkpoint that was signed or about to be.

        Raises: InvalidFile for two different roots at one size, or a damaged file.
        """
        published = self._published
        path = self.data.signed
        raw = read_file(path)
        if raw is None:
            return published
        try:
            signed = parse_checkpoint(raw)
        except InvalidProof as error:
            raise InvalidFile(f"{path} at byte 0: {error}") from error
        if signed.origin != self._key.verifier.name:
            raise InvalidFile(f"{path} at byte 0: expected the log {self._key.verifier.name}, "
                              f"found {signed.origin}")  # fmt: skip
        if published is None or published.size < signed.size:
            return signed
        if published.size == signed.size and published.root != signed.root:
            raise InvalidFile(
                f"{path} has root {signed.root.hex()} at size {signed.size}, "
                f"{self.data.log / CHECKPOINT} has {published.root.hex()}"
            )
        return published

    def _resume_tiles(self) -> tuple[TileLog, Tip]:
        """Tiles as of the last signed size, checked, and the block that ends there.

        When they are missing or damaged, every tile is made again from the segments.
        """
        signed = self._signed
        if signed is None:
            return TileLog(self.data.log, files=self.data.files), Tip()
        try:
            return self._checked_tiles(signed)
        except InvalidFile as error:
            self.mended.append(f"{self.data.log}/tile is derived again: {error}")
        blocks = self.read_blocks(0, self.tip.height)
        entries = (entry for block in blocks for entry in block.entries)
        rebuild(self.data.log, islice(entries, signed.size), self.data.files)
        return self._checked_tiles(signed)

    def _checked_tiles(self, signed: Checkpoint) -> tuple[TileLog, Tip]:
        """Tiles of a signed size: right root, right bundle, ending with a SEAL."""
        log, size = self.data.log, signed.size
        reader = open_reader(log, size)
        root = root_at(reader.node, size)
        if root != signed.root:
            raise InvalidFile(
                f"{log}: expected the signed root {signed.root.hex()} at size {size}, "
                f"found {root.hex()}"
            )
        first = (size - 1) >> 8 << 8
        for index, entry in enumerate(reader.read_entries(first, size), first):
            leaf, found = leaf_hash(entry), reader.node(0, index)
            if leaf != found:
                raise InvalidFile(f"{log}: entry {index} in its bundle has leaf hash {leaf.hex()}, "
                                  f"its tile says {found.hex()}")  # fmt: skip
        last = reader.entry(size - 1)
        if len(last) != SEAL_ENTRY_SIZE or tip_of(last).size != size:
            raise InvalidFile(f"{self.data.signed}: size {size} is not the end of a block")
        return TileLog(log, size, self.data.files), tip_of(last)

    def _derive_tiles(self, done: Tip) -> None:
        """Add the blocks after the signed ones to the tiles, and check each seal's root."""
        frontier = frontier_at(open_reader(self.data.log, done.size))
        height = max(done.height, 0)
        for block in self.read_blocks(height, self.tip.height) if self.tip.size else ():
            if block.height == done.height:
                _check_seal(self.data.segments, done, block)
                continue
            for entry in block.entries[:-1]:
                self._add(frontier, entry)
            root = frontier.root()
            if root != block.entries[-1][LOG_ROOT]:
                raise InvalidFile(
                    f"{self.data.segments}: block {block.height} at log index {frontier.size}: "
                    f"expected root {root.hex()}, found {block.entries[-1][LOG_ROOT].hex()}"
                )
            self._add(frontier, block.entries[-1])
            if self._tiles.size - self._tiles.builder.taken >= PENDING_MAX:
                self._tiles.write()

    def _add(self, frontier: Frontier, entry: bytes) -> None:
        leaf = leaf_hash(entry)
        frontier.append(leaf)
        self._tiles.append(entry, leaf)

    def _remove_temporary(self, signed_size: int) -> None:
        """Remove what interrupted writes left: of tiles, only where one can have been written."""
        data = self.data
        directories: dict[Path, None] = dict.fromkeys((data.path, data.log, data.snapshots))
        for tile in plan_growth(signed_size, self.tip.size):
            whole = data.log / format_tile_path(Tile(tile.level, tile.index, WIDTH))
            directories[whole.parent] = None
            directories[whole.with_name(whole.name + ".p")] = None
        data.files.remove_temporary(directories)


def frontier_at(reader: TileReader) -> Frontier:
    """Frontier of the log that a reader's tiles hold."""
    frontier = Frontier()
    remaining = frontier.size = reader.size
    at = 0
    while remaining:
        level = remaining.bit_length() - 1
        frontier.stack.append(reader.node(level, at >> level))
        at += 1 << level
        remaining -= 1 << level
    return frontier


def _check_seal(directory: Path, done: Tip, block: StoredBlock) -> None:
    """The block that the signed log ends with is the one in the segments."""
    if block.entries[-1] != done.seal:
        raise InvalidFile(
            f"{directory}: the SEAL of block {block.height} has leaf hash "
            f"{leaf_hash(block.entries[-1]).hex()}, the signed log has {leaf_hash(done.seal).hex()}"
        )
