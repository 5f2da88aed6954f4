"""The committed artifacts: ABI and bytecode of each contract."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ARTIFACTS: Final = Path(__file__).resolve().parent / "artifacts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a contract compiled to."""

    contract: str
    abi: list[dict[str, Any]]
    bytecode: str
    "Creation code, hex with 0x; constructor arguments follow it."
    runtime_bytecode: str
    "Code on chain, before immutables are filled in; hex with 0x."


@cache
def load_artifact(contract: str) -> Artifact:
    """The artifact of a contract by its name. Raises FileNotFoundError for an unknown one."""
    raw = (ARTIFACTS / f"{contract}.json").read_text(encoding="utf-8")
    found = json.loads(raw)
    return Artifact(contract, found["abi"], found["bytecode"], found["runtime_bytecode"])
