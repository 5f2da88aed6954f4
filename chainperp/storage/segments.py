"""Segments: the blocks of a chain on disk, append-only. They are the truth; all else is derived.

Decides the bytes of a segment file and which of them count after a crash. Never decides what is
in an entry.

    record   u32 magic 43505231 | u8 type (1 entry batch, 2 seal) | u32 length |
             u32 crc32(type || payload) | payload
    block    one batch record (each entry u32 length || bytes) + one seal record (the SEAL entry),
             in one write and one flush
    file     named after its first height, 12 digits; at most 10,000 blocks or 1 GiB

A block is committed when its flush returned, and valid when its seal record is. Bytes after the
last valid seal were never acknowledged: `recover` cuts them, keeps them beside the segment, and
says so. Damage that is followed by a sealed block is no torn write: it is refused, nothing is cut.

Source: audit-log-and-consensus 17; reliability 7.3.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from chainperp.base.errors import ensure
from chainperp.chain.engine import SealedBlock
from chainperp.model.decisions import Kind
from chainperp.model.entries import FORMAT, HEADER, HEADER_SIZE
from chainperp.model.records import SEAL_SIZE
from chainperp.storage.files import DamagedFile, Files, Handle, StorageFault, naming

MAGIC: Final = 0x43505231
RECORD: Final = Struct(">IBII")
BATCH: Final = 1
SEAL: Final = 2
NAMES: Final = {BATCH: "an entry batch", SEAL: "a seal"}
LENGTH: Final = Struct(">I")
PLACE: Final = Struct(">QI")
"""A SEAL's `first_index` and `n_entries`, at bytes 72 to 84 of its payload."""

SEAL_ENTRY_SIZE: Final = HEADER_SIZE + SEAL_SIZE
SEAL_RECORD_SIZE: Final = RECORD.size + SEAL_ENTRY_SIZE
BLOCKS_MAX: Final = 10_000
BYTES_MAX: Final = 1 << 30
NAME: Final = re.compile(r"[0-9]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as it was committed: its entries, the SEAL last."""

    height: int
    entries: list[bytes]


@dataclass(frozen=True, slots=True)
class Tip:
    """The last sealed block: its height, the log's size with it, its time and its SEAL entry."""

    height: int = -1
    size: int = 0
    time_ms: int = 0
    seal: bytes = b""


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with the bytes of its segment that hold it: [offset, end)."""

    block: StoredBlock
    offset: int
    end: int


def encode_record(kind: int, payload: bytes) -> bytes:
    """Bytes of one record."""
    check = zlib.crc32(payload, zlib.crc32(bytes((kind,))))
    return RECORD.pack(MAGIC, kind, len(payload), check) + payload


def encode_block(entries: Sequence[bytes]) -> bytes:
    """Bytes of a block's two records; the last entry is the SEAL."""
    parts: list[bytes] = []
    for entry in entries[:-1]:
        parts.append(LENGTH.pack(len(entry)))
        parts.append(entry)
    return encode_record(BATCH, b"".join(parts)) + encode_record(SEAL, entries[-1])


def tip_of(seal: bytes) -> Tip:
    """Place of a block from its SEAL entry, whose frame has been checked."""
    _form, _kind, height, _seq, _length = HEADER.unpack_from(seal)
    first, count = PLACE.unpack_from(seal, HEADER_SIZE + 72)
    time_ms = int.from_bytes(seal[HEADER_SIZE + 32 : HEADER_SIZE + 40], "big")
    return Tip(height, first + count + 1, time_ms, seal)


def segment_path(directory: Path, height: int) -> Path:
    """File of the segment that starts at a height."""
    return directory / f"{height:012d}"


def list_segments(directory: Path) -> list[Path]:
    """Segment files in order; the first starts at height 0.

    Raises: DamagedFile when one is not a plain file, or the first is missing.
    """
    with naming("list", directory):
        paths = sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise DamagedFile(path, 0, "a segment file", "something that is not a plain file")
    if paths and int(paths[0].name) != 0:
        raise DamagedFile(paths[0], 0, "a segment from height 0 on", "only later ones")
    return paths


class _Reader:
    """Records of one segment file, each checked as it is read."""

    __slots__ = ("file", "path", "size")

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = file.seek(0, 2)

    def header(self, offset: int, kind: int) -> tuple[int, int]:
        """Length and CRC of the record at an offset, which must be of this kind."""
        if offset + RECORD.size > self.size:
            raise self.damage(offset, NAMES[kind] + " record", f"{self.size - offset} bytes")
        magic, found, length, check = RECORD.unpack(self.bytes_at(offset, RECORD.size))
        if magic != MAGIC:
            raise self.damage(offset, f"magic {MAGIC:08x}", f"{magic:08x}")
        if found != kind:
            raise self.damage(offset + 4, f"type {kind}, {NAMES[kind]}", f"type {found}")
        if length > self.size - offset - RECORD.size:
            left = self.size - offset - RECORD.size
            raise self.damage(offset + 5, f"at most {left} payload bytes", f"length {length}")
        return length, check

    def payload(self, offset: int, kind: int) -> bytes:
        """Payload of the record at an offset."""
        length, check = self.header(offset, kind)
        payload = self.bytes_at(offset + RECORD.size, length)
        found = zlib.crc32(payload, zlib.crc32(bytes((kind,))))
        if found != check:
            raise self.damage(offset + 9, f"crc {check:08x} of its {length} bytes", f"{found:08x}")
        return payload

    def seal(self, offset: int, height: int) -> bytes:
        """SEAL entry in the record at an offset, which must be of this height."""
        entry = self.payload(offset, SEAL)
        place = offset + RECORD.size
        if len(entry) != SEAL_ENTRY_SIZE:
            raise self.damage(offset + 5, f"a SEAL of {SEAL_ENTRY_SIZE} bytes", str(len(entry)))
        form, kind, found, _seq, length = HEADER.unpack_from(entry)
        if (form, kind, length) != (FORMAT, Kind.SEAL, SEAL_SIZE):
            raise self.damage(place, "the header of a SEAL", entry[:HEADER_SIZE].hex())
        if found != height:
            raise self.damage(place, f"a SEAL of height {height}", f"height {found}")
        return entry

    def entries(self, offset: int, payload: bytes) -> list[bytes]:
        """Entries of a batch's payload."""
        entries: list[bytes] = []
        at, end = 0, len(payload)
        read = LENGTH.unpack_from
        while at + 4 <= end:
            start = at + 4
            stop = start + read(payload, at)[0]
            if stop > end:
                raise self.damage(
                    offset + RECORD.size + at,
                    f"at most {end - start} entry bytes",
                    str(stop - start),
                )
            entries.append(payload[start:stop])
            at = stop
        if at != end:
            raise self.damage(offset + RECORD.size + at, "an entry length", f"{end - at} bytes")
        return entries

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Bytes of the file; all of them or an error."""
        with naming("read", self.path):
            self.file.seek(offset)
            raw = self.file.read(length)
        if len(raw) != length:
            raise self.damage(offset, f"{length} bytes", f"{len(raw)} bytes")
        return raw

    def damage(self, offset: int, expected: str, found: str) -> DamagedFile:
        """The error for this place."""
        return DamagedFile(self.path, offset, expected, found)


def walk_segment(path: Path, from_height: int = 0) -> Iterator[Placed]:
    """Sealed blocks of one segment in order; those below `from_height` come without entries.

    Raises: DamagedFile at the first byte that is not part of a sealed block of the next height.
    """
    with naming("open", path):
        file = path.open("rb")
    with file:
        reader = _Reader(path, file)
        offset, height = 0, int(path.name)
        while offset < reader.size:
            entries: list[bytes] = []
            if height < from_height:
                length, _check = reader.header(offset, BATCH)
                middle = offset + RECORD.size + length
                reader.seal(middle, height)
            else:
                payload = reader.payload(offset, BATCH)
                middle = offset + RECORD.size + len(payload)
                seal = reader.seal(middle, height)
                entries = reader.entries(offset, payload)
                _check_count(reader, middle, len(entries), seal)
                entries.append(seal)
            end = middle + SEAL_RECORD_SIZE
            yield Placed(StoredBlock(height, entries), offset, end)
            offset = end
            height += 1


def _check_count(reader: _Reader, offset: int, count: int, seal: bytes) -> None:
    """A SEAL follows as many entries as its sequence number says."""
    (_form, _kind, _height, seq, _length) = HEADER.unpack_from(seal)
    if seq != count:
        raise reader.damage(offset, f"a SEAL after {count} entries", f"sequence {seq}")


def last_seal(path: Path, height: int) -> bytes:
    """SEAL at the end of a segment that must end with this height."""
    with naming("open", path):
        file = path.open("rb")
    with file:
        reader = _Reader(path, file)
        return reader.seal(max(0, reader.size - SEAL_RECORD_SIZE), height)


def read_blocks(
    directory: Path, from_height: int = 0, to_height: int | None = None
) -> Iterator[StoredBlock]:
    """Blocks `from_height` to `to_height` inclusive, or to the end of the last segment.

    Reading is strict: an unsealed tail is an error too, unless `to_height` stops before it.
    Raises: DamagedFile naming file, offset and both values for wrong magic, type, length, CRC or
    height, for a missing segment, and when the blocks end before `to_height`.
    """
    paths = list_segments(directory)
    start = max((at for at, path in enumerate(paths) if int(path.name) <= from_height), default=0)
    height = int(paths[start].name) if paths else 0
    for path in paths[start:]:
        if to_height is not None and height > to_height:
            return
        if int(path.name) != height:
            raise DamagedFile(path, 0, f"a segment from height {height} on", f"name {path.name}")
        for placed in walk_segment(path, from_height):
            if placed.block.height >= from_height:
                yield placed.block
            height = placed.block.height + 1
            if to_height is not None and height > to_height:
                return
    if to_height is not None and height <= to_height:
        last = paths[-1] if paths else segment_path(directory, 0)
        size = last.stat().st_size if paths else 0
        raise DamagedFile(last, size, f"block {height}", "the end of the segments")


class SegmentWriter:
    """Appends blocks. Made by `recovery.recover`d segments; one writer per directory.

    Invariant: after a fault the writer refuses everything, for nobody knows what is on disk.
    """

    __slots__ = ("_blocks", "_bytes", "_handle", "broken", "directory", "files", "height")

    def __init__(self, directory: Path, height: int, files: Files | None = None) -> None:
        self.directory = directory
        self.files = files or Files()
        self.height = height
        self.broken = False
        self._handle: Handle | None = None
        self._blocks = 0
        self._bytes = 0
        paths = list_segments(directory)
        if paths:
            self._blocks = height + 1 - int(paths[-1].name)
            self._bytes = paths[-1].stat().st_size
            self._handle = self.files.open_append(paths[-1])

    def append(self, block: SealedBlock) -> None:
        """Write and flush one block. When this returns, the block is durable.

        Raises: StorageFault; the writer is of no use afterwards.
        """
        ensure(
            block.height == self.height + 1, "INV-G1", "a block out of turn",
            height=block.height, last=self.height,
        )  # fmt: skip
        if self.broken:
            raise StorageFault(f"{self.directory}: a write failed before, block {block.height} "
                               f"is not tried")  # fmt: skip
        raw = encode_block(block.entries)
        self.broken = True
        handle = self._handle_for(block.height, len(raw))
        self.files.write(handle, raw)
        self.files.sync(handle)
        self.broken = False
        self.height = block.height
        self._blocks += 1
        self._bytes += len(raw)

    def _handle_for(self, height: int, length: int) -> Handle:
        """The file to append to: the current segment, or a new one when it is full."""
        handle = self._handle
        is_full = self._blocks >= BLOCKS_MAX or self._bytes + length > BYTES_MAX
        if handle is None or (is_full and self._blocks):
            fresh = self.files.open_append(segment_path(self.directory, height))
            if handle is not None:
                self.files.close(handle)
            self._handle = handle = fresh
            self.files.sync_directory(self.directory)
            self._blocks = self._bytes = 0
        return handle

    def close(self) -> None:
        """Close the segment; everything in it was flushed when it was written."""
        if self._handle is not None:
            self.files.close(self._handle)
            self._handle = None
            self.broken = True
