"""State to bytes and back. A snapshot is an accelerator: it is believed only if the state restored
from it commits to the root in its block's seal, and is written with the same bytes again.

    "CPSNAP01" | height u64 | time u64 | frontier before the SEAL | SEAL entry | sections

Sections are the leaves of every collection, the nonce lists that the leaves only have digests of,
and each market's live orders: resting ones in queue order, waiting ones, and their groups.
"""

import struct
from collections.abc import Iterator, Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Reader, Record, Schema
from chainperp.base.errors import InvalidBytes, InvalidSnapshot, InvariantBroken
from chainperp.base.units import Address, day_of
from chainperp.model.accounts import Account, Agent, Exemption, Exposure, Validator, Withdrawal
from chainperp.model.actions import TimeInForce
from chainperp.model.bridge import EvmContracts
from chainperp.model.markets import MarketTerms
from chainperp.model.orders import Group, Order, Trigger
from chainperp.model.tokens import NO_SPOT, USDC, SpotListing
from chainperp.parameters.schema import Parameters
from chainperp.state import arrangements, leaves, schemas
from chainperp.state.book import Book
from chainperp.state.commitment import Commitment
from chainperp.state.loading import Loading, Owner, read_accounts, read_nonces, read_positions
from chainperp.state.pairs import SpotPair
from chainperp.state.store import Market, State
from chainperp.state.tree import Tree

MAGIC: Final = b"CPSNAP01"
HEAD: Final[Schema] = (
    ("height", "u64"), ("time_ms", "u64"), ("frontier", "bytes"), ("seal", "bytes"),
)  # fmt: skip
LEAF: Final[Schema] = (("key", "bytes"), ("value", "bytes"))
NONCES: Final[Schema] = (("owner", "b20"), ("kept", [(("nonce", "u64"),)]))
LENGTH: Final = Struct(">I")
SECTIONS: Final = ("acct", "agent", "val", "oracle", "wd", "exempt", "meta")


class Snapshot:
    """A restored state with its place in the log: the frontier before its SEAL, and the SEAL.

    `trees` are those whose leaves are rows of the file (`loading.py`).
    """

    __slots__ = ("frontier", "height", "seal", "state", "trees")

    def __init__(self, state: State, trees: dict[str, Tree], frontier: bytes, seal: bytes) -> None:
        self.state = state
        self.trees = trees
        self.height = state.height
        self.frontier = frontier
        self.seal = seal


def encode_snapshot(state: State, commitment: Commitment, frontier: bytes, seal: bytes) -> bytes:
    """Bytes of a state that was just committed."""
    return b"".join(_parts(state, commitment, frontier, seal))


def is_snapshot_of(
    raw: bytes, state: State, commitment: Commitment, frontier: bytes, seal: bytes
) -> bool:
    """Whether these are the bytes of a state that was just committed."""
    at = 0
    for part in _parts(state, commitment, frontier, seal):
        if not raw.startswith(part, at):
            return False
        at += len(part)
    return at == len(raw)


def _parts(state: State, commitment: Commitment, frontier: bytes, seal: bytes) -> Iterator[bytes]:
    """A snapshot piece by piece."""
    head = {"height": state.height, "time_ms": state.time_ms, "frontier": frontier, "seal": seal}
    yield MAGIC + canonical.encode(HEAD, head)
    for name in _section_names(state):
        yield _encode_leaves(commitment.trees[name])
    for owners in (state.accounts, state.agents, state.validators):
        yield _encode_nonces(owners)
    for market in state.markets:
        yield leaves.encode_book(market)
    for pair in state.pairs:
        yield leaves.encode_spot_book(pair)


def _encode_nonces(owners: Mapping[Address, Owner]) -> bytes:
    """Rows of NONCES of the keys that have used any, ascending by address."""
    rows: list[bytes] = []
    for address in sorted(owners):
        kept = owners[address].nonces.kept
        if kept:
            rows.append(address + struct.pack(f">I{len(kept)}Q", len(kept), *kept))
    return b"".join((LENGTH.pack(len(rows)), *rows))


def _encode_leaves(tree: Tree) -> bytes:
    """A tree's leaves: their number and their rows of LEAF, as the tree keeps them."""
    rows = tree.rows()
    return b"".join((LENGTH.pack(len(rows)), *rows))


def _section_names(state: State) -> list[str]:
    names = [*SECTIONS, *arrangements.names(len(state.tokens))]
    for market in state.markets:
        names.append(f"pos/{market.asset:08x}/L")
        names.append(f"pos/{market.asset:08x}/S")
    return names


def decode_snapshot(
    raw: bytes,
    parameters: Parameters,
    terms: list[MarketTerms],
    network: str,
    listing: SpotListing = NO_SPOT,
    evm: EvmContracts | None = None,
) -> Snapshot:
    """State of a snapshot's bytes. Raises InvalidSnapshot naming what is wrong.

    The caller still has to compare the state's root with the seal.
    """
    if not raw.startswith(MAGIC):
        raise InvalidSnapshot(f"not a snapshot: starts with {raw[:8]!r}, not {MAGIC!r}")
    reader = Reader(raw)
    reader.take(len(MAGIC))
    try:
        return _read(reader, State(parameters, terms, network, listing, evm))
    except (
        InvalidBytes, InvariantBroken, KeyError, IndexError, ValueError, OverflowError, StructError
    ) as error:  # fmt: skip
        raise InvalidSnapshot(f"snapshot is damaged near byte {reader.at}: {error}") from error


def _read(reader: Reader, state: State) -> Snapshot:
    head = canonical.decode_from(HEAD, reader)
    state.height = head["height"]
    state.time_ms = head["time_ms"]
    state.day = day_of(state.time_ms)
    loading = Loading(state)
    trees: dict[str, Tree] = {}
    for name in _section_names(state):
        if name == "acct":
            trees[name] = read_accounts(reader, loading)
        elif name.startswith("pos/"):
            trees[name] = read_positions(reader, loading, int(name[4:12], 16), name[13:])
        else:
            _read_section(reader, loading, name)
    loading.finish()
    read_nonces(reader, loading.of_accounts, state.accounts)
    read_nonces(reader, loading.of_agents, state.agents)
    read_nonces(reader, loading.of_validators, state.validators)
    for market in state.markets:
        _read_book(reader, state, market)
    for pair in state.pairs:
        for row in _rows(schemas.BOOK_ORDER, reader):
            _restore_spot_order(state, pair, row)
    reader.finish()
    _sort_orders(state)
    return Snapshot(state, trees, head["frontier"], head["seal"])


def _read_section(reader: Reader, loading: Loading, name: str) -> None:
    """The leaves of one collection."""
    layout = canonical.Layout(schemas.schema_of(name))
    for _ in range(reader.unsigned(4)):
        key = reader.take(reader.unsigned(4))
        value = layout.decode(reader.take(reader.unsigned(4)))
        if name == "agent" and value["nonces"]:
            loading.of_agents[Address(key)] = (value["nonces"], value["nonces_digest"])
        elif name == "val" and value["nonces"]:
            loading.of_validators[Address(key)] = (value["nonces"], value["nonces_digest"])
        _restore_leaf(loading.state, name, key, value)


def _read_book(reader: Reader, state: State, market: Market) -> None:
    """All live orders of a market."""
    for row in _rows(schemas.BOOK_ORDER, reader):
        _restore_order(state, market, row)
    for row in _rows(schemas.WAITING_ORDER, reader):
        _restore_waiting(state, market, row)
    orders = _live_orders(market)
    _restore_groups(market, orders, _rows(schemas.ORDER_GROUP, reader))
    for row in _rows(schemas.ORDER_BUILDER, reader):
        orders[row["oid"]].builder = (Address(row["builder"]), row["rate"])


def _rows(schema: Schema, reader: Reader) -> list[Record]:
    return [canonical.decode_from(schema, reader) for _ in range(reader.unsigned(4))]


def _restore_leaf(state: State, name: str, key: bytes, value: Record) -> None:
    if name == "agent":
        agent = Agent(Address(key), value["master"], value["name"].decode("ascii"))
        agent.valid_until = value["valid_until"]
        state.agents[agent.address] = agent
    elif name == "val":
        state.validators[Address(key)] = Validator(Address(key), value["power"])
    elif name == "oracle":
        _restore_market(state.markets[int.from_bytes(key, "big")], value)
    elif name == "wd":
        wid = int.from_bytes(key, "big")
        state.withdrawals[wid] = Withdrawal(
            wid,
            Address(value["user"]),
            Address(value["destination"]),
            value["amount"],
            value["entry_index"],
        )
    elif name == "exempt":
        state.exempt[Address(key)] = [
            Exemption(row["cap_ppb"], row["from_height"], row["to_height"])
            for row in value["ranges"]
        ]
    elif name != "meta":
        arrangements.restore(state, name, key, value)
    else:
        state.uncovered = value["uncovered"]
        state.volume_day = value["volume_day"]
        state.volume_days = [(row["day"], row["volume"]) for row in value["volume_days"]]
        state.next_oid = value["next_oid"]
        state.next_tid = value["next_tid"]
        state.next_wid = value["next_wid"]
        state.next_twap = value["next_twap"]
        state.custody = value["custody"]
        state.deposits = value["deposits"]
        state.credited = value["credited"]
        state.granted = value["granted"]
        state.paid_out = value["paid_out"]


def _restore_market(market: Market, value: Record) -> None:
    market.oracle = value["oracle"]
    market.mark = value["mark"]
    market.mark_previous = value["mark_previous"]
    market.oracle_time = value["oracle_time"]
    market.external = value["external"]
    market.book.price_last = value["price_last"]
    market.basis_numerator = int.from_bytes(value["basis_numerator"], "big", signed=True)
    market.basis_denominator = int.from_bytes(value["basis_denominator"], "big")
    market.book_numerator = int.from_bytes(value["book_numerator"], "big")
    market.book_denominator = int.from_bytes(value["book_denominator"], "big")
    market.premium_sum = value["premium_sum"]
    market.premium_samples = value["premium_samples"]
    for row in value["votes"]:
        market.votes[Address(row["validator"])] = (
            row["price"], row["external"], row["time"], row["vote_hash"],
        )  # fmt: skip


def _restore_order(state: State, market: Market, row: Record) -> None:
    account = state.accounts[Address(row["account"])]
    exposure = state.open_exposure(account, market.asset)
    order = _queue(market.book, account, exposure, row)
    if order.reduce_only:
        exposure.reduce_only_orders += 1
    elif order.is_buy:
        exposure.bids_lots += order.remaining
        exposure.bids_notional += order.remaining * order.price
    else:
        exposure.asks_lots += order.remaining
        exposure.asks_notional += order.remaining * order.price


def _queue(book: Book, account: Account, exposure: Exposure, row: Record) -> Order:
    """Put an order into its book and its owner's lists again."""
    order = Order(
        row["oid"], account, exposure, row["is_buy"], row["price"], row["lots"],
        row["reduce_only"], TimeInForce(row["tif"]), row["cloid"],
    )  # fmt: skip
    order.remaining = row["remaining"]
    book.side(order.is_buy).add(order)
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    return order


def _restore_spot_order(state: State, pair: SpotPair, row: Record) -> None:
    """A resting spot order and what it holds."""
    account = state.accounts[Address(row["account"])]
    order = _queue(pair.book, account, pair.exposure, row)
    token, per_lot = (USDC, order.price) if order.is_buy else (pair.base, pair.wei_per_lot)
    state.hold_spot(token, account.address, order.remaining * per_lot)


def _restore_waiting(state: State, market: Market, row: Record) -> None:
    account = state.accounts[Address(row["account"])]
    exposure = state.open_exposure(account, market.asset)
    tif = TimeInForce.IOC if row["is_market"] else TimeInForce.GTC
    order = Order(
        row["oid"], account, exposure, row["is_buy"], row["price"], row["lots"],
        row["reduce_only"], tif, row["cloid"],
    )  # fmt: skip
    order.trigger = Trigger(
        row["trigger_price"], row["is_buy"] is row["is_stop"], row["is_market"], row["is_stop"],
        row["is_position"],
    )  # fmt: skip
    market.triggers.orders[order.oid] = order
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order
    if row["is_position"]:
        exposure.reduce_only_orders += 1


def _live_orders(market: Market) -> dict[int, Order]:
    """Orders of a market by id, waiting and resting."""
    orders = dict(market.triggers.orders)
    for side in (market.book.bids, market.book.asks):
        for order in side.walk():
            orders[order.oid] = order
    return orders


def _restore_groups(market: Market, orders: dict[int, Order], rows: list[Record]) -> None:
    """Tie parents and children together again; arm what does not wait for a parent."""
    asleep: dict[int, None] = {}
    for row in rows:
        group = Group(row["gid"])
        group.is_awake = row["is_awake"]
        group.children = [orders[one["oid"]] for one in row["children"]]
        members = list(group.children)
        if row["parent"]:
            group.parent = orders[row["parent"]]
            members.append(group.parent)
        for order in members:
            order.group = group
        if not group.is_awake:
            for order in group.children:
                asleep[order.oid] = None
    for order in market.triggers.orders.values():
        if order.trigger is not None and order.oid not in asleep:
            market.triggers.arm(order, order.trigger)


def _sort_orders(state: State) -> None:
    """An account's orders are in order of their ids, as they were when it placed them."""
    for account in state.accounts.values():
        if account.orders:
            account.orders = {oid: account.orders[oid] for oid in sorted(account.orders)}
