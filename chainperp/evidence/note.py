"""Signed notes: a text, and lines that say who signed it.

Decides the bytes of notes and verifier keys, and which lines of a note count. Never signs or
checks a signature itself: the caller hands in `sign` and `verify`, because Ed25519 is not in the
standard library. Without a verifier the answer is "not checked", never "verified".

    <text, ends with a newline>
    (blank line)
    — <key name> <base64(key_id[4] || signature)>          one or more lines

    key_id = SHA-256(name || 0A || kind || public)[:4]
    vkey   = name "+" lower-case hex(key_id) "+" base64(kind || public)

Kind 01 signs the text. Kind 04 (cosignature/v1) signs two more lines with a time in front, and
its signature is u64 time || 64 bytes. A line of an unknown key is passed over; a known key whose
signature fails makes the whole note invalid.

Source: C2SP signed-note v1, tlog-cosignature v1; audit-log-and-consensus 6, 8.1.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

from chainperp.base.errors import InvalidProof, ensure

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes, bytes], bool]

KIND_ED25519: Final = 0x01
KIND_COSIGNATURE: Final = 0x04
SIGNATURE_LENGTH: Final = {KIND_ED25519: 64, KIND_COSIGNATURE: 8 + 64}
PUBLIC_LENGTH: Final = 32
TIME_MAX: Final = (1 << 63) - 1

NOTE_BYTES_MAX: Final = 64 * 1024
LINES_MAX: Final = 64
NAME_MAX: Final = 255
LINE_START: Final = "— ".encode()


class Status(Enum):
    """What is known about a signature of a known key. A failed one is an error, not a status."""

    VERIFIED = "verified"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name. The name of a log's key is the log's origin."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of the hash that binds name, kind and key."""
        bound = self.name.encode() + b"\n" + bytes((self.kind,)) + self.public
        return sha256(bound).digest()[:4]


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line, as found: any key, not checked."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signature lines. `text` includes its last newline."""

    text: bytes
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """A line of a known key. `time` is Unix seconds for a cosignature, else None."""

    key: VerifierKey
    time: int | None
    status: Status


def is_key_name(name: str) -> bool:
    """A key name is not empty and has no plus sign, space or control character."""
    return 0 < len(name) <= NAME_MAX and not any(
        letter == "+" or letter.isspace() or letter < " " for letter in name
    )


def decode_base64(text: bytes, what: str) -> bytes:
    """Bytes of padded standard base64; every other spelling of the same bytes is refused."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidProof(f"{what} is not base64: was {text[:60]!r}") from error
    if b64encode(raw) != text:
        raise InvalidProof(f"{what} is not padded standard base64: was {text[:60]!r}")
    return raw


def decode_hash(text: bytes, what: str) -> bytes:
    """A 32-byte hash in base64."""
    raw = decode_base64(text, what)
    if len(raw) != 32:
        raise InvalidProof(f"{what} has {len(raw)} bytes, expected 32")
    return raw


def parse_count(text: bytes, what: str) -> int:
    """A decimal without sign or leading zeros, below 2**63."""
    if not text or len(text) > 19 or any(digit < 0x30 or digit > 0x39 for digit in text):
        raise InvalidProof(f"{what} is not a decimal number: was {text[:40]!r}")
    if text[0] == 0x30 and len(text) > 1:
        raise InvalidProof(f"{what} has leading zeros: was {text!r}")
    value = int(text)
    if value >= 1 << 63:
        raise InvalidProof(f"{what} is above 2**63 - 1: was {value}")
    return value


def format_vkey(key: VerifierKey) -> str:
    """A verifier key in one line, as other people's tools read it."""
    body = b64encode(bytes((key.kind,)) + key.public).decode("ascii")
    return f"{key.name}+{key.key_id.hex()}+{body}"


def parse_vkey(text: str) -> VerifierKey:
    """Verifier key of one line.

    Raises: InvalidProof for a wrong form, an unknown kind, a key of wrong length, or a key id
    that is not the hash of what follows it.
    """
    name, _plus, rest = text.partition("+")
    claimed, plus, body = rest.partition("+")
    if not plus or not is_key_name(name):
        raise InvalidProof(f"verifier key is not name+id+key: was {text[:80]!r}")
    raw = decode_base64(body.encode(), "verifier key")
    if not raw or raw[0] not in SIGNATURE_LENGTH:
        raise InvalidProof(f"verifier key of {name} has kind {raw[:1].hex()}, known: 01 and 04")
    if len(raw) != 1 + PUBLIC_LENGTH:
        raise InvalidProof(f"verifier key of {name} has {len(raw) - 1} bytes, expected 32")
    key = VerifierKey(name, raw[0], raw[1:])
    if key.key_id.hex() != claimed:
        raise InvalidProof(
            f"verifier key of {name}: computed id {key.key_id.hex()}, claimed {claimed[:40]}"
        )
    return key


def encode_note(note: Note) -> bytes:
    """Bytes of a note: text, blank line, signature lines."""
    lines = [
        LINE_START + line.name.encode() + b" " + b64encode(line.key_id + line.signature) + b"\n"
        for line in note.lines
    ]
    return note.text + b"\n" + b"".join(lines)


def parse_note(raw: bytes) -> Note:
    """Note of bytes; no signature is checked.

    Raises: InvalidProof for more than 64 KiB or 64 lines, bytes that are not UTF-8, control
    characters, a missing blank line, no signature line, or a malformed one.
    """
    if len(raw) > NOTE_BYTES_MAX:
        raise InvalidProof(f"note has {len(raw)} bytes, at most {NOTE_BYTES_MAX}")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidProof(f"note is not UTF-8 at byte {error.start}") from error
    for at, byte in enumerate(raw):
        if byte < 0x20 and byte != 0x0A:
            raise InvalidProof(f"note has control character {byte:02x} at byte {at}")
    text, blank, tail = raw.rpartition(b"\n\n")
    if not blank or not tail.endswith(b"\n"):
        raise InvalidProof("note does not end with a blank line and signature lines")
    pieces = tail[:-1].split(b"\n")
    if len(pieces) > LINES_MAX:
        raise InvalidProof(f"note has {len(pieces)} signature lines, at most {LINES_MAX}")
    lines = [_parse_line(piece, at) for at, piece in enumerate(pieces, 1)]
    return Note(text + b"\n", tuple(lines))


def _parse_line(piece: bytes, number: int) -> Line:
    if not piece.startswith(LINE_START):
        raise InvalidProof(f"signature line {number} does not start with a dash: {piece[:60]!r}")
    name, space, body = piece[len(LINE_START) :].partition(b" ")
    if not space or not is_key_name(name.decode()):
        raise InvalidProof(f"signature line {number} is not a key name and a signature")
    payload = decode_base64(body, f"signature line {number}")
    if len(payload) < 5:
        raise InvalidProof(f"signature line {number} has {len(payload)} bytes, at least 5")
    return Line(name.decode(), payload[:4], payload[4:])


def cosigned_message(text: bytes, time: int) -> bytes:
    """What a cosigner signs: that it saw this checkpoint at this time (Unix seconds)."""
    return b"cosignature/v1\ntime " + str(time).encode("ascii") + b"\n" + text


def sign_text(text: bytes, key: VerifierKey, sign: Sign) -> Line:
    """Signature line of a kind 01 key over a text."""
    ensure(key.kind == KIND_ED25519, "INV-L2", "only a kind 01 key signs a bare text")
    signature = sign(text)
    ensure(len(signature) == 64, "INV-L2", "a signer returned a signature of wrong length")
    return Line(key.name, key.key_id, signature)


def cosign_text(text: bytes, key: VerifierKey, time: int, sign: Sign) -> Line:
    """Signature line of a kind 04 key over a text, at a time in Unix seconds."""
    ensure(key.kind == KIND_COSIGNATURE, "INV-L2", "only a kind 04 key cosigns")
    ensure(0 < time <= TIME_MAX, "INV-L2", "a cosignature needs a time", time=time)
    signature = sign(cosigned_message(text, time))
    ensure(len(signature) == 64, "INV-L2", "a signer returned a signature of wrong length")
    return Line(key.name, key.key_id, time.to_bytes(8, "big") + signature)


def check_note(note: Note, keys: Sequence[VerifierKey], verify: Verify | None) -> list[Signature]:
    """Signatures of known keys, in the order of their lines; one for each key, the first.

    With `verify` None each is "not checked".
    Raises: InvalidProof naming the key when a known key's signature has a wrong length or fails.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        other = known.setdefault((key.name, key.key_id), key)
        if other != key:
            raise InvalidProof(f"two known keys share the name {key.name} and one key id")
    found: dict[tuple[str, bytes], Signature] = {}
    for line in note.lines:
        place = (line.name, line.key_id)
        if place in known:
            signature = _check_line(note.text, line, known[place], verify)
            found.setdefault(place, signature)
    return list(found.values())


def _check_line(text: bytes, line: Line, key: VerifierKey, verify: Verify | None) -> Signature:
    who = f"signature of {key.name} (key id {key.key_id.hex()})"
    expected = SIGNATURE_LENGTH[key.kind]
    if len(line.signature) != expected:
        raise InvalidProof(f"{who} has {len(line.signature)} bytes, expected {expected}")
    time: int | None = None
    message, signature = text, line.signature
    if key.kind == KIND_COSIGNATURE:
        time = int.from_bytes(signature[:8], "big")
        if time > TIME_MAX:
            raise InvalidProof(f"{who} has time {time}, at most 2**63 - 1")
        message, signature = cosigned_message(text, time), signature[8:]
    if verify is None:
        return Signature(key, time, Status.NOT_CHECKED)
    if not verify(key.public, message, signature):
        raise InvalidProof(f"{who} does not verify")
    return Signature(key, time, Status.VERIFIED)
