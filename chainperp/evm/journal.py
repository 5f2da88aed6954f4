"""What the machine was given, on disk: enough to make the same state again, and to check it.

One line of JSON each: first the genesis, then each block with its time, its transaction and what
came of it (block hash, state root, gas, status). Opening executes all of it again and compares.
A line is durable before anybody hears of its block. The file lies beside the ledger, which never
needs it: the exchange replays without the EVM.
"""

import json
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import BadRequest, InvalidBlock, InvalidGenesis
from chainperp.evm.filters import Filters
from chainperp.evm.machine import Block, Genesis, Machine
from chainperp.storage.files import DamagedFile, Files, Handle, read_file

DIRECTORY: Final = "evm"
"""Of a machine beside a ledger: its folder in the data directory."""
FILE: Final = "evm.jsonl"
TORN: Final = "evm.torn"
FORMAT: Final = 1


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def genesis_document(genesis: Genesis) -> dict[str, Any]:
    """The first line."""
    return {
        "format": FORMAT,
        "chain_id": genesis.chain_id,
        "timestamp": genesis.timestamp,
        "balances": {"0x" + address.hex(): str(wei) for address, wei in genesis.balances},
    }


def block_document(block: Block) -> dict[str, Any]:
    """A block's line."""
    return {
        "number": block.number,
        "timestamp": block.timestamp,
        "transaction": block.raw.hex(),
        "hash": block.hash.hex(),
        "state_root": bytes(block.header.state_root).hex(),
        "gas_used": block.gas_used,
        "status": int(block.succeeded),
    }


class Journal:
    """A machine whose every block is written down; without a directory, in memory only."""

    __slots__ = ("_files", "_handle", "cut", "filters", "machine")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._files = Files()
        self._handle: Handle | None = None
        self.filters = Filters()
        "Of JSON-RPC; forgotten when it is closed."
        self.cut = 0
        "Bytes of an unfinished last line that opening put aside."

    @staticmethod
    def open(directory: Path, genesis: Genesis) -> "Journal":
        """The machine of a directory, as its journal made it; a new one when there is none.

        Raises: InvalidGenesis when the journal began otherwise, InvalidBlock when executing it
        again gives something else, DamagedFile when a line is not one of ours.
        """
        path = directory / FILE
        raw = read_file(path) or b""
        whole = raw[: raw.rfind(b"\n") + 1]
        journal = Journal(Machine(genesis))
        if whole:
            _replay(journal.machine, path, whole)
        journal.cut = len(raw) - len(whole)
        if journal.cut:
            # A crash left half a line; nobody was told of its block.
            journal._files.replace(directory / TORN, raw[len(whole) :])
        is_new = not path.exists()
        journal._handle = journal._files.open_append(path)
        journal._files.truncate(journal._handle, len(whole))
        if not whole:
            journal._files.write(journal._handle, _line(genesis_document(genesis)))
        journal._files.sync(journal._handle)
        if is_new:
            journal._files.sync_directory(directory)
        return journal

    @staticmethod
    def read(directory: Path) -> "Journal":
        """The machine of a directory's journal, executed again in memory; nothing is written.

        An unfinished last line is left out: nobody was told of its block. Raises as `open`, and
        DamagedFile when the first line is no genesis.
        """
        path = directory / FILE
        raw = read_file(path) or b""
        whole = raw[: raw.rfind(b"\n") + 1]
        journal = Journal(Machine(_read_genesis(path, whole)))
        _replay(journal.machine, path, whole)
        journal.cut = len(raw) - len(whole)
        return journal

    def submit(self, raw: bytes, now: int) -> Block:
        """Execute a signed transaction and write its block down. Raises as `Machine.submit`.

        Raises: StorageFault when the disk refuses; the machine is then ahead of it, so stop.
        """
        return self._write(self.machine.submit(raw, now))

    def mine(self, now: int) -> Block:
        """Add an empty block and write it down."""
        return self._write(self.machine.mine(now))

    def _write(self, block: Block) -> Block:
        if self._handle is not None:
            self._files.write(self._handle, _line(block_document(block)))
            self._files.sync(self._handle)
        return block

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            self._files.close(self._handle)
            self._handle = None


def _read_genesis(path: Path, whole: bytes) -> Genesis:
    """The genesis that a journal's first line tells."""
    first = whole.split(b"\n", 1)[0]
    try:
        found = json.loads(first)
        balances = {bytes.fromhex(who[2:]): int(wei) for who, wei in found["balances"].items()}
        return Genesis(tuple(balances.items()), int(found["timestamp"]), int(found["chain_id"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(path, 0, "the machine's genesis", repr(first[:40])) from error


def _replay(machine: Machine, path: Path, whole: bytes) -> None:
    offset = 0
    for place, line in enumerate(whole.splitlines(keepends=True)):
        try:
            document = json.loads(line)
        except ValueError as error:
            raise DamagedFile(path, offset, "a line of JSON", repr(line[:40])) from error
        if place == 0:
            _check_genesis(document, genesis_document(machine.genesis))
        else:
            _check_block(machine, document, path, offset)
        offset += len(line)


def _check_genesis(found: Any, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if not isinstance(found, dict) or found.get(name) != value:
            shown = found.get(name) if isinstance(found, dict) else found
            raise InvalidGenesis(f"evm genesis {name}: the journal has {shown}, asked for {value}")


def _check_block(machine: Machine, document: Any, path: Path, offset: int) -> None:
    """Execute one line again. What it says must be what comes out."""
    try:
        raw, now = bytes.fromhex(document["transaction"]), int(document["timestamp"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            path, offset, "a block with its transaction", str(document)[:60]
        ) from error
    try:
        made = block_document(machine.submit(raw, now) if raw else machine.mine(now))
    except BadRequest as error:
        where = f"evm block {machine.head.number + 1} transaction"
        raise InvalidBlock(where, str(error), raw.hex()[:60]) from error
    for name, value in made.items():
        if document.get(name) != value:
            where = f"evm block {made['number']} {name}"
            raise InvalidBlock(where, str(value), str(document.get(name)))
