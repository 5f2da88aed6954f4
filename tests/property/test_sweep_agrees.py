"""The sweep finds what a walk over every account finds, after every move of the marks."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chainperp.base.units import HOUR_MS, Address, Usd
from chainperp.chain.genesis import Genesis, first_state, parse_genesis
from chainperp.model.accounts import Account
from chainperp.model.actions import UpdateIsolatedMargin, UpdateLeverage, UsdSend, Withdraw
from chainperp.model.markets import MarketTerms, margin_tiers
from chainperp.rules.margin import maintenance_margin
from chainperp.state.commitment import Commitment
from chainperp.state.snapshot import decode_snapshot, encode_snapshot
from chainperp.state.store import SYSTEM_ACCOUNTS, State
from chainperp.storage.package import build_genesis
from chainperp.transition import sweep as sweep_module
from chainperp.transition.accounts import process_leverage
from chainperp.transition.bridge import process_grant
from chainperp.transition.fills import apply_fill, plan_fill
from chainperp.transition.funding import process_funding
from chainperp.transition.recorder import Recorder
from chainperp.transition.sweep import Sweep, last_safe_price_long, last_safe_price_short
from chainperp.transition.sweep_index import TRIGGERS_LEAST, Filing
from chainperp.transition.transfers import (
    process_isolated_margin,
    process_send,
    process_withdraw,
)
from chainperp.transition.valuation import refresh, scope_value_and_maintenance
from tests.oracles.brute_sweep import CROSS, bracket_maintenance, liquidatable_scopes
from tests.oracles.naive_exchange import Life
from tests.property.test_exchange_agrees import carry_out, live_orders, living_world

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(100) if LONG else range(12)
ROUNDS = 400 if LONG else 120
INTERPRETED = str(sweep_module.__file__).endswith(".py")
START = 1_760_000_000_000
USDC = 1_000_000
# Bounds of a few dollars, so that most moves cross several tiers; the second market has so few
# ticks that marks often land on a trigger, the last one needs half of its notional.
TIERS = (
    [[0, 40], [150, 20], [400, 7], [1_000, 3]],
    [[0, 100], [1, 50], [2, 10], [300, 2]],
    [[0, 3]],
    [[0, 15], [50, 1]],
)
# Bounds that are crossed only after a mark has risen far.
ROOMY = ([[0, 40], [20_000, 10]], [[0, 20]], [[0, 3]], [[0, 15], [6_000, 2]])
BASES = (10_000, 40, 250_000, 1_000)
FACTORS = (9_999, 10_001, 9_990, 10_010, 9_900, 10_100, 9_500, 10_500, 8_000, 12_500)
SHOCKS = (4_000, 30_000, 6_000, 20_000)


def genesis_of_a_world(tables: Sequence[list[list[int]]] = TIERS) -> Genesis:
    """Markets with different tiers, one validator."""
    markets = [
        {"name": f"M{number}", "size_decimals": 2, "margin_tiers": tiers,
         "impact_notional": 1_000, "isolated_only": False}
        for number, tiers in enumerate(tables)
    ]  # fmt: skip
    validators = [(bytes([0xAA]) * 20, 1)]
    return parse_genesis(build_genesis("test/sweep", START, validators, markets=markets))


def give(state: State, recorder: Recorder, user: Address, amount: int) -> None:
    """Money out of nothing."""
    process_grant(state, recorder, {"user": user, "amount": amount})


def first(seed: int, accounts: int = 25, tables: Sequence[list[list[int]]] = TIERS) -> State:
    """A world before its first trade: money, marks and nothing else."""
    state = first_state(genesis_of_a_world(tables))
    for market, base in zip(state.markets, BASES, strict=True):
        market.mark = market.oracle = base
    draw = random.Random(seed)
    recorder = Recorder(1, 0)
    for _ in range(accounts):
        address = Address(draw.randbytes(20))
        amount = draw.randint(1, 2_000) * USDC
        give(state, recorder, address, amount)
        for market in state.markets:
            mode = UpdateLeverage(market.asset, draw.random() < 0.6, draw.randint(1, 3))
            process_leverage(state, recorder, state.accounts[address], mode)
    return state


@dataclass
class Chances:
    """What happens in a world, by its own draws; two equal states live the same life."""

    seed: int
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def account(self, state: State) -> Account:
        """Any account of a person."""
        people = [one for one in sorted(state.accounts) if one not in SYSTEM_ACCOUNTS]
        return state.accounts[self.draw.choice(people)]

    def trade(self, state: State) -> None:
        """Two accounts trade near the mark; nobody asks whether they can afford it."""
        draw = self.draw
        market = draw.choice(state.markets)
        price = max(1, market.mark + draw.randint(-2, 2))
        lots = max(1, draw.randint(1, 500) * USDC // price)
        for account, delta in ((self.account(state), lots), (self.account(state), -lots)):
            refresh(state, account)
            exposure = state.open_exposure(account, market.asset)
            plan = plan_fill(
                market, account, exposure, delta, price, draw.randint(0, 5), bids=0, asks=0, limit=0
            )
            apply_fill(state, market, account, exposure, delta, price, plan)

    def leverage(self, state: State) -> None:
        """Another leverage, and another margin mode where nothing is held."""
        asset = self.draw.randrange(len(state.markets))
        limit = state.markets[asset].terms.leverage_max
        action = UpdateLeverage(asset, self.draw.random() < 0.5, self.draw.randint(1, limit))
        process_leverage(state, Recorder(1, 0), self.account(state), action)

    def money(self, state: State) -> None:
        """A deposit, a payment, a withdrawal, or margin into or out of an isolated position."""
        draw, recorder = self.draw, Recorder(1, 0)
        account = self.account(state)
        amount = draw.randint(1, 200) * USDC
        kind = draw.randrange(4)
        if kind == 0:
            give(state, recorder, account.address, amount)
        elif kind == 1:
            process_send(state, recorder, account, UsdSend(self.account(state).address, amount))
        elif kind == 2:
            process_withdraw(state, recorder, account, Withdraw(account.address, amount))
        else:
            for market in state.markets:
                action = UpdateIsolatedMargin(market.asset, draw.choice((amount, -amount, -USDC)))
                process_isolated_margin(state, recorder, account, action)

    def funding(self, state: State) -> None:
        """An hour ends with a premium that hurts."""
        for market in state.markets:
            market.premium_sum = self.draw.randint(-(10**6), 10**6)
            market.premium_samples = 1
        before = state.time_ms
        state.time_ms += HOUR_MS
        process_funding(state, Recorder(1, 0), before)

    def between(self, state: State) -> None:
        """What happens between two moves of the marks."""
        for _ in range(self.draw.choice((0, 0, 1, 3))):
            happens = self.draw.choices(
                (self.trade, self.leverage, self.money, self.funding), (60, 15, 22, 3)
            )[0]
            happens(state)

    def move(self, state: State) -> list[int]:
        """Move some marks, now and then by a great deal."""
        draw = self.draw
        count = draw.choice((1, 1, 1, 2, len(state.markets)))
        moved = sorted(draw.sample(range(len(state.markets)), count))
        for asset in moved:
            market = state.markets[asset]
            factor = draw.choice(SHOCKS if draw.random() < 0.04 else FACTORS)
            mark = market.mark * factor // 10_000
            if mark == market.mark:
                mark += draw.choice((-1, 1))
            base = BASES[asset]
            market.mark_previous = market.mark
            market.mark = market.oracle = min(max(mark, base // 30, 8), base * 30)
            market.is_dirty = True
        state.mark_epoch += 1
        return moved


def names(found: list[tuple[Account, int]]) -> list[tuple[Address, int]]:
    """Addresses and scopes."""
    return [(account.address, scope) for account, scope in found]


def live(state: State, sweep: Sweep, chances: Chances, rounds: int) -> int:
    """Live on and compare after every move; returns how many scopes were found in all."""
    total = 0
    for number in range(rounds):
        chances.between(state)
        moved = chances.move(state)
        expected = liquidatable_scopes(state)
        found = names(sweep.due(state, moved))
        assert found == expected, f"seed {chances.seed}, round {number}, moved {moved}"
        total += len(found)
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_sweep_finds_what_a_walk_over_every_account_finds(seed: int) -> None:
    """The same scopes in the same order, after every move of a random life."""
    state = first(seed)
    assert live(state, Sweep(state), Chances(seed), ROUNDS) > 0


@pytest.mark.skipif(not INTERPRETED, reason="compiled: no patching")
@pytest.mark.parametrize("tables", [TIERS, ROOMY])
@pytest.mark.parametrize("seed", SEEDS)
def test_safe_scopes_that_wait_for_their_turn_are_tested_meanwhile(
    seed: int, tables: Sequence[list[list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No box is closed again once it was opened: lines and exact tests alone must do."""
    never_in_turn(monkeypatch)
    state = first(seed, tables=tables)
    sweep = Sweep(state)
    assert live(state, sweep, Chances(seed), ROUNDS // 2) > 0
    if tables is ROOMY and seed == 0:
        assert sweep.era > 0
        assert sweep.waiting


@pytest.mark.parametrize("seed", SEEDS)
def test_sweep_without_changes_in_between_agrees(seed: int) -> None:
    """Only marks move, so every answer comes from the boxes and none from filing anew."""
    state = first(seed)
    chances = Chances(seed)
    for _ in range(80):
        chances.trade(state)
    sweep = Sweep(state)
    assert state.unfiled == []
    for number in range(ROUNDS):
        moved = chances.move(state)
        found = names(sweep.due(state, moved))
        assert found == liquidatable_scopes(state), f"seed {seed}, round {number}"


@pytest.mark.parametrize("seed", SEEDS)
def test_sweep_of_a_restored_state_continues_with_the_same_answers(seed: int) -> None:
    """The index is rebuilt from a snapshot's state; what led there does not matter."""
    state = first(seed)
    sweep = Sweep(state)
    live(state, sweep, Chances(seed), 40)
    commitment = Commitment(state)
    commitment.commit(state, with_books=True)
    raw = encode_snapshot(state, commitment, b"", b"")
    genesis = genesis_of_a_world()
    twin = decode_snapshot(
        raw, state.parameters, genesis.terms, state.network, genesis.listing
    ).state
    twin_sweep = Sweep(twin)
    assert names(twin_sweep.due(twin, [])) == names(sweep.due(state, []))
    chances, twin_chances = Chances(seed + 1_000), Chances(seed + 1_000)
    for number in range(40):
        chances.between(state)
        twin_chances.between(twin)
        moved = chances.move(state)
        assert twin_chances.move(twin) == moved
        ours, theirs = sweep.due(state, moved), twin_sweep.due(twin, moved)
        assert names(theirs) == names(ours), f"seed {seed}, round {number}"


def test_asking_again_gives_the_same_answer() -> None:
    """A scope that nobody liquidated is found again until it is safe."""
    state = first(3)
    sweep = Sweep(state)
    chances = Chances(3)
    live(state, sweep, chances, 60)
    for _ in range(5):
        assert names(sweep.due(state, [])) == liquidatable_scopes(state)
        assert names(sweep.due(state, [0, 1, 2, 3])) == liquidatable_scopes(state)


def test_stale_triggers_do_not_pile_up() -> None:
    """However long marks go up and down, a heap holds at most twice its positions."""
    state = first(7)
    chances = Chances(7)
    for _ in range(100):
        chances.trade(state)
    sweep = Sweep(state)
    for _ in range(3_000):
        sweep.due(state, chances.move(state))
        state.unfile(chances.account(state))
    for market in state.markets:
        bound = max(TRIGGERS_LEAST, 2 * len(market.holders))
        for side in (sweep.falling[market.asset], sweep.rising[market.asset]):
            assert sum(len(bucket.keys) for bucket in side.buckets.values()) <= bound
            assert sorted(side.buckets) == sorted(side.numbers)


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_numbers_of_a_scope_are_those_of_the_brackets(seed: int) -> None:
    """The helper of the liquidation phase, compared with the oracle."""
    state = first(seed)
    chances = Chances(seed)
    for _ in range(60):
        chances.between(state)
        chances.move(state)
    for account in state.accounts.values():
        held = [one for one in account.exposures.values() if one.lots]
        for scope in sorted({CROSS if one.is_cross else one.asset for one in held}):
            value, maintenance = scope_value_and_maintenance(state, account, scope)
            is_due = (account.address, scope) in liquidatable_scopes(state)
            assert (value < maintenance) is is_due


@pytest.mark.skipif(not INTERPRETED, reason="compiled: no patching")
@pytest.mark.parametrize("seed", range(40) if LONG else range(4))
def test_engine_is_told_of_every_scope_at_the_end_of_every_block(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders, funding, liquidations, the backstop and deleveraging all note what they change."""
    honest = Sweep.due
    answers: list[int] = []

    def watched(sweep: Sweep, state: State, moved: list[int]) -> list[tuple[Account, int]]:
        found = honest(sweep, state, moved)
        height = state.height
        assert names(found) == liquidatable_scopes(state), f"seed {seed}, height {height}"
        answers.append(len(found))
        return found

    monkeypatch.setattr(Sweep, "due", watched)
    world = living_world()
    life = Life(50_000 + seed)
    for _ in range(300):
        carry_out(world, life.block(live_orders(world), 4))
    assert len(answers) >= 300
    assert sum(answers) > 0, "nobody was ever liquidatable"


def random_terms(draw: random.Random) -> MarketTerms:
    """Terms with up to four tiers whose bounds are small numbers."""
    count = draw.randint(1, 4)
    leverages = sorted(draw.sample(range(1, 51), count), reverse=True)
    bounds = [0, *sorted(draw.sample(range(1, 3_000), count - 1))]
    tiers, denominator = margin_tiers(list(zip(bounds, leverages, strict=True)))
    return MarketTerms(0, "M", 2, tiers, denominator, Usd(1_000), False)


@pytest.mark.parametrize("seed", range(200))
def test_last_safe_price_is_the_last_one(seed: int) -> None:
    """Safe there, not safe one unit farther, and maintenance is what the brackets say."""
    draw = random.Random(seed)
    terms = random_terms(draw)
    lots = draw.randint(1, 30)
    mark = draw.randint(1, 400)
    share = draw.randint(0, lots * mark)

    def part(signed: int, price: int) -> int:
        notional = lots * price
        assert maintenance_margin(notional, terms) == bracket_maintenance(notional, terms)
        return signed * notional - bracket_maintenance(notional, terms)

    target = part(1, mark) - share
    price = last_safe_price_long(lots, target, terms)
    assert price <= mark
    assert part(1, price) >= target
    assert price == 0 or part(1, price - 1) < target
    target = part(-1, mark) - share
    price = last_safe_price_short(lots, target, terms)
    assert price >= mark
    assert part(-1, price) >= target > part(-1, price + 1)


Patch = Callable[[pytest.MonkeyPatch], None]


def wide_box(patch: pytest.MonkeyPatch) -> None:
    """Every position may lose twice its share."""
    honest = sweep_module.share_of
    patch.setattr(sweep_module, "share_of", lambda *numbers: 2 * honest(*numbers))


def one_tick_early(patch: pytest.MonkeyPatch) -> None:
    """Triggers of longs rounded away from the mark."""
    honest = sweep_module.last_safe_price_long
    patch.setattr(sweep_module, "last_safe_price_long", lambda *one: honest(*one) - 1)


def wide_line_box(patch: pytest.MonkeyPatch) -> None:
    """Every mark may move twice as far as the line has to spare."""
    honest = sweep_module.distance_of
    patch.setattr(sweep_module, "distance_of", lambda *numbers: 2 * honest(*numbers))


def one_tick_farther(patch: pytest.MonkeyPatch) -> None:
    """Distances rounded up."""
    honest = sweep_module.distance_of
    patch.setattr(sweep_module, "distance_of", lambda *numbers: honest(*numbers) + 1)


def boxes_across_eras(patch: pytest.MonkeyPatch) -> None:
    """Triggers of shorts do not end where their tier may."""
    patch.setattr(sweep_module, "min", max, raising=False)


def first_tier_only(patch: pytest.MonkeyPatch) -> None:
    """A short's box that forgets that a rising notional changes its tier."""
    honest = sweep_module.last_safe_price_short

    def forgetful(lots: int, target: int, terms: MarketTerms) -> int:
        tiers = terms.tiers[:1]
        cut = MarketTerms(
            terms.asset, "", 2, tiers, terms.tier_denominator, terms.impact_notional, False
        )
        return honest(lots, target, cut)

    patch.setattr(sweep_module, "last_safe_price_short", forgetful)


def never_in_turn(patch: pytest.MonkeyPatch) -> None:
    """Of the safe scopes that were crossed at once, none is filed anew."""
    patch.setattr(sweep_module, "TURN_LEAST", 0)
    patch.setattr(sweep_module, "TURN_SHARE", 10**9)


def eras_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Lines are believed however far a mark has risen."""
    never_in_turn(patch)
    honest = Sweep._begin_era

    def first_only(sweep: Sweep, state: State, marks: list[int]) -> None:
        if sweep.era < 0:
            honest(sweep, state, marks)

    patch.setattr(Sweep, "_begin_era", first_only)


def high_line(patch: pytest.MonkeyPatch) -> None:
    """Lines are taken for a little more than they are."""
    never_in_turn(patch)
    honest = Filing.line
    patch.setattr(Filing, "line", lambda *one: honest(*one) + 10**10)


def low_line(patch: pytest.MonkeyPatch) -> None:
    """Lines are taken for a little less than they are."""
    honest = Filing.line
    patch.setattr(Filing, "line", lambda *one: honest(*one) - 10**10)


def nobody_unfiled(patch: pytest.MonkeyPatch) -> None:
    """Changes of money and positions are not noted."""
    patch.setattr(State, "unfile", lambda *_: None)


@pytest.mark.skipif(not INTERPRETED, reason="compiled: no patching")
@pytest.mark.parametrize(
    "mutate",
    [
        wide_box,
        one_tick_early,
        wide_line_box,
        one_tick_farther,
        boxes_across_eras,
        first_tier_only,
        eras_forgotten,
        high_line,
        low_line,
        nobody_unfiled,
    ],
)
def test_a_wrong_index_is_caught(mutate: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above has teeth: each of these mistakes breaks it within a few lives."""
    mutate(monkeypatch)
    caught = 0
    for seed in range(6):
        try:
            for tables in (TIERS, ROOMY):
                state = first(seed, tables=tables)
                live(state, Sweep(state), Chances(seed), 120)
        except AssertionError:
            caught += 1
    # A tier that is entered while a line decides is rare: it takes several doublings of a mark.
    assert caught >= (1 if mutate is eras_forgotten else 3)
