"""Public fills and positions of another venue, as a table.

One row is one position of the deleveraged side before a round, whether it was closed or not.
The first line names the columns; their order is free, unknown ones are refused.

    account        any text                                             required
    closed         size that the round closed, 0 if it was left alone   required, or `--fills`
    size           size before the round, in base units
    round          any text; rows that share it are one round. Without it: market and time
    market, time   any text
    side           long or short, of this position; long if the column is missing
    mark           mark price of the round
    entry_price    average entry price        or  entry_notional   in USD
    notional       size times mark, in USD; computed from the two if it is missing
    pnl            unrealised profit, in USD; computed if it is missing
    account_value  of the account, or of the position if it is isolated, in USD
    maintenance    maintenance margin, in USD
    isolated       yes or no
    exempt         yes: the venue says in public that this account is never closed
    opened_at      a whole number that grows with the time of entry

Fills alone (`--fills`): the columns account, round or market and time, and closed; their sizes are
added to the positions of the same account and round.

The summary tables of October 2025 are read too: user, adl_notional, closed_pnl and
account_value_realtime stand for account, closed, pnl and account_value. They hold only accounts
that were closed.

Fills as Hyperliquid's nodes write them (`node_fills`, LZ4 or plain) are read as well: each group of
one coin and time is a round, of the accounts that were closed.

Numbers are plain decimals; money is read to 10^-6 and sizes to 10^-8, both cut, not rounded.
"""

import csv
from collections.abc import Iterator
from decimal import Decimal, DecimalException
from io import StringIO
from pathlib import Path
from typing import Final, NoReturn

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.archive_tables import fills_in
from chainperp.lab.archives import is_archive, read_fills, rounds_of
from chainperp.lab.forensic import Position
from chainperp.lab.venue_round import MONEY, SIZE, VenueRound
from chainperp.rules.adl.policy import Candidate

ALIASES: Final = {
    "user": "account",
    "adl_notional": "closed",
    "closed_pnl": "pnl",
    "account_value_realtime": "account_value",
}
PASSED_OVER: Final = ("leverage_realtime", "pnl_percent", "is_negative_equity", "num_adl_events")
COLUMNS: Final = (
    "account", "closed", "size", "round", "market", "time", "side", "mark", "entry_price",
    "entry_notional", "notional", "pnl", "account_value", "maintenance", "isolated", "exempt",
    "opened_at",
)  # fmt: skip
WORDS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False,
                "": False}  # fmt: skip
LIMIT: Final = Decimal(10) ** 30

Row = dict[str, str]


def read_venue(path: Path, fills: Path | None = None) -> list[VenueRound]:
    """Rounds of a table, in the order in which they begin in it.

    Raises: NotFound; BadRequest naming line and column for anything that is not as documented.
    """
    if path.is_dir() or is_archive(path):
        if fills is not None:
            raise BadRequest(
                "columns", f"{path} says what was closed already: --fills adds nothing"
            )
        return rounds_of(path.name, fills_in(path) if path.is_dir() else read_fills(path))
    columns, rows = _read(path)
    if "closed" not in columns and fills is None:
        raise BadRequest("columns", f"{path} does not say what was closed: no column closed")
    if "closed" in columns and fills is not None:
        raise BadRequest("columns", f"{path} says what was closed already: --fills adds nothing")
    closed = {} if fills is None else _closed(fills)
    rounds: dict[str, VenueRound] = {}
    seen: dict[tuple[str, str], None] = {}
    known = _known(columns)
    for where, row in rows:
        name = _round_name(row)
        place = (name, row["account"])
        if place in seen:
            raise BadRequest("account", f"{where}: {row['account'][:60]} is twice in round {name}")
        seen[place] = None
        one = _position(where, row, closed.pop(place, None))
        found = rounds.setdefault(name, VenueRound(name, known))
        if _word(where, row, "exempt"):
            found.exempt += 1
        else:
            found.positions.append(one)
    if closed:
        name, account = next(iter(closed))
        raise BadRequest(
            "fills", f"{fills}: {account[:60]} was closed in round {name!r}, which has no such row"
        )
    return list(rounds.values())


def _known(columns: list[str]) -> frozenset[str]:
    """What a ranking may ask of the positions of a table."""
    known = {name for name in columns if name in ("account_value", "maintenance", "opened_at")}
    sized = "size" in columns
    if "notional" in columns or (sized and "mark" in columns):
        known.add("notional")
    if "entry_notional" in columns or (sized and "entry_price" in columns):
        known.add("entry_notional")
    if "pnl" in columns or {"notional", "entry_notional"} <= known:
        known.add("pnl")
    return frozenset(known)


def _read(path: Path) -> tuple[list[str], Iterator[tuple[str, Row]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest("file", f"{path} cannot be read as text: {error}") from error
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadRequest("file", f"{path} line 1: {error}") from error
    columns = [ALIASES.get(name, name) for name in head]
    unknown = [name for name in columns if name not in COLUMNS and name not in PASSED_OVER]
    if unknown or len(set(columns)) != len(columns) or "account" not in columns:
        wrong = f"unknown: {', '.join(unknown)}" if unknown else "account is missing, or one twice"
        raise BadRequest("columns", f"{path}: {wrong}; columns are {', '.join(COLUMNS)}")
    return columns, _rows(path, columns, reader)


def _rows(path: Path, columns: list[str], reader: Iterator[list[str]]) -> Iterator[tuple[str, Row]]:
    where = f"{path} line 1"
    try:
        for number, cells in enumerate(reader, 2):
            where = f"{path} line {number}"
            if not cells:
                continue
            if len(cells) != len(columns):
                raise BadRequest("row", f"{where} has {len(cells)} cells, expected {len(columns)}")
            yield where, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise BadRequest("file", f"after {where}: {error}") from error


def _round_name(row: Row) -> str:
    if row.get("round"):
        return row["round"]
    return " ".join(row[name] for name in ("market", "time") if row.get(name)) or "all"


def _closed(path: Path) -> dict[tuple[str, str], int]:
    """Sizes closed by account and round."""
    _columns, rows = _read(path)
    sums: dict[tuple[str, str], int] = {}
    for where, row in rows:
        place = (_round_name(row), row["account"])
        sums[place] = sums.get(place, 0) + _number(where, row, "closed", SIZE)
    return sums


def _position(where: str, row: Row, filled: int | None) -> Position:
    closed = filled or 0
    if row.get("closed"):
        closed = _number(where, row, "closed", SIZE)
    size = _number(where, row, "size", SIZE) if row.get("size") else closed
    if closed < 0 or closed > size:
        _bad(where, "closed", f"closed {closed} of a position of {size}, in 10^-8")
    side = row.get("side") or "long"
    if side not in ("long", "short"):
        _bad(where, "side", f"side is long or short, was {side[:20]!r}")
    notional = _money(where, row, "notional", "mark", size)
    entry = _money(where, row, "entry_notional", "entry_price", size)
    profit = notional - entry if side == "long" else entry - notional
    if row.get("pnl"):
        profit = _number(where, row, "pnl", MONEY)
    value = _number(where, row, "account_value", MONEY) if row.get("account_value") else 0
    opened = row.get("opened_at") or "0"
    if not opened.isdecimal():
        _bad(where, "opened_at", f"a whole number is needed, was {opened[:40]!r}")
    candidate = Candidate(
        row["account"].encode(),
        size,
        entry_notional=entry,
        notional=notional,
        account_value=value,
        pnl=profit,
        cash=value - profit,
        maintenance=_number(where, row, "maintenance", MONEY) if row.get("maintenance") else 0,
        opened_at=int(opened),
        is_long=side == "long",
        is_isolated=_word(where, row, "isolated"),
    )
    return Position(candidate, closed, size)


def _money(where: str, row: Row, total: str, price: str, size: int) -> int:
    """Micro-USD of a column, or of a price column times the size."""
    if row.get(total):
        return _number(where, row, total, MONEY)
    if row.get(price):
        return size * _number(where, row, price, 10**8) * MONEY // (SIZE * 10**8)
    return 0


def _number(where: str, row: Row, name: str, scale: int) -> int:
    text = row.get(name, "")
    try:
        value = Decimal(text)
        if not value.is_finite() or abs(value) > LIMIT:
            raise ValueError(text)
        return int((value * scale).to_integral_value(rounding="ROUND_FLOOR"))
    except (DecimalException, ValueError):
        _bad(where, name, f"a plain decimal is needed, was {text[:40]!r}")


def _word(where: str, row: Row, name: str) -> bool:
    word = row.get(name, "").lower()
    if word not in WORDS:
        _bad(where, name, f"yes or no is needed, was {word[:20]!r}")
    return WORDS[word]


def _bad(where: str, name: str, problem: str) -> NoReturn:
    raise BadRequest(name, f"{where}: {name}: {problem}")
