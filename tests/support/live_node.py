"""A node in a thread of the test process, reached over the network as any client reaches it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from chainperp.client.wallet import address_of, development_key, sign_action
from chainperp.node.clock import now_ms
from chainperp.node.effects import Published
from chainperp.node.home import open_chain
from chainperp.node.node import Node, Settings
from chainperp.node.producer import Pace
from chainperp.node.server import Server, bind, uvicorn_config
from chainperp.node.socket.limits import LOCAL, SocketLimits
from chainperp.node.socket.protocol import PING_SECONDS
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis

T = TypeVar("T")

TRADERS = 10
VALIDATOR_INDEX = 1_000
USDC = 1_000_000


class LiveNode:
    """A running node, its keys and the blocks that it has published."""

    def __init__(self, path: Path, pace: Pace, limits: SocketLimits, ping: float) -> None:
        self.keys = [development_key(index) for index in range(TRADERS)]
        self.users = ["0x" + address_of(key).hex() for key in self.keys]
        self.blocks: list[Published] = []
        self.port = 0
        self._pace = pace
        self._limits = limits
        self._ping = ping
        self._path = path
        self._nonce = now_ms()
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Base address over HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Address of the socket."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def start(self) -> None:
        """Run in the background until `stop`."""
        self._thread.start()
        self._ready.wait(60)
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """End the node as SIGTERM does."""
        if not self._thread.is_alive():
            return
        self.loop.call_soon_threadsafe(self._told.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the node does not stop"
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:  # noqa: BLE001 (told to the test's thread)
            self._fault = fault
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        validator = development_key(VALIDATOR_INDEX)
        funded = [(address_of(key), USDC) for key in self.keys]
        raw = build_genesis(
            "local/chainperp",
            now_ms(),
            [(address_of(validator), 1)],
            accounts=[*funded, (BACKSTOP_VAULT, 10 * USDC), (INSURANCE, USDC)],
        )
        DataDir.create(self._path, raw, sha256(b"live node").digest()).close()
        settings = Settings(
            self._path,
            pace=self._pace,
            validator_keys=(validator,),
            recovery_processes=0,
            socket_limits=self._limits,
        )
        listener = bind("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.node = Node(settings, open_chain(self._path), self.port)
        self.hub = self.node.hub
        producer = self.node.producer
        producer.listeners.append(self.blocks.append)
        server = Server(uvicorn_config(self.node, self._ping))
        await producer.make_block()
        blocks = asyncio.create_task(producer.run())
        web = asyncio.create_task(server.serve([listener]))
        await server.listening.wait()
        self._ready.set()
        told = asyncio.create_task(self._told.wait())
        await asyncio.wait((told, blocks), return_when=asyncio.FIRST_COMPLETED)
        await producer.stop()
        server.should_exit = True
        await web
        self.node.close(is_whole=True)
        await blocks

    # --- what tests do to it ---------------------------------------------------------------------

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the node's loop and wait for it."""
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result(30)

    def read(self, look: Callable[[], T]) -> T:
        """Look at something on the node's loop."""

        async def looked() -> T:
            return look()

        return self.call(looked())

    def signed(self, trader: int, action: dict[str, Any]) -> dict[str, Any]:
        """A signed request of a trader."""
        self._nonce = max(self._nonce + 1, now_ms())
        return sign_action(self.keys[trader], action, self._nonce, "Testnet")

    def body(self, trader: int, action: dict[str, Any]) -> bytes:
        """A signed request of a trader, as HTTP hands it on."""
        return json.dumps(self.signed(trader, action)).encode()

    def act(self, trader: int, action: dict[str, Any]) -> Any:
        """Sign an action and let it be executed; the reply."""
        return self.call(self.node.exchange.handle(self.body(trader, action)))

    def order(
        self, trader: int, is_buy: bool, price: str, size: str, asset: int = 0, tif: str = "Gtc"
    ) -> Any:
        """Place one order; its status."""
        order = limit_order(asset, is_buy, price, size, tif)
        reply = self.act(trader, {"type": "order", "orders": [order], "grouping": "na"})
        return reply["response"]["data"]["statuses"][0]

    def set_price(self, asset: int, price_e8: int) -> None:
        """Move the oracle price and make a block with it."""
        self.read(lambda: self.node.feed.set_price(asset, price_e8))
        self.call(self.node.producer.make_block())

    def drop(self) -> int:
        """Close every socket; how many there were."""
        return self.read(self.hub.drop_connections)

    def make_block(self) -> Published:
        """Make a block of whatever waits."""
        return self.call(self.node.producer.make_block())


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def limit_order(
    asset: int, is_buy: bool, price: str, size: str, tif: str = "Gtc"
) -> dict[str, Any]:
    """A limit order as the wire has it."""
    return {
        "a": asset, "b": is_buy, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}},
    }  # fmt: skip


@contextmanager
def live_node(
    pace: Pace | None = None, limits: SocketLimits = LOCAL, ping: float = PING_SECONDS
) -> Iterator[LiveNode]:
    """A node for the length of a test. Without a pace, blocks are made when something waits."""
    with TemporaryDirectory(prefix="chainperp-live-") as scratch:
        node = LiveNode(Path(scratch) / "chain", pace or Pace(idle_ms=0), limits, ping)
        node.start()
        try:
            yield node
        finally:
            node.stop()
