"""What the keeper is told about the ledger, and what it answers: plain values.

Both cross a process boundary. Amounts are micro-USDC, token amounts 10^-18, indexes and sizes count
entries of the log, addresses are 20 bytes. Nothing here imports web3 or py-evm.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chainperp.base.hashing import leaf_hash
from chainperp.chain.engine import Engine
from chainperp.evidence.merkle import NodeReader, prove_consistency, prove_inclusion, root_at
from chainperp.model.decisions import Kind
from chainperp.model.entries import HEADER, HEADER_SIZE
from chainperp.storage.store import ChainStore
from chainperp.storage.tiles import open_reader


@dataclass(frozen=True, slots=True)
class Head:
    """A state of the log: block height, size in entries, root."""

    height: int
    size: int
    root: bytes


NOWHERE: Final = Head(0, 0, bytes(32))
"""The log before anything was anchored."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A withdrawal that the ledger took from an account and has not settled."""

    wid: int
    user: bytes
    destination: bytes
    amount: int
    "What is paid out: the request's amount without the ledger's fee."
    entry_index: int
    "Index of its WITHDRAW_REQ entry."


@dataclass(frozen=True, slots=True)
class Transfer:
    """Dollars of the fund that reached the vault, with the decision that a purchase cites."""

    wid: int
    decision: bytes
    "Leaf hash of its WITHDRAW_REQ entry."


@dataclass(frozen=True, slots=True)
class Evidence:
    """The entry that really stands where a false withdrawal points, with its inclusion proof."""

    wid: int
    size: int
    "An anchored size above the index."
    index: int
    entry: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """Everything that the keeper compares with the contracts."""

    chain_id: bytes
    head: Head
    anchored: Head
    "The latest anchored state as the node last heard of it; `NOWHERE` when it never did."
    consistency: tuple[bytes, ...]
    "Proof from `anchored.size` to `head.size`; empty from nothing."
    deposits: int
    "Number of the last deposit that was credited."
    purchases: int
    "Number of the last purchase of the vault that was recorded."
    withdrawals: tuple[Waiting, ...] = ()
    "Not settled, by number."
    transfers: tuple[Transfer, ...] = ()
    "Answers to what the last report wanted."
    evidence: tuple[Evidence, ...] = ()
    "Answers to the suspects of the last report."


@dataclass(frozen=True, slots=True)
class Pointer:
    """A withdrawal on the EVM and the log entry that it cites."""

    wid: int
    entry_index: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a step sent to the EVM."""

    anchored: int = 0
    "Size that it anchored; 0 for none."
    requested: tuple[int, ...] = ()
    finalized: tuple[int, ...] = ()
    disputed: tuple[int, ...] = ()
    minted: int = 0
    "Micro-dollars of a development chain made for payouts that nothing stands behind."
    bought: int = 0
    "Number of the vault's purchase; 0 for none."


@dataclass(frozen=True, slots=True)
class KeeperReport:
    """What the ledger is to record, and what was done."""

    inputs: tuple[tuple[int, bytes], ...]
    "(system type, body) in the order in which they are to be recorded."
    anchored_size: int
    "Size of the latest anchored state; the next facts prove from here."
    evm_block: int
    "Number of the EVM's last block after the step."
    done: Done = field(default_factory=Done)
    notes: tuple[str, ...] = ()
    "What could not be done now, one sentence each."
    suspects: tuple[Pointer, ...] = ()
    "Withdrawals that wait on the EVM and are not the ledger's: evidence is wanted."
    transfers: tuple[Pointer, ...] = ()
    "Payouts to the vault that are to be spent: their decisions are wanted."


class LogView(NamedTuple):
    """A log to prove from: its size in entries, its subtrees, its entries."""

    size: int
    node: NodeReader
    entry: Callable[[int], bytes]


def view_of(store: ChainStore) -> LogView:
    """The log of a store up to the last state that it signed; empty before the first."""
    reader = open_reader(store.data.log, store.signed_size)
    return LogView(reader.size, reader.node, reader.entry)


def facts_of(engine: Engine, log: LogView, last: KeeperReport | None) -> LedgerFacts:
    """What the keeper needs to know of a ledger whose last block is durable.

    `last` is the keeper's last report; None when there was none since the node started.
    """
    state = engine.state
    anchored = _head_at(log, 0 if last is None else last.anchored_size)
    consistency: tuple[bytes, ...] = ()
    if anchored.size <= log.size:
        consistency = tuple(prove_consistency(log.node, anchored.size, log.size))
    asked = () if last is None else last.suspects
    wanted = () if last is None else last.transfers
    return LedgerFacts(
        chain_id=engine.chain_id,
        head=_head_at(log, log.size),
        anchored=anchored,
        consistency=consistency,
        deposits=state.deposits,
        purchases=state.fund.evm_purchases,
        withdrawals=tuple(
            Waiting(one.wid, one.user, one.destination, one.amount, one.entry_index)
            for _wid, one in sorted(state.withdrawals.items())
        ),
        transfers=tuple(
            Transfer(one.wid, leaf_hash(log.entry(one.entry_index)))
            for one in wanted
            if one.entry_index < log.size and _is_request(log.entry(one.entry_index), one.wid)
        ),
        evidence=tuple(
            _evidence(log, one, anchored.size)
            for one in asked
            if one.entry_index < anchored.size <= log.size
        ),
    )


def _is_request(entry: bytes, wid: int) -> bool:
    """Whether an entry is the WITHDRAW_REQ of a number."""
    is_kind = HEADER.unpack_from(entry)[1] == Kind.WITHDRAW_REQ
    return is_kind and entry[HEADER_SIZE : HEADER_SIZE + 8] == wid.to_bytes(8, "big")


def _head_at(log: LogView, size: int) -> Head:
    """The log at a size; a size that it does not have yet has neither height nor root."""
    if size == 0:
        return NOWHERE
    if size > log.size:
        return Head(0, size, bytes(32))
    height: int = HEADER.unpack_from(log.entry(size - 1))[2]
    return Head(height, size, root_at(log.node, size))


def _evidence(log: LogView, one: Pointer, size: int) -> Evidence:
    index = one.entry_index
    proof = tuple(prove_inclusion(log.node, index, size))
    return Evidence(one.wid, size, index, log.entry(index), proof)
