"""`post`: the requests of `/info` and `/exchange` over the socket, with the same checks.

Source: hyperliquid-api 6.1.
"""

import json
import sys

from chainperp.base.errors import BadRequest
from chainperp.node.exchange import Exchange
from chainperp.node.index.index import IndexUnavailable
from chainperp.node.info.registry import Context, Registry
from chainperp.node.producer import Stopped
from chainperp.node.room import Busy
from chainperp.node.socket.messages import UNDECODABLE, Message, post_answer
from chainperp.wire.shapes import shown


class Posts:
    """Answers posts for one chain."""

    def __init__(self, exchange: Exchange, registry: Registry, context: Context) -> None:
        self.exchange = exchange
        self.registry = registry
        self.context = context

    async def answer(self, message: Message) -> str:
        """The answer to a post: what HTTP answers with a status is a text that begins with it."""
        post_id, request = message["id"], message["request"]
        try:
            return await self._answer(post_id, request)
        except BadRequest as refusal:
            return post_answer(post_id, "error", f"422 {UNDECODABLE}: {refusal}")
        except (Busy, Stopped, IndexUnavailable) as refusal:
            return post_answer(post_id, "error", f"503 {refusal}")
        except Exception as fault:  # noqa: BLE001 (the sender waits for an answer)
            sys.stderr.write(f"fault in a post: {type(fault).__name__}: {fault}\n")
            return post_answer(post_id, "error", "500 a fault of the node; the operator was told")

    async def _answer(self, post_id: int, request: Message) -> str:
        kind, payload = request.get("type"), request.get("payload")
        if kind == "info":
            name, data = await self.registry.ask(self.context, payload)
            return post_answer(post_id, "info", {"type": name, "data": data})
        if kind == "action":
            # As it would have come over HTTP: it is read where signatures are checked.
            body = json.dumps(payload).encode("ascii")
            return post_answer(post_id, "action", await self.exchange.handle(body))
        raise BadRequest("type", f"type: info or action is wanted, was {shown(kind)}")
