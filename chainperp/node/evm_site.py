"""Where a chain's EVM lies and what its block 0 is made of: both follow from its genesis."""

from typing import Final

from chainperp.evm.machine import Genesis
from chainperp.node.evm_child import Site
from chainperp.storage.datadir import DataDir

DIRECTORY: Final = "evm"
GAS_WEI: Final = 10**22
"""What each account of the chain's beginning has for gas."""


def site_of(data: DataDir, *, is_dev: bool) -> Site:
    """The machine that belongs to a data directory."""
    genesis = data.genesis
    balances = tuple((bytes(address), GAS_WEI) for address, _ in genesis.accounts)
    start = genesis.time_ms // 1000
    return Site(data.path / DIRECTORY, Genesis(balances, start), is_dev)
