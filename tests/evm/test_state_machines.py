"""Random histories against sums that must hold after every step.

Bridge: deposits less payouts is what it holds (and plain transfers beside). Token: supply is the
initial one less what was burned. BuybackVault: after a purchase it holds no token.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts_py.bridge import Status, Withdrawal
from contracts_py.handle import Reverted
from contracts_py.tokens import Token
from tests.evm.test_buyback import DECISION, SCHEDULE, Fund
from tests.evm.world import ACCOUNTS, IS_LONG, USD, Custody, World

SETTINGS = settings(
    max_examples=60 if IS_LONG else 2,
    stateful_step_count=30 if IS_LONG else 12,
    deadline=None,
    derandomize=not IS_LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
OWNER, ANN, BEN, CAT = ACCOUNTS[:4]
PEOPLE = st.sampled_from([ANN, BEN, CAT])


class BridgeMachine(RuleBasedStateMachine):
    """Deposits, requests, payouts, disputes, stops and plain transfers in any order."""

    @initialize()
    def start(self) -> None:
        """A funded bridge and an empty model."""
        self.made = Custody(World())
        self.made.fund(count=3)
        self.deposits = self.payouts = self.gifts = 0
        self.waiting: dict[int, tuple[Withdrawal, bool]] = {}
        self.count = 0

    @rule(who=PEOPLE, amount=st.integers(4 * USD, 60 * USD))
    def deposit(self, who: object, amount: int) -> None:
        """Counted when it is at least five dollars."""
        try:
            done = self.made.bridge.deposit(who, amount)  # type: ignore[arg-type]
        except Reverted:
            assert amount < 5 * USD
            return
        self.deposits += amount
        self.count += 1
        assert done.event("Deposit")["nonce"] == self.count

    @rule(amount=st.integers(1, USD))
    def gift(self, amount: int) -> None:
        """Dollars that are not a deposit."""
        self.made.usd.mint(OWNER, self.made.bridge.address, amount)
        self.gifts += amount

    @rule(amount=st.integers(1, 80 * USD), is_true=st.booleans())
    def request(self, amount: int, is_true: bool) -> None:
        """A withdrawal that the log has, or one that it does not have."""
        wid = len(self.waiting) + 1
        one = self.made.write(wid, amount, ANN.address)
        if not is_true:
            one = Withdrawal(wid, one.user, one.destination, amount + 1, one.entry_index)
        self.made.anchor_all()
        self.made.request(one)
        self.waiting[wid] = (one, is_true)

    @rule(data=st.data())
    def dispute(self, data: st.DataObject) -> None:
        """A false one is cancelled, a true one is not, nothing else is touched."""
        if not self.waiting:
            return
        wid = data.draw(st.sampled_from(sorted(self.waiting)))
        one, is_true = self.waiting[wid]
        was = self.made.bridge.request(wid).status
        size = self.made.anchor.latest()[0]
        entry = self.made.log.entries[one.entry_index]
        proof = self.made.log.inclusion(one.entry_index, size)
        try:
            self.made.bridge.dispute(CAT, wid, (size, one.entry_index), entry, proof)
        except Reverted:
            assert is_true or was is not Status.PENDING
            return
        assert not is_true
        assert was is Status.PENDING

    @rule()
    def wait(self) -> None:
        """Longer than the dispute period."""
        self.made.world.wait(60, blocks=6)

    @rule()
    def finalize(self) -> None:
        """What is due and covered is paid, once."""
        wids = sorted(self.waiting)[:32]
        done = self.made.bridge.finalize(BEN, wids)
        for one in done.events:
            if one.name == "Finalized":
                self.payouts += one.fields["amount"]

    @invariant()
    def dollars_add_up(self) -> None:
        """What it holds is deposits less payouts, and the gifts."""
        if not hasattr(self, "made"):
            return
        bridge = self.made.bridge
        held = self.made.usd.balance_of(bridge.address)
        assert held == self.deposits - self.payouts + self.gifts
        assert (bridge.deposited(), bridge.paid()) == (self.deposits, self.payouts)
        paid = [wid for wid in self.waiting if bridge.request(wid).status is Status.PAID]
        assert sum(self.waiting[wid][0].amount for wid in paid) == self.payouts


class TokenMachine(RuleBasedStateMachine):
    """Transfers and burns in any order."""

    SUPPLY = 10**6

    @initialize()
    def start(self) -> None:
        """The whole supply at the owner."""
        self.token = Token.deploy(
            World().web3, OWNER, ("Example", "EX"), self.SUPPLY, OWNER.address
        )
        self.held = dict.fromkeys((one.address for one in ACCOUNTS[:4]), 0)
        self.held[OWNER.address] = self.SUPPLY
        self.burned = 0

    @rule(sender=st.integers(0, 3), receiver=st.integers(0, 3), amount=st.integers(0, 10**6))
    def transfer(self, sender: int, receiver: int, amount: int) -> None:
        """Moves what is there, refuses what is not."""
        source, target = ACCOUNTS[sender], ACCOUNTS[receiver]
        try:
            self.token.transfer(source, target.address, amount)
        except Reverted:
            assert amount > self.held[source.address]
            return
        self.held[source.address] -= amount
        self.held[target.address] += amount

    @rule(holder=st.integers(0, 3), amount=st.integers(0, 10**5))
    def burn(self, holder: int, amount: int) -> None:
        """Destroys what is there."""
        who = ACCOUNTS[holder]
        try:
            self.token.burn(who, amount)
        except Reverted:
            assert amount > self.held[who.address]
            return
        self.held[who.address] -= amount
        self.burned += amount

    @invariant()
    def supply_adds_up(self) -> None:
        """Supply is the initial one less what was burned, and the sum of all balances."""
        if not hasattr(self, "token"):
            return
        supply = self.token.total_supply()
        assert supply == self.SUPPLY - self.burned == sum(self.held.values())
        assert self.token.burned() == self.burned
        for address, amount in self.held.items():
            assert self.token.balance_of(address) == amount


class BuybackMachine(RuleBasedStateMachine):
    """Trades, donations, waits and purchases in any order."""

    @initialize()
    def start(self) -> None:
        """A vault with 1,000 dollars."""
        self.made = Fund()
        self.bought_last = False
        self.salt = 0

    @rule(buys=st.booleans(), amount=st.integers(1, 300 * USD))
    def trade(self, buys: bool, amount: int) -> None:
        """Somebody moves the price."""
        size = amount if buys else amount * 10**12 // 20
        try:
            self.made.pool.swap(ANN, buys_token=buys, amount_in=size, least_out=0)
        except Reverted as error:
            if error.reason not in ("pool: less than asked", "balance too small"):
                raise

    @rule(amount=st.integers(1, 10**18))
    def donate(self, amount: int) -> None:
        """Tokens sent to the vault burn with the next purchase."""
        self.made.token.transfer(BEN, self.made.vault.address, amount)
        self.bought_last = False

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.made.world.wait(seconds)

    @rule()
    def buy(self) -> None:
        """From the pool, when the schedule and the price allow it."""
        due = self.made.vault.next_purchase()
        spent = self.made.vault.spent()
        try:
            done = self.made.vault.buy_from_pool(CAT, DECISION)
        except Reverted as error:
            if due and error.reason != "pool: less than asked":
                raise
            return
        assert done.event("Bought")["usd_spent"] == self.made.vault.spent() - spent
        assert due >= SCHEDULE.minimum_usd
        self.bought_last = True

    @rule(cents=st.integers(1_000, 4_000), tokens=st.integers(10**17, 3 * 10**18))
    def fill(self, cents: int, tokens: int) -> None:
        """From a maker, likewise."""
        self.salt += 1
        try:
            self.made.fill(self.made.quote(cents * USD // 100, tokens, self.salt))
        except Reverted as error:
            if not error.reason.startswith(("vault: ", "quote: price")):
                raise
            return
        self.bought_last = True

    @invariant()
    def nothing_is_kept(self) -> None:
        """No token stays after a purchase; supply and money spent add up."""
        if not hasattr(self, "made"):
            return
        vault, token = self.made.vault, self.made.token
        if self.bought_last:
            assert token.balance_of(vault.address) == 0
        assert token.total_supply() == token.initial_supply() - vault.burned()
        assert self.made.usd.balance_of(vault.address) == 1_000 * USD - vault.spent()


for machine in (BridgeMachine, TokenMachine, BuybackMachine):
    machine.TestCase.settings = SETTINGS

TestBridge = BridgeMachine.TestCase
TestToken = TokenMachine.TestCase
TestBuyback = BuybackMachine.TestCase
