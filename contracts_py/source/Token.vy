# pragma version 0.4.3
# pragma evm-version prague
"""
@title Token
@license MIT
@notice The exchange's token: ERC-20, 18 decimals. The whole supply exists from the start; it can
        only shrink, by holders who burn what is theirs. Nobody can mint.
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

decimals: public(constant(uint8)) = 18

name: public(String[32])
symbol: public(String[8])
INITIAL_SUPPLY: public(immutable(uint256))


@deploy
def __init__(token_name: String[32], token_symbol: String[8], supply: uint256, holder: address):
    """
    @notice Give the whole supply to one holder.
    @param supply units of 10^-18
    @param holder who receives it
    """
    self.name = token_name
    self.symbol = token_symbol
    INITIAL_SUPPLY = supply
    erc20._mint(holder, supply)


@external
def burn(amount: uint256):
    """
    @notice Destroy `amount` units of the caller's balance for ever.
    """
    erc20._burn(msg.sender, amount)


@view
@external
def burned() -> uint256:
    """
    @notice Units burned so far: the initial supply less the present one.
    """
    return INITIAL_SUPPLY - erc20.totalSupply
