"""What the Python SDK reads: every question, and every subscription of its websocket."""

import time
from collections.abc import Callable
from typing import Any, Final

from hyperliquid.info import Info
from hyperliquid.utils.signing import get_timestamp_ms

from tests.conformance.clients.market import quote
from tests.conformance.clients.python_sdk import PythonFlow, is_list
from tests.conformance.clients.report import FAILED, WORKED, Recorder
from tests.support.node import NodeProcess

HOUR_MS: Final = 3_600_000
WS_SECONDS: Final = 8


def queries(flow: PythonFlow) -> None:
    """Every question of the SDK, looked at from the side of its caller."""
    info, me, rec = flow.info, flow.me.address, flow.rec
    now = get_timestamp_ms()
    calls: list[tuple[str, str, Callable[[], Any], Callable[[Any], Any]]] = [
        ("meta", "meta", info.meta, lambda a: a["universe"][0]["name"] == "BTC"),
        ("spotMeta", "spot_meta", info.spot_meta, lambda a: a["tokens"][0]["name"] == "USDC"),
        ("metaAndAssetCtxs", "meta_and_asset_ctxs", info.meta_and_asset_ctxs,
         lambda a: len(a[0]["universe"]) == len(a[1])),
        ("spotMetaAndAssetCtxs", "spot_meta_and_asset_ctxs", info.spot_meta_and_asset_ctxs,
         lambda a: len(a) == 2),
        ("perpDexs", "perp_dexs", info.perp_dexs, lambda a: a[0] is None),
        ("allMids", "all_mids", info.all_mids, lambda a: float(a["BTC"]) > 0),
        ("l2Book", "l2_snapshot", lambda: info.l2_snapshot("BTC"),
         lambda a: len(a["levels"]) == 2 and a["levels"][0]),
        ("candleSnapshot", "candles_snapshot",
         lambda: info.candles_snapshot("BTC", "1m", now - HOUR_MS, now),
         lambda a: {"t", "T", "s", "i", "o", "c", "h", "l", "v", "n"} <= a[-1].keys()),
        ("fundingHistory", "funding_history",
         lambda: info.funding_history("BTC", now - HOUR_MS), is_list),
        ("clearinghouseState", "user_state", lambda: info.user_state(me),
         lambda a: float(a["marginSummary"]["accountValue"]) > 0),
        ("spotClearinghouseState", "spot_user_state", lambda: info.spot_user_state(me),
         lambda a: "balances" in a),
        ("openOrders", "open_orders", lambda: info.open_orders(me), is_list),
        ("historicalOrders", "historical_orders", lambda: info.historical_orders(me),
         lambda a: {one["status"] for one in a} >= {"canceled", "filled"}),
        ("userFills", "user_fills", lambda: info.user_fills(me),
         lambda a: {"closedPnl", "dir", "hash", "tid", "fee"} <= a[0].keys()),
        ("userFillsByTime", "user_fills_by_time",
         lambda: info.user_fills_by_time(me, now - HOUR_MS), lambda a: len(a) > 0),
        ("userFunding", "user_funding_history",
         lambda: info.user_funding_history(me, now - HOUR_MS), is_list),
        ("userNonFundingLedgerUpdates", "user_non_funding_ledger_updates",
         lambda: info.user_non_funding_ledger_updates(me, 0), lambda a: len(a) > 0),
        ("userFees", "user_fees", lambda: info.user_fees(me),
         lambda a: float(a["userCrossRate"]) > 0),
        ("userRateLimit", "user_rate_limit", lambda: info.user_rate_limit(me),
         lambda a: float(a["cumVlm"]) > 0),
        ("userRole", "user_role", lambda: info.user_role(me),
         lambda a: a["role"] == "user"),
        ("userAbstraction", "query_user_abstraction_state",
         lambda: info.query_user_abstraction_state(me), lambda a: isinstance(a, str)),
        ("? portfolio", "portfolio", lambda: info.portfolio(me),
         lambda a: [one[0] for one in a][:2] == ["day", "week"]),
        ("? referral", "query_referral_state", lambda: info.query_referral_state(me),
         lambda a: "referrerState" in a),
        ("? userTwapSliceFills", "user_twap_slice_fills",
         lambda: info.user_twap_slice_fills(me), is_list),
        ("? userDexAbstraction", "query_user_dex_abstraction_state",
         lambda: info.query_user_dex_abstraction_state(me), lambda _: True),
        ("? delegatorSummary", "user_staking_summary", lambda: info.user_staking_summary(me),
         lambda a: "delegated" in a),
        ("? delegations", "user_staking_delegations",
         lambda: info.user_staking_delegations(me), is_list),
        ("? delegatorRewards", "user_staking_rewards",
         lambda: info.user_staking_rewards(me), is_list),
        ("? delegatorHistory", "delegator_history", lambda: info.delegator_history(me),
         is_list),
        ("? perpDeployAuctionStatus", "query_perp_deploy_auction_status",
         info.query_perp_deploy_auction_status, lambda a: "startTimeSeconds" in a),
        ("? spotDeployState", "query_spot_deploy_auction_status",
         lambda: info.query_spot_deploy_auction_status(me), lambda a: "states" in a),
    ]  # fmt: skip
    for row, method, run, check in calls:
        rec.call(row, method, run, check)


def websocket(flow: PythonFlow) -> None:
    """Every subscription of the SDK, with a trade in between."""
    me = flow.me.address
    subscriptions: dict[str, Any] = {
        "allMids": {"type": "allMids"},
        "l2Book": {"type": "l2Book", "coin": "BTC"},
        "trades": {"type": "trades", "coin": "BTC"},
        "bbo": {"type": "bbo", "coin": "BTC"},
        "candle": {"type": "candle", "coin": "BTC", "interval": "1m"},
        "activeAssetCtx": {"type": "activeAssetCtx", "coin": "BTC"},
        "userFills": {"type": "userFills", "user": me},
        "orderUpdates": {"type": "orderUpdates", "user": me},
        "userEvents": {"type": "userEvents", "user": me},
        "userFundings": {"type": "userFundings", "user": me},
        "userNonFundingLedgerUpdates": {"type": "userNonFundingLedgerUpdates", "user": me},
        "activeAssetData": {"type": "activeAssetData", "user": me, "coin": "BTC"},
        "webData2": {"type": "webData2", "user": me},
    }
    live = Info(flow.node.url)
    seen: dict[str, list[Any]] = {name: [] for name in subscriptions}
    try:
        ids = {
            name: live.subscribe(subscription, seen[name].append)
            for name, subscription in subscriptions.items()
        }
        time.sleep(0.5)
        flow.exchange.market_open("BTC", True, 0.01)
        flow.exchange.market_close("BTC")
        end = time.monotonic() + WS_SECONDS
        while time.monotonic() < end and not all(seen.values()):
            time.sleep(0.05)
        for name, messages in seen.items():
            word = WORKED if messages else FAILED
            flow.rec.note(f"ws {name}", f"subscribe {name}", word,
                          "" if messages else f"no message in {WS_SECONDS} s")  # fmt: skip
        flow.rec.call(
            "ws unsubscribe",
            "unsubscribe",
            lambda: live.unsubscribe(subscriptions["trades"], ids["trades"]),
            bool,
        )
        before = len(seen["trades"])
        flow.exchange.market_open("BTC", True, 0.01)
        flow.exchange.market_close("BTC")
        time.sleep(0.3)
        flow.rec.call(
            "ws unsubscribe",
            "silence after unsubscribe",
            lambda: len(seen["trades"]),
            lambda count: count == before,
        )
    finally:
        live.disconnect_websocket()


def run(node: NodeProcess) -> Recorder:
    """All of the SDK against a node."""
    recorder = Recorder("Python SDK")
    quote(node)
    flow = PythonFlow(node, recorder)
    flow.whole_flow()
    queries(flow)
    recorder.guarded(lambda: websocket(flow), "websocket")
    return recorder
