"""`GET /ws`: the endpoint that reads what clients send.

One task per connection reads and answers in order; what has to wait for a block (`post`) has a task
of its own. What clients are sent goes past this task: see `client` and `protocol`.
Source: hyperliquid-api 6; reliability 9.4.
"""

import asyncio
from time import monotonic
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from chainperp.node.socket import messages
from chainperp.node.socket.client import POLICY, Client
from chainperp.node.socket.hub import Hub
from chainperp.node.socket.messages import Message, Unreadable, read_message
from chainperp.node.socket.posts import Posts
from chainperp.node.socket.protocol import EXTENSION, SocketProtocol, text_frame

PONG_FRAME: Final = text_frame(messages.PONG)
TOO_MANY_MESSAGES: Final = "too many messages"
BINARY: Final = "(binary)"


class _Session:
    """One connection from its acceptance to its end."""

    def __init__(self, hub: Hub, posts: Posts, client: Client) -> None:
        self.hub = hub
        self.posts = posts
        self.client = client
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, socket: WebSocket) -> None:
        """Read until the connection ends."""
        client, hub = self.client, self.hub
        try:
            while not client.is_closed:
                event = await socket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                hub.counters.received += 1
                if not hub.origins.message(client.address, monotonic()):
                    client.close(POLICY, TOO_MANY_MESSAGES)
                    return
                await self._take(event.get("text"))
        finally:
            for task in self.tasks:
                task.cancel()

    async def _take(self, text: str | None) -> None:
        client = self.client
        try:
            if text is None:
                raise Unreadable("binary", messages.unreadable(BINARY))
            message = read_message(text)
        except Unreadable as refusal:
            client.send(text_frame(messages.error(str(refusal))))
            return
        method = message["method"]
        if method == "ping":
            client.send(PONG_FRAME)
        elif method == "subscribe":
            await self.hub.subscribe(client, message["subscription"])
        elif method == "unsubscribe":
            self.hub.unsubscribe(client, message["subscription"])
        else:
            self._post(message)

    def _post(self, message: Message) -> None:
        if len(self.tasks) >= self.hub.limits.posts:
            self.client.send(text_frame(messages.too_many_posts(message["id"])))
            return
        task = asyncio.create_task(self._answer(message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, message: Message) -> None:
        frame = text_frame(await self.posts.answer(message))
        # Answers can be large: each waits until the reader has taken what came before.
        await self.client.room()
        self.client.send(frame)


def socket_routes(hub: Hub, posts: Posts) -> list[WebSocketRoute]:
    """The route of the socket, and the answer to handshakes on any other path."""

    async def endpoint(socket: WebSocket) -> None:
        address = socket.client.host if socket.client else ""
        refusal = hub.origins.open(address, monotonic())
        if refusal is not None:
            hub.counters.drop("refused")
            await socket.send_denial_response(
                PlainTextResponse(refusal, 429, {"retry-after": "60"})
            )
            return
        try:
            await _serve(socket, address)
        finally:
            hub.origins.close(address, monotonic())

    async def _serve(socket: WebSocket, address: str) -> None:
        connection: SocketProtocol = socket.scope["extensions"][EXTENSION]["connection"]
        client = Client(connection, address, hub.limits, hub.counters)
        await socket.accept()
        hub.join(client)
        try:
            await _Session(hub, posts, client).run(socket)
        except WebSocketDisconnect:
            pass
        finally:
            hub.leave(client)

    async def nowhere(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("Not Found", 404))

    return [WebSocketRoute("/ws", endpoint), WebSocketRoute("/{path:path}", nowhere)]
