"""A data directory as a source of proofs: its tiles, its segments, its snapshots, its checkpoint.

Opens for reading only and takes no lock, so it works beside a running node: proofs lead to the
checkpoint that is published at the moment of opening.
"""

from collections.abc import Iterator
from pathlib import Path

from chainperp.base import msgpack
from chainperp.base.errors import NotFound
from chainperp.chain.decode import Unpack
from chainperp.chain.proving.source import Source
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.note import parse_note
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import rules_hash
from chainperp.storage.segments import read_blocks
from chainperp.storage.tiles import load_checkpoint, open_reader


def open_source(path: Path, unpack: Unpack = msgpack.unpack) -> Source:
    """The source of a data directory. Raises DirectoryError, InvalidFile, InvalidProof, NotFound.

    `unpack` may be a faster decoder of MessagePack.
    """
    directory = DataDir.open(path, write=False)
    note = load_checkpoint(directory.log)
    if note is None:
        raise NotFound(f"{directory.log} has no checkpoint yet: nothing can be proven")
    checkpoint = parse_checkpoint(parse_note(note).text)
    reader = open_reader(directory.log, checkpoint.size)

    def blocks(start: int, end: int) -> Iterator[tuple[int, list[bytes]]]:
        for block in read_blocks(directory.segments, start, end):
            yield block.height, block.entries

    snapshots = [(height, file.read_bytes) for height, file in directory.list_snapshots()]
    return Source(
        directory.genesis, rules_hash(), note, reader.node, reader.entry, blocks, snapshots, unpack
    )
