"""Rows of the index as the views that documents are made of."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import E8_DECIMALS, price_decimals
from chainperp.model.decisions import TwapEvent
from chainperp.node.documents.accounts import CumFunding
from chainperp.node.documents.fills import FillView, Liquidation
from chainperp.node.documents.history import INTERVALS, Candle
from chainperp.node.documents.listing import Coins
from chainperp.node.documents.orders import OrderView, TriggerView
from chainperp.node.documents.texts import ZERO_HASH, Document, hex_text
from chainperp.node.documents.twaps import TwapView, twap_event
from chainperp.node.effects import FillRecord
from chainperp.node.index.schema import (
    ORDER_AS_SIGNED,
    ORDER_IS_BUY,
    ORDER_IS_SLICE,
    ORDER_IS_VAULT_CLOSE,
    ORDER_REDUCE_ONLY,
    SPANS,
    TIFS,
    TRIGGER_IS_FIRED,
    TRIGGER_IS_MARKET,
    TRIGGER_IS_POSITION,
    TRIGGER_IS_STOP,
    TRIGGER_RISES,
    TWAP_IS_BUY,
    TWAP_RANDOMIZE,
    TWAP_REDUCE_ONLY,
)
from chainperp.transition.recorder import FLAG_LIQUIDATION, FLAG_TAKER_BUYS

Terms = Coins

ORDER_COLUMNS: Final = """oid, asset, flags, price, lots, remaining, tif, status, status_ms,
 placed_ms, cloid, trigger_price, trigger_flags"""

# A trade, the client id of a side's order, and at the end the account that was liquidated in it.
FILL_COLUMNS: Final = """t.tid, t.time_ms, t.asset, t.price, t.lots, t.flags, t.hash, t.mark,
 t.is_cross, t.maker_oid, t.maker_fee, t.maker_start, t.maker_pnl, t.maker_builder_fee,
 t.taker_oid, t.taker_fee, t.taker_start, t.taker_pnl, t.taker_builder_fee, o.cloid, t.twap"""
FILLS: Final = f"""
 SELECT f.is_taker, {FILL_COLUMNS}, v.address FROM fills f JOIN trades t ON t.tid = f.tid
 LEFT JOIN orders o ON o.oid = CASE f.is_taker WHEN 1 THEN t.taker_oid ELSE t.maker_oid END
 LEFT JOIN users v ON v.id = CASE WHEN t.flags & 8 THEN t.maker WHEN t.flags & 20 THEN t.taker END
 WHERE f.user = ? AND f.tid >= ? AND f.tid < ?
"""  # noqa: S608
FILLS_NEWEST: Final = FILLS + " ORDER BY f.tid DESC, f.is_taker DESC LIMIT ?"
FILLS_OLDEST: Final = FILLS + " ORDER BY f.tid, f.is_taker LIMIT ?"

# Slices of TWAP orders are the aggressor's side, and nobody forces them.
SLICES: Final = f"""
 SELECT 1, {FILL_COLUMNS}, NULL FROM trades t LEFT JOIN orders o ON o.oid = t.taker_oid
 WHERE t.taker = ? AND t.twap IS NOT NULL AND t.tid >= ? AND t.tid < ?
"""  # noqa: S608
SLICES_NEWEST: Final = SLICES + " ORDER BY t.tid DESC LIMIT ?"
SLICES_OLDEST: Final = SLICES + " ORDER BY t.tid LIMIT ?"


def first_tid(connection: sqlite3.Connection, time_ms: int) -> int | None:
    """The first trade that is not before a time; None when there was no block since."""
    return _first(connection, "SELECT first_tid FROM blocks WHERE time_ms >= ?", time_ms)


def first_index(connection: sqlite3.Connection, time_ms: int) -> int | None:
    """The first log index that is not before a time; None when there was no block since."""
    return _first(connection, "SELECT first_index FROM blocks WHERE time_ms >= ?", time_ms)


def _first(connection: sqlite3.Connection, query: str, time_ms: int) -> int | None:
    row = connection.execute(query + " ORDER BY time_ms LIMIT 1", (time_ms,)).fetchone()
    return None if row is None else int(row[0])


def fill_views(rows: Iterator[Any], terms: Terms, user: bytes) -> Iterator[FillView]:
    """Fills of one account, from rows of `FILLS`."""
    for row in rows:
        is_taker, tid, time_ms, asset, price, lots, flags, hash_, mark, is_cross = row[:10]
        oid, fee, start, pnl, builder_fee = row[15:20] if is_taker else row[10:15]
        cloid, twap, victim = row[20:]
        forced = None
        if victim is not None:
            method = "market" if flags & FLAG_LIQUIDATION else "backstop"
            forced = Liquidation(victim, bool(is_cross), mark, method)
        yield FillView(
            terms[asset],
            tid,
            user,
            oid,
            bool(flags & FLAG_TAKER_BUYS) is bool(is_taker),
            bool(is_taker),
            price,
            lots,
            start,
            fee,
            pnl,
            flags,
            time_ms,
            ZERO_HASH if hash_ is None else hex_text(hash_),
            cloid,
            forced,
            builder_fee,
            twap if is_taker else None,
        )


def recent_trades(
    connection: sqlite3.Connection, asset: int, before: int, limit: int
) -> list[tuple[FillRecord, int, str]]:
    """The last trades on a market's book before a trade's number: record, time, hash."""
    rows = connection.execute(
        """SELECT t.tid, t.price, t.lots, m.address, k.address, t.flags, t.time_ms, t.hash
           FROM trades t JOIN users m ON m.id = t.maker JOIN users k ON k.id = t.taker
           WHERE t.asset = ? AND t.flags & 88 = 0 AND t.tid < ? ORDER BY t.tid DESC LIMIT ?""",
        (asset, before, limit),
    )
    found: list[tuple[FillRecord, int, str]] = []
    for tid, price, lots, maker, taker, flags, time_ms, hash_ in rows:
        record = FillRecord(
            tid, asset, price, lots, maker, 0, 0, 0, 0, 0, taker, 0, 0, 0, 0, 0, flags, 0
        )  # fmt: skip
        found.append((record, time_ms, ZERO_HASH if hash_ is None else hex_text(hash_)))
    return found


def order_view(row: Any, terms: Terms) -> tuple[OrderView, str, int]:
    """An order with its status and the time of it, from a row of `ORDER_COLUMNS`."""
    (
        oid, asset, flags, price, lots, remaining, tif, status, status_ms, placed_ms, cloid,
        trigger_price, trigger_flags,
    ) = row  # fmt: skip
    known = terms.get(asset)
    is_signed = known is None or bool(flags & ORDER_AS_SIGNED)
    trigger = None
    if trigger_price is not None:
        trigger = TriggerView(
            trigger_price,
            bool(trigger_flags & TRIGGER_IS_MARKET),
            bool(trigger_flags & TRIGGER_IS_STOP),
            bool(trigger_flags & TRIGGER_IS_POSITION),
            bool(trigger_flags & TRIGGER_RISES),
            bool(trigger_flags & TRIGGER_IS_FIRED),
        )
    size_decimals = 0 if known is None else known.size_decimals
    view = OrderView(
        oid,
        f"@{asset}" if known is None else known.name,
        bool(flags & ORDER_IS_BUY),
        price,
        lots,
        remaining,
        E8_DECIMALS if is_signed else price_decimals(size_decimals),
        E8_DECIMALS if is_signed else size_decimals,
        bool(flags & ORDER_REDUCE_ONLY),
        None if trigger is not None and not trigger.is_fired else TIFS[tif],
        placed_ms,
        cloid,
        trigger,
        is_slice=bool(flags & ORDER_IS_SLICE),
        is_vault_close=bool(flags & ORDER_IS_VAULT_CLOSE),
    )
    return view, status, status_ms


def entry_notionals(connection: sqlite3.Connection, user: int | None) -> dict[int, int]:
    """What an account's token balances cost it, in micro-USDC, by token."""
    rows = connection.execute("SELECT token, entry FROM token_costs WHERE user = ?", (user,))
    return dict(rows.fetchall())


def cum_funding(connection: sqlite3.Connection, user: int | None) -> dict[int, CumFunding]:
    """What an account's positions paid, by market."""
    rows = connection.execute(
        "SELECT asset, all_time, since_open, since_change FROM funding_sums WHERE user = ?",
        (user,),
    )
    return {asset: CumFunding(*sums) for asset, *sums in rows}


def twap_rows(
    connection: sqlite3.Connection, terms: Terms, user: int, page: tuple[int, int]
) -> Iterator[tuple[int, Document]]:
    """Begin and end of an account's TWAP orders, newest first, each with its place in the log.
    `page` is the place that they come before, and how many at most."""
    rows = connection.execute(
        """SELECT e.idx, e.time_ms, e.event, w.id, u.address, w.asset, w.flags, w.lots, w.minutes,
           w.start_ms, e.executed_lots, e.executed_notional
           FROM twap_events e JOIN twaps w ON w.id = e.twap JOIN users u ON u.id = e.user
           WHERE e.user = ? AND e.idx < ? ORDER BY e.idx DESC LIMIT ?""",
        (user, *page),
    )
    for at, time_ms, event, twap_id, account, asset, flags, *numbers in rows:
        view = TwapView(
            terms[asset],
            account,
            bool(flags & TWAP_IS_BUY),
            bool(flags & TWAP_REDUCE_ONLY),
            bool(flags & TWAP_RANDOMIZE),
            *numbers,
        )
        yield at, twap_event(time_ms, TwapEvent(event), twap_id, view)


# --- candles -------------------------------------------------------------------------------------


def candle_start(interval: str, time_ms: int) -> int:
    """Beginning of the candle that a time falls into: a multiple of its length since the epoch,
    of a month its first day (UTC)."""
    length = INTERVALS[interval]
    if length:
        return floor_div(time_ms, length) * length
    day = datetime.fromtimestamp(floor_div(time_ms, 1000), UTC)
    return _milliseconds(day.year, day.month)


def candle_end(interval: str, start: int) -> int:
    """Last millisecond of the candle that begins at a time."""
    length = INTERVALS[interval]
    if length:
        return start + length - 1
    day = datetime.fromtimestamp(floor_div(start, 1000), UTC)
    years, month = divmod(day.month, 12)
    return _milliseconds(day.year + years, month + 1) - 1


def _milliseconds(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


def span_of(interval: str) -> int:
    """The longest kept candle that the interval is made of."""
    length = INTERVALS[interval] or SPANS[-1]
    return max(span for span in SPANS if length % span == 0)


def candles(
    connection: sqlite3.Connection, asset: int, interval: str, window: tuple[int, int], limit: int
) -> list[Candle]:
    """The latest candles, oldest first, that overlap a time; at most `limit` and one more. A time
    without trades has no candle."""
    first, last = window
    rows = connection.execute(
        """SELECT start, first, high, low, last, lots, trades FROM candles
           WHERE asset = ? AND span = ? AND start >= ? AND start <= ? ORDER BY start DESC""",
        (asset, span_of(interval), candle_start(interval, first), last),
    )
    found: list[Candle] = []
    for start, opening, high, low, closing, lots, trades in rows:
        begin = candle_start(interval, start)
        if not found or found[-1].start != begin:
            if len(found) > limit:
                break
            end = candle_end(interval, begin)
            found.append(Candle(begin, end, opening, high, low, closing, lots, trades))
            continue
        # Rows come newest first: this one is earlier in the same candle.
        candle = found[-1]
        candle.first = opening
        candle.high = max(candle.high, high)
        candle.low = min(candle.low, low)
        candle.lots += lots
        candle.trades += trades
    found.reverse()
    return found
