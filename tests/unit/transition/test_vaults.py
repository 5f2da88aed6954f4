"""Vaults: what is read, restored and seeded, who may do what, and what closing costs whom."""

import pytest

from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import Genesis, first_state, parse_genesis
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    CreateVault,
    Noop,
    PlaceOrders,
    ScheduleCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
)
from chainperp.model.decisions import Kind, LedgerType, Rejection
from chainperp.model.vaults import ShareEvent, VaultEvent
from chainperp.state.store import ASSISTANCE_FUND, BACKSTOP_VAULT, INSURANCE, LIQUIDITY_VAULT
from chainperp.storage.package import build_genesis
from chainperp.transition.rates import rates_today
from chainperp.transition.vaults import vault_value
from tests.support.world import RULES, START, VALIDATOR, World, address_of, order

USDC = 1_000_000
DAY = 86_400_000
VAULT = address_of("ann$1")
BTC, ETH = 0, 1


def pool(leader: int = 500, holder: int = 500, **parameters: object) -> World:
    """Ann's vault with Ben in it, Cat on the other side, no fees unless asked for."""
    values: dict[str, object] = {
        "vault_creation_fee": 0, "vault_lockup_ms": 0, "snapshot_interval": 1,
        "fee_tiers": [[0, 0, 0]],
    }  # fmt: skip
    world = World({**values, **parameters})
    world.fund(ann="20000", ben="20000", cat="900000")
    world.prices({BTC: "100", ETH: "10"})
    world.act("ann", CreateVault("Calm", "a vault of the tests", leader * USDC))
    if holder:
        world.act("ben", VaultTransfer(VAULT, True, holder * USDC))
    return world


def value(world: World) -> int:
    """What Ann's vault is worth."""
    return vault_value(world.state, world.state.vaults[VAULT])


def go_long(world: World, size: str, asset: int = BTC, price: str = "100") -> None:
    """The vault buys from Cat."""
    world.place("cat", order(asset, "sell", size, price))
    result = world.place("ann$1", order(asset, "buy", size, price, "Ioc"))
    assert result.fills


def test_the_actions_are_read() -> None:
    """Texts, amounts and flags as signed; a nil flag changes nothing."""
    vault = "0x" + "12" * 20
    made = decode_action(
        {"type": "createVault", "name": "V", "description": "d", "initialUsd": 7, "nonce": 1}, 1
    )
    assert isinstance(made, CreateVault)
    assert (made.name, made.description, made.initial) == ("V", "d", 7)
    moved = decode_action(
        {"type": "vaultTransfer", "vaultAddress": vault, "isDeposit": False, "usd": 9}, 1
    )
    assert isinstance(moved, VaultTransfer)
    assert (moved.vault, moved.is_deposit, moved.amount) == (b"\x12" * 20, False, 9)
    changed = decode_action(
        {"type": "vaultModify", "vaultAddress": vault, "allowDeposits": None,
         "alwaysCloseOnWithdraw": True}, 1
    )  # fmt: skip
    assert isinstance(changed, VaultModify)
    assert (changed.allow_deposits, changed.always_close) == (None, True)
    paid = decode_action({"type": "vaultDistribute", "vaultAddress": vault, "usd": 0}, 1)
    assert isinstance(paid, VaultDistribute)
    assert paid.amount == 0


def test_a_restored_engine_knows_vaults_shares_and_lock_ups() -> None:
    """Blocks after the snapshot are the same, and so is the next snapshot."""
    world = pool(vault_lockup_ms=60_000)
    go_long(world, "3")
    world.act("ann", VaultModify(VAULT, None, True))
    height, raw = world.engine.height, world.engine.snapshot()
    world.act("ben", VaultTransfer(VAULT, False, 100 * USDC))
    world.prices({BTC: "101", ETH: "10"}, at=world.state.time_ms + 60_000)
    world.act("ben", VaultTransfer(VAULT, False, 100 * USDC))
    world.act("ann", VaultDistribute(VAULT, 5 * USDC))
    world.act("ann", CreateVault("Next", "another of the tests", 100 * USDC))
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()
    assert [one.number for one in engine.state.vaults_of[address_of("ann")]] == [0, 1]


def genesis_of(**usdc: int) -> Genesis:
    """A genesis that gives the liquidity vault's accounts something."""
    names = {"parent": LIQUIDITY_VAULT, "child": BACKSTOP_VAULT}
    accounts: list[tuple[bytes, int]] = [(names[name], amount) for name, amount in usdc.items()]
    return parse_genesis(build_genesis("test/vaults", START, [(VALIDATOR, 1)], accounts=accounts))


def test_genesis_money_of_the_liquidity_vault_has_an_owner() -> None:
    """The insurance account holds one share for each micro-USDC; less than 100 USDC is left to the
    first deposit's seed."""
    state = first_state(genesis_of(parent=1_000, child=9_000))
    vault = state.vaults[LIQUIDITY_VAULT]
    assert vault.shares == vault.holders[INSURANCE].shares == 10_000 * USDC
    assert vault_value(state, vault) == 10_000 * USDC
    assert not first_state(genesis_of(child=99)).vaults[LIQUIDITY_VAULT].holders


def test_the_creation_fee_goes_the_way_of_trading_fees() -> None:
    """99 % stay in the fund, 1 % is the liquidity vault's; the first deposit there owns none."""
    world = World()
    world.fund(ann="20000", ben="1000")
    fund = world.state.accounts[ASSISTANCE_FUND].raw
    result = world.act("ann", CreateVault("Calm", "a vault of the tests", 100 * USDC))
    assert world.state.accounts[ASSISTANCE_FUND].raw == fund + 9_900 * USDC
    assert world.state.accounts[LIQUIDITY_VAULT].raw == 100 * USDC
    kinds = [one["type"] for one in result.of(Kind.LEDGER)]
    assert kinds[:2] == [LedgerType.VAULT_CREATION_FEE, LedgerType.VAULT_CREATE]
    world.act("ben", VaultTransfer(LIQUIDITY_VAULT, True, 100 * USDC))
    vault = world.state.vaults[LIQUIDITY_VAULT]
    assert {one.shares for one in vault.holders.values()} == {100 * USDC}


def test_a_withdrawal_that_changes_nothing_seeds_nothing() -> None:
    """A refused deposit leaves no shares behind."""
    world = World()
    world.fund(ann="20000", ben="1000")
    world.act("ann", CreateVault("Calm", "a vault of the tests", 100 * USDC))
    result = world.act("ben", VaultTransfer(LIQUIDITY_VAULT, True, 10**12))
    assert result.codes == [Rejection.VAULT_DEPOSIT_BALANCE]
    assert not world.state.vaults[LIQUIDITY_VAULT].shares


def test_the_liquidity_vault_pays_out_of_its_parents_cash() -> None:
    """A child's profit is the holders', but stays where it is: beyond the cash of the parent the
    refusal is precise."""
    world = World({"liquidity_vault_lockup_ms": 0, "liquidity_vault_day_percent": 100})
    world.fund(ben="5000")
    world.act("ben", VaultTransfer(LIQUIDITY_VAULT, True, 1_000 * USDC))
    child = world.state.accounts[BACKSTOP_VAULT]
    child.raw += 500 * USDC  # a profit of the child, made from nothing for this test
    world.state.custody += 500 * USDC
    world.state.touch(child)
    world.prices({BTC: "100"}, at=world.state.time_ms + DAY)
    worth = vault_value(world.state, world.state.vaults[LIQUIDITY_VAULT])
    assert worth == 1_500 * USDC
    beyond = VaultTransfer(LIQUIDITY_VAULT, False, 1_000 * USDC + 1)
    assert world.act("ben", beyond).codes == [Rejection.VAULT_CASH]
    result = world.act("ben", VaultTransfer(LIQUIDITY_VAULT, False, 1_000 * USDC))
    assert result.codes == [Rejection.ACCEPTED]
    assert world.account("ben").raw == 5_000 * USDC
    left = world.state.vaults[LIQUIDITY_VAULT].holders[address_of("ben")]
    assert left.shares == 333_333_333


TRADING: list[Action] = [
    PlaceOrders([order(BTC, "buy", "1", "90")]),
    UpdateLeverage(BTC, True, 5),
    UpdateIsolatedMargin(BTC, 1),
    ScheduleCancel(None),
    Noop(),
]
OWNING: list[Action] = [
    CreateVault("Nest", "a vault of a vault", 100 * USDC),
    VaultTransfer(VAULT, True, USDC),
    VaultModify(VAULT, True, True),
    VaultDistribute(VAULT, USDC),
]


@pytest.mark.parametrize("action", TRADING, ids=lambda one: type(one).__name__)
def test_the_leader_and_his_agents_trade_a_vault(action: Action) -> None:
    """Nobody else does, a holder least of all (INV-V11)."""
    world = pool()
    world.act("ann", ApproveAgent(address_of("bot"), "bot"), user_signed=True)
    for name in ("ann", "bot"):
        code = world.act(name, action, vault="ann$1").codes[0]
        assert code not in (Rejection.VAULT_NOT_REGISTERED, Rejection.NOT_FOR_SUB)
    for name in ("ben", "cat"):
        assert world.act(name, action, vault="ann$1").codes == [Rejection.VAULT_NOT_REGISTERED]


@pytest.mark.parametrize("action", OWNING, ids=lambda one: type(one).__name__)
def test_money_and_settings_need_the_own_key(action: Action) -> None:
    """No agent moves money into vaults or leads one, and no vault owns a vault (INV-V10)."""
    world = pool()
    world.act("ann", ApproveAgent(address_of("bot"), "bot"), user_signed=True)
    assert world.act("bot", action).codes == [Rejection.AGENT_NOT_ALLOWED]
    assert world.act("ann", action, vault="ann$1").codes == [Rejection.NOT_FOR_SUB]
    assert world.act("ann", action).codes == [Rejection.ACCEPTED]


def test_a_vaults_volume_is_not_its_leaders() -> None:
    """Fee tiers follow from each one's own trades."""
    tiers = [[0, 450, 150], [100 * USDC, 400, 120]]
    world = pool(fee_tiers=tiers)
    go_long(world, "2")
    world.prices({BTC: "100"}, at=world.state.time_ms + DAY)
    assert rates_today(world.state, world.account("ann$1")).taker == 400
    assert rates_today(world.state, world.account("ann")).taker == 450


def test_an_isolated_position_is_part_of_the_value_and_makes_room() -> None:
    """Its margin counts, and comes back when a round closes it."""
    world = pool()
    world.act("ann$1", UpdateLeverage(BTC, False, 1))
    go_long(world, "9")
    assert value(world) == 1_000 * USDC
    assert world.account("ann$1").raw == 100 * USDC
    world.place("cat", order(BTC, "buy", "9", "100"))
    result = world.act("ben", VaultTransfer(VAULT, False, 400 * USDC))
    assert [one["lots"] for one in result.fills] == [180_000, 144_000]
    assert result.of(Kind.SHARES)[0]["net"] == 400 * USDC
    assert value(world) == 600 * USDC


def test_what_is_not_covered_stays_the_holders_shares() -> None:
    """The book takes a little: he is paid what that frees, and keeps the rest."""
    world = pool()
    world.act("ann$1", UpdateLeverage(BTC, True, 1))
    go_long(world, "10")
    world.place("cat", order(BTC, "buy", "1.5", "99"))
    result = world.act("ben", VaultTransfer(VAULT, False, 500 * USDC))
    (record,) = result.of(Kind.SHARES)
    assert (record["requested"], record["closing_cost"]) == (500 * USDC, 1_500_000)
    assert record["net"] == 148_500_000
    assert record["gross"] == 150 * USDC
    held = world.state.vaults[VAULT].holders
    assert held[address_of("ben")].shares == 350 * USDC
    assert value(world) == 850 * USDC
    again = world.act("ben", VaultTransfer(VAULT, False, 350 * USDC))
    assert again.codes == [Rejection.VAULT_CASH]


def test_a_close_better_than_the_mark_is_everybodys() -> None:
    """The holder who leaves gets his part at the mark, not the gain."""
    world = pool()
    world.act("ann$1", UpdateLeverage(BTC, True, 1))
    go_long(world, "10")
    world.place("cat", order(BTC, "buy", "9", "104"))
    result = world.act("ben", VaultTransfer(VAULT, False, 100 * USDC))
    (record,) = result.of(Kind.SHARES)
    assert (record["closing_cost"], record["net"]) == (0, 100 * USDC)
    assert value(world) == 908 * USDC


def test_the_end_takes_everything_along() -> None:
    """Orders, triggers and TWAP orders end, positions are closed, everybody is paid, locked or not;
    afterwards its address is nobody's."""
    world = pool(vault_lockup_ms=DAY)
    go_long(world, "2")
    world.place("ann$1", order(BTC, "buy", "1", "90"))
    world.act("ann$1", TwapOrder(BTC, True, order(BTC, "buy", "10", "1").size, False, 30))
    world.place("cat", order(BTC, "buy", "5", "99"))
    result = world.act("ann", VaultDistribute(VAULT, 0))
    events = [one["event"] for one in result.of(Kind.USER_VAULT)]
    assert events == [VaultEvent.CLOSED]
    paid = {one["holder"]: one["net"] for one in result.of(Kind.SHARES)}
    assert paid == {address_of("ann"): 499 * USDC, address_of("ben"): 499 * USDC}
    assert {one["event"] for one in result.of(Kind.SHARES)} == {ShareEvent.CLOSE}
    account = world.account("ann$1")
    assert not account.orders
    assert not world.state.twaps
    assert account.raw == 0
    assert world.act("ann", VaultDistribute(VAULT, 0)).codes == [Rejection.VAULT_NOT_REGISTERED]
    assert world.act("ann", Noop(), vault="ann$1").codes == [Rejection.VAULT_NOT_REGISTERED]


def test_odd_units_of_a_closed_vault_are_rounding() -> None:
    """Three equal holders of 100.000001 USDC each get a third, down; the unit left has a place."""
    world = pool(leader=100, holder=0)
    for name in ("ben", "cat"):
        world.act(name, VaultTransfer(VAULT, True, 100 * USDC))
    account = world.account("ann$1")
    account.raw += 2  # a profit of two units, made from nothing for this test
    world.state.custody += 2
    world.state.touch(account)
    result = world.act("ann", VaultDistribute(VAULT, 0))
    assert [one["net"] for one in result.of(Kind.SHARES)] == [100 * USDC] * 3
    last = result.of(Kind.LEDGER)[-1]
    assert (last["type"], last["amount"]) == (LedgerType.VAULT_ROUNDING, 2)
