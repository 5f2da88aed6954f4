"""A node as its operator sees it: it starts, answers, goes on where it was, and stops clean."""

from pathlib import Path

from tests.support.node import account, limit_order, running_node


def test_a_node_trades_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    """An order placed before SIGTERM is still there, and can be canceled, after a new start."""
    path = tmp_path / "chain"
    trader = account(0)
    with running_node(path) as node:
        mids = node.info("allMids").document
        assert float(mids["BTC"]) > 0
        reply = node.act(trader, limit_order(0, True, "90000", "0.1"))
        oid = reply["response"]["data"]["statuses"][0]["resting"]["oid"]
    with running_node(path) as node:
        cancel = {"type": "cancel", "cancels": [{"a": 0, "o": oid}]}
        assert node.act(trader, cancel)["response"]["data"]["statuses"] == ["success"]
        again = node.act(trader, cancel)["response"]["data"]["statuses"]
        assert again == [{"error": "Order was never placed, already canceled, or filled. asset=0"}]
