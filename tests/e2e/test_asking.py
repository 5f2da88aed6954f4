"""`query` and `tick` against our node, and against one with the wire's own examples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chain import DemoChain, run_cli
from tests.support.other_node import OtherNode, other_node
from tests.support.running import RunningNode, running_node

USER = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
SUMMARY = {"accountValue": "1012.4", "totalNtlPos": "586.0", "totalRawUsd": "426.4",
           "totalMarginUsed": "29.3"}  # fmt: skip
STATE = {
    "marginSummary": SUMMARY,
    "crossMarginSummary": SUMMARY,
    "crossMaintenanceMarginUsed": "7.3",
    "withdrawable": "953.8",
    "assetPositions": [
        {"type": "oneWay", "position": {
            "coin": "BTC", "szi": "0.02", "leverage": {"type": "cross", "value": 20},
            "entryPx": "29250.0", "positionValue": "586.0", "unrealizedPnl": "1.0",
            "returnOnEquity": "0.034", "liquidationPx": None, "marginUsed": "29.3",
            "maxLeverage": 40,
            "cumFunding": {"allTime": "0.12", "sinceOpen": "0.02", "sinceChange": "0.0"}}},
    ],
    "time": 1700000000000,
}  # fmt: skip
ORDER = {
    "coin": "BTC", "side": "B", "limitPx": "29000.0", "sz": "0.02", "oid": 81,
    "timestamp": 1700000000000, "origSz": "0.02", "triggerCondition": "N/A", "isTrigger": False,
    "triggerPx": "0.0", "children": [], "isPositionTpsl": False, "reduceOnly": False,
    "orderType": "Limit", "tif": "Gtc", "cloid": None,
}  # fmt: skip
META = {
    "universe": [{"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56},
                 {"szDecimals": 0, "name": "kPEPE", "maxLeverage": 10, "marginTableId": 10}],
    "marginTables": [], "collateralToken": 0,
}  # fmt: skip
CONTEXT = {
    "funding": "0.0000125", "openInterest": "1204.5", "prevDayPx": "29100.0",
    "dayNtlVlm": "81234567.1", "premium": None, "oraclePx": "29298.0",
    "markPx": "29301.0", "midPx": None, "impactPxs": None, "dayBaseVlm": "2777.1",
}  # fmt: skip
FILL = {"coin": "BTC", "px": "29301.0", "sz": "0.02", "side": "B", "time": 1700000000000,
        "startPosition": "0.0", "dir": "Open Long", "closedPnl": "0.0", "hash": "0x00",
        "oid": 82, "crossed": True, "fee": "0.2637", "tid": 118906512037719,
        "feeToken": "USDC", "twapId": None}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "meta": META,
    "metaAndAssetCtxs": [META, [CONTEXT, CONTEXT]],
    "allMids": {"BTC": "29305.5", "kPEPE": "0.21"},
    "l2Book": {"coin": "BTC", "time": 1700000000000,
               "levels": [[{"px": "29300.0", "sz": "0.5", "n": 2}],
                          [{"px": "29301.0", "sz": "1.1", "n": 1}]]},
    "clearinghouseState": STATE,
    "spotClearinghouseState": {"balances": [
        {"coin": "HYPE", "token": 150, "total": "36.5", "hold": "0.0", "entryNtl": "0.0"}]},
    "frontendOpenOrders": [ORDER],
    "orderStatus": {"status": "order", "order": {
        "order": ORDER, "status": "filled", "statusTimestamp": 1700000000100}},
    "userFills": [FILL] * 60,
    "fundingHistory": [{"coin": "BTC", "fundingRate": "0.0000125", "premium": "0.0001",
                        "time": 1700000000000}],
    "userFunding": [{"time": 1700000000000, "hash": "0x00", "delta": {
        "type": "funding", "coin": "BTC", "usdc": "-0.12", "szi": "2.0",
        "fundingRate": "0.0000125", "nSamples": None}}],
    "vaultDetails": {
        "name": "V", "vaultAddress": USER, "leader": USER, "description": "", "portfolio": [],
        "apr": 0.12, "followerState": None, "leaderFraction": 0.5, "leaderCommission": 0.1,
        "followers": [{"user": "Leader", "vaultEquity": "250.0", "pnl": "0.0",
                       "allTimePnl": "0.0", "daysFollowing": 3, "vaultEntryTime": 1,
                       "lockupUntil": 2}],
        "maxDistributable": 0.0, "maxWithdrawable": 7.0, "isClosed": False,
        "relationship": {"type": "normal"}, "allowDeposits": True,
        "alwaysCloseOnWithdraw": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    """Our node."""
    with running_node("--accounts", "2") as started:
        yield started


@pytest.fixture(scope="module")
def other() -> Iterator[OtherNode]:
    """A node that knows every question of the wire."""
    with other_node(info=ANSWERS) as started:
        yield started


@pytest.mark.parametrize(
    ("words", "question", "shown"),
    [
        (("account", USER), "clearinghouseState", ["1012.4", "953.8", "29250.0", "20x cross"]),
        (("account", "0"), "clearinghouseState", ["0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"]),
        (("book", "BTC"), "l2Book", ["ask   29301.0", "bid   29300.0"]),
        (("markets",), "metaAndAssetCtxs", ["kPEPE", "29298.0", "1204.5", "40x"]),
        (("mids",), "allMids", ["29305.5", "0.21"]),
        (("orders", USER), "frontendOpenOrders", ["1 open order", "29000.0", "Limit Gtc"]),
        (("orders", USER, "81"), "orderStatus", ["order 81", "filled", "2023-11-14 22:13:20.100"]),
        (("fills", USER), "userFills", ["50 of 60", "Open Long", "taker", "0.2637"]),
        (("funding", "BTC"), "fundingHistory", ["0.0000125", "0.0001"]),
        (("funding", USER), "userFunding", ["-0.12", "2.0"]),
        (("vault", USER), "vaultDetails", ["Leader", "250.0", "open"]),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_people_get_tables_and_programs_the_nodes_own_document(
    other: OtherNode, words: tuple[str, ...], question: str, shown: list[str]
) -> None:
    people = run_cli("query", *words, "--url", other.url)
    assert people.code == 0, people.err
    for text in shown:
        assert text in people.out
    program = run_cli("query", "--url", other.url, *words, "--json")
    assert program.code == 0
    assert program.document == ANSWERS[question]
    assert other.asked[-1]["type"] == question


def test_the_fund_is_what_its_address_holds(other: OtherNode) -> None:
    people = run_cli("query", "fund", "--url", other.url)
    assert people.code == 0, people.err
    assert "HYPE" in people.out
    program = run_cli("query", "fund", "--url", other.url, "--json").document
    assert set(program) == {"address", "clearinghouseState", "spotState"}
    assert program["address"] == "0x" + 20 * "fe"


def test_what_a_node_does_not_offer_is_said() -> None:
    """Exit 4 with the node's own text, for every question."""
    with other_node(info={"meta": META, "orderStatus": {"status": "unknownOid"}}) as little:
        for words in (("account", USER), ("orders", USER), ("fills", USER), ("vault", USER),
                      ("fund",), ("mids",), ("log",), ("raw", '{"type":"portfolio"}')):  # fmt: skip
            outcome = run_cli("query", *words, "--url", little.url)
            assert outcome.code == 4, (words, outcome.err)
            assert "does not offer" in outcome.err or "refuses" in outcome.err
            assert outcome.out == ""
        assert run_cli("query", "markets", "--url", little.url).code == 0
        assert run_cli("query", "orders", USER, "7", "--url", little.url).code == 3
    nothing = {"accountValue": "0.0", "totalNtlPos": "0.0", "totalRawUsd": "0.0",
               "totalMarginUsed": "0.0"}  # fmt: skip
    empty = {"clearinghouseState": STATE | {"marginSummary": nothing},
             "spotClearinghouseState": {"balances": []}, "vaultDetails": None}  # fmt: skip
    with other_node(info=empty) as poor:
        outcome = run_cli("query", "fund", "--url", poor.url)
        assert outcome.code == 4
        assert "does not offer an assistance fund" in outcome.err
        outcome = run_cli("query", "vault", USER, "--url", poor.url)
        assert outcome.code == 3
        assert "has no vault" in outcome.err


def test_our_node_answers_what_it_offers(node: RunningNode) -> None:
    book = node.run("query", "book", "BTC", "--json")
    assert book.document["levels"] == [[], []]
    assert set(node.run("query", "mids", "--json").document) >= {"BTC", "ETH"}
    assert "BTC" in node.run("query", "markets").out
    raw = node.run("query", "raw", '{"type":"meta"}')
    assert raw.document["universe"][0]["name"] == "BTC"
    assert node.run("query", "raw", "[]").code == 2
    assert node.run("query", "account", "nobody").code == 3
    assert node.run("query", "account", "0x12").code == 2
    away = run_cli("query", "mids", "--url", "http://127.0.0.1:1")
    assert away.code == 3
    assert "no node at" in away.err


def test_the_logs_head_of_a_node_and_of_a_directory(
    node: RunningNode, demo_chain: DemoChain, tmp_path: Path
) -> None:
    online = node.run("query", "log", "--json")
    assert online.code == 0, online.err
    assert online.document["origin"] == "local/chainperp"
    assert online.document["size"] > 0
    here = run_cli("query", "log", str(demo_chain.path), "--json")
    assert here.code == 0, here.err
    assert here.document["size"] == demo_chain.log_size
    assert here.document["root"] == demo_chain.log_root
    assert here.document["signature"].startswith("holds")
    people = run_cli("query", "log", str(demo_chain.path))
    assert f"size       {demo_chain.log_size}" in people.out
    assert run_cli("query", "log", str(tmp_path)).code == 3
    forged = demo_chain.copy(tmp_path / "forged") / "log" / "checkpoint"
    lines = forged.read_bytes().split(b"\n")
    lines[1] = str(demo_chain.log_size + 1).encode()
    forged.write_bytes(b"\n".join(lines))
    assert run_cli("query", "log", str(tmp_path / "forged")).code == 1


def test_ticks(node: RunningNode, other: OtherNode, tmp_path: Path) -> None:
    wrong = node.run("tick", "BTC", "95000.55", "--json")
    assert wrong.code == 1
    document = wrong.document
    assert (document["valid"], document["below"], document["above"]) == (False, "95000", "95001")
    assert document["rule"] == "PRC-1"
    right = node.run("tick", "btc", "123456")
    assert right.code == 0
    assert "123456 is valid for BTC" in right.out
    theirs = run_cli("tick", "kpepe", "0.0123456", "--url", other.url, "--json").document
    assert (theirs["below"], theirs["above"], theirs["lot"]) == ("0.012345", "0.012346", "1")
    alone = run_cli("tick", "NEW", "1.23456", "--size-decimals", "2", "--json").document
    assert (alone["below"], alone["above"]) == ("1.2345", "1.2346")
    assert run_cli("tick", "BTC", "1", "--url", "http://127.0.0.1:1").code == 3
    assert node.run("tick", "BTC", "0").code == 2
    assert node.run("tick", "XYZ", "1").code == 2
    assert run_cli("tick", "BTC", "1", "--genesis", str(tmp_path / "none")).code == 3


def test_missing_margin_is_counted(other: OtherNode) -> None:
    """The help asks the node for the numbers: needed, free, missing, the largest size."""
    data = {"user": USER, "coin": "BTC", "leverage": {"type": "cross", "value": 20},
            "maxTradeSzs": ["0.6", "0.5"], "availableToTrade": ["900.0", "800.0"],
            "markPx": "29301.0"}  # fmt: skip
    refusal = {"status": "ok", "response": {"type": "order", "data": {"statuses": [
        {"error": "Insufficient margin to place order. asset=0"}]}}}  # fmt: skip
    info = ANSWERS | {"activeAssetData": data, "userRole": {"role": "user"}}
    with other_node(info=info, exchange=refusal) as strict:
        words = ("tx", "order", "BTC", "sell", "1", "@", "29000", "--from", "0")
        outcome = run_cli(*words, "--url", strict.url)
    assert outcome.code == 4
    assert "value 1012.4 USDC, margin in use 29.3, withdrawable 953.8" in outcome.err
    assert "worth 29000 USDC: at 20x it needs 1450.0, free for it are 800.0" in outcome.err
    assert "margin missing: 650.0 USDC" in outcome.err
    assert "at most 0.5 BTC" in outcome.err


def test_help_survives_a_node_that_answers_nonsense() -> None:
    """A refusal is told whatever the questions behind its help bring."""
    refusal = {"status": "err", "response": "Insufficient margin to place order. asset=0"}
    info = {"meta": META, "userRole": 5, "clearinghouseState": [], "activeAssetData": "x"}
    with other_node(info=info, exchange=refusal) as odd:
        words = ("tx", "order", "BTC", "buy", "1", "@", "29000", "--from", "0", "--json")
        outcome = run_cli(*words, "--url", odd.url)
    assert outcome.code == 4
    assert outcome.document["reply"] == refusal
    assert "Traceback" not in outcome.err


def placed(oid: int) -> dict[str, Any]:
    """A reply with one resting order."""
    statuses = [{"resting": {"oid": oid}}]
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": statuses}}}


@pytest.mark.parametrize(
    ("status", "code", "line"),
    [("filled", 0, "order 81: filled"), ("open", 1, "not over within 1 s")],
)
def test_wait_ends_with_the_order_or_with_the_time(status: str, code: int, line: str) -> None:
    found = {"status": "order", "order": {"order": ORDER, "status": status, "statusTimestamp": 1}}
    info = ANSWERS | {"orderStatus": found, "userRole": {"role": "user"}}
    with other_node(info=info, exchange=placed(81)) as slow:
        words = ("tx", "order", "BTC", "buy", "1", "@", "29000", "--from", "0", "--wait")
        outcome = run_cli(*words, "--wait-max", "1", "--url", slow.url)
    assert outcome.code == code, outcome.err
    assert outcome.out.splitlines() == ["resting: order 81", f"order 81: {status}"] + (
        [line] if code else []
    )


def test_wait_says_when_a_node_cannot_tell() -> None:
    with other_node(info={"meta": META}, exchange=placed(81)) as dumb:
        words = ("tx", "order", "BTC", "buy", "1", "@", "29000", "--from", "0", "--wait", "--json")
        outcome = run_cli(*words, "--url", dumb.url)
    assert outcome.code == 0
    assert "tells no orders' statuses" in json.dumps(outcome.document["waited"]["lines"])


def test_cancel_all_cancels_what_the_node_lists() -> None:
    """Of the account that the key trades for: an agent's master."""
    rows = [ORDER, ORDER | {"oid": 82, "coin": "kPEPE"}, ORDER | {"oid": 83, "coin": "@1"}]
    role = {"role": "agent", "data": {"user": USER}}
    reply = {
        "status": "ok",
        "response": {"type": "cancel", "data": {"statuses": ["success", "success"]}},
    }
    info = {"meta": META, "frontendOpenOrders": rows, "userRole": role}
    with other_node(info=info, exchange=reply) as listing:
        outcome = run_cli("tx", "cancel", "--all", "--from", "0", "--url", listing.url)
        assert outcome.code == 0, outcome.err
        assert {"type": "frontendOpenOrders", "user": USER} in listing.asked
        sent = listing.asked[-1]["action"]
        assert sent == {"type": "cancel", "cancels": [{"a": 0, "o": 81}, {"a": 1, "o": 82}]}
        outcome = run_cli("tx", "cancel", "kpepe", "--all", "--from", "0", "--url", listing.url)
        assert outcome.code == 0, outcome.err
        assert listing.asked[-1]["action"]["cancels"] == [{"a": 1, "o": 82}]
        listing.info["frontendOpenOrders"] = []
        outcome = run_cli("tx", "cancel", "--all", "--from", "0", "--url", listing.url)
        assert (outcome.code, outcome.out) == (0, "no open orders\n")
    with other_node(info={"meta": META}) as little:
        outcome = run_cli("tx", "cancel", "--all", "--from", "0", "--url", little.url)
        assert outcome.code == 4
        assert "the node refuses the request (422)" in outcome.err


def test_tpsl_takes_the_side_from_the_position() -> None:
    reply = {
        "status": "ok",
        "response": {"type": "order", "data": {"statuses": ["waitingForTrigger"]}},
    }
    info = {"meta": META, "clearinghouseState": STATE, "userRole": {"role": "user"}}
    with other_node(info=info, exchange=reply) as listing:
        words = ("tx", "tpsl", "BTC", "--sl", "28000", "--from", "0", "--url", listing.url)
        assert run_cli(*words).code == 0
        action = listing.asked[-1]["action"]
        assert action["grouping"] == "positionTpsl"
        assert (action["orders"][0]["b"], action["orders"][0]["s"]) == (False, "0")
        assert action["orders"][0]["p"] == "26600"
        none = run_cli(*words[:2], "kPEPE", *words[3:4], "1", *words[5:])
        assert none.code == 4
        assert "has no position in kPEPE" in none.err


@pytest.mark.parametrize(
    ("info", "code", "line"),
    [
        ({"txDetails": {"type": "txDetails", "tx": {"block": 12}}}, 0, "block 12"),
        ({}, 1, "the block is not known after 1 s"),
    ],
)
def test_wait_for_a_block(info: dict[str, Any], code: int, line: str) -> None:
    reply = {"status": "ok", "response": {"type": "default"}}
    with other_node(info=info, exchange=reply) as explorer:
        words = ("tx", "transfer", USER, "1", "--from", "0", "--wait", "--wait-max", "1", "--json")
        outcome = run_cli(*words, "--url", explorer.url)
        assert outcome.code == code, outcome.err
        assert outcome.document["waited"]["lines"] == [line]
        asked = explorer.asked[-1]
        assert asked == {"type": "txDetails", "hash": outcome.document["hash"]}
