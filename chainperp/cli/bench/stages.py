"""The stages that `chainperp bench` measures: each prepares once and then runs in rounds.

A stage's run returns microseconds per unit of its own work. References are loops of the bare
library call under it, measured in the same rounds, so that ratios survive a slow machine.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import coincurve
import msgpack

from chainperp.chain.engine import Engine
from chainperp.cli.bench.flow import NEVER, Flow, flow_blocks, flow_engine
from chainperp.client.wallet import development_key, sign_action
from chainperp.model.envelope import encode_envelope
from chainperp.node.finding import Refusal, findings
from chainperp.storage.collector import collector_off, settle
from chainperp.storage.datadir import DataDir
from chainperp.storage.store import ChainStore
from chainperp.wire.actions import canonical_action, read_json
from chainperp.wire.recovery import signers_of
from chainperp.wire.signing import action_hash, admit, digest_of, recover_envelope
from chainperp.wire.typed_data import agent_digest

Run = Callable[[], float]
BATCH = 300
FLOW_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class Stage:
    """One measured stage. `budget` is microseconds per unit, None for a reference loop."""

    name: str
    unit: str
    reference: str
    budget: float | None
    run: Run


def timed(work: Callable[[], object], units: int) -> float:
    """Processor time per unit of one call, in microseconds: other programs do not count. Without
    the garbage collector, as a node executes a block."""
    with collector_off():
        start = process_time()
        work()
        return (process_time() - start) * 1e6 / units


def timed_wall(work: Callable[[], object], units: int) -> float:
    """Time on the clock per unit, where waiting for the disk is the point."""
    start = perf_counter()
    work()
    return (perf_counter() - start) * 1e6 / units


def signed_bodies(count: int) -> list[bytes]:
    """Bodies of `POST /exchange` with one order each, signed by a development key."""
    key = development_key(0)
    bodies = []
    for index in range(count):
        order = {"a": 0, "b": True, "p": str(29_000 + index), "s": "0.01", "r": False,
                 "t": {"limit": {"tif": "Gtc"}}}  # fmt: skip
        action = {"type": "order", "orders": [order], "grouping": "na"}
        body = sign_action(key, action, 1_700_000_000_000 + index, "Testnet")
        bodies.append(json.dumps(body).encode("ascii"))
    return bodies


def crypto_stages() -> list[Stage]:
    """Signature recovery and everything before it, per transaction."""
    bodies = signed_bodies(BATCH)
    envelopes = [admit(read_json(body), "Testnet") for body in bodies]
    raws = [encode_envelope(envelope) for envelope in envelopes]
    pairs = [(digest_of(one, "Testnet"), one.r + one.s + bytes([one.v - 27])) for one in envelopes]

    def raw_recover() -> None:
        for digest, signature in pairs:
            coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)

    def recover() -> None:
        for one in envelopes:
            recover_envelope(one, "Testnet")

    def decode() -> None:
        for body in bodies:
            request = read_json(body)
            packed = msgpack.packb(canonical_action(request["action"]))
            agent_digest(action_hash(packed, request["nonce"], None, None), "Testnet")

    def whole() -> None:
        if any(isinstance(one, Refusal) for one in findings(bodies, "Testnet")):
            raise RuntimeError("an honest request was refused")

    def check_logged() -> None:
        signers_of(raws, "Testnet")

    return [
        Stage("raw recover", "signature", "raw recover", None, lambda: timed(raw_recover, BATCH)),
        Stage("recover signer", "tx", "raw recover", 80.0, lambda: timed(recover, BATCH)),
        Stage("decode, hash, digest", "tx", "raw recover", 15.0, lambda: timed(decode, BATCH)),
        Stage("bytes to signer, whole", "tx", "raw recover", None, lambda: timed(whole, BATCH)),
        Stage("check a logged tx", "tx", "raw recover", None, lambda: timed(check_logged, BATCH)),
    ]


def hash_stage() -> Stage:
    """The reference for everything that is hashed into the log: SHA-256 of 200 bytes."""
    piece = b"x" * 200

    def work() -> None:
        for _ in range(20_000):
            hashlib.sha256(piece).digest()

    return Stage("raw SHA-256, 200 B", "hash", "raw SHA-256, 200 B", None,
                 lambda: timed(work, 20_000))  # fmt: skip


def flow_stage(accounts: int, name: str, budget: float | None, markets: int = 10) -> Stage:
    """Check, match, margin, apply, record and log append, on the standard flow."""
    engine = flow_engine(accounts, markets)
    flow = Flow(accounts, markets)
    for block in flow_blocks(flow, engine, 10, FLOW_BLOCK):
        engine.execute(block)

    return Stage(name, "operation", "raw SHA-256, 200 B", budget, flow_run(engine, flow))


def flow_run(engine: Engine, flow: Flow, *, has_rounds: bool = True) -> Run:
    """Executes the next four blocks of the flow, each after an oracle round or without one."""

    def run() -> float:
        blocks = list(flow_blocks(flow, engine, 4, FLOW_BLOCK))
        for block in blocks:
            if not has_rounds:
                block.system.clear()
        return timed(lambda: [engine.execute(block) for block in blocks], 4 * FLOW_BLOCK)

    return run


def commit_stage(accounts: int) -> Stage:
    """State commitment: encode and hash what 1,000 operations touched."""
    engine = flow_engine(accounts)
    flow = Flow(accounts, seed="commit")
    engine.commitment.commit(engine.state)

    def run() -> float:
        for block in flow_blocks(flow, engine, 1, FLOW_BLOCK):
            engine.execute(block)
        touched = len(engine.state.changed_accounts)
        return timed(lambda: engine.commitment.commit(engine.state), touched)

    return Stage(f"state commitment, {accounts // 1000}k accounts", "touched account",
                 "raw SHA-256, 200 B", 60.0, run)  # fmt: skip


def durable_stage() -> Stage:
    """One durable block of about 1,000 entries: segment write, fsync, tiles."""
    engine = flow_engine(1_000)
    flow = Flow(1_000, seed="durable")
    folder = tempfile.TemporaryDirectory(prefix="chainperp-bench-")
    path = Path(folder.name) / "chain"
    DataDir.create(path, engine.genesis.raw, bytes(32)).close()
    store = ChainStore.open(path, checkpoint_interval_ms=NEVER)
    store.commit(engine.seal_genesis())

    def run(keep: object = folder) -> float:
        block = next(iter(flow_blocks(flow, engine, 1, 420)))
        sealed = engine.execute(block)
        return timed_wall(lambda: store.commit(sealed), 1)

    return Stage("durable commit, ~1,000 entries", "block", "raw SHA-256, 200 B", 3_000.0, run)


def freeze() -> None:
    """Take what was prepared out of the garbage collector's way."""
    settle()
