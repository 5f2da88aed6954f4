"""A snapshot continues the chain byte for byte, and no damaged snapshot is taken for it."""

import os
import random
from collections.abc import Callable
from functools import partial

import pytest

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidBytes, InvalidSnapshot
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.evidence.merkle import Frontier
from chainperp.model.actions import ApproveAgent, PlaceOrders
from chainperp.state.schemas import schema_of
from chainperp.state.snapshot import decode_snapshot
from tests.oracles.naive_exchange import Life
from tests.property.test_exchange_agrees import carry_out, live_orders, living_world
from tests.support.world import RULES, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(8) if LONG else range(3)
INTERVAL = 7


def fresh(world: World) -> Engine:
    """Another engine of the same chain, before block 0."""
    return Engine(parse_genesis(world.engine.genesis.raw), RULES)


def restored(world: World, raw: bytes, height: int) -> Engine | None:
    """An engine that took over the snapshot of a height, or None when it was refused."""
    engine = fresh(world)
    try:
        engine.restore(raw, world.blocks[height].entries[-1])
    except InvalidSnapshot:
        return None
    return engine


def grown(seed: int, blocks: int, **parameters: object) -> tuple[World, dict[int, bytes]]:
    """A life with an agent in it, and the snapshot of every snapshot height."""
    world = living_world(snapshot_interval=INTERVAL, **parameters)
    world.act("rich", ApproveAgent(address_of("key"), "bot"), user_signed=True)
    world.act("key", PlaceOrders([order(0, "buy", "0.5", "90")]))
    life = Life(40_000 + seed, arranging=0.15)
    snapshots: dict[int, bytes] = {}
    for _ in range(blocks):
        carry_out(world, life.block(live_orders(world), 4))
        if world.engine.is_snapshot_height(world.engine.height):
            snapshots[world.engine.height] = world.engine.snapshot()
    return world, snapshots


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_engine_seals_the_same_bytes_from_any_snapshot(seed: int, every: int) -> None:
    """INV-G4: every later entry and SEAL is equal, whatever order the memory grew in."""
    world, snapshots = grown(seed, 90, state_commit_every=every)
    heights = sorted(snapshots)
    for height in random.Random(seed).sample(heights, 4):
        engine = restored(world, snapshots[height], height)
        assert engine is not None, f"seed {seed}, height {height}"
        for block, sealed in zip(world.inputs[height:], world.blocks[height + 1 :], strict=True):
            assert engine.execute(block).entries == sealed.entries, f"seed {seed}, {sealed.height}"
            if engine.is_snapshot_height(engine.height):
                assert engine.snapshot() == snapshots[engine.height]


@pytest.mark.parametrize("seed", SEEDS)
def test_decoding_and_encoding_a_snapshot_is_identity(seed: int) -> None:
    """INV-G5 for snapshots."""
    world, snapshots = grown(seed, 30)
    for height, raw in snapshots.items():
        engine = restored(world, raw, height)
        assert engine is not None
        assert engine.snapshot() == raw


def test_two_engines_interleaved_in_one_process_seal_what_they_seal_alone() -> None:
    """No state is shared between chains: two replays in turns give the recorded blocks."""
    worlds = [grown(seed, 40)[0] for seed in (91, 92)]
    engines = [fresh(world) for world in worlds]
    for world, engine in zip(worlds, engines, strict=True):
        assert engine.seal_genesis().entries == world.blocks[0].entries
    for number in range(len(worlds[0].inputs)):
        for world, engine in zip(worlds, engines, strict=True):
            assert engine.execute(world.inputs[number]).entries == world.blocks[number + 1].entries


def damaged(raw: bytes, at: int, draw: random.Random) -> bytes:
    """The same bytes with one byte changed."""
    return raw[:at] + bytes([raw[at] ^ draw.randint(1, 255)]) + raw[at + 1 :]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_snapshot_with_a_changed_byte_is_refused_or_commits_to_another_root(seed: int) -> None:
    """Never accepted: not even where the byte would do no harm."""
    world, snapshots = grown(seed, 30)
    height = max(snapshots)
    raw = snapshots[height]
    draw = random.Random(seed)
    places = range(len(raw)) if LONG else sorted(draw.sample(range(len(raw)), 400))
    taken = [at for at in places if restored(world, damaged(raw, at, draw), height) is not None]
    assert taken == [], f"seed {seed}: accepted with another byte at {taken}"


def test_a_cut_or_lengthened_snapshot_is_refused() -> None:
    """Every proper prefix, and one byte more."""
    world, snapshots = grown(5, 20)
    height = max(snapshots)
    raw = snapshots[height]
    assert restored(world, raw, height) is not None
    assert restored(world, raw + b"\x00", height) is None
    assert restored(world, snapshots[height - INTERVAL], height) is None
    for size in random.Random(5).sample(range(len(raw)), 150):
        assert restored(world, raw[:size], height) is None, size


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_raise_nothing_but_invalid_snapshot(seed: int) -> None:
    """Foreign bytes, with and without the right beginning."""
    world, snapshots = grown(seed, 8)
    raw = snapshots[max(snapshots)]
    draw = random.Random(seed)
    engine = fresh(world)
    for _ in range(400):
        noise = draw.randbytes(draw.randint(0, 300))
        at = draw.randint(8, len(raw))
        for bad in (noise, raw[:8] + noise, raw[:at] + noise + raw[at + len(noise) :]):
            try:
                decode_snapshot(
                    bad, engine.genesis.parameters, engine.genesis.terms, engine.genesis.network
                )
            except InvalidSnapshot:
                continue


def test_a_frontier_of_another_log_does_not_pass_for_the_snapshots_own() -> None:
    """The frontier is what the next SEAL's log root is built on."""
    world, snapshots = grown(6, 20)
    height = max(snapshots)
    engine = restored(world, snapshots[height], height)
    assert engine is not None
    other = snapshots[height - INTERVAL]
    size = 28 + int.from_bytes(other[24:28], "big")
    swapped = raw_with_frontier(snapshots[height], other[24:size])
    assert restored(world, swapped, height) is None
    frontier = Frontier()
    for block in world.blocks[: height + 1]:
        for leaf in block.leaves:
            frontier.append(leaf)
    assert engine.frontier.encode() == frontier.encode()


def raw_with_frontier(raw: bytes, frontier: bytes) -> bytes:
    """The snapshot with another frontier, length included."""
    return raw[:24] + frontier + raw[28 + int.from_bytes(raw[24:28], "big") :]


def test_orders_of_an_account_end_in_the_order_they_were_placed_also_after_a_restore() -> None:
    """The book lists them by price; what cancels them walks them by age."""
    world = living_world(snapshot_interval=1)
    world.place("rich", order(0, "sell", "4", "100"), order(0, "buy", "4", "90"))
    world.place("mid", order(0, "buy", "4", "100"))
    for price in ("110", "105", "108"):
        world.place("mid", order(0, "sell", "1", price, reduce_only=True))
    height = world.engine.height
    raw = world.engine.snapshot()
    ended = world.place("mid", order(0, "sell", "4", "90", "Ioc")).orders
    assert len(ended) == 4
    engine = restored(world, raw, height)
    assert engine is not None
    assert engine.execute(world.inputs[-1]).entries == world.blocks[-1].entries


def outcome(read: Callable[[bytes], Record], raw: bytes) -> list[tuple[str, object]] | str:
    """A record in the order of its fields, or why there is none."""
    try:
        return list(read(raw).items())
    except InvalidBytes as error:
        return str(error)


def test_layout_decodes_what_decode_decodes() -> None:
    """Every leaf of a lively state, whole, cut, longer and with a flipped bit: the same record or
    the same error."""
    world = living_world()
    life = Life(11)
    for _ in range(60):
        carry_out(world, life.block(live_orders(world), 4))
    draw = random.Random(5)
    seen: dict[str, int] = {}
    for name, tree in world.engine.commitment.trees.items():
        schema = schema_of(name)
        layout = canonical.Layout(schema)
        for _key, value, _sums in tree.items():
            bits = int.from_bytes(value, "big") ^ (1 << draw.randrange(8 * len(value)))
            flipped = bits.to_bytes(len(value), "big")
            cut = value[: draw.randrange(len(value))]
            for raw in (value, flipped, cut, value + b"\x00", b""):
                expected = outcome(partial(canonical.decode, schema), raw)
                assert outcome(layout.decode, raw) == expected, name
            seen[name[:4]] = seen.get(name[:4], 0) + 1
    assert seen["acct"] > 5
    assert seen["pos/"] > 5
