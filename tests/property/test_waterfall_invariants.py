"""INV-L: what must hold after every block of a falling market, and every receipt checked.

Seeded price paths with gaps of -60 % to +200 %, thin books, cross and isolated accounts, a vault
that is broke or rich. The checks hang inside the engine, so that they see the state between the
stages. Codes are those of reliability 5.6; receipts are those of audit-log-and-consensus 9.5.
"""

import os
import random
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from typing import Any

import pytest

from chainperp.base.canonical import Record
from chainperp.base.hashing import leaf_hash
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.evidence.merkle import root_of
from chainperp.model.actions import PlaceOrders, UpdateLeverage
from chainperp.model.blocks import SystemInput, Transaction
from chainperp.model.decisions import (
    AdlReason,
    Kind,
    LedgerType,
    LiquidationOutcome,
    Rejection,
    SystemType,
)
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.state.commitment import Commitment
from chainperp.state.proof import Root, verify_state_proof
from chainperp.state.root import state_root
from chainperp.state.store import (
    ASSISTANCE_FUND,
    BACKSTOP_VAULT,
    INSURANCE,
    LIQUIDITY_VAULT,
    ROUNDING,
    State,
)
from chainperp.state.tree import Tree
from chainperp.storage.package import default_markets
from chainperp.transition import block as block_module
from chainperp.transition import liquidation as liquidation_module
from chainperp.transition import risk as risk_module
from chainperp.transition.deleverage import process_adl
from chainperp.transition.liquidation import sell_into_book
from chainperp.transition.recorder import FLAG_ADL
from chainperp.transition.risk import process_risk
from tests.oracles.brute_sweep import liquidatable_scopes
from tests.support.world import RULES, Result, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(60) if LONG else range(8)
BLOCKS = 120
NAMES = tuple(f"user{number:02d}" for number in range(12))
SYSTEM = (ASSISTANCE_FUND, LIQUIDITY_VAULT, ROUNDING, BACKSTOP_VAULT, INSURANCE)
START_PRICES = {0: 1_000, 1: 100, 2: 10}
WORLDS: tuple[dict[str, object], ...] = (
    {},
    {"liquidations_per_block": 3},
    {"adl_tolerance": 3_000_000_000},
    {"liquidation_insurance_bps": 3_000, "liquidation_fund_bps": 1_000},
    {"adl_policy": 500},
    {"adl_policy": 200},
    {"fee_tiers": [[0, 0, 0]]},
    {"adl_policy": 1200, "liq_partial_threshold": 1_000_000_000},
)


def falling_world(seed: int, **parameters: object) -> World:
    """Twelve accounts with modes and money, three markets, the last one isolated only."""
    draw = random.Random(seed)
    rows = [{**row, "isolated_only": at == 2} for at, row in enumerate(default_markets()[:3])]
    values = {
        "price_stale_ms": 0, "mark_band_bps": 0, "liq_partial_threshold": 20_000_000_000,
        "snapshot_interval": 40,
        **WORLDS[seed % len(WORLDS)], **parameters,
    }  # fmt: skip
    world = World(values, markets=rows)
    world.fund(**{name: str(draw.choice((300, 1_500, 6_000, 40_000))) for name in NAMES})
    vault = draw.choice((0, 200, 100_000))
    deposits = [(BACKSTOP_VAULT, vault), (INSURANCE, draw.choice((0, 0, 700)))]
    world.block(system=[deposit(world, who, amount) for who, amount in deposits if amount])
    world.prices({at: str(price) for at, price in START_PRICES.items()})
    for name in NAMES:
        for at in range(3):
            is_cross = at != 2 and draw.random() < 0.65
            world.act(name, UpdateLeverage(at, is_cross, draw.choice((3, 10, 20))))
    return world


def deposit(world: World, address: bytes, usdc: int) -> SystemInput:
    """A deposit in whole USDC for any address."""
    world.deposits += 1
    body = address + (usdc * 10**6).to_bytes(16) + world.deposits.to_bytes(8) + bytes(32)
    return SystemInput(SystemType.DEPOSIT, body)


class Fall:
    """Draws blocks: prices creep, sometimes jump, and people quote and take near the oracle."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed * 7 + 1)
        self.prices: dict[int, float] = {at: float(price) for at, price in START_PRICES.items()}

    def block(self, world: World, number: int) -> Result:
        """One block; trading comes first, then the storms."""
        draw = self.draw
        system: list[SystemInput] = []
        if draw.random() < 0.8:
            moved = [at for at in self.prices if draw.random() < 0.6]
            for at in moved:
                change = draw.uniform(-0.03, 0.03)
                if number > 25 and draw.random() < 0.25:
                    change = draw.choice((draw.uniform(-0.6, -0.05), draw.uniform(0.05, 2.0)))
                start = START_PRICES[at]
                price = min(start * 20.0, max(start / 20.0, self.prices[at] * (1 + change)))
                self.prices[at] = price
            if moved:
                system.append(world.vote({at: grid(self.prices[at]) for at in moved}))
        transactions = [self.trade(world) for _ in range(draw.randint(0, 6 if number < 60 else 3))]
        time_ms = world.engine.state.time_ms + draw.choice((200, 200, 900, 31_000))
        world.nonce = max(world.nonce, time_ms)
        return world.block(transactions, system, at=time_ms)

    def trade(self, world: World) -> Transaction:
        """A quote or a market-like order."""
        draw = self.draw
        at = draw.choice((0, 1, 1, 2))
        side = draw.choice(("buy", "sell"))
        away = draw.choice((0.0, 0.002, 0.01, -0.01, -0.03))
        price = self.prices[at] * (1 - away if side == "buy" else 1 + away)
        size = draw.choice((20, 100, 500, 3_000)) / self.prices[at]
        text = f"{max(size, 0.02):.2f}"
        action = PlaceOrders([order(at, side, text, grid(price), draw.choice(("Gtc", "Ioc")))])
        return world.transaction(draw.choice(NAMES), action)


def grid(price: float) -> str:
    """Four figures, so that every market takes the price."""
    return f"{price:.4g}" if price < 1000 else str(round(price))


@dataclass
class Watch:
    """Checks inside the phase, and what was seen of it."""

    draw: random.Random
    due: list[tuple[bytes, int]] = field(default_factory=list)
    roots: dict[bytes, dict[str, Root]] = field(default_factory=dict)
    values: dict[bytes, dict[tuple[bytes, int], int]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Something happened that a test must not miss."""
        self.seen[what] = self.seen.get(what, 0) + 1

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Hang the checks into the engine."""
        process, sell = process_risk, sell_into_book
        deleverage, one = process_adl, liquidation_module._sell
        commit = Commitment.commit

        def watched_phase(state: State, recorder: Any, *rest: Any) -> Any:
            self.due = [(bytes(who), at) for who, at in liquidatable_scopes(state)]
            idle = {
                account.address: account.raw
                for account in state.accounts.values()
                if account.address not in SYSTEM and is_idle(account)
            }
            answer = process(state, recorder, *rest)
            for address, raw in idle.items():
                assert state.accounts[address].raw == raw, "INV-L8: an idle account paid"
                assert is_idle(state.accounts[address])
            return answer

        def watched_sale(state: State, recorder: Any, scope: Any, cause: int) -> None:
            before, other = scope.value, orders_of_scope(scope)
            assert not other, "LIQ-2: open orders while selling"
            sell(state, recorder, scope, cause)
            after = value_of(state, scope.account, scope.asset)
            assert after >= 0 or after >= before, f"INV-L11: {before} {after}"

        def watched_order(state: State, rec: Any, scope: Any, exposure: Any, *rest: Any) -> int:
            before = exposure.lots
            filled = one(state, rec, scope, exposure, *rest)
            assert 0 <= rest[0] <= abs(before), "INV-L3: larger than the position"
            assert abs(before) - abs(exposure.lots) == filled
            assert exposure.lots * before >= 0, "INV-L3: flipped"
            return filled

        def watched_adl(state: State, recorder: Any, *rest: Any) -> None:
            marks = [self.draw.randint(1, 2**40) for _ in state.markets]
            before, volumes = total_value(state, marks), all_volumes(state)
            deleverage(state, recorder, *rest)
            assert total_value(state, marks) == before, "INV-L7"
            assert all_volumes(state) == volumes, "INV-L6: volume was counted"

        def watched_commit(tree: Commitment, state: State, **how: Any) -> Any:
            answer = commit(tree, state, **how)
            self.roots[answer.state_root] = dict(answer.roots)
            self.values[answer.state_root] = all_values(state)
            return answer

        patch.setattr(block_module, "process_risk", watched_phase)
        patch.setattr(risk_module, "sell_into_book", watched_sale)
        patch.setattr(liquidation_module, "_sell", watched_order)
        patch.setattr(risk_module, "process_adl", watched_adl)
        patch.setattr(Commitment, "commit", watched_commit)


def is_idle(account: Any) -> bool:
    """No position, and no order that a liquidation could meet."""
    return not account.orders and not any(one.lots for one in account.exposures.values())


def orders_of_scope(scope: Any) -> list[int]:
    """Ids of the scope's orders that are still open."""
    return [
        one.oid
        for one in scope.account.orders.values()
        if (one.exposure.is_cross if scope.asset == CROSS_SCOPE else one.asset == scope.asset)
    ]


def value_of(state: State, account: Any, scope: int) -> int:
    """Value of a scope from the cells."""
    if scope != CROSS_SCOPE:
        one = account.exposures[scope]
        # A closed cell has gone back to cross: nothing is left, and nothing was owed.
        return int(one.raw_isolated + one.lots * state.markets[scope].mark)
    value = int(account.raw)
    for at, one in account.exposures.items():
        if one.is_cross:
            value += int(one.lots) * state.markets[at].mark
    return value


def all_values(state: State) -> dict[tuple[bytes, int], int]:
    """Value of every scope at the marks."""
    return {
        (who, scope): value_of(state, account, scope)
        for who, account in state.accounts.items()
        for scope in [CROSS_SCOPE, *account.exposures]
    }


def total_value(state: State, marks: list[int]) -> int:
    """Sum of all account values at some marks."""
    total = 0
    for account in state.accounts.values():
        total += account.raw
        for at, one in account.exposures.items():
            total += one.raw_isolated + one.lots * marks[at]
    return total


def all_volumes(state: State) -> dict[bytes, int]:
    """Volume of every account."""
    return {who: account.volume_total for who, account in state.accounts.items()}


# --- the log of one block -------------------------------------------------------------------------


@dataclass
class Round:
    """One ADL round of the log."""

    index: int
    begin: Record
    rows: list[Record] = field(default_factory=list)
    raw_rows: list[bytes] = field(default_factory=list)
    fills: list[Record] = field(default_factory=list)
    end: Record = field(default_factory=dict)


def rounds_of(result: Result) -> list[Round]:
    """Group a block's receipts."""
    found: dict[int, Round] = {}
    for at, raw in enumerate(result.block.entries):
        entry, index = decode_entry(raw), result.block.first_index + at
        fields = decode_payload(entry)
        if entry.kind is Kind.ADL_BEGIN:
            found[index] = Round(index, fields)
        elif entry.kind is Kind.ADL_ROWS:
            one = found[fields["begin_index"]]
            assert fields["first_rank"] == len(one.rows)
            one.rows += fields["rows"]
            body = raw[19 + 16 :]
            one.raw_rows += [body[start : start + 114] for start in range(0, len(body), 114)]
        elif entry.kind is Kind.ADL_END:
            found[fields["begin_index"]].end = fields
        elif entry.kind is Kind.FILL and fields["flags"] & FLAG_ADL:
            assert fields["maker_fee"] == fields["taker_fee"] == 0, "INV-L6"
            if fields["cause_index"] in found:
                found[fields["cause_index"]].fills.append(fields)
    return list(found.values())


def check_round(state: State, one: Round, watch: Watch, result: Result) -> None:
    """The victim's check and the full check of 9.5, from the log and the committed state."""
    begin, rows, end = one.begin, one.rows, one.end
    queue = root_of([sha256(b"\x00\x41" + raw).digest() for raw in one.raw_rows])
    assert queue == begin["queue_root"]
    assert len(rows) == begin["queue_count"] == begin["coll_count"]
    assert [row["rank"] for row in rows] == list(range(len(rows)))
    assert len({row["account"] for row in rows}) == len(rows)
    assert sum(row["lots"] for row in rows) == abs(begin["coll_lots"])
    assert sum(row["entry_notional"] for row in rows) == abs(begin["coll_entry"])
    eligible = [row for row in rows if row["reason"] == AdlReason.ELIGIBLE]
    assert rows[: len(eligible)] == eligible
    assert len(eligible) == begin["n_eligible"]
    others = [(row["reason"], row["account"]) for row in rows[len(eligible) :]]
    assert others == sorted(others)
    assert begin["target"] not in {row["account"] for row in rows}, "INV-L4"
    check_takes(one, eligible)
    check_committed(one, watch, result)
    moved = sum(fill["lots"] for fill in one.fills)
    assert moved == end["filled_lots"] == sum(row["take_lots"] for row in rows)
    assert moved + end["shortfall_lots"] == begin["target_lots"], "INV-L4"
    assert end["n_fills"] == len(one.fills) == sum(1 for row in rows if row["take_lots"])
    for fill in one.fills:
        assert fill["price"] == begin["adl_price"], "INV-L6"
        assert (fill["taker"], fill["asset"]) == (begin["target"], begin["asset"])
        assert fill["maker_start"] * fill["taker_start"] < 0, "INV-L4"
    sign = 1 if begin["candidate_side"] == 1 else -1
    gain = sign * moved * (begin["adl_price"] - begin["mark"])
    assert end["target_value_after"] == begin["target_value"] + gain, "E3 for the target"
    (fund,) = begin["waterfall"]
    assert fund["before"] >= fund["after"] >= 0
    check_price(begin, fund, sign)


def check_price(begin: Record, fund: Record, sign: int) -> None:
    """ADL-2: the previous mark, or further in the target's favour once the fund is empty."""
    if begin["policy_id"] == 200:
        return
    shift = sign * (begin["adl_price"] - begin["previous_mark"])
    assert shift >= 0, "the price is worse for the bankrupt side than the rule's"
    if shift:
        assert fund["after"] == 0, "the price moved although the insurance had money left"


def check_takes(one: Round, eligible: list[Record]) -> None:
    """INV-L5: a prefix, or largest remainders; running sums step correctly."""
    weights = takes = 0
    for row in one.rows:
        weights += row["weight"]
        takes += row["take_lots"]
        assert (row["cum_weight"], row["cum_take"]) == (weights, takes)
        assert row["take_lots"] <= row["weight"] <= row["lots"]
        if row["reason"]:
            assert row["weight"] == row["take_lots"] == 0
    if one.begin["policy_id"] == 500:
        total = sum(row["weight"] for row in eligible)
        for row in eligible:
            exact = Fraction(row["weight"] * takes, total)
            assert abs(row["take_lots"] - exact) < 1
        return
    partial = [row for row in eligible if row["take_lots"] < row["weight"]]
    if partial:
        first = eligible.index(partial[0])
        assert all(row["take_lots"] == 0 for row in eligible[first + 1 :]), "INV-L5"
        assert one.end["shortfall_lots"] == 0, "INV-L5: candidates are left and so are lots"


def check_committed(one: Round, watch: Watch, result: Result) -> None:
    """The STATE_COMMIT before the round says what the receipt says."""
    begin = one.begin
    entry = decode_entry(result.block.entries[begin["state_index"] - result.block.first_index])
    assert entry.kind is Kind.STATE_COMMIT
    assert begin["state_index"] < one.index
    roots = watch.roots[decode_payload(entry)["state_root"]]
    assert state_root(roots) == decode_payload(entry)["state_root"]
    side = "S" if begin["candidate_side"] else "L"
    collection = roots[f"pos/{begin['asset']:08x}/{side}"]
    assert (collection.h, collection.count, collection.sums[:2]) == (
        begin["coll_h"], begin["coll_count"], (begin["coll_lots"], begin["coll_entry"]),
    )  # fmt: skip
    check_values(one, watch.values[decode_payload(entry)["state_root"]])
    other = roots[f"pos/{begin['asset']:08x}/{'L' if side == 'S' else 'S'}"]
    assert abs(other.sums[0]) == abs(collection.sums[0]), "9.5: both sides are the open interest"


def check_values(one: Round, values: dict[tuple[bytes, int], int]) -> None:
    """Steps 7 and 11 of 9.5: the target and every row, recomputed from the committed cells."""
    begin = one.begin
    asset = begin["asset"]
    scope = asset if begin["target_scope"] else CROSS_SCOPE
    assert values[begin["target"], scope] == begin["target_value"], "9.5 step 7"
    loss = begin["adl_price"] - begin["mark"]
    loss = loss if begin["candidate_side"] else -loss
    for row in one.rows:
        value = values[row["account"], asset if row["scope"] & 1 else CROSS_SCOPE]
        assert row["account_value"] == value, "9.5 step 11"
        if row["reason"] == AdlReason.ELIGIBLE:
            assert value > 0
            assert value >= row["take_lots"] * loss, "INV-L9: more than he can pay"
        else:
            assert (row["reason"] == AdlReason.UNDERWATER) == (value < 0)
            assert (row["reason"] == AdlReason.VALUE_NOT_POSITIVE) == (value == 0)


def check_seal(result: Result) -> None:
    """9.6, 4.2: every LIQ_TEST is proven by liq_root, adl_root lists the rounds; the layout."""
    seal = decode_payload(decode_entry(result.block.entries[-1]))
    tree = Tree("liq", 0)
    leaves: dict[bytes, bytes] = {}
    begins: list[bytes] = []
    kinds: list[Kind] = []
    for raw in result.block.entries[:-1]:
        entry = decode_entry(raw)
        kinds.append(entry.kind)
        if entry.kind is Kind.LIQ_TEST:
            fields = decode_payload(entry)
            key = fields["account"] + fields["asset"].to_bytes(4, "big")
            leaves[key] = leaf_hash(raw)
            tree.set(key, leaves[key], ())
        elif entry.kind is Kind.ADL_BEGIN:
            begins.append(sha256(b"\x00\x61" + leaf_hash(raw)).digest())
    assert seal["n_liq"] == len(leaves) == kinds.count(Kind.LIQ_TEST)
    assert (seal["adl_root"], seal["n_adl"]) == (root_of(begins), len(begins))
    root = Root(seal["liq_root"], seal["n_liq"], ())
    for key, value in leaves.items():
        verify_state_proof("liq", root, key, value, (), tree.prove(key))
    absent = bytes(24)
    verify_state_proof("liq", root, absent, None, (), tree.prove(absent))
    if leaves:
        first = kinds.index(Kind.LIQ_TEST)
        assert Kind.STATE_COMMIT in kinds[:first]
        assert not {Kind.TX_USER, Kind.TX_SYSTEM, Kind.MARK} & set(kinds[first:]), "4.2"
    else:
        assert Kind.STATE_COMMIT not in kinds


def check_tests(result: Result, watch: Watch) -> None:
    """INV-L1, L2, L14: the tested scopes are exactly those that a walk over all finds."""
    tests = result.of(Kind.LIQ_TEST)
    assert sorted((one["account"], one["asset"]) for one in tests) == sorted(watch.due), "INV-L14"
    waits = False
    for one in tests:
        outcome = LiquidationOutcome(one["outcome"])
        watch.count(outcome.name)
        assert outcome is LiquidationOutcome.RECOVERED or one["value"] < one["maintenance"]
        assert outcome is LiquidationOutcome.WAITING or not waits, "INV-L13: order"
        waits = outcome is LiquidationOutcome.WAITING
        if outcome is LiquidationOutcome.BACKSTOP:
            assert one["value_after"] == 0, "INV-L11"
    for one in result.orders:
        if one["reason"] == Rejection.LIQUIDATION:
            assert one["reduce_only"]
    for one in result.of(Kind.BACKSTOP):
        if one["taken"]:
            assert one["vault_value_after"] >= one["vault_margin_after"], "INV-L10"
    for one in result.of(Kind.LEDGER):
        if one["destination"] == BACKSTOP_VAULT:
            allowed = (LedgerType.BACKSTOP_COLLATERAL, LedgerType.INSURANCE_DRAW)
            assert one["type"] in allowed, "INV-L10: somebody else paid the vault"


def check_after(state: State, result: Result, rounds: list[Round], watch: Watch) -> None:
    """INV-M1, P2, L9: cash, lots, and no deficit but those that are explained."""
    cash = sum(one.raw + one.raw_isolated_total for one in state.accounts.values())
    assert cash + sum(one.amount for one in state.withdrawals.values()) == state.custody
    for at, market in enumerate(state.markets):
        assert (
            sum(one.exposures[at].lots for one in state.accounts.values() if at in one.exposures)
            == 0
        )
        assert market.lots_long == market.lots_short
    deficits = [
        (who, scope, value)
        for who, account in state.accounts.items()
        for scope in [CROSS_SCOPE, *range(len(state.markets))]
        if scope == CROSS_SCOPE or is_isolated(account, scope)
        if (value := value_of(state, account, scope)) < 0
    ]
    waiting = {
        (one["account"], one["asset"])
        for one in result.of(Kind.LIQ_TEST)
        if one["outcome"] == LiquidationOutcome.WAITING
    }
    rest = [one for one in deficits if one[:2] not in waiting]
    rest = [one for one in rest if one[0] != INSURANCE and one[0] not in unfinished(rounds)]
    cross = sum(-value for _, scope, value in rest if scope == CROSS_SCOPE)
    assert cross <= state.parameters.adl_tolerance, f"INV-L9: {rest}"
    assert not [one for one in rest if one[1] != CROSS_SCOPE], f"INV-L9: {rest}"
    tested = {(one["account"], one["asset"]) for one in result.of(Kind.LIQ_TEST)}
    owed = max(0, -state.accounts[INSURANCE].raw)
    owed += sum(-value for who, scope, value in deficits if (who, scope) in tested)
    assert state.uncovered == owed, "INV-M10"
    if rest:
        watch.count("deficit")


def is_isolated(account: Any, asset: int) -> bool:
    """Whether a position of its own is open there."""
    one = account.exposures.get(asset)
    return one is not None and bool(one.lots) and not one.is_cross


def unfinished(rounds: list[Round]) -> set[bytes]:
    """Targets whose counter side did not suffice."""
    return {one.begin["target"] for one in rounds if one.end["shortfall_lots"]}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_block_of_a_fall_keeps_the_invariants(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-L1 to L14 and INV-M1, block after block."""
    watch = Watch(random.Random(seed))
    world, fall = falling_world(seed), Fall(seed)
    watch.install(monkeypatch)
    for number in range(BLOCKS):
        try:
            result = fall.block(world, number)
            state = world.engine.state
            rounds = rounds_of(result)
            check_tests(result, watch)
            check_seal(result)
            for one in rounds:
                watch.count("round")
                check_round(state, one, watch, result)
            check_after(state, result, rounds, watch)
            watch.roots.clear()
            watch.values.clear()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, block {number}: {error}") from error
    assert sum(watch.seen.get(one.name, 0) for one in LiquidationOutcome) > 10, watch.seen


@pytest.mark.parametrize("seed", SEEDS)
def test_replay_and_snapshots_seal_the_same_bytes_through_a_fall(seed: int) -> None:
    """INV-G3, G4 with liquidations in the chain: from genesis, and from every snapshot."""
    world, fall = falling_world(seed), Fall(seed)
    genesis = world.engine.genesis
    snapshots: dict[int, bytes] = {}
    tests = 0
    for number in range(BLOCKS):
        tests += len(fall.block(world, number).of(Kind.LIQ_TEST))
        if world.engine.is_snapshot_height(world.engine.height):
            snapshots[world.engine.height] = world.engine.snapshot()
    again = Engine(parse_genesis(genesis.raw), RULES)
    assert again.seal_genesis().entries == world.blocks[0].entries
    for made, sealed in zip(world.inputs, world.blocks[1:], strict=True):
        assert again.execute(made).entries == sealed.entries
    for height, raw in snapshots.items():
        other = Engine(parse_genesis(genesis.raw), RULES)
        other.restore(raw, world.blocks[height].entries[-1])
        for made, sealed in zip(world.inputs[height:], world.blocks[height + 1 :], strict=True):
            assert other.execute(made).entries == sealed.entries, f"from {height}"
    assert snapshots
    assert tests > 5


def test_addresses_of_the_world_are_not_the_exchange_s_own() -> None:
    """The names that the checks leave out are not users."""
    assert not {address_of(name) for name in NAMES} & set(SYSTEM)
