"""Changes of the input that must not change the outcome, or only as stated (reliability 8.8)."""

import os
import random
from typing import Any

import pytest

from chainperp.model.actions import (
    Action,
    CancelOrders,
    ModifyOrders,
    Noop,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
    UpdateIsolatedMargin,
    UpdateLeverage,
)
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Kind, Rejection
from chainperp.transition.valuation import refresh
from tests.oracles.naive_exchange import (
    MARKETS,
    PARAMETERS,
    PURSES,
    START_PRICES,
    Drawn,
    Life,
    urgency,
)
from tests.property.test_exchange_agrees import carry_out, live_orders, living_world
from tests.support.world import Result, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(60) if LONG else range(6)
Step = tuple[str, Action, bool]


def cells(world: World) -> dict[bytes, tuple[object, ...]]:
    """Cash, volume, positions and settings of every account."""
    found: dict[bytes, tuple[object, ...]] = {}
    for address, account in sorted(world.engine.state.accounts.items()):
        held = [
            (asset, one.lots, one.entry_notional, one.raw_isolated, one.is_cross, one.leverage)
            for asset, one in sorted(account.exposures.items())
            if one.lots
        ]
        found[address] = (account.raw, account.volume_total, held)
    return found


def queues(world: World) -> list[tuple[object, ...]]:
    """All resting orders in queue order, without their ids."""
    return [
        (market.asset, one.is_buy, one.price, one.remaining, one.account.address, one.reduce_only)
        for market in world.engine.state.markets
        for side in (market.book.bids, market.book.asks)
        for one in side.walk()
    ]


def fills(results: list[Result]) -> list[tuple[object, ...]]:
    """Who traded what with whom, in order."""
    return [
        (one["asset"], one["price"], one["lots"], one["maker"], one["taker"], one["maker_fee"],
         one["taker_fee"], one["maker_pnl"], one["taker_pnl"])
        for result in results
        for one in result.fills
    ]  # fmt: skip


def outcome(world: World, results: list[Result]) -> tuple[object, ...]:
    """Everything that the relations compare."""
    return cells(world), queues(world), fills(results)


def grown(seed: int, blocks: int = 40) -> World:
    """A world in the middle of a life; block time one millisecond after a sampling instant."""
    world = living_world()
    life = Life(seed)
    for _ in range(blocks):
        carry_out(world, life.block(live_orders(world), 3))
    period = world.engine.state.parameters.premium_sample_ms
    world.block(at=(world.engine.state.time_ms // period + 1) * period + 1)
    world.step = 1
    return world


def drawn_steps(seed: int, count: int, world: World) -> list[Step]:
    """Actions without prices, deposits and gaps in time."""
    life = Life(seed + 999)
    return life.block(live_orders(world), count).actions


def signed(world: World, steps: list[Step]) -> list[Transaction]:
    """The steps as transactions with rising nonces."""
    world.nonce = max(world.nonce, world.engine.state.time_ms)
    return [world.transaction(name, action, user_signed=flag) for name, action, flag in steps]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_batch_of_orders_gives_what_single_orders_in_a_row_give(seed: int) -> None:
    """P-10, SIM-M4: the orders of one action are judged one after another."""
    life = Life(seed)
    requests = [life.request() for _ in range(12)]
    batch, single = grown(seed), grown(seed)
    one = batch.place("rich", *requests)
    many = [single.place("rich", request) for request in requests]
    assert outcome(batch, [one]) == outcome(single, many)
    reasons = [fields["reason"] for result in many for fields in result.orders]
    assert [fields["reason"] for fields in one.orders] == reasons


@pytest.mark.parametrize("seed", SEEDS)
def test_block_borders_do_not_matter(seed: int) -> None:
    """SIM-M3: one block of all, one block each, or any cut between: the same end."""
    draw = random.Random(seed)
    ends: list[tuple[object, ...]] = []
    for blocks in ("one", "many", "some"):
        world = grown(seed)
        transactions = sorted(signed(world, drawn_steps(seed, 80, world)), key=urgency)
        results: list[Result] = []
        while transactions:
            size = {"one": 80, "many": 1, "some": draw.randint(1, 6)}[blocks]
            results.append(world.block(transactions[:size]))
            transactions = transactions[size:]
        codes = [code for result in results for code in result.codes]
        ends.append((*outcome(world, results), codes, world.engine.state.next_oid))
    assert ends[0] == ends[1] == ends[2]
    assert ends[0][2], "nothing was traded"


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_run_in_their_order_however_they_are_mixed(seed: int) -> None:
    """BLK-1: mixing the classes and keeping the order inside each gives the same bytes."""
    draw = random.Random(seed)
    straight, mixed = grown(seed), grown(seed)
    transactions = sorted(signed(straight, drawn_steps(seed, 40, straight)), key=urgency)
    expected = straight.block(list(transactions))
    heaps = {level: [one for one in transactions if urgency(one) == level] for level in (1, 2, 3)}
    assert all(heaps.values())
    shuffled: list[Transaction] = []
    while any(heaps.values()):
        heap = heaps[draw.choice([level for level, heap in heaps.items() if heap])]
        shuffled.append(heap.pop(0))
    assert shuffled != transactions
    assert mixed.block(shuffled).block.entries == expected.block.entries


@pytest.mark.parametrize("seed", SEEDS)
def test_independent_transactions_commute(seed: int) -> None:
    """SIM-M2: disjoint accounts in disjoint markets, in any order, leave the same balances."""
    draw = random.Random(seed)
    groups = [("rich", "mid", 0), ("wide", "less", 1)]
    steps: list[list[Step]] = []
    life = Life(seed)
    for first, second, asset in groups:
        requests = [life.request(asset) for _ in range(24)]
        # GTC orders only: all of one class, so that a permutation is one of execution.
        for request in requests:
            request.tif = TimeInForce.GTC
        steps.append(
            [(draw.choice((first, second)), PlaceOrders([one]), False) for one in requests]
        )
    ends: list[tuple[object, ...]] = []
    for _ in range(4):
        world = living_world(open_orders_base=1000, open_orders_max=1000)
        world.block(at=world.engine.state.time_ms + 5_000)
        heaps = [list(one) for one in steps]
        mixed: list[Step] = []
        while any(heaps):
            mixed.append(draw.choice([heap for heap in heaps if heap]).pop(0))
        result = world.block(signed(world, mixed))
        ends.append((cells(world), queues(world), sorted(map(repr, fills([result])))))
    assert all(end == ends[0] for end in ends)
    assert ends[0][2], "nothing was traded"


@pytest.mark.parametrize("pieces", [2, 5, 17])
def test_an_order_in_pieces_costs_less_than_a_unit_of_fee_per_piece_less(pieces: int) -> None:
    """INV-F7: truncation per fill; nothing else depends on how an order is cut."""
    fees: list[tuple[int, int]] = []
    for count in (1, pieces):
        world = living_world()
        lots = [3_001 // count] * count
        lots[-1] += 3_001 - sum(lots)
        world.place("rich", order(0, "sell", "30.01", "100.37"))
        sizes = [f"{one / 100:.2f}" for one in lots]
        results = [world.place("wide", order(0, "buy", size, "100.37", "Ioc")) for size in sizes]
        done = [fill for result in results for fill in result.fills]
        assert sum(fill["lots"] for fill in done) == 3_001
        fees.append((sum(one["maker_fee"] for one in done), sum(one["taker_fee"] for one in done)))
        assert world.account("wide").exposures[0].entry_notional == 3_001 * 1_003_700
    for whole, split in zip(fees[0], fees[1], strict=True):
        assert 0 <= whole - split < pieces


def rejected_step(draw: random.Random) -> Step:
    """Something that is refused in every state."""
    name = draw.choice(tuple(PURSES))
    broken = order(0, "buy", "0.001", "1")
    choices: list[Action] = [
        PlaceOrders([]), PlaceOrders([broken]), PlaceOrders([order(7, "buy", "1", "1")]),
        CancelOrders([(0, 10**9)]), ModifyOrders([(10**9, broken)], False),
        UpdateLeverage(0, True, 41), UpdateIsolatedMargin(0, 0), Noop(),
    ]  # fmt: skip
    return name, draw.choice(choices), False


@pytest.mark.parametrize("seed", SEEDS)
def test_refused_actions_anywhere_leave_the_ledger_as_it_was(seed: int) -> None:
    """SIM-M8, INV-M9: nonces, the log and the next order id are all that they change."""
    draw = random.Random(seed)
    ends: list[tuple[object, ...]] = []
    for disturbed in (False, True):
        world = living_world()
        life = Life(seed)
        results: list[Result] = []
        for _ in range(60):
            drawn = life.block(nothing_by_id(world), 3)
            drawn.actions = [one for one in drawn.actions if not isinstance(one[1], BY_ID)]
            if disturbed:
                at = draw.randint(0, len(drawn.actions))
                drawn.actions[at:at] = [rejected_step(draw) for _ in range(2)]
            results.append(carry_out(world, drawn))
        ends.append(outcome(world, results))
    assert ends[0] == ends[1]


BY_ID = (CancelOrders, ModifyOrders)


def nothing_by_id(world: World) -> dict[str, list[tuple[int, int]]]:
    """No live orders to name: order ids move when refused orders are inserted."""
    return {name: [] for name in live_orders(world)}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_account_that_does_nothing_changes_nobody_else(seed: int) -> None:
    """SIM-M10: its own cell and custody are the only difference."""
    ends: list[dict[bytes, tuple[object, ...]]] = []
    for bystander in (False, True):
        world = living_world()
        world.block(system=[world.deposit_input("aside", "77")] if bystander else [])
        life = Life(seed)
        for _ in range(60):
            carry_out(world, life.block(live_orders(world), 3))
        ends.append(cells(world))
    assert ends[1].pop(address_of("aside"))[0] == 77_000_000
    assert ends[0] == ends[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_renaming_the_accounts_renames_the_result(seed: int) -> None:
    """SIM-M1: addresses decide nothing but the order in which equal things are listed."""
    new_names = {name: f"z{number}" for number, name in enumerate(reversed(PURSES))}
    ends: list[dict[str, tuple[object, ...]]] = []
    for names in ({name: name for name in PURSES}, new_names):
        world = World(PARAMETERS, markets=[dict(row) for row in MARKETS])
        world.fund(**{names[name]: usdc for name, usdc in PURSES.items()})
        world.prices({asset: str(price) for asset, price in START_PRICES.items()})
        life = Life(seed, arranging=0)  # sub-accounts' addresses follow from their masters'
        for _ in range(80):
            drawn = life.block(renamed_orders(world, names), 3)
            drawn.actions = [one for one in drawn.actions if not one[2]]
            carry_out(world, renamed(drawn, names))
        found = cells(world)
        ends.append({name: found[address_of(names[name])] for name in PURSES})
        assert any(one[2] for one in ends[-1].values()), "nobody holds anything"
    assert ends[0] == ends[1]


def renamed(drawn: Drawn, names: dict[str, str]) -> Drawn:
    """The same block by others; deposits and payouts left out."""
    drawn.actions = [
        (names[name.partition("/")[0]] + name[len(name.partition("/")[0]) :], action, flag)
        for name, action, flag in drawn.actions
    ]
    drawn.deposits, drawn.payouts = [], []
    return drawn


def renamed_orders(world: World, names: dict[str, str]) -> dict[str, list[tuple[int, int]]]:
    """Each name's live orders, found under its new name."""
    return {
        name: [(one.asset, one.oid) for one in world.account(new).orders.values()]
        for name, new in names.items()
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_placing_and_cancelling_leaves_no_trace_but_nonce_and_order_id(seed: int) -> None:
    """SIM-M6 for orders: whatever rests can be taken back, and then it never was."""
    world = grown(seed)
    draw = random.Random(seed)
    mine: list[tuple[int, int | bytes]] = [*live_orders(world)["rich"]]
    world.act("rich", CancelOrders(mine))
    before = cells(world), queues(world)
    refresh(world.engine.state, world.account("rich"))
    margin = world.account("rich").margin_total
    placed = 0
    for _ in range(15):
        asset = draw.randint(0, 2)
        oracle = world.market(asset).oracle * world.market(asset).tick_e8
        request = OrderRequest(
            asset, True, whole(oracle // 3), lots_for(world, asset, draw), False, TimeInForce.ALO
        )
        result = world.place("rich", request)
        for fields in result.orders:
            if fields["reason"] == Rejection.ACCEPTED:
                world.cancel("rich", asset, fields["oid"])
                placed += 1
    assert placed > 5
    assert (cells(world), queues(world)) == before
    assert world.account("rich").margin_total == margin


def whole(price_e8: int) -> Any:
    """A price with two significant figures."""
    digits = len(str(price_e8)) - 2
    return price_e8 // 10**digits * 10**digits


def lots_for(world: World, asset: int, draw: random.Random) -> Any:
    """A size worth some hundred USDC at a third of the oracle price."""
    market = world.market(asset)
    worth = draw.randint(20, 200) * 10**6
    return max(1, 3 * worth // market.oracle) * market.lot_e8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_trip_at_unchanged_prices_makes_nobody_richer(seed: int) -> None:
    """SIM-M6 for trades: buying and selling back moves fees to the fund and nothing else."""
    draw = random.Random(seed)
    world = living_world()
    size, price = f"{draw.randint(20, 900) / 100:.2f}", f"{100 + draw.randint(-40, 40) / 100:.2f}"
    start = cells(world)
    fees = 0
    for maker, taker in (("sell", "buy"), ("buy", "sell")):
        world.place("rich", order(0, maker, size, price))
        result = world.place("wide", order(0, taker, size, price, "Ioc"))
        fees += sum(one["maker_fee"] + one["taker_fee"] for one in result.fills)
    end = cells(world)
    assert fees > 0
    lost = 0
    for name in PURSES:
        was, now = start[address_of(name)][0], end[address_of(name)][0]
        assert isinstance(was, int)
        assert isinstance(now, int)
        assert now <= was
        lost += was - now
    assert lost == fees
    assert world.market(0).lots_long == 0
    assert result.of(Kind.LEDGER), "the vault's share of the fees is logged"
