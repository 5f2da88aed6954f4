"""Every call that changes a file is a place to die. The run is repeated once for each.

Dying after call k leaves the same bytes as dying before call k + 1, so "after" is tried by itself
only for the last call. With a lost machine, what was not flushed vanishes too.
"""

import os
import shutil
from pathlib import Path

import pytest

from chainperp.base.errors import DirectoryError
from chainperp.storage import segments
from chainperp.storage.files import StorageFault
from chainperp.storage.fsck import fsck
from chainperp.storage.segments import read_blocks
from chainperp.storage.store import ChainStore
from tests.simulation.chain import Chain, commit_from, contents, create, make_chain, published
from tests.simulation.faulty import Death, FaultyFiles, UnflushedFiles

LONG = os.environ.get("CHAINPERP_LONG") == "1"


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments, so that making one is among the calls."""
    monkeypatch.setattr(segments, "BLOCKS_MAX", 10)


def run(path: Path, chain: Chain, files: FaultyFiles) -> list[int]:
    """Commit the whole chain; returns the acknowledged heights, up to death or a fault."""
    acknowledged: list[int] = []
    try:
        with ChainStore.open(path, files=files) as store:
            try:
                commit_from(store, chain, store.height + 1, acknowledged)
            except StorageFault:
                with pytest.raises(StorageFault, match="a write failed before"):
                    store.commit(chain.blocks[store.height + 1])
                with pytest.raises(StorageFault, match="a write failed before"):
                    store.publish()
                raise
    except (Death, StorageFault):
        assert files.at >= 0
    return acknowledged


def check(path: Path, chain: Chain, acknowledged: list[int], where: str) -> None:
    """Restart; nothing acknowledged is lost, and a second restart changes nothing."""
    shown = published(path, chain)
    with ChainStore.open(path, files=UnflushedFiles()) as store:
        height = store.height
        assert height >= max(acknowledged, default=-1), where
        assert store.size == chain.size(height), where
        if shown is not None:
            assert store.signed_size >= shown.size, where
    stored = list(read_blocks(path / "segments"))
    assert [block.height for block in stored] == list(range(height + 1)), where
    assert all(block.entries == chain.entries(block.height) for block in stored), where
    now = published(path, chain)
    assert (now is None) == (height < 0), where
    assert now is None or now.size == chain.size(height), where
    before = contents(path)
    ChainStore.open(path, files=UnflushedFiles()).close()
    assert contents(path) == before, where
    assert not [name for name in before if name.endswith(".tmp")], where


def go_on(path: Path, chain: Chain, where: str) -> None:
    """The rest of the chain can be committed, and then everything agrees."""
    with ChainStore.open(path, files=UnflushedFiles()) as store:
        commit_from(store, chain, store.height + 1, [])
        assert store.height == len(chain.blocks) - 1
    report = fsck(path)
    assert report.problems == (), where


def count_calls(memory_path: Path, chain: Chain) -> list[str]:
    """The calls of an undisturbed run."""
    files = FaultyFiles()
    create(memory_path / "whole", chain, UnflushedFiles())
    assert run(memory_path / "whole", chain, files) == list(range(len(chain.blocks)))
    return files.calls


def run_all(
    memory_path: Path, mode: str, seed: int = 0, *, loses: bool = False, only: str = ""
) -> None:
    """The run, once for each call that starts with `only`."""
    chain = make_chain()
    calls = count_calls(memory_path, chain)
    kinds = {call.split()[0] for call in calls}
    assert kinds == {"create", "mkdir", "open", "rename", "rmdir", "sync", "syncdir", "unlink",
                     "write"}  # fmt: skip
    for at, call in enumerate(calls):
        if not call.startswith(only):
            continue
        where = f"{mode} call {at}, {call}, loses={loses} seed={seed}"
        path = memory_path / f"{mode}-{at}"
        create(path, chain, UnflushedFiles())
        files = FaultyFiles(at=at, mode=mode, loses=loses, seed=seed)
        acknowledged = run(path, chain, files)
        check(path, chain, acknowledged, where)
        if at % 9 == 0:
            go_on(path, chain, where)
        shutil.rmtree(path)


def test_a_process_that_dies_before_any_call_loses_and_doubles_nothing(memory_path: Path) -> None:
    run_all(memory_path, "before")


def test_a_write_torn_at_any_byte_loses_and_doubles_nothing(memory_path: Path) -> None:
    run_all(memory_path, "torn", only="write")
    run_all(memory_path / "again", "torn", 1, only="write 0")


@pytest.mark.parametrize("seed", range(1, 9) if LONG else [1])
def test_a_machine_that_dies_loses_nothing_that_was_flushed(memory_path: Path, seed: int) -> None:
    run_all(memory_path, "after", seed, loses=True)


def test_a_full_disk_or_a_failed_flush_stops_the_store_at_once(memory_path: Path) -> None:
    run_all(memory_path, "full", only="write")
    run_all(memory_path / "flush", "fails", only="sync")


def test_a_lost_machine_during_recovery_leaves_recovery_to_do(memory_path: Path) -> None:
    chain = make_chain()
    for at in range(200):
        path = memory_path / str(at)
        create(path, chain, UnflushedFiles())
        files = FaultyFiles()
        store = ChainStore.open(path, files=files)
        commit_from(store, chain, 0, [])
        store.abandon()
        torn = sorted((path / "segments").glob("0*"))[-1]
        with torn.open("ab") as file:
            file.write(chain.snapshots[12][:700])
        again = FaultyFiles(at=at, mode="after", loses=True, seed=at)
        run(path, chain, again)
        check(path, chain, [len(chain.blocks) - 1], f"recovery call {at}")
        assert [file.read_bytes() for file in torn.parent.glob("*.tail-*")] == [
            chain.snapshots[12][:700]
        ]
        shutil.rmtree(path)
        if not again.dead:
            assert at > 5
            return
    raise AssertionError("recovery did not come to an end")


def test_a_directory_that_was_never_finished_is_refused(memory_path: Path) -> None:
    chain = make_chain()
    whole = FaultyFiles()
    create(memory_path / "whole", chain, whole)
    messages: list[str] = []
    for at in range(len(whole.calls)):
        for loses in (False, True):
            path = memory_path / f"{at}-{loses}"
            files = FaultyFiles(at=at, mode="after", loses=loses, seed=at)
            with pytest.raises(Death):
                create(path, chain, files)
            try:
                ChainStore.open(path, files=UnflushedFiles()).close()
            except DirectoryError as error:
                messages.append(str(error))
            else:
                assert contents(path).keys() >= {"FORMAT", "genesis.json", "log.key", "log/vkey"}
    assert len(messages) > len(whole.calls)
    assert all("delete it" in row or "not a data directory" in row for row in messages)
    assert fsck(memory_path / "whole").problems == ()
