"""Where a transaction's time goes inside the node: each stage alone, in one process, in CPU time.

What is left between their sum and the node's CPU time per transaction under load is HTTP, the
event loop and handing over between tasks.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgpack

from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of
from chainperp.client.wallet import address_of, development_key
from chainperp.model.blocks import BlockInput, Transaction
from chainperp.model.envelope import encode_envelope
from chainperp.node.answers import answer
from chainperp.node.effects import Published
from chainperp.node.home import open_chain
from chainperp.node.prices import PriceFeed
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis
from chainperp.wire.actions import read_json
from chainperp.wire.recovery import admitted_signers
from chainperp.wire.signing import admit
from tests.load.requests import signed_bodies

COUNT = 3_000
PER_BLOCK = 32
ACCOUNTS = 10


class Stages:
    """CPU microseconds per transaction, by stage."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    def time(self, name: str, run: Callable[[], Any]) -> Any:
        """Time one stage over all transactions."""
        start = time.process_time()
        value = run()
        self.rows.append((name, (time.process_time() - start) / COUNT * 1e6))
        return value

    def show(self) -> None:
        """A line for each stage, and their sum."""
        for name, cost in self.rows:
            print(f"  {name:<44} {cost:7.1f} us")
        print(f"  {'sum':<44} {sum(cost for _, cost in self.rows):7.1f} us")


def measure(path: Path) -> Stages:
    """Take the same transactions through every stage."""
    keys = [development_key(index) for index in range(ACCOUNTS)]
    now = time.time_ns() // 1_000_000
    funded: list[tuple[bytes, int]] = [(address_of(key), 1_000_000) for key in keys]
    validator = development_key(1_000)
    raw = build_genesis("local/stages", now, [(address_of(validator), 1)], accounts=[*funded])
    DataDir.create(path, raw, bytes(32)).close()
    chain = open_chain(path)
    engine, store = chain.engine, chain.store
    feed = PriceFeed(engine.state, (validator,), "Testnet")
    bodies = list(islice(signed_bodies(now, ACCOUNTS, 1, 1), COUNT))
    stages = Stages()
    documents = stages.time("JSON of the request", lambda: [read_json(one) for one in bodies])
    admitted = stages.time("shape, canonical action, msgpack (admit)",
                           lambda: [admit(one, "Testnet") for one in documents])  # fmt: skip
    envelopes = stages.time("envelope bytes", lambda: [encode_envelope(one) for one in admitted])
    signers = stages.time("signer (digest and recovery; other process)",
                          lambda: admitted_signers(admitted, "Testnet"))  # fmt: skip
    transactions: list[Transaction] = stages.time("typed action", lambda: [
        transaction_of(envelope, signer, msgpack.unpackb)
        for envelope, signer in zip(envelopes, signers, strict=True)
        if isinstance(signer, bytes)
    ])  # fmt: skip
    blocks = [transactions[at : at + PER_BLOCK] for at in range(0, COUNT, PER_BLOCK)]
    state = engine.state
    firsts: list[int] = []

    def execute() -> list[Any]:
        sealed: list[Any] = []
        for number, block in enumerate(blocks):
            at = now + 1_000 + number * 15
            firsts.append(state.next_oid)
            sealed.append(
                engine.execute(
                    BlockInput(at, Address(engine.genesis.proposer), feed.votes(at), block)
                )
            )
        return sealed

    sealed = stages.time(f"execute, seal, state root ({PER_BLOCK} a block)", execute)

    def write() -> None:
        for one in sealed:
            store.commit(one)

    stages.time("write and flush", write)
    published = stages.time("records for readers", lambda: [Published.of(one) for one in sealed])

    def reply() -> list[Any]:
        found: list[Any] = []
        for block, first, one in zip(blocks, firsts, published, strict=True):
            effects = [each for each in one.effects if not each.is_system]
            for transaction, each in zip(block, effects, strict=True):
                found.append(answer(state, transaction, each, first))
        return found

    replies = stages.time("answer", reply)
    stages.time("JSON of the answer", lambda: [json.dumps(one).encode() for one in replies])
    store.abandon()
    return stages


def main() -> int:
    """Print the table."""
    with TemporaryDirectory(prefix="chainperp-stages-") as scratch:
        print(f"CPU per transaction inside the node, {COUNT} single orders:")
        measure(Path(scratch) / "chain").show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
