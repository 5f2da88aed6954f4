"""Proofs in bulk: honest ones are never refused, changed ones always, with the step named.

`CHAINPERP_LONG` raises the honest ones to 10,000 and changes every byte.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from chainperp.base.units import Address
from chainperp.chain.proving.account import prove_absence, prove_account, sealed_state
from chainperp.chain.proving.adl import prove_adl, prove_adl_rows
from chainperp.chain.proving.liquidation import (
    liquidation_tests,
    prove_liquidation,
    refute_liquidations,
)
from chainperp.chain.proving.log import (
    find_transaction,
    prove_entry,
    prove_equivocation,
    prove_fork,
    prove_growth,
    prove_transaction,
)
from chainperp.chain.proving.refutation import refute_rounds
from chainperp.chain.proving.rounds import rounds_of
from chainperp.chain.proving.solvency import prove_solvency
from chainperp.chain.proving.source import Source
from chainperp.evidence.verifier.trust import Trust
from chainperp.evidence.verifier.verify import KINDS, verify_proof
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import transaction_hash
from chainperp.storage.logkey import find_verifier
from chainperp.storage.proof_source import open_source
from chainperp.storage.tiles import load_vkey
from chainperp.transition import deleverage
from chainperp.transition.sweep import Sweep
from tests.support.chain import DemoChain
from tests.support.forgers import (
    before_the_fall,
    changed_allocation,
    flip_last,
    forged,
    hide_from_list,
    rewritten,
)
from tests.support.mutations import byte_changes, field_changes
from tests.support.proofs import TRUST, assert_yes, source_of
from tests.support.world import address_of

IS_LONG = bool(os.environ.get("CHAINPERP_LONG"))
PARTS = 10 if IS_LONG else 1
HONEST = 1_000 if IS_LONG else 300
"""Honest proofs of each part, beside those of the crash's rounds."""


def transaction_of(source: Source) -> bytes:
    """A proof of the last user transaction of a log, found by its hash."""
    for index in range(source.checkpoint.size - 1, 0, -1):
        entry = decode_entry(source.entry(index))
        if entry.kind is Kind.TX_USER:
            name = transaction_hash(decode_payload(entry)["envelope"])
            assert find_transaction(source, name) == index
            return prove_transaction(source, index)
    raise AssertionError("no transaction")


def honest_proofs() -> dict[str, bytes]:
    """One proof of each kind from the honest fall."""
    stage = before_the_fall()
    stage.person("Fay", "500000")
    stage.person("Gus", "500000")
    stage.trade("Gus", "Fay", "10", "4000")
    stage.mark("3590")
    source = stage.source
    height = stage.blocks[-1].height
    state = sealed_state(source, height)
    old = source_of(stage.engine.genesis, stage.blocks[:-3]).note
    blocks = [*stage.blocks[:-1], rewritten(stage.blocks[-1], 0, flip_last)]
    other = source_of(stage.engine.genesis, blocks)
    ben, ann = address_of("Ben"), address_of("Ann")
    rows = rounds_of(source.block(height))[0].rows
    spared = next(Address(row["account"]) for row in rows if not row["take_lots"])
    return {
        "entry": prove_entry(source, 17),
        "transaction": transaction_of(source),
        "account": prove_account(source, spared, state),
        "absent account": prove_absence(source, address_of("Nobody"), state),
        "absent position": prove_absence(source, ann, state, 1),
        "adl": prove_adl(source, ben, height),
        "adl of one who was spared": prove_adl(source, spared, height),
        "liquidation": prove_liquidation(source, ann, height),
        "solvency": prove_solvency(source, spared, state),
        "consistency": prove_growth(source, old),
        "equivocation": prove_equivocation(source.note, other.note),
        "fork": prove_fork(source, other, stage.blocks[-1].first_index),
    }


def refutations() -> dict[str, bytes]:
    """One refutation of each fault, from forged chains."""
    found: dict[str, bytes] = {}

    def swap(allocation, _candidates):  # type: ignore[no-untyped-def]
        allocation.order[:2] = allocation.order[1::-1]

    def exempt(state, market, address, exposure):  # type: ignore[no-untyped-def]
        candidate = honest(state, market, address, exposure)
        candidate.exempt = candidate.exempt or address == address_of("Ben")
        return candidate

    honest = deleverage.__dict__["candidate_of"]
    price = deleverage.__dict__["shifted_price"]
    forges = {
        "omitted": hide_from_list("Cas"),
        "misranked": changed_allocation(swap),
        "exempt": lambda patch: patch.setattr(deleverage, "candidate_of", exempt),
        "price": lambda patch: patch.setattr(
            deleverage, "shifted_price", lambda *given: price(*given) + 100
        ),
    }
    for name, forge in forges.items():
        with pytest.MonkeyPatch.context() as patch:
            stage = forged(patch, forge)
        found[name] = refute_rounds(stage.source, stage.blocks[-1].height)
    with pytest.MonkeyPatch.context() as patch:
        stage = before_the_fall()
        patch.setattr(Sweep, "due", lambda self, state, moved: [])
        stage.mark("3590")
    found["skipped liquidation"] = refute_liquidations(stage.source, stage.blocks[-1].height)
    return found


@pytest.fixture(scope="module")
def corpus() -> dict[str, bytes]:
    """Every kind of proof, honest and refuting."""
    return {**honest_proofs(), **refutations()}


NAMES = (
    "entry", "transaction", "account", "absent account", "absent position", "adl",
    "adl of one who was spared", "liquidation", "solvency", "consistency", "equivocation", "fork",
    "omitted", "misranked", "exempt", "price", "skipped liquidation",
)  # fmt: skip


def test_corpus_has_every_kind(corpus: dict[str, bytes]) -> None:
    kinds = {assert_yes(raw).kind for raw in corpus.values()}
    assert kinds == {"entry", *KINDS}
    assert sorted(corpus) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_changed_field_is_refused_at_a_named_step(
    corpus: dict[str, bytes], name: str
) -> None:
    raw = corpus[name]
    if name == "entry":
        pytest.skip("a .tlog-proof has lines, not fields: see the bytes")
    count = 0
    for what, changed in field_changes(raw):
        if changed == raw:
            continue
        verdict = verify_proof(changed, TRUST)
        assert not verdict.holds, what
        assert verdict.failed is not None
        assert verdict.failed.name, what
        count += 1
    assert count > 30


@pytest.mark.parametrize("name", NAMES)
def test_every_changed_byte_is_refused_at_a_named_step(corpus: dict[str, bytes], name: str) -> None:
    raw = corpus[name]
    step = 3 if IS_LONG else 23
    for what, changed in byte_changes(raw, step):
        if changed == raw:
            continue
        verdict = verify_proof(changed, TRUST)
        assert not verdict.holds, what
        assert verdict.failed is not None
        assert verdict.failed.name, what


def test_one_proof_is_not_another(corpus: dict[str, bytes]) -> None:
    """A proof under another kind's name is refused, never misread."""
    for raw in corpus.values():
        for kind in KINDS:
            name = f'"kind": "{kind}"'.encode()
            at = raw.find(b'"kind": "')
            if at < 0 or raw[at:].startswith(name + b","):
                continue
            end = raw.index(b'"', at + 9) + 1
            assert not verify_proof(raw[:at] + name + raw[end:], TRUST).holds


def test_unchecked_signature_is_said_not_hidden(corpus: dict[str, bytes]) -> None:
    for raw in corpus.values():
        for trust in (Trust(), replace(TRUST, verify=None)):
            verdict = verify_proof(raw, trust)
            assert verdict.holds
            assert any("signature" in step.name for step in verdict.not_checked)


def many(source: Source, seed: int) -> Iterator[bytes]:
    """Honest proofs of every kind from the demo's chain, without end."""
    draw = Random(seed)
    size, top = source.checkpoint.size, source.height
    while True:
        for _ in range(20):
            yield prove_entry(source, draw.randrange(size))
        at = draw.randrange(size)
        while source.entry(at)[1:3] != b"\x00\x10":
            at = (at + 1) % size
        yield prove_transaction(source, at)
        height = draw.randrange(1, top + 1)
        state = sealed_state(source, height)
        accounts = [Address(key) for key, _, _ in state.commitment.trees["acct"].items()]
        for address in draw.sample(accounts, min(20, len(accounts))):
            yield prove_account(source, address, state)
        yield prove_solvency(source, draw.choice(accounts), state)
        for _ in range(6):
            yield prove_absence(source, Address(draw.randbytes(20)), state)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_honest_proof_is_refused(demo_chain: DemoChain, part: int) -> None:
    source = open_source(demo_chain.path)
    trust = trust_in(demo_chain)
    proofs = many(source, part)
    for _ in range(HONEST):
        verdict = verify_proof(next(proofs), trust)
        assert verdict.holds, verdict.failed


def test_no_honest_adl_or_liquidation_proof_is_refused(demo_chain: DemoChain) -> None:
    """Every row of every round, and every liquidation, of the demo's crash; fewer by default."""
    source = open_source(demo_chain.path)
    trust = trust_in(demo_chain)
    done = 0
    for height in range(1, source.height + 1):
        block = source.block(height)
        rounds = rounds_of(block)
        tests = list(liquidation_tests(block))
        if not IS_LONG and (done > 150 or not (rounds or tests)):
            continue
        for one in rounds[: None if IS_LONG else 2]:
            accounts = [Address(row["account"]) for row in one.rows]
            for raw in prove_adl_rows(source, block, one, accounts):
                verdict = verify_proof(raw, trust)
                assert verdict.holds, verdict.failed
                done += 1
        for address, asset in tests[: None if IS_LONG else 1]:
            verdict = verify_proof(
                prove_liquidation(source, Address(address), height, asset), trust
            )
            assert verdict.holds, verdict.failed
            done += 1
    assert done > 20


def trust_in(chain: DemoChain) -> Trust:
    """Trust in a directory's own log key."""
    from chainperp.evidence.note import format_vkey
    from chainperp.evidence.policy import parse_policy

    line = f"log {format_vkey(load_vkey(chain.path / 'log'))}\nquorum none\n"
    return Trust(parse_policy(line.encode()), find_verifier())
