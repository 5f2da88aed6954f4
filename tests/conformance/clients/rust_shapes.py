"""The Rust SDK's side of the wire: requests as it writes them, answers as its structs decode them.

Its requests go through a map that sorts keys, its signatures have no leading zeros, and it sends
`vaultAddress: null`. Every answer goes through the transcribed structs of `rust_structs`.
"""

import asyncio
import json
from typing import Any, Final

from websockets.asyncio.client import connect

from tests.conformance.clients.market import quote, trade_much
from tests.conformance.clients.report import FAILED, WORKED, Recorder, refuse
from tests.conformance.clients.rust_structs import INFO, WS, Undecodable, exchange_response
from tests.support.node import NodeProcess, account, limit_order

SECONDS: Final = 8
CLOID: Final = "0x" + "1e" * 16
SILENT: Final = ("subscriptionResponse", "pong")


def sorted_request(node: NodeProcess, action: dict[str, Any]) -> Any:
    """An action as RS posts it, and its reply, decoded."""
    body = node.signed(account(0), action)
    body.pop("expiresAfter", None)
    raw = json.dumps(body, sort_keys=True).encode()
    answered = node.request("POST", "/exchange", raw, {"Content-Type": "application/json"})
    assert answered.status == 200, answered
    exchange_response(answered.document, "")
    refuse(answered.document)
    return answered.document


def actions(node: NodeProcess, rec: Recorder) -> None:
    """The actions of its ExchangeClient."""
    friend = account(2).address
    placed = rec.call(
        "order",
        "order",
        lambda: sorted_request(node, limit_order(0, True, "95000", "0.01", cloid="0x" + "0e" * 16)),
    )
    oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"] if placed else 1
    order = limit_order(0, True, "94000", "0.01")["orders"][0]
    changed = rec.call(
        "batchModify",
        "bulk_modify",
        lambda: sorted_request(
            node, {"type": "batchModify", "modifies": [{"oid": oid, "order": order}]}
        ),
    )
    oid = changed["response"]["data"]["statuses"][0]["resting"]["oid"] if changed else oid
    sent = [
        ("cancel", "cancel", {"type": "cancel", "cancels": [{"a": 0, "o": oid}]}),
        ("order", "order Ioc", limit_order(0, True, "101000", "0.01", tif="Ioc")),
        ("order", "order with cloid", limit_order(0, True, "95000", "0.01", cloid=CLOID)),
        ("cancelByCloid", "cancel_by_cloid",
         {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]}),
        ("updateLeverage", "update_leverage",
         {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 7}),
        ("usdSend", "usdc_transfer",
         {"type": "usdSend", "destination": friend, "amount": "1"}),
        ("withdraw3", "withdraw_from_bridge",
         {"type": "withdraw3", "destination": friend, "amount": "5"}),
        ("approveAgent", "approve_agent",
         {"type": "approveAgent", "agentAddress": account(30).address, "agentName": ""}),
    ]  # fmt: skip
    for row, method, action in sent:
        rec.call(row, method, lambda action=action: sorted_request(node, action))  # type: ignore[misc]


def questions(node: NodeProcess, rec: Recorder) -> None:
    """The questions of its InfoClient."""
    user = {"user": account(0).address}
    past = {"startTime": 0, "endTime": None}
    fills = node.info("userFills", **user).document
    fields: dict[str, dict[str, Any]] = {
        "fundingHistory": {"coin": "BTC", **past},
        "userFunding": user | past,
        "recentTrades": {"coin": "BTC"},
        "l2Book": {"coin": "BTC"},
        "candleSnapshot": {"req": {"coin": "BTC", "interval": "1m", "startTime": 0,
                                   "endTime": 4_000_000_000_000}},
        # Whoever has traded more is at a stage that its struct does not know, on the venue as well.
        "referral": {"user": account(8).address},
        "orderStatus": user | {"oid": fills[0]["oid"]},
    }  # fmt: skip
    plain = ("meta", "spotMeta", "spotMetaAndAssetCtxs", "allMids")
    for name, decode in INFO.items():
        given = fields.get(name, {} if name in plain else user)

        def ask(name: str = name, given: dict[str, Any] = given, decode: Any = decode) -> Any:
            answered = node.info(name, **given)
            assert answered.status == 200, answered.text
            decode(answered.document, "")
            return answered.document

        rec.call(name if name != "referral" else "? referral", name, ask)


async def subscriptions(node: NodeProcess, rec: Recorder) -> None:
    """Its channels: every message of each is decoded, and no other channel may come."""
    user = account(0).address
    wanted: dict[str, dict[str, Any]] = {
        "allMids": {}, "l2Book": {"coin": "BTC"}, "trades": {"coin": "BTC"},
        "candle": {"coin": "BTC", "interval": "1m"}, "activeAssetCtx": {"coin": "BTC"},
        "userFills": {"user": user}, "orderUpdates": {"user": user}, "userEvents": {"user": user},
        "userFundings": {"user": user}, "userNonFundingLedgerUpdates": {"user": user},
        "webData2": {"user": user},
    }  # fmt: skip
    seen: dict[str, str] = {}
    async with connect(node.ws_url, max_size=None) as socket:
        await socket.send('{"method":"ping"}')
        for name, fields in wanted.items():
            message = {"method": "subscribe", "subscription": {"type": name, **fields}}
            await socket.send(json.dumps(message))
        await asyncio.sleep(0.5)
        for is_buy, price in ((True, "101000"), (False, "99000")):
            await asyncio.to_thread(
                node.act, account(0), limit_order(0, is_buy, price, "0.01", tif="Ioc")
            )
        end = asyncio.get_running_loop().time() + SECONDS
        missing = {*wanted, "pong"} - {"userEvents"} | {"user"}
        while missing and asyncio.get_running_loop().time() < end:
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), 1))
            except TimeoutError:
                continue
            channel = message["channel"]
            missing.discard(channel)
            if channel in SILENT:
                continue
            try:
                if channel not in WS:
                    raise Undecodable(f"unknown channel `{channel}`")
                WS[channel](message["data"], "")
            except Undecodable as error:
                seen[channel] = str(error)
    rec.note("ws ping", "ping", FAILED if "pong" in missing else WORKED)
    for name in wanted:
        channel = "user" if name == "userEvents" else name
        text = seen.get(channel) or (f"no message in {SECONDS} s" if channel in missing else "")
        rec.note(f"ws {name}", f"subscribe {name}", FAILED if text else WORKED, text)


def run(node: NodeProcess) -> Recorder:
    """The Rust SDK's shapes against a node."""
    recorder = Recorder("Rust SDK (shapes)")
    quote(node)
    trade_much(node)
    recorder.guarded(lambda: actions(node, recorder), "actions")
    recorder.guarded(lambda: questions(node, recorder), "questions")
    recorder.guarded(lambda: asyncio.run(subscriptions(node, recorder)), "subscriptions")
    return recorder
