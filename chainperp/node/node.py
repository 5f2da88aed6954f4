"""One running chain and everything that serves it, put together."""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn

from chainperp.client.witness import Witness
from chainperp.node.app import Doors, build_app
from chainperp.node.clock import Clock
from chainperp.node.cosigning import Cosigning
from chainperp.node.dev import DevControls
from chainperp.node.evidence import Evidence
from chainperp.node.evm_child import Site
from chainperp.node.evm_process import EvmProcess
from chainperp.node.evm_site import copy_machine, site_of
from chainperp.node.exchange import Exchange
from chainperp.node.gate import Gate, WeightLimiter, is_local
from chainperp.node.health import Health
from chainperp.node.home import OpenChain, open_chain
from chainperp.node.index.index import Index
from chainperp.node.info.catalogue import QUERIES
from chainperp.node.info.registry import Context, Registry
from chainperp.node.keeping import ANCHOR_INTERVAL, Keeping
from chainperp.node.metrics import Metrics
from chainperp.node.past import Past
from chainperp.node.prices import PriceFeed
from chainperp.node.producer import Pace, Producer
from chainperp.node.promises import Promiser
from chainperp.node.socket.hub import Hub
from chainperp.node.socket.limits import LOCAL, SocketLimits
from chainperp.node.socket.posts import Posts
from chainperp.node.socket.route import socket_routes
from chainperp.storage.branch import branch
from chainperp.wire.typed_data import Network

IDLE_MS: Final = 3_000
WALK_MS: Final = 1_000
"""How often an idle chain makes a block, and how often while prices walk along a path."""

PROCESSES_MAX: Final = 4
"""More processes than this check signatures faster than one executes transactions."""

DROP_AFTER_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How a node is run."""

    path: Path
    host: str = "127.0.0.1"
    port: int = 3001
    pace: Pace = field(default_factory=Pace)
    validator_keys: tuple[bytes, ...] = ()
    recovery_processes: int = min(os.cpu_count() or 1, PROCESSES_MAX)
    is_dev: bool = False
    has_limits: bool = False
    socket_limits: SocketLimits = LOCAL
    witnesses: tuple[Witness, ...] = ()
    anchor_interval: int = ANCHOR_INTERVAL
    "Blocks between anchors that nothing else asks for; 0: none."


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
        self.index = Index.open(chain.store)
        promiser = Promiser(lambda: self.chain.store)
        self.exchange = Exchange(self.producer, self.network, settings.recovery_processes, promiser)
        self.registry = Registry(QUERIES)
        self.context = Context(
            lambda: self.producer.engine.state,
            self.clock,
            self.producer.when_settled,
            lambda: self.index,
            lambda: self.keeping,
        )
        self.hub = Hub(
            self.context,
            self.registry,
            lambda oid: self.index.placed_ms(oid),
            settings.socket_limits,
        )
        self.metrics = Metrics(self.producer, lambda: len(self.hub.clients))
        self.cosigning = Cosigning(self.producer, settings.witnesses, _say)
        self.cosigning.register(self.metrics.registry)
        self.past = Past(self.producer, _say)
        self.cosigning.on_cosigned.append(self.past.keep)
        self._site = self._new_site()
        self.evm = EvmProcess(lambda: self._site, lambda: self.clock.now() // 1000)
        self.keeping = Keeping(self.producer, self.evm, _say, settings.anchor_interval)
        self.keeping.register(self.metrics.registry)
        self.health = Health(self.producer)
        self.health.checks["index"] = lambda: self.index.problem()
        self.producer.listeners += [
            lambda published: self.index.add(published),
            self.hub.on_block,
            self.metrics.on_block,
            self.past.look,
            self.cosigning.look,
            self.keeping.look,
        ]
        self.server: uvicorn.Server | None = None
        self._branches = 0
        self.app = build_app(self._doors())

    def _doors(self) -> Doors:
        return Doors(
            self.exchange,
            self.registry,
            self.context,
            DevControls(self) if self.settings.is_dev else None,
            self.health,
            self.metrics.text,
            lambda: self.chain.store.data.log,
            Gate(is_local(self.settings.host)),
            WeightLimiter() if self.settings.has_limits else None,
            socket_routes(self.hub, Posts(self.exchange, self.registry, self.context)),
            Evidence(lambda: self.chain.store.data.path),
            self.evm,
        )

    def _new_feed(self) -> PriceFeed:
        state = self.producer.engine.state
        return PriceFeed(state, self.settings.validator_keys, self.network)

    def _new_site(self) -> Site | None:
        chain = self.chain
        return site_of(chain.store.data.path, chain.engine, is_dev=self.settings.is_dev)

    def _vote(self, time_ms: int) -> None:
        for vote in self.feed.votes(time_ms):
            self.producer.queue_system(vote)
        self.producer.pace.idle_ms = WALK_MS if self.feed.paths else IDLE_MS

    async def go_back(self, height: int, evm_lines: int) -> str:
        """Leave the chain as it is and go on from a height in a branch; its directory.

        `evm_lines`: how much of the EVM's journal the branch begins with.
        """
        async with self.producer.between_blocks():
            old = self.chain
            target = self._next_branch()
            self.keeping.leave()
            branch(old.store.data, height, target)
            copy_machine(old.store.data.path, target, evm_lines)
            self.chain = open_chain(target)
            self.index.close()
            self.index = Index.open(self.chain.store)
            old.store.close()
            self.producer.adopt(self.chain.engine, self.chain.store)
            self.feed = self._new_feed()
            self.clock.move_to(self.chain.engine.state.time_ms)
            self._site = self._new_site()
            self.evm.leave()
            self.keeping.arrive()
            self.hub.reset()
        return str(target)

    def _next_branch(self) -> Path:
        """A directory beside the chain's that nobody uses."""
        path = self.settings.path
        while True:
            self._branches += 1
            target = path.with_name(f"{path.name}-branch-{self._branches}")
            if not target.exists():
                return target

    def drop_connections(self) -> int:
        """Close every connection of every client; how many there were."""
        dropped = self.hub.drop_connections()
        if self.server is None:
            return dropped
        connections = list(self.server.server_state.connections)
        # The one that asked gets its answer first.
        asyncio.get_running_loop().call_later(DROP_AFTER_SECONDS, _abort, connections)
        return dropped + len(connections)

    def close(self, *, is_whole: bool) -> None:
        """Let go of everything; `is_whole` False leaves the disk as it is."""
        self.exchange.intake.close()
        self.evm.close()
        self.index.close()
        if is_whole:
            self.chain.store.close()
        else:
            self.chain.store.abandon()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _abort(connections: list[Any]) -> None:
    for one in connections:
        if one.transport is not None:
            one.transport.abort()
