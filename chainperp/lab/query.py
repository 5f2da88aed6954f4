"""SQL over the tables of results, over public tables (CSV), and over folders of node archives."""

from pathlib import Path
from typing import Any

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.archive_tables import archives_in, load_archives


def tables_of(folder: Path, others: frozenset[Path] = frozenset()) -> dict[str, Path]:
    """CSV files below a folder by the name that SQL has for them: `S4_growth`, `adl_by_user_half`.

    `others` are files that are read in another way. Raises NotFound when there is nothing at all.
    """
    found: dict[str, Path] = {}
    for path in sorted(set(folder.rglob("*.csv")) - others):
        parts = [path.parent.parent.name] if path.parent.name == "tables" else []
        name = "_".join([*parts, path.stem])
        found["".join(mark if mark.isalnum() else "_" for mark in name)] = path
    if not found and not others:
        raise NotFound(f"{folder.name}: no CSV files and no node archives below it")
    return found


def select(folder: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of a query. Raises NotFound, or BadRequest with what DuckDB says of it."""
    import duckdb

    archives = archives_in(folder)
    tables = tables_of(folder, frozenset(path for paths in archives.values() for path in paths))
    # Tables first; after that no query may read or write other files.
    with duckdb.connect() as connection:
        for name, path in tables.items():
            connection.read_csv(str(path)).create(name)
        load_archives(connection, folder, archives)
        connection.execute("SET enable_external_access = false")
        try:
            answer = connection.execute(sql)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise BadRequest(
                "sql", f"{first}; tables: {', '.join([*tables, *archives])}"
            ) from error
        columns = [column[0] for column in answer.description or []]
        return columns, answer.fetchall()
