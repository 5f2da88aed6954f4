"""The history of checkpoints: append-only, pages, a torn end, and its bound."""

import json
from pathlib import Path

import pytest

from chainperp.storage import history
from chainperp.storage.history import History, list_files, read_history
from tests.support.witness import MadeLog

LOG = MadeLog("one.example/log", 1)


def sizes(data: Path, after: int = 0, limit: int = 1000) -> list[int]:
    return [json.loads(line)["size"] for line in read_history(data, after, limit).splitlines()]


def test_records_come_back_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several files and a restart; the note is the one that was published."""
    monkeypatch.setattr(history, "RECORDS_MAX", 10)
    for part in range(5):
        kept = History(tmp_path)
        for size in range(part * 11 + 1, part * 11 + 12):
            kept.add(LOG.note(size), size * 1000)
        assert kept.size == part * 11 + 11
    assert len(list_files(tmp_path / "checkpoints")) == 6
    assert sizes(tmp_path) == list(range(1, 56))
    walked: list[int] = []
    while page := sizes(tmp_path, walked[-1] if walked else 0, 7):
        assert len(page) <= 7
        walked += page
    assert walked == list(range(1, 56))
    for after in range(56):
        assert sizes(tmp_path, after, 3) == list(range(after + 1, min(after + 4, 56)))
    first = json.loads(read_history(tmp_path, 19, 1))
    assert first == {"size": 20, "time_ms": 20_000, "note": LOG.note(20).decode()}


def test_a_page_does_not_end_between_two_records_of_one_size(tmp_path: Path) -> None:
    kept = History(tmp_path)
    for size in (3, 4, 4, 4, 5):
        kept.add(LOG.note(size), 1)
    assert sizes(tmp_path, 0, 2) == [3, 4, 4, 4]
    assert sizes(tmp_path, 4, 2) == [5]


def test_a_torn_line_is_cut_and_never_served(tmp_path: Path) -> None:
    """A crash while a record was written: what is whole stays, and the next record follows it."""
    kept = History(tmp_path)
    for size in (3, 4):
        kept.add(LOG.note(size), 1)
    (path,) = list_files(tmp_path / "checkpoints")
    path.write_bytes(path.read_bytes() + b'{"size": 5, "no')
    assert sizes(tmp_path) == [3, 4]
    again = History(tmp_path)
    assert again.size == 4
    again.add(LOG.note(5), 1)
    assert sizes(tmp_path) == [3, 4, 5]


def test_the_oldest_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "RECORDS_MAX", 2)
    monkeypatch.setattr(history, "FILES_MAX", 3)
    kept = History(tmp_path)
    for size in range(1, 12):
        kept.add(LOG.note(size), 1)
    assert sizes(tmp_path) == [7, 8, 9, 10, 11]
