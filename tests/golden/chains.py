"""Golden chains as files: inputs that never change, and the roots that they must give.

    fixtures/golden/<name>/genesis.json   the chain's genesis, as it stands
                           blocks.jsonl   one line per block: time, proposer, system inputs, signed
                                          envelopes with their signers, all in hex
                           roots.json     state root and SEAL leaf hash of every height
                           meta.toml      what the chain is about

The rules hash is pinned, so that a change of prose in a rule's docstring changes no root.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.chain.decode import system_input_of, transaction_of
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.model.blocks import BlockInput
from tests.support.chain import ROOT

FOLDER = ROOT / "fixtures" / "golden"
RULES_HASH = bytes(31) + b"\x01"


@dataclass(frozen=True)
class Golden:
    """One golden chain's folder."""

    path: Path

    @property
    def genesis(self) -> bytes:
        """Bytes of the genesis file."""
        return (self.path / "genesis.json").read_bytes()

    @property
    def roots(self) -> list[dict[str, Any]]:
        """Roots by height."""
        rows: list[dict[str, Any]] = json.loads((self.path / "roots.json").read_text("ascii"))
        return rows

    def lines(self) -> Iterator[dict[str, Any]]:
        """Inputs of the blocks, from block 1 on."""
        with (self.path / "blocks.jsonl").open(encoding="ascii") as file:
            for line in file:
                yield json.loads(line)


def all_chains() -> list[Golden]:
    """Every golden chain, by name."""
    return [Golden(path) for path in sorted(FOLDER.iterdir()) if path.is_dir()]


def block_line(block: BlockInput) -> dict[str, Any]:
    """A block's inputs as a line of blocks.jsonl."""
    return {
        "time_ms": block.time_ms,
        "proposer": block.proposer.hex(),
        "system": [[int(item.type), item.body.hex()] for item in block.system],
        "transactions": [[one.envelope.hex(), one.signers().hex()] for one in block.transactions],
    }


def block_of(line: dict[str, Any]) -> BlockInput:
    """The inputs of a line."""
    return BlockInput(
        line["time_ms"],
        Address(bytes.fromhex(line["proposer"])),
        [system_input_of(kind, bytes.fromhex(body)) for kind, body in line["system"]],
        [
            transaction_of(bytes.fromhex(raw), bytes.fromhex(signers))
            for raw, signers in line["transactions"]
        ],
    )


def root_row(sealed: SealedBlock) -> dict[str, Any]:
    """What a block must give."""
    return {
        "height": sealed.height,
        "entries": len(sealed.entries),
        "state_root": sealed.state_root.hex(),
        "seal": leaf_hash(sealed.entries[-1]).hex(),
    }


def run(golden: Golden) -> Iterator[SealedBlock]:
    """Execute a golden chain from its files."""
    engine = Engine(parse_genesis(golden.genesis), RULES_HASH)
    yield engine.seal_genesis()
    for line in golden.lines():
        yield engine.execute(block_of(line))
