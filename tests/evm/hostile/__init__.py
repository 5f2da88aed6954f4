"""Contracts that misbehave, compiled when a test wants them."""

from functools import cache
from pathlib import Path
from typing import Any

from contracts_py.compile import compile_contract
from tests.evm.world import ACCOUNTS, World

SOURCES = Path(__file__).resolve().parent


@cache
def artifact(name: str) -> dict[str, Any]:
    """What a hostile contract compiles to."""
    return compile_contract(name, SOURCES)


class Hostile:
    """A deployed hostile contract; its functions are called by name."""

    def __init__(self, world: World, name: str) -> None:
        found = artifact(name)
        self.world = world
        maker = world.web3.eth.contract(abi=found["abi"], bytecode=found["bytecode"])
        made = self._send(maker.constructor().data_in_transaction, None)
        self.contract = world.web3.eth.contract(made["contractAddress"], abi=found["abi"])
        self.address: str = made["contractAddress"]

    def call(self, function: str, *arguments: Any) -> Any:
        """Read."""
        return self.contract.functions[function](*arguments).call()

    def send(self, function: str, *arguments: Any) -> Any:
        """Send as the first account."""
        return self._send(self.contract.encode_abi(function, arguments), self.address)

    def _send(self, payload: Any, to: str | None) -> Any:
        web3, account = self.world.web3, ACCOUNTS[0]
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": 1337,
            "nonce": web3.eth.get_transaction_count(account.address),
            "gas": 3_000_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 1,
            "value": 0,
            "data": payload,
        }
        if to is not None:
            fields["to"] = to
        sent = web3.eth.send_raw_transaction(account.sign_transaction(fields).raw_transaction)
        receipt = web3.eth.get_transaction_receipt(sent)
        assert receipt["status"] == 1
        return receipt
