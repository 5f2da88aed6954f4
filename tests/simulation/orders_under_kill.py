"""Clients that place numbered orders on a node that is killed under them, and what they know.

Every order has a client id of its own. A client remembers what it sent, what was acknowledged with
which order id, and the one request whose answer never came; after a restart it sends that request
again, byte for byte, as a careful bot does.
"""

import http.client
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.node import Account, NodeProcess, limit_order

OPEN_MAX: Final = 40
"""Orders that a client leaves open before it cancels them: accounts have a limit."""

DUPLICATE: Final = "Invalid nonce: duplicate nonce"


@dataclass
class Knowledge:
    """What one client knows about its orders, over all rounds."""

    who: Account
    number: int
    sent: int = 0
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    "Order id by client id."
    certain: list[bytes] = field(default_factory=list)
    "In the chain, says a duplicate nonce; the answer with the id is lost."
    pending: bytes | None = None
    "The request that has no answer."
    open_cloids: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def next_order(self, node: NodeProcess) -> bytes:
        """The next numbered order, signed."""
        self.sent += 1
        cloid = cloid_of(self.number, self.sent)
        price = str(90_000 + self.sent % 50)
        action = limit_order(0, True, price, "0.001", cloid="0x" + cloid.hex())
        return json.dumps(node.signed(self.who, action)).encode()

    def cancel_all(self, node: NodeProcess) -> bytes:
        """A cancel of everything that is open, signed."""
        cancels = [{"asset": 0, "cloid": cloid} for cloid in self.open_cloids]
        self.open_cloids = []
        action = {"type": "cancelByCloid", "cancels": cancels}
        return json.dumps(node.signed(self.who, action)).encode()


def cloid_of(client: int, number: int) -> bytes:
    """Client id of a client's order: both numbers can be read from it."""
    return client.to_bytes(8, "big") + number.to_bytes(8, "big")


def was_sent(clients: list[Knowledge], cloid: bytes) -> bool:
    """Whether a client id belongs to an order that was sent."""
    client, number = int.from_bytes(cloid[:8], "big"), int.from_bytes(cloid[8:], "big")
    return client < len(clients) and 1 <= number <= clients[client].sent


class Trader(threading.Thread):
    """One client at work until its connection breaks or it is told to stop."""

    def __init__(self, node: NodeProcess, knowledge: Knowledge, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.node = node
        self.knowledge = knowledge
        self.told = stop

    def run(self) -> None:
        """Send again what was not answered, then new orders."""
        connection = self.node.connect(10)
        try:
            while not self.told.is_set():
                self._turn(connection)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def _turn(self, connection: http.client.HTTPConnection) -> None:
        me = self.knowledge
        is_again = me.pending is not None
        if me.pending is None:
            is_full = len(me.open_cloids) >= OPEN_MAX
            me.pending = me.cancel_all(self.node) if is_full else me.next_order(self.node)
        raw = me.pending
        connection.request("POST", "/exchange", raw, {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        if response.status == 503:
            return  # Nothing was accepted: the same request may come again.
        me.pending = None
        if response.status != 200:
            me.problems.append(f"{response.status} {body!r}")
            return
        self._learn(json.loads(raw)["action"], json.loads(body), is_again)

    def _learn(self, action: dict[str, Any], reply: dict[str, Any], is_again: bool) -> None:
        me = self.knowledge
        if action["type"] != "order":
            return
        name = action["orders"][0]["c"]
        cloid = bytes.fromhex(name[2:])
        me.open_cloids.append(name)
        if reply["status"] == "err" and is_again and reply["response"].startswith(DUPLICATE):
            me.certain.append(cloid)
            return
        try:
            me.acknowledged[cloid] = reply["response"]["data"]["statuses"][0]["resting"]["oid"]
        except (KeyError, TypeError, IndexError):
            me.problems.append(f"{reply}")
