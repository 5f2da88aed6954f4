"""Attacks on the risk waterfall, with the expected outcome; where a rule stops the attack, a second
run without the rule shows the damage (reliability 11).

Prices are ETH's unless a test says so. An attacker and his accomplice are one purse.
"""

import pytest

from chainperp.model.actions import UsdSend, Withdraw
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, LiquidationOutcome, OrderStatus, Rejection
from chainperp.model.records import CROSS_SCOPE
from chainperp.state.store import ASSISTANCE_FUND, BACKSTOP_VAULT, INSURANCE, LIQUIDITY_VAULT
from chainperp.transition.transfers import available
from tests.support.forced import BTC, ETH, SOL, Stage, Told, usdc
from tests.support.world import World, address_of, order

BOOK, BACKSTOP = LiquidationOutcome.BOOK, LiquidationOutcome.BACKSTOP
ADL_CASE = LiquidationOutcome.ADL_CASE
NO_LIMITS = {"user_fill_limit": 0, "liq_limit": 0}


def debts(stage: Stage) -> int:
    """Sum of what accounts owe who have nothing left to close."""
    total = 0
    for address, account in stage.engine.state.accounts.items():
        if not any(one.lots for one in account.exposures.values()):
            total += min(0, stage.value(address))
    return -total


def purse(stage: Stage, *names: str) -> int:
    """Value of several accounts together."""
    return sum(stage.value(name) for name in names)


# --- an accomplice's far bid ----------------------------------------------------------------------


def big_long(**parameters: object) -> Stage:
    """The attacker holds 10 BTC from 100,000 with 25,000; the book is empty (reliability 5.6)."""
    stage = Stage(**parameters)  # type: ignore[arg-type]
    stage.mark("100000", BTC)
    stage.person("attacker", "25000.45", BTC, leverage=40)
    stage.person("accomplice", "300000", BTC, leverage=40)
    stage.person("Ben", "2000000", BTC, leverage=40)
    stage.trade("attacker", "Ben", "10", "100000", BTC)
    return stage


@pytest.mark.parametrize("reduce_only", [True, False])
def test_selling_into_an_accomplices_far_bid_makes_no_debt(reduce_only: bool) -> None:
    """U-REL-1: the sale at 60,000 is refused; at the bankruptcy price 97,500 it is not."""
    stage = big_long()
    before = purse(stage, "attacker", "accomplice")
    stage.place("accomplice", order(BTC, "buy", "10", "60000"))
    sale = order(BTC, "sell", "10", "60000", "Ioc", reduce_only=reduce_only)
    result = stage.place("attacker", sale)
    assert not result.fills
    assert stage.lots("attacker", BTC) == 1_000_000
    assert debts(stage) == 0
    stage.place("accomplice", order(BTC, "buy", "10", "97500"))
    assert len(stage.place("attacker", sale).fills) == 1
    assert stage.value("attacker") >= 0
    assert purse(stage, "attacker", "accomplice") == before


def test_without_the_rule_the_far_bid_makes_a_debt_of_hundreds_of_thousands() -> None:
    """The same with `user_fill_limit` off: 375,000 are owed by an account without a position."""
    stage = big_long(user_fill_limit=0)
    stage.place("accomplice", order(BTC, "buy", "10", "60000"))
    stage.place("attacker", order(BTC, "sell", "10", "60000", "Ioc", reduce_only=True))
    assert stage.lots("attacker", BTC) == 0
    assert debts(stage) == usdc("374999.55")
    # The accomplice gained 400,000 at the mark and takes all but a tenth of the value with him.
    free = available(stage.engine.state, stage.account("accomplice"))
    assert free == usdc("600000")


def test_being_liquidated_into_an_accomplices_far_bid_makes_no_debt() -> None:
    """U-REL-2: the liquidation order's limit is the bankruptcy price; the far bid stays alone."""
    stage = big_long()
    stage.place("accomplice", order(BTC, "buy", "10", "60000"))
    told = stage.mark("98500", BTC)
    assert told.outcomes == {("attacker", CROSS_SCOPE): BOOK}
    assert not told.sold
    assert stage.value("attacker") > 0
    told = stage.mark("97000", BTC)
    # Broke now: closed against the real winner at the previous mark.
    assert told.adl == [("attacker", "Ben", 1_000_000, 985_000)]
    assert debts(stage) == 0


def test_without_the_rule_a_liquidation_feeds_the_accomplice() -> None:
    """The same with both limits off: a fifth is sold at 60,000, and the account is below zero."""
    stage = big_long(**NO_LIMITS)
    stage.place("accomplice", order(BTC, "buy", "10", "60000"))
    told = stage.mark("98500", BTC)
    assert told.sold == [("attacker", 200_000, 600_000)]
    assert told.outcomes == {("attacker", CROSS_SCOPE): ADL_CASE}


# --- profit taken out until margin is thin (12 March 2025) ----------------------------------------


def whale(**parameters: object) -> Stage:
    """Long 1,000 ETH at 50,000 USDC of margin; the mark rises by 10 %."""
    stage = Stage(vault="300000", **parameters)  # type: ignore[arg-type]
    stage.mark("2000")
    stage.person("whale", "100000", leverage=25)
    stage.person("Ben", "9000000")
    stage.trade("whale", "Ben", "1000", "2000")
    stage.mark("2200")
    return stage


def test_unrealised_profit_leaves_only_down_to_a_tenth_of_the_position() -> None:
    """INV-R2, MRG-5: 300,000 of value, 2,200,000 of position: 80,000 leave, not a unit more."""
    stage = whale()
    assert available(stage.engine.state, stage.account("whale")) == usdc("80000")
    for amount, code in (
        ("80000.000001", Rejection.BALANCE_WITHDRAWAL), ("80000", Rejection.ACCEPTED),
    ):  # fmt: skip
        action = Withdraw(address_of("outside"), usdc(amount))
        assert stage.act("whale", action, user_signed=True).codes == [code]
    too_much = UsdSend(address_of("Ben"), 1)
    assert stage.act("whale", too_much, user_signed=True).codes == [Rejection.BALANCE_TRANSFER]
    # A fall of 8.9 % hands the position to the vault; what the vault can lose is its own.
    told = stage.mark("2005")
    assert told.outcomes == {("whale", CROSS_SCOPE): BACKSTOP}
    assert stage.value(BACKSTOP_VAULT) == usdc("325000")
    assert stage.mark("1600").outcomes == {("vault", CROSS_SCOPE): ADL_CASE}
    assert stage.value(BACKSTOP_VAULT) >= 0


def test_without_the_tenth_the_whale_leaves_with_almost_everything() -> None:
    """`transfer_margin_divisor` 25: only the initial margin stays, and 212,000 are gone."""
    stage = whale(transfer_margin_divisor=25)
    assert available(stage.engine.state, stage.account("whale")) == usdc("212000")


# --- a thin market pumped into the backstop (JELLY) -----------------------------------------------


def jelly(**parameters: object) -> Stage:
    """The vault takes over a short of 400,000 in a thin market, then the price quadruples."""
    stage = Stage(vault="60000", markets=3, **parameters)  # type: ignore[arg-type]
    stage.fund_liquidity_vault("9000000")
    stage.mark("10", SOL)
    stage.person("attacker", "30000", SOL, leverage=20)
    stage.person("accomplice", "500000", SOL, leverage=20)
    stage.trade("accomplice", "attacker", "40000", "10", SOL)
    return stage


def test_a_pump_into_the_vault_costs_the_vault_its_own_capital_at_most() -> None:
    """INV-L10: taken over at 10.6; at x4 the vault is an ADL case; nobody else pays for it."""
    stage = jelly()
    others = {one: stage.account_raw(one) for one in (LIQUIDITY_VAULT, ASSISTANCE_FUND)}
    told = stage.mark("10.6", SOL)
    assert told.outcomes == {("attacker", CROSS_SCOPE): BACKSTOP}
    start = stage.value(BACKSTOP_VAULT)
    assert start == usdc("66000")
    told = stage.mark("40", SOL)
    assert told.outcomes == {("vault", CROSS_SCOPE): ADL_CASE}
    # Closed against the accomplice at the mark before the jump: his pump pays nobody.
    assert [(one[0], one[1]) for one in told.adl] == [("vault", "accomplice")]
    assert stage.value(BACKSTOP_VAULT) == start
    assert purse(stage, "attacker", "accomplice") == usdc("524000")
    assert {one: stage.account_raw(one) for one in others} == others


def test_a_slow_pump_takes_the_vaults_capital_and_then_starts_adl() -> None:
    """The same in steps that the vault survives one by one: the loss ends at its capital."""
    stage = jelly()
    stage.mark("10.6", SOL)
    for price in ("11", "11.5", "12", "13", "14", "16", "20", "40"):
        told = stage.mark(price, SOL)
        if told.adl:
            break
    assert told.adl
    assert 0 <= stage.value(BACKSTOP_VAULT) <= usdc("66000")
    assert purse(stage, "attacker", "accomplice") <= usdc("590000")


# --- a wall that vanishes (POPCAT) ----------------------------------------------------------------


def test_a_wall_that_vanishes_leaves_the_vault_no_more_than_its_cap() -> None:
    """Nineteen longs lean on a wall of bids; it goes, the price falls; the vault takes what its cap
    allows, the rest is deleveraged; no debt is left."""
    stage = Stage(vault="200000", backstop_notional_max=usdc("500000"))
    stage.mark("100")
    stage.person("Ben", "9000000")
    for number in range(19):
        stage.person(f"long{number:02d}", "6000", leverage=20)
        stage.trade(f"long{number:02d}", "Ben", "1000", "100")
    stage.person("wall", "2000000")
    stage.place("wall", order(ETH, "buy", "15000", "99"))
    stage.cancel("wall", ETH, next(iter(stage.account("wall").orders)))
    told = stage.mark("95")
    assert set(told.outcomes.values()) <= {BOOK, BACKSTOP}
    taken = sum(1 for one in told.outcomes.values() if one is BACKSTOP)
    vault = stage.engine.state.accounts[BACKSTOP_VAULT].exposures[ETH]
    assert taken == 5
    assert vault.lots * stage.market(ETH).mark <= usdc("500000")
    before = stage.value(BACKSTOP_VAULT)
    told = stage.mark("80")
    assert sum(1 for one in told.outcomes.values() if one is ADL_CASE) == 14
    assert before - stage.value(BACKSTOP_VAULT) <= usdc("75000")
    assert debts(stage) == 0
    assert min(stage.value(name) for name in ("Ben", "wall", "long00", "long18")) >= 0


# --- a sweep of a thin book (XPL) -----------------------------------------------------------------


def test_sweeping_a_thin_book_liquidates_nobody() -> None:
    """The mark is a median with the oracle and the price elsewhere in it: a sweep to +80 % moves
    the last trade and not the mark, so the shorts stay."""
    stage = Stage()
    stage.mark("100")
    stage.person("short", "11000", leverage=10)
    stage.person("Ben", "900000")
    stage.person("attacker", "900000")
    stage.trade("Ben", "short", "1000", "100")
    for price in ("101", "120", "150", "180"):
        stage.place("Ben", order(ETH, "sell", "10", price))
    result = stage.place("attacker", order(ETH, "buy", "40", "180", "Ioc"))
    assert len(result.fills) == 4
    told = stage.mark("100")
    assert stage.market(ETH).mark == 10_000
    assert not told.tests
    assert stage.lots("short") == -10_000_000


class Lonely(Stage):
    """A stage whose validators name no price elsewhere."""

    def vote(self, prices: dict[int, str], validator: int = 0) -> SystemInput:
        """Oracle prices only."""
        return World.vote(self, prices, validator)


def swept(stage: Lonely) -> Told:
    """A sweep to +80 %, two quotes around it, and the next round of the oracle."""
    stage.mark("100")
    stage.person("short", "11000", leverage=10)
    stage.person("Ben", "900000")
    stage.person("attacker", "900000")
    stage.trade("Ben", "short", "1000", "100")
    for price in ("101", "120", "150", "180"):
        stage.place("Ben", order(ETH, "sell", "10", price))
    stage.place("attacker", order(ETH, "buy", "40", "180", "Ioc"))
    stage.place("attacker", order(ETH, "buy", "10", "178"))
    stage.place("Ben", order(ETH, "sell", "10", "182"))
    return stage.mark("100")


def test_sweeping_a_thin_book_without_outside_prices_liquidates_nobody() -> None:
    """The same where no price elsewhere is known: book and book average outvote the oracle, so the
    band around it holds the mark (PRC-10)."""
    stage = Lonely()
    assert not swept(stage).tests
    assert stage.market(ETH).mark == 10_500


def test_without_a_band_the_sweep_works() -> None:
    """The same attack against `mark_band_bps` 0: the short is gone."""
    stage = Lonely(mark_band_bps=0)
    assert swept(stage).tests
    assert stage.lots("short") == 0


def test_a_forced_trade_does_not_move_the_mark_in_its_own_phase() -> None:
    """INV-L12: all scopes of a phase are tested at one mark, whatever the first sale's price."""
    stage = Stage()
    stage.mark("4000")
    stage.person("Ben", "1000000")
    for name in ("Ann", "Cat"):
        stage.person(name, "395", leverage=25)
        stage.trade(name, "Ben", "1", "4000")
    stage.place("Ben", order(ETH, "buy", "1", "3650"))
    told = stage.mark("3670")
    assert len(told.tests) == 2
    assert {test["marks_root"] for test in told.tests} == {told.tests[0]["marks_root"]}
    assert stage.market(ETH).mark == 367_000
    assert told.tests[1]["value_after"] == told.tests[1]["value"]


# --- the oracle -----------------------------------------------------------------------------------


def crowd() -> Stage:
    """Longs and shorts of all leverages, a vault and an insurance."""
    stage = Stage(vault="50000", insurance="1000")
    stage.mark("100")
    for number, leverage in enumerate((3, 5, 10, 20)):
        stage.person(f"long{number}", "10000", leverage=20)
        stage.person(f"short{number}", "10000", leverage=20)
        size = str(90 * leverage)
        stage.trade(f"long{number}", f"short{number}", size, "100")
    return stage


@pytest.mark.parametrize("price", ["100000", "0.1", "250", "40"])
def test_an_oracle_jump_leaves_conservation_and_one_sided_losses(price: str) -> None:
    """x 1000 and towards 0: the chain goes on, money is conserved, whoever is closed is closed at
    the price before the jump, and the other side keeps what it had there."""
    stage = crowd()
    told = stage.mark(price)
    assert set(told.outcomes.values()) == {ADL_CASE}
    assert {trade[3] for trade in told.adl} == {10_000}
    state = stage.engine.state
    cash = sum(one.raw + one.raw_isolated_total for one in state.accounts.values())
    assert cash == state.custody
    for number in range(4):
        assert stage.value(f"long{number}") >= 0
        assert stage.value(f"short{number}") >= 0
    assert stage.value(INSURANCE) == usdc("1000")
    assert not stage.next().tests


def test_a_jump_and_its_correction_close_positions_but_move_no_money() -> None:
    """A false price for one round: those who were closed were closed at the true price before."""
    stage = crowd()
    stage.mark("100000")
    stage.mark("100")
    assert purse(stage, *[f"{side}{at}" for side in ("long", "short") for at in range(4)]) == usdc(
        "80000"
    )
    for number in range(4):
        assert stage.value(f"short{number}") == usdc("10000")


def stale(age_ms: int) -> tuple[Stage, Told]:
    """Ann is below maintenance by funding-like means while the oracle is silent for a time."""
    stage = Stage(price_stale_ms=60_000)
    stage.mark("4000")
    stage.person("Ann", "396", leverage=25)
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "1", "4000")
    stage.mark("3700")
    account, other = stage.account("Ann"), stage.account("Ben")
    account.raw -= usdc("30")
    other.raw += usdc("30")
    for one in (account, other):
        stage.engine.state.touch(one)
        stage.engine.state.unfile(one)
    time_ms = stage.market(ETH).oracle_time + age_ms
    return stage, Told.of(stage, stage.block(at=time_ms))


def test_a_stale_price_liquidates_nobody() -> None:
    """INV-C5, PRC-9: at 60 seconds the price still counts, a millisecond later the scope waits and
    says why; a fresh price ends the wait."""
    stage, told = stale(60_000)
    assert told.outcomes == {("Ann", CROSS_SCOPE): BOOK}
    stage, told = stale(60_001)
    assert told.outcomes == {("Ann", CROSS_SCOPE): LiquidationOutcome.WAITING}
    assert stage.mark("3700").outcomes == {("Ann", CROSS_SCOPE): BOOK}


def test_a_stale_price_lets_nobody_increase_and_everybody_reduce() -> None:
    """INV-C5: orders that only reduce pass."""
    stage = Stage(price_stale_ms=60_000)
    stage.mark("4000")
    stage.person("Ann", "5000")
    stage.person("Ben", "1000000")
    stage.trade("Ann", "Ben", "1", "4000")
    stage.block(at=stage.market(ETH).oracle_time + 60_001)
    result = stage.place("Ann", order(ETH, "buy", "1", "3990"))
    assert [one["status"] for one in result.orders] == [OrderStatus.REJECTED]
    result = stage.place("Ann", order(ETH, "sell", "1", "4100"))
    assert [one["status"] for one in result.orders] == [OrderStatus.OPEN]
    assert result.of(Kind.ORDER)[0]["reason"] == Rejection.ACCEPTED


# --- grinding -------------------------------------------------------------------------------------


def test_splitting_a_winner_moves_no_more_than_his_share() -> None:
    """Two halves of one winner with the same leverage rank alike: together they give what the one
    would have given (the tie key orders them, the sum is the same)."""
    given: list[int] = []
    for parts in (1, 2):
        stage = Stage()
        stage.mark("4000")
        stage.person("Ann", "40000")
        stage.person("Zed", "9000000")
        for number in range(parts):
            stage.person(f"part{number}", str(60_000 // parts))
            stage.trade("Zed", f"part{number}", str(120 // parts), "4000")
        stage.person("Cat", "600000")
        stage.trade("Zed", "Cat", "500", "4000")
        stage.trade("Ann", "Zed", "100", "4000")
        stage.mark("3640")
        told = stage.mark("3590")
        given.append(sum(one[2] for one in told.adl if one[1].startswith("part")))
    assert given == [1_000_000, 1_000_000]
