"""Segments: the bytes of records, strict reading, and what recovery may cut."""

import zlib
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidFile, InvariantBroken
from chainperp.storage import segments
from chainperp.storage.files import DamagedFile, StorageFault
from chainperp.storage.recovery import Recovery, find_tip, recover
from chainperp.storage.segments import (
    SegmentWriter,
    encode_block,
    list_segments,
    read_blocks,
    tip_of,
)
from tests.simulation.chain import Chain, make_chain
from tests.simulation.faulty import FaultyFiles

LAST = 11


@pytest.fixture
def chain() -> Chain:
    return make_chain()


@pytest.fixture
def directory(tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Blocks 0 to 11 in segments of five."""
    monkeypatch.setattr(segments, "BLOCKS_MAX", 5)
    writer = SegmentWriter(tmp_path, -1)
    for block in chain.blocks[: LAST + 1]:
        writer.append(block)
    writer.close()
    return tmp_path


def flip(path: Path, offset: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)


def ends(chain: Chain, first: int, last: int) -> list[int]:
    """Offsets at which the blocks of a segment end."""
    found, at = [], 0
    for height in range(first, last + 1):
        at += len(encode_block(chain.entries(height)))
        found.append(at)
    return found


def test_a_block_is_one_batch_record_and_one_seal_record(chain: Chain) -> None:
    entries = chain.entries(1)
    raw = encode_block(entries)
    batch = b"".join(len(entry).to_bytes(4, "big") + entry for entry in entries[:-1])
    assert raw[:5] == bytes.fromhex("4350523101")
    assert raw[5:9] == len(batch).to_bytes(4, "big")
    assert raw[9:13] == zlib.crc32(b"\x01" + batch).to_bytes(4, "big")
    assert raw[13 : 13 + len(batch)] == batch
    seal = raw[13 + len(batch) :]
    assert seal[:9] == bytes.fromhex("4350523102") + (411).to_bytes(4, "big")
    assert seal[9:13] == zlib.crc32(b"\x02" + entries[-1]).to_bytes(4, "big")
    assert seal[13:] == entries[-1]


def test_a_block_is_one_write_and_one_flush(tmp_path: Path, chain: Chain) -> None:
    files = FaultyFiles()
    writer = SegmentWriter(tmp_path, -1, files)
    writer.append(chain.blocks[0])
    writer.append(chain.blocks[1])
    name = "000000000000"
    assert files.calls == [
        f"open {name}", f"syncdir {tmp_path.name}", f"write {name}", f"sync {name}",
        f"write {name}", f"sync {name}",
    ]  # fmt: skip


def test_segments_are_named_after_their_first_height_and_read_in_order(
    directory: Path, chain: Chain
) -> None:
    assert [path.name for path in list_segments(directory)] == [
        "000000000000", "000000000005", "000000000010",
    ]  # fmt: skip
    stored = list(read_blocks(directory))
    assert [block.height for block in stored] == list(range(LAST + 1))
    assert [block.entries for block in stored] == [chain.entries(h) for h in range(LAST + 1)]


def test_a_segment_is_full_by_bytes_too(
    tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(encode_block(chain.entries(0)))
    monkeypatch.setattr(segments, "BYTES_MAX", size)
    writer = SegmentWriter(tmp_path, -1)
    for block in chain.blocks[:3]:
        writer.append(block)
    assert [path.name for path in list_segments(tmp_path)] == ["000000000000", "000000000001"]
    assert size + 1 > (tmp_path / "000000000000").stat().st_size


@pytest.mark.parametrize(
    ("first", "last"), [(0, 0), (3, 6), (4, 4), (5, 5), (10, 11), (11, 11), (6, 5)]
)
def test_a_range_of_heights_is_read_across_segments(directory: Path, first: int, last: int) -> None:
    found = [block.height for block in read_blocks(directory, first, last)]
    assert found == list(range(first, last + 1))


def test_reading_past_the_end_is_refused_only_when_it_was_asked_for(directory: Path) -> None:
    assert list(read_blocks(directory, 12)) == []
    with pytest.raises(DamagedFile, match=r"000000000010 at byte \d+: expected block 12"):
        list(read_blocks(directory, 3, 12))


def test_each_damage_is_named_with_file_offset_and_both_values(
    directory: Path, chain: Chain
) -> None:
    path = directory / "000000000005"
    good = path.read_bytes()
    end = ends(chain, 5, 9)[0]
    cases = [
        (end, "at byte {}: expected magic 43505231, found 4250", end),
        (end + 4, "at byte {}: expected type 1, an entry batch, found type 0", end + 4),
        (end + 5, "at byte {}: expected at most", end + 5),
        (end + 20, "at byte {}: expected crc", end + 9),
        (end - 1, "at byte {}: expected crc", end - 424 + 9),
    ]
    for offset, expected, named in cases:
        flip(path, offset)
        with pytest.raises(DamagedFile, match=expected.format(named)) as caught:
            list(read_blocks(directory))
        assert (caught.value.path, caught.value.offset) == (path, named)
        path.write_bytes(good)


def test_wrong_heights_gaps_and_missing_segments_are_named(directory: Path, chain: Chain) -> None:
    path = directory / "000000000005"
    good = path.read_bytes()
    first, second = ends(chain, 5, 6)
    path.write_bytes(good[first:second] + good[:first] + good[second:])
    with pytest.raises(DamagedFile, match="expected a SEAL of height 5, found height 6"):
        list(read_blocks(directory))
    path.write_bytes(good[: ends(chain, 5, 9)[3]])
    with pytest.raises(DamagedFile, match="0000010 at byte 0: expected a segment from height 9 on"):
        list(read_blocks(directory))
    path.unlink()
    with pytest.raises(DamagedFile, match="0000010 at byte 0: expected a segment from height 5 on"):
        list(read_blocks(directory))
    (directory / "000000000000").unlink()
    with pytest.raises(DamagedFile, match="expected a segment from height 0 on"):
        list(read_blocks(directory))
    path.mkdir()
    with pytest.raises(DamagedFile, match="not a plain file"):
        list(read_blocks(directory))


def test_a_seal_that_counts_other_entries_is_refused(tmp_path: Path, chain: Chain) -> None:
    entries = chain.entries(0)
    (tmp_path / "000000000000").write_bytes(encode_block([*entries[:-1], b"one", entries[-1]]))
    with pytest.raises(DamagedFile, match="expected a SEAL after 2 entries, found sequence 1"):
        list(read_blocks(tmp_path))


def test_an_unsealed_tail_is_an_error_to_readers_unless_they_stop_before(directory: Path) -> None:
    with (directory / "000000000010").open("ab") as file:
        file.write(b"\x43\x50\x52\x31\x01")
    assert [block.height for block in read_blocks(directory, 9, 11)] == [9, 10, 11]
    with pytest.raises(DamagedFile, match="expected an entry batch record, found 5 bytes"):
        list(read_blocks(directory, 9))
    assert find_tip(directory).height == 11


def test_recovery_of_a_good_directory_changes_nothing(directory: Path, chain: Chain) -> None:
    before = {path: path.read_bytes() for path in directory.iterdir()}
    assert recover(directory) == Recovery(tip_of(chain.entries(LAST)[-1]), None)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before
    assert recover(directory).tip.size == chain.size(LAST)
    assert recover(directory).tip.time_ms == chain.blocks[LAST].time_ms


def test_a_tail_cut_at_any_byte_is_cut_back_kept_and_reported(
    directory: Path, chain: Chain
) -> None:
    path = directory / "000000000010"
    good = path.read_bytes()
    start = ends(chain, 10, 11)[0]
    for size in [*range(start + 1, len(good), 97), len(good) - 1]:
        path.write_bytes(good[:size])
        recovery = recover(directory)
        assert recovery.tip.height == 10
        torn = recovery.torn
        assert torn is not None
        assert (torn.path, torn.offset, torn.length) == (path, start, size - start)
        assert torn.kept.name.startswith(f"000000000010.tail-{start}")
        assert torn.kept.read_bytes() == good[start:size]
        assert "were cut and kept in 000000000010.tail-" in str(torn)
        assert path.read_bytes() == good[:start]
        before = sorted(directory.iterdir())
        assert recover(directory).torn is None
        assert sorted(directory.iterdir()) == before
        torn.kept.unlink()


def test_two_different_tails_at_one_offset_are_both_kept(directory: Path) -> None:
    for tail in (b"first", b"second", b"first"):
        with (directory / "000000000010").open("ab") as file:
            file.write(tail)
        recover(directory)
    kept = sorted(path for path in directory.iterdir() if ".tail-" in path.name)
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]
    assert kept[1].name == kept[0].name + ".2"


def test_damage_before_a_sealed_block_is_refused_and_nothing_is_cut(
    directory: Path, chain: Chain
) -> None:
    path = directory / "000000000010"
    for offset in (0, 6, 200, ends(chain, 10, 10)[0] - 3):
        flip(path, offset)
        before = path.read_bytes()
        with pytest.raises(DamagedFile, match="a sealed block follows at byte"):
            recover(directory)
        assert path.read_bytes() == before
        flip(path, offset)


def test_a_flipped_bit_in_the_last_sealed_block_is_refused_and_nothing_is_cut(
    directory: Path, chain: Chain
) -> None:
    path = directory / "000000000010"
    start, end = ends(chain, 10, 11)
    for offset in range(start, end - 424, 53):
        flip(path, offset)
        with pytest.raises(DamagedFile, match="a sealed block follows at byte"):
            recover(directory)
        flip(path, offset)


def test_a_last_block_with_lost_sectors_is_torn_unless_it_was_signed(
    directory: Path, chain: Chain
) -> None:
    path = directory / "000000000010"
    good = path.read_bytes()
    start = ends(chain, 10, 11)[0]
    sector = (start // 512 + 1) * 512
    path.write_bytes(good[:sector] + bytes(512) + good[sector + 512 :])
    with pytest.raises(DamagedFile, match=f"log size {chain.size(11)}, found {chain.size(10)}"):
        recover(directory, signed_size=chain.size(11))
    assert path.stat().st_size == len(good)
    recovery = recover(directory, signed_size=chain.size(10))
    assert recovery.tip.height == 10
    assert recovery.torn is not None


def test_a_log_that_ends_before_what_was_signed_is_refused(directory: Path, chain: Chain) -> None:
    (directory / "000000000010").unlink()
    with pytest.raises(InvalidFile, match=f"up to log size {chain.size(11)}, found"):
        recover(directory, signed_size=chain.size(11))
    assert recover(directory).tip.height == 9


def test_the_end_of_an_earlier_segment_is_checked_too(directory: Path) -> None:
    path = directory / "000000000005"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match="000000000005 at byte"):
        recover(directory)


def test_an_empty_last_segment_is_gone_on_with(directory: Path, chain: Chain) -> None:
    (directory / "000000000012").touch()
    assert recover(directory).tip.height == 11
    writer = SegmentWriter(directory, 11)
    writer.append(chain.blocks[12])
    writer.close()
    assert recover(directory).tip.height == 12
    assert len(list_segments(directory)) == 4


def test_a_failed_flush_is_fatal_and_not_tried_again(tmp_path: Path, chain: Chain) -> None:
    files = FaultyFiles(at=3, mode="fails")
    writer = SegmentWriter(tmp_path, -1, files)
    with pytest.raises(StorageFault, match="cannot flush"):
        writer.append(chain.blocks[0])
    calls = list(files.calls)
    with pytest.raises(StorageFault, match="a write failed before, block 0 is not tried"):
        writer.append(chain.blocks[0])
    assert files.calls == calls


def test_a_block_out_of_turn_is_not_written(tmp_path: Path, chain: Chain) -> None:
    with pytest.raises(InvariantBroken, match="a block out of turn"):
        SegmentWriter(tmp_path, -1).append(chain.blocks[1])
    assert list(tmp_path.iterdir()) == []
