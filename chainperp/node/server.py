"""One node process: chain, engine loop, HTTP server, and how it stops.

SIGTERM and SIGINT finish the block that is being made, answer it, flush, and exit with 0. A fault
of the engine or the disk ends the process before anything of the block was published.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn

from chainperp.base.errors import NotFound
from chainperp.node.app import Doors, build_app
from chainperp.node.clock import Clock
from chainperp.node.dev import DevControls
from chainperp.node.exchange import Exchange
from chainperp.node.gate import Gate, WeightLimiter, is_local
from chainperp.node.health import Health
from chainperp.node.home import OpenChain, open_chain
from chainperp.node.index.index import Index
from chainperp.node.info.catalogue import QUERIES
from chainperp.node.info.registry import Context, Registry
from chainperp.node.metrics import Metrics
from chainperp.node.pool import SignerPool
from chainperp.node.prices import PriceFeed
from chainperp.node.producer import Pace, Producer
from chainperp.storage.branch import branch
from chainperp.wire.typed_data import Network

Say = Callable[[str], None]
BACKLOG: Final = 1024
IDLE_MS: Final = 3_000
WALK_MS: Final = 1_000
"""How often an idle chain makes a block, and how often while prices walk along a path."""

DROP_AFTER_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How a node is run."""

    path: Path
    host: str = "127.0.0.1"
    port: int = 3001
    pace: Pace = field(default_factory=Pace)
    validator_keys: tuple[bytes, ...] = ()
    recovery_processes: int = 1
    is_dev: bool = False
    has_limits: bool = False


class Node:
    """Everything that belongs to one running chain. A developer control may change the chain."""

    def __init__(self, settings: Settings, chain: OpenChain, port: int) -> None:
        genesis = chain.engine.genesis
        self.network: Network = "Mainnet" if genesis.network == "Mainnet" else "Testnet"
        self.settings = settings
        self.port = port
        self.chain = chain
        self.clock = Clock()
        self.producer = Producer(chain.engine, chain.store, self.clock, settings.pace)
        self.producer.before_block.append(self._vote)
        self.feed = self._new_feed()
        self.pool = SignerPool(self.network, settings.recovery_processes)
        self.exchange = Exchange(self.producer, self.pool, self.network)
        self.index = Index.open(chain.store)
        self.producer.listeners.append(lambda published: self.index.add(published))
        self.registry = Registry(QUERIES)
        self.context = Context(
            lambda: self.producer.engine.state,
            self.clock,
            self.producer.settled.wait,
            lambda: self.index,
        )
        self.health = Health(self.producer)
        self.health.checks["index"] = lambda: self.index.problem()
        self.metrics = Metrics(self.producer)
        self.producer.listeners.append(self.metrics.on_block)
        self.server: uvicorn.Server | None = None
        self._branches = 0
        self.app = build_app(
            Doors(
                self.exchange,
                self.registry,
                self.context,
                DevControls(self) if settings.is_dev else None,
                self.health,
                self.metrics.text,
                lambda: self.chain.store.data.log,
                Gate(is_local(settings.host)),
                WeightLimiter() if settings.has_limits else None,
            )
        )

    def _new_feed(self) -> PriceFeed:
        state = self.producer.engine.state
        return PriceFeed(state, self.settings.validator_keys, self.network)

    def _vote(self, time_ms: int) -> None:
        for vote in self.feed.votes(time_ms):
            self.producer.queue_system(vote)
        self.producer.pace.idle_ms = WALK_MS if self.feed.paths else IDLE_MS

    async def go_back(self, height: int) -> str:
        """Leave the chain as it is and go on from a height in a branch; its directory."""
        async with self.producer.between_blocks():
            old = self.chain
            self._branches += 1
            path = self.settings.path
            target = path.with_name(f"{path.name}-branch-{self._branches}")
            while target.exists():
                self._branches += 1
                target = path.with_name(f"{path.name}-branch-{self._branches}")
            branch(old.store.data, height, target)
            self.chain = open_chain(target)
            self.index.close()
            old.store.close()
            self.index = Index.open(self.chain.store)
            self.producer.adopt(self.chain.engine, self.chain.store)
            self.feed = self._new_feed()
            self.clock.move_to(self.chain.engine.state.time_ms)
        return str(target)

    def drop_connections(self) -> int:
        """Close every connection of every client; how many there were."""
        server = self.server
        if server is None:
            return 0
        connections = list(server.server_state.connections)
        # The one that asked gets its answer first.
        asyncio.get_running_loop().call_later(DROP_AFTER_SECONDS, _abort, connections)
        return len(connections)


def _abort(connections: list[Any]) -> None:
    for one in connections:
        if one.transport is not None:
            one.transport.abort()


class _Server(uvicorn.Server):
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
    listener = _bind(settings.host, settings.port)
    chain = open_chain(settings.path)
    for note in chain.notes:
        say(note)
    node = Node(settings, chain, listener.getsockname()[1])
    node.pool.start()
    server = node.server = _Server(_config(node))
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if not node.producer.engine.height:
        # The first block brings the prices: whoever connects can trade at once.
        await node.producer.make_block()
    blocks = asyncio.create_task(node.producer.run())
    web = asyncio.create_task(server.serve([listener]))
    stop = asyncio.create_task(told.wait())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait((listening, blocks, web, stop), return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        ready(node)
    await asyncio.wait((blocks, web, stop), return_when=asyncio.FIRST_COMPLETED)
    is_whole = not blocks.done() or blocks.exception() is None
    await node.producer.stop()
    server.should_exit = True
    await web
    node.pool.close()
    node.index.close()
    if is_whole:
        node.chain.store.close()
    else:
        node.chain.store.abandon()
    await blocks


def _bind(host: str, port: int) -> socket.socket:
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


def _config(node: Node) -> uvicorn.Config:
    return uvicorn.Config(
        node.app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        lifespan="off",
    )
