"""A good data directory, damaged once, is refused by name, unharmed, or at an earlier height.

Never another state at a height, never another error than the named ones, never a hang.
Source: reliability 7.7.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chainperp.base.errors import Invalid
from chainperp.storage import segments
from chainperp.storage.files import StorageFault
from chainperp.storage.fsck import fsck
from chainperp.storage.segments import walk_segment
from chainperp.storage.store import ChainStore
from tests.simulation.chain import commit_from, create, make_chain, published
from tests.simulation.faulty import UnflushedFiles

CHAIN = make_chain()
LAST = len(CHAIN.blocks) - 1
ROUNDS = 8
CASES_PER_ROUND = 30
Damage = Callable[[Path, random.Random, Path], None]


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "BLOCKS_MAX", 10)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A closed directory, one that died before its checkpoint, and one of an hour ago."""
    patch = pytest.MonkeyPatch()
    patch.setattr(segments, "BLOCKS_MAX", 10)
    base = tmp_path_factory.mktemp("good")
    for name, interval in (("closed", 1000), ("died", 10**9)):
        create(base / name, CHAIN)
        store = ChainStore.open(
            base / name, checkpoint_interval_ms=interval, files=UnflushedFiles()
        )
        for block in CHAIN.blocks[:17]:
            store.commit(block)
        if name == "closed":
            store.publish()
            shutil.copytree(base / name, base / "old")
        commit_from(store, CHAIN, 17, [])
        if name == "closed":
            store.close()
        else:
            store.abandon()
    patch.undo()
    return {name: base / name for name in ("closed", "died", "old")}


def cut(file: Path, rng: random.Random, _old: Path) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size))


def flip(file: Path, rng: random.Random, _old: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    file.write_bytes(raw)


def zero_sector(file: Path, rng: random.Random, _old: Path) -> None:
    raw = bytearray(file.read_bytes())
    start = rng.randrange(len(raw)) // 512 * 512
    raw[start : start + 512] = bytes(len(raw[start : start + 512]))
    file.write_bytes(raw)


def swap_sectors(file: Path, rng: random.Random, _old: Path) -> None:
    raw = file.read_bytes()
    sectors = [raw[at : at + 512] for at in range(0, len(raw), 512)]
    one, other = rng.randrange(len(sectors)), rng.randrange(len(sectors))
    sectors[one], sectors[other] = sectors[other], sectors[one]
    file.write_bytes(b"".join(sectors))


def double_block(file: Path, rng: random.Random, _old: Path) -> None:
    """Repeat a block of a segment somewhere between blocks, or a piece of another file."""
    raw = file.read_bytes()
    if file.parent.name == "segments":
        placed = list(walk_segment(file))
        start, end = rng.choice([(row.offset, row.end) for row in placed])
        at = rng.choice([row.end for row in placed])
    else:
        start, end = sorted((rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)))
        at = end
    file.write_bytes(raw[:at] + raw[start:end] + raw[at:])


def double_record(file: Path, rng: random.Random, _old: Path) -> None:
    """Repeat the batch or the seal of one block."""
    raw = file.read_bytes()
    if file.parent.name == "segments":
        row = rng.choice(list(walk_segment(file)))
        middle = row.end - segments.SEAL_RECORD_SIZE
        start, end = rng.choice([(row.offset, middle), (middle, row.end)])
        raw = raw[:end] + raw[start:end] + raw[end:]
    file.write_bytes(raw)


def remove(file: Path, _rng: random.Random, _old: Path) -> None:
    file.unlink()


def make_old(file: Path, _rng: random.Random, old: Path) -> None:
    if old.is_file():
        shutil.copyfile(old, file)
    else:
        file.unlink()


def append_garbage(file: Path, rng: random.Random, _old: Path) -> None:
    with file.open("ab") as handle:
        handle.write(rng.randbytes(rng.randrange(1, 2000)))


def make_directory(file: Path, _rng: random.Random, _old: Path) -> None:
    file.unlink()
    file.mkdir()


def make_pipe(file: Path, _rng: random.Random, _old: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def make_link(file: Path, _rng: random.Random, _old: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


DAMAGES: list[Damage] = [
    cut, flip, zero_sector, swap_sectors, double_block, double_record, remove, make_old,
    append_garbage, make_directory, make_pipe, make_link,
]  # fmt: skip


def choose_file(path: Path, rng: random.Random) -> Path:
    """Half the time a segment, else any other file; LOCK holds nothing."""
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "LOCK" and file.stat().st_size
    ]
    segment_files = [file for file in files if file.parent.name == "segments"]
    return rng.choice(segment_files if rng.random() < 0.5 else files)


def check_message(path: Path, error: Exception) -> str:
    """A refusal names a file of the directory, in one line."""
    assert str(path) in str(error)
    assert "\n" not in str(error)
    return "refused"


def check_damaged(path: Path, is_closed: bool) -> str:
    """Open a damaged directory and say what became of it."""
    try:
        with ChainStore.open(path, files=UnflushedFiles()) as store:
            height = store.height
            for block in store.read_blocks():
                assert block.entries == CHAIN.entries(block.height)
            torn = store.torn
    except (Invalid, StorageFault) as error:
        return check_message(path, error)
    if is_closed:
        assert height == LAST
    checkpoint = published(path, CHAIN)
    assert checkpoint is not None
    assert checkpoint.size == CHAIN.size(height)
    if torn is not None:
        assert torn.kept.stat().st_size == torn.length
    return "unharmed" if height == LAST else "earlier"


def run_case(versions: dict[str, Path], path: Path, seed: str) -> str:
    rng = random.Random(seed)
    kind = "closed" if rng.random() < 0.8 else "died"
    shutil.copytree(versions[kind], path)
    file = choose_file(path, rng)
    damage = rng.choice(DAMAGES)
    before = file.read_bytes()
    damage(file, rng, versions["old"] / file.relative_to(path))
    try:
        is_clean = fsck(path).is_clean
    except (Invalid, StorageFault) as error:
        is_clean = check_message(path, error) != "refused"
    is_changed = not file.is_file() or file.is_symlink() or file.read_bytes() != before
    if is_changed and file.parent.name == "segments" and (kind == "closed" or damage is not cut):
        assert not is_clean or damage is remove or damage is make_old, seed
    if is_changed and "tile" in file.parts and damage is not remove and damage is not make_old:
        assert not is_clean, seed
    return check_damaged(path, kind == "closed")


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_one_damage_never_gives_another_state(
    memory_path: Path, versions: dict[str, Path], round_number: int
) -> None:
    outcomes: dict[str, int] = {}
    for case in range(CASES_PER_ROUND):
        seed = f"{round_number}/{case}"
        path = memory_path / str(case)
        try:
            outcome = run_case(versions, path, seed)
        except BaseException:
            print(f"seed {seed}")
            raise
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(path)
    assert outcomes["refused"] > 5
    assert outcomes["unharmed"] > 3


def test_every_damage_of_every_kind_of_file(memory_path: Path, versions: dict[str, Path]) -> None:
    """One case for each damage and each file that exists once."""
    names = ["FORMAT", "genesis.json", "log.key", "log.signed", "log/checkpoint", "log/vkey",
             "segments/000000000020", "snapshots/000000000024.snap"]  # fmt: skip
    rng = random.Random(7)
    for name in names:
        for damage in DAMAGES:
            path = memory_path / "case"
            shutil.copytree(versions["closed"], path)
            damage(path / name, rng, versions["old"] / name)
            outcome = check_damaged(path, is_closed=True)
            if name == "segments/000000000020" and damage not in (append_garbage, double_record):
                assert outcome == "refused", (name, damage)
            shutil.rmtree(path)
