"""`kill -9` to a node under load, over and over: what it acknowledged is there once, nothing else.

Ten short rounds here; `make soak` asks for more. Source: reliability 7.3, 7.5.
"""

import hashlib
import os
import random
import threading
import time
from pathlib import Path

from chainperp.storage.fsck import fsck
from tests.simulation.orders_under_kill import Knowledge, Trader, was_sent
from tests.support.chain import run_cli
from tests.support.logged import accepted_orders, stored_blocks
from tests.support.node import NodeProcess, account, running_node

ROUNDS = int(os.environ.get("CHAINPERP_KILL_ROUNDS", "10"))
SEED = int(os.environ.get("CHAINPERP_KILL_SEED", "7"))
CLIENTS = 3
NOT_DATA = ("LOCK", "index.db")
START_SECONDS = 1.2
"""About as long as a start takes: kills within it hit imports, recovery and the first block."""


def kill_in_start(path: Path, rng: random.Random) -> None:
    """Start a node and kill it before it may have answered anything."""
    node = NodeProcess(path)
    time.sleep(rng.uniform(0.1, START_SECONDS))
    assert node.is_alive(), node.stderr()
    node.kill()
    node.check_stderr()


def kill_under_load(path: Path, clients: list[Knowledge], rng: random.Random) -> None:
    """Start a node, let every client trade, and kill it at a random moment."""
    node = NodeProcess(path)
    node.wait_until_it_answers()
    stop = threading.Event()
    traders = [Trader(node, one, stop) for one in clients]
    for one in traders:
        one.start()
    time.sleep(rng.uniform(0, rng.choice((0.1, 0.4, 1.0))))
    assert node.is_alive(), node.stderr()
    node.kill()
    stop.set()
    for one in traders:
        one.join(20)
        assert not one.is_alive()
    node.check_stderr()


def check(path: Path, clients: list[Knowledge]) -> None:
    """The log has every acknowledged order once, under its id, and none that nobody sent."""
    logged = accepted_orders(path)
    for one in clients:
        assert one.problems == []
        for cloid, oid in one.acknowledged.items():
            assert logged.get(cloid) == [oid], (one.number, cloid.hex())
        for cloid in one.certain:
            assert len(logged.get(cloid, [])) == 1, (one.number, cloid.hex())
    for cloid, ids in logged.items():
        assert len(ids) == 1, (cloid.hex(), ids)
        assert was_sent(clients, cloid), cloid.hex()


def digest_of(path: Path) -> dict[str, str]:
    """Every file of a data directory and its hash. Not LOCK, which names the process, and not the
    index, which is a cache."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(NOT_DATA)
    }


def test_kills_lose_no_acknowledged_order_and_double_none(tmp_path: Path) -> None:
    """Rounds of start, load and SIGKILL; each is judged by the log that it leaves behind."""
    rng = random.Random(SEED)
    path = tmp_path / "chain"
    clients = [Knowledge(account(number), number) for number in range(CLIENTS)]
    with running_node(path):
        pass
    heights = [0]
    for number in range(ROUNDS):
        if number % 5 == 4:
            kill_in_start(path, rng)
        else:
            kill_under_load(path, clients, rng)
        heights.append(max(block.height for block in stored_blocks(path)))
        assert heights[-1] >= heights[-2]
        check(path, clients)
    assert sum(len(one.acknowledged) for one in clients) > 10 * ROUNDS
    # Mining would go on from here; without it a start only mends what the kill left.
    with running_node(path, "--no-mining"):
        pass
    before = digest_of(path)
    with running_node(path, "--no-mining"):
        pass
    assert digest_of(path) == before
    assert fsck(path).is_clean
    replayed = run_cli("replay", str(path), "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.document["equal"]
    print(
        f"\n{ROUNDS} kills, {heights[-1]} blocks, "
        f"{sum(len(one.acknowledged) for one in clients)} acknowledged, "
        f"{sum(len(one.certain) for one in clients)} learned by sending again"
    )
