"""Seeded draws for simulated participants and measurements: SHA-256 of a counter.

The same everywhere, on every Python; never used by anything that decides.
"""

from hashlib import sha256


class Draws:
    """A stream of small numbers that depends on the seed only."""

    def __init__(self, seed: str) -> None:
        self.seed = seed.encode("ascii")
        self.block = 0
        self.pool = b""
        self.at = 0

    def below(self, limit: int) -> int:
        """The next number in [0, limit)."""
        if self.at + 4 > len(self.pool):
            self.pool = sha256(self.seed + self.block.to_bytes(8, "big")).digest()
            self.block += 1
            self.at = 0
        value = int.from_bytes(self.pool[self.at : self.at + 4], "big")
        self.at += 4
        return value % limit

    def between(self, low: int, high: int) -> int:
        """The next number in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of a hundred draws."""
        return self.below(100) < percent

    def key(self) -> bytes:
        """A private key of 32 bytes."""
        return sha256(self.seed + b"key" + self.below(2**31).to_bytes(8, "big")).digest()
