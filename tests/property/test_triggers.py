"""Random lives with trigger orders: each fires exactly when, and in the order that, a naive scan of
all accounts says; money is conserved, and a snapshot restores every one of them."""

import os
import random
from collections import Counter

import pytest

from chainperp.base.units import E8
from chainperp.chain.decode import decode_action
from chainperp.model.actions import (
    CancelOrders,
    Grouping,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
    TriggerTerms,
)
from chainperp.model.blocks import SystemInput, Transaction
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.orders import Order
from chainperp.state.store import Market, State
from chainperp.storage.package import default_markets
from chainperp.transition import triggers as triggers_module
from chainperp.transition.recorder import Recorder
from tests.property.test_conservation import check_state
from tests.property.test_snapshot import restored
from tests.support.world import World, address_of, order, trigger

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(40) if LONG else range(4)
NAMES = ("ann", "ben", "cat", "dan", "eve")


def may_fire(one: Order) -> bool:
    """By definition: it waits, and its parent, if it is a child, is done."""
    group = one.group
    if one.trigger is None:
        return False
    return group is None or one not in group.children or group.parent is None


def due_by_scan(state: State) -> list[tuple[int, int, int]]:
    """Every order that fires now as (asset, minus distance, id), from all accounts."""
    found: list[tuple[int, int, int]] = []
    for account in state.accounts.values():
        for one in account.orders.values():
            if one.trigger is None or not may_fire(one):
                continue
            mark, price = state.markets[one.asset].mark, one.trigger.price
            is_stop, is_buy = one.trigger.is_stop, one.is_buy
            above = mark >= price
            below = mark <= price
            fires = (above if is_buy else below) if is_stop else (below if is_buy else above)
            if fires:
                found.append((one.asset, -abs(mark - price), one.oid))
    return sorted(found)


class Watch:
    """Compares each firing with the scan, and the end of each phase with the limit."""

    def __init__(self, patch: pytest.MonkeyPatch, draw: random.Random) -> None:
        self.fired: list[int] = []
        self.asset = 0
        self.draw = draw
        send, process = triggers_module._send, triggers_module.process_triggers

        def watched_send(state: State, recorder: Recorder, market: Market, one: Order) -> None:
            assert market.asset >= self.asset, "markets in order"
            self.asset = market.asset
            here = [row for row in due_by_scan(state) if row[0] >= market.asset]
            assert here[0] == (market.asset, here[0][1], one.oid), "first of the scan"
            self.fired.append(one.oid)
            send(state, recorder, market, one)
            check_state(state, self.draw, by_age=False)

        def watched(state: State, recorder: Recorder) -> None:
            self.asset, before = 0, len(self.fired)
            process(state, recorder)
            sent = len(self.fired) - before
            limit = state.parameters.triggers_per_block
            assert sent <= limit
            assert sent == limit or not due_by_scan(state), "skipped"
            check_lists(state)

        patch.setattr(triggers_module, "_send", watched_send)
        patch.setattr("chainperp.transition.block.process_triggers", watched)


def check_lists(state: State) -> None:
    """The sorted lists hold exactly the orders that may fire; groups and members agree."""
    for market in state.markets:
        waiting = {
            one.oid: one
            for account in state.accounts.values()
            for one in account.orders.values()
            if one.asset == market.asset and one.trigger is not None
        }
        assert market.triggers.orders == waiting
        keys = {"rising": market.triggers.rising, "falling": market.triggers.falling}
        armed = [-key[1] for side in keys.values() for key in side]
        assert sorted(armed) == sorted(oid for oid, one in waiting.items() if may_fire(one))
        assert all(side == sorted(side) for side in keys.values())
    for account in state.accounts.values():
        assert list(account.orders) == sorted(account.orders)
        for one in account.orders.values():
            group = one.group
            if group is None:
                continue
            assert group.parent is one or one in group.children
            members = group.children + ([group.parent] if group.parent else [])
            assert all(account.orders[member.oid] is member for member in members)
            assert all(member.group is group for member in members)
            assert group.is_awake is (group.parent is None)


def price_text(price: float) -> str:
    """Three significant decimals at most."""
    return f"{price:.2f}"


class Life:
    """Draws orders, triggers, cancels and modifies around a price that walks."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.price = [100.0, 50.0]
        self.cloid = 0

    def request(self, asset: int, is_buy: bool, *, waits: bool, reduce_only: bool) -> OrderRequest:
        """One order near the price."""
        draw = self.draw
        price = self.price[asset] * (1 + draw.uniform(-0.02, 0.02))
        size = f"{draw.randint(1, 60) / 10}"
        side = "buy" if is_buy else "sell"
        if not waits:
            tif = draw.choice(("Gtc", "Gtc", "Ioc", "Alo"))
            made = order(asset, side, size, price_text(price), tif, reduce_only=reduce_only)
        else:
            kind = draw.choice(("stop", "profit"))
            away = draw.choice((-0.001, 0.002, 0.01, 0.03))
            rises = is_buy is (kind == "stop")
            at = self.price[asset] * (1 + away if rises else 1 - away)
            limit = at * (1 + draw.uniform(-0.02, 0.1) * (1 if is_buy else -1))
            made = trigger(
                kind, asset, side, size, price_text(at), price_text(limit),
                market=draw.random() < 0.6, reduce_only=reduce_only,
            )  # fmt: skip
        if draw.random() < 0.2:
            self.cloid += 1
            made.cloid = self.cloid.to_bytes(16, "big")
        return made

    def action(self, world: World, name: str) -> PlaceOrders | CancelOrders | ModifyOrders:
        """One action of a name."""
        draw = self.draw
        asset, is_buy = draw.randrange(2), draw.random() < 0.5
        live = list(world.account(name).orders.values())
        kind = draw.choices(("order", "trigger", "family", "position", "cancel", "modify"),
                            weights=(8, 3, 3, 3, 2, 2))[0]  # fmt: skip
        if kind == "cancel" and live:
            one = draw.choice(live)
            return CancelOrders([(one.asset, one.oid)])
        if kind == "modify" and live:
            one = draw.choice(live)
            waits = (one.trigger is not None) is (draw.random() < 0.9)
            new = self.request(one.asset, one.is_buy, waits=waits, reduce_only=one.reduce_only)
            return ModifyOrders([(one.oid, new)], draw.random() < 0.8)
        if kind == "family":
            parent = self.request(asset, is_buy, waits=draw.random() < 0.2, reduce_only=False)
            children = [
                self.request(asset, not is_buy, waits=True, reduce_only=draw.random() < 0.98)
                for _ in range(draw.randint(1, 3))
            ]
            return PlaceOrders([parent, *children], Grouping.PARENT)
        if kind == "position":
            exposure = world.account(name).exposures.get(asset)
            is_buy = is_buy if exposure is None or not exposure.lots else exposure.lots < 0
            made = [self.request(asset, is_buy, waits=True, reduce_only=True) for _ in range(2)]
            for request in made:
                if draw.random() < 0.5:
                    request.size = E8(0)
            return PlaceOrders(made, Grouping.POSITION)
        reduce_only = draw.random() < (0.5 if kind == "trigger" else 0.1)
        return PlaceOrders(
            [self.request(asset, is_buy, waits=kind == "trigger", reduce_only=reduce_only)]
        )

    def block(self, world: World) -> tuple[list[Transaction], list[SystemInput]]:
        """Inputs of one block."""
        draw = self.draw
        system: list[SystemInput] = []
        if draw.random() < 0.5:
            step = draw.choice((0.002, 0.01, 0.03))
            self.price = [one * (1 + draw.uniform(-step, step)) for one in self.price]
            system.append(world.vote({n: price_text(one) for n, one in enumerate(self.price)}))
        names = draw.choices(NAMES, k=draw.randint(1, 4))
        return [world.transaction(name, self.action(world, name)) for name in names], system


def market_rows() -> list[dict[str, object]]:
    """Two markets whose sizes have one decimal."""
    row = default_markets()[1]
    return [{**row, "size_decimals": 1, "name": name} for name in ("ONE", "TWO")]


def lived(seed: int, patch: pytest.MonkeyPatch, **parameters: object) -> tuple[World, Watch]:
    """A world after some hundred blocks, checked all along."""
    world = World({"snapshot_interval": 5, **parameters}, markets=market_rows())
    world.fund(**dict.fromkeys(NAMES, "3000"))
    world.prices({0: "100", 1: "50"})
    draw = random.Random(seed)
    watch = Watch(patch, draw)
    life = Life(seed)
    for _ in range(600 if LONG else 250):
        transactions, system = life.block(world)
        world.block(transactions, system)
        check_state(world.state, draw, by_age=False)
        check_lists(world.state)
    return world, watch


@pytest.mark.parametrize("seed", SEEDS)
def test_each_trigger_fires_once_when_a_scan_of_all_accounts_says_so(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is skipped, nothing fires twice, also with a small limit per block."""
    limit = 2 if seed % 2 else 2_000
    world, watch = lived(seed, monkeypatch, triggers_per_block=limit)
    assert len(watch.fired) == len(set(watch.fired)) > 20
    logged: list[int] = []
    met: Counter[str] = Counter()
    for block in world.blocks:
        for raw in block.entries:
            entry = decode_entry(raw)
            if entry.kind is Kind.TRIGGER:
                logged.append(decode_payload(entry)["oid"])
            elif entry.kind is Kind.ORDER:
                fields = decode_payload(entry)
                met[Rejection(fields["reason"]).name] += 1
                met[OrderStatus(fields["status"]).name] += 1
    assert logged == watch.fired
    for name in ("SIBLING_FILLED", "PARENT_ENDED", "BAD_TRIGGER_PRICE", "WAITING_FOR_FILL",
                 "REDUCE_ONLY_CANCELED", "MODIFIED"):  # fmt: skip
        assert met[name], f"seed {seed} never met {name}: {dict(met)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_engine_fires_the_same_triggers(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every later entry and SEAL is equal from any snapshot."""
    heights: dict[int, bytes] = {}
    original = World.block

    def keeping(world: World, *rest: object, **more: object) -> object:
        result = original(world, *rest, **more)  # type: ignore[arg-type]
        if world.engine.is_snapshot_height(world.engine.height):
            heights[world.engine.height] = world.engine.snapshot()
        return result

    monkeypatch.setattr(World, "block", keeping)
    world, _ = lived(100 + seed, monkeypatch, triggers_per_block=3)
    for height in random.Random(seed).sample(sorted(heights), 6):
        engine = restored(world, heights[height], height)
        assert engine is not None, f"seed {seed}, height {height}"
        for block, sealed in zip(world.inputs[height:], world.blocks[height + 1 :], strict=True):
            assert engine.execute(block).entries == sealed.entries, f"{seed} {sealed.height}"


def test_orders_of_strangers_and_fired_orders_cannot_be_cancelled() -> None:
    """A waiting order is its owner's; the id lives on until the order is done."""
    world = World()
    world.fund(ann="1000", ben="1000")
    world.prices({1: "100"})
    world.place(
        "ann", trigger("stop", 1, "buy", "1", "105", "104", market=False, reduce_only=False)
    )
    assert world.cancel("ben", 1, 1).orders[0]["reason"] == Rejection.MISSING_ORDER
    assert world.account("ann").margin_total == 0
    fired = world.prices({1: "106"})
    assert [row["oid"] for row in fired.of(Kind.TRIGGER)] == [1]
    assert fired.orders[0]["status"] == OrderStatus.OPEN
    assert world.account("ann").margin_total > 0
    assert world.cancel("ann", 1, 1).orders[0]["reason"] == Rejection.CANCELED_BY_USER
    assert world.cancel("ann", 1, 1).orders[0]["reason"] == Rejection.MISSING_ORDER
    assert address_of("ann") in world.state.accounts


def test_triggers_of_both_directions_fire_by_distance() -> None:
    """One that the limit left for the next block, and a later one that is farther behind."""
    world = World({"triggers_per_block": 1})
    world.fund(ann="10000")
    world.prices({0: "100", 1: "100"})
    for at in ("99", "98"):
        world.place("ann", trigger("stop", 1, "sell", "1", at, market=False, reduce_only=False))
    world.place("ann", trigger("stop", 0, "sell", "1", "99", market=False, reduce_only=False))
    assert [row["oid"] for row in world.prices({0: "90", 1: "90"}).of(Kind.TRIGGER)] == [3]
    rising = trigger("stop", 1, "buy", "1", "91", market=False, reduce_only=False)
    assert [row["oid"] for row in world.place("ann", rising).of(Kind.TRIGGER)] == [1]
    assert [row["oid"] for row in world.prices({1: "96"}).of(Kind.TRIGGER)] == [4]
    assert [row["oid"] for row in world.block().of(Kind.TRIGGER)] == [2]


def test_a_family_is_restored_from_its_snapshot_bytes() -> None:
    """Parent, children, position orders and one that was sent and rests."""
    world = World({"snapshot_interval": 1})
    world.fund(ann="10000", ben="10000")
    world.prices({1: "100"})
    world.place("ben", order(1, "sell", "1", "100"))
    world.place_family(
        "ann", order(1, "buy", "1", "100"),
        trigger("profit", 1, "sell", "1", "105", "110", market=False),
        trigger("stop", 1, "sell", "1", "95", cloid=b"s" * 16),
    )  # fmt: skip
    world.place_for_position("ann", trigger("stop", 1, "sell", "0", "90"))
    world.place_family("ann", order(1, "buy", "1", "98"), trigger("stop", 1, "sell", "1", "91"))
    world.prices({1: "106"})
    engine = restored(world, world.engine.snapshot(), world.engine.height)
    assert engine is not None
    mine = engine.state.accounts[address_of("ann")].orders
    assert [(oid, one.trigger is not None) for oid, one in mine.items()] == [
        (3, False), (4, True), (5, True), (6, False), (7, True),
    ]  # fmt: skip
    assert mine[3].group is mine[4].group
    assert mine[7].group is not None
    assert mine[7].group.parent is mine[6]
    check_lists(engine.state)


def test_requests_are_decoded_with_their_triggers() -> None:
    """tpsl, isMarket, triggerPx and grouping; `{p}` groups nothing."""
    row = {"a": 1, "b": False, "p": "90", "s": "0", "r": True,
           "t": {"trigger": {"isMarket": False, "triggerPx": "105.5", "tpsl": "tp"}}}  # fmt: skip
    for name, grouping in (
        ("na", Grouping.NONE), ("normalTpsl", Grouping.PARENT),
        ("positionTpsl", Grouping.POSITION), ({"p": 7}, Grouping.NONE),
    ):  # fmt: skip
        action = decode_action({"type": "order", "orders": [row], "grouping": name}, 1)
        assert isinstance(action, PlaceOrders)
        assert action.grouping is grouping
        (one,) = action.orders
        terms = one.trigger
        assert isinstance(terms, TriggerTerms)
        assert (terms.price, terms.is_market, terms.is_stop) == (10_550_000_000, False, False)
        assert one.tif is TimeInForce.GTC
