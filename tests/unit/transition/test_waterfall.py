"""The waterfall of one block, step by step, on hand-made scenes. No fees unless a test says so.

The scene of most tests: Ann is long 100 ETH from 4,000 with 40,000 USDC (raw -360,000), Ben is
short with a million. ETH keeps 2 %: Ann is safe at 3,673.47 and above, broke below 3,600.
"""

from dataclasses import replace

import pytest

from chainperp.model.actions import UpdateLeverage
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import (
    AdlReason,
    Kind,
    LedgerType,
    LiquidationOutcome,
    Rejection,
    SystemType,
    rule_code,
)
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.adl.policy import ExemptMode
from chainperp.state.store import ASSISTANCE_FUND, BACKSTOP_VAULT, INSURANCE
from tests.support.forced import BTC, ETH, SOL, Stage, reason_of, rows_of, usdc
from tests.support.world import Result, address_of, order

BOOK, BACKSTOP = LiquidationOutcome.BOOK, LiquidationOutcome.BACKSTOP
ADL_CASE, WAITING = LiquidationOutcome.ADL_CASE, LiquidationOutcome.WAITING
RECOVERED = LiquidationOutcome.RECOVERED
CROSS = CROSS_SCOPE


def ann_long(vault: str = "0", **parameters: object) -> Stage:
    """Ann long 100 ETH from 4,000 with 40,000 USDC, against Ben."""
    stage = Stage(vault=vault, **parameters)  # type: ignore[arg-type]
    stage.mark("4000")
    stage.person("Ann", "40000")
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    return stage


def bid(stage: Stage, size: str, price: str, name: str = "Ben") -> None:
    """A resting bid for ETH."""
    stage.place(name, order(ETH, "buy", size, price))


# --- the worked example 6.5 -----------------------------------------------------------------------


def test_worked_example_sells_a_fifth_and_stops_when_safe() -> None:
    """6.5, first line: 20 ETH at 3,665, fee 32.985, value 6,867.015 against 5,872."""
    stage = ann_long(fee_tiers=[[0, 450, 0]])
    bid(stage, "50", "3665")
    told = stage.mark("3670")
    assert told.outcomes == {("Ann", CROSS): BOOK}
    assert told.sold == [("Ann", 200_000, 366_500)]
    assert told.result.fills[0]["taker_fee"] == usdc("32.985")
    (test,) = told.tests
    assert (test["value"], test["maintenance"]) == (usdc("7000"), usdc("7340"))
    assert (test["value_after"], test["maintenance_after"]) == (usdc("6867.015"), usdc("5872"))
    assert stage.lots("Ann") == 800_000
    assert not stage.next().tests


def test_worked_example_hands_the_position_over_when_nothing_fills() -> None:
    """6.5, second line: 100 ETH at 3,640 and 4,000 USDC to the vault; Ann ends at zero."""
    stage = ann_long(vault="100000")
    told = stage.mark("3640")
    assert told.outcomes == {("Ann", CROSS): BACKSTOP}
    assert told.taken == [("Ann", 1_000_000, 364_000)]
    assert (stage.lots("Ann"), stage.account("Ann").raw) == (0, 0)
    assert stage.value(BACKSTOP_VAULT) == usdc("104000")
    (entry,) = told.result.of(Kind.BACKSTOP)
    assert (entry["taken"], entry["collateral"]) == (True, usdc("4000"))
    assert (entry["vault_value_after"], entry["vault_margin_after"]) == (
        usdc("104000"), usdc("36400"),
    )  # fmt: skip


def test_worked_example_jumps_past_the_bankruptcy_price_into_adl() -> None:
    """6.5, third line, and 7.7: at 3,590 the account is at -1,000 and closed at 3,640."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Zed", "9000000")
    stage.person("Ann", "40000")
    stage.trade("Ann", "Zed", "100", "4000")
    stage.mark("3680")
    for name, amount in (("A", "74500"), ("B", "11200"), ("C", "498000")):
        stage.person(name, amount, leverage=25)
    for name, size, entry in (
        ("A", "50", "4100"), ("B", "40", "3700"), ("B", "40", "3700"), ("C", "200", "3600"),
    ):  # fmt: skip
        stage.trade("Zed", name, size, entry)
    assert stage.mark("3640").outcomes == {("Ann", CROSS): BOOK}
    told = stage.mark("3590")
    assert [stage.value(name) for name in "ABC"] == [
        usdc("99000"), usdc("16000"), usdc("500000"),
    ]  # fmt: skip
    assert told.adl == [("Ann", "B", 800_000, 364_000), ("Ann", "A", 200_000, 364_000)]
    assert [fill["maker_pnl"] for fill in told.result.fills] == [usdc("4800"), usdc("9200")]
    assert (stage.value("Ann"), stage.lots("Ann")) == (usdc("4000"), 0)
    (rows,) = rows_of(told.result)
    assert [row["account"] for row in rows] == [address_of(name) for name in "BAC"]
    assert [row["account_value"] for row in rows] == [usdc("20000"), usdc("100000"), usdc("500000")]


# --- the market stage -----------------------------------------------------------------------------


@pytest.mark.parametrize(("mark", "is_tested"), [("3673.5", False), ("3673.4", True)])
def test_liquidation_begins_strictly_below_maintenance(mark: str, is_tested: bool) -> None:
    """LIQ-1 at the last safe price on the grid, 3,673.47."""
    stage = ann_long()
    assert bool(stage.mark(mark).tests) is is_tested


def test_equality_with_maintenance_is_safe() -> None:
    """MRG-8 on the engine: value 72 is exactly 2 % of 3,600; one unit less is not."""
    for cash, is_safe in (("472", True), ("471.999999", False)):
        stage = Stage()
        stage.mark("4000")
        stage.person("Ann", cash, leverage=25)
        stage.person("Ben", "100000")
        stage.trade("Ann", "Ben", "1", "4000")
        told = stage.mark("3600")
        assert (not told.tests) is is_safe


def test_the_first_step_is_a_fifth_and_the_next_block_in_the_cooldown_sells_the_rest() -> None:
    """6.1 stage 2, and its careful reading."""
    stage = ann_long()
    bid(stage, "20", "3640")
    bid(stage, "500", "3610")
    told = stage.mark("3650")
    # 20 at 3,640; AV 5,000 - 200 is below 5,840, and the phase does not sell twice.
    assert told.sold == [("Ann", 200_000, 364_000)]
    assert stage.account("Ann").cooldown == stage.engine.state.time_ms
    told = stage.next()
    assert told.sold == [("Ann", 800_000, 361_000)]
    assert stage.lots("Ann") == 0


@pytest.mark.parametrize(("wait", "size"), [(29_999, 800_000), (30_000, 160_000)])
def test_the_cooldown_lasts_thirty_seconds(wait: int, size: int) -> None:
    """LIQ-6 on the engine: before its end everything is sold, at its end a fifth."""
    stage = ann_long()
    bid(stage, "20", "3665")
    stage.mark("3670")
    assert stage.lots("Ann") == 800_000
    start = stage.account("Ann").cooldown
    bid(stage, "500", "3650")
    stage.step = start + wait - stage.engine.state.time_ms
    told = stage.mark("3655")
    assert stage.engine.state.time_ms == start + wait
    # 80 left with 6,900: at 3,655 that is 5,700 against 5,848.
    assert told.sold == [("Ann", size, 365_000)]


@pytest.mark.parametrize(("mark", "sold"), [("3333.4", 60_000), ("3333.3", 300_000)])
def test_a_position_of_at_most_a_hundred_thousand_is_sold_at_once(mark: str, sold: int) -> None:
    """LIQ-3 on the engine: 30 ETH are worth 100,002 and 99,999."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Ann", "21900")
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "30", "4000")
    bid(stage, "100", "3330")
    assert [lots for _, lots, _ in stage.mark(mark).sold] == [sold]


def test_open_orders_of_the_scope_are_cancelled_before_anything_is_sold() -> None:
    """LIQ-2: all cross markets for a cross scope, none of the isolated ones."""
    stage = ann_long(markets=3)
    stage.marks({BTC: "50000", SOL: "100"})
    stage.act("Ann", UpdateLeverage(SOL, False, 10))
    for asset, size, price in ((BTC, "0.01", "49000"), (ETH, "0.01", "3000"), (SOL, "1", "90")):
        stage.place("Ann", order(asset, "buy", size, price))
    told = stage.mark("3670")
    assert told.canceled == [("Ann", Rejection.LIQUIDATED)] * 2
    kinds = [kind for kind in order_kinds(told.result) if kind in ("ORDER", "LIQ_TEST")]
    assert kinds == ["LIQ_TEST", "ORDER", "ORDER", "ORDER"]
    assert {one.asset for one in stage.account("Ann").orders.values()} == {SOL}


def order_kinds(result: Result) -> list[str]:
    """Names of the entries, in order."""
    return [entry.kind.name for entry in result.entries]


def test_an_isolated_scope_cancels_the_orders_of_its_market_only() -> None:
    """LIQ-2 for an isolated scope; the cross balance and its orders are left alone."""
    stage = Stage(markets=2)
    stage.marks({ETH: "4000", BTC: "50000"})
    stage.person("Ann", "40000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "10", "4000")
    stage.place("Ann", order(ETH, "buy", "0.1", "3000"))
    stage.place("Ann", order(BTC, "buy", "0.01", "49000"))
    bid(stage, "100", "3650")
    raw = stage.account("Ann").raw
    told = stage.mark("3670")
    assert told.outcomes == {("Ann", ETH): BOOK}
    assert told.canceled == [("Ann", Rejection.LIQUIDATED)]
    assert told.sold == [("Ann", 100_000, 365_000)]
    # 4,000 of own margin less 3,500 come back, for the position is gone.
    assert stage.account("Ann").raw == raw + usdc("500")
    assert {one.asset for one in stage.account("Ann").orders.values()} == {BTC}


def test_an_isolated_position_gives_nothing_back_while_it_is_reduced() -> None:
    """U-LIQ-9: freed equity stays in the cell, so a partial sale can make the position safe."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Ann", "40000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    raw = stage.account("Ann").raw
    bid(stage, "500", "3665")
    told = stage.mark("3670")
    assert told.sold == [("Ann", 200_000, 366_500)]
    assert stage.account("Ann").raw == raw
    assert stage.value("Ann", ETH) == usdc("6900")


def test_inside_a_cross_account_the_largest_maintenance_is_sold_first_and_selling_stops() -> None:
    """LIQ-5: 20 ETH need 2 % of 73,400, 1 BTC 1.25 % of 50,000; the second is not touched."""
    stage = Stage()
    stage.marks({ETH: "4000", BTC: "50000"})
    stage.person("Ann", "8500")
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "20", "4000")
    stage.trade("Ann", "Ben", "1", "50000", BTC)
    bid(stage, "100", "3670")
    stage.place("Ben", order(BTC, "buy", "10", "49990"))
    told = stage.mark("3670")
    # Value 1,900 against 1,468 + 625.
    assert told.sold == [("Ann", 200_000, 367_000)]
    assert stage.lots("Ann", BTC) == 100_000
    assert told.tests[0]["maintenance_after"] == usdc("625")


def test_the_limit_is_the_bankruptcy_price_fee_included() -> None:
    """LIQ-4, U-REL-2: a bid at the last price that leaves nothing fills, one tick less does not."""
    for price, sold in (("3601.7", 20), ("3601.6", 0)):
        stage = ann_long(fee_tiers=[[0, 450, 0]])
        bid(stage, "20", price)
        told = stage.mark("3670")
        # 360,000 / (100 * 0.99955) is 3,601.62; on the grid 3,601.7.
        assert sum(lots for _, lots, _ in told.sold) == sold * 10_000
        assert stage.value("Ann") >= 0


def test_the_limit_of_a_purchase_is_the_bankruptcy_price_too() -> None:
    """LIQ-4 for a short: 440,000 / (100 * 1.00045) is 4,398.02; on the grid 4,398.0."""
    for price, bought in (("4398", 20), ("4398.1", 0)):
        stage = Stage(fee_tiers=[[0, 450, 0]])
        stage.mark("4000")
        stage.person("Ann", "40000")
        stage.person("Ben", "1000000")
        stage.place("Ann", order(ETH, "sell", "100", "4000"))
        stage.place("Ben", order(ETH, "buy", "100", "4000", "Ioc"))
        stage.place("Ben", order(ETH, "sell", "20", price))
        told = stage.mark("4330")
        assert sum(lots for _, lots, _ in told.sold) == bought * 10_000


def test_liquidations_are_bounded_and_the_rest_wait_and_go_on_next_block() -> None:
    """LIQ-7, INV-L13: three are due, one is handled; the rest wait and are handled later."""
    stage = Stage(liquidations_per_block=1)
    stage.mark("4000")
    stage.person("Ben", "1000000")
    for name, cash in (("Ann", "400"), ("Cat", "390"), ("Dan", "380")):
        stage.person(name, cash, leverage=25)
        stage.trade(name, "Ben", "1", "4000")
    told = stage.mark("3670")
    assert told.outcomes == {
        ("Dan", CROSS): BOOK, ("Cat", CROSS): WAITING, ("Ann", CROSS): WAITING,
    }  # fmt: skip
    assert [rule_code(test["rule"]) for test in told.tests] == ["LIQ-3", "LIQ-7", "LIQ-7"]
    bid(stage, "1", "3665")
    assert stage.lots("Dan") == 0
    bid(stage, "1", "3665")
    assert stage.lots("Cat") == 0
    bid(stage, "1", "3665")
    assert stage.lots("Ann") == 0
    assert not stage.next().tests


def test_scopes_are_handled_from_the_lowest_ratio_and_equal_ones_by_address() -> None:
    """LIQ-1, U-LIQ-2."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Ben", "1000000")
    for name, cash in (("Cat", "390"), ("Ann", "390"), ("Dan", "380")):
        stage.person(name, cash, leverage=25)
        stage.trade(name, "Ben", "1", "4000")
    told = stage.mark("3670")
    assert [name for name, _ in told.outcomes] == ["Dan", "Ann", "Cat"]


def test_a_scope_that_an_earlier_step_made_safe_is_only_noted() -> None:
    """An isolated position is sold and its rest returns to cross before the cross scope's turn."""
    stage = Stage(markets=3)
    stage.marks({ETH: "4000", SOL: "100"})
    stage.person("Ann", "13400")
    stage.person("Ben", "1000000")
    stage.act("Ann", UpdateLeverage(SOL, False, 2))
    stage.trade("Ann", "Ben", "10", "4000")
    stage.trade("Ann", "Ben", "200", "100", SOL)
    stage.place("Ben", order(SOL, "buy", "500", "51.1"))
    # SOL: 10,000 - 9,780 = 220 of 255.5; ETH: 3,400 - 2,700 = 700 of 746.
    told = stage.marks({ETH: "3730", SOL: "51.1"})
    assert told.outcomes == {("Ann", SOL): BOOK, ("Ann", CROSS): RECOVERED}
    assert stage.lots("Ann") == 100_000


# --- the backstop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("vault", "taken"), [("32400", True), ("32399.999999", False)])
def test_the_vault_takes_only_what_its_own_capital_carries(vault: str, taken: bool) -> None:
    """BKS-2: 100 ETH at 3,640 need 36,400 at 10x; Ann brings 4,000 of it."""
    stage = ann_long(vault=vault)
    told = stage.mark("3640")
    assert told.outcomes == {("Ann", CROSS): BACKSTOP if taken else BOOK}
    (entry,) = told.result.of(Kind.BACKSTOP)
    assert entry["taken"] is taken
    assert stage.lots("Ann") == (0 if taken else 1_000_000)
    if not taken:
        assert stage.mark("3590").outcomes == {("Ann", CROSS): ADL_CASE}


@pytest.mark.parametrize(("cap", "taken"), [("364000", True), ("363999.999999", False)])
def test_the_vault_takes_nothing_beyond_its_cap(cap: str, taken: bool) -> None:
    """BKS-2, INV-L10: the parameter bounds the value of its positions."""
    stage = ann_long(vault="1000000", backstop_notional_max=usdc(cap))
    assert stage.mark("3640").outcomes == {("Ann", CROSS): BACKSTOP if taken else BOOK}


@pytest.mark.parametrize(("mark", "outcome"), [("3648.7", BACKSTOP), ("3648.8", BOOK)])
def test_the_backstop_begins_below_two_thirds_of_maintenance(
    mark: str, outcome: LiquidationOutcome
) -> None:
    """BKS-1: 100 p - 360,000 < 4/3 p, so below 3,648.65 (on the grid 3,648.6)."""
    stage = ann_long(vault="1000000")
    expected = BOOK if mark == "3648.8" else outcome
    found = stage.mark("3648.6" if outcome is BACKSTOP else mark).outcomes
    assert found == {("Ann", CROSS): expected}


def test_nothing_is_handed_over_at_a_value_of_exactly_zero() -> None:
    """U-LIQ-12, U-ADL-3: at 3,600 neither the vault nor auto-deleveraging acts."""
    stage = ann_long(vault="1000000")
    told = stage.mark("3600")
    assert told.outcomes == {("Ann", CROSS): BOOK}
    assert not told.taken
    assert not told.adl
    assert stage.mark("3599.9").outcomes == {("Ann", CROSS): ADL_CASE}


def test_isolated_only_markets_have_no_backstop() -> None:
    """BKS-4, U-LIQ-16: refused with its own rule, then auto-deleveraging."""
    stage = Stage(vault="1000000", isolated_only=(ETH,))
    stage.mark("4000")
    stage.person("Ann", "40000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000", ETH, cross=False, leverage=10)
    stage.trade("Ann", "Ben", "100", "4000")
    told = stage.mark("3640")
    (entry,) = told.result.of(Kind.BACKSTOP)
    assert (entry["taken"], rule_code(entry["rule"])) == (False, "BKS-4")
    assert stage.mark("3590").outcomes == {("Ann", ETH): ADL_CASE}
    assert stage.lots("Ann") == 0


def test_an_isolated_position_is_handed_over_with_its_margin_only() -> None:
    """U-LIQ-11: the cross balance of the account stays."""
    stage = Stage(vault="100000")
    stage.mark("4000")
    stage.person("Ann", "50000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    told = stage.mark("3640")
    assert told.outcomes == {("Ann", ETH): BACKSTOP}
    assert stage.account("Ann").raw == usdc("10000")
    assert stage.account("Ann").raw_isolated_total == 0
    assert stage.value(BACKSTOP_VAULT) == usdc("104000")


def test_a_cross_account_is_handed_over_whole_and_its_isolated_positions_stay() -> None:
    """6.1 stage 3: all cross positions, all cross margin."""
    stage = Stage(vault="1000000", markets=3)
    stage.marks({ETH: "4000", BTC: "50000", SOL: "100"})
    stage.person("Ann", "51000")
    stage.person("Ben", "2000000")
    stage.act("Ann", UpdateLeverage(SOL, False, 1))
    stage.trade("Ann", "Ben", "100", "4000")
    stage.trade("Ben", "Ann", "1", "50000", BTC)
    stage.trade("Ann", "Ben", "100", "100", SOL)
    told = stage.marks({ETH: "3640", BTC: "50500"})
    assert told.taken == [("Ann", 100_000, 505_000), ("Ann", 1_000_000, 364_000)]
    assert stage.account("Ann").raw == 0
    assert stage.lots("Ann", SOL) == 10_000
    assert stage.value(BACKSTOP_VAULT) == usdc("1004500")


def test_seized_collateral_is_routed_by_the_published_shares() -> None:
    """BKS-6: of 4,000, a quarter to the fund and a tenth to the insurance; rounded down."""
    stage = ann_long(vault="100000", liquidation_fund_bps=2_500, liquidation_insurance_bps=1_000)
    told = stage.mark("3640")
    moves = [
        (one["type"], one["destination"], one["amount"]) for one in told.result.of(Kind.LEDGER)
    ]
    assert moves == [
        (LedgerType.BACKSTOP_COLLATERAL, BACKSTOP_VAULT, usdc("4000")),
        (LedgerType.LIQUIDATION_PROFIT, ASSISTANCE_FUND, usdc("1000")),
        (LedgerType.LIQUIDATION_PROFIT, INSURANCE, usdc("400")),
    ]
    assert stage.value(BACKSTOP_VAULT) == usdc("102600")


def test_the_vault_works_its_positions_off_by_the_schedule() -> None:
    """BKS-3, BKS-5: a second's share of ten minutes' half-life, 2 % off at most."""
    stage = ann_long(vault="100000")
    stage.mark("3640")
    bid(stage, "500", "3600")
    stage.step = 1_000
    lots = stage.engine.state.accounts[BACKSTOP_VAULT].exposures[ETH].lots
    for _ in range(3):
        told = stage.next()
        (sale,) = [one for one in told.result.orders if one["account"] == BACKSTOP_VAULT]
        assert (sale["reason"], sale["price"], sale["reduce_only"]) == (
            Rejection.UNWIND, 356_720, True,
        )  # fmt: skip
        expected = -(-lots * 693_147 // 600_000_000)
        assert (sale["lots"], sale["found"]) == (expected, lots)
        lots -= expected
        (vault,) = told.result.of(Kind.VAULT)
        assert vault["notional"] == lots * 364_000


def test_the_vault_offers_nothing_below_its_slippage_limit() -> None:
    """BKS-5: a bid 2 % and a tick away is not hit."""
    stage = ann_long(vault="100000")
    stage.mark("3640")
    bid(stage, "500", "3567.1")
    stage.step = 1_000
    assert not stage.next().result.fills


def test_the_vault_without_equity_refuses_and_is_an_adl_case_itself() -> None:
    """U-LIQ-18, INV-L10: it draws on nobody; its positions close against the other side."""
    stage = ann_long(vault="40000")
    stage.mark("3640")
    fund = stage.account_raw(ASSISTANCE_FUND)
    assert stage.value(BACKSTOP_VAULT) == usdc("44000")
    stage.person("Cat", "40000")
    stage.person("Eve", "1000000")
    stage.trade("Cat", "Eve", "100", "3640")
    told = stage.mark("3190")
    assert told.outcomes == {("vault", CROSS): ADL_CASE, ("Cat", CROSS): ADL_CASE}
    assert {taker for taker, _, _, _ in told.adl} == {"vault", "Cat"}
    assert {price for _, _, _, price in told.adl} == {364_000}
    assert stage.account_raw(ASSISTANCE_FUND) == fund
    assert stage.value(BACKSTOP_VAULT) == usdc("44000")


def test_a_vault_below_maintenance_is_sold_like_anybody_but_not_taken_over_by_itself() -> None:
    """U-LIQ-18."""
    stage = ann_long(vault="40000")
    stage.mark("3640")
    told = stage.mark("3220")
    # 44,000 - 42,000 = 2,000 against 6,440.
    assert told.outcomes == {("vault", CROSS): BOOK}
    assert [entry["taken"] for entry in told.result.of(Kind.BACKSTOP)] == [False]


def test_a_vault_never_takes_itself_over() -> None:
    """At 3x two thirds of maintenance, 11.1 %, are more than the vault's margin of 10 %."""
    stage = Stage(vault="21000", first_tier=3)
    stage.mark("4000")
    stage.person("Ann", "40000", leverage=3)
    stage.person("Ben", "1000000", leverage=3)
    stage.trade("Ann", "Ben", "20", "4000")
    # 40,000 - 32,600 = 7,400 of 7,900: sold below two thirds at 2,250.
    stage.mark("2240")
    assert stage.value(BACKSTOP_VAULT) == usdc("25800")
    told = stage.mark("1056")
    # 25,800 - 23,680 = 2,120 of 3,520; its margin at 10x is 2,112, so it could afford itself.
    assert told.outcomes == {("vault", CROSS): BOOK}
    assert [one["taken"] for one in told.result.of(Kind.BACKSTOP)] == [False]


# --- auto-deleveraging ----------------------------------------------------------------------------


def test_nothing_happens_within_the_tolerance_and_everything_beyond() -> None:
    """U-ADL-4 for cross scopes: a deficit of 1,000 with a tolerance of 1,000 and a unit less."""
    for tolerance, is_closed in (("1000", False), ("999.999999", True)):
        stage = ann_long(adl_tolerance=usdc(tolerance))
        stage.mark("3640")
        told = stage.mark("3590")
        assert told.outcomes == {("Ann", CROSS): ADL_CASE}
        assert bool(told.adl) is is_closed
        assert stage.engine.state.uncovered == (0 if is_closed else usdc("1000"))


def test_isolated_scopes_ignore_the_tolerance() -> None:
    """U-ADL-4: a tolerance is for cross deficits; an isolated position is closed at once."""
    stage = Stage(adl_tolerance=usdc("1000000"))
    stage.mark("4000")
    stage.person("Ann", "40000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.mark("3640")
    assert stage.mark("3590").adl == [("Ann", "Ben", 1_000_000, 364_000)]


def two_jumps(insurance: str = "0", **parameters: object) -> Stage:
    """Ann's deficit is 1,000 at the mark and at the previous mark too: 100 ETH at 3,590.

    A tolerance keeps her waiting at 3,590; a deficit of one unit more ends the wait.
    """
    stage = Stage(insurance=insurance, adl_tolerance=usdc("999.999999"), **parameters)  # type: ignore[arg-type]
    stage.mark("4000")
    stage.person("Ann", "40000")
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.mark("3590.1")
    return stage


def test_the_price_moves_in_favour_of_who_would_stay_below_zero() -> None:
    """U-ADL-6: closed at 3,590.1 Ann would be at -990, so at 3,600."""
    stage = two_jumps()
    told = stage.mark("3590")
    assert told.adl == [("Ann", "Ben", 1_000_000, 360_000)]
    assert stage.value("Ann") == 0


@pytest.mark.parametrize(
    ("insurance", "price", "left"),
    [("0", 360_000, "0"), ("400", 359_600, "0"), ("990", 359_010, "0"), ("5000", 359_010, "4010")],
)
def test_the_insurance_pays_before_the_price_moves(insurance: str, price: int, left: str) -> None:
    """Waterfall: the insurance up to its balance, then the shift; the receipt shows both."""
    stage = two_jumps(insurance)
    told = stage.mark("3590")
    assert told.adl == [("Ann", "Ben", 1_000_000, price)]
    assert stage.value(INSURANCE) == usdc(left)
    assert stage.value("Ann") == 0
    (begin,) = told.result.of(Kind.ADL_BEGIN)
    (fund,) = begin["waterfall"]
    assert (fund["before"], fund["after"]) == (usdc(insurance), usdc(left))


def test_the_insurance_pays_an_isolated_cell_directly() -> None:
    """The cross balance of an isolated position's owner is the same before and after."""
    stage = Stage(insurance="400", liquidations_per_block=0)
    stage.mark("4000")
    stage.person("Ann", "50000", ETH, cross=False, leverage=10)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.mark("3590.1")
    set_parameters(stage, liquidations_per_block=9)
    told = stage.mark("3590")
    assert told.adl == [("Ann", "Ben", 1_000_000, 359_600)]
    assert stage.account("Ann").raw == usdc("10000")


def set_parameters(stage: Stage, **values: int) -> None:
    """Other values from here on, set from outside: there is no governance yet."""
    state = stage.engine.state
    state.parameters = replace(state.parameters, **values)  # type: ignore[arg-type]


def test_opposite_underwater_scopes_are_netted_first() -> None:
    """U-ADL-11: long and short broke in one block close against each other at the previous mark."""
    stage = hedged_losers()
    told = stage.marks({ETH: "3590", BTC: "58000"})
    nets = told.result.of(Kind.ADL_NET)
    assert [
        (one["long_account"], one["short_account"], one["lots"], one["price"]) for one in nets
    ] == [(address_of("Ann"), address_of("Dan"), 300_000, 364_000)]
    assert told.adl[0] == ("Ann", "Dan", 300_000, 364_000)
    # Ann is at 500 now: no longer underwater, so no round; Dan's BTC is closed by Ben.
    assert (stage.lots("Ann"), stage.value("Ann")) == (700_000, usdc("500"))
    assert told.adl[1:] == [("Dan", "Ben", 600_000, 500_000)]
    assert (stage.lots("Dan"), stage.lots("Dan", BTC)) == (0, 0)
    assert stage.value("Dan") >= 0


def hedged_losers(size: str = "30") -> Stage:
    """Ann long 100 ETH; Dan short some ETH and short BTC, on which he loses."""
    stage = Stage()
    stage.marks({ETH: "4000", BTC: "50000"})
    stage.person("Ann", "40000")
    stage.person("Dan", "30000")
    stage.person("Ben", "3000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.trade("Ben", "Dan", size, "4000")
    stage.trade("Ben", "Dan", "6", "50000", BTC)
    stage.marks({ETH: "3640", BTC: "50000"})
    return stage


def test_netting_to_exactly_zero_leaves_the_rest_open() -> None:
    """U-ADL-3: -1,000 and 20 ETH netted 50 above the mark are zero, and zero is no case."""
    stage = hedged_losers(size="20")
    told = stage.marks({ETH: "3590", BTC: "58000"})
    assert told.outcomes[("Ann", CROSS)] is ADL_CASE
    assert (stage.lots("Ann"), stage.value("Ann")) == (800_000, 0)
    assert not [one for one in told.adl if one[:2] == ("Ann", "Ben")]


def test_netting_leaves_nobody_below_zero_when_the_price_must_move() -> None:
    """INV-L9 after U-ADL-11: the shift is worked out for what is left after netting."""
    stage = Stage(liquidations_per_block=0)
    stage.marks({ETH: "4000", BTC: "50000"})
    stage.person("Ann", "40000")
    stage.person("Dan", "30000")
    stage.person("Ben", "3000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.trade("Ben", "Dan", "30", "4000")
    stage.trade("Ben", "Dan", "6", "50000", BTC)
    stage.marks({ETH: "3590.1", BTC: "58000"})
    set_parameters(stage, liquidations_per_block=9)
    stage.marks({ETH: "3590", BTC: "58001"})
    assert stage.value("Ann") >= 0
    assert stage.value("Dan") >= 0


def test_an_isolated_loss_stays_in_its_cell_when_netted() -> None:
    """INV-R9: an underwater isolated short that is netted takes nothing from its owner's cross."""
    stage = Stage(liquidations_per_block=0)
    stage.mark("4000")
    stage.person("Dan", "50000", ETH, cross=False, leverage=25)
    stage.person("Ann", "40000")
    stage.person("Ben", "3000000")
    stage.trade("Ben", "Dan", "50", "4000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.mark("4400")
    set_parameters(stage, liquidations_per_block=9)
    raw = stage.account("Dan").raw
    # Ann is made broke by hand: her loss comes from elsewhere.
    stage.account("Ann").raw -= usdc("90000")
    stage.account("Ben").raw += usdc("90000")
    for name in ("Ann", "Ben"):
        stage.engine.state.touch(stage.account(name))
        stage.engine.state.unfile(stage.account(name))
    stage.mark("4400")
    assert stage.lots("Dan") == 0
    assert stage.account("Dan").raw >= raw
    # What Dan's cell owes is the insurance account's debt, until somebody pays it.
    state = stage.engine.state
    owed = -stage.value(INSURANCE)
    assert owed > 0
    assert state.uncovered == owed
    stage.next()
    assert state.uncovered == owed
    stage.block(system=[stage.deposit_to(INSURANCE, "1000000")])
    assert state.uncovered == 0


def test_no_deficit_is_collected_that_is_no_longer_there() -> None:
    """A cross scope below zero at its turn, healed by its own isolated position after it, is not
    auto-deleveraged (U-ADL-3), and the insurance pays nothing."""
    stage = Stage(markets=3, insurance="100000")
    stage.marks({ETH: "4000", SOL: "100"})
    stage.person("Ann", "13400")
    stage.person("Ben", "1000000")
    stage.act("Ann", UpdateLeverage(SOL, False, 2))
    stage.trade("Ann", "Ben", "10", "4000")
    stage.trade("Ann", "Ben", "200", "100", SOL)
    stage.place("Ben", order(SOL, "buy", "500", "51.1"))
    stage.marks({ETH: "3730", SOL: "53"})
    # Cross 3,400 - 3,410 = -10; SOL 10,000 - 9,780 = 220 of 255.5, sold for 220 that return.
    told = stage.marks({ETH: "3659", SOL: "51.1"})
    assert told.outcomes[("Ann", CROSS)] is ADL_CASE
    assert not told.adl
    assert stage.value(INSURANCE) == usdc("100000")


def test_reduce_only_orders_of_who_was_closed_are_cancelled() -> None:
    """U-ADL-14: they no longer reduce; an ordinary order stays."""
    stage = ann_long()
    stage.place(
        "Ben", order(ETH, "buy", "1", "3000", reduce_only=True), order(ETH, "buy", "1", "2900")
    )
    stage.mark("3640")
    told = stage.mark("3590")
    assert ("Ben", Rejection.REDUCE_ONLY_CANCELED) in told.canceled
    assert len(stage.account("Ben").orders) == 1


def test_adl_charges_no_fee_and_counts_no_volume() -> None:
    """U-ADL-15, INV-L6; the backstop's transfer is free too."""
    stage = ann_long(fees=True)
    volume = stage.account("Ben").volume_total
    stage.mark("3640")
    told = stage.mark("3590")
    assert told.adl
    assert all(fill["maker_fee"] == fill["taker_fee"] == 0 for fill in told.result.fills)
    assert stage.account("Ben").volume_total == volume


def test_an_isolated_winner_gets_his_share_of_margin_back() -> None:
    """U-ADL-16: closed like a normal decrease, at the round's price."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Ann", "20000")
    stage.person("Ben", "1000000", ETH, cross=False, leverage=10)
    stage.person("Cat", "1000000")
    stage.trade("Ann", "Ben", "50", "4000")
    stage.trade("Cat", "Ben", "50", "4000")
    raw = stage.account("Ben").raw
    stage.mark("3640")
    told = stage.mark("3590")
    assert told.adl == [("Ann", "Ben", 500_000, 364_000)]
    # Half of 40,000 + 100 * 360.
    assert stage.account("Ben").raw == raw + usdc("38000")


@pytest.mark.parametrize("policy", [100, 200, 300, 350, 400, 500, 1101, 1200, 1300, 1400])
def test_every_contract_space_policy_closes_the_position(policy: int) -> None:
    """`adl_policy` chooses the policy; lots close to the last, nobody ends below zero."""
    stage = three_winners(adl_policy=policy)
    told = stage.mark("3590")
    (end,) = told.result.of(Kind.ADL_END)
    (begin,) = told.result.of(Kind.ADL_BEGIN)
    assert begin["policy_id"] == policy
    assert (end["filled_lots"], end["shortfall_lots"]) == (1_000_000, 0)
    assert stage.lots("Ann") == 0
    assert all(stage.value(name) >= 0 for name in ("Ann", "A", "B", "C"))


@pytest.mark.parametrize(
    "policy", [101, 102, 600, 601, 700, 800, 900, 1000, 1100, 1201, 1500, 1700, 1900]
)
def test_every_wealth_space_policy_covers_the_deficit_once(policy: int) -> None:
    """The position is closed, and what winners pay in all is the deficit, not more."""
    stage = three_winners(adl_policy=policy)
    before = {name: stage.value_at(name, ETH, 359_000) for name in ("A", "B", "C")}
    told = stage.mark("3590")
    assert stage.lots("Ann") == 0
    after = {name: stage.value(name) for name in before}
    paid = sum(before[name] - after[name] for name in before)
    # Policies that round each share up may collect a unit per winner too much.
    assert 0 <= paid - usdc("1000") < 3
    assert stage.value("Ann") == paid - usdc("1000")
    assert not [row for rows in rows_of(told.result) for row in rows
                if row["reason"] and row["take_lots"]]  # fmt: skip


def three_winners(**parameters: object) -> Stage:
    """Ann long 100 ETH at 3,640 with 4,000 left; A, B, C short against others."""
    stage = Stage(**parameters)  # type: ignore[arg-type]
    stage.mark("4000")
    stage.person("Ann", "40000")
    stage.person("Zed", "9000000")
    for name, cash, size in (("A", "200000", "100"), ("B", "50000", "80"), ("C", "700000", "200")):
        stage.person(name, cash)
        stage.trade("Zed", name, size, "4000")
    stage.trade("Ann", "Zed", "100", "4000")
    stage.mark("3640")
    return stage


def test_a_scope_with_two_positions_is_not_paid_twice() -> None:
    """A policy that closes at the bankruptcy price (P2), two positions: Ann ends at zero."""
    stage = Stage(adl_policy=200)
    stage.marks({ETH: "4000", BTC: "50000"})
    stage.person("Ann", "60000")
    stage.person("Ben", "3000000")
    stage.trade("Ann", "Ben", "100", "4000")
    stage.trade("Ann", "Ben", "5", "50000", BTC)
    stage.marks({ETH: "3640", BTC: "46000"})
    stage.marks({ETH: "3590", BTC: "46000"})
    assert stage.lots("Ann") == stage.lots("Ann", BTC) == 0
    # Prices move by whole grid units: at most a micro-dollar for each of 1,500,000 lots.
    assert 0 <= stage.value("Ann") < usdc("1.5")


# --- exemptions -----------------------------------------------------------------------------------


def exempt(name: str, first: int, last: int, cap: int = 0) -> SystemInput:
    """An announced exemption."""
    body = address_of(name) + cap.to_bytes(8) + first.to_bytes(8) + last.to_bytes(8)
    return SystemInput(SystemType.EXEMPTION, body)


def code_of(result: Result) -> Rejection:
    """Result of the first system input."""
    return Rejection(result.of(Kind.TX_SYSTEM)[0]["code"])


def test_the_list_is_empty_by_default_and_nobody_has_reason_four() -> None:
    """EXM-1."""
    stage = three_winners()
    assert stage.engine.state.exempt == {}
    told = stage.mark("3590")
    (begin,) = told.result.of(Kind.ADL_BEGIN)
    assert begin["exempt_count"] == 0
    assert AdlReason.EXEMPT not in {row["reason"] for rows in rows_of(told.result) for row in rows}


def test_an_exemption_is_honoured_from_its_height_and_its_row_says_so() -> None:
    """EXM-2, ADL-5: reason 4 in the receipt, no lots; without it the same account is first."""
    told = three_winners().mark("3590")
    assert told.adl[0][1] == "B"
    stage = three_winners(exempt_notice_blocks=3)
    height = stage.engine.height + 1
    result = stage.block(system=[exempt("B", height + 3, height + 100)])
    assert code_of(result) is Rejection.ACCEPTED
    (entry,) = result.of(Kind.PARAM)
    assert (entry["name"], entry["activation_height"]) == (
        f"exempt/{address_of('B').hex()}", height + 3,
    )  # fmt: skip
    stage.next()
    stage.next()
    told = stage.mark("3590")
    assert stage.engine.height == height + 3
    (rows,) = rows_of(told.result)
    assert reason_of(rows, "B") is AdlReason.EXEMPT
    assert "B" not in {maker for _, maker, _, _ in told.adl}
    (begin,) = told.result.of(Kind.ADL_BEGIN)
    assert (begin["exempt_count"], begin["n_eligible"], begin["queue_count"]) == (1, 2, 3)


def test_an_exemption_that_is_not_yet_in_force_spares_nobody() -> None:
    """EXM-2 one block before."""
    stage = three_winners(exempt_notice_blocks=3)
    height = stage.engine.height + 1
    stage.block(system=[exempt("B", height + 3, height + 100)])
    stage.next()
    told = stage.mark("3590")
    (rows,) = rows_of(told.result)
    assert reason_of(rows, "B") is AdlReason.ELIGIBLE
    assert told.adl[0][1] == "B"


def test_exemptions_need_notice_and_room() -> None:
    """EXM-1: one block too early is refused; the list has a cap; it ends by itself."""
    stage = Stage(exempt_notice_blocks=3, exempt_max=1)
    stage.person("Ann", "10")
    stage.person("Ben", "10")
    height = stage.engine.height + 1
    early = stage.block(system=[exempt("Ann", height + 2, height + 9)])
    assert code_of(early) is Rejection.EXEMPTION_NOTICE
    height += 1
    assert (
        code_of(stage.block(system=[exempt("Ann", height + 3, height + 5)])) is Rejection.ACCEPTED
    )
    full = stage.block(system=[exempt("Ben", height + 9, height + 12)])
    assert code_of(full) is Rejection.EXEMPTION_LIST_FULL
    while stage.engine.height < height + 4:
        assert list(stage.engine.state.exempt) == [address_of("Ann")]
        stage.next()
    stage.next()
    assert stage.engine.state.exempt == {}


def test_an_exemption_in_force_does_not_end_without_notice() -> None:
    """EXM-1: 'granted, changed or ended only from a height that is announced well ahead'."""
    stage = Stage(exempt_notice_blocks=3)
    stage.person("Ann", "10")
    height = stage.engine.height + 1
    stage.block(system=[exempt("Ann", height + 3, height + 100)])
    while stage.engine.height < height + 4:
        stage.next()
    now = stage.engine.height + 1
    assert code_of(stage.block(system=[exempt("Ann", now + 3, now + 3)])) is Rejection.ACCEPTED
    for _ in range(2):
        assert spared(stage, "Ann")
        stage.next()
    assert spared(stage, "Ann")
    stage.next()
    assert not spared(stage, "Ann")


def spared(stage: Stage, name: str) -> bool:
    """Whether some range of an account's exemptions holds at this height."""
    height = stage.engine.height
    ranges = stage.engine.state.exempt.get(address_of(name), [])
    return any(one.from_height <= height < one.to_height for one in ranges)


def test_an_exemption_with_a_cap_is_no_more_than_its_cap() -> None:
    """Mode CAPPED and half: the account gives up to half, not nothing."""
    stage = three_winners(exempt_notice_blocks=0, exempt_mode=ExemptMode.CAPPED)
    height = stage.engine.height + 1
    stage.block(system=[exempt("B", height, height + 100, cap=500_000_000)])
    told = stage.mark("3590")
    assert ("Ann", "B", 400_000, 364_000) in told.adl


@pytest.mark.parametrize(("limit", "is_spared"), [("1364200", False), ("1364200.000001", True)])
def test_an_exemption_for_a_small_market_ends_when_it_grows(limit: str, is_spared: bool) -> None:
    """Mode OI_CONDITIONAL: 380 ETH of open interest at the mark of 3,590 are 1,364,200 USDC."""
    stage = three_winners(
        exempt_notice_blocks=0,
        exempt_mode=ExemptMode.OI_CONDITIONAL,
        exempt_open_interest_max=usdc(limit),
    )
    height = stage.engine.height + 1
    stage.block(system=[exempt("B", height, height + 100)])
    told = stage.mark("3590")
    (rows,) = rows_of(told.result)
    assert (reason_of(rows, "B") is AdlReason.EXEMPT) is is_spared


# --- what the log commits to ----------------------------------------------------------------------


def test_target_value_is_what_the_committed_state_says() -> None:
    """9.5 step 7: `target_value` is proven under the STATE_COMMIT of the round."""
    stage = two_jumps("400")
    told = stage.mark("3590")
    (begin,) = told.result.of(Kind.ADL_BEGIN)
    # -1,000 at the mark, after the insurance paid 400.
    assert begin["target_value"] == usdc("-600")


def test_uncovered_deficits_are_carried_until_they_are_covered() -> None:
    """LIQ-8, INV-M10: what a bankrupt account without positions still owes does not vanish from
    `uncovered` in the next quiet block."""
    stage = three_winners(liquidations_per_block=0)
    stage.account("Ann").raw -= usdc("500000")
    stage.account("Zed").raw += usdc("500000")
    for name in ("Ann", "Zed"):
        stage.engine.state.touch(stage.account(name))
        stage.engine.state.unfile(stage.account(name))
    set_parameters(stage, liquidations_per_block=9)
    stage.mark("3590")
    owed = stage.value("Ann")
    assert stage.engine.state.uncovered == max(0, -owed)
    stage.next()
    assert stage.engine.state.uncovered == max(0, -owed)
