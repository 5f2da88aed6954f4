"""State: the memory of the exchange. Typed collections and the list of what changed.

Nothing here decides. Walks over accounts and holders are in address order; walks over orders in
queue order; no result depends on how a dictionary grew. `touch` and `touch_exposure` note a changed
leaf once per commit; whatever changes a committed value calls them.
"""

from bisect import insort
from typing import Final

from chainperp.base.units import Address
from chainperp.model.accounts import (
    NO_RATES,
    Account,
    Agent,
    Exemption,
    Exposure,
    Validator,
    Withdrawal,
)
from chainperp.model.arrangements import (
    MultiSigUser,
    Referral,
    Schedule,
    SubAccount,
    Twap,
)
from chainperp.model.bridge import EvmContracts
from chainperp.model.fund import Fund
from chainperp.model.markets import MarketTerms
from chainperp.model.tokens import NO_SPOT, SPOT_FIRST, SpotListing, tokens_of, wire_name
from chainperp.model.vaults import Vault
from chainperp.parameters.schema import Parameters
from chainperp.state.book import Book
from chainperp.state.pairs import SpotPair, change
from chainperp.state.schemas import spot_collection
from chainperp.state.triggers import TriggerBook

ASSISTANCE_FUND: Final = Address(b"\xfe" * 20)
LIQUIDITY_VAULT: Final = Address(bytes.fromhex("dfc24b077bc1425ad1dea75bcb6f8158e10df303"))
ROUNDING: Final = Address(b"\x00" * 18 + b"\xff\x01")
BACKSTOP_VAULT: Final = Address(b"\x00" * 18 + b"\xff\x02")
INSURANCE: Final = Address(b"\x00" * 18 + b"\xff\x03")
MARKET_MAKER: Final = Address(b"\x00" * 18 + b"\xff\x04")
# Holds rewards of referrers until they claim them.
REFERRALS: Final = Address(b"\x00" * 18 + b"\xff\x05")
SYSTEM_ACCOUNTS: Final = (
    ASSISTANCE_FUND,
    LIQUIDITY_VAULT,
    ROUNDING,
    BACKSTOP_VAULT,
    INSURANCE,
    MARKET_MAKER,
    REFERRALS,
)

# The liquidity vault is worth what these accounts are worth: the parent, then its children.
HLP_MEMBERS: Final = (LIQUIDITY_VAULT, BACKSTOP_VAULT, MARKET_MAKER)


def _number_of(one: SubAccount | Vault) -> int:
    return one.number


class Market:
    """One perpetual: its terms, book, prices, averages and premium samples.

    `holders` are the accounts with a position. Prices are 0 until the first oracle round.
    """

    __slots__ = (
        "asset", "basis_denominator", "basis_numerator", "book", "book_denominator",
        "book_numerator", "external", "holders", "is_dirty", "leverage_max", "lot_e8", "lots_long",
        "lots_short", "mark", "mark_previous", "oracle", "oracle_time", "order_values",
        "premium_samples", "premium_sum", "terms", "tick_e8", "triggers", "votes",
    )  # fmt: skip

    def __init__(self, terms: MarketTerms) -> None:
        self.asset = terms.asset
        self.terms = terms
        self.leverage_max = terms.leverage_max
        # Greatest value of an order that takes and of one that may rest, once it was asked for.
        self.order_values: tuple[int, int] | None = None
        self.tick_e8 = 10 ** (2 + terms.size_decimals)
        self.lot_e8 = 10 ** (8 - terms.size_decimals)
        self.book = Book()
        self.triggers = TriggerBook()
        self.mark = 0
        self.mark_previous = 0
        self.oracle = 0
        self.oracle_time = 0
        self.external: int | None = None
        # Latest vote per validator: (oracle price, external price or 0, time, hash of the vote).
        self.votes: dict[Address, tuple[int, int, int, bytes]] = {}
        self.basis_numerator = 0
        self.basis_denominator = 0
        self.book_numerator = 0
        self.book_denominator = 0
        self.premium_sum = 0
        self.premium_samples = 0
        self.lots_long = 0
        self.lots_short = 0
        self.holders: dict[Address, Exposure] = {}
        self.is_dirty = True


class State:
    """Everything that the rules may read. One per chain; changed only by `transition/`."""

    __slots__ = (
        "accounts",
        "agents",
        "builder_approvals",
        "changed_accounts",
        "changed_agents",
        "changed_arrangements",
        "changed_exempt",
        "changed_exposures",
        "changed_validators",
        "changed_withdrawals",
        "credited",
        "custody",
        "day",
        "day_values",
        "deposits",
        "display_names",
        "evm",
        "exempt",
        "first_rates",
        "fund",
        "granted",
        "height",
        "held",
        "mark_epoch",
        "markets",
        "multi_sigs",
        "network",
        "next_oid",
        "next_tid",
        "next_twap",
        "next_wid",
        "owed_rewards",
        "owed_to_vault",
        "paid_out",
        "pairs",
        "parameters",
        "referral_codes",
        "referrals",
        "schedule_queue",
        "schedules",
        "spot",
        "sub_accounts",
        "subs_of",
        "time_ms",
        "token_numbers",
        "tokens",
        "twap_queue",
        "twaps",
        "twaps_of",
        "uncovered",
        "unfiled",
        "validators",
        "vaults",
        "vaults_of",
        "volume_day",
        "volume_days",
        "withdrawals",
    )  # fmt: skip

    def __init__(
        self,
        parameters: Parameters,
        terms: list[MarketTerms],
        network: str,
        listing: SpotListing = NO_SPOT,
        evm: EvmContracts | None = None,
    ) -> None:
        self.parameters = parameters
        self.network = network
        self.evm = evm
        self.height = 0
        self.time_ms = 0
        self.day = 0
        self.markets = [Market(one) for one in terms]
        self.accounts: dict[Address, Account] = {}
        self.agents: dict[Address, Agent] = {}
        self.validators: dict[Address, Validator] = {}
        self._begin_border()
        self.next_oid = 1
        self.next_tid = 1
        self.next_wid = 1
        self.next_twap = 1
        self.mark_epoch = 0
        self.uncovered = 0
        self.exempt: dict[Address, list[Exemption]] = {}
        self.changed_exempt: dict[Address, None] = {}
        self.changed_accounts: list[Account] = []
        self.changed_exposures: list[tuple[Account, Exposure]] = []
        self.changed_agents: dict[Address, None] = {}
        self.changed_validators: dict[Address, None] = {}
        self.schedules: dict[Address, Schedule] = {}
        # (time, address) of every switch that is set, ascending.
        self.schedule_queue: list[tuple[int, Address]] = []
        self.sub_accounts: dict[Address, SubAccount] = {}
        # The same by master, in order of their numbers.
        self.subs_of: dict[Address, list[SubAccount]] = {}
        # Highest rate in tenths of a basis point, by account and builder.
        self.builder_approvals: dict[Address, dict[Address, int]] = {}
        self.multi_sigs: dict[Address, MultiSigUser] = {}
        self.tokens = tokens_of(listing)
        self.token_numbers = {wire_name(one.index, one.name): one.index for one in self.tokens}
        self.pairs = [
            SpotPair(index, self.tokens[base]) for index, base in enumerate(listing.pairs)
        ]
        # Balances outside the margin of perpetuals by token, and what of them resting orders hold;
        # in the token's smallest unit. Accounts without any are not in it.
        self.spot: dict[int, dict[Address, int]] = {one.index: {} for one in self.tokens}
        self.held: dict[int, dict[Address, int]] = {one.index: {} for one in self.tokens}
        self.display_names: dict[Address, str] = {}
        self.twaps: dict[int, Twap] = {}
        # Ids by account, ascending; and (time of the next slice, id) of all, ascending.
        self.twaps_of: dict[Address, list[int]] = {}
        self.twap_queue: list[tuple[int, int]] = []
        self.changed_arrangements: dict[tuple[str, bytes], None] = {}
        self.unfiled: list[Account] = []
        self._begin_fees()
        self._begin_system()

    @property
    def buyback_vault(self) -> Address | None:
        """The contract that buys on the EVM with the fund's money; None where there is none."""
        return None if self.evm is None else self.evm.vault

    def _begin_border(self) -> None:
        """What is held for everybody and waits to be paid; and, in micro-USDC since genesis, the
        deposits from outside, the grants and the withdrawals paid out."""
        self.withdrawals: dict[int, Withdrawal] = {}
        self.changed_withdrawals: dict[int, None] = {}
        self.custody = 0
        self.deposits = 0
        self.credited = 0
        self.granted = 0
        self.paid_out = 0

    def _begin_system(self) -> None:
        """The accounts and the vault that every chain has."""
        for address in SYSTEM_ACCOUNTS:
            self.touch(self.open_account(address))
        self.vaults: dict[Address, Vault] = {}
        # The same by leader, in order of their numbers, closed ones included.
        self.vaults_of: dict[Address, list[Vault]] = {}
        # What a child of the liquidity vault was worth when its day began, in micro-USDC.
        self.day_values: dict[Address, int] = {}
        # Its leader is an account without a key: nobody trades it or changes its settings.
        self.add_vault(Vault(LIQUIDITY_VAULT, INSURANCE, 0, "Liquidity Provider"))

    def _begin_fees(self) -> None:
        """What fees need to be known of the exchange and of referrals, and the fund's books."""
        self.fund = Fund()
        # Of the block so far: the liquidity vault's share; and by account that trades, its fees and
        # its referrer's reward for them.
        self.owed_to_vault = 0
        self.owed_rewards: dict[Address, tuple[int, int]] = {}
        # Volume of the exchange today and on closed days (day, weighted micro-USDC): that of its
        # makers, which is that of its takers.
        self.volume_day = 0
        self.volume_days: list[tuple[int, int]] = []
        # Today's rates of an account without volume, once they were asked for.
        self.first_rates = NO_RATES
        self.referrals: dict[Address, Referral] = {}
        self.referral_codes: dict[str, Address] = {}

    def open_account(self, address: Address) -> Account:
        """The account at an address, made when it does not exist yet."""
        account = self.accounts.get(address)
        if account is None:
            account = Account(address)
            self.accounts[address] = account
            self.unfiled.append(account)
        return account

    def open_exposure(self, account: Account, asset: int) -> Exposure:
        """The account's exposure in a market; a new one has the default mode and leverage."""
        exposure = account.exposures.get(asset)
        if exposure is None:
            market = self.markets[asset]
            leverage = self.parameters.leverage_default
            if leverage > market.leverage_max:
                leverage = market.leverage_max
            exposure = Exposure(asset, not market.terms.is_isolated_only, leverage)
            account.exposures[asset] = exposure
        return exposure

    def touch(self, account: Account) -> None:
        """Note that an account's leaf changed."""
        if not account.is_dirty:
            account.is_dirty = True
            self.changed_accounts.append(account)

    def touch_exposure(self, account: Account, exposure: Exposure) -> None:
        """Note that a position's leaf changed."""
        if not exposure.is_dirty:
            exposure.is_dirty = True
            self.changed_exposures.append((account, exposure))

    def note(self, collection: str, key: bytes) -> None:
        """Note that a value of `state/arrangements.py` changed or is gone."""
        self.changed_arrangements[collection, key] = None

    def unfile(self, account: Account) -> None:
        """Note that an account's money or positions changed: `Sweep` must file it anew.

        Invariant: an account is in `unfiled` exactly when it is not `is_filed`.
        """
        if account.is_filed:
            account.is_filed = False
            self.unfiled.append(account)

    def add_spot(self, token: int, address: Address, amount: int) -> None:
        """Change the spot balance of an account that exists by a signed amount of a token."""
        change(self.spot[token], address, amount, "balance")
        self.note(spot_collection(token), address)

    def hold_spot(self, token: int, address: Address, amount: int) -> None:
        """Change what resting orders of an account hold of a token by a signed amount."""
        change(self.held[token], address, amount, "hold")

    def spot_held(self, token: int, address: Address) -> int:
        """What resting orders of an account hold of a token."""
        return self.held[token].get(address, 0)

    def spot_free(self, token: int, address: Address) -> int:
        """What an account may use of a token: its balance without what orders hold."""
        return self.spot[token].get(address, 0) - self.held[token].get(address, 0)

    def book(self, asset: int) -> Book:
        """The book of a market or pair that exists."""
        if asset >= SPOT_FIRST:
            return self.pairs[asset - SPOT_FIRST].book
        return self.markets[asset].book

    def size_decimals(self, asset: int) -> int:
        """Decimals of a size in a market or pair that exists."""
        if asset >= SPOT_FIRST:
            return self.pairs[asset - SPOT_FIRST].size_decimals
        return self.markets[asset].terms.size_decimals

    def add_sub_account(self, sub: SubAccount) -> None:
        """Register a sub-account under its master, in the order of numbers."""
        self.sub_accounts[sub.address] = sub
        subs = self.subs_of.setdefault(sub.master, [])
        insort(subs, sub, key=_number_of)

    def add_vault(self, vault: Vault) -> None:
        """Register a vault, or what a snapshot says of it, under its leader by number."""
        self.vaults[vault.address] = vault
        led = [one for one in self.vaults_of.get(vault.leader, ()) if one.number != vault.number]
        insort(led, vault, key=_number_of)
        self.vaults_of[vault.leader] = led
        self.note("vault", vault.address)

    def add_twap(self, twap: Twap) -> None:
        """Register a TWAP order that runs; ids are given in ascending order."""
        self.twaps[twap.twap_id] = twap
        self.twaps_of.setdefault(twap.account, []).append(twap.twap_id)

    def remove_twap(self, twap: Twap) -> None:
        """Forget a TWAP order that is over."""
        del self.twaps[twap.twap_id]
        ids = self.twaps_of[twap.account]
        ids.remove(twap.twap_id)
        if not ids:
            del self.twaps_of[twap.account]

    def family(self, account: Account) -> list[Account]:
        """A master and its sub-accounts, whichever of them is given; else the account alone."""
        if not self.sub_accounts:
            return [account]
        sub = self.sub_accounts.get(account.address)
        master = account if sub is None else self.accounts[sub.master]
        subs = self.subs_of.get(master.address, [])
        return [master, *(self.accounts[one.address] for one in subs)]

    def family_volume(self, account: Account) -> int:
        """All that a master and its sub-accounts have traded, in micro-USDC."""
        return sum(one.volume_total for one in self.family(account))

    def accounts_in_order(self) -> list[Account]:
        """All accounts by address."""
        return [self.accounts[address] for address in sorted(self.accounts)]
