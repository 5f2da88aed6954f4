"""Every run of a small world: the engine and the exchange by definition agree on all of it.

Four people, two markets, a few setups; then every sequence of a few moves (price jumps on a grid,
thin quotes, quiet blocks). After each block positions, cash, outcomes, fills, orders and the
deficit that is left are compared. A longer search stands behind CHAINPERP_LONG=1.
"""

import os
import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from chainperp.base.canonical import Record
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import PlaceOrders, UpdateLeverage
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, LiquidationOutcome, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, MARKET_MAKER, REFERRALS
from chainperp.storage.package import build_genesis, default_markets
from tests.oracles.slow_waterfall import SlowExchange
from tests.property.test_exchange_agrees import check_events, events_of
from tests.support.world import RULES, START, VALIDATOR, Result, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
BTC, ETH = 0, 1
# The validator has the tokens; nothing of these trades or has money here.
IDLE = (VALIDATOR, MARKET_MAKER, REFERRALS)
NAMES = ("Ann", "Ben", "Cat", "Dan")
PARAMETERS: dict[str, object] = {
    "price_stale_ms": 0,
    "liq_partial_threshold": 20_000_000_000,
    "fee_tiers": [[0, 450, 150]],
}
GENESIS: dict[tuple[tuple[str, Any], ...], bytes] = {}


def small_world(**parameters: object) -> World:
    """A world whose genesis is parsed from bytes that are made once."""
    key = tuple(sorted(parameters.items()))
    if key not in GENESIS:
        GENESIS[key] = build_genesis(
            "test/small", START, [(VALIDATOR, 1)], parameters={**PARAMETERS, **parameters},
            markets=default_markets()[:2],
        )  # fmt: skip
    world = World.__new__(World)
    world.engine = Engine(parse_genesis(GENESIS[key]), RULES)
    world.blocks = [world.engine.seal_genesis()]
    world.inputs = []
    world.nonce = START
    world.deposits = 0
    world.step = 200
    return world


class Pair:
    """The engine and the slow exchange, fed with the same blocks."""

    def __init__(self, **parameters: object) -> None:
        self.world = small_world(**parameters)
        self.slow = SlowExchange(self.world.engine.genesis.raw)
        self.seen: set[LiquidationOutcome] = set()
        self.rounds = 0
        self.prices = {BTC: 1_000, ETH: 100}

    def block(self, where: str, **made: Any) -> None:
        """One block on both sides, then compare."""
        self.slow.parent = self.world.engine.seal_leaf
        result = self.world.block(**made)
        self.slow.block(self.world.inputs[-1])
        self.compare(result, where)

    def compare(self, result: Result, where: str) -> None:
        """Everything that the waterfall may change."""
        check_events(events_of(result), self.slow.events, where)
        tests = [
            (one["account"], one["asset"], LiquidationOutcome(one["outcome"]), one["value"],
             one["maintenance"])
            for one in result.of(Kind.LIQ_TEST)
        ]  # fmt: skip
        assert sorted(tests) == sorted(
            (one.who, one.scope, one.outcome, one.value, one.maintenance) for one in self.slow.tests
        ), where
        self.seen |= {one[2] for one in tests}
        rows = adl_rows(result)
        assert [[(one["account"], one["reason"], one["take_lots"]) for one in rows_of_round]
                for rows_of_round in rows] == self.slow.rounds, where  # fmt: skip
        self.rounds += len(rows)
        state = self.world.engine.state
        assert state.uncovered == self.slow.uncovered, where
        for account in state.accounts.values():
            if account.address in IDLE:
                assert (account.raw, account.exposures) == (0, {}), where
                continue
            person = self.slow.people[account.address]
            assert account.raw == person.raw, (where, account.address)
            assert account.cooldown == self.slow.cooldown.get(account.address, 0), where
            for asset in (BTC, ETH):
                held, exposure = person.held(asset), account.exposures.get(asset)
                found = (0, 0, 0)
                if exposure is not None:
                    found = (exposure.lots, exposure.entry_notional, exposure.raw_isolated)
                assert found == (held.lots, held.entry, held.cash), (where, account.address)
        for market in state.markets:
            place = self.slow.places[market.asset]
            assert market.mark == place.mark, where
            assert market.mark_previous == self.slow.previous.get(market.asset, 0), where


def adl_rows(result: Result) -> list[list[Record]]:
    """Rows of each round, in the order of the rounds."""
    rounds: dict[int, list[Record]] = {}
    for raw in result.block.entries:
        entry = decode_entry(raw)
        if entry.kind is Kind.ADL_ROWS:
            fields = decode_payload(entry)
            rounds.setdefault(fields["begin_index"], []).extend(fields["rows"])
    return [rounds[index] for index in sorted(rounds)]


def deposit(world: World, address: bytes, usdc: int) -> SystemInput:
    """A deposit in whole USDC for any address."""
    world.deposits += 1
    body = address + (usdc * 10**6).to_bytes(16) + world.deposits.to_bytes(8) + bytes(32)
    return SystemInput(SystemType.DEPOSIT, body)


# Who holds what: (buyer, seller, asset, size). Prices are 1,000 and 100.
Trades = tuple[tuple[str, str, int, str], ...]
Modes = dict[tuple[str, int], tuple[bool, int]]
Setup = tuple[str, dict[str, int], Modes, Trades, int, int, dict[str, int]]

SETUPS: tuple[Setup, ...] = (
    # One long above the partial threshold, winners of different leverage on the other side.
    ("queue", {"Ann": 2_500, "Ben": 9_000, "Cat": 2_000, "Dan": 60_000}, {},
     (("Ann", "Ben", ETH, "150"), ("Ann", "Cat", ETH, "100"), ("Dan", "Cat", ETH, "50")), 0, 0, {}),
    # The same with a rich vault and an insurance.
    ("vault", {"Ann": 2_500, "Ben": 9_000, "Cat": 2_000, "Dan": 60_000}, {},
     (("Ann", "Ben", ETH, "150"), ("Ann", "Cat", ETH, "100"), ("Dan", "Cat", ETH, "50")),
     5_000, 300, {"liquidation_fund_bps": 1_000, "liquidation_insurance_bps": 2_000}),
    # Isolated on both sides, and a cross hedge in the other market.
    ("cells", {"Ann": 3_000, "Ben": 3_000, "Cat": 2_000, "Dan": 50_000},
     {("Ann", ETH): (False, 10), ("Ben", ETH): (False, 5), ("Ben", BTC): (False, 10)},
     (("Ann", "Ben", ETH, "100"), ("Ben", "Dan", BTC, "4"), ("Dan", "Ann", BTC, "9")), 800, 50, {}),
    # Two markets in one cross account, losers on both sides, little counter side.
    ("two", {"Ann": 2_000, "Ben": 2_000, "Cat": 1_500, "Dan": 20_000}, {},
     (("Ann", "Ben", ETH, "150"), ("Ann", "Cat", BTC, "12"), ("Ben", "Dan", BTC, "10")),
     0, 100, {}),
    # One scope per block, and a tolerance.
    ("slow", {"Ann": 1_000, "Ben": 1_000, "Cat": 1_000, "Dan": 30_000},
     {("Cat", ETH): (False, 20)},
     (("Ann", "Dan", ETH, "80"), ("Ben", "Dan", ETH, "70"), ("Cat", "Dan", ETH, "60")),
     0, 0, {"liquidations_per_block": 1, "adl_tolerance": 200_000_000}),
)  # fmt: skip

Move = Callable[[Pair, str], None]


def jump(asset: int, percent: int) -> Move:
    """The oracle jumps."""

    def move(pair: Pair, where: str) -> None:
        pair.prices[asset] = max(1, pair.prices[asset] * (100 + percent) // 100)
        pair.block(where, system=[pair.world.vote({asset: str(pair.prices[asset])})])

    return move


def both(percent_btc: int, percent_eth: int) -> Move:
    """Both oracles jump in one block."""

    def move(pair: Pair, where: str) -> None:
        for asset, percent in ((BTC, percent_btc), (ETH, percent_eth)):
            pair.prices[asset] = max(1, pair.prices[asset] * (100 + percent) // 100)
        votes = {asset: str(price) for asset, price in pair.prices.items()}
        pair.block(where, system=[pair.world.vote(votes)])

    return move


def quote(name: str, asset: int, side: str, size: str, percent: int) -> Move:
    """Somebody quotes at a distance from the oracle."""

    def move(pair: Pair, where: str) -> None:
        price = str(max(1, pair.prices[asset] * (100 + percent) // 100))
        action = PlaceOrders([order(asset, side, size, price)])
        pair.block(where, transactions=[pair.world.transaction(name, action)])

    return move


def quiet(pair: Pair, where: str) -> None:
    """A block without inputs, a second and a bit later: the vault offers, the cooldown goes on."""
    pair.block(where, at=pair.world.engine.state.time_ms + 1_100)


MOVES: dict[str, Move] = {
    "eth-4": jump(ETH, -4),
    "eth-9": jump(ETH, -9),
    "eth-40": jump(ETH, -40),
    "eth+12": jump(ETH, 12),
    "eth+200": jump(ETH, 200),
    "btc+8": jump(BTC, 8),
    "both": both(-12, -8),
    "bid": quote("Dan", ETH, "buy", "120", -1),
    "quiet": quiet,
}
FIRST = [name for name in MOVES if name != "quiet"]


def begin(setup: Setup) -> Pair:
    """Money, settings and positions in a few blocks."""
    name, purses, modes, trades, vault, insurance, parameters = setup
    pair = Pair(**parameters)
    world = pair.world
    system = [deposit(world, address_of(who), amount) for who, amount in purses.items()]
    if vault:
        system.append(deposit(world, BACKSTOP_VAULT, vault))
    if insurance:
        system.append(deposit(world, INSURANCE, insurance))
    system.append(world.vote({BTC: "1000", ETH: "100"}))
    pair.block(f"{name}: money", system=system)
    settings = [
        world.transaction(who, UpdateLeverage(asset, *mode)) for (who, asset), mode in modes.items()
    ]
    pair.block(f"{name}: settings", transactions=settings)
    for buyer, seller, asset, size in trades:
        price = "1000" if asset == BTC else "100"
        placed = PlaceOrders([order(asset, "buy", size, price)])
        taken = PlaceOrders([order(asset, "sell", size, price, "Gtc")])
        pair.block(f"{name}: {buyer}", transactions=[world.transaction(buyer, placed)])
        pair.block(f"{name}: {seller}", transactions=[world.transaction(seller, taken)])
        held = world.account(seller).exposures[asset]
        assert held.asks_lots == 0, f"{name}: {seller} has not sold"
    return pair


# Every second of them in the suite, all of them with `make long`.
CHOSEN = SETUPS if LONG else SETUPS[::2]


@pytest.mark.parametrize("setup", CHOSEN, ids=[setup[0] for setup in CHOSEN])
def test_every_short_run_agrees_with_the_exchange_by_definition(setup: Setup) -> None:
    """All sequences of moves to a depth; together they reach every outcome."""
    depth = 4 if LONG else 3
    seen: set[LiquidationOutcome] = set()
    rounds = 0
    for names in product(FIRST, *[MOVES] * (depth - 1)):
        pair = begin(setup)
        for number, name in enumerate(names):
            MOVES[name](pair, f"{setup[0]}: {' '.join(names[: number + 1])}")
        seen |= pair.seen
        rounds += pair.rounds
    assert LiquidationOutcome.BOOK in seen
    assert LiquidationOutcome.ADL_CASE in seen
    assert rounds > 50


@pytest.mark.parametrize("seed", range(40 if LONG else 6))
def test_long_random_runs_agree(seed: int) -> None:
    """Forty moves drawn at random from a larger set, with quotes of everybody."""
    draw = random.Random(seed)
    pair = begin(SETUPS[seed % len(SETUPS)])
    for number in range(40):
        where = f"seed {seed}, move {number}"
        kind = draw.randint(0, 9)
        if kind < 4:
            asset = draw.choice((BTC, ETH))
            low, high = (-60, 200) if draw.random() < 0.2 else (-10, 10)
            jump(asset, draw.randint(low, high))(pair, where)
            pair.prices = {asset: max(8, price) for asset, price in pair.prices.items()}
        elif kind < 9:
            asset = draw.choice((BTC, ETH))
            size = str(draw.randint(1, 9) * (1 if asset == BTC else 10))
            quote(draw.choice(NAMES), asset, draw.choice(("buy", "sell")), size,
                  draw.randint(-6, 6))(pair, where)  # fmt: skip
        else:
            quiet(pair, where)
