"""A node that is not ours: it serves documents that a test hands it, over a real socket.

What the client knows is the wire, so it must work against answers that our node never gives:
recorded ones, later versions of ours, pages of a proxy, silence.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class OtherNode:
    """What it answers, and what it was asked."""

    info: dict[str, Any] = field(default_factory=dict)
    "Document for each question's type; what is not here is refused with 422."
    exchange: Any = None
    status: int = 200
    body: bytes | None = None
    "Sent as it is to everything, with `status`, when set."
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    drops: int = 0
    "So many requests get their connection closed without an answer."
    asked: list[Any] = field(default_factory=list)
    url: str = ""


@contextmanager
def other_node(**how: Any) -> Iterator[OtherNode]:
    """Serve until the block ends."""
    node = OtherNode(**how)
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            asked = json.loads(raw)
            node.asked.append(asked)
            if node.drops:
                node.drops -= 1
                self.close_connection = True
                return
            stopped.wait(node.delay_seconds)
            if node.body is not None:
                self._send(node.status, node.body)
            elif self.path == "/exchange":
                self._send(node.status, json.dumps(node.exchange).encode())
            elif asked.get("type") in node.info:
                self._send(200, json.dumps(node.info[asked["type"]]).encode())
            else:
                self._send(422, b"Failed to deserialize the JSON body into the target type")

        def do_GET(self) -> None:
            self._send(404 if node.body is None else node.status, node.body or b"Not Found")

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            for name, value in node.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test tells what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield node
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
