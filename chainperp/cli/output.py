"""The contract of every command: stdout is the answer, stderr is everything else.

`--json` gives one document with stable keys. Tables are rich on a terminal, plain text in a pipe.
Exit codes: 0 yes, 1 checked and false, 2 usage, 3 not reachable or not found, 4 refused by the
exchange, 70 our own fault.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from chainperp.base.errors import EXIT_FAULT, EXIT_USAGE


class Progress(Protocol):
    """A running count of work."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how far the work is."""


def answer(document: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Write a command's answer: the document as JSON, or the lines for people."""
    if as_json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def counted(number: int, thing: str) -> str:
    """A number of things, in the singular for one."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def say(line: str) -> None:
    """Write a remark for people to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def fail(code: int, message: str, *details: str) -> NoReturn:
    """End the command: what happened, the numbers, what to do next."""
    say(f"error: {message}")
    for detail in details:
        say(f"  {detail}")
    raise SystemExit(code)


def usage(message: str, *details: str) -> NoReturn:
    """End the command because it was called wrongly."""
    fail(EXIT_USAGE, message, *details)


def fault(message: str) -> NoReturn:
    """End the command because of a fault of ours, with a line that reproduces it."""
    command = " ".join(["chainperp", *sys.argv[1:]])
    fail(EXIT_FAULT, message, f"this is our fault; to see it again: {command}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout: rich on a terminal, aligned text in a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(title=title, title_justify="left", title_style="bold")
        for index, column in enumerate(columns):
            drawn.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            drawn.add_row(*row)
        Console().print(drawn)
        return
    for line in plain_table(title, columns, rows):
        sys.stdout.write(line + "\n")


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as aligned lines: first column left, the others right."""
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    lines = [title] if title else []
    for row in [columns, *rows]:
        cells = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


@contextmanager
def progress(label: str, expected: int | None = None, unit: str = "") -> Iterator[Progress]:
    """A progress bar on stderr when it is a terminal, otherwise nothing."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("elapsed, left about"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=expected)

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=expected if total is None else total)

        yield advance


def _silent(done: int, total: int | None = None) -> None:
    """Progress where nobody watches."""
