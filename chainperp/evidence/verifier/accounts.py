"""What proven leaves say about an account: its scopes with value and maintenance, by the rules.

A scope is the cross account or one isolated position. Its figures are computed here from the
leaves alone (MRG-2, MRG-8), never taken from an entry.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import tagged_hash
from chainperp.base.units import (
    USD_ONE,
    Address,
    Usd,
    address_text,
    price_text,
    size_text,
    usd_text,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import Leaves, Placed
from chainperp.evidence.verifier.steps import Steps
from chainperp.model.markets import MarketTerms, margin_tiers
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import maintenance_margin
from chainperp.state.schemas import spot_collection

SIDES: Final = ("L", "S")


class Terms:
    """A chain's genesis as far as proofs read it: market terms, parameters, and name and decimals
    of each token besides USDC, from number 1 on."""

    __slots__ = ("markets", "parameters", "tokens")

    def __init__(
        self,
        markets: list[MarketTerms],
        parameters: dict[str, int],
        tokens: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.markets = markets
        self.parameters = parameters
        self.tokens = tokens

    def market(self, asset: int) -> MarketTerms:
        """Terms of a market. Raises InvalidProof when genesis has none."""
        if asset >= len(self.markets):
            raise InvalidProof(f"genesis has no market {asset}")
        return self.markets[asset]

    def size(self, asset: int, lots: int) -> str:
        """Lots for people, with the market's name."""
        terms = self.market(asset)
        return f"{size_text(lots, terms.size_decimals)} {terms.name}"

    def price(self, asset: int, price: int) -> str:
        """A grid price for people."""
        return price_text(price, self.market(asset).size_decimals)


def read_terms(steps: Steps, raw: bytes, seal: Placed) -> Terms:
    """Terms of a genesis file whose hash is the chain id of a proven SEAL.

    The file was parsed strictly by whoever executed the chain; its hash stands for it, so only the
    fields that are needed are read here.
    """
    steps.begin("genesis is the chain's")
    chain_id = tagged_hash("chain", raw)
    if chain_id != seal.fields["chain_id"]:
        raise InvalidProof(
            f"genesis hashes to {chain_id.hex()}, the SEAL's chain id is "
            f"{seal.fields['chain_id'].hex()}"
        )
    try:
        tree = json.loads(raw)
        markets = [_market(asset, row) for asset, row in enumerate(tree["markets"])]
        values = tree["parameters"]
        numbers = {name: value for name, value in values.items() if type(value) is int}
        tokens = [(row["name"], row["wei_decimals"]) for row in tree["spot"]["tokens"]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidProof(f"genesis cannot be read: {error}") from error
    steps.done(f"chain id {chain_id.hex()}, {len(markets)} markets")
    return Terms(markets, numbers, tokens)


def _market(asset: int, row: dict[str, Any]) -> MarketTerms:
    tiers, denominator = margin_tiers(
        [(lower * USD_ONE, leverage) for lower, leverage in row["margin_tiers"]]
    )
    return MarketTerms(
        asset, row["name"], row["size_decimals"], tiers, denominator,
        Usd(row["impact_notional"] * USD_ONE), row["isolated_only"],
    )  # fmt: skip


class Held(NamedTuple):
    """One position: signed lots, its entry notional, its own cash when isolated."""

    asset: int
    lots: int
    entry_notional: int
    is_cross: bool
    raw_isolated: int


class Scope(NamedTuple):
    """A scope's figures at the marks: `asset` is CROSS_SCOPE, or an isolated position's."""

    asset: int
    value: int
    maintenance: int
    positions: tuple[Held, ...]


class AccountView:
    """An account under a proven state root; every position that its leaf lists is shown too."""

    __slots__ = ("address", "fields", "positions")

    def __init__(self, view: Leaves, address: Address) -> None:
        fields = view.record("acct", address)
        if fields is None:
            raise InvalidProof(f"{address_text(address)} is not in the state")
        self.address = address
        self.fields: Record = fields
        self.positions = [_held(view, address, row["asset"]) for row in fields["positions"]]

    def held(self, asset: int) -> Held | None:
        """The account's position in a market."""
        return next((one for one in self.positions if one.asset == asset), None)

    def scope(self, asset: int, marks: dict[int, int], terms: Terms) -> Scope:
        """Value and maintenance margin of a scope. Raises InvalidProof when it does not exist."""
        if asset != CROSS_SCOPE:
            one = self.held(asset)
            if one is None or one.is_cross:
                raise InvalidProof(
                    f"{address_text(self.address)} has no isolated position in market {asset}"
                )
            worth = one.lots * marks[asset]
            needed = maintenance_margin(abs(worth), terms.market(asset))
            return Scope(asset, one.raw_isolated + worth, needed, (one,))
        crossed = tuple(one for one in self.positions if one.is_cross)
        value = self.fields["raw"]
        needed = 0
        for one in crossed:
            worth = one.lots * marks[one.asset]
            value += worth
            needed += maintenance_margin(abs(worth), terms.market(one.asset))
        return Scope(CROSS_SCOPE, value, needed, crossed)

    def equity(self, marks: dict[int, int]) -> int:
        """Value of all that is margin: cross, isolated cash, positions at mark."""
        worth = sum(one.lots * marks[one.asset] for one in self.positions)
        total: int = self.fields["raw"] + self.fields["raw_isolated"] + worth
        return total


def spot_balance(view: Leaves, address: Address) -> int:
    """USDC of an account outside the margin of perpetuals; its leaf, or its absence, is shown."""
    return token_balance(view, 0, address)


def token_balance(view: Leaves, token: int, address: Address) -> int:
    """The same of any token, by its number, in its smallest unit."""
    found = view.record(spot_collection(token), address)
    return 0 if found is None else int(found["total"])


def _held(view: Leaves, address: Address, asset: int) -> Held:
    """A position that the account lists, from the side that shows it."""
    for side in SIDES:
        name = f"pos/{asset:08x}/{side}"
        if not view.shows(name, address):
            continue
        found = view.record(name, address)
        if found is not None:
            lots = found["lots"] if side == "L" else -found["lots"]
            return Held(
                asset, lots, found["entry_notional"], found["is_cross"], found["raw_isolated"]
            )
    raise InvalidProof(f"{address_text(address)} lists market {asset}, its position is not shown")


def state_marks(view: Leaves, positions: list[Held]) -> dict[int, int]:
    """Marks of the markets of some positions, from the state's own `oracle` leaves."""
    marks: dict[int, int] = {}
    for one in positions:
        fields = view.record("oracle", one.asset.to_bytes(4, "big"))
        if fields is None:
            raise InvalidProof(f"market {one.asset} has no leaf in the state")
        marks[one.asset] = fields["mark"]
    return marks


def position_words(terms: Terms, held: Held, mark: int) -> str:
    """One position in words, with what it is worth."""
    side = "long" if held.lots > 0 else "short"
    kind = "cross" if held.is_cross else "isolated"
    return (
        f"{side} {terms.size(held.asset, abs(held.lots))} ({kind}), entered for "
        f"{usd_text(held.entry_notional)}, at mark {terms.price(held.asset, mark)} worth "
        f"{usd_text(abs(held.lots) * mark)}"
    )


def scope_words(asset: int, terms: Terms) -> str:
    """Name of a scope."""
    if asset == CROSS_SCOPE:
        return "the cross account"
    return f"the isolated {terms.market(asset).name} position"


def read_genesis(fields: Fields) -> bytes:
    """Bytes of the genesis file that a proof carries as text."""
    return fields.text("genesis").encode("utf-8", "surrogatepass")
