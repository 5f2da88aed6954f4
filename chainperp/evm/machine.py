"""One EVM, deterministic: what it does follows from its genesis and the transactions handed in.

py-evm executes, with the rules of the Prague fork. Each transaction is a block of its own, at a
time that the caller hands in; nothing here reads a clock, a file or a socket. The same genesis and
the same (time, transaction) pairs give the same block hashes on every machine.

Units: wei, gas, seconds since 1970. Importing py-evm takes a second, so it happens on first use.
Source: audit-log-and-consensus 19.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any, Final

from chainperp.base.errors import BadRequest

CHAIN_ID: Final = 1337
GAS_LIMIT: Final = 30_000_000
BASE_FEE: Final = 1_000_000_000
"""Wei per gas in block 0; from there the London rule moves it."""
TYPES: Final = (0, 1, 2, 4)
"""Transaction types that are taken: legacy, access list, dynamic fee, set code. Not blobs."""
FRAMES: Final = 20_000
"""30 million gas reach about 610 calls deep (each keeps back 1/64), at ten Python frames each."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What block 0 is made of."""

    balances: tuple[tuple[bytes, int], ...] = ()
    "Addresses and what they have, in wei."
    timestamp: int = 1_700_000_000
    chain_id: int = CHAIN_ID


@dataclass(frozen=True, slots=True)
class Message:
    """A call or creation that is tried without being recorded."""

    sender: bytes
    to: bytes
    "Empty to create a contract."
    data: bytes = b""
    value: int = 0
    gas: int = GAS_LIMIT


@dataclass(frozen=True, slots=True)
class Tried:
    """What a message would do: output or revert data, why it failed (empty if it did not), gas."""

    output: bytes
    failure: str
    gas_used: int
    gas_refunded: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it was made: py-evm's header, and at most one transaction with its receipt."""

    header: Any
    transaction: Any | None = None
    receipt: Any | None = None
    raw: bytes = b""
    created: bytes = b""
    "Address of the contract that the transaction made, or empty."

    @property
    def number(self) -> int:
        """Height, from 0."""
        return int(self.header.block_number)

    @property
    def hash(self) -> bytes:
        """Block hash."""
        return bytes(self.header.hash)

    @property
    def timestamp(self) -> int:
        """Seconds."""
        return int(self.header.timestamp)

    @property
    def gas_used(self) -> int:
        """Gas of its transaction."""
        return int(self.header.gas_used)

    @property
    def succeeded(self) -> bool:
        """Whether its transaction did not revert."""
        return self.receipt is not None and self.receipt.state_root == b"\x01"


@contextmanager
def room_for_calls() -> Iterator[None]:
    """More Python frames while contracts call each other, and only then."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@cache
def load_py_evm() -> None:
    """Import py-evm. It raises Python's limit of recursion to 100,000 when it is imported first,
    and deep JSON could then overrun the C stack: the limit stays as it was."""
    before = sys.getrecursionlimit()
    import_module("eth.vm.forks.prague")
    sys.setrecursionlimit(before)


@cache
def chain_class(chain_id: int) -> Any:
    """py-evm's chain for our rules: Prague from block 0, a gas limit that never moves."""
    load_py_evm()
    from eth.chains.base import MiningChain
    from eth.vm.forks.prague import PragueVM

    class Chain(MiningChain):
        """Prague from the first block on."""

        vm_configuration: Any = ((0, PragueVM),)

        @classmethod
        def create_header_from_parent(cls, parent_header: Any, **given: Any) -> Any:
            given.setdefault("gas_limit", parent_header.gas_limit)
            vm = cls.get_vm_class_for_block_number(parent_header.block_number + 1)
            return vm.create_header_from_parent(parent_header, **given)

    Chain.chain_id = chain_id
    return Chain


def refuse(message: str) -> BadRequest:
    """A transaction that the machine does not take."""
    return BadRequest("transaction", message)


class Machine:
    """An EVM with its blocks and state in memory.

    Invariant: `blocks[n]` is block n, and the last one's state root is the present state.
    """

    __slots__ = ("_chain", "blocks", "by_hash", "genesis", "places")

    def __init__(self, genesis: Genesis) -> None:
        load_py_evm()
        from eth.db.atomic import AtomicDB

        self.genesis = genesis
        header = {
            "difficulty": 0, "mix_hash": bytes(32), "coinbase": bytes(20), "nonce": bytes(8),
            "timestamp": genesis.timestamp, "gas_limit": GAS_LIMIT, "extra_data": b"",
            "base_fee_per_gas": BASE_FEE, "parent_beacon_block_root": bytes(32),
        }  # fmt: skip
        accounts = {
            address: {"balance": balance, "nonce": 0, "code": b"", "storage": {}}
            for address, balance in genesis.balances
        }
        self._chain = chain_class(genesis.chain_id).from_genesis(AtomicDB(), header, accounts)
        self.blocks: list[Block] = [Block(self._chain.get_canonical_head())]
        self.by_hash: dict[bytes, int] = {self.blocks[0].hash: 0}
        self.places: dict[bytes, int] = {}
        "Number of the block of each transaction, by its hash."

    @property
    def head(self) -> Block:
        """The last block."""
        return self.blocks[-1]

    def next_timestamp(self, now: int) -> int:
        """Time of the next block: now, but later than the last block."""
        return max(now, self.head.timestamp + 1)

    def mine(self, now: int) -> Block:
        """Add an empty block."""
        self._begin(now)
        return self._end(Block(None))

    def submit(self, raw: bytes, now: int) -> Block:
        """Execute a signed transaction in a block of its own.

        A transaction that reverts is executed: its block says so.
        Raises: BadRequest `transaction` when it cannot be in a block (form, chain id, nonce,
        balance, fee, gas); the machine is then as it was.
        """
        transaction = self._read(raw)
        self._begin(now)
        from eth.exceptions import PyEVMError
        from eth_utils.exceptions import ValidationError

        before = self._chain.header
        try:
            with room_for_calls():
                _block, receipt, computation = self._chain.apply_transaction(transaction)
        except (ValidationError, PyEVMError) as error:
            self._chain.header = before
            raise refuse(f"refused: {error}") from error
        created = computation.msg.storage_address if computation.msg.is_create else b""
        return self._end(Block(None, transaction, receipt, raw, bytes(created)))

    def _begin(self, now: int) -> None:
        parent = self.head.header
        header = self._chain.create_header_from_parent(parent)
        self._chain.header = header.copy(timestamp=self.next_timestamp(now))

    def _end(self, made: Block) -> Block:
        mined = self._chain.mine_block()
        block = Block(mined.header, made.transaction, made.receipt, made.raw, made.created)
        self.blocks.append(block)
        self.by_hash[block.hash] = block.number
        if block.transaction is not None:
            self.places[bytes(block.transaction.hash)] = block.number
        return block

    def _read(self, raw: bytes) -> Any:
        """The transaction in these bytes, checked as far as bytes and the present state allow."""
        kind = raw[0] if raw and raw[0] < 0x80 else 0
        if kind not in TYPES:
            raise refuse(f"transaction type {kind} not supported")
        try:
            transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
            transaction.validate()
            sender = bytes(transaction.sender)
        except Exception as error:
            raise refuse(f"not a signed transaction: {type(error).__name__}") from error
        if transaction.chain_id != self.genesis.chain_id:
            given = transaction.chain_id
            raise refuse(f"invalid chain id for signer: {given}, expected {self.genesis.chain_id}")
        self._check_account(transaction, sender)
        return transaction

    def _check_account(self, transaction: Any, sender: bytes) -> None:
        """The refusals that wallets know, in their words."""
        nonce, expected = transaction.nonce, self.nonce(sender)
        if nonce != expected:
            word = "too low" if nonce < expected else "too high"
            raise refuse(f"nonce {word}: address 0x{sender.hex()}, tx: {nonce} state: {expected}")
        if transaction.gas > GAS_LIMIT:
            raise refuse(f"exceeds block gas limit: {transaction.gas} of {GAS_LIMIT}")
        if transaction.gas < transaction.intrinsic_gas:
            need = transaction.intrinsic_gas
            raise refuse(f"intrinsic gas too low: gas {transaction.gas}, minimum needed {need}")
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if cost > self.balance(sender):
            raise refuse(
                "insufficient funds for gas * price + value: address "
                f"0x{sender.hex()} have {self.balance(sender)} want {cost}"
            )

    # What the state says, at a block or at the head.

    def _state(self, block: Block | None) -> Any:
        return self._chain.get_vm((block or self.head).header).state

    def balance(self, address: bytes, at: Block | None = None) -> int:
        """Wei of an account."""
        return int(self._state(at).get_balance(address))

    def nonce(self, address: bytes, at: Block | None = None) -> int:
        """Transactions that an account has sent (for a contract: contracts made, plus one)."""
        return int(self._state(at).get_nonce(address))

    def code(self, address: bytes, at: Block | None = None) -> bytes:
        """Code of an account; empty for one without."""
        return bytes(self._state(at).get_code(address))

    def storage(self, address: bytes, slot: int, at: Block | None = None) -> int:
        """One storage slot of a contract."""
        return int(self._state(at).get_storage(address, slot))

    def base_fee(self) -> int:
        """Wei per gas that the next block will ask."""
        header = self._chain.create_header_from_parent(self.head.header)
        return int(header.base_fee_per_gas)

    def attempt(self, message: Message, now: int, at: Block | None = None) -> Tried:
        """Execute a message on the state after a block, and forget it.

        On the head, time is that of the next block; on an older block, that block's. Gas is free.
        Raises: BadRequest `transaction` when it could not be in a block.
        """
        from eth.exceptions import PyEVMError
        from eth_utils.exceptions import ValidationError

        base = at or self.head
        is_head = base.number == self.head.number
        vm = self._chain.get_vm(base.header)
        header = self._chain.create_header_from_parent(base.header).copy(
            timestamp=self.next_timestamp(now) if is_head else base.timestamp, base_fee_per_gas=0
        )
        hashes = (
            one.hash for one in reversed(self.blocks[max(0, base.number - 255) : base.number + 1])
        )
        state = vm.build_state(self._chain.chaindb.db, header, vm.chain_context, hashes)
        try:
            with room_for_calls():
                done = state.apply_transaction(self._spoof(vm, state, message))
                refunded = int(done.get_gas_refund())  # asks every call that was made
        except (ValidationError, PyEVMError) as error:
            raise refuse(f"refused: {error}") from error
        used = message.gas - int(done.get_gas_remaining())
        refund = min(refunded, used // 5)
        floor = int(done.data_floor_gas)
        failure = "" if done.is_success else _failure(done.error)
        return Tried(bytes(done.output), failure, used - refund + floor, refund)

    def _spoof(self, vm: Any, state: Any, message: Message) -> Any:
        """A transaction that nobody signed, for free."""
        from eth.vm.spoof import SpoofTransaction

        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.genesis.chain_id,
            nonce=state.get_nonce(message.sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=message.gas,
            to=message.to,
            value=message.value,
            data=message.data,
            access_list=(),
        )
        return SpoofTransaction(unsigned, from_=message.sender, y_parity=0, r=1, s=1)

    def estimate(self, message: Message, now: int, at: Block | None = None) -> tuple[int, Tried]:
        """Least gas limit with which a message succeeds, and what it does with all the gas.

        Two executions in most cases: the gas used before refunds is tried first, since a refund
        comes after the limit was needed. Where that does not suffice (a call keeps back 1/64), a
        search ends within one per cent above the least. Zero when the message fails.
        """
        tried = self.attempt(message, now, at)
        if tried.failure:
            return 0, tried
        low = tried.gas_used + tried.gas_refunded
        if self._suffices(message, low, now, at):
            return low, tried
        step = low // 64 + 2_300
        while low + step < message.gas and not self._suffices(message, low + step, now, at):
            low, step = low + step, 2 * step
        high = min(low + step, message.gas)
        while high - low > high // 100:
            middle = (low + high) // 2
            if self._suffices(message, middle, now, at):
                high = middle
            else:
                low = middle
        return high, tried

    def _suffices(self, message: Message, gas: int, now: int, at: Block | None) -> bool:
        try:
            return not self.attempt(replace(message, gas=gas), now, at).failure
        except BadRequest:
            # Less than the intrinsic gas.
            return False


def _failure(error: Any) -> str:
    """Why a computation failed, in the words that tools look for."""
    from eth.exceptions import OutOfGas, Revert

    if isinstance(error, Revert):
        return "execution reverted"
    if isinstance(error, OutOfGas):
        return "out of gas"
    return f"{type(error).__name__}: {error}"
