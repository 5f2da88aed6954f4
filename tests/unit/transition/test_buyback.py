"""Purchases of the assistance fund: when, how much, in which order, and what becomes of them."""

import json

import pytest

from chainperp.base.canonical import Record
from chainperp.base.units import strip_decimal
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.decisions import BuybackOutcome, Kind, LedgerType, OrderStatus, rule_number
from chainperp.model.entries import decode_payload
from chainperp.state.arrangements import FUND_FIELDS
from chainperp.state.store import ASSISTANCE_FUND
from chainperp.storage.package import build_genesis
from tests.support.forced import usdc
from tests.support.proofs import audited
from tests.support.token_market import MINUTE, TOKEN, TokenStage, spot_order, tokens
from tests.support.world import RULES, START, VALIDATOR, Result

MONEY_KINDS = (Kind.BUYBACK, Kind.LEDGER, Kind.FILL, Kind.ORDER, Kind.TOKEN)


def stage_with(money: str, snapshot_interval: int = 1_000) -> TokenStage:
    """A market at 0.99 to 1 with 30,000 tokens on each side; the fund got this much and bought
    once."""
    stage = TokenStage(spot_fee_tiers=[[0, 0, 0]], snapshot_interval=snapshot_interval)
    stage.market()
    stage.give_fund(money)
    return stage


def due(result: Result, stage: TokenStage) -> Record:
    """The purchase of a block in which one was due."""
    found = stage.purchase(result)
    assert found is not None
    return found


def test_a_purchase_takes_a_thousandth_of_what_is_offered() -> None:
    """30,000 USDC are offered up to 1.01: 30 USDC buy 29.70 tokens at the limit, and cost 29.70."""
    stage = TokenStage(spot_fee_tiers=[[0, 0, 0]])
    stage.market()
    found = due(stage.give_fund("100"), stage)
    assert (found["limit"], found["depth"], found["lots"]) == (10_100, usdc("30000"), 2_970)
    assert (found["spent"], found["bought"], found["burned"]) == (
        usdc("29.7"), tokens("29.7"), tokens("29.7"),
    )  # fmt: skip
    fund = stage.engine.state.fund
    assert fund.balance == usdc("70.3")
    assert stage.balance(ASSISTANCE_FUND) == stage.balance(ASSISTANCE_FUND, TOKEN) == 0
    token = stage.engine.state.tokens[TOKEN]
    assert token.burned == fund.burned == tokens("29.7")
    assert token.circulating == token.supply - tokens("29.7")


def test_its_entries_stand_in_the_order_in_which_it_goes() -> None:
    """Plan, money in, trade, order, rest out, burn: and all of it behind the users' actions."""
    stage = stage_with("100")
    result = stage.later(MINUTE, ("Ben", spot_order("buy", "20", "0.98")))
    kinds = [entry.kind for entry in result.entries]
    start = kinds.index(Kind.BUYBACK)
    assert Kind.TX_USER not in kinds[start:]
    moved = [kind for kind in kinds[start:] if kind in MONEY_KINDS]
    assert moved == [
        Kind.BUYBACK, Kind.LEDGER, Kind.FILL, Kind.ORDER, Kind.LEDGER, Kind.TOKEN,
    ]  # fmt: skip
    records = [decode_payload(one) for one in result.entries[start:] if one.kind in MONEY_KINDS]
    cause = result.block.first_index + start
    assert records[2]["cause_index"] == cause
    assert records[3]["oid"] == records[0]["oid"]
    assert [records[at]["type"] for at in (1, 4, 5)] == [
        LedgerType.BUYBACK_MONEY, LedgerType.BUYBACK_REST, LedgerType.BUYBACK_BURN,
    ]  # fmt: skip
    assert records[1]["amount"] - records[4]["amount"] == records[0]["spent"]


@pytest.mark.parametrize(
    ("money", "wait", "is_due"),
    [("10", MINUTE, True), ("9.999999", MINUTE, False), ("10", MINUTE - 1, False)],
)
def test_due_at_ten_dollars_and_a_minute_to_the_unit(money: str, wait: int, is_due: bool) -> None:
    """Neither a micro-USDC less nor a millisecond earlier."""
    stage = TokenStage(spot_fee_tiers=[[0, 0, 0]])
    stage.market()
    stage.give_fund("29.7")
    first = stage.engine.state.time_ms
    stage.give_fund(strip_decimal(usdc(money) - stage.engine.state.fund.balance, 6))
    assert stage.engine.state.fund.balance == usdc(money)
    result = stage.block(at=first + wait)
    assert (stage.purchase(result) is not None) is is_due


def test_three_blocks_without_a_purchase_name_their_reasons() -> None:
    """No mark, too little offered, too little money: each is written down, and each starts the
    minute anew."""
    stage = TokenStage(spot_fee_tiers=[[0, 0, 0]])
    stage.give_fund("10")
    stage.market(size="15")
    found = due(stage.later(), stage)
    assert (found["outcome"], found["rule"]) == (
        BuybackOutcome.TOO_LITTLE, rule_number("BUY-3"),
    )  # fmt: skip
    assert stage.purchase(stage.later(MINUTE - 1)) is None
    found = due(stage.later(1, ("Ben", spot_order("buy", "14", "1", "Ioc"))), stage)
    assert (found["outcome"], found["depth"]) == (BuybackOutcome.NO_DEPTH, usdc("1"))
    found = due(stage.later(MINUTE, ("Ben", spot_order("buy", "100", "1"))), stage)
    assert (found["outcome"], found["rule"]) == (BuybackOutcome.NO_MARK, rule_number("BUY-4"))
    assert (found["limit"], found["depth"], found["lots"], found["oid"]) == (0, 0, 0, 0)
    assert stage.engine.state.fund.purchases == 0
    assert stage.engine.state.fund.balance == usdc("10")
    assert audited(stage).is_clean


def test_the_purchase_comes_after_the_users_of_its_block_and_by_price() -> None:
    """A user of the same block takes the cheap ask first; then the fund takes the best that is
    left, never above its limit."""
    stage = stage_with("1000")
    stage.quote("Ann", "sell", "20", "0.995")
    result = stage.later(MINUTE, ("Ben", spot_order("buy", "20", "0.995", "Ioc")))
    fills = [one for one in result.fills if one["taker"] == ASSISTANCE_FUND]
    assert [one["price"] for one in fills] == [10_000]
    stage.quote("Ann", "sell", "20", "0.995")
    stage.quote("Ann", "sell", "5000000", "1.02")
    fills = [one for one in stage.later().fills if one["taker"] == ASSISTANCE_FUND]
    assert [one["price"] for one in fills] == [9_950, 10_000]
    (order,) = [one for one in stage.later().orders if one["account"] == ASSISTANCE_FUND]
    assert (order["status"], order["is_buy"]) == (OrderStatus.FILLED, True)
    assert order["price"] < 10_200


def test_the_offer_beyond_the_limit_is_no_depth() -> None:
    """A huge ask at 2 % above the mark makes a purchase no larger."""
    stage = stage_with("1000")
    before = due(stage.later(), stage)["lots"]
    stage.quote("Ann", "sell", "900000", "1.02")
    assert due(stage.later(), stage)["lots"] <= before


def test_sources_are_told_apart() -> None:
    """Fees of trades, a share of seized margin, and money from outside, to the micro-dollar."""
    stage = TokenStage(
        vault="1000000", fees=True, liquidation_fund_bps=2_500, activation_fee=1_000_000,
    )  # fmt: skip
    stage.mark("4000")
    stage.person("Cas", "40000", cross=True)
    stage.person("Dov", "1000000")
    stage.trade("Cas", "Dov", "100", "4000")
    fund = stage.engine.state.fund
    assert (fund.fees, fund.liquidations, fund.other) == (usdc("240"), 0, 0)
    assert fund.to_vault == usdc("2.4")
    told = stage.mark("3640")
    seized = sum(one["collateral"] for one in told.result.of(Kind.BACKSTOP) if one["taken"])
    assert fund.liquidations == seized // 4 > 0
    stage.give_fund("5")
    assert fund.other == usdc("5")
    assert fund.balance == stage.account_raw(ASSISTANCE_FUND) + stage.balance(ASSISTANCE_FUND)
    assert audited(stage).is_clean


def test_a_snapshot_keeps_the_books() -> None:
    """A restored state commits to the same root and goes on alike."""
    stage = stage_with("100", snapshot_interval=1)
    stage.later()
    other = Engine(stage.engine.genesis, RULES)
    other.restore(stage.engine.snapshot(), stage.engine.seal)
    for name in FUND_FIELDS:
        assert getattr(other.state.fund, name) == getattr(stage.engine.state.fund, name)
    later = stage.later()
    assert stage.purchase(later) is not None
    assert other.execute(stage.inputs[-1]).entries == later.block.entries


def test_a_chain_without_the_token_keeps_the_money() -> None:
    """No pair, no purchase, no entry."""
    tree = json.loads(build_genesis("test/world", START, [(VALIDATOR, 1)]))
    tree["spot"] = {"tokens": [], "pairs": []}
    stage = TokenStage()
    stage.engine = Engine(parse_genesis(json.dumps(tree).encode()), RULES)
    stage.blocks = [stage.engine.seal_genesis()]
    stage.give_fund("1000")
    assert stage.purchase(stage.later()) is None
    assert stage.engine.state.fund.balance == usdc("1000")


def test_genesis_money_of_the_fund_is_in_its_books() -> None:
    """What genesis gives the fund is money from outside, not fees."""
    raw = build_genesis("test/world", START, [(VALIDATOR, 1)], accounts=[(ASSISTANCE_FUND, 50)])
    stage = TokenStage()
    stage.engine = Engine(parse_genesis(raw), RULES)
    stage.blocks = [stage.engine.seal_genesis()]
    stage.later()
    fund = stage.engine.state.fund
    assert (fund.fees, fund.other) == (0, usdc("50"))
    assert audited(stage).is_clean
