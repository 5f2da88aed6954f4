"""The way in: requests gather here, are looked at in other processes, and leave in their order.

    arrived → gathered for one turn of the loop → batch → a process of the pool → delivered

Looking at one request takes less time than passing it to another process, so few of them are
looked at here; under load they gather while the pool works, and batches grow by themselves until
they are full. Batches are delivered in the order in which their requests arrived, whichever
process was first: the number of processes changes no byte of the chain.

What is on its way in is bounded in number and in bytes. Source: reliability 13, overload.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from itertools import count, repeat
from typing import Final

from chainperp.node.children import child_pool
from chainperp.node.finding import Finding, findings
from chainperp.node.room import CANCEL_SHARE, FULL, Busy, Replies
from chainperp.wire.typed_data import Network

BATCH_MIN: Final = 4
"""Fewer requests are looked at in the node's own process."""
BATCH_GOOD: Final = 50
"""With so many, another process may begin although one is at work."""
BATCH_MAX: Final = 200
"""More do not make a request cheaper; they make the first of them wait."""
AHEAD: Final = 4
"""Full batches that each process may have before it, so that it has work while a block is made."""
HERE_MAX: Final = 32
"""Requests that are looked at here before the loop turns again."""

ARRIVED_MAX: Final = 10_000
BYTES_MAX: Final = 64 << 20
CANCEL_WORDS: Final = (b'"cancel', b'"scheduleCancel"')

Asked = tuple[bytes, Replies, int]
"""A request: its body, and the place of its reply."""


class _Batch:
    """Requests that are looked at together, and what was found."""

    __slots__ = ("asked", "bodies", "found", "size")

    def __init__(self, asked: list[Asked]) -> None:
        self.asked = asked
        self.bodies = [body for body, _, _ in asked]
        self.size = sum(map(len, self.bodies))
        self.found: list[Finding] | None = None


class Intake:
    """Looks at requests in batches. One per node; used from the event loop only."""

    def __init__(
        self,
        network: Network,
        processes: int,
        deliver: Callable[[list[Asked], list[Finding]], None],
    ) -> None:
        self.network: Network = network
        self.count = 0
        """Requests that have arrived and are not delivered."""
        self.size = 0
        """Bytes of their bodies."""
        self._deliver = deliver
        self._processes = processes
        self._pool: Executor | None = None
        self._waiting: deque[Asked] = deque()
        self._sent: deque[_Batch] = deque()
        self._is_called = False

    def start(self, pool: Executor | None = None) -> None:
        """Start the first process; the others start when there is work for them. It imports what
        it needs while the node opens its chain. A pool that is given is used instead."""
        if self._processes:
            self._pool = child_pool(self._processes) if pool is None else pool
            self._pool.submit(findings, [], self.network)

    def put(self, bodies: Sequence[bytes], replies: Replies) -> None:
        """Take requests that came together; who finds no room is told so."""
        size = sum(map(len, bodies))
        if self._has_room(len(bodies), size):
            self._waiting.extend(zip(bodies, repeat(replies), count()))
            self.count += len(bodies)
            self.size += size
        else:
            self._put_some(bodies, replies)
        self._call()

    def _put_some(self, bodies: Sequence[bytes], replies: Replies) -> None:
        """Take as many as there is room for, one after the other."""
        for at, body in enumerate(bodies):
            size = len(body)
            if self._has_room(1, size) or self._has_room_to_leave(body):
                self._waiting.append((body, replies, at))
                self.count += 1
                self.size += size
            else:
                replies.tell(at, Busy(FULL))

    def _has_room(self, number: int, size: int) -> bool:
        """Whether so many more may come in; a share of the room is kept."""
        return (
            self.count + number <= ARRIVED_MAX - ARRIVED_MAX // CANCEL_SHARE
            and self.size + size <= BYTES_MAX - BYTES_MAX // CANCEL_SHARE
        )

    def _has_room_to_leave(self, body: bytes) -> bool:
        """Whether it looks like a cancel, for which the share is kept: who cannot place must still
        be able to leave."""
        return (
            self.count < ARRIVED_MAX
            and self.size + len(body) <= BYTES_MAX
            and any(word in body for word in CANCEL_WORDS)
        )

    def _call(self) -> None:
        """Look at what waits in the loop's next turn, together with what arrives in this one."""
        if not self._is_called and self._waiting:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Hand over what waits, as far as there are hands for it."""
        self._is_called = False
        while self._waiting:
            size = min(len(self._waiting), BATCH_MAX)
            if self._pool is None or (size < BATCH_MIN and not self._sent):
                self._look_here()
                self._call()
                return
            if len(self._sent) >= self._most(size):
                return
            self._hand_over(self._pool, self._next(size))

    def _most(self, size: int) -> int:
        """So many batches may be in other hands before one of this size is sent after them.

        Few requests do better to wait for more: what leaves in one batch shares a block.
        """
        if size < BATCH_GOOD:
            return 1
        return self._processes * (AHEAD if size == BATCH_MAX else 1)

    def _next(self, size: int) -> _Batch:
        take = self._waiting.popleft
        batch = _Batch([take() for _ in range(size)])
        self._sent.append(batch)
        return batch

    def _look_here(self) -> None:
        batch = self._next(min(len(self._waiting), HERE_MAX))
        self._look_at(batch)
        self._deliver_found()

    def _look_at(self, batch: _Batch) -> None:
        batch.found = findings(batch.bodies, self.network)

    def _hand_over(self, pool: Executor, batch: _Batch) -> None:
        loop = asyncio.get_running_loop()
        try:
            job = pool.submit(findings, batch.bodies, self.network)
        except BrokenProcessPool:
            self._pool = None
            self._look_at(batch)
            self._deliver_found()
        else:
            job.add_done_callback(lambda done: _hand_back(loop, self._returned, batch, done))

    def _returned(self, batch: _Batch, job: "Future[list[Finding]]") -> None:
        if job.cancelled() or isinstance(job.exception(), BrokenProcessPool):
            # A process died, by no fault of the senders: the work is done here from now on.
            self._pool = None
            self._look_at(batch)
        else:
            batch.found = job.result()
        self._deliver_found()
        self._turn()

    def _deliver_found(self) -> None:
        """Deliver what was looked at, as far as everything before it was."""
        sent = self._sent
        while sent:
            batch, found = sent[0], sent[0].found
            if found is None:
                return
            sent.popleft()
            self.count -= len(batch.asked)
            self.size -= batch.size
            self._deliver(batch.asked, found)

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _hand_back(
    loop: asyncio.AbstractEventLoop,
    returned: Callable[[_Batch, "Future[list[Finding]]"], None],
    batch: _Batch,
    job: "Future[list[Finding]]",
) -> None:
    """From the pool's thread to the loop, unless that has ended and nobody waits any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(returned, batch, job)
