"""Random markets of the token: whatever users do, the fund keeps to its schedule and its books.

Seeds draw quotes, trades, deposits and times. After every block money, tokens and books are added
up again; at the end an auditor, who knows the log alone, finds nothing.
"""

import os
from random import Random

import pytest

from chainperp.base.units import strip_decimal
from chainperp.model.actions import ClassTransfer, PlaceOrders
from chainperp.model.decisions import BuybackOutcome, Kind
from chainperp.state.store import ASSISTANCE_FUND, State
from tests.support.forced import ETH, usdc
from tests.support.proofs import audited
from tests.support.token_market import TOKEN, TokenStage, spot_order
from tests.support.world import Result, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(60) if LONG else range(6)
PEOPLE = ("Ann", "Ben", "Cas")
BLOCKS = 60


def scene(seed: int) -> TokenStage:
    """Three people with USDC and tokens; perpetuals trade at fees that reach the fund."""
    draw = Random(seed)
    stage = TokenStage(
        vault="100000", fees=True, liquidation_fund_bps=draw.choice((0, 2_500)),
        buyback_interval_ms=draw.choice((1_000, 60_000)),
        buyback_depth_bps=draw.choice((10, 500)), snapshot_interval=20,
        buyback_balance_min=draw.choice((1_000_000, 10_000_000)),
    )  # fmt: skip
    stage.marks({0: "100000", ETH: "4000"})
    for name in PEOPLE:
        stage.holder(name, "300000", "500000")
        stage.fund(**{name: "200000"})
    return stage


def step(stage: TokenStage, draw: Random) -> Result:
    """One block: a few orders in the token's book or on a perpetual, or money."""
    kind = draw.random()
    later = draw.choice((200, 500, 20_000, 60_000))
    now = stage.engine.state.time_ms
    if kind < 0.1:
        return stage.give_fund(strip_decimal(draw.randrange(1, 60_000_000), 6))
    if kind < 0.15:
        name = draw.choice(PEOPLE)
        return stage.act(name, ClassTransfer(usdc("10"), draw.random() < 0.5), user_signed=True)
    if kind < 0.3:
        price = str(draw.randrange(3_800, 4_200))
        return stage.marks({ETH: price}).result
    transactions = []
    for _ in range(draw.randrange(0, 5)):
        name = draw.choice(PEOPLE)
        side = draw.choice(("buy", "sell"))
        if draw.random() < 0.25:
            one = order(ETH, side, str(draw.randrange(1, 40)), str(draw.randrange(3_800, 4_200)))
        else:
            size = strip_decimal(draw.randrange(1, 4_000_00), 2)
            price = strip_decimal(draw.randrange(9_500, 10_500), 4)
            one = spot_order(side, size, price, draw.choice(("Gtc", "Gtc", "Ioc", "Alo")))
        transactions.append(stage.transaction(name, PlaceOrders([one])))
    return stage.block(transactions, at=now + later)


def check_books(state: State) -> None:
    """INV-T1, INV-T3: the fund's cells are its books; it holds no token; supply is what is left."""
    fund, token = state.fund, state.tokens[TOKEN]
    spot = state.spot[0].get(ASSISTANCE_FUND, 0)
    assert spot == 0
    assert fund.balance == state.accounts[ASSISTANCE_FUND].raw + spot >= 0
    assert fund.spent <= fund.credited - fund.to_vault - fund.to_referrals
    assert state.spot[TOKEN].get(ASSISTANCE_FUND, 0) == 0
    assert fund.burned == fund.bought <= token.burned
    assert sum(state.spot[TOKEN].values()) == token.supply - token.burned


@pytest.mark.parametrize("seed", SEEDS)
def test_random_markets_keep_the_schedule_and_the_books(seed: int) -> None:
    stage, draw = scene(seed), Random(seed + 1_000)
    burned, spent, received, fees = 0, 0, 0, 0
    for _ in range(BLOCKS):
        result = step(stage, draw)
        state = stage.engine.state
        check_books(state)
        assert state.tokens[TOKEN].burned >= burned  # INV-T2
        burned = state.tokens[TOKEN].burned
        for fill in result.fills:
            assert fill["maker"] != ASSISTANCE_FUND
            if fill["taker"] == ASSISTANCE_FUND:
                spent += fill["price"] * fill["lots"]
                received += fill["price"] * fill["lots"] - fill["maker_fee"]
                fees += fill["maker_fee"]
    assert stage.engine.state.fund.spent == spent == received + fees
    report = audited(stage)
    assert report.is_clean, [finding.text for finding in report.findings]
    assert report.purchases > 0


def test_the_seeds_reach_every_outcome() -> None:
    """The runs above are worth something: purchases, and each reason for none."""
    outcomes: dict[int, int] = {}
    for seed in range(6):
        stage, draw = scene(seed), Random(seed + 1_000)
        for _ in range(BLOCKS):
            for one in step(stage, draw).of(Kind.BUYBACK):
                outcomes[one["outcome"]] = outcomes.get(one["outcome"], 0) + 1
    assert outcomes[BuybackOutcome.BOUGHT] >= 20
    assert set(outcomes) == set(BuybackOutcome)
