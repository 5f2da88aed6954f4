"""Checkpoints: the log's signed promise that at this size it has this root.

Decides the three lines of a checkpoint and who must have signed it. Never decides when to sign;
whoever signs first makes the size durable, so that a crash cannot make a log sign two roots.

    <origin>
    <size, decimal, no leading zeros>
    <base64(root), padded>

There are no extension lines: monitors cannot audit them, and height, time and state root stand in
the last leaf. The log's key has the origin as its name.

Source: C2SP tlog-checkpoint v1; audit-log-and-consensus 6.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from chainperp.base.errors import InvalidProof, ensure
from chainperp.base.hashing import EMPTY_LOG_ROOT
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    KIND_ED25519,
    Note,
    Sign,
    Signature,
    Status,
    VerifierKey,
    Verify,
    check_note,
    cosign_text,
    decode_hash,
    encode_note,
    is_key_name,
    parse_count,
    parse_note,
    sign_text,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root, under its origin."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the signatures of known keys. Look at each `status` before trusting."""

    checkpoint: Checkpoint
    log_signature: Signature
    cosignatures: tuple[Signature, ...]

    @property
    def verified(self) -> bool:
        """The log's own signature has been checked and holds."""
        return self.log_signature.status is Status.VERIFIED


def format_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The signed text: three lines, each with its newline."""
    fits = is_key_name(checkpoint.origin) and checkpoint.size >= 0 and len(checkpoint.root) == 32
    ensure(fits, "INV-L2", "a checkpoint needs an origin, a size and a 32-byte root")
    root = b64encode(checkpoint.root).decode("ascii")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n".encode()


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Checkpoint of a note's text.

    Raises: InvalidProof for anything but three lines, an origin that is no key name, a size with
    leading zeros, a root that is not padded base64 of 32 bytes, or a foreign root at size 0.
    """
    lines = text.split(b"\n")
    if len(lines) != 4 or lines[3] != b"":
        raise InvalidProof(f"checkpoint has {len(lines) - 1} lines, expected 3")
    try:
        origin = lines[0].decode()
    except UnicodeDecodeError as error:
        raise InvalidProof(f"checkpoint origin is not UTF-8: was {lines[0][:60]!r}") from error
    if not is_key_name(origin):
        raise InvalidProof(f"checkpoint origin is not a key name: was {origin[:60]!r}")
    size = parse_count(lines[1], "checkpoint size")
    root = decode_hash(lines[2], "checkpoint root")
    if size == 0 and root != EMPTY_LOG_ROOT:
        raise InvalidProof(f"checkpoint of size 0 has root {root.hex()}")
    return Checkpoint(origin, size, root)


def sign_checkpoint(checkpoint: Checkpoint, log_key: VerifierKey, sign: Sign) -> bytes:
    """Bytes of the note that publishes a checkpoint."""
    ensure(log_key.name == checkpoint.origin, "INV-L2", "the log's key name must be the origin")
    text = format_checkpoint(checkpoint)
    return encode_note(Note(text, (sign_text(text, log_key, sign),)))


def cosign_checkpoint(raw: bytes, key: VerifierKey, time: int, sign: Sign) -> bytes:
    """The note with one more line, in which `key` says that it saw this checkpoint at `time`.

    The cosigner checks consistency with what it signed before; this function does not.
    """
    note = parse_note(raw)
    parse_checkpoint(note.text)
    return encode_note(Note(note.text, (*note.lines, cosign_text(note.text, key, time, sign))))


def read_checkpoint(
    raw: bytes,
    log_key: VerifierKey,
    verify: Verify | None,
    cosigners: Sequence[VerifierKey] = (),
) -> SignedCheckpoint:
    """Checkpoint of note bytes, signed by the log and by those cosigners that are known here.

    Rejects, in this order: a trusted key of the wrong kind, a malformed note or text, another
    origin, a known key whose signature fails, the absence of the log's own signature. How many
    cosigners suffice is for a policy.
    Raises: InvalidProof.
    """
    for key, kind in [(log_key, KIND_ED25519), *((key, KIND_COSIGNATURE) for key in cosigners)]:
        if key.kind != kind:
            raise InvalidProof(f"trusted key {key.name} has kind {key.kind}, expected {kind}")
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_key.name:
        raise InvalidProof(
            f"checkpoint origin is {checkpoint.origin!r}, the trusted key is of {log_key.name!r}"
        )
    signatures = check_note(note, (log_key, *cosigners), verify)
    own = [signature for signature in signatures if signature.key == log_key]
    if not own:
        raise InvalidProof(
            f"checkpoint has no signature of {log_key.name} (key id {log_key.key_id.hex()})"
        )
    others = tuple(signature for signature in signatures if signature.key != log_key)
    return SignedCheckpoint(checkpoint, own[0], others)
