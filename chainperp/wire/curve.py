"""Which public key signed a digest: libsecp256k1, asked through the functions that coincurve binds.

The one costly step of a transaction. coincurve's own `PublicKey` makes six objects around each
recovery and its `format` a seventh, a fifteenth of the time in all; so its C functions are called
here with memory that is made once. Where another release of coincurve has renamed them, its public
API does the same work. Tests compare the two.

Not compiled: it hands everything to C, and memory of one thread is a class that no compiler knows.
"""

import threading
from typing import Any, Final

import coincurve

try:
    from coincurve._libsecp256k1 import ffi, lib
    from coincurve.context import GLOBAL_CONTEXT

    _context: Any = GLOBAL_CONTEXT.ctx
    _parse: Any = lib.secp256k1_ecdsa_recoverable_signature_parse_compact
    _recover: Any = lib.secp256k1_ecdsa_recover
    _serialize: Any = lib.secp256k1_ec_pubkey_serialize
    _FORM: Any = lib.SECP256K1_EC_UNCOMPRESSED
    IS_DIRECT = True
except (ImportError, AttributeError):
    IS_DIRECT = False

KEY_SIZE: Final = 65  # 04, x, y


class _Memory(threading.local):
    """What the C functions write to: one set for each thread, because they run side by side."""

    def __init__(self) -> None:
        self.signature: Any = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self.key: Any = ffi.new("secp256k1_pubkey *")
        self.form: Any = ffi.new("unsigned char[]", KEY_SIZE)
        self.size: Any = ffi.new("size_t *", KEY_SIZE)
        self.written: Any = ffi.buffer(self.form)


def recover_by_functions(digest: bytes, numbers: bytes, is_odd: bool) -> bytes | None:
    """The key of a signature by the C functions; see `recover_key`."""
    # C reads as many bytes as it expects, whatever it is given.
    if len(digest) != 32 or len(numbers) != 64:
        raise ValueError(f"a digest has 32 bytes and r with s 64: {len(digest)}, {len(numbers)}")
    memory = _memory
    signature, key = memory.signature, memory.key
    if not _parse(_context, signature, numbers, 1 if is_odd else 0):
        return None
    if not _recover(_context, key, signature, digest):
        return None
    _serialize(_context, memory.form, memory.size, key, _FORM)
    point: bytes = memory.written[1:]
    return point


def recover_by_objects(digest: bytes, numbers: bytes, is_odd: bool) -> bytes | None:
    """The same by coincurve's public API."""
    signature = numbers + (b"\x01" if is_odd else b"\x00")
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        return None
    point: bytes = key.format(compressed=False)[1:]
    return point


if IS_DIRECT:
    _memory: Final = _Memory()
recover_key: Final = recover_by_functions if IS_DIRECT else recover_by_objects
"""The 64 bytes x, y of the key that signed a digest, None when no key fits: `recover_key(digest,
numbers, is_odd)` with r and s of 32 bytes each, and which of the two points of r was meant."""
