"""The thin layer between chainperp and the disk: every call that changes a file goes through it.

Decides how bytes become durable: appended and flushed, or written under another name, flushed,
renamed, and the directory flushed. A test replaces `Files` by one that counts the primitive calls
and dies, tears, fills up or loses what was not flushed; the composed calls use primitives only.

A call that the system refuses raises `StorageFault` and is never tried again: after a failed
flush the kernel may have dropped the very bytes that a second, successful one pretends to save.

Source: audit-log-and-consensus 17; reliability 7.1, 7.3.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chainperp.base.errors import ChainperpError, InvalidFile

TEMPORARY: Final = ".tmp"
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
FILE_MODE: Final = 0o644
SYNCS_ALONE: Final = 3
SYNCS_TOGETHER: Final = 16
PRIVATE_MODE: Final = 0o600


class StorageFault(ChainperpError):
    """The disk refused a call. What it was about to save is not saved; the writer must stop."""


class StorageFull(StorageFault):
    """The disk has no room left."""


class DamagedFile(InvalidFile):
    """A file is not what it should be, at one offset, with what belongs there and what is there."""

    def __init__(self, path: Path, offset: int, expected: str, found: str) -> None:
        super().__init__(f"{path} at byte {offset}: expected {expected}, found {found}")
        self.path = path
        self.offset = offset
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Handle:
    """A file open for writing, with its path for messages."""

    number: int
    path: Path


@contextmanager
def naming(verb: str, path: Path) -> Iterator[None]:
    """Turn what the system says into a fault that names the action and the path."""
    try:
        yield
    except OSError as error:
        kind = StorageFull if error.errno in FULL else StorageFault
        raise kind(f"{path}: cannot {verb}: {error.strerror or error}") from error


def read_file(path: Path) -> bytes | None:
    """Bytes of a file; None when there is none.

    Raises: DamagedFile for anything but a plain file: links are not followed, pipes not waited on.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(mode):
        raise DamagedFile(path, 0, "a plain file", "a directory, link or device")
    with naming("read", path):
        return path.read_bytes()


class Files:
    """The real disk. Primitives first, each one system call that a crash can fall before or after;
    below them the calls that are composed of primitives.
    """

    def open_append(self, path: Path) -> Handle:
        """Open for appending; the file is made when it does not exist."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with naming("open", path):
            return Handle(os.open(path, flags, FILE_MODE), path)

    def open_new(self, path: Path, mode: int) -> Handle:
        """Open an empty file, in place of what is there under that name."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with naming("create", path):
            return Handle(os.open(path, flags, mode), path)

    def write(self, handle: Handle, raw: bytes) -> None:
        """Write all bytes. One system call, unless the system takes fewer than offered."""
        with naming("write", handle.path):
            written = os.write(handle.number, raw)
            while written < len(raw):
                written += os.write(handle.number, memoryview(raw)[written:])

    def sync(self, handle: Handle) -> None:
        """Make a file's bytes durable."""
        with naming("flush", handle.path):
            os.fsync(handle.number)

    def truncate(self, handle: Handle, size: int) -> None:
        """Cut a file to its first `size` bytes."""
        with naming("truncate", handle.path):
            os.ftruncate(handle.number, size)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, in place of what had that name."""
        with naming("rename", old):
            old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""
        with naming("remove", path):
            path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        """Make one directory, whose parent exists."""
        with naming("make directory", path):
            path.mkdir(exist_ok=True)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        with naming("remove directory", path):
            path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        with naming("flush directory", path):
            number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def close(self, handle: Handle) -> None:
        """Close a handle; bytes that were not flushed before may be lost."""
        with naming("close", handle.path):
            os.close(handle.number)

    def free_bytes(self, path: Path) -> int:
        """Bytes that this process may still write on the disk that holds a path."""
        with naming("measure the disk of", path):
            room = os.statvfs(path)
        return room.f_bavail * room.f_frsize

    def make_directories(self, path: Path) -> list[Path]:
        """Make a directory with its parents; returns the directories that got a new name."""
        missing: list[Path] = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for directory in reversed(missing):
            self.make_directory(directory)
        return [directory.parent for directory in reversed(missing)]

    def sync_all(self, handles: Sequence[Handle]) -> None:
        """Make many files durable, some at a time: the disk then serves them together.

        One after the other, the forty files of a checkpoint each wait for a commit of their own.
        """
        if len(handles) <= SYNCS_ALONE:
            for handle in handles:
                self.sync(handle)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(SYNCS_TOGETHER, len(handles))) as pool:
            for _done in pool.map(self.sync, handles):
                pass

    def replace(self, path: Path, raw: bytes, mode: int = FILE_MODE) -> None:
        """Replace one file as a whole: readers see the old bytes or the new ones."""
        self.replace_all([(path, raw)], mode)

    def replace_all(self, rows: Sequence[tuple[Path, bytes]], mode: int = FILE_MODE) -> None:
        """Replace files, each as a whole, in order; all are durable when this returns.

        All are written before the first is flushed: the disk then takes most of them at once.
        """
        touched: dict[Path, None] = {}
        handles: list[tuple[Handle, Path]] = []
        try:
            for path, raw in rows:
                touched.update(dict.fromkeys(self.make_directories(path.parent)))
                touched[path.parent] = None
                handle = self.open_new(path.with_name(path.name + TEMPORARY), mode)
                handles.append((handle, path))
                self.write(handle, raw)
            self.sync_all([handle for handle, _path in handles])
        finally:
            for handle, _path in handles:
                self.close(handle)
        for handle, path in handles:
            self.rename(handle.path, path)
        for directory in touched:
            self.sync_directory(directory)

    def remove_tree(self, path: Path) -> None:
        """Remove what has this name, with everything below it; links are not followed."""
        if path.is_symlink() or path.is_file():
            self.unlink(path)
        elif path.is_dir():
            for child in sorted(path.iterdir()):
                self.remove_tree(child)
            self.remove_directory(path)

    def remove_temporary(self, directories: Iterable[Path]) -> list[Path]:
        """Remove what writes that a crash interrupted left in these directories; returns it."""
        removed: list[Path] = []
        for directory in directories:
            if directory.is_dir():
                found = [path for path in directory.iterdir() if path.name.endswith(TEMPORARY)]
                removed.extend(path for path in found if path.is_file() or path.is_symlink())
        for path in removed:
            self.unlink(path)
        return removed
