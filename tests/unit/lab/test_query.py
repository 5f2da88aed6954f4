"""SQL over CSV tables and node archives."""

import json
from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.query import select, tables_of
from tests.support.chain import run_cli
from tests.unit.lab.test_archives import fill, packed


def test_results_and_plain_tables(tmp_path: Path) -> None:
    """Names, an answer, a wrong query; other files are out of reach."""
    (tmp_path / "S4" / "tables").mkdir(parents=True)
    (tmp_path / "S4" / "tables" / "growth.csv").write_text("a,b (USD)\n1,2.5\n3,4.5\n")
    (tmp_path / "my-coins.csv").write_text("coin\nBTC\n")
    assert list(tables_of(tmp_path)) == ["S4_growth", "my_coins"]
    assert select(tmp_path, 'SELECT sum("b (USD)") AS x FROM S4_growth') == (["x"], [(7.0,)])
    with pytest.raises(BadRequest, match=r"tables: S4_growth, my_coins"):
        select(tmp_path, "SELECT * FROM growth")
    with pytest.raises(BadRequest):
        select(tmp_path, f"SELECT * FROM read_csv('{tmp_path / 'my-coins.csv'}')")
    with pytest.raises(NotFound, match="no CSV files and no node archives"):
        tables_of(tmp_path / "S4" / "none")


def archive(folder: Path) -> Path:
    """A folder with one file or two of each kind, in the places of their publisher."""
    hours = folder / "node_fills_by_block" / "hourly" / "20251010"
    hours.mkdir(parents=True)
    for hour, user in ((20, "0xaa"), (21, "0xbb")):
        block = {"block_number": hour, "events": [[user, fill(time=hour)]]}
        packed(hours / f"{hour}.lz4", [block])
    (folder / "misc_events").mkdir()
    inner = {"LedgerUpdate": {"users": ["0xaa"], "delta": {"type": 'a "deposit", large'}}}
    packed(folder / "misc_events" / "1.lz4", [{"time": "t", "hash": "0x1", "inner": inner}])
    head = "time,coin,funding,open_interest,oracle_px,mark_px\n"
    (folder / "asset_ctxs.csv").write_text(head + "2025-10-10T21:16:00Z,ETH,0,1,3600,3590\n")
    (folder / "coins.csv").write_text("coin\nETH\n")
    return folder


def test_archives_are_tables(tmp_path: Path) -> None:
    """All files of a kind in one table, joined with each other and with a CSV file."""
    folder = archive(tmp_path / "archive")
    columns, rows = select(
        folder,
        'SELECT node_fills.file, "user", price, size, is_adl, mark_px FROM node_fills '
        "JOIN asset_ctxs USING (coin) JOIN coins USING (coin) ORDER BY time_ms",
    )
    assert columns[0] == "file"
    first = "node_fills_by_block/hourly/20251010/20.lz4"
    assert rows[0] == (first, "0xaa", 3600.5, 1.25, True, 3590.0)
    assert [row[1] for row in rows] == ["0xaa", "0xbb"]
    event = select(folder, "SELECT kind, fields->>'$.delta.type' FROM misc_events")[1]
    assert event == [("LedgerUpdate", 'a "deposit", large')]
    with pytest.raises(BadRequest, match=r"tables: coins, asset_ctxs, misc_events, node_fills"):
        select(folder, "SELECT * FROM fills")
    (folder / "misc_events" / "2.lz4").write_text("{}")
    with pytest.raises(BadRequest, match=r"2\.lz4: line 1, inner: is missing"):
        select(folder, "SELECT 1")


def test_commands_take_a_folder(tmp_path: Path) -> None:
    """`lab sql`, and `lab forensic` with a round for each coin and time."""
    folder = archive(tmp_path / "archive")
    done = run_cli("lab", "sql", str(folder), "SELECT count(*) AS n FROM node_fills", "--json")
    assert json.loads(done.out) == {"rows": [{"n": "2"}]}
    done = run_cli("lab", "forensic", str(folder), "--json")
    assert (done.document["rounds"], done.document["closed"]) == (2, 2)
    (tmp_path / "empty").mkdir()
    assert run_cli("lab", "forensic", str(tmp_path / "empty")).code != 0
