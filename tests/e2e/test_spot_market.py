"""The spot market over a real node: the venue's own Python client, the command line, and the log
that they leave, executed again with every signature, audited and explained."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange

from tests.support.chain import run_cli
from tests.support.node import Account, NodeProcess, account, running_node

ALICE, BOB = account(0), account(1)
PAIR = "CHP/USDC"
GTC, IOC, ALO = ({"limit": {"tif": tif}} for tif in ("Gtc", "Ioc", "Alo"))


@pytest.fixture(name="chain", scope="module")
def chain_folder() -> Iterator[Path]:
    """Where the node keeps its chain."""
    with TemporaryDirectory(prefix="chainperp-spot-") as scratch:
        yield Path(scratch) / "chain"


@pytest.fixture(name="node", scope="module")
def running(chain: Path) -> Iterator[NodeProcess]:
    """A node; each development account has 1,000,000 CHP."""
    with running_node(chain, "--dev") as node:
        yield node


def client(node: NodeProcess, who: Account) -> Any:
    """The SDK's client of an account, unmodified."""
    return Exchange(Wallet.from_key(who.secret), node.url)


def status(reply: dict[str, Any]) -> dict[str, Any]:
    """Status of the one order of a reply."""
    assert reply["status"] == "ok", reply
    (found,) = reply["response"]["data"]["statuses"]
    return dict(found)


def balances(node: NodeProcess, who: Account) -> dict[str, tuple[str, str]]:
    """Total and hold by coin."""
    rows = node.info("spotClearinghouseState", user=who.address).document["balances"]
    return {row["coin"]: (row["total"], row["hold"]) for row in rows}


def check_the_clients_orders_trade_tokens_against_usdc(node: NodeProcess) -> None:
    """Placed, filled, replaced, cancelled and refused with the texts that it knows."""
    alice, bob = client(node, ALICE), client(node, BOB)
    assert bob.usd_class_transfer(1000.0, False)["status"] == "ok"
    assert "resting" in status(alice.order(PAIR, False, 100.0, 2.0, GTC))
    filled = status(bob.order(PAIR, True, 30.0, 2.5, IOC))["filled"]
    assert (filled["totalSz"], filled["avgPx"]) == ("30.0", "2.0")
    assert balances(node, BOB) == {"USDC": ("940.0", "0.0"), "CHP": ("1000029.979", "0.0")}
    assert balances(node, ALICE)["CHP"] == ("999970.0", "70.0")
    oid = status(bob.order(PAIR, True, 50.0, 1.0, ALO))["resting"]["oid"]
    assert balances(node, BOB)["USDC"] == ("940.0", "50.0")
    replaced = status(bob.modify_order(oid, PAIR, True, 50.0, 1.5, ALO))["resting"]["oid"]
    assert bob.cancel(PAIR, replaced)["response"]["data"]["statuses"] == ["success"]
    assert status(bob.order(PAIR, True, 500.0, 2.0, GTC)) == {
        "error": "Insufficient spot balance asset=10000"
    }
    assert status(bob.order(PAIR, True, 4.0, 2.0, GTC)) == {
        "error": "Order must have minimum value of 10 USDC. asset=10000"
    }
    token = next(
        f"{one['name']}:{one['tokenId']}"
        for one in node.info("spotMeta").document["tokens"]
        if one["name"] == "CHP"
    )
    assert bob.spot_transfer(29.979, ALICE.address, token)["status"] == "ok"
    assert balances(node, BOB)["CHP"] == ("1000000.0", "0.0")


def check_the_command_line_trades_and_helps(node: NodeProcess) -> None:
    """Pairs and tokens by name; a refusal tells what is free and what to do."""
    here = {"CHAINPERP_URL": node.url}

    def tx(*words: str) -> Any:
        return run_cli("tx", *words, "--from", "2", environment=here)

    assert tx("shift", "100", "spot").code == 0
    done = tx("order", PAIR, "buy", "10", "@", "2")
    assert (done.code, done.out.split(":")[0]) == (0, "filled 10.0 at 2.0"), done.err
    short = tx("order", PAIR, "buy", "100", "@", "1.9")
    assert short.code == 4
    assert "spot balance 80.0 USDC, of which open orders hold 0.0; the order needs 190" in short.err
    assert "chainperp tx shift" in short.err
    assert "the rule: chainperp rules SPT-5" in short.err
    assert tx("transfer", BOB.address, "1.25", "--token", "CHP").code == 0
    assert tx("order", PAIR, "sell", "20", "@", "3").code == 0
    assert tx("cancel", PAIR, "--all").code == 0
    tick = run_cli("tick", PAIR, "1.00001", environment=here)
    assert (tick.code, "1 and 1.0001" in tick.out) == (1, True)


def check_the_log_of_it_is_executed_again_audited_and_explained(chain: Path) -> None:
    """After the node has stopped: same bytes, no finding, tokens in the words of a trade."""
    replayed = run_cli("replay", str(chain), "--json")
    assert replayed.code == 0, replayed.err
    audited = run_cli("audit", str(chain), "--json")
    assert audited.code == 0, audited.out
    assert run_cli("verify", str(chain)).code == 0
    told = run_cli("explain", "fill", str(chain), "1").out
    assert f"bought 30 CHP at 2 from {ALICE.address}" in told
    assert "fee 0.021 CHP" in told


def test_tokens_from_the_first_order_to_the_audit(node: NodeProcess, chain: Path) -> None:
    """One story on one node: each part goes on where the one before it ended."""
    check_the_clients_orders_trade_tokens_against_usdc(node)
    check_the_command_line_trades_and_helps(node)
    check_the_log_of_it_is_executed_again_audited_and_explained(chain)
