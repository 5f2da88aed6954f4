"""The dead man's switch: who may set it, what a block's limit leaves for the next, snapshots."""

import pytest

from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import ApproveAgent, ScheduleCancel
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.state.store import State
from tests.support.world import RULES, World, address_of, order, trigger

DAY = 86_400_000


def watched(**parameters: object) -> World:
    """Two accounts with an order each, whose switches ask for no volume."""
    world = World({"schedule_cancel_volume_min": 0, "snapshot_interval": 1, **parameters})
    world.fund(ann="1000", ben="1000")
    world.prices({0: "100"})
    for name in ("ann", "ben"):
        world.place(name, order(0, "buy", "1", "90"))
    return world


def set_in(world: World, name: str, ahead: int) -> Rejection:
    """Set a name's switch so many ms after the next block."""
    return world.act(name, ScheduleCancel(world.state.time_ms + world.step + ahead)).codes[0]


def test_the_action_is_read_with_and_without_a_time() -> None:
    """Absent means unset."""
    timed = decode_action({"type": "scheduleCancel", "time": 5}, 1)
    untimed = decode_action({"type": "scheduleCancel"}, 1)
    assert isinstance(timed, ScheduleCancel)
    assert isinstance(untimed, ScheduleCancel)
    assert (timed.at, untimed.at) == (5, None)


def test_an_agent_sets_the_switch_of_its_master() -> None:
    """It is a trading action."""
    world = watched()
    world.act("ann", ApproveAgent(address_of("key"), ""), user_signed=True)
    assert set_in(world, "key", 5_000) is Rejection.ACCEPTED
    assert list(world.state.schedules) == [address_of("ann")]


def test_a_block_fires_at_most_its_limit_and_the_next_block_the_rest() -> None:
    """By time, then address; each entry stands before the orders that it cancels."""
    world = watched(schedule_cancels_per_block=1)
    due = world.state.time_ms + 10_000
    for name in ("ben", "ann"):
        world.act(name, ScheduleCancel(due))
    first = world.block(at=due)
    assert [one["account"] for one in first.of(Kind.SCHEDULE)] == [address_of("ann")]
    assert [entry.kind for entry in first.entries[:2]] == [Kind.SCHEDULE, Kind.ORDER]
    assert first.orders[0]["status"] == OrderStatus.CANCELED
    assert first.orders[0]["reason"] == Rejection.SCHEDULED_CANCEL
    second = world.block()
    assert [one["account"] for one in second.of(Kind.SCHEDULE)] == [address_of("ben")]
    assert world.block().of(Kind.SCHEDULE) == []
    assert not world.account("ann").orders
    assert not world.account("ben").orders


def test_it_fires_ten_times_a_day_and_again_on_the_next() -> None:
    """The eleventh of the day is refused when it is set; one for tomorrow is not."""
    world = watched()
    for _ in range(10):
        assert set_in(world, "ann", 5_000) is Rejection.ACCEPTED
        assert world.block(at=world.state.time_ms + 6_000).of(Kind.SCHEDULE)
    assert set_in(world, "ann", 5_000) is Rejection.SCHEDULE_TOO_OFTEN
    assert set_in(world, "ann", DAY) is Rejection.ACCEPTED
    fired = world.block(at=world.state.time_ms + DAY).of(Kind.SCHEDULE)
    assert [one["fired"] for one in fired] == [1]


def test_a_switch_that_is_not_set_and_did_not_fire_today_leaves_no_trace() -> None:
    """State that nobody needs goes."""
    world = watched()
    set_in(world, "ann", 5_000)
    world.act("ann", ScheduleCancel(None))
    assert not world.state.schedules
    set_in(world, "ben", 5_000)
    world.block(at=world.state.time_ms + 6_000)
    assert world.state.schedules
    world.block(at=world.state.time_ms + DAY)
    assert not world.state.schedules
    assert len(world.engine.commitment.trees["cancel"]) == 0


def state_of(world: World, height: int, raw: bytes) -> tuple[Engine, State]:
    """An engine restored from a snapshot."""
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    return engine, engine.state


@pytest.mark.parametrize("fired_before", [False, True])
def test_a_restored_engine_fires_at_the_same_time(fired_before: bool) -> None:
    """Set switches and counts survive a snapshot."""
    world = watched()
    world.place("ann", trigger("stop", 0, "buy", "1", "110", reduce_only=False))
    if fired_before:
        set_in(world, "ann", 5_000)
        world.block(at=world.state.time_ms + 6_000)
        world.place("ann", order(0, "buy", "1", "90"))
    set_in(world, "ann", 5_000)
    set_in(world, "ben", 5_000)
    height, raw = world.engine.height, world.engine.snapshot()
    engine, state = state_of(world, height, raw)
    assert state.schedule_queue == world.state.schedule_queue
    world.block(at=world.state.time_ms + 6_000)
    assert engine.execute(world.inputs[-1]).entries == world.blocks[-1].entries
    assert engine.snapshot() == world.engine.snapshot()
