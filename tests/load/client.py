"""The client process of a load run: `python -m tests.load.client '{"port": …}'`.

It signs before it starts (unless told to sign on the way), says `ready` on stdout, waits for a
line on stdin, keeps its lanes busy, and prints one JSON line with what it saw.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from tests.load.requests import http_request, signed_bodies, ws_frame

HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GRACE_SECONDS: Final = 10


class Tally:
    """What came back, over all lanes."""

    def __init__(self, requests: Iterator[bytes], end: float) -> None:
        self.requests = requests
        self.end = end
        self.times: list[float] = []
        self.good = 0
        self.bad = 0
        self.refusals = 0
        self.sample = ""
        self.last = 0.0

    def next(self) -> bytes | None:
        """The next request, or None when the time is over."""
        return None if time.perf_counter() >= self.end else next(self.requests, None)

    def took(self, start: float, answer: bytes) -> None:
        """One answer came."""
        self.last = time.perf_counter()
        self.times.append(self.last - start)
        errors = answer.count(b'"error"')
        if b'"status":"ok"' not in answer:
            self.bad += 1
            self.sample = self.sample or answer[:300].decode(errors="replace")
        else:
            self.good += 1
            self.refusals += errors
            if errors:
                self.sample = self.sample or answer[:300].decode(errors="replace")


class Lane(asyncio.Protocol):
    """One connection; `window` requests are on their way at a time."""

    def __init__(self, tally: Tally, window: int) -> None:
        self.tally = tally
        self.window = window
        self.waiting: dict[int, float] = {}
        self.buffer = bytearray()
        self.done = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.begin()

    def begin(self) -> None:
        """Send the first requests."""
        for _ in range(self.window):
            self.send()

    def send(self) -> None:
        """Send one more request, or finish when there is none and nothing is awaited."""
        raw = self.tally.next()
        if raw is None:
            if not self.waiting and not self.done.done():
                self.done.set_result(None)
            return
        assert self.transport is not None
        self.waiting[self.number_of(raw)] = time.perf_counter()
        self.transport.write(raw)

    def number_of(self, _raw: bytes) -> int:
        """By which number the answer names its request."""
        return 0

    def connection_lost(self, _error: Exception | None) -> None:
        """What was on its way has no answer."""
        self.tally.bad += len(self.waiting)
        if not self.done.done():
            self.done.set_result(None)


class HttpLane(Lane):
    """Keep-alive HTTP: the next request goes out when the answer is there."""

    def data_received(self, data: bytes) -> None:
        """Cut answers out of what came."""
        self.buffer += data
        while True:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self.buffer.lower().find(b"content-length:", 0, head)
            size = int(self.buffer[at + 15 : self.buffer.index(b"\r", at)])
            end = head + 4 + size
            if len(self.buffer) < end:
                return
            answer = bytes(self.buffer[head + 4 : end])
            del self.buffer[:end]
            self.tally.took(self.waiting.pop(0), answer)
            self.send()


class WsLane(Lane):
    """Websocket `post`: answers carry the number of their request."""

    is_open = False

    def begin(self) -> None:
        """Shake hands first."""
        assert self.transport is not None
        self.transport.write(HANDSHAKE)

    def number_of(self, raw: bytes) -> int:
        """The id in the frame, which stands near its start."""
        at = raw.index(b'"id":') + 5
        return int(raw[at : raw.index(b",", at)])

    def data_received(self, data: bytes) -> None:
        """Cut frames out of what came."""
        self.buffer += data
        if not self.is_open:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            assert self.buffer.startswith(b"HTTP/1.1 101"), bytes(self.buffer[:head])
            del self.buffer[: head + 4]
            self.is_open = True
            super().begin()
        while len(self.buffer) >= 2:
            size, start = self.buffer[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self.buffer[2:10], "big"), 10
            if len(self.buffer) < start + size:
                return
            opcode = self.buffer[0] & 0x0F
            answer = bytes(self.buffer[start : start + size])
            del self.buffer[: start + size]
            if opcode == 1 and b'"channel":"post"' in answer:
                at = answer.index(b'"id":') + 5
                number = int(answer[at : answer.index(b",", at)])
                self.tally.took(self.waiting.pop(number), answer)
                self.send()


async def run(options: dict[str, Any], requests: Iterator[bytes]) -> Tally:
    """Keep the lanes busy for the time asked for."""
    loop = asyncio.get_running_loop()
    tally = Tally(requests, time.perf_counter() + options["seconds"])
    kind = WsLane if options["is_ws"] else HttpLane
    lanes: list[Lane] = []
    for _ in range(options["lanes"]):
        _, lane = await loop.create_connection(
            lambda: kind(tally, options["window"]), "127.0.0.1", options["port"]
        )
        lanes.append(lane)
    waits = [asyncio.ensure_future(lane.done) for lane in lanes]
    await asyncio.wait(waits, timeout=options["seconds"] + GRACE_SECONDS)
    tally.bad += sum(len(lane.waiting) for lane in lanes if not lane.done.done())
    return tally


def main() -> int:
    """Sign, wait, run, report."""
    options = json.loads(sys.argv[1])
    first_nonce = time.time_ns() // 1_000_000
    bodies = signed_bodies(first_nonce, options["accounts"], options["batch"], options["seed"])
    requests: Iterator[bytes]
    if options["is_ws"]:
        requests = (ws_frame(body, number) for number, body in enumerate(bodies))
    else:
        requests = (http_request(body) for body in bodies)
    if options["presigned"]:
        requests = iter(list(islice(requests, options["presigned"])))
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    cpu = time.process_time()
    tally = asyncio.run(run(options, requests))
    seconds = max(tally.last - start, 1e-9)
    times = sorted(tally.times) or [0.0]
    result = {
        "seconds": seconds,
        "good": tally.good,
        "bad": tally.bad,
        "refusals": tally.refusals,
        "sample": tally.sample,
        "cpu": time.process_time() - cpu,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
        "max_ms": times[-1] * 1000,
    }
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
