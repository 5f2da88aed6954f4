"""Cosignature lines: against a vector that others made, and as they travel and join a note."""

import pytest

from chainperp.base.errors import InvalidProof
from chainperp.evidence.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint
from chainperp.evidence.cosignature import add_lines, format_lines, take_cosignatures
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    Line,
    check_note,
    cosign_text,
    parse_note,
)
from chainperp.storage.logkey import LogKey, verify_ed25519

LOG = LogKey("log.example/a", bytes(32))
KEYS = [LogKey(f"w{at}.example/w", bytes([50 + at]) * 32, KIND_COSIGNATURE) for at in range(3)]
TEXT = format_checkpoint(Checkpoint("log.example/a", 9, b"\7" * 32))
RAW = sign_checkpoint(Checkpoint("log.example/a", 9, b"\7" * 32), LOG.verifier, LOG.sign)
PUBLIC = [key.verifier for key in KEYS]
TIME = 1_700_000_002


def lines_of(*places: int, time: int = TIME) -> list[Line]:
    return [cosign_text(TEXT, KEYS[at].verifier, time, KEYS[at].sign) for at in places]


def test_an_answer_is_taken_line_by_line() -> None:
    raw = format_lines(lines_of(0, 1, 2))
    assert raw.count(b"\n") == 3
    assert take_cosignatures(TEXT, raw, PUBLIC[1:2], verify_ed25519) == tuple(lines_of(1))
    assert take_cosignatures(TEXT, raw, PUBLIC, verify_ed25519) == tuple(lines_of(0, 1, 2))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (format_lines(lines_of(0)), "has no line of w1"),
        (b"", "does not end"),
        (b"hello\n", "does not start with a dash"),
        (format_lines(lines_of(1))[:-1], "does not end"),
        (b"x\n\n" + format_lines(lines_of(1)), "more than signature lines"),
        (format_lines([Line(PUBLIC[1].name, PUBLIC[1].key_id, bytes(72))]), "does not verify"),
        (format_lines([Line(PUBLIC[1].name, PUBLIC[1].key_id, bytes(64))]), "has 64 bytes"),
    ],
)
def test_other_answers_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidProof, match=message):
        take_cosignatures(TEXT, raw, PUBLIC[1:2], verify_ed25519)


def test_a_log_key_is_no_cosigner() -> None:
    with pytest.raises(InvalidProof, match="has kind 1, expected 4"):
        take_cosignatures(TEXT, RAW.partition(b"\n\n")[2], [LOG.verifier], verify_ed25519)


def test_a_cosignature_of_another_checkpoint_does_not_count() -> None:
    other = format_checkpoint(Checkpoint("log.example/a", 8, b"\7" * 32))
    line = cosign_text(other, KEYS[0].verifier, TIME, KEYS[0].sign)
    with pytest.raises(InvalidProof, match="does not verify"):
        take_cosignatures(TEXT, format_lines([line]), PUBLIC, verify_ed25519)


def test_a_fresh_line_replaces_that_of_its_key() -> None:
    raw = add_lines(add_lines(RAW, lines_of(0, 1)), lines_of(0, time=TIME + 60))
    note = parse_note(raw)
    assert [line.name for line in note.lines] == ["log.example/a", PUBLIC[1].name, PUBLIC[0].name]
    times = {one.key.name: one.time for one in check_note(note, PUBLIC, verify_ed25519)}
    assert times == {PUBLIC[0].name: TIME + 60, PUBLIC[1].name: TIME}


def test_a_time_beyond_63_bits_is_refused() -> None:
    """The format's own limit; without it, the same bytes would be read as a negative time."""
    key = KEYS[0]
    time = 1 << 63
    signature = key.sign(b"cosignature/v1\ntime %d\n" % time + TEXT)
    line = Line(key.verifier.name, key.verifier.key_id, time.to_bytes(8, "big") + signature)
    with pytest.raises(InvalidProof, match="at most"):
        take_cosignatures(TEXT, format_lines([line]), PUBLIC, verify_ed25519)
