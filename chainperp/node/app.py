"""The node's HTTP surface: routes, what a body may be, and what an error looks like.

Decides nothing about the exchange: it turns bytes into requests and answers into bytes.
Source: hyperliquid-api 1.2; reliability 9.1, 9.2.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chainperp.base.errors import BadRequest
from chainperp.node.exchange import Exchange
from chainperp.node.info.registry import Context, Registry
from chainperp.node.producer import Stopped
from chainperp.node.room import Busy
from chainperp.wire.actions import MAX_BODY_BYTES, read_json

UNDECODABLE: Final = "Failed to deserialize the JSON body into the target type"
JSON: Final = "application/json"
JSON_TYPES: Final = (JSON, f"{JSON};charset=utf-8", f'{JSON};charset="utf-8"')
"""A body without a type is taken as JSON."""


class Refused(Exception):
    """A request that is answered with an HTTP status and one line of text."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


class JsonBytes(Response):
    """A JSON document."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """Compact JSON. Everything we answer with is ASCII or escaped."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


async def read_body(request: Request) -> Any:
    """The JSON document of a request. Raises Refused naming what is wrong with it."""
    if request.headers.get("content-type", JSON).lower().replace(" ", "") not in JSON_TYPES:
        raise Refused(415, "Expected request with `Content-Type: application/json`")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "request bodies are not inflated: send them without Content-Encoding")
    declared = request.headers.get("content-length", "0")
    too_large = Refused(413, f"body is larger than {MAX_BODY_BYTES} bytes", {"connection": "close"})
    if not declared.isascii() or not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large
        parts.append(part)
    try:
        return read_json(b"".join(parts))
    except BadRequest as error:
        raise Refused(400, str(error)) from error


def _answered(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn every named error of a handler into its status and one line of text."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handle(request)
        except Refused as error:
            return PlainTextResponse(error.text, error.status, error.headers)
        except BadRequest as error:
            return PlainTextResponse(f"{UNDECODABLE}: {error}", 422)
        except (Busy, Stopped) as error:
            return PlainTextResponse(str(error), 503, {"retry-after": "1"})
        except ClientDisconnect:
            # Nobody reads this: he left before his request was complete.
            return PlainTextResponse("the request was not complete", 400)

    return endpoint


def build_app(exchange: Exchange, registry: Registry, context: Context) -> Starlette:
    """The application for one chain."""

    async def post_exchange(request: Request) -> Response:
        return JsonBytes(await exchange.handle(await read_body(request)))

    async def post_info(request: Request) -> Response:
        _, answer = await registry.ask(context, await read_body(request))
        return JsonBytes(answer)

    return Starlette(
        routes=[
            Route("/exchange", _answered(post_exchange), methods=["POST"]),
            Route("/info", _answered(post_info), methods=["POST"]),
        ]
    )
