"""The committed leaves of a whole state, as an auditor reads them: the trees, not the engine's
objects.

Everything that an audit says about accounts is computed from these values by the rules, so it does
not depend on the caches with which the engine works.
"""

from collections.abc import Mapping
from typing import NamedTuple

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.evidence.liabilities import Liability
from chainperp.evidence.verifier.accounts import Terms
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.proof import Root
from chainperp.state.schemas import ACCOUNT, MARKET, POSITION, SPOT_USDC, schema_of
from chainperp.state.store import State
from chainperp.state.tree import Tree


class TreeLeaves:
    """All leaves of a committed state: `Leaves` for the checks that proofs use."""

    __slots__ = ("_roots", "trees")

    def __init__(self, trees: Mapping[str, Tree], committed: Committed) -> None:
        self.trees = trees
        self._roots = committed.roots

    def shows(self, collection: str, key: bytes) -> bool:
        """Whether a key is there."""
        tree = self.trees.get(collection)
        return tree is not None and tree.get(key) is not None

    def record(self, collection: str, key: bytes) -> Record | None:
        """Named fields of a key's value, None when it is absent."""
        tree = self.trees.get(collection)
        value = None if tree is None else tree.get(key)
        return None if value is None else canonical.decode(schema_of(collection), value)

    def root(self, collection: str) -> Root | None:
        """Root of a collection, None when it is empty."""
        found = self._roots.get(collection)
        return None if found is None or not found.count else found

    def finish(self) -> None:
        """Nothing is shown here that was not asked for."""


class Position(NamedTuple):
    """One position as its leaf says."""

    asset: int
    lots: int
    is_cross: bool
    raw_isolated: int


class Failing(NamedTuple):
    """A scope below its maintenance margin."""

    address: bytes
    asset: int
    value: int
    maintenance: int
    has_positions: bool


class Census:
    """Every account of a committed state with its positions; decoded values are kept.

    One per audit: a leaf whose bytes did not change since the last commit is not decoded again.
    """

    __slots__ = ("_accounts", "_positions", "terms")

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._accounts: dict[bytes, tuple[bytes, int]] = {}
        self._positions: dict[tuple[str, bytes], tuple[bytes, Position]] = {}

    def accounts(self, trees: Mapping[str, Tree]) -> dict[bytes, int]:
        """Cross cash of every account."""
        known = self._accounts
        found: dict[bytes, int] = {}
        for key, value, _sums in trees["acct"].items():
            before = known.get(key)
            if before is None or before[0] is not value:
                before = known[key] = (value, canonical.decode(ACCOUNT, value)["raw"])
            found[key] = before[1]
        return found

    def positions(self, trees: Mapping[str, Tree]) -> dict[bytes, list[Position]]:
        """Positions of every account that has one."""
        known = self._positions
        found: dict[bytes, list[Position]] = {}
        for asset in range(len(self.terms.markets)):
            for side in ("L", "S"):
                name = f"pos/{asset:08x}/{side}"
                for key, value, _sums in trees[name].items():
                    before = known.get((name, key))
                    if before is None or before[0] is not value:
                        before = known[name, key] = (value, _position(asset, side, value))
                    found.setdefault(key, []).append(before[1])
        return found

    def equities(self, trees: Mapping[str, Tree]) -> dict[bytes, int]:
        """Value of everything that each account has, spot balance included, at the state's own
        marks."""
        marks = marks_of(trees, len(self.terms.markets))
        totals = self.accounts(trees)
        for key, held in self.positions(trees).items():
            totals[key] += sum(one.raw_isolated + one.lots * marks[one.asset] for one in held)
        for key, _value, sums in trees[SPOT_USDC].items():
            totals[key] += sums[0]
        return totals

    def failing(self, trees: Mapping[str, Tree]) -> list[Failing]:
        """Every scope below its maintenance margin (MRG-8), by a walk over all accounts."""
        marks = marks_of(trees, len(self.terms.markets))
        accounts = self.accounts(trees)
        found: list[Failing] = []
        positions = self.positions(trees)
        for address, raw in accounts.items():
            value = raw
            needed = 0
            has_cross = False
            for one in positions.get(address, ()):
                worth = one.lots * marks[one.asset]
                margin = maintenance_margin(abs(worth), self.terms.markets[one.asset])
                if one.is_cross:
                    has_cross = True
                    value += worth
                    needed += margin
                elif is_liquidatable(one.raw_isolated + worth, margin):
                    alone = one.raw_isolated + worth
                    found.append(Failing(address, one.asset, alone, margin, True))
            if is_liquidatable(value, needed):
                found.append(Failing(address, CROSS_SCOPE, value, needed, has_cross))
        return found


def _position(asset: int, side: str, value: bytes) -> Position:
    fields = canonical.decode(POSITION, value)
    lots = fields["lots"] if side == "L" else -fields["lots"]
    return Position(asset, lots, fields["is_cross"], fields["raw_isolated"])


def marks_of(trees: Mapping[str, Tree], markets: int) -> list[int]:
    """Mark of every market, from its leaf."""
    found: list[int] = []
    for asset in range(markets):
        value = trees["oracle"].get(asset.to_bytes(4, "big"))
        found.append(0 if value is None else canonical.decode(MARKET, value)["mark"])
    return found


def liabilities_of(trees: Mapping[str, Tree], equities: Mapping[bytes, int]) -> list[Liability]:
    """Leaves of the liabilities tree, by address."""
    values = {key: value for key, value, _sums in trees["acct"].items()}
    return [Liability.of(key, equities[key], values[key]) for key in sorted(values)]


class Moment:
    """The state at one commit of a block: valid until the block goes on."""

    __slots__ = ("committed", "leaves", "state", "trees")

    def __init__(self, state: State, commitment: Commitment, committed: Committed) -> None:
        self.state = state
        self.committed = committed
        self.trees: Mapping[str, Tree] = commitment.trees
        self.leaves = TreeLeaves(commitment.trees, committed)
