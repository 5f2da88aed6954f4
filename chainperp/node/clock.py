"""The node's clock: where block times come from. Replays never ask it."""

import time
from collections.abc import Callable


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Clock:
    """The machine's time, moved by an offset that only developer controls change."""

    __slots__ = ("_source", "offset_ms")

    def __init__(self, source: Callable[[], int] = now_ms) -> None:
        self._source = source
        self.offset_ms = 0

    def now(self) -> int:
        """Time in milliseconds."""
        return self._source() + self.offset_ms

    def move_to(self, time_ms: int) -> None:
        """Let the clock go on from a time."""
        self.offset_ms = time_ms - self._source()
