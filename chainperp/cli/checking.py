"""What `replay` and `verify` do, without a command line around it.

Only the standard library and floors 0 to 5 are imported at the top, so that the bare command line
(`cli/bare.py`) can do the same work where nothing is installed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainperp.base.errors import InvalidProof
from chainperp.chain.replay import ReplayReport
from chainperp.evidence.policy import check_policy
from chainperp.evidence.verifier.trust import Trust
from chainperp.storage.fsck import FsckReport, fsck
from chainperp.storage.tiles import load_checkpoint

Step = Callable[[int, int | None], None]
# Name, result, detail.
Check = tuple[str, str, str]


def replay_document(report: ReplayReport) -> dict[str, Any]:
    """A replay's result with stable keys."""
    difference = report.divergence
    return {
        "equal": report.is_equal,
        "height": report.height,
        "blocks": report.blocks,
        "entries": report.entries,
        "transactions": report.transactions,
        "signatures_checked": report.signatures_checked,
        "signatures_not_checked": report.signatures_not_checked,
        "snapshots_compared": report.snapshots_compared,
        "log_size": report.log_size,
        "log_root": report.log_root.hex(),
        "state_root": report.state_root.hex(),
        "rules_differ": report.rules_differ,
        "notes": report.notes,
        "divergence": None
        if difference is None
        else {
            "height": difference.height,
            "index": difference.index,
            "entry": difference.entry,
            "collection": difference.collection,
            "record": difference.record,
            "field": difference.field,
            "expected": difference.expected,
            "found": difference.found,
        },
    }


def replay_lines(report: ReplayReport) -> list[str]:
    """A replay's result in sentences."""
    difference = report.divergence
    lines = [f"note       {note}" for note in report.notes]
    if difference is not None:
        lines.append("different  " + difference.sentence())
        lines.append(f"           every block before it, {report.blocks} in all, was equal")
        return lines
    lines.append(
        f"equal      {report.blocks} blocks, {report.entries} entries, "
        f"{report.transactions} transactions re-executed to the same bytes"
    )
    if report.signatures_not_checked:
        lines.append(
            f"signatures NOT CHECKED: {report.signatures_not_checked} signers taken as logged "
            "(no secp256k1 here)"
        )
    else:
        lines.append(f"signatures {report.signatures_checked} recovered, all by the logged signer")
    if report.snapshots_compared:
        lines.append(f"snapshots  {report.snapshots_compared} compared, equal")
    lines.append(f"log        size {report.log_size}, root {report.log_root.hex()}")
    lines.append(f"state      root {report.state_root.hex()} at block {report.height}")
    return lines


def verify_directory(
    path: Path, step: Step | None = None, trust: Trust | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Check a data directory's log against its checkpoint: document and sentences.

    The checkpoint's signature, the log's root at its size, the chain of seals, conservation in
    every seal, and every tile; with a policy, whether its quorum signed the checkpoint. Nothing
    is re-executed: that is `replay`.
    """
    quorum = None if trust is None else _quorum(path, trust)
    report = run_fsck(path, step)
    outcome = "ok" if report.is_clean else "FAILED"
    checks = [
        ("checkpoint signature", report.signature, f"log of {report.entries} entries"),
        ("log root", outcome, report.root.hex()),
        ("chain of seals", outcome, f"{report.blocks} blocks"),
        ("conservation", outcome, "cash_sum - entry_sum = custody in every seal"),
        ("tiles", outcome, f"{report.tiles} files re-derived"),
        ("execution", "not checked", "chainperp replay re-executes every block"),
    ]
    if quorum is not None:
        checks.append(quorum)
    is_signed = report.signature in ("verified", "not checked")
    is_trusted = quorum is None or quorum[1] != "FAILED"
    document = {
        "ok": report.is_clean and is_signed and is_trusted,
        "checks": checks_document(checks),
        "problems": problems_document(report),
    }
    return document, check_lines(checks) + problem_lines(report)


def checks_document(checks: list[Check]) -> list[dict[str, str]]:
    """Checks with stable keys."""
    return [{"check": name, "result": result, "detail": detail} for name, result, detail in checks]


def check_lines(checks: list[Check]) -> list[str]:
    """Checks in columns."""
    return [f"{name:<22}{result:<13}{detail}" for name, result, detail in checks]


def _quorum(path: Path, trust: Trust) -> Check | None:
    """What a policy says of a directory's checkpoint; None without a policy."""
    if trust.policy is None:
        return None
    raw = load_checkpoint(path / "log")
    if raw is None:
        return "policy", "FAILED", "there is no checkpoint"
    try:
        answer = check_policy(trust.policy, raw, trust.verify)
    except InvalidProof as error:
        return "policy", "FAILED", str(error)
    if not answer.is_met:
        return "policy", "FAILED", answer.sentence()
    return "policy", "ok" if answer.is_verified else "not checked", answer.sentence()


def run_fsck(path: Path, step: Step | None = None) -> FsckReport:
    """Re-derive everything in a data directory; `step` gets the blocks checked so far."""
    if step is None:
        return fsck(path)
    told = step
    return fsck(path, lambda blocks, _entries: told(blocks, None))


def problems_document(report: FsckReport) -> list[dict[str, Any]]:
    """Every problem with stable keys."""
    return [
        {"file": one.file, "where": one.where, "expected": one.expected, "found": one.found}
        for one in report.problems
    ]


def problem_lines(report: FsckReport) -> list[str]:
    """Every problem in a sentence."""
    return [f"problem    {one}" for one in report.problems]
