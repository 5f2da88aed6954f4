"""Proofs about liquidation: that one was due, that one was wrongful, that one was skipped.

    liquidation             {checkpoint, seal, genesis, address, asset, commit, state, test, place}
    liquidation-refutation  the same with fault: wrongful | skipped

The state is that of the block's phase root: STATE_COMMIT(1), or the SEAL's own root in a block
without a liquidation test (`commit` null; nothing moves money after the phase). `asset` is null for
the cross account. `test` is the LIQ_TEST entry, `place` its proof, or the scope's absence, in the
SEAL's `liq_root`. Source: audit-log-and-consensus 9.6.
"""

from typing import Final, NamedTuple

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.base.rounding import exact_or_none
from chainperp.base.units import Address, address_text, usd_text
from chainperp.evidence.checkpoint import Checkpoint
from chainperp.evidence.verifier.accounts import (
    AccountView,
    Scope,
    Terms,
    position_words,
    read_genesis,
    read_terms,
    scope_words,
    state_marks,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import (
    Placed,
    check_of_block,
    read_entry,
    read_seal,
    read_state,
)
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.model.decisions import CommitReason, Kind, LiquidationOutcome, rule_code
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable
from chainperp.state.proof import Root, verify_state_proof

FAULTS: Final = ("wrongful", "skipped")


class Tested(NamedTuple):
    """A scope at the phase root, and its test when it has one."""

    address: Address
    scope: Scope
    test: Placed | None
    height: int
    terms: Terms

    @property
    def is_due(self) -> bool:
        """Whether the rules liquidate the scope."""
        return is_liquidatable(self.scope.value, self.scope.maintenance)

    def words(self) -> str:
        """The scope's figures."""
        return f"value {usd_text(self.scope.value)}, maintenance {usd_text(self.scope.maintenance)}"

    def name(self) -> str:
        """The scope in words."""
        return f"{scope_words(self.scope.asset, self.terms)} of {address_text(self.address)}"


def verify_liquidation(steps: Steps, fields: Fields, trust: Trust) -> None:
    """A scope was liquidated, and it was due."""
    found = _read(steps, fields, trust)
    fields.finish()
    if found.test is None:
        raise InvalidProof("the scope was not tested in this block")
    steps.begin("liquidation due")
    if not found.is_due:
        raise InvalidProof(f"{found.words()}: it was not due")
    steps.done(f"{found.words()}, below [MRG-8]")
    test = found.test.fields
    outcome = LiquidationOutcome(test["outcome"]).name.lower().replace("_", " ")
    steps.say(f"In block {found.height} {found.name()} was liquidatable: {found.words()}", "MRG-8")
    steps.say(
        f"When its turn came it had value {usd_text(test['value'])} and maintenance "
        f"{usd_text(test['maintenance'])}; outcome: {outcome}", rule_code(test["rule"]),
    )  # fmt: skip


def verify_liquidation_refutation(steps: Steps, fields: Fields, trust: Trust) -> None:
    """A scope was liquidated that was safe, or one was spared that was due."""
    found = _read(steps, fields, trust)
    fault = fields.text("fault")
    fields.finish()
    steps.begin(f"fault: {fault}")
    if fault not in FAULTS:
        raise InvalidProof(f"there is no fault {fault[:40]!r}")
    if fault == "wrongful":
        if found.test is None or found.is_due:
            raise InvalidProof(f"{found.words()}: it was not liquidated, or it was due")
        steps.say(
            f"In block {found.height} {found.name()} was liquidated although it was safe: "
            f"{found.words()}", "MRG-8",
        )  # fmt: skip
    else:
        if not found.scope.positions:
            raise InvalidProof("the scope has no position: there is nothing to liquidate")
        if found.test is not None or not found.is_due:
            raise InvalidProof(f"{found.words()}: it was tested, or it was not due")
        steps.say(
            f"In block {found.height} {found.name()} was due and was not even tested: "
            f"{found.words()}", "MRG-8",
        )  # fmt: skip
    steps.done(found.words())


def _read(steps: Steps, fields: Fields, trust: Trust) -> Tested:
    """The scope at the phase root, with or without its test."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    terms = read_terms(steps, read_genesis(fields), seal)
    root, collections = _phase_root(steps, fields, checkpoint, seal, terms)
    view = read_state(steps, fields.parts("state"), root, collections, "state leaves")
    address = fields.address("address")
    asset = fields.count("asset") if fields.has("asset") else CROSS_SCOPE
    test = _read_test(steps, fields, checkpoint, seal, address + asset.to_bytes(4, "big"))
    steps.begin("value and maintenance of the scope")
    account = AccountView(view, address)
    marks = state_marks(view, account.positions)
    scope = account.scope(asset, marks, terms)
    view.finish()
    found = Tested(address, scope, test, seal.height, terms)
    steps.done(found.words() + "".join(
        f"; {position_words(terms, one, marks[one.asset])}" for one in scope.positions
    ))  # fmt: skip
    return found


def _phase_root(
    steps: Steps, fields: Fields, checkpoint: Checkpoint, seal: Placed, terms: Terms
) -> tuple[bytes, int]:
    """State root before the block's liquidation phase, and its number of collections."""
    if fields.has("commit"):
        commit = read_entry(steps, fields.part("commit"), checkpoint, "STATE_COMMIT")
        steps.begin("phase root")
        commit.expect(Kind.STATE_COMMIT)
        check_of_block(commit, seal)
        if commit.fields["reason"] != CommitReason.LIQUIDATION:
            raise InvalidProof(f"entry {commit.index} does not commit the phase")
        steps.done(f"STATE_COMMIT at log index {commit.index}")
        return commit.fields["state_root"], commit.fields["n_collections"]
    steps.begin("phase root")
    every = max(1, terms.parameters["state_commit_every"])
    if seal.fields["n_liq"] or exact_or_none(seal.height, every) is None:
        raise InvalidProof("the block's phase root is not its SEAL's root")
    steps.done("the block has no liquidation test: the SEAL's root is the phase root")
    return seal.fields["state_root"], seal.fields["n_collections"]


def _read_test(
    steps: Steps, fields: Fields, checkpoint: Checkpoint, seal: Placed, key: bytes
) -> Placed | None:
    """The scope's test, or its absence, under the SEAL's `liq_root`."""
    test: Placed | None = None
    if fields.has("test"):
        test = read_entry(steps, fields.part("test"), checkpoint, "LIQ_TEST")
        test.expect(Kind.LIQ_TEST)
        check_of_block(test, seal)
    steps.begin("test listed in the SEAL" if test else "no test listed in the SEAL")
    proof = fields.raw("place")
    root = Root(seal.fields["liq_root"], seal.fields["n_liq"], ())
    value = None if test is None else leaf_hash(test.raw)
    verify_state_proof("liq", root, key, value, (), proof)
    if test is not None:
        named = test.fields["account"] + test.fields["asset"].to_bytes(4, "big")
        if named != key:
            raise InvalidProof("the test is of another scope")
    steps.done(f"{seal.fields['n_liq']} tests in block {seal.height}")
    return test
