"""State to bytes and back. A snapshot is an accelerator: it is believed only if the state restored
from it commits to the root in its block's seal.

    "CPSNAP01" | height u64 | time u64 | frontier before the SEAL | SEAL entry | sections

Sections are the leaves of every collection, the nonce lists that the leaves only have digests of,
and each market's live orders: resting ones in queue order, waiting ones, and their groups.
"""

from struct import Struct
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Reader, Record, Schema
from chainperp.base.errors import InvalidBytes, InvalidSnapshot
from chainperp.base.units import Address, day_of
from chainperp.model.accounts import (
    Account,
    Agent,
    Exemption,
    Exposure,
    NonceSet,
    Rates,
    Validator,
    Withdrawal,
)
from chainperp.model.actions import TimeInForce
from chainperp.model.bridge import EvmContracts
from chainperp.model.markets import MarketTerms
from chainperp.model.orders import Group, Order, Trigger
from chainperp.model.tokens import NO_SPOT, USDC, SpotListing
from chainperp.parameters.schema import Parameters
from chainperp.state import arrangements, leaves, schemas
from chainperp.state.book import Book
from chainperp.state.commitment import Commitment
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
    """A restored state with its place in the log: the frontier before its SEAL, and the SEAL."""

    __slots__ = ("frontier", "height", "seal", "state")

    def __init__(self, state: State, frontier: bytes, seal: bytes) -> None:
        self.state = state
        self.height = state.height
        self.frontier = frontier
        self.seal = seal


def encode_snapshot(state: State, commitment: Commitment, frontier: bytes, seal: bytes) -> bytes:
    """Bytes of a state that was just committed."""
    parts = [
        MAGIC,
        canonical.encode(
            HEAD,
            {"height": state.height, "time_ms": state.time_ms, "frontier": frontier, "seal": seal},
        ),
    ]  # fmt: skip
    for name in _section_names(state):
        parts.append(_encode_leaves(commitment.trees[name]))
    for owners in (state.accounts, state.agents, state.validators):
        lists: list[Record] = []
        for address in sorted(owners):
            kept = owners[address].nonces.kept
            if kept:
                lists.append({"owner": address, "kept": [{"nonce": one} for one in kept]})
        parts.append(canonical.encode_rows(NONCES, lists))
    for market in state.markets:
        parts.append(leaves.encode_book(market))
    for pair in state.pairs:
        parts.append(leaves.encode_spot_book(pair))
    return b"".join(parts)


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
    except (InvalidBytes, KeyError, IndexError, ValueError) as error:
        raise InvalidSnapshot(f"snapshot is damaged near byte {reader.at}: {error}") from error


def _read(reader: Reader, state: State) -> Snapshot:
    head = canonical.decode_from(HEAD, reader)
    state.height = head["height"]
    state.time_ms = head["time_ms"]
    state.day = day_of(state.time_ms)
    for name in _section_names(state):
        layout = canonical.Layout(schemas.schema_of(name))
        for _ in range(reader.unsigned(4)):
            key = reader.take(reader.unsigned(4))
            value = layout.decode(reader.take(reader.unsigned(4)))
            _restore_leaf(state, name, key, value)
    owners: tuple[dict[Address, Account], dict[Address, Agent], dict[Address, Validator]] = (
        state.accounts, state.agents, state.validators,
    )  # fmt: skip
    for collection in owners:
        for row in _rows(NONCES, reader):
            kept = [one["nonce"] for one in row["kept"]]
            collection[Address(row["owner"])].nonces = NonceSet(kept)
    for market in state.markets:
        _read_book(reader, state, market)
    for pair in state.pairs:
        for row in _rows(schemas.BOOK_ORDER, reader):
            _restore_spot_order(state, pair, row)
    reader.finish()
    _sort_orders(state)
    return Snapshot(state, head["frontier"], head["seal"])


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
    if name == "acct":
        _restore_account(state, Address(key), value)
    elif name.startswith("pos/"):
        _restore_position(state, int(name[4:12], 16), name[13:], Address(key), value)
    elif name == "agent":
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


def _restore_account(state: State, address: Address, value: Record) -> None:
    account = state.open_account(address)
    account.raw = value["raw"]
    account.raw_isolated_total = value["raw_isolated"]
    account.volume_total = value["volume_total"]
    account.cooldown = value["cooldown"]
    account.rates = Rates(
        value["day"], value["fee_taker"], value["fee_maker"], value["spot_fee_taker"],
        value["spot_fee_maker"],
    )  # fmt: skip
    account.rates.discount = value["discount"]
    account.rates.reward = value["reward"]
    account.volume_day = value["volume_day"]
    account.maker_day = value["maker_day"]
    account.days = tuple([(row["day"], row["volume"], row["maker"]) for row in value["days"]])
    for row in value["settings"]:
        _check_asset(state, row["asset"])
        account.exposures[row["asset"]] = Exposure(row["asset"], row["is_cross"], row["leverage"])
    if value["agents"]:
        account.agents = {
            row["name"].decode("ascii"): Address(row["agent"]) for row in value["agents"]
        }


def _check_asset(state: State, asset: int) -> None:
    if asset >= len(state.markets):
        raise InvalidBytes(f"asset {asset} of {len(state.markets)} markets")


def _restore_position(state: State, asset: int, side: str, address: Address, value: Record) -> None:
    account = state.accounts[address]
    market = state.markets[asset]
    exposure = state.open_exposure(account, asset)
    exposure.lots = value["lots"] if side == "L" else -value["lots"]
    exposure.entry_notional = value["entry_notional"]
    exposure.is_cross = value["is_cross"]
    exposure.leverage = value["leverage"]
    exposure.raw_isolated = value["raw_isolated"]
    market.holders[address] = exposure
    if side == "L":
        market.lots_long += value["lots"]
    else:
        market.lots_short += value["lots"]


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
        account.orders = {oid: account.orders[oid] for oid in sorted(account.orders)}
