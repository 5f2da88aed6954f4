"""Orders from the command line against a running node: answers, refusals with help, exit codes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.units import address_text
from chainperp.client.wallet import address_of, development_key
from tests.support.chain import Outcome, run_cli
from tests.support.running import RunningNode, running_node

KEYS = {"status", "signer", "network", "nonce", "hash", "reply", "refusals", "waited"}


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    """One local chain with developer controls for this module."""
    with running_node("--dev") as started:
        yield started


def dev(index: int) -> str:
    """Address of a development account."""
    return address_text(address_of(development_key(index)))


def sent(outcome: Outcome) -> Any:
    """The document of a command that the exchange accepted."""
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert set(document) == KEYS
    assert document["status"] == "ok"
    assert document["refusals"] == []
    return document


def status(outcome: Outcome) -> Any:
    """The first status of an accepted batch."""
    return sent(outcome)["reply"]["response"]["data"]["statuses"][0]


def order(node: RunningNode, *words: str) -> Any:
    """Status of an accepted order."""
    return status(node.run("tx", "order", *words, "--json"))


def test_an_order_rests_fills_and_is_canceled(node: RunningNode) -> None:
    resting = order(node, "SOL", "buy", "1", "@", "190", "--from", "0")
    oid = resting["resting"]["oid"]
    filled = order(node, "sol", "sell", "0.4", "@", "190", "--from", "1")
    assert filled["filled"]["totalSz"] == "0.4"
    assert filled["filled"]["avgPx"] == "190.0"
    people = node.run("tx", "cancel", "SOL", str(oid), "--from", "0")
    assert (people.code, people.out) == (0, "success\n")
    again = node.run("tx", "cancel", "SOL", str(oid), "--from", "0")
    assert again.code == 4
    assert "Order was never placed, already canceled, or filled." in again.err
    assert "ORD-14" in again.err


def test_options_stand_before_or_behind_the_command(node: RunningNode) -> None:
    """What is nearer to the command wins."""
    words = ("order", "ETH", "buy", "0.01", "@", "3900")
    before = sent(node.run("tx", "--from", "2", "--json", *words))
    behind = sent(node.run("tx", *words, "--from", "2", "--json"))
    both = sent(node.run("tx", "--from", "2", *words, "--from", "3", "--json"))
    assert [one["signer"] for one in (before, behind, both)] == [dev(2), dev(2), dev(3)]
    assert before["nonce"] < behind["nonce"]
    url = run_cli("tx", "--url", node.url, *words, "--from", "2", "--json")
    assert sent(url)["nonce"] > behind["nonce"]


def test_market_orders_cross_up_to_their_slippage(node: RunningNode) -> None:
    order(node, "AVAX", "sell", "5", "@", "100", "--from", "4")
    order(node, "AVAX", "buy", "1", "@", "90", "--from", "4")
    bought = order(node, "AVAX", "buy", "2", "market", "--from", "5", "--slippage", "6%")
    assert bought["filled"]["avgPx"] == "100.0"
    refused = node.run(
        "tx", "order", "AVAX", "buy", "2", "@", "market", "--from", "5", "--slippage", "1"
    )
    assert refused.code == 4
    assert "middle 95.0: limit 95.95 (1 % beyond)" in refused.err
    assert "the best ask is 100.0 for 3.0; yours was 95.95" in refused.err


def test_triggers_take_profit_and_stop_loss(node: RunningNode) -> None:
    order(node, "HYPE", "sell", "10", "@", "40", "--from", "6")
    opened = sent(
        node.run("tx", "order", "HYPE", "buy", "10", "@", "40", "--tp", "50", "--sl", "35",
                 "--from", "7", "--json")
    )  # fmt: skip
    statuses = opened["reply"]["response"]["data"]["statuses"]
    assert statuses[0]["filled"]["totalSz"] == "10.0"
    assert len(statuses) == 3
    stop = order(
        node, "HYPE", "sell", "5", "@", "34", "--trigger", "sl:36", "--reduce-only", "--from", "7"
    )
    assert "resting" in stop
    whole = sent(
        node.run("tx", "tpsl", "HYPE", "--sl", "30", "--side", "sell", "--from", "7", "--json")
    )
    assert whole["reply"]["response"]["data"]["statuses"] == ["waitingForTrigger"]
    wrong = node.run("tx", "order", "HYPE", "sell", "5", "market", "--trigger", "sl:45",
                     "--reduce-only", "--from", "7")  # fmt: skip
    assert wrong.code == 4
    assert "Invalid TP/SL price" in wrong.err
    assert "sell sl lies below" in wrong.err


def test_client_ids_modify_and_cancel(node: RunningNode) -> None:
    cloid = "0x0000000000000000000000000000c0de"
    placed = order(node, "DOGE", "buy", "100", "@", "0.19", "--cloid", cloid, "--from", "3")
    assert placed["resting"]["cloid"] == cloid
    taken = node.run(
        "tx", "order", "DOGE", "buy", "100", "@", "0.18", "--cloid", cloid, "--from", "3"
    )
    assert taken.code == 4
    assert f"has client id {cloid}" in taken.err
    moved = node.run("tx", "modify", cloid, "DOGE", "buy", "200", "@", "0.185", "--cloid", cloid,
                     "--from", "3", "--json")  # fmt: skip
    assert status(moved)["resting"]["oid"] > placed["resting"]["oid"]
    assert status(node.run("tx", "cancel", "DOGE", cloid, "--from", "3", "--json")) == "success"
    gone = node.run("tx", "modify", cloid, "DOGE", "buy", "200", "@", "0.185", "--from", "3")
    assert gone.code == 4
    assert "Cannot modify canceled or filled order" in gone.err


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("order", "BTC", "buy", "0.0001", "@", "95000"),
         ["minimum value of $10", "worth 9.5 USDC", "smallest size at this price is 0.00011",
          "chainperp rules ORD-5"]),
        (("order", "BTC", "buy", "1", "@", "1"), ["too far from oracle", "95 %"]),
        (("order", "BTC", "buy", "300", "@", "95000"), ["Insufficient margin", "ORD-11"]),
        (("order", "BTC", "sell", "1", "@", "95000", "--reduce-only"),
         ["Reduce only order would increase position", "would not make it smaller"]),
        (("order", "XRP", "sell", "1", "@", "100", "--tif", "Ioc"),
         ["could not immediately match", "there is no bid in the book of XRP"]),
        (("transfer", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "99999999"),
         ["Insufficient balance"]),
        (("withdraw", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "99999999"),
         ["Insufficient balance for withdrawal", "costs 1 USDC"]),
        (("margin", "BTC", "add", "5"), ["Cannot update margin for empty position", "MRG-7"]),
        (("raw", '{"type":"perpDeploy","haltTrading":{"coin":"X","isHalted":true}}'),
         ["not offered", "perpDeploy"]),
        (("oracle", "BTC=95000"), ["Signer is not a validator", "PRC-3"]),
        (("--vault", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "raw", '{"type":"noop"}'),
         ["Vault not registered"]),
        (("--network", "Mainnet", "transfer", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "1"),
         ["Mainnet and testnet require different signature", "--network"]),
        (("--expires", "5", "raw", '{"type":"noop"}'), ["already expired", "1970-01-01"]),
        (("--nonce", "5", "raw", '{"type":"noop"}'),
         ["nonce too low 5 <", "the chain's time is", "try: --nonce"]),
        (("--nonce", "99999999999999", "raw", '{"type":"noop"}'), ["nonce too high", "ends at"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)  # fmt: skip
def test_a_refusal_comes_with_its_text_the_numbers_and_what_to_do(
    node: RunningNode, words: tuple[str, ...], lines: list[str]
) -> None:
    people = node.run("tx", "--from", "8", *words)
    assert people.code == 4, people.err
    for line in lines:
        assert line in people.err
    assert people.out == ""
    assert "Traceback" not in people.err
    program = node.run("tx", "--from", "8", "--json", *words)
    assert program.code == 4
    document = program.document
    assert set(document) - {"http_status"} == KEYS
    assert document["status"] == "refused"
    assert document["refusals"][0]["text"] in people.err or "nonce" in people.err


def test_a_post_only_order_is_told_the_price_at_which_it_rests(node: RunningNode) -> None:
    order(node, "FARTCOIN", "sell", "100", "@", "100.01", "--from", "0")
    words = ("order", "FARTCOIN", "buy", "1", "--tif", "Alo", "--from", "1")
    refused = node.run("tx", *words, "@", "101")
    assert refused.code == 4
    assert "to rest, a buy may cost at most 100 now" in refused.err
    order(node, "FARTCOIN", "buy", "1", "@", "100", "--tif", "Alo", "--from", "1")


def test_who_has_no_account_is_told_what_to_do(node: RunningNode) -> None:
    refused = node.run("tx", "order", "BTC", "buy", "0.01", "@", "95000", "--from", "77")
    assert refused.code == 4
    assert f"User or API Wallet {dev(77)} does not exist." in refused.err
    assert "the signature is right" in refused.err
    assert f"chainperp dev fund {dev(77)}" in refused.err
    funded = node.run("dev", "fund", "77", "1000")
    assert funded.code == 0, funded.err
    order(node, "BTC", "buy", "0.01", "@", "95000", "--from", "77")


def test_what_was_signed_for_another_network_is_traced(node: RunningNode) -> None:
    """An L1 signature for the other network names a stranger; the tool names the mistake."""
    words = ("order", "BTC", "buy", "0.01", "@", "95000", "--from", "0", "--network", "Mainnet")
    signed = node.run("tx", *words, "--offline")
    path = node.scratch / "wrong.json"
    path.write_text(signed.out)
    refused = node.run("tx", "send", str(path), "--network", "Mainnet")
    assert refused.code == 4
    assert "the node recovered 0x" in refused.err
    assert f"the key is that of {dev(0)}" in refused.err
    traced = run_cli("explain", "signature", str(path), "--expect", dev(0), "--json")
    assert traced.code == 1
    assert [one["code"] for one in traced.document["mistakes"]] == ["network"]
    assert traced.document["recovered"] in refused.err
    people = run_cli("explain", "signature", str(path), "--expect", dev(0))
    assert "it was signed for the other network" in people.out
    right = run_cli("explain", "signature", str(path), "--expect", dev(0), "--network", "Mainnet")
    assert right.code == 0
    assert "this is the address that was expected" in right.out
    open_end = run_cli("explain", "signature", str(path))
    assert open_end.code == 0
    assert f"{dev(0)}  it was signed for the other network" in open_end.out


def test_what_was_signed_offline_is_sent_once(node: RunningNode) -> None:
    signed = node.run("tx", "order", "ETH", "buy", "0.01", "@", "3900", "--from", "9", "--offline")
    path = node.scratch / "order.json"
    path.write_text(signed.out)
    assert status(node.run("tx", "send", str(path), "--json"))["resting"]
    again = node.run("tx", "send", str(path))
    assert again.code == 4
    nonce = json.loads(signed.out)["nonce"]
    assert f"Invalid nonce: duplicate nonce {nonce}" in again.err
    assert "sign again without --nonce" in again.err
    assert node.run("tx", "send", str(node.scratch / "none.json")).code == 3
    assert node.run("tx", "send", "-").code == 2


def test_commands_at_once_have_different_nonces(node: RunningNode) -> None:
    def one(_: int) -> Outcome:
        return node.run("tx", "raw", '{"type":"noop"}', "--from", "5", "--json")

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(one, range(8)))
    nonces = [sent(outcome)["nonce"] for outcome in outcomes]
    assert len(set(nonces)) == 8


def test_settings_and_money(node: RunningNode) -> None:
    for words in (
        ("leverage", "ETH", "7", "--isolated"),
        ("transfer", dev(1), "12.5"),
        ("withdraw", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "7"),
    ):
        done = node.run("tx", *words, "--from", "9")
        assert (done.code, done.out) == (0, "done\n"), done.err


def test_a_key_file_trades_and_its_agent_too(node: RunningNode, tmp_path: Path) -> None:
    secret = {"CHAINPERP_PASSWORD": "correct horse"}
    folder = ("--keys", str(tmp_path / "keys"))
    owner = run_cli("keys", "new", "owner", *folder, "--json", environment=secret)
    agent = run_cli("keys", "new", "bot", *folder, "--json", environment=secret)
    assert node.run("dev", "fund", owner.document["address"], "500").code == 0
    words = ("order", "SOL", "buy", "1", "@", "150", "--from", "bot", *folder)
    stranger = node.run("tx", *words, environment=secret)
    assert stranger.code == 4
    assert f"chainperp tx agent {agent.document['address']} --from OWNER" in stranger.err
    approved = node.run("tx", "agent", agent.document["address"], "--name", "bot", "--from",
                        "owner", *folder, environment=secret)  # fmt: skip
    assert approved.code == 0, approved.err
    placed = node.run("tx", *words, "--json", environment=secret)
    assert sent(placed)["signer"] == agent.document["address"]
    money = node.run("tx", "transfer", dev(0), "1", "--from", "bot", *folder, environment=secret)
    assert money.code == 4
    assert "Must deposit before performing actions" in money.err
    wrong = node.run("tx", *words, environment={"CHAINPERP_PASSWORD": "wrong"})
    assert wrong.code == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("order", "BTC", "buy", "0.01", "@", "95000"), 2, "--from is missing"),
        (("order", "XYZ", "buy", "1", "@", "1", "--from", "0"), 2, "markets: BTC ETH SOL"),
        (("order", "BTC", "buy", "1", "--from", "0"), 2, "price"),
        (("order", "BTC", "buy", "1", "@", "95000.55", "--from", "0"), 4, "95000 and 95001"),
        (("order", "BTC", "buy", "1", "market", "--tif", "Gtc", "--from", "0"), 2, "never rests"),
        (("order", "BTC", "buy", "1", "@", "1", "--trigger", "9", "--from", "0"), 2, "sl:90000"),
        (("order", "BTC", "buy", "1", "market", "--slippage", "100", "--from", "0"), 2, "slippage"),
        (("order", "BTC", "buy", "1", "@", "1", "--tp", "2", "--reduce-only", "--from", "0"), 2,
         "opens"),
        (("cancel", "BTC", "--from", "0"), 2, "a cancel reads"),
        (("cancel", "BTC", "x1", "--from", "0"), 2, "order id"),
        (("tpsl", "BTC", "--side", "buy", "--from", "0"), 2, "--tp PRICE"),
        (("margin", "BTC", "push", "5", "--from", "0"), 2, "add 50"),
        (("schedule-cancel", "soon", "--from", "0"), 2, "seconds from now"),
        (("agent", dev(1), "--valid-until", "5", "--from", "0"), 2, "--name"),
        (("raw", '{"type":"noop"}', "--from", "0", "--network", "Main"), 2, "network"),
        (("raw", '{"type":"noop"}', "--from", "0", "--vault", "0x12"), 2, "vault"),
        (("raw", '{"type":"noop"}', "--from", "0", "--url", "nowhere"), 2, "URL"),
        (("raw", '{"type":"noop"}', "--from", "0", "--url", "http://127.0.0.1:1"), 3, "no node"),
        (("leverage", "BTC", "5", "--from", "nobody"), 2, "nobody"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_wrong_calls_send_nothing(
    node: RunningNode, words: tuple[str, ...], code: int, message: str
) -> None:
    outcome = node.run("tx", *words)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert outcome.out == ""
    assert "sent to" not in outcome.err
    assert "Traceback" not in outcome.err
