"""The load's transactions: one order each, or a batch, signed for accounts that take turns.

Orders lie within a few ticks around the oracle price, so about half of them rest and half of them
trade, and neither books nor positions grow without end.
"""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from chainperp.client.wallet import development_key, sign_action

PRICE: Final = 100_000
SPREAD: Final = 8
SIZE: Final = "0.001"


def actions(seed: int, batch: int) -> Iterator[dict[str, Any]]:
    """Order actions without end."""
    draw = random.Random(seed)
    while True:
        orders: list[dict[str, Any]] = []
        for _ in range(batch):
            is_buy = draw.random() < 0.5
            price = PRICE + draw.randrange(-SPREAD, SPREAD + 1)
            orders.append(
                {"a": 0, "b": is_buy, "p": str(price), "s": SIZE, "r": False,
                 "t": {"limit": {"tif": "Gtc"}}}
            )  # fmt: skip
        yield {"type": "order", "orders": orders, "grouping": "na"}


def signed_bodies(first_nonce: int, accounts: int, batch: int, seed: int) -> Iterator[bytes]:
    """JSON bodies of `POST /exchange`, the accounts in turns; nonces rise by one."""
    keys = [development_key(index) for index in range(accounts)]
    for number, action in enumerate(actions(seed, batch)):
        body = sign_action(keys[number % accounts], action, first_nonce + number, "Testnet")
        yield json.dumps(body, separators=(",", ":")).encode()


def http_request(body: bytes) -> bytes:
    """A whole HTTP request."""
    return (
        b"POST /exchange HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


def ws_frame(body: bytes, number: int) -> bytes:
    """A websocket `post` of an action in one masked frame; the mask of zeros changes nothing."""
    text = b'{"method":"post","id":%d,"request":{"type":"action","payload":' % number + body + b"}}"
    size = len(text)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 1 << 16:
        head = b"\x81\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\x81\xff" + size.to_bytes(8, "big")
    return head + bytes(4) + text
