"""What a block did, as far as subscribers ask: read from its entries once, for all channels."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from chainperp.base.canonical import Record
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.documents.texts import ZERO_HASH, hex_text
from chainperp.node.effects import (
    FILLED,
    KIND,
    ORDER,
    Effects,
    FillRecord,
    OrderRecord,
    Published,
    fill_record,
    order_record,
)
from chainperp.node.index.schema import OFF_BOOK
from chainperp.state.store import State
from chainperp.transition.recorder import FLAG_TWAP

Decision = OrderRecord | FillRecord | int
"""What happened to an account's orders: a decision, a trade, or the oid of a trigger that fired."""

ASSET: Final = slice(19, 23)
"""Where a price entry names its market: the first field behind the header."""

TRIGGERED: Final = Kind.TRIGGER.to_bytes(2, "big")
TESTED: Final = Kind.LIQ_TEST.to_bytes(2, "big")
TRIGGER_OID: Final = slice(19, 27)
TRIGGER_ACCOUNT: Final = slice(27, 47)

_PRICES: Final = tuple(
    kind.to_bytes(2, "big") for kind in (Kind.MARK, Kind.ORACLE, Kind.PREMIUM, Kind.FUNDING)
)
_OWNERS: Final = {
    Kind.LEVERAGE: ("account",),
    Kind.LIQ_TEST: ("account",),
    Kind.BACKSTOP: ("account", "vault"),
    Kind.ADL_NET: ("long_account", "short_account"),
    Kind.DEPOSIT: ("user",),
    Kind.WITHDRAW_REQ: ("user",),
    Kind.AGENT: ("account",),
    Kind.LEDGER: ("source", "destination"),
    Kind.TWAP: ("account",),
    Kind.TOKEN: ("source", "destination"),
    Kind.REFERRAL: ("account", "referrer"),
    Kind.SHARES: ("holder", "vault"),
    Kind.USER_VAULT: ("vault",),
}
"""Which fields of an entry name the accounts that it changed, beside orders, fills and funding."""


class BlockView:
    """A durable block and the state after it. `withdrawing`: whose withdrawals waited before it,
    by number; those that it ended are no longer in the state."""

    def __init__(
        self,
        published: Published,
        state: State,
        withdrawing: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        self.withdrawing = withdrawing
        self.published = published
        self.state = state
        self.height = published.height
        self.time_ms = published.time_ms
        self._hashes: dict[int, str] = {}

    @cached_property
    def by_kind(self) -> dict[bytes, list[bytes]]:
        """Entries by kind, each in order."""
        found: dict[bytes, list[bytes]] = {}
        for raw in self.published.entries:
            found.setdefault(raw[KIND], []).append(raw)
        return found

    def of_kind(self, kind: Kind) -> list[Record]:
        """Named fields of the entries of a kind."""
        raws = self.by_kind.get(kind.to_bytes(2, "big"), [])
        return [decode_payload(decode_entry(raw)) for raw in raws]

    @cached_property
    def fills(self) -> list[FillRecord]:
        """Trades, in order."""
        return [fill_record(raw) for raw in self.by_kind.get(FILLED, [])]

    @cached_property
    def _transactions(self) -> dict[int, Effects]:
        return {one.index: one for one in self.published.effects}

    def hash_of(self, record: FillRecord) -> str:
        """Hash of the transaction that made a trade; zero when nobody signed for it."""
        index = record.cause_index
        if index not in self._hashes:
            effects = self._transactions.get(index)
            self._hashes[index] = ZERO_HASH if effects is None else hex_text(effects.hash())
        return self._hashes[index]

    @cached_property
    def twaps(self) -> list[Record]:
        """What happened to TWAP orders, in order."""
        return self.of_kind(Kind.TWAP)

    def twap_of(self, record: FillRecord) -> int | None:
        """The TWAP order that a trade's aggressor was a slice of: the entry of the slice is the
        trade's cause."""
        if not record.flags & FLAG_TWAP:
            return None
        published = self.published
        cause = decode_entry(published.entries[record.cause_index - published.first_index])
        found: int = decode_payload(cause)["twap_id"]
        return found

    @cached_property
    def orders(self) -> list[OrderRecord]:
        """Decisions about orders, in order."""
        return [order_record(raw) for raw in self.by_kind.get(ORDER, [])]

    @cached_property
    def decisions(self) -> dict[bytes, list[Decision]]:
        """What happened to each account's orders, in order."""
        found: dict[bytes, list[Decision]] = {}
        orders, fills = iter(self.orders), iter(self.fills)
        for raw in self.published.entries:
            kind = raw[KIND]
            if kind == ORDER:
                order = next(orders)
                found.setdefault(order.account, []).append(order)
            elif kind == FILLED:
                fill = next(fills)
                found.setdefault(fill.maker, []).append(fill)
                if fill.taker != fill.maker:
                    found.setdefault(fill.taker, []).append(fill)
            elif kind == TRIGGERED:
                oid = int.from_bytes(raw[TRIGGER_OID], "big")
                found.setdefault(raw[TRIGGER_ACCOUNT], []).append(oid)
        return found

    @cached_property
    def fundings(self) -> dict[bytes, list[tuple[int, int, int, int]]]:
        """Hourly payments by account: market, rate in 10^-9, lots, payment in micro-USDC."""
        found: dict[bytes, list[tuple[int, int, int, int]]] = {}
        for fields in self.of_kind(Kind.FUNDING):
            for row in fields["rows"]:
                one = fields["asset"], fields["rate_ppb"], row["lots"], row["payment"]
                found.setdefault(row["account"], []).append(one)
        return found

    @cached_property
    def tests(self) -> list[tuple[int, Record]]:
        """Liquidation tests that failed: log index and fields."""
        raws = self.by_kind.get(TESTED, [])
        entries = [decode_entry(raw) for raw in raws]
        return [(self.published.first_index + one.seq, decode_payload(one)) for one in entries]

    @cached_property
    def traded(self) -> dict[int, list[FillRecord]]:
        """Trades on the books, by market: positions that the liquidator vault took over and
        forced closes are no trades to the public."""
        found: dict[int, list[FillRecord]] = {}
        for record in self.fills:
            if record.flags & OFF_BOOK:
                continue
            found.setdefault(record.asset, []).append(record)
        return found

    @cached_property
    def books(self) -> dict[int, None]:
        """Markets whose book may have changed."""
        touched = dict.fromkeys(record.asset for record in self.orders)
        return touched | dict.fromkeys(self.traded)

    @cached_property
    def prices(self) -> dict[int, None]:
        """Markets whose mark, oracle price or funding changed."""
        return {
            int.from_bytes(raw[ASSET], "big"): None
            for kind in _PRICES
            for raw in self.by_kind.get(kind, [])
        }

    @cached_property
    def accounts(self) -> dict[bytes, None]:
        """Accounts that the block changed, beyond what their positions are worth."""
        found: dict[bytes, None] = dict.fromkeys(self.decisions) | dict.fromkeys(self.fundings)
        for kind, names in _OWNERS.items():
            for fields in self.of_kind(kind):
                found.update(dict.fromkeys(fields[name] for name in names))
        for fields in self.of_kind(Kind.WITHDRAW_DONE):
            user = self.withdrawing.get(fields["wid"])
            if user is not None:
                found[user] = None
        return found
