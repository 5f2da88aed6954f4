"""The index of one chain: a writer in its own thread, readers in others.

The writer takes durable blocks in order, from memory while it keeps up and from the segments when
it does not, so neither the engine nor memory waits for it. Whoever asks about the past first waits
until the index has reached the height that was published when he asked.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple, Self, TypeVar

from chainperp.base.errors import ChainperpError
from chainperp.base.hashing import leaf_hash
from chainperp.chain.genesis import Genesis
from chainperp.node.documents.listing import coins_of
from chainperp.node.documents.markets import DayStats
from chainperp.node.effects import ORDER, Published
from chainperp.node.index.rows import Rows
from chainperp.node.index.schema import NAMES, TABLES, VERSION
from chainperp.storage.segments import StoredBlock, tip_of
from chainperp.storage.store import ChainStore

QUEUE_ENTRIES_MAX: Final = 50_000
"""Entries that wait in memory; beyond them the writer reads the segments."""

BATCH_ENTRIES: Final = 5_000
BATCH_BLOCKS: Final = 500
READERS: Final = 2
BEHIND_MAX: Final = 100
READ_SECONDS_MAX: Final = 5
LOOK_STEPS: Final = 200_000
"""How many steps SQLite takes, a few milliseconds, before a reader looks at the clock."""

PLACED_MAX: Final = 200_000
PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -16000",
)
SET: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?)"

Answer = TypeVar("Answer")


class IndexUnavailable(ChainperpError):
    """The index cannot answer: it stopped with an error, or is closed."""


class _Block(NamedTuple):
    """What the writer takes of a block."""

    height: int
    time_ms: int
    first_index: int
    entries: list[bytes]


class Index:
    """Open index of one chain. `add` and `reached` belong to the event loop's thread."""

    def __init__(self, store: ChainStore) -> None:
        self.path = store.data.index
        self.genesis: Genesis = store.data.genesis
        self.coins = coins_of(self.genesis.terms, self.genesis.listing)
        """Markets and spot pairs, by asset number."""
        self.fault: str | None = None
        self._read_blocks = store.read_blocks
        self._writer = _connect(self.path)
        self.height = _prepare(self._writer, store)
        """Height of the last block in the index."""
        self.goal = store.height
        """Height that it has to reach."""
        self._time_ms = _last_time(self._writer)
        self._rows = Rows(self._writer, self.genesis, self._time_ms)
        self._queue: deque[_Block] = deque()
        self._queued = 0
        self._state = threading.Condition()
        self._is_closing = False
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._placed: dict[int, int] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="index-read")
        self._thread = threading.Thread(target=self._run, name="index-write", daemon=True)

    @classmethod
    def open(cls, store: ChainStore) -> Self:
        """Open or make the index of a chain and start bringing it up to the last block.

        An index of another version, another chain, or that cannot be read is made anew.
        """
        try:
            index = cls(store)
        except (sqlite3.Error, ChainperpError):
            _remove(store.data.index)
            index = cls(store)
        index._thread.start()
        return index

    # --- the writer ------------------------------------------------------------------------------

    def add(self, published: Published) -> None:
        """Hand over a durable block. Never waits."""
        time_ms = published.time_ms
        placed = self._placed
        for raw in published.entries:
            if raw[1:3] == ORDER:
                placed.setdefault(int.from_bytes(raw[19:27], "big"), time_ms)
        if len(placed) > PLACED_MAX:
            for oid in list(placed)[: PLACED_MAX // 2]:
                del placed[oid]
        block = _Block(published.height, time_ms, published.first_index, published.entries)
        with self._state:
            self.goal = block.height
            if self._queued < QUEUE_ENTRIES_MAX:
                self._queue.append(block)
                self._queued += len(block.entries)
            self._state.notify_all()

    def _run(self) -> None:
        try:
            while True:
                batch = self._take()
                if batch is None:
                    break
                for part in batch:
                    self._write(part)
        except (sqlite3.Error, ChainperpError, OSError) as error:
            self.fault = f"the index stopped after block {self.height}: {error}"
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._writer.close()
            self._tell()

    def _take(self) -> Iterator[list[_Block]] | None:
        """The next blocks, cut into batches; None when the index closes."""
        with self._state:
            while not self._is_closing and self.goal <= self.height:
                self._state.wait()
            if self._is_closing:
                return None
            while self._queue and self._queue[0].height <= self.height:
                self._drop_first()
            if self._queue and self._queue[0].height == self.height + 1:
                return iter([self._take_queued()])
            last = self._queue[0].height - 1 if self._queue else self.goal
        return self._stored(self.height + 1, last)

    def _take_queued(self) -> list[_Block]:
        batch: list[_Block] = []
        entries = 0
        while self._queue and entries < BATCH_ENTRIES and len(batch) < BATCH_BLOCKS:
            if batch and self._queue[0].height != batch[-1].height + 1:
                break
            block = self._drop_first()
            batch.append(block)
            entries += len(block.entries)
        return batch

    def _drop_first(self) -> _Block:
        block = self._queue.popleft()
        self._queued -= len(block.entries)
        return block

    def _stored(self, first: int, last: int) -> Iterator[list[_Block]]:
        """Blocks from the segments, in batches."""
        batch: list[_Block] = []
        entries = 0
        for stored in self._read_blocks(first, last):
            if self._is_closing:
                return
            tip = tip_of(stored.entries[-1])
            first_index = tip.size - len(stored.entries)
            batch.append(_Block(stored.height, tip.time_ms, first_index, stored.entries))
            entries += len(stored.entries)
            if entries >= BATCH_ENTRIES or len(batch) >= BATCH_BLOCKS:
                yield batch
                batch, entries = [], 0
        if batch:
            yield batch

    def _write(self, batch: list[_Block]) -> None:
        """One transaction for the blocks that wait: each is in the index as a whole or not."""
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        for block in batch:
            self._rows.add(*block)
        self._rows.write()
        connection.execute(SET, ("height", batch[-1].height))
        connection.execute("COMMIT")
        self.height = batch[-1].height
        self._tell()

    def _tell(self) -> None:
        """Wake whoever waits for a height."""
        with self._state:
            self._state.notify_all()
            loop = self._loop if self._waiters else None
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended before us
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._state:
            waiting, self._waiters = self._waiters, []
            for height, future in waiting:
                if future.done():
                    continue
                if height <= self.height:
                    future.set_result(None)
                elif self.fault is not None or self._is_closing:
                    future.set_exception(IndexUnavailable(self.fault or "the index is closed"))
                else:
                    self._waiters.append((height, future))

    # --- readers ---------------------------------------------------------------------------------

    @property
    def is_caught_up(self) -> bool:
        """Whether every published block is in the index."""
        return self.fault is None and self.height >= self.goal

    def problem(self) -> str | None:
        """What keeps it from answering at once, or None."""
        if self.fault is not None or self.height >= self.goal:
            return self.fault
        behind = self.goal - self.height
        # A block that was published a moment ago is no problem: whoever asks waits for it.
        return f"{behind} blocks behind" if behind > BEHIND_MAX else None

    @property
    def days(self) -> list[DayStats]:
        """The last 24 hours of each market, in asset order."""
        return self._rows.days.stats

    @property
    def spot_days(self) -> list[DayStats]:
        """The last 24 hours of each spot pair, in order."""
        return self._rows.days.spot

    async def reached(self, height: int) -> None:
        """Return when a height is in the index. Raises IndexUnavailable."""
        if self.height >= height:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._state:
            self._loop = loop
            self._waiters.append((height, future))
        # The writer may have passed between the first look and the entry in the list.
        self._wake()
        await future

    def wait(self, height: int, seconds: float = 60) -> None:
        """Block until a height is in the index; for tools and tests. Raises IndexUnavailable."""
        with self._state:
            self._state.wait_for(lambda: self.height >= height or self.fault, seconds)
        if self.height < height:
            raise IndexUnavailable(self.fault or f"the index is at block {self.height}")

    async def read(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Answer a question in a reader's thread, from one consistent state of the tables."""
        if self._is_closing:
            raise IndexUnavailable("the index is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.read_here, question)

    def read_here(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Answer a question in this thread."""
        connection = self.connection()
        self._local.until = monotonic() + READ_SECONDS_MAX
        connection.execute("BEGIN")
        try:
            return question(connection)
        except sqlite3.OperationalError as error:
            if monotonic() < self._local.until:
                raise
            raise IndexUnavailable(f"this takes more than {READ_SECONDS_MAX} s") from error
        finally:
            connection.execute("COMMIT")

    def _is_too_late(self) -> bool:
        """Asked by SQLite in the reader's thread; true ends what it is doing."""
        return monotonic() > float(getattr(self._local, "until", inf))

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, which cannot write."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            uri = f"{self.path.resolve().as_uri()}?mode=ro"
            found = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            found.set_progress_handler(self._is_too_late, LOOK_STEPS)
            self._local.connection = found
            self._connections.append(found)
        return found

    def read_block(self, height: int) -> StoredBlock:
        """A committed block, from the segments."""
        return next(iter(self._read_blocks(height, height)))

    def placed_ms(self, oid: int) -> int:
        """When an order was placed; 0 when the index does not know it yet."""
        found = self._placed.get(oid)
        if found is None:
            row = (
                self.connection()
                .execute("SELECT placed_ms FROM orders WHERE oid = ?", (oid,))
                .fetchone()
            )
            if row is None:
                return 0
            found = self._placed[oid] = int(row[0])
        return found

    def close(self) -> None:
        """Finish the batch that is being written and close everything. What is not in the index
        yet is added at the next start."""
        with self._state:
            self._is_closing = True
            self._state.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def _prepare(connection: sqlite3.Connection, store: ChainStore) -> int:
    """Make the tables where they are missing or of no use; the height that they hold."""
    height = _usable_height(connection, store)
    if height is not None:
        return height
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in found:
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    connection.executescript("BEGIN;" + TABLES)
    connection.execute(SET, ("version", VERSION))
    connection.execute(SET, ("chain", store.data.genesis.chain_id))
    connection.execute(SET, ("height", -1))
    connection.execute("COMMIT")
    return -1


def _usable_height(connection: sqlite3.Connection, store: ChainStore) -> int | None:
    """Height of tables of this version whose last block is the log's block; else None."""
    found = {
        str(name)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not found.issuperset(NAMES):
        return None
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta.get("version") != VERSION or meta.get("chain") != store.data.genesis.chain_id:
        return None
    height = int(meta.get("height", -1))
    if height < 0:
        return height
    row = connection.execute("SELECT hash FROM blocks WHERE height = ?", (height,)).fetchone()
    if row is None or height > store.height:
        return None
    block = next(iter(store.read_blocks(height, height)))
    return height if leaf_hash(block.entries[-1]) == row[0] else None


def _last_time(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT coalesce(max(time_ms), 0) FROM blocks").fetchone()
    return int(row[0])


def _remove(path: Path) -> None:
    """Delete a database with what SQLite keeps beside it."""
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        name.unlink(missing_ok=True)
