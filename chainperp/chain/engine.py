"""The engine: one chain in memory, driven block by block.

Three drivers use it: the sequencer, replay, and (later) consensus. It knows no files, no clock and
no signatures: a block's inputs come in, entries and the SEAL come out. If executing a block raises,
the engine is spoiled and must be thrown away; nothing of the block was published.
"""

from hashlib import sha256
from typing import Final

from chainperp.base.errors import InvalidBytes, InvalidSnapshot, InvariantBroken, ensure
from chainperp.base.hashing import ZERO32, leaf_hash, tagged_hash
from chainperp.base.units import Address
from chainperp.chain.genesis import Genesis, first_state
from chainperp.evidence.merkle import Frontier, root_of
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload, encode_entry, encode_seal
from chainperp.model.tokens import USDC
from chainperp.rules.conservation import (
    check_cash,
    check_held,
    check_lots,
    check_shares,
    check_supply,
)
from chainperp.rules.ordering import periods_due
from chainperp.rules.spot import spot_hold
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.schemas import spot_collection
from chainperp.state.snapshot import decode_snapshot, encode_snapshot, is_snapshot_of
from chainperp.state.store import State
from chainperp.state.tree import Tree
from chainperp.transition.block import BlockOutcome, Companions, apply_block
from chainperp.transition.recorder import Recorder
from chainperp.transition.risk import MARK_ROW_PREFIX, RiskOutcome, mark_row
from chainperp.transition.sweep import Sweep

ADL_ITEM_PREFIX: Final = b"\x00\x61"


class SealedBlock:
    """What one block adds to the log: its entries, the SEAL last, and their leaf hashes."""

    __slots__ = ("entries", "first_index", "height", "leaves", "state_root", "time_ms")

    def __init__(
        self, height: int, time_ms: int, first_index: int, entries: list[bytes],
        leaves: list[bytes], state_root: bytes,
    ) -> None:  # fmt: skip
        self.height = height
        self.time_ms = time_ms
        self.first_index = first_index
        self.entries = entries
        self.leaves = leaves
        self.state_root = state_root


class Engine:
    """State, state tree and log frontier of one chain, at the end of some block."""

    __slots__ = ("chain_id", "commitment", "committed", "frontier", "genesis", "rules_hash",
                 "seal", "seal_leaf", "state", "sweep", "unsealed", "valset_hash")  # fmt: skip

    def __init__(self, genesis: Genesis, rules_hash: bytes) -> None:
        self.genesis = genesis
        self.chain_id = genesis.chain_id
        self.rules_hash = rules_hash
        self.state: State = first_state(genesis)
        self.commitment = Commitment(self.state)
        self.committed: Committed | None = None
        self.sweep: Sweep | None = None
        self.frontier = Frontier()
        self.unsealed = b""
        self.seal = b""
        self.seal_leaf = ZERO32
        self.valset_hash = _valset_hash(genesis)

    @property
    def height(self) -> int:
        """Height of the last sealed block."""
        return self.state.height

    def seal_genesis(self) -> SealedBlock:
        """Block 0: the genesis bytes and the first SEAL."""
        ensure(self.frontier.size == 0, "INV-G1", "block 0 was sealed before")
        recorder = Recorder(0, 0)
        recorder.add(Kind.GENESIS, self.genesis.raw)
        return self._seal(recorder, self.genesis.proposer, BlockOutcome([], RiskOutcome()))

    def execute(self, block: BlockInput) -> SealedBlock:
        """Apply one block, check the invariants, commit the state and seal it."""
        recorder = Recorder(self.state.height + 1, self.frontier.size)
        if self.sweep is None:
            self.sweep = Sweep(self.state)
        beside = Companions(self.commitment, self.sweep, self.seal_leaf)
        outcome = apply_block(self.state, block, recorder, beside)
        return self._seal(recorder, block.proposer, outcome)

    def _seal(self, recorder: Recorder, proposer: Address, outcome: BlockOutcome) -> SealedBlock:
        state = self.state
        height = recorder.height
        committed = self._commit(height)
        first_index = self.frontier.size
        leaves = [sha256(b"\x00" + entry).digest() for entry in recorder.entries]
        self.frontier.extend(leaves)
        if self.is_snapshot_height(height):
            self.unsealed = self.frontier.encode()
        marks = [
            sha256(MARK_ROW_PREFIX + mark_row(state, asset)).digest() for asset in outcome.moved
        ]
        tests = Tree("liq", 0)
        for key, place in outcome.risk.tests:
            tests.set(key, leaves[place], ())
        begins = [
            sha256(ADL_ITEM_PREFIX + leaves[index - first_index]).digest()
            for index in outcome.risk.adl_begins
        ]
        seal = encode_seal(
            {
                "chain_id": self.chain_id,
                "time_ms": state.time_ms,
                "prev_seal": self.seal_leaf,
                "first_index": first_index,
                "n_entries": len(recorder.entries),
                "log_root": self.frontier.root(),
                "state_root": committed.state_root,
                "n_collections": committed.collections,
                "rules_hash": self.rules_hash,
                "marks_root": root_of(marks),
                "n_marks": len(marks),
                "liq_root": tests.commit().h,
                "n_liq": len(outcome.risk.tests),
                "adl_root": root_of(begins),
                "n_adl": len(begins),
                "valset_hash": self.valset_hash,
                "proposer": proposer,
                "cash_sum": committed.cash_sum(),
                "entry_sum": 0,
                "custody": state.custody,
            }
        )
        entry = encode_entry(Kind.SEAL, height, len(recorder.entries), seal)
        self.seal = entry
        self.seal_leaf = leaf_hash(entry)
        self.frontier.append(self.seal_leaf)
        recorder.entries.append(entry)
        leaves.append(self.seal_leaf)
        return SealedBlock(
            height, state.time_ms, first_index, recorder.entries, leaves, committed.state_root
        )

    def _commit(self, height: int) -> Committed:
        """The committed state of a height; between commits the last root is repeated."""
        state = self.state
        parameters = state.parameters
        every = parameters.state_commit_every
        is_snapshot = self.is_snapshot_height(height)
        committed = self.committed
        if committed is None or is_snapshot or _is_multiple(height, every):
            committed = self.commitment.commit(state, with_books=is_snapshot)
            self.committed = committed
            check_cash(committed.cash_sum(), state.custody)
            check_shares(committed.roots["share"].sums[0], committed.roots["vault"].sums[0])
            check_tokens(state, committed)
        if _is_multiple(height, parameters.recount_interval):
            recount(state)
        return committed

    def is_snapshot_height(self, height: int) -> bool:
        """Whether the state of a height includes the books and may be kept as a snapshot."""
        return height > 0 and _is_multiple(height, self.state.parameters.snapshot_interval)

    def snapshot(self) -> bytes:
        """Bytes of the current state. Only meaningful right after a snapshot height's SEAL."""
        return encode_snapshot(self.state, self.commitment, self.unsealed, self.seal)

    def is_snapshot(self, raw: bytes) -> bool:
        """Whether these are the bytes of `snapshot`, without making all of them at once."""
        return is_snapshot_of(raw, self.state, self.commitment, self.unsealed, self.seal)

    def restore(self, raw: bytes, seal_entry: bytes) -> None:
        """Take over the state of a snapshot whose block was sealed by `seal_entry`.

        Raises InvalidSnapshot unless the state commits to the seal's root, its log frontier to the
        seal's log root, and the state is written with the same bytes again: for accounts,
        positions and nonces that is so because no other form of them is read. The engine is of no
        use after that.
        """
        genesis = self.genesis
        snapshot = decode_snapshot(
            raw,
            genesis.parameters,
            genesis.terms,
            genesis.network,
            genesis.listing,
            genesis.evm,
        )
        if snapshot.seal != seal_entry:
            raise InvalidSnapshot(f"snapshot {snapshot.height} belongs to another seal")
        if not self.is_snapshot_height(snapshot.height):
            raise InvalidSnapshot(f"the seal of height {snapshot.height} commits to no books")
        try:
            entry = decode_entry(seal_entry)
            sealed = decode_payload(entry)
            self.state = snapshot.state
            self.sweep = None
            self.commitment = Commitment(self.state, snapshot.trees)
            self.committed = self.commitment.commit(self.state, with_books=True)
            self.frontier = Frontier.decode(snapshot.frontier)
        except (InvalidBytes, InvariantBroken, IndexError) as error:
            raise InvalidSnapshot(f"snapshot {snapshot.height} is damaged: {error}") from error
        self.unsealed = snapshot.frontier
        self.seal = seal_entry
        for name, ours, theirs in (
            ("chain_id", self.chain_id, sealed["chain_id"]),
            ("height", snapshot.height, entry.height),
            ("time_ms", self.state.time_ms, sealed["time_ms"]),
            ("state_root", self.committed.state_root, sealed["state_root"]),
            ("log size", self.frontier.size, sealed["first_index"] + sealed["n_entries"]),
            ("log_root", self.frontier.root(), sealed["log_root"]),
        ):
            if ours != theirs:
                raise InvalidSnapshot(f"snapshot {snapshot.height} differs from its seal in {name}")
        if not self.is_snapshot(raw):
            raise InvalidSnapshot(f"snapshot {snapshot.height} differs from its state in bytes")
        self.seal_leaf = leaf_hash(seal_entry)
        self.frontier.append(self.seal_leaf)


def recount(state: State) -> None:
    """Recompute from the leaves what the engine keeps as running totals (reliability 5.1)."""
    cash = 0
    for account in state.accounts.values():
        cash += account.raw
        for exposure in account.exposures.values():
            cash += exposure.raw_isolated
    cash += sum(state.spot[USDC].values())
    for pending in state.withdrawals.values():
        cash += pending.amount
    check_cash(cash, state.custody)
    for vault in state.vaults.values():
        check_shares(sum(share.shares for share in vault.holders.values()), vault.shares)
    for market in state.markets:
        longs = 0
        shorts = 0
        for exposure in market.holders.values():
            longs += max(exposure.lots, 0)
            shorts += max(-exposure.lots, 0)
        check_lots(market.asset, longs, shorts)
        ensure(
            longs == market.lots_long,
            "INV-2",
            "open interest differs from its positions",
            asset=market.asset,
            counted=longs,
            kept=market.lots_long,
        )
    _recount_holds(state)


def _recount_holds(state: State) -> None:
    """What is held of each spot balance, from the resting orders (INV-6)."""
    reserved: dict[tuple[int, Address], int] = {}
    for pair in state.pairs:
        for side in (pair.book.bids, pair.book.asks):
            for order in side.walk():
                place = (USDC if order.is_buy else pair.base, order.account.address)
                hold = spot_hold(order.is_buy, order.price, order.remaining, pair.wei_per_lot)
                reserved[place] = reserved.get(place, 0) + hold
    for token in state.tokens:
        balances, held = state.spot[token.index], state.held[token.index]
        for address in sorted({**balances, **held}):
            check_held(
                token.index,
                reserved.get((token.index, address), 0),
                held.get(address, 0),
                balances.get(address, 0),
            )


def check_tokens(state: State, committed: Committed) -> None:
    """Of each token, the committed balances and what was burned are the supply (INV-5)."""
    for token in state.tokens:
        if token.index != USDC:
            balances = committed.roots[spot_collection(token.index)].sums[0]
            check_supply(token.index, balances, token.burned, token.supply)


def _is_multiple(height: int, interval: int) -> bool:
    return periods_due(height, height, max(interval, 1))[0] * max(interval, 1) == height


def _valset_hash(genesis: Genesis) -> bytes:
    """Hash of the validators and their power, by address."""
    rows = [address + power.to_bytes(8, "big") for address, power in sorted(genesis.validators)]
    return tagged_hash("valset", b"".join(rows))
