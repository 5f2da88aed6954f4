"""Talk to a node over HTTP: `/info`, `/exchange`, `/dev` and plain files.

The wire is Hyperliquid's, so any node that speaks it can be asked, the real exchange included.
One kept connection, the standard library only. A question that found the kept connection closed is
asked once more; a signed action is never sent twice, because the second answer (a nonce that was
used) would hide the first.
Source: hyperliquid-api 1.2, 1.3.
"""

import json
import socket
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from chainperp.base.errors import BadRequest
from chainperp.client.refusal import Refused, Unavailable, Unreachable

DEFAULT_URL: Final = "http://127.0.0.1:3001"
TIMEOUT_SECONDS: Final = 10
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
TEXT_SHOWN: Final = 500


class NodeClient:
    """A connection to one node. Not for several threads at once."""

    def __init__(self, url: str = DEFAULT_URL, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Raises: BadRequest `url` when it is not http:// or https:// and a host."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise BadRequest("url", f"the node's URL is not one: {url[:80]!r} ({error})") from error
        if parts.scheme not in ("http", "https") or not host:
            raise BadRequest("url", f"a node's URL reads {DEFAULT_URL}, was {url[:80]!r}")
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection: HTTPConnection = kind(host, port, timeout=timeout_seconds)
        self._timeout = timeout_seconds

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def info(self, name: str, /, **fields: Any) -> Any:
        """Answer to one question, such as `info("l2Book", coin="BTC")`.

        Raises: Unreachable, Unavailable, Refused (422 for a question that the node does not know).
        """
        return self.ask({"type": name, **fields})

    def ask(self, question: dict[str, Any]) -> Any:
        """Answer to a question given as its JSON object."""
        return _document(self._request("POST", "/info", _packed(question)), "/info")

    def exchange(self, body: dict[str, Any]) -> dict[str, Any]:
        """Reply to a signed action, sent exactly once.

        Raises: Refused, Unavailable: nothing was accepted. Unreachable: it may have been; the
        message says so when the request was on its way.
        """
        reply = _document(self._request("POST", "/exchange", _packed(body), once=True), "/exchange")
        if not isinstance(reply, dict) or "status" not in reply:
            raise Unreachable(f"{self.url}/exchange answers with what is no reply: {_shown(reply)}")
        return reply

    def dev(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer of a developer control. Raises Refused 404 where the node offers none."""
        reply = _document(self._request("POST", "/dev", _packed(body), once=True), "/dev")
        if not isinstance(reply, dict) or "status" not in reply:
            raise Unreachable(f"{self.url}/dev answers with what is no reply: {_shown(reply)}")
        return reply

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Answer to a question at another path, such as `/explorer`."""
        return _document(self._request("POST", path, _packed(body)), path)

    def get(self, path: str) -> bytes:
        """A file of the node, such as `/log/checkpoint`."""
        return self._request("GET", path, None)

    # --- one request -----------------------------------------------------------------------------

    def _request(self, method: str, path: str, body: bytes | None, *, once: bool = False) -> bytes:
        if once:
            # A kept connection may be closed by the node at any moment: start with a fresh one.
            self._connection.close()
        is_kept = self._connection.sock is not None
        try:
            return self._answer(method, path, body)
        except (ConnectionError, HTTPException) as error:
            self._connection.close()
            if is_kept and not once:
                return self._request(method, path, body)
            raise self._unreachable(path, error, is_sent=once) from error
        except OSError as error:
            self._connection.close()
            raise self._unreachable(path, error, is_sent=once) from error

    def _answer(self, method: str, path: str, body: bytes | None) -> bytes:
        connection = self._connection
        if connection.sock is None:
            self._connect()
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, self._prefix + path, body, headers)
        response = connection.getresponse()
        content = response.read(ANSWER_BYTES_MAX + 1)
        if len(content) > ANSWER_BYTES_MAX:
            connection.close()
            raise Unreachable(f"{self.url}{path} answers with more than {ANSWER_BYTES_MAX} bytes")
        if response.status != 200:
            raise self._failure(path, response, content)
        return content

    def _connect(self) -> None:
        connection = self._connection
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(
                f"no node at {self.url}: {_reason(error)}; nothing was sent"
            ) from error
        # Small requests must not wait for the acknowledgement of the last answer.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _failure(self, path: str, response: HTTPResponse, content: bytes) -> Exception:
        text = " ".join(content.decode("utf-8", "replace").split())[:TEXT_SHOWN]
        text = text or response.reason or "no text"
        status = response.status
        if status == 429 or status >= 500:
            later = response.getheader("retry-after")
            when = f"; try again in {later} s" if later else ""
            return Unavailable(f"{self.url}{path} cannot serve now ({status}): {text}{when}")
        if 300 <= status < 400:
            target = response.getheader("location", "elsewhere")
            return Unreachable(
                f"{self.url}{path} points to {target} ({status}): give that as --url"
            )
        return Refused(status, text)

    def _unreachable(self, path: str, error: Exception, *, is_sent: bool) -> Unreachable:
        if isinstance(error, TimeoutError):
            what = f"no answer within {self._timeout:g} s"
        else:
            what = _reason(error)
        doubt = "; it is not known whether the request was accepted" if is_sent else ""
        return Unreachable(f"{self.url}{path}: {what}{doubt}")


def _packed(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _document(content: bytes, path: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        shown = content[:60].decode("utf-8", "replace")
        raise Unreachable(f"{path} answers with what is not JSON: {shown!r}") from error


def _shown(value: Any) -> str:
    return json.dumps(value)[:80]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
