"""Hyperliquid's public node archives: LZ4-framed JSON lines, as nodes write them.

`node_fills` and `node_fills_by_block` (fills by user; one that deleveraged has the direction
"Auto-Deleveraging"), `misc_events` (ledger events by block), `asset_ctxs` (CSV: marks,
funding and open interest by minute). The files are large and in a bucket that asks the reader to
pay: none of it is in this package, and nothing here goes to a network.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import NotFound
from chainperp.lab.forensic import Position
from chainperp.lab.refusals import refuse, shown
from chainperp.lab.venue_round import MONEY, SIZE, VenueRound
from chainperp.rules.adl.policy import Candidate

MAGIC: Final = b"\x04\x22\x4d\x18"
ADL: Final = "Auto-Deleveraging"
CONTEXT_COLUMNS: Final = ("time", "coin", "funding", "open_interest", "oracle_px", "mark_px")


@dataclass(frozen=True, slots=True)
class ArchiveFill:
    """One side of a fill; numbers are decimals as printed."""

    user: str
    coin: str
    price: Decimal
    size: Decimal
    is_buy: bool
    time_ms: int
    closed_pnl: Decimal
    direction: str
    start_position: Decimal
    trade_id: int
    is_liquidation: bool
    liquidated_user: str
    mark: Decimal | None

    @property
    def is_adl(self) -> bool:
        """Whether auto-deleveraging closed this side."""
        return self.direction == ADL


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One event of `misc_events`: its time, the transaction, its kind and its fields."""

    time: str
    hash: str
    kind: str
    fields: dict[str, Any]


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, of an LZ4 frame or of a plain file.

    Raises NotFound; BadRequest for a damaged frame, and when LZ4 is needed and not installed.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path.name}: {error.strerror}") from error
    if raw[:4] == MAGIC:
        raw = _unpack(path.name, raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(path.name, f"is not UTF-8 at byte {error.start}")
    yield from enumerate(text.splitlines(), start=1)


def _unpack(name: str, raw: bytes) -> bytes:
    try:
        from lz4.frame import decompress
    except ImportError:
        refuse(name, "is an LZ4 frame: install the package lz4 (extra `lab`)")
    try:
        plain: bytes = decompress(raw)
    except RuntimeError as error:
        refuse(name, f"is a damaged LZ4 frame: {error}")
    return plain


def read_fills(path: Path) -> Iterator[ArchiveFill]:
    """Fills of `node_fills` (a line is [user, fill]) or `node_fills_by_block` (a line is a block
    with `events`)."""
    for number, line in lines_of(path):
        where = f"{path.name}: line {number}"
        tree = _json(where, line)
        rows = tree.get("events") if isinstance(tree, dict) else [tree]
        if not isinstance(rows, list):
            refuse(f"{where}, events", f"was {shown(rows)}, must be a list")
        for row in rows:
            if not (isinstance(row, list) and len(row) == 2 and isinstance(row[1], dict)):
                refuse(where, f"was {shown(row)}, must be [user, fill]")
            yield _fill(where, row[0], row[1])


def _fill(where: str, user: Any, fill: dict[str, Any]) -> ArchiveFill:
    for name in ("coin", "px", "sz", "side", "time", "closedPnl", "dir", "startPosition", "tid"):
        if name not in fill:
            refuse(f"{where}, {name}", "is missing")
    if fill["side"] not in ("A", "B"):
        refuse(f"{where}, side", f"was {shown(fill['side'])}, must be A or B")
    liquidation = fill.get("liquidation") or {}
    mark = liquidation.get("markPx")
    return ArchiveFill(
        str(user),
        str(fill["coin"]),
        _number(where, fill, "px"),
        _number(where, fill, "sz"),
        fill["side"] == "B",
        _whole(where, fill, "time"),
        _number(where, fill, "closedPnl"),
        str(fill["dir"]),
        _number(where, fill, "startPosition"),
        _whole(where, fill, "tid"),
        bool(liquidation),
        str(liquidation.get("liquidatedUser", "")),
        None if mark is None else _number(where, liquidation, "markPx"),
    )


def read_events(path: Path) -> Iterator[LedgerEvent]:
    """Events of `misc_events`: a line has `time`, `hash` and `inner`, or a block's `events`."""
    for number, line in lines_of(path):
        where = f"{path.name}: line {number}"
        tree = _json(where, line)
        rows = tree.get("events", [tree]) if isinstance(tree, dict) else tree
        for row in rows if isinstance(rows, list) else [rows]:
            if not isinstance(row, dict) or not isinstance(row.get("inner"), dict):
                refuse(f"{where}, inner", "is missing")
            for kind, fields in row["inner"].items():
                yield LedgerEvent(
                    str(row.get("time", "")),
                    str(row.get("hash", "")),
                    str(kind),
                    fields if isinstance(fields, dict) else {"value": fields},
                )


def read_contexts(path: Path) -> Iterator[dict[str, str]]:
    """Rows of `asset_ctxs`: a CSV file inside an LZ4 frame."""
    reader = csv.DictReader(line for _, line in lines_of(path))
    for name in CONTEXT_COLUMNS:
        if name not in (reader.fieldnames or []):
            refuse(f"{path.name}: line 1", f"has no column {name}")
    for row in reader:
        for name in ("oracle_px", "mark_px"):
            if row[name]:
                _number(f"{path.name}: line {reader.line_num}", row, name)
        yield row


def _json(where: str, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        refuse(f"{where}, column {error.colno}", f"no JSON: {error.msg}")


def _number(where: str, tree: dict[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(tree[name]))
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        refuse(f"{where}, {name}", f"was {shown(tree[name])}, must be a number")
    return value


def _whole(where: str, tree: dict[str, Any], name: str) -> int:
    value = tree[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        refuse(f"{where}, {name}", f"was {shown(value)}, must be a whole number")
    return value


def adl_groups(fills: Iterator[ArchiveFill]) -> dict[tuple[int, str], list[ArchiveFill]]:
    """Deleveraged sides by (time, coin): the groups that a study of order looks at."""
    groups: dict[tuple[int, str], list[ArchiveFill]] = {}
    for fill in fills:
        if fill.is_adl:
            groups.setdefault((fill.time_ms, fill.coin), []).append(fill)
    return groups


def is_archive(path: Path) -> bool:
    """Whether a file is fills as nodes write them, and no table."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError:
        return False
    return head == MAGIC or head[:1] in (b"[", b"{")


def rounds_of(name: str, archive: Iterator[ArchiveFill]) -> list[VenueRound]:
    """Deleveraged positions of an archive of fills by (coin, time), as rounds of a venue.

    Size is the position before the first fill of a group, entry price what closed profit and price
    say of it. Account values are in no fill, and who was left alone is in none either: of such a
    round only its partly closed position can contradict an order.
    """
    known = frozenset(("notional", "entry_notional", "pnl"))
    rounds: list[VenueRound] = []
    for (time_ms, coin), fills in sorted(adl_groups(archive).items()):
        one = VenueRound(f"{coin} {time_ms}", known)
        users: dict[str, list[ArchiveFill]] = {}
        for fill in fills:
            users.setdefault(fill.user, []).append(fill)
        one.positions = [_position(user, mine) for user, mine in users.items()]
        rounds.append(one)
    if not rounds:
        refuse(name, f"has no fill with the direction {ADL}")
    return rounds


def _position(user: str, fills: list[ArchiveFill]) -> Position:
    start = fills[0].start_position
    closed = sum((one.size for one in fills), Decimal(0))
    worth = sum((one.size * one.price for one in fills), Decimal(0))
    gained = sum((one.closed_pnl for one in fills), Decimal(0))
    size = max(abs(start), closed)
    # Of the part that was closed; the rest had the same entry price.
    scale = size / closed if closed else Decimal(0)
    is_long = start > 0
    notional, profit = int(worth * scale * MONEY), int(gained * scale * MONEY)
    candidate = Candidate(
        user.encode(),
        int(size * SIZE),
        entry_notional=notional - profit if is_long else notional + profit,
        notional=notional,
        account_value=0,
        pnl=profit,
        is_long=is_long,
    )
    return Position(candidate, int(closed * SIZE), int(size * SIZE))
