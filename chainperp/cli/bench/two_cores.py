"""The reference for whatever uses all cores: bare libsecp256k1 recoveries in several processes.

Each process is started, has its signatures and has recovered some of them before the clock runs;
then all begin at once, so the rate is what the machine can give, other programs included.
"""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

import coincurve

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

SIGNATURES: Final = 200
READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class RawRate:
    """What processes did at the same time: recoveries a second on the clock, of all together, and
    microseconds of processor time for one."""

    per_second: float
    processor_us: float

    @property
    def wall_us(self) -> float:
        """Microseconds on the clock for one recovery of all processes together."""
        return 1e6 / self.per_second


def raw_rate(processes: int = 2, count: int = 10_000) -> RawRate:
    """Recover `count` signatures in each of several processes at the same time."""
    context = get_context("spawn")
    barrier = context.Barrier(processes)
    with context.Pool(processes, _begin, (barrier,)) as pool:
        # One task is a whole process's work: each waits for all others at the barrier.
        spans = pool.map(_recover, [count] * processes, chunksize=1)
    wall = max(end for _, end, _ in spans) - min(start for start, _, _ in spans)
    total = count * processes
    return RawRate(total / wall, sum(used for _, _, used in spans) * 1e6 / total)


_barrier: "Barrier | None" = None
"""Where the processes of a pool wait for each other; set in each of them."""


def _begin(barrier: "Barrier") -> None:
    global _barrier  # noqa: PLW0603 - a pool's process has no other place for it
    _barrier = barrier


def _recover(count: int) -> tuple[float, float, float]:
    """When this process began and ended on the clock, and its processor time between."""
    work = recoveries()
    work(SIGNATURES)
    if _barrier is not None:
        _barrier.wait(READY_S)
    start, used = perf_counter(), process_time()
    work(count)
    return start, perf_counter(), process_time() - used


def recoveries() -> Callable[[int], None]:
    """A loop that does nothing but recover: called with how many."""
    key = coincurve.PrivateKey(bytes(31) + b"\x07")
    digests = [index.to_bytes(32, "big") for index in range(1, SIGNATURES + 1)]
    pairs = [(key.sign_recoverable(digest, hasher=None), digest) for digest in digests]

    def work(count: int) -> None:
        recover = coincurve.PublicKey.from_signature_and_message
        for index in range(count):
            signature, digest = pairs[index % SIGNATURES]
            recover(signature, digest, hasher=None)

    return work
