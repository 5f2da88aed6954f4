"""A block that could not be made: its inputs, kept so that the fault can be seen again.

The chain in the directory ends with the block before; executing the saved inputs on it either
repeats the fault or shows that memory, not the rules, was wrong. Source: reliability OPS 2, OPS 10.
"""

import json
from pathlib import Path
from typing import Any

import msgpack

from chainperp.base.units import Address, address_text
from chainperp.chain.decode import system_input_of, transaction_of
from chainperp.model.blocks import BlockInput


def save_block(directory: Path, height: int, block: BlockInput, fault: BaseException) -> Path:
    """Write the inputs of a block that was to have this height; the file's path."""
    path = directory / f"halted-{height:012d}.json"
    document: dict[str, Any] = {
        "height": height,
        "fault": f"{type(fault).__name__}: {fault}",
        "time_ms": block.time_ms,
        "proposer": address_text(block.proposer),
        "system": [{"type": int(one.type), "body": one.body.hex()} for one in block.system],
        "transactions": [
            {"envelope": one.envelope.hex(), "signers": one.signers().hex()}
            for one in block.transactions
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
    return path


def load_block(path: Path) -> BlockInput:
    """The inputs that `save_block` wrote."""
    document = json.loads(path.read_text(encoding="ascii"))
    return BlockInput(
        document["time_ms"],
        Address(bytes.fromhex(document["proposer"][2:])),
        [
            system_input_of(one["type"], bytes.fromhex(one["body"]), msgpack.unpackb)
            for one in document["system"]
        ],
        [
            transaction_of(
                bytes.fromhex(one["envelope"]), bytes.fromhex(one["signers"]), msgpack.unpackb
            )
            for one in document["transactions"]
        ],
    )
