"""One connected client: what waits for it, and what it may still ask for.

Frames are written as soon as the connection takes them; what it does not take waits here, bounded.
A reader that falls behind gets only the newest of the feeds where older values are worthless, and
is closed with 1008 when the rest grows too long.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from chainperp.node.socket.limits import SocketLimits
from chainperp.node.socket.protocol import SocketProtocol

if TYPE_CHECKING:
    from chainperp.node.socket.subscriptions import Subscription

POLICY: Final = 1008
FAULT: Final = 1011
RESTART: Final = 1012
SLOW: Final = "slow consumer"
CHUNK_BYTES: Final = 64 * 1024
"""Frames are joined up to this size, so that a burst costs one system call and not hundreds."""


class _Waiting:
    """A frame in the queue; a newer one of the same feed may take its place."""

    __slots__ = ("feed", "frame")

    def __init__(self, frame: bytes, feed: str | None) -> None:
        self.frame = frame
        self.feed = feed


class Counters:
    """What all clients together were sent, and why connections and frames were dropped."""

    def __init__(self) -> None:
        self.sent = 0
        self.sent_bytes = 0
        self.received = 0
        self.replaced = 0
        "Frames that a newer one replaced before a slow reader took them."
        self.dropped: dict[str, int] = {}
        "Connections ended or refused by the node, by reason."

    def drop(self, reason: str) -> None:
        """Count an end that the node brought about."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class Client:
    """A connection with its queue and its subscriptions. Used from the event loop only."""

    def __init__(
        self, connection: SocketProtocol, address: str, limits: SocketLimits, counters: Counters
    ) -> None:
        self.connection = connection
        self.address = address
        self.subscriptions: dict[str, Subscription] = {}
        self.posts = 0
        self.is_closed = False
        self._limits = limits
        self._counters = counters
        self._queue: deque[_Waiting] = deque()
        self._newest: dict[str, _Waiting] = {}
        self._bytes = 0
        self._empty = asyncio.Event()
        self._empty.set()
        connection.on_writable = self.flush

    @property
    def waiting_bytes(self) -> int:
        """Size of what waits."""
        return self._bytes

    @property
    def waiting_messages(self) -> int:
        """How many messages wait."""
        return len(self._queue)

    def users(self) -> list[bytes]:
        """The accounts that this client follows, each once."""
        followed = (one.user for one in self.subscriptions.values())
        return list(dict.fromkeys(user for user in followed if user is not None))

    async def room(self) -> None:
        """Wait until nothing waits any more, or the client is gone."""
        while self._queue:
            await self._empty.wait()

    def push(self, frame: bytes, feed: str | None = None) -> None:
        """Queue a frame. Of one named `feed` only the newest frame waits. `flush` must follow."""
        if self.is_closed:
            return
        waiting = self._newest.get(feed) if feed is not None else None
        if waiting is not None:
            self._bytes += len(frame) - len(waiting.frame)
            waiting.frame = frame
            self._counters.replaced += 1
            return
        waiting = _Waiting(frame, feed)
        if feed is not None:
            self._newest[feed] = waiting
        self._queue.append(waiting)
        self._bytes += len(frame)

    def send(self, frame: bytes) -> None:
        """Queue a frame and write what can be written."""
        self.push(frame)
        self.flush()

    def flush(self) -> None:
        """Write what the connection takes; close a client that is too far behind."""
        connection = self.connection
        if connection.is_gone:
            self.forget()
        while self._queue and connection.is_writable:
            connection.write(self._take())
        if not self._queue:
            self._empty.set()
            return
        self._empty.clear()
        limits = self._limits
        is_long = len(self._queue) > limits.queue_messages
        if is_long or (self._bytes > limits.queue_bytes and len(self._queue) > 1):
            self.close(POLICY, SLOW)

    def _take(self) -> bytes:
        """Remove the next frames, joined."""
        queue = self._queue
        frames: list[bytes] = []
        size = 0
        while queue and size < CHUNK_BYTES:
            waiting = queue.popleft()
            if waiting.feed is not None:
                del self._newest[waiting.feed]
            frames.append(waiting.frame)
            size += len(waiting.frame)
        self._bytes -= size
        self._counters.sent += len(frames)
        self._counters.sent_bytes += size
        return b"".join(frames)

    def close(self, code: int, reason: str) -> None:
        """End the connection; what waits is dropped."""
        if not self.is_closed:
            self._counters.drop(reason)
            self.forget()
            self.connection.fail(code, reason)

    def forget(self) -> None:
        """Nothing more is sent: the connection ends or has ended."""
        self.is_closed = True
        self._queue.clear()
        self._newest.clear()
        self._bytes = 0
        self._empty.set()
