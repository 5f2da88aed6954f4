"""A folder of Hyperliquid's node archives as tables for SQL: `node_fills`, `misc_events`,
`asset_ctxs`.

Archives are known by the names that their publisher gives them: a file below a folder, or with a
name, that begins with one of the three (`node_fills_by_block/hourly/20251010/21.lz4`,
`asset_ctxs/20251010.csv.lz4`). All files of a kind are one table; its first column is the file.
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chainperp.lab.archives import (
    CONTEXT_COLUMNS,
    ArchiveFill,
    read_contexts,
    read_events,
    read_fills,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILLS: Final = "node_fills"


class ArchiveTable(NamedTuple):
    """Columns with their DuckDB types, and the rows of a file."""

    columns: str
    rows: Callable[[Path], Iterator[list[Any]]]


def _fill_rows(path: Path) -> Iterator[list[Any]]:
    for one in read_fills(path):
        yield [one.user, one.coin, one.price, one.size, one.is_buy, one.time_ms, one.closed_pnl,
               one.direction, one.start_position, one.trade_id, one.is_adl, one.is_liquidation,
               one.liquidated_user, one.mark]  # fmt: skip


def _event_rows(path: Path) -> Iterator[list[Any]]:
    for one in read_events(path):
        yield [one.time, one.hash, one.kind, json.dumps(one.fields)]


def _context_rows(path: Path) -> Iterator[list[Any]]:
    for row in read_contexts(path):
        yield [row[name] for name in CONTEXT_COLUMNS]


KINDS: Final = {
    FILLS: ArchiveTable(
        'file VARCHAR, "user" VARCHAR, coin VARCHAR, price DOUBLE, size DOUBLE, is_buy BOOLEAN, '
        "time_ms BIGINT, closed_pnl DOUBLE, direction VARCHAR, start_position DOUBLE, "
        "trade_id BIGINT, is_adl BOOLEAN, is_liquidation BOOLEAN, liquidated_user VARCHAR, "
        "mark DOUBLE",
        _fill_rows,
    ),
    "misc_events": ArchiveTable(
        "file VARCHAR, time VARCHAR, hash VARCHAR, kind VARCHAR, fields VARCHAR", _event_rows
    ),
    "asset_ctxs": ArchiveTable(
        "file VARCHAR, time VARCHAR, coin VARCHAR, funding DOUBLE, open_interest DOUBLE, "
        "oracle_px DOUBLE, mark_px DOUBLE",
        _context_rows,
    ),
}


def archives_in(folder: Path) -> dict[str, list[Path]]:
    """Archive files below a folder by kind, each kind's in the order of their names."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        kind = _kind(folder, path)
        if kind is not None and path.is_file():
            found.setdefault(kind, []).append(path)
    return found


def _kind(folder: Path, path: Path) -> str | None:
    """By the nearest name: the file's, else that of a folder above it. A report's page of such a
    name is no archive."""
    if path.suffix not in (".lz4", ".json", ".jsonl", ".csv", ""):
        return None
    for part in reversed((folder.resolve().name, *path.relative_to(folder).parts)):
        for kind in KINDS:
            if part.startswith(kind):
                return kind
    return None


def load_archives(
    connection: "DuckDBPyConnection", folder: Path, found: dict[str, list[Path]]
) -> None:
    """Make the tables. Raises BadRequest naming file, line and field of what is damaged.

    Rows pass through a file in a temporary folder: DuckDB takes a file at once, and rows one by one
    a thousand times slower.
    """
    with TemporaryDirectory() as scratch:
        for kind, paths in found.items():
            table = KINDS[kind]
            rows = Path(scratch) / f"{kind}.csv"
            with rows.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                for path in paths:
                    name = path.relative_to(folder).as_posix()
                    writer.writerows([name, *row] for row in table.rows(path))
            connection.execute(f"CREATE TABLE {kind} ({table.columns})")
            connection.execute(
                f"COPY {kind} FROM '{rows}' (FORMAT csv, HEADER false, ESCAPE '\"', QUOTE '\"')"
            )


def fills_in(folder: Path) -> Iterator[ArchiveFill]:
    """All fills of a folder of archives, file by file."""
    for path in archives_in(folder).get(FILLS, []):
        yield from read_fills(path)


def holds_fills(folder: Path) -> bool:
    """Whether there are archives of fills below a folder."""
    return FILLS in archives_in(folder)
