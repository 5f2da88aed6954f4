"""The contracts of a chain: their addresses before they exist, and how they come to exist.

An address follows from the deployer and the number of his transaction (CREATE), so a genesis can
name its contracts, and the contracts in turn know the genesis by its hash. The deployer's
transactions have a fixed order: step n is done exactly when his nonce is above n. A deployment that
was cut off therefore goes on where it stopped, and never does a step twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chainperp.base.errors import Invalid
from chainperp.base.units import Address
from chainperp.evm.machine import CHAIN_ID, Genesis
from chainperp.evm.signers import Keys
from chainperp.model.bridge import EvmContracts
from contracts_py.anchor import Anchor
from contracts_py.artifact import load_artifact
from contracts_py.bridge import Bridge
from contracts_py.bridge import Settings as BridgeSettings
from contracts_py.buyback import BuybackVault, Schedule
from contracts_py.digests import keccak
from contracts_py.handle import send_ether
from contracts_py.pool import Pool
from contracts_py.registry import Registry, Version
from contracts_py.tokens import TestUSD, Token

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

ETHER: Final = 10**18
USD: Final = 10**6
OPERATOR_ETHER: Final = 1_000_000
PLACES: Final = {"usd": 0, "token": 1, "anchor": 2, "bridge": 3, "pool": 4, "vault": 9,
                 "registry": 10}  # fmt: skip
"""The deployer's nonce of each contract. 5 to 8 fill the pool: the vault's first look at the price
must already find one."""
ARTIFACTS: Final = {"usd": "TestUSD", "token": "Token", "anchor": "Anchor", "bridge": "Bridge",
                    "pool": "Pool", "vault": "BuybackVault", "registry": "Registry"}  # fmt: skip
LOCKER_THRESHOLD: Final = 2
"""Of the hot validators, who are the first lockers."""


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
    schedule: Schedule = field(default_factory=lambda: Schedule(5, 10 * USD, 1_000, 100))


Step = Callable[["LocalAccount"], object]


def text(raw: bytes) -> str:
    """Bytes as hex with 0x."""
    return "0x" + raw.hex()


def address(shown: str) -> bytes:
    """The 20 bytes of an address as contracts show it."""
    return bytes.fromhex(shown[2:])


def create_address(deployer: bytes, nonce: int) -> bytes:
    """Address of the contract that an account makes with its transaction `nonce`.

    keccak256(rlp([deployer, nonce])), the last 20 bytes (Yellow Paper 7).
    """
    raw = nonce.to_bytes(8, "big").lstrip(b"\0")
    number = raw if len(raw) == 1 and raw[0] < 0x80 else bytes([0x80 + len(raw)]) + raw
    body = b"\x94" + deployer + number
    return keccak(bytes([0xC0 + len(body)]) + body)[-20:]


def plan(deployer: bytes, chain_id: int = CHAIN_ID) -> EvmContracts:
    """Where the contracts of a deployer will be, before the EVM chain exists."""
    places = {name: Address(create_address(deployer, nonce)) for name, nonce in PLACES.items()}
    return EvmContracts(chain_id, **places)


def machine_genesis(keys: Keys, timestamp: int, wallets: tuple[bytes, ...] = ()) -> Genesis:
    """Block 0 of a development machine: ether for the operator, and some for wallets."""
    rows = {keys.operator_address: OPERATOR_ETHER * ETHER}
    rows |= {one: 1_000 * ETHER for one in wallets if one not in rows}
    return Genesis(tuple(sorted(rows.items())), timestamp)


def deploy(web3: "Web3", keys: Keys, log: LogName, terms: Terms | None = None) -> EvmContracts:
    """Bring the contracts of a ledger into being, or find that they are there.

    Goes on where an earlier call was cut off. The operator pays, and holds the token's supply.
    Raises: Invalid when what stands at an address is not ours; Reverted when a step was refused.
    """
    from eth_account import Account

    contracts = plan(keys.operator_address, web3.eth.chain_id)
    operator = Account.from_key(keys.operator)
    done = web3.eth.get_transaction_count(operator.address)
    check_code(web3, contracts, done)
    for step in _steps(web3, keys, log, terms or Terms())[done:]:
        step(operator)
    check(web3, contracts, keys, log)
    return contracts


def _steps(web3: "Web3", keys: Keys, log: LogName, terms: Terms) -> list[Step]:
    """What the deployer sends, in the order of his nonces."""
    at = plan(keys.operator_address, web3.eth.chain_id)
    usd, token = TestUSD(web3, text(at.usd)), Token(web3, text(at.token))
    anchor, pool = text(at.anchor), Pool(web3, text(at.pool))
    owner = text(keys.operator_address)
    bridge = BridgeSettings(terms.dispute_s, terms.block_ms, keys.set.vals, LOCKER_THRESHOLD)
    coins = (token.address, usd.address)
    first = Version(log.rules, log.parameters, 0)
    return [
        lambda by: TestUSD.deploy(web3, by, owner),
        lambda by: Token.deploy(web3, by, terms.token_names, terms.supply, owner),
        lambda by: Anchor.deploy(
            web3, by, keccak(log.origin.encode("ascii")), terms.dispute_s, keys.set
        ),
        lambda by: Bridge.deploy(
            web3, by, log.chain_id, (usd.address, anchor), (keys.set, keys.cold), bridge
        ),
        lambda by: Pool.deploy(web3, by, *coins, terms.pool_fee_bps),
        lambda by: usd.mint(by, owner, terms.pool_usd),
        lambda by: usd.approve(by, pool.address, terms.pool_usd),
        lambda by: token.approve(by, pool.address, terms.pool_token),
        lambda by: pool.add_liquidity(by, terms.pool_token, terms.pool_usd),
        lambda by: BuybackVault.deploy(web3, by, (*coins, pool.address), terms.schedule),
        lambda by: Registry.deploy(web3, by, (log.chain_id, anchor), terms.notice_s, first),
    ]


def check(web3: "Web3", contracts: EvmContracts, keys: Keys, log: LogName) -> None:
    """That every contract is ours and made for this ledger and these validators. Raises Invalid."""
    check_ledger(web3, contracts, log.chain_id, log.origin)
    anchor, bridge = Anchor(web3, text(contracts.anchor)), Bridge(web3, text(contracts.bridge))
    if bridge.epoch() == 1:
        _compare("Bridge's hot set", keys.set.hash, bridge.hot_set())
        _compare("Bridge's Anchor", contracts.anchor, address(bridge.call("log_anchor")))
    if anchor.epoch() == 1:
        _compare("Anchor's validators", keys.set.hash, anchor.validator_set())


def check_ledger(web3: "Web3", contracts: EvmContracts, chain_id: bytes, origin: str) -> None:
    """That every contract is ours, made for this ledger and for the others. Raises Invalid.

    The Bridge's Anchor may be another one than at first, by decision of the cold set.
    """
    check_code(web3, contracts)
    bridge, vault = Bridge(web3, text(contracts.bridge)), BuybackVault(web3, text(contracts.vault))
    registry = Registry(web3, text(contracts.registry))
    rows = [
        ("Anchor's log", keccak(origin.encode("ascii")),
         Anchor(web3, text(contracts.anchor)).origin()),
        ("Bridge's ledger", chain_id, bridge.chain()),
        ("Bridge's dollar", contracts.usd, address(bridge.call("USDC"))),
        ("Registry's ledger", chain_id, bytes(registry.call("CHAIN"))),
        ("Registry's Anchor", contracts.anchor, address(registry.call("ANCHOR"))),
    ]  # fmt: skip
    for name in ("token", "usd", "pool"):
        expected: bytes = getattr(contracts, name)
        rows.append((f"BuybackVault's {name}", expected, address(vault.call(name.upper()))))
    pool = Pool(web3, text(contracts.pool))
    for name in ("token", "usd"):
        expected = getattr(contracts, name)
        rows.append((f"Pool's {name}", expected, address(pool.call(name.upper()))))
    for what, wanted, found in rows:
        _compare(what, wanted, found)


def check_code(web3: "Web3", contracts: EvmContracts, done: int = 2**64) -> None:
    """Compare the code at every address with the artifact, immutables aside.

    `done` is how many transactions the deployer has sent: later contracts are not there yet.
    Raises: Invalid.
    """
    for name, artifact in ARTIFACTS.items():
        if PLACES[name] >= done:
            continue
        where: bytes = getattr(contracts, name)
        code = bytes(web3.eth.get_code(web3.to_checksum_address(text(where))))
        expected = bytes.fromhex(load_artifact(artifact).runtime_bytecode[2:])
        # Immutables follow the code.
        if code[: len(expected)] != expected:
            found = f"{len(code)} bytes of other code" if code else "no code"
            raise Invalid(f"evm address {text(where)}: expected {artifact}, found {found}")


def _compare(what: str, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise Invalid(f"{what}: expected {text(expected)}, found {text(found)}")


def endow(web3: "Web3", keys: Keys, wallet: bytes, usd: int, ether: int = 1) -> None:
    """Give a wallet of a development chain micro-dollars, and whole ether for gas."""
    from eth_account import Account

    operator = Account.from_key(keys.operator)
    contracts = plan(keys.operator_address, web3.eth.chain_id)
    if ether:
        send_ether(web3, operator, text(wallet), ether * ETHER)
    if usd:
        TestUSD(web3, text(contracts.usd)).mint(operator, text(wallet), usd)
