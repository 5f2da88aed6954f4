"""Orders of a batch of blocks: new rows, and what changes in rows that are there already."""

from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.rounding import exact_or_none
from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.node.documents.listing import Coins
from chainperp.node.documents.orders import (
    AS_SIGNED,
    FILLED,
    TRIGGERED,
    status_word,
    trigger_of_record,
)
from chainperp.node.effects import OrderRecord
from chainperp.node.index.actions import Spec
from chainperp.node.index.schema import (
    ORDER_AS_SIGNED,
    ORDER_IS_BUY,
    ORDER_IS_SLICE,
    ORDER_IS_VAULT_CLOSE,
    ORDER_REDUCE_ONLY,
    TIF_LIQUIDATION_MARKET,
    TRIGGER_IS_FIRED,
    TRIGGER_IS_MARKET,
    TRIGGER_IS_POSITION,
    TRIGGER_IS_STOP,
    TRIGGER_RISES,
    TWAP_IS_BUY,
    TWAP_RANDOMIZE,
    TWAP_REDUCE_ONLY,
)

LOTS: Final = 5
REMAINING: Final = 6
STATUS: Final = 8
STATUS_MS: Final = 9
TRIGGER_FLAGS: Final = 13

INSERT: Final = "INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
UPDATE: Final = """UPDATE orders SET remaining = coalesce(?1, remaining) - ?2,
 status = coalesce(?3, status), status_ms = coalesce(?4, status_ms),
 trigger_flags = trigger_flags | ?5, lots = CASE lots WHEN 0 THEN ?6 ELSE lots END
 WHERE oid = ?7"""


class OrderRows:
    """Invariant: an order is in `fresh` or in `changed`, never in both."""

    __slots__ = ("changed", "fresh", "slice_oid", "terms")

    def __init__(self, terms: Coins) -> None:
        self.terms = terms
        self.fresh: dict[int, list[Any]] = {}
        self.changed: dict[int, list[Any]] = {}
        self.slice_oid = 0
        """The order that the last slice of a TWAP order sends."""

    def clear(self) -> None:
        """Begin a new batch."""
        self.fresh.clear()
        self.changed.clear()

    def add(self, record: OrderRecord, user: int, spec: Spec | None, time_ms: int) -> None:
        """The first decision about an order."""
        flags = (ORDER_IS_BUY if record.is_buy else 0) | (
            ORDER_REDUCE_ONLY if record.reduce_only else 0
        )
        if record.reason in AS_SIGNED:
            flags |= ORDER_AS_SIGNED
        if record.oid == self.slice_oid:
            flags |= ORDER_IS_SLICE
        if record.reason == Rejection.VAULT_CLOSING:
            flags |= ORDER_IS_VAULT_CLOSE
        tif = record.tif
        trigger_price, trigger_flags = None, 0
        if spec is not None and spec.trigger is not None:
            trigger_price, trigger_flags = self._trigger(record, spec.trigger)
        elif spec is not None and spec.tif is not None:
            tif = spec.tif
        elif record.reason == Rejection.LIQUIDATION:
            tif = TIF_LIQUIDATION_MARKET
        elif record.status in (OrderStatus.WAITING_FOR_FILL, OrderStatus.WAITING_FOR_TRIGGER):
            trigger_price, trigger_flags = _trigger_seen(record)
        self.fresh[record.oid] = [
            record.oid, user, record.asset, flags, record.price, record.lots,
            0 if record.status == OrderStatus.FILLED else record.remaining, tif,
            status_word(record), time_ms, time_ms, record.cloid, trigger_price, trigger_flags,
        ]  # fmt: skip

    def _trigger(
        self, record: OrderRecord, trigger: tuple[int, bool, bool, bool]
    ) -> tuple[int, int]:
        """Trigger price in the decimals of the order's own price, and flags."""
        price, is_market, is_stop, is_position = trigger
        if record.reason not in AS_SIGNED and record.asset in self.terms:
            tick = 10 ** (2 + self.terms[record.asset].size_decimals)
            price = exact_or_none(price, tick) or 0
        flags = (
            (TRIGGER_IS_MARKET if is_market else 0)
            | (TRIGGER_IS_STOP if is_stop else 0)
            | (TRIGGER_IS_POSITION if is_position else 0)
            | (TRIGGER_RISES if is_stop is bool(record.is_buy) else 0)
        )
        return price, flags

    def change(self, record: OrderRecord, time_ms: int) -> None:
        """A later decision about an order."""
        word = status_word(record)
        remaining = 0 if record.status == OrderStatus.FILLED else record.remaining
        row = self.fresh.get(record.oid)
        if row is not None:
            row[REMAINING] = remaining
            row[STATUS], row[STATUS_MS] = word, time_ms
            row[LOTS] = row[LOTS] or record.lots
            return
        change = self._change(record.oid)
        change[0], change[1] = remaining, 0
        change[2], change[3] = word, time_ms
        change[5] = record.lots

    def fired(self, oid: int, time_ms: int) -> None:
        """The mark has reached an order's trigger."""
        row = self.fresh.get(oid)
        if row is not None:
            row[STATUS], row[STATUS_MS] = TRIGGERED, time_ms
            row[TRIGGER_FLAGS] |= TRIGGER_IS_FIRED
            return
        change = self._change(oid)
        change[2], change[3] = TRIGGERED, time_ms
        change[4] |= TRIGGER_IS_FIRED

    def filled(self, oid: int, lots: int, time_ms: int, *, is_done: bool) -> None:
        """A resting order was filled, in part or to its end."""
        row = self.fresh.get(oid)
        if row is not None:
            row[REMAINING] -= lots
            if is_done:
                row[STATUS], row[STATUS_MS] = FILLED, time_ms
            return
        change = self._change(oid)
        change[1] += lots
        if is_done:
            change[2], change[3] = FILLED, time_ms

    def _change(self, oid: int) -> list[Any]:
        change = self.changed.get(oid)
        if change is None:
            change = self.changed[oid] = [None, 0, None, None, 0, 0, oid]
        return change

    def statements(self) -> list[tuple[str, list[Any]]]:
        """What is to be written: statement and rows."""
        return [(INSERT, list(self.fresh.values())), (UPDATE, list(self.changed.values()))]


def _trigger_seen(record: OrderRecord) -> tuple[int | None, int]:
    """The trigger as far as the record tells it, when the action could not be read."""
    seen = trigger_of_record(record)
    if seen is None:
        return None, 0
    flags = (
        (TRIGGER_IS_MARKET if record.tif == TimeInForce.IOC else 0)
        | (TRIGGER_IS_STOP if seen.is_stop else 0)
        | (TRIGGER_RISES if seen.rises else 0)
    )
    return seen.price, flags


def twap_row(fields: Record, user: int) -> tuple[Any, ...]:
    """The row of a TWAP order that begins, from its record."""
    flags = (
        (TWAP_IS_BUY if fields["is_buy"] else 0)
        | (TWAP_REDUCE_ONLY if fields["reduce_only"] else 0)
        | (TWAP_RANDOMIZE if fields["randomize"] else 0)
    )
    names = "lots", "minutes", "start"
    return (fields["twap_id"], user, fields["asset"], flags, *(fields[name] for name in names))
