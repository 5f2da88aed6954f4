"""The node's HTTP surface: routes, what a body may be, and what an error looks like.

Decides nothing about the exchange: it turns bytes into requests and answers into bytes.
Source: hyperliquid-api 1.2; reliability 9.1, 9.2.
"""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from chainperp.base.errors import BadRequest, Invalid
from chainperp.evidence.tiles import parse_tile_path
from chainperp.node.dev import DevControls
from chainperp.node.evidence import Evidence
from chainperp.node.evm_process import NO_CONTRACTS, EvmProcess, EvmUnavailable
from chainperp.node.exchange import Exchange
from chainperp.node.finding import NotJson, json_of
from chainperp.node.gate import EVM_PATH, Gate, WeightLimiter, exchange_weight
from chainperp.node.health import Health
from chainperp.node.index.index import IndexUnavailable
from chainperp.node.info import explorer
from chainperp.node.info.registry import Context, Registry
from chainperp.node.openapi import openapi
from chainperp.node.producer import Stopped
from chainperp.node.room import Busy
from chainperp.storage.files import read_file
from chainperp.storage.history import LIMIT_MAX, read_history
from chainperp.storage.tiles import CHECKPOINT, VKEY
from chainperp.wire.actions import MAX_BODY_BYTES

UNDECODABLE: Final = "Failed to deserialize the JSON body into the target type"
JSON: Final = "application/json"
JSON_TYPES: Final = (JSON, f"{JSON};charset=utf-8", f'{JSON};charset="utf-8"')
"""A body without a type is taken as JSON."""
METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
PROMISE_HEADER: Final = "x-promise"
JSON_LINES: Final = "application/jsonl"
NUMBER: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
LOG_WEIGHT: Final = 1
HISTORY_WEIGHT: Final = 20
BODY_SECONDS: Final = 15
"""How long a body may stand still."""
EXPLORER_WEIGHT: Final = 40
EVIDENCE_WEIGHT: Final = 60
EVM_WEIGHT: Final = 12
"""A hundred requests a minute, as the public exchange's EVM takes."""


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


async def read_raw(request: Request) -> bytes:
    """The body of a request that must be JSON. Raises Refused naming what is wrong with it."""
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
    try:
        async with asyncio.timeout(BODY_SECONDS) as patience:
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise too_large
                parts.append(part)
                patience.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS)
    except TimeoutError as error:
        text = f"no more of the body came for {BODY_SECONDS} s"
        raise Refused(408, text, {"connection": "close"}) from error
    return b"".join(parts)


async def read_body(request: Request) -> Any:
    """The JSON document of a request. Raises Refused, NotJson naming what is wrong with it."""
    return json_of(await read_raw(request))


def _answered(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn every named error of a handler into its status and one line of text."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handle(request)
        except Refused as error:
            return PlainTextResponse(error.text, error.status, error.headers)
        except NotJson as error:
            return PlainTextResponse(str(error), 400)
        except BadRequest as error:
            return PlainTextResponse(f"{UNDECODABLE}: {error}", 422)
        except (Busy, EvmUnavailable, IndexUnavailable, Stopped) as error:
            return PlainTextResponse(str(error), 503, {"retry-after": "1"})
        except ClientDisconnect:
            # Nobody reads this: he left before his request was complete.
            return PlainTextResponse("the request was not complete", 400)
        except asyncio.CancelledError:
            # The node stops, and its patience with this request is at an end.
            return PlainTextResponse("the node is stopping", 503, {"connection": "close"})

    return endpoint


@dataclass(frozen=True, slots=True)
class Doors:
    """What the routes lead to."""

    exchange: Exchange
    registry: Registry
    context: Context
    dev: DevControls | None
    health: Health
    metrics: Callable[[], bytes]
    log_directory: Callable[[], Path]
    "Directory of the log's static files."
    gate: Gate
    limiter: WeightLimiter | None
    sockets: list[WebSocketRoute]
    evidence: Evidence
    evm: EvmProcess


class Surface:
    """The routes of one chain."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.description = openapi(doors.registry)

    def routes(self) -> list[Route]:
        """Paths, methods and who answers."""
        return [
            Route("/exchange", _answered(self.exchange), methods=["POST"]),
            Route("/info", _answered(self.info), methods=["POST"]),
            Route("/explorer", _answered(self.explorer), methods=["POST"]),
            Route("/dev", _answered(self.dev), methods=["POST"]),
            Route(EVM_PATH, self.evm, methods=["POST", "OPTIONS"]),
            Route("/log/checkpoints", _answered(self.checkpoints), methods=["GET"]),
            Route("/log/{path:path}", _answered(self.log), methods=["GET"]),
            Route("/proof/{kind}/{argument}", _answered(self.prove), methods=["GET"]),
            Route("/explain/{kind}/{argument}", _answered(self.explain), methods=["GET"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]

    def use(self, request: Request, weight: int) -> None:
        """Take weight from the sender's share of the minute."""
        limiter = self.doors.limiter
        if limiter is None:
            return
        wait = limiter.take(request.client.host if request.client else "", weight)
        if wait:
            raise Refused(429, "too many requests", {"retry-after": str(int(wait) + 1)})

    async def exchange(self, request: Request) -> Response:
        """A signed action."""
        body = await read_raw(request)
        if self.doors.limiter is not None:
            self.use(request, exchange_weight(batch_length(json_of(body))))
        wants_promise = request.headers.get(PROMISE_HEADER) == "1"
        return JsonBytes(await self.doors.exchange.handle(body, wants_promise=wants_promise))

    async def info(self, request: Request) -> Response:
        """A question."""
        document = await read_body(request)
        query, _ = self.doors.registry.read(document)
        self.use(request, query.weight)
        answer = await self.doors.registry.answer(self.doors.context, document)
        if answer.next_cursor is None:
            return JsonBytes(answer.document)
        headers = {"x-truncated": "true", "x-next-cursor": str(answer.next_cursor)}
        return JsonBytes(answer.document, headers=headers)

    async def explorer(self, request: Request) -> Response:
        """A block, a transaction, or an account's transactions."""
        document = await read_body(request)
        self.use(request, EXPLORER_WEIGHT)
        return JsonBytes(await explorer.ask(self.doors.context, document))

    async def dev(self, request: Request) -> Response:
        """A developer control."""
        if self.doors.dev is None:
            raise Refused(404, "developer controls are off: start the node with --dev")
        return JsonBytes(await self.doors.dev.handle(await read_body(request)))

    async def evm(self, request: Request) -> Response:
        """JSON-RPC of the EVM, or a browser's question whether a page may use it."""
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=self.doors.gate.preflight(origin))
        response = await _answered(self.rpc)(request)
        response.headers.update(self.doors.gate.cors(origin))
        return response

    async def rpc(self, request: Request) -> Response:
        """A JSON-RPC body, handed on as it is: the machine's own process reads it."""
        raw = await read_raw(request)
        if self.doors.evm.site() is None:
            raise Refused(404, NO_CONTRACTS)
        self.use(request, EVM_WEIGHT)
        found = await self.doors.evm.answer(raw)
        return Response(found, 200 if found else 204, media_type=JSON if found else None)

    async def log(self, request: Request) -> Response:
        """A static file of the log."""
        self.use(request, LOG_WEIGHT)
        path = request.path_params["path"]
        return await asyncio.to_thread(log_file, self.doors.log_directory(), path)

    async def checkpoints(self, request: Request) -> Response:
        """The checkpoints that were published after one of a size."""
        options = request.query_params
        after, limit = options.get("after", "0"), options.get("limit", str(LIMIT_MAX))
        if not (NUMBER.fullmatch(after) and NUMBER.fullmatch(limit)):
            raise Refused(400, "?after=SIZE and ?limit=N are whole numbers")
        if not 1 <= int(limit) <= LIMIT_MAX:
            raise Refused(400, f"?limit is 1 to {LIMIT_MAX}")
        self.use(request, HISTORY_WEIGHT)
        data = self.doors.log_directory().parent
        try:
            raw = await asyncio.to_thread(read_history, data, int(after), int(limit))
        except Invalid as error:
            raise Refused(500, str(error)) from error
        return Response(raw, headers={"cache-control": "no-cache"}, media_type=JSON_LINES)

    async def prove(self, request: Request) -> Response:
        """A proof of one fact in the log."""
        return await self._evidence("prove", request)

    async def explain(self, request: Request) -> Response:
        """Why something happened, with the numbers."""
        return await self._evidence("explain", request)

    async def _evidence(self, command: str, request: Request) -> Response:
        self.use(request, EVIDENCE_WEIGHT)
        path = request.path_params
        found = await self.doors.evidence.answer(
            command, path["kind"], path["argument"], request.query_params
        )
        kind = "text/plain; charset=utf-8" if found.is_text else JSON
        return Response(found.body, found.status, media_type=kind)

    async def health(self, _request: Request) -> Response:
        """Whether the loop turns."""
        is_well, document = self.doors.health.alive()
        return JsonBytes(document, 200 if is_well else 503)

    async def ready(self, _request: Request) -> Response:
        """Whether questions are answered."""
        is_well, document = self.doors.health.ready()
        return JsonBytes(document, 200 if is_well else 503)

    async def metrics(self, _request: Request) -> Response:
        """Figures for operators."""
        return Response(self.doors.metrics(), media_type=METRICS)

    async def openapi(self, _request: Request) -> Response:
        """The description of all this."""
        return JsonBytes(self.description)


def build_app(doors: Doors) -> ASGIApp:
    """The application for one chain."""
    handlers: dict[Any, Any] = {404: _plain_error, 405: _plain_error, Exception: _fault}
    routes: list[BaseRoute] = [*Surface(doors).routes(), *doors.sockets]
    app = Starlette(routes=routes, exception_handlers=handlers)
    return GateKeeper(app, doors.gate)


class GateKeeper:
    """Turns away who may not come in, before anything of the request is read."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or pass it on."""
        headers = Headers(scope=scope)
        refusal = self.gate.refusal(headers.get("host", ""), headers.get("origin"), scope["path"])
        if refusal is None:
            await self.app(scope, receive, send)
            return
        response = PlainTextResponse(refusal[1], refusal[0])
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)


def log_file(directory: Path, path: str) -> Response:
    """One of the log's static files, by its one name. Raises Refused 404 for every other."""
    if path in (CHECKPOINT, VKEY):
        raw = read_file(directory / path)
        headers = {"cache-control": "no-cache"}
        if raw is not None:
            return Response(raw, headers=headers, media_type="text/plain; charset=utf-8")
    elif parse_tile_path(path) is not None:
        raw = read_file(directory / path)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        if raw is not None:
            return Response(raw, headers=headers, media_type="application/octet-stream")
    raise Refused(404, "the log has no such file")


def batch_length(document: Any) -> int:
    """How many orders or cancels a request carries, as far as it can be told without judging it."""
    action = document.get("action") if isinstance(document, dict) else None
    if not isinstance(action, dict):
        return 1
    lists = (action.get(key) for key in ("orders", "cancels", "modifies"))
    return max((len(one) for one in lists if isinstance(one, list)), default=1)


async def _plain_error(_request: Request, error: Exception) -> Response:
    """An unknown path, or a method that a path does not have."""
    if not isinstance(error, HTTPException):
        raise error
    text = {404: "there is nothing here", 405: "the path has no such method"}[error.status_code]
    return PlainTextResponse(text, error.status_code, error.headers)


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours: the sender learns that it is, the operator what it is."""
    sys.stderr.write(f"fault at {request.url.path}: {type(error).__name__}: {error}\n")
    return PlainTextResponse("a fault of the node; the operator was told", 500)
