"""Promises of inclusion: one form, one key, and no confusion with a checkpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainperp.base.errors import InvalidProof
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.note import Note, Status, encode_note, parse_note, sign_text
from chainperp.evidence.promise import (
    Promise,
    format_promise,
    parse_promise,
    read_promise,
    sign_promise,
)
from chainperp.storage.logkey import LogKey, verify_ed25519

KEY = LogKey("one.example/log", bytes(32))
PROMISE = Promise("one.example/log", bytes(range(32)), 7, 41, 43, 1_800_000_000_000)
TEXT = (
    b"one.example/log/promise\n"
    b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
    b"7\n41\n43\n1800000000000\n"
)
NUMBER = st.integers(0, 2**63 - 1)


def test_the_text_is_as_documented() -> None:
    assert format_promise(PROMISE) == TEXT
    assert parse_promise(TEXT) == PROMISE
    with pytest.raises(InvalidProof):
        parse_checkpoint(TEXT)


@given(st.binary(min_size=32, max_size=32), NUMBER, st.integers(1, 2**63 - 1), NUMBER)
def test_every_promise_is_read_as_it_was_written(
    transaction: bytes, height: int, size: int, deadline: int
) -> None:
    promise = Promise(KEY.verifier.name, transaction, height, size - 1, size, deadline)
    raw = sign_promise(promise, KEY.verifier, KEY.sign)
    assert read_promise(raw, KEY.verifier, verify_ed25519) == (promise, Status.VERIFIED)
    assert read_promise(raw, KEY.verifier, None) == (promise, Status.NOT_CHECKED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/promise\n", b"\n"),
        (b"0001", b"000"),
        (b"0a0b", b"0A0B"),
        (b"\n7\n", b"\n07\n"),
        (b"\n7\n", b"\n-7\n"),
        (b"\n41\n", b"\n43\n"),
        (b"\n43\n", b"\n43\n43\n"),
        (b"1800000000000\n", b"1800000000000"),
        (b"1800000000000\n", b"9999999999999999999\n"),
    ],
)
def test_every_other_spelling_is_refused(old: bytes, new: bytes) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(InvalidProof):
        parse_promise(TEXT.replace(old, new))


def test_only_the_logs_own_key_makes_a_promise() -> None:
    """Another key under the log's name, another log, and each changed octet of the text."""
    other = LogKey(KEY.verifier.name, bytes([1]) * 32)
    foreign = LogKey("two.example/log", bytes(32))
    by_other = encode_note(Note(TEXT, (sign_text(TEXT, other.verifier, other.sign),)))
    with pytest.raises(InvalidProof, match="no signature of"):
        read_promise(by_other, KEY.verifier, verify_ed25519)
    with pytest.raises(InvalidProof, match="the trusted key is of"):
        read_promise(by_other, foreign.verifier, verify_ed25519)
    raw = sign_promise(PROMISE, KEY.verifier, KEY.sign)
    assert parse_note(raw).text == TEXT
    for at in range(len(TEXT)):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(InvalidProof):
            read_promise(bytes(changed), KEY.verifier, verify_ed25519)
