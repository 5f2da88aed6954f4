"""`chainperp verify` and `chainperp fsck`: check a proof, or a log without executing it."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

Directory = Annotated[Path, typer.Argument(help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def verify(
    path: Annotated[Path | None, typer.Argument(help="Proof file, or data directory.")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file: whose signatures to trust.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--emit-script", help="Write the verifier as one script.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a proof file, or a directory's checkpoint, log root, seals and conservation.

    Example: chainperp verify my-adl.proof --policy trust.policy
    """
    if script is not None:
        from chainperp.cli.emit import script as text_of_script

        script.write_text(text_of_script(), encoding="utf-8")
        output.say(f"wrote {script}: python3 -S -I {script} PROOF --policy FILE")
        if path is None:
            return
    if path is None:
        output.usage("nothing to verify", "give a proof file or a data directory")
    if path.is_dir():
        _verify_directory(path, policy, as_json)
        return
    from chainperp.cli.proof_files import verdict_document, verdict_lines, verify_file

    verdict = verify_file(path, policy)
    output.answer(verdict_document(verdict), verdict_lines(verdict), as_json)
    if not verdict.holds:
        raise typer.Exit(EXIT_FALSE)


def _verify_directory(directory: Path, policy: Path | None, as_json: bool) -> None:
    from chainperp.cli.checking import verify_directory
    from chainperp.cli.proof_files import load_trust

    trust = load_trust(policy)
    with output.progress("verify") as step:
        document, lines = verify_directory(directory, step, trust)
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
