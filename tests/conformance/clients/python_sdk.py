"""The venue's own Python client, `hyperliquid-python-sdk`, unmodified, against a node."""

from collections.abc import Callable
from typing import Any, Final

from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.signing import (
    get_timestamp_ms,
    sign_multi_sig_l1_action_payload,
)
from hyperliquid.utils.types import Cloid

from tests.conformance.clients.report import WORKED, Recorder
from tests.support.node import Account, NodeProcess, account

GTC: Final[Any] = {"limit": {"tif": "Gtc"}}
CLOID: Final = Cloid.from_int(0xC0DE)
PAIR: Final = "CHP/USDC"
STRANGER: Final = "0x5e9ee1089755c3435139848e47e6635505d5a13a"


def is_list(value: Any) -> bool:
    """Whether an answer is a list, empty or not."""
    return isinstance(value, list)


def stop_order(price: str | float, tpsl: str) -> Any:
    """A trigger that sends a market order."""
    return {"trigger": {"triggerPx": float(price), "isMarket": True, "tpsl": tpsl}}


class PythonFlow:
    """The SDK's calls in the order of its own examples."""

    def __init__(self, node: NodeProcess, recorder: Recorder) -> None:
        self.node = node
        self.rec = recorder
        self.me: Account = account(0)
        self.friend: Account = account(2)
        self.info = Info(node.url, skip_ws=True)
        self.exchange = self.exchange_of(self.me)
        recorder.note("meta", "Info()", WORKED)
        recorder.note("spotMeta", "Info()", WORKED)

    def exchange_of(self, who: Account, **options: Any) -> Any:
        """The SDK's trading client of an account."""
        return Exchange(Wallet.from_key(who.secret), self.node.url, **options)

    def open_oids(self) -> list[int]:
        """Ids of open orders."""
        return [one["oid"] for one in self.info.open_orders(self.me.address)]

    def lots(self, coin: str = "BTC") -> float:
        """Size of a position."""
        state = self.info.user_state(self.me.address)
        for one in state["assetPositions"]:
            if one["position"]["coin"] == coin:
                return float(one["position"]["szi"])
        return 0.0

    # --- orders ------------------------------------------------------------------------------

    def main_flow(self) -> None:
        """Order, modify, cancel, market orders, leverage: what every bot does."""
        rec, ex = self.rec, self.exchange
        placed = rec.call("order", "order", lambda: ex.order("BTC", True, 0.01, 95000, GTC),
                          lambda reply: self._resting(reply) in self.open_oids())  # fmt: skip
        oid = self._resting(placed)
        rec.call("orderStatus", "query_order_by_oid",
                 lambda: self.info.query_order_by_oid(self.me.address, oid),
                 lambda answer: answer["order"]["status"] == "open")  # fmt: skip
        changed = rec.call("batchModify", "modify_order",
                           lambda: ex.modify_order(oid, "BTC", True, 0.02, 94000, GTC),
                           lambda reply: self._resting(reply) in self.open_oids())  # fmt: skip
        oid = self._resting(changed)
        rec.call("cancel", "cancel", lambda: ex.cancel("BTC", oid),
                 lambda _: oid not in self.open_oids())  # fmt: skip
        rec.call("order", "order with cloid",
                 lambda: ex.order("BTC", True, 0.01, 93000, GTC, cloid=CLOID),
                 lambda reply: reply["response"]["data"]["statuses"][0]["resting"]["cloid"]
                 == CLOID.to_raw())  # fmt: skip
        rec.call("orderStatus", "query_order_by_cloid",
                 lambda: self.info.query_order_by_cloid(self.me.address, CLOID),
                 lambda answer: answer["order"]["order"]["cloid"] == CLOID.to_raw())  # fmt: skip
        rec.call(
            "batchModify",
            "modify_order by cloid",
            lambda: ex.modify_order(CLOID, "BTC", True, 0.01, 92000, GTC, cloid=CLOID),
        )
        rec.call("cancelByCloid", "cancel_by_cloid", lambda: ex.cancel_by_cloid("BTC", CLOID),
                 lambda _: self.open_oids() == [])  # fmt: skip
        rec.call("order", "market_open", lambda: ex.market_open("BTC", True, 0.05),
                 lambda _: self.lots() == 0.05)  # fmt: skip
        rec.call("order", "market_close", lambda: ex.market_close("BTC"),
                 lambda _: self.lots() == 0)  # fmt: skip
        rec.call("updateLeverage", "update_leverage cross",
                 lambda: ex.update_leverage(5, "BTC"))  # fmt: skip

    @staticmethod
    def _resting(reply: Any) -> int:
        if reply is None:
            return 0
        oid: int = reply["response"]["data"]["statuses"][0]["resting"]["oid"]
        return oid

    def batches(self) -> None:
        """Bulk orders, modifies and cancels, with and without client ids."""
        rec, ex = self.rec, self.exchange

        def request(number: int) -> Any:
            return {"coin": "ETH", "is_buy": True, "sz": 0.5, "limit_px": 3800.0 + number,
                    "order_type": GTC, "reduce_only": False,
                    "cloid": Cloid.from_int(number + 1)}  # fmt: skip

        placed = rec.call("order", "bulk_orders",
                          lambda: ex.bulk_orders([request(0), request(1)]))  # fmt: skip
        statuses = placed["response"]["data"]["statuses"] if placed else []
        oids = [one["resting"]["oid"] for one in statuses]
        rec.call(
            "batchModify",
            "bulk_modify_orders_new",
            lambda: ex.bulk_modify_orders_new(
                [{"oid": oid, "order": request(place + 4)} for place, oid in enumerate(oids)]
            ),
        )
        rec.call("cancelByCloid", "bulk_cancel_by_cloid", lambda: ex.bulk_cancel_by_cloid(
            [{"coin": "ETH", "cloid": Cloid.from_int(number)} for number in (5, 6)]),
            lambda _: self.open_oids() == [])  # fmt: skip
        rec.call("cancel", "bulk_cancel", lambda: self._bulk_cancel(request),
                 lambda _: self.open_oids() == [])  # fmt: skip

    def _bulk_cancel(self, request: Callable[[int], Any]) -> Any:
        placed = self.exchange.bulk_orders([request(7), request(8)])
        oids = [one["resting"]["oid"] for one in placed["response"]["data"]["statuses"]]
        return self.exchange.bulk_cancel([{"coin": "ETH", "oid": oid} for oid in oids])

    def triggers(self) -> None:
        """Take profit and stop loss: with a parent, of a position, and alone."""
        rec, ex = self.rec, self.exchange

        def child(price: float, tpsl: str) -> Any:
            return {"coin": "ETH", "is_buy": False, "sz": 1.0, "limit_px": price,
                    "order_type": stop_order(price, tpsl), "reduce_only": True}  # fmt: skip

        parent = {"coin": "ETH", "is_buy": True, "sz": 1.0, "limit_px": 4100.0,
                  "order_type": GTC, "reduce_only": False}  # fmt: skip
        rec.call("order", "bulk_orders normalTpsl", lambda: ex.bulk_orders(
            [parent, child(4500, "tp"), child(3500, "sl")], grouping="normalTpsl"),
            lambda _: len(self.open_oids_all()) == 2)  # fmt: skip
        rec.call(
            "order",
            "bulk_orders positionTpsl",
            lambda: ex.bulk_orders([child(4600, "tp"), child(3400, "sl")], grouping="positionTpsl"),
            lambda reply: "waitingForTrigger" in reply["response"]["data"]["statuses"],
        )
        rec.call(
            "order",
            "order stop",
            lambda: ex.order("ETH", False, 0.5, 3300, stop_order(3300, "sl"), reduce_only=True),
        )
        rec.call("frontendOpenOrders", "frontend_open_orders",
                 lambda: self.info.frontend_open_orders(self.me.address),
                 lambda rows: len([one for one in rows if one["isTrigger"]]) >= 3)  # fmt: skip
        rec.call("order", "market_close with triggers", lambda: ex.market_close("ETH"),
                 lambda _: self.lots("ETH") == 0)  # fmt: skip
        for row in self.info.frontend_open_orders(self.me.address):
            ex.cancel(row["coin"], row["oid"])

    def open_oids_all(self) -> list[int]:
        """Ids of all orders, triggers included."""
        return [one["oid"] for one in self.info.frontend_open_orders(self.me.address)]

    def isolated(self) -> None:
        """An isolated position, with more margin and less."""
        rec, ex = self.rec, self.exchange
        rec.call(
            "updateLeverage",
            "update_leverage isolated",
            lambda: ex.update_leverage(3, "ETH", is_cross=False),
        )
        rec.call("order", "market_open isolated", lambda: ex.market_open("ETH", True, 1.0),
                 lambda _: self._leverage("ETH")["type"] == "isolated")  # fmt: skip
        rec.call(
            "updateIsolatedMargin",
            "update_isolated_margin +",
            lambda: ex.update_isolated_margin(100.0, "ETH"),
        )
        rec.call(
            "updateIsolatedMargin",
            "update_isolated_margin -",
            lambda: ex.update_isolated_margin(-50.0, "ETH"),
        )
        rec.call("order", "market_close isolated", lambda: ex.market_close("ETH"),
                 lambda _: self.lots("ETH") == 0)  # fmt: skip
        rec.call(
            "updateLeverage",
            "update_leverage back",
            lambda: ex.update_leverage(10, "ETH", is_cross=True),
        )

    def _leverage(self, coin: str) -> dict[str, Any]:
        for one in self.info.user_state(self.me.address)["assetPositions"]:
            if one["position"]["coin"] == coin:
                found: dict[str, Any] = one["position"]["leverage"]
                return found
        return {"type": "none"}

    # --- money, accounts ---------------------------------------------------------------------

    def money(self) -> None:
        """Transfers, withdrawal, schedules."""
        rec, ex = self.rec, self.exchange
        before = self.value_of(self.friend)
        rec.call("usdSend", "usd_transfer", lambda: ex.usd_transfer(10.0, self.friend.address),
                 lambda _: abs(self.value_of(self.friend) - before - 10) < 1e-6)  # fmt: skip
        rec.call(
            "withdraw3",
            "withdraw_from_bridge",
            lambda: ex.withdraw_from_bridge(5.0, self.friend.address),
        )
        rec.call(
            "usdClassTransfer", "usd_class_transfer", lambda: ex.usd_class_transfer(5.0, False)
        )
        rec.call(
            "spotSend",
            "spot_transfer",
            lambda: ex.spot_transfer(
                1.0, self.friend.address, "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"
            ),
        )
        rec.call(
            "sendAsset",
            "send_asset",
            lambda: ex.send_asset(
                self.friend.address, "", "", "USDC:0x6d1e7cde53ba9467b783cb7c530ce054", 1.0
            ),
        )
        rec.call(
            "scheduleCancel",
            "schedule_cancel",
            lambda: ex.schedule_cancel(get_timestamp_ms() + 60_000),
        )
        rec.call("scheduleCancel", "schedule_cancel off", lambda: ex.schedule_cancel(None))
        rec.call("noop", "noop", lambda: ex.noop(get_timestamp_ms()))
        rec.call(
            "approveBuilderFee",
            "approve_builder_fee",
            lambda: ex.approve_builder_fee(self.friend.address, "0.01%"),
        )
        rec.call(
            "userSetAbstraction",
            "user_set_abstraction",
            lambda: ex.user_set_abstraction(self.me.address, "disabled"),
        )
        rec.call(
            "agentSetAbstraction", "agent_set_abstraction", lambda: ex.agent_set_abstraction("u")
        )
        rec.call(
            "userDexAbstraction",
            "user_dex_abstraction",
            lambda: ex.user_dex_abstraction(self.me.address, True),
        )
        rec.call(
            "agentEnableDexAbstraction",
            "agent_enable_dex_abstraction",
            ex.agent_enable_dex_abstraction,
        )
        rec.call("evmUserModify", "use_big_blocks", lambda: ex.use_big_blocks(True))
        rec.call(
            "tokenDelegate",
            "token_delegate",
            lambda: ex.token_delegate(self.friend.address, 1, False),
        )

    def value_of(self, who: Account) -> float:
        """Account value."""
        return float(self.info.user_state(who.address)["marginSummary"]["accountValue"])

    def agent(self) -> None:
        """A key of its own that trades for the account."""
        rec = self.rec
        approved = rec.call("approveAgent", "approve_agent", self._approve)
        if approved is None:
            return
        agent = Exchange(Wallet.from_key(self._agent_key), self.node.url,
                         account_address=self.me.address)  # fmt: skip
        placed = rec.call("order", "order by agent",
                          lambda: agent.order("BTC", True, 0.01, 91000, GTC),
                          lambda reply: self._resting(reply) in self.open_oids())  # fmt: skip
        rec.call("cancel", "cancel by agent", lambda: agent.cancel("BTC", self._resting(placed)))
        rec.call("approveAgent", "approve_agent named", lambda: self._approve("bot1"))
        rec.call("extraAgents", "extra_agents", lambda: self.info.extra_agents(self.me.address),
                 lambda rows: [one["name"] for one in rows] == ["bot1"])  # fmt: skip
        rec.call(
            "userRole",
            "user_role of agent",
            lambda: self.info.user_role(Wallet.from_key(self._agent_key).address),
            lambda answer: answer["role"] == "agent",
        )

    def _approve(self, name: str | None = None) -> Any:
        reply, self._agent_key = self.exchange.approve_agent(name)
        return reply

    def sub_accounts(self) -> None:
        """A sub-account: made, funded, traded on."""
        rec, ex = self.rec, self.exchange
        made = rec.call("createSubAccount", "create_sub_account",
                        lambda: ex.create_sub_account("desk"))  # fmt: skip
        address = made["response"]["data"] if made else STRANGER
        rec.call(
            "subAccountTransfer",
            "sub_account_transfer",
            lambda: ex.sub_account_transfer(address, True, 1_000_000_000),
        )
        rec.call(
            "subAccountSpotTransfer",
            "sub_account_spot_transfer",
            lambda: ex.sub_account_spot_transfer(
                address, True, "USDC:0x6d1e7cde53ba9467b783cb7c530ce054", 1.0
            ),
        )
        rec.call("? subAccounts", "query_sub_accounts",
                 lambda: self.info.query_sub_accounts(self.me.address),
                 lambda rows: made is None or rows[0]["subAccountUser"] == address)  # fmt: skip
        if made is None:
            return
        desk = self.exchange_of(self.me, vault_address=address)
        placed = rec.call("order", "order of sub-account",
                          lambda: desk.order("BTC", True, 0.001, 90000, GTC))  # fmt: skip
        rec.call(
            "cancel", "cancel of sub-account", lambda: desk.cancel("BTC", self._resting(placed))
        )
        rec.call(
            "subAccountTransfer",
            "sub_account_transfer back",
            lambda: ex.sub_account_transfer(address, False, 500_000_000),
        )
        rec.call("userRole", "user_role of sub-account", lambda: self.info.user_role(address),
                 lambda answer: answer["role"] == "subAccount")  # fmt: skip

    def spot(self) -> None:
        """Tokens: an order that rests, one that trades, one that is cancelled; a token sent."""
        rec, ex, me = self.rec, self.exchange, self.me.address
        seller = self.exchange_of(self.friend)
        ex.usd_class_transfer(500.0, False)
        offered = rec.call("order", "order of a spot pair, sell",
                           lambda: seller.order(PAIR, False, 30.0, 1.25, GTC),
                           lambda reply: self._resting(reply) > 0)  # fmt: skip
        rec.call("l2Book", "l2_snapshot of a spot pair", lambda: self.info.l2_snapshot(PAIR),
                 lambda book: book["levels"][1][0]["sz"] == "30.0")  # fmt: skip
        rec.call("order", "order of a spot pair, buy",
                 lambda: ex.order(PAIR, True, 20.0, 1.25, {"limit": {"tif": "Ioc"}}),
                 lambda reply: reply["response"]["data"]["statuses"][0]["filled"]["totalSz"]
                 == "20.0")  # fmt: skip
        rec.call("userFills", "user_fills of spot", lambda: self.info.user_fills(me),
                 lambda rows: (rows[0]["coin"], rows[0]["dir"], rows[0]["feeToken"])
                 == (PAIR, "Buy", "CHP"))  # fmt: skip
        rec.call("spotClearinghouseState", "spot_user_state with tokens",
                 lambda: self.info.spot_user_state(me),
                 lambda state: next(row for row in state["balances"] if row["coin"] == "CHP")[
                     "entryNtl"] == "25.0")  # fmt: skip
        rests = rec.call("order", "order of a spot pair, resting",
                         lambda: ex.order(PAIR, True, 20.0, 1.1, GTC),
                         lambda reply: self._resting(reply) in self.open_oids())  # fmt: skip
        rec.call("openOrders", "open_orders with spot", lambda: self.info.open_orders(me),
                 lambda rows: any(row["coin"] == PAIR for row in rows))  # fmt: skip
        rec.call("spotClearinghouseState", "spot_user_state with a hold",
                 lambda: self.info.spot_user_state(me),
                 lambda state: next(row for row in state["balances"] if row["coin"] == "USDC")[
                     "hold"] == "22.0")  # fmt: skip
        rec.call("cancel", "cancel of a spot order",
                 lambda: ex.cancel(PAIR, self._resting(rests)))  # fmt: skip
        seller.cancel(PAIR, self._resting(offered))
        rec.call("spotMetaAndAssetCtxs", "spot_meta_and_asset_ctxs after a trade",
                 self.info.spot_meta_and_asset_ctxs,
                 lambda found: found[1][0]["markPx"] == "1.25")  # fmt: skip
        token = self.info.spot_meta()["tokens"][1]
        name = f"{token['name']}:{token['tokenId']}"
        rec.call("spotSend", "spot_transfer of a token",
                 lambda: ex.spot_transfer(1.5, self.friend.address, name))  # fmt: skip
        rec.call("userNonFundingLedgerUpdates", "user_non_funding_ledger_updates of a token",
                 lambda: self.info.user_non_funding_ledger_updates(me, 0),
                 lambda rows: [rows[-1]["delta"][key] for key in ("type", "token", "amount")]
                 == ["spotTransfer", "CHP", "1.5"])  # fmt: skip

    def referrals(self) -> None:
        """A code that nobody has, and one that somebody registered."""
        rec, ex, me = self.rec, self.exchange, self.me.address
        rec.call("setReferrer", "set_referrer of an unknown code",
                 lambda: ex.set_referrer("CODE")["response"],
                 lambda text: text == "Referral code not registered")  # fmt: skip
        self.node.act(account(9), {"type": "registerReferrer", "code": "MAKER"})
        rec.call("setReferrer", "set_referrer", lambda: ex.set_referrer("MAKER"))
        rec.call("? referral", "query_referral_state of a referred account",
                 lambda: self.info.query_referral_state(me),
                 lambda state: state["referredBy"]["code"] == "MAKER")  # fmt: skip
        rec.call("userFees", "user_fees of a referred account", lambda: self.info.user_fees(me),
                 lambda fees: fees["activeReferralDiscount"] == "0.04")  # fmt: skip

    def vaults(self) -> None:
        """Money into a vault and out of it, and its trading by the leader."""
        rec, ex = self.rec, self.exchange
        vault = self._new_vault()
        rec.call(
            "vaultTransfer",
            "vault_usd_transfer",
            lambda: ex.vault_usd_transfer(vault, True, 10_000_000),
        )
        trader = self.exchange_of(self.me, vault_address=vault)
        placed = rec.call("order", "order of vault",
                          lambda: trader.order("BTC", True, 0.001, 90000, GTC))  # fmt: skip
        rec.call("cancel", "cancel of vault", lambda: trader.cancel("BTC", self._resting(placed)))
        rec.call("userRole", "user_role of vault", lambda: self.info.user_role(vault),
                 lambda answer: answer["role"] == "vault")  # fmt: skip
        rec.call(
            "? userVaultEquities",
            "user_vault_equities",
            lambda: self.info.user_vault_equities(self.me.address),
            lambda rows: rows[0]["vaultAddress"] == vault,
        )
        rec.call(
            "? userNonFundingLedgerUpdates",
            "user_non_funding_ledger_updates of a vault",
            lambda: self.info.user_non_funding_ledger_updates(self.me.address, 0),
            lambda rows: rows[-1]["delta"]["vault"] == vault,
        )

    def _new_vault(self) -> str:
        """A vault that account 0 leads: the SDK has no call for it."""
        action = {"type": "createVault", "name": "bank", "description": "a vault of the run",
                  "initialUsd": 100_000_000, "nonce": self.node.nonce()}  # fmt: skip
        made: str = self.node.act(self.me, action)["response"]["data"]
        return made

    def multi_sig(self) -> None:
        """An account of two signers."""
        rec = self.rec
        user, signers = account(5), (account(6), account(7))
        ex = self.exchange_of(user)
        done = rec.call("convertToMultiSigUser", "convert_to_multi_sig_user",
                        lambda: ex.convert_to_multi_sig_user(
                            [one.address for one in signers], 2))  # fmt: skip
        rec.call("? userToMultiSigSigners", "query_user_to_multi_sig_signers",
                 lambda: self.info.query_user_to_multi_sig_signers(user.address),
                 lambda answer: done is None or answer["threshold"] == 2)  # fmt: skip
        action = {"type": "noop"}
        nonce = get_timestamp_ms()
        leader = self.exchange_of(signers[0])
        signatures = [
            sign_multi_sig_l1_action_payload(
                Wallet.from_key(one.secret), action, False, None, nonce, None, user.address,
                signers[0].address)
            for one in signers
        ]  # fmt: skip
        rec.call(
            "multiSig",
            "multi_sig",
            lambda: leader.multi_sig(user.address, action, signatures, nonce),
        )

    def whole_flow(self) -> None:
        """Everything that changes something."""
        for part in (self.main_flow, self.batches, self.triggers, self.isolated, self.money,
                     self.spot, self.referrals, self.agent, self.sub_accounts, self.vaults,
                     self.multi_sig):  # fmt: skip
            self.rec.guarded(part, part.__name__)
