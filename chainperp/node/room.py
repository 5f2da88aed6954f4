"""The waiting room: what was admitted and is not in a block yet, bounded and fair.

Each signer has its own line and the lines take turns, so that one busy signer delays himself and
nobody else. A share of the room is kept for cancels: who cannot place must still be able to leave.
Source: reliability 13, overload.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from chainperp.base.errors import ChainperpError
from chainperp.model.blocks import Transaction

WAITING_MAX: Final = 10_000
WAITING_PER_SIGNER_MAX: Final = 2_000
CANCEL_SHARE: Final = 5
"""One part in five of the room is only for cancels."""

CANCELS: Final = ("cancel", "cancelByCloid", "scheduleCancel")


class Busy(ChainperpError):
    """The room is full: nothing was accepted, the sender may try again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction stands in the log; `size` and `time_ms` are those of its block's end."""

    height: int
    index: int
    size: int
    time_ms: int


class Waiting:
    """An admitted transaction, its action as JSON has it, and who waits for the answer.

    `place` is set when it is in a durable block.
    """

    __slots__ = ("action", "done", "place", "transaction")

    def __init__(
        self, transaction: Transaction, action: dict[str, Any], done: "asyncio.Future[Any]"
    ) -> None:
        self.transaction = transaction
        self.action = action
        self.done = done
        self.place: Place | None = None


class WaitingRoom:
    """Lines of waiting transactions, one for each signer."""

    __slots__ = ("_lines", "count", "limit", "per_signer")

    def __init__(self, limit: int = WAITING_MAX, per_signer: int = WAITING_PER_SIGNER_MAX) -> None:
        self._lines: dict[bytes, deque[Waiting]] = {}
        self.count = 0
        self.limit = limit
        self.per_signer = per_signer

    def add(self, item: Waiting) -> None:
        """Queue a transaction behind its signer's others. Raises Busy when there is no room."""
        limit = self.limit
        if item.action["type"] not in CANCELS:
            limit -= limit // CANCEL_SHARE
        line = self._lines.get(item.transaction.signer)
        if self.count >= limit or (line is not None and len(line) >= self.per_signer):
            raise Busy("busy: too many actions wait; nothing was accepted, try again")
        if line is None:
            line = self._lines[item.transaction.signer] = deque()
        line.append(item)
        self.count += 1

    def take(self, most: int) -> list[Waiting]:
        """Remove up to so many transactions: the first of each line, then the second, and so on."""
        taken: list[Waiting] = []
        lines = self._lines
        while lines and len(taken) < most:
            for signer in list(lines):
                line = lines[signer]
                taken.append(line.popleft())
                if not line:
                    del lines[signer]
                if len(taken) == most:
                    break
        self.count -= len(taken)
        return taken
