"""Somebody to trade with: quotes on both sides of each market that a flow uses."""

from typing import Any, Final

from tests.support.node import NodeProcess, account

MAKER: Final = 9
QUOTES: Final = {0: ("100000", "0.5", "10"), 1: ("4000", "10", "1")}
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
