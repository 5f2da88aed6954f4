"""The proof service at size: 100k accounts, a log of a million entries, a round of ten thousand."""

import tracemalloc
from typing import Final

from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.chain.audit.leaves import TreeLeaves
from chainperp.chain.audit.rounds import Fault, RoundRecord, check_round
from chainperp.chain.engine import Engine
from chainperp.chain.proving.account import SealedState, prove_absence, prove_account
from chainperp.chain.proving.log import prove_entry
from chainperp.chain.proving.refutation import terms_of_genesis
from chainperp.chain.proving.source import Source
from chainperp.cli.bench.adl import adl_world, hold
from chainperp.cli.bench.flow import BASE_PRICE, flow_engine
from chainperp.cli.bench.stages import Stage, timed
from chainperp.evidence.checkpoint import Checkpoint, sign_checkpoint
from chainperp.evidence.merkle import CompleteNodes, root_at
from chainperp.evidence.verifier.adl_round import RoundView
from chainperp.evidence.verifier.pieces import Placed
from chainperp.evidence.verifier.trust import Trust
from chainperp.evidence.verifier.verify import verify_proof
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.storage.logkey import LogKey
from chainperp.transition.deleverage import process_adl
from chainperp.transition.receipts import AdlPhase
from chainperp.transition.recorder import Recorder

REFERENCE: Final = "raw SHA-256, 200 B"
PROOFS: Final = 50
ROUND_BUDGET: Final = 2_000_000.0
VERIFY_BUDGET: Final = 50_000.0


class ProofService:
    """One sealed block at the end of a long log, over many accounts that each hold a position."""

    def __init__(self, accounts: int, entries: int) -> None:
        engine = flow_engine(accounts, 1)
        self.engine: Engine = engine
        block = engine.seal_genesis()
        pairs = list(engine.state.accounts)[-(accounts // 2) * 2 :]
        for at in range(0, len(pairs), 2):
            hold(engine.state, pairs[at], 10, BASE_PRICE)
            hold(engine.state, pairs[at + 1], -10, BASE_PRICE)
        leaves = list(block.leaves)
        filler = [leaf_hash(at.to_bytes(8, "big")) for at in range(entries)]
        leaves += filler
        engine.frontier.extend(filler)
        time_ms = engine.state.time_ms + 1
        sealed = engine.execute(BlockInput(time_ms, engine.genesis.proposer, [], []))
        leaves += sealed.leaves
        tracemalloc.start()
        nodes = CompleteNodes(leaves)
        self.megabytes = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        size = len(leaves)
        checkpoint = Checkpoint(engine.genesis.origin, size, root_at(nodes.node, size))
        key = LogKey(engine.genesis.origin, bytes(32))
        note = sign_checkpoint(checkpoint, key.verifier, key.sign)
        self.source = Source(
            engine.genesis, engine.rules_hash, note, nodes.node,
            lambda index: sealed.entries[index - sealed.first_index],
            lambda _start, _end: iter([(1, sealed.entries)]),
        )  # fmt: skip
        committed = engine.committed or engine.commitment.commit(engine.state)
        self.state = SealedState(engine.commitment, committed, 1)
        self.addresses = [Address(one) for one in pairs[: PROOFS * 2 : 2]]
        self.last = sealed.first_index + len(sealed.entries) - 1


def proof_stages(accounts: int, entries: int) -> list[Stage]:
    """What each kind of proof costs to make and to check, how long it is, and what memory holds."""
    service = ProofService(accounts, entries)
    where = f"{accounts // 1000}k accounts, {entries // 1000}k entries"
    made = [prove_account(service.source, one, service.state) for one in service.addresses]
    strangers = [bytes((at,)) * 20 for at in range(PROOFS)]

    def make_entries() -> float:
        return timed(lambda: [prove_entry(service.source, service.last) for _ in strangers], PROOFS)

    def make_accounts() -> float:
        return timed(
            lambda: [prove_account(service.source, one, service.state) for one in
                     service.addresses], len(service.addresses),
        )  # fmt: skip

    def make_absences() -> float:
        return timed(
            lambda: [prove_absence(service.source, Address(one), service.state)
                     for one in strangers], PROOFS,
        )  # fmt: skip

    def check_accounts() -> float:
        return timed(lambda: [verify_proof(raw, Trust()).holds for raw in made], len(made))

    def length() -> float:
        return float(max(len(raw) for raw in made))

    return [
        Stage(f"entry proof made, {where}", "proof", REFERENCE, None, make_entries),
        Stage(f"account proof made, {where}", "proof", REFERENCE, None, make_accounts),
        Stage(f"absence proof made, {where}", "proof", REFERENCE, None, make_absences),
        Stage("account proof checked", "proof", REFERENCE, VERIFY_BUDGET, check_accounts),
        Stage("account proof, length", "bytes", REFERENCE, 20_000.0, length),
        Stage(f"log hashes in memory, {entries // 1000}k entries", "MB", REFERENCE, None,
              lambda: service.megabytes),
    ]  # fmt: skip


class LoggedRound:
    """One round of many candidates as its log entries, and the state before it."""

    def __init__(self, candidates: int) -> None:
        engine, scope = adl_world(candidates)
        phase = AdlPhase(engine.commitment, bytes(32), bytes(32))
        recorder = Recorder(1, 2)
        process_adl(engine.state, recorder, phase, [scope])
        self.record = RoundRecord([], [], None)
        for at, raw in enumerate(recorder.entries):
            entry = decode_entry(raw)
            if entry.kind is Kind.ADL_BEGIN:
                self.begin = Placed(raw, 2 + at)
            elif entry.kind is Kind.ADL_ROWS:
                self.record.rows.extend(decode_payload(entry)["rows"])
            elif entry.kind is Kind.FILL:
                self.record.fills.append(decode_payload(entry))
            elif entry.kind is Kind.ADL_END:
                self.record.end = decode_payload(entry)
        self.before, _ = adl_world(candidates)

    def check(self) -> list[Fault]:
        """The full check against the state before the round."""
        engine = self.before
        committed = engine.commitment.commit(engine.state)
        marks = {
            market.asset: {"mark": market.mark, "previous_mark": market.mark_previous}
            for market in engine.state.markets
        }
        leaves = TreeLeaves(engine.commitment.trees, committed)
        view = RoundView(self.begin, marks, leaves, terms_of_genesis(engine.genesis))
        tree = engine.commitment.trees[view.collection]
        return check_round(view, tree, self.record, bytes(32), 0)


def round_check_stage(candidates: int) -> Stage:
    """The full check of a round, by whoever holds the state."""
    logged = LoggedRound(candidates)

    def run() -> float:
        found: list[Fault] = []
        taken = timed(lambda: found.extend(logged.check()), 1)
        if found:
            raise RuntimeError(f"an honest round was refused: {found[0]}")
        return taken

    name = f"full check of a round, {candidates // 1000}k candidates"
    return Stage(name, "round", REFERENCE, ROUND_BUDGET, run)
