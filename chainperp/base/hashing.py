"""SHA-256 with named domains. Keccak lives where Ethereum fixes it (`wire/signing.py`).

| prefix | used for | preimage |
|---|---|---|
| 00 / 01 | RFC 6962 leaf / node | entry or row bytes / left32 right32 |
| 10 / 11 | state tree leaf / inner node | path ann value_hash / L.h L.ann R.h R.ann |
| 12 / 13 | state tree path / value | len name key / value |
| "chainperp/v1/<tag>" 00 | tagged hashes: chain, tx, rules, seed, receipt | object |

Source: audit-log-and-consensus section 3.
"""

from hashlib import sha256
from typing import Final

ZERO32: Final = bytes(32)
EMPTY_LOG_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 leaf hash of one log entry or list row."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 inner node hash."""
    return sha256(b"\x01" + left + right).digest()


def tagged_hash(tag: str, payload: bytes) -> bytes:
    """Hash of `payload` in the domain `chainperp/v1/<tag>`."""
    return sha256(b"chainperp/v1/" + tag.encode("ascii") + b"\x00" + payload).digest()
