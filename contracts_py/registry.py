"""The Registry: which rules and parameters the exchange runs, announced with notice."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from contracts_py.digests import Domain, Signatures, ValidatorSet, checked, struct_hash
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

ANNOUNCEMENT_TYPE: Final = (
    "Announcement(bytes32 chain,uint64 step,bytes32 rules,bytes32 parameters,uint64 height)"
)
WITHDRAW_TYPE: Final = "Withdraw(bytes32 chain,uint64 step)"


@dataclass(frozen=True, slots=True)
class Version:
    """SHA-256 of rules and parameters, the exchange's height and the second they count from."""

    rules: bytes
    parameters: bytes
    height: int
    effective: int = 0


class Registry(Handle):
    """Errors are `Reverted` with `registry: …` or `quorum: …`."""

    artifact: ClassVar[str] = "Registry"

    @classmethod
    def deploy(
        cls,
        web3: "Web3",
        account: "LocalAccount",
        named: tuple[bytes, str],
        notice_s: int,
        first: Version,
    ) -> Self:
        """Deploy for (chain id of 32 bytes, Anchor) with the rules of the genesis."""
        chain, anchor = named
        anchor = web3.to_checksum_address(anchor)
        return cls._deploy(web3, account, chain, anchor, notice_s, first.rules, first.parameters)

    @property
    def domain(self) -> Domain:
        """What signatures for this contract are bound to."""
        return Domain(self.web3.eth.chain_id, self.address)

    def step(self) -> int:
        """Number that the next announcement or withdrawal signs."""
        return int(self.call("step"))

    def announcement_digest(self, one: Version) -> bytes:
        """What validators sign for an announcement."""
        values = (bytes(self.call("CHAIN")), self.step(), one.rules, one.parameters, one.height)
        return self.domain.digest(struct_hash(ANNOUNCEMENT_TYPE, *values))

    def withdraw_digest(self) -> bytes:
        """What validators sign to take the running announcement back."""
        chain = bytes(self.call("CHAIN"))
        return self.domain.digest(struct_hash(WITHDRAW_TYPE, chain, self.step()))

    def announce(
        self, account: "LocalAccount", one: Version, validators: ValidatorSet, signed: Signatures
    ) -> Receipt:
        """Announce the next version.

        Raises: `registry: one runs already`, `registry: height must grow`, `registry: the log
        forked`, `registry: not the current set`, `quorum: …`.
        """
        rest = self._signed(validators, signed)
        return self.send(account, "announce", one.rules, one.parameters, one.height, *rest)

    def withdraw(
        self, account: "LocalAccount", validators: ValidatorSet, signed: Signatures
    ) -> Receipt:
        """Take the running announcement back. Raises `registry: none runs` or as `announce`."""
        return self.send(account, "withdraw", *self._signed(validators, signed))

    def _signed(
        self, validators: ValidatorSet, signed: Signatures
    ) -> tuple[list[str], list[int], list[int], list[tuple[int, int, int]]]:
        vals = checked(self.web3, validators.vals)
        return vals, list(validators.powers), list(signed.idx), list(signed.sigs)

    def current(self) -> tuple[int, Version]:
        """The version that counts now, with its number."""
        number, (rules, parameters, height, effective) = self.call("current")
        return int(number), Version(bytes(rules), bytes(parameters), int(height), int(effective))

    def is_known(self, rules: bytes, parameters: bytes, height: int) -> bool:
        """Whether a block at this height may carry these hashes now."""
        return bool(self.call("is_known", rules, parameters, height))
