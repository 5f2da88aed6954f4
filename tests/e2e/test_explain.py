"""`explain` on a short demo chain: every statement rests on an entry, and the numbers add up."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from chainperp.base.units import Address, address_text, parse_decimal
from chainperp.chain.engine import SealedBlock
from chainperp.cli.adl_round import AdlRound, recheck, rounds_of
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.commands.demo import _to_try, _waterfall
from chainperp.cli.demo.run import Demo, Tally
from chainperp.cli.demo.waterfall import Waterfall
from chainperp.cli.explain import explain_liq, explain_tx
from chainperp.cli.explain_adl import REASONS, _part, explain_adl
from chainperp.cli.explain_fill import explain_fill
from chainperp.cli.risk_report import state_at_tip
from chainperp.model.decisions import AdlReason, Kind, LiquidationOutcome
from chainperp.model.envelope import transaction_hash
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_LIQUIDATION
from tests.support.chain import CALM_MS, CRASH_MS, DemoChain, run_cli

LINE = re.compile(r"  .+ \(log \d+\)")
ROUND_KEYS = {
    "account_value", "candidates", "cost_against_mark", "eligible", "entry_notional", "height",
    "index", "insurance_paid", "leverage", "mark", "market", "notional", "part", "policy",
    "previous_mark", "price", "profit", "rank", "reason", "rechecked", "rule", "score",
    "score_rounded", "sentences", "size", "take_size", "target", "target_size", "target_value",
}  # fmt: skip
NOBODY = "0x" + "ab" * 20


@dataclass
class Facts:
    """What the log holds, found by a walk of the tests' own."""

    kinds: list[int] = field(default_factory=list)
    rounds: list[AdlRound] = field(default_factory=list)
    tests: dict[LiquidationOutcome, list[tuple[bytes, int]]] = field(default_factory=dict)
    fills: dict[int, list[int]] = field(default_factory=dict)
    transactions: list[tuple[bytes, int]] = field(default_factory=list)
    waterfall: Waterfall = field(default_factory=Waterfall)


@pytest.fixture(scope="module")
def facts(demo_chain: DemoChain) -> Facts:
    """One walk over the chain."""
    found = Facts()
    for block in ChainLog(demo_chain.path).blocks():
        found.kinds += [int.from_bytes(raw[1:3], "big") for raw in block.entries]
        found.rounds += rounds_of(block) if block.has(Kind.ADL_BEGIN) else []
        for entry in block.of(Kind.LIQ_TEST, Kind.FILL, Kind.TX_USER):
            fields = entry.fields()
            if entry.kind is Kind.LIQ_TEST:
                outcome = LiquidationOutcome(fields["outcome"])
                found.tests.setdefault(outcome, []).append((fields["account"], block.height))
            elif entry.kind is Kind.FILL:
                forced = fields["flags"] & (FLAG_LIQUIDATION | FLAG_BACKSTOP | FLAG_ADL)
                found.fills.setdefault(forced, []).append(fields["tid"])
            else:
                name = transaction_hash(fields["envelope"])
                found.transactions.append((name, entry.index))
        found.waterfall.add(
            SealedBlock(block.height, block.time_ms, block.first_index, block.entries, [], b"")
        )
    return found


def sentences(part: dict[str, Any], facts: Facts) -> list[str]:
    """The sentences of a part; each must point at an entry that exists."""
    for one in part["sentences"]:
        assert sorted(one) == ["index", "rule", "text"]
        assert 0 <= one["index"] < len(facts.kinds)
    return [one["text"] for one in part["sentences"]]


def test_the_short_demo_reaches_the_whole_waterfall(demo_chain: DemoChain, facts: Facts) -> None:
    """Book, backstop and ADL happened, and every sum of money is exact to the unit."""
    state, _, _ = state_at_tip(demo_chain.path)
    assert facts.waterfall.is_whole()
    for name, one, other in facts.waterfall.equalities(state):
        assert one == other, name
    assert facts.waterfall.deficit > 0


def test_liq_explains_each_outcome(demo_chain: DemoChain, facts: Facts) -> None:
    """A book sale, a takeover and an ADL case each get the sentences of their steps."""
    wanted = {
        LiquidationOutcome.BOOK: ("liquidatable", "liquidation order"),
        LiquidationOutcome.BACKSTOP: ("took it over whole", "margin that was left"),
        LiquidationOutcome.ADL_CASE: ("Auto-deleveraging closes its", "value afterwards"),
    }
    for outcome, words in wanted.items():
        account, height = facts.tests[outcome][0]
        found = explain_liq(demo_chain.path, Address(account), height).document
        assert sorted(found) == ["account", "outcomes", "tests"]
        test = next(one for one in found["tests"] if one["outcome"] == outcome.name.lower())
        told = " ".join(sentences(test, facts))
        for word in words:
            assert word in told, outcome


def test_liq_has_stable_keys_and_numbers(demo_chain: DemoChain, facts: Facts) -> None:
    """The document's keys are a promise; amounts are decimals of USDC."""
    account, height = facts.tests[LiquidationOutcome.BACKSTOP][0]
    outcome = run_cli("explain", "liq", str(demo_chain.path), address_text(account),
                      "--height", str(height), "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    test = outcome.document["tests"][0]
    assert sorted(test) == [
        "height", "index", "maintenance", "maintenance_after", "marks", "marks_root", "outcome",
        "rule", "scope", "sentences", "time_ms", "value", "value_after",
    ]  # fmt: skip
    assert parse_decimal(test["value"], 6, "value") < parse_decimal(test["maintenance"], 6, "m")
    assert test["value_after"] == test["maintenance_after"] == "0.0"
    assert facts.kinds[test["index"]] == Kind.LIQ_TEST


def test_every_line_for_people_ends_with_its_log_index(demo_chain: DemoChain, facts: Facts) -> None:
    """Text answers are titles and sentences, each with its place in the log."""
    account, _ = facts.tests[LiquidationOutcome.BACKSTOP][0]
    taken = facts.rounds[0].rows[0]["account"]
    for command, who in (("liq", account), ("adl", taken)):
        outcome = run_cli("explain", command, str(demo_chain.path), address_text(who))
        assert outcome.code == 0, outcome.err
        lines = [line for line in outcome.out.splitlines() if line.startswith("  ")]
        assert lines
        assert all(LINE.fullmatch(line) for line in lines)


def test_adl_explains_taken_and_spared_candidates(demo_chain: DemoChain, facts: Facts) -> None:
    """Rank, inputs, score, neighbours, price and cost; the policy gives the same again."""
    chosen = next(one for one in facts.rounds if any(not row["take_lots"] for row in one.rows))
    taken = chosen.rows[0]["account"]
    spared = next(row["account"] for row in chosen.rows if not row["take_lots"])
    for account, words in ((taken, "Taken: "), (spared, "Not taken: ")):
        found = explain_adl(demo_chain.path, Address(account), chosen.block.height).document
        part = next(one for one in found["rounds"] if one["index"] == chosen.index)
        told = sentences(part, facts)
        assert any(text.startswith(words) for text in told)
        assert any("Directly" in text for text in told)
        assert any("exactly" in text for text in told)
        assert part["rechecked"] is True
        top, _, bottom = part["score"].partition("/")
        whole = int(top) * 10**6 // int(bottom)
        assert part["score_rounded"] == f"{whole // 10**6}.{whole % 10**6:06d}"
        assert set(part) == ROUND_KEYS | ({"realised"} if account == taken else set())


def test_adl_costs_add_up_to_what_the_target_got(demo_chain: DemoChain, facts: Facts) -> None:
    """What the round cost its winners against the mark is its lots times the price difference."""
    for found in facts.rounds:
        begin = found.begin
        cost = 0
        for row in found.rows:
            if row["take_lots"]:
                told = explain_adl(demo_chain.path, Address(row["account"]), found.block.height)
                part = next(one for one in told.document["rounds"] if one["index"] == found.index)
                cost += parse_decimal(part["cost_against_mark"], 6, "cost")
        difference = begin["adl_price"] - begin["mark"]
        if begin["candidate_side"] == 0:
            difference = -difference
        assert cost == found.end["filled_lots"] * difference


def test_adl_explains_the_bankrupt_side(demo_chain: DemoChain, facts: Facts) -> None:
    """Who asks about a target reads what became of it."""
    target = facts.rounds[0].begin["target"]
    found = explain_adl(demo_chain.path, Address(target), facts.rounds[0].block.height).document
    part = next(one for one in found["rounds"] if one["part"] == "bankrupt")
    assert any("what was left of its value" in text for text in sentences(part, facts))


def test_adl_says_in_words_why_somebody_was_no_candidate(
    demo_chain: DemoChain, facts: Facts
) -> None:
    """Every public reason has words; a list that was changed does not pass the second look."""
    assert set(REASONS) == set(AdlReason)
    found = facts.rounds[0]
    log = ChainLog(demo_chain.path)
    assert recheck(log, found) == []
    row = {**found.rows[-1], "reason": AdlReason.EXEMPT, "weight": 0}
    changed = AdlRound(
        found.block, found.index, found.begin, [*found.rows[:-1], row], found.row_index,
        found.fills, found.end_index, found.end,
    )  # fmt: skip
    part = _part(log, changed, Address(row["account"]))
    assert part is not None
    assert part[0]["part"] == "not eligible"
    assert any("public list of exemptions" in one.text for one in part[1])
    assert part[0]["rechecked"] is False
    assert "the list does not hash to the receipt's root" in part[1][-1].text


def test_fill_names_its_cause(demo_chain: DemoChain, facts: Facts) -> None:
    """A trade leads back to the transaction, the test or the round that caused it."""
    wanted = {
        0: ("resting order", "Cause: "),
        FLAG_LIQUIDATION: ("resting order", "failed the liquidation test"),
        FLAG_BACKSTOP: ("the backstop vault took", "failed the liquidation test"),
        FLAG_ADL: ("auto-deleveraging round", "was below zero"),
    }
    for flag, words in wanted.items():
        found = explain_fill(demo_chain.path, facts.fills[flag][0]).document
        assert sorted(found) == [
            "cause_index", "fees", "height", "index", "maker", "market", "price", "sentences",
            "size", "taker", "tid", "time_ms",
        ]  # fmt: skip
        told = " ".join(sentences(found, facts))
        for word in words:
            assert word in told


def test_tx_shows_the_action_and_its_effects(demo_chain: DemoChain, facts: Facts) -> None:
    """Signer, action, verdict, and the entries that followed."""
    for name, index in facts.transactions[5:400:40]:
        found = explain_tx(demo_chain.path, name).document
        assert sorted(found) == [
            "action", "code", "effects", "hash", "height", "index", "nonce", "rule", "sentences",
            "signer", "time_ms",
        ]  # fmt: skip
        assert found["index"] == index
        assert found["hash"] == "0x" + name.hex()
        sentences(found, facts)
        for effect in found["effects"]:
            assert effect["index"] > index


def test_rule_is_explained_and_unknown_ones_are_not_found() -> None:
    """The same text as in the rule book; exit 3 otherwise."""
    found = run_cli("explain", "rule", "liq-4", "--json")
    assert found.code == 0
    assert found.document["code"] == "LIQ-4"
    assert "bankruptcy price" in found.document["text"]
    assert run_cli("explain", "rule", "LIQ-99").code == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("liq", NOBODY), 3),
        (("adl", NOBODY), 3),
        (("fill", "987654321"), 3),
        (("tx", "0x" + "ab" * 32), 3),
        (("liq", "0x12"), 2),
        (("tx", "0x12"), 2),
    ],
    ids=lambda value: " ".join(value)[:12] if isinstance(value, tuple) else str(value),
)
def test_nothing_to_explain_is_not_found(
    demo_chain: DemoChain, arguments: tuple[str, ...], code: int
) -> None:
    """Exit 3 and one sentence; a malformed name is a usage error."""
    outcome = run_cli("explain", arguments[0], str(demo_chain.path), *arguments[1:])
    assert outcome.code == code
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_the_demo_ends_with_commands_that_work(demo_chain: DemoChain, facts: Facts) -> None:
    """The command lines at the end of the demo's report explain something."""
    lines = _to_try(demo_chain.path, Tally(waterfall=facts.waterfall))
    assert len(lines) == 4
    for line in lines:
        outcome = run_cli(*line.split()[1:])
        assert outcome.code == 0, outcome.err
        assert "(log " in outcome.out or "query fund" in line


def test_the_demo_fails_without_a_waterfall(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A run in which nothing was liquidated is not passed off as a crash."""
    path = tmp_path_factory.mktemp("calm") / "chain"
    demo = Demo(path, 1, calm_ms=CALM_MS * 40, crash_ms=CRASH_MS * 20)
    demo.sequencer.start()
    ok, detail = _waterfall(demo, Tally())
    assert not ok
    assert "0 takeovers" in detail
    demo.sequencer.store.close()
