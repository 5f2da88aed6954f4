"""Strictly increasing nonces for a signer, also between commands that run at the same time.

A nonce is the time in milliseconds, one more than the last one if that is later. The last one
stands in a small file for each signer, changed under a lock, so that two terminals with one key
never sign with the same nonce.
Source: hyperliquid-api 3.6 step 8; ecosystem 2.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chainperp.base.units import DAY_MS, address_text

AHEAD_MAX_MS: Final = DAY_MS // 2
"""A last nonce further ahead than this came from a wrong clock and is forgotten: a node takes
nonces up to a day ahead."""

DIGITS_MAX: Final = 20


def next_nonce(now_ms: int, last: int) -> int:
    """The nonce after `last` at a time.

    >>> next_nonce(1000, 0), next_nonce(1000, 1000), next_nonce(1000, 10**12)
    (1000, 1001, 1000)
    """
    return now_ms if last > now_ms + AHEAD_MAX_MS else max(now_ms, last + 1)


class NonceSource:
    """Nonces of one signer, kept in a folder."""

    def __init__(self, folder: Path, signer: bytes, clock: Callable[[], int]) -> None:
        self.path = folder / address_text(signer)
        self._clock = clock

    def take(self) -> int:
        """The next nonce, on disk before it is returned. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            nonce = next_nonce(self._clock(), _number(file.read(DIGITS_MAX + 1)))
            file.seek(0)
            file.write(str(nonce).encode())
            file.truncate()
        return nonce


def _number(content: bytes) -> int:
    """The number in a file; anything else counts as none."""
    return int(content) if content.isdigit() and len(content) <= DIGITS_MAX else 0
