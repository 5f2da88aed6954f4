"""A machine with funded accounts and unmodified web3.py on it, for tests of the contracts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chainperp.evm.journal import Journal
from chainperp.evm.machine import Genesis, Machine
from chainperp.evm.provider import connect
from contracts_py.digests import ValidatorSet, address_of, keccak

START = 1_700_000_000
ETHER = 10**18
USD = 10**6
ORIGIN = keccak(b"chainperp.example/evm-test")
KEYS = [keccak(b"chainperp/test/account/%d" % at) for at in range(8)]
VALIDATOR_KEYS = [keccak(b"chainperp/test/validator/%d" % at) for at in range(4)]
COLD_KEYS = [keccak(b"chainperp/test/cold/%d" % at) for at in range(3)]
ACCOUNTS: list[LocalAccount] = [Account.from_key(key) for key in KEYS]
VALIDATORS = ValidatorSet.of({address_of(key): 25 for key in VALIDATOR_KEYS})
COLD = ValidatorSet.of({address_of(key): 1 for key in COLD_KEYS})


def in_order(keys: Sequence[bytes], validators: ValidatorSet) -> list[bytes]:
    """Keys in the order of their addresses in the set."""
    return sorted(keys, key=lambda key: validators.vals.index(address_of(key)))


@dataclass
class World:
    """A chain whose clock the test moves, with eight funded accounts."""

    now: int = START
    journal: Journal = field(init=False)
    web3: Web3 = field(init=False)

    def __post_init__(self) -> None:
        balances = tuple((bytes.fromhex(one.address[2:]), 1_000 * ETHER) for one in ACCOUNTS)
        self.journal = Journal(Machine(Genesis(balances, START)))
        self.web3 = connect(self.journal, lambda: self.now)

    def wait(self, seconds: int, blocks: int = 1) -> None:
        """Let time and blocks pass."""
        self.now = max(self.now, self.journal.machine.head.timestamp) + seconds
        for _ in range(blocks):
            self.journal.mine(self.now)

    def rpc(self, method: str, *params: Any) -> Any:
        """A raw JSON-RPC call: the whole response."""
        return self.web3.provider.make_request(method, list(params))  # type: ignore[arg-type]


IS_LONG = os.environ.get("CHAINPERP_LONG") == "1"
