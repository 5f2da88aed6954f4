"""A second chain with the same beginning: the blocks up to a height, in a directory of its own.

The log that is left stays as it is. The branch signs with a key of its own, so that no key ever
signs two logs; what it shares with the old log are bytes, not signatures.
"""

import shutil
from hashlib import sha256
from pathlib import Path

from chainperp.base.errors import ensure
from chainperp.storage.datadir import DataDir, list_snapshots
from chainperp.storage.segments import list_segments, walk_segment


def branch(source: DataDir, height: int, target: Path) -> None:
    """Make a data directory with the source's blocks up to `height`, inclusive.

    Raises: DirectoryError when something is at `target`; DamagedFile when the source has no such
    block.
    """
    # Ed25519 signatures are deterministic: only the owner of the old key can derive the new one.
    word = source.load_log_key().sign(b"chainperp branch " + target.name.encode())
    seed = sha256(word).digest()
    made = DataDir.create(target, source.genesis.raw, seed)
    with made:
        last = 0
        for path in list_segments(source.segments):
            if int(path.name) <= height:
                last = int(path.name)
                shutil.copyfile(path, made.segments / path.name)
        _cut_after(made.segments / f"{last:012d}", height)
        for found, path in list_snapshots(source.snapshots):
            if found <= height:
                shutil.copyfile(path, made.snapshots / path.name)


def _cut_after(segment: Path, height: int) -> None:
    """Cut a segment behind a block."""
    end = 0
    for placed in walk_segment(segment, height):
        if placed.block.height == height:
            end = placed.end
            break
    ensure(end > 0, "INV-G1", "a branch begins behind a block that is not there", height=height)
    with segment.open("r+b") as file:
        file.truncate(end)
