"""Where a replay reads a chain: a data directory, or a log served over HTTP with its entries.

Standard library and floors 0 to 6 only, for the bare command line. Nothing that is read here is
believed: the engine makes every entry again, and a snapshot must be the state of its SEAL.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from chainperp.base import canonical
from chainperp.base.canonical import Reader
from chainperp.base.errors import InvalidBytes, InvalidFile, NotFound
from chainperp.chain.genesis import Genesis, parse_genesis
from chainperp.client.log import ANSWER_BYTES_MAX, TIMEOUT_S, open_log
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.merkle import Frontier
from chainperp.evidence.note import parse_note
from chainperp.evidence.tiles import TileReader
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry
from chainperp.state.snapshot import HEAD, MAGIC
from chainperp.storage.datadir import DataDir
from chainperp.storage.recovery import inspect
from chainperp.storage.segments import read_blocks
from chainperp.storage.tiles import CHECKPOINT

Blocks = Iterator[tuple[int, list[bytes]]]
SEAL_PREFIX: Final = Kind.SEAL.to_bytes(2, "big")


class Source(Protocol):
    """A chain to read. `snapshots` are heights in ascending order. `log_root` is the root that the
    last block must reach, None where nobody has said."""

    genesis: Genesis
    snapshots: list[int]
    log_root: bytes | None

    def end(self) -> tuple[int, list[str]]:
        """Height of the last block, and what there is to say about the source."""

    def blocks(self, first: int, last: int) -> Blocks:
        """Height and entries of blocks `first` to `last`, both included."""

    def snapshot(self, height: int) -> bytes:
        """Bytes of a snapshot that is listed."""

    def seal(self, height: int) -> bytes:
        """SEAL entry of the block of a snapshot."""


def open_source(place: str) -> Source:
    """The chain at a path or below a URL. Raises: DirectoryError, InvalidFile, NotFound."""
    return ServedLog(place) if "://" in place else Directory(Path(place))


class Directory:
    """A data directory, opened for reading."""

    def __init__(self, path: Path) -> None:
        self.data = DataDir.open(path, write=False)
        self.genesis = self.data.genesis
        self.files = dict(self.data.list_snapshots())
        self.snapshots = sorted(self.files)
        self.log_root: bytes | None = None

    def end(self) -> tuple[int, list[str]]:
        """Looks at the whole last segment, so that an unsealed tail is noticed."""
        tip, tail = inspect(self.data.segments)
        if tail is None:
            return tip.height, []
        return tip.height, [f"unsealed bytes after block {tip.height} are left out: {tail}"]

    def blocks(self, first: int, last: int) -> Blocks:
        """Read from the segments. Raises DamagedFile."""
        for block in read_blocks(self.data.segments, first, last):
            yield block.height, block.entries

    def snapshot(self, height: int) -> bytes:
        """Bytes of the file."""
        return self.files[height].read_bytes()

    def seal(self, height: int) -> bytes:
        """Last entry of the block."""
        return next(iter(read_blocks(self.data.segments, height, height))).entries[-1]


class ServedLog:
    """`URL/log/…` as C2SP tiles with entry bundles, up to the published checkpoint.

    Where the same server has `URL/snapshots/<height, 12 digits>.snap` too, as a copy of a whole
    data directory on a file server does, the chain can be cut there; else it is one part.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        fetch = open_log(url)
        note = fetch(CHECKPOINT)
        if note is None:
            raise NotFound(f"{url} has no checkpoint")
        checkpoint = parse_checkpoint(parse_note(note).text)
        size = checkpoint.size
        self.log_root: bytes | None = checkpoint.root
        self.reader = TileReader(fetch, size)
        self._kept: tuple[int, bytes] = (-1, b"")
        first = decode_entry(self.reader.entry(0))
        if first.kind is not Kind.GENESIS:
            raise InvalidFile(f"{url} begins with {first.kind.name}, not with a genesis")
        self.genesis = parse_genesis(first.payload)
        self.tip = decode_entry(self.reader.entry(size - 1)).height
        every = max(1, self.genesis.parameters.snapshot_interval)
        heights = range(every, self.tip + 1, every)
        self.snapshots = [height for height in heights if self._ask(height, "HEAD") is not None]

    def end(self) -> tuple[int, list[str]]:
        """The checkpoint's last block."""
        return self.tip, [f"entries from {self.url}/log up to checkpoint size {self.reader.size}"]

    def blocks(self, first: int, last: int) -> Blocks:
        """Entries from the bundles, cut behind each SEAL."""
        height, entries = first, list[bytes]()
        start = self._place(first - 1) + 1 if first else 0
        for entry in self.reader.read_entries(start, self.reader.size):
            entries.append(entry)
            if entry[1:3] == SEAL_PREFIX:
                yield height, entries
                height, entries = height + 1, []
                if height > last:
                    return

    def snapshot(self, height: int) -> bytes:
        """Bytes of the file; the last one is kept."""
        if self._kept[0] != height:
            raw = self._ask(height, "GET")
            if raw is None:
                raise NotFound(f"{self.url} no longer has the snapshot of block {height}")
            self._kept = (height, raw)
        return self._kept[1]

    def seal(self, height: int) -> bytes:
        """The entry behind the snapshot's frontier."""
        return self.reader.entry(self._place(height))

    def _place(self, height: int) -> int:
        """Index of a snapshot's SEAL: the size of the log that its frontier describes."""
        raw = self.snapshot(height)
        if not raw.startswith(MAGIC):
            raise InvalidFile(f"{self.url} has no snapshot of block {height} under its name")
        reader = Reader(raw)
        reader.take(len(MAGIC))
        try:
            size = Frontier.decode(canonical.decode_from(HEAD, reader)["frontier"]).size
        except InvalidBytes as error:
            raise InvalidFile(f"snapshot of block {height}: {error}") from error
        if size >= self.reader.size:
            raise InvalidFile(f"snapshot of block {height} is of a longer log, size {size}")
        return size

    def _ask(self, height: int, method: str) -> bytes | None:
        """Bytes of a snapshot, none of them for HEAD; None when it is not there."""
        request = Request(f"{self.url}/snapshots/{height:012d}.snap", method=method)  # noqa: S310 - open_log checked the scheme
        try:
            with urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 - as above
                return bytes(reply.read(ANSWER_BYTES_MAX << 8))
        except HTTPError as error:
            error.close()
            return None
        except (URLError, OSError) as error:
            raise NotFound(f"{self.url} does not answer: {error}") from error
