"""A witness dies, or its disk fails, at every call that changes a file; then it goes on.

Whatever was signed before, nothing signed afterwards may contradict it: no smaller size, and no
other root at a size that was signed. What was accepted stays evidence against a fork.
"""

from pathlib import Path

import pytest

from chainperp.base.errors import DirectoryError
from chainperp.evidence.note import parse_note
from chainperp.evidence.witness import Answer, Judgement, format_request, read_tree_head
from chainperp.storage.files import Files, StorageFault
from chainperp.storage.witness import WitnessStore, add_logs, create
from tests.simulation.faulty import Death, FaultyFiles, UnflushedFiles
from tests.support.witness import MadeLog

ONE = MadeLog("one.example/log", 1)
TWO = MadeLog("two.example/log", 2)
FORK = MadeLog("one.example/log", 1, fork_at=4)
TIME = 1_700_000_000
STEPS = (
    ONE.request(0, 5), TWO.request(0, 7), ONE.request(5, 9), ONE.request(9, 9),
    format_request(9, [], FORK.note(9)), ONE.request(9, 40), TWO.request(7, 8),
    format_request(5, [], FORK.note(5)), ONE.request(40, 300),
)  # fmt: skip
Signed = list[tuple[str, int, bytes]]


def open_witness(path: Path, files: Files, signed: Signed) -> WitnessStore:
    store = WitnessStore.open(path, lambda _sentence: None, files)
    honest = store.sign

    def sign(message: bytes) -> bytes:
        text = message.split(b"\n", 2)[2]
        head = read_tree_head(parse_note(text + b"\n" + "— x AAAAAAA=\n".encode()))
        signed.append((head.origin, head.size, head.root))
        return honest(message)

    store.sign = sign
    return store


def run(path: Path, files: Files, signed: Signed) -> list[Judgement]:
    """All steps, up to death or a fault; after a fault nothing more is signed."""
    answered: list[Judgement] = []
    try:
        with open_witness(path, files, signed) as store:
            for body in STEPS:
                try:
                    answered.append(store.answer(body, TIME)[0])
                except StorageFault:
                    count = len(signed)
                    with pytest.raises(StorageFault, match="start the witness again"):
                        store.answer(TWO.request(0, 7), TIME)
                    assert len(signed) == count
                    raise
    except (Death, StorageFault, DirectoryError):
        pass
    return answered


def made(path: Path) -> Path:
    create(path, "witness.example/w", bytes(range(32)), UnflushedFiles())
    add_logs(path, [ONE.key.verifier, TWO.key.verifier], UnflushedFiles())
    return path


def check(path: Path, signed: Signed, where: str) -> None:
    """Restart, try to fork at every size signed, and then grow honestly."""
    before = list(signed)
    with open_witness(path, UnflushedFiles(), signed) as store:
        for log, other in ((ONE, FORK), (TWO, TWO)):
            sizes = [size for origin, size, _root in before if origin == log.origin]
            known = store.latest(log.origin)
            at = 0 if known is None else known.size
            assert at >= max(sizes, default=0), where
            if other is not log:
                for size in sizes:
                    judged, _body = store.answer(format_request(size, [], other.note(size)), TIME)
                    assert judged.answer in (Answer.OTHER_SIZE, Answer.INCONSISTENT), where
                    name = f"split-{size:020d}-"
                    assert any(file.name.startswith(name)
                               for file in (path / "evidence").rglob("*.json")), where  # fmt: skip
            judged, _body = store.answer(log.request(at, 500), TIME)
            assert judged.answer is Answer.COSIGNED, where
    roots: dict[tuple[str, int], bytes] = {}
    last: dict[str, int] = {}
    for origin, size, root in signed:
        assert roots.setdefault((origin, size), root) == root, where
        assert last.get(origin, 0) <= size, where
        last[origin] = size
    assert not list(path.rglob("*.tmp")), where


def test_an_undisturbed_run_answers_as_expected(tmp_path: Path) -> None:
    signed: Signed = []
    path = made(tmp_path / "w")
    answers = [int(one.answer) for one in run(path, UnflushedFiles(), signed)]
    assert answers == [200, 200, 200, 200, 422, 200, 200, 409, 200]
    assert len(signed) == 7
    check(path, signed, "undisturbed")


@pytest.mark.parametrize("mode", ["before", "after", "torn", "full", "fails"])
def test_no_place_to_die_makes_a_witness_contradict_itself(tmp_path: Path, mode: str) -> None:
    """The process dies, or the machine with it, or the disk refuses, at each call in turn."""
    counted = FaultyFiles()
    run(made(tmp_path / "counted"), counted, [])
    assert len(counted.calls) > 60
    for at in range(len(counted.calls)):
        for loses in (False, True) if mode in ("before", "torn") else (False,):
            path = made(tmp_path / f"{mode}{at}{loses}")
            signed: Signed = []
            files = FaultyFiles(at=at, mode=mode, loses=loses, seed=7)
            answered = run(path, files, signed)
            assert len(answered) < len(STEPS) or mode in ("after",)
            check(path, signed, f"{mode} at {at} {counted.calls[at]}, loses {loses}")
