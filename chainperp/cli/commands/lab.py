"""`chainperp lab …`: studies, of ours and of other venues."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

app = typer.Typer(help="Studies.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def lab() -> None:
    """Studies of auto-deleveraging, on our own chains and on what other venues publish."""


@app.command("forensic")
def forensic(
    path: Annotated[
        Path, typer.Argument(help="Table of another venue (CSV), or a data directory.")
    ],
    fills: Annotated[
        Path | None, typer.Option("--fills", help="What was closed, if the table does not say.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Exit 1 unless this ranking explains all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Which published ranking explains who was deleveraged, and who does not fit.

    A table has a row for each position of the deleveraged side, closed or not: account, size,
    closed, and what is known of round, side, mark, entry_price, account_value, maintenance.

    Example: chainperp lab forensic demo-data
    """
    from chainperp.cli.forensic import examine_own
    from chainperp.cli.venue_forensic import examine_venue

    if path.is_dir():
        if fills is not None or policy is not None:
            output.usage("--fills and --policy are for tables: our own log says both")
        (document, lines), fits = examine_own(path)
    else:
        (document, lines), fits = examine_venue(path, fills, policy)
    output.answer(document, lines, as_json)
    if not fits:
        raise typer.Exit(EXIT_FALSE)


@app.command("allocate")
def allocate(
    problem: Annotated[Path, typer.Argument(help="Winners, budgets and policies (JSON).")],
    out: Annotated[Path, typer.Argument(help="Where the answer is written (JSON).")],
    require_feasible: Annotated[
        bool, typer.Option("--require-feasible", help="Refuse a budget that cannot be raised.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Who pays how much of a budget, under each policy; the hash covers every single amount.

    Example: chainperp lab allocate problem.json answer.json
    """
    import json

    from chainperp.cli.lab_files import write_text
    from chainperp.lab.allocation import document as solved
    from chainperp.lab.problem import read_problem

    document = solved(read_problem(problem), require_feasible)
    write_text(out, json.dumps(document, indent=1) + "\n")
    if as_json:
        output.answer(document, [], as_json=True)
        return
    rows = [
        [run["policy"], str(run["budget"]), str(run["exempt_top"]), str(run["total"]),
         str(run["shortfall"]), str(run["n_hit"]), f"{run['gini']:.6f}", run["sha256"][:16]]
        for run in document["runs"]
    ]  # fmt: skip
    columns = ["policy", "budget", "exempt", "total", "shortfall", "hit", "gini", "sha256"]
    output.table(f"{document['n_winners']} winners, micro-USD", columns, rows)
