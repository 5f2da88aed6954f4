"""The liquidation price that is shown is where liquidation really begins."""

import random

import pytest

from chainperp.base.units import price_text
from chainperp.model.accounts import Account, Exposure
from chainperp.model.markets import MarketTerms
from chainperp.model.records import CROSS_SCOPE
from chainperp.node.documents.liquidation import liquidation_price
from chainperp.rules.margin import is_liquidatable
from chainperp.state.store import State
from chainperp.transition.valuation import scope_value_and_maintenance
from tests.support.forced import BTC, ETH, Stage
from tests.support.world import address_of


def fails(state: State, account: Account, exposure: Exposure, mark: int) -> bool:
    """Whether the scope is liquidatable at a mark of the market, by the rules themselves."""
    market = state.markets[exposure.asset]
    before, market.mark = market.mark, mark
    asset = CROSS_SCOPE if exposure.is_cross else exposure.asset
    value, maintenance = scope_value_and_maintenance(state, account, asset)
    market.mark = before
    return is_liquidatable(value, maintenance)


def random_account(rng: random.Random, state: State) -> Account:
    """Positions in both markets, cross or isolated, around the size of the tiers."""
    account = Account(address_of("random"))
    for asset in (BTC, ETH):
        terms: MarketTerms = state.markets[asset].terms
        exposure = Exposure(asset, rng.random() < 0.7, rng.randint(1, terms.leverage_max))
        notional = rng.choice([10**8, 10**10, 10**12, 10**14, 3 * 10**14])
        lots = max(1, notional * rng.randint(1, 100) // (100 * state.markets[asset].mark))
        exposure.lots = rng.choice([-1, 1]) * lots
        value = exposure.lots * state.markets[asset].mark
        margin = abs(value) * rng.randint(1, 100) // 100
        if exposure.is_cross:
            account.raw += margin - value
        else:
            exposure.raw_isolated = margin - value
        account.exposures[asset] = exposure
    return account


@pytest.mark.parametrize("seed", range(200))
def test_one_tick_nearer_is_safe_and_the_price_is_not(seed: int) -> None:
    """Below a long's price everything fails, above it nothing does; a short's is the mirror."""
    rng = random.Random(seed)
    stage = Stage(markets=2)
    stage.prices({BTC: "100000", ETH: "4000"})
    state = stage.engine.state
    account = random_account(rng, state)
    for exposure in account.exposures.values():
        away = -1 if exposure.lots > 0 else 1
        price = liquidation_price(state, account, exposure)
        mark = state.markets[exposure.asset].mark
        if price is None:
            worst = 1 if exposure.lots > 0 else 10**15
            assert not fails(state, account, exposure, worst)
            continue
        assert fails(state, account, exposure, price)
        assert price + away < 1 or fails(state, account, exposure, price + away)
        if not fails(state, account, exposure, mark):
            assert not fails(state, account, exposure, price - away)


@pytest.mark.parametrize("is_long", [True, False])
def test_the_engine_liquidates_at_the_price_and_not_before(is_long: bool) -> None:
    """Marks move to the tick before the price, then to it."""
    stage = Stage(vault="10000000", markets=2)
    stage.mark("4000")
    stage.person("other", "1000000")
    stage.person("who", "10000")
    buyer, seller = ("who", "other") if is_long else ("other", "who")
    stage.trade(buyer, seller, "30", "4000")
    account = stage.account("who")
    price = liquidation_price(stage.state, account, account.exposures[ETH])
    assert price is not None
    # Marks have five significant figures, the price may have more: the nearest marks around it.
    low, high = price // 10 * 10, -(-price // 10) * 10
    last_safe, first_failing = (high + (10 if high == price else 0), low) if is_long else (
        low - (10 if low == price else 0), high
    )  # fmt: skip
    assert not stage.mark(price_text(last_safe, 4)).tests
    assert stage.mark(price_text(first_failing, 4)).tests
