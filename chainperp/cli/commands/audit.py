"""`chainperp audit`: the full run of an auditor, and the cosignature that says so."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

if TYPE_CHECKING:
    from chainperp.chain.audit.audit import AuditReport
    from chainperp.cli.auditing import Audit, Segment


def audit(
    directory: Annotated[Path, typer.Argument(help="Data directory.")],
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, one a segment.")] = 1,
    key_file: Annotated[
        Path | None, typer.Option("--cosign", help="Auditor's key file; signs a clean audit only.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the cosigned checkpoint goes.")
    ] = None,
    evm: Annotated[
        str | None,
        typer.Option("--evm", help="JSON-RPC of the EVM; the directory's machine if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Replay, and check every liquidation, ADL round and sum. Example: chainperp audit demo-data"""
    from chainperp.cli.auditing import audit_document, audit_lines, run_audit
    from chainperp.cli.border_audit import audit_border

    audited = run_audit(directory, audit_with_signatures, _runner(jobs), jobs)
    document, lines = audit_document(audited), audit_lines(audited)
    border = audit_border(directory, evm)
    is_clean = audited.is_clean
    if border is not None:
        is_clean = is_clean and not border.findings
        document |= {"ok": is_clean, "evm": border.document()}
        lines += border.lines()
    if key_file is not None and border is not None and border.findings:
        output.say("not cosigned: ledger and contracts differ")
    elif key_file is not None:
        note = _cosign(directory, key_file, audited, out)
        document["cosigned_checkpoint"] = note
        lines += ["cosigned " + line for line in note.splitlines()[-1:]]
    output.answer(document, lines, as_json)
    if not is_clean:
        raise typer.Exit(EXIT_FALSE)


def audit_with_signatures(segment: "Segment") -> "AuditReport":
    """Audit one segment, recovering every signer; runs in a process of its own."""
    import msgpack

    from chainperp.cli.auditing import audit_segment
    from chainperp.storage.datadir import DataDir
    from chainperp.wire.recovery import signers_of

    name = DataDir.open(segment.path, write=False).genesis.network

    def recover(envelopes: list[bytes]) -> list[bytes | str]:
        return list(signers_of(envelopes, "Mainnet" if name == "Mainnet" else "Testnet"))

    return audit_segment(segment, recover, msgpack.unpackb)


def _runner(
    jobs: int,
) -> "Callable[[Callable[[Segment], AuditReport], list[Segment]], Iterable[AuditReport]]":
    """Spreads segments over processes; one job stays in this one."""

    def spread(
        work: "Callable[[Segment], AuditReport]", segments: "list[Segment]"
    ) -> "Iterable[AuditReport]":
        from chainperp.cli.parallel import workers

        with workers(min(jobs, len(segments))) as started:
            return list(
                map(work, segments) if started is None else started.pool.map(work, segments)
            )

    return spread


def _cosign(directory: Path, key_file: Path, audited: "Audit", out: Path | None) -> str:
    """The checkpoint with the auditor's line, written to a file of its own; never to the log."""
    import time

    from chainperp.cli.auditing import cosign, why_not_cosign
    from chainperp.evidence.note import KIND_COSIGNATURE
    from chainperp.storage.logkey import load_key_file

    key = load_key_file(key_file)
    if key.verifier.kind != KIND_COSIGNATURE:
        output.usage(f"{key_file} holds a log's key", "a cosigner needs a key of kind 04")
    reason = why_not_cosign(directory, audited)
    if reason is not None:
        output.say(f"not cosigned: {reason}")
        return ""
    note = cosign(directory, key.verifier, key.sign, int(time.time()))
    if out is not None:
        out.write_bytes(note)
        output.say(f"wrote {out}")
    return note.decode("utf-8")
