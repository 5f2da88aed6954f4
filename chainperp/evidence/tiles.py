"""The log as static files: which tiles exist, what is in them, how a proof reads them.

Decides paths and bytes of tiles and entry bundles and the order in which they are published.
Never opens a file: `TileBuilder` returns bytes to write, `TileReader` is handed a function that
fetches a path, from a directory or from a server.

    tile/<L>/<N>[.p/<W>]         W hashes (256 when full) of level L; hash i of tile N is the root
                                 over the 256**L leaves from (256 N + i) * 256**L on
    tile/entries/<N>[.p/<W>]     W entries, each u16 length || bytes
    N in groups of three digits, all but the last with an x in front: 1234067 = x001/x234/067

A full tile never changes. A partial one is never hashed into its parent.

Source: C2SP tlog-tiles; audit-log-and-consensus 7.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chainperp.base.canonical import Reader
from chainperp.base.errors import InvalidBytes, InvalidFile, ensure
from chainperp.base.units import DIGITS
from chainperp.state.root import merkle_root

WIDTH: Final = 256
ENTRY_BYTES_MAX: Final = 65_535
LEVEL_MAX: Final = 7
ENTRIES: Final = -1
"""Level number that stands for entry bundles; they come before level 0 in every order."""
CACHE_MAX: Final = 64

# A path below the log's prefix to the file's bytes; None when there is no such file.
Fetch = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Tile:
    """Name of one tile or bundle. `width` is 256 for a full one, else 1 to 255."""

    level: int
    index: int
    width: int


def format_tile_path(tile: Tile) -> str:
    """Path of a tile below the log's prefix."""
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    digits = str(tile.index)
    while len(digits) < 3 or len(range(0, len(digits), 3)) * 3 != len(digits):
        digits = "0" + digits
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if tile.width == WIDTH else f".p/{tile.width}")


def parse_tile_path(path: str) -> Tile | None:
    """Tile of a path; None when the path is not the one name of a tile."""
    words = path.split("/")
    width = WIDTH
    if len(words) > 3 and words[-2].endswith(".p"):
        width = _small_number(words.pop(), WIDTH - 1)
        words[-1] = words[-1][:-2]
    if len(words) < 3 or len(words) > 9 or words[0] != "tile" or width < 1:
        return None
    level = ENTRIES if words[1] == "entries" else _small_number(words[1], LEVEL_MAX)
    digits = "".join(
        word[1:] if word[:1] == "x" and at < len(words) - 1 else word
        for at, word in enumerate(words[2:], 2)
    )
    if level < ENTRIES or not digits or not DIGITS.issuperset(digits):
        return None
    tile = Tile(level, int(digits), width)
    return tile if format_tile_path(tile) == path else None


def _small_number(word: str, limit: int) -> int:
    """A number of at most three digits up to a limit; -2 for anything else."""
    if not word or len(word) > 3 or not DIGITS.issuperset(word) or int(word) > limit:
        return -2
    return int(word)


def width_at(size: int, level: int, index: int) -> int:
    """How many hashes (or entries) tile `index` of a level has in a log of this size; 0 if none."""
    count = size if level == ENTRIES else size >> (8 * level)
    return max(0, min(WIDTH, count - index * WIDTH))


def plan_growth(old_size: int, new_size: int) -> list[Tile]:
    """Tiles to write when a log grows: bundles first, then level 0, then upward.

    A tile that was partial and has grown is written again under its new width.
    """
    ensure(0 <= old_size <= new_size, "INV-L3", "a log does not shrink", old=old_size, new=new_size)
    planned: list[Tile] = []
    for level in range(ENTRIES, LEVEL_MAX + 1):
        shift = 8 * max(level, 0)
        old, new = old_size >> shift, new_size >> shift
        if old == new:
            break
        first, last = old >> 8, new >> 8
        planned.extend(Tile(level, index, WIDTH) for index in range(first, last))
        if new & (WIDTH - 1):
            planned.append(Tile(level, last, new & (WIDTH - 1)))
    return planned


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Bytes of an entry bundle."""
    rows: list[bytes] = []
    for entry in entries:
        ensure(len(entry) <= ENTRY_BYTES_MAX, "INV-L3", "an entry is too long", bytes=len(entry))
        rows.append(len(entry).to_bytes(2, "big"))
        rows.append(entry)
    return b"".join(rows)


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    """Entries of a bundle that must hold exactly `width`. Raises InvalidBytes."""
    reader = Reader(raw)
    entries = [reader.take(reader.unsigned(2)) for _row in range(width)]
    reader.finish()
    return entries


def decode_tile(raw: bytes, width: int) -> list[bytes]:
    """Hashes of a tile that must hold exactly `width`. Raises InvalidBytes."""
    if len(raw) != 32 * width:
        raise InvalidBytes(f"tile has {len(raw)} bytes, expected {32 * width}")
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


class TileBuilder:
    """Collects entries and returns the files that their growth must write.

    Invariant: each list starts at the first hash (entry) of the tile that `taken` left partial,
    so at most one partial tile per level is kept once everything has been taken.
    """

    __slots__ = ("entries", "levels", "size", "taken")

    def __init__(self) -> None:
        self.size: int = 0
        self.taken: int = 0
        self.entries: list[bytes] = []
        self.levels: list[list[bytes]] = []

    @staticmethod
    def resume(reader: "TileReader") -> "TileBuilder":
        """Builder of a log whose tiles up to `reader.size` are already written."""
        builder = TileBuilder()
        size = builder.size = builder.taken = reader.size
        builder.entries = list(reader.read_entries(_tile_start(size), size))
        level = 0
        while size >> (8 * level):
            count = size >> (8 * level)
            hashes = [reader.node(8 * level, at) for at in range(_tile_start(count), count)]
            builder.levels.append(hashes)
            level += 1
        return builder

    def append(self, entry: bytes, leaf: bytes) -> None:
        """Add an entry with its leaf hash; closes every tile that it fills."""
        self.entries.append(entry)
        self.size += 1
        count = self.size
        level = 0
        while True:
            if level == len(self.levels):
                self.levels.append([])
            hashes = self.levels[level]
            hashes.append(leaf)
            if count & (WIDTH - 1):
                return
            leaf = merkle_root(hashes[-WIDTH:])
            count >>= 8
            level += 1

    def take(self) -> list[tuple[Tile, bytes]]:
        """Tiles since the last call, with their bytes, in the order of publication."""
        files: list[tuple[Tile, bytes]] = []
        for tile in plan_growth(self.taken, self.size):
            shift = 8 * max(tile.level, 0)
            start = tile.index * WIDTH - _tile_start(self.taken >> shift)
            if tile.level == ENTRIES:
                raw = encode_bundle(self.entries[start : start + tile.width])
            else:
                raw = b"".join(self.levels[tile.level][start : start + tile.width])
            files.append((tile, raw))
        for level, hashes in enumerate(self.levels):
            shift = 8 * level
            del hashes[: _tile_start(self.size >> shift) - _tile_start(self.taken >> shift)]
        del self.entries[: _tile_start(self.size) - _tile_start(self.taken)]
        self.taken = self.size
        return files


def _tile_start(count: int) -> int:
    """First index of the tile that the next hash belongs to."""
    return (count >> 8) << 8


class TileReader:
    """Reads a log through its tiles; `node` is a `merkle.NodeReader`.

    `size` is one for which tiles were written; proofs can be made for it and any smaller size.
    What it returns is not verified: build the proof, then verify it against a signed root.
    """

    __slots__ = ("_cache", "_fetch", "size")

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size: int = size
        self._fetch: Fetch = fetch
        self._cache: dict[tuple[int, int], list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree (level, index).

        Raises: InvalidFile when a tile is missing or has a wrong length.
        """
        ensure(
            level >= 0 and (index + 1) << level <= self.size,
            "INV-L1",
            "a proof asked for a subtree that is not complete",
            level=level,
            index=index,
        )
        inside = level & 7
        first = index << inside
        rows = self._rows(level >> 3, first >> 8)
        start = first & (WIDTH - 1)
        return merkle_root(rows[start : start + (1 << inside)])

    def entry(self, index: int) -> bytes:
        """Bytes of one entry. Raises InvalidFile when its bundle is missing or malformed."""
        ensure(0 <= index < self.size, "INV-L1", "an entry outside the log", index=index)
        return self._rows(ENTRIES, index >> 8)[index & (WIDTH - 1)]

    def read_entries(self, start: int, end: int) -> Iterator[bytes]:
        """Entries [start, end) in order."""
        for index in range(start, end):
            yield self.entry(index)

    def _rows(self, level: int, index: int) -> list[bytes]:
        rows = self._cache.get((level, index))
        if rows is None:
            rows = self._load(level, index)
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[(level, index)] = rows
        return rows

    def _load(self, level: int, index: int) -> list[bytes]:
        """Rows of a tile: under its width at this size, or from the full tile that replaced it."""
        needed = width_at(self.size, level, index)
        for width in (needed, WIDTH):
            path = format_tile_path(Tile(level, index, width))
            raw = self._fetch(path)
            if raw is not None:
                decode = decode_bundle if level == ENTRIES else decode_tile
                try:
                    return decode(raw, width)[:needed]
                except InvalidBytes as error:
                    raise InvalidFile(f"{path}: {error}") from error
        path = format_tile_path(Tile(level, index, needed))
        raise InvalidFile(f"{path} is missing, the log has {self.size} entries")
