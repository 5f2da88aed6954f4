"""What crosses the border between the ledger and the contracts on an EVM: the bodies of the inputs
that record it, and the contracts that a genesis names.

The keeper writes these bodies, the engine reads them, an audit compares them with the events of the
contracts. Amounts are micro-USDC, of the token its smallest unit. Source: ADR 0006.
"""

from typing import Final, NamedTuple

from chainperp.base.canonical import Schema
from chainperp.base.units import Address

PAID: Final = 1
CANCELLED: Final = 2

# Decimals of the token on the EVM, where it is an ERC-20; on the spot market it has its own.
EVM_TOKEN_DECIMALS: Final = 18

# `l1_ref` of a grant: money of a development chain that came from nowhere.
GRANT_MARK: Final = b"dev".ljust(32, b"\x00")
GRANT_NONCE: Final = 0

# Where on the EVM it happened: number and hash of the block, place of the log within the block.
CITATION: Final[Schema] = (("block", "u64"), ("block_hash", "b32"), ("log_index", "u32"))
# An event Deposit of the Bridge: `user` is its beneficiary, `payer` who called and paid.
BRIDGE_DEPOSIT_BODY: Final[Schema] = (
    ("user", "b20"), ("payer", "b20"), ("amount", "u128"), ("nonce", "u64"), *CITATION,
)  # fmt: skip
# An event Finalized of the Bridge (outcome 1), or Cancelled or Invalidated (outcome 2).
BRIDGE_PAYOUT_BODY: Final[Schema] = (("wid", "u64"), ("outcome", "u8"), *CITATION)
# An event Bought of the BuybackVault. `log_root` is the receipts root of the EVM block.
EVM_BUYBACK_BODY: Final[Schema] = (
    ("number", "u64"), ("decision", "b32"), ("spent", "u128"), ("bought", "u128"),
    ("burned", "u128"), ("log_root", "b32"), *CITATION,
)  # fmt: skip
GRANT_BODY: Final[Schema] = (("user", "b20"), ("amount", "u128"))


class EvmContracts(NamedTuple):
    """The contracts of a chain, by the addresses that they have on an EVM with this chain id."""

    chain_id: int
    usd: Address
    token: Address
    anchor: Address
    bridge: Address
    pool: Address
    vault: Address
    registry: Address
