"""A trader's day, told as commands: a key, money, an order, a trade, a loss cut, home again.

Everything goes through the command line and a node process, as in docs/guide/trader.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chain import Outcome, run_cli
from tests.support.running import RunningNode, running_node

PASSWORD = {"CHAINPERP_PASSWORD": "correct horse battery"}
OUTSIDE = "0x5e9ee1089755c3435139848e47e6635505d5a13a"


class Trader:
    """Somebody with a key file at a terminal."""

    def __init__(self, node: RunningNode, folder: Path) -> None:
        self.node = node
        self.keys = ("--keys", str(folder / "keys"))
        made = run_cli("keys", "new", "trader", *self.keys, "--json", environment=PASSWORD)
        self.address: str = made.document["address"]

    def tx(self, *words: str) -> Outcome:
        """A signed command."""
        return self.node.run(
            "tx", "--from", "trader", *self.keys, *words, "--json", environment=PASSWORD
        )

    def does(self, *words: str) -> Any:
        """A signed command that has to succeed; its statuses, or None."""
        outcome = self.tx(*words)
        assert outcome.code == 0, outcome.err
        response = outcome.document["reply"]["response"]
        return response.get("data", {}).get("statuses")

    def asks(self, *words: str) -> Any:
        """The document of a question."""
        outcome = self.node.run("query", *words, "--json")
        assert outcome.code == 0, outcome.err
        return outcome.document


@pytest.fixture
def trader(tmp_path: Path) -> Iterator[Trader]:
    """A trader with a fresh key, and a local chain."""
    with running_node("--dev") as node:
        yield Trader(node, tmp_path)


def positions(trader: Trader) -> list[tuple[str, str]]:
    """Coin and signed size of what is open."""
    state = trader.asks("account", trader.address)
    return [(one["position"]["coin"], one["position"]["szi"]) for one in state["assetPositions"]]


def test_a_day(trader: Trader) -> None:
    node = trader.node
    # Morning: money, and a look at the market that two others make.
    assert node.run("dev", "fund", trader.address, "5000").code == 0
    assert node.run("dev", "oracle", "BTC=95000").code == 0
    assert node.run("tx", "order", "BTC", "buy", "2", "@", "94990", "--from", "0").code == 0
    assert node.run("tx", "order", "BTC", "sell", "2", "@", "95010", "--from", "1").code == 0
    assert trader.asks("mids")["BTC"] == "95000.0"
    assert node.run("tick", "BTC", "94990.55").code == 1

    # A position with ten times leverage, bought at market, with a stop behind it.
    trader.does("leverage", "BTC", "10")
    (bought,) = trader.does("order", "BTC", "buy", "0.1", "market")
    assert bought["filled"]["totalSz"] == "0.1"
    assert bought["filled"]["avgPx"] == "95010.0"
    assert positions(trader) == [("BTC", "0.1")]
    assert trader.does("tpsl", "BTC", "--sl", "90000", "--side", "sell") == ["waitingForTrigger"]

    # Too much is refused, and nothing of it happened.
    refused = trader.tx("order", "BTC", "buy", "5", "@", "95010")
    assert refused.code == 4
    assert refused.document["refusals"][0]["text"].startswith("Insufficient margin")

    # A resting order is moved, then taken back.
    (resting,) = trader.does("order", "BTC", "buy", "0.01", "@", "94000", "--tif", "Alo")
    oid = str(resting["resting"]["oid"])
    (moved,) = trader.does("modify", oid, "BTC", "buy", "0.01", "@", "94500")
    assert trader.does("cancel", "BTC", str(moved["resting"]["oid"])) == ["success"]
    assert trader.tx("cancel", "BTC", oid).code == 4

    # The price falls below the stop: the position is sold to who still buys.
    assert node.run("tx", "order", "BTC", "buy", "1", "@", "89900", "--from", "2").code == 0
    assert node.run("tx", "cancel", "BTC", "1", "--from", "0").code == 0
    assert node.run("tx", "cancel", "BTC", "2", "--from", "1").code == 0
    for price in ("92000", "89900", "89800"):
        assert node.run("dev", "oracle", f"BTC={price}").code == 0
        assert node.run("dev", "time", "add", "120").code == 0
        assert node.run("dev", "mine", "3").code == 0
    assert positions(trader) == []
    closing = trader.tx("order", "BTC", "sell", "0.1", "@", "89000", "--reduce-only")
    assert closing.code == 4, "the stop has closed it: nothing is left to reduce"

    # Evening: most of it goes home. Nothing that was signed can be sent again.
    signed = trader.tx("withdraw", OUTSIDE, "1000", "--offline")
    path = node.scratch / "withdraw.json"
    path.write_text(signed.out)
    assert node.run("tx", "send", str(path)).code == 0
    assert node.run("tx", "send", str(path)).code == 4
    assert json.loads(signed.out)["action"]["type"] == "withdraw3"
    trader.does("transfer", OUTSIDE, "100")
    everything = trader.tx("transfer", OUTSIDE, "99999")
    assert everything.code == 4
    head = trader.asks("log")
    assert head["size"] > 100
