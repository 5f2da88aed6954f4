"""A signed transaction from its JSON to the disk, and again in a replay: whole processes' work.

Processor time of one process, signatures included, as a ratio to raw recovery. Two processes do
the double of it where the work divides: the node recovers in a pool, a replay is cut at snapshots.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgpack

from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.chain.replay import Recover, Replay
from chainperp.cli.bench.flow import NEVER, START
from chainperp.cli.bench.stages import Stage, signed_bodies, timed
from chainperp.client.wallet import address_of, development_key, sign_action
from chainperp.model.blocks import BlockInput, Transaction
from chainperp.model.envelope import encode_envelope
from chainperp.node.finding import Refusal, findings
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, rules_hash
from chainperp.storage.segments import read_blocks
from chainperp.storage.store import ChainStore
from chainperp.wire.recovery import signers_of
from chainperp.wire.signing import admit

ORDERS: Final = 1_500
PER_BLOCK: Final = 500
REFERENCE: Final = "raw recover"
USDC: Final = 100_000_000


class SignedChain:
    """A chain of one-order transactions, made as a node makes it."""

    def __init__(self) -> None:
        self.bodies = signed_bodies(ORDERS)
        person, self.validator = development_key(0), development_key(1_000)
        self.genesis = build_genesis(
            "bench/signed", START, [(address_of(self.validator), 1)],
            accounts=[(address_of(person), USDC)],
            parameters={"nonce_window_past_ms": NEVER * 1_000, "recount_interval": NEVER},
        )  # fmt: skip
        self.parsed = parse_genesis(self.genesis)
        self.folder = TemporaryDirectory(prefix="chainperp-bench-")
        self.runs = 0
        self.vote = self._vote()
        self.make()

    def _vote(self) -> bytes:
        """One signed vote, for the front of the first block."""
        action = {"type": "setGlobal", "pxs": [{"a": 0, "p": "29750"}]}
        document = sign_action(self.validator, action, START + 1, "Testnet")
        return encode_envelope(admit(document, "Testnet"))

    def make(self) -> float:
        """Everything from JSON to disk, on a chain of its own. Processor time of a transaction in
        microseconds; an empty chain in its directory is there before the clock starts."""
        self.runs += 1
        path = self._path(self.runs)
        DataDir.create(path, self.genesis, bytes(32)).close()
        engine = Engine(self.parsed, rules_hash())
        with ChainStore.open(path) as store:
            store.commit(engine.seal_genesis())
            return timed(lambda: self._fill(engine, store), ORDERS)

    def _path(self, run: int) -> Path:
        return Path(self.folder.name) / str(run)

    def _fill(self, engine: Engine, store: ChainStore) -> None:
        for at in range(0, ORDERS, PER_BLOCK):
            block = self._block(self.bodies[at : at + PER_BLOCK], at)
            store.commit(engine.execute(block))

    def _block(self, bodies: list[bytes], at: int) -> BlockInput:
        found: list[Transaction] = []
        for one in findings(bodies, "Testnet"):
            if isinstance(one, Refusal):
                raise RuntimeError(f"an honest request was refused: {one.text}")
            found.append(transaction_of(*one, msgpack.unpackb))
        voter = Address(address_of(self.validator))
        system = [] if at else [vote_input(self.vote, voter, msgpack.unpackb)]
        return BlockInput(START + 1_000 + at, self.parsed.proposer, system, found)

    def replay(self, recover: Recover | None) -> float:
        """Re-execute the chain that was made first; as `make`, from a state that is there."""
        run = Replay(self.parsed, rules_hash(), recover, msgpack.unpackb)
        return timed(lambda: self._feed(run), ORDERS)

    def _feed(self, run: Replay) -> None:
        for block in read_blocks(self._path(1) / "segments"):
            if run.feed(block.height, block.entries) is not None:
                raise RuntimeError(f"an honest chain was refused: {run.report.divergence}")


def _signers(envelopes: list[bytes]) -> list[bytes | str]:
    return signers_of(envelopes, "Testnet")


def chain_stages() -> list[Stage]:
    """Making and replaying signed orders. The budgets are ratios: see docs/performance.md."""
    chain = SignedChain()
    return [
        Stage("signed order, JSON to disk", "tx", REFERENCE, None, chain.make),
        Stage("replay with signatures", "tx", REFERENCE, None, lambda: chain.replay(_signers)),
        Stage("replay without signatures", "tx", REFERENCE, None, lambda: chain.replay(None)),
    ]
