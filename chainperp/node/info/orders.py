"""Questions about orders: those that are open, from the state, and all others, from the index."""

from typing import Any, Final

from chainperp.model.orders import Order
from chainperp.node.documents import orders
from chainperp.node.documents.listing import known_terms
from chainperp.node.documents.orders import OrderView
from chainperp.node.documents.texts import Document
from chainperp.node.index.read import ORDER_COLUMNS, order_view
from chainperp.node.info.kinds import CURSOR, DEX, I64_MAX, USER, account_of, cursor_of
from chainperp.node.info.registry import Context, Fields, Page, Past, Query
from chainperp.state.store import State
from chainperp.wire.shapes import cloid, either, field, u64

ORDERS_MAX: Final = 2_000

BY_OID: Final = f"SELECT {ORDER_COLUMNS} FROM orders WHERE oid = ? AND user = ?"  # noqa: S608
BY_CLOID: Final = f"""SELECT {ORDER_COLUMNS} FROM orders
 WHERE cloid = ? AND user = ? ORDER BY oid DESC LIMIT 1"""  # noqa: S608
NEWEST: Final = f"""SELECT {ORDER_COLUMNS} FROM orders
 WHERE user = ? AND oid < ? ORDER BY oid DESC LIMIT ?"""  # noqa: S608
FIRED: Final = f"""SELECT {ORDER_COLUMNS} FROM orders
 WHERE user = ? AND trigger_flags & 16 AND status = 'open'"""  # noqa: S608


def open_orders(context: Context, fields: Fields) -> Any:
    """Resting and waiting orders in their short form, newest first."""
    return [orders.open_order(view) for view in open_views(context, fields)]


def open_views(context: Context, fields: Fields) -> list[OrderView]:
    """Views of an account's open orders, newest first."""
    account = account_of(context, fields)
    if account is None:
        return []
    state, placed_ms = context.state(), context.index().placed_ms
    return [
        orders.view_of_order(order, known_terms(state, order.asset), placed_ms(oid))
        for oid, order in sorted(account.orders.items(), reverse=True)
    ]


def fired_orders(past: Past, fields: Fields) -> dict[int, OrderView]:
    """Orders that rest since their trigger fired: the state knows them as plain orders."""
    user = past.user(fields["user"])
    rows = past.connection.execute(FIRED, (user,))
    return {row[0]: order_view(row, past.terms)[0] for row in rows}


def frontend_open_orders(context: Context, fields: Fields, fired: dict[int, OrderView]) -> Any:
    """Resting and waiting orders in their long form, newest first; a parent names the orders that
    wait for it, which are in the list as well."""
    account = account_of(context, fields)
    if account is None:
        return []
    views = {view.oid: view for view in open_views(context, fields)}
    return [
        orders.full_order(_completed(context.state(), account.orders[oid], view, fired, views))
        for oid, view in views.items()
    ]


def _completed(
    state: State,
    order: Order,
    view: OrderView,
    fired: dict[int, OrderView],
    views: dict[int, OrderView],
) -> OrderView:
    """A view with its children, or with the trigger that has fired."""
    group = order.group
    if group is not None and group.parent is order:
        children = [views[child.oid] for child in group.children if child.oid in views]
        return orders.with_children(view, children)
    return fired.get(order.oid, view)


def order_status(past: Past, fields: Fields) -> Any:
    """One of the account's orders, by order id or client id: of the latest that had it."""
    target, user = fields["oid"], past.user(fields["user"])
    if isinstance(target, str):
        query, key = BY_CLOID, bytes.fromhex(target[2:])
    else:
        query, key = BY_OID, min(target, I64_MAX)
    row = past.connection.execute(query, (key, user)).fetchone()
    return orders.order_status(None if row is None else _row(past, row))


def historical_orders(past: Past, fields: Fields) -> Any:
    """The latest orders with what became of them, newest first; the cursor is an order id."""
    user = past.user(fields["user"])
    before = cursor_of(fields, I64_MAX)
    rows = past.connection.execute(NEWEST, (user, before, ORDERS_MAX + 1)).fetchall()
    following = rows[ORDERS_MAX - 1][0] if len(rows) > ORDERS_MAX else None
    return Page([_row(past, row) for row in rows[:ORDERS_MAX]], following)


def _row(past: Past, row: Any) -> Document:
    return orders.order_row(*order_view(row, past.terms))


OID: Final = field("oid", either(u64, cloid, str))

QUERIES: Final = [
    Query("openOrders", (USER, DEX), open_orders),
    Query("frontendOpenOrders", (USER, DEX), look=fired_orders, combine=frontend_open_orders),
    Query("orderStatus", (USER, OID), look=order_status, weight=2),
    Query(
        "historicalOrders",
        (USER, CURSOR),
        look=historical_orders,
        note="one row for each order, refused ones included, in the order of placing",
    ),
]
