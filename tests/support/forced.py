"""Accounts pushed below maintenance: short ways to set the stage, and to read what was done.

The worlds here have no fees and no marks but the oracle's, unless a test says so, so that figures
can be worked out by hand.
"""

from dataclasses import dataclass, field

from chainperp.base.canonical import Record
from chainperp.base.units import E8, Address, parse_decimal
from chainperp.model.actions import OracleVote, UpdateIsolatedMargin, UpdateLeverage
from chainperp.model.blocks import SystemInput, Transaction
from chainperp.model.bridge import EvmContracts
from chainperp.model.decisions import (
    AdlReason,
    Kind,
    LiquidationOutcome,
    OrderStatus,
    Rejection,
    SystemType,
)
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.model.records import CROSS_SCOPE
from chainperp.state.store import (
    BACKSTOP_VAULT,
    INSURANCE,
    LIQUIDITY_VAULT,
    MARKET_MAKER,
    SYSTEM_ACCOUNTS,
)
from chainperp.storage.package import default_markets
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_LIQUIDATION
from tests.support.world import Result, World, address_of, order

BTC, ETH, SOL, HYPE = 0, 1, 2, 3
NO_FEES: dict[str, object] = {"fee_tiers": [[0, 0, 0]], "activation_fee": 0}
SYSTEM_NAMES = {BACKSTOP_VAULT: "vault", INSURANCE: "insurance", MARKET_MAKER: "maker"}


def usdc(text: str) -> int:
    """Micro-USDC of a decimal."""
    return parse_decimal(text, 6, "usdc")


class Stage(World):
    """A world without fees in which marks are set outright by the oracle and a quiet book.

    `vault` and `insurance` are USDC deposited for the backstop vault and the insurance account;
    `first_tier` replaces every market's tiers by one of that leverage.
    """

    def __init__(
        self,
        *,
        vault: str = "0",
        insurance: str = "0",
        markets: int = 2,
        isolated_only: tuple[int, ...] = (),
        first_tier: int = 0,
        fees: bool = False,
        holders: dict[str, int] | None = None,
        evm: EvmContracts | None = None,
        network: str = "Testnet",
        **parameters: object,
    ) -> None:
        rows = [
            {**row, "isolated_only": at in isolated_only}
            for at, row in enumerate(default_markets()[:markets])
        ]
        if first_tier:
            rows = [{**row, "margin_tiers": [[0, first_tier]]} for row in rows]
        values = {**({} if fees else NO_FEES), **parameters}
        super().__init__(values, markets=rows, holders=holders, evm=evm, network=network)
        self.names = dict(SYSTEM_NAMES)
        for address, amount in ((BACKSTOP_VAULT, vault), (INSURANCE, insurance)):
            if usdc(amount):
                self.block(system=[self.deposit_to(address, amount)])

    def deposit_to(self, address: Address, amount: str) -> SystemInput:
        """A deposit for any address, system accounts included."""
        self.deposits += 1
        body = address + usdc(amount).to_bytes(16) + self.deposits.to_bytes(8) + bytes(32)
        return SystemInput(SystemType.DEPOSIT, body)

    def fund_liquidity_vault(self, amount: str) -> None:
        """Money of the liquidity vault, which is nobody's collateral."""
        self.block(system=[self.deposit_to(LIQUIDITY_VAULT, amount)])

    def person(
        self, name: str, amount: str, asset: int = ETH, cross: bool = True, leverage: int = 20
    ) -> None:
        """A funded account with a margin setting."""
        self.names[address_of(name)] = name
        self.fund(**{name: amount})
        self.act(name, UpdateLeverage(asset, cross, leverage))

    def trade(self, buyer: str, seller: str, size: str, price: str, asset: int = ETH) -> None:
        """One trade between two people at a price."""
        self.place(buyer, order(asset, "buy", size, price))
        result = self.place(seller, order(asset, "sell", size, price, "Ioc"))
        assert result.fills, result.orders

    def margin(self, name: str, amount: str, asset: int = ETH) -> None:
        """Add margin to an isolated position."""
        assert self.act(name, UpdateIsolatedMargin(asset, usdc(amount))).codes == [
            Rejection.ACCEPTED
        ]

    def mark(self, price: str, asset: int = ETH) -> "Told":
        """Move a market's mark: an oracle round that also names the price elsewhere."""
        return self.marks({asset: price})

    def marks(self, prices: dict[int, str]) -> "Told":
        """Move marks together: the price elsewhere is the oracle's, so the median is too."""
        return Told.of(self, self.block(system=[self.vote(prices)]))

    def vote(self, prices: dict[int, str], validator: int = 0) -> SystemInput:
        """A vote that also names the price elsewhere. Quotes on one side only leave it alone."""
        self.nonce += 1
        action = OracleVote([(at, price_e8(text), price_e8(text)) for at, text in prices.items()])
        envelope = encode_envelope(
            Envelope(1, self.nonce, None, None, b"\x80", 27, bytes(32), bytes(32))
        )
        signer = Address(bytes([0xAA + validator]) * 20)
        one = Transaction(signer, action, self.nonce, envelope)
        return SystemInput(SystemType.ORACLE_VOTE, envelope + signer, one)

    def next(self) -> "Told":
        """A block without inputs."""
        return Told.of(self, self.block())

    def lots(self, name: str, asset: int = ETH) -> int:
        """Signed lots of a position."""
        exposure = self.account(name).exposures.get(asset)
        return 0 if exposure is None else exposure.lots

    def account_raw(self, address: Address) -> int:
        """Cross cash of any account."""
        return self.engine.state.accounts[address].raw

    def value_at(self, name: str, asset: int, price: int) -> int:
        """Value of a cross account that holds one market, at a price on the grid."""
        account = self.account(name)
        return account.raw + account.exposures[asset].lots * price

    def value(self, who: str | Address, asset: int = CROSS_SCOPE) -> int:
        """Value of a scope at the marks, from the cells."""
        address = address_of(who) if isinstance(who, str) else who
        account = self.engine.state.accounts[address]
        if asset != CROSS_SCOPE:
            one = account.exposures[asset]
            return one.raw_isolated + one.lots * self.market(asset).mark
        return account.raw + sum(
            one.lots * self.market(at).mark for at, one in account.exposures.items() if one.is_cross
        )


@dataclass
class Told:
    """What the waterfall did in one block, by names."""

    result: Result
    outcomes: dict[tuple[str, int], LiquidationOutcome] = field(default_factory=dict)
    tests: list[Record] = field(default_factory=list)
    sold: list[tuple[str, int, int]] = field(default_factory=list)
    taken: list[tuple[str, int, int]] = field(default_factory=list)
    adl: list[tuple[str, str, int, int]] = field(default_factory=list)
    canceled: list[tuple[str, Rejection]] = field(default_factory=list)

    @classmethod
    def of(cls, stage: Stage, result: Result) -> "Told":
        """Read a block."""
        told = cls(result)
        names = stage.names
        for fields in result.of(Kind.LIQ_TEST):
            told.tests.append(fields)
            told.outcomes[names[fields["account"]], fields["asset"]] = LiquidationOutcome(
                fields["outcome"]
            )
        for fill in result.fills:
            taker, maker, lots, price = (
                names[fill["taker"]],
                names[fill["maker"]],
                fill["lots"],
                fill["price"],
            )
            if fill["flags"] & FLAG_LIQUIDATION:
                told.sold.append((taker, lots, price))
            elif fill["flags"] & FLAG_BACKSTOP:
                told.taken.append((maker, lots, price))
            elif fill["flags"] & FLAG_ADL:
                told.adl.append((taker, maker, lots, price))
        for fields in result.orders:
            if fields["status"] == OrderStatus.CANCELED and fields["account"] in names:
                told.canceled.append((names[fields["account"]], Rejection(fields["reason"])))
        return told


def rows_of(result: Result) -> list[list[Record]]:
    """The candidates of each ADL round, in rank order."""
    begins: dict[int, list[Record]] = {}
    for raw in result.block.entries:
        entry = decode_entry(raw)
        if entry.kind is Kind.ADL_ROWS:
            fields = decode_payload(entry)
            begins.setdefault(fields["begin_index"], []).extend(fields["rows"])
    return [begins[index] for index in sorted(begins)]


def reason_of(rows: list[Record], name: str) -> AdlReason:
    """Why an account's row is, or is not, a candidate."""
    return next(AdlReason(row["reason"]) for row in rows if row["account"] == address_of(name))


def price_e8(text: str) -> E8:
    """A price in 1e-8."""
    return E8(parse_decimal(text, 8, "p"))


def is_system(address: Address) -> bool:
    """Whether an account is the exchange's own."""
    return address in SYSTEM_ACCOUNTS
