"""fsck: a good directory is clean, and every damage is named with both values."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chainperp.base.canonical import Record
from chainperp.base.errors import DirectoryError
from chainperp.evidence.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload, encode_entry, encode_seal
from chainperp.model.records import SCHEMAS
from chainperp.storage import fsck as fsck_module
from chainperp.storage import segments
from chainperp.storage.fsck import fsck
from chainperp.storage.logkey import LogKey
from chainperp.storage.segments import encode_block
from chainperp.storage.store import ChainStore
from tests.simulation.chain import SEED, commit_from, contents, create, make_chain
from tests.simulation.faulty import UnflushedFiles

CHAIN = make_chain()
SIZE = CHAIN.size(26)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fsck") / "chain"
    create(path, CHAIN)
    patch = pytest.MonkeyPatch()
    patch.setattr(segments, "BLOCKS_MAX", 10)
    with ChainStore.open(path, files=UnflushedFiles()) as store:
        commit_from(store, CHAIN, 0, [])
    patch.undo()
    return path


@pytest.fixture
def path(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copy"))


def flip(file: Path, offset: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[offset] ^= 1
    file.write_bytes(raw)


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in fsck(path).problems]


def replace_block(path: Path, height: int, change: Callable[[list[bytes]], None]) -> None:
    """Put another block with right CRCs in the place of one."""
    segment = path / "segments" / f"{height // 10 * 10:012d}"
    entries = list(CHAIN.entries(height))
    old = encode_block(entries)
    change(entries)
    raw = segment.read_bytes()
    assert raw.count(old) == 1
    segment.write_bytes(raw.replace(old, encode_block(entries)))


def reseal(entries: list[bytes], **fields: object) -> None:
    """Change fields of a block's SEAL."""
    entry = decode_entry(entries[-1])
    record: Record = decode_payload(entry)
    assert set(fields) <= {name for name, _kind in SCHEMAS[Kind.SEAL]}
    record.update(fields)
    entries[-1] = encode_entry(Kind.SEAL, entry.height, len(entries) - 1, encode_seal(record))


def test_a_good_directory_is_clean_and_is_not_changed(path: Path) -> None:
    before = contents(path)
    seen: list[tuple[int, int]] = []
    report = fsck(path, lambda blocks, entries: seen.append((blocks, entries)))
    assert report.problems == ()
    assert report.is_clean
    assert (report.blocks, report.entries) == (27, SIZE)
    assert report.tiles >= len(list((path / "log" / "tile").rglob("*.*"))) // 2
    assert report.root == CHAIN.roots[SIZE]
    assert report.signature == "verified"
    assert contents(path) == before


def test_progress_is_told_as_blocks_are_checked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsck_module, "PROGRESS_EVERY", 9)
    seen: list[int] = []
    fsck(path, lambda blocks, _entries: seen.append(blocks))
    assert seen == [9, 18, 27]


def test_without_the_library_the_signature_is_not_checked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsck_module, "find_verifier", lambda: None)
    report = fsck(path)
    assert report.is_clean
    assert report.signature == "not checked"


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="is not a data directory"):
        fsck(tmp_path)


def test_a_damaged_record_is_named_and_later_segments_are_still_checked(path: Path) -> None:
    flip(path / "segments" / "000000000000", 3000)
    flip(path / "segments" / "000000000020", 20)
    found = problems(path)
    assert len(found) == 2
    assert found[0].startswith("segments/000000000000 at byte ")
    assert "expected crc" in found[0]
    assert found[1].startswith("segments/000000000020 at byte 9: expected crc")


def test_an_unsealed_tail_and_a_stranger_are_named(path: Path) -> None:
    with (path / "segments" / "000000000020").open("ab") as file:
        file.write(b"tail")
    (path / "segments" / "notes").touch()
    (path / "segments" / "000000000020.tail-5").touch()
    found = problems(path)
    assert found[0] == (
        "segments/notes at byte 0: expected only segments and cut tails, found another file"
    )
    assert "expected an entry batch record, found 4 bytes" in found[1]
    assert len(found) == 2


def test_a_missing_segment_is_named(path: Path) -> None:
    (path / "segments" / "000000000010").unlink()
    assert problems(path) == [
        "segments/000000000020 at byte 0: expected a segment from height 10 on, found 000000000020"
    ]
    shutil.rmtree(path / "segments")
    assert problems(path)[0].startswith("segments at byte 0: expected a directory of segments")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"chain_id": bytes(32)}, "chain_id of the SEAL of height 12: expected "),
        ({"prev_seal": bytes(32)}, "prev_seal of the SEAL of height 12: expected "),
        ({"first_index": 3}, "first_index of the SEAL of height 12: expected "),
        ({"n_entries": 77}, "n_entries of the SEAL of height 12: expected "),
        ({"log_root": bytes(32)}, "log_root of the SEAL of height 12: expected "),
        ({"time_ms": 5}, "time_ms of the SEAL of height 12: expected more than 17600000"),
        ({"custody": 5}, "custody of the SEAL of height 12: expected cash_sum - entry_sum = "),
        ({"entry_sum": 5}, "custody of the SEAL of height 12: expected cash_sum - entry_sum = "),
    ],
)
def test_each_field_of_a_seal_is_checked(
    path: Path, fields: dict[str, object], expected: str
) -> None:
    replace_block(path, 12, lambda entries: reseal(entries, **fields))
    found = problems(path)
    assert found[0].startswith(f"segments/000000000010 at {expected}")
    # The changed seal is another leaf, so the next block and the tiles must object too.
    assert any("prev_seal of the SEAL of height 13" in problem for problem in found)
    assert any("log_root of the SEAL of height 1" in problem for problem in found)
    assert any(problem.startswith("log/tile/entries/") for problem in found)


def test_a_changed_entry_shows_in_the_next_seal_the_tiles_and_the_checkpoint(path: Path) -> None:
    def change(entries: list[bytes]) -> None:
        entries[1] = entries[1][:-1] + b"\x77"

    replace_block(path, 11, change)
    found = problems(path)
    assert found[0].startswith("segments/000000000010 at log_root of the SEAL of height 11")
    assert sum("log_root" in problem for problem in found) == 1
    files = {problem.split(" at ")[0] for problem in found}
    assert {"log/tile/0/000", "log/tile/entries/000", "log/checkpoint", "log.signed"} <= files


def test_frames_heights_and_sequences_of_entries_are_checked(path: Path) -> None:
    def change(entries: list[bytes]) -> None:
        entry = decode_entry(entries[0])
        entries[0] = encode_entry(entry.kind, 9, 4, entry.payload)
        entries[1] = b"\x02" + entries[1][1:]

    replace_block(path, 11, change)
    found = problems(path)
    name = "segments/000000000010 at height 11 entry"
    assert found[0] == f"{name} 0: expected height 11 sequence 0, found height 9 sequence 4"
    assert found[1] == f"{name} 1: expected an entry, found entry format 02, only 01 exists"


def test_damaged_missing_and_strange_log_files_are_named(path: Path) -> None:
    log = path / "log"
    flip(log / "tile" / "0" / "000", 70)
    (log / "tile" / "entries" / "001").unlink()
    (log / "tile" / "0" / "777").write_bytes(b"stranger")
    # Another letter of base64, so that the note is well formed and the signature wrong.
    note = bytearray((log / "checkpoint").read_bytes())
    note[-20] = ord("B") if note[-20] == ord("A") else ord("A")
    (log / "checkpoint").write_bytes(note)
    report = fsck(path)
    found = [str(problem) for problem in report.problems]
    assert found[0].startswith("log/tile/0/000 at byte 70: expected ")
    assert (
        "log/tile/entries/001 at byte 0: expected what the entries say, found is missing" in found
    )
    assert any("log/tile/0/777" in problem for problem in found)
    assert any("log/checkpoint at byte 0: expected a checkpoint signed" in row for row in found)
    assert report.signature == "failed"
    (log / "vkey").unlink()
    assert any("vkey is missing" in problem for problem in problems(path))


def test_a_tile_of_the_published_size_must_be_there(path: Path) -> None:
    (path / "log" / "tile" / "0" / "002.p" / str(SIZE & 255)).unlink()
    assert problems(path) == [
        f"log/tile/0/002.p/{SIZE & 255} at byte 0: expected a tile of the checkpoint's size {SIZE},"
        " found no file"
    ]


def test_a_checkpoint_or_a_saved_size_of_another_log_is_named(path: Path) -> None:
    key = LogKey(CHAIN.origin, SEED)
    wrong = Checkpoint(CHAIN.origin, CHAIN.size(10), bytes(32))
    note = sign_checkpoint(wrong, key.verifier, key.sign)
    (path / "log" / "checkpoint").write_bytes(note)
    assert any("log/checkpoint at byte 0" in problem for problem in problems(path))
    (path / "log" / "checkpoint").unlink()
    assert fsck(path).signature == "no checkpoint"
    (path / "log.signed").write_bytes(format_checkpoint(wrong))
    assert problems(path)[-1].startswith(f"log.signed at index {wrong.size}: expected root ")
    (path / "log.signed").write_bytes(format_checkpoint(Checkpoint("other", 10**6, bytes(32))))
    assert problems(path)[-2:] == [
        "log.signed at byte 0: expected the log test/world, found other",
        f"segments at index {SIZE}: expected entries up to the signed 1000000, found the end",
    ]
    (path / "log.signed").write_bytes(b"?")
    assert problems(path)[0].startswith("log.signed at byte 0: expected the text of a checkpoint")


def test_heads_of_snapshots_are_checked(path: Path) -> None:
    directory = path / "snapshots"
    good = directory / "000000000024.snap"
    good.rename(directory / "000000000023.snap")
    found = problems(path)
    assert found[0] == "snapshots/000000000023.snap at byte 8: expected height 23, found 24"
    assert found[1].startswith("snapshots/000000000023.snap at its SEAL: expected ")
    assert found[2].startswith("snapshots/000000000023.snap at its frontier: expected ")
    (directory / "000000000023.snap").rename(directory / "000000000099.snap")
    assert problems(path)[1].endswith("expected a height up to 26, found 99")
    (directory / "000000000099.snap").write_bytes(b"CPSNAP99")
    assert problems(path)[0].endswith(f"expected {b'CPSNAP01'.hex()}, found {b'CPSNAP99'.hex()}")
    (directory / "000000000099.snap").write_bytes(b"CPSNAP01short")
    assert "expected the head of a snapshot, found record ends at" in problems(path)[0]


def test_a_damaged_or_foreign_genesis_is_named(path: Path) -> None:
    raw = (path / "genesis.json").read_bytes()
    (path / "genesis.json").write_bytes(raw.replace(b"1760000000000", b"1760000000001"))
    found = problems(path)
    assert found[0].startswith("segments/000000000000 at height 0 entry 0: expected genesis.json")
    assert any("chain_id of the SEAL of height 0" in problem for problem in found)
    (path / "genesis.json").write_bytes(raw[:-40])
    assert problems(path)[0].startswith("genesis.json at byte 0: expected a genesis, found")


def test_the_list_of_problems_has_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck_module, "PROBLEMS_MAX", 3)
    (path / "genesis.json").write_bytes(
        (path / "genesis.json").read_bytes().replace(b"1760000000000", b"1760000000001")
    )
    assert len(problems(path)) == 3
