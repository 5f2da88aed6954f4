"""Cosignatures: what others than the log add to a checkpoint, as lines that travel alone.

Decides which lines of an answer count and how they join a note. The signed message, key ids and
the check of a signature stand in `note`; how many cosigners suffice is for `policy`.

    key_id  = SHA-256(name || 0A || 04 || public)[:4]
    message = "cosignature/v1\\ntime " + <Unix seconds> + "\\n" + <checkpoint text>
    line    = "— " + name + " " + base64(key_id || u64 time || signature)

Source: C2SP tlog-cosignature v1, tlog-witness; audit-log-and-consensus 8.1.
"""

from collections.abc import Sequence

from chainperp.base.errors import InvalidProof
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    Line,
    Note,
    VerifierKey,
    Verify,
    check_note,
    encode_note,
    parse_note,
)


def format_lines(lines: Sequence[Line]) -> bytes:
    """Signature lines without the text that they sign: what a witness answers."""
    return encode_note(Note(b"", tuple(lines)))[1:]


def take_cosignatures(
    text: bytes, raw: bytes, keys: Sequence[VerifierKey], verify: Verify
) -> tuple[Line, ...]:
    """Lines of an answer that known cosigners made over this checkpoint text, each verified.

    Lines of unknown keys are dropped.
    Raises: InvalidProof for a malformed answer, a known key whose signature fails, or an answer
    without a line of a known key.
    """
    for key in keys:
        if key.kind != KIND_COSIGNATURE:
            raise InvalidProof(f"cosigner key {key.name} has kind {key.kind}, expected 4")
    note = parse_note(text + b"\n" + raw)
    if note.text != text:
        raise InvalidProof("answer of a witness has more than signature lines")
    known = {(one.key.name, one.key.key_id) for one in check_note(note, keys, verify)}
    lines: dict[tuple[str, bytes], Line] = {}
    for line in note.lines:
        if (line.name, line.key_id) in known:
            lines.setdefault((line.name, line.key_id), line)
    if not lines:
        names = ", ".join(key.name for key in keys)
        raise InvalidProof(f"answer of a witness has no line of {names}")
    return tuple(lines.values())


def add_lines(raw: bytes, lines: Sequence[Line]) -> bytes:
    """The note with these signature lines at its end, each in place of an older one of its key.

    Raises: InvalidProof for a malformed note.
    """
    note = parse_note(raw)
    fresh = {(line.name, line.key_id): line for line in lines}
    kept = [line for line in note.lines if (line.name, line.key_id) not in fresh]
    return encode_note(Note(note.text, (*kept, *fresh.values())))
