"""Every subscription: acknowledgement, snapshot, what it says of a block, and in what order.
Source: hyperliquid-api 6.2, 6.3."""

import asyncio
import base64
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import websockets

from chainperp.node.producer import Pace
from chainperp.node.socket.subscriptions import OFFERS, REFUSED, compatibility_rows
from tests.support.live_node import LiveNode, live_node, until
from tests.support.raw_socket import RawSocket

HOUR_MS = 3_600_000
CTX = {
    "funding", "openInterest", "prevDayPx", "dayNtlVlm", "premium", "oraclePx", "markPx", "midPx",
    "impactPxs", "dayBaseVlm",
}  # fmt: skip
FILL = {
    "coin", "px", "sz", "side", "time", "startPosition", "dir", "closedPnl", "hash", "oid",
    "crossed", "fee", "tid", "feeToken", "twapId",
}  # fmt: skip
SHORT_ORDER = {"coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz"}
FULL_ORDER = SHORT_ORDER | {
    "triggerCondition", "isTrigger", "triggerPx", "children", "isPositionTpsl", "reduceOnly",
    "orderType", "tif", "cloid",
}  # fmt: skip
MARGIN = {
    "marginSummary", "crossMarginSummary", "crossMaintenanceMarginUsed", "withdrawable",
    "assetPositions", "time",
}  # fmt: skip
WEB = {
    "clearinghouseState", "leadingVaults", "totalVaultEquity", "openOrders", "agentAddress",
    "agentValidUntil", "cumLedger", "meta", "assetCtxs", "serverTime", "isVault", "user",
    "twapStates", "spotState", "spotAssetCtxs",
}  # fmt: skip
DATA_KEYS = {
    "allMids": {"mids"},
    "l2Book": {"coin", "time", "levels"},
    "bbo": {"coin", "time", "bbo"},
    "candle": {"t", "T", "s", "i", "o", "c", "h", "l", "v", "n"},
    "activeAssetCtx": {"coin", "ctx"},
    "assetCtxs": {"dex", "ctxs"},
    "allDexsAssetCtxs": {"ctxs"},
    "userFills": {"user", "fills"},
    "userFundings": {"user", "fundings"},
    "userNonFundingLedgerUpdates": {"user", "nonFundingLedgerUpdates"},
    "userHistoricalOrders": {"user", "orderHistory"},
    "userTwapSliceFills": {"user", "twapSliceFills"},
    "userTwapHistory": {"user", "history"},
    "clearinghouseState": {"dex", "user", "clearinghouseState"},
    "allDexsClearinghouseState": {"user", "clearinghouseStates"},
    "openOrders": {"dex", "user", "orders"},
    "spotState": {"user", "spotState"},
    "twapStates": {"dex", "user", "states"},
    "activeAssetData": {
        "user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx",
    },
    "webData2": WEB,
    "webData3": {"userState", "perpDexStates"},
}  # fmt: skip
WITHOUT_SNAPSHOT = {"bbo", "userEvents", "orderUpdates", "notification", "outcomeMetaUpdates"}
WITH_FLAG = {
    "userFills", "userFundings", "userNonFundingLedgerUpdates", "userHistoricalOrders",
    "userTwapSliceFills", "userTwapHistory",
}  # fmt: skip


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    """A node with a past: a resting order, a trade on BTC, and somebody who sent money."""
    with live_node() as running:
        running.order(8, True, "99000", "0.2")
        running.order(9, False, "99000", "0.1")
        running.act(8, {"type": "usdSend", "destination": running.users[9], "amount": "5"})
        yield running


class Listener:
    """A client that asks and listens."""

    def __init__(self, raw: RawSocket) -> None:
        self.raw = raw

    def subscribe(self, method: str = "subscribe", /, **subscription: Any) -> Any:
        """The acknowledged subscription."""
        self.raw.send_json({"method": method, "subscription": subscription})
        told = self.raw.read_json()
        assert told["channel"] == "subscriptionResponse", told
        assert told["data"]["method"] == method
        return told["data"]["subscription"]

    def data(self, channel: str) -> Any:
        """Data of the next message, which must be of this channel."""
        told = self.raw.read_json()
        assert told["channel"] == channel, told
        return told["data"]

    def is_silent(self) -> bool:
        """Whether nothing comes before the answer to a ping."""
        self.raw.send_json({"method": "ping"})
        return bool(self.raw.read_json() == {"channel": "pong"})

    def gather(self) -> dict[str, Any]:
        """What the channel `user` has said so far, by key."""
        self.raw.send_json({"method": "ping"})
        found: dict[str, Any] = {}
        while (told := self.raw.read_json()) != {"channel": "pong"}:
            found |= told["data"]
        return found

    def until_pong(self) -> list[Any]:
        """All messages before the answer to a ping that is sent half a second later."""
        time.sleep(0.5)
        self.raw.send_json({"method": "ping"})
        found = []
        while (told := self.raw.read_json()) != {"channel": "pong"}:
            found.append(told)
        return found


@contextmanager
def listening(node: LiveNode) -> Iterator[Listener]:
    """A client for the length of a test."""
    with RawSocket(node.port) as raw:
        assert raw.handshake()[0] == 101
        yield Listener(raw)


@pytest.fixture
def client(node: LiveNode) -> Iterator[Listener]:
    """A client."""
    with listening(node) as found:
        yield found


def subscription(name: str, user: str) -> dict[str, Any]:
    """An ordinary subscription of a type."""
    values = {"user": user, "coin": "BTC", "interval": "1m"}
    keys = [key for key, _, _ in OFFERS[name].fields if key in values]
    return {"type": name, **{key: values[key] for key in keys}}


# --- acknowledgements and snapshots ---------------------------------------------------------------


@pytest.mark.parametrize("name", OFFERS)
def test_every_subscription_is_acknowledged_and_has_its_snapshot(
    node: LiveNode, client: Listener, name: str
) -> None:
    """The echo holds what came; the snapshot has the keys of the reference; the end is told."""
    given = subscription(name, node.users[8])
    echo = client.subscribe(**given)
    assert echo.items() >= given.items()
    if name not in WITHOUT_SNAPSHOT:
        data = client.data(OFFERS[name].channel)
        if name in DATA_KEYS:
            assert set(data) - {"isSnapshot"} == DATA_KEYS[name]
            assert ("isSnapshot" in data) is (name in WITH_FLAG)
            assert data.get("isSnapshot", True) is True
    assert client.is_silent()
    assert client.subscribe("unsubscribe", **given) == echo
    assert client.is_silent()
    assert not node.hub.channels


def test_what_typed_clients_send_is_echoed_in_full(node: LiveNode, client: Listener) -> None:
    """TS waits until the echo contains everything that it sent, nulls and false included."""
    upper = "0x" + node.users[8][2:].upper()
    for given, also in (
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}, {}),
        ({"type": "l2Book", "coin": "ETH"}, {"nSigFigs": None, "mantissa": None}),
        ({"type": "l2Book", "coin": "SOL", "fast": True}, {"nSigFigs": None}),
        ({"type": "userFills", "user": upper, "aggregateByTime": False}, {}),
        ({"type": "clearinghouseState", "user": upper, "dex": ""}, {}),
        ({"type": "openOrders", "user": upper}, {"dex": ""}),
        ({"type": "twapStates", "user": upper, "dex": None}, {"dex": ""}),
        ({"type": "assetCtxs"}, {"dex": ""}),
        ({"type": "spotState", "user": upper, "isPortfolioMargin": True}, {}),
        ({"type": "trades", "coin": "BTC", "unknown": [1, {"deep": None}]}, {}),
    ):
        echo = client.subscribe(**given)
        wanted = given | also | ({"user": node.users[8]} if "user" in given else {})
        assert echo.items() >= wanted.items()
        client.data(OFFERS[str(given["type"])].channel)


def test_one_meaning_is_one_subscription(node: LiveNode, client: Listener) -> None:
    """Order of keys, case of addresses and defaults make no difference."""
    client.subscribe(type="l2Book", coin="BTC")
    client.data("l2Book")
    again = {"coin": "BTC", "mantissa": None, "type": "l2Book", "nSigFigs": None}
    client.raw.send_json({"method": "subscribe", "subscription": again})
    assert client.data("error").startswith("Already subscribed: {")
    client.subscribe(type="orderUpdates", user=node.users[8])
    upper = "0x" + node.users[8][2:].upper()
    client.subscribe("unsubscribe", user=upper, type="orderUpdates")
    client.subscribe(type="l2Book", coin="BTC", nSigFigs=5)
    assert set(client.data("l2Book")) == {"coin", "time", "levels", "spread"}


def test_documents_of_the_snapshots(node: LiveNode, client: Listener) -> None:
    """What stands in them."""
    maker = node.users[8]
    client.subscribe(type="trades", coin="BTC")
    (trade,) = client.data("trades")
    assert trade["side"] == "A"
    assert trade["users"] == [maker, node.users[9]]
    client.subscribe(type="userFills", user=maker)
    (fill,) = client.data("userFills")["fills"]
    assert set(fill) == FILL
    assert (fill["tid"], fill["hash"]) == (trade["tid"], trade["hash"])
    client.subscribe(type="candle", coin="BTC", interval="1d")
    assert client.data("candle")["v"] == "0.1"
    client.subscribe(type="openOrders", user=maker)
    (order,) = client.data("openOrders")["orders"]
    assert set(order) == FULL_ORDER
    assert (order["sz"], order["origSz"]) == ("0.1", "0.2")
    client.subscribe(type="userHistoricalOrders", user=maker)
    (row,) = client.data("userHistoricalOrders")["orderHistory"]
    assert set(row) == {"order", "status", "statusTimestamp"}
    assert set(row["order"]) == FULL_ORDER
    client.subscribe(type="userNonFundingLedgerUpdates", user=maker)
    rows = client.data("userNonFundingLedgerUpdates")["nonFundingLedgerUpdates"]
    assert [row["delta"]["type"] for row in rows] == ["deposit", "internalTransfer"]
    client.subscribe(type="clearinghouseState", user=maker)
    assert set(client.data("clearinghouseState")["clearinghouseState"]) == MARGIN
    client.subscribe(type="fastAssetCtxs")
    packed = base64.b64decode(client.data("fastAssetCtxs"))
    ctxs = json.loads(zlib.decompress(packed, wbits=-15))
    assert set(ctxs["BTC"]) == {"markPx", "midPx"}
    client.subscribe(type="activeAssetCtx", coin="BTC")
    assert set(client.data("activeAssetCtx")["ctx"]) == CTX


def test_a_market_without_trades_has_no_empty_list(client: Listener) -> None:
    """Trap 17: never an empty list."""
    client.subscribe(type="trades", coin="DOGE")
    assert client.is_silent()
    client.subscribe(type="candle", coin="DOGE", interval="1m")
    assert client.is_silent()


def test_everything_of_the_reference_is_offered_or_refused() -> None:
    """The table that docs/compatibility.md is made from names each type once."""
    rows = compatibility_rows()
    assert len({row[0] for row in rows}) == len(rows) == len(OFFERS) + len(REFUSED)
    assert all(offer.tier in ("P0", "P1", "P2") for offer in OFFERS.values())
    partly = [name for name, grade, note in rows if grade == "partial" and note]
    assert partly == [name for name, grade, _ in rows if grade == "partial"]


# --- what a block says ----------------------------------------------------------------------------


def test_what_an_order_and_its_trades_say(node: LiveNode) -> None:
    """One order, filled in two parts, as its owner, the other side and the public hear of it."""
    maker, taker = node.users[0], node.users[1]
    with ExitStack() as opened:
        public = opened.enter_context(listening(node))
        owner = opened.enter_context(listening(node))
        events = opened.enter_context(listening(node))
        other = opened.enter_context(listening(node))
        public.subscribe(type="bbo", coin="SOL")
        public.subscribe(type="trades", coin="SOL")
        owner.subscribe(type="orderUpdates", user=maker)
        events.subscribe(type="userEvents", user=maker)
        other.subscribe(type="userFills", user=taker)
        assert other.data("userFills")["fills"] == []

        oid = node.order(0, True, "199", "2", 2)["resting"]["oid"]
        (row,) = owner.data("orderUpdates")
        assert set(row) == {"order", "status", "statusTimestamp"}
        assert set(row["order"]) == SHORT_ORDER
        assert (row["status"], row["order"]["oid"], row["order"]["sz"]) == ("open", oid, "2.0")
        placed = row["order"]["timestamp"]
        assert public.data("bbo")["bbo"] == [{"px": "199.0", "sz": "2.0", "n": 1}, None]

        for size, word, left in (("0.5", "open", "1.5"), ("1.5", "filled", "0.0")):
            node.order(1, False, "199", size, 2)
            (row,) = owner.data("orderUpdates")
            assert (row["status"], row["order"]["sz"]) == (word, left)
            assert row["order"]["timestamp"] == placed
            data = events.data("user")
            assert set(data) == {"fills"}
            (mine,) = data["fills"]
            (theirs,) = other.data("userFills")["fills"]
            both = public.raw.read_json(), public.raw.read_json()
            by_channel = {told["channel"]: told["data"] for told in both}
            (trade,) = by_channel["trades"]
            assert set(by_channel) == {"trades", "bbo"}
            assert mine["tid"] == theirs["tid"] == trade["tid"]
            assert mine["hash"] == theirs["hash"] == trade["hash"]
            assert (mine["oid"], mine["crossed"], theirs["crossed"]) == (oid, False, True)
            assert set(mine) == set(theirs) == FILL
        assert all(one.is_silent() for one in (public, owner, events, other))


def test_client_ids_are_told_to_the_end(node: LiveNode, client: Listener) -> None:
    """A maker's last fill names the client id, although its order is gone from the state."""
    cloid = "0x" + "5c" * 16
    client.subscribe(type="userFills", user=node.users[2])
    client.data("userFills")
    client.subscribe(type="orderUpdates", user=node.users[2])
    order = {
        "a": 2, "b": True, "p": "198", "s": "1", "r": False, "t": {"limit": {"tif": "Gtc"}},
        "c": cloid,
    }  # fmt: skip
    node.act(2, {"type": "order", "orders": [order], "grouping": "na"})
    assert client.data("orderUpdates")[0]["order"]["cloid"] == cloid
    node.order(3, False, "198", "1", 2)
    told = {one["channel"]: one["data"] for one in (client.raw.read_json(), client.raw.read_json())}
    assert told["userFills"]["fills"][0]["cloid"] == cloid
    assert told["orderUpdates"][0]["status"] == "filled"
    assert told["orderUpdates"][0]["order"]["cloid"] == cloid


def test_who_comes_after_the_order_was_placed(node: LiveNode, client: Listener) -> None:
    """An order that rested before anybody followed its account is told in full when it ends."""
    cloid = "0x" + "7e" * 16
    order = {
        "a": 2, "b": True, "p": "197", "s": "1", "r": False, "t": {"limit": {"tif": "Gtc"}},
        "c": cloid,
    }  # fmt: skip
    reply = node.act(2, {"type": "order", "orders": [order], "grouping": "na"})
    oid = reply["response"]["data"]["statuses"][0]["resting"]["oid"]
    placed = node.blocks[-1].time_ms
    client.subscribe(type="orderUpdates", user=node.users[2])
    node.order(3, False, "197", "1", 2)
    (row,) = client.data("orderUpdates")
    assert row["status"] == "filled"
    assert row["order"] == {
        "coin": "SOL", "side": "B", "limitPx": "197.0", "sz": "0.0", "oid": oid,
        "timestamp": placed, "origSz": "1.0", "cloid": cloid,
    }  # fmt: skip


def test_a_trigger_is_told(node: LiveNode, client: Listener) -> None:
    """A stop waits, is triggered by the mark, and then trades."""
    node.order(2, True, "196", "1", 2)
    node.order(3, False, "196", "1", 2)
    node.order(4, True, "180", "5", 2)
    client.subscribe(type="orderUpdates", user=node.users[2])
    client.subscribe(type="userHistoricalOrders", user=node.users[2])
    client.data("userHistoricalOrders")
    trigger = {"isMarket": True, "triggerPx": "185", "tpsl": "sl"}
    order = {"a": 2, "b": False, "p": "170", "s": "1", "r": True, "t": {"trigger": trigger}}
    node.act(2, {"type": "order", "orders": [order], "grouping": "na"})
    for step in range(30):
        node.set_price(2, (199 - step) * 10**8)
    told = client.until_pong()
    short = [row for one in told if one["channel"] == "orderUpdates" for row in one["data"]]
    assert [row["status"] for row in short] == ["open", "triggered", "filled"]
    full = [
        row
        for one in told
        if one["channel"] == "userHistoricalOrders"
        for row in one["data"]["orderHistory"]
    ]
    assert [row["status"] for row in full] == ["open", "triggered", "filled"]
    assert {row["order"]["orderType"] for row in full} == {"Stop Market"}
    node.act(4, {"type": "cancel", "cancels": [{"a": 2, "o": short[0]["order"]["oid"] - 1}]})


def test_a_cancel_that_nobody_asked_for_is_told(node: LiveNode, client: Listener) -> None:
    """An order that would have met its owner's own: word and event name it."""
    oid = node.order(5, True, "150", "1", 2)["resting"]["oid"]
    client.subscribe(type="userEvents", user=node.users[5])
    client.subscribe(type="orderUpdates", user=node.users[5])
    node.order(5, False, "150", "1", 2)
    told = client.until_pong()
    events = [one["data"] for one in told if one["channel"] == "user"]
    assert events == [{"nonUserCancel": [{"coin": "SOL", "oid": oid}]}]
    rows = [row for one in told if one["channel"] == "orderUpdates" for row in one["data"]]
    words = {row["order"]["oid"]: row["status"] for row in rows}
    assert words[oid] == "selfTradeCanceled"
    node.act(5, {"type": "cancel", "cancels": [{"a": 2, "o": other} for other in words]})


def test_going_back_is_told() -> None:
    """After a developer control went back, state channels say how it is there, and an account is
    followed as it is there."""
    with live_node() as other, listening(other) as client:
        height = other.blocks[-1].height
        client.subscribe(type="l2Book", coin="BTC")
        client.data("l2Book")
        client.subscribe(type="openOrders", user=other.users[0])
        client.data("openOrders")
        client.subscribe(type="orderUpdates", user=other.users[0])
        other.order(0, True, "90000", "0.1")
        told = {one["channel"]: one["data"] for one in client.until_pong()}
        assert len(told["openOrders"]["orders"]) == len(told["l2Book"]["levels"][0]) == 1
        other.call(other.node.go_back(height, 0))
        told = {one["channel"]: one["data"] for one in client.until_pong()}
        assert told["openOrders"]["orders"] == []
        assert told["l2Book"]["levels"] == [[], []]
        other.order(0, True, "91000", "0.1")
        told = {one["channel"]: one["data"] for one in client.until_pong()}
        assert [row["status"] for row in told["orderUpdates"]] == ["open"]
        assert told["openOrders"]["orders"][0]["limitPx"] == "91000.0"


def test_state_channels_follow_their_account(node: LiveNode, client: Listener) -> None:
    """Orders, margin and room to trade after the account's own doing, and after a new mark."""
    user = node.users[4]
    for name in ("openOrders", "clearinghouseState", "webData2", "activeAssetData"):
        client.subscribe(**subscription(name, user))
        client.data(name)
    client.subscribe(type="userHistoricalOrders", user=user)
    client.data("userHistoricalOrders")
    oid = node.order(4, True, "97000", "0.1")["resting"]["oid"]
    told = {one["channel"]: one["data"] for one in client.until_pong()}
    assert set(told) == {
        "openOrders", "clearinghouseState", "webData2", "activeAssetData", "userHistoricalOrders",
    }  # fmt: skip
    assert [row["oid"] for row in told["openOrders"]["orders"]] == [oid]
    (row,) = told["userHistoricalOrders"]["orderHistory"]
    assert set(row["order"]) == FULL_ORDER
    assert row["status"] == "open"
    node.act(4, {"type": "cancel", "cancels": [{"a": 0, "o": oid}]})
    told = {one["channel"]: one["data"] for one in client.until_pong()}
    assert told["openOrders"]["orders"] == []
    assert told["userHistoricalOrders"]["orderHistory"][0]["status"] == "canceled"
    assert client.is_silent()
    # Somebody else's orders say nothing here.
    node.order(5, True, "97000", "0.1")
    assert {one["channel"] for one in client.until_pong()} <= {"webData2"}


def test_books_come_at_most_twice_a_second_and_only_changed(node: LiveNode) -> None:
    """The last state comes in any case; what was between is not sent."""
    with listening(node) as client:
        client.subscribe(type="l2Book", coin="HYPE")
        client.data("l2Book")
        began = time.monotonic()
        for place in range(20):
            node.order(6, True, str(30 + place / 10), "1", 3)
        first = client.data("l2Book")
        second = client.data("l2Book")
        took = time.monotonic() - began
        assert len(first["levels"][0]) < len(second["levels"][0]) == 20
        assert took >= 0.5
        node.set_price(0, 100_000 * 10**8)
        assert client.until_pong() == []


def test_funding_is_told_each_hour(node: LiveNode) -> None:
    """Both sides of a position, over both channels, with one payment each."""
    node.order(6, True, "100", "100", 4)
    node.order(7, False, "100", "100", 4)
    with listening(node) as events, listening(node) as client:
        events.subscribe(type="userEvents", user=node.users[6])
        client.subscribe(type="userFundings", user=node.users[6])
        assert client.data("userFundings") == {
            "user": node.users[6], "fundings": [], "isSnapshot": True,
        }  # fmt: skip
        # The chain starts at any minute of the hour: exactly one funding time is to be passed.
        hour = node.blocks[-1].time_ms // HOUR_MS
        while node.blocks[-1].time_ms // HOUR_MS == hour:
            node.read(lambda: node.node.clock.move_to(node.blocks[-1].time_ms + 180_000))
            node.make_block()
        data = client.data("userFundings")
        assert set(data) == {"user", "fundings"}
        (row,) = [row for row in data["fundings"] if row["coin"] == "XRP"]
        assert set(row) == {"time", "coin", "usdc", "szi", "fundingRate", "nSamples"}
        event = events.data("user")
        assert event == {"funding": row}
    with listening(node) as late:
        late.subscribe(type="userFundings", user=node.users[6])
        assert late.data("userFundings")["fundings"] == [row]


def test_a_liquidation_is_told(node: LiveNode) -> None:
    """The event names the account and the sum; its fills say what they are."""
    with live_node() as other, listening(other) as client:
        market = 1
        for trader in (1, 2):
            other.order(trader, True, "3400", "2500", market)
        other.order(3, False, "4000", "4600", market)
        client.subscribe(type="userEvents", user=other.users[0])
        other.act(0, {"type": "updateLeverage", "asset": market, "isCross": True, "leverage": 25})
        other.order(0, True, "4000", "4500", market)
        assert set(client.data("user")) == {"fills"}
        seen: dict[str, Any] = {}
        for step in range(75):
            other.set_price(market, (3_990 - 10 * step) * 10**8)
            seen |= client.gather()
            if "liquidation" in seen:
                break
        liquidation = seen["liquidation"]
        assert set(liquidation) == {
            "lid", "liquidator", "liquidated_user", "liquidated_ntl_pos",
            "liquidated_account_value",
        }  # fmt: skip
        assert liquidation["liquidated_user"] == other.users[0]
        fill = seen["fills"][0]
        assert fill["liquidation"]["liquidatedUser"] == other.users[0]
        assert fill["dir"] == "Liquidated Cross Long"


# --- when and in what order -----------------------------------------------------------------------


def test_nothing_is_heard_before_the_flush(node: LiveNode) -> None:
    """A message comes after its block is durable; so does a snapshot that was asked meanwhile."""
    with live_node() as other, listening(other) as client:
        client.subscribe(type="orderUpdates", user=other.users[0])
        producer = other.node.producer
        commit = producer._commit
        flushed: list[float] = []

        def slow_commit(sealed: Any) -> None:
            time.sleep(0.3)
            commit(sealed)
            flushed.append(time.monotonic())

        other.read(lambda: setattr(producer, "_commit", slow_commit))
        waiting = asyncio.run_coroutine_threadsafe(
            other.node.exchange.handle(
                other.body(
                    0,
                    {
                        "type": "order",
                        "orders": [
                            {"a": 0, "b": True, "p": "90000", "s": "0.1", "r": False,
                             "t": {"limit": {"tif": "Gtc"}}}
                        ],
                        "grouping": "na",
                    },
                )
            ),
            other.loop,
        )  # fmt: skip
        time.sleep(0.1)
        with listening(other) as late:
            late.subscribe(type="l2Book", coin="BTC")
            assert late.data("l2Book")["levels"][0][0]["px"] == "90000.0"
            assert time.monotonic() >= flushed[0]
        client.data("orderUpdates")
        assert time.monotonic() >= flushed[0]
        waiting.result(5)


def test_a_fault_in_a_feed_closes_its_listeners_and_nobody_else() -> None:
    """A gap is never silent, and the chain goes on."""
    with live_node() as other, listening(other) as client, listening(other) as calm:
        client.subscribe(type="bbo", coin="BTC")
        calm.subscribe(type="bbo", coin="ETH")
        feed = next(one for key, one in other.hub.channels.items() if "BTC" in key)
        other.read(lambda: setattr(feed, "market_name", vars(feed).pop("asset")))
        other.order(0, True, "90000", "0.1")
        assert client.raw.read_close() == (1011, "a fault of the node")
        other.order(0, True, "3000", "0.1", 1)
        assert calm.data("bbo")["coin"] == "ETH"


CLIENTS = 200


def test_two_hundred_clients_hear_everything_once_and_in_order() -> None:
    """200 clients with five subscriptions each: the same messages for all, no gap and no double,
    compared with the entries of the blocks."""
    with live_node(Pace(interval_ms=20, idle_ms=0)) as node:
        maker, taker = node.users[0], node.users[1]
        subscriptions = [
            {"type": "trades", "coin": "BTC"},
            {"type": "bbo", "coin": "BTC"},
            {"type": "orderUpdates", "user": maker},
            {"type": "userFills", "user": taker},
            {"type": "l2Book", "coin": "BTC"},
        ]

        async def hear(ready: asyncio.Barrier, done: asyncio.Event) -> list[Any]:
            heard: list[Any] = []
            async with websockets.connect(node.socket_url, max_queue=None) as socket:
                for one in subscriptions:
                    await socket.send(json.dumps({"method": "subscribe", "subscription": one}))
                await ready.wait()
                await done.wait()
                await socket.send('{"method":"ping"}')
                while (text := await socket.recv()) != '{"channel":"pong"}':
                    heard.append(text)
            return heard

        def trade() -> None:
            for place in range(25):
                price = str(99_000 + place)
                node.order(0, True, price, "0.03")
                node.order(1, False, price, "0.02")
                node.order(1, False, price, "0.01")

        async def play() -> list[list[Any]]:
            ready, done = asyncio.Barrier(CLIENTS + 1), asyncio.Event()
            tasks = [asyncio.create_task(hear(ready, done)) for _ in range(CLIENTS)]
            await ready.wait()
            wanted = CLIENTS * len(subscriptions)
            await asyncio.to_thread(until, lambda: node.hub.figures()["subscriptions"] == wanted)
            await asyncio.to_thread(trade)
            await asyncio.sleep(0.6)
            done.set()
            return await asyncio.gather(*tasks)

        heard = asyncio.run(play())
        fills = [
            (fill.tid, block.time_ms, fill.lots)
            for block in node.blocks
            for effects in block.effects
            for fill in effects.fills()
        ]
        assert len(fills) == 50
    by_channel = [_by_channel(texts) for texts in heard]
    for texts in by_channel:
        # The times of the first books differ: each client came in a block of its own.
        texts["l2Book"].pop(0)
        assert texts == by_channel[0]
    channels = {
        name: [json.loads(text)["data"] for text in texts] for name, texts in by_channel[0].items()
    }
    trades = [row for data in channels["trades"] for row in data]
    assert [(row["tid"], row["time"]) for row in trades] == [fill[:2] for fill in fills]
    theirs = [row for data in channels["userFills"][1:] for row in data["fills"]]
    assert [row["tid"] for row in theirs] == [tid for tid, _, _ in fills]
    words = [row["status"] for data in channels["orderUpdates"] for row in data]
    assert words == ["open", "open", "filled"] * 25
    times = [data["time"] for data in channels["bbo"]]
    assert times == sorted(set(times))
    assert channels["bbo"][-1]["bbo"] == [None, None]
    assert channels["l2Book"][-1]["levels"] == [[], []]


def _by_channel(texts: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(json.loads(text)["channel"], []).append(text)
    return found


def test_a_snapshot_and_what_follows_it_make_the_whole() -> None:
    """Clients that come in the middle of trading: each fill and each order state once, whichever
    block they came in."""
    with live_node(Pace(interval_ms=10, idle_ms=0)) as node:

        def trade() -> None:
            for place in range(60):
                price = str(99_000 + place)
                node.order(0, True, price, "0.02")
                node.order(1, False, price, "0.02")

        async def come(delay: float, done: asyncio.Event) -> list[int]:
            await asyncio.sleep(delay)
            async with websockets.connect(node.socket_url) as socket:
                for name in ("userFills", "userNonFundingLedgerUpdates"):
                    given = {"type": name, "user": node.users[0]}
                    await socket.send(json.dumps({"method": "subscribe", "subscription": given}))
                await done.wait()
                await socket.send('{"method":"ping"}')
                tids: list[int] = []
                async for text in socket:
                    told = json.loads(text)
                    if told["channel"] == "pong":
                        break
                    if told["channel"] == "userFills":
                        rows = [row["tid"] for row in told["data"]["fills"]]
                        is_snapshot = told["data"].get("isSnapshot", False)
                        tids.extend(reversed(rows) if is_snapshot else rows)
            return tids

        async def play() -> list[list[int]]:
            done = asyncio.Event()
            tasks = [asyncio.create_task(come(place / 25, done)) for place in range(25)]
            await asyncio.to_thread(trade)
            await asyncio.sleep(0.3)
            done.set()
            return await asyncio.gather(*tasks)

        found = asyncio.run(play())
    for tids in found:
        assert tids == list(range(1, 61))
