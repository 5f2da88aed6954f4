"""A websocket client that can break every rule of the protocol: bytes over TCP."""

import base64
import json
import socket
import struct
from types import TracebackType
from typing import Any, Final

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
HANDSHAKE: Final = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    "Sec-WebSocket-Version": "13",
}


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """A frame as a client sends it, or as it must not."""
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([flag | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    # Fixed, so that test names made from frames are the same in every process.
    mask = b"\x37\xfa\x21\x3d"
    whole = mask * (len(payload) // 4 + 1)
    body = bytes(a ^ b for a, b in zip(payload, whole, strict=False))
    return head + mask + body


class RawSocket:
    """One TCP connection to the node."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.tcp.settimeout(10)
        self.tcp.connect(("127.0.0.1", port))
        self._left = b""

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.tcp.close()

    def handshake(
        self,
        path: str = "/ws",
        without: str = "",
        **changed: str,
    ) -> tuple[int, str]:
        """Ask for an upgrade; status and the whole head of the answer. Underscores stand for
        hyphens in header names."""
        headers = HANDSHAKE | {name.replace("_", "-"): value for name, value in changed.items()}
        headers.pop(without, None)
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.tcp.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.tcp.recv(4096)
            if not part:
                break
            head += part
        first, _, self._left = head.partition(b"\r\n\r\n")
        return int(first.split(b" ")[1]), first.decode()

    def send(self, raw: bytes) -> None:
        """Send bytes; a node that has closed already is no fault."""
        try:
            self.tcp.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            return

    def send_json(self, document: Any) -> None:
        """Send a text message."""
        self.send(frame(TEXT, json.dumps(document).encode()))

    def _exactly(self, count: int) -> bytes:
        while len(self._left) < count:
            part = self.tcp.recv(65_536)
            if not part:
                raise ConnectionResetError("the node has closed")
            self._left += part
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def read_frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        return first & 0x0F, self._exactly(size)

    def read_close(self) -> tuple[int, str]:
        """Code and reason of the closing frame, whatever comes before it. 1006: cut without."""
        try:
            while True:
                opcode, payload = self.read_frame()
                if opcode == CLOSE:
                    return struct.unpack(">H", payload[:2])[0], payload[2:].decode()
        except ConnectionResetError:
            return 1006, ""

    def read_json(self) -> Any:
        """The next text message."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == TEXT:
                return json.loads(payload)
