"""What the node adds to uvicorn's websocket connection: frames that many clients share, and an end.

A broadcast is encoded once and written to every subscriber as the same bytes, as long as the
connection takes them. A peer that reads no longer cannot keep its connection: whatever closes it
(a slow queue, silence, a bad frame, the end of the node), it is cut soon afterwards.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import OP_TEXT, Frame
from websockets.http11 import Request, Response

EXTENSION: Final = "chainperp.socket"
"""Under this name the connection is found in the scope's extensions."""

CUT_SECONDS: Final = 5
"""How long a peer may take to read what is left and to answer the closing frame."""

MESSAGE_MAX: Final = 128 * 1024
PING_SECONDS: Final = 30


def text_frame(text: str) -> bytes:
    """A text message as it goes over the wire. The same bytes for everybody: servers do not mask,
    and no compression is agreed on."""
    return Frame(OP_TEXT, text.encode()).serialize(mask=False)


class SocketProtocol(WebSocketsSansIOProtocol):
    """One websocket connection. Handed to uvicorn as `ws`; the endpoint finds it in its scope."""

    on_writable: Callable[[], None] | None = None

    @property
    def is_writable(self) -> bool:
        """Whether the connection takes more at once."""
        return self.handshake_complete and self.writable.is_set()

    @property
    def is_gone(self) -> bool:
        """Whether the connection ends or has ended: nothing reaches the peer any more."""
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def write(self, frames: bytes) -> None:
        """Send whole frames. Only while `is_writable`."""
        self.transport.write(frames)

    def fail(self, code: int, reason: str) -> None:
        """Close with a reason, behind what was written. A peer that does not read is cut."""
        if self.close_sent or self.disconnected:
            return
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            self.abort()
            return
        self.stop_keepalive()
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CUT_SECONDS, self.abort)

    def abort(self) -> None:
        """Cut the connection at once."""
        if not self.disconnected:
            self.transport.abort()

    def _cut_later(self) -> None:
        self.loop.call_later(CUT_SECONDS, self.abort)

    # --- what uvicorn calls ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer. A handshake that cannot be read is answered, not waited for."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_initiated = self.close_sent = True
            self._answer(HTTPStatus.BAD_REQUEST)

    def _answer(self, status: HTTPStatus) -> None:
        """Answer the handshake with a status and close."""
        body = status.phrase.encode()
        headers = Headers(
            {
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
        )
        self.transport.write(Response(status, status.phrase, headers, body).serialize())
        self.transport.close()
        self._cut_later()

    async def send(self, message: ASGISendEvent) -> None:
        """What the endpoint sends. A refused handshake is complete: uvicorn would log an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """A handshake: the endpoint finds this connection in its scope."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][EXTENSION] = {"connection": self}

    def resume_writing(self) -> None:
        """The peer has read: more can be written."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def send_receive_event_to_app(self) -> None:
        """Hand over a message, or close for text that is none: without a traceback in the log."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        """Nothing came from the peer for too long, not even a pong."""
        super().keepalive_timeout()
        self._cut_later()

    def handle_parser_exception(self) -> None:
        """The peer broke the protocol."""
        super().handle_parser_exception()
        self._cut_later()

    def shutdown(self) -> None:
        """The node stops."""
        super().shutdown()
        self._cut_later()
