"""`ccxt.pro.hyperliquid` against a node: what it watches, and orders over the websocket."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import ccxt.pro

from tests.conformance.clients.ccxt_sync import BTC, configured
from tests.conformance.clients.market import quote
from tests.conformance.clients.report import WORKED, Outcome, Recorder, outcome_of
from tests.support.node import NodeProcess

SECONDS: Final = 8


class ProFlow:
    """ccxt.pro's watchers; each waits for its first event, while orders are traded."""

    def __init__(self, node: NodeProcess, recorder: Recorder) -> None:
        self.rec = recorder
        self.ex = configured(ccxt.pro.hyperliquid, node)

    async def call(
        self, row: str, method: str, run: Callable[[], Awaitable[Any]],
        check: Callable[[Any], Any] = bool,
    ) -> Any:  # fmt: skip
        """Await a call and note what it did."""
        try:
            value = await asyncio.wait_for(run(), SECONDS)
            assert check(value), f"answer was {value!r}"
        except Exception as error:  # noqa: BLE001 - every failure is an entry of the table
            self.rec.outcomes.append(outcome_of(row, method, error))
            return None
        self.rec.outcomes.append(Outcome(row, method, WORKED))
        return value

    async def watch(self) -> None:
        """Every watcher at once, and a trade for them to see."""
        ex = self.ex
        await ex.load_markets()
        jobs = [
            self.call("ws l2Book", "watch_order_book", lambda: ex.watch_order_book(BTC),
                      lambda book: book["bids"] and book["asks"]),
            self.call("ws trades", "watch_trades", lambda: ex.watch_trades(BTC)),
            self.call("ws allMids", "watch_tickers", ex.watch_tickers),
            self.call("ws activeAssetCtx", "watch_ticker", lambda: ex.watch_ticker(BTC)),
            self.call("ws candle", "watch_ohlcv", lambda: ex.watch_ohlcv(BTC, "1m")),
            self.call("ws userFills", "watch_my_trades", ex.watch_my_trades),
            self.call("ws orderUpdates", "watch_orders", ex.watch_orders),
            self.call("ws clearinghouseState", "watch_balance", ex.watch_balance),
            self.call("ws clearinghouseState", "watch_positions", ex.watch_positions),
        ]  # fmt: skip
        traded = asyncio.gather(*jobs)
        await asyncio.sleep(1)
        await self.trade()
        await traded
        await self.call("ws unsubscribe", "un_watch_trades", lambda: ex.un_watch_trades(BTC),
                        lambda _: True)  # fmt: skip

    async def trade(self) -> None:
        """Orders over the socket."""
        ex = self.ex
        placed = await self.call(
            "ws post action", "create_order_ws",
            lambda: ex.create_order_ws(BTC, "limit", "buy", 0.01, 95000),
            lambda order: order["id"],
        )  # fmt: skip
        ident = placed["id"] if placed else "0"
        changed = await self.call(
            "ws post action", "edit_order_ws",
            lambda: ex.edit_order_ws(ident, BTC, "limit", "buy", 0.02, 94000),
            lambda order: order["id"],
        )  # fmt: skip
        ident = changed["id"] if changed else ident
        await self.call("ws post action", "cancel_order_ws",
                        lambda: ex.cancel_order_ws(ident, BTC))  # fmt: skip
        for side in ("buy", "sell"):
            await self.call("ws post action", f"create_order_ws market {side}",
                            lambda side=side: ex.create_order_ws(  # type: ignore[misc]
                                BTC, "market", side, 0.01, 100000))  # fmt: skip

    async def whole_flow(self) -> None:
        """Everything, and the socket closed behind it."""
        try:
            await self.watch()
        finally:
            await self.ex.close()


def run(node: NodeProcess) -> Recorder:
    """All of ccxt.pro against a node."""
    recorder = Recorder("ccxt pro")
    quote(node)
    recorder.guarded(lambda: asyncio.run(ProFlow(node, recorder).whole_flow()), "ccxt pro")
    return recorder
