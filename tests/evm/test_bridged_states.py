"""Random lives of a ledger, a machine and the keeper between them, against sums that always hold.

Custody less grants is deposits credited less payouts recorded. What the bridge counts differs from
that by what was not credited or recorded yet. Tokens that exist are those of the start less the
burned ones, and the vault has none after a purchase.
"""

from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chainperp.state.store import ASSISTANCE_FUND
from contracts_py.bridge import Withdrawal
from contracts_py.handle import Reverted
from tests.evm.bridged import KEYS, NAMES, USD, Bridged, Killed, account, address_of
from tests.evm.world import IS_LONG

SETTINGS = settings(
    max_examples=30 if IS_LONG else 2,
    stateful_step_count=40 if IS_LONG else 10,
    deadline=None,
    derandomize=not IS_LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PEOPLE = st.sampled_from(NAMES)


class BridgedMachine(RuleBasedStateMachine):
    """Deposits, grants, withdrawals, thefts, gifts, purchases and deaths in any order."""

    @initialize()
    def start(self) -> None:
        """Contracts, three people with dollars, and a fund with something to send."""
        self.made = Bridged(Path(mkdtemp(prefix="bridged-states-")))
        self.made.now += 100
        self.made.grant(ASSISTANCE_FUND, 300)
        self.minted = self.gifts = self.donated = 0
        self.granted = 300 * USD
        self.is_clean = True

    @rule(name=PEOPLE, usd=st.integers(5, 200))
    def deposit(self, name: str, usd: int) -> None:
        """On the EVM; the ledger hears of it."""
        try:
            self.made.bridge.deposit(account(name), usd * USD)
        except Reverted as error:
            if error.reason not in ("allowance too small", "balance too small"):
                raise

    @rule(name=PEOPLE, usd=st.integers(1, 100))
    def grant(self, name: str, usd: int) -> None:
        """From nowhere."""
        self.made.grant(address_of(name), usd)
        self.granted += usd * USD

    @rule(name=PEOPLE, receiver=PEOPLE, usd=st.integers(2, 150))
    def withdraw(self, name: str, receiver: str, usd: int) -> None:
        """On the ledger, when there is enough."""
        if self.made.cash(name) >= usd * USD:
            self.made.withdraw(name, usd, address_of(receiver))

    @rule(usd=st.integers(1, 20))
    def gift(self, usd: int) -> None:
        """Dollars sent to the bridge without a deposit."""
        self.made.usd.mint(self.made.keeper.operator, self.made.bridge.address, usd * USD)
        self.gifts += usd * USD

    @rule(units=st.integers(1, 10**18))
    def donate(self, units: int) -> None:
        """Tokens sent to the vault burn with the next purchase."""
        self.made.token.transfer(self.made.keeper.operator, self.made.vault.address, units)
        self.is_clean = False

    @rule(usd=st.integers(1, 40))
    def feed(self, usd: int) -> None:
        """Dollars sent to the vault, and a stranger who spends what is there."""
        operator = self.made.keeper.operator
        self.made.usd.mint(operator, self.made.vault.address, usd * USD)
        try:
            self.made.vault.buy_from_pool(operator, b"\7" * 32)
        except Reverted:
            return
        self.is_clean = True

    @rule(amount=st.integers(1, 10**9))
    def steal(self, amount: int) -> None:
        """A corrupt quorum asks for a number that the ledger never gave."""
        size = self.made.keeper.anchor.latest()[0]
        if not size:
            return
        thief = account("cat").address
        false = Withdrawal(1_000 + amount, thief, thief, amount, size - 1)
        signed = KEYS.sign(self.made.bridge.withdrawal_digest(false))
        self.made.bridge.request_withdrawals(account("cat"), [(false, signed)], KEYS.set)
        # Whoever watches does so within the dispute period: the keeper is asked twice.
        self.live()
        self.live()
        assert self.made.bridge.paid() == self.paid_by_events()

    @rule(count=st.integers(1, 4))
    def live(self, count: int = 1) -> None:
        """The keeper works and the ledger records."""
        for _ in range(count):
            self.take(self.made.tick().done)

    @rule()
    def lose_a_report(self) -> None:
        """It worked, and died before the ledger recorded it."""
        self.take(self.made.step().done)
        self.made.reopen()

    @rule(count=st.integers(1, 3))
    def die(self, count: int) -> None:
        """It dies after so many transactions, if it has as many to send."""
        self.made.provider.left = self.made.provider.sent + count
        held = self.made.usd.balance_of(self.made.bridge.address)
        paid = self.made.bridge.paid()
        try:
            self.take(self.made.tick().done)
        except Killed:
            self.made.reopen()
            # Nobody was told of what it minted.
            now = self.made.usd.balance_of(self.made.bridge.address)
            self.minted += now - held + self.made.bridge.paid() - paid
            if self.made.token.balance_of(self.made.vault.address) == 0:
                self.is_clean = True
        self.made.provider.left = None

    def take(self, done: object) -> None:
        """Note what a step did."""
        self.minted += getattr(done, "minted", 0)
        self.is_clean = self.is_clean or bool(getattr(done, "bought", 0))

    def paid_by_events(self) -> int:
        """Dollars of all payouts."""
        seen = self.made.bridge.events()
        return sum(one.fields["amount"] for _block, one in seen if one.name == "Finalized")

    @invariant()
    def everything_adds_up(self) -> None:
        """The two books, and what is on its way between them."""
        if not hasattr(self, "is_clean"):
            return
        made, state = self.made, self.made.engine.state
        book = made.book()
        credited = sum(one.fields["amount"] for one in book.deposits.values())
        recorded = sum(
            book.requests[wid].amount
            for wid, one in book.payouts.items()
            if one.fields["outcome"] == 1
        )
        assert state.custody - self.granted == credited - recorded
        bridge = made.bridge
        events = [one for _block, one in bridge.events()]
        unseen = sum(
            one.fields["amount"]
            for one in events
            if one.name == "Deposit" and one.fields["nonce"] not in book.deposits
        )
        unrecorded = sum(
            one.fields["amount"]
            for one in events
            if one.name == "Finalized" and one.fields["wid"] not in book.payouts
        )
        counted = bridge.deposited() - bridge.paid()
        assert counted == credited - recorded + unseen - unrecorded
        held = made.usd.balance_of(bridge.address)
        assert held == counted + self.minted + self.gifts
        supply = made.token.total_supply()
        assert supply == made.token.initial_supply() - made.token.burned()
        assert made.token.burned() == made.vault.burned()
        if self.is_clean:
            assert made.token.balance_of(made.vault.address) == 0

    def teardown(self) -> None:
        """Left alone, everything completes, and every pair agrees."""
        if hasattr(self, "is_clean"):
            self.made.settle(most=200)
            found = self.made.compare()
            assert found.findings == []
            assert not [one for one in found.open if "no purchase" not in one]
            self.made.close()


BridgedMachine.TestCase.settings = SETTINGS
TestBridged = BridgedMachine.TestCase
