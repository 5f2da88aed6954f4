"""Spot balances through a real node, moved by the venue's own Python client, unmodified."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from websockets.sync.client import connect

from tests.support.info_shapes import DELTAS, SHAPES, misfits
from tests.support.node import Account, NodeProcess, account, limit_order, running_node

USDC = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"
ALICE, BOB = account(0), account(1)
OK = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node on which Alice has traded enough for a sub-account."""
    with running_node(None, "--dev") as running:
        running.act(BOB, limit_order(0, False, "100005", "1"))
        running.act(ALICE, limit_order(0, True, "100005", "1"))
        running.act(BOB, limit_order(0, True, "100005", "1"))
        running.act(ALICE, limit_order(0, False, "100005", "1"))
        yield running


class Person:
    """An account with the SDK's client, and what the node says of it."""

    def __init__(self, node: NodeProcess, who: Account) -> None:
        self.node = node
        self.address = who.address
        self.info = Info(node.url, skip_ws=True)
        self.exchange: Any = Exchange(Wallet.from_key(who.secret), node.url)

    def money(self, address: str | None = None) -> tuple[float, float]:
        """Withdrawable margin and spot balance."""
        user = address or self.address
        spot = self.node.info("spotClearinghouseState", user=user).document
        assert misfits(SHAPES["spotClearinghouseState"], spot) == []
        totals = [float(row["total"]) for row in spot["balances"] if row["coin"] == "USDC"]
        return float(self.info.user_state(user)["withdrawable"]), sum(totals)

    def ledger(self, address: str | None = None) -> list[dict[str, Any]]:
        """What the ledger says, oldest first."""
        rows: list[Any] = self.info.user_non_funding_ledger_updates(address or self.address, 0)
        for row in rows:
            assert misfits(DELTAS[row["delta"]["type"]], row["delta"]) == [], row
        return [row["delta"] for row in sorted(rows, key=lambda row: row["time"])]


def about(found: tuple[float, float], margin: float, spot: float) -> None:
    """Both cells, to the micro-USDC."""
    assert list(found) == pytest.approx([margin, spot], abs=1e-9)


def test_the_clients_calls_move_usdc_between_cells(node: NodeProcess) -> None:
    """Every call that there is: balances, rows of both ledgers, and refusals in known words."""
    alice, bob = Person(node, ALICE), Person(node, BOB)
    margin, _ = alice.money()
    others, _ = bob.money()
    assert alice.exchange.usd_class_transfer(50.0, False) == OK
    about(alice.money(), margin - 50, 50)
    assert alice.exchange.usd_class_transfer(10.5, True) == OK
    about(alice.money(), margin - 39.5, 39.5)
    assert alice.exchange.spot_transfer(9.5, bob.address, USDC) == OK
    about(bob.money(), others, 9.5)
    assert alice.exchange.send_asset(bob.address, "spot", "", USDC, 10.0) == OK
    assert alice.exchange.send_asset(bob.address, "", "spot", USDC, 1.0) == OK
    about(bob.money(), others + 10, 10.5)
    about(alice.money(), margin - 40.5, 20)
    kinds = [row["type"] for row in alice.ledger()][-5:]
    assert kinds == [*["accountClassTransfer"] * 2, "spotTransfer", "send", "send"]
    assert [row["toPerp"] for row in alice.ledger()[-5:-3]] == [False, True]
    assert bob.ledger()[-3:] == alice.ledger()[-3:]
    assert (bob.ledger()[-1]["sourceDex"], bob.ledger()[-1]["destinationDex"]) == ("", "spot")
    refused = alice.exchange.spot_transfer(20.000001, bob.address, USDC)
    assert refused == {"status": "err", "response": "Insufficient balance for token transfer"}
    for reply in (
        alice.exchange.usd_class_transfer(0.0000001, False),
        alice.exchange.spot_transfer(1.0, bob.address, "PURR:0xc1fb593aeffbeb02f85e0308e9956a90"),
        alice.exchange.send_asset(bob.address, "spot", "xyz", USDC, 1.0),
    ):
        assert reply["status"] == "err"
    about(alice.money(), margin - 40.5, 20)


def test_a_new_address_costs_a_fee_out_of_the_spot_balance(node: NodeProcess) -> None:
    """The row names it, and the newcomer has the whole amount."""
    alice = Person(node, ALICE)
    alice.exchange.usd_class_transfer(10.0, False)
    margin, spot = alice.money()
    newcomer = "0x" + "77" * 20
    assert alice.exchange.spot_transfer(3.0, newcomer, USDC) == OK
    about(alice.money(), margin, spot - 4)
    about(alice.money(newcomer), 0, 3)
    assert [row["fee"] for row in alice.ledger(newcomer)] == ["1.0"]


def test_sub_accounts_have_spot_balances_of_their_own(node: NodeProcess) -> None:
    """The transfer between masters and subs, and class transfers in a sub-account's name."""
    alice = Person(node, ALICE)
    sub = alice.exchange.create_sub_account("desk")["response"]["data"]
    alice.exchange.usd_class_transfer(10.0, False)
    _, spot = alice.money()
    assert alice.exchange.sub_account_spot_transfer(sub, True, USDC, 7.0) == OK
    assert alice.exchange.sub_account_spot_transfer(sub, False, USDC, 1.0) == OK
    about(alice.money(sub), 0, 6)
    about(alice.money(), alice.money()[0], spot - 6)
    desk: Any = Exchange(Wallet.from_key(ALICE.secret), node.url, vault_address=sub)
    assert desk.usd_class_transfer(4.0, True) == OK
    about(alice.money(sub), 4, 2)
    assert desk.send_asset(alice.address, "spot", "spot", USDC, 2.0) == OK
    about(alice.money(sub), 4, 0)
    [row] = node.info("subAccounts", user=alice.address).document
    assert row["spotState"] == {"balances": []}
    assert [one["type"] for one in alice.ledger(sub)] == [
        "subAccountTransfer", "subAccountTransfer", "accountClassTransfer", "send",
    ]  # fmt: skip
    stolen: Any = Exchange(Wallet.from_key(BOB.secret), node.url, vault_address=sub)
    reply = stolen.usd_class_transfer(1.0, False)
    assert reply["response"] == f"Sub-account {sub} is not registered to {BOB.address}"


def test_the_websocket_follows_the_balance(node: NodeProcess) -> None:
    """`spotState` says the new total after a transfer, and nothing in between."""
    alice = Person(node, ALICE)
    _, spot = alice.money()
    with connect(node.url.replace("http", "ws") + "/ws") as socket:
        subscription = {"type": "spotState", "user": alice.address}
        socket.send(json.dumps({"method": "subscribe", "subscription": subscription}))
        seen: list[float] = []
        alice.exchange.usd_class_transfer(2.5, False)
        end = time.monotonic() + 20
        while time.monotonic() < end and pytest.approx(spot + 2.5) not in seen:
            told = json.loads(socket.recv(timeout=20))
            if told["channel"] == "spotState":
                row = told["data"]["spotState"]["balances"][0]
                seen.append(float(row["total"]))
    assert seen[-1] == pytest.approx(spot + 2.5)
