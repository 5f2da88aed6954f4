"""EIP-712 digests of what validators sign, by hand, and validator sets with their quorums.

A typed-data encoder costs 0.3 ms and more; these are three Keccaks over fixed templates. Each
digest is bound to one chain id and one contract address: a signature is of no use elsewhere.
Source: audit-log-and-consensus 12, 13.1, 15.2; EIP-712.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1."""
DOMAIN_TYPE: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


def keccak(raw: bytes) -> bytes:
    """Keccak-256."""
    from sha3 import keccak_256

    digest: bytes = keccak_256(raw).digest()
    return digest


def _word(value: int | bytes | str) -> bytes:
    """A value as one ABI word: numbers and addresses right-aligned, 32 bytes as they are."""
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    raw = bytes.fromhex(value[2:]) if isinstance(value, str) else value
    return raw.rjust(32, b"\0")


def struct_hash(kind: str, *values: int | bytes | str) -> bytes:
    """EIP-712 hash of a struct whose members are all of one word."""
    return keccak(keccak(kind.encode()) + b"".join(_word(value) for value in values))


def call_hash(name: str, *values: int | bytes | str) -> bytes:
    """keccak256(abi.encode(keccak256(name), …)) for arguments of one word each: a command."""
    return keccak(keccak(name.encode()) + b"".join(_word(value) for value in values))


@dataclass(frozen=True, slots=True)
class Domain:
    """The contract and chain that a signature is for."""

    chain_id: int
    contract: str
    "Address, hex with 0x."
    name: str = "chainperp"
    version: str = "1"

    def digest(self, hashed: bytes) -> bytes:
        """What is signed for a struct hash."""
        separator = struct_hash(
            DOMAIN_TYPE,
            keccak(self.name.encode()),
            keccak(self.version.encode()),
            self.chain_id,
            self.contract,
        )
        return keccak(b"\x19\x01" + separator + hashed)

    def checkpoint(self, origin: bytes, size: int, root: bytes) -> bytes:
        """Digest of a checkpoint: keccak of the origin line, size in entries, root."""
        kind = "Checkpoint(bytes32 origin,uint64 size,bytes32 root)"
        return self.digest(struct_hash(kind, origin, size, root))

    def validator_set(self, origin: bytes, epoch: int, set_hash: bytes) -> bytes:
        """Digest of a proposal of an Anchor's next validators."""
        kind = "ValidatorSet(bytes32 origin,uint64 epoch,bytes32 set)"
        return self.digest(struct_hash(kind, origin, epoch, set_hash))


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who signed, as positions in the set, and (r, s, v) of each."""

    idx: tuple[int, ...]
    sigs: tuple[tuple[int, int, int], ...]


def sign(digest: bytes, key: bytes) -> tuple[int, int, int]:
    """(r, s, v) of a digest under a 32-byte key; s is in the lower half, v 27 or 28."""
    from coincurve import PrivateKey

    raw = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), 27 + raw[64]


def address_of(key: bytes) -> str:
    """Address of a key, in lower case."""
    from coincurve import PrivateKey

    public = PrivateKey(key).public_key.format(compressed=False)
    return "0x" + keccak(public[1:])[-20:].hex()


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """Validators and their powers, in ascending order of address, as the contracts want them."""

    vals: tuple[str, ...]
    "Addresses in lower case."
    powers: tuple[int, ...]

    @staticmethod
    def of(powers: Mapping[str, int]) -> "ValidatorSet":
        """The set with these powers by address."""
        rows = sorted((address.lower(), power) for address, power in powers.items())
        return ValidatorSet(tuple(one for one, _ in rows), tuple(power for _, power in rows))

    @property
    def hash(self) -> bytes:
        """keccak256(abi.encode(validators, powers)), by which contracts know the set."""
        count = len(self.vals)
        rows: list[int | str] = [64, 96 + 32 * count, count, *self.vals, count, *self.powers]
        return keccak(b"".join(_word(one) for one in rows))

    def sign(self, digest: bytes, keys: Sequence[bytes]) -> Signatures:
        """Signatures of those of the keys whose address is in the set, in the set's order."""
        return self.collect({address_of(key): sign(digest, key) for key in keys})

    def collect(self, signed: Mapping[str, tuple[int, int, int]]) -> Signatures:
        """Signatures by lower-case address, put in the set's order."""
        places = [at for at, address in enumerate(self.vals) if address in signed]
        return Signatures(tuple(places), tuple(signed[self.vals[at]] for at in places))


def checked(web3: Any, addresses: Sequence[str]) -> list[str]:
    """Addresses with their checksum, as web3 wants them."""
    return [web3.to_checksum_address(one) for one in addresses]
