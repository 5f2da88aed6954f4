"""HTTP connections that end when their sender does not get on.

uvicorn waits for ever for the end of a request's head, and for its body. A sender who trickles
bytes would keep a descriptor that somebody else needs.
Source: reliability 9.2 row 14, 15.
"""

import asyncio
import resource
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10
CONNECTIONS_MAX: Final = 1_024
FILES_KEPT: Final = 64
"""Descriptors that are not for connections: segments, tiles, the index, sockets of the pool."""


class Connection(H11Protocol):
    """uvicorn's connection with a limit on how long the head of a request may take."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes. A head that has begun must end in time."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._head is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


def allow_descriptors() -> int:
    """Raise this process's limit of descriptors so far as it may, and how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_KEPT
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(min(CONNECTIONS_MAX, max(soft, wanted) - FILES_KEPT), 1)
