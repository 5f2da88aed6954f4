"""Exchanges and order books from PyPI on the standard flow, where they are installed.

lightmatchingengine and pyorderbook only match: no margin, no fees, no records and no log, so that
what they take is what a bare book costs in Python. nautilus_trader's simulated exchange also keeps
a margin account and every order's events. Each runs in a process of its own, which may be another
interpreter, and gets the same operations in the order in which our engine executes them.

Not the same: they have no accounts (nautilus_trader has one), no decision record and no log. They
are told to take out what our self-trade prevention took out, some ten orders in a hundred thousand
operations, so that all fills must agree: number, market, price, size and order.
"""

import atexit
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from chainperp import BUILD, __version__
from chainperp.base.errors import InvalidFile
from chainperp.build import PACKAGE
from chainperp.chain.engine import SealedBlock
from chainperp.cli.bench.flow import VALIDATOR, Flow, flow_blocks, flow_engine
from chainperp.cli.bench.peer_process import ADD, CANCEL, QUOTE, REPLACE, WITHDRAW, Row, Tape
from chainperp.cli.bench.stages import Stage, hash_stage, timed
from chainperp.cli.output import Progress
from chainperp.model.actions import (
    CancelOrders,
    ModifyOrders,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
)
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.rules.ordering import action_class

ACCOUNTS: Final = 10_000
BLOCK: Final = 1_000
BLOCKS_PER_SLICE: Final = 2
SLICE: Final = BLOCK * BLOCKS_PER_SLICE
TICK_E8: Final = 10_000
LOT_E8: Final = 1_000_000
START: Final = (
    "import sys; sys.path.append(sys.argv[2]); "
    "from chainperp.cli.bench.peer_process import main; sys.exit(main(sys.argv[1]))"
)


class Share(NamedTuple):
    """How much of the flow a peer gets: before `bench` measures it, in each of its rounds, and in a
    comparison. What a slow one is spared are the fuller books, where it would be slower."""

    warm: int
    batch: int
    limit: int
    words: str


PEERS: Final = {
    "lightmatchingengine": Share(10_000, 4_000, 1_000_000, "matching only"),
    "pyorderbook": Share(10_000, 4_000, 1_000_000, "matching only"),
    "nautilus_trader": Share(1_000, 200, 10_000, "margin account, one trader"),
}


def rows_of(block: BlockInput, withdrawn: dict[int, list[int]], oid: int) -> tuple[list[Row], int]:
    """A block's prices and operations as a peer reads them, as they are executed, and the next
    order id. `withdrawn` are orders that go before an operation, by its number."""
    rows: list[Row] = []
    for item in block.system:
        if item.vote is not None and isinstance(item.vote.action, OracleVote):
            rows.extend([QUOTE, asset, price // TICK_E8] for asset, price, _ in
                        item.vote.action.prices)  # fmt: skip
    ordered = sorted(block.transactions, key=lambda one: action_class(one.action))
    for number, transaction in enumerate(ordered):
        rows.extend([WITHDRAW, gone] for gone in withdrawn.get(number, ()))
        action = transaction.action
        if isinstance(action, PlaceOrders):
            rows.append([ADD, oid, *_terms(action.orders[0])])
            oid += 1
        elif isinstance(action, ModifyOrders):
            old, request = action.modifies[0]
            rows.append([REPLACE, int(old), oid, *_terms(request)])
            oid += 1
        elif isinstance(action, CancelOrders):
            rows.append([CANCEL, int(action.targets[0][1])])
    return rows, oid


def _terms(request: OrderRequest) -> Row:
    return [request.asset, int(request.is_buy), request.price // TICK_E8, request.size // LOT_E8,
            int(request.tif is TimeInForce.IOC)]  # fmt: skip


def read_block(sealed: SealedBlock, tape: Tape) -> dict[int, list[int]]:
    """Put a block's fills on the tape; returns which orders self-trade prevention took out while
    an operation was carried out, by the operation's number."""
    withdrawn: dict[int, list[int]] = {}
    number = -1
    for raw in sealed.entries:
        entry = decode_entry(raw)
        if entry.kind is Kind.TX_USER:
            number += 1
        elif entry.kind is Kind.FILL:
            fields = decode_payload(entry)
            tape.add([(fields["asset"], fields["price"], fields["lots"])])
        elif entry.kind is Kind.ORDER:
            fields = decode_payload(entry)
            if fields["reason"] == Rejection.SELF_TRADE:
                withdrawn.setdefault(number, []).append(fields["oid"])
    return withdrawn


class PeerProcess:
    """A peer that runs beside us. `version` is None where the interpreter does not have it."""

    def __init__(self, name: str, python: Path) -> None:
        """Raises InvalidFile when the interpreter cannot be started."""
        self.name = name
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        command = [str(python), "-c", START, name, str(PACKAGE.parent)]
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
            )
        except OSError as error:
            raise InvalidFile(f"{python} cannot be started: {error}") from error
        atexit.register(self.close)
        self.version: str | None = self._read()

    def _read(self) -> Any:
        line = self.process.stdout.readline() if self.process.stdout else b""
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().decode("utf-8", "replace").strip().splitlines()
            raise InvalidFile(f"{self.name} ended: {said[-1] if said else 'without a word'}")
        return json.loads(line)

    def play(self, rows: list[Row]) -> dict[str, Any]:
        """What it did with these rows: `seconds`, and its `fills`, `lots`, `digest` so far."""
        if self.process.stdin is not None:
            self.process.stdin.write(json.dumps(rows).encode("ascii") + b"\n")
            self.process.stdin.flush()
        answer: dict[str, Any] = self._read()
        return answer

    def close(self) -> None:
        """End it, and wait for that."""
        atexit.unregister(self.close)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        self.process.wait()
        self.errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def installed(python: Path) -> list[PeerProcess]:
    """The peers that an interpreter has, started."""
    found: list[PeerProcess] = []
    for name in PEERS:
        peer = PeerProcess(name, python)
        if peer.version is None:
            peer.close()
        else:
            found.append(peer)
    return found


def peer_stages(python: Path) -> list[Stage]:
    """A stage for each peer that is installed."""
    return [_peer_stage(peer) for peer in installed(python)]


def _peer_stage(peer: PeerProcess) -> Stage:
    share = PEERS[peer.name]
    flow, oid = Flow(ACCOUNTS), 1

    def rows(count: int) -> list[Row]:
        nonlocal oid
        block = BlockInput(0, VALIDATOR, [flow.oracle_round()], flow.transactions(count))
        found, oid = rows_of(block, {}, oid)
        return found

    for _ in range(0, share.warm, BLOCK):
        peer.play(rows(BLOCK))

    def run() -> float:
        seconds: float = peer.play(rows(share.batch))["seconds"]
        return seconds * 1e6 / share.batch

    title = f"peer {peer.name}: {share.words}"
    return Stage(title, "operation", "raw SHA-256, 200 B", None, run)


class Runner:
    """One of those that play the flow: processor time of each slice, and whether its fills are
    ours after each of them."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.spent: list[float] = []
        self.fills = 0
        self.lots = 0
        self.same = True

    def row(self, ours: list[float], hashed: float) -> dict[str, Any]:
        """Its line of the table; `ours` are our times of the same slices."""
        mean = sum(self.spent) / len(self.spent)
        return {
            "who": self.name,
            "operations": len(self.spent) * SLICE,
            "mean": round(mean, 2),
            "first": round(self.spent[0], 2),
            "last": round(self.spent[-1], 2),
            "hashes": round(mean / hashed, 1),
            "ours": round(len(self.spent) * mean / sum(ours[: len(self.spent)]), 3),
            "fills": self.fills,
            "lots": self.lots,
            "same_fills": self.same,
        }


def compare_peers(operations: int, python: Path, step: Progress) -> dict[str, Any]:
    """Play the flow from empty books through our engine and every peer, slice by slice in turn.

    Times are microseconds of processor time for each operation: `mean` over all that a peer got,
    `first` and `last` of one slice, `ours` as a ratio to our engine on the same operations.
    """
    peers = installed(python)
    us = Runner("chainperp", operations)
    others = [Runner(f"{peer.name} {peer.version}", PEERS[peer.name].limit) for peer in peers]
    engine, flow, tape, oid = flow_engine(ACCOUNTS), Flow(ACCOUNTS), Tape(), 1
    reference, hashes = hash_stage(), list[float]()
    slices = max(1, operations // SLICE)
    for number in range(slices):
        blocks = list(flow_blocks(flow, engine, BLOCKS_PER_SLICE, BLOCK))
        done: list[SealedBlock] = []
        us.spent.append(timed(lambda: done.extend(map(engine.execute, blocks)), SLICE))  # noqa: B023
        hashes.append(reference.run())
        rows: list[Row] = []
        for block, sealed in zip(blocks, done, strict=True):
            more, oid = rows_of(block, read_block(sealed, tape), oid)
            rows.extend(more)
        us.fills, us.lots = tape.count, tape.lots
        for peer, runner in zip(peers, others, strict=True):
            if number * SLICE < runner.limit:
                _play(peer, runner, rows, tape)
        step(number + 1, slices)
    for peer in peers:
        peer.close()
    hashed = median(hashes)
    table = [runner.row(us.spent, hashed) for runner in (us, *others)]
    return {
        "ok": all(row["same_fills"] for row in table),
        "version": __version__,
        "build": BUILD.words,
        "peers": table,
    }


def _play(peer: PeerProcess, runner: Runner, rows: list[Row], tape: Tape) -> None:
    answer = peer.play(rows)
    runner.spent.append(answer["seconds"] * 1e6 / SLICE)
    runner.fills, runner.lots = answer["fills"], answer["lots"]
    runner.same = runner.same and answer["digest"] == tape.document()["digest"]
