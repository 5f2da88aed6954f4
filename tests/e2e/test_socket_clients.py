"""The published clients themselves on our socket: PY's `Info.subscribe` for each of its channels,
and ccxt.pro's `watch_*` and `*_ws` methods. Source: hyperliquid-api 9.3."""

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import ccxt.pro
import pytest
from hyperliquid.info import Info

from tests.support.live_node import LiveNode, live_node, until

SYMBOL = "BTC/USDC:USDC"
MAKER, TAKER = 0, 1


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    """A node whose BTC market has a book and a past."""
    with live_node() as running:
        running.order(9, True, "90000", "1")
        running.order(9, False, "110000", "1")
        running.order(8, True, "99000", "0.1")
        running.order(9, False, "99000", "0.1")
        yield running


class Heard:
    """What PY's callbacks were called with, by channel."""

    def __init__(self) -> None:
        self.messages: dict[str, list[Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, message: Any) -> None:
        """One message."""
        with self._lock:
            self.messages.setdefault(message["channel"], []).append(message["data"])

    def has(self, *channels: str) -> bool:
        """Whether each channel was heard."""
        return all(channel in self.messages for channel in channels)


def test_each_subscription_of_the_official_client(node: LiveNode) -> None:
    """PY: all its channels over one socket, snapshots and news, unsubscribe; it meets nothing that
    it has no callback for."""
    user = node.users[MAKER]
    subscriptions = [
        {"type": "allMids"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
        {"type": "bbo", "coin": "BTC"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
        {"type": "activeAssetCtx", "coin": "BTC"},
        {"type": "activeAssetData", "user": user, "coin": "BTC"},
        {"type": "userEvents", "user": user},
        {"type": "userFills", "user": user},
        {"type": "orderUpdates", "user": user},
        {"type": "userFundings", "user": user},
        {"type": "userNonFundingLedgerUpdates", "user": user},
        {"type": "webData2", "user": user},
    ]
    heard = Heard()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        info = Info(node.url)
        numbers = [info.subscribe(one, heard) for one in subscriptions]
        until(lambda: len(node.hub.clients) == 1)
        until(lambda: node.hub.figures()["subscriptions"] == len(subscriptions))
        snapshots = (
            "allMids", "l2Book", "trades", "candle", "activeAssetCtx", "activeAssetData",
            "userFills", "userFundings", "userNonFundingLedgerUpdates", "webData2",
        )  # fmt: skip
        until(lambda: heard.has(*snapshots))
        assert not heard.has("user")
        assert not heard.has("orderUpdates")
        counts = {channel: len(rows) for channel, rows in heard.messages.items()}
        node.order(MAKER, True, "100000", "0.1")
        node.order(TAKER, False, "100000", "0.1")
        news = (
            "allMids", "l2Book", "trades", "candle", "activeAssetCtx", "activeAssetData",
            "userFills", "webData2",
        )  # fmt: skip
        until(lambda: heard.has("bbo", "user", "orderUpdates"))
        until(lambda: all(len(heard.messages[name]) > counts[name] for name in news))
        words = [row["status"] for rows in heard.messages["orderUpdates"] for row in rows]
        assert words == ["open", "filled"]
        assert heard.messages["user"][0]["fills"][0]["crossed"] is False
        for one, number in zip(subscriptions, numbers, strict=True):
            assert info.unsubscribe(one, number)
        until(lambda: node.hub.figures()["subscriptions"] == 0)
        info.disconnect_websocket()
    until(lambda: not node.hub.clients)
    assert printed.getvalue() == ""


async def _first(watch: Awaitable[Any], doing: Any = None) -> Any:
    """What a `watch_*` resolves with, when something is done once it waits."""
    task = asyncio.ensure_future(watch)
    if doing is not None:
        await asyncio.sleep(0.3)
        await asyncio.to_thread(doing)
    return await asyncio.wait_for(task, 10)


def _exchange(node: LiveNode, trader: int) -> Any:
    exchange = ccxt.pro.hyperliquid(
        {
            "walletAddress": node.users[trader],
            "privateKey": "0x" + node.keys[trader].hex(),
            "options": {"builderFee": False, "defaultType": "swap"},
        }
    )
    exchange.set_sandbox_mode(True)
    exchange.urls["api"]["public"] = exchange.urls["api"]["private"] = node.url
    exchange.urls["api"]["ws"] = {"public": node.socket_url}
    return exchange


def test_what_ccxt_watches(node: LiveNode) -> None:
    """CCXT: each method of the matrix, over one socket, with the end of the subscription."""

    def trade() -> None:
        node.order(2, True, "100000", "0.1")
        node.order(3, False, "100000", "0.1")

    async def play() -> None:
        exchange = _exchange(node, 2)
        try:
            await exchange.load_markets()
            book = await _first(exchange.watch_order_book(SYMBOL))
            assert book["bids"][0][0] == 90_000
            tickers = await _first(exchange.watch_tickers([SYMBOL]))
            assert SYMBOL in tickers
            ticker = await _first(exchange.watch_ticker(SYMBOL))
            assert ticker["symbol"] == SYMBOL
            trades = await _first(exchange.watch_trades(SYMBOL))
            assert trades[-1]["price"] > 0
            candles = await _first(exchange.watch_ohlcv(SYMBOL, "1m"))
            assert candles[-1][5] > 0
            balance = await _first(exchange.watch_balance())
            assert balance["USDC"]["total"] > 0
            orders = await _first(exchange.watch_orders(SYMBOL), trade)
            assert orders[-1]["symbol"] == SYMBOL
            mine = await _first(exchange.watch_my_trades(SYMBOL), trade)
            assert mine[-1]["amount"] == 0.1
            positions = await _first(exchange.watch_positions([SYMBOL]), trade)
            assert positions[0]["side"] == "long"
            for end in (
                exchange.un_watch_order_book(SYMBOL),
                exchange.un_watch_trades(SYMBOL),
                exchange.un_watch_ticker(SYMBOL),
                exchange.un_watch_ohlcv(SYMBOL, "1m"),
                exchange.un_watch_orders(),
                exchange.un_watch_my_trades(),
                exchange.un_watch_positions(),
            ):
                await _first(end)
            until(lambda: node.hub.figures()["subscriptions"] == 1)
        finally:
            await exchange.close()

    asyncio.run(play())
    until(lambda: not node.hub.clients)


def test_what_ccxt_sends_over_the_socket(node: LiveNode) -> None:
    """CCXT: orders by `post`, edited, cancelled, and a refusal that it knows by its text."""

    async def play() -> None:
        exchange = _exchange(node, 4)
        try:
            await exchange.load_markets()
            order = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 95_000)
            changed = await exchange.edit_order_ws(
                order["id"], SYMBOL, "limit", "buy", 0.02, 95_001
            )
            assert changed["id"] != order["id"]
            done = await exchange.cancel_order_ws(changed["id"], SYMBOL)
            assert done["status"] == "success"
            with pytest.raises(ccxt.pro.InvalidOrder):
                await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.00001, 95_000)
        finally:
            await exchange.close()

    asyncio.run(play())


def test_the_official_client_returns_after_its_connection_was_dropped(node: LiveNode) -> None:
    """PY: a dropped connection ends it cleanly; a new one has its snapshots at once."""
    heard = Heard()
    for _ in range(2):
        info = Info(node.url)
        info.subscribe({"type": "l2Book", "coin": "BTC"}, heard)
        until(lambda: heard.has("l2Book"))
        until(lambda: node.hub.figures()["subscriptions"] == 1)
        assert node.drop() == 1
        until(lambda: not node.hub.clients)
        info.disconnect_websocket()
        heard.messages.clear()
        time.sleep(0.05)
