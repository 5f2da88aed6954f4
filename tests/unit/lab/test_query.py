"""SQL over CSV tables."""

from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.query import select, tables_of


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
    with pytest.raises(NotFound, match="no CSV files"):
        tables_of(tmp_path / "S4" / "none")
