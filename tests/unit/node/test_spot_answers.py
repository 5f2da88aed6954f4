"""What `/exchange` answers about spot orders: the statuses and texts that clients know."""

from typing import Any

import msgpack
import pytest

from chainperp.model.actions import (
    Action,
    CancelOrders,
    ClassTransfer,
    Grouping,
    ModifyOrders,
    PlaceOrders,
    SendAsset,
    TwapOrder,
)
from chainperp.model.envelope import L1, Envelope, encode_envelope
from chainperp.model.tokens import SPOT_FIRST as CHP
from chainperp.model.tokens import wire_name
from chainperp.node.answers import answer
from chainperp.node.effects import Published
from tests.support.world import World, address_of, order, trigger

USDC = 1_000_000


@pytest.fixture(name="world")
def market() -> World:
    """Ann offers 100 of 1,000 CHP at 2; Ben has 1,000 USDC."""
    world = World(holders={"ann": 1000})
    world.fund(ann="10", ben="1010")
    world.act("ben", ClassTransfer(1000 * USDC, False), user_signed=True)
    world.place("ann", order(CHP, "sell", "100", "2"))
    return world


def reply(world: World, name: str, action: Action, *, user_signed: bool = False) -> dict[str, Any]:
    """The answer to an action in a block of its own."""
    transaction = world.transaction(name, action, user_signed=user_signed)
    if isinstance(action, ModifyOrders):
        signed = msgpack.packb({"type": "batchModify"})
        transaction.envelope = encode_envelope(
            Envelope(L1, transaction.nonce, None, None, signed, 27, bytes(32), bytes(32))
        )
    first_oid = world.state.next_oid
    result = world.block([transaction])
    (effects,) = Published.of(result.block).effects
    return answer(world.state, transaction, effects, first_oid)


def statuses(world: World, name: str, action: Action) -> list[Any]:
    """Status of each order."""
    found: list[Any] = reply(world, name, action)["response"]["data"]["statuses"]
    return found


def test_orders_rest_fill_and_end(world: World) -> None:
    """Resting, filled with size and average price, cancelled, replaced."""
    found = statuses(
        world, "ben", PlaceOrders([order(CHP, "buy", "30", "2"), order(CHP, "buy", "20", "1")])
    )
    assert found == [
        {"filled": {"totalSz": "30.0", "avgPx": "2.0", "oid": 2}},
        {"resting": {"oid": 3}},
    ]
    assert statuses(world, "ben", ModifyOrders([(3, order(CHP, "buy", "20", "1.5"))], True)) == [
        {"resting": {"oid": 4}}
    ]
    assert statuses(world, "ben", CancelOrders([(CHP, 4), (CHP, 3)])) == [
        "success",
        {"error": "Order was never placed, already canceled, or filled. asset=10000"},
    ]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (order(CHP, "buy", "501", "2"), "Insufficient spot balance asset=10000"),
        (order(CHP, "sell", "10", "2"), "Insufficient spot balance asset=10000"),
        (order(CHP, "buy", "9.99", "1"), "Order must have minimum value of 10 USDC. asset=10000"),
        (order(CHP, "buy", "10.001", "1"), "Order has invalid size. asset=10000"),
        (order(CHP, "buy", "0", "1"), "Order has zero size. asset=10000"),
        (order(CHP, "buy", "10", "1.00001"), "Price must be divisible by tick size. asset=10000"),
        (order(CHP + 1, "buy", "10", "1"), "Asset does not exist. asset=10001"),
        (
            order(CHP, "buy", "10", "2", "Alo"),
            "Post only order would have immediately matched, bbo was None@2. asset=10000",
        ),
        (
            order(CHP, "buy", "10", "1", "Ioc"),
            "Order could not immediately match against any resting orders. asset=10000",
        ),
        (
            order(CHP, "buy", "10", "1", reduce_only=True),
            "Reduce only orders are not offered on spot. asset=10000",
        ),
        (
            trigger("stop", CHP, "sell", "10", "1"),
            "TP/SL orders are not offered on spot. asset=10000",
        ),
    ],
)
def test_refusals_have_the_published_texts(world: World, request_: Any, text: str) -> None:
    """The asset stands at the end, as on perpetuals."""
    action = PlaceOrders([request_])
    if request_.trigger is not None:
        transaction = world.transaction("ben", action)
        first_oid = world.state.next_oid
        (effects,) = Published.of(world.block([transaction]).block).effects
        told = answer(world.state, transaction, effects, first_oid)
        assert told["response"]["data"]["statuses"] == [{"error": text}]
        return
    assert statuses(world, "ben", action) == [{"error": text}]


def test_children_of_a_spot_order_are_refused_alone(world: World) -> None:
    """The parent rests or fills; each child says why it does not wait."""
    family = PlaceOrders(
        [order(CHP, "buy", "10", "2"), trigger("profit", CHP, "sell", "10", "3")], Grouping.PARENT
    )
    transaction = world.transaction("ben", family)
    first_oid = world.state.next_oid
    (effects,) = Published.of(world.block([transaction]).block).effects
    told = answer(world.state, transaction, effects, first_oid)
    filled, child = told["response"]["data"]["statuses"]
    assert filled["filled"]["totalSz"] == "10.0"
    assert child == {"error": "TP/SL orders are not offered on spot. asset=10000"}


def test_other_actions_are_answered_as_on_perpetuals(world: World) -> None:
    """A TWAP order says in its status why not; sends of tokens are done or refused whole."""
    twap = TwapOrder(CHP, True, 10**9, False, 30)  # type: ignore[arg-type]
    status = reply(world, "ben", twap)["response"]["data"]["status"]
    assert status == {"error": "TWAP orders are not offered on spot."}
    name = wire_name(1, "CHP")
    done = {"status": "ok", "response": {"type": "default"}}
    ben = address_of("ben")
    assert reply(world, "ann", SendAsset(ben, 10**8, name), user_signed=True) == done
    assert reply(world, "ann", SendAsset(ben, 900 * 10**8, name), user_signed=True) == {
        "status": "err", "response": "Insufficient balance for token transfer",
    }  # fmt: skip
