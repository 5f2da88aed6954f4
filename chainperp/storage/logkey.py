"""The log's Ed25519 key, in the form that `evidence.note` wants signatures handed in.

`cryptography` is imported inside the functions: on a bare interpreter this module still loads,
`find_verifier` returns None, and readers then say "not checked" instead of "verified".

Source: audit-log-and-consensus 6; RFC 8032.
"""

from typing import Final

from chainperp.base.errors import BadRequest
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    KIND_ED25519,
    VerifierKey,
    Verify,
    is_key_name,
)

SEED_LENGTH: Final = 32


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
