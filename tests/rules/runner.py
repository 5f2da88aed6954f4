"""Reads the rule tables of `fixtures/rules` and says which rows do not hold.

A file has one section per rule (`## MRG-2 …`) with one or more Markdown tables. A table whose
columns begin with `block | who | does` is a story: its rows are played on the real engine, in order
(`story.py`). Every other table asks the pure function of its rule, one row at a time (`cases.py`).
Both compare the column `expect` with what the exchange says; `because` is the citation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chainperp.rules.catalogue import REGISTERED
from chainperp.storage.package import rule_text

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "rules"
HEADING = re.compile(r"## ([A-Z]{3}-\d+)\b.*", re.ASCII)
STORY_COLUMNS = ["block", "who", "does"]

Case = Callable[["Row"], str]


@dataclass(frozen=True)
class Row:
    """One line of a table: its cells by column name, and where it stands."""

    file: str
    line: int
    code: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def __contains__(self, column: str) -> bool:
        return column in self.cells

    @property
    def is_refusal(self) -> bool:
        """Whether the row expects that the rule says no."""
        return bool(re.search(r"\b(refused|canceled|stops)\b", self.cells["expect"]))


@dataclass
class Table:
    """One Markdown table under a rule's heading."""

    code: str
    columns: list[str]
    rows: list[Row] = field(default_factory=list)

    @property
    def is_story(self) -> bool:
        """Whether the rows are steps on one engine."""
        return self.columns[:3] == STORY_COLUMNS


def cells_of(line: str) -> list[str]:
    """Cells of a Markdown table line."""
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]


def parse(text: str, file: str) -> list[Table]:
    """All tables of a rule file. A malformed line is an error with its place."""
    tables: list[Table] = []
    code = ""
    table: Table | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        heading = HEADING.fullmatch(line)
        if heading is not None:
            code = heading.group(1)
        if not line.lstrip().startswith("|"):
            table = None
            continue
        cells = cells_of(line)
        if table is None:
            if not code or cells[-2:] != ["expect", "because"]:
                raise ValueError(f"{file}:{number}: a table stands under a rule's heading and "
                                 f"ends with expect and because: was {cells}")  # fmt: skip
            table = Table(code, cells)
            tables.append(table)
        elif not set(line) <= set("|-: "):
            if len(cells) != len(table.columns) or not cells[-1]:
                raise ValueError(f"{file}:{number}: needs {len(table.columns)} cells, the last "
                                 f"one says why: was {cells}")  # fmt: skip
            table.rows.append(Row(file, number, code, dict(zip(table.columns, cells, strict=True))))
    return tables


def load_tables() -> list[Table]:
    """The tables of every file, by file name."""
    tables: list[Table] = []
    for path in sorted(FIXTURES.glob("*.md")):
        tables += parse(path.read_text(encoding="utf-8"), path.name)
    return tables


def law_of(code: str) -> str:
    """First sentence of a rule, as law."""
    rule = REGISTERED.get(code)
    if rule is None:
        return "this rule does not exist"
    return " ".join(rule_text(rule).partition("\n\n")[0].split())


def complaint(row: Row, found: str) -> str:
    """What to print for a row that does not hold."""
    cells = ", ".join(f"{name} {value}" for name, value in row.cells.items() if name != "because")
    return (
        f"fixtures/rules/{row.file}:{row.line} {row.code}\n"
        f"  row    {cells}\n  found  {found}\n  law    {law_of(row.code)}\n"
        f"  source {row['because']}"
    )


def failing_rows(
    table: Table, cases: dict[str, Case], play: Callable[[list[Row]], list[str]]
) -> list[str]:
    """Complaints about the rows of one table that do not hold."""
    if table.is_story:
        answers = play(table.rows)
    else:
        answers = []
        for row in table.rows:
            try:
                answers.append(cases[table.code](row))
            except (ArithmeticError, LookupError, ValueError) as error:
                answers.append(f"{type(error).__name__}: {error}")
    return [
        complaint(row, found)
        for row, found in zip(table.rows, answers, strict=True)
        if found != row["expect"]
    ]
