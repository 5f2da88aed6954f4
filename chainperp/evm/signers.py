"""The validators' hot keys, and what they sign for the contracts.

Digests are computed here from their parts, so nothing is asked of an EVM before signing, and web3
is not imported. The keys of a development chain are known to everybody.
Source: audit-log-and-consensus 12.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from chainperp.base.errors import BadRequest
from chainperp.evm.facts import Waiting
from contracts_py.bridge import WITHDRAWAL_TYPE
from contracts_py.digests import Domain, Signatures, ValidatorSet, address_of, keccak, struct_hash

HOT_COUNT: Final = 4
COLD_COUNT: Final = 3


@dataclass(frozen=True)
class Keys:
    """Whoever acts for the exchange on the EVM: an account that pays gas, and validators."""

    operator: bytes
    "Private key of the account that deploys and sends; it needs ether."
    hot: tuple[bytes, ...]
    "Private keys of the hot validators, each of power 1."
    cold: ValidatorSet

    @cached_property
    def set(self) -> ValidatorSet:
        """The hot validators, as the contracts know them."""
        return ValidatorSet.of({address_of(key): 1 for key in self.hot})

    @property
    def operator_address(self) -> bytes:
        """Address of the operator."""
        return bytes.fromhex(address_of(self.operator)[2:])

    def sign(self, digest: bytes) -> Signatures:
        """Signatures of just more than two thirds of the set: more would only cost gas."""
        needed = 2 * len(self.hot) // 3 + 1
        return self.set.sign(digest, self.hot[:needed])

    def sign_checkpoint(self, domain: Domain, origin: str, size: int, root: bytes) -> Signatures:
        """Signatures for the Anchor in `domain` over a state of the log `origin`."""
        return self.sign(domain.checkpoint(keccak(origin.encode("ascii")), size, root))

    def sign_withdrawal(self, domain: Domain, chain_id: bytes, one: Waiting) -> Signatures:
        """Signatures for the Bridge in `domain` over a withdrawal of the ledger `chain_id`."""
        return self.sign(withdrawal_digest(domain, chain_id, one))


def withdrawal_digest(domain: Domain, chain_id: bytes, one: Waiting) -> bytes:
    """What hot validators sign for a withdrawal."""
    users = ("0x" + one.user.hex(), "0x" + one.destination.hex())
    hashed = struct_hash(WITHDRAWAL_TYPE, chain_id, one.wid, *users, one.amount, one.entry_index)
    return domain.digest(hashed)


def development_key(role: str, number: int = 0) -> bytes:
    """A key of development chains: SHA-256 of a text that says so."""
    return sha256(f"chainperp/test/{role}/{number}".encode()).digest()


def development_keys(network: str) -> Keys:
    """The keys of a development chain. Raises BadRequest `network` on Mainnet."""
    if network == "Mainnet":
        raise BadRequest("network", "the test keys are known to everybody: not on Mainnet")
    return Keys(
        operator=development_key("operator"),
        hot=tuple(development_key("hot", at) for at in range(HOT_COUNT)),
        cold=ValidatorSet.of(
            {address_of(development_key("cold", at)): 1 for at in range(COLD_COUNT)}
        ),
    )
