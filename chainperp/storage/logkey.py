"""Ed25519 keys of logs and cosigners, in the form that `evidence.note` wants signatures handed in.

A key file is one line, the private form of a verifier key that Go's note package reads too:

    PRIVATE+KEY+<name>+<key id in hex>+<base64(kind || seed)>

`cryptography` is imported inside the functions: on a bare interpreter this module still loads,
`find_verifier` returns None, and readers then say "not checked" instead of "verified".

Source: audit-log-and-consensus 6; RFC 8032; golang.org/x/mod/sumdb/note.
"""

import stat
from base64 import b64encode
from pathlib import Path
from typing import Final

from chainperp.base.errors import BadRequest, InvalidFile, InvalidProof, NotFound
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    KIND_ED25519,
    VerifierKey,
    Verify,
    decode_base64,
    is_key_name,
)
from chainperp.storage.files import PRIVATE_MODE, Files, read_file

SEED_LENGTH: Final = 32
SIGNER: Final = "PRIVATE+KEY+"


class LogKey:
    """A private key under a name, kind 01 for a log and kind 04 for a cosigner.

    The seed stays inside: neither `repr` nor an error message shows it.
    """

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, seed: bytes, kind: int = KIND_ED25519) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if len(seed) != SEED_LENGTH:
            raise BadRequest("log_key", f"a log key seed has 32 bytes, was {len(seed)}")
        if not is_key_name(name):
            raise BadRequest("log_key", f"a key name has no space or plus sign, was {name[:80]!r}")
        if kind not in (KIND_ED25519, KIND_COSIGNATURE):
            raise BadRequest("log_key", f"a log key has kind 1 or 4, was {kind}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.verifier: VerifierKey = VerifierKey(name, kind, public)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of a message; the same message always gives the same bytes."""
        return self._private.sign(message)


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """The signature is that of the public key's owner over the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def find_verifier() -> Verify | None:
    """The function that checks signatures, or None where `cryptography` is not installed."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError:
        return None
    return verify_ed25519


def save_key_file(
    path: Path, name: str, seed: bytes, kind: int = KIND_COSIGNATURE, files: Files | None = None
) -> LogKey:
    """Write a new key file, readable by its owner only, and return its key.

    Raises: BadRequest `key_exists` when something has that name, or for a bad name or seed.
    """
    if path.is_symlink() or path.exists():
        raise BadRequest("key_exists", f"{path} exists already; nothing is overwritten")
    key = LogKey(name, seed, kind)
    body = b64encode(bytes((kind,)) + seed).decode("ascii")
    line = f"{SIGNER}{name}+{key.verifier.key_id.hex()}+{body}\n"
    (files or Files()).replace(path, line.encode(), PRIVATE_MODE)
    return key


def load_key_file(path: Path) -> LogKey:
    """Key of a key file. No message shows its contents.

    Raises: NotFound; InvalidFile when others can read it or it is not a key file.
    """
    raw = read_file(path)
    if raw is None:
        raise NotFound(f"there is no key file {path}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InvalidFile(f"{path}: mode is {mode:04o}, others can read it; chmod 600 it")
    try:
        name, claimed, body = raw.decode().removesuffix("\n").removeprefix(SIGNER).split("+", 2)
        private = decode_base64(body.encode(), "key")
        key = LogKey(name, private[1:], private[0] if private else 0)
    except (ValueError, InvalidProof, BadRequest) as error:
        raise InvalidFile(f"{path} is not a key file: {SIGNER}<name>+<id>+<key>") from error
    if not raw.startswith(SIGNER.encode()) or key.verifier.key_id.hex() != claimed:
        raise InvalidFile(f"{path}: the key has id {key.verifier.key_id.hex()}, it says otherwise")
    return key
