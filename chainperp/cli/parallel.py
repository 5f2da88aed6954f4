"""Runs the parts of a replay at the same time: in processes of this machine, or on a Dask cluster.

Parts come back in order whoever finishes first, so the verdict never depends on the number of
workers. A part is a pure function of the chain and the rules: one whose worker died is done again.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import msgpack

from chainperp.base.errors import NotFound
from chainperp.chain.replay import ReplayReport
from chainperp.cli.output import Progress
from chainperp.cli.replaying import Part, PartOutcome, Runner, attempt, run_part
from chainperp.cli.sources import open_source
from chainperp.wire.recovery import signers_of
from chainperp.wire.typed_data import Network

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

PARTS_PER_WORKER: Final = 4
LOOK_S: Final = 0.25
RETRIES: Final = 3
CONNECT_S: Final = 10

_done: "Synchronized[int] | None" = None
"""Blocks done by all processes of a pool; set in each of them."""


@cache
def network_of(place: str) -> Network:
    """Network whose signatures a chain's transactions carry. Kept, for every part asks: its genesis
    never changes, and at a URL each look costs a request for every snapshot."""
    return "Mainnet" if open_source(place).genesis.network == "Mainnet" else "Testnet"


def replay_part(part: Part) -> PartOutcome:
    """Do a part with every signature recovered: what a worker is given."""
    return attempt(part, _with_signatures)


def _with_signatures(part: Part) -> ReplayReport:
    network = network_of(part.place)
    counted = 0

    def recover(envelopes: list[bytes]) -> list[bytes | str]:
        return signers_of(envelopes, network)

    def step(done: int, _total: int | None) -> None:
        nonlocal counted
        if _done is not None:
            with _done.get_lock():
                _done.value += done - counted
        counted = done

    return run_part(part, recover, msgpack.unpackb, step=step)


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes of this machine that wait for work, and how many blocks they have done."""

    pool: ProcessPoolExecutor
    done: "Synchronized[int]"


@contextmanager
def workers(jobs: int) -> Iterator[Workers | None]:
    """`jobs` processes that are ready at once; none for one job, which this process does.

    Forked where that is sound, on Linux and before there is a second thread: each has everything
    imported then, which takes a new interpreter as long as 6,000 signatures. So: to be entered
    after the imports, and before a progress bar.
    """
    if jobs == 1:
        yield None
        return
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = get_context("fork" if forks else "spawn")
    done: Synchronized[int] = context.Value("q", 0)
    pool = ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_begin_worker, initargs=(done,)
    )
    try:
        pool.submit(int)
        yield Workers(pool, done)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(done: "Synchronized[int]") -> None:
    global _done  # noqa: PLW0603 - a pool's process has no other place for it
    _done = done


def over_processes(started: Workers, step: Progress) -> Runner:
    """A runner over processes of this machine; `step` is told how many blocks are done."""

    def run(parts: list[Part]) -> Iterator[PartOutcome]:
        total = sum(part.length for part in parts)
        for future in [started.pool.submit(replay_part, part) for part in parts]:
            yield _await(future, lambda: step(started.done.value, total))

    return run


def _await(future: "Future[PartOutcome]", tell: Callable[[], None]) -> PartOutcome:
    while not wait([future], LOOK_S).done:
        tell()
    tell()
    return future.result()


def over_cluster(address: str, step: Progress) -> Runner:
    """A runner over the workers of the Dask scheduler at an address.

    The workers need this package, of the same version, and the chain under the same name: a path
    that they share, or a URL. Raises NotFound without the package `distributed` or a scheduler.
    """

    def run(parts: list[Part]) -> Iterator[PartOutcome]:
        client = _connect(address)
        total = sum(part.length for part in parts)
        finished = 0
        try:
            futures = [
                client.submit(replay_part, part, pure=False, retries=RETRIES) for part in parts
            ]
            for part, future in zip(parts, futures, strict=True):
                outcome: PartOutcome = future.result()
                finished += part.length
                step(finished, total)
                yield outcome
            client.cancel(futures)
        finally:
            client.close()

    return run


def cluster_size(address: str) -> int:
    """Number of threads that a cluster's workers have together, at least 1."""
    client = _connect(address)
    try:
        return max(1, sum(int(count) for count in client.nthreads().values()))
    finally:
        client.close()


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise NotFound(
            "--dask needs the extra cluster: pip install 'chainperp[cluster]'"
        ) from error
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NotFound(f"no Dask scheduler answers at {address}: {error}") from error
