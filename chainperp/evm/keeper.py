"""Carries effects between ledger and contracts, both ways.

Every action is decided by comparing facts of the ledger with facts of the contracts, and the keeper
remembers nothing: whatever was done and not recorded is found again, and what was recorded is not
done again. That makes every pair complete exactly once, however often it is stopped in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainperp.evm.deployment import Contracts
from chainperp.evm.facts import KeeperReport, LedgerFacts
from chainperp.evm.signers import Keys

if TYPE_CHECKING:
    from web3 import Web3


@dataclass(frozen=True, slots=True)
class Settings:
    """How the keeper goes about it."""

    anchor_interval: int = 100
    "Blocks of the ledger after which a larger log is anchored, without any other need."
    first_block: int = 0
    "Block of the EVM before which none of our contracts has an event."
    is_minter: bool = True
    "Whether the operator makes test dollars when a payout has nothing behind it."


class Keeper:
    """One per pair of ledger and contracts. Works on any web3."""

    def __init__(
        self,
        web3: "Web3",
        contracts: Contracts,
        keys: Keys,
        clock: Callable[[], int],
        settings: Settings | None = None,
    ) -> None:
        """`clock` gives the present second, by which periods are judged before anything is sent."""
        raise NotImplementedError

    def step(self, facts: LedgerFacts) -> KeeperReport:
        """Read what is new, do what is due, once each. Faults of one action become notes."""
        raise NotImplementedError
