"""Whatever is done to a vault, no value moves between its holders beyond the stated rounding.

Two holders and the leader deposit, withdraw, are paid and close while the leader trades and marks
move; strangers try to donate. Every SHARES record is judged by the second implementation, and after
each action the exact fractions of everybody are compared with those before.
"""

from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chainperp.model.actions import (
    ApproveBuilderFee,
    CreateVault,
    PlaceOrders,
    SendAsset,
    UpdateLeverage,
    UsdSend,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
)
from chainperp.model.decisions import Kind, Rejection
from chainperp.model.vaults import Vault
from chainperp.rules.vaults import equity
from chainperp.state.store import ASSISTANCE_FUND, ROUNDING
from chainperp.transition.valuation import account_value, refresh
from chainperp.transition.vaults import vault_value
from tests.oracles.naive_vaults import Notebook
from tests.support.world import Result, World, address_of, order

USDC = 1_000_000
PEOPLE = ("lead", "ann", "ben")
VAULT = "lead$1"
HOUR_MS = 3_600_000
AMOUNTS = st.one_of(
    st.integers(1, 3 * USDC), st.integers(USDC, 400 * USDC), st.sampled_from([USDC, USDC + 1, 0])
)


class VaultMachine(RuleBasedStateMachine):
    """One vault under everything that people may ask."""

    @initialize(
        lockup=st.sampled_from([0, 0, HOUR_MS]), first=st.integers(100 * USDC, 900 * USDC),
        donation=st.sampled_from([0, 1, 10**9]), always=st.booleans(),
        times=st.sampled_from([0, 4, 8]),
    )  # fmt: skip
    def begin(self, lockup: int, first: int, donation: int, always: bool, times: int) -> None:
        """A new vault, perhaps with money at its address before, or with a large position."""
        self.world = World({"vault_creation_fee": 0, "vault_lockup_ms": lockup})
        self.book = Notebook(self.world.state.parameters.vault_commission_percent)
        self.world.fund(**dict.fromkeys(PEOPLE, "3000"), maker="1000000", eve="1000000")
        self.mark = 100
        self.gave = False
        self.world.prices({0: "100"})
        if donation:
            self.world.fund(**{VAULT: f"{donation // USDC}.{donation % USDC:06d}"})
        self.book.leaders[address_of(VAULT)] = address_of("lead")
        self.keep(self.world.act("lead", CreateVault("Vault", "of the test", first)))
        self.keep(self.world.act("lead", VaultModify(address_of(VAULT), None, always)))
        self.world.act(VAULT, UpdateLeverage(0, True, 10))
        self.world.act("maker", UpdateLeverage(0, True, 10))
        if times:
            self.trade(True, first * times // USDC, 0, leaves=False)

    @property
    def vault(self) -> Vault:
        """The vault."""
        found: Vault = self.world.state.vaults[address_of(VAULT)]
        return found

    def value(self) -> int:
        """Its value at the marks."""
        return vault_value(self.world.state, self.vault)

    def keep(self, result: Result) -> Rejection:
        """Judge the records of a block; the result of its one action."""
        for fields in result.of(Kind.SHARES):
            self.book.add(fields)
        return result.codes[-1]

    def fractions(self) -> dict[str, Fraction]:
        """What everybody's shares are worth, exactly."""
        value, total = self.value(), self.vault.shares
        return {
            name: Fraction(self.vault.holders[address_of(name)].shares * value, total)
            if address_of(name) in self.vault.holders
            else Fraction(0)
            for name in PEOPLE
        }

    def purses(self) -> dict[str, int]:
        """Everybody's money outside."""
        return {name: self.world.account(name).raw for name in PEOPLE}

    # --- what people do --------------------------------------------------------------------------

    @rule(name=st.sampled_from(PEOPLE), amount=AMOUNTS)
    def deposit(self, name: str, amount: int) -> None:
        """Others' shares keep their worth; the depositor loses less than two units."""
        self.moved(name, VaultTransfer(address_of(VAULT), True, amount))

    @rule(name=st.sampled_from(PEOPLE), usdc=st.integers(50, 900))
    def deposit_much(self, name: str, usdc: int) -> None:
        """Enough to matter."""
        self.moved(name, VaultTransfer(address_of(VAULT), True, usdc * USDC))

    @rule(name=st.sampled_from(PEOPLE), amount=AMOUNTS)
    def withdraw(self, name: str, amount: int) -> None:
        """The same, but for commission and the cost of closing."""
        self.moved(name, VaultTransfer(address_of(VAULT), False, amount))

    @rule(name=st.sampled_from(PEOPLE), percent=st.sampled_from([100, 99, 60, 30]))
    def withdraw_part(self, name: str, percent: int) -> None:
        """A part of one's equity; all of it to the unit."""
        share = self.vault.holders.get(address_of(name))
        if share is not None:
            worth = equity(share.shares, self.value(), self.vault.shares)
            amount = worth * percent // 100
            self.moved(name, VaultTransfer(address_of(VAULT), False, amount))

    def moved(self, name: str, action: VaultTransfer) -> None:
        """Carry out a transfer and compare everybody with before."""
        before, purses = self.fractions(), self.purses()
        value, total = self.value(), self.vault.shares
        result = self.world.act(name, action)
        code = self.keep(result)
        after, left = self.fractions(), self.purses()
        if code is not Rejection.ACCEPTED:
            assert not result.of(Kind.SHARES)
            assert left == purses
            return
        (fields,) = result.of(Kind.SHARES)
        # Nobody who stays pays for it (INV-V2, INV-V3).
        for other in PEOPLE:
            if other != name:
                assert after[other] >= before[other]
                commission = fields["commission"] if other == "lead" else 0
                assert left[other] - purses[other] == commission
        # A fill better than the mark is everybody's; otherwise what is lost is rounding.
        out = 0 if action.is_deposit else fields["net"] + fields["commission"]
        came = fields["gross"] if action.is_deposit else 0
        gain = max(0, self.value() - (value + came - out))
        own = after[name] - before[name] + left[name] - purses[name]
        own += fields["commission"] + fields["closing_cost"]
        covered = action.is_deposit or fields["gross"] >= min(action.amount, int(before[name]))
        slack = 2 if covered else 2 + Fraction(value, total)
        assert -slack < own <= gain

    @rule(amount=AMOUNTS)
    def distribute(self, amount: int) -> None:
        """Everybody is paid by shares, to the unit."""
        before, purses = self.fractions(), self.purses()
        action = VaultDistribute(address_of(VAULT), max(amount, 1))
        result = self.world.act("lead", action)
        code = self.keep(result)
        if code is not Rejection.ACCEPTED:
            return
        after, left = self.fractions(), self.purses()
        charged = {f["holder"]: f["commission"] for f in result.of(Kind.SHARES)}
        for name in PEOPLE:
            got = left[name] - purses[name] + charged.get(address_of(name), 0)
            if name == "lead":
                got -= sum(charged.values())
            assert abs(after[name] - before[name] + got) < len(PEOPLE)

    @precondition(lambda self: self.vault.shares)
    @rule(really=st.integers(0, 9))
    def close(self, really: int) -> None:
        """Everybody gets his part and the vault is empty, or it stays as it was."""
        if really:
            return
        others = sum(account.raw for account in self.others())
        code = self.keep(self.world.act("lead", VaultDistribute(address_of(VAULT), 0)))
        if code is Rejection.ACCEPTED and self.vault.is_closed:
            assert not self.vault.holders
            assert self.world.account(VAULT).raw == 0
            assert sum(account.raw for account in self.others()) >= others

    def others(self) -> list[Any]:
        """System accounts that may receive what rounding or fees leave."""
        return [self.world.state.accounts[one] for one in (ASSISTANCE_FUND, ROUNDING)]

    # --- markets ---------------------------------------------------------------------------------

    @rule(is_buy=st.booleans(), lots=st.integers(10, 4000), away=st.integers(-3, 3),
          leaves=st.booleans())  # fmt: skip
    def trade(self, is_buy: bool, lots: int, away: int, leaves: bool) -> None:
        """The leader trades the vault against a maker, who sometimes leaves a quote behind."""
        price = str(self.mark + away)
        size = f"{lots / 100:.2f}"
        sides = ("sell", "buy") if is_buy else ("buy", "sell")
        self.world.place("maker", order(0, sides[0], size, price))
        request = order(0, sides[1], size, price, "Ioc")
        self.world.act(VAULT, PlaceOrders([request]))
        if not leaves:
            for oid in sorted(self.world.account("maker").orders):
                self.world.cancel("maker", 0, oid)

    @rule(side=st.sampled_from(["buy", "sell"]), away=st.integers(1, 12))
    def quote(self, side: str, away: int) -> None:
        """A maker's quote for positions that must be closed."""
        price = self.mark - away if side == "buy" else self.mark + away
        self.world.place("maker", order(0, side, "30", str(price), "Alo"))

    @rule(side=st.sampled_from(["buy", "sell"]), lots=st.integers(10, 900))
    def rest(self, side: str, lots: int) -> None:
        """An order of the vault that holds margin."""
        price = self.mark - 20 if side == "buy" else self.mark + 20
        request = order(0, side, f"{lots / 100:.2f}", str(price), "Alo")
        self.world.act(VAULT, PlaceOrders([request]))

    @rule(change=st.integers(-9, 9))
    def move(self, change: int) -> None:
        """Another mark for everybody; the vault may be liquidated."""
        self.mark = max(20, self.mark + change)
        self.world.prices({0: str(self.mark)})

    @rule()
    def wait(self) -> None:
        """An hour passes: lock-ups end, funding is paid."""
        self.world.prices({0: str(self.mark)}, at=self.world.state.time_ms + HOUR_MS)

    # --- strangers -------------------------------------------------------------------------------

    @precondition(lambda self: not self.gave)
    @rule(amount=st.integers(1, 10**12))
    def donate(self, amount: int) -> None:
        """No way to give a vault money moves the price of its shares."""
        value = self.value()
        self.gave = True
        target = address_of(VAULT)
        asset = SendAsset(target, amount)
        asset.from_spot = asset.to_spot = False
        asset.is_plain = False
        for action in (
            UsdSend(target, amount), SendAsset(target, amount), asset, ApproveBuilderFee(target, 1),
        ):  # fmt: skip
            result = self.world.act("eve", action, user_signed=True)
            assert result.codes == [Rejection.DESTINATION_INVALID]
        leader = self.world.account("lead").raw
        self.world.fund(**{VAULT: "5"})
        assert self.world.account("lead").raw == leader + 5 * USDC
        assert self.value() == value

    # --- always ----------------------------------------------------------------------------------

    @invariant()
    def shares_add_up(self) -> None:
        """Σ shares is the total, in the notebook and in the state; Σ floor equity is covered."""
        if not hasattr(self, "world"):
            return
        held = sum(share.shares for share in self.vault.holders.values())
        assert held == self.vault.shares == self.book.total(address_of(VAULT))
        value = self.value()
        worth = [
            equity(one.shares, value, self.vault.shares) for one in self.vault.holders.values()
        ]
        assert sum(worth) <= max(0, value)
        assert all(one.shares > 0 for one in self.vault.holders.values())

    @invariant()
    def the_leader_keeps_his_part(self) -> None:
        """At least 5 % and 10^8 shares while the vault is open (INV-V6, INV-V12)."""
        if not hasattr(self, "world") or self.vault.is_closed:
            return
        own = self.vault.holders[address_of("lead")].shares
        assert own * 20 >= self.vault.shares
        assert own >= 10**8

    @invariant()
    def money_is_conserved(self) -> None:
        """Cash of all accounts is custody; the vault's account is worth what its parts are."""
        if not hasattr(self, "world"):
            return
        state = self.world.state
        total = sum(one.raw + one.raw_isolated_total for one in state.accounts.values())
        assert total == state.custody
        account = self.world.account(VAULT)
        refresh(state, account)
        assert self.value() == account_value(account) + account.raw_isolated_total


VaultMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
)
TestVaults = VaultMachine.TestCase
