"""Tokens and the pairs in which they trade on the spot market.

Amounts of a token are integers of 10^-`wei_decimals`, USDC's of 10^-6 as everywhere else. A lot is
10^-`size_decimals` tokens; a price stands on the grid 10^-(6 - `size_decimals`) USDC, so that price
times lots is exactly micro-USDC. Source: hyperliquid-protocol 1.1, 1.3, 11.1.
"""

from typing import Final, NamedTuple

from chainperp.base.hashing import tagged_hash
from chainperp.base.units import USD_DECIMALS

SPOT_FIRST: Final = 10_000  # asset number of pair 0; perpetuals are below it
TOKENS_MAX: Final = 16  # USDC included
USDC: Final = 0
USDC_ID: Final = bytes.fromhex("6d1e7cde53ba9467b783cb7c530ce054")


class TokenTerms(NamedTuple):
    """A token as genesis lists it; `supply` in its smallest unit."""

    name: str
    size_decimals: int
    wei_decimals: int
    supply: int


class SpotListing(NamedTuple):
    """What genesis lists: tokens from number 1 on, and the base token of each pair."""

    tokens: tuple[TokenTerms, ...] = ()
    pairs: tuple[int, ...] = ()


NO_SPOT: Final = SpotListing()


class Token:
    """A token. `supply` is what genesis made, `burned` what is gone since; both in the smallest
    unit. USDC (number 0) has no supply of its own: what there is of it is the custody sum."""

    __slots__ = ("burned", "index", "name", "size_decimals", "supply", "wei_decimals")

    def __init__(
        self, index: int, name: str, size_decimals: int, wei_decimals: int, supply: int
    ) -> None:
        self.index = index
        self.name = name
        self.size_decimals = size_decimals
        self.wei_decimals = wei_decimals
        self.supply = supply
        self.burned = 0

    @property
    def circulating(self) -> int:
        """What is left of the supply."""
        return self.supply - self.burned


def tokens_of(listing: SpotListing) -> list[Token]:
    """USDC and the listed tokens, by number."""
    tokens = [Token(USDC, "USDC", USD_DECIMALS, USD_DECIMALS, 0)]
    for index, terms in enumerate(listing.tokens, start=1):
        tokens.append(Token(index, *terms))
    return tokens


def token_key(index: int) -> bytes:
    """Key of a token or pair in its collection."""
    return index.to_bytes(4, "big")


def token_id(index: int, name: str) -> bytes:
    """The 16 bytes that name a token on the wire: Hyperliquid's own for USDC, else a hash of number
    and name."""
    if index == USDC:
        return USDC_ID
    return tagged_hash("token", token_key(index) + name.encode("ascii"))[:16]


def wire_name(index: int, name: str) -> str:
    """A token as signed actions name it: `NAME:0x…`."""
    return f"{name}:0x{token_id(index, name).hex()}"


USDC_NAME: Final = wire_name(USDC, "USDC")
