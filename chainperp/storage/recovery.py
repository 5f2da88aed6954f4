"""What a crash left at the end of the segments, and what may be cut.

Decides which bytes were never acknowledged. Four things must hold before a byte is cut: it lies
after the last valid seal; no sealed block of this chain follows it; the log has signed nothing
that needs it; and it is kept, durable, beside the segment.

One block may be cut although its seal is intact: the last one, when whole 512-byte sectors of it
are zero. Sectors of a write that was not flushed reach the disk in any order, so this is how a
block looks whose power went before its flush returned. A flipped bit never looks like that.

Recovery may die anywhere and start again: it comes to the same bytes.

Source: audit-log-and-consensus 17; reliability 7.3 W2, W3, W11.
"""

import mmap
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from chainperp.base.errors import InvalidFile
from chainperp.model.entries import HEADER, HEADER_SIZE
from chainperp.storage.files import DamagedFile, Files, naming, read_file
from chainperp.storage.segments import (
    MAGIC,
    RECORD,
    SEAL,
    SEAL_ENTRY_SIZE,
    SEAL_RECORD_SIZE,
    Tip,
    encode_record,
    last_seal,
    list_segments,
    tip_of,
    walk_segment,
)

SECTOR: Final = 512
START: Final = MAGIC.to_bytes(4, "big") + bytes((SEAL,)) + SEAL_ENTRY_SIZE.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes after the last seal that were cut from a segment, and the file that keeps them."""

    path: Path
    offset: int
    length: int
    reason: str
    kept: Path

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.length} unsealed bytes from byte {self.offset} on were cut "
            f"and kept in {self.kept.name} ({self.reason})"
        )


@dataclass(frozen=True, slots=True)
class Recovery:
    """The last sealed block, and what was cut behind it."""

    tip: Tip
    torn: TornTail | None


def find_tip(directory: Path) -> Tip:
    """Last sealed block, whatever follows it; changes nothing. For readers of a live directory."""
    return _scan(list_segments(directory))[0]


def inspect(directory: Path) -> tuple[Tip, DamagedFile | None]:
    """Last sealed block, and what is wrong with the unsealed bytes after it; changes nothing.

    Raises: DamagedFile when a sealed block follows the damage: that is corruption, not a tail
    that a crash left behind.
    """
    paths = list_segments(directory)
    tip, end, damage = _scan(paths)
    if damage is not None:
        _refuse_sealed(paths[-1], end, tip, damage)
    return tip, damage


def recover(directory: Path, files: Files | None = None, signed_size: int = 0) -> Recovery:
    """Bring the segments to their last sealed block.

    `signed_size` is the largest log size that was ever about to be signed: the segments were
    flushed up to there, so an earlier end is a loss and not a torn write.
    Raises: DamagedFile when a segment is missing or ends early, when a sealed block follows the
    damage, or when the log would end before `signed_size`. Nothing has been cut then.
    """
    files = files or Files()
    files.remove_temporary([directory])
    paths = list_segments(directory)
    tip, end, damage = _scan(paths)
    if tip.size < signed_size:
        path = paths[-1] if paths else directory
        found = f"{tip.size} (height {tip.height})" + (f"; {damage}" if damage else "")
        raise DamagedFile(path, end, f"sealed blocks up to log size {signed_size}", found)
    if damage is None:
        return Recovery(tip, None)
    _refuse_sealed(paths[-1], end, tip, damage)
    return Recovery(tip, _cut(paths[-1], end, damage, files))


def _scan(paths: list[Path]) -> tuple[Tip, int, DamagedFile | None]:
    """Last sealed block, where it ends in the last segment, and what is wrong after it."""
    tip = Tip()
    for path, following in pairwise(paths):
        tip = tip_of(last_seal(path, int(following.name) - 1))
    end = 0
    if paths:
        try:
            for placed in walk_segment(paths[-1]):
                tip = tip_of(placed.block.entries[-1])
                end = placed.end
        except DamagedFile as damage:
            return tip, end, damage
    return tip, end, None


def _refuse_sealed(path: Path, end: int, tip: Tip, damage: DamagedFile) -> None:
    """Raise when a sealed block follows the damage, unless it is the one that was not flushed."""
    with (
        naming("read", path),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        at = _find_seal(view, end, tip)
        if at < 0:
            return
        is_last = at + SEAL_RECORD_SIZE == len(view) and _height(view, at) == tip.height + 1
        if is_last and _has_lost_sector(view, end, at):
            return
    raise DamagedFile(
        path, damage.offset, damage.expected,
        f"{damage.found}; a sealed block follows at byte {at}, so nothing is cut",
    )  # fmt: skip


def _find_seal(view: mmap.mmap, start: int, tip: Tip) -> int:
    """Offset of the first valid seal record of a later block of this chain; -1 if there is none."""
    at = view.find(START, start)
    while at >= 0:
        record = view[at : at + SEAL_RECORD_SIZE]
        entry = record[RECORD.size :]
        if record == encode_record(SEAL, entry):
            chain = slice(HEADER_SIZE, HEADER_SIZE + 32)
            if not tip.seal or entry[chain] == tip.seal[chain]:
                return at
        at = view.find(START, at + 1)
    return -1


def _height(view: mmap.mmap, at: int) -> int:
    (_form, _kind, height, _seq, _length) = HEADER.unpack_from(view, at + RECORD.size)
    return int(height)


def _has_lost_sector(view: mmap.mmap, start: int, end: int) -> bool:
    """Some sector, as far as it lies in [start, end), has only zeros."""
    at = start
    while at < end:
        stop = min(end, (at | (SECTOR - 1)) + 1)
        if not any(view[at:stop]):
            return True
        at = stop
    return False


def _cut(path: Path, end: int, damage: DamagedFile, files: Files) -> TornTail:
    """Keep the bytes after `end` in a file of their own, then cut them."""
    raw = read_file(path)
    if raw is None:
        raise InvalidFile(f"{path} vanished while it was recovered")
    tail = raw[end:]
    kept = path.with_name(f"{path.name}.tail-{end}")
    number = 1
    while (before := read_file(kept)) is not None and before != tail:
        number += 1
        kept = path.with_name(f"{path.name}.tail-{end}.{number}")
    if before is None:
        files.replace(kept, tail)
    handle = files.open_append(path)
    try:
        files.truncate(handle, end)
        files.sync(handle)
    finally:
        files.close(handle)
    reason = f"expected {damage.expected}, found {damage.found}"
    return TornTail(path, end, len(tail), reason, kept)
