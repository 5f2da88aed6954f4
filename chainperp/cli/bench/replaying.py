"""A replay from end to end on two cores: `chainperp replay D --jobs 2` on a chain with snapshots.

Time on the clock from the start of the command to its answer, Python's own start included, as a
ratio to what two processes recover of bare signatures in the same time; and the processor time of
all its processes, which other programs do not disturb. Every transaction is signed and names one
order. Beside it one process's processor time on the first blocks, with and without signatures.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import coincurve
import msgpack

from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.cli.bench.flow import NEVER, START
from chainperp.cli.bench.stages import Stage, timed
from chainperp.cli.bench.two_cores import raw_rate
from chainperp.cli.draws import Draws
from chainperp.cli.replaying import Part, run_part
from chainperp.client.wallet import address_of
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.envelope import L1, Envelope, encode_envelope
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, rules_hash
from chainperp.storage.store import ChainStore
from chainperp.wire.recovery import signers_of
from chainperp.wire.signing import digest_of

RAW: Final = "raw recover"
RAW_TWO: Final = "raw recover, two processes"
RECOVERIES: Final = 10_000
FIRST_BLOCKS: Final = 20
TRADERS: Final = 100
PER_BLOCK: Final = 1_000
SNAPSHOTS: Final = 20
USDC: Final = 1_000_000
MIDDLE: Final = 29_750
# Of a hundred transactions: new orders near the touch, cancels; the rest crosses.
RESTING: Final = 50
CANCELS: Final = 40


class TradedChain:
    """A chain of signed transactions with one order each: half are new orders near the touch, the
    others cancel one or cross the book. Snapshots lie at regular heights."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.blocks = max(1, count // PER_BLOCK)
        self.draws = Draws("traded")
        self.keys = [sha256(b"trader %d" % index).digest() for index in range(TRADERS)]
        self.signers = [address_of(key) for key in self.keys]
        self.validator = sha256(b"validator").digest()
        self.nonce = START
        self.oid = 1
        self.placed: list[tuple[int, int]] = []
        "(trader, order id), of blocks that are over"
        self.folder = TemporaryDirectory(prefix="chainperp-bench-")
        self.path = Path(self.folder.name) / "chain"
        self._make()

    def _make(self) -> None:
        """Execute and store every block, with its snapshots."""
        every = max(1, self.blocks // SNAPSHOTS)
        genesis = build_genesis(
            "bench/traded", START, [(address_of(self.validator), 1)],
            accounts=[(one, USDC) for one in self.signers],
            parameters={"snapshot_interval": every, "nonce_window_past_ms": NEVER * 1_000},
        )  # fmt: skip
        DataDir.create(self.path, genesis, bytes(32)).close()
        engine = Engine(parse_genesis(genesis), rules_hash())
        with ChainStore.open(self.path, snapshots_kept=NEVER) as store:
            store.commit(engine.seal_genesis())
            for height in range(1, self.blocks + 1):
                store.commit(engine.execute(self._block(engine, height)))
                if engine.is_snapshot_height(height):
                    store.save_snapshot(height, engine.snapshot())

    def _block(self, engine: Engine, height: int) -> BlockInput:
        fresh: list[tuple[int, int]] = []
        transactions = [self._one(fresh) for _ in range(PER_BLOCK)]
        self.placed += fresh
        return BlockInput(
            START + 200 * height, engine.genesis.proposer, [self._vote()], transactions
        )

    def _one(self, fresh: list[tuple[int, int]]) -> Transaction:
        """The next transaction; `fresh` takes what this block places."""
        kind = self.draws.below(100)
        if kind < CANCELS and self.placed:
            at = self.draws.below(len(self.placed))
            trader, oid = self.placed[at]
            self.placed[at] = self.placed[-1]
            self.placed.pop()
            action: dict[str, Any] = {"type": "cancel", "cancels": [{"a": 0, "o": oid}]}
        else:
            trader = self.draws.below(TRADERS)
            is_resting = kind < CANCELS + RESTING
            action = {"type": "order", "orders": [self._order(is_resting)], "grouping": "na"}
            if is_resting:
                fresh.append((trader, self.oid))
            self.oid += 1
        raw = self._signed(self.keys[trader], action)
        return transaction_of(raw, self.signers[trader], msgpack.unpackb)

    def _order(self, is_resting: bool) -> dict[str, Any]:
        """Near the touch, or far through it."""
        is_buy = self.draws.below(2) == 0
        away = 1 + self.draws.below(100) if is_resting else -200
        tif = "Gtc" if is_resting else "Ioc"
        return {
            "a": 0, "b": is_buy, "p": str(MIDDLE - away if is_buy else MIDDLE + away),
            "s": f"0.0{1 + self.draws.below(9)}", "r": False, "t": {"limit": {"tif": tif}},
        }  # fmt: skip

    def _vote(self) -> SystemInput:
        price = str(MIDDLE + self.draws.below(21) - 10)
        raw = self._signed(self.validator, {"type": "setGlobal", "pxs": [{"a": 0, "p": price}]})
        return vote_input(raw, Address(address_of(self.validator)), msgpack.unpackb)

    def _signed(self, key: bytes, action: dict[str, Any]) -> bytes:
        """Envelope of an action under the next nonce."""
        self.nonce += 1
        packed: bytes = msgpack.packb(action)
        digest = digest_of(Envelope(L1, self.nonce, None, None, packed, 27, b"", b""), "Testnet")
        found = coincurve.PrivateKey(key).sign_recoverable(digest, hasher=None)
        v = 27 + found[64]
        signed = Envelope(L1, self.nonce, None, None, packed, v, found[:32], found[32:64])
        return encode_envelope(signed)

    def command(self) -> tuple[float, float]:
        """Seconds on the clock of a replay with two processes, and seconds of processor time."""
        import chainperp

        home = str(Path(chainperp.__file__).resolve().parents[1])
        found = os.environ.get("PYTHONPATH", "")
        environment = {
            **os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join((home, found)),
        }  # fmt: skip
        line = [sys.executable, "-m", "chainperp", "replay", str(self.path), "--jobs", "2"]
        start, before = perf_counter(), getrusage(RUSAGE_CHILDREN)
        subprocess.run(line, env=environment, stdout=subprocess.DEVNULL, check=True)
        after = getrusage(RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return perf_counter() - start, used

    def walk(self, with_signatures: bool) -> float:
        """Processor microseconds for a transaction of the first blocks, in this process."""
        last = min(self.blocks, FIRST_BLOCKS)
        part = Part(str(self.path), 0, last)
        recover = _signers if with_signatures else None
        return timed(lambda: run_part(part, recover, msgpack.unpackb), last * PER_BLOCK)


def _signers(envelopes: list[bytes]) -> list[bytes | str]:
    return signers_of(envelopes, "Testnet")


def replay_stages(count: int) -> list[Stage]:
    """Replays of a chain of so many transactions."""
    chain = TradedChain(count)
    used: list[float] = []

    def on_the_clock() -> float:
        wall, processors = chain.command()
        used[:] = [processors]
        return wall * 1e6 / count

    return [
        Stage(RAW_TWO, "signature", RAW_TWO, None, lambda: raw_rate(2, RECOVERIES).wall_us),
        Stage("replay --jobs 2, on the clock", "tx", RAW_TWO, None, on_the_clock),
        Stage("replay --jobs 2, all processors", "tx", RAW, None, lambda: used[0] * 1e6 / count),
        Stage("replay of blocks of 1,000, signed", "tx", RAW, None, lambda: chain.walk(True)),
        Stage("the same without signatures", "tx", RAW, None, lambda: chain.walk(False)),
    ]
