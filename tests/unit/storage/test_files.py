"""The file layer: whole replacements, and faults that name the action and the path."""

import errno
import os
from pathlib import Path

import pytest

from chainperp.storage.files import DamagedFile, Files, Handle, StorageFault, StorageFull, read_file


def test_many_files_are_replaced_as_a_whole_and_directories_are_made(tmp_path: Path) -> None:
    rows = [(tmp_path / str(number % 3) / f"file{number}", b"%d" % number) for number in range(40)]
    for _ in range(2):
        Files().replace_all(rows)
        assert [path.read_bytes() for path, _raw in rows] == [raw for _path, raw in rows]
        assert not list(tmp_path.rglob("*.tmp"))


def test_a_flush_that_fails_among_many_is_a_fault(tmp_path: Path) -> None:
    files = Files()
    handles = [files.open_append(tmp_path / str(number)) for number in range(20)]
    os.close(handles[7].number)
    with pytest.raises(StorageFault, match=r"7: cannot flush: Bad file descriptor"):
        files.sync_all(handles)
    for handle in handles[:7] + handles[8:]:
        files.close(handle)


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    sizes: list[int] = []

    def write(number: int, raw: bytes) -> int:
        sizes.append(len(raw))
        return real(number, raw[: max(1, len(raw) // 2)])

    monkeypatch.setattr("chainperp.storage.files.os.write", write)
    files = Files()
    handle = files.open_append(tmp_path / "file")
    files.write(handle, bytes(range(100)))
    files.close(handle)
    assert (tmp_path / "file").read_bytes() == bytes(range(100))
    assert sizes[:3] == [100, 50, 25]


def test_a_full_disk_has_a_fault_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_number: int, _raw: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("chainperp.storage.files.os.write", write)
    with pytest.raises(StorageFull, match="cannot write: No space left on device"):
        Files().replace(tmp_path / "file", b"bytes")
    assert not (tmp_path / "file").exists()


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    assert read_file(tmp_path / "nothing") is None
    (tmp_path / "file").write_bytes(b"bytes")
    assert read_file(tmp_path / "file" / "below") is None
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    for name in ("pipe", "link", "."):
        with pytest.raises(DamagedFile, match="at byte 0: expected a plain file, found a dir"):
            read_file(tmp_path / name)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(StorageFault, match="link: cannot open"):
        Files().open_append(tmp_path / "link")
    assert not (tmp_path / "target").exists()


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").touch()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    Files().remove_tree(tmp_path / "tree")
    Files().remove_tree(tmp_path / "tree")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept"]


def test_faults_name_the_action_and_the_path(tmp_path: Path) -> None:
    files = Files()
    closed = Handle(os.open(tmp_path, os.O_RDONLY), tmp_path)
    files.close(closed)
    for act, message in (
        (lambda: files.rename(tmp_path / "a", tmp_path / "b"), "a: cannot rename: No such file"),
        (lambda: files.remove_directory(tmp_path / "a"), "a: cannot remove directory: No such"),
        (lambda: files.sync_directory(tmp_path / "a"), "a: cannot flush directory: No such"),
        (lambda: files.make_directory(tmp_path / "a" / "b"), "b: cannot make directory: No such"),
        (lambda: files.truncate(closed, 0), "cannot truncate: Bad file"),
        (lambda: files.close(closed), "cannot close: Bad file"),
        (lambda: files.free_bytes(tmp_path / "a"), "cannot measure the disk of: No such"),
    ):
        with pytest.raises(StorageFault, match=message):
            act()
