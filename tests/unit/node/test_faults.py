"""When the engine loop breaks: nobody waits for ever, and nothing more is accepted."""

import asyncio
import time
from pathlib import Path
from string import Formatter

import msgpack
import pytest

from chainperp.base.errors import InvariantBroken
from chainperp.chain.decode import transaction_of
from chainperp.client.wallet import address_of, development_key, sign_action
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import REASONS
from chainperp.model.envelope import encode_envelope
from chainperp.node.clock import Clock
from chainperp.node.halt import load_block
from chainperp.node.home import open_chain
from chainperp.node.producer import Pace, Producer, Stopped
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis
from chainperp.wire.signing import admit

KEY = development_key(0)
ACTION = {"type": "noop"}
FILLED = {
    "signer", "vault", "user", "required", "traded", "limit", "sub", "source", "destination",
    "bid", "ask", "minutes", "percent", "until", "equity",
}  # fmt: skip
"""Names that `refusals` fills in."""


def _transaction() -> Transaction:
    nonce = time.time_ns() // 1_000_000
    raw = encode_envelope(admit(sign_action(KEY, ACTION, nonce, "Testnet"), "Testnet"))
    return transaction_of(raw, address_of(KEY), msgpack.unpackb)


def test_who_waits_is_told_when_the_loop_breaks(tmp_path: Path) -> None:
    """Senders and readers get Stopped, later senders as well, and the fault ends the loop."""
    now = time.time_ns() // 1_000_000
    raw = build_genesis(
        "local/fault", now, [(address_of(KEY), 1)], accounts=[(address_of(KEY), 1_000)]
    )
    DataDir.create(tmp_path / "chain", raw, bytes(32)).close()
    chain = open_chain(tmp_path / "chain")
    # A store that was given up cannot write any more, as one whose disk has gone.
    chain.store.abandon()

    async def story() -> None:
        producer = Producer(chain.engine, chain.store, Clock(), Pace())
        sender = asyncio.ensure_future(producer.submit(_transaction()))
        loop = asyncio.ensure_future(producer.run())
        done, _ = await asyncio.wait((loop,), timeout=10)
        assert done
        assert loop.exception() is not None
        with pytest.raises(Stopped):
            await asyncio.wait_for(sender, 1)
        with pytest.raises(Stopped):
            await asyncio.wait_for(producer.when_settled(), 1)
        with pytest.raises(Stopped):
            await asyncio.wait_for(producer.submit(_transaction()), 1)

    asyncio.run(story())


def test_a_block_that_breaks_an_invariant_is_kept_and_can_be_made_again(tmp_path: Path) -> None:
    """Nothing of it is on disk; its inputs are in a file, and a sound engine takes them."""
    now = time.time_ns() // 1_000_000
    raw = build_genesis(
        "local/halt", now, [(address_of(KEY), 1)], accounts=[(address_of(KEY), 1_000)]
    )
    path = tmp_path / "chain"
    DataDir.create(path, raw, bytes(32)).close()
    chain = open_chain(path)
    producer = Producer(chain.engine, chain.store, Clock(), Pace())

    async def story() -> None:
        chain.engine.state.custody += 1
        sender = asyncio.ensure_future(producer.submit(_transaction()))
        await asyncio.sleep(0)
        with pytest.raises(InvariantBroken):
            await producer.make_block()
        with pytest.raises(Stopped):
            await sender

    asyncio.run(story())
    chain.store.abandon()
    assert producer.halted == path / "halted-000000000001.json"
    again = open_chain(path)
    assert again.engine.height == 0
    block = load_block(producer.halted)
    assert [one.signer for one in block.transactions] == [address_of(KEY)]
    assert again.engine.execute(block).height == 1
    again.store.abandon()


def test_every_name_in_a_refusal_is_filled() -> None:
    """A text may only ask for names that somebody gives it."""
    for code, reason in REASONS.items():
        wanted = {name for _, name, _, _ in Formatter().parse(reason.text) if name}
        assert wanted <= FILLED, code
