"""What each transaction of a block did, read from the block's entries.

A transaction's entry comes before its effects, so a block is cut at those entries. What follows
the last one may belong to later phases; readers take only as many records as their action made.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.hashing import tagged_hash
from chainperp.chain.engine import SealedBlock
from chainperp.model.decisions import Kind, OrderStatus, Rejection, SystemType
from chainperp.model.entries import HEADER_SIZE, decode_entry, decode_payload
from chainperp.model.envelope import decode_envelope
from chainperp.transition.recorder import FILL, ORDER_HEAD

KIND: Final = slice(1, 3)
TX_USER: Final = Kind.TX_USER.to_bytes(2, "big")
TX_SYSTEM: Final = Kind.TX_SYSTEM.to_bytes(2, "big")
ORDER: Final = Kind.ORDER.to_bytes(2, "big")
FILLED: Final = Kind.FILL.to_bytes(2, "big")
RESULT: Final = slice(HEADER_SIZE, HEADER_SIZE + 2)
OID: Final = Struct(">Q")
STATUS: Final = HEADER_SIZE + 8
"""Where an ORDER entry has its status; its order's id stands before that."""
AMOUNTS: Final = Struct(">QQ")
AMOUNTS_AT: Final = HEADER_SIZE + 12
"""Where a FILL has its price and lots."""
TAKER_OID: Final = slice(HEADER_SIZE + 108, HEADER_SIZE + 116)
"""Where a FILL has the id of the incoming order."""
ASSET: Final = slice(HEADER_SIZE + 33, HEADER_SIZE + 37)
REQUEST_REFUSED: Final = OrderStatus.REQUEST_REFUSED
RESULTS: Final = {int(code): code for code in Rejection}


class OrderRecord(NamedTuple):
    """An ORDER entry. Price and lots of an order whose form was refused are as signed, in 10^-8."""

    oid: int
    status: int
    reason: int
    account: bytes
    asset: int
    is_buy: bool
    price: int
    lots: int
    remaining: int
    tif: int
    reduce_only: bool
    found: int
    needed: int
    cloid: bytes | None

    @property
    def rejection(self) -> Rejection:
        """Why it was refused or ended."""
        return Rejection(self.reason)

    @property
    def is_refused(self) -> bool:
        """Whether the order, or the request about it, was refused."""
        return self.status in (OrderStatus.REJECTED, OrderStatus.REQUEST_REFUSED)


class FillRecord(NamedTuple):
    """A FILL entry: one trade, both sides. Fees and profits in micro-USDC, starts in lots."""

    tid: int
    asset: int
    price: int
    lots: int
    maker: bytes
    maker_oid: int
    maker_fee: int
    maker_start: int
    maker_pnl: int
    maker_builder_fee: int
    taker: bytes
    taker_oid: int
    taker_fee: int
    taker_start: int
    taker_pnl: int
    taker_builder_fee: int
    flags: int
    cause_index: int


def oid_of(raw: bytes) -> int:
    """Order id of an ORDER entry."""
    oid: int = OID.unpack_from(raw, HEADER_SIZE)[0]
    return oid


def asset_of(raw: bytes) -> int:
    """Market of an ORDER entry."""
    return int.from_bytes(raw[ASSET], "big")


def cloid_of(raw: bytes) -> bytes | None:
    """Client id of an ORDER entry: what stands behind its head, if anything does."""
    return raw[ORDER_HEAD.size :] or None


def order_record(raw: bytes) -> OrderRecord:
    """Fields of an ORDER entry."""
    head = ORDER_HEAD.unpack_from(raw)
    oid, status, reason, _rule, *middle, found, needed, has_cloid = head[5:]
    signed = [int.from_bytes(number, "big", signed=True) for number in (found, needed)]
    cloid = raw[ORDER_HEAD.size :] if has_cloid else None
    return OrderRecord._make((oid, status, reason, *middle, *signed, cloid))


def fill_record(raw: bytes) -> FillRecord:
    """Fields of a FILL entry."""
    return FillRecord(*FILL.unpack_from(raw)[5:])


class Effects:
    """One transaction with the entries that follow it, up to the next one.

    `index` is its log index, `code` its result, `raw` its own entry.
    """

    __slots__ = ("code", "entries", "index", "raw")

    def __init__(self, index: int, raw: bytes) -> None:
        self.index = index
        self.raw = raw
        self.code = RESULTS[int.from_bytes(raw[RESULT], "big")]
        self.entries: list[bytes] = []

    @property
    def is_system(self) -> bool:
        """Whether no user signed it."""
        return self.raw[KIND] == TX_SYSTEM

    def fields(self) -> Record:
        """Named fields of the transaction's entry."""
        return decode_payload(decode_entry(self.raw))

    def hash(self) -> bytes:
        """The transaction's name: hash of its envelope, or of a system transaction's body."""
        fields = self.fields()
        return tagged_hash("tx", fields["body" if self.is_system else "envelope"])

    def action_type(self) -> str:
        """Type of the signed action, or the name of the system input."""
        fields = self.fields()
        if self.is_system:
            return SystemType(fields["type"]).name.lower()
        packed = decode_envelope(fields["envelope"]).action_bytes
        # A canonical action is a map that starts with `type` and a name of less than 32 letters.
        return packed[7 : 7 + (packed[6] & 0x1F)].decode("ascii")

    def orders(self) -> Iterator[OrderRecord]:
        """Decisions about orders, in the order they were made."""
        for raw in self.entries:
            if raw[KIND] == ORDER:
                yield order_record(raw)

    def fills(self) -> Iterator[FillRecord]:
        """Trades, in order."""
        for raw in self.entries:
            if raw[KIND] == FILLED:
                yield fill_record(raw)

    def new_orders(self, first_oid: int) -> list[bytes]:
        """The first entry about each order whose id is `first_oid` or above."""
        found: dict[int, bytes] = {}
        for raw in self.entries:
            if raw[KIND] == ORDER and raw[STATUS] != REQUEST_REFUSED:
                oid = oid_of(raw)
                if oid >= first_oid and oid not in found:
                    found[oid] = raw
        return list(found.values())

    def traded(self, oid: int) -> list[tuple[int, int]]:
        """Price and lots of the trades in which an order was the incoming side."""
        if len(self.entries) == 1:
            # Only the decision about the order: most orders rest, and trade with nobody yet.
            return []
        wanted = oid.to_bytes(8, "big")
        return [
            AMOUNTS.unpack_from(raw, AMOUNTS_AT)
            for raw in self.entries
            if raw[KIND] == FILLED and raw[TAKER_OID] == wanted
        ]

    def next_oid(self, before: int) -> int:
        """The first order id that is free after this, when `before` was it before."""
        for raw in self.entries:
            if raw[KIND] == ORDER:
                oid = oid_of(raw)
                if oid >= before:
                    before = oid + 1
        return before

    def fields_of(self, kind: Kind) -> Record | None:
        """Named fields of the first entry of a kind, or None."""
        wanted = kind.to_bytes(2, "big")
        for raw in self.entries:
            if raw[KIND] == wanted:
                return decode_payload(decode_entry(raw))
        return None


class Published:
    """A block that is durable, as everybody who reads it may see it."""

    __slots__ = ("effects", "entries", "first_index", "height", "time_ms")

    def __init__(self, height: int, time_ms: int, first_index: int, entries: list[bytes]) -> None:
        self.height = height
        self.time_ms = time_ms
        self.first_index = first_index
        self.entries = entries
        self.effects = effects_of(entries, first_index)

    @staticmethod
    def of(sealed: SealedBlock) -> "Published":
        """A block that was just sealed and committed."""
        return Published(sealed.height, sealed.time_ms, sealed.first_index, sealed.entries)


def effects_of(entries: list[bytes], first_index: int) -> list[Effects]:
    """Transactions of a block in the order they were executed, system ones first."""
    found: list[Effects] = []
    current: list[bytes] | None = None
    for place, raw in enumerate(entries):
        kind = raw[KIND]
        if kind in (TX_USER, TX_SYSTEM):
            effects = Effects(first_index + place, raw)
            current = effects.entries
            found.append(effects)
        elif current is not None:
            current.append(raw)
    return found
