"""The waterfall in money, added up from the log's entries alone.

Every scope that ends below zero is followed by itself: what it lacked, what the insurance and the
winners gave it, what it had at the end. Each ADL_END must agree with that, sums with the ledger.
"""

from dataclasses import dataclass, field

from chainperp.base.canonical import Record
from chainperp.base.units import usd_text
from chainperp.chain.engine import SealedBlock
from chainperp.model.decisions import Kind, LedgerType, LiquidationOutcome
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.model.tokens import SPOT_FIRST
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, State
from chainperp.transition.recorder import (
    FLAG_ADL,
    FLAG_BACKSTOP,
    FLAG_LIQUIDATION,
    FLAG_TAKER_BUYS,
)
from chainperp.transition.valuation import scope_value_and_maintenance

Scope = tuple[bytes, int]
Equality = tuple[str, int, int]
"""What is compared, as one side has it and as the other side has it."""


@dataclass
class Stage:
    """Trades of one stage of the waterfall; money in micro-USDC."""

    fills: int = 0
    notional: int = 0


@dataclass
class Example:
    """The largest case of its kind: who to ask about, and in which block."""

    address: bytes = b""
    height: int = 0
    size: int = -1

    def offer(self, address: bytes, height: int, size: int) -> None:
        """Keep the case when it is larger than the one kept."""
        if size > self.size:
            self.address, self.height, self.size = address, height, size


@dataclass
class VaultFlow:
    """What moved the backstop vault's money. Profit and loss of its trades without fees."""

    deposited: int = 0
    seized: int = 0
    passed_on: int = 0
    other_in: int = 0
    realised: int = 0
    fees: int = 0
    funding: int = 0


@dataclass
class Waterfall:
    """Counts and sums of phases 7 and 8 over a chain. Amounts in micro-USDC."""

    outcomes: dict[str, int] = field(default_factory=dict)
    scopes: set[Scope] = field(default_factory=set)
    book: Stage = field(default_factory=Stage)
    backstop: Stage = field(default_factory=Stage)
    adl: Stage = field(default_factory=Stage)
    book_fees: int = 0
    book_slippage: int = 0
    takeovers: int = 0
    refusals: int = 0
    seized: int = 0
    rounds: dict[int, int] = field(default_factory=dict)
    netted: int = 0
    deficit: int = 0
    given: int = 0
    profit_kept: int = 0
    left: int = 0
    uncovered: int = 0
    mismatches: int = 0
    ledger: dict[int, int] = field(default_factory=dict)
    insurance_in: int = 0
    vault: VaultFlow = field(default_factory=VaultFlow)
    taken: Example = field(default_factory=Example)
    liquidated: Example = field(default_factory=Example)
    marks: dict[int, int] = field(default_factory=dict)
    below_zero: dict[Scope, int] = field(default_factory=dict)
    targets: dict[int, Scope] = field(default_factory=dict)
    height: int = 0

    def add(self, sealed: SealedBlock) -> None:
        """Read a block's entries."""
        self.height = sealed.height
        self.below_zero = {}
        self.targets = {}
        for place, raw in enumerate(sealed.entries):
            kind = int.from_bytes(raw[1:3], "big")
            if kind in READERS:
                READERS[Kind(kind)](self, sealed.first_index + place,
                                    decode_payload(decode_entry(raw)))  # fmt: skip
        for value in self.below_zero.values():
            self.left += max(0, value)
            self.uncovered += max(0, -value)

    def _mark(self, _index: int, fields: Record) -> None:
        self.marks[fields["asset"]] = fields["mark"]

    def _test(self, _index: int, fields: Record) -> None:
        outcome = LiquidationOutcome(fields["outcome"])
        name = outcome.name.lower()
        self.outcomes[name] = self.outcomes.get(name, 0) + 1
        scope = (fields["account"], fields["asset"])
        self.scopes.add(scope)
        if outcome is LiquidationOutcome.ADL_CASE:
            self.below_zero[scope] = fields["value_after"]
            self.deficit -= fields["value_after"]
        if outcome is LiquidationOutcome.BACKSTOP:
            self.liquidated.offer(fields["account"], self.height, fields["maintenance"])

    def _backstop(self, _index: int, fields: Record) -> None:
        if fields["taken"]:
            self.takeovers += 1
            self.seized += fields["collateral"]
        else:
            self.refusals += 1

    def _begin(self, index: int, fields: Record) -> None:
        self.rounds[fields["asset"]] = self.rounds.get(fields["asset"], 0) + 1
        asset = CROSS_SCOPE if fields["target_scope"] == 0 else fields["asset"]
        self.targets[index] = (fields["target"], asset)

    def _end(self, _index: int, fields: Record) -> None:
        scope = self.targets[fields["begin_index"]]
        self.mismatches += self.below_zero.get(scope) != fields["target_value_after"]

    def _net(self, _index: int, _fields: Record) -> None:
        self.netted += 1

    def _fill(self, _index: int, fields: Record) -> None:
        if fields["asset"] >= SPOT_FIRST:
            return
        if BACKSTOP_VAULT in (fields["maker"], fields["taker"]):
            self._vault_trade(fields)
        flags, lots = fields["flags"], fields["lots"]
        notional = fields["price"] * lots
        # What the taker gains against the mark: negative when it sells below it.
        gain = (fields["price"] - self.marks[fields["asset"]]) * lots
        if flags & FLAG_TAKER_BUYS:
            gain = -gain
        if flags & FLAG_LIQUIDATION:
            self.book.fills += 1
            self.book.notional += notional
            self.book_fees += fields["taker_fee"]
            self.book_slippage -= gain
        if flags & FLAG_BACKSTOP:
            self.backstop.fills += 1
            self.backstop.notional += notional
        if flags & FLAG_ADL:
            self._adl_trade(fields, notional, gain)

    def _adl_trade(self, fields: Record, notional: int, gain: int) -> None:
        """The winner (maker) closes the bankrupt scope's (taker's) position."""
        self.adl.fills += 1
        self.adl.notional += notional
        scope = self._scope_below_zero(fields["taker"], fields["asset"])
        if scope is not None:
            self.below_zero[scope] += gain
        other = self._scope_below_zero(fields["maker"], fields["asset"])
        if other is not None:
            self.below_zero[other] -= gain
            return
        self.given += gain
        self.profit_kept += fields["maker_pnl"]
        self.taken.offer(fields["maker"], self.height, notional)

    def _scope_below_zero(self, account: bytes, asset: int) -> Scope | None:
        for scope in ((account, asset), (account, CROSS_SCOPE)):
            if scope in self.below_zero:
                return scope
        return None

    def _vault_trade(self, fields: Record) -> None:
        side = "taker" if fields["taker"] == BACKSTOP_VAULT else "maker"
        self.vault.realised += fields[f"{side}_pnl"]
        self.vault.fees += fields[f"{side}_fee"]

    def _funding(self, _index: int, fields: Record) -> None:
        for row in fields["rows"]:
            if row["account"] == BACKSTOP_VAULT:
                self.vault.funding -= row["payment"]

    def _deposit(self, _index: int, fields: Record) -> None:
        if fields["user"] == BACKSTOP_VAULT:
            self.vault.deposited += fields["amount"]
        if fields["user"] == INSURANCE:
            self.insurance_in += fields["amount"]

    def _ledger(self, _index: int, fields: Record) -> None:
        kind, amount = fields["type"], fields["amount"]
        self.ledger[kind] = self.ledger.get(kind, 0) + amount
        source, destination = fields["source"], fields["destination"]
        if destination == INSURANCE:
            self.insurance_in += amount
        if kind == LedgerType.DEFICIT:
            self.uncovered += amount
        if kind in (LedgerType.INSURANCE_DRAW, LedgerType.DEFICIT):
            for scope in self.below_zero:
                if scope[0] == destination:
                    self.below_zero[scope] += amount
                    break
        if BACKSTOP_VAULT in (source, destination) and source != destination:
            signed = amount if destination == BACKSTOP_VAULT else -amount
            if kind == LedgerType.BACKSTOP_COLLATERAL:
                self.vault.seized += signed
            elif kind == LedgerType.LIQUIDATION_PROFIT:
                self.vault.passed_on -= signed
            else:
                self.vault.other_in += signed

    @property
    def insurance_paid(self) -> int:
        """What the insurance account paid towards deficits."""
        return self.ledger.get(LedgerType.INSURANCE_DRAW, 0)

    def equalities(self, state: State) -> list[Equality]:
        """Everything that must be equal to the unit, both sides counted separately."""
        return [
            (
                "losses beyond margin = insurance + auto-deleveraging - left with them + uncovered",
                self.deficit,
                self.insurance_paid + self.given - self.left + self.uncovered,
            ),
            ("ends of rounds that differ from the sum of their trades", self.mismatches, 0),
            (
                "margin seized by takeovers = ledger",
                self.seized,
                self.ledger.get(LedgerType.BACKSTOP_COLLATERAL, 0),
            ),
            (
                "insurance = deposits + share of seized margin - paid - owed",
                state.accounts[INSURANCE].raw,
                self.insurance_in - self.insurance_paid - self.ledger.get(LedgerType.DEFICIT, 0),
            ),
            ("vault = deposits + margin + profit and loss", *self._vault_sides(state)),
            ("uncovered at the end", state.uncovered, 0),
        ]

    def vault_result(self, state: State) -> tuple[int, int]:
        """Unrealised profit of the vault's open positions, and its value at the last marks."""
        vault = state.accounts[BACKSTOP_VAULT]
        unrealised = 0
        for exposure in vault.exposures.values():
            worth = exposure.lots * self.marks.get(exposure.asset, 0)
            entry = exposure.entry_notional
            unrealised += worth - entry if exposure.lots > 0 else worth + entry
        return unrealised, scope_value_and_maintenance(state, vault, CROSS_SCOPE)[0]

    def _vault_sides(self, state: State) -> tuple[int, int]:
        flow = self.vault
        unrealised, value = self.vault_result(state)
        return value, (
            flow.deposited + flow.seized - flow.passed_on + flow.other_in
            + flow.realised + unrealised - flow.fees + flow.funding
        )  # fmt: skip

    def is_whole(self) -> bool:
        """Whether every stage was reached: book, backstop, auto-deleveraging in two markets."""
        return self.book.fills > 0 and self.takeovers > 0 and len(self.rounds) >= 2

    def money_rows(self) -> list[list[str]]:
        """The waterfall as a table: what, how often, USDC."""
        rows: list[tuple[str, int | None, int | None]] = [
            ("sold into the book", self.book.fills, self.book.notional),
            ("  cost against the mark", None, self.book_slippage),
            ("  ordinary taker fees", None, self.book_fees),
            ("taken over by the backstop, at mark", self.takeovers, self.backstop.notional),
            ("  margin seized with it", None, self.seized),
            ("refused by the backstop", self.refusals, None),
            ("closed by auto-deleveraging", self.adl.fills, self.adl.notional),
            ("  profit that the winners kept", None, self.profit_kept),
            ("losses beyond margin", self.outcomes.get("adl_case", 0), self.deficit),
            ("  = paid by the insurance", None, self.insurance_paid),
            ("  + given by the winners, against the mark", None, self.given),
            ("  - left with the losers", None, self.left),
            ("  + uncovered", None, self.uncovered),
        ]
        return [
            [
                what,
                "" if count is None else f"{count:,}",
                "" if amount is None else usd_text(amount),
            ]
            for what, count, amount in rows
        ]

    def vault_rows(self, state: State) -> list[list[str]]:
        """The vault's profit and loss: what, USDC."""
        flow = self.vault
        unrealised, value = self.vault_result(state)
        rows = [
            ("deposited", flow.deposited),
            ("margin seized", flow.seized),
            ("passed on to the funds", -flow.passed_on),
            ("insurance and haircuts received", flow.other_in),
            ("profit and loss of its trades", flow.realised),
            ("profit and loss still open", unrealised),
            ("fees", -flow.fees),
            ("funding", flow.funding),
            ("value at the end", value),
        ]
        return [[what, usd_text(amount)] for what, amount in rows]

    def document(self, state: State) -> dict[str, object]:
        """All of it with stable keys; amounts are decimal strings of USDC."""
        unrealised, value = self.vault_result(state)
        money = {
            "sold_in_book": self.book.notional, "book_slippage": self.book_slippage,
            "book_fees": self.book_fees, "taken_by_backstop": self.backstop.notional,
            "margin_seized": self.seized, "closed_by_adl": self.adl.notional,
            "profit_kept": self.profit_kept, "losses_beyond_margin": self.deficit,
            "insurance_paid": self.insurance_paid, "given_by_winners": self.given,
            "left_with_losers": self.left, "uncovered": self.uncovered,
            "vault_deposited": self.vault.deposited, "vault_realised": self.vault.realised,
            "vault_unrealised": unrealised, "vault_value": value,
        }  # fmt: skip
        return {
            "tests": dict(sorted(self.outcomes.items())),
            "scopes": len(self.scopes),
            "book_fills": self.book.fills,
            "takeovers": self.takeovers,
            "takeovers_refused": self.refusals,
            "adl_rounds": sum(self.rounds.values()),
            "adl_rounds_by_market": {
                state.markets[asset].terms.name: count
                for asset, count in sorted(self.rounds.items())
            },
            "adl_fills": self.adl.fills,
            "adl_netted": self.netted,
            "usdc": {name: usd_text(amount) for name, amount in money.items()},
            "equal": [
                {"what": name, "one": str(one), "other": str(other), "equal": one == other}
                for name, one, other in self.equalities(state)
            ],
        }


READERS = {
    Kind.MARK: Waterfall._mark,
    Kind.LIQ_TEST: Waterfall._test,
    Kind.BACKSTOP: Waterfall._backstop,
    Kind.ADL_BEGIN: Waterfall._begin,
    Kind.ADL_END: Waterfall._end,
    Kind.ADL_NET: Waterfall._net,
    Kind.FILL: Waterfall._fill,
    Kind.FUNDING: Waterfall._funding,
    Kind.DEPOSIT: Waterfall._deposit,
    Kind.LEDGER: Waterfall._ledger,
}
