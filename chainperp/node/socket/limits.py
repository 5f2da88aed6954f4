"""How much of the node one client or one address may use over the socket.

`PUBLIC` are the public exchange's numbers. `LOCAL`, for a node that only this machine reaches, lets
bots and tests be and only keeps memory bounded.
Source: hyperliquid-api 1.3; reliability 9.4 rows 69 and 72.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

MINUTE_SECONDS: Final = 60
ADDRESSES_MAX: Final = 10_000
"""Beyond so many addresses those of which nothing is left to count are forgotten."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Limits per address of origin, except where said. None: not limited."""

    connections: int | None = 100
    connections_total: int = 1_024
    "Of all addresses together."
    new_connections: int | None = 30
    "In a minute."
    subscriptions: int = 1_000
    "Per connection."
    users: int | None = 10
    "Distinct accounts that one connection follows."
    messages: int | None = 2_000
    "In a minute."
    posts: int = 100
    "Per connection, not answered yet."
    queue_messages: int = 1_000
    "Waiting for one reader."
    queue_bytes: int = 1024 * 1024
    "Waiting for one reader, unless a single message is larger."


PUBLIC: Final = SocketLimits()
LOCAL: Final = SocketLimits(
    connections=None,
    new_connections=None,
    subscriptions=10_000,
    users=None,
    messages=None,
    posts=5_000,
)


class Counted:
    """Events of the last minute."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> int:
        """Count an event; how many there were in the minute that ends with it."""
        times = self._times
        self.forget(now)
        times.append(now)
        return len(times)

    def forget(self, now: float) -> bool:
        """Drop what is older than a minute. Whether nothing is left."""
        times = self._times
        while times and now - times[0] >= MINUTE_SECONDS:
            times.popleft()
        return not times


class Origin:
    """What one address has in use."""

    __slots__ = ("connected", "connections", "messages")

    def __init__(self) -> None:
        self.connections = 0
        self.connected = Counted()
        self.messages = Counted()


class Origins:
    """All addresses that use the node."""

    def __init__(self, limits: SocketLimits) -> None:
        self.limits = limits
        self.total = 0
        self._by_address: dict[str, Origin] = {}

    def open(self, address: str, now: float) -> str | None:
        """Count a new connection. Why it may not come in, or None; then `close` must follow."""
        limits = self.limits
        if self.total >= limits.connections_total:
            return "too many connections"
        origin = self._by_address.setdefault(address, Origin())
        if limits.connections is not None and origin.connections >= limits.connections:
            return f"too many connections: at most {limits.connections} from one address"
        # Connections that are turned away count too: who knocks more often waits longer.
        limit = limits.new_connections
        if limit is not None and origin.connected.add(now) > limit:
            return f"too many new connections: at most {limit} in a minute"
        origin.connections += 1
        self.total += 1
        return None

    def message(self, address: str, now: float) -> bool:
        """Count a message. Whether it is within the limit."""
        limit = self.limits.messages
        return limit is None or self._by_address[address].messages.add(now) <= limit

    def close(self, address: str, now: float) -> None:
        """A connection that had come in ends."""
        self.total -= 1
        self._by_address[address].connections -= 1
        if len(self._by_address) > ADDRESSES_MAX or self.limits.new_connections is None:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop addresses of which nothing is left to count."""
        for address, origin in list(self._by_address.items()):
            if origin.connections == 0 and origin.connected.forget(now):
                del self._by_address[address]
