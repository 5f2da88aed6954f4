"""Many clients in a process of their own: `-m tests.support.socket_crowd URL CLIENTS SECONDS`.

Each has ten subscriptions. Prints one JSON object: how many messages came, the delays between the
time of a block and the arrival of its messages in milliseconds, and how many connections ended.
"""

import asyncio
import json
import sys
import time
from typing import Any

import websockets

COINS = ("BTC", "ETH", "SOL", "HYPE")
SUBSCRIPTIONS: list[dict[str, Any]] = [
    {"type": "allMids"},
    *({"type": "trades", "coin": coin} for coin in COINS),
    *({"type": "bbo", "coin": coin} for coin in COINS),
    {"type": "l2Book", "coin": "BTC"},
]


class Crowd:
    """What all clients heard."""

    def __init__(self) -> None:
        self.messages = 0
        self.ended = 0
        self.delays: list[int] = []

    async def hear(self, url: str, place: int, until: float) -> None:
        """One client, from its connection to a time."""
        try:
            async with websockets.connect(url, max_queue=None, compression=None) as socket:
                for one in SUBSCRIPTIONS:
                    await socket.send(json.dumps({"method": "subscribe", "subscription": one}))
                while (left := until - time.monotonic()) > 0:
                    try:
                        text = str(await asyncio.wait_for(socket.recv(), left))
                    except TimeoutError:
                        break
                    self.messages += 1
                    # Trades and best prices carry the time of their block; books may wait.
                    if place % 10 == 0 and text.startswith(('{"channel":"bbo"', '{"channel":"t')):
                        data = json.loads(text)["data"]
                        block_ms = data["time"] if isinstance(data, dict) else data[-1]["time"]
                        self.delays.append(time.time_ns() // 1_000_000 - block_ms)
        except websockets.ConnectionClosed:
            self.ended += 1


async def main(url: str, clients: int, seconds: float) -> None:
    """Run the crowd and print what it heard."""
    crowd = Crowd()
    until = time.monotonic() + seconds
    await asyncio.gather(*(crowd.hear(url, place, until) for place in range(clients)))
    delays = sorted(crowd.delays)
    print(json.dumps({"messages": crowd.messages, "ended": crowd.ended, "delays": delays}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
