"""What a block did, as far as subscribers ask: read from its entries once, for all channels."""

from functools import cached_property
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
from chainperp.state.store import State

ASSET: Final = slice(19, 23)
"""Where a price entry names its market: the first field behind the header."""

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
}
"""Which fields of an entry name the accounts that it changed, beside orders, fills and funding."""


class BlockView:
    """A durable block and the state after it."""

    def __init__(self, published: Published, state: State) -> None:
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
    def orders(self) -> list[OrderRecord]:
        """Decisions about orders, in order."""
        return [order_record(raw) for raw in self.by_kind.get(ORDER, [])]

    @cached_property
    def traded(self) -> dict[int, list[FillRecord]]:
        """Trades by market."""
        found: dict[int, list[FillRecord]] = {}
        for record in self.fills:
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
        found: dict[bytes, None] = dict.fromkeys(record.account for record in self.orders)
        for fill in self.fills:
            found[fill.maker] = found[fill.taker] = None
        for kind, names in _OWNERS.items():
            for fields in self.of_kind(kind):
                found.update(dict.fromkeys(fields[name] for name in names))
        for fields in self.of_kind(Kind.FUNDING):
            found.update(dict.fromkeys(row["account"] for row in fields["rows"]))
        return found
