"""Attacks on the money in vaults, with the figure that the victim may lose at most.

An attacker and his accomplice are one purse. Where a rule stops the attack, a second run without
it shows the damage (reliability 5.8, 11).
"""

from fractions import Fraction

import pytest

from chainperp.model.actions import (
    ApproveBuilderFee,
    CreateVault,
    PlaceOrders,
    SendAsset,
    UpdateLeverage,
    UsdSend,
    VaultDistribute,
    VaultTransfer,
)
from chainperp.model.decisions import Kind, Rejection
from chainperp.rules.vaults import equity, shares_bought
from chainperp.transition.vaults import vault_value
from tests.support.world import World, address_of, order

USDC = 1_000_000
DAY = 86_400_000
VAULT = address_of("eve$1")
BTC = 0


def stage(first: int = 100, **parameters: object) -> World:
    """Eve leads a vault; Mia is her accomplice, Vic the victim."""
    values: dict[str, object] = {"vault_creation_fee": 0, "fee_tiers": [[0, 0, 0]]}
    world = World({**values, **parameters})
    world.fund(eve="10000", mia="5000000", vic="5000000")
    world.prices({BTC: "100"})
    world.act("eve", CreateVault("Trap", "a vault of the attacks", first * USDC))
    return world


def worth(world: World, name: str) -> int:
    """What somebody's shares are worth."""
    vault = world.state.vaults[VAULT]
    share = vault.holders.get(address_of(name))
    held = 0 if share is None else share.shares
    return equity(held, vault_value(world.state, vault), vault.shares)


def purse(world: World, *names: str) -> int:
    """Money outside and inside the vault."""
    return sum(world.account(name).raw + worth(world, name) for name in names)


def lose_to_the_vault(world: World, usdc: int) -> None:
    """Mia loses money to the vault by trading with it: the only gift that the rules cannot see."""
    price = 10
    size = f"{usdc / (100 - price):.5f}"
    world.place("eve$1", order(BTC, "buy", size, str(price)))
    world.place("mia", order(BTC, "sell", size, str(price), "Ioc"))


# --- share inflation and donation -----------------------------------------------------------------


def test_no_gift_reaches_a_vault() -> None:
    """U-REL-3: every way to send money there is refused, or is its leader's."""
    world = stage()
    value = vault_value(world.state, world.state.vaults[VAULT])
    asset = SendAsset(VAULT, USDC)
    asset.from_spot, asset.to_spot, asset.is_plain = False, False, False
    for action in (
        UsdSend(VAULT, USDC), SendAsset(VAULT, USDC), asset, ApproveBuilderFee(VAULT, 10),
    ):  # fmt: skip
        result = world.act("mia", action, user_signed=True)
        assert result.codes == [Rejection.DESTINATION_INVALID]
    before = world.account("eve").raw
    world.fund(**{"eve$1": "1000000"})
    assert world.account("eve").raw == before + 10**12
    assert vault_value(world.state, world.state.vaults[VAULT]) == value


def test_a_donation_of_a_million_before_the_vault_takes_nothing_from_the_next() -> None:
    """10^12 units at the address before: they are in the leader's shares, one for each."""
    world = World({"vault_creation_fee": 0, "vault_lockup_ms": 0})
    world.fund(eve="1000", vic="1000", **{"eve$1": "1000000"})
    world.act("eve", CreateVault("Trap", "a vault of the attacks", 100 * USDC))
    before = purse(world, "vic")
    world.act("vic", VaultTransfer(VAULT, True, 999_999_999))
    assert before - purse(world, "vic") < 2


@pytest.mark.parametrize("amount", [USDC, 1_234_567, 10**9 + 1])
def test_a_million_lost_to_the_vault_takes_nothing_from_the_next(amount: int) -> None:
    """10^12 units by a losing trade: a share is worth about 0.01 USDC, and what does not pay for a
    whole one is not taken (U-VLT-9)."""
    world = stage(vault_lockup_ms=0, order_band_numerator=95, order_band_denominator=100,
                  user_fill_limit=0)  # fmt: skip
    world.act("mia", UpdateLeverage(BTC, True, 1))
    for _ in range(7):
        cash = world.account("eve$1").raw
        lose_to_the_vault(world, min(10**6, 4 * cash // USDC))
        lots = world.account("eve$1").exposures[BTC].lots
        if lots:  # give the position back at the mark, and keep the profit
            size = f"{lots / 10**5:.5f}"
            world.place("eve$1", order(BTC, "sell", size, "100"))
            world.place("mia", order(BTC, "buy", size, "100", "Ioc"))
    vault = world.state.vaults[VAULT]
    assert vault_value(world.state, vault) > 10**12
    assert Fraction(vault_value(world.state, vault), vault.shares) > 10**4
    before = purse(world, "vic")
    result = world.act("vic", VaultTransfer(VAULT, True, amount))
    assert result.codes == [Rejection.ACCEPTED]
    assert before - purse(world, "vic") < 2
    world.act("vic", VaultTransfer(VAULT, False, worth(world, "vic")))
    assert before - world.account("vic").raw < 2


def test_without_the_exact_cost_the_next_depositor_would_lose() -> None:
    """What the published rule alone would take: up to the price of a share."""
    value, shares = 10**12 + 10**8, 10**8
    bought, cost = shares_bought(1_005_000, value, shares)
    assert (bought, cost) == (100, 1_000_100)
    taken_whole = 1_005_000 - equity(bought, value + 1_005_000, shares + bought)
    assert taken_whole > 4_000
    assert cost - equity(bought, value + cost, shares + bought) < 2


def test_no_vault_is_left_with_a_few_shares() -> None:
    """The leader who would keep less than 10^8 shares must close it (INV-V12)."""
    world = stage(vault_lockup_ms=0)
    result = world.act("eve", VaultTransfer(VAULT, False, 99_999_999))
    assert result.codes == [Rejection.VAULT_LEADER_SHARE]
    assert world.act("eve", VaultDistribute(VAULT, 0)).codes == [Rejection.ACCEPTED]
    assert world.state.vaults[VAULT].is_closed


# --- timing ---------------------------------------------------------------------------------------


def long_vault() -> World:
    """Vic and Eve hold 1,000 each; the vault is long 10 at 100."""
    world = stage(1_000, vault_lockup_ms=DAY)
    world.act("vic", VaultTransfer(VAULT, True, 1_000 * USDC))
    world.place("mia", order(BTC, "sell", "10", "100"))
    world.place("eve$1", order(BTC, "buy", "10", "100", "Ioc"))
    return world


def test_a_deposit_around_a_known_move_of_the_mark_does_not_leave_with_it() -> None:
    """The sandwich: in before the mark rises, out after. The lock-up keeps it in for a day."""
    world = long_vault()
    world.act("mia", VaultTransfer(VAULT, True, 10_000 * USDC))
    world.prices({BTC: "104"})
    gained = worth(world, "mia") - 10_000 * USDC
    assert gained > 0
    out = world.act("mia", VaultTransfer(VAULT, False, 10_000 * USDC))
    assert out.codes == [Rejection.VAULT_LOCKED]
    world.prices({BTC: "96"})
    assert world.act("mia", VaultTransfer(VAULT, False, USDC)).codes == [Rejection.VAULT_LOCKED]
    world.prices({BTC: "100"}, at=world.state.time_ms + DAY)
    world.prices({BTC: "100"})
    assert worth(world, "mia") <= 10_000 * USDC


def test_a_second_deposit_locks_the_first_again() -> None:
    """Nobody keeps a free part ready for the exit before a loss by depositing a little each day."""
    world = long_vault()
    world.prices({BTC: "100"}, at=world.state.time_ms + DAY)
    world.act("vic", VaultTransfer(VAULT, True, USDC))
    out = world.act("vic", VaultTransfer(VAULT, False, 500 * USDC))
    assert out.codes == [Rejection.VAULT_LOCKED]


def test_nobody_leaves_at_an_old_price() -> None:
    """Exit before a known loss: while prices are stale the door is shut for everybody."""
    world = stage(1_000, vault_lockup_ms=0, price_stale_ms=60_000)
    world.act("vic", VaultTransfer(VAULT, True, 1_000 * USDC))
    world.place("mia", order(BTC, "sell", "10", "100"))
    world.place("eve$1", order(BTC, "buy", "10", "100", "Ioc"))
    world.block(at=world.state.time_ms + 60_001)
    for name, is_deposit in (("vic", False), ("mia", True)):
        result = world.act(name, VaultTransfer(VAULT, is_deposit, 5 * USDC))
        assert result.codes == [Rejection.VAULT_NO_PRICE]


def test_nobody_leaves_a_vault_that_is_below_maintenance() -> None:
    """The loss that is certain is everybody's (U-VLT-4, INV-V9)."""
    world = stage(1_000, vault_lockup_ms=0, liquidations_per_block=0)
    world.act("vic", VaultTransfer(VAULT, True, 1_000 * USDC))
    world.act("eve$1", UpdateLeverage(BTC, True, 20))
    world.act("mia", UpdateLeverage(BTC, True, 20))
    world.place("mia", order(BTC, "sell", "390", "100"))
    world.place("eve$1", order(BTC, "buy", "390", "100", "Ioc"))
    world.prices({BTC: "95.2"})
    out = world.act("vic", VaultTransfer(VAULT, False, 5 * USDC))
    assert out.codes == [Rejection.VAULT_WITHDRAWAL_LIQUIDATABLE]
    come = world.act("mia", VaultTransfer(VAULT, True, 5 * USDC))
    assert come.codes == [Rejection.VAULT_DEPOSIT_LIQUIDATABLE]


# --- the leader -----------------------------------------------------------------------------------


def test_washing_against_himself_earns_the_leader_nothing() -> None:
    """A profit that the leader pays for is at most a tenth his again as commission, and trades at
    one price cost both sides their fees."""
    world = stage(1_000, vault_lockup_ms=0, fee_tiers=[[0, 450, 150]])
    world.act("vic", VaultTransfer(VAULT, True, 1_000 * USDC))
    before = purse(world, "eve", "mia", "vic")
    own = purse(world, "eve", "mia")
    for _ in range(3):
        world.place("mia", order(BTC, "sell", "5", "100"))
        world.place("eve$1", order(BTC, "buy", "5", "100", "Ioc"))
        world.place("mia", order(BTC, "buy", "5", "101"))
        world.place("eve$1", order(BTC, "sell", "5", "101", "Ioc"))
    result = world.act("vic", VaultTransfer(VAULT, False, worth(world, "vic")))
    (record,) = result.of(Kind.SHARES)
    assert 0 < record["commission"] < 1 * USDC
    assert purse(world, "eve", "mia") < own
    assert purse(world, "eve", "mia", "vic") < before


def test_far_bids_cannot_take_more_than_the_leaver_is_owed() -> None:
    """A leader's bid ten percent below the mark, in an empty book at 20x: what it takes is the
    leaver's at most, never the others' (INV-V3)."""
    world = stage(1_000, vault_lockup_ms=0)
    for name in ("vic", "mia"):
        world.act(name, VaultTransfer(VAULT, True, 1_000 * USDC))
    world.act("eve$1", UpdateLeverage(BTC, True, 20))
    world.act("mia", UpdateLeverage(BTC, True, 20))
    world.place("mia", order(BTC, "sell", "300", "100"))
    world.place("eve$1", order(BTC, "buy", "300", "100", "Ioc"))
    world.place("mia", order(BTC, "buy", "600", "90"))
    stay = worth(world, "mia")
    result = world.act("vic", VaultTransfer(VAULT, False, 100 * USDC))
    assert worth(world, "mia") >= stay
    assert not result.fills  # 60 at 90 would cost 600: nothing is sold for 100
    result = world.act("vic", VaultTransfer(VAULT, False, 1_000 * USDC))
    (record,) = result.of(Kind.SHARES)
    assert record["closing_cost"] <= record["gross"] <= 1_000 * USDC
    assert worth(world, "mia") >= stay


def test_a_leader_cannot_send_what_he_trades() -> None:
    """Nothing leaves in the vault's name: INV-V11 and the table in tests/unit."""
    world = stage(1_000)
    send = world.act("eve", UsdSend(address_of("mia"), 500 * USDC), user_signed=True, vault="eve$1")
    assert send.codes == [Rejection.ACCEPTED]  # his own money: a user-signed action names nobody
    assert world.account("eve$1").raw == 1_000 * USDC


# --- dust -----------------------------------------------------------------------------------------


def test_many_small_exits_pay_the_commission_but_for_rounding() -> None:
    """200 exits against one: at least 1 USDC each, so that less than a unit of commission is saved
    each time."""
    figures = []
    for parts in (1, 200):
        world = stage(1_000, vault_lockup_ms=0)
        world.act("vic", VaultTransfer(VAULT, True, 1_000 * USDC))
        world.place("mia", order(BTC, "sell", "10", "100"))
        world.place("eve$1", order(BTC, "buy", "10", "100", "Ioc"))
        for price in ("104", "108", "112"):
            world.prices({BTC: price})
        world.place("mia", order(BTC, "buy", "10", "104"))
        world.place("eve$1", order(BTC, "sell", "10", "104", "Ioc"))
        total = worth(world, "vic")
        for _ in range(parts - 1):
            world.act("vic", VaultTransfer(VAULT, False, total // parts))
        world.act("vic", VaultTransfer(VAULT, False, worth(world, "vic")))
        assert worth(world, "vic") == 0
        figures.append(world.account("vic").raw)
    assert abs(figures[1] - figures[0]) <= 200


def test_a_unit_cannot_be_taken_out_alone() -> None:
    """Less than 1 USDC leaves only as the last of it (U-VLT-10)."""
    world = stage(1_000, vault_lockup_ms=0)
    world.act("vic", VaultTransfer(VAULT, True, 10 * USDC))
    small = world.act("vic", VaultTransfer(VAULT, False, 9))
    assert small.codes == [Rejection.VAULT_AMOUNT_TOO_SMALL]


# --- numbers --------------------------------------------------------------------------------------


def test_shares_of_a_ruined_vault_are_not_sold_by_the_heap() -> None:
    """A vault that lost nearly everything takes no deposit: the number of its shares would leave
    every field, and stop the chain."""
    world = stage(1_000)
    account = world.account("eve$1")
    lost = account.raw - 900  # as if it had traded the rest away
    account.raw -= lost
    world.account("mia").raw += lost
    for one in (account, world.account("mia")):
        world.state.touch(one)
    result = world.act("vic", VaultTransfer(VAULT, True, 4_000_000 * USDC))
    assert result.codes == [Rejection.VAULT_WORTHLESS]


def test_orders_of_a_vault_pay_no_builder() -> None:
    """A leader cannot name himself as the builder of his vault's orders."""
    world = stage(1_000)
    world.act("eve", ApproveBuilderFee(address_of("mia"), 100), user_signed=True)
    action = PlaceOrders([order(BTC, "buy", "1", "90")], builder=(address_of("mia"), 10))
    result = world.act("eve", action, vault="eve$1")
    assert result.codes == [Rejection.BUILDER_NOT_APPROVED]
