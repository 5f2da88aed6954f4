"""Somebody to trade with: quotes on both sides of each market that a flow uses."""

from typing import Any, Final

from tests.support.node import NodeProcess, account, limit_order

MAKER: Final = 9
QUOTES: Final = {0: ("100000", "10", "10"), 1: ("4000", "50", "1")}
"""Asset: oracle price, size of each quote, distance between quotes."""


def quote(node: NodeProcess) -> None:
    """Three levels on each side of BTC and ETH."""
    maker = account(MAKER)
    for asset, (middle, size, step) in QUOTES.items():
        orders: list[dict[str, Any]] = []
        for level in (1, 2, 3):
            for is_buy in (True, False):
                price = int(middle) + (-level if is_buy else level) * int(step)
                orders.append(
                    {"a": asset, "b": is_buy, "p": str(price), "s": size, "r": False,
                     "t": {"limit": {"tif": "Alo"}}}
                )  # fmt: skip
        reply = node.act(maker, {"type": "order", "orders": orders, "grouping": "na"})
        statuses = reply["response"]["data"]["statuses"]
        assert all("resting" in one for one in statuses), statuses


def trade_much(node: NodeProcess) -> None:
    """Volume for account 0: some actions are only for who has traded enough."""
    me = account(0)
    for number in range(12):
        is_buy = number % 2 == 0
        order = limit_order(0, is_buy, "101000" if is_buy else "99000", "1", tif="Ioc")
        statuses = node.act(me, order)["response"]["data"]["statuses"]
        assert "filled" in statuses[0], statuses
