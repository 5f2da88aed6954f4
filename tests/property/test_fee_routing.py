"""Every cent of a fee has its way: honest chains pass the auditor's check, forged ones do not.

Lives are drawn by seed: trades of referred and other accounts over some days, with codes, referrers
and claims in between. A forgery is the rule that an operator would bend, replaced while one block
is made; the auditor has the rules in force.
"""

import os
from random import Random
from typing import Any

import pytest

from chainperp.base.units import day_of
from chainperp.chain.audit.audit import AuditReport
from chainperp.cli.fee_book import FeeBook
from chainperp.model.actions import ClaimRewards, RegisterReferrer, SetReferrer
from chainperp.model.decisions import Kind, LedgerType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.rules.fees import maker_fee_paid, trading_fee
from chainperp.state.store import ASSISTANCE_FUND, LIQUIDITY_VAULT, REFERRALS
from chainperp.transition import block as block_module
from chainperp.transition import matching, rates, referrals
from tests.support.forced import ETH
from tests.support.proofs import LoggedStage, audited
from tests.support.world import Result, order

DAY = 86_400_000
SEEDS = range(40 if os.environ.get("CHAINPERP_LONG") else 5)
PEOPLE = ("Ann", "Ben", "Cas", "Dov", "Eva")


def stage_of(**parameters: object) -> LoggedStage:
    """Five people with money and fees, a price, and small limits."""
    defaults: dict[str, object] = {
        "referral_volume_min": 0, "referral_claim_min": 10_000, "hlp_fee_share_bps": 700,
        "referral_discount_volume": 60_000_000_000, "referral_reward_volume": 160_000_000_000,
        "fee_tiers": [[0, 450, 150], [30_000_000_000, 400, 0]],
        "maker_rebate_tiers": [[2_000, 20], [4_000, 500]],
    }  # fmt: skip
    stage = LoggedStage(fees=True, **{**defaults, **parameters})  # type: ignore[arg-type]
    stage.marks({ETH: "4000"})
    for name in PEOPLE:
        stage.person(name, "100000")
    return stage


def trade(stage: LoggedStage, buyer: str, seller: str, size: str = "1") -> Result:
    """One trade at 4000; the seller is the taker."""
    stage.place(buyer, order(ETH, "buy", size, "4000", "Gtc"))
    return stage.place(seller, order(ETH, "sell", size, "4000", "Ioc"))


def pass_days(stage: LoggedStage, days: int) -> None:
    """Let days pass in one block."""
    at = stage.state.time_ms + days * DAY
    stage.nonce = max(stage.nonce, at)
    stage.block(at=at)
    stage.marks({ETH: "4000"})


def life(seed: int) -> LoggedStage:
    """Trades, codes, referrers and claims over some days."""
    draw = Random(seed)
    stage = stage_of()
    for _ in range(120):
        dice = draw.random()
        name = draw.choice(PEOPLE)
        if dice < 0.08:
            stage.act(name, RegisterReferrer(name.upper()))
        elif dice < 0.2:
            stage.act(name, SetReferrer(draw.choice(("ANN", "BEN", "CAS"))))
        elif dice < 0.25:
            stage.act(name, ClaimRewards())
        elif dice < 0.3:
            pass_days(stage, draw.choice((1, 1, 3, 13)))
        else:
            buyer, seller = draw.sample(PEOPLE, 2)
            trade(stage, buyer, seller, f"{draw.randrange(1, 300) / 100:.2f}")
    return stage


def told(report: AuditReport) -> list[str]:
    """What the check of fees found."""
    return [finding.text for finding in report.findings if finding.check == "fees"]


def moved(stage: LoggedStage, kind: LedgerType) -> int:
    """All that moved for a reason, from the log."""
    results = [Result(block, [*map(decode_entry, block.entries)]) for block in stage.blocks]
    return sum(
        row["amount"] for one in results for row in one.of(Kind.LEDGER) if row["type"] == kind
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_honest_lives_are_clean_and_every_cent_arrives(seed: int) -> None:
    """The audit finds nothing; fund, vault, pot and claims together are all fees that were paid."""
    stage = life(seed)
    report = audited(stage)
    assert report.is_clean, [one.text for one in report.findings]
    state = stage.state
    results = [Result(block, [*map(decode_entry, block.entries)]) for block in stage.blocks]
    fees = sum(fill["maker_fee"] + fill["taker_fee"] for one in results for fill in one.fills)
    assert any(fill["maker_fee"] < 0 for one in results for fill in one.fills)
    rewards, claims = (
        moved(stage, LedgerType.REFERRAL_REWARD),
        moved(stage, LedgerType.REFERRAL_CLAIM),
    )
    share = moved(stage, LedgerType.FEE_SHARE)
    assert rewards > 0
    assert share > 0
    assert state.accounts[ASSISTANCE_FUND].raw == fees - rewards - share
    assert state.accounts[LIQUIDITY_VAULT].raw == share
    assert state.accounts[REFERRALS].raw == rewards - claims
    assert sum(one.unclaimed for one in state.referrals.values()) == rewards - claims
    assert sum(one.claimed for one in state.referrals.values()) == claims
    assert sum(one.rewarded for one in state.referrals.values()) == rewards


def referred() -> LoggedStage:
    """Ann's code is Ben's and Cas's; they have traded, one of them on the day before."""
    stage = stage_of(maker_rebate_tiers=[[2_000, 20]])
    stage.act("Ann", RegisterReferrer("ANN"))
    stage.act("Ben", SetReferrer("ANN"))
    trade(stage, "Cas", "Ben")
    pass_days(stage, 1)
    stage.act("Cas", SetReferrer("ANN"))
    trade(stage, "Ben", "Cas")
    return stage


def nothing(*_arguments: object) -> int:
    """No fee, no reward, no share."""
    return 0


FORGERIES: dict[str, tuple[Any, str, Any, str]] = {
    "a trade for nothing": (matching, "trading_fee", nothing, "cost"),
    "no rewards": (referrals, "referral_reward", nothing, "fees and reward of"),
    "a better tier": (
        rates, "fee_rates", lambda volume, tiers: (1, 0), "cost",
    ),
    "rebates for all": (
        rates, "maker_rate", lambda rate, volume, exchange, tiers: -500, "cost",
    ),
    "rebates beyond the taker's fee": (
        matching, "maker_fee_paid", lambda fee, taker_fee: fee - 10**6, "cost",
    ),
    "the vault's share kept": (block_module, "pay_vault_share", nothing, "liquidity vault got"),
    "a larger share for the vault": (
        matching, "hlp_share", lambda fees, share: fees, "liquidity vault got",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_bent_rule_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step of a fee's way the operator bends, the audit says which one it was."""
    module, function, forged, words = FORGERIES[name]
    stage = referred()
    assert audited(stage).is_clean
    pass_days(stage, 1)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, forged)
        result = trade(stage, "Ben", "Cas")
        assert result.fills
    report = audited(stage)
    assert any(words in text for text in told(report)), [one.text for one in report.findings]


@pytest.mark.parametrize(
    ("function", "forged"),
    [
        ("fee_rates", lambda volume, tiers: (1, 0)),
        ("maker_rate", lambda rate, volume, exchange, tiers: -500),
    ],
)
def test_rates_that_do_not_follow_from_volumes_are_named(
    function: str, forged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the auditor executes the same bent code: rates are worked out from the leaves."""
    stage = referred()
    monkeypatch.setattr(rates, function, forged)
    pass_days(stage, 1)
    trade(stage, "Ben", "Cas")
    assert any("has the rates" in text for text in told(audited(stage)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_alone_gives_the_same_rates(seed: int) -> None:
    """`explain fill` works every fee out from the log's own volumes, codes and families."""
    stage = life(seed)
    parameters = stage.state.parameters
    book = FeeBook(parameters)
    count = 0
    for block in stage.blocks:
        today = day_of(block.time_ms)
        for entry in map(decode_entry, block.entries):
            if entry.kind not in (Kind.SUB_ACCOUNT, Kind.REFERRAL, Kind.FILL):
                continue
            fields = decode_payload(entry)
            if entry.kind is Kind.FILL:
                sides = book.sides(fields, today, is_spot=False)
                notional = fields["price"] * fields["lots"]
                fees = {
                    name: trading_fee(notional, side.rate, side.discount)
                    for name, side in sides.items()
                }
                assert fees["taker"] == fields["taker_fee"]
                assert maker_fee_paid(fees["maker"], fees["taker"]) == fields["maker_fee"]
                count += 1
            book.take(entry.kind, fields, today, is_spot=False)
    assert count > 50
