"""How cost grows: `chainperp bench --growth`. One axis at a time, from small to large.

Each world is built, measured against the reference in the same rounds, and dropped before the next
one, so that a million accounts fit; minima are compared, as ratios to the smallest world's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from chainperp.base.units import E8
from chainperp.chain.engine import Engine
from chainperp.cli.bench import stages
from chainperp.cli.bench.flow import BASE_PRICE, Flow, account_address, flow_blocks, flow_engine
from chainperp.cli.bench.stages import FLOW_BLOCK, Stage, timed
from chainperp.cli.bench.sweep import Moves, walk
from chainperp.cli.output import Progress
from chainperp.model.actions import OrderRequest, PlaceOrders, TimeInForce
from chainperp.model.blocks import BlockInput, Transaction

REFERENCE: Final = "raw SHA-256, 200 B"
FLOW_ACCOUNTS: Final = 10_000
TICKS_AWAY: Final = 60  # behind every order of the flow, so that it trades with none of these
LEVELS: Final = 400

Axis = tuple[str, str, tuple[int, ...], Callable[[int], Stage]]


def axes(quick: bool) -> list[Axis]:
    """What is measured, per what, at which sizes."""
    accounts = (1_000, 10_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    held = accounts if quick else (*accounts[:3], 1_000_000)
    markets = (10, 50) if quick else (10, 50, 200)
    before = (10_000, 50_000) if quick else (10_000, 50_000, 200_000)
    orders = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    committed = (10_000,) if quick else (10_000, 100_000, 1_000_000)
    return [
        ("flow, accounts", "operation", accounts, lambda n: stages.flow_stage(n, "", None)),
        (
            "flow, markets",
            "operation",
            markets,
            lambda n: stages.flow_stage(FLOW_ACCOUNTS, "", None, n),
        ),
        ("flow, markets, without oracle rounds", "operation", markets, quiet_stage),
        ("flow, operations before", "operation", before, aged_stage),
        ("flow, orders at rest in a book", "operation", orders, crowded_stage),
        ("state commitment, accounts", "touched account", committed, stages.commit_stage),
        ("mark sweep calm, accounts", "mark update", held, partial(sweep_stage, "calm")),
        ("mark sweep slide, accounts", "mark update", held[:3], partial(sweep_stage, "slide")),
        ("walk over accounts", "mark update", held[:3], partial(sweep_stage, "walk")),
    ]


def sweep_stage(name: str, accounts: int) -> Stage:
    """One of the moves of a sweep world."""
    moves = Moves(accounts)
    runs = {
        "calm": moves.calm,
        "slide": moves.slide,
        "walk": lambda: timed(partial(walk, moves.state), 1),
    }
    return Stage(name, "mark update", REFERENCE, None, runs[name])


def quiet_stage(markets: int) -> Stage:
    """The standard flow in blocks without an oracle round: what more markets cost an operation
    itself, when nothing is done for all of them."""
    engine = flow_engine(FLOW_ACCOUNTS, markets)
    flow = Flow(FLOW_ACCOUNTS, markets)
    for block in flow_blocks(flow, engine, 10, FLOW_BLOCK):
        engine.execute(block)

    run = stages.flow_run(engine, flow, has_rounds=False)
    return Stage("quiet", "operation", REFERENCE, None, run)


def aged_stage(operations: int) -> Stage:
    """The standard flow after so many operations: fuller books, and accounts that hold positions
    and orders in more of the markets."""
    engine, flow = flow_engine(FLOW_ACCOUNTS), Flow(FLOW_ACCOUNTS)
    for block in flow_blocks(flow, engine, operations // FLOW_BLOCK, FLOW_BLOCK):
        engine.execute(block)

    return Stage("aged", "operation", REFERENCE, None, stages.flow_run(engine, flow))


def crowded_stage(orders: int) -> Stage:
    """The standard flow on ten markets, each of which has so many orders at rest behind it."""
    markets = 10
    engine = flow_engine(FLOW_ACCOUNTS, markets)
    flow = Flow(FLOW_ACCOUNTS, markets)
    for block in flow_blocks(flow, engine, 1, FLOW_BLOCK):
        engine.execute(block)
    for start in range(0, orders, FLOW_BLOCK):
        for asset in range(markets):
            count = min(FLOW_BLOCK, orders - start)
            engine.execute(_resting(engine, flow, asset, range(start, start + count)))
    for block in flow_blocks(flow, engine, 5, FLOW_BLOCK):
        engine.execute(block)

    return Stage("crowded", "operation", REFERENCE, None, stages.flow_run(engine, flow))


def _resting(engine: Engine, flow: Flow, asset: int, numbers: range) -> BlockInput:
    """A block of orders far from the touch, on both sides, over some hundred price levels."""
    found: list[Transaction] = []
    for number in numbers:
        away = TICKS_AWAY + number // 2 % LEVELS
        is_buy = number % 2 == 0
        price = BASE_PRICE - away if is_buy else BASE_PRICE + away
        order = OrderRequest(
            asset, is_buy, E8(price * 10_000), E8(2_000 * 1_000_000), False, TimeInForce.GTC
        )
        flow.nonce += 1
        flow.oid += 1
        # One market for each account: what an account costs grows with its markets.
        owner = account_address((number * flow.markets + asset) % flow.accounts)
        raw = flow.envelope(b"\x81" + bytes(92))
        found.append(Transaction(owner, PlaceOrders([order]), flow.nonce, raw))
    time_ms = engine.state.time_ms + 200
    return BlockInput(time_ms, engine.genesis.proposer, [], found)


def measure_growth(rounds: int, quick: bool, step: Progress) -> list[dict[str, Any]]:
    """Rows of every axis: minimum, its ratio to the reference, and that to the smallest world's."""
    wanted = axes(quick)
    total = sum(len(sizes) for _, _, sizes, _ in wanted)
    rows: list[dict[str, Any]] = []
    for name, unit, sizes, make in wanted:
        first = 0.0
        for size in sizes:
            ratio, least = _least(make(size), rounds)
            first = first or ratio
            rows.append(
                {"axis": name, "size": size, "unit": unit, "least": round(least, 3),
                 "ratio": round(ratio, 3), "growth": round(ratio / first, 3)}
            )  # fmt: skip
            step(len(rows), total)
    return rows


def _least(stage: Stage, rounds: int) -> tuple[float, float]:
    """Least ratio to the reference of the rounds after the first, and the least value."""
    reference = stages.hash_stage()
    stages.freeze()
    values: list[float] = []
    hashes: list[float] = []
    for number in range(rounds + 1):
        value, hashed = stage.run(), reference.run()
        if number:
            values.append(value)
            hashes.append(hashed)
    return min(values) / min(hashes), min(values)
