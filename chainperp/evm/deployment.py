"""The contracts of a chain: their addresses before they exist, and how they come to exist.

An address follows from the deployer and the number of his transaction (CREATE), so a genesis can
name its contracts, and the contracts in turn know the genesis by its hash. The deployer's
transactions have a fixed order: step n is done exactly when his nonce is above n. A deployment that
was cut off therefore goes on where it stopped, and never does a step twice.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chainperp.evm.machine import CHAIN_ID, Genesis
from chainperp.evm.signers import Keys
from contracts_py.buyback import Schedule
from contracts_py.digests import keccak

if TYPE_CHECKING:
    from web3 import Web3

ETHER: Final = 10**18
USD: Final = 10**6
OPERATOR_ETHER: Final = 1_000_000
PLACES: Final = {"usd": 0, "token": 1, "anchor": 2, "bridge": 3, "pool": 4, "vault": 9,
                 "registry": 10}  # fmt: skip
"""The deployer's nonce of each contract. 5 to 8 fill the pool: the vault's first look at the price
must already find one."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """Addresses, 20 bytes each, and the EVM's chain id."""

    chain_id: int
    usd: bytes
    token: bytes
    anchor: bytes
    bridge: bytes
    pool: bytes
    vault: bytes
    registry: bytes


@dataclass(frozen=True, slots=True)
class LogName:
    """The ledger that contracts are for."""

    chain_id: bytes
    origin: str
    rules: bytes
    "SHA-256 over the rules, 32 bytes."
    parameters: bytes
    "SHA-256 over the parameters, 32 bytes."


@dataclass(frozen=True, slots=True)
class Terms:
    """What the constructors get. The defaults are those of a development chain."""

    dispute_s: int = 2
    block_ms: int = 2_001
    "One block after the request suffices: what counts on a machine that waits for transactions."
    notice_s: int = 60
    supply: int = 10**9 * ETHER
    token_names: tuple[str, str] = ("chainperp test token", "TEST")
    pool_token: int = 10**7 * ETHER
    pool_usd: int = 10**7 * USD
    pool_fee_bps: int = 30
    schedule: Schedule = field(default_factory=lambda: Schedule(5, 10 * USD, 10_000, 100))


def create_address(deployer: bytes, nonce: int) -> bytes:
    """Address of the contract that an account makes with its transaction `nonce`.

    keccak256(rlp([deployer, nonce])), the last 20 bytes (Yellow Paper 7).
    """
    raw = nonce.to_bytes(8, "big").lstrip(b"\0")
    number = raw if len(raw) == 1 and raw[0] < 0x80 else bytes([0x80 + len(raw)]) + raw
    body = b"\x94" + deployer + number
    return keccak(bytes([0xC0 + len(body)]) + body)[-20:]


def plan(deployer: bytes, chain_id: int = CHAIN_ID) -> Contracts:
    """Where the contracts of a deployer will be, before the EVM chain exists."""
    return Contracts(
        chain_id, **{name: create_address(deployer, nonce) for name, nonce in PLACES.items()}
    )


def machine_genesis(keys: Keys, timestamp: int, wallets: tuple[bytes, ...] = ()) -> Genesis:
    """Block 0 of a development machine: ether for the operator, and some for wallets."""
    rows = {keys.operator_address: OPERATOR_ETHER * ETHER}
    rows |= {one: 1_000 * ETHER for one in wallets if one not in rows}
    return Genesis(tuple(sorted(rows.items())), timestamp)


def deploy(web3: "Web3", keys: Keys, log: LogName, terms: Terms | None = None) -> Contracts:
    """Bring the contracts of a ledger into being, or find that they are there.

    Goes on where an earlier call was cut off. The operator pays, and holds the token's supply.
    Raises: Invalid when what stands at an address is not ours; Reverted when a step was refused.
    """
    raise NotImplementedError


def check_code(web3: "Web3", contracts: Contracts) -> None:
    """Compare the code at every address with the artifact, immutables aside. Raises Invalid."""
    raise NotImplementedError
