"""The whole data directory against itself: everything derived is derived again and compared.

Decides nothing and changes nothing. From the segments it re-derives every leaf hash, root, tile
and bundle, follows the chain of seals, and compares what stands on disk byte for byte. It does
not re-execute: whether the decisions are right is for replay.

A directory is checked at rest; while a node writes, its last block may look unsealed.

Source: audit-log-and-consensus 4.3, 7, 17; reliability 7.7.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Reader, Record
from chainperp.base.errors import Invalid, InvalidBytes, InvalidFile, InvalidGenesis, InvalidProof
from chainperp.base.hashing import ZERO32, leaf_hash
from chainperp.chain.genesis import Genesis
from chainperp.evidence.checkpoint import Checkpoint, parse_checkpoint, read_checkpoint
from chainperp.evidence.merkle import Frontier
from chainperp.evidence.note import parse_note
from chainperp.evidence.tiles import (
    ENTRIES,
    LEVEL_MAX,
    WIDTH,
    Tile,
    format_tile_path,
    parse_tile_path,
    width_at,
)
from chainperp.model.decisions import Kind
from chainperp.model.entries import ENTRY_SIZE_MAX, decode_entry, decode_payload, encode_entry
from chainperp.state.snapshot import HEAD, MAGIC
from chainperp.storage.datadir import SIGNED, check_format, list_snapshots, load_genesis
from chainperp.storage.files import TEMPORARY, DamagedFile, StorageFault, read_file
from chainperp.storage.logkey import find_verifier
from chainperp.storage.segments import NAME, StoredBlock, list_segments, walk_segment
from chainperp.storage.tiles import (
    CHECKPOINT,
    MISSING,
    Comparison,
    compare,
    load_checkpoint,
    load_vkey,
)

Progress = Callable[[int, int], None]
"""Called with the blocks and entries checked so far."""

PROGRESS_EVERY: Final = 256
PROBLEMS_MAX: Final = 1000
NO_CHECKPOINT: Final = "no checkpoint"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the file, the byte, index or height in it, and both values."""

    file: str
    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file} at {self.where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What was checked, and every problem in the order found, up to `PROBLEMS_MAX`."""

    problems: tuple[Problem, ...]
    blocks: int
    entries: int
    tiles: int
    root: bytes
    signature: str
    """Of the checkpoint: "verified", "not checked", "failed" or "no checkpoint"."""

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


class _Chain:
    """The blocks in order: what each must say, given those before it."""

    __slots__ = ("blocks", "entries", "frontier", "genesis", "heads", "is_whole", "problems",
                 "roots", "seal_leaf", "sizes", "time_ms")  # fmt: skip

    def __init__(
        self, genesis: Genesis | None, snapshot_heights: list[int], problems: list[Problem]
    ) -> None:
        self.genesis = genesis
        self.problems = problems
        self.blocks = 0
        self.entries = 0
        self.frontier = Frontier()
        self.is_whole = True
        """No block has been missed so far, so that indexes and roots are known."""
        self.seal_leaf: bytes | None = ZERO32
        self.time_ms = -1
        self.roots = True
        """No seal's root has differed so far; only the first one is reported."""
        self.heads: dict[int, tuple[bytes, bytes]] = dict.fromkeys(snapshot_heights, (b"", b""))
        """SEAL of heights that have a snapshot, and the frontier before it."""
        self.sizes: dict[int, bytes] = {}
        """Roots at the sizes that somebody asks about."""

    def add(self, file: str, where: str, expected: str, found: str) -> None:
        """Note a problem."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(file, where, expected, found))

    def check(self, file: str, block: StoredBlock) -> None:
        """Check one block and take its entries into the frontier."""
        first = self.frontier.size
        for seq, raw in enumerate(block.entries[:-1]):
            self._check_entry(file, block.height, seq, raw)
            self.frontier.append(leaf_hash(raw))
        seal = block.entries[-1]
        self._check_seal(file, block, first)
        unsealed = self.frontier.encode() if block.height in self.heads else b""
        self.seal_leaf = leaf_hash(seal)
        self.frontier.append(self.seal_leaf)
        if block.height in self.heads and self.is_whole:
            self.heads[block.height] = (seal, unsealed)
        if self.frontier.size in self.sizes:
            self.sizes[self.frontier.size] = self.frontier.root()
        self.blocks += 1
        self.entries += len(block.entries)

    def _check_entry(self, file: str, height: int, seq: int, raw: bytes) -> None:
        where = f"height {height} entry {seq}"
        if len(raw) > ENTRY_SIZE_MAX:
            self.add(file, where, f"at most {ENTRY_SIZE_MAX} bytes", str(len(raw)))
            self.lose_track()
        try:
            entry = decode_entry(raw)
        except InvalidBytes as error:
            self.add(file, where, "an entry", str(error))
            return
        if (entry.height, entry.seq) != (height, seq):
            self.add(file, where, f"height {height} sequence {seq}",
                     f"height {entry.height} sequence {entry.seq}")  # fmt: skip
        if entry.kind is Kind.SEAL:
            self.add(file, where, "no SEAL before the block's last entry", "a SEAL")
        if height == 0 and seq == 0 and self.genesis is not None:
            leaf = leaf_hash(encode_entry(Kind.GENESIS, 0, 0, self.genesis.raw))
            if leaf_hash(raw) != leaf:
                self.add(file, where, f"genesis.json, leaf {leaf.hex()}",
                         f"leaf {leaf_hash(raw).hex()}")  # fmt: skip

    def _check_seal(self, file: str, block: StoredBlock, first: int) -> None:
        where = f"the SEAL of height {block.height}"
        try:
            fields: Record = decode_payload(decode_entry(block.entries[-1]))
        except InvalidBytes as error:
            self.add(file, where, "a SEAL", str(error))
            return
        expected: Record = {"n_entries": len(block.entries) - 1}
        if self.genesis is not None:
            expected["chain_id"] = self.genesis.chain_id
        if self.seal_leaf is not None:
            expected["prev_seal"] = self.seal_leaf
        if self.is_whole:
            expected["first_index"] = first
            root = self.frontier.root()
            if self.roots and fields["log_root"] != root:
                self.roots = False
                expected["log_root"] = root
        for name, value in expected.items():
            if fields[name] != value:
                self.add(file, f"{name} of {where}", _text(value), _text(fields[name]))
        if fields["time_ms"] <= self.time_ms:
            self.add(file, f"time_ms of {where}", f"more than {self.time_ms}",
                     str(fields["time_ms"]))  # fmt: skip
        self.time_ms = fields["time_ms"]
        cash = fields["cash_sum"] - fields["entry_sum"]
        if cash != fields["custody"]:
            self.add(file, f"custody of {where}", f"cash_sum - entry_sum = {cash}",
                     str(fields["custody"]))  # fmt: skip

    def lose_track(self) -> None:
        """Blocks are missing here: what depends on all earlier ones is no longer known."""
        self.is_whole = False
        self.seal_leaf = None


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def fsck(path: Path, progress: Progress | None = None) -> FsckReport:
    """Check a data directory. Damage is reported, not raised.

    Raises: DirectoryError when the directory is none of ours, was never finished or has no
    genesis; StorageFault when it cannot be read.
    """
    check_format(path)
    problems: list[Problem] = []
    genesis: Genesis | None = None
    try:
        genesis = load_genesis(path)
    except InvalidGenesis as error:
        problems.append(Problem("genesis.json", "byte 0", "a genesis", str(error)))
    snapshots = list_snapshots(path / "snapshots")
    chain = _Chain(genesis, [height for height, _file in snapshots], problems)
    signed = _load_signed(path, chain)
    compared = compare(path / "log", _read(path, chain, progress))
    if chain.is_whole:
        _report_tiles(path / "log", compared, chain)
    signature = _check_checkpoint(path / "log", chain)
    if signed is not None:
        _check_signed(signed, chain)
    for height, file in snapshots:
        _check_snapshot(height, file, chain)
    return FsckReport(
        tuple(problems), chain.blocks, chain.entries, compared.files, compared.root, signature
    )


def _read(path: Path, chain: _Chain, progress: Progress | None) -> Iterator[bytes]:
    """Check every block; yields the entries up to the first damage."""
    height = 0
    for segment in _list(path, chain):
        name = f"segments/{segment.name}"
        if int(segment.name) != height and chain.is_whole:
            chain.add(name, "byte 0", f"a segment from height {height} on", segment.name)
            chain.lose_track()
        try:
            for placed in walk_segment(segment):
                chain.check(name, placed.block)
                height = placed.block.height + 1
                if progress is not None and chain.blocks % PROGRESS_EVERY == 0:
                    progress(chain.blocks, chain.entries)
                if chain.is_whole:
                    yield from placed.block.entries
        except DamagedFile as damage:
            chain.add(name, f"byte {damage.offset}", damage.expected, damage.found)
            chain.lose_track()


def _list(path: Path, chain: _Chain) -> list[Path]:
    """Segment files; names that belong to nothing are problems."""
    directory = path / "segments"
    try:
        segments = list_segments(directory)
        strangers = sorted(file.name for file in directory.iterdir())
    except DamagedFile as damage:
        chain.add(_name(path, damage.path), f"byte {damage.offset}", damage.expected, damage.found)
        chain.lose_track()
        return []
    except StorageFault as fault:
        chain.add("segments", "byte 0", "a directory of segments", str(fault))
        chain.lose_track()
        return []
    for name in strangers:
        if NAME.fullmatch(name) is None and not name.endswith(TEMPORARY) and ".tail-" not in name:
            chain.add(f"segments/{name}", "byte 0", "only segments and cut tails", "another file")
    return segments


def _name(path: Path, file: Path) -> str:
    return file.relative_to(path).as_posix() if file.is_relative_to(path) else str(file)


def _report_tiles(directory: Path, compared: Comparison, chain: _Chain) -> None:
    """Tiles that differ. Those after the last checkpoint may be missing: they are made later."""
    size = _published_size(directory)
    for row in compared.differences:
        if row.problem == MISSING and not _is_needed(row.path, size):
            continue
        expected, found = row.expected, row.found
        if row.offset is None:
            expected, found = "what the entries say", row.problem
        chain.add(f"log/{row.path}", f"byte {row.offset or 0}", expected, found)
    for level in range(ENTRIES, LEVEL_MAX + 1):
        index = (size >> (8 * max(level, 0))) >> 8
        width = width_at(size, level, index)
        tiles = [format_tile_path(Tile(level, index, each)) for each in (width, WIDTH) if width]
        if tiles and not any((directory / tile).is_file() for tile in tiles):
            chain.add(f"log/{tiles[0]}", "byte 0", f"a tile of the checkpoint's size {size}",
                      "no file")  # fmt: skip


def _published_size(directory: Path) -> int:
    """Size that the checkpoint file says; 0 when there is none or it cannot be read."""
    try:
        raw = load_checkpoint(directory)
        return 0 if raw is None else parse_checkpoint(parse_note(raw).text).size
    except Invalid:
        return 0


def _is_needed(path: str, size: int) -> bool:
    """A file of the log that must exist when this size was published."""
    tile = parse_tile_path(path)
    return tile is None or (tile.width == WIDTH == width_at(size, tile.level, tile.index))


def _check_checkpoint(directory: Path, chain: _Chain) -> str:
    """Signature of the checkpoint under the log's verifier key; `compare` did size and root."""
    file = f"log/{CHECKPOINT}"
    try:
        key = load_vkey(directory)
        raw = load_checkpoint(directory)
        if chain.genesis is not None and key.name != chain.genesis.origin:
            chain.add("log/vkey", "byte 0", f"a key of {chain.genesis.origin}", key.name)
        if raw is None:
            return NO_CHECKPOINT
        signed = read_checkpoint(raw, key, find_verifier())
    except InvalidProof as error:
        chain.add(file, "byte 0", "a checkpoint signed by the log", str(error))
        return FAILED
    except InvalidFile as error:
        chain.add("log", "byte 0", "a verifier key and a checkpoint", str(error))
        return FAILED
    return signed.log_signature.status.value


def _load_signed(path: Path, chain: _Chain) -> Checkpoint | None:
    """The checkpoint that was about to be signed last; its root is asked of the chain."""
    try:
        raw = read_file(path / SIGNED)
        if raw is None:
            return None
        signed = parse_checkpoint(raw)
    except (InvalidFile, InvalidProof) as error:
        chain.add(SIGNED, "byte 0", "the text of a checkpoint", str(error))
        return None
    chain.sizes[signed.size] = b""
    return signed


def _check_signed(signed: Checkpoint, chain: _Chain) -> None:
    """What was signed is what the segments hold."""
    if chain.genesis is not None and signed.origin != chain.genesis.origin:
        chain.add(SIGNED, "byte 0", f"the log {chain.genesis.origin}", signed.origin)
    if not chain.is_whole:
        return
    root = chain.sizes[signed.size]
    if signed.size > chain.entries:
        chain.add("segments", f"index {chain.entries}", f"entries up to the signed {signed.size}",
                  "the end")  # fmt: skip
    elif root != signed.root:
        chain.add(SIGNED, f"index {signed.size}", f"root {root.hex()}", signed.root.hex())


def _check_snapshot(height: int, file: Path, chain: _Chain) -> None:
    """A snapshot's head is that of its height: time, SEAL and frontier. Its state is for replay."""
    name = f"snapshots/{file.name}"
    try:
        reader = Reader(read_file(file) or b"")
        if reader.take(len(MAGIC)) != MAGIC:
            chain.add(name, "byte 0", MAGIC.hex(), reader.raw[: len(MAGIC)].hex())
            return
        head = canonical.decode_from(HEAD, reader)
    except (InvalidBytes, InvalidFile) as error:
        chain.add(name, "byte 0", "the head of a snapshot", str(error))
        return
    if head["height"] != height:
        chain.add(name, "byte 8", f"height {height}", str(head["height"]))
    seal, frontier = chain.heads[height]
    if not chain.is_whole:
        return
    if not seal:
        chain.add(name, "byte 8", f"a height up to {chain.blocks - 1}", str(height))
        return
    if head["seal"] != seal:
        chain.add(name, "its SEAL", leaf_hash(seal).hex(), leaf_hash(head["seal"]).hex())
    if head["frontier"] != frontier:
        chain.add(name, "its frontier", frontier.hex(), head["frontier"].hex())
