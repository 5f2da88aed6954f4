"""`chainperp bench`: the budgets, measured as ratios in one run."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output


def bench(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds after a warm-up.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller worlds, for a first look.")
    ] = False,
    growth: Annotated[
        bool, typer.Option("--growth", help="How cost grows, to a million accounts; nothing else.")
    ] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Our engine and exchanges from PyPI on one flow, with their fills; nothing else. "
            "pip install lightmatchingengine pyorderbook nautilus_trader, here or elsewhere.",
        ),
    ] = False,
    operations: Annotated[
        int, typer.Option("--operations", min=2_000, help="Of the flow, with --peers.")
    ] = 200_000,
    peer_python: Annotated[
        Path | None,
        typer.Option("--peer-python", help="Interpreter that has the peers, if not this one."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="Append the result to this JSON Lines file.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Compare with the last result in this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure every stage against its budget. Example: chainperp bench --rounds 5"""
    from chainperp.cli.bench.growth import measure_growth
    from chainperp.cli.bench.peers import compare_peers
    from chainperp.cli.bench.run import compare as compare_results
    from chainperp.cli.bench.run import last_of, measure, save_history

    before = None if compare is None else last_of(compare)
    python = peer_python or Path(sys.executable)
    with output.progress("bench") as step:
        if growth:
            _tell_growth(measure_growth(rounds, quick, step), as_json)
            return
        if peers:
            _tell_peers(compare_peers(operations, python, step), as_json)
            return
        document = measure(rounds, quick, step, python)
    if history is not None:
        save_history(history, document)
    if before is not None:
        document["compared"] = compare_results(before, document)
    if as_json:
        output.answer(document, [], as_json=True)
    else:
        _tell(document, before)
    if not document["ok"]:
        raise typer.Exit(EXIT_FALSE)


def _tell(document: dict[str, Any], before: dict[str, Any] | None) -> None:
    rows = [
        [row["stage"], f"{row['median']:.2f}", f"{row['least']:.2f}",
         "-" if row["budget"] is None else f"{row['budget']:.0f}",
         f"{row['ratio']:.2f} x {row['reference']}",
         {True: "yes", False: "NO", None: "-"}[row["within"]]]
        for row in document["stages"]
    ]  # fmt: skip
    columns = ["stage", "median µs", "least µs", "budget", "ratio", "within"]
    title = f"{document['build']}; {document['rounds']} rounds, microseconds per unit of work"
    output.table(title, columns, rows)
    if before is not None:
        output.table(
            f"ratios: before ({before.get('build', 'unknown build')}) and now",
            ["stage", "before", "now", "change"],
            [[row["stage"], f"{row['before']:.2f}", f"{row['now']:.2f}", f"{row['change']:.2f}"]
             for row in document["compared"]],
        )  # fmt: skip


def _tell_growth(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        output.answer({"growth": rows}, [], as_json=True)
        return
    output.table(
        "least of all rounds, microseconds per unit of work",
        ["axis", "size", "µs", "per", "x raw SHA-256", "growth"],
        [[row["axis"], f"{row['size']:,}", f"{row['least']:.2f}", row["unit"],
          f"{row['ratio']:.1f}", f"{row['growth']:.2f}"] for row in rows],
    )  # fmt: skip


def _tell_peers(document: dict[str, Any], as_json: bool) -> None:
    """Exit code 1 when a peer traded otherwise: its time would be that of another flow."""
    if as_json:
        output.answer(document, [], as_json=True)
    else:
        output.table(
            f"standard flow from empty books; chainperp: {document['build']}; microseconds of "
            "processor time for an operation",
            ["who", "operations", "mean", "first 2,000", "last 2,000", "x ours", "x raw SHA-256",
             "fills", "our fills"],
            [[row["who"], f"{row['operations']:,}", f"{row['mean']:.2f}", f"{row['first']:.2f}",
              f"{row['last']:.2f}", f"{row['ours']:.2f}", f"{row['hashes']:.1f}",
              f"{row['fills']:,}", "yes" if row["same_fills"] else "NO"]
             for row in document["peers"]],
        )  # fmt: skip
    if not document["ok"]:
        raise typer.Exit(EXIT_FALSE)
