"""The log's directory: `checkpoint`, `vkey` and `tile/…`, written so that no crash shows a lie.

Decides when bytes are safe: each file is written under another name, flushed to disk, renamed,
and its directory flushed, before anything that refers to it. The checkpoint comes last, so a
reader never sees one whose tiles are missing. A failed flush is fatal and is not tried again.

Never decides what the bytes are: `evidence.tiles` does. Everything here can be derived again from
the entries; `compare` says where the directory differs from them, `rebuild` writes it anew.

Source: audit-log-and-consensus 7, 17.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chainperp.base.errors import InvalidFile, InvalidProof, ensure
from chainperp.base.hashing import leaf_hash
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.cosignature import add_lines
from chainperp.evidence.merkle import Frontier
from chainperp.evidence.note import Line, VerifierKey, format_vkey, parse_note, parse_vkey
from chainperp.evidence.tiles import (
    ENTRIES,
    WIDTH,
    Fetch,
    Tile,
    TileBuilder,
    TileReader,
    decode_bundle,
    encode_bundle,
    format_tile_path,
    parse_tile_path,
)
from chainperp.storage.files import TEMPORARY, Files, read_file

CHECKPOINT: Final = "checkpoint"
VKEY: Final = "vkey"
MISSING: Final = "is missing"


def fetch_from(directory: Path) -> Fetch:
    """A function that reads paths below a log directory, for `TileReader`."""

    def fetch(path: str) -> bytes | None:
        return read_file(directory / path)

    return fetch


def open_reader(directory: Path, size: int) -> TileReader:
    """Reader of the tiles below a log directory, at a size that they cover."""
    return TileReader(fetch_from(directory), size)


def save_vkey(directory: Path, key: VerifierKey, files: Files | None = None) -> None:
    """Write the log's verifier key in one line."""
    (files or Files()).replace(directory / VKEY, format_vkey(key).encode() + b"\n")


def load_vkey(directory: Path) -> VerifierKey:
    """The log's verifier key. Raises InvalidFile when missing or malformed."""
    path = directory / VKEY
    raw = read_file(path)
    if raw is None:
        raise InvalidFile(f"{path} is missing")
    try:
        return parse_vkey(raw.decode().removesuffix("\n"))
    except (InvalidProof, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path}: {error}") from error


def load_checkpoint(directory: Path) -> bytes | None:
    """Bytes of the published checkpoint; None when nothing has been published."""
    return fetch_from(directory)(CHECKPOINT)


def add_cosignatures(
    directory: Path, text: bytes, lines: Sequence[Line], files: Files | None = None
) -> bool:
    """Put cosignatures onto the published checkpoint, if its text still is this one.

    False, and nothing written, when another has been published since: cosignatures come later
    than blocks. Only the log's writer may call this, and not beside its own publishing.
    """
    published = load_checkpoint(directory)
    if published is None or not lines or parse_note(published).text != text:
        return False
    (files or Files()).replace(directory / CHECKPOINT, add_lines(published, lines))
    return True


class TileLog:
    """Writes a growing log. Entries are added in memory, `write` makes them files.

    One writer per directory; the data directory's lock sees to that.
    """

    __slots__ = ("builder", "directory", "files")

    def __init__(self, directory: Path, size: int = 0, files: Files | None = None) -> None:
        self.directory: Path = directory
        self.files: Files = files or Files()
        self.builder: TileBuilder = TileBuilder()
        if size:
            self.builder = TileBuilder.resume(open_reader(directory, size))

    @property
    def size(self) -> int:
        """Number of entries, written or not."""
        return self.builder.size

    def append(self, entry: bytes, leaf: bytes) -> None:
        """Add one entry with its leaf hash."""
        self.builder.append(entry, leaf)

    def write(self) -> None:
        """Make every tile of this size durable, then drop partial tiles that became full."""
        rows: list[tuple[Path, bytes]] = []
        replaced: list[Path] = []
        for tile, raw in self.builder.take():
            path = self.directory / format_tile_path(tile)
            rows.append((path, raw))
            if tile.width == WIDTH:
                replaced.append(path.with_name(path.name + ".p"))
        self.files.replace_all(rows)
        for partial in replaced:
            self.files.remove_tree(partial)

    def publish(self, note: bytes) -> None:
        """Replace the checkpoint. Its size must be the one whose tiles have been written."""
        checkpoint = parse_checkpoint(parse_note(note).text)
        ensure(
            checkpoint.size == self.builder.size == self.builder.taken,
            "INV-L3",
            "a checkpoint must have the size of the tiles on disk",
            checkpoint=checkpoint.size,
            tiles=self.builder.taken,
        )
        self.files.replace(self.directory / CHECKPOINT, note)


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of the log directory that is not what the entries say, and in which way.

    `offset`, `expected` and `found` are set where bytes differ.
    """

    path: str
    problem: str
    offset: int | None = None
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` derived from the entries, and each file that differs from it."""

    size: int
    root: bytes
    files: int
    differences: tuple[Difference, ...]


class _Comparer:
    """Compares files with tiles as they are derived; remembers which paths it has seen."""

    __slots__ = ("directory", "found", "seen")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: dict[str, None] = {}
        self.found: list[Difference] = []

    def check(self, tile: Tile, raw: bytes) -> None:
        """Compare a tile and whatever partial forms of it are on disk."""
        self._check_file(format_tile_path(tile), raw)
        name = format_tile_path(Tile(tile.level, tile.index, WIDTH)) + ".p"
        partials = self.directory / name
        if not partials.is_dir():
            return
        for file in sorted(partials.iterdir()):
            partial = parse_tile_path(f"{name}/{file.name}")
            if partial is not None and partial.width < tile.width:
                self._check_file(f"{name}/{file.name}", _cut(tile, raw, partial.width))

    def _check_file(self, path: str, expected: bytes) -> None:
        self.seen[path] = None
        try:
            found = read_file(self.directory / path)
        except InvalidFile as error:
            self.found.append(Difference(path, str(error)))
            return
        if found is None:
            self.found.append(Difference(path, MISSING))
            return
        if found != expected:
            at = _first_difference(expected, found)
            right = expected[at : at + 8].hex() or "the end"
            wrong = found[at : at + 8].hex() or "the end"
            problem = f"differs at byte {at}: expected {right}, found {wrong}"
            self.found.append(Difference(path, problem, at, right, wrong))

    def check_strangers(self, size: int) -> None:
        """Report files that no log of this size has; temporary files of a crash are no fault."""
        for file in sorted((self.directory / "tile").rglob("*")):
            path = file.relative_to(self.directory).as_posix()
            if file.is_file() and not path.endswith(TEMPORARY) and path not in self.seen:
                self.found.append(Difference(path, f"does not belong to a log of size {size}"))


def _cut(tile: Tile, raw: bytes, width: int) -> bytes:
    """The partial form of a tile or bundle."""
    if tile.level == ENTRIES:
        return encode_bundle(decode_bundle(raw, tile.width)[:width])
    return raw[: 32 * width]


def _first_difference(one: bytes, other: bytes) -> int:
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return at
    return min(len(one), len(other))


def compare(directory: Path, entries: Iterable[bytes]) -> Comparison:
    """Derive every tile from the entries and report each file that differs, and the checkpoint.

    The entries come from the segments, which are the source of truth, or from `read_bundles`.
    """
    comparer = _Comparer(directory)
    builder = TileBuilder()
    frontier = Frontier()
    published = _published(directory, comparer.found)
    for entry in entries:
        if published is not None and published[0] == builder.size:
            _compare_checkpoint(published, frontier, comparer.found)
        leaf = leaf_hash(entry)
        frontier.append(leaf)
        builder.append(entry, leaf)
        if builder.size & (WIDTH - 1) == 0:
            _check_full(comparer, builder)
    _check_last(comparer, builder)
    if published is not None and published[0] >= builder.size:
        _compare_checkpoint(published, frontier, comparer.found)
    comparer.check_strangers(builder.size)
    found = tuple(comparer.found)
    return Comparison(builder.size, frontier.root(), len(comparer.seen), found)


def _check_full(comparer: _Comparer, builder: TileBuilder) -> None:
    for tile, raw in builder.take():
        if tile.width == WIDTH:
            comparer.check(tile, raw)


def _check_last(comparer: _Comparer, builder: TileBuilder) -> None:
    """Check what is left: the partial tile of each level, from the builder's own lists."""
    _check_full(comparer, builder)
    if builder.entries:
        tile = Tile(ENTRIES, builder.size >> 8, len(builder.entries))
        comparer.check(tile, encode_bundle(builder.entries))
    for level, hashes in enumerate(builder.levels):
        if hashes:
            tile = Tile(level, builder.size >> (8 * level + 8), len(hashes))
            comparer.check(tile, b"".join(hashes))


def _published(directory: Path, found: list[Difference]) -> tuple[int, bytes] | None:
    """Size and root of the checkpoint file; its signatures are another check."""
    raw = load_checkpoint(directory)
    if raw is None:
        return None
    try:
        checkpoint = parse_checkpoint(parse_note(raw).text)
    except InvalidProof as error:
        found.append(Difference(CHECKPOINT, str(error)))
        return None
    return checkpoint.size, checkpoint.root


def _compare_checkpoint(
    published: tuple[int, bytes], frontier: Frontier, found: list[Difference]
) -> None:
    size, root = published
    if size != frontier.size:
        problem = f"has size {size}, the entries end at {frontier.size}"
        found.append(Difference(CHECKPOINT, problem))
    elif root != frontier.root():
        problem = f"root at size {size}: expected {frontier.root().hex()}, found {root.hex()}"
        found.append(Difference(CHECKPOINT, problem))


def read_bundles(directory: Path) -> Iterable[bytes]:
    """Entries from the bundles alone, up to the last one, for a log that came without segments.

    Raises: InvalidFile naming the bundle that is missing or malformed.
    """
    size = 0
    for file in (directory / "tile" / "entries").rglob("*"):
        tile = parse_tile_path(file.relative_to(directory).as_posix())
        if tile is not None and file.is_file():
            size = max(size, tile.index * WIDTH + tile.width)
    return open_reader(directory, size).read_entries(0, size)


def rebuild(directory: Path, entries: Iterable[bytes], files: Files | None = None) -> int:
    """Write every tile anew from the entries and return the size; the checkpoint stays.

    The new tiles are made beside the old ones, which go only when the new ones are durable.
    """
    files = files or Files()
    fresh = directory / "tile.new"
    files.remove_tree(fresh)
    log = TileLog(fresh, files=files)
    for entry in entries:
        log.append(entry, leaf_hash(entry))
        if log.size & 0xFFFF == 0:
            log.write()
    log.write()
    current, old = directory / "tile", directory / "tile.old"
    files.remove_tree(old)
    if current.exists():
        files.rename(current, old)
    if log.size:
        files.rename(fresh / "tile", current)
    files.sync_directory(directory)
    files.remove_tree(old)
    files.remove_tree(fresh)
    return log.size
