"""A file layer that dies, tears, fills up, or loses what was not flushed.

A dead process runs nothing more: after `Death` every call does nothing but die again. With
`loses` set, the machine dies too: names that were not followed by a directory flush, and bytes
that were not followed by a file flush, vanish in part.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chainperp.storage.files import Files, Handle, StorageFault, StorageFull

SECTOR = 512


class Death(BaseException):
    """The process is gone. Not an Exception, so that nobody handles it."""


class UnflushedFiles(Files):
    """The real disk without its flushes: for tests that survive in the kernel's cache anyway."""

    def sync(self, handle: Handle) -> None:
        """Nothing."""

    def sync_all(self, handles: Sequence[Handle]) -> None:
        """One after the other, so that a call has the same number in every run."""
        for handle in handles:
            self.sync(handle)

    def sync_directory(self, path: Path) -> None:
        """Nothing."""


@dataclass
class Pending:
    """A change of names in a directory that was not flushed: how it is undone."""

    directory: Path
    undo: Callable[[], None]


@dataclass
class FaultyFiles(UnflushedFiles):
    """Counts primitive calls; at call `at` it does what `mode` says.

    before, after, torn: the process dies around or within the call. full, fails: the system
    refuses the call and the process goes on.
    """

    at: int = -1
    mode: str = "before"
    loses: bool = False
    seed: int = 0
    calls: list[str] = field(default_factory=list)
    dead: bool = False
    pending: list[Pending] = field(default_factory=list)
    flushed: dict[Path, int] = field(default_factory=dict)
    cut: dict[Path, bytes] = field(default_factory=dict)

    def point(self, name: str, act: Callable[[], None], torn: Callable[[], None]) -> None:
        """One primitive call."""
        if self.dead:
            raise Death
        self.calls.append(name)
        if len(self.calls) - 1 != self.at:
            act()
            return
        if self.mode == "full":
            raise StorageFull(f"{name}: cannot write: No space left on device")
        if self.mode == "fails":
            raise StorageFault(f"{name}: cannot flush: Input/output error")
        if self.mode == "after":
            act()
        elif self.mode == "torn":
            torn()
        self.die()

    def die(self) -> None:
        """End here; with `loses`, take what was not flushed along."""
        self.dead = True
        if self.loses:
            self._lose(random.Random(f"{self.seed}/{self.at}"))
        raise Death

    def _lose(self, rng: random.Random) -> None:
        for path, size in self.flushed.items():
            if path.is_file():
                raw = path.read_bytes()
                path.write_bytes(_lose_bytes(raw, size, rng))
        for path, tail in self.cut.items():
            if path.is_file() and rng.random() < 0.5:
                path.write_bytes(path.read_bytes() + tail)
        directories = dict.fromkeys(change.directory for change in self.pending)
        kept = {directory: rng.random() for directory in directories}
        for change in reversed(self.pending):
            if rng.random() > kept[change.directory]:
                change.undo()
            else:
                kept[change.directory] = 1.0

    def write(self, handle: Handle, raw: bytes) -> None:
        """Torn: some first bytes."""
        self.flushed.setdefault(handle.path, handle.path.stat().st_size)
        size = random.Random(f"{self.seed}/{len(self.calls)}").randrange(len(raw) + 1)
        whole = super().write
        self.point(
            f"write {handle.path.name}",
            lambda: whole(handle, raw),
            lambda: whole(handle, raw[:size]),
        )

    def sync(self, handle: Handle) -> None:
        """From here on the file's bytes are durable."""

        def act() -> None:
            self.flushed.pop(handle.path, None)
            self.cut.pop(handle.path, None)

        self.point(f"sync {handle.path.name}", act, _nothing)

    def truncate(self, handle: Handle, size: int) -> None:
        """Lost: the bytes are back."""
        self.cut[handle.path] = handle.path.read_bytes()[size:]
        whole = super().truncate
        self.point(f"truncate {handle.path.name}", lambda: whole(handle, size), _nothing)

    def open_append(self, path: Path) -> Handle:
        """A new file is a change of names."""
        made: list[Handle] = []
        is_new = not path.exists()
        whole = super().open_append

        def act() -> None:
            made.append(whole(path))
            if is_new:
                self.pending.append(Pending(path.parent, lambda: path.unlink(missing_ok=True)))

        self.point(f"open {path.name}", act, _nothing)
        return made[0]

    def open_new(self, path: Path, mode: int) -> Handle:
        """A temporary file: whether its name survives is of no interest."""
        made: list[Handle] = []
        whole = super().open_new

        def act() -> None:
            made.append(whole(path, mode))
            self.flushed[path] = 0

        self.point(f"create {path.name}", act, _nothing)
        return made[0]

    def rename(self, old: Path, new: Path) -> None:
        """Lost: the old bytes have the name again."""
        before = new.read_bytes() if new.is_file() else None
        whole = super().rename

        def undo() -> None:
            if before is not None:
                new.write_bytes(before)
            elif new.exists():
                new.replace(old)

        def act() -> None:
            whole(old, new)
            if old in self.flushed:
                self.flushed[new] = self.flushed.pop(old)
            self.pending.append(Pending(new.parent, undo))

        self.point(f"rename {old.name}", act, _nothing)

    def unlink(self, path: Path) -> None:
        """Lost: the file is there again."""
        before = path.read_bytes() if path.is_file() else None
        whole = super().unlink

        def undo() -> None:
            if before is not None and path.parent.is_dir():
                path.write_bytes(before)

        def act() -> None:
            whole(path)
            self.pending.append(Pending(path.parent, undo))

        self.point(f"unlink {path.name}", act, _nothing)

    def make_directory(self, path: Path) -> None:
        """Lost: the directory and what is in it are gone."""
        whole = super().make_directory

        def act() -> None:
            if not path.exists():
                whole(path)
                plain = UnflushedFiles()
                self.pending.append(Pending(path.parent, lambda: plain.remove_tree(path)))

        self.point(f"mkdir {path.name}", act, _nothing)

    def remove_directory(self, path: Path) -> None:
        """Lost: the empty directory is there again."""
        whole = super().remove_directory

        def act() -> None:
            whole(path)
            self.pending.append(Pending(path.parent, lambda: path.mkdir(exist_ok=True)))

        self.point(f"rmdir {path.name}", act, _nothing)

    def sync_directory(self, path: Path) -> None:
        """From here on the names in the directory are durable."""

        def act() -> None:
            self.pending = [change for change in self.pending if change.directory != path]

        self.point(f"syncdir {path.name}", act, _nothing)


def _nothing() -> None:
    """A call that cannot be torn did not happen."""


def _lose_bytes(raw: bytes, flushed: int, rng: random.Random) -> bytes:
    """Bytes after `flushed` are cut somewhere, or lose some sectors, or survive."""
    choice = rng.randrange(3)
    if choice == 0 or len(raw) <= flushed:
        return raw[: max(rng.randint(flushed, max(len(raw), flushed)), 0)]
    kept = bytearray(raw)
    if choice == 1:
        for sector in range(flushed // SECTOR, len(raw) // SECTOR + 1):
            if rng.random() < 0.5:
                start = max(sector * SECTOR, flushed)
                stop = min((sector + 1) * SECTOR, len(raw))
                kept[start:stop] = bytes(max(0, stop - start))
    return bytes(kept)
