"""`chainperp verify --anchor`: a log against what the Anchor contract holds of it.

A checkpoint file says what the publisher signed for the reader; the contract says what he signed
for everybody. Every anchored size is checked: the log must have exactly that root there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chainperp.base.errors import EXIT_REFUSED
from chainperp.base.hashing import leaf_hash
from chainperp.cli import output
from chainperp.cli.checking import Check
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.merkle import Frontier, root_at
from chainperp.evidence.note import parse_note
from chainperp.evidence.tiles import Fetch, TileReader
from chainperp.evm.book import Book
from chainperp.storage.datadir import DataDir
from chainperp.storage.segments import read_blocks
from chainperp.storage.tiles import CHECKPOINT

if TYPE_CHECKING:
    from web3 import Web3

    from contracts_py.anchor import Anchor


@dataclass(frozen=True, slots=True)
class Roots:
    """What a log says of itself: its origin line, its size, and its roots at some sizes."""

    origin: str
    size: int
    at: dict[int, bytes]


def root_of_log(fetch: Fetch, size: int) -> bytes | None:
    """Root of a log at a size, from its tiles; None when the log is shorter or publishes nothing.

    Raises: InvalidFile for tiles that are missing.
    """
    return _from_tiles(fetch, [size]).at.get(size)


def roots_of_directory(path: Path, sizes: Iterable[int]) -> Roots:
    """A data directory's roots, from the entries themselves. Raises InvalidFile."""
    book, found = read_log(path, sizes)
    return Roots(DataDir.open(path, write=False).genesis.origin, book.size, found)


def read_log(path: Path, sizes: Iterable[int]) -> tuple[Book, dict[int, bytes]]:
    """What a directory's log says about the EVM, and its roots at the sizes that are wanted."""
    book, frontier, wanted = Book(), Frontier(), dict.fromkeys(sizes)
    roots: dict[int, bytes] = {}
    for block in read_blocks(DataDir.open(path, write=False).segments):
        for entry in block.entries:
            book.add(entry)
            frontier.append(leaf_hash(entry))
            if frontier.size in wanted:
                roots[frontier.size] = frontier.root()
    return book, roots


def _from_tiles(fetch: Fetch, sizes: Iterable[int]) -> Roots:
    """A served log's roots; what it publishes says only how far its tiles reach."""
    raw = fetch(CHECKPOINT)
    if raw is None:
        return Roots("", 0, {})
    published = parse_checkpoint(parse_note(raw).text)
    reader = TileReader(fetch, published.size)
    found = {size: root_at(reader.node, size) for size in sizes if size <= published.size}
    return Roots(published.origin, published.size, found)


def anchored(contract: "Anchor") -> dict[int, bytes]:
    """Every checkpoint that the contract took, by its size."""
    from chainperp.evm.events import Span, find_all

    seen = find_all(contract, ("Anchored",), Span(0, contract.web3.eth.block_number))
    return {one.fields["size"]: one.fields["root"] for one in seen}


def check_anchor(web3: "Web3", address: str, source: str) -> list[Check]:
    """Check a log, a data directory or a node's URL, against the Anchor at an address.

    Exit 4 when there is no Anchor at the address.
    """
    from chainperp.client.log import open_log
    from contracts_py.anchor import Anchor
    from contracts_py.digests import keccak

    if not web3.eth.get_code(web3.to_checksum_address(address)):
        output.fail(EXIT_REFUSED, f"there is no contract at {address}")
    contract = Anchor(web3, address)
    held = anchored(contract)
    if "://" in source:
        log = _from_tiles(open_log(source), held)
    else:
        log = roots_of_directory(Path(source), held)
    is_ours = contract.origin() == keccak(log.origin.encode())
    checks = [
        ("the contract's log", _verdict(is_ours), log.origin if is_ours else
         f"the contract is for another log than {log.origin!r}"),
        ("anchored roots", *_compare(held, log)),
        ("no fork proven", _verdict(not contract.paused()), "two signed roots of one size stop it"),
    ]  # fmt: skip
    last = max(held, default=0)
    rest = max(log.size - last, 0)
    checks.append(("entries after it", "not anchored" if rest else "none", str(rest)))
    return checks


def _compare(held: dict[int, bytes], log: Roots) -> tuple[str, str]:
    """Whether the log has every anchored root, in words."""
    if not held:
        return "FAILED", "nothing is anchored"
    for size, root in sorted(held.items()):
        ours = log.at.get(size)
        if ours is None:
            return "FAILED", f"size {size} is anchored, the log has {log.size} entries: it was cut"
        if ours != root:
            return "FAILED", f"at size {size} the contract has {root.hex()}, the log {ours.hex()}"
    return "ok", f"{output.counted(len(held), 'checkpoint')}, the last of size {max(held)}"


def _verdict(holds: bool) -> str:
    return "ok" if holds else "FAILED"
