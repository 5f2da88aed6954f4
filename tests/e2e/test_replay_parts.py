"""A replay in parts says what one walk says, word for word, on honest and on damaged chains."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import Invalid, InvalidProof
from chainperp.chain.replay import ReplayReport
from chainperp.cli.checking import replay_document
from chainperp.cli.demo.forge import forge_fee
from chainperp.cli.parallel import over_processes, replay_part, workers
from chainperp.cli.replaying import (
    Part,
    PartOutcome,
    Runner,
    attempt,
    is_worth_cutting,
    plan_parts,
    run_part,
    run_replay,
)
from chainperp.cli.sources import Source
from chainperp.storage.segments import list_segments
from tests.support.chain import DemoChain, run_cli
from tests.support.static_log import static_log


def verdict(place: str, wanted: int, runner: Runner) -> Any:
    """The document of a replay in at most so many parts, or the sentence of its error."""

    def plan(source: Source, span: tuple[int, int]) -> tuple[list[Part], Runner]:
        parts = plan_parts(place, source, span, wanted)
        assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
        return parts, runner

    try:
        return replay_document(run_replay(place, 0, None, plan))
    except Invalid as error:
        return str(error)


def backwards(parts: list[Part]) -> Iterator[PartOutcome]:
    """Every part is done before the first one is told, the last one first."""
    outcomes = [attempt(part, run_part) for part in reversed(parts)]
    yield from reversed(outcomes)


def unharmed(_: Path) -> None:
    """An honest chain."""


def flip(path: Path) -> None:
    """A byte of the log that its checksum contradicts."""
    segment = list_segments(path / "segments")[0]
    raw = bytearray(segment.read_bytes())
    raw[len(raw) * 2 // 3] ^= 0x10
    segment.write_bytes(raw)


def harm_snapshot(path: Path) -> None:
    """A snapshot in the middle is not the state of its block."""
    middle = sorted((path / "snapshots").iterdir())[1]
    raw = bytearray(middle.read_bytes())
    raw[len(raw) // 2] ^= 0x01
    middle.write_bytes(raw)


@pytest.mark.parametrize("harm", [unharmed, forge_fee, flip, harm_snapshot])
def test_any_number_of_parts_gives_the_same_verdict(
    demo_chain: DemoChain, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    """Also where a later part stumbles over what an earlier one has found."""
    copy = demo_chain.copy(tmp_path / "copy")
    harm(copy)
    one = verdict(str(copy), 1, backwards)
    if harm is unharmed:
        assert one["equal"] is True
        assert one["snapshots_compared"] == 3
    for wanted in (2, 100):
        assert verdict(str(copy), wanted, backwards) == one


def test_a_part_is_done_with_its_signatures(demo_chain: DemoChain) -> None:
    """What a worker is given to do recovers every signer."""
    place = str(demo_chain.path)
    outcome = replay_part(Part(place, 41, 80))
    assert outcome.report is not None
    assert outcome.report.signatures_checked > 0
    assert outcome.report.signatures_not_checked == 0
    assert outcome.report.height == 80


def test_processes_say_what_this_one_says(demo_chain: DemoChain) -> None:
    """Forked, or started anew where the process has threads, as a test's may have."""
    place = str(demo_chain.path)
    told: list[tuple[int, int | None]] = []

    def step(done: int, total: int | None = None) -> None:
        told.append((done, total))

    def here(parts: list[Part]) -> Iterator[PartOutcome]:
        yield from map(replay_part, parts)

    with workers(2) as started:
        assert started is not None
        found = verdict(place, 4, over_processes(started, step))
    assert found == verdict(place, 4, here)
    assert found["signatures_checked"] > 0
    blocks = found["blocks"]
    assert told[-1] == (blocks, blocks)
    with workers(1) as none:
        assert none is None


def test_a_worker_with_other_rules_is_refused(demo_chain: DemoChain) -> None:
    """Its bytes may be equal by luck: nobody knows what it ran."""

    def strange(parts: list[Part]) -> Iterator[PartOutcome]:
        for part in parts:
            yield replace(PartOutcome(part, ReplayReport(), None, b"", "theirs"), rules=bytes(32))

    found = verdict(str(demo_chain.path), 2, strange)
    assert "other rules" in found
    assert "theirs" in found


def test_a_served_log_is_replayed_from_its_tiles(demo_chain: DemoChain, tmp_path: Path) -> None:
    """Cut where the server has snapshots, in one part where it has not."""
    local = verdict(str(demo_chain.path), 1, backwards)
    with static_log(demo_chain.path) as url:
        served = verdict(url, 8, backwards)
    assert {**served, "notes": []} == {**local, "notes": []}
    only_log = tmp_path / "served"
    only_log.mkdir()
    (only_log / "log").symlink_to(demo_chain.path / "log")
    with static_log(only_log) as url:
        found = verdict(url, 8, backwards)
    assert found["equal"] is True
    assert found["snapshots_compared"] == 0
    assert found["log_root"] == demo_chain.log_root


def test_entries_that_the_checkpoint_does_not_cover_are_refused(demo_chain: DemoChain) -> None:
    """An honest execution of entries that the log has not signed is none of this log."""

    def without_root(parts: list[Part]) -> Iterator[PartOutcome]:
        for outcome in backwards(parts):
            if outcome.report is not None:
                outcome.report.log_root = bytes(32)
            yield outcome

    def plan(source: Source, span: tuple[int, int]) -> tuple[list[Part], Runner]:
        return plan_parts(url, source, span, 1), without_root

    with static_log(demo_chain.path) as url, pytest.raises(InvalidProof, match="checkpoint"):
        run_replay(url, 0, None, plan)


def test_one_walk_is_taken_where_parts_would_not_be_faster() -> None:
    """Two jobs gain nothing from a chain whose only cut is near its end."""
    halves = [Part("", 0, 99), Part("", 100, 199)]
    lopsided = [Part("", 0, 189), Part("", 190, 199)]
    assert is_worth_cutting(halves, 2)
    assert not is_worth_cutting(lopsided, 2)
    assert not is_worth_cutting(halves, 1)


def test_a_cluster_that_is_not_there_is_named(demo_chain: DemoChain) -> None:
    """Exit 3 and one sentence, with or without the extra."""
    outcome = run_cli("replay", str(demo_chain.path), "--dask", "tcp://127.0.0.1:1")
    assert outcome.code == 3
    assert outcome.err.count("error: ") == 1
    assert "Traceback" not in outcome.err


class Cuts:
    """As much of a source as planning reads."""

    def __init__(self, snapshots: list[int]) -> None:
        self.snapshots = snapshots


@pytest.mark.parametrize(
    ("snapshots", "span", "wanted", "lengths"),
    [
        (list(range(5, 101, 5)), (0, 100), 8, [11, 15, 10, 15, 10, 15, 10, 15]),
        (list(range(10, 101, 10)), (0, 100), 2, [51, 50]),
        ([70, 80, 90], (0, 100), 4, [71, 30]),
        ([70, 80, 90], (0, 100), 100, [71, 10, 10, 10]),
        ([], (0, 100), 8, [101]),
        ([10, 20, 30], (25, 40), 4, [10, 10]),
        ([100], (0, 100), 4, [101]),
        ([10], (12, 11), 4, [1]),
    ],
)
def test_parts_are_about_equal_and_leave_nothing_out(
    snapshots: list[int], span: tuple[int, int], wanted: int, lengths: list[int]
) -> None:
    """Cut at snapshots only, the last part to the span's end."""
    source: Any = Cuts(snapshots)
    parts = plan_parts("", source, span, wanted)
    assert [part.length for part in parts] == lengths
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
    assert all(part.last in snapshots for part in parts[:-1])
    assert parts[-1].last == span[1]
