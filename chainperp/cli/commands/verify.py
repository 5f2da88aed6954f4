"""`chainperp verify` and `chainperp fsck`: check a log without executing it."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

Directory = Annotated[Path, typer.Argument(help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def verify(directory: Directory, as_json: Json = False) -> None:
    """Check checkpoint, log root, seals and conservation. Example: chainperp verify demo-data"""
    from chainperp.cli.checking import verify_directory

    with output.progress("verify") as step:
        document, lines = verify_directory(directory, step)
    output.answer(document, lines, as_json)
    if not document["ok"]:
        raise typer.Exit(EXIT_FALSE)


def fsck(directory: Directory, as_json: Json = False) -> None:
    """Re-derive every hash and file from the segments. Example: chainperp fsck demo-data"""
    from chainperp.cli.checking import problem_lines, problems_document, run_fsck

    with output.progress("fsck") as step:
        report = run_fsck(directory, step)
    document = {
        "ok": report.is_clean,
        "blocks": report.blocks,
        "entries": report.entries,
        "tiles": report.tiles,
        "problems": problems_document(report),
    }
    lines = problem_lines(report) or [
        f"clean      {report.blocks} blocks, {report.entries} entries, {report.tiles} tiles "
        "re-derived from the segments"
    ]
    output.answer(document, lines, as_json)
    if not report.is_clean:
        raise typer.Exit(EXIT_FALSE)
