"""`POST /info` of a real node: every question's form, and what it says after a little trading."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainperp.node.index.index import Index
from chainperp.node.index.schema import NAMES
from chainperp.node.info.catalogue import QUERIES, REFUSED
from chainperp.storage.store import ChainStore
from tests.support.info_shapes import DELTAS, SHAPES, misfits
from tests.support.node import NodeProcess, account, limit_order, running_node

HOUR_MS = 3_600_000
ALICE, BOB, CAROL, NOBODY = account(0), account(1), account(2), "0x" + "12" * 20
CLOID = "0x" + "ab" * 16


def trigger(kind: str, is_buy: bool, at: str, *, is_market: bool = True) -> dict[str, Any]:
    """A reduce-only `tp` or `sl` order of 0.1 BTC."""
    terms = {"trigger": {"isMarket": is_market, "triggerPx": at, "tpsl": kind}}
    return {"a": 0, "b": is_buy, "p": at, "s": "0.1", "r": True, "t": terms}


def trade_a_little(node: NodeProcess) -> None:
    """Fills, resting, refused, cancelled and waiting orders, transfers, an agent, an hour."""
    act = node.act
    act(BOB, {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 5})
    for asset, price, size in ((0, "100010", "0.5"), (1, "4001", "5")):
        act(ALICE, limit_order(asset, False, price, size, cloid=CLOID[:-1] + str(asset)))
        act(BOB, limit_order(asset, True, price, str(float(size) / 2)))
    act(BOB, limit_order(0, True, "99000", "0.1"))
    act(BOB, limit_order(0, True, "98000", "0.1", cloid=CLOID))
    act(BOB, limit_order(0, True, "98000.001", "0.1"))
    act(BOB, {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]})
    family = [limit_order(0, True, "97000", "0.1")["orders"][0],
              trigger("tp", False, "120000"), trigger("sl", False, "90000")]  # fmt: skip
    act(BOB, {"type": "order", "orders": family, "grouping": "normalTpsl"})
    act(BOB, {"type": "order", "orders": [trigger("sl", False, "95000", is_market=False)],
              "grouping": "na"})  # fmt: skip
    act(BOB, {"type": "usdSend", "destination": NOBODY, "amount": "10"})
    act(BOB, {"type": "withdraw3", "destination": NOBODY, "amount": "50"})
    agent = account(5).address[:-2] + "00"
    act(BOB, {"type": "approveAgent", "agentAddress": agent, "agentName": "bot"})
    node.post("/dev", {"type": "increaseTime", "ms": HOUR_MS})
    for _ in range(2):
        node.post("/dev", {"type": "mine"})


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node on which something happened."""
    with running_node(None, "--dev") as running:
        trade_a_little(running)
        yield running


def asked(node: NodeProcess, name: str, user: str = BOB.address, **more: Any) -> Any:
    """The document of a question about a user and BTC."""
    query = next(query for query in QUERIES if query.name == name)
    given = {
        "user": user, "users": [user], "coin": "BTC", "startTime": 0, "id": 51, "dex": "",
        "builder": ALICE.address, "vaultAddress": user, "oid": 2, "wid": 1,
        "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
        "req": {"coin": "BTC", "interval": "5m", "startTime": 0},
    }  # fmt: skip
    names = {key for key, _, _ in query.fields}
    answered = node.info(name, **{key: given[key] for key in given if key in names}, **more)
    assert answered.status == 200, answered
    return answered.document


# --- forms ---------------------------------------------------------------------------------------


def test_every_offered_question_has_a_form() -> None:
    """The table of forms is the table of questions."""
    assert set(SHAPES) == {query.name for query in QUERIES if query.grade != "refused"}


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("user", [BOB.address, ALICE.address, NOBODY, "0x" + "34" * 20])
def test_answers_have_the_form_that_clients_know(node: NodeProcess, name: str, user: str) -> None:
    """Exact keys and JSON types, for traders, for an address that was paid, and for a stranger."""
    assert misfits(SHAPES[name], asked(node, name, user)) == []


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_addresses_may_come_in_any_case(node: NodeProcess, name: str) -> None:
    """Upper-case hex digits are the same account."""
    upper = "0x" + BOB.address[2:].upper()
    assert misfits(SHAPES[name], asked(node, name, upper)) == []


def test_ledger_rows_have_the_form_of_their_kind(node: NodeProcess) -> None:
    """Deposit, withdrawal and transfer, in the order they happened."""
    rows = asked(node, "userNonFundingLedgerUpdates")
    for row in rows:
        assert misfits(DELTAS[row["delta"]["type"]], row["delta"]) == []
    assert [row["delta"]["type"] for row in rows[:3]] == ["deposit", "internalTransfer", "withdraw"]
    assert rows[1]["delta"]["usdc"] == "10.0"
    assert rows[1]["delta"]["fee"] == "1.0"
    [received] = asked(node, "userNonFundingLedgerUpdates", NOBODY)
    assert received == rows[1]


@pytest.mark.parametrize("name", [query.name for query in REFUSED])
def test_what_is_not_offered_is_refused_by_name(node: NodeProcess, name: str) -> None:
    """422, plain text, with the place where it is written down."""
    answered = node.info(name, user=BOB.address)
    assert answered.status == 422
    assert name in answered.text
    assert "docs/compatibility.md" in answered.text


# --- what they say -------------------------------------------------------------------------------


def test_an_answer_is_there_as_soon_as_the_order_is(node: NodeProcess) -> None:
    """Whoever placed an order finds it, its fill and its trade at once, fifty times."""
    for at in range(50):
        placed = node.act(ALICE, limit_order(2, False, "200", "0.1"))
        oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
        assert asked(node, "historicalOrders", ALICE.address)[0]["order"]["oid"] == oid
        assert node.info("orderStatus", user=ALICE.address, oid=oid).document["status"] == "order"
        node.act(BOB, limit_order(2, True, "200", "0.1"))
        assert asked(node, "userFills")[0]["coin"] == "SOL"
        assert len(node.info("recentTrades", coin="SOL").document) == at + 1
        status = node.info("orderStatus", user=ALICE.address, oid=oid).document["order"]["status"]
        assert status == "filled"


def test_orders_are_told_with_their_triggers_and_children(node: NodeProcess) -> None:
    """The open ones from the state and the same ones from the index agree in every key."""
    full = asked(node, "frontendOpenOrders")
    by_type = {row["orderType"]: row for row in full}
    assert by_type["Stop Limit"]["triggerCondition"] == "Price below 95000"
    assert by_type["Take Profit Market"]["triggerCondition"] == "Price above 120000"
    assert by_type["Stop Market"]["tif"] is None
    [parent] = [row for row in full if row["children"]]
    assert parent["limitPx"] == "97000.0"
    assert [child["orderType"] for child in parent["children"]] == [
        "Take Profit Market",
        "Stop Market",
    ]
    for row in full:
        found = node.info("orderStatus", user=BOB.address, oid=row["oid"]).document
        assert found["order"]["order"] == row | {"children": []}
        assert found["order"]["status"] == "open"
    short = {row["oid"]: row for row in asked(node, "openOrders")}
    assert set(short) == {row["oid"] for row in full}


def test_refused_and_cancelled_orders_are_remembered(node: NodeProcess) -> None:
    """By their words, with the refused price as it was signed."""
    rows = {row["status"]: row for row in asked(node, "historicalOrders")}
    assert rows["tickRejected"]["order"]["limitPx"] == "98000.001"
    assert rows["canceled"]["order"]["cloid"] == CLOID
    found = node.info("orderStatus", user=BOB.address, oid=CLOID).document
    assert found["order"]["status"] == "canceled"
    other = node.info("orderStatus", user=ALICE.address, oid=CLOID).document
    assert other == {"status": "unknownOid"}


def test_funding_is_told_on_both_sides(node: NodeProcess) -> None:
    """What one pays the other receives, to the rounding; the rate is the market's."""
    mine, theirs = (asked(node, "userFunding", one.address) for one in (BOB, ALICE))
    assert [row["delta"]["coin"] for row in mine] == ["BTC", "ETH"]
    for paid, received in zip(mine, theirs, strict=True):
        assert paid["delta"]["fundingRate"] == received["delta"]["fundingRate"]
        assert paid["delta"]["szi"] == received["delta"]["szi"].removeprefix("-")
    assert asked(node, "fundingHistory")[0]["time"] == mine[0]["time"]


def test_a_fill_leads_to_its_transaction(node: NodeProcess) -> None:
    """The hash of a fill is that of the taker's transaction, which the explorer knows."""
    fill = asked(node, "userFills", ALICE.address)[-1]
    found = node.post("/explorer", {"type": "txDetails", "hash": fill["hash"]}).document
    assert found["tx"]["user"] == BOB.address
    assert found["tx"]["action"]["type"] == "order"
    block = node.post("/explorer", {"type": "blockDetails", "height": found["tx"]["block"]})
    assert found["tx"] in block.document["blockDetails"]["txs"]
    user = node.post("/explorer", {"type": "userDetails", "user": BOB.address}).document
    assert found["tx"] in user["txs"]


def test_agents_and_roles(node: NodeProcess) -> None:
    """A named key, its owner, a stranger and a vault."""
    [agent] = asked(node, "extraAgents")
    assert agent["name"] == "bot"
    role = asked(node, "userRole", agent["address"])
    assert role == {"role": "agent", "data": {"user": BOB.address}}
    assert asked(node, "userRole")["role"] == "user"
    assert asked(node, "userRole", "0x" + "34" * 20)["role"] == "missing"


def test_sub_accounts_are_told_by_master_and_by_role(node: NodeProcess) -> None:
    """Null before the first; then name, addresses and margin, and a transfer on both ledgers."""
    assert asked(node, "subAccounts", ALICE.address) is None
    node.act(ALICE, limit_order(0, False, "100005", "1"))
    node.act(BOB, limit_order(0, True, "100005", "1"))
    assert node.act(BOB, {"type": "createSubAccount", "name": "desk"})["status"] == "ok"
    address = asked(node, "subAccounts")[0]["subAccountUser"]
    node.act(BOB, {"type": "subAccountTransfer", "subAccountUser": address, "isDeposit": True,
                   "usd": 5_000_000})  # fmt: skip
    for name in ("subAccounts", "subAccounts2"):
        [row] = asked(node, name)
        assert misfits(SHAPES[name], [row]) == []
        assert (row["name"], row["subAccountUser"], row["master"]) == ("desk", address, BOB.address)
    assert asked(node, "subAccounts")[0]["clearinghouseState"]["withdrawable"] == "5.0"
    assert asked(node, "userRole", address) == {
        "role": "subAccount",
        "data": {"master": BOB.address},
    }
    [received] = asked(node, "userNonFundingLedgerUpdates", address)
    assert received["delta"]["type"] == "subAccountTransfer"
    assert received in asked(node, "userNonFundingLedgerUpdates")


def test_builder_fees_and_signers(node: NodeProcess) -> None:
    """Null and 0 before; then what was approved."""
    assert asked(node, "userToMultiSigSigners") is None
    given = {"user": BOB.address, "builder": ALICE.address}
    assert node.info("maxBuilderFee", **given).document == 0
    done = node.act(BOB, {"type": "approveBuilderFee", "maxFeeRate": "0.01%",
                          "builder": ALICE.address})  # fmt: skip
    assert done["status"] == "ok", done
    assert node.info("maxBuilderFee", **given).document == 10
    assert asked(node, "approvedBuilders") == [ALICE.address]
    users = sorted([account(7).address, account(8).address])
    signers = json.dumps({"authorizedUsers": users, "threshold": 2})
    done = node.act(account(6), {"type": "convertToMultiSigUser", "signers": signers})
    assert done["status"] == "ok", done
    assert asked(node, "userToMultiSigSigners", account(6).address) == {
        "authorizedUsers": users,
        "threshold": 2,
    }


def test_merged_levels(node: NodeProcess) -> None:
    """Two figures put the bids of 97000 and 99000 where they belong."""
    merged = node.info("l2Book", coin="BTC", nSigFigs=2).document
    assert [level["px"] for level in merged["levels"][0]] == ["99000.0", "97000.0"]
    assert merged["levels"][1][0]["px"] == "110000.0"
    assert merged["spread"] == "11000.0"
    assert node.info("l2Book", coin="BTC", nSigFigs=4, mantissa=2).status == 422


# --- limits --------------------------------------------------------------------------------------


def many_fills(node: NodeProcess, count: int) -> None:
    """Fill one order of Alice's many times with batches of Bob's."""
    node.act(ALICE, limit_order(5, False, "0.2", str(100 * count)))
    one = limit_order(5, True, "0.2", "100", tif="Ioc")["orders"][0]
    for _ in range(count // 100):
        node.act(BOB, {"type": "order", "orders": [one] * 100, "grouping": "na"})


def test_a_cut_list_says_so_and_goes_on(node: NodeProcess) -> None:
    """2000 fills at once, the rest behind the cursor: nothing twice, nothing missing."""
    many_fills(node, 2_100)
    for name, more in (
        ("userFills", {}),
        ("userFillsByTime", {"startTime": 0}),
        ("userFillsByTime", {"startTime": 0, "reversed": True}),
        ("historicalOrders", {}),
    ):
        seen: list[int] = []
        cursor: dict[str, int] = {}
        pages = 0
        while True:
            answered = node.info(name, user=BOB.address, **more, **cursor)
            rows = answered.document
            seen += [row["tid"] if "tid" in row else row["order"]["oid"] for row in rows]
            pages += 1
            if "x-truncated" not in answered.headers:
                break
            assert len(rows) == 2_000
            cursor = {"cursor": int(answered.headers["x-next-cursor"])}
        assert pages == 2
        assert len(seen) == len(set(seen)) > 2_100
        assert seen == sorted(seen, reverse=name != "userFillsByTime" or "reversed" in more)


def test_fills_of_one_crossing_order_are_merged_on_request(node: NodeProcess) -> None:
    """Three resting orders, one that crosses them: three fills, or one of the same sum."""
    for price in ("39", "39.1", "39.2"):
        node.act(ALICE, limit_order(3, False, price, "1"))
    node.act(BOB, limit_order(3, True, "40", "3"))
    one_by_one = asked(node, "userFills")[:3]
    [merged] = asked(node, "userFills", aggregateByTime=True)[:1]
    assert [row["px"] for row in one_by_one] == ["39.2", "39.1", "39.0"]
    assert merged["sz"] == "3.0"
    assert merged["px"] == "39.1"
    assert merged["oid"] == one_by_one[0]["oid"]
    assert merged["startPosition"] == one_by_one[-1]["startPosition"]


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("number", [0, 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1])
def test_numbers_of_any_size_are_answered(node: NodeProcess, name: str, number: int) -> None:
    """Times, cursors, ids at the ends of their range: an answer or a refusal, never a fault."""
    query = next(query for query in QUERIES if query.name == name)
    given: dict[str, Any] = {
        "user": BOB.address, "users": [], "coin": "BTC", "dex": "", "builder": BOB.address,
        "vaultAddress": BOB.address,
    }  # fmt: skip
    given |= dict.fromkeys(("startTime", "endTime", "cursor", "oid", "id", "nSigFigs"), number)
    for interval in ("1m", "1M"):
        given["req"] = {
            "coin": "BTC", "interval": interval, "startTime": number, "endTime": number,
            "cursor": number,
        }  # fmt: skip
        names = {key for key, _, _ in query.fields}
        answered = node.info(name, **{key: given[key] for key in given if key in names})
        assert answered.status in (200, 422), answered
    blocks = node.post("/explorer", {"type": "blockDetails", "height": number})
    assert blocks.status in (200, 422)


# --- the index of a node -------------------------------------------------------------------------


def index_rows(path: Path) -> dict[str, list[Any]]:
    """All tables of a stopped node's index, brought up to its last block."""
    with ChainStore.open(path) as store:
        index = Index.open(store)
        try:
            index.wait(store.height)
            run = index.connection().execute
            return {
                name: sorted(run(f"SELECT * FROM {name}").fetchall(), key=repr) for name in NAMES
            }
        finally:
            index.close()


def without_index(path: Path, target: Path) -> Path:
    """A copy of a chain whose index is gone."""
    ignored = shutil.ignore_patterns("LOCK", "index.db*")
    return Path(shutil.copytree(path, target, ignore=ignored))


def test_a_killed_node_has_the_index_that_its_log_gives(tmp_path: Path) -> None:
    """Killed right behind an answer, three times: nothing is missing, nothing is double."""
    path = tmp_path / "chain"
    for at in range(3):
        running = NodeProcess(path, "--dev")
        running.wait_until_it_answers()
        for _ in range(30):
            running.act(ALICE, limit_order(0, False, "100010", "0.1"))
            running.act(BOB, limit_order(0, True, "100010", "0.1"))
        assert len(asked(running, "userFills")) == 30 * (at + 1)
        terms = {"a": 0, "b": True, "s": "0.1", "r": False, "m": 5, "t": False}
        running.act(CAROL, {"type": "twapOrder", "twap": terms})
        running.act(ALICE, limit_order(0, False, "100020", "0.1"))
        running.kill()
    grown = index_rows(path)
    made = index_rows(without_index(path, tmp_path / "copy"))
    assert grown == made
    slices = [row for row in grown["trades"] if row[-1] is not None]
    assert len(grown["trades"]) - len(slices) == 90
    assert slices
    assert len(grown["twaps"]) == 3


def test_a_branch_has_an_index_of_its_own(tmp_path: Path) -> None:
    """After a revert the fills that were undone are gone from the answers as well."""
    with running_node(tmp_path / "chain", "--dev") as running:
        mark = running.post("/dev", {"type": "snapshot"}).document
        identifier = mark["id"]
        running.act(ALICE, limit_order(0, False, "100010", "0.1"))
        running.act(BOB, limit_order(0, True, "100010", "0.1"))
        assert len(asked(running, "userFills")) == 1
        running.post("/dev", {"type": "revert", "id": identifier})
        assert asked(running, "userFills") == []
        running.act(ALICE, limit_order(0, False, "100010", "0.1"))
        running.act(BOB, limit_order(0, True, "100010", "0.1"))
        assert len(asked(running, "userFills")) == 1
