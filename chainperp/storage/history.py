"""Every checkpoint that a node published, in the order of publishing: `D/checkpoints`.

    D/checkpoints/<size of the first record, 20 digits>.jsonl
    {"size": N, "time_ms": T, "note": "<signed note>"}          one record a line

Append-only, but neither the truth nor derived from it: whoever wants to be sure keeps his own.
Nothing is flushed to disk on purpose; a crash may take the last records, and a torn line is cut
when the directory is opened again. A checkpoint that got cosignatures later stands there once
more with them. `time_ms` is the time of the chain's last block when the record was made. The
oldest file goes when there are more than `FILES_MAX`.

Source: audit-log-and-consensus 11.1 (keep every note).
"""

import json
from bisect import bisect_right
from pathlib import Path
from typing import Final

from chainperp.base.errors import InvalidProof
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.note import parse_note
from chainperp.storage.files import Files, read_file

DIRECTORY: Final = "checkpoints"
SUFFIX: Final = ".jsonl"
RECORDS_MAX: Final = 4_096
"""Records in one file."""
FILES_MAX: Final = 512
"""About two million records, 700 MB: three weeks at one checkpoint a second."""
LIMIT_MAX: Final = 1_000
"""Records in one answer."""


class History:
    """The history of one data directory, open for appending. One writer."""

    def __init__(self, data: Path, files: Files | None = None) -> None:
        self.directory = data / DIRECTORY
        self.size = 0
        """Largest size that has a record."""
        self._files = files or Files()
        self._count = 0
        self._path: Path | None = None
        paths = list_files(self.directory)
        if paths:
            self._resume(paths[-1])

    def add(self, note: bytes, time_ms: int) -> None:
        """Append a checkpoint. Raises: StorageFault; InvalidProof for what is no checkpoint."""
        size = parse_checkpoint(parse_note(note).text).size
        if self._path is None or self._count >= RECORDS_MAX:
            self._begin(size)
        line = json.dumps({"size": size, "time_ms": time_ms, "note": note.decode()})
        if self._path is not None:
            handle = self._files.open_append(self._path)
            try:
                self._files.write(handle, line.encode() + b"\n")
            finally:
                self._files.close(handle)
        self._count += 1
        self.size = max(self.size, size)

    def _begin(self, size: int) -> None:
        """Start the next file, and drop the oldest when there are too many."""
        paths = list_files(self.directory)
        for old in paths[: max(0, len(paths) + 1 - FILES_MAX)]:
            self._files.unlink(old)
        self._files.make_directories(self.directory)
        # A late cosignature can be of a smaller size than the file before begins with.
        self._path = self.directory / f"{max(size, self.size):020d}{SUFFIX}"
        self._count = len(_lines(self._path))

    def _resume(self, path: Path) -> None:
        raw = read_file(path) or b""
        whole = raw.rpartition(b"\n")[0]
        keep = len(whole) + 1 if whole else 0
        if keep != len(raw):
            handle = self._files.open_append(path)
            try:
                self._files.truncate(handle, keep)
            finally:
                self._files.close(handle)
        sizes = [_size(line) for line in whole.split(b"\n") if line]
        self.size = max(sizes, default=0)
        self._count = len(sizes)
        self._path = path


def list_files(directory: Path) -> list[Path]:
    """Files of a history, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.name.endswith(SUFFIX))


def read_history(data: Path, after: int, limit: int) -> bytes:
    """Records of checkpoints above a size, oldest first, one JSON document a line.

    At most `limit` records, and a few more where the last size has more than one: an answer never
    ends between two records of one size. Safe beside the writer.
    """
    paths = list_files(data / DIRECTORY)
    # A checkpoint above `after` can stand in the last file that begins at or below it.
    first = max(0, bisect_right([path.name for path in paths], f"{after:020d}{SUFFIX}") - 1)
    found: list[bytes] = []
    last = -1
    for path in paths[first:]:
        for line in _lines(path):
            size = _size(line)
            if len(found) >= limit and size != last:
                return b"".join(one + b"\n" for one in found)
            if size > after:
                found.append(line)
                last = size
    return b"".join(one + b"\n" for one in found)


def _lines(path: Path) -> list[bytes]:
    """Whole lines of a file; the one that is being written is left out."""
    raw = read_file(path) or b""
    return raw.split(b"\n")[:-1]


def _size(line: bytes) -> int:
    """Size in a record. Raises InvalidProof."""
    try:
        return int(json.loads(line)["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidProof(
            f"a record of the checkpoint history is damaged: {line[:60]!r}"
        ) from error
