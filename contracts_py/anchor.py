"""The Anchor: signed checkpoints of the exchange's log on chain, and proofs against them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from contracts_py.digests import Domain, Signatures, ValidatorSet, checked
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3


class Anchor(Handle):
    """Sizes count entries of the log; roots and leaf hashes are 32 bytes; times are seconds."""

    artifact: ClassVar[str] = "Anchor"

    @classmethod
    def deploy(
        cls,
        web3: "Web3",
        account: "LocalAccount",
        origin: bytes,
        dispute_s: int,
        validators: ValidatorSet,
    ) -> Self:
        """Deploy for a log: `origin` is the keccak of its origin line.

        Raises: Reverted `set: …` for a set that is empty, unordered, without power.
        """
        vals = checked(web3, validators.vals)
        return cls._deploy(web3, account, origin, dispute_s, vals, list(validators.powers))

    @property
    def domain(self) -> Domain:
        """What signatures for this contract are bound to."""
        return Domain(self.web3.eth.chain_id, self.address)

    def origin(self) -> bytes:
        """keccak of the origin line."""
        return bytes(self.call("ORIGIN"))

    def checkpoint_digest(self, size: int, root: bytes) -> bytes:
        """What validators sign for a checkpoint."""
        return self.domain.checkpoint(self.origin(), size, root)

    def set_digest(self, epoch: int, proposed: ValidatorSet) -> bytes:
        """What validators sign for their successors."""
        return self.domain.validator_set(self.origin(), epoch, proposed.hash)

    def anchor(
        self,
        account: "LocalAccount",
        checkpoint: tuple[int, bytes],
        proof: Sequence[bytes],
        validators: ValidatorSet,
        signed: Signatures,
    ) -> Receipt:
        """Store (size, root), with the consistency proof from the latest anchored size.

        Raises: Reverted `anchor: paused`, `anchor: size must grow`, `anchor: not the current set`,
        `quorum: …`, `anchor: not an extension`, in the order checked.
        """
        size, root = checkpoint
        vals, powers = checked(self.web3, validators.vals), list(validators.powers)
        rest = (list(proof), vals, powers, list(signed.idx), list(signed.sigs))
        return self.send(account, "anchor", size, root, *rest)

    def latest(self) -> tuple[int, bytes]:
        """Size and root of the latest checkpoint; (0, zeros) before the first."""
        size, root = self.call("latest")
        return int(size), bytes(root)

    def root(self, size: int) -> bytes:
        """The root anchored at a size; zeros when none was."""
        return bytes(self.call("roots", size))

    def seal_of(self, size: int) -> bytes:
        """The seal hash proven for an anchored size; zeros when nobody proved it."""
        return bytes(self.call("seal_of", size))

    def prove_seal(
        self, account: "LocalAccount", size: int, entry: bytes, proof: Sequence[bytes]
    ) -> Receipt:
        """Record the seal hash of an anchored size from its last entry.

        Raises: Reverted `seal: …` when it is not a SEAL or not the last entry.
        """
        return self.send(account, "prove_seal", size, entry, list(proof))

    def verify_entry(self, size: int, index: int, entry: bytes, proof: Sequence[bytes]) -> bool:
        """Whether these bytes (at most 4,096) are entry `index` of the anchored log of a size."""
        return bool(self.call("verify_entry", size, index, entry, list(proof)))

    def verify_leaf(self, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
        """As `verify_entry` for a leaf hash that the caller computed from the entry's bytes."""
        return bool(self.call("verify_leaf", size, index, leaf, list(proof)))

    def report_fork(
        self,
        account: "LocalAccount",
        size: int,
        a: tuple[bytes, Signatures],
        b: tuple[bytes, Signatures],
        validators: ValidatorSet,
    ) -> Receipt:
        """Stop the contract for good: two roots of one size, each signed by a quorum.

        Raises: Reverted `fork: one root`, `fork: not the current set`, `quorum: …`.
        """
        sides = [(root, list(signed.idx), list(signed.sigs)) for root, signed in (a, b)]
        vals, powers = checked(self.web3, validators.vals), list(validators.powers)
        return self.send(account, "report_fork", size, *sides[0], *sides[1], vals, powers)

    def paused(self) -> bool:
        """Whether a fork was proven."""
        return bool(self.call("paused"))

    def validator_set(self) -> bytes:
        """Hash of the current validators."""
        return bytes(self.call("validator_set"))

    def epoch(self) -> int:
        """Number of the current set, from 1."""
        return int(self.call("epoch"))

    def set_validators(
        self,
        account: "LocalAccount",
        epoch: int,
        proposed: ValidatorSet,
        validators: ValidatorSet,
        signed: Signatures,
    ) -> Receipt:
        """Propose the next validators; they wait for the dispute period.

        Raises: Reverted `anchor: paused`, `set: …`, `quorum: …`.
        """
        new = (checked(self.web3, proposed.vals), list(proposed.powers))
        old = (checked(self.web3, validators.vals), list(validators.powers))
        rest = (list(signed.idx), list(signed.sigs))
        return self.send(account, "set_validators", epoch, *new, *old, *rest)

    def activate_validators(self, account: "LocalAccount") -> Receipt:
        """Let the waiting set count.

        Raises: Reverted `set: none waits` or `set: the dispute period runs`.
        """
        return self.send(account, "activate_validators")
