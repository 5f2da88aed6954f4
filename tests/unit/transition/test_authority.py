"""The authority matrix (reliability 10.1): who may do what, and nothing changes when he may not."""

import pytest

from chainperp.base.units import E8, Address
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    CancelOrders,
    ClassTransfer,
    ConvertToMultiSig,
    CreateSubAccount,
    ModifyOrders,
    PlaceOrders,
    RenameSubAccount,
    ScheduleCancel,
    SendAsset,
    SetDisplayName,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    UsdSend,
    Withdraw,
)
from chainperp.model.decisions import Rejection
from tests.property.test_conservation import all_leaves, changes
from tests.support.world import START, World, address_of, order

R = Rejection
USDC = 1_000_000
SUB = address_of("ann/1")
TRADING: dict[str, Action] = {
    "order": PlaceOrders([order(0, "buy", "1", "80")]),
    "cancel": CancelOrders([(0, 1)]),
    "modify": ModifyOrders([(1, order(0, "buy", "1", "81", "Alo"))], False),
    "leverage": UpdateLeverage(1, True, 5),
    "isolated margin": UpdateIsolatedMargin(2, USDC),
    "TWAP": TwapOrder(0, True, E8(2 * 10**8), False, 5),
    "dead man's switch": ScheduleCancel(START + 3_600_000),
}
OWN_KEY: dict[str, Action] = {
    "open": CreateSubAccount("more"),
    "display name": SetDisplayName("Ann"),
    "rename": RenameSubAccount(SUB, "other"),
    "fund": SubAccountTransfer(SUB, True, USDC),
    "take back": SubAccountTransfer(SUB, False, USDC),
    "fund spot": SubAccountSpotTransfer(SUB, True, USDC),
    "take spot back": SubAccountSpotTransfer(SUB, False, USDC),
}
USER_SIGNED: dict[str, Action] = {
    "send": UsdSend(address_of("eve"), USDC),
    "to spot": ClassTransfer(USDC, False),
    "to spot for a sub-account": ClassTransfer(USDC, False, SUB),
    "send spot": SendAsset(address_of("eve"), USDC),
    "withdraw": Withdraw(address_of("eve"), 5 * USDC),
    "agent": ApproveAgent(address_of("new key"), "second"),
    "builder": ApproveBuilderFee(address_of("app"), 10),
    "multi-sig": ConvertToMultiSig([address_of("eve")], 1),
}


def scene() -> World:
    """Ann, alone or shared by Ben and Cat; her agent, her sub-account, and others."""
    world = World({"sub_account_volume_min": 0, "schedule_cancel_volume_min": 0})
    world.fund(ann="10000", ben="1000", cat="1000", eve="1000", app="1000")
    world.prices({0: "100", 1: "100", 2: "100"})
    world.act("ann", ApproveAgent(address_of("key"), ""), user_signed=True)
    world.act("ann", CreateSubAccount("desk"))
    world.act("ann", SubAccountTransfer(SUB, True, 1_000 * USDC))
    world.act("ann", ApproveBuilderFee(address_of("app"), 10), user_signed=True)
    for sub in (None, SUB):
        world.act("ann", ClassTransfer(100 * USDC, False, sub), user_signed=True)
    for who in ("ann", "ann/1"):
        world.act(who, UpdateLeverage(2, False, 5))
    world.place("eve", order(2, "sell", "2", "100"))
    for who in ("ann", "ann/1"):
        world.act(who, PlaceOrders([order(2, "buy", "1", "100", "Ioc")]))
    return world


def refused(world: World, who: str, action: Action, expected: R, **how: object) -> None:
    """He gets the expected refusal, and nothing but his nonce moves."""
    before = all_leaves(world.state)
    result = world.act(who, action, **how)  # type: ignore[arg-type]
    assert result.codes == [expected]
    moved = changes(before, all_leaves(world.state))
    assert {field for _, _, field in moved} <= {"nonces", "nonces_digest"}


def live(world: World, who: str, action: Action) -> Action:
    """The action with the account's own live order in it."""
    world.act(who, PlaceOrders([order(0, "buy", "1", "79")]))
    oid = max(world.account(who).orders)
    if isinstance(action, CancelOrders):
        return CancelOrders([(0, oid)])
    if isinstance(action, ModifyOrders):
        return ModifyOrders([(oid, action.modifies[0][1])], False)
    return action


@pytest.mark.parametrize("name", TRADING)
def test_trading_for_an_account_and_its_sub_account(name: str) -> None:
    """Own key and agent may, for master and sub-account; nobody else names the sub-account."""
    for who, vault in (("ann", None), ("key", None), ("ann", "ann/1"), ("key", "ann/1")):
        world = scene()
        action = live(world, vault or "ann", TRADING[name])
        result = world.act(who, action, vault=vault)
        assert result.codes == [R.ACCEPTED]
        assert all(one["account"] == address_of(vault or "ann") for one in result.orders)
    world = scene()
    world.act("ben", ApproveAgent(address_of("ben's key"), ""), user_signed=True)
    for who in ("ben", "ben's key", "eve", "app"):
        refused(world, who, TRADING[name], R.VAULT_NOT_REGISTERED, vault="ann/1")
        refused(world, who, TRADING[name], R.VAULT_NOT_REGISTERED, vault="ann")
    refused(world, "stranger", TRADING[name], R.SIGNER_UNKNOWN, vault="ann/1")


@pytest.mark.parametrize("name", OWN_KEY)
def test_sub_accounts_are_opened_named_and_funded_by_the_own_key(name: str) -> None:
    """Neither an agent nor in the name of a sub-account, nor by others."""
    assert scene().act("ann", OWN_KEY[name]).codes == [R.ACCEPTED]
    world = scene()
    refused(world, "key", OWN_KEY[name], R.AGENT_NOT_ALLOWED)
    refused(world, "key", OWN_KEY[name], R.AGENT_NOT_ALLOWED, vault="ann/1")
    refused(world, "ann", OWN_KEY[name], R.NOT_FOR_SUB, vault="ann/1")
    if name not in ("open", "display name"):
        refused(world, "ben", OWN_KEY[name], R.SUB_NOT_REGISTERED)


@pytest.mark.parametrize("name", USER_SIGNED)
def test_money_and_rights_need_the_own_key(name: str) -> None:
    """An agent gets nothing signed field by field, whatever it names."""
    assert scene().act("ann", USER_SIGNED[name], user_signed=True).codes == [R.ACCEPTED]
    world = scene()
    refused(world, "key", USER_SIGNED[name], R.MUST_DEPOSIT, user_signed=True)
    refused(world, "key", USER_SIGNED[name], R.MUST_DEPOSIT, user_signed=True, vault="ann/1")
    refused(world, "stranger", USER_SIGNED[name], R.MUST_DEPOSIT, user_signed=True)


@pytest.mark.parametrize("name", [*TRADING, *OWN_KEY, *USER_SIGNED])
def test_one_member_alone_moves_nothing_of_a_multi_sig_user(name: str) -> None:
    """Not the old key, not one of two, not one who is none; both together may."""
    action = {**TRADING, **OWN_KEY, **USER_SIGNED}[name]
    signed = name in USER_SIGNED
    world = scene()
    if name in TRADING:
        action = live(world, "ann", action)
    users: list[Address] = [address_of("ben"), address_of("cat")]
    world.act("ann", ConvertToMultiSig(users, 2), user_signed=True)
    refused(world, "ann", action, R.MULTI_SIG_REQUIRED, user_signed=signed)
    for leader, inside, expected in (
        ("ben", ["ben"], R.MULTI_SIG_THRESHOLD),
        ("ben", ["ben", "ben"], R.MULTI_SIG_THRESHOLD),
        ("ben", ["ben", "ann"], R.MULTI_SIG_INNER_INVALID),
        ("eve", ["ben", "cat"], R.MULTI_SIG_OUTER_INVALID),
        ("ann", ["ben", "cat"], R.MULTI_SIG_OUTER_INVALID),
        ("key", ["ben", "cat"], R.MULTI_SIG_OUTER_INVALID),
    ):
        before = all_leaves(world.state)
        one = world.envelope(leader, "ann", inside, action, user_signed=signed)
        assert world.block([one]).codes == [expected]
        moved = changes(before, all_leaves(world.state))
        assert {field for _, _, field in moved} <= {"nonces", "nonces_digest"}
    one = world.envelope("ben", "ann", ["ben", "cat"], action, user_signed=signed)
    assert world.block([one]).codes == [R.ACCEPTED]
