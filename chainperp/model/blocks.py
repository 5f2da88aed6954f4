"""What goes into a block: transactions and system inputs, with the block's time and proposer."""

from chainperp.base.units import Address
from chainperp.model.actions import Action
from chainperp.model.decisions import SystemType


class MultiSigned:
    """Whose action a multi-sig envelope holds, whom it names as its leader, and who signed the
    action inside, in the order of the signatures."""

    __slots__ = ("leader", "signers", "user")

    def __init__(self, user: Address, leader: Address, signers: tuple[Address, ...]) -> None:
        self.user = user
        self.leader = leader
        self.signers = signers


class Transaction:
    """A signed request whose signer is known. `envelope` are the exact bytes that were signed
    and their signature (`model/envelope.py`); they are what the log stores and hashes.
    Of a multi-sig envelope, `action` is the one inside and `signer` the leader.
    """

    __slots__ = ("action", "envelope", "expires_after", "is_user_signed", "multi_sig", "nonce",
                 "signer", "vault")  # fmt: skip

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
        multi_sig: MultiSigned | None = None,
    ) -> None:
        self.signer = signer
        self.action = action
        self.nonce = nonce
        self.envelope = envelope
        self.is_user_signed = is_user_signed
        self.vault = vault
        self.expires_after = expires_after
        self.multi_sig = multi_sig

    def signers(self) -> bytes:
        """20 bytes for each signature: the envelope's, then those inside it."""
        if self.multi_sig is None:
            return self.signer
        return self.signer + b"".join(self.multi_sig.signers)


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
