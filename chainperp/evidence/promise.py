"""Promises of inclusion: the operator's signed word where a transaction stands in the log.

    <origin>/promise
    <transaction hash, 64 hex digits>
    <height of its block>
    <log index of its entry>
    <log size that covers it: the end of its block>
    <deadline: chain time in ms>

    — <origin> <signature of the log's key>

The text is a C2SP signed note. Its first line is not the origin and it has six lines, so that it
can never be taken for a checkpoint. What it says: every checkpoint of at least this size has this
transaction at this index, and no block later than the deadline stands in the log before such a
checkpoint is published. A promise and a signed log that says otherwise are evidence.

Source: C2SP signed-note v1; audit-log-and-consensus 11.3.
"""

from dataclasses import dataclass
from typing import Final

from chainperp.base.errors import InvalidProof
from chainperp.evidence.note import (
    Note,
    Sign,
    Status,
    VerifierKey,
    Verify,
    check_note,
    encode_note,
    parse_count,
    parse_note,
    sign_text,
)

SUFFIX: Final = "/promise"
LINES: Final = 6
HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Promise:
    """Where a transaction stands, by its hash. `size` is the smallest log size that covers it."""

    origin: str
    transaction: bytes
    height: int
    index: int
    size: int
    deadline_ms: int


def format_promise(promise: Promise) -> bytes:
    """The signed text."""
    lines = (
        promise.origin + SUFFIX,
        promise.transaction.hex(),
        str(promise.height),
        str(promise.index),
        str(promise.size),
        str(promise.deadline_ms),
    )
    return "".join(line + "\n" for line in lines).encode()


def sign_promise(promise: Promise, key: VerifierKey, sign: Sign) -> bytes:
    """Bytes of the note that makes a promise."""
    text = format_promise(promise)
    return encode_note(Note(text, (sign_text(text, key, sign),)))


def parse_promise(text: bytes) -> Promise:
    """Promise of a note's text.

    Raises: InvalidProof for another number of lines, another first line, a hash that is not 64
    lower-case hex digits, numbers with leading zeros, or an index outside the size.
    """
    lines = text.split(b"\n")
    if len(lines) != LINES + 1 or lines[LINES] != b"":
        raise InvalidProof(f"promise has {len(lines) - 1} lines, expected {LINES}")
    head = lines[0].decode("utf-8", "replace")
    if not head.endswith(SUFFIX):
        raise InvalidProof(f"a promise begins with <origin>{SUFFIX}, was {head[:60]!r}")
    digits = lines[1].decode("utf-8", "replace")
    if len(digits) != 64 or not HEX.issuperset(digits):
        raise InvalidProof(f"transaction hash is not 64 hex digits: was {digits[:70]!r}")
    names = ("height", "log index", "log size", "deadline")
    numbers = [parse_count(line, name) for line, name in zip(lines[2:6], names, strict=True)]
    height, index, size, deadline_ms = numbers
    if index >= size:
        raise InvalidProof(f"promise has log index {index} outside its log size {size}")
    origin = head.removesuffix(SUFFIX)
    return Promise(origin, bytes.fromhex(digits), height, index, size, deadline_ms)


def read_promise(raw: bytes, log_key: VerifierKey, verify: Verify | None) -> tuple[Promise, Status]:
    """Promise of a note that the log's key has signed.

    Raises: InvalidProof for a malformed note, another log's promise, a signature that fails, or
    none of the log's key.
    """
    note = parse_note(raw)
    promise = parse_promise(note.text)
    if promise.origin != log_key.name:
        raise InvalidProof(f"promise of {promise.origin!r}, the trusted key is of {log_key.name!r}")
    found = check_note(note, [log_key], verify)
    if not found:
        raise InvalidProof(f"promise has no signature of {log_key.name}")
    return promise, found[0].status
