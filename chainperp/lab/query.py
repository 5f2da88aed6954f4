"""SQL over the tables of results, and over the public tables: DuckDB reads the CSV files."""

from pathlib import Path
from typing import Any

from chainperp.base.errors import BadRequest, NotFound


def tables_of(folder: Path) -> dict[str, Path]:
    """CSV files below a folder by the name that SQL has for them: `S4_growth`, `adl_by_user_half`.

    Raises NotFound when there is none.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.csv")):
        parts = [path.parent.parent.name] if path.parent.name == "tables" else []
        name = "_".join([*parts, path.stem])
        found["".join(mark if mark.isalnum() else "_" for mark in name)] = path
    if not found:
        raise NotFound(f"{folder.name}: no CSV files below it")
    return found


def select(folder: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of a query. Raises NotFound, or BadRequest with what DuckDB says of it."""
    import duckdb

    tables = tables_of(folder)
    # Tables first; after that no query may read or write other files.
    with duckdb.connect() as connection:
        for name, path in tables.items():
            connection.read_csv(str(path)).create(name)
        connection.execute("SET enable_external_access = false")
        try:
            answer = connection.execute(sql)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise BadRequest("sql", f"{first}; tables: {', '.join(tables)}") from error
        columns = [column[0] for column in answer.description or []]
        return columns, answer.fetchall()
