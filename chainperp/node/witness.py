"""A witness over HTTP: C2SP's add-checkpoint, and what it cosigned last.

    POST /add-checkpoint            judge and cosign a checkpoint
    GET  /<hex>/checkpoint          last cosigned checkpoint; <hex> is SHA-256 of the log's origin
    GET  /vkey                      the witness's verifier key, for people: a client is told it
                                    by other means

Decides nothing: `evidence.witness` judges, `storage.witness` stores and signs. A refusal's body is
one sentence for people, except that of 409, which is the size that was cosigned last.
"""

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chainperp.evidence.note import format_vkey
from chainperp.evidence.witness import REQUEST_BYTES_MAX, SIZE_TYPE, Answer
from chainperp.storage.files import StorageFault
from chainperp.storage.witness import WitnessStore

GRACE_S = 5


def witness_app(store: WitnessStore, clock: Callable[[], int]) -> Starlette:
    """The witness's routes. `clock` gives Unix seconds."""

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > REQUEST_BYTES_MAX:
                return PlainTextResponse("request is too long\n", Answer.MALFORMED)
        try:
            judged, reply = await run_in_threadpool(store.answer, bytes(body), clock())
        except StorageFault as error:
            store.warn(f"STOPPED SIGNING: {error}")
            return PlainTextResponse("this witness cannot write to its disk\n", 503)
        if judged.answer is Answer.COSIGNED:
            return PlainTextResponse(reply)
        if judged.answer is Answer.OTHER_SIZE:
            # As a header: the framework would add a charset, and clients compare the whole value.
            return Response(reply, judged.answer, headers={"Content-Type": SIZE_TYPE})
        return PlainTextResponse(judged.sentence + "\n", judged.answer)

    async def checkpoint(request: Request) -> Response:
        found = await run_in_threadpool(store.checkpoint, request.path_params["name"])
        if found is None:
            return PlainTextResponse("no checkpoint of such a log was cosigned here\n", 404)
        return PlainTextResponse(found, headers={"Cache-Control": "no-cache"})

    async def vkey(_request: Request) -> Response:
        return PlainTextResponse(format_vkey(store.key) + "\n")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{name}/checkpoint", checkpoint, methods=["GET"]),
            Route("/vkey", vkey, methods=["GET"]),
        ]
    )


def serve_witness(store: WitnessStore, clock: Callable[[], int], listener: socket.socket) -> None:
    """Answer on a bound socket until SIGTERM or SIGINT; requests under way are finished."""
    config = uvicorn.Config(
        witness_app(store, clock),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
