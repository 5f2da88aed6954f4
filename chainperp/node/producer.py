"""The engine loop: waiting transactions → block → flush → answers and feeds.

One task makes blocks, one after the other. While a block is flushed the event loop goes on serving,
but whoever reads the state waits until the flush has returned (`settled`), so nobody ever sees or
hears of anything that could still be lost.

    taken → executed → committed (flush) → answered → listeners told → next block

Source: reliability 7.2, 7.4; ARCHITECTURE decision 14.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from chainperp.base.errors import ChainperpError
from chainperp.base.units import Address
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.node.answers import Reply, answer
from chainperp.node.clock import Clock
from chainperp.node.effects import Effects, Published
from chainperp.node.halt import save_block
from chainperp.node.room import Busy, Place, Replies, Waiting, WaitingRoom
from chainperp.storage.collector import collector_off, seldom
from chainperp.storage.store import ChainStore

BLOCK_TRANSACTIONS_MAX: Final = 1_000
COMING_MANY: Final = 200
GATHER_MS: Final = 50
"""While so many requests are on their way in, a block waits so long to be filled by them."""
LOOK_MS: Final = 1_000
"""How often a loop without work looks around."""

Listener = Callable[[Published], None]


class Stopped(ChainperpError):
    """The node is stopping: nothing was accepted."""


@dataclass(slots=True)
class Pace:
    """When blocks are made.

    `interval_ms` 0: as soon as something waits; else at this distance. `is_mining` False: only when
    a developer control says so. An idle chain makes a block each `idle_ms`, so that time, funding
    and prices go on; 0 switches that off.
    """

    interval_ms: int = 0
    idle_ms: int = 3_000
    is_mining: bool = True


class Producer:
    """The one task that changes the chain. Everything here runs on the event loop's thread."""

    def __init__(self, engine: Engine, store: ChainStore, clock: Clock, pace: Pace) -> None:
        self.engine = engine
        self.store = store
        self.clock = clock
        self.pace = pace
        self.room = WaitingRoom()
        self.system: list[tuple[SystemInput, asyncio.Future[Effects]]] = []
        self.listeners: list[Listener] = []
        self.before_block: list[Callable[[int], None]] = []
        """Called with the block's time; may add system inputs."""
        self.settled = asyncio.Event()
        self.settled.set()
        self.coming: Callable[[], int] = lambda: 0
        """How many requests are on their way into the waiting room."""
        self._broken = False
        self.turned = 0.0
        """When the loop turned last, on the performance counter."""
        self.seconds_last = 0.0
        self.halted: Path | None = None
        """File with the inputs of a block that could not be made."""
        self._due = asyncio.Event()
        self._making = asyncio.Lock()
        self._stopping = asyncio.Event()

    # --- what comes in ---------------------------------------------------------------------------

    def put(self, admitted: list[Waiting]) -> None:
        """Let transactions wait for a block, in this order; who cannot is told why."""
        if not admitted:
            return
        try:
            self._check_open()
        except (Stopped, Busy) as refusal:
            for item in admitted:
                item.tell(refusal)
            return
        add = self.room.add
        for item in admitted:
            try:
                add(item)
            except Busy as refusal:
                item.tell(refusal)
        self._due.set()

    async def submit(self, transaction: Transaction) -> Reply:
        """Wait until the transaction is in a durable block; its reply. Raises Busy, Stopped."""
        replies = Replies(1)
        self.put([Waiting(transaction, replies, 0)])
        (reply,) = await replies.all()
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def submit_system(self, item: SystemInput) -> Effects:
        """Wait until a system input is in a durable block; what it did. Raises Busy, Stopped."""
        return await self.put_system(item)

    def put_system(self, item: SystemInput) -> "asyncio.Future[Effects]":
        """As `submit_system`, without waiting. Raises Busy, Stopped."""
        self._check_open()
        done = self.queue_system(item)
        self._due.set()
        return done

    def queue_system(self, item: SystemInput) -> "asyncio.Future[Effects]":
        """Put a system input into the next block, whenever that is; what it will have done."""
        done: asyncio.Future[Effects] = asyncio.get_running_loop().create_future()
        self.system.append((item, done))
        return done

    async def when_settled(self) -> None:
        """Return when the state is that of a durable block. Raises Stopped after a fault."""
        await self.settled.wait()
        if self._broken:
            raise Stopped("the node is stopping after a fault")

    def wake(self) -> None:
        """Let the loop look whether something is due."""
        self._due.set()

    def _check_open(self) -> None:
        if self._stopping.is_set():
            raise Stopped("the node is stopping; nothing was accepted")
        if not self.store.has_room():
            raise Busy("storage full, nothing was accepted")

    # --- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make blocks until `stop`. Whatever ends it early ends the node: nothing is published."""
        seldom()
        while not self._stopping.is_set():
            self.turned = perf_counter()
            if await self._is_due() and self.store.has_room():
                await self.make_block()
            # Those who waited for the flush go first, before the next block begins.
            await asyncio.sleep(0)

    async def _is_due(self) -> bool:
        """Wait for the next moment at which a block may be due, and say whether one is."""
        pace = self.pace
        if not pace.is_mining:
            await _comes(self._due, LOOK_MS)
            self._due.clear()
            return False
        if pace.interval_ms:
            return not await _comes(self._stopping, pace.interval_ms) and pace.is_mining
        if self._has_work():
            await self._gather()
            return True
        self._due.clear()
        is_woken = await _comes(self._due, pace.idle_ms or LOOK_MS)
        is_idle_block = not is_woken and pace.idle_ms > 0
        # A control may have paused the chain meanwhile.
        is_going = pace.is_mining and not self._stopping.is_set()
        return is_going and (self._has_work() or is_idle_block)

    async def _gather(self) -> None:
        """Let a block fill: what it costs by itself, its flush above all, is paid for all in it.

        Nobody waits for that while few are on their way, so a single order has its block at once.
        """
        end = perf_counter() + GATHER_MS / 1000
        while self.coming() >= COMING_MANY and self.room.count < BLOCK_TRANSACTIONS_MAX:
            left_ms = int((end - perf_counter()) * 1000)
            if left_ms <= 0 or self._stopping.is_set():
                return
            self._due.clear()
            await _comes(self._due, left_ms)

    def _has_work(self) -> bool:
        return bool(self.room.count or self.system)

    async def make_block(self, time_ms: int | None = None) -> Published:
        """Execute what waits, make it durable, then answer everybody."""
        async with self._making:
            started = perf_counter()
            state = self.engine.state
            time_ms = max(self.clock.now() if time_ms is None else time_ms, state.time_ms + 1)
            for prepare in self.before_block:
                prepare(time_ms)
            system, self.system = self.system, []
            taken = self.room.take(BLOCK_TRANSACTIONS_MAX)
            first_oid = state.next_oid
            block = BlockInput(
                time_ms,
                Address(self.engine.genesis.proposer),
                [item for item, _ in system],
                [item.transaction for item in taken],
            )
            self.settled.clear()
            try:
                sealed = self._execute(block)
                await asyncio.to_thread(self._commit, sealed)
                published = Published.of(sealed)
                self._answer(published, taken, system, first_oid)
                for tell in self.listeners:
                    tell(published)
            except BaseException:
                # The node ends; nobody may go on waiting for an answer that cannot come.
                self._stopping.set()
                self._broken = True
                _release(taken, system)
                raise
            finally:
                self.settled.set()
            self.seconds_last = perf_counter() - started
            return published

    def _execute(self, block: BlockInput) -> SealedBlock:
        """The block on the engine. When it cannot be made, its inputs are kept for who looks."""
        height = self.engine.height + 1
        try:
            with collector_off():
                return self.engine.execute(block)
        except Exception as fault:
            self.halted = save_block(self.store.data.path, height, block, fault)
            raise

    def _commit(self, sealed: SealedBlock) -> None:
        """The flush; a snapshot when one is due, whose bytes nobody waits for."""
        self.store.commit(sealed)
        if self.engine.is_snapshot_height(sealed.height):
            self.store.save_snapshot(sealed.height, self.engine.snapshot())

    def _answer(
        self,
        published: Published,
        taken: list[Waiting],
        system: list[tuple[SystemInput, "asyncio.Future[Effects]"]],
        first_oid: int,
    ) -> None:
        """Resolve every future. The engine ordered the transactions by class; envelopes tell
        which is which."""
        effects = published.effects
        for (_, done), one in zip(system, effects, strict=False):
            if not done.done():
                done.set_result(one)
        waiting = {item.transaction.envelope: item for item in reversed(taken)}
        doubles = _doubles(taken) if len(waiting) != len(taken) else {}
        state = self.engine.state
        size = published.first_index + len(published.entries)
        for one in effects[len(system) :]:
            envelope = envelope_of(one.raw)
            queue = doubles.get(envelope)
            item = queue.pop(0) if queue else waiting[envelope]
            replies = item.replies
            if replies.wants_places:
                replies.places[item.at] = Place(
                    envelope, published.height, one.index, size, published.time_ms
                )
            replies.tell(item.at, answer(state, item.transaction, one, first_oid))
            first_oid = one.next_oid(first_oid)

    @asynccontextmanager
    async def between_blocks(self) -> AsyncIterator[None]:
        """Nothing is made meanwhile: the state is that of a durable block."""
        async with self._making:
            yield

    def adopt(self, engine: Engine, store: ChainStore) -> None:
        """Go on with another chain; what waits is for that one. Call it between blocks."""
        self.engine = engine
        self.store = store

    # --- the end ---------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Finish the block that is being made; refuse what still waits."""
        self._stopping.set()
        self._due.set()
        async with self._making:
            for item in self.room.take(self.room.count):
                item.tell(Stopped("the node is stopping; nothing was accepted"))


def _release(
    taken: list[Waiting], system: list[tuple[SystemInput, "asyncio.Future[Effects]"]]
) -> None:
    """Tell those who wait that the node stops: whether their block is durable, the log will say."""
    stopped = Stopped("the node stopped; ask again whether this was executed")
    for item in taken:
        item.tell(stopped)
    for _, done in system:
        if not done.done():
            done.set_exception(stopped)
            # Nobody may be waiting for it: the loop need not say that it was never looked at.
            done.exception()


async def _comes(event: asyncio.Event, milliseconds: int) -> bool:
    """Whether an event happens within a time."""
    try:
        await asyncio.wait_for(event.wait(), milliseconds / 1000)
    except TimeoutError:
        return False
    return True


def envelope_of(raw: bytes) -> bytes:
    """The envelope in a TX_USER entry: behind header and code, u32 length first."""
    size = int.from_bytes(raw[21:25], "big")
    return raw[25 : 25 + size]


def _doubles(taken: list[Waiting]) -> dict[bytes, list[Waiting]]:
    """Requests that came with the same bytes, in the order they came."""
    found: dict[bytes, list[Waiting]] = {}
    for item in taken:
        found.setdefault(item.transaction.envelope, []).append(item)
    return found
