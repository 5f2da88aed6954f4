"""The spot market over the wire: questions, feeds, ledgers, and what fees say of it afterwards."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.support.chain import run_cli
from tests.support.info_shapes import DELTAS, SHAPES, misfits
from tests.support.node import Account, NodeProcess, account, limit_order, running_node

PAIR, ASSET = "CHP/USDC", 10_000
SELLER, BUYER, REFERRER = account(4), account(5), account(6)
SECONDS = 15.0


def client(node: NodeProcess, who: Account) -> Any:
    """The venue's own Python client of an account."""
    return Exchange(Wallet.from_key(who.secret), node.url)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node with a seller of tokens and a referred buyer who has USDC in its spot balance."""
    with running_node(None, "--dev") as running:
        code = {"type": "registerReferrer", "code": "REF"}
        assert running.act(REFERRER, code)["response"] == (
            "Cannot generate referral code until enough volume traded"
        )
        running.act(SELLER, limit_order(0, False, "100000", "0.2"))
        running.act(REFERRER, limit_order(0, True, "100000", "0.2"))
        assert running.act(REFERRER, code)["status"] == "ok"
        running.act(BUYER, {"type": "setReferrer", "code": "REF"})
        client(running, BUYER).usd_class_transfer(200.0, False)
        yield running


class Feeds:
    """A socket with subscriptions; messages by channel, in order."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.seen: dict[str, list[Any]] = {}

    def subscribe(self, **subscription: Any) -> None:
        """Ask for a feed."""
        self.socket.send(json.dumps({"method": "subscribe", "subscription": subscription}))

    def wait(self, channel: str, good: Callable[[Any], Any]) -> Any:
        """The first message of a channel that satisfies."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for data in self.seen.get(channel, []):
                if good(data):
                    return data
            told = json.loads(self.socket.recv(timeout=SECONDS))
            self.seen.setdefault(told["channel"], []).append(told.get("data"))
        raise AssertionError(f"{channel}: {self.seen.get(channel)}")


def check_every_feed_tells_of_a_spot_trade(node: NodeProcess) -> None:
    """Book, best prices, trades, candles, contexts, balances, fills and orders of one trade."""
    with connect(node.ws_url) as socket:
        feeds = Feeds(socket)
        for name in ("l2Book", "bbo", "trades", "activeAssetCtx"):
            feeds.subscribe(type=name, coin=PAIR)
        feeds.subscribe(type="candle", coin=PAIR, interval="1m")
        feeds.subscribe(type="spotAssetCtxs")
        for name in ("userFills", "orderUpdates", "spotState"):
            feeds.subscribe(type=name, user=BUYER.address)
        feeds.wait("subscriptionResponse", lambda data: data["subscription"]["type"] == "spotState")
        node.act(SELLER, limit_order(ASSET, False, "1.25", "40"))
        node.act(BUYER, limit_order(ASSET, True, "1.25", "30", tif="Ioc"))
        node.act(BUYER, limit_order(ASSET, True, "1.1", "20"))
        book = feeds.wait("l2Book", lambda data: data["levels"][0] and data["levels"][1])
        assert book["levels"] == [[{"px": "1.1", "sz": "20.0", "n": 1}],
                                  [{"px": "1.25", "sz": "10.0", "n": 1}]]  # fmt: skip
        assert feeds.wait("bbo", lambda data: data["bbo"][0])["bbo"][0]["px"] == "1.1"
        [trade] = feeds.wait("trades", bool)
        assert (trade["coin"], trade["px"], trade["sz"], trade["side"]) == (
            PAIR, "1.25", "30.0", "B",
        )  # fmt: skip
        candle = feeds.wait("candle", bool)
        assert (candle["s"], candle["v"], candle["c"]) == (PAIR, "30.0", "1.25")
        ctx = feeds.wait("activeSpotAssetCtx", lambda data: data["ctx"]["dayNtlVlm"] != "0.0")
        assert (ctx["coin"], ctx["ctx"]["dayNtlVlm"], ctx["ctx"]["dayBaseVlm"]) == (
            PAIR, "37.5", "30.0",
        )  # fmt: skip
        feeds.wait("spotAssetCtxs", lambda data: data[0]["markPx"] == "1.25")
        fill = feeds.wait("userFills", lambda data: data["fills"])["fills"][0]
        # 0.07 % of 30 tokens, less 4 % for the referred buyer.
        assert (fill["dir"], fill["fee"], fill["feeToken"]) == ("Buy", "0.02016", "CHP")
        update = feeds.wait("orderUpdates", lambda data: data[0]["status"] == "open")
        assert update[0]["order"]["coin"] == PAIR
        state = feeds.wait("spotState", lambda data: any(
            row["hold"] == "22.0" for row in data["spotState"]["balances"]))  # fmt: skip
        assert misfits(SHAPES["spotClearinghouseState"], state["spotState"]) == []


def check_questions_answer_about_the_pair_in_the_known_forms(node: NodeProcess) -> None:
    """After the trade above: balances with cost and hold, orders, fills, prices, token, fees."""

    def ask(name: str, **fields: Any) -> Any:
        answer = node.info(name, **fields).document
        assert misfits(SHAPES[name], answer) == []
        return answer

    buyer = {"user": BUYER.address}
    rows = {row["coin"]: row for row in ask("spotClearinghouseState", **buyer)["balances"]}
    assert rows["CHP"]["total"] == "1000029.97984"
    assert rows["CHP"]["entryNtl"] == "37.5"
    assert (rows["USDC"]["total"], rows["USDC"]["hold"]) == ("162.5", "22.0")
    [resting] = ask("frontendOpenOrders", **buyer)
    assert (resting["coin"], resting["limitPx"], resting["sz"]) == (PAIR, "1.1", "20.0")
    assert ask("openOrders", **buyer)[0]["coin"] == PAIR
    assert ask("orderStatus", oid=resting["oid"], **buyer)["order"]["order"]["coin"] == PAIR
    assert {row["status"] for row in ask("historicalOrders", **buyer)} == {"open", "filled"}
    [bought] = ask("userFills", **buyer)
    assert bought["startPosition"] == "1000000.0"
    sold, _ = ask("userFills", user=SELLER.address)
    assert (sold["dir"], sold["fee"], sold["feeToken"]) == ("Sell", "0.015", "USDC")
    assert ask("allMids")[PAIR] == "1.175"
    assert ask("l2Book", coin=PAIR)["levels"][1][0]["px"] == "1.25"
    assert ask("l2Book", coin="@0")["coin"] == PAIR
    assert ask("recentTrades", coin=PAIR)[0]["px"] == "1.25"
    room = ask("activeAssetData", coin=PAIR, **buyer)
    assert room["availableToTrade"] == ["140.5", "1000029.97"]
    assert room["maxTradeSzs"] == ["112.4", "1000029.97"]
    now = node.info("exchangeStatus").document["time"]
    request = {"coin": PAIR, "interval": "1h", "startTime": now - 3_600_000}
    assert ask("candleSnapshot", req=request)[0]["v"] == "30.0"
    meta, [ctx] = ask("spotMetaAndAssetCtxs")
    assert (ctx["coin"], ctx["markPx"], ctx["midPx"]) == (PAIR, "1.25", "1.175")
    token = meta["tokens"][1]
    details = ask("tokenDetails", tokenId=token["tokenId"])
    assert (details["name"], details["markPx"]) == ("CHP", "1.25")
    # The fee in tokens is gone.
    assert details["maxSupply"] == "1000000000.0"
    assert details["totalSupply"] == "999999999.97984"
    fees = ask("userFees", **buyer)
    assert fees["activeReferralDiscount"] == "0.04"
    assert fees["userSpotCrossRate"] == "0.0007"
    assert fees["dailyUserVlm"][-1]["userCross"] == "75.0"
    # Nothing in USDC was paid by the buyer, so its referrer has earned nothing.
    referral = ask("referral", user=REFERRER.address)
    assert referral["referrerState"]["data"]["nReferrals"] == 1
    assert referral["unclaimedRewards"] == "0.0"


def check_sub_accounts_show_what_their_tokens_cost(node: NodeProcess) -> None:
    """A sub-account of the buyer buys the rest of what is offered."""
    desk = node.act(BUYER, {"type": "createSubAccount", "name": "desk"})["response"]["data"]
    usdc = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"
    client(node, BUYER).sub_account_spot_transfer(desk, True, usdc, 20.0)
    order = limit_order(ASSET, True, "1.25", "10", tif="Ioc")
    assert node.act(BUYER, order, vault=bytes.fromhex(desk[2:]))["status"] == "ok"
    for name in ("subAccounts", "subAccounts2"):
        [row] = node.info(name, user=BUYER.address).document
        assert misfits(SHAPES[name], [row]) == []
        entries = {one["coin"]: one["entryNtl"] for one in row["spotState"]["balances"]}
        assert entries == {"CHP": "12.5", "USDC": "0.0"}


def check_rewards_are_shown_by_day_and_claimed_into_the_ledger(node: NodeProcess) -> None:
    """A trade of the referred account in a perpetual, the reward in every place that shows it.
    Nothing is offered on spot any more, so the fund buys nothing for the fees."""
    assert node.info("openOrders", user=SELLER.address).document == []
    node.act(SELLER, limit_order(0, False, "100000", "1"))
    node.act(BUYER, limit_order(0, True, "100000", "1", tif="Ioc"))
    referral = node.info("referral", user=REFERRER.address).document
    assert misfits(SHAPES["referral"], referral) == []
    # 45 USDC less 4 %, a tenth of it.
    assert referral["unclaimedRewards"] == "4.32"
    [user] = referral["referrerState"]["data"]["referralStates"]
    assert user["cumRewardedFeesSinceReferred"] == "43.2"
    assert user["cumFeesRewardedToReferrer"] == "4.32"
    [day] = referral["rewardHistory"]
    assert (day["earned"], day["referralVlm"]) == ("4.32", "100075.0")
    assert node.act(REFERRER, {"type": "claimRewards"})["status"] == "ok"
    rows = node.info("userNonFundingLedgerUpdates", user=REFERRER.address).document
    assert rows[-1]["delta"] == {"type": "rewardsClaim", "amount": "4.32", "token": "USDC"}
    assert misfits(DELTAS["rewardsClaim"], rows[-1]["delta"]) == []
    assert node.act(REFERRER, {"type": "claimRewards"})["response"] == "No rewards to claim"


def check_query_fees_says_the_same_of_a_node_and_of_its_directory(node: NodeProcess) -> None:
    """Sources and destinations, and an account's rates and volume."""
    exchange, buyer = (
        json.loads(run_cli("query", "fees", *who, "--url", node.url, "--json").out)
        for who in ([], [BUYER.address])
    )
    assert misfits(SHAPES["exchangeFees"], exchange) == []
    assert exchange["cameIn"]["perp_taker"] == "52.2"
    assert exchange["cameIn"]["spot_usdc"] == "0.02"
    assert exchange["went"]["referral_rewards"] == "4.32"
    assert exchange["burned"] == {"CHP": "0.02716"}
    node.stop()
    again = run_cli("query", "fees", "--dir", str(node.path), "--json")
    assert json.loads(again.out) == exchange
    again = run_cli("query", "fees", BUYER.address, "--dir", str(node.path), "--json")
    assert json.loads(again.out)["fees"] == buyer["fees"]
    told = run_cli("query", "fees", "--dir", str(node.path))
    assert "referrers" in told.out
    assert "burned, CHP" in told.out


def test_a_day_of_the_spot_market(node: NodeProcess) -> None:
    """One story: each part goes on where the one before it ended."""
    check_every_feed_tells_of_a_spot_trade(node)
    check_questions_answer_about_the_pair_in_the_known_forms(node)
    check_sub_accounts_show_what_their_tokens_cost(node)
    check_rewards_are_shown_by_day_and_claimed_into_the_ledger(node)
    check_query_fees_says_the_same_of_a_node_and_of_its_directory(node)
