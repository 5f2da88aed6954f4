"""Signature recovery ahead of the loop, in other processes when there is enough to hand over.

Recovering one signer takes less time than passing it to another process, so small batches are done
here; under load requests gather while the pool works, and batches grow by themselves.
"""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from chainperp.base.errors import BadRequest
from chainperp.node.children import child_pool
from chainperp.wire.recovery import recovered_signers
from chainperp.wire.typed_data import Network

BATCH_MIN: Final = 4
"""Smaller batches are recovered in the node's own process."""

Answer = bytes | str


class SignerPool:
    """Recovers signers in batches. One per node; used from the event loop only."""

    def __init__(self, network: Network, processes: int) -> None:
        self.network: Network = network
        self._pool: ProcessPoolExecutor | None = None
        self._processes = processes
        self._waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._running = 0

    def start(self) -> None:
        """Start the processes. They import what they need while the node opens its chain."""
        if self._processes:
            self._pool = child_pool(self._processes)
            for _ in range(self._processes):
                self._pool.submit(recovered_signers, [], self.network)

    async def signers(self, envelope: bytes) -> bytes:
        """Everybody who signed an envelope, 20 bytes each. Raises BadRequest `signature`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((envelope, done))
        return await done

    def _flush(self) -> None:
        """Recover what waits: here when it is little, else in the pool when that is free."""
        if self._pool is None or len(self._waiting) < BATCH_MIN:
            batch, self._waiting = self._waiting, []
            self._settle(batch, recovered_signers([raw for raw, _ in batch], self.network))
        elif self._running < self._processes:
            self._hand_over(self._pool)

    def _hand_over(self, pool: ProcessPoolExecutor) -> None:
        batch, self._waiting = self._waiting, []
        self._running += 1
        job = asyncio.wrap_future(
            pool.submit(recovered_signers, [raw for raw, _ in batch], self.network)
        )
        job.add_done_callback(lambda done: self._returned(batch, done))

    def _returned(
        self,
        batch: list[tuple[bytes, "asyncio.Future[bytes]"]],
        job: "asyncio.Future[list[Answer]]",
    ) -> None:
        self._running -= 1
        if job.cancelled() or isinstance(job.exception(), BrokenProcessPool):
            # A worker died, by no fault of the senders: the work is done here from now on.
            self._pool = None
            answers = recovered_signers([raw for raw, _ in batch], self.network)
        else:
            answers = job.result()
        self._settle(batch, answers)
        if self._waiting:
            self._flush()

    @staticmethod
    def _settle(batch: list[tuple[bytes, "asyncio.Future[bytes]"]], answers: list[Answer]) -> None:
        for (_, done), answer in zip(batch, answers, strict=True):
            if done.done():
                continue
            if isinstance(answer, str):
                done.set_exception(BadRequest("signature", answer))
            else:
                done.set_result(answer)

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
