"""The spot market on the engine: holds, what ends orders, forced purchases, burning, snapshots."""

import pytest

from chainperp.base.errors import InvariantBroken
from chainperp.chain.engine import Engine, recount
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import (
    CancelOrders,
    ClassTransfer,
    CreateSubAccount,
    ScheduleCancel,
    SendAsset,
    SubAccountSpotTransfer,
)
from chainperp.model.decisions import Kind, LedgerType, OrderStatus, Rejection
from chainperp.model.tokens import SPOT_FIRST as CHP
from chainperp.model.tokens import wire_name
from chainperp.state.schemas import spot_collection
from chainperp.state.store import ASSISTANCE_FUND
from chainperp.transition.recorder import FLAG_MAKER_DONE, FLAG_TAKER_BUYS, Recorder
from chainperp.transition.spot_matching import buy_forced
from chainperp.transition.tokens import burn
from tests.support.forced import ETH, Stage
from tests.support.world import RULES, World, address_of, order

USDC = 1_000_000
TOKEN = 10**8
NAME = wire_name(1, "CHP")


def market(parameters: dict[str, object] | None = None) -> World:
    """Ann with 1,000 CHP and Ben with 1,000 USDC in the spot balance, both with 10 in margin."""
    world = World({"snapshot_interval": 1, "recount_interval": 1, **(parameters or {})},
                  holders={"ann": 1000})  # fmt: skip
    world.fund(ann="10", ben="1010")
    world.act("ben", ClassTransfer(1000 * USDC, False), user_signed=True)
    return world


def balance(world: World, name: str, token: int = 1) -> int:
    """A spot balance."""
    amount: int = world.state.spot[token].get(address_of(name), 0)
    return amount


def test_a_trade_moves_tokens_usdc_and_fees_and_says_so() -> None:
    """The resting price counts; the entry has both fees, each in what its side receives."""
    world = market()
    world.place("ann", order(CHP, "sell", "100", "2"))
    fund = world.state.accounts[ASSISTANCE_FUND].raw
    result = world.place("ben", order(CHP, "buy", "30", "2.5"))
    (fill,) = result.fills
    assert (fill["asset"], fill["price"], fill["lots"]) == (CHP, 20_000, 3_000)
    assert (fill["maker_fee"], fill["taker_fee"]) == (24_000, 2_100_000)
    assert (fill["maker_start"], fill["taker_start"]) == (1000 * TOKEN, 0)
    assert fill["flags"] == FLAG_TAKER_BUYS
    assert balance(world, "ann") == 970 * TOKEN
    assert balance(world, "ben") == 30 * TOKEN - 2_100_000
    assert balance(world, "ann", 0) == 60 * USDC - 24_000
    assert balance(world, "ben", 0) == 940 * USDC
    # One hundredth of the fee is the liquidity vault's (FEE-3).
    assert world.state.accounts[ASSISTANCE_FUND].raw - fund == 24_000 - 240
    (burned,) = result.of(Kind.TOKEN)
    assert (burned["token"], burned["source"]) == (1, address_of("ben"))
    assert (burned["amount"], burned["type"]) == (2_100_000, LedgerType.SPOT_FEE_BURN)
    assert burned["circulating"] == 10**17 - 2_100_000
    assert world.state.tokens[1].burned == 2_100_000
    assert world.state.spot_held(1, address_of("ann")) == 70 * TOKEN
    world.place("ben", order(CHP, "sell", "20", "1.5", "Alo"))
    # Ann's USDC is what she was paid: 59.976 cover 30.
    (fill,) = world.place("ann", order(CHP, "buy", "20", "1.5", "Ioc")).fills
    assert fill["flags"] == FLAG_TAKER_BUYS | FLAG_MAKER_DONE
    assert world.state.family_volume(world.account("ann")) == 90 * USDC


def test_an_order_walks_levels_and_what_is_left_rests_and_holds() -> None:
    """Best price first; the rest of a buy holds its own limit, not what was paid."""
    world = market()
    world.place("ann", order(CHP, "sell", "10", "3"), order(CHP, "sell", "10", "2"))
    result = world.place("ben", order(CHP, "buy", "50", "3"))
    assert [(one["price"], one["lots"]) for one in result.fills] == [(20_000, 1000), (30_000, 1000)]
    (decision,) = result.orders
    assert decision["status"] == OrderStatus.PARTIALLY_FILLED
    assert (decision["found"], decision["needed"]) == (1000 * USDC, 150 * USDC)
    assert world.state.spot_held(0, address_of("ben")) == 90 * USDC
    assert world.state.spot_free(0, address_of("ben")) == 860 * USDC


def test_own_orders_are_not_met_but_cancelled() -> None:
    """As on perpetuals (MAT-2); what the resting one held is free."""
    world = market()
    world.place("ann", order(CHP, "sell", "1000", "1"))
    world.act("ben", SendAsset(address_of("ann"), 100 * USDC), user_signed=True)
    result = world.place("ann", order(CHP, "buy", "20", "1"))
    assert [Rejection(one["reason"]) for one in result.orders] == [
        Rejection.SELF_TRADE, Rejection.ACCEPTED,
    ]  # fmt: skip
    assert world.state.spot_held(1, address_of("ann")) == 0
    assert world.state.spot_held(0, address_of("ann")) == 20 * USDC


def test_orders_are_cancelled_by_id_client_id_and_switch() -> None:
    """`cancel`, `cancelByCloid` and `scheduleCancel`, together with orders on perpetuals."""
    world = market({"schedule_cancel_volume_min": 0})
    world.prices({0: "100"})
    world.place("ann", order(CHP, "sell", "10", "2"),
                order(CHP, "sell", "10", "3", cloid=b"c" * 16),
                order(CHP, "sell", "10", "4"), order(0, "buy", "0.2", "90"))  # fmt: skip
    first = min(world.account("ann").orders)
    other = world.cancel("ann", CHP + 1, first)
    assert [one["reason"] for one in other.orders] == [Rejection.MISSING_ORDER]
    theirs = world.cancel("ben", CHP, first)
    assert [one["reason"] for one in theirs.orders] == [Rejection.MISSING_ORDER]
    both = world.act("ann", CancelOrders([(CHP, first), (CHP, b"c" * 16)]))
    assert [one["reason"] for one in both.orders] == [Rejection.CANCELED_BY_USER] * 2
    assert world.state.spot_held(1, address_of("ann")) == 10 * TOKEN
    world.act("ann", ScheduleCancel(world.state.time_ms + 6_000))
    fired = world.block(at=world.state.time_ms + 10_000)
    assert [one["reason"] for one in fired.orders] == [Rejection.SCHEDULED_CANCEL] * 2
    assert world.state.held[1] == {}
    assert world.account("ann").orders == {}


def test_a_client_id_and_the_number_of_orders_are_limited_as_on_perpetuals() -> None:
    """ORD-7 and ORD-12 count orders of both kinds."""
    world = market({"open_orders_base": 2, "open_orders_max": 2})
    world.prices({0: "100"})
    world.place("ann", order(0, "buy", "0.2", "90", cloid=b"c" * 16))
    taken = world.place("ann", order(CHP, "sell", "10", "2", cloid=b"c" * 16))
    assert taken.orders[0]["reason"] == Rejection.CLOID_IN_USE
    world.place("ann", order(CHP, "sell", "10", "2"))
    full = world.place("ann", order(CHP, "sell", "10", "2"))
    assert full.orders[0]["reason"] == Rejection.TOO_MANY_OPEN_ORDERS
    instead = world.modify("ann", max(world.account("ann").orders), order(CHP, "sell", "990", "3"),
                           always=True)  # fmt: skip
    assert [one["reason"] for one in instead.orders] == [Rejection.MODIFIED, Rejection.ACCEPTED]


def test_post_only_and_modify_look_past_the_order_that_is_replaced() -> None:
    """An order that a modify replaces neither matches nor holds."""
    world = market()
    world.place("ann", order(CHP, "sell", "1000", "2"))
    crossing = world.place("ben", order(CHP, "buy", "10", "2", "Alo"))
    assert crossing.orders[0]["reason"] == Rejection.BAD_ALO_PRICE
    assert (crossing.orders[0]["found"], crossing.orders[0]["needed"]) == (20_000, 20_000)
    (oid,) = world.account("ann").orders
    turned = world.modify("ann", oid, order(CHP, "buy", "10", "2", "Alo"))
    assert turned.orders[0]["reason"] == Rejection.SPOT_BALANCE
    moved = world.modify("ann", oid, order(CHP, "sell", "1000", "1.5", "Alo"))
    assert [one["reason"] for one in moved.orders] == [Rejection.MODIFIED, Rejection.ACCEPTED]
    elsewhere = world.modify("ann", oid + 3, order(0, "sell", "1", "100", "Alo"))
    assert elsewhere.orders[0]["reason"] == Rejection.MODIFY_MISSING


def test_a_sub_account_trades_its_own_tokens() -> None:
    """A master sends it tokens and trades for it; its holds are its own."""
    world = market({"sub_account_volume_min": 0})
    world.act("ann", CreateSubAccount("desk"))
    sub = address_of("ann/1")
    moved = world.act("ann", SubAccountSpotTransfer(sub, True, 50 * TOKEN, NAME))
    assert moved.codes == [Rejection.ACCEPTED]
    (entry,) = moved.of(Kind.TOKEN)
    assert (entry["source"], entry["destination"]) == (address_of("ann"), sub)
    world.place("ann/1", order(CHP, "sell", "50", "1"))
    assert world.state.spot_held(1, sub) == 50 * TOKEN
    back = world.act("ann", SubAccountSpotTransfer(sub, False, TOKEN, NAME))
    assert back.codes == [Rejection.BALANCE_TRANSFER]
    world.place("ben", order(CHP, "buy", "50", "1", "Ioc"))
    assert balance(world, "ann", 0) == 0
    assert world.state.spot[0][sub] == 50 * USDC - 20_000


def test_a_restored_snapshot_has_the_books_holds_burns_and_last_prices() -> None:
    """A chain goes on from it with the same bytes."""
    world = market()
    world.place(
        "ann", order(CHP, "sell", "100", "2", cloid=b"c" * 16), order(CHP, "sell", "5", "2")
    )
    world.place("ben", order(CHP, "buy", "30", "2"), order(CHP, "buy", "40", "1"))
    height, raw = world.engine.height, world.engine.snapshot()
    world.place("ben", order(CHP, "buy", "90", "2"))
    world.cancel("ann", CHP, b"c" * 16)
    world.place("ann", order(CHP, "sell", "50", "1"))
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    recount(engine.state)
    assert engine.state.pairs[0].book.price_last == 20_000
    assert engine.state.tokens[1].burned == 30 * TOKEN * 7 // 10_000
    assert engine.state.held[1] == {address_of("ann"): 75 * TOKEN}
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()


def test_roots_alone_show_that_balances_and_burns_are_the_supply() -> None:
    """The column of `token` is what all balances but USDC sum to."""
    world = market()
    world.place("ann", order(CHP, "sell", "100", "2"))
    world.place("ben", order(CHP, "buy", "30", "2"))
    committed = world.engine.committed
    assert committed is not None
    assert committed.roots[spot_collection(1)].sums == committed.roots["token"].sums
    assert committed.roots["token"].sums == (10**17 - 2_100_000,)
    world.state.tokens[1].burned += 1
    world.state.note("token", (1).to_bytes(4, "big"))
    with pytest.raises(InvariantBroken, match="tokens were made or lost"):
        world.block()


def test_a_hold_without_its_order_stops_the_process() -> None:
    """INV-6 recounts holds from the books."""
    world = market()
    world.place("ann", order(CHP, "sell", "100", "2"))
    recount(world.state)
    world.state.hold_spot(1, address_of("ann"), -1)
    with pytest.raises(InvariantBroken, match="a hold differs"):
        recount(world.state)


def test_the_exchange_buys_with_an_order_of_its_own_within_balance_and_limit() -> None:
    """What the balance does not cover at the limit is left out; the entry names the reason."""
    world = market()
    world.place("ann", order(CHP, "sell", "10", "2"), order(CHP, "sell", "500", "2.5"))
    recorder = Recorder(world.engine.height + 1, 0)
    state, ben = world.engine.state, world.account("ben")
    bought = buy_forced(state, recorder, state.pairs[0], ben, 25_000, 1_000_000, cause=7,
                        reason=Rejection.UNWIND)  # fmt: skip
    assert bought == (40_000, 20 * USDC + 390 * 2_500_000)
    assert balance(world, "ben", 0) == 1000 * USDC - bought[1]
    assert balance(world, "ben") == 400 * TOKEN * 9993 // 10_000
    free = state.spot_free(0, ben.address)
    assert free == 5 * USDC
    nothing = buy_forced(state, recorder, state.pairs[0], ben, 5_000_001, 100, cause=7,
                         reason=Rejection.UNWIND)  # fmt: skip
    assert nothing == (0, 0)
    missed = buy_forced(state, recorder, state.pairs[0], ben, 10_000, 100, cause=7,
                        reason=Rejection.UNWIND)  # fmt: skip
    assert missed == (0, 0)
    recount(state)


def test_nothing_is_burned_that_is_not_there_or_is_held() -> None:
    """SPT-7; the supply shrinks with the balance and an entry."""
    world = market()
    world.place("ann", order(CHP, "sell", "900", "2"))
    recorder = Recorder(world.engine.height + 1, 0)
    burn(world.state, recorder, 1, address_of("ann"), 100 * TOKEN, LedgerType.SPOT_FEE_BURN)
    assert balance(world, "ann") == 900 * TOKEN
    assert world.state.tokens[1].burned == 100 * TOKEN
    assert len(recorder.entries) == 1
    for amount in (1, 0, 10**18):
        with pytest.raises(InvariantBroken, match="more is burned"):
            burn(world.state, recorder, 1, address_of("ann"), amount, LedgerType.SPOT_FEE_BURN)


def test_rates_follow_the_common_volume_of_a_family() -> None:
    """Spot counts twice towards the tiers of both tables, from the day after."""
    world = market({"spot_fee_tiers": [[0, 700, 400], [100 * USDC, 0, 0]]})
    world.place("ann", order(CHP, "sell", "60", "1"))
    first = world.place("ben", order(CHP, "buy", "60", "1"))
    assert first.fills[0]["taker_fee"] == 60 * TOKEN * 7 // 10_000
    world.place("ann", order(CHP, "sell", "60", "1"))
    same_day = world.place("ben", order(CHP, "buy", "30", "1"))
    assert same_day.fills[0]["taker_fee"] > 0
    world.block(at=world.state.time_ms + 86_400_000)
    later = world.place("ben", order(CHP, "buy", "30", "1"))
    assert (later.fills[0]["taker_fee"], later.fills[0]["maker_fee"]) == (0, 0)
    assert later.of(Kind.TOKEN) == []


def test_a_liquidation_leaves_spot_orders_and_balances_alone() -> None:
    """U-SPT-4: they are no margin, so nothing of them is cancelled or taken."""
    stage = Stage(holders={"Ann": 1000})
    stage.mark("4000")
    stage.person("Ann", "3000")
    stage.person("Ben", "90000")
    stage.act("Ann", ClassTransfer(500 * USDC, False), user_signed=True)
    stage.place("Ann", order(CHP, "sell", "600", "2"), order(CHP, "buy", "100", "1"),
                order(ETH, "buy", "0.1", "3000"))  # fmt: skip
    stage.trade("Ann", "Ben", "10", "4000")
    told = stage.mark("3700").result
    reasons = [(Rejection(one["reason"]), one["asset"]) for one in told.orders]
    assert reasons == [(Rejection.LIQUIDATED, ETH), (Rejection.LIQUIDATION, ETH)]
    assert stage.state.held[1] == {address_of("Ann"): 600 * TOKEN}
    assert stage.state.held[0] == {address_of("Ann"): 100 * USDC}
    assert [one.asset for one in stage.account("Ann").orders.values()] == [CHP, CHP]
    recount(stage.state)


def test_an_unlisted_pair_does_not_exist() -> None:
    """Nor does anything between perpetuals and pairs."""
    world = market()
    for asset in (999, 9_999, CHP + 1, 2**32 - 1):
        refused = world.place("ann", order(asset, "sell", "10", "2"))
        assert refused.orders[0]["reason"] == Rejection.MARKET_UNKNOWN, asset
