"""What goes into a block: transactions and system inputs, with the block's time and proposer."""

from chainperp.base.units import Address
from chainperp.model.actions import Action
from chainperp.model.decisions import SystemType


class Transaction:
    """A signed request whose signer is known. `envelope` are the exact bytes that were signed
    and their signature (`model/envelope.py`); they are what the log stores and hashes."""

    __slots__ = ("action", "envelope", "expires_after", "is_user_signed", "nonce", "signer",
                 "vault")  # fmt: skip

    def __init__(
        self,
        signer: Address,
        action: Action,
        nonce: int,
        envelope: bytes,
        *,
        is_user_signed: bool = False,
        vault: bytes | None = None,
        expires_after: int | None = None,
    ) -> None:
        self.signer = signer
        self.action = action
        self.nonce = nonce
        self.envelope = envelope
        self.is_user_signed = is_user_signed
        self.vault = vault
        self.expires_after = expires_after


class SystemInput:
    """A recorded input that no user signed: an oracle vote, a deposit seen outside, a payout."""

    __slots__ = ("body", "type", "vote")

    def __init__(self, type_: SystemType, body: bytes, vote: Transaction | None = None) -> None:
        self.type = type_
        self.body = body
        self.vote = vote


class BlockInput:
    """Everything that the engine needs to make one block, and nothing else."""

    __slots__ = ("proposer", "system", "time_ms", "transactions")

    def __init__(
        self,
        time_ms: int,
        proposer: Address,
        system: list[SystemInput],
        transactions: list[Transaction],
    ) -> None:
        self.time_ms = time_ms
        self.proposer = proposer
        self.system = system
        self.transactions = transactions
