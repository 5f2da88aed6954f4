"""chainperp: a perpetuals exchange whose every decision can be checked."""

__version__ = "0.1.0"
