"""Which EVM belongs to a chain: where it lies, and what it is made of. All of it follows from the
chain's genesis, so a copy of the directory is a copy of the machine.

Block 0 lies before the chain's beginning, by more seconds than the deployment takes: each of its
transactions is a block of its own and each block is a second later than the one before, and the
machine's time must not have run ahead of the clock when its first user comes.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from chainperp.chain.engine import Engine
from chainperp.chain.genesis import Genesis
from chainperp.evm.deployment import LogName, plan
from chainperp.evm.journal import DIRECTORY, FILE
from chainperp.evm.signers import development_keys
from chainperp.model.bridge import EvmContracts
from chainperp.node.evm_child import Site
from chainperp.storage.files import Files, read_file

LEAD_SECONDS: Final = 60


def site_of(path: Path, engine: Engine, *, is_dev: bool) -> Site | None:
    """The machine beside the chain in a directory; None for a chain that names no contracts."""
    genesis = engine.genesis
    if genesis.evm is None:
        return None
    return Site(
        path / DIRECTORY,
        genesis.network,
        genesis.evm,
        log_name(genesis, engine.rules_hash),
        genesis.time_ms // 1000 - LEAD_SECONDS,
        tuple(bytes(address) for address, _ in genesis.accounts),
        is_dev,
    )


def planned_contracts(network: str) -> EvmContracts:
    """The contracts that a node deploys beside a development chain, before there is one."""
    return plan(development_keys(network).operator_address)


def log_name(genesis: Genesis, rules: bytes) -> LogName:
    """How the contracts know the chain."""
    parameters = json.dumps(json.loads(genesis.raw)["parameters"], sort_keys=True)
    digest = sha256(parameters.encode("ascii")).digest()
    return LogName(genesis.chain_id, genesis.origin, rules, digest)


def copy_machine(old: Path, new: Path, lines: int) -> None:
    """Give a branch the machine as it was when its journal had so many lines; none when it had
    none yet. Contracts know their ledger's number, and a branch has the same: so they fit."""
    if not lines:
        return
    journal = read_file(old / DIRECTORY / FILE) or b""
    files = Files()
    files.make_directories(new / DIRECTORY)
    files.replace(new / DIRECTORY / FILE, b"".join(journal.splitlines(keepends=True)[:lines]))
