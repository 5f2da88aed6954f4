"""Every row of the threat table, performed by an operator who runs altered code and seals the
result, and caught by the check that docs/security.md names. The checks themselves run honest code.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof, NotFound
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.chain.audit.audit import AuditReport
from chainperp.chain.audit.leaves import Census, liabilities_of
from chainperp.chain.audit.money import MoneyTrail
from chainperp.chain.engine import SealedBlock
from chainperp.chain.proving.account import prove_account, sealed_state
from chainperp.chain.proving.adl import prove_adl
from chainperp.chain.proving.liquidation import prove_liquidation, refute_liquidations
from chainperp.chain.proving.log import prove_equivocation, prove_fork, prove_growth
from chainperp.chain.proving.refutation import refute_rounds, terms_of_genesis
from chainperp.chain.proving.source import Source
from chainperp.client.promise_check import OVERDUE_MS, check_promise
from chainperp.evidence.liabilities import liability_root
from chainperp.evidence.promise import Promise, sign_promise
from chainperp.evidence.tiles import Fetch, TileBuilder, format_tile_path
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import CancelOrders
from chainperp.model.decisions import AdlReason, Kind, Rejection, SystemType
from chainperp.model.entries import decode_entry, decode_payload, encode_entry
from chainperp.model.envelope import transaction_hash
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.adl import price
from chainperp.rules.adl.policy import Allocation, Candidate
from chainperp.rules.ordering import CLASS_PASSIVE
from chainperp.state.commitment import Commitment
from chainperp.state.store import State
from chainperp.storage.logkey import verify_ed25519
from chainperp.transition import block as block_module
from chainperp.transition import deleverage, receipts, risk
from chainperp.transition.recorder import Recorder
from chainperp.transition.sweep import Sweep
from tests.support.forced import ETH
from tests.support.forgers import (
    CANDIDATES,
    Forge,
    before_the_fall,
    changed_allocation,
    fall,
    flip_last,
    forged,
    hide_from_list,
    rewritten,
)
from tests.support.proofs import KEY, ORIGIN, LoggedStage, assert_no, assert_yes, audited, source_of
from tests.support.world import address_of, order


def checks(report: AuditReport) -> set[str]:
    """Which checks found something."""
    return {finding.check for finding in report.findings}


def told(report: AuditReport) -> str:
    """What was found, in one text."""
    return "\n".join(finding.text for finding in report.findings)


def test_honest_operator_passes_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scene without a trick: an audit is clean, everybody's proof holds, nothing to refute."""
    stage = forged(monkeypatch, None)
    report = audited(stage)
    assert report.is_clean, told(report)
    assert (report.rounds, report.rows) == (1, 4)
    height = stage.blocks[-1].height
    for name in CANDIDATES:
        assert_yes(prove_adl(stage.source, address_of(name), height))
    assert_yes(prove_liquidation(stage.source, address_of("Ann"), height))
    for look in (refute_rounds, refute_liquidations):
        with pytest.raises(NotFound, match="nothing to refute"):
            look(stage.source, height)


# --- the log itself -------------------------------------------------------------------------------


def test_t1_rewritten_history_fails_the_consistency_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = forged(monkeypatch, None)
    kept = source_of(stage.engine.genesis, stage.blocks[:-2]).note
    blocks = [*stage.blocks[:2], rewritten(stage.blocks[2], 0, flip_last), *stage.blocks[3:]]
    later = source_of(stage.engine.genesis, blocks)
    assert_yes(prove_growth(stage.source, kept))
    assert_no(prove_growth(later, kept), "consistency")
    assert_yes(prove_fork(stage.source, later, stage.blocks[2].first_index))


def test_t2_split_view_is_evidence_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = forged(monkeypatch, None)
    blocks = [*stage.blocks[:-1], rewritten(stage.blocks[-1], 0, flip_last)]
    other = source_of(stage.engine.genesis, blocks)
    verdict = assert_yes(prove_equivocation(stage.source.note, other.note))
    assert "two different roots" in verdict.sentences[0].text
    assert_no(prove_equivocation(stage.source.note, stage.source.note), "contradiction")


def test_t3_stale_view_shows_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof says of which block and time it is; an old one cannot pass for a new one."""
    stage = forged(monkeypatch, None)
    old = source_of(stage.engine.genesis, stage.blocks[:-2])
    state = sealed_state(old, old.height)
    verdict = assert_yes(prove_account(old, address_of("Ben"), state))
    block = stage.blocks[-3]
    assert f"block {block.height} (time {block.time_ms} ms)" in verdict.sentences[0].text


def test_t4_wrong_execution_is_named_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade's price in the log is another than the rules give."""
    stage = forged(monkeypatch, None)
    last = stage.blocks[-1]
    place = next(at for at, raw in enumerate(last.entries) if decode_entry(raw).kind is Kind.FILL)

    def change(raw: bytearray) -> None:
        raw[19 + 12 + 7] ^= 1  # lowest byte of the price

    stage.blocks[-1] = rewritten(last, place, change)
    report = audited(stage)
    assert "execution" in checks(report)
    assert "price" in told(report)


# --- liquidation ----------------------------------------------------------------------------------


def test_t5_wrongful_liquidation_is_refuted_by_the_victim(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = before_the_fall()
    honest = Sweep.due

    def due(self: Sweep, state: State, moved: list[int]) -> list[tuple[Account, int]]:
        dov = state.accounts[address_of("Dov")]
        return [*honest(self, state, moved), (dov, CROSS_SCOPE)]

    def forge(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Sweep, "due", due)
        patch.setattr(risk, "is_liquidatable", lambda value, maintenance: True)

    with monkeypatch.context() as patch:
        forge(patch)
        stage.mark("3990")
    height = stage.blocks[-1].height
    verdict = assert_yes(refute_liquidations(stage.source, height))
    assert "although it was safe" in verdict.sentences[0].text
    assert_no(prove_liquidation(stage.source, address_of("Dov"), height), "liquidation due")
    report = audited(stage)
    assert {"liquidations", "execution"} <= checks(report)
    assert "was tested and not due" in told(report)


@pytest.mark.parametrize("others", [True, False], ids=["among-others", "alone"])
def test_t6_skipped_liquidation_is_refuted_by_anybody(
    monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    """Ann is spared. With another scope tested in the block there is a phase root to prove from;
    without one the SEAL's root is it."""
    stage = before_the_fall()
    if others:
        stage.person("Fay", "4000")
        stage.trade("Fay", "Eva", "10", "4000")
    honest = Sweep.due

    def due(self: Sweep, state: State, moved: list[int]) -> list[tuple[Account, int]]:
        return [one for one in honest(self, state, moved) if one[0].address != address_of("Ann")]

    def forge(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Sweep, "due", due)

    fall(stage, monkeypatch, forge)
    report = audited(stage)
    assert "liquidations" in checks(report)
    assert "was due and not tested" in told(report)
    height = stage.blocks[-1].height
    verdict = assert_yes(refute_liquidations(stage.source, height))
    assert "not even tested" in verdict.sentences[0].text


# --- auto-deleveraging ----------------------------------------------------------------------------


def refuted(stage: LoggedStage, fault: str) -> None:
    """The block's round is refuted for that fault, and an audit says the same."""
    height = stage.blocks[-1].height
    verdict = assert_yes(refute_rounds(stage.source, height))
    assert any(step.name == f"fault: {fault}" for step in verdict.steps)
    report = audited(stage)
    assert {"adl rounds", "execution"} <= checks(report)
    assert fault in told(report)


@pytest.mark.parametrize("favourite", CANDIDATES)
def test_t7_omitted_candidate_is_refuted_wherever_it_ranked(
    monkeypatch: pytest.MonkeyPatch, favourite: str
) -> None:
    stage = forged(monkeypatch, hide_from_list(favourite))
    refuted(stage, "omitted")
    victim = next(name for name in CANDIDATES if name != favourite)
    proof = prove_adl(stage.source, address_of(victim), stage.blocks[-1].height)
    assert_no(proof, "head of the round")


def test_t8_wrong_order_is_refuted_by_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def swap(allocation: Allocation, _candidates: Sequence[Candidate]) -> None:
        first, second = allocation.order[:2]
        allocation.order[:2] = [second, first]

    refuted(forged(monkeypatch, changed_allocation(swap)), "misranked")


def test_t8_wrong_amount_is_refuted_by_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first in the queue is spared, the last one pays; the list and its order are right."""

    def spare(allocation: Allocation, _candidates: Sequence[Candidate]) -> None:
        first, last = allocation.order[0], allocation.order[-1]
        spared = min(allocation.takes[first], 1000)
        allocation.takes[first] -= spared
        allocation.takes[last] += spared

    stage = before_the_fall()
    stage.person("Fay", "500000")
    stage.trade("Ben", "Fay", "10", "4000")
    fall(stage, monkeypatch, changed_allocation(spare))
    refuted(stage, "skipped")


def test_t8_wrong_price_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = price.shifted_price

    def forge(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(deleverage, "shifted_price", lambda *arguments: honest(*arguments) + 100)

    stage = forged(monkeypatch, forge)
    verdict = assert_yes(refute_rounds(stage.source, stage.blocks[-1].height))
    assert any(step.name == "fault: price" for step in verdict.steps)
    proof = prove_adl(stage.source, address_of("Ben"), stage.blocks[-1].height)
    assert_no(proof, "price of the round")
    report = audited(stage)
    assert {"adl rounds", "execution"} <= checks(report)
    assert "price" in told(report)


@pytest.mark.parametrize("favourite", CANDIDATES)
def test_t9_secret_exemption_is_found_every_time(
    monkeypatch: pytest.MonkeyPatch, favourite: str
) -> None:
    """The account is in the list and spared as exempt; the public list does not have it."""
    honest = receipts.candidate_of

    def spared(state: Any, market: Any, address: Address, exposure: Exposure) -> Candidate:
        candidate = honest(state, market, address, exposure)
        candidate.exempt = candidate.exempt or address == address_of(favourite)
        return candidate

    def forge(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(deleverage, "candidate_of", spared)

    refuted(forged(monkeypatch, forge), "exempt")


def test_t9_false_reason_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spared as bankrupt, with a value that pays for everything."""

    def lie(allocation: Allocation, _candidates: Sequence[Candidate]) -> None:
        first = allocation.order.pop(0)
        allocation.order.append(first)
        allocation.reasons[first] = AdlReason.UNDERWATER
        allocation.weights[first] = allocation.takes[first] = 0

    refuted(forged(monkeypatch, changed_allocation(lie)), "false-row")


# --- the state ------------------------------------------------------------------------------------


def without_positions(*names: str) -> Forge:
    """Positions of some accounts get no leaf."""
    honest = Commitment._set_position
    hidden = [address_of(name) for name in names]

    def skip(self: Commitment, account: Account, exposure: Exposure) -> None:
        if account.address not in hidden:
            honest(self, account, exposure)

    return lambda patch: patch.setattr(Commitment, "_set_position", skip)


def test_t10_position_outside_the_collections_breaks_execution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        without_positions("Eva")(patch)
        stage = before_the_fall()
    report = audited(stage)
    assert "execution" in checks(report)
    assert "state_root" in told(report)
    height = report.findings[0].height
    with pytest.raises(InvalidProof, match="sealed was"):
        prove_account(stage.source, address_of("Eva"), sealed_state(stage.source, height))


def test_t11_two_hidden_accounts_are_missed_among_the_parties_of_trades(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Long and short hidden together: the sums still match, the parties of trades do not."""
    hidden = [address_of("Gil"), address_of("Hal")]
    stage = before_the_fall()
    for name in ("Gil", "Hal"):
        stage.person(name, "50000")
    stage.trade("Gil", "Hal", "5", "4000")
    trees = stage.engine.commitment.trees
    for name in ("acct", f"pos/{ETH:08x}/L", f"pos/{ETH:08x}/S"):
        for address in hidden:
            trees[name].delete(address)
    longs, shorts = (trees[f"pos/{ETH:08x}/{side}"].commit().sums[0] for side in "LS")
    assert longs == shorts
    trail = MoneyTrail(stage.engine.genesis.parameters, trees)
    for block in stage.blocks:
        list(trail.follow(block.height, block.entries))
    assert sorted(trail.strangers(trees)) == sorted(hidden)


def test_t11_two_hidden_positions_break_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open interest of both sides is equal without them, custody too; the state root is not."""
    stage = before_the_fall()
    with monkeypatch.context() as patch:
        without_positions("Gil", "Hal")(patch)
        for name in ("Gil", "Hal"):
            stage.person(name, "50000")
        stage.trade("Gil", "Hal", "5", "4000")
    report = audited(stage)
    assert checks(report) == {"execution"}
    assert "state_root" in told(report)


def test_t12_invented_debt_stands_in_the_deficit_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Money is moved to a friend from an account that never had it: the sum is unchanged."""
    stage = before_the_fall()
    stage.fund(Nix="1")
    for name, amount in (("Nix", -700_000_000_000), ("Eva", 700_000_000_000)):
        account = stage.account(name)
        account.raw += amount
        stage.state.touch(account)
        stage.state.unfile(account)
    stage.next()
    trees = stage.engine.commitment.trees
    census = Census(terms_of_genesis(stage.engine.genesis))
    total = liability_root(liabilities_of(trees, census.equities(trees)))
    assert total.claim - total.deficit == stage.state.custody
    assert total.deficit == 699_999_000_000
    assert "execution" in checks(audited(stage))


def test_t12_debt_without_a_position_is_found_in_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk over all accounts names it, whatever the liquidation phase has looked at."""
    stage = before_the_fall()
    stage.fund(Nix="1")
    stage.account("Nix").raw -= 5_000_000
    stage.state.touch(stage.account("Nix"))
    trees = stage.engine.commitment.trees
    stage.engine.commitment.commit(stage.state)
    failing = Census(terms_of_genesis(stage.engine.genesis)).failing(trees)
    debts = [one for one in failing if not one.has_positions]
    assert [(one.address, one.value) for one in debts] == [(address_of("Nix"), -4_000_000)]


def test_t13_invented_deposit_breaks_the_order_of_the_settlement_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = before_the_fall()
    body, honest = block_module.SYSTEM_INPUTS[SystemType.DEPOSIT]

    def invent(state: State, recorder: Recorder, fields: Record) -> Rejection:
        state.deposits = fields["l1_nonce"] - 1
        return honest(state, recorder, fields)

    with monkeypatch.context() as patch:
        patch.setitem(block_module.SYSTEM_INPUTS, SystemType.DEPOSIT, (body, invent))
        stage.deposits += 7
        stage.fund(Eva="1000000")
    report = audited(stage)
    assert {"deposits and payouts", "execution"} <= checks(report)
    assert "follows deposit" in told(report)


def test_t17_order_of_classes_inside_a_block_is_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A taker is executed before a cancel of the same block: the rules cancel first."""
    stage = before_the_fall()
    result = stage.place("Eva", order(ETH, "sell", "1", "4010"))
    oid = result.orders[0]["oid"]
    from chainperp.model.actions import PlaceOrders

    taker = stage.transaction("Ben", PlaceOrders([order(ETH, "buy", "1", "4010", "Ioc")]))
    cancel = stage.transaction("Eva", CancelOrders([(ETH, oid)]))
    with monkeypatch.context() as patch:
        patch.setattr(block_module, "action_class", lambda _action: CLASS_PASSIVE)
        stage.block([taker, cancel])
    report = audited(stage)
    assert checks(report) == {"execution"}


def test_t18_transaction_left_out_breaks_its_promise() -> None:
    """Every transaction was promised; then the operator signs a log without one of them."""
    stage = before_the_fall()
    promises = _promises(stage)
    assert len(promises) > 4
    honest = _served(stage.source)
    for note in promises.values():
        assert check_promise(note, honest, KEY.verifier, verify_ed25519, 0).holds
    for (height, place), note in promises.items():
        blocks = list(stage.blocks)
        blocks[height] = _without(blocks[height], place)
        doctored = _served(source_of(stage.engine.genesis, blocks))
        verdict = check_promise(note, doctored, KEY.verifier, verify_ed25519, 0)
        failed = verdict.failed
        assert failed is not None
        # A log that ends before the promised size is late at first, and caught by the clock.
        assert failed.name in ("promised transaction", "checkpoint covers it"), failed
        assert failed.detail.startswith("BROKEN PROMISE: ")


def test_t18_silence_is_told_by_the_readers_clock() -> None:
    """A log that stands still before the promised size: not due, then not kept, never kept."""
    stage = before_the_fall()
    served = _served(stage.source)
    size, due = stage.source.checkpoint.size, stage.blocks[-1].time_ms
    promise = Promise(ORIGIN, bytes(32), stage.blocks[-1].height + 1, size, size + 2, due)
    note = sign_promise(promise, KEY.verifier, KEY.sign)
    for now_ms in (0, due + OVERDUE_MS):
        verdict = check_promise(note, served, KEY.verifier, verify_ed25519, now_ms)
        assert verdict.holds
        assert [step.name for step in verdict.not_checked] == [
            "checkpoint covers it", "promised transaction",
        ]  # fmt: skip
        assert verdict.sentences == []
    late = check_promise(note, served, KEY.verifier, verify_ed25519, due + OVERDUE_MS + 1)
    assert late.failed is not None
    assert late.failed.detail.startswith("NOT KEPT: ")


def _promises(stage: LoggedStage) -> dict[tuple[int, int], bytes]:
    """A promise for each user's transaction, by height and place in its block."""
    found: dict[tuple[int, int], bytes] = {}
    for block in stage.blocks:
        for place, raw in enumerate(block.entries):
            entry = decode_entry(raw)
            if entry.kind is Kind.TX_USER:
                name = transaction_hash(decode_payload(entry)["envelope"])
                size = block.first_index + len(block.entries)
                # Due with its own block, so that the last one of the log cannot hide in time.
                promise = Promise(
                    ORIGIN, name, block.height, block.first_index + place, size, block.time_ms - 1
                )
                found[block.height, place] = sign_promise(promise, KEY.verifier, KEY.sign)
    return found


def _served(source: Source) -> Fetch:
    """The files of a log, as a node serves them."""
    builder = TileBuilder()
    for index in range(source.checkpoint.size):
        raw = source.entry(index)
        builder.append(raw, leaf_hash(raw))
    files = {format_tile_path(tile): raw for tile, raw in builder.take()}
    files["checkpoint"] = source.note
    return files.get


def _without(block: SealedBlock, place: int) -> SealedBlock:
    """A block with one entry left out; its hashes follow, as a forger's would."""
    entries = block.entries[:place] + block.entries[place + 1 :]
    leaves = [leaf_hash(entry) for entry in entries]
    return SealedBlock(block.height, block.time_ms, block.first_index, entries, leaves,
                       block.state_root)  # fmt: skip


def test_forger_helpers_change_something() -> None:
    """The tests above would pass for nothing if a rewritten block were the same block."""
    block = before_the_fall().blocks[2]
    other = rewritten(block, 0, flip_last)
    assert other.entries[0] != block.entries[0]
    assert encode_entry(*_parts(other.entries[-1])) == other.entries[-1]
    assert decode_payload(decode_entry(other.entries[-1]))["first_index"] == block.first_index


def _parts(raw: bytes) -> tuple[int, int, int, bytes]:
    entry = decode_entry(raw)
    return entry.kind, entry.height, entry.seq, entry.payload
