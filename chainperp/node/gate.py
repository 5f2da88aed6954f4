"""Who may talk to the node at all: host names, origins, and how much of the node each may use.

A node that listens on this machine only answers to this machine's names, so that a web page cannot
reach it by pointing a name of its own at 127.0.0.1. Rate limits are the public exchange's; they are
off unless asked for, since local bots should not be throttled.

Wallets live in the browser, so `/evm` answers what a browser asks before it lets a page read
(CORS). On this machine that is offered to pages of this machine, and to browser extensions, whose
origin no page can claim: wallets are extensions. Pages of other origins stay outside, for they
could keep the machine busy, or mine, with whoever visits them. A node that listens to others
answers every page: what changes the machine carries its own signature, and there are no cookies.
Source: hyperliquid-api 1.3; reliability 9.1, 9.2 row 16.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

WEIGHT_PER_MINUTE: Final = 1_200
ADDRESSES_MAX: Final = 10_000
LOCAL_NAMES: Final = ("localhost", "testserver")
EVM_PATH: Final = "/evm"
EXTENSIONS: Final = ("chrome-extension", "moz-extension", "safari-web-extension")
"""Schemes of the origins of browser extensions."""
PREFLIGHT_SECONDS: Final = 600


def is_local(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    name = host.strip("[]").lower()
    if name in LOCAL_NAMES:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(value: str) -> str:
    """The name in a Host header, without its port; empty when it is none."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a request's headers must say. `is_loopback`: the node listens on this machine only."""

    is_loopback: bool

    def refusal(self, host: str, origin: str | None, path: str = "") -> tuple[int, str] | None:
        """Status and text for a request that may not come in, or None."""
        if not self.is_loopback:
            return None
        if not is_local(host_of(host)):
            return 421, "this node answers only to localhost"
        if origin is None or is_local(_origin_host(origin)):
            return None
        if path == EVM_PATH and _is_extension(origin):
            return None
        return 403, "web pages of other origins may not use this node"

    def cors(self, origin: str | None) -> dict[str, str]:
        """Headers that let the page of an origin, which was let in, read an answer of `/evm`."""
        if origin is None:
            return {}
        if not self.is_loopback:
            return {"access-control-allow-origin": "*"}
        return {"access-control-allow-origin": origin, "vary": "origin"}

    def preflight(self, origin: str | None) -> dict[str, str]:
        """Headers that answer the question whether a page may ask at all."""
        return {
            **self.cors(origin),
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "content-type",
            "access-control-allow-private-network": "true",
            "access-control-max-age": str(PREFLIGHT_SECONDS),
            "allow": "OPTIONS, POST",
        }


def _origin_host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_extension(origin: str) -> bool:
    scheme, mark, name = origin.partition("://")
    return scheme in EXTENSIONS and bool(mark and name)


class WeightLimiter:
    """Weight that each address of origin may use in a minute: refilled steadily, never saved up."""

    def __init__(self, per_minute: int = WEIGHT_PER_MINUTE) -> None:
        self.per_minute = per_minute
        self._used: dict[str, tuple[float, float]] = {}

    def take(self, address: str, weight: int, now: float | None = None) -> float:
        """Use weight. 0 when there was enough, else seconds until there is."""
        now = monotonic() if now is None else now
        used, then = self._used.get(address, (0.0, now))
        per_second = self.per_minute / 60
        used = max(used - (now - then) * per_second, 0.0)
        over = used + weight - self.per_minute
        if over > 0:
            return over / per_second
        if len(self._used) >= ADDRESSES_MAX:
            self._forget(now)
        self._used[address] = (used + weight, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop addresses whose weight has come back."""
        self._used = {
            address: (used, then)
            for address, (used, then) in self._used.items()
            if used > (now - then) * self.per_minute / 60
        }


def exchange_weight(batch: int) -> int:
    """Weight of an action with so many orders."""
    return 1 + batch // 40
