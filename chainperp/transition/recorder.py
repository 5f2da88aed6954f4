"""The only writer of a block's entries. Decisions are encoded when they are made.

A transaction's entry comes before its effects but carries its result: its place is kept open and
filled in at the end. Entries that a trading block is full of are packed by hand, header included;
a test holds them to the schemas in `model/decisions.py`.
"""

import struct
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import U64_MAX
from chainperp.model.decisions import RULE_OF, Kind, OrderStatus, Rejection
from chainperp.model.entries import FORMAT, HEADER_SIZE, encode_entry
from chainperp.model.orders import Order
from chainperp.model.records import SCHEMAS
from chainperp.state.store import ASSISTANCE_FUND

# Found and needed as two words each: the same bytes as `canonical.pack_i128`, in one call.
ORDER_HEAD: Final = struct.Struct(">BHQIIQBHH20sI?QQQB?qQqQ?")
ORDER_SIZE: Final = ORDER_HEAD.size - HEADER_SIZE
FILL: Final = struct.Struct(">BHQIIQIQQ20sQqqqq20sQqqqqHQ")
FILL_SIZE: Final = FILL.size - HEADER_SIZE
LEDGER: Final = struct.Struct(">BHQII20s20s16sH")
LEDGER_SIZE: Final = LEDGER.size - HEADER_SIZE
TX_HEAD: Final = struct.Struct(">BHQIIHI")
TX_SIZE: Final = TX_HEAD.size - HEADER_SIZE + 20

KIND_TX: Final = int(Kind.TX_USER)
KIND_ORDER: Final = int(Kind.ORDER)
KIND_FILL: Final = int(Kind.FILL)

FLAG_TAKER_BUYS: Final = 1
FLAG_MAKER_DONE: Final = 2
FLAG_LIQUIDATION: Final = 4
FLAG_BACKSTOP: Final = 8
FLAG_ADL: Final = 16
FLAG_TWAP: Final = 32
FLAG_NETTED: Final = 64


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

    __slots__ = ("entries", "first_index", "fund_moves", "height")

    def __init__(self, height: int, first_index: int) -> None:
        self.height = height
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
        self.entries.append(b"")
        return len(self.entries) - 1

    def fill_transaction(self, place: int, code: int, envelope: bytes, signer: bytes) -> None:
        """Write the user transaction of a reserved place, with its result."""
        size = len(envelope)
        head = TX_HEAD.pack(FORMAT, KIND_TX, self.height, place, TX_SIZE + size, code, size)
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
        has_cloid = cloid is not None
        head = ORDER_HEAD.pack(
            FORMAT,
            KIND_ORDER,
            self.height,
            len(entries),
            ORDER_SIZE + 16 if has_cloid else ORDER_SIZE,
            order.oid,
            status,
            reason,
            RULE_OF[reason],
            order.account.address,
            order.asset,
            order.is_buy,
            order.price,
            order.lots,
            order.remaining,
            order.tif,
            order.reduce_only,
            found >> 64,
            found & U64_MAX,
            needed >> 64,
            needed & U64_MAX,
            has_cloid,
        )
        entries.append(head if cloid is None else head + cloid)

    def fill(self, tid: int, asset: int, fill: Fill) -> None:
        """Append a trade that was just carried out."""
        entries = self.entries
        entries.append(
            FILL.pack(
                FORMAT,
                KIND_FILL,
                self.height,
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
                FORMAT,
                Kind.LEDGER,
                self.height,
                len(self.entries),
                LEDGER_SIZE,
                source,
                destination,
                amount.to_bytes(16, "big", signed=True),
                kind,
            )
        )
