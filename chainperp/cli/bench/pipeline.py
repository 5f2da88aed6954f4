"""Signed orders through what a node has inside, both cores busy, time on the clock.

    bytes of a request → intake and its processes → waiting room → block → flush → reply

Nothing of HTTP, no index and no feeds; everything else as a node runs it, the flush to disk
included. The reference is raw recovery in as many processes as the machine has cores, in the same
rounds: a signature is what nobody can leave out.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from chainperp.cli.bench.replaying import RAW_TWO
from chainperp.cli.bench.stages import Stage
from chainperp.cli.draws import Draws
from chainperp.client.wallet import address_of, sign_action
from chainperp.node.clock import Clock, now_ms
from chainperp.node.exchange import Exchange
from chainperp.node.home import open_chain
from chainperp.node.prices import PriceFeed
from chainperp.node.producer import Pace, Producer
from chainperp.node.promises import Promiser
from chainperp.storage.collector import settle
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis

CORES: Final = 2
"""The figures are for a machine of two; so many processes take requests in, and recover."""
ACCOUNTS: Final = 100
USDC: Final = 10_000_000
PRICE: Final = 100_000
SPREAD: Final = 8
TOGETHER: Final = 200
"""Requests that a sender hands over at once."""
UNDER_WAY: Final = 3_200
"""Requests that have no reply yet, of all senders together."""
WARM: Final = 1_000
NANO: Final = 1e9
REST_SECONDS: Final = 0.5
RESTING: Final = 0.01
"""Seconds of processor time between two looks that are not work."""


def signed_bodies(keys: list[bytes], count: int, first_nonce: int) -> Iterator[bytes]:
    """Bodies of `POST /exchange` with one order each, within a few ticks around the oracle price,
    so that about half of them rest and half of them trade; the keys take turns."""
    draws = Draws("pipeline")
    for number in range(count):
        order = {"a": 0, "b": draws.below(2) == 0, "p": str(PRICE + draws.between(-SPREAD, SPREAD)),
                 "s": "0.001", "r": False, "t": {"limit": {"tif": "Gtc"}}}  # fmt: skip
        action = {"type": "order", "orders": [order], "grouping": "na"}
        body = sign_action(keys[number % len(keys)], action, first_nonce + number, "Testnet")
        yield json.dumps(body, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of one run went, in microseconds for each transaction."""

    wall: float
    own: float
    "Processor time of the node's process."
    children: float
    "Processor time of the processes that it started."


class Node:
    """What a node has inside, on a chain of its own in a directory."""

    def __init__(self, path: Path, genesis: bytes, validator: bytes, processes: int) -> None:
        DataDir.create(path, genesis, bytes(32)).close()
        self.chain = open_chain(path)
        self.producer = Producer(self.chain.engine, self.chain.store, Clock(), Pace())
        self.feed = PriceFeed(self.chain.engine.state, (validator,), "Testnet")
        self.producer.before_block.append(self._vote)
        promiser = Promiser(lambda: self.chain.store)
        self.exchange = Exchange(self.producer, "Testnet", processes, promiser)

    def _vote(self, time_ms: int) -> None:
        for vote in self.feed.votes(time_ms):
            self.producer.queue_system(vote)

    async def run(self, requests: list[bytes], together: int) -> Spent:
        """Start, warm up, then push the requests through until each has its reply."""
        self.exchange.intake.start()
        await self.producer.make_block()
        loop = asyncio.create_task(self.producer.run())
        rest = iter(requests)
        await self._send_all(islice(rest, WARM), together)
        await _until_children_rest()
        settle()
        before = _used()
        await self._send_all(rest, together)
        after = _used()
        await self.producer.stop()
        await loop
        self.exchange.intake.close()
        self.chain.store.close()
        wall, own, children = (
            (then - now) * 1e6 / (len(requests) - WARM)
            for then, now in zip(after, before, strict=True)
        )
        return Spent(wall, own, children)

    async def _send_all(self, requests: Iterator[bytes], together: int) -> None:
        """Many senders at a time, each of which waits for its replies."""
        senders = range(UNDER_WAY // together)
        await asyncio.gather(*(self._send(requests, together) for _ in senders))

    async def _send(self, requests: Iterator[bytes], together: int) -> None:
        while bodies := list(islice(requests, together)):
            for reply in await self.exchange.handle_many(bodies):
                if not _is_accepted(reply):
                    raise RuntimeError(f"an honest order was refused: {reply}")


def _is_accepted(reply: dict[str, Any] | Exception) -> bool:
    if isinstance(reply, Exception) or reply["status"] != "ok":
        return False
    return "error" not in reply["response"]["data"]["statuses"][0]


class Pipeline:
    """The same requests, run through nodes and beside raw recovery."""

    def __init__(self, count: int) -> None:
        keys = [
            sha256(b"pipeline" + index.to_bytes(4, "big")).digest() for index in range(ACCOUNTS)
        ]
        self.validator = sha256(b"pipeline, validator").digest()
        now = now_ms()
        self.genesis = build_genesis(
            "bench/pipeline", now, [(address_of(self.validator), 1)],
            accounts=[(address_of(key), USDC) for key in keys],
        )  # fmt: skip
        self.requests = list(signed_bodies(keys, count + WARM, now))

    def run(self, processes: int = CORES, together: int = TOGETHER) -> Spent:
        """All requests through a fresh node."""
        with TemporaryDirectory(prefix="chainperp-bench-") as folder:
            node = Node(Path(folder) / "chain", self.genesis, self.validator, processes)
            return asyncio.run(node.run(self.requests, together))


def pipeline_stage(count: int) -> Stage:
    """The pipeline with both cores to itself, beside raw recovery on both (`replaying.py`)."""
    pipeline = Pipeline(count)
    return Stage("signed order through a node, two cores", "tx", RAW_TWO, None,
                 lambda: pipeline.run().wall)  # fmt: skip


async def _until_children_rest() -> None:
    """Wait until the processes have imported what they need."""
    before = _children_seconds() - 1
    while (now := _children_seconds()) > before + RESTING:
        before = now
        await asyncio.sleep(REST_SECONDS)


def _used() -> tuple[float, float, float]:
    """Clock, own processor time, and that of the processes that were started, in seconds."""
    return time.perf_counter(), time.process_time(), _children_seconds()


def _children_seconds() -> float:
    """Processor time of the child processes that run, where the system tells it (Linux)."""
    total = 0.0
    for task in Path("/proc/self/task").glob("*/children"):
        for child in task.read_text().split():
            for thread in Path(f"/proc/{child}/task").glob("*/schedstat"):
                # The first number is the time on the processor in nanoseconds.
                total += int(thread.read_text().split()[0]) / NANO
    return total
