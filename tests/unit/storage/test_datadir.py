"""The data directory: what is made, who may write, and one sentence for each refusal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, DirectoryError, InvalidFile, InvalidGenesis
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis
from chainperp.storage.store import ChainStore
from tests.simulation.chain import SEED, create, make_chain

CHAIN = make_chain()
HOLD = """
import sys
from pathlib import Path
from chainperp.storage.datadir import DataDir
data = DataDir.open(Path(sys.argv[1]), write=True)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "chain", CHAIN)
    return tmp_path / "chain"


def refusal(path: Path, write: bool = True) -> str:
    with pytest.raises(DirectoryError) as caught:
        DataDir.open(path, write=write)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_new_directory_has_the_whole_layout(path: Path) -> None:
    names = sorted(file.name for file in path.iterdir())
    assert names == ["FORMAT", "LOCK", "genesis.json", "log", "log.key", "segments", "snapshots"]
    assert (path / "FORMAT").read_bytes() == b"chainperp 1\n"
    assert (path / "genesis.json").read_bytes() == CHAIN.genesis
    assert (path / "log.key").read_text() == SEED.hex() + "\n"
    assert (path / "log.key").stat().st_mode & 0o777 == 0o600
    assert (path / "log" / "vkey").read_text().startswith("test/world+")
    with DataDir.open(path, write=False) as data:
        assert data.genesis.chain_id
        assert not data.is_writer
        assert data.load_log_key().verifier.name == "test/world"


def test_a_directory_is_made_only_where_nothing_is(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="already holds a chain"):
        create(path, CHAIN)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note").touch()
    with pytest.raises(DirectoryError, match="is not empty"):
        create(tmp_path / "other", CHAIN)
    with pytest.raises(DirectoryError, match="is not a directory"):
        create(tmp_path / "other" / "note", CHAIN)
    (path / "FORMAT").unlink()
    with pytest.raises(DirectoryError, match="never finished: delete it"):
        create(path, CHAIN)
    (tmp_path / "empty").mkdir()
    create(tmp_path / "empty", CHAIN)
    create(tmp_path / "deep" / "er", CHAIN)


def test_nothing_is_made_of_a_bad_genesis_or_a_bad_seed(tmp_path: Path) -> None:
    with pytest.raises(InvalidGenesis):
        DataDir.create(tmp_path / "chain", b"{}", SEED)
    with pytest.raises(BadRequest, match="32 bytes, was 31"):
        DataDir.create(tmp_path / "chain", CHAIN.genesis, SEED[:31])
    assert list(tmp_path.iterdir()) == []


def test_each_refusal_says_what_is_wrong_in_one_sentence(path: Path, tmp_path: Path) -> None:
    assert "is not a data directory: there is no directory" in refusal(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "is not a data directory: it has no FORMAT file" in refusal(tmp_path / "empty")
    (path / "FORMAT").write_bytes(b"chainperp 2\n")
    assert "has format b'chainperp 2\\n', this version reads only" in refusal(path)
    (path / "FORMAT").unlink()
    assert "was never finished: delete it" in refusal(path, write=False)
    (path / "FORMAT").write_bytes(b"chainperp 1\n")
    (path / "genesis.json").unlink()
    assert "genesis.json is missing" in refusal(path)


def test_a_genesis_of_another_chain_is_refused(path: Path) -> None:
    with ChainStore.open(path) as store:
        store.commit(CHAIN.blocks[0])
    validator = [(b"\xaa" * 20, 1)]
    (path / "genesis.json").write_bytes(build_genesis("test/world", 1_760_000_000_001, validator))
    assert "is the genesis of another chain than the log" in refusal(path)
    (path / "genesis.json").write_bytes(build_genesis("other/log", 1_760_000_000_000, validator))
    assert "begins 'other/log', the log's key is of 'test/world'" in refusal(path)
    (path / "genesis.json").write_bytes(b"\xff")
    with pytest.raises(InvalidGenesis, match=r"genesis\.json: genesis is not JSON"):
        DataDir.open(path, write=False)


def test_a_second_writer_is_told_who_has_the_lock(path: Path) -> None:
    with DataDir.open(path, write=True):
        assert (path / "LOCK").read_text() == f"{os.getpid()}\n"
        assert f"is locked by pid {os.getpid()}, this process itself" in refusal(path)
        DataDir.open(path, write=False).close()
    DataDir.open(path, write=True).close()


def test_the_lock_ends_with_a_killed_process(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert refusal(path) == f"{path} is locked by pid {holder.pid}"
        DataDir.open(path, write=False).close()
    finally:
        holder.kill()
        holder.communicate()
    DataDir.open(path, write=True).close()


def test_a_missing_malformed_or_foreign_key_is_named(path: Path) -> None:
    for raw, message in (
        (b"00" * 32 + b"\n", r"log\.key is the key .*vkey says"),
        (b"00" * 31 + b"\n", r"log\.key at byte 0: expected 32 bytes in hex and a newline"),
        (None, r"log\.key is missing"),
    ):
        if raw is None:
            (path / "log.key").unlink()
        else:
            (path / "log.key").write_bytes(raw)
        with (
            DataDir.open(path, write=False) as data,
            pytest.raises(InvalidFile, match=message) as caught,
        ):
            data.load_log_key()
        assert SEED.hex() not in str(caught.value)


def test_snapshots_are_listed_newest_first_and_other_names_are_passed_over(path: Path) -> None:
    for name in ("000000000007.snap", "000000000012.snap", "12.snap", "000000000013.snap.tmp"):
        (path / "snapshots" / name).touch()
    with DataDir.open(path, write=False) as data:
        assert [height for height, _file in data.list_snapshots()] == [12, 7]
