"""Questions about TWAP orders of the past: their begin and end, and the fills of their slices."""

from typing import Any

from chainperp.node.documents.fills import FillView
from chainperp.node.documents.twaps import slice_fill
from chainperp.node.index import read
from chainperp.node.info.history import FILLS_MAX, aggregate, fill_window
from chainperp.node.info.kinds import (
    AGGREGATE,
    CURSOR,
    END,
    I64_MAX,
    REVERSED,
    START,
    USER,
    cursor_of,
    raw_address,
)
from chainperp.node.info.registry import Fields, Page, Past, Query

EVENTS_MAX = 2_000


def twap_history(past: Past, fields: Fields) -> Any:
    """How the account's TWAP orders began and ended, newest first; the cursor is a place in the
    log."""
    user = past.user(fields["user"])
    if user is None:
        return Page([], None)
    page = cursor_of(fields, I64_MAX), EVENTS_MAX + 1
    rows = list(read.twap_rows(past.connection, past.terms, user, page))
    following = rows[EVENTS_MAX - 1][0] if len(rows) > EVENTS_MAX else None
    return Page([row for _, row in rows[:EVENTS_MAX]], following)


def slice_fills(past: Past, fields: Fields) -> Any:
    """The latest fills of slices, newest first."""
    return _slices(past, fields, (0, cursor_of(fields, I64_MAX)), is_newest_first=True)


def slice_fills_by_time(past: Past, fields: Fields) -> Any:
    """Fills of slices between two times, oldest first unless reversed."""
    between = fill_window(past, fields)
    if between is None:
        return Page([], None)
    return _slices(past, fields, between, is_newest_first=fields.get("reversed", False))


def _slices(past: Past, fields: Fields, between: tuple[int, int], *, is_newest_first: bool) -> Page:
    user = past.user(fields["user"])
    if user is None:
        return Page([], None)
    query = read.SLICES_NEWEST if is_newest_first else read.SLICES_OLDEST
    rows = past.connection.execute(query, (user, *between, FILLS_MAX + 1))
    views: list[FillView] = list(read.fill_views(rows, past.terms, raw_address(fields)))
    shown = views[:FILLS_MAX]
    following = shown[-1].tid if len(views) > FILLS_MAX else None
    if fields.get("aggregateByTime"):
        shown = aggregate(shown)
    return Page([slice_fill(view) for view in shown], following)


QUERIES = [
    Query("userTwapSliceFills", (USER, CURSOR), look=slice_fills),
    Query(
        "userTwapSliceFillsByTime",
        (USER, START, END, AGGREGATE, REVERSED, CURSOR),
        look=slice_fills_by_time,
    ),
    Query(
        "twapHistory",
        (USER, CURSOR),
        look=twap_history,
        note="a row when an order begins and one when it ends, newest first",
    ),
]
