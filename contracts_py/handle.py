"""What every contract handle does: deploy, read, send, and read events.

A handle belongs to one web3 and one address. Reading costs nothing; sending is signed here with
the account that is handed in, so no node ever holds a key. web3 is imported by whoever makes the
`Web3` that is handed in, not by this package.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from contracts_py.artifact import load_artifact
from contracts_py.digests import keccak

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

TIP_WEI = 1_000_000
"""Wei per gas offered above the base fee."""


class Reverted(Exception):
    """A contract refused: `reason` is the text that its source gives, or empty."""

    def __init__(self, contract: str, function: str, reason: str) -> None:
        super().__init__(f"{contract}.{function} reverted: {reason or 'without a reason'}")
        self.contract = contract
        self.function = function
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a receipt: its name and its fields by name."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that was executed and did not revert."""

    transaction_hash: bytes
    block: int
    gas_used: int
    "Gas, refunds taken off."
    events: tuple[Event, ...]
    "Those of the contract that was called, in order."

    def event(self, name: str) -> dict[str, Any]:
        """Fields of the only event of this name. Raises LookupError for none or several."""
        found = [one.fields for one in self.events if one.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} events {name}, expected one")
        return found[0]


class Handle:
    """A deployed contract. Subclasses name their artifact and add typed methods."""

    artifact: ClassVar[str]

    def __init__(self, web3: "Web3", address: str) -> None:
        self.web3 = web3
        self.address = web3.to_checksum_address(address)
        self.contract = web3.eth.contract(self.address, abi=load_artifact(self.artifact).abi)

    @classmethod
    def _deploy(cls, web3: "Web3", account: "LocalAccount", *arguments: Any) -> Self:
        """Deploy with constructor arguments in ABI order. Raises Reverted."""
        artifact = load_artifact(cls.artifact)
        maker = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        made = maker.constructor(*arguments)
        receipt = cls._sign_and_send(
            web3, account, {"data": made.data_in_transaction}, cls.artifact, "__init__"
        )
        return cls(web3, receipt["contractAddress"])

    def call(self, function: str, *arguments: Any, block: Any = "latest") -> Any:
        """What a function returns, without sending anything. Raises Reverted."""
        from web3.exceptions import ContractLogicError

        try:
            return self.contract.functions[function](*arguments).call(block_identifier=block)
        except ContractLogicError as error:
            raise Reverted(self.artifact, function, _reason(error)) from error

    def send(
        self, account: "LocalAccount", function: str, *arguments: Any, gas: int = 0
    ) -> Receipt:
        """Send a transaction and wait for its receipt. `gas` 0 lets the node estimate.

        Raises: Reverted, with the reason when the node gave one.
        """
        payload = self.contract.encode_abi(function, arguments)
        fields = {"to": self.address, "data": payload}
        if gas:
            fields["gas"] = gas
        raw = self._sign_and_send(self.web3, account, fields, self.artifact, function)
        return Receipt(
            bytes(raw["transactionHash"]), raw["blockNumber"], raw["gasUsed"], self._events(raw)
        )

    @staticmethod
    def _sign_and_send(
        web3: "Web3", account: "LocalAccount", fields: dict[str, Any], contract: str, function: str
    ) -> Any:
        from web3.exceptions import ContractLogicError

        fields = {"from": account.address, "value": 0, **fields}
        if "gas" not in fields:
            try:
                estimate = web3.eth.estimate_gas(fields)  # type: ignore[arg-type]
            except ContractLogicError as error:
                raise Reverted(contract, function, _reason(error)) from error
            # A second later the same call may write a slot that was to stay zero: leave room.
            fields["gas"] = estimate + estimate // 4
        base_fee = web3.eth.get_block("latest")["baseFeePerGas"]
        del fields["from"]
        fields |= {
            "type": 2,
            "chainId": web3.eth.chain_id,
            "nonce": web3.eth.get_transaction_count(account.address),
            "maxFeePerGas": 2 * base_fee + TIP_WEI,
            "maxPriorityFeePerGas": TIP_WEI,
        }
        signed = account.sign_transaction(fields)
        sent = web3.eth.send_raw_transaction(signed.raw_transaction)
        receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=30, poll_latency=0.05)
        if receipt["status"] != 1:
            raise Reverted(contract, function, "")
        return receipt

    def _events(self, raw: Any) -> tuple[Event, ...]:
        found: list[Event] = []
        for log in raw["logs"]:
            if log["address"] == self.address:
                found.append(self.read_log(log))
        return tuple(found)

    def read_log(self, log: Any) -> Event:
        """A log of this contract as an event. Raises LookupError for one that it does not emit."""
        name = self._topics().get(bytes(log["topics"][0]))
        if name is None:
            topic = bytes(log["topics"][0]).hex()
            raise LookupError(f"{self.artifact} has no event with topic {topic}")
        decoded = self.contract.events[name]().process_log(log)
        return Event(name, dict(decoded["args"]))

    def topic(self, event: str) -> str:
        """First topic of an event, hex. Raises LookupError for one that there is not."""
        for raw, name in self._topics().items():
            if name == event:
                return "0x" + raw.hex()
        raise LookupError(f"{self.artifact} has no event {event}")

    def _topics(self) -> dict[bytes, str]:
        """Event names by their first topic."""
        topics: dict[bytes, str] = {}
        for one in load_artifact(self.artifact).abi:
            if one["type"] == "event":
                kinds = ",".join(field["type"] for field in one["inputs"])
                topics[keccak(f"{one['name']}({kinds})".encode())] = one["name"]
        return topics

    def events(self, first_block: int = 0, last_block: Any = "latest") -> list[tuple[int, Event]]:
        """Every event of this contract with its block number, in order."""
        logs = self.web3.eth.get_logs(
            {"address": self.address, "fromBlock": first_block, "toBlock": last_block}
        )
        return [(int(log["blockNumber"]), self.read_log(log)) for log in logs]


def send_ether(web3: "Web3", account: "LocalAccount", receiver: str, wei: int) -> None:
    """Send wei from an account, and wait until that has happened."""
    fields = {"to": web3.to_checksum_address(receiver), "value": wei}
    Handle._sign_and_send(web3, account, fields, "ether", "transfer")


def _reason(error: Any) -> str:
    """The contract's own words in what web3 raises."""
    text = str(error.message or "")
    return text.removeprefix("execution reverted").removeprefix(": ").strip()
