"""Proofs about a liquidation: that it was due, wrongful, or skipped.

`evidence/verifier/liquidation_proof.py` reads them.
"""

from typing import Final

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address, address_text
from chainperp.chain.audit.leaves import Census, Failing
from chainperp.chain.proving.account import show_account
from chainperp.chain.proving.pieces import (
    Part,
    StateProver,
    entry_piece,
    note_text,
    nothing,
    seal_piece,
)
from chainperp.chain.proving.refutation import terms_of_genesis
from chainperp.chain.proving.rounds import Ask, Moment, ask_at_commits, commits_of
from chainperp.chain.proving.source import BlockAt, Source, execute_watched
from chainperp.evidence.verifier.bundle import base64_text, encode_bundle
from chainperp.evidence.verifier.pieces import Placed
from chainperp.model.decisions import CommitReason, Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.store import State
from chainperp.state.tree import Tree

Key = tuple[bytes, int]
DUE: Final = "liquidation"
REFUTATION: Final = "liquidation-refutation"


def liquidation_tests(block: BlockAt) -> dict[Key, Placed]:
    """The block's liquidation tests by scope."""
    wanted = Kind.LIQ_TEST.to_bytes(2, "big")
    found = [
        Placed(raw, block.first + place)
        for place, raw in enumerate(block.entries)
        if raw[1:3] == wanted
    ]
    return {(one.fields["account"], one.fields["asset"]): one for one in found}


def prove_liquidation(
    source: Source, address: Address, height: int, asset: int = CROSS_SCOPE
) -> bytes:
    """Proof that a scope's liquidation in a block was due. Raises NotFound when it had no test."""
    block = source.block(height)
    if (address, asset) not in liquidation_tests(block):
        raise nothing(f"{address_text(address)} was not tested in block {height} in that scope")
    return _bundle(source, block, (address, asset), None)


def refute_liquidations(source: Source, height: int) -> bytes:
    """A refutation of the first wrongful or skipped liquidation of a block. Raises NotFound."""
    block = source.block(height)
    tests = liquidation_tests(block)
    failing = _failing(source, block)
    due = {(one.address, one.asset): one for one in failing if one.has_positions}
    for key in tests:
        if key not in due:
            return _bundle(source, block, key, "wrongful")
    for key in due:
        if key not in tests:
            return _bundle(source, block, key, "skipped")
    raise nothing(f"nothing to refute: {len(tests)} scopes of block {height} were due and tested")


def _failing(source: Source, block: BlockAt) -> list[Failing]:
    census = Census(terms_of_genesis(source.genesis))
    found: list[list[Failing]] = []

    def ask(moment: Moment) -> None:
        found.append(census.failing(moment.commitment.trees))

    _at_phase(source, block, ask)
    return found[-1]


def _at_phase(source: Source, block: BlockAt, ask: Ask) -> int | None:
    """Ask at the block's phase root; returns the log index of its STATE_COMMIT, None for the SEAL.

    In a block whose log has no such commit, the phase root is the SEAL's: asked at whichever of
    our commits has that root, which is the phase's own when the log has skipped the phase.
    """
    for index, fields in commits_of(block):
        if fields["reason"] == CommitReason.LIQUIDATION:
            ask_at_commits(source, block, {index: ask})
            return index
    sealed = decode_payload(decode_entry(block.entries[-1]))["state_root"]
    asked: list[bool] = []

    def on_commit(state: State, commitment: Commitment, committed: Committed) -> None:
        if not asked and committed.state_root == sealed:
            asked.append(True)
            ask(Moment(state, commitment, committed))

    execute_watched(source, block.height, on_commit)
    if not asked:
        raise InvalidProof(f"the rules never give the sealed state of block {block.height}: "
                           "replay the log")  # fmt: skip
    return None


def _bundle(source: Source, block: BlockAt, key: Key, fault: str | None) -> bytes:
    address, asset = Address(key[0]), key[1]
    provers: list[StateProver] = []

    def ask(moment: Moment) -> None:
        if not provers:
            provers.append(moment.prover())
            show_account(provers[0], address)

    commit = _at_phase(source, block, ask)
    tests = liquidation_tests(block)
    tree = Tree("liq", 0)
    for (account, market), placed in tests.items():
        tree.set(account + market.to_bytes(4, "big"), leaf_hash(placed.raw), ())
    test = tests.get(key)
    parts: Part = {
        "checkpoint": note_text(source),
        "seal": seal_piece(source, block),
        "genesis": source.genesis.raw.decode("utf-8"),
        "address": address_text(address),
        "asset": None if asset == CROSS_SCOPE else asset,
        "commit": None if commit is None else entry_piece(source, commit),
        "state": provers[0].rows(),
        "test": None if test is None else entry_piece(source, test.index),
        "place": base64_text(tree.prove(address + asset.to_bytes(4, "big"))),
    }
    if fault is None:
        return encode_bundle(DUE, parts)
    return encode_bundle(REFUTATION, {**parts, "fault": fault})
