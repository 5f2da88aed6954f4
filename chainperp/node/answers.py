"""What the exchange answers to an action, read from the entries that the action made.

The answer says what the log says: nothing is remembered from execution.
Source: hyperliquid-api 4.1.
"""

from typing import Any, Final

from chainperp.base.rounding import half_even
from chainperp.base.units import address_text, format_decimal
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.node.effects import Effects, FillRecord, OrderRecord
from chainperp.node.refusals import action_text, cancel_text, order_text
from chainperp.state.store import State

Reply = dict[str, Any]

DONE: Final[Reply] = {"status": "ok", "response": {"type": "default"}}
LIVE: Final = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.WAITING_FOR_TRIGGER)
ANSWERED: Final = (Rejection.CANCELED_BY_USER, Rejection.MISSING_ORDER)
TWAP_CODES: Final = frozenset(
    (
        Rejection.MARKET_UNKNOWN,
        Rejection.SIZE_INVALID,
        Rejection.SIZE_ZERO,
        Rejection.NO_PRICE,
        Rejection.TWAP_DURATION,
        Rejection.TWAP_TOO_SMALL,
        Rejection.TWAP_REDUCE_ONLY,
        Rejection.TWAP_TOO_MANY,
        Rejection.TWAP_DETAILS,
        Rejection.TWAP_MISSING,
        Rejection.SPOT_TWAP,
    )
)
"""Refusals of a TWAP order itself, which its status tells."""


def refused(text: str) -> Reply:
    """The action as a whole is refused."""
    return {"status": "err", "response": text}


def _with_data(kind: str, data: Any) -> Reply:
    return {"status": "ok", "response": {"type": kind, "data": data}}


def answer(
    state: State,
    action: dict[str, Any],
    transaction: Transaction,
    effects: Effects,
    first_oid: int,
) -> Reply:
    """Reply to an executed action. `first_oid` is the first order id that was free before it."""
    name = action["type"]
    if effects.code is not Rejection.ACCEPTED:
        text = action_text(state, effects.code, transaction)
        if name in ("twapOrder", "twapCancel") and effects.code in TWAP_CODES:
            return _with_data(name, {"status": {"error": text}})
        return refused(text)
    if name in ("order", "batchModify", "modify"):
        return _orders_answer(state, action, effects, first_oid)
    if name in ("cancel", "cancelByCloid"):
        return _with_data("cancel", {"statuses": _canceled(action, effects)})
    return _account_answer(name, effects)


def _orders_answer(state: State, action: dict[str, Any], effects: Effects, first_oid: int) -> Reply:
    """Orders placed or replaced: one status for each; `modify` alone answers without one."""
    name = action["type"]
    if name == "order":
        fresh = new_orders(effects, first_oid)[: len(action["orders"])]
        return _with_data("order", {"statuses": _placed(state, action, fresh, effects)})
    if name == "batchModify":
        return _with_data("order", {"statuses": _modified(state, action, effects, first_oid)})
    statuses = _modified(state, {"modifies": [action]}, effects, first_oid)
    error = statuses[0].get("error") if isinstance(statuses[0], dict) else None
    return DONE if error is None else refused(error)


def _account_answer(name: str, effects: Effects) -> Reply:
    """Everything else: the few that name what they made, and those that are just done."""
    if name == "twapCancel":
        return _with_data(name, {"status": "success"})
    if name == "twapOrder":
        begun = effects.fields_of(Kind.TWAP) or {}
        return _with_data(name, {"status": {"running": {"twapId": begun["twap_id"]}}})
    if name == "createSubAccount":
        made = effects.fields_of(Kind.SUB_ACCOUNT) or {}
        return _with_data(name, address_text(made["sub"]))
    if name == "createVault":
        made = effects.fields_of(Kind.USER_VAULT) or {}
        return _with_data(name, address_text(made["vault"]))
    return DONE


def new_orders(effects: Effects, first_oid: int) -> list[OrderRecord]:
    """The first decision about each order that the action made, in the order of their ids."""
    found: dict[int, OrderRecord] = {}
    for record in effects.orders():
        if record.oid >= first_oid and record.status != OrderStatus.REQUEST_REFUSED:
            found.setdefault(record.oid, record)
    return list(found.values())


def _placed(
    state: State, action: dict[str, Any], fresh: list[OrderRecord], effects: Effects
) -> list[Any]:
    grouping = action["grouping"]
    statuses: list[Any] = []
    for place, record in enumerate(fresh):
        is_child = grouping == "positionTpsl" or (grouping == "normalTpsl" and place > 0)
        statuses.append(order_status(state, record, effects, is_child=is_child))
    return statuses


def order_status(
    state: State, record: OrderRecord, effects: Effects, *, is_child: bool = False
) -> Any:
    """Status of one new order: resting, filled, waiting, or the text of its refusal."""
    if record.status == OrderStatus.WAITING_FOR_FILL:
        return "waitingForFill"
    if record.status == OrderStatus.WAITING_FOR_TRIGGER and is_child:
        return "waitingForTrigger"
    trades = [fill for fill in effects.fills() if fill.taker_oid == record.oid]
    named: dict[str, Any] = {"oid": record.oid}
    if record.cloid is not None:
        named["cloid"] = "0x" + record.cloid.hex()
    if trades:
        return {"filled": _filled(state, record, trades) | named}
    if record.status in LIVE:
        return {"resting": named}
    return {"error": order_text(state, record)}


def _filled(state: State, record: OrderRecord, trades: list[FillRecord]) -> dict[str, Any]:
    """Size and average price; the price is rounded half-even to the market's finest grid."""
    decimals = state.size_decimals(record.asset)
    lots = 0
    notional = 0
    for fill in trades:
        lots += fill.lots
        notional += fill.lots * fill.price
    return {
        "totalSz": format_decimal(lots, decimals),
        "avgPx": format_decimal(half_even(notional, lots), 6 - decimals),
    }


def _canceled(action: dict[str, Any], effects: Effects) -> list[Any]:
    """One status for each target; what else ended with a target is not among them."""
    records = [record for record in effects.orders() if record.rejection in ANSWERED]
    return [
        "success"
        if record.rejection is Rejection.CANCELED_BY_USER
        else {"error": cancel_text(record)}
        for record in records[: len(action["cancels"])]
    ]


def _modified(state: State, action: dict[str, Any], effects: Effects, first_oid: int) -> list[Any]:
    """One status for each modify: of the new order, or why there is none."""
    statuses: list[Any] = []
    seen: dict[int, None] = {}
    for record in effects.orders():
        if record.status == OrderStatus.REQUEST_REFUSED:
            statuses.append({"error": cancel_text(record)})
        elif record.oid >= first_oid and record.oid not in seen:
            seen[record.oid] = None
            statuses.append(order_status(state, record, effects))
    return statuses[: len(action["modifies"])]
