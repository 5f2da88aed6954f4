"""Draws for experiments: numbers that follow from a seed and a label, the same on every machine.

Whole-number draws come from SHA-256 in counter mode. Monte Carlo of millions of paths uses NumPy's
PCG64 with the same kind of seed (`generator`); its version is in every result.
"""

from hashlib import sha256
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Draws:
    """An endless row of numbers for one label."""

    __slots__ = ("count", "key")

    def __init__(self, seed: int, label: str) -> None:
        self.key = sha256(f"lab/{seed}/{label}".encode()).digest()
        self.count = 0

    def bits(self) -> int:
        """64 random bits."""
        self.count += 1
        return int.from_bytes(sha256(self.key + self.count.to_bytes(8)).digest()[:8])

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.bits() % (high - low + 1)

    def unit(self) -> float:
        """Above 0 and at most 1, in steps of 2^-53."""
        return ((self.bits() >> 11) + 1) / (1 << 53)

    def pareto(self, alpha: float) -> float:
        """At least 1, with P(X > x) = x^-alpha."""
        return float(self.unit() ** (-1 / alpha))

    def log_even(self, low: float, high: float) -> float:
        """Evenly in the logarithm."""
        return exp(log(low) + self.unit() * (log(high) - log(low)))


def generator(seed: int, label: str) -> "np.random.Generator":
    """NumPy's generator for a seed and a label."""
    import numpy as np

    key = int.from_bytes(sha256(f"lab/{seed}/{label}".encode()).digest()[:16])
    return np.random.Generator(np.random.PCG64(key))
