"""Signers of a chain that is replayed, recovered ahead of execution."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from chainperp.base import canonical
from chainperp.chain.replay import TX_SYSTEM, TX_USER
from chainperp.cli.sources import Blocks
from chainperp.model.decisions import Kind, SystemType
from chainperp.model.entries import HEADER_SIZE, cut_transaction
from chainperp.model.records import SCHEMAS
from chainperp.transition.block import VOTE_BODY
from chainperp.wire.recovery import signers_of
from chainperp.wire.typed_data import Network

BATCH = 200
AHEAD_BATCHES = 8
# Blocks, their envelopes, and the signers as they come out of the pool.
Group = tuple[list[tuple[int, list[bytes]]], list[bytes], "Future[list[bytes | str]]"]


class SignersAhead:
    """Recovers signers ahead of execution, in a pool when there is one."""

    def __init__(self, network: Network, pool: ProcessPoolExecutor | None) -> None:
        self.network = network
        self.pool = pool
        self.found: dict[bytes, bytes | str] = {}

    def recover(self, envelopes: list[bytes]) -> list[bytes | str]:
        """Signers of a block's envelopes: those found ahead, or found now."""
        if self.pool is None:
            return list(signers_of(envelopes, self.network))
        return [self.found[raw] for raw in envelopes]

    def blocks(self, blocks: Blocks) -> Blocks:
        """The same blocks; their signatures are being worked on before they come out."""
        pool = self.pool
        if pool is None:
            yield from blocks
            return
        groups: deque[Group] = deque()
        for group, waiting in _grouped(blocks):
            groups.append((group, waiting, pool.submit(signers_of, waiting, self.network)))
            if len(groups) > AHEAD_BATCHES:
                yield from self._finish(groups.popleft())
        while groups:
            yield from self._finish(groups.popleft())

    def _finish(self, ready: Group) -> Blocks:
        group, envelopes, future = ready
        self.found = dict(zip(envelopes, future.result(), strict=True))
        yield from group


def _grouped(blocks: Blocks) -> Iterator[tuple[list[tuple[int, list[bytes]]], list[bytes]]]:
    """Blocks in groups that hold about one batch of envelopes."""
    group: list[tuple[int, list[bytes]]] = []
    waiting: list[bytes] = []
    for height, entries in blocks:
        group.append((height, entries))
        waiting.extend(envelopes_of(entries))
        if len(waiting) >= BATCH:
            yield group, waiting
            group, waiting = [], []
    yield group, waiting


def envelopes_of(entries: list[bytes]) -> list[bytes]:
    """Envelopes of a block's transactions and oracle votes, in order."""
    found: list[bytes] = []
    for raw in entries:
        kind = raw[1:3]
        if kind == TX_USER:
            found.append(cut_transaction(raw)[0])
        elif kind == TX_SYSTEM:
            fields = canonical.decode(SCHEMAS[Kind.TX_SYSTEM], raw[HEADER_SIZE:])
            if fields["type"] == SystemType.ORACLE_VOTE:
                found.append(canonical.decode(VOTE_BODY, fields["body"])["envelope"])
    return found
