"""A venue for experiments: the real engine, driven block by block.

People are named. Money is micro-USD, sizes are lots of the one market, prices are grid units: a lot
times a price is micro-USD. Every step makes a block; what was decided is read from its entries, as
anybody reads a log. Nothing here decides who pays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.errors import ensure
from chainperp.base.units import Address, strip_decimal
from chainperp.chain.decode import vote_input
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.lab.chain import Chain
from chainperp.lab.signed import address_of, signed
from chainperp.model.actions import TimeInForce
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.decisions import (
    AdlReason,
    Kind,
    LedgerType,
    LiquidationOutcome,
    Rejection,
    SystemType,
)
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE
from chainperp.storage.package import build_genesis, rules_hash
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_LIQUIDATION

START: Final = 1_760_000_000_000
VALIDATOR: Final = "validator"
TIFS: Final = {TimeInForce.GTC: "Gtc", TimeInForce.IOC: "Ioc", TimeInForce.ALO: "Alo"}
ASSET: Final = 0
SIZE_DECIMALS: Final = 2
"""A lot is a hundredth, a grid unit 10^-4 dollars: at a price of 100 a lot is worth a dollar."""
DOLLAR: Final = 10_000
"""Grid units of a price of one dollar."""
USD: Final = 10**6
STEP_MS: Final = 1_000
PER_BLOCK: Final = 500
E8_PER_UNIT: Final = 10**8 // DOLLAR
PLAIN: Final[dict[str, object]] = {
    "fee_tiers": [[0, 0, 0]],
    "activation_fee": 0,
    "price_stale_ms": 0,
    "exempt_notice_blocks": 0,
    "exempt_max": 1 << 20,
    "order_value_min": 0,
}
"""No fees, and lists as long as an experiment wants; everything else is as on the exchange."""


@dataclass
class AdlRound:
    """One round as the log tells it. Money in micro-USD, by name."""

    policy_id: int
    budget: int
    lots: int
    price: int
    mark: int
    closed: dict[str, int] = field(default_factory=dict)
    haircuts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, AdlReason] = field(default_factory=dict)
    shortfall_lots: int = 0


@dataclass
class Told:
    """What one block did. `sold` and `taken` are lots by name: into the book, to the vault."""

    block: SealedBlock
    rounds: list[AdlRound] = field(default_factory=list)
    sold: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, LiquidationOutcome] = field(default_factory=dict)
    refused: list[Rejection] = field(default_factory=list)
    drawn: int = 0
    """From the insurance account towards deficits that it could pay."""
    owed: int = 0
    """Deficits that nobody covered: now the insurance account's debt."""


class Venue:
    """An engine with one market, and the names of those who trade on it.

    `leverage` is the market's largest; maintenance is half of its initial margin. `vault` and
    `insurance` are deposits in micro-USD.
    """

    def __init__(
        self,
        *,
        policy_id: int = 100,
        leverage: int = 20,
        vault: int = 0,
        insurance: int = 0,
        **parameters: object,
    ) -> None:
        self.names: dict[bytes, str] = {BACKSTOP_VAULT: "vault", INSURANCE: "insurance"}
        market = {
            "name": "LAB",
            "size_decimals": SIZE_DECIMALS,
            "margin_tiers": [[0, leverage]],
            "impact_notional": 20_000,
            "isolated_only": False,
        }
        values = {**PLAIN, "adl_policy": policy_id, **parameters}
        raw = build_genesis(
            "lab/venue", START, [(address_of(VALIDATOR), 1)],
            parameters=values, markets=[market], holders=self.holders(),
        )  # fmt: skip
        self.engine = Engine(parse_genesis(raw), rules_hash())
        self.blocks = [self.engine.seal_genesis()]
        self.leverage = leverage
        self.nonce = START
        self.deposits = 0
        for address, amount in ((BACKSTOP_VAULT, vault), (INSURANCE, insurance)):
            if amount:
                self.block(system=[self._deposit(address, amount)])

    def holders(self) -> list[tuple[bytes, int]]:
        """Who has how many of the exchange's own tokens at the beginning; a subclass may say."""
        return []

    # --- what people do ---------------------------------------------------------------------------

    def join(self, amounts: dict[str, int], leverage: int | None = None) -> None:
        """Deposits of new people in micro-USD, and their leverage (default: the market's most)."""
        for part in _parts(list(amounts.items())):
            for name, _ in part:
                self.names[address_of(name)] = name
            self.block(system=[self._deposit(address_of(name), usd) for name, usd in part])
            setting = {"type": "updateLeverage", "asset": ASSET, "isCross": True,
                       "leverage": leverage or self.leverage}  # fmt: skip
            self.block([self.signed(name, setting) for name, _ in part])

    def insure(self, micro_usd: int) -> None:
        """Money from outside for the insurance account."""
        if micro_usd > 0:
            self.block(system=[self._deposit(INSURANCE, micro_usd)])

    def order(
        self, name: str, lots: int, price: int, tif: TimeInForce = TimeInForce.GTC
    ) -> Transaction:
        """A limit order: lots above zero buy, below zero sell."""
        return self.signed(name, order_action(ASSET, lots, price * E8_PER_UNIT, tif))

    def trade(self, taker: str, makers: dict[str, int], price: int) -> None:
        """Makers' positions in lots (above zero long), all opened against one taker at a price."""
        for part in _parts(list(makers.items())):
            done = self.block([self.order(name, lots, price) for name, lots in part])
            lots = -sum(lots for _, lots in part)
            taken = self.block([self.order(taker, lots, price, TimeInForce.IOC)])
            for told in (done, taken):
                ensure(not told.refused, "INV-0", "a lab order was refused", codes=told.refused[:3])
        held = {name: self.lots(name) for name in makers}
        ensure(held == makers, "INV-0", "a lab trade was not filled", price=price)

    def exempt(self, names: Iterable[str]) -> None:
        """Put people on the public list from the next block on."""
        first = self.engine.height + 1
        last = first + 10**9
        for part in _parts(sorted(names)):
            bodies = [
                address_of(name) + bytes(8) + first.to_bytes(8) + last.to_bytes(8) for name in part
            ]
            self.block(system=[SystemInput(SystemType.EXEMPTION, body) for body in bodies])

    def mark(self, price: int, after_ms: int = STEP_MS) -> Told:
        """An oracle round that also names the price elsewhere, so the mark moves to it."""
        at = strip_decimal(price * E8_PER_UNIT, 8)
        vote = self.signed(
            VALIDATOR, {"type": "setGlobal", "pxs": [{"a": ASSET, "p": at, "x": at}]}
        )
        return self.block(system=[vote_input(vote.envelope, vote.signer)], after_ms=after_ms)

    # --- what is there ----------------------------------------------------------------------------

    def lots(self, name: str) -> int:
        """Signed lots of a person's position."""
        exposure = self.engine.state.accounts[self._address(name)].exposures.get(ASSET)
        return 0 if exposure is None else exposure.lots

    def value(self, name: str) -> int:
        """Account value at the mark in micro-USD."""
        account = self.engine.state.accounts[self._address(name)]
        return account.raw + self.lots(name) * self.engine.state.markets[ASSET].mark

    def values(self, names: Iterable[str]) -> dict[str, int]:
        """Account values by name."""
        return {name: self.value(name) for name in names}

    @property
    def insurance(self) -> int:
        """Balance of the insurance account; below zero it owes what nobody could pay."""
        return self.engine.state.accounts[INSURANCE].raw

    @property
    def root(self) -> str:
        """State root of the last block."""
        committed = self.engine.committed
        return "" if committed is None else committed.state_root.hex()

    def evidence(self) -> Chain:
        """The chain, and where it ended: what a second run must reproduce."""
        end = {
            "height": self.engine.height,
            "entries": self.engine.frontier.size,
            "state_root": self.root,
            "log_root": self.engine.frontier.root().hex(),
            "rules_hash": self.engine.rules_hash.hex(),
        }
        return Chain(self.engine.genesis.raw, list(self.blocks), end)

    # --- blocks -----------------------------------------------------------------------------------

    def block(
        self,
        transactions: list[Transaction] | None = None,
        system: list[SystemInput] | None = None,
        *,
        after_ms: int = STEP_MS,
    ) -> Told:
        """One block of these inputs."""
        time_ms = self.engine.state.time_ms + after_ms
        given = BlockInput(time_ms, self.engine.genesis.proposer, system or [], transactions or [])
        sealed = self.engine.execute(given)
        self.blocks.append(sealed)
        return self._read(sealed)

    def _read(self, sealed: SealedBlock) -> Told:
        told = Told(sealed)
        rounds: dict[int, AdlRound] = {}
        current = 0
        for place, raw in enumerate(sealed.entries):
            entry = decode_entry(raw)
            fields = decode_payload(entry)
            if entry.kind is Kind.ADL_BEGIN:
                current = sealed.first_index + place
                rounds[current] = AdlRound(
                    fields["policy_id"], fields["budget"], fields["target_lots"],
                    fields["adl_price"], fields["mark"],
                )  # fmt: skip
            elif entry.kind in READERS:
                READERS[entry.kind](self, told, rounds.get(current), fields)
        told.rounds = list(rounds.values())
        return told

    def name(self, address: bytes) -> str:
        """The name behind an address, or its hex."""
        return self.names.get(address, address.hex())

    def _address(self, name: str) -> Address:
        systems = {"vault": BACKSTOP_VAULT, "insurance": INSURANCE}
        return systems.get(name) or address_of(name)

    def _deposit(self, address: Address, amount: int) -> SystemInput:
        self.deposits += 1
        body = address + amount.to_bytes(16) + self.deposits.to_bytes(8) + bytes(32)
        return SystemInput(SystemType.DEPOSIT, body)

    def signed(self, name: str, action: dict[str, Any]) -> Transaction:
        """A transaction of somebody, with the next nonce."""
        self.nonce += 1
        return signed(name, action, self.nonce)


def order_action(asset: int, lots: int, price_e8: int, tif: TimeInForce) -> dict[str, Any]:
    """A limit order of lots of a hundredth, above zero to buy."""
    row = {"a": asset, "b": lots > 0, "p": strip_decimal(price_e8, 8),
           "s": strip_decimal(abs(lots), SIZE_DECIMALS), "r": False,
           "t": {"limit": {"tif": TIFS[tif]}}}  # fmt: skip
    return {"type": "order", "orders": [row], "grouping": "na"}


def _parts(rows: list[Any]) -> Iterable[list[Any]]:
    """Rows in blocks of a size that an exchange would make."""
    for start in range(0, len(rows), PER_BLOCK):
        yield rows[start : start + PER_BLOCK]


def _on_fill(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    maker, taker = venue.name(fields["maker"]), venue.name(fields["taker"])
    lots = fields["lots"]
    if fields["flags"] & FLAG_ADL and current is not None:
        current.closed[maker] = current.closed.get(maker, 0) + lots
    elif fields["flags"] & FLAG_LIQUIDATION:
        told.sold[taker] = told.sold.get(taker, 0) + lots
    elif fields["flags"] & FLAG_BACKSTOP:
        told.taken[maker] = told.taken.get(maker, 0) + lots


def _on_ledger(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    kind, amount = fields["type"], fields["amount"]
    if kind == LedgerType.ADL_HAIRCUT and current is not None:
        name = venue.name(fields["source"])
        current.haircuts[name] = current.haircuts.get(name, 0) + amount
    elif kind == LedgerType.INSURANCE_DRAW:
        told.drawn += amount
    elif kind == LedgerType.DEFICIT:
        told.owed += amount


def _on_rows(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    if current is not None:
        for row in fields["rows"]:
            current.reasons[venue.name(row["account"])] = AdlReason(row["reason"])


def _on_end(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    if current is not None:
        current.shortfall_lots = fields["shortfall_lots"]


def _on_test(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    told.outcomes[venue.name(fields["account"])] = LiquidationOutcome(fields["outcome"])


def _on_result(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    code = Rejection(fields["code"])
    if code is not Rejection.ACCEPTED:
        told.refused.append(code)


def _on_order(venue: Venue, told: Told, current: AdlRound | None, fields: Record) -> None:
    reason = Rejection(fields["reason"])
    if fields["status"] == ORDER_REJECTED and reason is not Rejection.ACCEPTED:
        told.refused.append(reason)


ORDER_REJECTED: Final = 4
READERS: Final = {
    Kind.FILL: _on_fill,
    Kind.LEDGER: _on_ledger,
    Kind.ADL_ROWS: _on_rows,
    Kind.ADL_END: _on_end,
    Kind.LIQ_TEST: _on_test,
    Kind.TX_USER: _on_result,
    Kind.TX_SYSTEM: _on_result,
    Kind.ORDER: _on_order,
}


def gains(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Change of account value by name."""
    return {name: after[name] - before[name] for name in before}


def spread(total: int, names: Sequence[str]) -> dict[str, int]:
    """Whole units in equal parts, the first names get what is left over.

    >>> spread(7, ["a", "b", "c"])
    {'a': 3, 'b': 2, 'c': 2}
    """
    share, rest = divmod(total, len(names))
    return {name: share + (place < rest) for place, name in enumerate(names)}
