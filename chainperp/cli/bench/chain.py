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
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, rules_hash
from chainperp.storage.segments import read_blocks
from chainperp.storage.store import ChainStore
from chainperp.wire.actions import read_json
from chainperp.wire.recovery import recovered_signers, signers_of
from chainperp.wire.signing import admit

ORDERS: Final = 1_500
PER_BLOCK: Final = 150
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
        self.folder = TemporaryDirectory(prefix="chainperp-bench-")
        self.runs = 0
        self.vote = self._vote()
        self.path = self.make()

    def _vote(self) -> bytes:
        """One signed vote, for the front of the first block."""
        action = {"type": "setGlobal", "pxs": [{"a": 0, "p": "29750"}]}
        document = sign_action(self.validator, action, START + 1, "Testnet")
        return encode_envelope(admit(document, "Testnet"))

    def make(self) -> Path:
        """Everything from JSON to disk, on a chain of its own."""
        self.runs += 1
        path = Path(self.folder.name) / str(self.runs)
        DataDir.create(path, self.genesis, bytes(32)).close()
        engine = Engine(parse_genesis(self.genesis), rules_hash())
        with ChainStore.open(path) as store:
            store.commit(engine.seal_genesis())
            for at in range(0, ORDERS, PER_BLOCK):
                block = self._block(engine, self.bodies[at : at + PER_BLOCK], at)
                store.commit(engine.execute(block))
        return path

    def _block(self, engine: Engine, bodies: list[bytes], at: int) -> BlockInput:
        raws = [encode_envelope(admit(read_json(body), "Testnet")) for body in bodies]
        found: list[Transaction] = []
        for raw, signer in zip(raws, recovered_signers(raws, "Testnet"), strict=True):
            if isinstance(signer, str):
                raise RuntimeError(f"an honest signature was refused: {signer}")
            found.append(transaction_of(raw, signer, msgpack.unpackb))
        voter = Address(address_of(self.validator))
        system = [] if at else [vote_input(self.vote, voter, msgpack.unpackb)]
        return BlockInput(START + 1_000 + at, engine.genesis.proposer, system, found)

    def replay(self, recover: Recover | None) -> None:
        """Re-execute the chain that was made first."""
        run = Replay(parse_genesis(self.genesis), rules_hash(), recover, msgpack.unpackb)
        for block in read_blocks(self.path / "segments"):
            if run.feed(block.height, block.entries) is not None:
                raise RuntimeError(f"an honest chain was refused: {run.report.divergence}")


def _signers(envelopes: list[bytes]) -> list[bytes | str]:
    return signers_of(envelopes, "Testnet")


def chain_stages() -> list[Stage]:
    """Making and replaying signed orders. The budgets are ratios: see docs/performance.md."""
    chain = SignedChain()
    return [
        Stage("signed order, JSON to disk", "tx", REFERENCE, None,
              lambda: timed(chain.make, ORDERS)),
        Stage("replay with signatures", "tx", REFERENCE, None,
              lambda: timed(lambda: chain.replay(_signers), ORDERS)),
        Stage("replay without signatures", "tx", REFERENCE, None,
              lambda: timed(lambda: chain.replay(None), ORDERS)),
    ]  # fmt: skip
