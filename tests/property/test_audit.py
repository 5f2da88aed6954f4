"""An audit finds nothing in honest chains: every policy, every exemption mode, many small crashes.

And the proofs of everybody in their rounds hold. Seeds draw sizes, margin modes, funds and how far
the marks fall; `CHAINPERP_LONG` draws more.
"""

import os
from random import Random

import pytest

from chainperp.base.units import Address
from chainperp.chain.audit.audit import AuditReport
from chainperp.chain.engine import SealedBlock
from chainperp.chain.proving.adl import prove_adl_rows
from chainperp.chain.proving.liquidation import liquidation_tests, prove_liquidation
from chainperp.chain.proving.rounds import rounds_of
from chainperp.chain.proving.source import BlockAt
from chainperp.evidence.verifier.adl_round import QUEUES
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import SystemType
from chainperp.rules.adl.choose import BY_ID, POLICIES
from chainperp.rules.adl.policy import ExemptMode
from tests.support.forced import BTC, ETH
from tests.support.proofs import LoggedStage, audited, verdict_of
from tests.support.world import address_of, order

SEEDS = range(60 if os.environ.get("CHAINPERP_LONG") else 8)
PEOPLE = ("Ann", "Ben", "Cas", "Dov", "Eva", "Fay", "Gus", "Hal", "Ida", "Jon")


def crash(seed: int, policy: int = 100, mode: ExemptMode = ExemptMode.HARD) -> LoggedStage:
    """Ten people in two markets, one of them perhaps on the list, then the marks fall and rise."""
    draw = Random(seed)
    stage = LoggedStage(
        vault=draw.choice(("0", "3000")), insurance=draw.choice(("0", "0", "700")),
        adl_policy=policy, exempt_mode=int(mode), exempt_notice_blocks=1,
        exempt_open_interest_max=10**12, liquidations_per_block=draw.choice((2, 100)),
        liquidation_insurance_bps=draw.choice((0, 2500)),
    )  # fmt: skip
    stage.marks({BTC: "100000", ETH: "4000"})
    for name in PEOPLE:
        stage.person(name, str(draw.randrange(4000, 30000)), ETH, draw.random() < 0.7)
        if draw.random() < 0.5:
            stage.person(name, "1000", BTC, True)
    listed = draw.choice((None, "Ben", "Cas"))
    if listed is not None:
        height = stage.engine.height + 1
        body = address_of(listed) + (400_000_000).to_bytes(8)
        body += (height + 2).to_bytes(8) + (height + draw.choice((4, 500))).to_bytes(8)
        stage.block(system=[SystemInput(SystemType.EXEMPTION, body)])
    for _ in range(12):
        buyer, seller = draw.sample(PEOPLE, 2)
        if draw.random() < 0.75:
            _try_trade(stage, buyer, seller, str(draw.randrange(5, 25)), "4000", ETH)
        else:
            _try_trade(stage, buyer, seller, f"0.{draw.randrange(10, 60)}", "100000", BTC)
    for _ in range(4):
        stage.marks({ETH: str(4000 + draw.randrange(-700, 700)),
                     BTC: str(100000 + draw.randrange(-12000, 12000))})  # fmt: skip
    return stage


def _try_trade(
    stage: LoggedStage, buyer: str, seller: str, size: str, price: str, asset: int
) -> None:
    """A trade if both can afford it; what rests is taken by whoever comes next."""
    stage.place(buyer, order(asset, "buy", size, price))
    stage.place(seller, order(asset, "sell", size, price, "Ioc"))


def assert_clean(stage: LoggedStage) -> AuditReport:
    """Nothing is found."""
    report = audited(stage)
    assert report.is_clean, [finding.text for finding in report.findings]
    return report


@pytest.mark.parametrize("seed", SEEDS)
def test_honest_crash_is_clean_and_everybody_can_prove_his_part(seed: int) -> None:
    stage = crash(seed)
    assert_clean(stage)
    source = stage.source
    for block in stage.blocks:
        at = source.block(block.height)
        for one in rounds_of(at):
            accounts = [Address(row["account"]) for row in one.rows]
            for raw in prove_adl_rows(source, at, one, accounts):
                verdict = verdict_of(raw)
                assert verdict.holds, verdict.failed
        for address, asset in liquidation_tests(at):
            proof = prove_liquidation(source, Address(address), block.height, asset)
            verdict = verdict_of(proof)
            assert verdict.holds, verdict.failed


def test_crashes_have_rounds_of_all_sorts() -> None:
    """The seeds above are worth something: rounds, several for one scope, insurance, exemptions."""
    reports = [audited(crash(seed)) for seed in SEEDS]
    assert sum(report.rounds for report in reports) >= 10
    assert sum(report.liquidations for report in reports) >= 20
    begins = [
        one.begin for seed in SEEDS for block in crash(seed).blocks for one in rounds_of(_at(block))
    ]
    assert any(begin["exempt_count"] for begin in begins)
    assert any(begin["target_scope"] for begin in begins)


def _at(block: SealedBlock) -> BlockAt:
    return BlockAt(block.height, block.first_index, block.entries)


@pytest.mark.parametrize("mode", list(ExemptMode))
@pytest.mark.parametrize("policy", [policy.policy_id for policy in POLICIES])
def test_every_policy_and_exemption_mode_is_audited_without_a_false_finding(
    policy: int, mode: ExemptMode
) -> None:
    stage = crash(policy % 7 + 1, policy, mode)
    assert_clean(stage)


def test_queues_of_the_verifier_are_those_of_the_rules() -> None:
    """The verifier's short table of policies agrees with the list of all."""
    for number, queue in QUEUES.items():
        policy = BY_ID[number]
        assert (policy.name, policy.rule, policy.price_rule) == (
            queue.name, queue.rule, queue.price_rule,
        )  # fmt: skip
        assert policy.in_lots
