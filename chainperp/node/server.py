"""One node process: chain, engine loop, HTTP server, and how it stops.

SIGTERM and SIGINT finish the block that is being made, answer it, flush, and exit with 0. A fault
of the engine or the disk ends the process before anything of the block was published.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from chainperp.base.errors import NotFound
from chainperp.node.connections import Connection, allow_descriptors
from chainperp.node.home import open_chain
from chainperp.node.node import Node, Settings
from chainperp.node.socket.protocol import MESSAGE_MAX, PING_SECONDS, SocketProtocol

Say = Callable[[str], None]
BACKLOG: Final = 1024
KEEP_ALIVE_SECONDS: Final = 75
STOP_SECONDS: Final = 3
"""How long a stopping node waits for clients to take their answers."""


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before the block is
    finished; `listening` is set when connections are accepted."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the node."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()


async def serve(settings: Settings, say: Say, ready: Callable[[Node], None]) -> None:
    """Run a node until it is told to stop. `ready` is called when it listens.

    Raises: NotFound when the address cannot be used; what ended the engine loop or the store.
    """
    listener = bind(settings.host, settings.port)
    chain = open_chain(settings.path)
    for note in chain.notes:
        say(note)
    node = Node(settings, chain, listener.getsockname()[1])
    node.exchange.intake.start()
    server = node.server = Server(uvicorn_config(node))
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if not node.producer.engine.height:
        # The first block brings the prices: whoever connects can trade at once.
        await node.producer.make_block()
    node.past.look()
    node.cosigning.start()
    node.keeping.start()
    blocks = asyncio.create_task(node.producer.run())
    web = asyncio.create_task(server.serve([listener]))
    stop = asyncio.create_task(told.wait())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait((listening, blocks, web, stop), return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        ready(node)
    await asyncio.wait((blocks, web, stop), return_when=asyncio.FIRST_COMPLETED)
    is_whole = not blocks.done() or blocks.exception() is None
    await node.keeping.finish()
    await node.producer.stop()
    server.should_exit = True
    # Who waits for the EVM is told now, not when the patience with him is at an end.
    await asyncio.to_thread(node.evm.close)
    await web
    if node.producer.halted is not None:
        say(f"halted: the inputs of the block that could not be made are in {node.producer.halted}")
    if is_whole:
        await node.cosigning.finish()
    node.close(is_whole=is_whole)
    if is_whole:
        # Closing publishes what was not published yet.
        node.past.look()
    await blocks


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address. Raises NotFound when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise NotFound(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def uvicorn_config(node: Node, ping_seconds: float = PING_SECONDS) -> uvicorn.Config:
    """How the HTTP server is run."""
    return uvicorn.Config(
        node.app,
        http=Connection,
        limit_concurrency=allow_descriptors(),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        ws=SocketProtocol,
        ws_max_size=MESSAGE_MAX,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        ws_per_message_deflate=False,
        lifespan="off",
    )
