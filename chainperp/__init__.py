"""chainperp: a perpetuals exchange whose every decision can be checked."""

from typing import Final

from chainperp.build import Build, choose_build

__version__ = "0.1.0"
BUILD: Final[Build] = choose_build()
