"""What the contracts say: every event that has a pair in the ledger, and their totals.

Read from any web3. A header is believed as far as its hash: the receipts root that a purchase
cites must be in a header that hashes to the cited block.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chainperp.evm.deployment import text
from chainperp.evm.events import Seen, Span, find_all
from chainperp.model.bridge import EvmContracts
from contracts_py.anchor import Anchor
from contracts_py.bridge import Bridge
from contracts_py.buyback import BuybackVault
from contracts_py.digests import keccak
from contracts_py.tokens import TestUSD, Token

if TYPE_CHECKING:
    from web3 import Web3

# Fields of a header in the order in which they are hashed (Yellow Paper 4.4, EIPs 1559, 4895, 4844,
# 4788, 7685); True for a quantity. The later ones are there from their fork on.
HEADER: Final = (
    ("parentHash", False), ("sha3Uncles", False), ("miner", False), ("stateRoot", False),
    ("transactionsRoot", False), ("receiptsRoot", False), ("logsBloom", False),
    ("difficulty", True), ("number", True), ("gasLimit", True), ("gasUsed", True),
    ("timestamp", True), ("extraData", False), ("mixHash", False), ("nonce", False),
    ("baseFeePerGas", True), ("withdrawalsRoot", False), ("blobGasUsed", True),
    ("excessBlobGas", True), ("parentBeaconBlockRoot", False), ("requestsHash", False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """What contracts hold and have counted, at the last block that was read."""

    deposited: int
    paid: int
    bridge_usd: int
    supply: int
    initial_supply: int
    burned: int
    vault_tokens: int


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """The contracts' side of every pair, up to a block."""

    block: int
    deposits: tuple[Seen, ...]
    requested: tuple[Seen, ...]
    ended: tuple[Seen, ...]
    purchases: tuple[Seen, ...]
    anchored: tuple[Seen, ...]
    forks: tuple[Seen, ...]
    receipts_roots: dict[int, tuple[bytes, bytes]]
    "Per block with a purchase: hash of the header as it was computed here, and its receipts root."
    totals: Totals


def read_contracts(web3: "Web3", contracts: EvmContracts, first_block: int = 0) -> ContractFacts:
    """Every event since a block that the contracts are not older than, and their totals."""
    last = web3.eth.block_number
    span = Span(first_block, last)
    bridge = Bridge(web3, text(contracts.bridge))
    vault = BuybackVault(web3, text(contracts.vault))
    anchor = Anchor(web3, text(contracts.anchor))
    ends = ("Finalized", "Cancelled", "Invalidated")
    life = find_all(bridge, ("Deposit", "Requested", *ends), span)
    purchases = find_all(vault, ("Bought",), span)
    log = find_all(anchor, ("Anchored", "ForkProven"), span)
    blocks = sorted({one.at.block for one in purchases})
    headers = {number: web3.eth.get_block(number) for number in blocks}

    def named(rows: list[Seen], *names: str) -> tuple[Seen, ...]:
        return tuple(one for one in rows if one.name in names)

    return ContractFacts(
        block=last,
        deposits=named(life, "Deposit"),
        requested=named(life, "Requested"),
        ended=named(life, *ends),
        purchases=tuple(purchases),
        anchored=named(log, "Anchored"),
        forks=named(log, "ForkProven"),
        receipts_roots={
            number: (header_hash(one), bytes(one["receiptsRoot"]))
            for number, one in headers.items()
        },
        totals=_totals(web3, contracts, last),
    )


def _totals(web3: "Web3", contracts: EvmContracts, block: int) -> Totals:
    bridge = Bridge(web3, text(contracts.bridge))
    token = Token(web3, text(contracts.token))
    usd = TestUSD(web3, text(contracts.usd))
    rows: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
        (bridge, "deposited", ()),
        (bridge, "paid", ()),
        (usd, "balanceOf", (bridge.address,)),
        (token, "totalSupply", ()),
        (token, "INITIAL_SUPPLY", ()),
        (token, "burned", ()),
        (token, "balanceOf", (web3.to_checksum_address(text(contracts.vault)),)),
    )
    return Totals(*(int(one.call(name, *given, block=block)) for one, name, given in rows))


def header_hash(block: Any) -> bytes:
    """Hash of a block's header, computed from its fields as JSON-RPC gives them."""
    body = b""
    for name, is_number in HEADER:
        value = block.get(name)
        if value is None:
            break
        body += _rlp(_raw(value, is_number=is_number))
    return keccak(_length(len(body), 0xC0) + body)


def _raw(value: Any, *, is_number: bool) -> bytes:
    if is_number:
        number = int(value)
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


def _rlp(raw: bytes) -> bytes:
    """RLP of a string of bytes."""
    if len(raw) == 1 and raw[0] < 0x80:
        return raw
    return _length(len(raw), 0x80) + raw


def _length(count: int, offset: int) -> bytes:
    if count <= 55:
        return bytes([offset + count])
    size = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size
