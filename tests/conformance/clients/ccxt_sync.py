"""ccxt's `hyperliquid`, unmodified but for its addresses, against a node."""

import time
from collections.abc import Callable
from typing import Any, Final

import ccxt

from tests.conformance.clients.market import quote, trade_much
from tests.conformance.clients.report import WORKED, Recorder
from tests.support.node import NodeProcess, account, limit_order

BTC: Final = "BTC/USDC:USDC"
ETH: Final = "ETH/USDC:USDC"
CHP: Final = "CHP/USDC"
CLOID: Final = "0x" + "0c" * 16
DAY_MS: Final = 86_400_000


def configured(kind: Any, node: NodeProcess, number: int = 0) -> Any:
    """A ccxt exchange of one of the node's accounts."""
    me = account(number)
    exchange = kind({"walletAddress": me.address, "privateKey": me.secret})
    exchange.set_sandbox_mode(True)
    exchange.urls["api"] |= {"public": node.url, "private": node.url}
    if "ws" in exchange.urls["api"]:
        exchange.urls["api"]["ws"] = {"public": node.ws_url}
    return exchange


class CcxtFlow:
    """ccxt's unified methods."""

    def __init__(self, node: NodeProcess, recorder: Recorder) -> None:
        self.node = node
        self.rec = recorder
        self.me = account(0)
        self.friend = account(2)
        self.ex = configured(ccxt.hyperliquid, node)
        markets = recorder.call("metaAndAssetCtxs", "load_markets", self.ex.load_markets,
                                lambda found: BTC in found and ETH in found)  # fmt: skip
        if markets is not None:
            for row in ("spotMeta", "perpDexs", "spotMetaAndAssetCtxs"):
                recorder.note(row, "load_markets", WORKED)

    def orders(self) -> None:
        """Create, edit, cancel; market orders; triggers."""
        rec, ex = self.rec, self.ex
        placed = rec.call("order", "create_order",
                          lambda: ex.create_order(BTC, "limit", "buy", 0.01, 95000),
                          lambda order: order["id"] in self.open_ids())  # fmt: skip
        ident = placed["id"] if placed else "0"
        rec.call("orderStatus", "fetch_order", lambda: ex.fetch_order(ident, BTC),
                 lambda order: order["status"] == "open" and order["price"] == 95000)  # fmt: skip
        changed = rec.call("batchModify", "edit_order",
                           lambda: ex.edit_order(ident, BTC, "limit", "buy", 0.02, 94000),
                           lambda order: order["id"] in self.open_ids())  # fmt: skip
        ident = changed["id"] if changed else ident
        rec.call("cancel", "cancel_order", lambda: ex.cancel_order(ident, BTC),
                 lambda _: ident not in self.open_ids())  # fmt: skip
        rec.call(
            "order",
            "create_order with clientOrderId",
            lambda: ex.create_order(BTC, "limit", "buy", 0.01, 93000, {"clientOrderId": CLOID}),
        )
        rec.call("cancelByCloid", "cancel_order by clientOrderId",
                 lambda: ex.cancel_order("", BTC, {"clientOrderId": CLOID}),
                 lambda _: self.open_ids() == [])  # fmt: skip
        rec.call("order", "create_orders", lambda: ex.create_orders([
            {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": 92000},
            {"symbol": ETH, "type": "limit", "side": "buy", "amount": 0.1, "price": 3700},
        ]), lambda orders: len(orders) == 2)  # fmt: skip
        rec.call("cancel", "cancel_orders",
                 lambda: [ex.cancel_order(one["id"], one["symbol"])
                          for one in ex.fetch_open_orders()],
                 lambda _: self.open_ids() == [])  # fmt: skip
        rec.call("order", "create_order market",
                 lambda: ex.create_order(BTC, "market", "buy", 0.05, 100000),
                 lambda _: self.contracts() == 0.05)  # fmt: skip
        rec.call(
            "order",
            "create_order stop loss",
            lambda: ex.create_order(
                BTC, "market", "sell", 0.05, 95000, {"stopLossPrice": 95000, "reduceOnly": True}
            ),
        )
        rec.call(
            "order",
            "create_order post only",
            lambda: ex.create_order(BTC, "limit", "buy", 0.01, 91000, {"postOnly": True}),
        )
        rec.call(
            "scheduleCancel", "cancel_all_orders_after", lambda: ex.cancel_all_orders_after(60_000)
        )
        rec.call("order", "create_order market reduce-only", lambda: ex.create_order(
            BTC, "market", "sell", 0.05, 100000, {"reduceOnly": True}),
            lambda _: self.contracts() == 0)  # fmt: skip
        rec.call(
            "cancel",
            "cancel_order of what is left",
            lambda: [ex.cancel_order(one["id"], one["symbol"]) for one in ex.fetch_open_orders()],
        )
        rec.call(
            "twapOrder",
            "create_twap_order",
            lambda: ex.create_twap_order(BTC, "buy", 0.5, 30 * 60_000),
        )

    def open_ids(self) -> list[str]:
        """Ids of open orders."""
        return [one["id"] for one in self.ex.fetch_open_orders()]

    def contracts(self) -> float:
        """Size of the BTC position."""
        found = [one for one in self.ex.fetch_positions() if one["symbol"] == BTC]
        return float(found[0]["contracts"]) if found else 0.0

    def account(self) -> None:
        """Leverage, margin, money."""
        rec, ex = self.rec, self.ex
        rec.call("updateLeverage", "set_leverage", lambda: ex.set_leverage(5, BTC))
        rec.call(
            "updateLeverage",
            "set_margin_mode isolated",
            lambda: ex.set_margin_mode("isolated", ETH, {"leverage": 5}),
        )
        rec.call(
            "order", "create_order isolated", lambda: ex.create_order(ETH, "market", "buy", 1, 4000)
        )
        rec.call("updateIsolatedMargin", "add_margin", lambda: ex.add_margin(ETH, 50))
        rec.call("updateIsolatedMargin", "reduce_margin", lambda: ex.reduce_margin(ETH, 20))
        rec.call(
            "order",
            "create_order close isolated",
            lambda: ex.create_order(ETH, "market", "sell", 1, 4000, {"reduceOnly": True}),
        )
        rec.call("withdraw3", "withdraw", lambda: ex.withdraw("USDC", 5, self.friend.address))
        rec.call("usdClassTransfer", "transfer", lambda: ex.transfer("USDC", 5, "swap", "spot"))
        rec.call("createSubAccount", "create_sub_account", lambda: ex.create_sub_account("desk"))
        rec.call(
            "reserveRequestWeight", "reserve_request_weight", lambda: ex.reserve_request_weight(1)
        )
        rec.call(
            "userSetAbstraction",
            "set_user_abstraction",
            lambda: ex.set_user_abstraction("disabled"),
        )

    def vaults(self) -> None:
        """A vault of one's own: opened, traded, partly left after the lock-up. Comes last, since
        it moves the node's time."""
        rec, ex = self.rec, self.ex
        made = rec.call(
            "createVault",
            "create_vault",
            lambda: ex.create_vault("bank", "a vault of the test run", 200),
        )
        vault = made["response"]["data"] if made else self.me.address
        params = {"vaultAddress": vault}
        rec.call("order", "create_order of vault",
                 lambda: ex.create_order(BTC, "limit", "buy", 0.001, 90000, params))  # fmt: skip
        self.node.post("/dev", {"type": "increaseTime", "ms": DAY_MS})
        rec.call(
            "vaultTransfer",
            "withdraw with vaultAddress",
            lambda: ex.withdraw("USDC", 5 * 10**6, self.me.address, params),
        )

    def spot(self) -> None:
        """Spot orders of ccxt's unified methods."""
        rec, ex = self.rec, self.ex
        ex.transfer("USDC", 300, "swap", "spot")
        self.node.act(self.friend, limit_order(10_000, False, "1.25", "40"))
        rec.call("order", "create_order spot",
                 lambda: ex.create_order(CHP, "limit", "buy", 20, 1.1),
                 lambda order: order["id"] in self.open_ids())  # fmt: skip
        rec.call("cancel", "cancel_order spot",
                 lambda: [ex.cancel_order(one["id"], CHP) for one in ex.fetch_open_orders(CHP)],
                 lambda _: self.open_ids() == [])  # fmt: skip
        rec.call("order", "create_order spot that trades",
                 lambda: ex.create_order(
                     CHP, "limit", "buy", 20, 1.25, {"timeInForce": "IOC"}))  # fmt: skip
        rec.call("userFills", "fetch_my_trades of spot", lambda: ex.fetch_my_trades(CHP),
                 lambda rows: rows[-1]["fee"]["currency"] == "CHP")  # fmt: skip
        rec.call("spotClearinghouseState", "fetch_balance of tokens",
                 lambda: ex.fetch_balance({"type": "spot"}),
                 lambda found: found["CHP"]["total"] > 0)  # fmt: skip
        rec.call("l2Book", "fetch_order_book of spot", lambda: ex.fetch_order_book(CHP),
                 lambda book: book["asks"][0][0] == 1.25)  # fmt: skip
        rec.call("spotMetaAndAssetCtxs", "fetch_ticker of spot", lambda: ex.fetch_ticker(CHP),
                 lambda ticker: ticker["info"]["markPx"] == "1.25")  # fmt: skip

    def referrer(self) -> None:
        """ccxt names its own code at its first private call: it went on without (above), and goes
        on when somebody has registered that code."""
        self.node.act(account(9), {"type": "registerReferrer", "code": "CCXT1"})
        me = account(3)
        second = configured(ccxt.hyperliquid, self.node, 3)
        self.rec.call("setReferrer", "create_order with a referrer",
                      lambda: second.create_order(BTC, "limit", "buy", 0.01, 91500),
                      lambda order: order["id"])  # fmt: skip
        self.rec.call("setReferrer", "first private call",
                      lambda: self.node.info("referral", user=me.address).document,
                      lambda state: state["referredBy"]["code"] == "CCXT1")  # fmt: skip

    def queries(self) -> None:
        """What ccxt fetches."""
        rec, ex = self.rec, self.ex
        calls: list[tuple[str, str, Callable[[], Any], Callable[[Any], Any]]] = [
            ("exchangeStatus", "fetch_time", ex.fetch_time,
             lambda at: abs(at - time.time() * 1000) < 60_000),
            ("exchangeStatus", "fetch_status", ex.fetch_status, lambda a: a["status"] == "ok"),
            ("spotMeta", "fetch_currencies", ex.fetch_currencies, lambda a: "USDC" in a),
            ("metaAndAssetCtxs", "fetch_tickers", ex.fetch_tickers, lambda a: a[BTC]["last"]),
            ("metaAndAssetCtxs", "fetch_funding_rates", ex.fetch_funding_rates,
             lambda a: a[BTC]["fundingRate"] is not None),
            ("metaAndAssetCtxs", "fetch_open_interest", lambda: ex.fetch_open_interest(BTC),
             lambda a: a["openInterestAmount"] is not None),
            ("l2Book", "fetch_order_book", lambda: ex.fetch_order_book(BTC),
             lambda a: a["bids"] and a["asks"]),
            ("candleSnapshot", "fetch_ohlcv", lambda: ex.fetch_ohlcv(BTC, "1m"),
             lambda a: len(a[-1]) == 6),
            ("fundingHistory", "fetch_funding_rate_history",
             lambda: ex.fetch_funding_rate_history(BTC), lambda a: isinstance(a, list)),
            ("clearinghouseState", "fetch_balance", ex.fetch_balance,
             lambda a: float(a["USDC"]["total"]) > 0),
            ("clearinghouseState", "fetch_positions", ex.fetch_positions,
             lambda a: isinstance(a, list)),
            ("spotClearinghouseState", "fetch_balance spot",
             lambda: ex.fetch_balance({"type": "spot"}), lambda a: "info" in a),
            ("frontendOpenOrders", "fetch_open_orders", ex.fetch_open_orders,
             lambda a: isinstance(a, list)),
            ("historicalOrders", "fetch_orders", ex.fetch_orders, lambda a: len(a) > 3),
            ("historicalOrders", "fetch_closed_orders", ex.fetch_closed_orders,
             lambda a: a[0]["status"] == "closed"),
            ("historicalOrders", "fetch_canceled_orders", ex.fetch_canceled_orders,
             lambda a: a[0]["status"] == "canceled"),
            ("userFills", "fetch_my_trades", lambda: ex.fetch_my_trades(BTC),
             lambda a: a[0]["fee"]["cost"] is not None),
            ("userFunding", "fetch_funding_history", lambda: ex.fetch_funding_history(BTC),
             lambda a: isinstance(a, list)),
            ("userNonFundingLedgerUpdates", "fetch_ledger", ex.fetch_ledger,
             lambda a: len(a) > 0),
            ("userNonFundingLedgerUpdates", "fetch_withdrawals", ex.fetch_withdrawals,
             lambda a: isinstance(a, list)),
            ("userFees", "fetch_trading_fee", lambda: ex.fetch_trading_fee(BTC),
             lambda a: a["taker"] > 0),
            ("userAbstraction", "first private call", lambda: ex.options.get("isUnified", ""),
             lambda _: True),
        ]  # fmt: skip
        for row, method, run_it, check in calls:
            rec.call(row, method, run_it, check)


def run(node: NodeProcess) -> Recorder:
    """All of ccxt against a node."""
    recorder = Recorder("ccxt")
    quote(node)
    trade_much(node)
    flow = CcxtFlow(node, recorder)
    for part in (
        flow.orders, flow.account, flow.spot, flow.referrer, flow.queries, flow.vaults,
    ):  # fmt: skip
        recorder.guarded(part, part.__name__)
    return recorder
