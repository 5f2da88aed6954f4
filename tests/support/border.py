"""A chain whose genesis names contracts, and inputs that cite their events. No EVM runs here."""

from typing import Any

from chainperp.base import canonical
from chainperp.base.canonical import Record, Schema
from chainperp.base.units import Address
from chainperp.model.blocks import SystemInput
from chainperp.model.bridge import (
    BRIDGE_DEPOSIT_BODY,
    BRIDGE_PAYOUT_BODY,
    EVM_BUYBACK_BODY,
    GRANT_BODY,
    PAID,
    EvmContracts,
)
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.state.store import ASSISTANCE_FUND
from tests.support.forced import usdc
from tests.support.proofs import LoggedStage
from tests.support.world import Result, address_of

CONTRACTS = EvmContracts(1337, *(Address(bytes([0xC0 + number]) * 20) for number in range(7)))
BODIES: dict[SystemType, Schema] = {
    SystemType.BRIDGE_DEPOSIT: BRIDGE_DEPOSIT_BODY,
    SystemType.BRIDGE_PAYOUT: BRIDGE_PAYOUT_BODY,
    SystemType.EVM_BUYBACK: EVM_BUYBACK_BODY,
    SystemType.GRANT: GRANT_BODY,
}


class Events:
    """Makes inputs, each from an EVM block of its own."""

    def __init__(self) -> None:
        self.block = 0

    def cite(self, kind: SystemType, **fields: object) -> SystemInput:
        """An input of a type that cites the next EVM block."""
        self.block += 1
        cited = {"block": self.block, "block_hash": self.block.to_bytes(32), "log_index": 3}
        record: Record = {**fields, **({} if kind is SystemType.GRANT else cited)}
        return SystemInput(kind, canonical.encode(BODIES[kind], record))

    def deposit(
        self, user: Address, amount: int, nonce: int, payer: Address | None = None
    ) -> SystemInput:
        """A deposit; who is credited pays if nobody else does."""
        return self.cite(
            SystemType.BRIDGE_DEPOSIT, user=user, payer=payer or user, amount=amount, nonce=nonce
        )

    def payout(self, wid: int, outcome: int = PAID) -> SystemInput:
        """The end of a withdrawal."""
        return self.cite(SystemType.BRIDGE_PAYOUT, wid=wid, outcome=outcome)

    def bought(
        self, number: int, spent: int, bought: int = 7, burned: int = 7, decision: bytes = bytes(32)
    ) -> SystemInput:
        """A purchase of the vault."""
        return self.cite(
            SystemType.EVM_BUYBACK, number=number, decision=decision, spent=spent, bought=bought,
            burned=burned, log_root=bytes(32),
        )  # fmt: skip

    def grant(self, user: Address, amount: int) -> SystemInput:
        """Money from nowhere."""
        return self.cite(SystemType.GRANT, user=user, amount=amount)


class BorderStage(LoggedStage):
    """A stage with a bridge and a vault. `deposits` counts what the bridge took."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(evm=CONTRACTS, **parameters)
        self.events = Events()

    def bridged(self, user: str | Address, amount: str, payer: str | None = None) -> Result:
        """A deposit in a block of its own."""
        self.deposits += 1
        address = address_of(user) if isinstance(user, str) else user
        by = None if payer is None else address_of(payer)
        return self.inputs_of(self.events.deposit(address, usdc(amount), self.deposits, by))

    def inputs_of(self, *items: SystemInput) -> Result:
        """A block of these inputs."""
        return self.block(system=list(items))

    def give_fund(self, amount: str) -> Result:
        """Money of the fund; a transfer to the vault may follow."""
        return self.bridged(ASSISTANCE_FUND, amount)


def codes(result: Result) -> list[Rejection]:
    """Results of a block's inputs."""
    return [Rejection(fields["code"]) for fields in result.of(Kind.TX_SYSTEM)]
