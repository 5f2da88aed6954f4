"""What `audit` does, without a command line around it: segments of a chain, executed and checked.

The chain is cut at its snapshots. A segment is accepted only if it starts from the state of the
SEAL where the one before it ends, so the outcome of all of them together is that of one walk.
Standard library and floors 0 to 5 only, for the bare command line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chainperp.base import msgpack
from chainperp.base.units import usd_text
from chainperp.chain.audit.audit import CHECKS, Auditor, AuditReport, Finding, audit
from chainperp.chain.decode import Unpack
from chainperp.chain.replay import Recover
from chainperp.cli.checking import verify_directory
from chainperp.evidence.checkpoint import cosign_checkpoint, parse_checkpoint
from chainperp.evidence.note import Sign, VerifierKey, parse_note
from chainperp.storage.collector import between_blocks, one_chain
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import rules_hash
from chainperp.storage.recovery import inspect
from chainperp.storage.segments import read_blocks
from chainperp.storage.tiles import load_checkpoint

LOG: Final = "log, checkpoint and tiles"
BORDER: Final = ("deposits", "grants", "payouts", "cancelled", "receipts")
Runner = Callable[[Callable[["Segment"], AuditReport], list["Segment"]], Iterable[AuditReport]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a chain: from the block after a snapshot (or block 0) to a height, included."""

    path: Path
    first: int
    last: int


@dataclass(slots=True)
class Audit:
    """The outcome of all segments together. `log` is the check of files, seals and checkpoint."""

    log: dict[str, Any]
    reports: list[AuditReport]
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found anywhere."""
        clean = all(report.is_clean for report in self.reports)
        return bool(self.log["ok"]) and clean and not self.findings

    @property
    def last(self) -> AuditReport:
        """The report of the end of the chain."""
        return self.reports[-1]

    def total(self, name: str) -> int:
        """Sum of a counter over all segments."""
        return sum(int(getattr(report, name)) for report in self.reports)

    def border(self) -> dict[str, int]:
        """How much of what crossed the border was checked, over all segments."""
        return {
            name: sum(int(getattr(report.border, name)) for report in self.reports)
            for name in BORDER
        }

    def replayed(self, name: str) -> int:
        """Sum of a counter of the execution over all segments."""
        return sum(int(getattr(report.replay, name)) for report in self.reports)


def segments_of(path: Path, jobs: int) -> list[Segment]:
    """The chain cut at its snapshots, or whole for one job."""
    directory = DataDir.open(path, write=False)
    tip, _ = inspect(directory.segments)
    cuts = [height for height, _ in directory.list_snapshots() if height < tip.height]
    starts = [0, *(height + 1 for height in sorted(cuts))] if jobs > 1 else [0]
    ends = [start - 1 for start in starts[1:]] + [tip.height]
    return [Segment(path, first, last) for first, last in zip(starts, ends, strict=True)]


def audit_segment(
    segment: Segment,
    recover: Recover | None = None,
    unpack: Unpack = msgpack.unpack,
    step: Callable[[int], None] | None = None,
) -> AuditReport:
    """Audit one segment."""
    with one_chain():
        return _walk(segment, recover, unpack, step)


def _walk(
    segment: Segment, recover: Recover | None, unpack: Unpack, step: Callable[[int], None] | None
) -> AuditReport:
    """Start where the segment starts, and check its blocks."""
    directory = DataDir.open(segment.path, write=False)
    auditor = Auditor(directory.genesis, rules_hash(), recover, unpack)
    if segment.first:
        height = segment.first - 1
        seal = next(iter(read_blocks(directory.segments, height, height))).entries[-1]
        auditor.start_from(dict(directory.list_snapshots())[height].read_bytes(), seal)
    blocks = between_blocks(read_blocks(directory.segments, segment.first, segment.last))
    return audit(auditor, ((block.height, block.entries) for block in blocks), step)


def run_audit(
    path: Path,
    work: Callable[[Segment], AuditReport] = audit_segment,
    runner: Runner = map,
    jobs: int = 1,
) -> Audit:
    """Audit a data directory. `work` audits a segment, `runner` spreads segments over processes.

    Raises: DirectoryError, InvalidFile, InvalidSnapshot.
    """
    log, _ = verify_directory(path)
    segments = segments_of(path, jobs)
    result = Audit(log, list(runner(work, segments)))
    for segment, report in zip(segments, result.reports, strict=True):
        result.findings.extend(report.findings)
        if report.replay.is_equal and report.replay.height != segment.last:
            text = f"the segment from block {segment.first} ended at block {report.replay.height}"
            result.findings.append(Finding("execution", report.replay.height, text))
    return result


def cosign(path: Path, key: VerifierKey, sign: Sign, time: int) -> bytes:
    """The published checkpoint with the auditor's cosignature, which says: replayed up to here,
    every rule and root matched, every round complete.

    The caller asks `why_not_cosign` before: only a clean audit of the whole checkpoint is signed.
    """
    raw = load_checkpoint(DataDir.open(path, write=False).log)
    return cosign_checkpoint(raw or b"", key, time, sign)


def why_not_cosign(path: Path, audited: Audit) -> str | None:
    """Why no cosignature can be given; None when it can."""
    if not audited.is_clean:
        return "the audit found something"
    if audited.replayed("signatures_not_checked"):
        return "signatures of transactions were not checked here"
    if audited.log["checks"][0]["result"] != "verified":
        return "the checkpoint's own signature was not checked here"
    raw = load_checkpoint(DataDir.open(path, write=False).log)
    size = parse_checkpoint(parse_note(raw or b"").text).size
    replayed = audited.last.replay.log_size
    if replayed < size:
        return f"the checkpoint has size {size}, only {replayed} entries were audited"
    return None


def audit_document(audited: Audit) -> dict[str, Any]:
    """An audit's result with stable keys."""
    last = audited.last
    return {
        "ok": audited.is_clean,
        "height": last.replay.height,
        "log_size": last.replay.log_size,
        "log_root": last.replay.log_root.hex(),
        "state_root": last.replay.state_root.hex(),
        "blocks": audited.replayed("blocks"),
        "entries": audited.replayed("entries"),
        "signatures_checked": audited.replayed("signatures_checked"),
        "signatures_not_checked": audited.replayed("signatures_not_checked"),
        "scopes_tested": audited.total("scopes_tested"),
        "liquidations": audited.total("liquidations"),
        "rounds": audited.total("rounds"),
        "rows": audited.total("rows"),
        "purchases": audited.total("purchases"),
        "quotes": audited.total("quotes"),
        "share_changes": audited.total("share_changes"),
        "border": audited.border(),
        "accounts": last.accounts,
        "liabilities": last.liabilities,
        "deficit": last.deficit,
        "pending_withdrawals": last.pending,
        "custody": last.custody,
        "liabilities_root": last.liabilities_root.hex(),
        "log": audited.log,
        "findings": [
            {"check": one.check, "height": one.height, "text": one.text} for one in audited.findings
        ],
    }


def audit_lines(audited: Audit) -> list[str]:
    """An audit's result in sentences: one line for each check, then what was found."""
    last = audited.last
    blocks, entries = audited.replayed("blocks"), audited.replayed("entries")
    unchecked = audited.replayed("signatures_not_checked")
    signatures = (
        f"{unchecked} signers taken as logged: NOT CHECKED"
        if unchecked
        else f"{audited.replayed('signatures_checked')} signatures recovered"
    )
    told = {
        "execution": f"{blocks} blocks, {entries} entries to the same bytes; {signatures}",
        "liquidations": f"{audited.total('liquidations')} tests, all due and none missing, in "
        f"{audited.total('scopes_tested')} looks at an account",
        "adl rounds": f"{audited.total('rounds')} rounds with {audited.total('rows')} rows: "
        "complete, in order, exact",
        "conservation": f"cash is custody and long is short at every SEAL; custody "
        f"{usd_text(last.custody)}",
        "deposits and payouts": _border(audited),
        "routing and exemptions": "as published, and changed by logged events only",
        "fees": "every trade's from its accounts' rates, every share as its trades owe it",
        "fund and buybacks": f"{audited.total('purchases')} purchases, each due and re-derived, "
        "none missing; all of them burned, nothing sold",
        "quotes and capital": f"{audited.total('quotes')} rounds and moves of the vault's "
        "children, planned again the same",
        "vault shares": f"{audited.total('share_changes')} changes of holders' shares, each "
        "re-derived; all shares are somebody's",
        "solvency": f"{last.accounts} accounts claim {usd_text(last.liabilities)}, owe "
        f"{usd_text(last.deficit)}; liabilities root {last.liabilities_root.hex()}",
    }
    lines = [f"{'ok' if audited.log['ok'] else 'FAILED':<9}{LOG:<28}{_signature(audited)}"]
    stopped = not all(report.replay.is_equal for report in audited.reports)
    for check in CHECKS:
        found = [one for one in audited.findings if one.check == check]
        state = f"FAILED   {check:<28}{len(found)} findings" if found else f"ok       {check:<28}"
        lines.append(state + ("" if found else told[check]))
    lines += [f"found    block {one.height}: {one.check}: {one.text}" for one in audited.findings]
    if stopped:
        lines.append("note     execution differs: what comes after that block was NOT CHECKED")
    return lines


def _border(audited: Audit) -> str:
    """What crossed the border, in words."""
    found = audited.border()
    text = (
        f"{found['deposits']} deposits, {found['payouts']} payouts, each with its recorded input "
        "and in its order"
    )
    for name, words in (
        ("cancelled", "withdrawals cancelled"), ("grants", "grants with nothing behind them"),
        ("receipts", "purchases on the EVM"),
    ):  # fmt: skip
        text += f"; {found[name]} {words}" if found[name] else ""
    return text


def _signature(audited: Audit) -> str:
    first = audited.log["checks"][0]
    return f"checkpoint signature {first['result']}, {first['detail']}"
