"""The scripts in examples/, run as a user runs them: honest chains, and ones that are not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from chainperp.base.hashing import leaf_hash
from chainperp.cli.adl_round import rounds_of
from chainperp.cli.chain_log import ChainLog
from chainperp.evidence.checkpoint import Checkpoint, sign_checkpoint
from chainperp.evidence.merkle import Frontier
from chainperp.evidence.note import parse_note
from chainperp.storage.logkey import LogKey
from chainperp.storage.tiles import TileLog, save_vkey
from tests.support.chain import ROOT, DemoChain, Outcome

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
KEY = LogKey("watched.example/log", bytes(range(32)))


def run_example(name: str, *arguments: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_each_example_is_short_and_says_how_it_is_called() -> None:
    assert [path.name for path in EXAMPLES] == [
        "solvency.py", "verify_my_adl.py", "watch_checkpoints.py",
    ]  # fmt: skip
    for path in EXAMPLES:
        assert len(path.read_text().splitlines()) < 60
        called = run_example(path.name)
        assert called.code == 1
        assert f"python {path.name} " in called.err


def test_a_winner_checks_his_deleveraging(demo_chain: DemoChain) -> None:
    """Every account that some round closed: all sentences stand in the signed log."""
    log = ChainLog(demo_chain.path)
    closed = {
        row["account"]: block.height
        for block in log.blocks()
        for found in rounds_of(block)
        for row in found.rows
        if row["take_lots"]
    }
    account, height = sorted(closed.items())[0]
    name = "0x" + account.hex()
    told = run_example("verify_my_adl.py", str(demo_chain.path), name)
    assert told.code == 0, told.err
    assert "the same hash, the same order, the same takes" in told.out
    assert f"entries are in the log of size {demo_chain.log_size}" in told.out
    one = run_example("verify_my_adl.py", str(demo_chain.path), name, str(height))
    assert one.code == 0
    assert 0 < one.out.count("auto-deleveraging in") <= told.out.count("auto-deleveraging in")
    nobody = run_example("verify_my_adl.py", str(demo_chain.path), "0x" + "11" * 20)
    assert nobody.code == 1
    assert "NOT VERIFIED" in nobody.err
    assert run_example("verify_my_adl.py", str(demo_chain.path), "0x12").code == 1


def test_a_quoted_entry_that_is_not_in_the_log_is_noticed(
    demo_chain: DemoChain, tmp_path: Path
) -> None:
    """One bit of a level-0 tile: some entry quoted has no way to the signed root any more."""
    log = ChainLog(demo_chain.path)
    account, index = next(
        (found.rows[0]["account"], found.index)
        for block in log.blocks() for found in rounds_of(block)
    )  # fmt: skip
    chain = demo_chain.copy(tmp_path / "chain")
    tile = chain / "log" / "tile" / "0" / f"{index >> 8:03d}"
    raw = bytearray(tile.read_bytes())
    raw[(index & 255) * 32] ^= 1
    tile.write_bytes(raw)
    told = run_example("verify_my_adl.py", str(chain), "0x" + account.hex())
    assert told.code == 1
    assert "NOT VERIFIED: inclusion root" in told.err


def test_the_venue_of_the_demo_holds_what_it_owes(demo_chain: DemoChain, tmp_path: Path) -> None:
    told = run_example("solvency.py", str(demo_chain.path))
    assert told.code == 0, told.err
    rows = {line.split()[0]: line.split()[-2] for line in told.out.splitlines()
            if line.startswith(("claims  ", "deficit", "custody"))}  # fmt: skip
    assert rows["claims"] == rows["custody"]
    assert float(rows["custody"]) > 1_000_000
    assert float(rows["deficit"]) == 0
    chain = demo_chain.copy(tmp_path / "chain")
    (segment,) = (chain / "segments").iterdir()
    raw = bytearray(segment.read_bytes())
    raw[len(raw) - 40] ^= 1
    segment.write_bytes(raw)
    assert run_example("solvency.py", str(chain)).code == 1
    assert run_example("solvency.py", str(tmp_path)).code == 1


class Grown:
    """A log directory that can grow honestly, fork, and go back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[bytes] = []
        save_vkey(folder / "log", KEY.verifier)

    def grow(self, count: int, word: bytes = b"entry") -> None:
        """Add entries and publish."""
        self.entries += [word + b" %d" % len(self.entries) for _ in range(count)]
        tiles, frontier = TileLog(self.folder / "log"), Frontier()
        shutil.rmtree(self.folder / "log" / "tile", ignore_errors=True)
        for entry in self.entries:
            tiles.append(entry, leaf_hash(entry))
            frontier.append(leaf_hash(entry))
        tiles.write()
        checkpoint = Checkpoint(KEY.verifier.name, frontier.size, frontier.root())
        tiles.publish(sign_checkpoint(checkpoint, KEY.verifier, KEY.sign))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Grown, str]]:
    """A log and the URL under which it is served as static files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    log = Grown(tmp_path / "venue")
    log.grow(300)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(log.folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield log, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("by_url", [True, False])
def test_a_log_that_grows_is_followed(
    served: tuple[Grown, str], tmp_path: Path, by_url: bool
) -> None:
    log, url = served
    source, kept = url if by_url else str(log.folder), str(tmp_path / "kept")
    first = run_example("watch_checkpoints.py", source, kept, "0", "1")
    assert (first.code, first.err) == (0, "")
    assert "size 300 of watched.example/log is the first one seen" in first.out
    for count in (1, 211, 700):
        log.grow(count)
        again = run_example("watch_checkpoints.py", source, kept, "0.01", "2")
        assert again.code == 0, again.err
        assert again.out.count(f"size {len(log.entries)} of watched.example/log continues") == 2


@pytest.mark.parametrize("by_url", [True, False])
@pytest.mark.parametrize("count", [0, 50])
def test_a_split_view_is_shouted_and_both_notes_are_kept(
    served: tuple[Grown, str], tmp_path: Path, by_url: bool, count: int
) -> None:
    """The same size with another root, and a larger tree that forked before."""
    log, url = served
    source, kept = url if by_url else str(log.folder), tmp_path / "kept"
    assert run_example("watch_checkpoints.py", source, str(kept), "0", "1").code == 0
    seen = kept.read_bytes()
    log.entries = log.entries[:200]
    log.grow(100 + count, b"another")
    told = run_example("watch_checkpoints.py", source, str(kept), "0", "0")
    assert told.code == 1
    assert "SPLIT VIEW:" in told.out
    assert kept.read_bytes() == seen
    one, other = (tmp_path / "kept.conflict").read_bytes().split(b"\n\nwatched")
    notes = [parse_note(one + b"\n"), parse_note(b"watched" + other)]
    assert len({note.text for note in notes}) == 2


def test_an_old_or_damaged_answer_is_no_split_view(
    served: tuple[Grown, str], tmp_path: Path
) -> None:
    """What a cache or a cable can do is reported, exit 1, and does not replace what was seen."""
    log, url = served
    kept = tmp_path / "kept"
    old = tmp_path / "old"
    shutil.copytree(log.folder, old)
    log.grow(20)
    assert run_example("watch_checkpoints.py", url, str(kept), "0", "1").code == 0
    seen = kept.read_bytes()
    checkpoint = log.folder / "log" / "checkpoint"
    good = checkpoint.read_bytes()
    checkpoint.write_bytes((old / "log" / "checkpoint").read_bytes())
    stale = run_example("watch_checkpoints.py", url, str(kept), "0", "1")
    assert (stale.code, stale.out) == (1, "")
    assert "the answer is old: size 300, seen was 320" in stale.err
    checkpoint.write_bytes(good[:-20])
    assert run_example("watch_checkpoints.py", url, str(kept), "0", "1").code == 1
    checkpoint.unlink()
    assert "no checkpoint" in run_example("watch_checkpoints.py", url, str(kept), "0", "1").err
    checkpoint.write_bytes(good)
    log.grow(1)
    tile = log.folder / "log" / "tile" / "0" / "001.p" / "65"
    tile.write_bytes(bytes(65 * 32))
    damaged = run_example("watch_checkpoints.py", url, str(kept), "0", "1")
    assert damaged.code == 1
    assert "the tiles do not have the signed root of size 321" in damaged.err
    nobody = run_example("watch_checkpoints.py", "http://127.0.0.1:9", str(kept), "0", "1")
    assert "does not answer" in nobody.err
    assert kept.read_bytes() == seen
    assert not (tmp_path / "kept.conflict").exists()
