"""The only writer of a block's entries. Decisions are encoded when they are made.

A transaction's entry comes before its effects but carries its result: its place is kept open and
filled in at the end. Entries that a trading block is full of are packed by hand, header included;
a test holds them to the schemas in `model/decisions.py`.
"""

import struct
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import I64_MAX, U64_MAX
from chainperp.model.decisions import REASONS, Kind, OrderStatus, Rejection, rule_number
from chainperp.model.entries import FORMAT, HEADER_SIZE, encode_entry
from chainperp.model.orders import Order
from chainperp.model.records import SCHEMAS
from chainperp.state.store import ASSISTANCE_FUND

# The entries of orders and fills as they are read.
ORDER_HEAD: Final = struct.Struct(">BHQIIQBHH20sI?QQQB?16s16s?")
FILL: Final = struct.Struct(">BHQIIQIQQ20sQqqqq20sQqqqqHQ")

# The same bytes as they are written, in fewer pieces: what a block's entries of a kind begin with
# is packed once, reason and rule are one (`OUTCOME`), and an i128 is two signed words.
PREFIX: Final = struct.Struct(">BHQ")
ORDER_PIECES: Final = struct.Struct(">11sIIQB4s20sI?QQQB?qqqq?")
ORDER_SIZE: Final = ORDER_PIECES.size - HEADER_SIZE
FILL_PIECES: Final = struct.Struct(">11sIIQIQQ20sQqqqq20sQqqqqHQ")
FILL_SIZE: Final = FILL_PIECES.size - HEADER_SIZE
LEDGER: Final = struct.Struct(">11sII20s20s16sH")
LEDGER_SIZE: Final = LEDGER.size - HEADER_SIZE
TX_HEAD: Final = struct.Struct(">11sIIHI")
TX_SIZE: Final = TX_HEAD.size - HEADER_SIZE + 20

pack_order: Final = ORDER_PIECES.pack
pack_fill: Final = FILL_PIECES.pack
pack_transaction: Final = TX_HEAD.pack

OUTCOME: Final[dict[Rejection, bytes]] = {
    reason: struct.pack(">HH", reason, rule_number(REASONS[reason].rule)) for reason in Rejection
}

FLAG_TAKER_BUYS: Final = 1
FLAG_MAKER_DONE: Final = 2
FLAG_LIQUIDATION: Final = 4
FLAG_BACKSTOP: Final = 8
FLAG_ADL: Final = 16
FLAG_TWAP: Final = 32
FLAG_NETTED: Final = 64


def words(value: int) -> tuple[int, int]:
    """An i128 as two signed words, high and low."""
    low = value & U64_MAX
    return value >> 64, low - U64_MAX - 1 if low > I64_MAX else low


class Fill:
    """One trade as its record needs it: both parties with their positions before it.

    Fees are the exchange's own; those of builders come on top. `flags` says who buys, whether the
    resting order is done, and which phase forced the trade.
    """

    __slots__ = (
        "cause",
        "flags",
        "lots",
        "maker",
        "maker_builder_fee",
        "maker_fee",
        "maker_oid",
        "maker_pnl",
        "maker_start",
        "price",
        "taker",
        "taker_builder_fee",
        "taker_fee",
        "taker_oid",
        "taker_pnl",
        "taker_start",
    )

    def __init__(self, maker: bytes, taker: bytes, price: int, lots: int, cause: int) -> None:
        self.maker = maker
        self.taker = taker
        self.price = price
        self.lots = lots
        self.cause = cause
        self.flags = 0
        self.maker_oid = 0
        self.taker_oid = 0
        self.maker_fee = 0
        self.taker_fee = 0
        self.maker_start = 0
        self.taker_start = 0
        self.maker_pnl = 0
        self.taker_pnl = 0
        self.maker_builder_fee = 0
        self.taker_builder_fee = 0


class Recorder:
    """Entries of one block, in order. `first_index` is the log index of the first one.

    `fund_moves` are the transfers to the assistance fund, negative out of it, with their types,
    that its books have not taken yet (`transition/buyback.py`).
    """

    __slots__ = (
        "entries", "fill_prefix", "first_index", "fund_moves", "height", "ledger_prefix",
        "order_prefix", "tx_prefix",
    )  # fmt: skip

    def __init__(self, height: int, first_index: int) -> None:
        self.height = height
        self.tx_prefix = PREFIX.pack(FORMAT, Kind.TX_USER, height)
        self.order_prefix = PREFIX.pack(FORMAT, Kind.ORDER, height)
        self.fill_prefix = PREFIX.pack(FORMAT, Kind.FILL, height)
        self.ledger_prefix = PREFIX.pack(FORMAT, Kind.LEDGER, height)
        self.first_index = first_index
        self.entries: list[bytes] = []
        self.fund_moves: list[tuple[int, int]] = []

    def next_index(self) -> int:
        """Log index that the next entry will have."""
        return self.first_index + len(self.entries)

    def add(self, kind: Kind, payload: bytes) -> None:
        """Append an entry with a payload that is already encoded."""
        self.entries.append(encode_entry(kind, self.height, len(self.entries), payload))

    def record(self, kind: Kind, fields: Record) -> None:
        """Append an entry, encoding its fields by the kind's schema."""
        self.add(kind, canonical.encode(SCHEMAS[kind], fields))

    def reserve(self) -> int:
        """Keep the next place for an entry whose content is not known yet."""
        place = len(self.entries)
        self.entries.append(b"")
        return place

    def fill_transaction(self, place: int, code: int, envelope: bytes, signer: bytes) -> None:
        """Write the user transaction of a reserved place, with its result."""
        size = len(envelope)
        head = pack_transaction(self.tx_prefix, place, TX_SIZE + size, code, size)
        self.entries[place] = head + envelope + signer

    def fill_place(self, place: int, kind: Kind, fields: Record) -> None:
        """Write an entry of a reserved place, encoding its fields by the kind's schema."""
        payload = canonical.encode(SCHEMAS[kind], fields)
        self.entries[place] = encode_entry(kind, self.height, place, payload)

    def fill_system(self, place: int, code: int, system_type: int, body: bytes) -> None:
        """Write the system transaction of a reserved place, with its result."""
        payload = canonical.encode(
            SCHEMAS[Kind.TX_SYSTEM], {"code": code, "type": system_type, "body": body}
        )
        self.entries[place] = encode_entry(Kind.TX_SYSTEM, self.height, place, payload)

    def order(
        self, order: Order, status: OrderStatus, reason: Rejection, found: int, needed: int
    ) -> None:
        """Append a decision about an order, with the two numbers that the rule compared."""
        cloid = order.cloid
        entries = self.entries
        found_high, needed_high = found >> 63, needed >> 63
        if found_high or needed_high:  # negative, or more than a word
            found_high, found = words(found)
            needed_high, needed = words(needed)
        head = pack_order(
            self.order_prefix,
            len(entries),
            ORDER_SIZE if cloid is None else ORDER_SIZE + 16,
            order.oid,
            status,
            OUTCOME[reason],
            order.account.address,
            order.asset,
            order.is_buy,
            order.price,
            order.lots,
            order.remaining,
            order.tif,
            order.reduce_only,
            found_high,
            found,
            needed_high,
            needed,
            cloid is not None,
        )
        entries.append(head if cloid is None else head + cloid)

    def fill(self, tid: int, asset: int, fill: Fill) -> None:
        """Append a trade that was just carried out."""
        entries = self.entries
        entries.append(
            pack_fill(
                self.fill_prefix,
                len(entries),
                FILL_SIZE,
                tid,
                asset,
                fill.price,
                fill.lots,
                fill.maker,
                fill.maker_oid,
                fill.maker_fee,
                fill.maker_start,
                fill.maker_pnl,
                fill.maker_builder_fee,
                fill.taker,
                fill.taker_oid,
                fill.taker_fee,
                fill.taker_start,
                fill.taker_pnl,
                fill.taker_builder_fee,
                fill.flags,
                fill.cause,
            )
        )

    def ledger(self, source: bytes, destination: bytes, amount: int, kind: int) -> None:
        """Append a transfer between two cells."""
        if destination == ASSISTANCE_FUND:
            self.fund_moves.append((amount, kind))
        if source == ASSISTANCE_FUND:
            self.fund_moves.append((-amount, kind))
        self.entries.append(
            LEDGER.pack(
                self.ledger_prefix,
                len(self.entries),
                LEDGER_SIZE,
                source,
                destination,
                amount.to_bytes(16, "big", signed=True),
                kind,
            )
        )
