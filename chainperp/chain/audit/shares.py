"""Shares of vaults as an auditor follows them: every change re-derived from its record.

Holders and totals come from committed leaves once, then from the log alone; at each SEAL the leaves
must agree. Money that goes into a vault or out of it has a change of shares in front of it, and the
price of everybody else's shares never falls by one. Source: VLT-3 to VLT-6, VLT-8, VLT-13, VLT-18,
reliability INV-V1 to INV-V8.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import address_text
from chainperp.chain.audit.leaves import Moment
from chainperp.model.decisions import Kind, LedgerType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.vaults import ShareEvent, VaultEvent
from chainperp.parameters.schema import Parameters
from chainperp.rules.vaults import (
    commission,
    distribution_part,
    equity,
    shares_bought,
    shares_redeemed,
    unlocks_at,
)
from chainperp.state.schemas import ACCOUNT, MARKET, POSITION, SHARE, VAULT
from chainperp.state.store import HLP_MEMBERS, INSURANCE, LIQUIDITY_VAULT
from chainperp.state.tree import Tree

PERCENT: Final = 100
PAID_FOR: Final = {
    ShareEvent.WITHDRAWAL: LedgerType.VAULT_WITHDRAWAL,
    ShareEvent.CLOSE: LedgerType.VAULT_WITHDRAWAL,
    ShareEvent.DISTRIBUTION: LedgerType.VAULT_DISTRIBUTION,
}
VAULT_MONEY: Final = (
    LedgerType.VAULT_CREATE, LedgerType.VAULT_DEPOSIT, LedgerType.VAULT_WITHDRAWAL,
    LedgerType.VAULT_COMMISSION, LedgerType.VAULT_DISTRIBUTION,
)  # fmt: skip


class Part(NamedTuple):
    """One holder's part of one vault."""

    shares: int
    basis: int
    locked_until: int


class Due(NamedTuple):
    """What a change should have been."""

    change: int
    basis_change: int
    gross: int
    commission: int
    net: int
    locked_until: int


NOTHING: Final = Part(0, 0, 0)
CHECKED: Final = ("change", "basis_change", "gross", "commission", "net", "locked_until")


class ShareTrail:
    """What an auditor remembers of vaults between blocks. Starts from a committed state."""

    __slots__ = ("_closing", "_touched", "changes", "leaders", "parameters", "parts", "totals")

    def __init__(self, parameters: Parameters, trees: Mapping[str, Tree]) -> None:
        self.parameters = parameters
        self.changes = 0
        self.parts: dict[bytes, Part] = {}
        self.totals: dict[bytes, int] = {}
        self.leaders: dict[bytes, bytes] = {}
        self._closing: dict[bytes, tuple[int, int]] = {}
        self._touched: dict[bytes, None] = {}
        for key, value, _sums in trees["share"].items():
            self.parts[key] = _part(value)
        for key, value, _sums in trees["vault"].items():
            fields = canonical.decode(VAULT, value)
            self.totals[key], self.leaders[key] = fields["shares"], fields["leader"]

    def follow(self, entries: Sequence[bytes]) -> Iterator[str]:
        """Changes of a block, in order; yields what does not fit."""
        self._touched = {}
        self._closing = {}
        if not any(_kind(raw) in (Kind.SHARES, Kind.USER_VAULT, Kind.LEDGER) for raw in entries):
            return
        time_ms = _fields(entries[-1])["time_ms"]
        owed: list[tuple[bytes, bytes, int, int]] = []
        for raw in entries:
            kind = _kind(raw)
            if kind == Kind.USER_VAULT:
                self._vault(_fields(raw))
            elif kind == Kind.SHARES:
                yield from _unpaid(owed)
                fields = _fields(raw)
                yield from self._change(fields, time_ms)
                owed = self._owed(fields)
            elif kind == Kind.LEDGER:
                fields = _fields(raw)
                if fields["type"] in VAULT_MONEY:
                    yield from _paid(fields, owed)
        yield from _unpaid(owed)

    def _vault(self, fields: Record) -> None:
        vault = fields["vault"]
        if fields["event"] == VaultEvent.CREATED:
            self.leaders[vault] = fields["leader"]
            self.totals[vault] = 0
        elif fields["event"] == VaultEvent.CLOSED:
            self._closing[vault] = (fields["value"], fields["shares"])

    def _change(self, fields: Record, time_ms: int) -> Iterator[str]:
        """One SHARES entry: the parts before it, what the rule gives, the others' price."""
        vault, key = fields["vault"], fields["vault"] + fields["holder"]
        name = f"shares of {address_text(fields['holder'])} in {address_text(vault)}"
        part, total = self.parts.get(key, NOTHING), self.totals.get(vault, 0)
        event = ShareEvent(fields["event"])
        # A vault that is closed pays everybody at the total before anybody was paid.
        whole = self._closing.get(vault, (0, total))[1] if event is ShareEvent.CLOSE else total
        stated = (fields["held"], fields["basis"], fields["total"])
        if stated != (part.shares, part.basis, whole):
            due_parts = (part.shares, part.basis, whole)
            yield f"{name}: held, basis and total were {stated}, due were {due_parts}"
        if event is ShareEvent.WITHDRAWAL and time_ms < part.locked_until:
            yield f"{name}: withdrawn before {part.locked_until}, when its lock-up ends"
        due = self._due(event, fields, part, time_ms)
        for column, wanted in zip(CHECKED, due, strict=True):
            if fields[column] != wanted:
                yield f"{name}: {event.name.lower()} has {column} {fields[column]}, due {wanted}"
        yield from _dilution(name, event, fields)
        after = Part(
            part.shares + fields["change"], part.basis + fields["basis_change"],
            fields["locked_until"],
        )  # fmt: skip
        self.totals[vault] = total + fields["change"]
        self._touched[key] = None
        self.changes += 1
        if after.shares:
            self.parts[key] = after
        else:
            self.parts.pop(key, None)

    def _due(self, event: ShareEvent, fields: Record, part: Part, time_ms: int) -> Due:
        rules: dict[ShareEvent, Callable[[Record, Part, int], Due]] = {
            ShareEvent.DEPOSIT: self._deposit,
            ShareEvent.SEED: self._seed,
            ShareEvent.WITHDRAWAL: self._withdrawal,
            ShareEvent.DISTRIBUTION: self._distribution,
            ShareEvent.CLOSE: self._close,
        }
        return rules[event](fields, part, time_ms)

    def _deposit(self, fields: Record, _part: Part, time_ms: int) -> Due:
        bought, cost = _bought(fields)
        lock = unlocks_at(time_ms, fields["vault"] == LIQUIDITY_VAULT, self.parameters)
        return Due(bought, cost, cost, 0, cost, lock)

    def _seed(self, fields: Record, part: Part, _time_ms: int) -> Due:
        """Only the insurance account's, only of the liquidity vault; all that is there when there
        are no shares yet, else what a deposit buys."""
        if (fields["vault"], fields["holder"]) != (LIQUIDITY_VAULT, INSURANCE):
            return Due(0, 0, 0, 0, 0, 0)
        cost = fields["requested"] if fields["total"] else max(0, fields["value"])
        bought = _bought(fields)[0] if fields["total"] else cost
        return Due(bought, cost, cost, 0, cost, part.locked_until)

    def _withdrawal(self, fields: Record, part: Part, _time_ms: int) -> Due:
        """What was asked, or as much of it as could be paid after closing (VLT-18)."""
        held, value, total = part.shares, fields["value"], fields["total"]
        redeemed, most = shares_redeemed(fields["requested"], held, value, total)
        gross = min(fields["gross"], most)
        if gross < most:
            redeemed, _ = shares_redeemed(gross, held, value, total)
        return self._paid_out(fields, part, redeemed, gross)

    def _close(self, fields: Record, part: Part, _time_ms: int) -> Due:
        value, total = self._closing.get(fields["vault"], (0, 0))
        return self._paid_out(fields, part, part.shares, equity(part.shares, value, total))

    def _paid_out(self, fields: Record, part: Part, redeemed: int, gross: int) -> Due:
        paid = gross - fields["closing_cost"]
        charge, used = commission(paid, redeemed, part.shares, part.basis, self._percent(fields))
        return Due(-redeemed, -used, gross, charge, paid - charge, part.locked_until)

    def _distribution(self, fields: Record, part: Part, _time_ms: int) -> Due:
        paid, used = distribution_part(
            fields["requested"], fields["value"], part.shares, fields["total"], part.basis
        )
        charge, _ = commission(paid, 1, 1, used, self._percent(fields))
        return Due(0, -used, paid, charge, paid - charge, part.locked_until)

    def _percent(self, fields: Record) -> int:
        vault = fields["vault"]
        is_free = vault == LIQUIDITY_VAULT or self.leaders.get(vault) == fields["holder"]
        return 0 if is_free else self.parameters.vault_commission_percent

    def _owed(self, fields: Record) -> list[tuple[bytes, bytes, int, int]]:
        """Transfers that a change must be followed by: (source, destination, amount, type)."""
        vault, holder, event = fields["vault"], fields["holder"], ShareEvent(fields["event"])
        if event is ShareEvent.SEED:
            return []
        if event is ShareEvent.DEPOSIT:
            first = fields["total"] == 0 and self.leaders.get(vault) == holder
            kind = LedgerType.VAULT_CREATE if first else LedgerType.VAULT_DEPOSIT
            return [(holder, vault, fields["net"], kind)]
        rows = [(vault, holder, fields["net"], int(PAID_FOR[event]))]
        leader = self.leaders.get(vault, b"")
        rows.append((vault, leader, fields["commission"], int(LedgerType.VAULT_COMMISSION)))
        return [row for row in rows if row[2]]

    def close(self, moment: Moment, entries: Sequence[bytes]) -> Iterator[str]:
        """The leaves at a SEAL are what the log gives; all shares are somebody's (INV-V1)."""
        roots, trees = moment.committed.roots, moment.trees
        held, made = (roots[name].sums[0] for name in ("share", "vault"))
        if held != made:
            yield f"holders have {held} shares, the vaults say {made}"
        for key in self._touched:
            value = trees["share"].get(key)
            leaf = None if value is None else _part(value)
            if leaf != self.parts.get(key):
                yield f"the leaf of {key[20:].hex()} in {key[:20].hex()} is not what the log gives"
        for vault in dict.fromkeys(key[:20] for key in self._touched):
            yield from self._close_vault(trees, vault, entries)

    def _close_vault(
        self, trees: Mapping[str, Tree], vault: bytes, entries: Sequence[bytes]
    ) -> Iterator[str]:
        fields = canonical.decode(VAULT, trees["vault"].get(vault) or b"")
        if fields["shares"] != self.totals[vault]:
            yield f"vault {vault.hex()} has {fields['shares']} shares, due {self.totals[vault]}"
        if vault == LIQUIDITY_VAULT:
            percent = self.parameters.liquidity_vault_day_percent
            most = floor_div(max(0, fields["day_value"]) * percent, PERCENT)
            if fields["day_paid"] > most:
                yield f"the liquidity vault paid {fields['day_paid']} on a day, at most {most}"
        found, due = _value_after(entries, vault), _leaf_value(trees, vault)
        if found is not None and found != due:
            yield f"vault {vault.hex()} was worth {found} after its last change, its leaves {due}"


def _kind(raw: bytes) -> int:
    return int.from_bytes(raw[1:3], "big")


def _fields(raw: bytes) -> Record:
    return decode_payload(decode_entry(raw))


def _part(value: bytes) -> Part:
    fields = canonical.decode(SHARE, value)
    return Part(fields["shares"], fields["basis"], fields["locked_until"])


def _bought(fields: Record) -> tuple[int, int]:
    """Nothing where a deposit should have been refused."""
    value, total = fields["value"], fields["total"]
    return shares_bought(fields["requested"], value, total) if value > 0 or not total else (0, 0)


def _unpaid(owed: list[tuple[bytes, bytes, int, int]]) -> Iterator[str]:
    for source, target, amount, kind in owed:
        yield (
            f"{amount} from {address_text(source)} to {address_text(target)} "
            f"({LedgerType(kind).name}) does not follow its change of shares"
        )
    owed.clear()


def _paid(fields: Record, owed: list[tuple[bytes, bytes, int, int]]) -> Iterator[str]:
    row = (fields["source"], fields["destination"], fields["amount"], fields["type"])
    if row in owed:
        owed.remove(row)
    else:
        yield (
            f"{row[2]} from {address_text(row[0])} to {address_text(row[1])} "
            f"({LedgerType(row[3]).name}) belongs to no change of shares"
        )


def _dilution(name: str, event: ShareEvent, fields: Record) -> Iterator[str]:
    """The price per share of the others never falls: deposits bring at least what they buy,
    withdrawals take at most what they give back (INV-V2, INV-V3)."""
    value, total, change = fields["value"], fields["total"], fields["change"]
    if event is ShareEvent.DISTRIBUTION or event is ShareEvent.CLOSE or not total:
        return
    moved = fields["gross"] if change > 0 else -fields["gross"]
    if (value + moved) * total < value * (total + change):
        yield f"{name}: the price of the others' shares falls"


def _members(vault: bytes) -> tuple[bytes, ...]:
    return HLP_MEMBERS if vault == LIQUIDITY_VAULT else (vault,)


def _value_after(entries: Sequence[bytes], vault: bytes) -> int | None:
    """What the vault is worth at the SEAL by its last change and the transfers behind it; None when
    a trade of the block may have changed it."""
    members = _members(vault)
    last = max(
        place for place, raw in enumerate(entries)
        if _kind(raw) == Kind.SHARES and _fields(raw)["vault"] == vault
    )  # fmt: skip
    asked = max((at for at in range(last) if _kind(entries[at]) == Kind.TX_USER), default=0)
    for raw in entries[asked:]:
        if _kind(raw) == Kind.FILL and any(one in raw for one in members):
            return None
    fields = _fields(entries[last])
    if fields["event"] == ShareEvent.SEED:
        return None
    value: int = fields["value"]
    if fields["event"] in (ShareEvent.CLOSE, ShareEvent.DISTRIBUTION):
        return None
    for raw in entries[last + 1 :]:
        if _kind(raw) == Kind.LEDGER:
            row = _fields(raw)
            value += row["amount"] * ((row["destination"] in members) - (row["source"] in members))
    return value


def _leaf_value(trees: Mapping[str, Tree], vault: bytes) -> int:
    """Value of a vault's accounts from their leaves, isolated positions included."""
    total = 0
    for address in _members(vault):
        account = canonical.decode(ACCOUNT, trees["acct"].get(address) or b"")
        total += account["raw"] + account["raw_isolated"]
        for row in account["positions"]:
            name = f"pos/{row['asset']:08x}/"
            market = canonical.decode(
                MARKET, trees["oracle"].get(row["asset"].to_bytes(4, "big")) or b""
            )
            for side, sign in (("L", 1), ("S", -1)):
                value = trees[name + side].get(address)
                if value is not None:
                    total += sign * canonical.decode(POSITION, value)["lots"] * market["mark"]
    return total
