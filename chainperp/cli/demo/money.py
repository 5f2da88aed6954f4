"""Where every dollar of the crash went, from the entries alone.

Every entry that moves money changes what accounts are worth, in USDC at the marks in force, for a
named cause; each cause takes from some exactly what it gives to others, but for what comes in and
goes out of the exchange. At the end each account's sum must be what the state says it is worth.
Tokens are not counted as money: who sells one gets USDC, who buys one pays.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from chainperp.base.canonical import Record
from chainperp.chain.engine import SealedBlock
from chainperp.model.decisions import Kind, LedgerType, LiquidationOutcome
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.fund import NATIVE
from chainperp.model.tokens import SPOT_FIRST, USDC
from chainperp.state.arrangements import FUND_FIELDS
from chainperp.state.store import (
    ASSISTANCE_FUND,
    SYSTEM_ACCOUNTS,
    State,
)
from chainperp.transition.recorder import (
    FLAG_ADL,
    FLAG_BACKSTOP,
    FLAG_LIQUIDATION,
    FLAG_TAKER_BUYS,
)


class Cause(IntEnum):
    """Why somebody is worth more or less than before."""

    OUTSIDE = 0  # deposits and withdrawals
    MARKET = 1  # a mark moved while somebody had a position
    TRADE = 2  # a trade at another price than the mark
    BOOK = 3  # a liquidation sold into the book
    ADL = 4  # auto-deleveraging closed at another price than the mark
    SEIZED = 5  # margin that the backstop vault took over
    INSURANCE = 6
    FEES = 7
    FUNDING = 8
    SHARES = 9  # of fees and seized margin, between the exchange's own accounts
    SENT = 10  # everything else that one account sends or pays another
    TOKENS = 11  # USDC for tokens on the spot market
    BUYBACK = 12  # the same, bought by the fund


MOVED: Final = {
    LedgerType.BACKSTOP_COLLATERAL: Cause.SEIZED,
    LedgerType.INSURANCE_DRAW: Cause.INSURANCE,
    LedgerType.DEFICIT: Cause.INSURANCE,
    LedgerType.ADL_HAIRCUT: Cause.ADL,
    LedgerType.FEE_SHARE: Cause.SHARES,
    LedgerType.LIQUIDATION_PROFIT: Cause.SHARES,
    LedgerType.CHILD_CAPITAL: Cause.SHARES,
    LedgerType.FUNDING_ROUNDING: Cause.FUNDING,
}
NOBODY: Final = bytes(20)
Sums = dict[bytes, list[int]]


@dataclass
class Money:
    """Sums by account and cause since genesis; `before` is a copy from the start of the crash, and
    `worths` and `books` what the state said then."""

    sums: Sums = field(default_factory=dict)
    before: Sums = field(default_factory=dict)
    worths: dict[bytes, int] = field(default_factory=dict)
    books: dict[str, int] = field(default_factory=dict)
    is_crash: bool = False
    positions: dict[int, dict[bytes, int]] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    liquidated: dict[bytes, None] = field(default_factory=dict)
    deleveraged: dict[bytes, None] = field(default_factory=dict)
    seized: list[int] = field(default_factory=list)
    burned: int = 0

    def begin(self, state: State) -> None:
        """The crash begins: what comes from now on is told."""
        self.is_crash = True
        self.before = {account: list(row) for account, row in self.sums.items()}
        self.worths = worths_of(state)
        self.books = books_of(state)
        self.liquidated.clear()
        self.deleveraged.clear()
        self.seized.clear()
        self.burned = 0

    def add(self, sealed: SealedBlock) -> None:
        """Read a block's entries."""
        for raw in sealed.entries:
            reader = READERS.get(int.from_bytes(raw[1:3], "big"))
            if reader is not None:
                reader(self, decode_payload(decode_entry(raw)))

    def _change(self, account: bytes, cause: Cause, amount: int) -> None:
        row = self.sums.get(account)
        if row is None:
            row = self.sums[account] = [0] * len(Cause)
        row[cause] += amount

    def _mark(self, fields: Record) -> None:
        asset, mark = fields["asset"], fields["mark"]
        moved = mark - self.marks.get(asset, 0)
        self.marks[asset] = mark
        if moved:
            for account, lots in self.positions.get(asset, {}).items():
                if lots:
                    self._change(account, Cause.MARKET, lots * moved)

    def _fill(self, fields: Record) -> None:
        if fields["asset"] >= SPOT_FIRST:
            self._spot_fill(fields)
            return
        asset, flags = fields["asset"], fields["flags"]
        lots = fields["lots"] if flags & FLAG_TAKER_BUYS else -fields["lots"]
        cause = _cause_of(flags)
        gain = lots * (self.marks[asset] - fields["price"])
        held = self.positions.setdefault(asset, {})
        for side, sign in (("taker", 1), ("maker", -1)):
            account = fields[side]
            held[account] = held.get(account, 0) + sign * lots
            self._change(account, cause, sign * gain)
            self._change(account, Cause.FEES, -fields[f"{side}_fee"])
        self._change(ASSISTANCE_FUND, Cause.FEES, fields["maker_fee"] + fields["taker_fee"])
        if flags & FLAG_ADL and fields["maker"] not in self.liquidated:
            self.deleveraged[fields["maker"]] = None

    def _spot_fill(self, fields: Record) -> None:
        is_buy = bool(fields["flags"] & FLAG_TAKER_BUYS)
        buyer, seller = (fields["taker"], "maker") if is_buy else (fields["maker"], "taker")
        paid, fee = fields["price"] * fields["lots"], fields[f"{seller}_fee"]
        cause = Cause.BUYBACK if buyer == ASSISTANCE_FUND else Cause.TOKENS
        self._change(buyer, cause, -paid)
        self._change(fields[seller], cause, paid)
        self._change(fields[seller], Cause.FEES, -fee)
        self._change(ASSISTANCE_FUND, Cause.FEES, fee)

    def _funding(self, fields: Record) -> None:
        for row in fields["rows"]:
            self._change(row["account"], Cause.FUNDING, -row["payment"])

    def _deposit(self, fields: Record) -> None:
        self._change(fields["user"], Cause.OUTSIDE, fields["amount"])

    def _withdrawal(self, fields: Record) -> None:
        self._change(fields["user"], Cause.OUTSIDE, -fields["amount"])

    def _ledger(self, fields: Record) -> None:
        cause = MOVED.get(fields["type"], Cause.SENT)
        if fields["source"] != NOBODY:
            self._change(fields["source"], cause, -fields["amount"])
        self._change(fields["destination"], cause, fields["amount"])

    def _test(self, fields: Record) -> None:
        if fields["outcome"] in REAL and fields["account"] not in SYSTEM_ACCOUNTS:
            self.liquidated[fields["account"]] = None
            self.deleveraged.pop(fields["account"], None)

    def _takeover(self, fields: Record) -> None:
        if fields["taken"]:
            self.seized.append(fields["collateral"])

    def _token(self, fields: Record) -> None:
        if fields["destination"] == NOBODY:
            self.burned += fields["amount"]

    def worth(self, account: bytes) -> int:
        """What an account is worth by its entries."""
        return sum(self.sums.get(account, ()))

    def since(self, accounts: Iterable[bytes], *causes: Cause) -> int:
        """Change of what accounts are worth since the crash began, for some causes or for all but
        what came in and went out."""
        wanted = causes or tuple(Cause)[1:]
        total = 0
        for account in accounts:
            row, old = self.sums.get(account, ()), self.before.get(account)
            if row:
                total += sum(row[one] - (old[one] if old else 0) for one in wanted)
        return total


def worths_of(state: State) -> dict[bytes, int]:
    """What every account is worth in USDC, from the state: cash, positions at mark, spot USDC."""
    found: dict[bytes, int] = {}
    for address, account in state.accounts.items():
        worth = account.raw + account.raw_isolated_total + state.spot[USDC].get(address, 0)
        for one in account.exposures.values():
            if one.lots:
                worth += one.lots * state.markets[one.asset].mark
        found[address] = worth
    return found


def books_of(state: State) -> dict[str, int]:
    """The fund's books and what is burned of the token, from the state."""
    books = {name: getattr(state.fund, name) for name in FUND_FIELDS}
    return {**books, "token_burned": state.tokens[NATIVE].burned}


def _cause_of(flags: int) -> Cause:
    if flags & FLAG_LIQUIDATION:
        return Cause.BOOK
    if flags & FLAG_ADL:
        return Cause.ADL
    return Cause.SEIZED if flags & FLAG_BACKSTOP else Cause.TRADE


REAL: Final = (
    LiquidationOutcome.BOOK, LiquidationOutcome.BACKSTOP, LiquidationOutcome.ADL_CASE,
)  # fmt: skip
READERS: Final[dict[int, Callable[[Money, Record], None]]] = {
    Kind.MARK: Money._mark,
    Kind.FILL: Money._fill,
    Kind.FUNDING: Money._funding,
    Kind.DEPOSIT: Money._deposit,
    Kind.WITHDRAW_REQ: Money._withdrawal,
    Kind.LEDGER: Money._ledger,
    Kind.LIQ_TEST: Money._test,
    Kind.BACKSTOP: Money._takeover,
    Kind.TOKEN: Money._token,
}
