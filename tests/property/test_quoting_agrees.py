"""Quotes are a function of the committed state: any life with a funded quoter, checked each round.

A plain second reading of the rule (fractions, no shared code but the grid) derives every round from
the state before it; a replay, and engines restored in the middle, make the same bytes; what rests
never goes beyond the cap; money is neither made nor lost.
"""

import os
import random
from fractions import Fraction
from typing import Any

import pytest

from chainperp.chain.engine import recount
from chainperp.model.decisions import Kind, OrderStatus
from chainperp.rules.prices import grid_step
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER, State
from chainperp.transition import block as block_module
from chainperp.transition.quoting import process_quotes
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_LIQUIDATION, FLAG_NETTED
from tests.property.test_waterfall_invariants import Fall, deposit, falling_world
from tests.support.world import Result, World

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(40) if LONG else range(6)
BLOCKS = 150
FORCED = FLAG_ADL | FLAG_BACKSTOP | FLAG_LIQUIDATION | FLAG_NETTED


def quoted_world(seed: int, **parameters: object) -> World:
    """The falling market with a quoter, a parent and a short day's stop that does not bind."""
    draw = random.Random(seed)
    world = falling_world(seed, **{"quote_loss_bps": draw.choice((1_000, 9_000)), **parameters})
    amounts = ((MARKET_MAKER, draw.choice((3_000, 40_000))), (LIQUIDITY_VAULT, 20_000))
    world.block(system=[deposit(world, who, amount) for who, amount in amounts])
    return world


def naive_side(state: State, market: Any, is_buy: bool, cap: Fraction) -> list[tuple[int, int]]:
    """(price, lots) of what must rest on a side, given what rests, in plain fractions."""
    p = state.parameters
    maker = state.accounts[MARKET_MAKER]
    value = maker.raw + sum(
        one.lots * state.markets[at].mark for at, one in maker.exposures.items()
    )
    exposure = maker.exposures.get(market.asset)
    lots = exposure.lots if exposure else 0
    cost = exposure.entry_notional if exposure else 0
    oracle, mark = market.oracle, max(market.mark, market.oracle)
    towards_zero = (lots < 0) if is_buy else (lots > 0)
    if towards_zero:
        room = abs(lots) + cap // mark
    else:
        room = max(cap - max(abs(lots) * mark, cost), 0) // mark
    share = Fraction(lots * mark) / cap if cap else Fraction((lots > 0) - (lots < 0))
    share = max(Fraction(-1), min(Fraction(1), share))
    skew = Fraction(int(p.quote_skew_bps * 100 * share), 10**6)
    size = max(value, 0) * p.quote_size_bps // (10_000 * mark)
    book = market.book
    others = [one.price for one in book.opposite(is_buy).walk() if one.account is not maker]
    mine = [one for one in book.side(is_buy).walk() if one.account is maker]
    resting = [(one.price, one.remaining) for one in mine]
    found: list[tuple[int, int]] = []
    for level in range(p.quote_levels):
        away = Fraction(p.quote_half_spread_bps + level * p.quote_step_bps, 10_000)
        exact = oracle * (1 - skew - away if is_buy else 1 - skew + away)
        whole = exact.__floor__() if is_buy else exact.__ceil__()
        step = grid_step(whole, market.terms.size_decimals)
        price = max(1, whole // step * step) if is_buy else -(-whole // step) * step
        due = min(size, room)
        drift = oracle * p.quote_drift_bps // 10_000
        stays = [
            one
            for one in resting
            if abs(one[0] - price) <= drift
            and one[1] <= room
            and Fraction(due, 2) <= one[1] <= 2 * due
        ]
        if stays:
            resting.remove(stays[0])
            found.append(stays[0])
            room -= stays[0][1]
            continue
        crosses = any(price >= one if is_buy else price <= one for one in others)
        if due * price >= p.order_value_min and not crosses:
            found.append((price, int(due)))
            room -= due
    return sorted(found)


def naive_cap(state: State) -> Fraction:
    """The cap of a market, in whole micro-USDC."""
    p = state.parameters
    maker = state.accounts[MARKET_MAKER]
    worth = {at: one.lots * state.markets[at].mark for at, one in maker.exposures.items()}
    value = maker.raw + sum(worth.values())
    began = state.day_values.get(MARKET_MAKER, value)
    reduces_only = (
        value <= 0
        or sum(abs(one) for one in worth.values()) > value * p.quote_leverage_max
        or Fraction(began - value) * 10_000 >= began * p.quote_loss_bps
    )
    return Fraction(0 if reduces_only else value * p.quote_cap_bps // 10_000)


def resting(state: State, asset: int, is_buy: bool) -> list[tuple[int, int]]:
    """(price, lots) of the quoter's orders on a side."""
    return sorted(
        (one.price, one.remaining)
        for one in state.accounts[MARKET_MAKER].orders.values()
        if one.asset == asset and one.is_buy is is_buy
    )


class Watch:
    """Compares each round with the plain reading of the rule."""

    def __init__(self) -> None:
        self.rounds = 0
        self.quoted = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Hang the comparison into the engine."""
        honest = process_quotes

        def watched(state: State, recorder: Any, time_before: int) -> None:
            due = state.time_ms // 3000 > time_before // 3000
            cap = naive_cap(state)
            wanted = {
                (market.asset, is_buy): naive_side(state, market, is_buy, cap)
                if market.oracle
                and not market.terms.is_isolated_only
                and state.time_ms - market.oracle_time <= 10_000
                else []
                for market in state.markets
                for is_buy in (True, False)
            }
            before = {key: resting(state, *key) for key in wanted}
            honest(state, recorder, time_before)
            after = {key: resting(state, *key) for key in wanted}
            assert after == (wanted if due else before)
            self.rounds += due
            self.quoted += due and any(after.values())
            check_cap(state, cap, after if due else {})

        patch.setattr(block_module, "process_quotes", watched)


def check_cap(
    state: State, cap: Fraction, sides: dict[tuple[int, bool], list[tuple[int, int]]]
) -> None:
    """However the quotes fill, a position ends within the cap or nearer to zero than it was."""
    for (asset, is_buy), orders in sides.items():
        exposure = state.accounts[MARKET_MAKER].exposures.get(asset)
        held = exposure.lots if exposure else 0
        offered = sum(lots for _, lots in orders)
        after = held + (offered if is_buy else -offered)
        mark = max(state.markets[asset].mark, state.markets[asset].oracle)
        assert abs(after) * mark <= cap or abs(after) <= abs(held), (asset, held, offered)


def check_block(world: World, result: Result, before: int) -> None:
    """Only post-only orders, never the aggressor, and siblings pay nothing for it."""
    for one in result.orders:
        if one["account"] == MARKET_MAKER and one["status"] == OrderStatus.OPEN:
            assert one["tif"] == 3
    for one in result.fills:
        assert one["taker"] != MARKET_MAKER or one["flags"] & FORCED
    moved = [
        row["type"]
        for row in result.of(Kind.LEDGER)
        if LIQUIDITY_VAULT in (row["source"], row["destination"])
    ]
    after = world.engine.state.accounts[LIQUIDITY_VAULT].raw
    assert after >= before or 38 in moved, "the parent lost money without the daily rule"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_round_is_what_the_rule_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Falls and squeezes with the quoter among the victims; the second reading agrees throughout,
    and the replay of the whole life and from a snapshot in its middle gives the same bytes."""
    watch, fall = Watch(), Fall(seed)
    with monkeypatch.context() as patch:
        watch.install(patch)
        world = quoted_world(seed)
        snapshots: dict[int, bytes] = {}
        for number in range(BLOCKS):
            before = world.engine.state.accounts[LIQUIDITY_VAULT].raw
            check_block(world, fall.block(world, number), before)
            recount(world.engine.state)
            if world.engine.is_snapshot_height(world.engine.height):
                snapshots[world.engine.height] = world.engine.snapshot()
    assert watch.rounds > 20
    assert watch.quoted > 10
    again = World.__new__(World)
    for height, raw in snapshots.items():
        again.engine = type(world.engine)(world.engine.genesis, world.engine.rules_hash)
        again.engine.restore(raw, world.blocks[height].entries[-1])
        for block, sealed in zip(world.inputs[height:], world.blocks[height + 1 :], strict=True):
            assert again.engine.execute(block).entries == sealed.entries, sealed.height
    again.engine = type(world.engine)(world.engine.genesis, world.engine.rules_hash)
    again.engine.seal_genesis()
    for block, sealed in zip(world.inputs, world.blocks[1:], strict=True):
        assert again.engine.execute(block).entries == sealed.entries


def test_the_order_in_which_accounts_came_does_not_matter() -> None:
    """Two engines whose accounts were made in another order quote the same."""
    found: list[list[tuple[int, int]]] = []
    for names in (("a", "b", "c"), ("c", "a", "b")):
        world = World({"fee_tiers": [[0, 0, 0]]})
        for name in names:
            world.fund(**{name: "1000"})
        world.block(system=[deposit(world, MARKET_MAKER, 50_000)])
        world.prices({0: "100000", 1: "4000"}, at=world.state.time_ms + 3_000)
        state = world.engine.state
        found.append(
            [row for at in (0, 1) for is_buy in (True, False) for row in resting(state, at, is_buy)]
        )
    assert found[0] == found[1]
    assert len(found[0]) == 12


def test_the_children_have_a_day_of_their_own() -> None:
    """Over many UTC days of trading, the parent's moves keep the whole and its daily bound."""
    world, fall = quoted_world(3), Fall(3)
    state = world.engine.state
    for number in range(40):
        if number % 4 == 0:
            whole = sum(
                state.accounts[who].raw
                + sum(
                    one.lots * state.markets[at].mark
                    for at, one in state.accounts[who].exposures.items()
                )
                for who in (LIQUIDITY_VAULT, BACKSTOP_VAULT, MARKET_MAKER)
            )
            at = (state.time_ms // 86_400_000 + 1) * 86_400_000
            world.nonce = at
            result = world.block(at=at)
            moved = [row for row in result.of(Kind.LEDGER) if row["type"] == 38]
            assert sum(row["amount"] for row in moved) <= max(whole, 0) * 500 // 10_000
            assert all(row["amount"] >= 100_000_000 for row in moved)
        fall.block(world, 0)
