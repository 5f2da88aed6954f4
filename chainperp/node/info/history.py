"""Questions about the past: fills, trades, candles, funding and money that moved.

Limits and order of rows are the real exchange's; beyond them a cursor continues.
"""

from dataclasses import replace
from itertools import groupby
from json import loads
from typing import Any, Final

from chainperp.base.rounding import half_even
from chainperp.node.documents import fills, history
from chainperp.node.documents.fills import FillView
from chainperp.node.documents.texts import ZERO_HASH, Document, hex_text
from chainperp.node.index import read
from chainperp.node.info.kinds import (
    AGGREGATE,
    COIN,
    CURSOR,
    END,
    I64_MAX,
    REVERSED,
    START,
    START_OR_NONE,
    USER,
    cursor_of,
    raw_address,
    window,
)
from chainperp.node.info.registry import Fields, Page, Past, Query
from chainperp.wire.shapes import choice, field, optional, shape, text, u64

FILLS_MAX: Final = 2_000
ROWS_MAX: Final = 500
CANDLES_MAX: Final = 5_000
TRADES_MAX: Final = 100


# --- fills and trades ----------------------------------------------------------------------------


def user_fills(past: Past, fields: Fields) -> Any:
    """The latest fills, newest first."""
    return _fills(past, fields, 0, cursor_of(fields, I64_MAX), is_newest_first=True)


def user_fills_by_time(past: Past, fields: Fields) -> Any:
    """Fills between two times, oldest first unless reversed."""
    between = fill_window(past, fields)
    if between is None:
        return Page([], None)
    return _fills(past, fields, *between, is_newest_first=fields.get("reversed", False))


def fill_window(past: Past, fields: Fields) -> tuple[int, int] | None:
    """Trade numbers between two times and beyond the cursor: the first, and the one after the last.
    None when there was no block since."""
    start, end = window(fields)
    low = read.first_tid(past.connection, start)
    if low is None:
        return None
    after = read.first_tid(past.connection, end + 1)
    high = I64_MAX if after is None else after
    if fields.get("reversed", False):
        return low, min(high, cursor_of(fields, I64_MAX))
    return max(low, cursor_of(fields, -1) + 1), high


def _fills(past: Past, fields: Fields, low: int, high: int, *, is_newest_first: bool) -> Page:
    """Fills with trade numbers from `low` to below `high`. The cursor is the last one's number."""
    user = past.user(fields["user"])
    if user is None:
        return Page([], None)
    query = read.FILLS_NEWEST if is_newest_first else read.FILLS_OLDEST
    rows = past.connection.execute(query, (user, low, high, FILLS_MAX + 1))
    views = list(read.fill_views(rows, past.terms, raw_address(fields)))
    shown = views[:FILLS_MAX]
    following = shown[-1].tid if len(views) > FILLS_MAX else None
    if fields.get("aggregateByTime"):
        shown = aggregate(shown)
    return Page([fills.fill(view) for view in shown], following)


def aggregate(views: list[FillView]) -> list[FillView]:
    """One fill for all fills that an order had in one block: sizes, fees and profits added, the
    average price on the grid (half-even); number, start and the rest are the earliest one's."""
    merged: list[FillView] = []
    for _, group in groupby(views, lambda view: (view.oid, view.time_ms, view.is_taker, view.user)):
        parts = list(group)
        first = min(parts, key=lambda view: view.tid)
        lots = sum(view.lots for view in parts)
        notional = sum(view.lots * view.price for view in parts)
        if len(parts) == 1 or not first.oid:
            merged.extend(parts)
            continue
        merged.append(
            replace(
                first,
                price=half_even(notional, lots),
                lots=lots,
                fee=sum(view.fee for view in parts),
                pnl=sum(view.pnl for view in parts),
                builder_fee=sum(view.builder_fee for view in parts),
            )
        )
    return merged


def recent_trades(past: Past, fields: Fields) -> Any:
    """The last trades of a market, newest first."""
    asset = past.asset(fields["coin"])
    if asset is None:
        return Page([], None)
    before = cursor_of(fields, I64_MAX)
    found = read.recent_trades(past.connection, asset, before, TRADES_MAX + 1)
    following = found[TRADES_MAX - 1][0].tid if len(found) > TRADES_MAX else None
    terms = past.terms[asset]
    rows = [fills.trade(record, terms, at, hash_) for record, at, hash_ in found[:TRADES_MAX]]
    return Page(rows, following)


# --- candles -------------------------------------------------------------------------------------


def candle_snapshot(past: Past, fields: Fields) -> Any:
    """Candles between two times, oldest first; the cursor is the start of the first one shown."""
    request = fields["req"]
    asset = past.asset(request["coin"])
    if asset is None:
        return Page([], None)
    start, end = window(request)
    end = min(end, cursor_of(request, I64_MAX) - 1)
    interval = request["interval"]
    found = read.candles(past.connection, asset, interval, (start, end), CANDLES_MAX)
    shown = found[-CANDLES_MAX:]
    following = shown[0].start if len(found) > CANDLES_MAX else None
    return Page([history.candle(past.terms[asset], interval, one) for one in shown], following)


# --- funding -------------------------------------------------------------------------------------


def funding_history(past: Past, fields: Fields) -> Any:
    """Settled rates of a market, oldest first; the cursor is the last one's time."""
    asset = past.asset(fields["coin"])
    start, end = window(fields)
    rows = past.connection.execute(
        """SELECT time_ms, rate, premium_sum, samples FROM funding_rates
           WHERE asset = ? AND time_ms >= ? AND time_ms <= ? ORDER BY time_ms LIMIT ?""",
        (asset, max(start, cursor_of(fields, -1) + 1), end, ROWS_MAX + 1),
    ).fetchall()
    following = rows[ROWS_MAX - 1][0] if len(rows) > ROWS_MAX else None
    shown = [history.funding_rate_row(fields["coin"], *row) for row in rows[:ROWS_MAX]]
    return Page(shown, following)


def user_funding(past: Past, fields: Fields) -> Any:
    """What an account paid and received, oldest first; the cursor is a place in the log."""
    rows, following = _own_rows(
        past,
        fields,
        """SELECT idx, time_ms, asset, lots, rate, payment FROM funding_payments
           WHERE user = ? AND idx >= ? AND time_ms <= ? ORDER BY idx LIMIT ?""",
    )
    shown: list[Document] = []
    for _, time_ms, asset, lots, rate, payment in rows:
        delta = history.funding_delta(past.terms[asset], lots, rate, payment)
        shown.append(history.user_funding(time_ms, delta))
    return Page(shown, following)


def ledger_updates(past: Past, fields: Fields) -> Any:
    """Money that moved without trade and funding, oldest first; the cursor is a place in the log.
    What an account had from the beginning of the chain is a deposit without a hash."""
    rows, following = _own_rows(
        past,
        fields,
        """SELECT idx, time_ms, hash, delta FROM ledger
           WHERE user = ? AND idx >= ? AND time_ms <= ? ORDER BY idx LIMIT ?""",
    )
    shown = [
        history.ledger_row(time_ms, ZERO_HASH if hash_ is None else hex_text(hash_), loads(delta))
        for _, time_ms, hash_, delta in rows
    ]
    return Page(shown, following)


def _own_rows(past: Past, fields: Fields, query: str) -> tuple[list[Any], int | None]:
    """Rows of an account by place in the log, from a time to a time, and the next place."""
    start, end = window(fields)
    low = read.first_index(past.connection, start)
    user = past.user(fields["user"])
    if low is None or user is None:
        return [], None
    low = max(low, cursor_of(fields, -1) + 1)
    rows = past.connection.execute(query, (user, low, end, ROWS_MAX + 1)).fetchall()
    following = rows[ROWS_MAX - 1][0] if len(rows) > ROWS_MAX else None
    return rows[:ROWS_MAX], following


INTERVAL: Final = field("interval", choice(*history.INTERVALS))
CANDLES: Final = field(
    "req", shape(COIN, INTERVAL, START, END, optional("cursor", u64), optional("dex", text(64)))
)

QUERIES: Final = [
    Query("userFills", (USER, AGGREGATE, CURSOR), look=user_fills),
    Query(
        "userFillsByTime",
        (USER, START, END, AGGREGATE, REVERSED, CURSOR),
        look=user_fills_by_time,
    ),
    Query("recentTrades", (COIN, CURSOR), look=recent_trades),
    Query(
        "candleSnapshot",
        (CANDLES,),
        look=candle_snapshot,
        grade="partial",
        note="a time without trades has no candle; a cursor goes inside `req`",
    ),
    Query("fundingHistory", (COIN, START, END, CURSOR), look=funding_history),
    Query("userFunding", (USER, START_OR_NONE, END, CURSOR), look=user_funding),
    Query(
        "userNonFundingLedgerUpdates",
        (USER, START_OR_NONE, END, CURSOR),
        look=ledger_updates,
        grade="partial",
        note="money that liquidations moved, and what a builder earned, is an internalTransfer"
        " without a hash",
    ),
]
