"""A chain that the lab made, as a data directory: `chainperp verify` and `replay` check it.

The bytes follow from the blocks, the log's key and lock file included, so that a result folder with
its chains is the same twice. Nothing is flushed: what is lost is made again.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

from chainperp.chain.engine import SealedBlock
from chainperp.storage.datadir import DataDir
from chainperp.storage.files import Files, Handle
from chainperp.storage.store import ChainStore

CHECKPOINT_MS: Final = 1 << 62
"""One checkpoint, at the end."""
UNSAFE: Final = re.compile(r"[^a-z0-9]+")


class Unflushed(Files):
    """The disk without waiting for it."""

    def sync(self, handle: Handle) -> None:
        """Leave it to the system."""

    def sync_directory(self, path: Path) -> None:
        """Leave it to the system."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A whole chain in memory, and how it ended: what a second run must reproduce."""

    genesis: bytes
    blocks: list[SealedBlock]
    end: dict[str, Any]

    def write(self, folder: Path) -> None:
        """As a data directory, in place of what was there."""
        rmtree(folder, ignore_errors=True)
        seed = sha256(b"lab/log/" + self.genesis).digest()
        DataDir.create(folder, self.genesis, seed, Unflushed()).close()
        with ChainStore.open(
            folder, checkpoint_interval_ms=CHECKPOINT_MS, files=Unflushed()
        ) as store:
            for block in self.blocks:
                store.commit(block)
        (folder / "LOCK").unlink(missing_ok=True)


def slug(name: str) -> str:
    """A folder's name for a chain's.

    >>> slug("fund 0.1 gap 5, check 60")
    'fund-0-1-gap-5-check-60'
    """
    return UNSAFE.sub("-", name.lower()).strip("-")
