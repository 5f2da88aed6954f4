"""A transaction as it is stored, hashed and replayed: signed action, nonce and signature.

    u8 scheme | u64 nonce | opt<b20> vault | opt<u64> expires_after
    | bytes action (MessagePack, exactly what was signed) | u8 v | b32 r | b32 s

The transaction's hash is SHA-256("chainperp/v1/tx" 00 || these bytes). A transaction is known by
its signer and nonce; the hash only names the bytes.
Packed by hand because every transaction passes here; a property test holds it to
`base.canonical` with `SCHEMA`. Source: audit-log-and-consensus 2.3.
"""

import struct
from dataclasses import dataclass
from typing import Final

from chainperp.base.canonical import Schema
from chainperp.base.errors import InvalidBytes
from chainperp.base.hashing import tagged_hash

L1: Final = 1
USER_SIGNED: Final = 2
MULTI_SIG: Final = 3
SCHEMES: Final = {L1: "L1 action", USER_SIGNED: "user-signed action", MULTI_SIG: "multi-sig"}

SCHEMA: Final[Schema] = (
    ("scheme", "u8"),
    ("nonce", "u64"),
    ("vault", "opt:b20"),
    ("expires_after", "opt:u64"),
    ("action_bytes", "bytes"),
    ("v", "u8"),
    ("r", "b32"),
    ("s", "b32"),
)

HEAD: Final = struct.Struct(">BQ")
# Most have neither vault nor expiry: both flags are zero, and one look reads up to the action.
PLAIN: Final = struct.Struct(">BQxxI")
NOTHING_BESIDE: Final = bytes(2)
TAIL: Final = struct.Struct(">B32s32s")
U64: Final = struct.Struct(">Q")
U32: Final = struct.Struct(">I")


@dataclass(slots=True, init=False)
class Envelope:
    """One signed action. Nothing in it is derived: the signer is recovered, not stored.

    Never changed after it is made. Every transaction makes one: not frozen, because a frozen one
    takes five times as long to make; `__init__` by hand, because in compiled code the generated
    one takes eight times as long.
    """

    scheme: int
    nonce: int
    vault: bytes | None
    "20 bytes: the vault or sub-account that the signer acts for."
    expires_after: int | None
    "Milliseconds; the action is void in a later block."
    action_bytes: bytes
    v: int
    r: bytes
    s: bytes

    def __init__(
        self,
        scheme: int,
        nonce: int,
        vault: bytes | None,
        expires_after: int | None,
        action_bytes: bytes,
        v: int,
        r: bytes,
        s: bytes,
    ) -> None:
        self.scheme = scheme
        self.nonce = nonce
        self.vault = vault
        self.expires_after = expires_after
        self.action_bytes = action_bytes
        self.v = v
        self.r = r
        self.s = s


def encode_envelope(envelope: Envelope) -> bytes:
    """Canonical bytes. Raises InvalidBytes when a field does not fit its width."""
    vault = envelope.vault
    expires_after = envelope.expires_after
    if (vault is not None and len(vault) != 20) or len(envelope.r) != 32 or len(envelope.s) != 32:
        raise InvalidBytes("envelope: vault has 20 bytes, r and s have 32 each")
    if envelope.scheme not in SCHEMES:
        raise InvalidBytes(f"envelope scheme was {envelope.scheme}, only 1, 2 and 3 exist")
    action = envelope.action_bytes
    try:
        return b"".join(
            (
                HEAD.pack(envelope.scheme, envelope.nonce),
                b"\x00" if vault is None else b"\x01" + vault,
                b"\x00" if expires_after is None else b"\x01" + U64.pack(expires_after),
                U32.pack(len(action)),
                action,
                TAIL.pack(envelope.v, envelope.r, envelope.s),
            )
        )
    except struct.error as error:
        raise InvalidBytes(f"envelope number does not fit its width: {error}") from error


def decode_envelope(raw: bytes) -> Envelope:
    """Envelope of canonical bytes. Raises InvalidBytes for every other form."""
    try:
        if raw[HEAD.size : HEAD.size + 2] == NOTHING_BESIDE:
            scheme, nonce, size = PLAIN.unpack_from(raw, 0)
            vault = expires_after = None
            at = PLAIN.size
        else:
            scheme, nonce = HEAD.unpack_from(raw, 0)
            vault, expires_after, size, at = _beside(raw)
        end = at + size
        v, r, s = TAIL.unpack_from(raw, end)
    except (struct.error, IndexError) as error:
        raise InvalidBytes(f"envelope ends early: it has {len(raw)} bytes") from error
    if end + TAIL.size != len(raw):
        raise InvalidBytes(f"{len(raw) - end - TAIL.size} bytes follow the envelope")
    if scheme not in SCHEMES:
        raise InvalidBytes(f"envelope scheme was {scheme}, only 1, 2 and 3 exist")
    return Envelope(scheme, nonce, vault, expires_after, raw[at:end], v, r, s)


def plain_head(raw: bytes) -> tuple[int, int]:
    """Nonce, and where the action ends, of the most usual envelope: an L1 action, which begins at
    PLAIN.size, with neither vault nor expiry. Of any other, or of none, the end is 0."""
    end = len(raw) - TAIL.size
    if end < PLAIN.size or raw[HEAD.size : HEAD.size + 2] != NOTHING_BESIDE:
        return 0, 0
    scheme, nonce, size = PLAIN.unpack_from(raw, 0)
    return (nonce, end) if scheme == L1 and PLAIN.size + size == end else (0, 0)


def _beside(raw: bytes) -> tuple[bytes | None, int | None, int, int]:
    """Vault, expiry, the action's size, and where the action starts, in any envelope."""
    at = HEAD.size
    vault = None
    if _flag(raw, at, "vault"):
        vault = raw[at + 1 : at + 21]
        at += 20
    at += 1
    expires_after = None
    if _flag(raw, at, "expires_after"):
        expires_after = U64.unpack_from(raw, at + 1)[0]
        at += 8
    at += 1
    return vault, expires_after, U32.unpack_from(raw, at)[0], at + 4


def _flag(raw: bytes, at: int, name: str) -> bool:
    flag = raw[at]
    if flag > 1:
        raise InvalidBytes(f"envelope {name} has flag byte {flag:02x}, only 00 and 01 exist")
    return flag == 1


def transaction_hash(raw: bytes) -> bytes:
    """Name of a transaction: hash of its canonical envelope bytes, as they stand in the log."""
    return tagged_hash("tx", raw)
