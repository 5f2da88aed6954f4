"""The solo driver: signed requests in, durable blocks out.

A request is admitted (form, signature) before it may wait for a block; a block is executed, made
durable, and only then answered. Time is handed in.
"""

from collections.abc import Iterable

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.envelope import encode_envelope
from chainperp.storage.collector import collector_off
from chainperp.storage.store import ChainStore
from chainperp.wire.recovery import recover_signers
from chainperp.wire.signing import admit, recover_envelope
from chainperp.wire.typed_data import Network


class Sequencer:
    """One chain's engine with its store, and what waits for the next block."""

    def __init__(self, engine: Engine, store: ChainStore, network: Network) -> None:
        self.engine = engine
        self.store = store
        self.network: Network = network
        self.waiting: list[Transaction] = []
        self.system: list[SystemInput] = []

    def start(self) -> SealedBlock:
        """Seal and store block 0 of a new chain."""
        sealed = self.engine.seal_genesis()
        self.store.commit(sealed)
        return sealed

    def submit(self, request: object) -> Transaction:
        """Admit a signed request. Raises BadRequest naming what is wrong with it."""
        envelope = admit(request, self.network)
        signers = recover_signers(envelope, self.network)
        raw = encode_envelope(envelope)
        try:
            transaction = transaction_of(raw, signers, msgpack.unpackb)
        except InvalidBytes as error:
            raise BadRequest("action", str(error)) from error
        self.waiting.append(transaction)
        return transaction

    def submit_vote(self, request: object) -> None:
        """Admit a validator's signed prices for the front of the next block."""
        envelope = admit(request, self.network)
        signer = recover_envelope(envelope, self.network)
        self.system.append(vote_input(encode_envelope(envelope), signer, msgpack.unpackb))

    def add_system(self, inputs: Iterable[SystemInput]) -> None:
        """Queue recorded inputs (deposits, payouts)."""
        self.system.extend(inputs)

    def make_block(self, time_ms: int, proposer: Address | None = None) -> SealedBlock:
        """Execute everything that waits, make it durable, and keep a snapshot when one is due."""
        block = BlockInput(
            time_ms,
            self.engine.genesis.proposer if proposer is None else proposer,
            self.system,
            self.waiting,
        )
        self.system, self.waiting = [], []
        with collector_off():
            sealed = self.engine.execute(block)
        self.store.commit(sealed)
        if self.engine.is_snapshot_height(sealed.height):
            self.store.save_snapshot(sealed.height, self.engine.snapshot())
        return sealed
