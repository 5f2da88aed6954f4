# pragma version 0.4.3
# pragma evm-version prague
"""
@title TestUSD
@license MIT
@notice A stand-in for USDC: ERC-20 with permit (EIP-2612), 6 decimals, minted by one account.
@dev It has no value and must not be deployed where it could be taken for the real thing.
"""

import erc20

initializes: erc20
exports: (
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
)

name: public(constant(String[32])) = "chainperp test dollar"
symbol: public(constant(String[8])) = "tUSD"
decimals: public(constant(uint8)) = 6
version: public(constant(String[1])) = "1"

DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PERMIT: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

MINTER: public(immutable(address))
nonces: public(HashMap[address, uint256])


@deploy
def __init__(minter: address):
    """
    @notice Start with no supply.
    @param minter the account that may mint
    """
    MINTER = minter


@external
def mint(receiver: address, amount: uint256):
    """
    @notice Make `amount` micro-dollars for `receiver`. Only the minter.
    """
    assert msg.sender == MINTER, "only the minter"
    erc20._mint(receiver, amount)


@view
@external
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice EIP-712 domain of permits on this chain.
    """
    return self._domain()


@view
@internal
def _domain() -> bytes32:
    return keccak256(abi_encode(DOMAIN, keccak256(name), keccak256(version), chain.id, self))


@external
def permit(
    owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice Approve by signature (EIP-2612). Each nonce of `owner` works once, in order.
    @param deadline last second at which the permit works
    """
    assert block.timestamp <= deadline, "permit: expired"
    assert convert(s, uint256) <= HALF_ORDER, "permit: s is high"
    nonce: uint256 = self.nonces[owner]
    digest: bytes32 = keccak256(
        concat(
            b"\x19\x01",
            self._domain(),
            keccak256(abi_encode(PERMIT, owner, spender, amount, nonce, deadline)),
        )
    )
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address) and signer == owner, "permit: wrong signer"
    self.nonces[owner] = nonce + 1
    erc20._approve(owner, spender, amount)
