"""Trades, and the two fills that each of them is to its parties.

Source: hyperliquid-api 5.4; hyperliquid-protocol 3.11, 14.
"""

from dataclasses import dataclass
from typing import Final

from chainperp.base.units import format_decimal
from chainperp.node.documents.listing import Coin, PairTerms
from chainperp.node.documents.texts import ZERO_HASH, Document, hex_text, price, side, size, usd
from chainperp.node.effects import FillRecord
from chainperp.transition.recorder import (
    FLAG_ADL,
    FLAG_BACKSTOP,
    FLAG_LIQUIDATION,
    FLAG_NETTED,
    FLAG_TAKER_BUYS,
)

FORCED: Final = FLAG_LIQUIDATION | FLAG_BACKSTOP | FLAG_ADL


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What a fill of a liquidation names: the account that was liquidated, whether its cross scope
    was, the mark of the phase (on the price grid), and the stage: `market` or `backstop`."""

    user: bytes
    is_cross: bool
    mark: int
    method: str


@dataclass(frozen=True, slots=True)
class FillView:
    """One side of a trade. Fees and `pnl` are micro-USDC, `start` the lots held before, signed. On
    spot `start` is the balance of the token in its smallest unit, and so is a buyer's fee.

    `fee` is the exchange's own; `builder_fee` came on top for the order's builder. `twap_id` is the
    TWAP order that this side was a slice of.
    """

    terms: Coin
    tid: int
    user: bytes
    oid: int
    is_buy: bool
    is_taker: bool
    price: int
    lots: int
    start: int
    fee: int
    pnl: int
    flags: int
    time_ms: int
    hash: str = ZERO_HASH
    cloid: bytes | None = None
    liquidation: Liquidation | None = None
    builder_fee: int = 0
    twap_id: int | None = None


def taker_buys(record: FillRecord) -> bool:
    """Whether the aggressor bought."""
    return bool(record.flags & FLAG_TAKER_BUYS)


def victim_of(record: FillRecord) -> bytes | None:
    """The account that a forced trade liquidated: who sent the order into the book, the party that
    the vault took over, the bankrupt side of a deleveraging; None of an ordinary trade."""
    if record.flags & FLAG_BACKSTOP:
        return record.maker
    if record.flags & (FLAG_LIQUIDATION | FLAG_ADL):
        return record.taker
    return None


def liquidation_of(record: FillRecord, mark: int, *, is_cross: bool) -> Liquidation | None:
    """What both fills of a forced trade say about it."""
    victim = victim_of(record)
    if victim is None:
        return None
    method = "market" if record.flags & FLAG_LIQUIDATION else "backstop"
    return Liquidation(victim, is_cross, mark, method)


def fills_of(
    record: FillRecord,
    terms: Coin,
    time_ms: int,
    hash_text: str = ZERO_HASH,
    liquidation: Liquidation | None = None,
    cloids: tuple[bytes | None, bytes | None] = (None, None),
) -> tuple[FillView, FillView]:
    """The fills of a trade: the maker's, then the taker's. `cloids` are of their orders."""
    buys = taker_buys(record)
    maker = FillView(
        terms,
        record.tid,
        record.maker,
        record.maker_oid,
        not buys,
        False,
        record.price,
        record.lots,
        record.maker_start,
        record.maker_fee,
        record.maker_pnl,
        record.flags,
        time_ms,
        hash_text,
        cloids[0],
        liquidation,
        record.maker_builder_fee,
    )
    taker = FillView(
        terms,
        record.tid,
        record.taker,
        record.taker_oid,
        buys,
        True,
        record.price,
        record.lots,
        record.taker_start,
        record.taker_fee,
        record.taker_pnl,
        record.flags,
        time_ms,
        hash_text,
        cloids[1],
        liquidation,
        record.taker_builder_fee,
    )
    return maker, taker


def fill(view: FillView) -> Document:
    """One side of a trade. `cloid`, `builderFee` and `liquidation` appear only when set; the fee of
    a builder is in `fee` as well."""
    pair = view.terms if isinstance(view.terms, PairTerms) else None
    pays_token = pair is not None and view.is_buy
    document: Document = {
        "coin": view.terms.name,
        "px": price(view.terms, view.price),
        "sz": size(view.terms, view.lots),
        "side": side(is_buy=view.is_buy),
        "time": view.time_ms,
        "startPosition": size(view.terms, view.start)
        if pair is None
        else _tokens(pair, view.start),
        "dir": direction(view),
        "closedPnl": usd(view.pnl),
        "hash": view.hash,
        "oid": view.oid,
        "crossed": view.is_taker,
        "fee": _tokens(pair, view.fee)
        if pair is not None and pays_token
        else usd(view.fee + view.builder_fee),
        "tid": view.tid,
        "feeToken": pair.token_name if pair is not None and pays_token else "USDC",
        "twapId": view.twap_id,
    }
    if view.cloid is not None:
        document["cloid"] = hex_text(view.cloid)
    if view.builder_fee:
        document["builderFee"] = usd(view.builder_fee)
    if view.liquidation is not None:
        document["liquidation"] = {
            "liquidatedUser": hex_text(view.liquidation.user),
            "markPx": price(view.terms, view.liquidation.mark),
            "method": view.liquidation.method,
        }
    return document


def _tokens(pair: PairTerms, amount: int) -> str:
    return format_decimal(amount, pair.wei_decimals)


def direction(view: FillView) -> str:
    """What the fill did to the position, or which phase forced it on its owner."""
    if isinstance(view.terms, PairTerms):
        return "Buy" if view.is_buy else "Sell"
    found = view.liquidation
    if found is not None and found.user == view.user:
        scope = "Cross" if found.is_cross else "Isolated"
        return f"Liquidated {scope} {'Long' if view.start > 0 else 'Short'}"
    if view.flags & FLAG_ADL:
        return "Auto-Deleveraging"
    if view.flags & FLAG_NETTED:
        return "Net Child Vaults"
    return plain_direction(view.start, view.lots if view.is_buy else -view.lots)


def plain_direction(start: int, delta: int) -> str:
    """What a trade of signed lots does to a position.

    >>> plain_direction(0, 5), plain_direction(5, -5), plain_direction(5, -6)
    ('Open Long', 'Close Long', 'Long > Short')
    """
    if start * delta >= 0:
        return "Open Long" if delta > 0 else "Open Short"
    held = "Long" if start > 0 else "Short"
    if abs(delta) <= abs(start):
        return f"Close {held}"
    return "Long > Short" if start > 0 else "Short > Long"


def trade(record: FillRecord, terms: Coin, time_ms: int, hash_text: str = ZERO_HASH) -> Document:
    """A public trade; `side` is the aggressor's, `users` are buyer and seller."""
    buys = taker_buys(record)
    buyer, seller = (record.taker, record.maker) if buys else (record.maker, record.taker)
    return {
        "coin": terms.name,
        "side": side(is_buy=buys),
        "px": price(terms, record.price),
        "sz": size(terms, record.lots),
        "time": time_ms,
        "hash": hash_text,
        "tid": record.tid,
        "users": [hex_text(buyer), hex_text(seller)],
    }
