"""The waiting room: what was admitted and is not in a block yet, bounded and fair.

Each signer has its own line and the lines take turns, so that one busy signer delays himself and
nobody else. A share of the room is kept for cancels: who cannot place must still be able to leave.
Source: reliability 13, overload.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from chainperp.base.errors import ChainperpError
from chainperp.model.actions import CancelOrders, ScheduleCancel
from chainperp.model.blocks import Transaction
from chainperp.node.answers import Reply

WAITING_MAX: Final = 10_000
WAITING_PER_SIGNER_MAX: Final = 2_000
CANCEL_SHARE: Final = 5
"""One part in five of the room is only for cancels."""

FULL: Final = "busy: too many actions wait; nothing was accepted, try again"
CANCELS: Final = (CancelOrders, ScheduleCancel)


class Busy(ChainperpError):
    """The room is full: nothing was accepted, the sender may try again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction stands in the log; `size` and `time_ms` are those of its block's end."""

    envelope: bytes
    height: int
    index: int
    size: int
    time_ms: int


class Replies:
    """What requests that came together are told, each at its place, and when all of them are.

    Of one that is not in the log, the error stands in the place of a reply. `places` are filled in
    only where somebody wants them.
    """

    __slots__ = ("_done", "_found", "_missing", "places", "wants_places")

    def __init__(self, count: int, *, wants_places: bool = False) -> None:
        self._found: list[Reply | Exception | None] = [None] * count
        self._missing = count
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wants_places = wants_places
        self.places: list[Place | None] = [None] * count

    def tell(self, at: int, found: Reply | Exception) -> None:
        """Put one reply at its place. Only the first counts."""
        if self._found[at] is not None:
            return
        self._found[at] = found
        self._missing -= 1
        # Whoever waited may have gone: then nobody hears it.
        if not self._missing and not self._done.done():
            self._done.set_result(None)

    async def all(self) -> list[Reply | Exception]:
        """All of them, when the last is there."""
        if self._missing:
            await self._done
        return [one for one in self._found if one is not None]


class Waiting:
    """An admitted transaction, and the place of its reply."""

    __slots__ = ("at", "replies", "transaction")

    def __init__(self, transaction: Transaction, replies: Replies, at: int) -> None:
        self.transaction = transaction
        self.replies = replies
        self.at = at

    def tell(self, found: Reply | Exception) -> None:
        """Tell the sender."""
        self.replies.tell(self.at, found)


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
        if not isinstance(item.transaction.action, CANCELS):
            limit -= limit // CANCEL_SHARE
        line = self._lines.get(item.transaction.signer)
        if self.count >= limit or (line is not None and len(line) >= self.per_signer):
            raise Busy(FULL)
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
