"""`chainperp verify` and `chainperp fsck`: check a proof, or a log without executing it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output
from chainperp.cli.evm import Evm

if TYPE_CHECKING:
    from chainperp.cli.remote import Given
    from chainperp.evidence.verifier.steps import Verdict

Directory = Annotated[Path, typer.Argument(help="Data directory.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def verify(
    what: Annotated[
        str | None, typer.Argument(help="Proof file, data directory, or URL of a node.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file: whose signatures to trust.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--emit-script", help="Write the verifier as one script.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="URL: verifier key of the log, or a file with it.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="URL: keeps key and last checkpoint.")
    ] = None,
    entries: Annotated[
        str | None, typer.Option("--entries", metavar="FIRST:LAST", help="URL: entries to read.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Promise of inclusion: the URL or directory of the log."),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=1 << 16, help="URL: entries to read at random.")
    ] = 512,
    anchor: Annotated[
        str | None,
        typer.Option("--anchor", help="Check the log against this Anchor contract, or `genesis`."),
    ] = None,
    evm: Evm = None,
    as_json: Json = False,
) -> None:
    """Check a proof file; a directory's log; a node's log, from outside; a promise of inclusion.

    Example: chainperp verify my-adl.proof --policy trust.policy
    """
    if script is not None:
        _write_script(script)
    if what is None:
        if script is not None:
            return
        output.usage("nothing to verify", "give a proof file, a data directory or a node's URL")
    if anchor is not None:
        _verify_anchor(what, anchor, evm, as_json)
    elif against is not None or "://" in what:
        from chainperp.cli.remote import Given

        given = Given(policy, key, state, entries, sample)
        _say_verdict(_verify_remote(what, against, given), as_json)
    elif key or state or entries:
        output.usage("--key, --state and --entries are for a node's URL", "give http://…")
    elif Path(what).is_dir():
        _verify_directory(Path(what), policy, as_json)
    else:
        from chainperp.cli.proof_files import verify_file

        _say_verdict(verify_file(Path(what), policy), as_json)


def _write_script(script: Path) -> None:
    """The verifier as one file."""
    from chainperp.cli.emit import script as text_of_script

    script.write_text(text_of_script(), encoding="utf-8")
    output.say(f"wrote {script}: python3 -S -I {script} PROOF --policy FILE")


def _verify_remote(what: str, against: str | None, given: "Given") -> "Verdict":
    """A node's log, or a promise of inclusion against one."""
    from chainperp.cli.remote import verify_promise, verify_url

    if against is not None:
        return verify_promise(Path(what), against, given)
    return verify_url(what, given).verdict


def _verify_anchor(what: str, address: str, evm: str | None, as_json: bool) -> None:
    """The log of a directory or a node against the contract, instead of a checkpoint file."""
    from chainperp.cli.anchoring import check_anchor
    from chainperp.cli.checking import check_lines, checks_document
    from chainperp.cli.evm import anchor_of, refusals

    web3, contract = anchor_of(what, address, evm)
    with refusals():
        checks = check_anchor(web3, contract, what)
    holds = all(result != "FAILED" for _, result, _ in checks)
    document = {"ok": holds, "checks": checks_document(checks)}
    output.answer(document, check_lines(checks), as_json)
    if not holds:
        raise typer.Exit(EXIT_FALSE)


def _say_verdict(verdict: "Verdict", as_json: bool) -> None:
    from chainperp.cli.proof_files import verdict_document, verdict_lines

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
