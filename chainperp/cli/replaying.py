"""What `replay` does, without a command line around it: a chain in parts, executed and joined.

The chain is cut at snapshots. Each part ends with the comparison of the state that it reached with
the snapshot that the next one starts from, so the parts form a chain from the first block on, and
the outcome of all of them together is that of one walk: whoever does them, and in which order.
Standard library and floors 0 to 6 only, for the bare command line.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chainperp import __version__
from chainperp.base import msgpack
from chainperp.base.errors import (
    ChainperpError,
    DirectoryError,
    Invalid,
    InvalidFile,
    InvalidProof,
    NotFound,
)
from chainperp.chain.decode import Unpack
from chainperp.chain.replay import Recover, Replay, ReplayReport, replay
from chainperp.cli.sources import Blocks, Source, open_source
from chainperp.storage.collector import between_blocks, one_chain
from chainperp.storage.package import rules_hash

Step = Callable[[int, int | None], None]
# Wraps the blocks so that their signatures are recovered ahead of execution.
Ahead = Callable[[Blocks], Blocks]
COUNTERS: Final = (
    "blocks", "entries", "transactions", "signatures_checked", "signatures_not_checked",
    "snapshots_compared",
)  # fmt: skip

WALK_SHARE: Final = 0.35
"""Part of a replay that is not signature recovery (docs/performance.md)."""

SLACK: Final = 1.2


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks of a chain: from block 0 or the block after a snapshot, to a height, included."""

    place: str
    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of blocks."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """What came of a part, as it crosses processes: a report, or why there is none.

    `rules` and `build` say by which code; an outcome of other rules than ours is worth nothing.
    """

    part: Part
    report: ReplayReport | None
    error: ChainperpError | None
    rules: bytes
    build: str


Runner = Callable[[list[Part]], Iterator[PartOutcome]]


def plan_parts(place: str, source: Source, span: tuple[int, int], wanted: int) -> list[Part]:
    """At most `wanted` parts of about equal length, from the last snapshot up to the span's first
    height to its last height: each cut is the snapshot next to where an equal part would end."""
    start, last = span
    begins = [height for height in source.snapshots if height <= start]
    first = begins[-1] + 1 if begins else 0
    cuts = [height for height in source.snapshots if first <= height < last]
    length = last - first + 1
    parts: list[Part] = []
    for number in range(1, wanted if cuts else 1):
        end = first - 1 + length * number // wanted
        cut = min(cuts, key=lambda height: abs(height - end))
        begin = parts[-1].last + 1 if parts else first
        if cut >= begin:
            parts.append(Part(place, begin, cut))
    parts.append(Part(place, parts[-1].last + 1 if parts else first, last))
    return parts


def is_worth_cutting(parts: list[Part], jobs: int) -> bool:
    """Whether parts at the same time end sooner than one walk whose signatures other processes
    recover: then execution is the bound, about a third of the whole."""
    longest = max(part.length for part in parts)
    share = max(WALK_SHARE * jobs, 1.0)
    return jobs > 1 and longest * jobs <= share * sum(part.length for part in parts) * SLACK


def run_part(
    part: Part,
    recover: Recover | None = None,
    unpack: Unpack = msgpack.unpack,
    ahead: Ahead | None = None,
    step: Step | None = None,
) -> ReplayReport:
    """Re-execute a part and compare it with the log, and with every snapshot on the way.

    Raises: DirectoryError, InvalidFile, InvalidBlock, InvalidSnapshot, NotFound.
    """
    with one_chain():
        return _walk(part, recover, unpack, ahead, step)


def _walk(
    part: Part, recover: Recover | None, unpack: Unpack, ahead: Ahead | None, step: Step | None
) -> ReplayReport:
    """Start where the part starts, and feed its blocks. A function of its own: when it is left,
    nothing holds the chain's state any more."""
    source = open_source(part.place)
    run = Replay(source.genesis, rules_hash(), recover, unpack)
    if part.first:
        height = part.first - 1
        run.start_from(source.snapshot(height), source.seal(height))
    snapshots = dict.fromkeys(source.snapshots)
    blocks = between_blocks(source.blocks(part.first, part.last))
    if ahead is not None:
        blocks = ahead(blocks)

    def compared() -> Blocks:
        for height, entries in blocks:
            yield height, entries
            if height in snapshots and run.compare_snapshot(source.snapshot(height)) is not None:
                return

    def progress(height: int, _transactions: int) -> None:
        if step is not None:
            step(height - part.first + 1, part.length)

    return replay(run, compared(), progress)


def attempt(part: Part, work: Callable[[Part], ReplayReport]) -> PartOutcome:
    """Do a part and say what came of it; only errors of ours become an outcome."""
    report: ReplayReport | None = None
    failed: ChainperpError | None = None
    try:
        report = work(part)
    except (DirectoryError, NotFound) as error:
        failed = type(error)(str(error))
    except Invalid as error:
        # Without the fields of its family, which some exceptions do not survive a pickle with.
        failed = Invalid(str(error))
    build = f"chainperp {__version__} on Python {sys.version.split()[0]}"
    return PartOutcome(part, report, failed, rules_hash(), build)


def in_turn(work: Callable[[Part], ReplayReport]) -> Runner:
    """A runner that does one part after the other in this process."""

    def run(parts: list[Part]) -> Iterator[PartOutcome]:
        for part in parts:
            yield attempt(part, work)

    return run


# Cuts a span of a chain into parts, and runs them.
Planner = Callable[[Source, tuple[int, int]], tuple[list[Part], Runner]]


def in_one_walk(place: str, work: Callable[[Part], ReplayReport]) -> Planner:
    """One part, done in this process."""

    def plan(source: Source, span: tuple[int, int]) -> tuple[list[Part], Runner]:
        return plan_parts(place, source, span, 1), in_turn(work)

    return plan


def run_replay(place: str, start: int, end: int | None, planner: Planner) -> ReplayReport:
    """Replay a chain from the last snapshot up to `start`, in parts and by whom the planner says.

    Raises: what `run_part` raises; InvalidProof when the end is not the root that a served
    checkpoint has.
    """
    source = open_source(place)
    tip, notes = source.end()
    parts, runner = planner(source, (start, tip if end is None else min(end, tip)))
    report = join(runner(parts))
    if parts[0].first:
        notes = [f"started from the snapshot of block {parts[0].first - 1}", *notes]
    report.notes[:0] = notes
    whole = report.is_equal and report.height == tip
    if whole and source.log_root not in (None, report.log_root):
        raise InvalidProof(
            f"the checkpoint of {place} has root {source.log_root.hex() if source.log_root else ''}"
            f", its entries have {report.log_root.hex()}"
        )
    return report


def join(outcomes: Iterable[PartOutcome]) -> ReplayReport:
    """One report of the parts in order, up to the first difference; what follows it is ignored.

    Raises the first error before any difference; InvalidFile for a part that other rules did.
    """
    total = ReplayReport()
    for outcome in outcomes:
        if outcome.rules != rules_hash():
            raise InvalidFile(
                f"blocks {outcome.part.first} to {outcome.part.last} were executed by other rules, "
                f"0x{outcome.rules.hex()} in {outcome.build}; ours are 0x{rules_hash().hex()}"
            )
        if outcome.report is None:
            raise outcome.error or InvalidFile(f"no report of blocks from {outcome.part.first} on")
        _add(total, outcome.report)
        if total.divergence is not None:
            break
    return total


def _add(total: ReplayReport, part: ReplayReport) -> None:
    """Take the next part into the total."""
    for name in COUNTERS:
        setattr(total, name, getattr(total, name) + getattr(part, name))
    total.height = part.height
    if part.blocks:
        total.log_size, total.log_root = part.log_size, part.log_root
        total.state_root = part.state_root
    total.rules_differ = total.rules_differ or part.rules_differ
    total.notes += [note for note in part.notes if note not in total.notes]
    total.divergence = part.divergence
