"""Orders: open, full, and with a status.

An `OrderView` is what the documents are made of, whether it comes from the book, from a record of
the log, or from the index.
Source: hyperliquid-api 5.4; hyperliquid-protocol 3.10.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from chainperp.base.units import E8_DECIMALS, format_decimal, price_decimals, strip_decimal
from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import REASONS, OrderStatus, Rejection
from chainperp.model.orders import Order
from chainperp.node.documents.listing import Coin, coin_terms
from chainperp.node.documents.texts import Document, hex_text, side
from chainperp.node.effects import OrderRecord
from chainperp.state.store import State

OPEN: Final = "open"
FILLED: Final = "filled"
CANCELED: Final = "canceled"
TRIGGERED: Final = "triggered"

AT_MARKET: Final = ("FrontendMarket", "LiquidationMarket")
"""Times in force of orders that a page calls market orders."""

TIF_TEXT: Final = {
    int(TimeInForce.GTC): "Gtc",
    int(TimeInForce.IOC): "Ioc",
    int(TimeInForce.ALO): "Alo",
}
LIVE: Final = (
    OrderStatus.OPEN,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.WAITING_FOR_TRIGGER,
    OrderStatus.WAITING_FOR_FILL,
)
# Refusals whose record keeps price and size as signed, times 10^8 (`refuse_form`).
AS_SIGNED: Final = (
    Rejection.MARKET_UNKNOWN,
    Rejection.SIZE_ZERO,
    Rejection.SIZE_INVALID,
    Rejection.TICK,
    Rejection.NO_PRICE,
    Rejection.SPOT_REDUCE_ONLY,
    Rejection.SPOT_TRIGGER,
    Rejection.SPOT_BUILDER,
)


@dataclass(frozen=True, slots=True)
class TriggerView:
    """What an order waits for, or waited for when `is_fired`. `price` has the order's decimals."""

    price: int
    is_market: bool
    is_stop: bool
    is_position: bool
    rises: bool
    is_fired: bool = False


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as documents show it: price and sizes are integers of the given decimals."""

    oid: int
    coin: str
    is_buy: bool
    price: int
    lots: int
    remaining: int
    price_decimals: int
    size_decimals: int
    reduce_only: bool
    tif: str | None
    placed_ms: int
    cloid: bytes | None = None
    trigger: TriggerView | None = None
    children: tuple["OrderView", ...] = field(default=())
    is_slice: bool = False
    "Whether a TWAP order sent it."
    is_vault_close: bool = False
    "Whether a vault closes a position with it, for a withdrawal or its end."


def coin_of(state: State, asset: int) -> str:
    """Name of a market or pair; of a number that is none, `@` and the number."""
    terms = coin_terms(state, asset)
    return f"@{asset}" if terms is None else terms.name


def view_of_order(order: Order, terms: Coin, placed_ms: int) -> OrderView:
    """View of a resting or waiting order of the state, without its children."""
    trigger = order.trigger
    seen = None
    if trigger is not None:
        seen = TriggerView(
            trigger.price, trigger.is_market, trigger.is_stop, trigger.is_position, trigger.rises
        )
    return OrderView(
        order.oid,
        terms.name,
        order.is_buy,
        order.price,
        order.lots,
        order.remaining,
        price_decimals(terms.size_decimals),
        terms.size_decimals,
        order.reduce_only,
        None if seen is not None else TIF_TEXT[order.tif],
        placed_ms,
        order.cloid,
        seen,
    )


def view_of_record(record: OrderRecord, coin: str, size_decimals: int, placed_ms: int) -> OrderView:
    """View of an ORDER record. What it waits for follows from the two numbers it compared."""
    is_signed = record.reason in AS_SIGNED
    places = E8_DECIMALS if is_signed else price_decimals(size_decimals)
    trigger = trigger_of_record(record)
    is_done = record.status == OrderStatus.FILLED
    return OrderView(
        record.oid,
        coin,
        bool(record.is_buy),
        record.price,
        record.lots,
        0 if is_done else record.remaining,
        places,
        E8_DECIMALS if is_signed else size_decimals,
        bool(record.reduce_only),
        None if trigger is not None else TIF_TEXT.get(record.tif),
        placed_ms,
        record.cloid,
        trigger,
    )


def trigger_of_record(record: OrderRecord) -> TriggerView | None:
    """What a waiting order waits for: its record compares the mark (found) with the trigger price
    (needed), and an accepted trigger lies ahead of the mark, so the side tells its kind."""
    if record.status not in (OrderStatus.WAITING_FOR_TRIGGER, OrderStatus.WAITING_FOR_FILL):
        return None
    rises = record.needed > record.found
    is_market = record.tif == TimeInForce.IOC
    return TriggerView(record.needed, is_market, rises is bool(record.is_buy), False, rises)


def status_word(record: OrderRecord) -> str | None:
    """The published word for the order's state after a decision; None when the decision was about
    a request and left the order as it was.

    An order of the exchange's own that stops short of its size ends as `canceled`.
    """
    if record.status == OrderStatus.REQUEST_REFUSED:
        return None
    if record.status == OrderStatus.FILLED:
        return FILLED
    if record.status in LIVE:
        return OPEN
    word = REASONS[record.rejection].status
    return CANCELED if word == FILLED else word


def open_order(view: OrderView) -> Document:
    """The short form: `openOrders` and the channel `orderUpdates`."""
    document: Document = {
        "coin": view.coin,
        "side": side(is_buy=view.is_buy),
        "limitPx": format_decimal(view.price, view.price_decimals),
        "sz": format_decimal(view.remaining, view.size_decimals),
        "oid": view.oid,
        "timestamp": view.placed_ms,
        "origSz": format_decimal(view.lots, view.size_decimals),
    }
    if view.cloid is not None:
        document["cloid"] = hex_text(view.cloid)
    if view.reduce_only:
        document["reduceOnly"] = True
    return document


def full_order(view: OrderView) -> Document:
    """The long form: `frontendOpenOrders`, `orderStatus`, `historicalOrders`, channel
    `openOrders`."""
    trigger = view.trigger
    return open_order(view) | {
        "triggerCondition": _condition(view),
        "isTrigger": trigger is not None,
        "triggerPx": format_decimal(0 if trigger is None else trigger.price, view.price_decimals),
        "children": [full_order(child) for child in view.children],
        "isPositionTpsl": trigger is not None and trigger.is_position,
        "reduceOnly": view.reduce_only,
        "orderType": _order_type(view),
        "tif": view.tif,
        "cloid": None if view.cloid is None else hex_text(view.cloid),
    }


def _condition(view: OrderView) -> str:
    trigger = view.trigger
    if trigger is None:
        return "N/A"
    if trigger.is_fired:
        return "Triggered"
    where = "above" if trigger.rises else "below"
    return f"Price {where} {strip_decimal(trigger.price, view.price_decimals)}"


def _order_type(view: OrderView) -> str:
    trigger = view.trigger
    if trigger is None:
        if view.is_slice:
            return "Twap Slice"
        if view.is_vault_close:
            return "Vault Close"
        return "Market" if view.tif in AT_MARKET else "Limit"
    purpose = "Stop" if trigger.is_stop else "Take Profit"
    return f"{purpose} {'Market' if trigger.is_market else 'Limit'}"


def order_row(view: OrderView, status: str, time_ms: int) -> Document:
    """An order in its long form with its status: `historicalOrders`, and inside `orderStatus`."""
    return {"order": full_order(view), "status": status, "statusTimestamp": time_ms}


def order_update(view: OrderView, status: str, time_ms: int) -> Document:
    """An order in its short form with its status: the channel `orderUpdates`."""
    return {"order": open_order(view), "status": status, "statusTimestamp": time_ms}


def order_status(row: Document | None) -> Any:
    """The answer to `orderStatus`."""
    if row is None:
        return {"status": "unknownOid"}
    return {"status": "order", "order": row}


def with_children(view: OrderView, children: list[OrderView]) -> OrderView:
    """The view of a parent with the orders that wait for it."""
    return replace(view, children=tuple(children))
