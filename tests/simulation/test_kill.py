"""A real process, killed at random moments and started again on the same directory.

Source: reliability 7.5.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from chainperp.evidence.merkle import Frontier
from chainperp.storage.fsck import fsck
from chainperp.storage.recovery import find_tip
from chainperp.storage.segments import StoredBlock, encode_block, list_segments, read_blocks
from chainperp.storage.store import ChainStore
from tests.simulation.chain import Chain, create, published, step
from tests.simulation.writer import PARAMETERS
from tests.support.world import World

ROUNDS = 12
ROOT = Path(__file__).resolve().parents[2]


class Replay:
    """The same inputs once more, in this process: what each block and each root must be."""

    def __init__(self) -> None:
        self.world = World(PARAMETERS)
        genesis = self.world.engine.genesis
        self.chain = Chain(genesis.raw, genesis.origin, self.world.blocks)
        self.frontier = Frontier()
        self.done = 0

    def go_to(self, height: int) -> None:
        while len(self.world.blocks) <= height:
            step(self.world, len(self.world.blocks) - 1)
        for block in self.world.blocks[self.done :]:
            for leaf in block.leaves:
                self.frontier.append(leaf)
            self.chain.roots[self.frontier.size] = self.frontier.root()
        self.done = len(self.world.blocks)


def start(path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.simulation.writer", str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_and_kill(path: Path, rng: random.Random, is_ready: bool) -> list[str]:
    """Lines of a writer that was killed: while it commits, or whenever it may be."""
    process = start(path)
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout if is_ready else ():
        lines.append(line.rstrip("\n"))
        if line.startswith("ready"):
            break
    time.sleep(rng.uniform(0, 0.1 if is_ready else 0.6))
    assert process.poll() is None, lines
    process.kill()
    rest, _nothing = process.communicate()
    return lines + rest.splitlines()


def read_sealed(path: Path) -> Iterator[StoredBlock]:
    """Sealed blocks, whatever the kill left behind them."""
    height = find_tip(path / "segments").height
    return read_blocks(path / "segments", 0, height) if height >= 0 else iter(())


def tear(path: Path, replay: Replay, rng: random.Random) -> bool:
    """Leave a part of the next block behind, as a machine that dies would."""
    height = len(list(read_sealed(path))) - 1
    if height < 0:
        return False
    replay.go_to(height + 1)
    raw = encode_block(replay.world.blocks[height + 1].entries)
    with list_segments(path / "segments")[-1].open("ab") as file:
        file.write(raw[: rng.randrange(1, len(raw))])
    return True


def check(path: Path, replay: Replay, confirmed: int) -> None:
    """What is stored is what the replay made, and it is no less than what was confirmed."""
    stored = list(read_sealed(path))
    replay.go_to(len(stored) - 1)
    assert len(stored) - 1 >= confirmed
    for height, block in enumerate(stored):
        assert (block.height, block.entries) == (height, replay.chain.entries(height))
    published(path, replay.chain)


def test_kills_lose_nothing_confirmed_and_double_nothing(tmp_path: Path) -> None:
    rng = random.Random(20)
    path = tmp_path / "chain"
    replay = Replay()
    create(path, replay.chain)
    confirmed = -1
    reports = 0
    for round_number in range(ROUNDS):
        is_torn = round_number % 4 == 3 and tear(path, replay, rng)
        lines = run_and_kill(path, rng, is_torn or round_number % 3 > 0)
        assert not is_torn or lines[0].startswith(f"torn {path}/segments/0"), lines
        reports += is_torn
        ready = [int(line.split()[1]) for line in lines if line.startswith("ready")]
        heights = [int(line) for line in lines if line.isdigit()]
        assert all(height >= confirmed for height in ready), round_number
        if heights:
            assert heights == list(range(ready[0] + 1, ready[0] + 1 + len(heights)))
        confirmed = max([confirmed, *ready, *heights])
        check(path, replay, confirmed)
    assert reports >= 3
    assert confirmed > ROUNDS
    with ChainStore.open(path) as store:
        assert store.height >= confirmed
        assert store.newest_snapshots()
    check(path, replay, confirmed)
    assert fsck(path).is_clean
