"""Re-executes a chain from its inputs and compares everything that it produces.

From each logged block only the inputs are taken: transactions with their signers, system inputs,
time and proposer. Every entry is made again and compared byte for byte, the SEAL last. The
signature check is handed in; where none is installed, signers are taken as logged and the report
says *not checked*.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from chainperp.base import canonical, msgpack
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidBlock, InvalidBytes, InvariantBroken
from chainperp.base.units import Address
from chainperp.chain.decode import Unpack, system_input_of, transaction_of
from chainperp.chain.divergence import Divergence, first_entry_difference, first_state_difference
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import Genesis
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.decisions import Kind, SystemType
from chainperp.model.entries import cut_transaction, decode_entry, decode_payload
from chainperp.model.envelope import MULTI_SIG
from chainperp.transition.block import VOTE_BODY

# Signers of each envelope (`Transaction.signers`), or the reason why it has none. One call for a
# batch, so that the caller may spread it over processes.
Recover = Callable[[list[bytes]], list[bytes | str]]
MULTI_SIG_BYTE: Final = bytes((MULTI_SIG,))
TX_USER: Final = Kind.TX_USER.to_bytes(2, "big")
TX_SYSTEM: Final = Kind.TX_SYSTEM.to_bytes(2, "big")
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class ReplayReport:
    """What a replay did and found. `divergence` is None when everything was equal."""

    blocks: int = 0
    entries: int = 0
    transactions: int = 0
    signatures_checked: int = 0
    signatures_not_checked: int = 0
    snapshots_compared: int = 0
    height: int = 0
    log_size: int = 0
    log_root: bytes = b""
    state_root: bytes = b""
    rules_differ: bool = False
    divergence: Divergence | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether re-execution gave the same bytes everywhere."""
        return self.divergence is None


@dataclass(slots=True)
class LoggedBlock:
    """The inputs of a block as its log entries give them, and the envelopes to check."""

    block: BlockInput
    seal: Record
    envelopes: list[tuple[int, bytes, bytes]]
    "(place in the block, envelope, signers as logged)"


def read_block(height: int, entries: list[bytes], unpack: Unpack = msgpack.unpack) -> LoggedBlock:
    """Inputs of a logged block. Raises InvalidBlock when its entries are not a block's."""
    try:
        return _read_block(height, entries, unpack)
    except InvalidBytes as error:
        raise InvalidBlock(f"block {height}", "readable entries", str(error)) from error


def _read_block(height: int, entries: list[bytes], unpack: Unpack) -> LoggedBlock:
    last = decode_entry(entries[-1])
    if last.kind is not Kind.SEAL:
        raise InvalidBlock(f"block {height}, last entry", "SEAL", last.kind.name)
    system: list[SystemInput] = []
    transactions: list[Transaction] = []
    envelopes: list[tuple[int, bytes, bytes]] = []
    for place, raw in enumerate(entries):
        kind = raw[1:3]
        if kind == TX_USER:
            envelope, signers = cut_transaction(raw)
            if envelope[:1] == MULTI_SIG_BYTE:
                signers += _signers_inside(entries[place + 1])
            envelopes.append((place, envelope, signers))
            transactions.append(transaction_of(envelope, signers, unpack))
        elif kind == TX_SYSTEM:
            fields = decode_payload(decode_entry(raw))
            system.append(system_input_of(fields["type"], fields["body"], unpack))
            if fields["type"] == SystemType.ORACLE_VOTE:
                vote = canonical.decode(VOTE_BODY, fields["body"])
                envelopes.append((place, vote["envelope"], vote["signer"]))
    seal = decode_payload(last)
    block = BlockInput(seal["time_ms"], Address(seal["proposer"]), system, transactions)
    return LoggedBlock(block, seal, envelopes)


def _signers_inside(raw: bytes) -> bytes:
    """Who signed inside a multi-sig envelope, as the entry behind its transaction says."""
    entry = decode_entry(raw)
    if entry.kind is not Kind.MULTI_SIG:
        raise InvalidBytes(f"MULTI_SIG follows a multi-sig envelope: was {entry.kind.name}")
    return b"".join(row["signer"] for row in decode_payload(entry)["signers"])


class Replay:
    """One run over a chain, from genesis or from a snapshot. Feed it blocks in order."""

    def __init__(
        self,
        genesis: Genesis,
        rules_hash: bytes,
        recover: Recover | None = None,
        unpack: Unpack = msgpack.unpack,
    ) -> None:
        self.genesis = genesis
        self.rules_hash = rules_hash
        self.engine = Engine(genesis, rules_hash)
        self.recover = recover
        self.unpack = unpack
        self.report = ReplayReport()

    def start_from(self, raw: bytes, seal_entry: bytes) -> None:
        """Begin at a snapshot instead of genesis; `seal_entry` is its block's SEAL in the log.

        Raises InvalidSnapshot unless the snapshot is that block's state (`Engine.restore`).
        """
        self.engine.restore(raw, seal_entry)
        self.report.height = self.engine.height

    def feed(self, height: int, entries: list[bytes]) -> Divergence | None:
        """Re-execute one block and compare it; the divergence also stays in the report."""
        if height == 0:
            self._adopt_rules(decode_payload(decode_entry(entries[-1])))
            sealed = self.engine.seal_genesis()
        else:
            logged = read_block(height, entries, self.unpack)
            self._adopt_rules(logged.seal)
            stranger = self._check_signers(height, logged)
            if stranger is not None:
                self.report.divergence = stranger
                return stranger
            try:
                sealed = self.engine.execute(logged.block)
            except (InvariantBroken, InvalidBytes) as error:
                # InvalidBytes: a leaf cannot hold a value, such as a day that never comes.
                raise InvalidBlock(f"block {height}", "a block that keeps the invariants",
                                   str(error)) from error  # fmt: skip
            self.report.transactions += len(logged.block.transactions)
        difference = first_entry_difference(height, sealed.first_index, sealed.entries, entries)
        report = self.report
        if difference is not None:
            report.divergence = difference
            return difference
        report.blocks += 1
        report.entries += len(entries)
        report.height = height
        report.log_size = self.engine.frontier.size
        report.log_root = self.engine.frontier.root()
        report.state_root = sealed.state_root
        return None

    def compare_snapshot(self, found: bytes) -> Divergence | None:
        """Compare a stored snapshot of the current height with the state just reached."""
        self.report.snapshots_compared += 1
        engine = self.engine
        if engine.is_snapshot(found):
            return None
        difference = first_state_difference(engine.height, engine.snapshot(), found)
        self.report.divergence = difference
        return difference

    def _adopt_rules(self, seal: Record) -> None:
        """Seal under the log's rules hash, and say when the rules at hand are others."""
        if seal["rules_hash"] != self.rules_hash and not self.report.rules_differ:
            self.report.rules_differ = True
            self.report.notes.append(
                "the log was sealed by rules with another hash: "
                f"0x{seal['rules_hash'].hex()}, ours are 0x{self.rules_hash.hex()}"
            )
        self.engine.rules_hash = seal["rules_hash"]

    def _check_signers(self, height: int, logged: LoggedBlock) -> Divergence | None:
        """Recover every signer and compare it with the one in the log."""
        if self.recover is None:
            self.report.signatures_not_checked += len(logged.envelopes)
            return None
        found = self.recover([envelope for _, envelope, _ in logged.envelopes])
        first_index = logged.seal["first_index"]
        for (place, _, signer), recovered in zip(logged.envelopes, found, strict=True):
            if recovered != signer:
                expected = recovered if isinstance(recovered, str) else "0x" + recovered.hex()
                return Divergence(
                    height, first_index + place, place, "TX", "signature", "signer",
                    expected, "0x" + signer.hex(),
                )  # fmt: skip
        self.report.signatures_checked += len(found)
        return None


def replay(
    run: Replay, blocks: Iterable[tuple[int, list[bytes]]], progress: Progress | None = None
) -> ReplayReport:
    """Feed every block until the first difference; `progress` gets (height, transactions)."""
    for height, entries in blocks:
        if run.feed(height, entries) is not None:
            break
        if progress is not None:
            progress(height, run.report.transactions)
    return run.report
