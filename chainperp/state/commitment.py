"""Keeps the state tree beside the state: dirty leaves in, one root out.

One per chain. `commit` encodes only what changed since the last time; the first commit of a fresh
one takes everything but the leaves of the trees that it is given, which a snapshot holds as they
are. So is a restored snapshot checked against its seal.
"""

from chainperp.base.units import Address
from chainperp.model.accounts import Account, Exposure
from chainperp.state import arrangements, leaves
from chainperp.state.proof import Root
from chainperp.state.root import cash_of, descriptors, list_root
from chainperp.state.store import State
from chainperp.state.tree import Tree

COUNTERS_KEY = b"counters"
FIXED = (
    ("acct", 1),
    ("agent", 0),
    ("val", 0),
    ("oracle", 0),
    ("wd", 1),
    ("exempt", 0),
    ("param", 0),
    ("meta", 0),
)


class Committed:
    """A committed state: its root, how many collections it lists, and each collection's root."""

    __slots__ = ("collections", "roots", "state_root")

    def __init__(self, roots: dict[str, Root]) -> None:
        listed = descriptors(roots)
        self.roots = roots
        self.state_root = list_root(listed)
        self.collections = len(listed)

    def cash_sum(self) -> int:
        """Every cell of the custody sum."""
        return cash_of(self.roots)


class Commitment:
    """The trees of one chain's state."""

    __slots__ = ("last", "trees")

    def __init__(self, state: State, loaded: dict[str, Tree] | None = None) -> None:
        """Trees of a state. `loaded`: those of accounts and positions, with every leaf in them."""
        self.trees: dict[str, Tree] = {name: Tree(name, columns) for name, columns in FIXED}
        for name in arrangements.names(len(state.tokens)):
            collection = arrangements.collection_of(name)
            self.trees[name] = Tree(name, 1 if collection.amount else 0)
            for key in collection.keys(state):
                state.note(name, key)
        for market in state.markets:
            market.is_dirty = True
            for side in ("L", "S"):
                name = f"pos/{market.asset:08x}/{side}"
                self.trees[name] = Tree(name, 2)
        for key, value in leaves.encode_parameters(state):
            self.trees["param"].set(key, value, ())
        if loaded is None:
            for account in state.accounts.values():
                state.touch(account)
                for exposure in account.exposures.values():
                    state.touch_exposure(account, exposure)
        else:
            self.trees.update(loaded)
        state.changed_agents = dict.fromkeys(state.agents)
        state.changed_validators = dict.fromkeys(state.validators)
        state.changed_withdrawals = dict.fromkeys(state.withdrawals)
        state.changed_exempt = dict.fromkeys(state.exempt)
        self.last: Committed | None = None

    def commit(self, state: State, with_books: bool = False) -> Committed:
        """Bring every change since the last commit into the trees.

        `with_books` adds the digest of every book: at snapshot heights only.
        """
        self._collect_accounts(state)
        self._collect_rest(state)
        self._collect_arrangements(state)
        roots = {name: tree.commit() for name, tree in self.trees.items()}
        if with_books:
            roots["book"] = book_root(state)
        self.last = Committed(roots)
        return self.last

    def _collect_accounts(self, state: State) -> None:
        tree = self.trees["acct"]
        for account in state.changed_accounts:
            account.is_dirty = False
            total = account.raw + account.raw_isolated_total
            tree.set(account.address, leaves.encode_account(state, account), (total,))
        state.changed_accounts = []
        for account, exposure in state.changed_exposures:
            exposure.is_dirty = False
            self._set_position(account, exposure)
        state.changed_exposures = []

    def _set_position(self, account: Account, exposure: Exposure) -> None:
        """A position is a leaf of exactly one side, or of none."""
        address: Address = account.address
        lots = exposure.lots
        longs = self.trees[f"pos/{exposure.asset:08x}/L"]
        shorts = self.trees[f"pos/{exposure.asset:08x}/S"]
        if lots <= 0:
            longs.delete(address)
        if lots >= 0:
            shorts.delete(address)
        if lots > 0:
            columns = (lots, exposure.entry_notional)
            longs.set(address, leaves.encode_position(exposure), columns)
        elif lots < 0:
            columns = (-lots, -exposure.entry_notional)
            shorts.set(address, leaves.encode_position(exposure), columns)

    def _collect_arrangements(self, state: State) -> None:
        for name, key in state.changed_arrangements:
            found = arrangements.encode(state, name, key)
            if found is None:
                self.trees[name].delete(key)
            else:
                self.trees[name].set(key, *found)
        state.changed_arrangements = {}

    def _collect_rest(self, state: State) -> None:
        for address in state.changed_agents:
            agent = state.agents.get(address)
            if agent is None:
                self.trees["agent"].delete(address)
            else:
                self.trees["agent"].set(address, leaves.encode_agent(agent), ())
        state.changed_agents = {}
        for address in state.changed_validators:
            value = leaves.encode_validator(state.validators[address])
            self.trees["val"].set(address, value, ())
        state.changed_validators = {}
        for wid in state.changed_withdrawals:
            pending = state.withdrawals.get(wid)
            key = wid.to_bytes(8, "big")
            if pending is None:
                self.trees["wd"].delete(key)
            else:
                value = leaves.encode_withdrawal(pending)
                self.trees["wd"].set(key, value, (pending.amount,))
        state.changed_withdrawals = {}
        for address in state.changed_exempt:
            ranges = state.exempt.get(address)
            if ranges is None:
                self.trees["exempt"].delete(address)
            else:
                self.trees["exempt"].set(address, leaves.encode_exemptions(ranges), ())
        state.changed_exempt = {}
        for market in state.markets:
            if market.is_dirty:
                market.is_dirty = False
                key = market.asset.to_bytes(4, "big")
                self.trees["oracle"].set(key, leaves.encode_market(market), ())
        self.trees["meta"].set(COUNTERS_KEY, leaves.encode_counters(state), ())


def book_root(state: State) -> Root:
    """Root of the collection `book`: one digest per market and spot pair."""
    tree = Tree("book", 0)
    for market in state.markets:
        tree.set(market.asset.to_bytes(4, "big"), leaves.encode_book_digest(market), ())
    for pair in state.pairs:
        tree.set(pair.asset.to_bytes(4, "big"), leaves.encode_spot_digest(pair), ())
    return tree.commit()
