"""What the exchange answers to an action, read from the entries that the action made.

The answer says what the log says: nothing is remembered from execution.
Source: hyperliquid-api 4.1.
"""

from typing import Any, Final

import msgpack

from chainperp.base.rounding import half_even
from chainperp.base.units import address_text, format_decimal
from chainperp.model.actions import (
    Action,
    CancelOrders,
    CreateSubAccount,
    CreateVault,
    Grouping,
    ModifyOrders,
    PlaceOrders,
    TwapCancel,
    TwapOrder,
)
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.envelope import decode_envelope
from chainperp.node.effects import (
    KIND,
    ORDER,
    REQUEST_REFUSED,
    STATUS,
    Effects,
    asset_of,
    cloid_of,
    oid_of,
    order_record,
)
from chainperp.node.refusals import action_text, cancel_text, order_text
from chainperp.state.store import State

Reply = dict[str, Any]

DONE: Final[Reply] = {"status": "ok", "response": {"type": "default"}}
# Bound once: reading a member of an enumeration takes as long as ten of the comparisons below.
ACCEPTED: Final = Rejection.ACCEPTED
POSITION: Final = Grouping.POSITION
PARENT: Final = Grouping.PARENT
WAITING_FOR_FILL: Final = OrderStatus.WAITING_FOR_FILL
WAITING_FOR_TRIGGER: Final = OrderStatus.WAITING_FOR_TRIGGER
LIVE: Final = (int(OrderStatus.OPEN), int(OrderStatus.PARTIALLY_FILLED), int(WAITING_FOR_TRIGGER))
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


def answer(state: State, transaction: Transaction, effects: Effects, first_oid: int) -> Reply:
    """Reply to an executed action. `first_oid` is the first order id that was free before it."""
    action = transaction.action
    if effects.code is not ACCEPTED:
        return _refused_answer(action, effects.code, action_text(state, effects.code, transaction))
    if isinstance(action, PlaceOrders):
        return _with_data("order", {"statuses": _placed(state, action, effects, first_oid)})
    if isinstance(action, ModifyOrders):
        return _modify_answer(state, transaction, action, effects, first_oid)
    if isinstance(action, CancelOrders):
        return _with_data("cancel", {"statuses": _canceled(action, effects)})
    return _account_answer(action, effects)


def _refused_answer(action: Action, code: Rejection, text: str) -> Reply:
    if isinstance(action, TwapOrder | TwapCancel) and code in TWAP_CODES:
        name = "twapOrder" if isinstance(action, TwapOrder) else "twapCancel"
        return _with_data(name, {"status": {"error": text}})
    return refused(text)


def _modify_answer(
    state: State, transaction: Transaction, action: ModifyOrders, effects: Effects, first_oid: int
) -> Reply:
    """Orders replaced: one status for each; `modify` alone answers without one."""
    statuses = _modified(state, action, effects, first_oid)
    if len(action.modifies) != 1 or asked_for(transaction) == "batchModify":
        return _with_data("order", {"statuses": statuses})
    error = statuses[0].get("error") if isinstance(statuses[0], dict) else None
    return DONE if error is None else refused(error)


def asked_for(transaction: Transaction) -> str:
    """The type of the action as it was signed, of which some have one meaning and two names."""
    fields = msgpack.unpackb(decode_envelope(transaction.envelope).action_bytes)
    if transaction.multi_sig is not None:
        fields = fields["payload"]["action"]
    name: str = fields["type"]
    return name


def _account_answer(action: Action, effects: Effects) -> Reply:
    """Everything else: the few that name what they made, and those that are just done."""
    if isinstance(action, TwapCancel):
        return _with_data("twapCancel", {"status": "success"})
    if isinstance(action, TwapOrder):
        begun = effects.fields_of(Kind.TWAP) or {}
        return _with_data("twapOrder", {"status": {"running": {"twapId": begun["twap_id"]}}})
    if isinstance(action, CreateSubAccount):
        made = effects.fields_of(Kind.SUB_ACCOUNT) or {}
        return _with_data("createSubAccount", address_text(made["sub"]))
    if isinstance(action, CreateVault):
        made = effects.fields_of(Kind.USER_VAULT) or {}
        return _with_data("createVault", address_text(made["vault"]))
    return DONE


def _placed(state: State, action: PlaceOrders, effects: Effects, first_oid: int) -> list[Any]:
    """One status for each new order, by the first decision about it, in the order of their ids."""
    statuses: list[Any] = []
    grouping = action.grouping
    for place, raw in enumerate(effects.new_orders(first_oid)[: len(action.orders)]):
        is_child = grouping is POSITION or (grouping is PARENT and place > 0)
        statuses.append(order_status(state, raw, effects, is_child=is_child))
    return statuses


def order_status(state: State, raw: bytes, effects: Effects, *, is_child: bool = False) -> Any:
    """Status of the new order of an ORDER entry: resting, filled, waiting, or the text of its
    refusal."""
    status = raw[STATUS]
    if status == WAITING_FOR_FILL:
        return "waitingForFill"
    if status == WAITING_FOR_TRIGGER and is_child:
        return "waitingForTrigger"
    oid, cloid = oid_of(raw), cloid_of(raw)
    named: dict[str, Any] = {"oid": oid}
    if cloid is not None:
        named["cloid"] = "0x" + cloid.hex()
    trades = effects.traded(oid)
    if trades:
        decimals = state.size_decimals(asset_of(raw))
        return {"filled": _filled(decimals, trades) | named}
    if status in LIVE:
        return {"resting": named}
    return {"error": order_text(state, order_record(raw))}


def _filled(decimals: int, trades: list[tuple[int, int]]) -> dict[str, Any]:
    """Size and average price; the price is rounded half-even to the market's finest grid."""
    lots = 0
    notional = 0
    for price, size in trades:
        lots += size
        notional += size * price
    return {
        "totalSz": format_decimal(lots, decimals),
        "avgPx": format_decimal(half_even(notional, lots), 6 - decimals),
    }


def _canceled(action: CancelOrders, effects: Effects) -> list[Any]:
    """One status for each target; what else ended with a target is not among them."""
    records = [record for record in effects.orders() if record.rejection in ANSWERED]
    return [
        "success"
        if record.rejection is Rejection.CANCELED_BY_USER
        else {"error": cancel_text(record)}
        for record in records[: len(action.targets)]
    ]


def _modified(state: State, action: ModifyOrders, effects: Effects, first_oid: int) -> list[Any]:
    """One status for each modify: of the new order, or why there is none."""
    statuses: list[Any] = []
    seen: dict[int, None] = {}
    for raw in effects.entries:
        if raw[KIND] != ORDER:
            continue
        oid = oid_of(raw)
        if raw[STATUS] == REQUEST_REFUSED:
            statuses.append({"error": cancel_text(order_record(raw))})
        elif oid >= first_oid and oid not in seen:
            seen[oid] = None
            statuses.append(order_status(state, raw, effects))
    return statuses[: len(action.modifies)]
