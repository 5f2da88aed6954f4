"""The log directory: growth, resuming, publishing, and saying which file is wrong."""

from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, InvalidFile, InvariantBroken
from chainperp.base.hashing import leaf_hash
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from chainperp.evidence.merkle import root_at, root_of
from chainperp.storage.logkey import LogKey, verify_ed25519
from chainperp.storage.tiles import (
    TileLog,
    compare,
    load_checkpoint,
    load_vkey,
    open_reader,
    read_bundles,
    rebuild,
    save_vkey,
)

KEY = LogKey("chainperp.example/test", bytes(range(32)))


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


def write(directory: Path, log: TileLog, rows: list[bytes]) -> bytes:
    for row in rows:
        log.append(row, leaf_hash(row))
    log.write()
    root = root_at(open_reader(directory, log.size).node, log.size)
    note = sign_checkpoint(Checkpoint(KEY.verifier.name, log.size, root), KEY.verifier, KEY.sign)
    log.publish(note)
    return root


def paths(directory: Path) -> list[str]:
    return sorted(
        file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()
    )


def test_growth_over_restarts_gives_the_root_and_the_files_of_one_go(tmp_path: Path) -> None:
    rows = entries(777)
    done = 0
    for size in (1, 2, 255, 256, 400, 512, 777):
        log = TileLog(tmp_path, done)
        assert write(tmp_path, log, rows[done:size]) == root_of([leaf_hash(r) for r in rows[:size]])
        done = size
    assert paths(tmp_path) == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002",
        "tile/0/003.p/9",
        "tile/1/000.p/1",
        "tile/1/000.p/2",
        "tile/1/000.p/3",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002",
        "tile/entries/003.p/9",
    ]
    raw = load_checkpoint(tmp_path)
    assert raw is not None
    assert read_checkpoint(raw, KEY.verifier, verify_ed25519).checkpoint.size == 777
    report = compare(tmp_path, rows)
    assert report.differences == ()
    assert (report.size, report.files) == (777, 11)
    assert list(read_bundles(tmp_path)) == rows


def test_a_checkpoint_of_another_size_is_not_published(tmp_path: Path) -> None:
    log = TileLog(tmp_path)
    write(tmp_path, log, entries(3))
    note = load_checkpoint(tmp_path)
    assert note is not None
    log.append(b"more", leaf_hash(b"more"))
    with pytest.raises(InvariantBroken, match="size of the tiles on disk"):
        log.publish(note)


def test_each_damaged_file_is_named_and_rebuild_mends_all(tmp_path: Path) -> None:
    rows = entries(600)
    log = TileLog(tmp_path)
    write(tmp_path, log, rows[:580])
    write(tmp_path, log, rows[580:])
    flipped = bytearray((tmp_path / "tile/0/000").read_bytes())
    flipped[100] ^= 1
    (tmp_path / "tile/0/000").write_bytes(flipped)
    (tmp_path / "tile/0/002.p/68").write_bytes(b"short")
    (tmp_path / "tile/0/002.p/88").unlink()
    (tmp_path / "tile/entries/001").unlink()
    (tmp_path / "tile/0/009").write_bytes(b"stranger")
    (tmp_path / "tile/0/001.tmp").write_bytes(b"left by a crash")
    found = {row.path: row.problem for row in compare(tmp_path, rows).differences}
    assert list(found) == [
        "tile/0/000",
        "tile/entries/001",
        "tile/0/002.p/88",
        "tile/0/002.p/68",
        "tile/0/009",
    ]
    assert found["tile/0/000"].startswith("differs at byte 100: expected ")
    assert found["tile/entries/001"] == "is missing"
    assert found["tile/0/002.p/88"] == "is missing"
    assert found["tile/0/009"] == "does not belong to a log of size 600"
    assert rebuild(tmp_path, rows) == 600
    assert compare(tmp_path, rows).differences == ()
    assert not (tmp_path / "tile.old").exists()
    assert not (tmp_path / "tile.new").exists()


def test_a_changed_entry_shows_in_bundle_tile_and_checkpoint(tmp_path: Path) -> None:
    rows = entries(300)
    write(tmp_path, TileLog(tmp_path), rows)
    rows[7] = b"another"
    found = [row.path for row in compare(tmp_path, rows).differences]
    assert found == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "checkpoint"]


def test_a_checkpoint_beyond_the_entries_or_unreadable_is_named(tmp_path: Path) -> None:
    rows = entries(10)
    write(tmp_path, TileLog(tmp_path), rows)
    found = compare(tmp_path, rows[:9]).differences
    problems = {row.path: row.problem for row in found}
    assert problems["checkpoint"] == "has size 10, the entries end at 9"
    (tmp_path / "checkpoint").write_bytes(b"nonsense")
    found = compare(tmp_path, rows).differences
    assert [row.path for row in found] == ["checkpoint"]


def test_an_older_checkpoint_is_compared_at_its_own_size(tmp_path: Path) -> None:
    rows = entries(300)
    log = TileLog(tmp_path)
    write(tmp_path, log, rows[:290])
    for row in rows[290:]:
        log.append(row, leaf_hash(row))
    log.write()
    assert compare(tmp_path, rows).differences == ()


def test_an_empty_log_has_no_tiles(tmp_path: Path) -> None:
    report = compare(tmp_path, [])
    assert (report.size, report.files, report.differences) == (0, 0, ())
    assert rebuild(tmp_path, []) == 0
    assert list(read_bundles(tmp_path)) == []


def test_verifier_key_file_round_trips_and_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="vkey is missing"):
        load_vkey(tmp_path)
    save_vkey(tmp_path, KEY.verifier)
    assert (tmp_path / "vkey").read_bytes().count(b"\n") == 1
    assert load_vkey(tmp_path) == KEY.verifier
    (tmp_path / "vkey").write_bytes(b"\xff")
    with pytest.raises(InvalidFile, match="vkey: "):
        load_vkey(tmp_path)


def test_a_log_key_needs_a_seed_a_name_and_a_kind() -> None:
    with pytest.raises(BadRequest, match="32 bytes, was 31"):
        LogKey("n", bytes(31))
    with pytest.raises(BadRequest, match="no space"):
        LogKey("n n", bytes(32))
    with pytest.raises(BadRequest, match="kind 1 or 4"):
        LogKey("n", bytes(32), 6)
    assert "private" not in repr(KEY).lower()
