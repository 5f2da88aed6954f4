"""One signature: the one form that its numbers may have, and the address of the key that gave it.

Source: SEC 2 for what is refused before the library is called.
"""

from functools import lru_cache
from typing import Final

from chainperp.base.errors import BadRequest
from chainperp.base.units import Address
from chainperp.wire.curve import recover_key
from chainperp.wire.typed_data import keccak

# Order of secp256k1. s above the half is the mirror of a valid signature, refused (SEC 2).
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ORDER: Final = CURVE_ORDER.to_bytes(32, "big")
_HALF_ORDER: Final = (CURVE_ORDER >> 1).to_bytes(32, "big")
_ZERO: Final = bytes(32)

UNRECOVERABLE: Final = "Unable to recover signer"


def check_signature(v: int, r: bytes, s: bytes) -> None:
    """A signature must be the one canonical form that its numbers have.

    Rejects, in this order: v other than 27 and 28; r, then s, zero or not below the curve's
    order; s in the upper half. Widths of 32 bytes make byte order the order of numbers.
    """
    if v not in (27, 28):
        raise BadRequest("signature_v", f"{UNRECOVERABLE}: v is 27 or 28, was {v}")
    if len(r) != 32 or len(s) != 32:
        raise BadRequest("signature_shape", f"{UNRECOVERABLE}: r and s have 32 bytes each")
    if r == _ZERO or r >= _ORDER:
        raise BadRequest("signature_r", f"{UNRECOVERABLE}: r is zero or not below the curve order")
    if s == _ZERO or s >= _ORDER:
        raise BadRequest("signature_s", f"{UNRECOVERABLE}: s is zero or not below the curve order")
    if s > _HALF_ORDER:
        raise BadRequest("signature_high_s", "signature is not canonical (s is in the upper half)")


def recover(digest: bytes, v: int, r: bytes, s: bytes) -> Address:
    """Address of the key that signed the digest.

    Raises: BadRequest; a code of its own for each defect of the numbers, `signature` when no
    point of the curve fits them.
    """
    check_signature(v, r, s)
    return recover_checked(digest, v, r, s)


def recover_checked(digest: bytes, v: int, r: bytes, s: bytes) -> Address:
    """The same for a signature that `check_signature` has passed."""
    key = recover_key(digest, r + s, v == 28)
    if key is None:
        raise BadRequest("signature", f"{UNRECOVERABLE}: no key fits r, s and v")
    return address_of_point(key)


# Most transactions come from signers who have signed before.
@lru_cache(maxsize=16_384)
def address_of_point(point: bytes) -> Address:
    """Address of a public key, of which the 64 bytes x, y are given."""
    return Address(keccak(point)[12:])
