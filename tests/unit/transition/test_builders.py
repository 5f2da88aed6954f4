"""Builder codes: decoding, records of a fill, snapshots, what CCXT sends at its start."""

from typing import Any

import pytest

from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import ApproveBuilderFee, BuilderTerms, OrderRequest, PlaceOrders
from chainperp.model.decisions import Kind, LedgerType, Rejection
from tests.support.world import RULES, Result, World, address_of, order, trigger

APP = address_of("app")


def market(**parameters: object) -> World:
    """Two traders who approved the same builder."""
    world = World({"snapshot_interval": 1, **parameters})
    world.fund(ann="10000", ben="10000", app="100")
    world.prices({0: "100"})
    for name in ("ann", "ben"):
        world.act(name, ApproveBuilderFee(APP, 100), user_signed=True)
    return world


def through(world: World, name: str, rate: int, *orders: OrderRequest) -> Result:
    """Orders that name the builder."""
    return world.act(name, PlaceOrders(list(orders), builder=(APP, rate)))


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0.01%", 10), ("0.1%", 100), ("0.001%", 1), ("1%", 1000), ("0%", 0), ("0.0000%", None),
     ("٠.1%", None), ("0.1", None), ("", None), ("%", None), (" 1%", None), ("9999%", None)],
)  # fmt: skip
def test_a_rate_is_read_in_tenths_of_a_basis_point(text: str, rate: int | None) -> None:
    """Whatever is no rate is refused by the rules, not by the decoder."""
    fields = {"type": "approveBuilderFee", "maxFeeRate": text, "builder": "0x" + "11" * 20}
    action = decode_action(fields, 2)
    assert isinstance(action, ApproveBuilderFee)
    assert (action.rate, action.builder) == (rate, b"\x11" * 20)


def test_a_builder_who_charges_nothing_is_as_none() -> None:
    """CCXT attaches one with rate 0 when its fee was not approved."""
    row: dict[str, Any] = {"a": 0, "b": True, "p": "1", "s": "1", "r": False,
                           "t": {"limit": {"tif": "Gtc"}}}  # fmt: skip
    terms: list[BuilderTerms | None] = []
    for rate in (0, 10):
        builder = {"b": "0x" + "11" * 20, "f": rate}
        action = decode_action(
            {"type": "order", "orders": [row], "grouping": "na", "builder": builder}, 1
        )
        assert isinstance(action, PlaceOrders)
        assert action.orders[0].builder == action.builder
        terms.append(action.builder)
    assert terms == [None, (b"\x11" * 20, 10)]


def test_a_fill_names_both_builders_fees_and_their_payment_follows() -> None:
    """FILL has the amounts; a LEDGER entry after it moves each."""
    world = market()
    through(world, "ben", 10, order(0, "sell", "1", "100"))
    result = through(world, "ann", 50, order(0, "buy", "1", "100", "Ioc"))
    (fill,) = result.fills
    assert (fill["maker_fee"], fill["taker_fee"]) == (15_000, 45_000)
    assert (fill["maker_builder_fee"], fill["taker_builder_fee"]) == (10_000, 50_000)
    kinds = [entry.kind for entry in result.entries[:4]]
    assert kinds == [Kind.TX_USER, Kind.FILL, Kind.LEDGER, Kind.LEDGER]
    paid = [
        (one["source"], one["destination"], one["amount"])
        for one in result.of(Kind.LEDGER)
        if one["type"] == LedgerType.BUILDER_FEE
    ]
    assert paid == [(address_of("ben"), APP, 10_000), (address_of("ann"), APP, 50_000)]
    assert world.account("app").raw == 100_060_000


def test_margin_counts_the_builders_fee() -> None:
    """MAT-3: a fill that the fee alone makes unaffordable does not happen."""
    world = market()
    world.fund(dry="5.02")
    world.act("dry", ApproveBuilderFee(APP, 100), user_signed=True)
    world.place("ben", order(0, "sell", "1", "100"))
    refused = through(world, "dry", 100, order(0, "buy", "1", "100", "Ioc"))
    assert [one["reason"] for one in refused.orders] == [Rejection.PERP_MARGIN]
    assert not refused.fills


def test_a_restored_engine_still_pays_the_builders_of_live_orders() -> None:
    """Resting and waiting orders keep their builder; so do approvals."""
    world = market()
    through(world, "ben", 10, order(0, "sell", "1", "100"), order(0, "sell", "1", "110"))
    through(world, "ann", 20, trigger("stop", 0, "buy", "1", "105", "110", reduce_only=False))
    height, raw = world.engine.height, world.engine.snapshot()
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    through(world, "ann", 100, order(0, "buy", "1", "100", "Ioc"))
    world.prices({0: "105"})
    world.act("ann", ApproveBuilderFee(APP, 0), user_signed=True)
    assert through(world, "ann", 1, order(0, "buy", "1", "90")).codes == [
        Rejection.BUILDER_NOT_APPROVED
    ]
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()
    assert world.state.builder_approvals == {address_of("ben"): {APP: 100}}


def test_without_a_minimum_a_builder_without_account_gets_one_when_it_is_paid() -> None:
    """`builder_value_min` 0: a development chain on which CCXT's own builder has nothing."""
    world = market(builder_value_min=0)
    new = address_of("new app")
    world.act("ann", ApproveBuilderFee(new, 10), user_signed=True)
    assert new not in world.state.accounts
    world.place("ben", order(0, "sell", "1", "100"))
    world.act("ann", PlaceOrders([order(0, "buy", "1", "100")], builder=(new, 10)))
    assert world.state.accounts[new].raw == 10_000
