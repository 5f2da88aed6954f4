"""Vaults through a real node, led and held by the venue's own Python client, unmodified."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from websockets.sync.client import connect

from tests.support.chain import run_cli
from tests.support.info_shapes import DELTAS, SHAPES, misfits
from tests.support.node import Account, NodeProcess, account, limit_order, running_node

LEADER, HOLDER, MAKER, OTHER = account(0), account(1), account(2), account(3)
LIQUIDITY = "0xdfc24b077bc1425ad1dea75bcb6f8158e10df303"
BACKSTOP = "0x" + "00" * 18 + "ff02"
DAY_MS = 86_400_000
OK = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node with developer controls."""
    with running_node(None, "--dev") as running:
        running.act(MAKER, limit_order(0, False, "100005", "5"))
        yield running


@pytest.fixture(scope="module")
def vault(node: NodeProcess) -> str:
    """A vault of 1,000 USDC."""
    return create(node, LEADER, "Calm", 1_000)


def create(node: NodeProcess, who: Account, name: str, usdc: int) -> str:
    """Open a vault; its address is in the answer."""
    action = {"type": "createVault", "name": name, "description": "a vault of the tests",
              "initialUsd": usdc * 10**6, "nonce": node.nonce()}  # fmt: skip
    reply = node.act(who, action)
    assert reply["response"]["type"] == "createVault", reply
    found: str = reply["response"]["data"]
    return found


def asked(node: NodeProcess, question: str, **fields: Any) -> Any:
    """An answer of the form that clients expect."""
    answer = node.info(question, **fields).document
    assert misfits(SHAPES[question], answer) == [], answer
    return answer


def exchange_of(node: NodeProcess, who: Account, **options: Any) -> Any:
    """The SDK's trading client of an account."""
    return Exchange(Wallet.from_key(who.secret), node.url, **options)


def ledger(node: NodeProcess, user: str) -> list[dict[str, Any]]:
    """What an account's ledger says, oldest first."""
    rows: list[Any] = Info(node.url, skip_ws=True).user_non_funding_ledger_updates(user, 0)
    for row in rows:
        assert misfits(DELTAS[row["delta"]["type"]], row["delta"]) == [], row
    return [row["delta"] for row in sorted(rows, key=lambda row: row["time"])]


def text_of(reply: Any) -> str:
    """Why an action was refused."""
    assert reply["status"] == "err", reply
    found: str = reply["response"]
    return found


def later(node: NodeProcess, ms: int) -> None:
    """Move time, with a fresh price behind it."""
    assert node.post("/dev", {"type": "increaseTime", "ms": ms}).status == 200
    assert node.post("/dev", {"type": "setOracle", "coin": "BTC", "px": "100005"}).status == 200


def check_a_new_vault_is_told_everywhere(node: NodeProcess, vault: str) -> None:
    """Role, details, the lists that name it, and the row of its creation."""
    assert asked(node, "userRole", user=vault) == {"role": "vault"}
    found = asked(node, "vaultDetails", vaultAddress=vault, user=LEADER.address)
    assert (found["name"], found["leader"]) == ("Calm", LEADER.address)
    assert (found["leaderFraction"], found["leaderCommission"]) == (1.0, 0.1)
    assert (found["maxDistributable"], found["maxWithdrawable"]) == (900.0, 1000.0)
    assert found["followers"][0]["user"] == "Leader"
    assert found["followerState"]["vaultEquity"] == "1000.0"
    assert (found["isClosed"], found["allowDeposits"]) == (False, True)
    assert found["relationship"] == {"type": "normal"}
    assert asked(node, "leadingVaults", user=LEADER.address) == [{"address": vault, "name": "Calm"}]
    summaries = asked(node, "vaultSummaries")
    assert {one["vaultAddress"] for one in summaries} >= {vault, LIQUIDITY}
    assert ledger(node, LEADER.address)[-1] == {
        "type": "vaultCreate", "vault": vault, "usdc": "1000.0", "fee": "10000.0",
    }  # fmt: skip
    page = asked(node, "webData2", user=LEADER.address)
    assert page["leadingVaults"] == [{"address": vault, "name": "Calm"}]
    assert page["totalVaultEquity"] == "1000.0"
    assert asked(node, "webData2", user=vault)["isVault"] is True


def check_the_clients_trade_deposit_and_withdraw(node: NodeProcess, vault: str) -> None:
    """A deposit, the leader's order in the vault's name, lock-up, profit and commission."""
    holder = exchange_of(node, HOLDER)
    assert holder.vault_usd_transfer(vault, True, 500_000_000) == OK
    [equity] = asked(node, "userVaultEquities", user=HOLDER.address)
    assert (equity["vaultAddress"], equity["equity"]) == (vault, "500.0")
    trader = exchange_of(node, LEADER, vault_address=vault)
    assert trader.update_leverage(10, "BTC")["status"] == "ok"
    reply = trader.order("BTC", True, 0.05, 100005, {"limit": {"tif": "Ioc"}})
    assert "filled" in reply["response"]["data"]["statuses"][0], reply
    fills = asked(node, "userFills", user=vault)
    assert (fills[0]["coin"], fills[0]["sz"]) == ("BTC", "0.05")
    refused = text_of(holder.vault_usd_transfer(vault, False, 100_000_000))
    assert refused.startswith("Cannot withdraw during the lock-up, which ends at 20")
    later(node, DAY_MS)
    details = asked(node, "vaultDetails", vaultAddress=vault, user=HOLDER.address)
    mine = float(details["followerState"]["vaultEquity"])
    assert details["followerState"]["daysFollowing"] == 1
    before = float(asked(node, "clearinghouseState", user=HOLDER.address)["withdrawable"])
    assert holder.vault_usd_transfer(vault, False, 100_000_000) == OK
    after = float(asked(node, "clearinghouseState", user=HOLDER.address)["withdrawable"])
    row = ledger(node, HOLDER.address)[-1]
    assert (row["type"], row["requestedUsd"]) == ("vaultWithdraw", "100.0")
    assert after - before == pytest.approx(float(row["netWithdrawnUsd"]), abs=1e-6)
    assert 0 <= float(row["commission"]) <= 1
    [equity] = asked(node, "userVaultEquities", user=HOLDER.address)
    assert float(equity["equity"]) == pytest.approx(mine - 100, abs=2e-6)
    assert details["portfolio"][3][0] == "allTime"
    history = details["portfolio"][3][1]["accountValueHistory"]
    value = asked(node, "clearinghouseState", user=vault)["marginSummary"]["accountValue"]
    assert float(history[-1][1]) == pytest.approx(float(value) + 100, abs=2e-6)


def check_a_distribution_and_the_end(node: NodeProcess) -> None:
    """Everybody is paid, the leader's settings hold, and a closed vault is nobody's."""
    made = create(node, OTHER, "Brief", 400)
    holder = exchange_of(node, HOLDER)
    assert holder.vault_usd_transfer(made, True, 100_000_000) == OK
    modify = {"type": "vaultModify", "vaultAddress": made, "allowDeposits": False,
              "alwaysCloseOnWithdraw": None}  # fmt: skip
    assert node.act(OTHER, modify) == OK
    assert text_of(holder.vault_usd_transfer(made, True, 5_000_000)) == (
        "Vault does not allow deposits."
    )
    distribute = {"type": "vaultDistribute", "vaultAddress": made, "usd": 50_000_000}
    assert text_of(node.act(HOLDER, distribute)) == "Only leader can perform this vault action"
    assert node.act(OTHER, distribute) == OK
    assert ledger(node, HOLDER.address)[-1] == {
        "type": "vaultDistribution", "vault": made, "usdc": "10.0",
    }  # fmt: skip
    assert node.act(OTHER, distribute | {"usd": 0}) == OK
    last = ledger(node, HOLDER.address)[-1]
    assert (last["type"], last["netWithdrawnUsd"]) == ("vaultWithdraw", "90.0")
    assert asked(node, "vaultDetails", vaultAddress=made)["isClosed"] is True
    reply = holder.vault_usd_transfer(made, True, 5_000_000)
    assert text_of(reply) == f"Vault not registered: {made}"


def check_the_orders_that_close_a_vault_say_so(node: NodeProcess) -> None:
    """What stood in the way is canceled under its published word, what was held is sold."""
    made = create(node, OTHER, "Held", 400)
    trader = exchange_of(node, OTHER, vault_address=made)
    assert trader.order("BTC", True, 0.001, 90000, {"limit": {"tif": "Gtc"}})["status"] == "ok"
    reply = trader.order("BTC", True, 0.005, 100005, {"limit": {"tif": "Ioc"}})
    assert "filled" in reply["response"]["data"]["statuses"][0], reply
    node.act(MAKER, limit_order(0, True, "99990", "1"))
    assert node.act(OTHER, {"type": "vaultDistribute", "vaultAddress": made, "usd": 0}) == OK
    found = asked(node, "historicalOrders", user=made)
    rows = {row["order"]["orderType"]: row["status"] for row in found}
    assert rows["Vault Close"] == "filled"
    assert "vaultWithdrawalCanceled" in {row["status"] for row in found}
    assert asked(node, "vaultDetails", vaultAddress=made)["isClosed"] is True


def check_the_liquidity_vault_takes_deposits(node: NodeProcess) -> None:
    """What its accounts had belongs to the insurance account; children are told."""
    holder = exchange_of(node, HOLDER)
    before = asked(node, "vaultDetails", vaultAddress=LIQUIDITY)
    assert before["relationship"]["type"] == "parent"
    assert BACKSTOP in before["relationship"]["data"]["childAddresses"]
    assert before["leaderCommission"] == 0.0
    assert float(before["followers"][0]["vaultEquity"]) >= 10_000_000
    assert holder.vault_usd_transfer(LIQUIDITY, True, 1_000_000_000) == OK
    found = asked(node, "vaultDetails", vaultAddress=LIQUIDITY, user=HOLDER.address)
    assert float(found["followerState"]["vaultEquity"]) == pytest.approx(1000, abs=1e-5)
    entered = found["followerState"]["vaultEntryTime"]
    assert found["followerState"]["lockupUntil"] == entered + 4 * DAY_MS
    child = asked(node, "vaultDetails", vaultAddress=BACKSTOP)
    assert child["relationship"]["data"]["parentAddress"] == LIQUIDITY
    assert asked(node, "vaultDetails", vaultAddress=HOLDER.address) is None


def check_the_websocket_tells_a_deposit(node: NodeProcess, vault: str) -> None:
    """`userNonFundingLedgerUpdates` brings the row to whoever follows the holder."""
    with connect(node.url.replace("http", "ws") + "/ws") as socket:
        subscription = {"type": "userNonFundingLedgerUpdates", "user": OTHER.address}
        socket.send(json.dumps({"method": "subscribe", "subscription": subscription}))
        assert json.loads(socket.recv(20))["channel"] == "subscriptionResponse"
        socket.recv(20)
        assert exchange_of(node, OTHER).vault_usd_transfer(vault, True, 7_000_000) == OK
        told = json.loads(socket.recv(20))["data"]
    [row] = told["nonFundingLedgerUpdates"]
    assert row["delta"]["type"] == "vaultDeposit"
    assert row["delta"]["vault"] == vault


def check_refusals_say_what_would_do(node: NodeProcess, vault: str) -> None:
    """Published texts, and the numbers that decide."""
    other = exchange_of(node, OTHER)
    for amount, text in (
        (999_999, "Vault transfer must be at least $1."),
        (10**15, "Insufficient balance for vault deposit."),
        (900_000_000_000, "Leader must hold at least 5% of the vault."),
    ):
        assert text_of(other.vault_usd_transfer(vault, True, amount)) == text
    reply = exchange_of(node, MAKER).vault_usd_transfer(vault, False, 5_000_000)
    assert text_of(reply) == "Insufficient vault equity for withdrawal. Equity: $0."
    small = {"type": "createVault", "name": "Calm", "description": "a vault of the tests",
             "initialUsd": 99_999_999, "nonce": 1}  # fmt: skip
    assert text_of(node.act(OTHER, small)) == "Initial vault deposit must be at least $100."
    rich = small | {"initialUsd": 10**13}
    assert text_of(node.act(OTHER, rich)) == "Insufficient balance to create vault"
    assert text_of(node.act(OTHER, small | {"name": "no"})) == (
        "Vault name or description is invalid."
    )
    stranger = exchange_of(node, OTHER, vault_address=vault)
    refused = stranger.order("BTC", True, 0.001, 90000, {"limit": {"tif": "Gtc"}})
    assert text_of(refused) == f"Vault not registered: {vault}"


def check_the_commands_lead_and_hold_a_vault(node: NodeProcess) -> None:
    """`tx vault` and `query vault`, with help for a refusal."""
    url = ("--url", node.url)
    made = run_cli("tx", "vault", "create", "Command", "100", "--from", "4", *url)
    assert made.code == 0, made
    [led] = asked(node, "leadingVaults", user=account(4).address)
    address = led["address"]
    assert address in made.out
    for words in (("deposit", address, "20", "--from", "4"),
                  ("modify", address, "--close", "--from", "4"),
                  ("distribute", address, "5", "--from", "4")):  # fmt: skip
        outcome = run_cli("tx", "vault", *words, *url)
        assert outcome.code == 0, outcome
    refused = run_cli("tx", "vault", "withdraw", address, "60", "--from", "4", *url)
    assert refused.code == 4
    assert "lock-up" in refused.err
    assert "chainperp rules VLT-10" in refused.err
    assert f"{account(4).address} holds 115.0" in refused.err
    for words, lines in (
        (("deposit", address, "2000000", "--from", "4"), ("asked 2000000.0", "rules VLT-9")),
        (("distribute", address, "5", "--from", "5"), (account(4).address, "rules VLT-12")),
        (("deposit", HOLDER.address, "5", "--from", "4"), ("is no vault", "rules SUB-4")),
    ):
        outcome = run_cli("tx", "vault", *words, *url)
        assert outcome.code == 4
        assert all(line in outcome.err for line in lines), outcome.err
    shown = run_cli("query", "vault", address, *url)
    assert "Command" in shown.out
    assert "115.0" in shown.out


def test_vaults_from_the_first_deposit_to_the_end(node: NodeProcess, vault: str) -> None:
    """One story on one node: each part goes on where the one before it ended."""
    check_a_new_vault_is_told_everywhere(node, vault)
    check_the_clients_trade_deposit_and_withdraw(node, vault)
    check_a_distribution_and_the_end(node)
    check_the_orders_that_close_a_vault_say_so(node)
    check_the_liquidity_vault_takes_deposits(node)
    check_the_websocket_tells_a_deposit(node, vault)
    check_refusals_say_what_would_do(node, vault)
    check_the_commands_lead_and_hold_a_vault(node)
