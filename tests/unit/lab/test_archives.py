"""Node archives and October tables in small files of the same form, made here."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.cli.venue_forensic import examine_venue
from chainperp.lab.archives import adl_groups, read_contexts, read_events, read_fills
from chainperp.lab.oct10 import (
    BAD_DEBT,
    USERS,
    deficit_once,
    open_tables,
    read_table,
    winners_of,
)
from chainperp.lab.venue_csv import read_venue

lz4 = pytest.importorskip("lz4.frame")


def fill(**changes: Any) -> dict[str, Any]:
    """A fill as nodes write it."""
    return {
        "coin": "ETH", "px": "3600.5", "sz": "1.25", "side": "B", "time": 1760130964831,
        "startPosition": "-3.0", "dir": "Auto-Deleveraging", "closedPnl": "12.5",
        "hash": "0x0", "oid": 1, "crossed": False, "fee": "0.0", "tid": 9, "feeToken": "USDC",
        "liquidation": {"liquidatedUser": "0xb0", "markPx": "3590.0", "method": "backstop"},
        **changes,
    }  # fmt: skip


def packed(path: Path, lines: list[object]) -> Path:
    """Lines of JSON in an LZ4 frame."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(lz4.compress(text.encode()))
    return path


def test_fills_of_both_forms(tmp_path: Path) -> None:
    """A line for each fill, and a line for each block."""
    rows = [["0xaa", fill()], ["0xbb", fill(dir="Open Long", liquidation=None, tid=10)]]
    by_fill = list(read_fills(packed(tmp_path / "a.lz4", list(rows))))
    block = {"local_time": "x", "block_number": 5, "events": rows}
    by_block = list(read_fills(packed(tmp_path / "b.lz4", [block])))
    assert by_fill == by_block
    first, second = by_fill
    assert (first.user, first.price, first.size) == ("0xaa", Decimal("3600.5"), Decimal("1.25"))
    assert (first.is_adl, first.is_buy, first.mark) == (True, True, Decimal("3590.0"))
    assert (second.is_adl, second.is_liquidation, second.mark) == (False, False, None)
    assert list(adl_groups(iter(by_fill))) == [(1760130964831, "ETH")]


def test_events_and_contexts(tmp_path: Path) -> None:
    """Ledger events by kind; contexts are CSV in a frame, or plain."""
    inner = {"LedgerUpdate": {"users": ["0xaa"], "delta": {"type": "deposit"}}}
    update = {"time": "2025-10-10T21:16:04", "hash": "0x1", "inner": inner}
    path = packed(tmp_path / "m.lz4", [{"block_number": 1, "events": [update]}, update])
    events = list(read_events(path))
    assert [event.kind for event in events] == ["LedgerUpdate"] * 2
    assert events[0].fields["users"] == ["0xaa"]
    plain = tmp_path / "ctx.csv"
    plain.write_text(
        "time,coin,funding,open_interest,oracle_px,mark_px\n2025-10-10T21:16:00Z,ETH,0,1,3600,3590\n"
    )
    assert next(read_contexts(plain))["mark_px"] == "3590"


def test_forensic_reads_fills(tmp_path: Path) -> None:
    """Two groups; in one the partly closed account had more profit than a whole closure; an account
    with two fills is one position."""
    rows = [
        ["0xaa", fill(startPosition="-1.25", closedPnl="10")],
        ["0xbb", fill(startPosition="-2.5", closedPnl="500")],
        ["0xcc", fill(startPosition="-2.0", sz="1", closedPnl="900", time=5)],
        ["0xcc", fill(startPosition="-1.0", sz="1", closedPnl="900", time=5)],
        ["0xdd", fill(dir="Open Short")],
    ]
    path = packed(tmp_path / "fills.lz4", list(rows))
    first, second = read_venue(path)
    assert (first.name, second.name) == ("ETH 5", "ETH 1760130964831")
    [whole] = first.positions
    assert (whole.taken, whole.most, whole.candidate.pnl) == (2 * 10**8, 2 * 10**8, 1800 * 10**6)
    half = second.positions[1]
    assert (half.taken, half.most) == (125 * 10**6, 250 * 10**6)
    assert half.candidate.pnl == 1000 * 10**6, "of the whole position"
    assert half.candidate.entry_notional - half.candidate.notional == 1000 * 10**6, "a short"
    (document, _), fits = examine_venue(path, None, "profit")
    assert not fits
    groups = document["rankings"][0]["groups"]
    assert groups[0]["why_not"] == "no position closed in part"
    assert groups[1] == {
        "round": "ETH 1760130964831", "whole": 1, "below": 1, "p_unrelated": 1.0,
    }  # fmt: skip
    assert document["rankings"][0]["passed_over"] == [
        {"round": "ETH 1760130964831", "account": "0xbb"}
    ]
    with pytest.raises(BadRequest, match=r"none\.lz4: has no fill with the direction Auto-Del"):
        read_venue(packed(tmp_path / "none.lz4", [rows[4]]))


BAD_FILLS: tuple[tuple[object, str], ...] = (
    (["0xaa", fill(px="abc")], r'f\.lz4: line 1, px: was "abc", must be a number'),
    (["0xaa", fill(px="NaN")], r'px: was "NaN", must be a number'),
    (["0xaa", fill(side="C")], r'side: was "C", must be A or B'),
    (["0xaa", fill(time="now")], r'time: was "now", must be a whole number'),
    (["0xaa", {"coin": "ETH"}], r"line 1, px: is missing"),
    ("text", r"line 1: was \"text\", must be \[user, fill\]"),
    ({"events": 5}, r"line 1, events: was 5, must be a list"),
)


@pytest.mark.parametrize(("line", "sentence"), BAD_FILLS)
def test_bad_fills(tmp_path: Path, line: object, sentence: str) -> None:
    """File, line and field."""
    with pytest.raises(BadRequest, match=sentence):
        list(read_fills(packed(tmp_path / "f.lz4", [line])))


def test_bad_archives(tmp_path: Path) -> None:
    """A damaged frame, no JSON, not there, a missing column."""
    whole = packed(tmp_path / "w.lz4", [["0xaa", fill()]]).read_bytes()
    cases: tuple[tuple[str, bytes, Callable[[Path], Any], str], ...] = (
        ("cut.lz4", whole[:-9], read_fills, r"cut\.lz4: is a damaged LZ4 frame"),
        ("text", b"[1,\n", read_fills, r"text: line 1, column \d+: no JSON"),
        ("latin", b"\xff\n", read_fills, r"latin: is not UTF-8 at byte 0"),
        ("e", b"{}\n", read_events, r"e: line 1, inner: is missing"),
        ("c.csv", b"time,coin\n", read_contexts, r"c\.csv: line 1: has no column funding"),
    )
    for name, raw, reader, sentence in cases:
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(BadRequest, match=sentence):
            list(reader(tmp_path / name))
    with pytest.raises(NotFound, match="no: No such file"):
        list(read_fills(tmp_path / "no"))


USER_HEAD = "user,adl_notional,closed_pnl,account_value_realtime,is_negative_equity\n"


def test_own_users_table(tmp_path: Path) -> None:
    """Winners by address, floors, no equity below zero; who lost is left out."""
    (tmp_path / "gpl3").mkdir()
    (tmp_path / USERS).write_text(
        USER_HEAD + "0xb,10.5,2.0000019,4.5,False\n0xa,7,1,-3,True\n0xc,1,-1,5,False\n"
    )
    tables = open_tables(tmp_path)
    assert tables.has(USERS)
    assert [tuple(one) for one in winners_of(tables.rows(USERS))] == [
        ("0xa", 1_000_000, 0, 7_000_000, 0, 0),
        ("0xb", 2_000_001, 4_500_000, 10_500_000, 2_000_001, 2_333_333),
    ]


def test_repeated_deficit_is_counted_once(tmp_path: Path) -> None:
    """The printed sum has the frozen account in each wave."""
    (tmp_path / "mit").mkdir()
    frozen = "10925707.159377944"
    (tmp_path / BAD_DEBT).write_text(
        "wave,n_rows,unique_losers,deficit_usd,max_loss_usd\n"
        f"1,5,1,{frozen},{frozen}\n2,5,2,10925708.159377944,{frozen}\n3,5,1,7,7\n"
    )
    printed, once = deficit_once(open_tables(tmp_path).rows(BAD_DEBT))
    assert printed - once == Decimal(frozen)
    assert once == Decimal("10925715.159377944")


def test_bad_tables(tmp_path: Path) -> None:
    """Missing column, short row, a word where a number is due, no folder."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(BadRequest, match=r"t\.csv: line 1: has no column c"):
        read_table(path, ("a", "c"))
    with pytest.raises(BadRequest, match=r"t\.csv: line 3: does not have 2 cells"):
        read_table(path, ("a",))
    rows = [{"user": "0xa", "closed_pnl": "much", "account_value_realtime": "1",
             "adl_notional": "1"}]  # fmt: skip
    with pytest.raises(BadRequest, match=r'line 2, closed_pnl: was "much", must be a number'):
        winners_of(rows)
    with pytest.raises(NotFound, match="is no folder of tables"):
        open_tables(tmp_path / "none")
