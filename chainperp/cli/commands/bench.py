"""`chainperp bench`: the budgets, measured as ratios in one run."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output


def bench(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds after a warm-up.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller worlds, for a first look.")
    ] = False,
    history: Annotated[
        Path | None, typer.Option("--history", help="Append the result to this JSON Lines file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure every stage against its budget. Example: chainperp bench --rounds 5"""
    from chainperp.cli.bench.run import measure, save_history

    with output.progress("bench") as step:
        document = measure(rounds, quick, step)
    if history is not None:
        save_history(history, document)
    if as_json:
        output.answer(document, [], as_json=True)
    else:
        rows = [
            [row["stage"], f"{row['median']:.2f}", f"{row['least']:.2f}",
             "-" if row["budget"] is None else f"{row['budget']:.0f}",
             f"{row['ratio']:.2f} x {row['reference']}",
             {True: "yes", False: "NO", None: "-"}[row["within"]]]
            for row in document["stages"]
        ]  # fmt: skip
        columns = ["stage", "median µs", "least µs", "budget", "ratio", "within"]
        output.table(f"{rounds} rounds, microseconds per unit of work", columns, rows)
    if not document["ok"]:
        raise typer.Exit(EXIT_FALSE)
