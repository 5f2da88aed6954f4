"""The node's side of the EVM's process: when it is started, who waits for it, and how it ends.

The process starts with the first work that needs the machine; a node whose EVM nobody uses never
imports it. Work is done one piece after the other, so that what changes the machine is in order.
What cannot be done is one sentence (`EvmUnavailable`), and the chain goes on.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from time import monotonic
from typing import Any, Final

from chainperp.base.errors import ChainperpError
from chainperp.node import evm_child
from chainperp.node.children import child_pool
from chainperp.node.evm_child import Done, Site
from chainperp.node.room import Busy
from chainperp.storage.files import read_file

WAITING_MAX: Final = 64
"""Requests that may wait for the machine; one that runs to the gas limit takes many seconds."""
REST_SECONDS: Final = 2.0
"""After a failure to open, how long nothing is tried again: opening executes the whole journal."""
NO_CONTRACTS: Final = "this chain has no EVM: its genesis names no contracts"
STOP_SECONDS: Final = 2.0
"""How long the process may take to finish what it does when the node stops."""


class EvmUnavailable(ChainperpError):
    """The machine cannot be opened, or its process ended: one sentence says why."""


class EvmProcess:
    """The machine of the chain that is run now, in one process. Used from the event loop only."""

    def __init__(self, site: Callable[[], Site | None], now: Callable[[], int]) -> None:
        self.site = site
        self.now = now
        """Seconds since 1970, by the node's clock."""
        self.head: int | None = None
        """Number of the machine's last block; None while it is not open."""
        self.on_blocks: list[Callable[[], None]] = []
        """Called when the machine has made blocks."""
        self._pool: ProcessPoolExecutor | None = None
        self._process = 0
        self._waiting = 0
        self._is_closed = False
        self._trouble: tuple[float, str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the machine is open."""
        return self.head is not None

    def blocks_written(self) -> int:
        """Lines of the machine's journal, its genesis being one; 0 when it was never opened."""
        from chainperp.evm.journal import FILE

        site = self.site()
        raw = None if site is None else read_file(site.directory / FILE)
        return 0 if raw is None else raw.count(b"\n")

    async def answer(self, body: bytes) -> bytes:
        """The answer to a JSON-RPC body. Raises Busy, EvmUnavailable."""
        if self._waiting >= WAITING_MAX:
            raise Busy("busy: too many requests wait for the EVM; nothing was done, try again")
        found: bytes = await self.run(evm_child.answer, body)
        return found

    async def run(self, work: Callable[..., Done], *arguments: Any) -> Any:
        """What a function of `evm_child` gives for this site. Raises EvmUnavailable."""
        if self._trouble is not None and monotonic() < self._trouble[0]:
            raise EvmUnavailable(self._trouble[1])
        site = self.site()
        if site is None:
            raise EvmUnavailable(NO_CONTRACTS)
        if self._is_closed:
            raise EvmUnavailable("the node is stopping")
        pool = self._started()
        self._waiting += 1
        try:
            done = await asyncio.wrap_future(pool.submit(work, site, self.now(), *arguments))
        except (BrokenProcessPool, RuntimeError) as error:
            if self._pool is pool:
                self._pool, self.head = None, None
            raise EvmUnavailable("the process of the EVM ended; ask again") from error
        finally:
            self._waiting -= 1
        if done.failure:
            self.head = None
            sentence = f"the EVM cannot be used: {done.failure}"
            self._trouble = (monotonic() + REST_SECONDS, sentence)
            raise EvmUnavailable(sentence)
        if site == self.site():
            self._trouble = None
            self._moved(done.head)
        return done.result

    def _moved(self, head: int) -> None:
        before, self.head = self.head, head
        if before is None or head > before:
            for tell in self.on_blocks:
                tell()

    def _started(self) -> ProcessPoolExecutor:
        """The pool; its process tells its id first, by which it can be ended at any time."""
        if self._pool is None:
            self._process = 0
            self._pool = child_pool(1)
            self._pool.submit(os.getpid).add_done_callback(self._born)
        return self._pool

    def _born(self, told: "Future[int]") -> None:
        if not told.cancelled() and told.exception() is None:
            self._process = told.result()

    def leave(self) -> None:
        """Another chain is run from now on: its machine is opened by whoever needs it."""
        self.head = None
        self._trouble = None

    def close(self) -> None:
        """End the process. What it does is finished if that is soon; a journal cut short is
        mended when it is opened, so ending it in the middle loses nothing that was told."""
        self._is_closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        ending = threading.Thread(target=lambda: pool.shutdown(wait=True, cancel_futures=True))
        ending.start()
        ending.join(STOP_SECONDS)
        if ending.is_alive() and self._process:
            os.kill(self._process, signal.SIGKILL)
        ending.join()
