"""The durable commit: the order of effects, what is never signed, what is mended on opening."""

from itertools import pairwise
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidFile, InvariantBroken
from chainperp.evidence.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint
from chainperp.evidence.cosignature import add_lines
from chainperp.evidence.merkle import Frontier
from chainperp.evidence.note import KIND_COSIGNATURE, cosign_text, parse_note
from chainperp.evidence.tiles import TileReader
from chainperp.storage import store as store_module
from chainperp.storage.datadir import DataDir
from chainperp.storage.files import StorageFault
from chainperp.storage.fsck import fsck
from chainperp.storage.logkey import LogKey
from chainperp.storage.segments import encode_block
from chainperp.storage.store import ChainStore, frontier_at
from chainperp.storage.tiles import compare, load_checkpoint, open_reader, read_bundles
from tests.simulation.chain import SEED, Chain, commit_from, contents, create, make_chain, published
from tests.simulation.faulty import FaultyFiles, UnflushedFiles

CHAIN = make_chain()
KEY = LogKey(CHAIN.origin, SEED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "chain", CHAIN)
    return tmp_path / "chain"


def fill(path: Path, chain: Chain = CHAIN, count: int = 100, **options: int) -> None:
    with ChainStore.open(path, files=UnflushedFiles(), **options) as store:
        for block in chain.blocks[store.height + 1 : count]:
            store.commit(block)


def sign(size: int, root: bytes) -> bytes:
    return sign_checkpoint(Checkpoint(CHAIN.origin, size, root), KEY.verifier, KEY.sign)


def test_a_chain_is_kept_over_restarts(path: Path) -> None:
    for count in (0, 1, 2, 9, 20, 27):
        fill(path, count=count)
        with ChainStore.open(path) as store:
            assert store.height == count - 1
            assert (store.size, store.torn, store.mended) == (CHAIN.size(count - 1), None, [])
            entries = [entry for block in store.read_blocks() for entry in block.entries]
            assert entries == [row for block in CHAIN.blocks[:count] for row in block.entries]
    assert compare(path / "log", read_bundles(path / "log")).differences == ()
    assert fsck(path).is_clean


def test_effects_come_in_order_and_the_size_is_saved_before_it_is_signed(path: Path) -> None:
    files = FaultyFiles()
    with ChainStore.open(path, files=files) as store:
        store.commit(CHAIN.blocks[0])
        calls = [call for call in files.calls if not call.startswith(("open", "mkdir", "create"))]
    assert calls == [
        "syncdir segments", "write 000000000000", "sync 000000000000",
        "write 2.tmp", "write 2.tmp", "sync 2.tmp", "sync 2.tmp", "rename 2.tmp", "rename 2.tmp",
        "syncdir log", "syncdir tile", "syncdir entries", "syncdir 000.p", "syncdir 0",
        "syncdir 000.p",
        "write log.signed.tmp", "sync log.signed.tmp", "rename log.signed.tmp", "syncdir chain",
        "write checkpoint.tmp", "sync checkpoint.tmp", "rename checkpoint.tmp", "syncdir log",
    ]  # fmt: skip


def test_checkpoints_come_at_most_once_per_interval_of_block_time(path: Path) -> None:
    times: list[int] = []
    with ChainStore.open(path, checkpoint_interval_ms=600) as store:
        for block in CHAIN.blocks:
            before = store.signed_size
            store.commit(block)
            if store.signed_size != before:
                times.append(block.time_ms)
        assert all(later - earlier == 600 for earlier, later in pairwise(times))
        assert len(times) == 9
        assert store.signed_size < store.size
    assert published(path, CHAIN) == Checkpoint(
        CHAIN.origin, CHAIN.size(26), CHAIN.roots[CHAIN.size(26)]
    )


def test_the_interval_goes_on_over_a_restart(path: Path) -> None:
    fill(path, count=2)
    with ChainStore.open(path) as store:
        size = store.signed_size
        for block in CHAIN.blocks[2:6]:
            store.commit(block)
        assert store.signed_size == size
        store.commit(CHAIN.blocks[6])
        assert store.signed_size == store.size


def test_publishing_twice_changes_nothing(path: Path) -> None:
    files = FaultyFiles()
    with ChainStore.open(path, files=files) as store:
        store.publish()
        assert files.calls == []
        store.commit(CHAIN.blocks[0])
        store.commit(CHAIN.blocks[1])
        store.publish()
        calls = list(files.calls)
        store.publish()
        assert files.calls == calls


def test_tiles_are_written_when_too_many_entries_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PENDING_MAX", 50)
    with ChainStore.open(path, checkpoint_interval_ms=10**9) as store:
        commit_from(store, CHAIN, 0, [])
        assert store.signed_size == CHAIN.size(0)
        store.abandon()
    monkeypatch.setattr(store_module, "PENDING_MAX", 7)
    assert fsck(path).is_clean
    fill(path, checkpoint_interval_ms=10**9)
    assert fsck(path).is_clean


def test_snapshots_are_kept_newest_first_and_pruned(path: Path) -> None:
    with ChainStore.open(path, snapshots_kept=2) as store:
        commit_from(store, CHAIN, 0, [])
        assert [height for height, _file in store.newest_snapshots()] == [24, 18]
        assert store.newest_snapshots()[0][1].read_bytes() == CHAIN.snapshots[24]
        with pytest.raises(InvariantBroken, match="a snapshot of a block not committed"):
            store.save_snapshot(27, b"")
        (path / "snapshots" / "000000000099.snap").touch()
        assert [height for height, _file in store.newest_snapshots()] == [24, 18]


def test_a_block_that_does_not_continue_the_log_is_refused(path: Path) -> None:
    with ChainStore.open(path) as store:
        store.commit(CHAIN.blocks[0])
        with pytest.raises(InvariantBroken, match="does not continue the log"):
            store.commit(CHAIN.blocks[2])
        store.commit(CHAIN.blocks[1])


def test_after_a_fault_or_a_close_the_store_refuses_everything(path: Path) -> None:
    with pytest.raises(StorageFault, match="cannot flush"):  # noqa: SIM117
        with ChainStore.open(path, files=FaultyFiles(at=3, mode="fails")) as store:
            store.commit(CHAIN.blocks[0])
    for act in (store.publish, lambda: store.commit(CHAIN.blocks[0])):
        with pytest.raises(StorageFault, match="closed, or a write failed before"):
            act()


def test_a_rolled_back_chain_is_not_signed_again(path: Path) -> None:
    """Segments of an hour ago, and the published checkpoint lost: the saved size still knows."""
    fill(path, count=10)
    old = (path / "segments" / "000000000000").read_bytes()
    fill(path, count=20)
    (path / "segments" / "000000000000").write_bytes(old)
    for _ in range(2):
        with pytest.raises(
            InvalidFile, match=rf"sealed blocks up to log size {CHAIN.size(19)}, found"
        ):
            ChainStore.open(path)
        (path / "log" / "checkpoint").unlink(missing_ok=True)


def test_a_verified_checkpoint_that_contradicts_the_segments_is_refused(path: Path) -> None:
    fill(path, count=10)
    size = CHAIN.size(9)
    (path / "log" / "checkpoint").write_bytes(sign(size, bytes(32)))
    with pytest.raises(InvalidFile, match=rf"has root .* at size {size}, .* has 0000"):
        ChainStore.open(path)
    (path / "log.signed").unlink()
    with pytest.raises(InvalidFile, match=rf"expected the signed root 0000\w+ at size {size}"):
        ChainStore.open(path)
    (path / "log" / "checkpoint").write_bytes(sign(size + 1, bytes(32)))
    with pytest.raises(InvalidFile, match=f"up to log size {size + 1}"):
        ChainStore.open(path)


def test_a_saved_size_of_another_log_or_inside_a_block_is_refused(path: Path) -> None:
    fill(path, count=10)
    frontier = Frontier()
    for leaf in CHAIN.blocks[0].leaves[:1]:
        frontier.append(leaf)
    (path / "log" / "checkpoint").unlink()
    text = format_checkpoint(Checkpoint(CHAIN.origin, 1, frontier.root()))
    (path / "log.signed").write_bytes(text)
    with pytest.raises(InvalidFile, match="size 1 is not the end of a block"):
        ChainStore.open(path)
    (path / "log.signed").write_bytes(format_checkpoint(Checkpoint("other", 1, bytes(32))))
    with pytest.raises(InvalidFile, match="expected the log test/world, found other"):
        ChainStore.open(path)
    (path / "log.signed").write_bytes(b"nonsense")
    with pytest.raises(InvalidFile, match=r"log\.signed at byte 0: checkpoint has 0 lines"):
        ChainStore.open(path)


@pytest.mark.parametrize(
    "damaged",
    [
        "log/checkpoint",
        "log/tile/entries/002.p/{last}",
        "log/tile/0/002.p/{last}",
        "log/tile/1/000.p/2",
    ],
)
@pytest.mark.parametrize("how", ["missing", "flipped", "short"])
def test_damaged_tiles_and_checkpoints_are_made_again(path: Path, damaged: str, how: str) -> None:
    fill(path)
    before = contents(path)
    assert CHAIN.size(26) >> 8 == 2
    file = path / damaged.format(last=CHAIN.size(26) & 255)
    raw = bytearray(file.read_bytes())
    raw[40] ^= 1
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(raw if how == "flipped" else raw[:33])
    with ChainStore.open(path) as store:
        assert bool(store.mended) == ((damaged, how) != ("log/checkpoint", "missing"))
    after = contents(path)
    # Partial tiles of older sizes are not made again.
    assert all(after.get(name, raw) == raw for name, raw in before.items())
    assert (
        after[damaged.format(last=CHAIN.size(26) & 255)]
        == before[damaged.format(last=CHAIN.size(26) & 255)]
    )
    assert fsck(path).is_clean


def test_blocks_that_the_tiles_do_not_cover_are_derived_on_opening(path: Path) -> None:
    store = ChainStore.open(path, checkpoint_interval_ms=10**9)
    commit_from(store, CHAIN, 0, [])
    store.abandon()
    assert fsck(path).is_clean
    for directory in ("log", "log/tile/0/000.p", "snapshots", ""):
        (path / directory / "left.tmp").touch()
    with ChainStore.open(path) as store:
        assert store.signed_size == CHAIN.size(0)
        assert store.size == CHAIN.size(26)
    assert published(path, CHAIN) is not None
    assert not list(path.rglob("*.tmp"))


def test_a_block_with_another_root_than_its_entries_is_refused_on_opening(path: Path) -> None:
    """Someone replaced an entry of an unsigned block and mended the record's CRC."""
    store = ChainStore.open(path, checkpoint_interval_ms=10**9)
    commit_from(store, CHAIN, 0, [])
    store.abandon()
    entries = list(CHAIN.entries(5))
    entries[0] = entries[0][:-1] + bytes([entries[0][-1] ^ 1])
    segment = path / "segments" / "000000000000"
    raw = segment.read_bytes()
    old, new = encode_block(CHAIN.entries(5)), encode_block(entries)
    assert raw.count(old) == 1
    segment.write_bytes(raw.replace(old, new))
    with pytest.raises(InvalidFile, match=r"block 5 at log index \d+: expected root"):
        ChainStore.open(path)


def test_the_disk_is_asked_for_room_before_a_block(path: Path) -> None:
    with ChainStore.open(path) as store:
        assert store.has_room(1)
        assert not store.has_room(1 << 80)


def test_a_store_needs_the_lock(path: Path) -> None:
    data = DataDir.open(path, write=False)
    with pytest.raises(InvariantBroken, match="under its lock"):
        ChainStore(data, 1000, 3)


def test_a_frontier_of_tiles_is_that_of_the_leaves(path: Path) -> None:
    fill(path)
    frontier = Frontier()
    assert frontier_at(TileReader(lambda _path: None, 0)).encode() == frontier.encode()
    for block in CHAIN.blocks:
        for leaf in block.leaves:
            frontier.append(leaf)
    assert frontier_at(open_reader(path / "log", frontier.size)).encode() == frontier.encode()


def test_cosignatures_join_the_published_checkpoint_and_no_later_one(path: Path) -> None:
    """They come late: what was published since stays as it is."""
    witness = LogKey("w.example/w", b"\x11" * 32, KIND_COSIGNATURE)
    with ChainStore.open(path, files=UnflushedFiles(), checkpoint_interval_ms=0) as store:
        for block in CHAIN.blocks[:5]:
            store.commit(block)
        raw = load_checkpoint(path / "log") or b""
        text = parse_note(raw).text
        line = cosign_text(text, witness.verifier, 1_700_000_000, witness.sign)
        assert not store.add_cosignatures(text, [])
        assert store.add_cosignatures(text, [line])
        assert load_checkpoint(path / "log") == add_lines(raw, [line])
        store.publish()
        assert load_checkpoint(path / "log") == add_lines(raw, [line])
        store.commit(CHAIN.blocks[5])
        newer = load_checkpoint(path / "log")
        assert not store.add_cosignatures(text, [line])
        assert load_checkpoint(path / "log") == newer
    with ChainStore.open(path, files=UnflushedFiles()) as store:
        assert store.mended == []
