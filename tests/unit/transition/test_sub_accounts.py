"""Sub-accounts: what a query finds, snapshots, common volume, keys, and money sent before."""

from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import (
    ApproveAgent,
    CancelOrders,
    CreateSubAccount,
    PlaceOrders,
    RenameSubAccount,
    ScheduleCancel,
    SubAccountTransfer,
    UpdateIsolatedMargin,
    UpdateLeverage,
)
from chainperp.model.decisions import Kind, Rejection
from chainperp.transition.rates import rates_today
from tests.support.world import RULES, World, address_of, order

DAY = 86_400_000
USDC = 1_000_000


def desks(**parameters: object) -> World:
    """Ann with two funded sub-accounts, Ben with none."""
    world = World({"sub_account_volume_min": 0, "snapshot_interval": 1, **parameters})
    world.fund(ann="100000", ben="100000")
    world.prices({0: "100"})
    for number, name in ((1, "one"), (2, "two")):
        world.act("ann", CreateSubAccount(name))
        world.act("ann", SubAccountTransfer(address_of(f"ann/{number}"), True, 20_000 * USDC))
    return world


def test_the_actions_are_read() -> None:
    """Names, addresses, amounts as signed."""
    sub = "0x" + "12" * 20
    opened = decode_action({"type": "createSubAccount", "name": "desk"}, 1)
    named = decode_action({"type": "subAccountModify", "subAccountUser": sub, "name": "x"}, 1)
    moved = decode_action(
        {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True, "usd": 7}, 1
    )
    assert isinstance(opened, CreateSubAccount)
    assert opened.name == "desk"
    assert isinstance(named, RenameSubAccount)
    assert (named.sub, named.name) == (b"\x12" * 20, "x")
    assert isinstance(moved, SubAccountTransfer)
    assert (moved.sub, moved.is_deposit, moved.amount) == (b"\x12" * 20, True, 7)


def test_the_new_address_is_in_the_block_and_the_state_answers_queries() -> None:
    """`SUB_ACCOUNT` follows the transaction; the state knows both directions and the names."""
    world = desks()
    result = world.act("ann", CreateSubAccount("three"))
    assert [entry.kind for entry in result.entries[:2]] == [Kind.TX_USER, Kind.SUB_ACCOUNT]
    (record,) = result.of(Kind.SUB_ACCOUNT)
    assert (record["master"], record["sub"]) == (address_of("ann"), address_of("ann/3"))
    assert (record["number"], record["name"]) == (2, b"three")
    world.act("ann", RenameSubAccount(address_of("ann/1"), "first"))
    subs = world.state.subs_of[address_of("ann")]
    assert [one.name for one in subs] == ["first", "two", "three"]
    assert [one.address for one in subs] == [address_of(f"ann/{number}") for number in (1, 2, 3)]
    assert world.state.sub_accounts[address_of("ann/2")].master == address_of("ann")
    assert address_of("ben") not in world.state.subs_of


def test_a_restored_engine_knows_masters_numbers_and_names() -> None:
    """The next sub-account gets the same address, and trading goes on."""
    world = desks()
    world.act("ann", PlaceOrders([order(0, "buy", "1", "90")]), vault="ann/2")
    height, raw = world.engine.height, world.engine.snapshot()
    world.act("ann", CreateSubAccount("three"))
    world.act("ann", CancelOrders([(0, 1)]), vault="ann/2")
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()


def test_master_and_agent_do_all_kinds_of_trading_for_a_sub_account() -> None:
    """Orders, cancels, leverage, isolated margin and the dead man's switch land in its account."""
    world = desks(schedule_cancel_volume_min=0)
    world.act("ann", ApproveAgent(address_of("key"), ""), user_signed=True)
    world.place("ben", order(0, "sell", "50", "100"))
    for name in ("ann", "key"):
        for action in (
            UpdateLeverage(0, False, 10) if name == "ann" else UpdateLeverage(1, False, 10),
            PlaceOrders([order(0, "buy", "5", "100", "Ioc"), order(0, "buy", "1", "90")]),
            UpdateIsolatedMargin(0, 5 * USDC),
            ScheduleCancel(world.state.time_ms + 60_000),
        ):
            assert world.act(name, action, vault="ann/1").codes == [Rejection.ACCEPTED], action
    sub = world.account("ann/1")
    assert sub.exposures[0].lots == 10 * 10**5
    assert sub.exposures[0].raw_isolated
    assert not sub.exposures[1].is_cross
    assert list(world.state.schedules) == [sub.address]
    assert not world.account("ann").exposures
    oid = min(sub.orders)
    assert world.act("key", CancelOrders([(0, oid)]), vault="ann/1").codes == [Rejection.ACCEPTED]
    assert oid not in sub.orders


def test_named_agents_grow_with_the_sub_accounts() -> None:
    """Three, and two for each of the two."""
    world = desks()
    codes = [
        world.act("ann", ApproveAgent(address_of(f"k{n}"), f"n{n}"), user_signed=True).codes[0]
        for n in range(8)
    ]
    assert codes == [Rejection.ACCEPTED] * 7 + [Rejection.AGENT_TOO_MANY]


def rates_of(world: World, name: str) -> tuple[int, int]:
    """Taker and maker rate of today."""
    rates = rates_today(world.state, world.account(name))
    return rates.taker, rates.maker


def test_one_volume_gives_one_tier_to_all_of_a_family() -> None:
    """FEE-4: what sub-accounts traded yesterday lowers their master's fee, and each other's."""
    world = desks(fee_tiers=[[0, 450, 150], [3_000 * USDC, 400, 120]])
    world.place("ben", order(0, "sell", "100", "100"))
    for name in ("ann/1", "ann/2"):
        world.act("ann", PlaceOrders([order(0, "buy", "16", "100", "Ioc")]), vault=name)
    assert world.state.family_volume(world.account("ann/1")) == 3_200 * USDC
    world.block(at=world.state.time_ms + DAY)
    for name in ("ann", "ann/1", "ann/2"):
        assert rates_of(world, name) == (400, 120)
    world.act("ann", CreateSubAccount("three"))
    assert rates_of(world, "ann/3") == (400, 120)
    assert rates_of(world, "ben") == (400, -30)
    world.fund(eve="10")
    assert rates_of(world, "eve") == (450, 150)


def test_an_agent_approval_of_the_address_ends_when_the_sub_account_opens() -> None:
    """Somebody approved the future address as his agent; it must not trade for him."""
    world = desks()
    world.act("ben", ApproveAgent(address_of("ann/3"), ""), user_signed=True)
    world.act("ann", CreateSubAccount("three"))
    assert not world.account("ben").agents
    assert address_of("ann/3") in world.state.accounts
