"""TWAP orders: decoding, what the log tells, randomised sizes, limits, liquidation, snapshots."""

from typing import Any

import pytest

from chainperp.base.canonical import Record
from chainperp.base.units import E8
from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import (
    ApproveAgent,
    CreateSubAccount,
    ScheduleCancel,
    SubAccountTransfer,
    TwapCancel,
    TwapOrder,
    UpdateLeverage,
)
from chainperp.model.decisions import Kind, Rejection, TwapEvent
from chainperp.transition.recorder import FLAG_TWAP
from tests.support.world import RULES, Result, World, address_of, order

ETH = 1
LOT = 10**4  # E8 of one lot of ETH


def market(**parameters: object) -> World:
    """A deep book at 100."""
    world = World({"snapshot_interval": 1, **parameters})
    world.fund(ann="10000", ben="100000", cat="10000")
    world.prices({ETH: "100"})
    world.place("ben", order(ETH, "sell", "500", "100"))
    return world


def twap(lots: int, minutes: int = 5, *, randomize: bool = False) -> TwapOrder:
    """A purchase of so many lots of 0.0001 ETH."""
    action = TwapOrder(ETH, True, E8(lots * LOT), False, minutes)
    action.randomize = randomize
    return action


def events(*results: Result) -> list[Record]:
    """All TWAP entries."""
    return [one for result in results for one in result.of(Kind.TWAP)]


def run(world: World, seconds: int, step: int = 10) -> list[Result]:
    """Blocks until so many seconds have passed."""
    return [
        world.block(at=world.state.time_ms + step * 1_000) for _ in range(0, seconds + step, step)
    ]


def test_the_actions_are_read() -> None:
    """Keys of the wire; details of nothing are no details."""
    terms = {"a": 1, "b": True, "s": "1.5", "r": True, "m": 30, "t": True}
    fields: dict[str, Any] = {"type": "twapOrder", "twap": terms}
    action = decode_action(fields, 1)
    assert isinstance(action, TwapOrder)
    assert (action.asset, action.is_buy, action.size) == (1, True, 150_000_000)
    assert (action.reduce_only, action.minutes, action.randomize) == (True, 30, True)
    for details, has in (({"t": None, "s": None}, False), ({"t": None, "s": "5"}, True),
                         ({"t": {"p": "5", "a": True}, "s": None}, True)):  # fmt: skip
        read = decode_action({**fields, "details": details}, 1)
        assert isinstance(read, TwapOrder)
        assert read.has_details is has
    end = decode_action({"type": "twapCancel", "a": 1, "t": 7}, 1)
    assert isinstance(end, TwapCancel)
    assert (end.asset, end.twap_id) == (1, 7)


def test_the_log_tells_the_whole_history() -> None:
    """Begun, each slice before its order, finished; fills name their slice's order."""
    world = market()
    first = world.act("ann", twap(110_000))
    assert [entry.kind for entry in first.entries[:2]] == [Kind.TX_USER, Kind.TWAP]
    results = run(world, 320)
    told = events(first, *results)
    assert [one["event"] for one in told] == [
        TwapEvent.ACTIVATED, *[TwapEvent.SLICE] * 11, TwapEvent.FINISHED,
    ]  # fmt: skip
    assert [one["slice"] for one in told[1:-1]] == list(range(11))
    assert [one["slice_lots"] for one in told[1:-1]] == [10_000] * 11
    assert told[-1]["executed_lots"] == 110_000
    assert told[-1]["executed_notional"] == 11 * 100 * 10**6
    fills = [fill for result in results for fill in result.fills]
    assert [fill["taker_oid"] for fill in fills] == [one["oid"] for one in told[1:-1]]
    assert all(fill["flags"] & FLAG_TWAP for fill in fills)
    for result in results:
        for fill in result.fills:
            cause = result.entries[fill["cause_index"] - result.block.first_index]
            assert cause.kind is Kind.TWAP
    assert not world.state.twaps
    assert not world.state.twaps_of
    assert len(world.engine.commitment.trees["twap"]) == 0


def test_ordinary_fills_do_not_look_like_slices() -> None:
    """The flag is of slices only."""
    world = market()
    result = world.place("ann", order(ETH, "buy", "1", "100", "Ioc"))
    assert not result.fills[0]["flags"] & FLAG_TWAP


@pytest.mark.parametrize("lots", [110_000, 110_007, 33_333])
def test_randomised_sizes_differ_by_a_fifth_and_sum_exactly(lots: int) -> None:
    """And they are the same in every replay, since the log gives the draw."""
    world = market()
    world.act("ann", twap(lots, randomize=True))
    results = run(world, 320)
    sizes = [one["slice_lots"] for one in events(*results) if one["event"] == TwapEvent.SLICE]
    assert sum(sizes) == lots
    normal = lots / len(sizes)
    assert len(dict.fromkeys(sizes)) > 3
    assert all(0.8 * normal - 3 <= one <= 1.2 * normal + 3 for one in sizes)
    again = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    again.seal_genesis()
    for block, sealed in zip(world.inputs, world.blocks[1:], strict=True):
        assert again.execute(block).entries == sealed.entries


def test_a_block_sends_at_most_its_limit_of_slices() -> None:
    """By time, then id; the others in the next block."""
    world = market(twap_slices_per_block=1)
    world.act("ann", twap(110_000))
    first = world.act("cat", twap(110_000))
    assert [one["twap_id"] for one in events(first)] == [1, 2]
    assert [one["twap_id"] for one in events(world.block())] == [2]


def test_master_sub_account_and_agent_run_their_own() -> None:
    """A TWAP order is trading: for a sub-account it is the sub-account's."""
    world = market(sub_account_volume_min=0)
    world.act("ann", CreateSubAccount("desk"))
    world.act("ann", SubAccountTransfer(address_of("ann/1"), True, 1_000_000_000))
    world.act("ann", ApproveAgent(address_of("key"), ""), user_signed=True)
    assert world.act("key", twap(110_000), vault="ann/1").codes == [Rejection.ACCEPTED]
    world.block()
    assert world.account("ann/1").exposures[ETH].lots == 10_000
    assert world.act("ann", TwapCancel(ETH, 1)).codes == [Rejection.TWAP_MISSING]
    assert world.act("ann/1", TwapCancel(ETH, 1)).codes == [Rejection.ACCEPTED]


def test_a_dead_mans_switch_leaves_it_and_a_liquidation_ends_it() -> None:
    """U-TWP-1."""
    world = market(schedule_cancel_volume_min=0)
    world.fund(low="120")
    world.act("low", UpdateLeverage(ETH, True, 25))
    world.place("low", order(ETH, "buy", "20", "100", "Ioc"))
    world.act("low", twap(20_000, 60))
    world.act("low", ScheduleCancel(world.state.time_ms + 6_000))
    world.block(at=world.state.time_ms + 6_000)
    assert world.state.twaps
    result = world.prices({ETH: "95"})
    ended = [one for one in events(result) if one["event"] == TwapEvent.TERMINATED]
    assert [one["account"] for one in ended] == [address_of("low")]
    assert result.of(Kind.LIQ_TEST)
    assert not world.state.twaps
    assert not world.state.twap_queue


def test_a_restored_engine_sends_the_same_slices() -> None:
    """Randomised ones too: the draw comes from the log, the terms from the leaf."""
    world = market()
    world.act("ann", twap(110_003, randomize=True))
    world.act("cat", twap(50_001, 7))
    run(world, 60)
    height, raw = world.engine.height, world.engine.snapshot()
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    assert engine.state.twap_queue == world.state.twap_queue
    assert engine.state.twaps_of == world.state.twaps_of
    run(world, 100)
    world.act("cat", TwapCancel(ETH, 2))
    run(world, 300)
    assert world.act("cat", twap(110_000)).of(Kind.TWAP)[0]["twap_id"] == 3
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()
