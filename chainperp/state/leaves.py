"""What the state tree commits to: one canonical value for each account, position, market, key.

Each value starts with its version. The same values are the body of a snapshot, and their schemas
name the fields when two states differ. Collections (audit-log 5.1):

| name | key | columns |
|---|---|---|
| acct | address | raw USD, isolated included |
| pos/<asset>/L and /S | address | lots; entry notional, negative for shorts |
| agent, val | address | – |
| oracle | asset u32 | – |
| wd | wid u64 | amount |
| exempt | address | – |
| param | name | – |
| meta | "counters" | – |
| book | asset u32 of a market or spot pair, at snapshot heights only | – |

and those of `state/arrangements.py`, which have none but for spot balances and tokens.
"""

import struct
from hashlib import sha256
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.hashing import ZERO32
from chainperp.model.accounts import (
    Account,
    Agent,
    Exemption,
    Exposure,
    NonceSet,
    Validator,
    Withdrawal,
)
from chainperp.model.orders import Group, Order
from chainperp.parameters.schema import parameter_values
from chainperp.state.pairs import SpotPair
from chainperp.state.schemas import (
    AGENT,
    BOOK_DIGEST,
    COUNTERS,
    EXEMPTION,
    MARKET,
    ORDER_BUILDER,
    ORDER_GROUP,
    PARAMETER,
    VALIDATOR,
    VERSION,
    WAITING_ORDER,
    WITHDRAWAL,
)
from chainperp.state.store import Market, State

ACCOUNT_HEAD: Final = struct.Struct(">H16s16sB32s16sQqIqIIHH16s16sI")
DAY_ROW: Final = struct.Struct(">q16s16s")
SETTING_ROW: Final = struct.Struct(">I?I")
POSITION_VALUE: Final = struct.Struct(">HQ16s?I16s")
BOOK_ROW: Final = struct.Struct(">Q20s?QQQ?B?")
U32: Final = struct.Struct(">I")


def nonces_digest(nonces: NonceSet) -> bytes:
    """Hash of the nonces a key has used, ascending; zero when there are none."""
    kept = nonces.kept
    if not kept:
        return ZERO32
    return sha256(struct.pack(f">{len(kept)}Q", *kept)).digest()


def encode_account(state: State, account: Account) -> bytes:
    """An account's value. Settings are listed only where they differ from the default, so that a
    look at a market leaves no trace. Packed by hand: every trade changes two of these."""
    settings: list[bytes] = []
    positions: list[bytes] = []
    default = state.parameters.leverage_default
    for asset in sorted(account.exposures):
        exposure = account.exposures[asset]
        terms = state.markets[asset].terms
        if exposure.is_cross is terms.is_isolated_only or exposure.leverage != min(
            default, terms.leverage_max
        ):
            settings.append(SETTING_ROW.pack(asset, exposure.is_cross, exposure.leverage))
        if exposure.lots:
            positions.append(U32.pack(asset))
    days = account.days
    rates = account.rates
    parts = [
        ACCOUNT_HEAD.pack(
            VERSION,
            account.raw.to_bytes(16, "big", signed=True),
            account.raw_isolated_total.to_bytes(16, "big", signed=True),
            len(account.nonces.kept),
            nonces_digest(account.nonces),
            account.volume_total.to_bytes(16, "big"),
            account.cooldown,
            rates.day,
            rates.taker,
            rates.maker,
            rates.spot_taker,
            rates.spot_maker,
            rates.discount,
            rates.reward,
            account.volume_day.to_bytes(16, "big"),
            account.maker_day.to_bytes(16, "big"),
            len(days),
        )
    ]
    for day, volume, maker in days:
        parts.append(DAY_ROW.pack(day, volume.to_bytes(16, "big"), maker.to_bytes(16, "big")))
    parts.append(U32.pack(len(settings)))
    parts.extend(settings)
    parts.append(U32.pack(len(account.agents)))
    for name in sorted(account.agents):
        parts.append(U32.pack(len(name)) + name.encode("ascii") + account.agents[name])
    parts.append(U32.pack(len(positions)))
    parts.extend(positions)
    return b"".join(parts)


def encode_position(exposure: Exposure) -> bytes:
    """A position's value; the side is in the collection's name."""
    return POSITION_VALUE.pack(
        VERSION,
        abs(exposure.lots),
        exposure.entry_notional.to_bytes(16, "big"),
        exposure.is_cross,
        exposure.leverage,
        exposure.raw_isolated.to_bytes(16, "big", signed=True),
    )


def encode_agent(agent: Agent) -> bytes:
    """An agent's value, revoked ones included."""
    return canonical.encode(
        AGENT,
        {
            "version": VERSION,
            "master": agent.master,
            "name": agent.name.encode("ascii"),
            "valid_until": agent.valid_until,
            "nonces": len(agent.nonces.kept),
            "nonces_digest": nonces_digest(agent.nonces),
        },
    )


def encode_validator(validator: Validator) -> bytes:
    """A validator's value."""
    return canonical.encode(
        VALIDATOR,
        {
            "version": VERSION,
            "power": validator.power,
            "nonces": len(validator.nonces.kept),
            "nonces_digest": nonces_digest(validator.nonces),
        },
    )


def encode_market(market: Market) -> bytes:
    """A market's prices, averages, samples and votes."""
    votes: list[Record] = []
    for address in sorted(market.votes):
        price, external, time_ms, proof = market.votes[address]
        votes.append(
            {"validator": address, "price": price, "external": external, "time": time_ms,
             "vote_hash": proof}
        )  # fmt: skip
    return canonical.encode(
        MARKET,
        {
            "version": VERSION,
            "oracle": market.oracle,
            "mark": market.mark,
            "mark_previous": market.mark_previous,
            "oracle_time": market.oracle_time,
            "external": market.external,
            "price_last": market.book.price_last,
            "basis_numerator": market.basis_numerator.to_bytes(32, "big", signed=True),
            "basis_denominator": market.basis_denominator.to_bytes(32, "big"),
            "book_numerator": market.book_numerator.to_bytes(32, "big"),
            "book_denominator": market.book_denominator.to_bytes(32, "big"),
            "premium_sum": market.premium_sum,
            "premium_samples": market.premium_samples,
            "votes": votes,
        },
    )


def encode_withdrawal(withdrawal: Withdrawal) -> bytes:
    """A pending withdrawal's value."""
    return canonical.encode(
        WITHDRAWAL,
        {
            "version": VERSION,
            "user": withdrawal.user,
            "destination": withdrawal.destination,
            "amount": withdrawal.amount,
            "entry_index": withdrawal.entry_index,
        },
    )


def encode_exemptions(ranges: list[Exemption]) -> bytes:
    """The heights in which an account is spared, in order."""
    rows: list[Record] = [
        {"cap_ppb": one.cap_ppb, "from_height": one.from_height, "to_height": one.to_height}
        for one in ranges
    ]
    return canonical.encode(EXEMPTION, {"version": VERSION, "ranges": rows})


def decode_exemptions(raw: bytes) -> list[Exemption]:
    """The heights in which an account is spared. Raises InvalidBytes."""
    return [
        Exemption(row["cap_ppb"], row["from_height"], row["to_height"])
        for row in canonical.decode(EXEMPTION, raw)["ranges"]
    ]


def encode_counters(state: State) -> bytes:
    """The series that never go down, custody, and the volume of the exchange by day."""
    days: list[Record] = [{"day": day, "volume": volume} for day, volume in state.volume_days]
    return canonical.encode(
        COUNTERS,
        {
            "version": VERSION,
            "next_oid": state.next_oid,
            "next_tid": state.next_tid,
            "next_wid": state.next_wid,
            "next_twap": state.next_twap,
            "custody": state.custody,
            "deposits": state.deposits,
            "credited": state.credited,
            "granted": state.granted,
            "paid_out": state.paid_out,
            "uncovered": state.uncovered,
            "volume_day": state.volume_day,
            "volume_days": days,
        },
    )


def encode_parameters(state: State) -> list[tuple[bytes, bytes]]:
    """Key and value of every parameter; a table's rows are listed cell by cell."""
    leaves: list[tuple[bytes, bytes]] = []
    for name, value in sorted(parameter_values(state.parameters).items()):
        cells = [cell for row in value for cell in row] if isinstance(value, list) else [value]
        rows = [{"value": cell} for cell in cells]
        encoded = canonical.encode(PARAMETER, {"version": VERSION, "rows": rows})
        leaves.append((name.encode("ascii"), encoded))
    return leaves


def encode_book(market: Market) -> bytes:
    """All live orders of a market: bids then asks, best price first, then arrival; then those that
    wait for the mark, by order id; then which of all these are parents and children, and which name
    a builder."""
    rows: list[bytes] = []
    groups: dict[int, Group] = {}
    live = dict(market.triggers.orders)
    for side in (market.book.bids, market.book.asks):
        for order in side.walk():
            rows.append(_encode_resting(order))
            live[order.oid] = order
            if order.group is not None:
                groups[order.group.gid] = order.group
    return (
        U32.pack(len(rows))
        + b"".join(rows)
        + _encode_waiting(market, groups)
        + _encode_groups(groups)
        + _encode_builders(live)
    )


def _encode_resting(order: Order) -> bytes:
    """An order that rests in a book: a row of BOOK_ORDER, packed by hand for their number."""
    cloid = order.cloid
    head = BOOK_ROW.pack(
        order.oid,
        order.account.address,
        order.is_buy,
        order.price,
        order.lots,
        order.remaining,
        order.reduce_only,
        order.tif,
        cloid is not None,
    )
    return head if cloid is None else head + cloid


def encode_spot_book(pair: SpotPair) -> bytes:
    """The resting orders of a spot pair: bids then asks, best price first, then arrival. Spot has
    no other live orders."""
    sides = (pair.book.bids, pair.book.asks)
    rows = [_encode_resting(order) for side in sides for order in side.walk()]
    return U32.pack(len(rows)) + b"".join(rows)


def _encode_waiting(market: Market, groups: dict[int, Group]) -> bytes:
    """The waiting trigger orders; notes their groups."""
    rows: list[Record] = []
    for oid in sorted(market.triggers.orders):
        order = market.triggers.orders[oid]
        trigger = order.trigger
        if order.group is not None:
            groups[order.group.gid] = order.group
        if trigger is not None:
            rows.append(
                {"oid": oid, "account": order.account.address, "is_buy": order.is_buy,
                 "price": order.price, "lots": order.lots, "reduce_only": order.reduce_only,
                 "cloid": order.cloid, "trigger_price": trigger.price,
                 "is_market": trigger.is_market, "is_stop": trigger.is_stop,
                 "is_position": trigger.is_position}
            )  # fmt: skip
    return canonical.encode_rows(WAITING_ORDER, rows)


def _encode_groups(groups: dict[int, Group]) -> bytes:
    """Groups by id; a parent of 0 is done."""
    rows: list[Record] = []
    for gid in sorted(groups):
        group = groups[gid]
        rows.append(
            {"gid": gid, "parent": 0 if group.parent is None else group.parent.oid,
             "is_awake": group.is_awake, "children": [{"oid": one.oid} for one in group.children]}
        )  # fmt: skip
    return canonical.encode_rows(ORDER_GROUP, rows)


def _encode_builders(live: dict[int, Order]) -> bytes:
    """The builders that live orders name, by order id."""
    rows: list[Record] = []
    for oid in sorted(live):
        builder = live[oid].builder
        if builder is not None:
            rows.append({"oid": oid, "builder": builder[0], "rate": builder[1]})
    return canonical.encode_rows(ORDER_BUILDER, rows)


def encode_book_digest(market: Market) -> bytes:
    """The one flat commitment to a market's live orders."""
    return _digest(encode_book(market))


def encode_spot_digest(pair: SpotPair) -> bytes:
    """The same for a spot pair."""
    return _digest(encode_spot_book(pair))


def _digest(orders: bytes) -> bytes:
    digest = sha256(orders).digest()
    return canonical.encode(BOOK_DIGEST, {"version": VERSION, "digest": digest})
