"""Events of the contracts with the place that the ledger cites: EVM block, block hash, log index.

Read with any web3, by the indexed fields that are asked for, so that nothing depends on how long
the chain is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contracts_py.handle import Handle

if TYPE_CHECKING:
    from web3 import Web3

VALUES_MAX: Final = 500
"""Values of one topic in one question; nodes refuse more than a thousand."""
SPAN: Final = 5_000
"""Blocks in one question that names no values."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where an event stands on the EVM."""

    block: int
    block_hash: bytes
    log_index: int
    "Position among all logs of the block."

    def fields(self) -> dict[str, Any]:
        """As fields of a record of the ledger."""
        return {
            "block": self.block,
            "block_hash": self.block_hash,
            "log_index": self.log_index,
        }

    def __str__(self) -> str:
        return f"EVM block {self.block}, log {self.log_index}"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that was emitted: its name, its fields, its place."""

    name: str
    fields: dict[str, Any]
    "Addresses as 20 bytes."
    at: Citation


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks from one to another, both included."""

    first: int
    last: int


def word(number: int) -> str:
    """A number as a topic."""
    return f"0x{number:064x}"


def topic(raw: bytes) -> str:
    """An address or 32 bytes as a topic."""
    return "0x" + raw.rjust(32, b"\0").hex()


def find(
    handle: Handle, names: Sequence[str], span: Span, *values: Sequence[str] | None
) -> list[Seen]:
    """Events of these names in chain order; `values` are the indexed fields that are wanted.

    None leaves a field open. More than `VALUES_MAX` of the first field are asked for in parts.
    """
    signatures = [handle.topic(name) for name in names]
    found: list[Seen] = []
    for part in _parts(values):
        question = {
            "address": handle.address,
            "fromBlock": span.first,
            "toBlock": span.last,
            "topics": [signatures, *part],
        }
        found += [_seen(handle, log) for log in handle.web3.eth.get_logs(question)]  # type: ignore[arg-type]
    return sorted(found, key=lambda one: (one.at.block, one.at.log_index))


def _parts(values: Sequence[Sequence[str] | None]) -> Iterator[list[Any]]:
    if not values or values[0] is None:
        yield list(values)
        return
    first, rest = values[0], list(values[1:])
    for start in range(0, len(first), VALUES_MAX):
        yield [list(first[start : start + VALUES_MAX]), *rest]


def find_all(handle: Handle, names: Sequence[str], span: Span) -> list[Seen]:
    """Every event of these names, asked for in parts of `SPAN` blocks."""
    found: list[Seen] = []
    for first in range(span.first, span.last + 1, SPAN):
        found += find(handle, names, Span(first, min(first + SPAN - 1, span.last)))
    return found


def _seen(handle: Handle, log: Any) -> Seen:
    event = handle.read_log(log)
    place = Citation(int(log["blockNumber"]), bytes(log["blockHash"]), int(log["logIndex"]))
    return Seen(event.name, {name: _plain(one) for name, one in event.fields.items()}, place)


def _plain(value: Any) -> Any:
    """An address as its bytes; everything else as it is."""
    if isinstance(value, str) and len(value) == 42 and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    return bytes(value) if isinstance(value, bytes) else value


def receipts_roots(web3: "Web3", blocks: Iterable[int]) -> dict[int, bytes]:
    """Receipts root of each block, as its header has it."""
    return {
        number: bytes(web3.eth.get_block(number)["receiptsRoot"]) for number in sorted(set(blocks))
    }
