"""The witness protocol: what a witness is asked, and what it may answer.

Decides, from a request and the last tree that was cosigned, whether the next cosignature is
allowed. Never signs and never stores: the caller holds one lock over `judge` and over making the
new tree durable, and signs only after that.

    POST <prefix>/add-checkpoint
    old <size that the witness cosigned last, 0 if none>
    <base64 consistency hash>           0 to 63 lines
    (blank line)
    <checkpoint note>

The order of the answers is part of the protocol: 400 for what is no such request, 404 unknown
origin, 403 no valid signature of its log, 400 old size above the new one, 409 another old size
than the last, 422 anything that contradicts the last tree, else 200.

Source: C2SP tlog-witness; audit-log-and-consensus 8.2, 11.1; docs/adr/0013.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import EMPTY_LOG_ROOT
from chainperp.evidence.merkle import verify_consistency
from chainperp.evidence.note import (
    NOTE_BYTES_MAX,
    Note,
    VerifierKey,
    Verify,
    check_note,
    decode_hash,
    encode_note,
    is_key_name,
    parse_count,
    parse_note,
)

PROOF_LINES_MAX: Final = 63
REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 4096
SIZE_TYPE: Final = "text/x.tlog.size"


class Answer(IntEnum):
    """A witness's answers, by HTTP status."""

    COSIGNED = 200
    MALFORMED = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    OTHER_SIZE = 409
    INCONSISTENT = 422


@dataclass(frozen=True, slots=True)
class Request:
    """What was submitted; nothing in it has been checked but its form."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A log's size and root with the note that claims them, cut to the log's own signatures."""

    origin: str
    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer with its reason. `head` is set once the log's own signature has been checked."""

    answer: Answer
    sentence: str
    head: TreeHead | None = None
    known_size: int = 0


Logs = Mapping[str, Sequence[VerifierKey]]
Latest = Callable[[str], TreeHead | None]


def format_request(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Body of a submission."""
    lines = [b"old " + str(old_size).encode("ascii"), *(b64encode(piece) for piece in proof)]
    return b"\n".join(lines) + b"\n\n" + note


def parse_request(raw: bytes) -> Request:
    """Request of a body. Raises InvalidProof naming what is malformed."""
    if len(raw) > REQUEST_BYTES_MAX:
        raise InvalidProof(f"request has {len(raw)} bytes, at most {REQUEST_BYTES_MAX}")
    head, blank, note = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    if not blank or not lines[0].startswith(b"old "):
        raise InvalidProof("request does not start with an old size, hashes and a blank line")
    old_size = parse_count(lines[0][4:], "old size")
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise InvalidProof(f"request has {len(lines) - 1} hashes, at most {PROOF_LINES_MAX}")
    hashes = [decode_hash(line, f"hash {step}") for step, line in enumerate(lines[1:], 1)]
    return Request(old_size, tuple(hashes), note)


def read_tree_head(note: Note) -> TreeHead:
    """Origin, size and root of a checkpoint, whose further lines are the log's own business.

    Our own logs have no such lines, but a witness serves others too. The root at size 0 is not
    looked at here. Raises InvalidProof.
    """
    lines = note.text.split(b"\n")
    if len(lines) < 4 or b"" in lines[:-1]:
        raise InvalidProof(f"checkpoint has {len(lines) - 1} lines, expected at least 3")
    origin = lines[0].decode()
    if not is_key_name(origin):
        raise InvalidProof(f"checkpoint origin is not a key name: was {origin[:60]!r}")
    size = parse_count(lines[1], "checkpoint size")
    return TreeHead(origin, size, decode_hash(lines[2], "checkpoint root"), encode_note(note))


def judge(request: Request, logs: Logs, latest: Latest, verify: Verify) -> Judgement:
    """Whether this checkpoint may be cosigned after the last one of its log."""
    origin = request.note.partition(b"\n")[0].decode("utf-8", "replace")
    keys = logs.get(origin)
    if not keys:
        return Judgement(Answer.UNKNOWN_LOG, f"no log {origin[:80]!r} is known here")
    try:
        note = parse_note(request.note)
        unsigned = read_tree_head(note)
    except InvalidProof as error:
        return Judgement(Answer.MALFORMED, str(error))
    try:
        signed = {(one.key.name, one.key.key_id) for one in check_note(note, keys, verify)}
    except InvalidProof as error:
        return Judgement(Answer.NOT_SIGNED, str(error))
    if not signed:
        return Judgement(Answer.NOT_SIGNED, f"no trusted key of {origin} signed this checkpoint")
    lines = tuple(line for line in note.lines if (line.name, line.key_id) in signed)
    head = TreeHead(origin, unsigned.size, unsigned.root, encode_note(Note(note.text, lines)))
    return _compare(request, head, latest(origin))


def _compare(request: Request, head: TreeHead, known: TreeHead | None) -> Judgement:
    known_size = 0 if known is None else known.size
    known_root = EMPTY_LOG_ROOT if known is None else known.root
    old = request.old_size
    if old > head.size:
        text = f"old size {old} is above the checkpoint's size {head.size}"
        return Judgement(Answer.MALFORMED, text, head, known_size)
    if old != known_size:
        text = f"old size is {old}, the last cosigned size is {known_size}"
        return Judgement(Answer.OTHER_SIZE, text, head, known_size)
    if head.size == 0 and head.root != EMPTY_LOG_ROOT:
        text = f"checkpoint of size 0 has root {head.root.hex()}"
        return Judgement(Answer.INCONSISTENT, text, head, known_size)
    try:
        verify_consistency(old, head.size, known_root, head.root, request.proof)
    except InvalidProof as error:
        return Judgement(Answer.INCONSISTENT, str(error), head, known_size)
    return Judgement(Answer.COSIGNED, f"size {head.size} follows {old}", head, known_size)


def is_split(one: TreeHead, other: TreeHead) -> bool:
    """Two signed notes that cannot both be of one append-only log: same size, other root.

    Together they are evidence that needs nothing else: two signatures of the log's own key.
    """
    return one.origin == other.origin and one.size == other.size and one.root != other.root
