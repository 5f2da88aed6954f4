"""What is traded under which name: perpetuals and the pairs of the spot market, side by side."""

from dataclasses import dataclass
from typing import Protocol

from chainperp.model.markets import MarketTerms
from chainperp.model.tokens import SPOT_FIRST, SpotListing, Token, tokens_of
from chainperp.state.book import Book
from chainperp.state.pairs import SpotPair
from chainperp.state.store import Market, State


class Coin(Protocol):
    """A name on the wire with the grid of its sizes; prices have 6 decimals less those."""

    @property
    def asset(self) -> int:
        """Number of the asset."""

    @property
    def name(self) -> str:
        """Name on the wire."""

    @property
    def size_decimals(self) -> int:
        """Decimals of sizes."""


@dataclass(frozen=True, slots=True)
class PairTerms:
    """A spot pair: its name, the token that it trades, and how finely balances count it."""

    asset: int
    name: str
    size_decimals: int
    token: int
    token_name: str
    wei_decimals: int


@dataclass(frozen=True, slots=True)
class PairView:
    """A spot pair as books are shown."""

    terms: PairTerms
    pair: SpotPair

    @property
    def asset(self) -> int:
        """Number of the asset."""
        return self.terms.asset

    @property
    def book(self) -> Book:
        """Its book."""
        return self.pair.book


Listed = Market | PairView
Coins = dict[int, Coin]


def pair_terms(index: int, token: Token) -> PairTerms:
    """The pair at a place of the list."""
    return PairTerms(
        SPOT_FIRST + index, f"{token.name}/USDC", token.size_decimals, token.index, token.name,
        token.wei_decimals,
    )  # fmt: skip


def coins_of(terms: list[MarketTerms], listing: SpotListing) -> Coins:
    """Everything that a chain trades, by asset number."""
    tokens = tokens_of(listing)
    found: Coins = {one.asset: one for one in terms}
    for index, base in enumerate(listing.pairs):
        found[SPOT_FIRST + index] = pair_terms(index, tokens[base])
    return found


def pair_views(state: State) -> list[PairView]:
    """The spot pairs, in order."""
    return [
        PairView(pair_terms(pair.asset - SPOT_FIRST, state.tokens[pair.base]), pair)
        for pair in state.pairs
    ]


def coin_terms(state: State, asset: int) -> Coin | None:
    """Terms of an asset number; None when nothing has it."""
    if asset < len(state.markets):
        return state.markets[asset].terms
    index = asset - SPOT_FIRST
    if 0 <= index < len(state.pairs):
        return pair_terms(index, state.tokens[state.pairs[index].base])
    return None


def known_terms(state: State, asset: int) -> Coin:
    """Terms of an asset that orders and trades are in."""
    found = coin_terms(state, asset)
    if found is None:
        raise LookupError(f"there is no asset {asset}")
    return found


def listed_of(state: State, coin: str) -> Listed | None:
    """The market or pair of a name on the wire; a pair is also known by its place, as `@0`."""
    for market in state.markets:
        if market.terms.name == coin:
            return market
    for view in pair_views(state):
        if coin in (view.terms.name, f"@{view.asset - SPOT_FIRST}"):
            return view
    return None
