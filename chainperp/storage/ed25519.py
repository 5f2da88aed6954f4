"""The signature check that is handed to readers of notes; RFC 8032, from `cryptography`.

On a bare interpreter this module still loads, `find_verifier` returns None, and readers then say
"not checked" instead of "verified".
"""

from chainperp.evidence.note import Verify


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
