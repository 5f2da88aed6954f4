"""What a node tells of TWAP orders and builders' fees: questions, channels, unmodified clients."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import ccxt
import pytest
from hyperliquid.info import Info

from tests.support.info_shapes import SHAPES, TWAP, misfits
from tests.support.live_node import LiveNode, live_node
from tests.support.node import NodeProcess, account, limit_order, running_node
from tests.support.raw_socket import RawSocket

ALICE, BOB, CAROL, BUILDER = account(0), account(1), account(2), account(3)
ZERO_HASH = "0x" + "00" * 32
SYMBOL = "BTC/USDC:USDC"
MINUTES = 5
SLICES = 11
"""At most: what falls due within one block is one slice."""


def twap_order(size: str, *, is_buy: bool = True) -> dict[str, Any]:
    """A TWAP order of BTC for five minutes, a slice every 30 seconds."""
    terms = {"a": 0, "b": is_buy, "s": size, "r": False, "m": MINUTES, "t": False}
    return {"type": "twapOrder", "twap": terms}


def run_for(node: NodeProcess, seconds: int) -> None:
    """Move the time by half a minute, again and again, with a block each."""
    for _ in range(0, seconds, 30):
        assert node.post("/dev", {"type": "increaseTime", "ms": 30_000}).status == 200


def total(fills: list[Any], key: str) -> Fraction:
    """Sum of a decimal key."""
    return sum((Fraction(one[key]) for one in fills), Fraction(0))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node on which Alice bought 0.11 BTC in slices from Bob, and broke off a second order.
    Carol's orders carry a builder."""
    with running_node(None, "--dev") as running:
        running.act(BOB, limit_order(0, False, "100010", "5"))
        assert running.act(ALICE, twap_order("0.11"))["status"] == "ok"
        run_for(running, 330)
        [twap_id] = [
            row["twapId"] for row in running.info("twapHistory", user=ALICE.address).document
            if row["status"]["status"] == "finished"
        ]  # fmt: skip
        running.act(ALICE, twap_order("0.2"))
        running.act(ALICE, {"type": "twapCancel", "a": 0, "t": twap_id + 1})
        approval = {"builder": BUILDER.address, "maxFeeRate": "0.01%"}
        running.act(CAROL, {"type": "approveBuilderFee", **approval})
        with_builder = limit_order(0, True, "100010", "0.5")
        with_builder["builder"] = {"b": BUILDER.address, "f": 10}
        running.act(CAROL, with_builder)
        yield running


def asked(node: NodeProcess, name: str, user: str = ALICE.address, **more: Any) -> Any:
    """An answer, which has the form of its question."""
    answered = node.info(name, user=user, **more)
    assert answered.status == 200, answered
    assert misfits(SHAPES[name], answered.document) == []
    return answered.document


# --- questions -----------------------------------------------------------------------------------


def test_the_history_has_begin_and_end_of_each_order(node: NodeProcess) -> None:
    """Newest first; the time is in seconds, the start in milliseconds; what was executed is told
    at the end."""
    rows = asked(node, "twapHistory")
    assert [row["status"]["status"] for row in rows] == [
        "terminated", "activated", "finished", "activated",
    ]  # fmt: skip
    _, _, finished, activated = rows
    assert activated["twapId"] == finished["twapId"] == rows[0]["twapId"] - 1
    assert activated["state"]["executedSz"] == "0.0"
    assert activated["state"]["timestamp"] // 1000 == activated["time"]
    assert finished["time"] - activated["time"] >= MINUTES * 60
    state = finished["state"]
    assert (state["coin"], state["side"], state["sz"], state["minutes"]) == (
        "BTC", "B", "0.11", MINUTES,
    )  # fmt: skip
    assert state["executedSz"] == "0.11"
    assert Fraction(state["executedNtl"]) == Fraction("0.11") * 100_010
    assert asked(node, "twapHistory", BOB.address) == []
    assert asked(node, "twapHistory", "0x" + "34" * 20) == []


def test_fills_of_slices_carry_their_order_and_no_hash(node: NodeProcess) -> None:
    """They are among the account's fills too; whoever stood in the book made plain fills."""
    rows = asked(node, "userTwapSliceFills")
    [*_, activated] = asked(node, "twapHistory")
    fills = [row["fill"] for row in rows]
    assert [row["twapId"] for row in rows] == [one["twapId"] for one in fills]
    assert {(one["hash"], one["crossed"]) for one in fills} == {(ZERO_HASH, True)}
    finished = [one for one in fills if one["twapId"] == activated["twapId"]]
    assert SLICES - 3 < len(finished) <= SLICES
    assert total(finished, "sz") == Fraction("0.11")
    assert len(fills) - len(finished) <= 1
    assert fills == sorted(fills, key=lambda one: -one["tid"])
    assert asked(node, "userFills") == fills
    theirs = [one for one in asked(node, "userFills", BOB.address) if one["hash"] == ZERO_HASH]
    assert [(one["tid"], one["twapId"]) for one in theirs] == [(one["tid"], None) for one in fills]
    assert asked(node, "userTwapSliceFills", BOB.address) == []


def test_slices_can_be_asked_by_time(node: NodeProcess) -> None:
    """Oldest first, both ends included, in pages."""
    rows = asked(node, "userTwapSliceFills")[::-1]
    times = [row["fill"]["time"] for row in rows]
    name = "userTwapSliceFillsByTime"
    assert asked(node, name, startTime=0) == rows
    assert asked(node, name, startTime=times[2], endTime=times[4]) == rows[2:5]
    assert asked(node, name, startTime=0, reversed=True) == rows[::-1]
    assert asked(node, name, startTime=0, cursor=rows[3]["fill"]["tid"]) == rows[4:]
    assert asked(node, name, startTime=times[-1] + 10**9) == []


def test_orders_of_slices_say_what_they_are(node: NodeProcess) -> None:
    """`Twap Slice`; an order that a page calls a market order is `Market`."""
    orders = [row["order"] for row in asked(node, "historicalOrders")]
    assert {(one["orderType"], one["tif"]) for one in orders} == {("Twap Slice", "Ioc")}
    assert len(orders) == len(asked(node, "userTwapSliceFills"))
    market = limit_order(0, True, "100010", "0.01", tif="FrontendMarket")
    node.act(CAROL, market)
    newest = asked(node, "historicalOrders", CAROL.address)[0]["order"]
    assert (newest["orderType"], newest["tif"]) == ("Market", "FrontendMarket")


def test_a_running_order_is_in_the_page_of_everything(node: NodeProcess) -> None:
    """`twapStates` of webData2, with what was executed so far."""
    user = account(4)
    status = node.act(user, twap_order("0.11", is_buy=False))["response"]["data"]["status"]
    twap_id = status["running"]["twapId"]
    [[shown, state]] = asked(node, "webData2", user.address)["twapStates"]
    assert (shown, state["side"], state["user"]) == (twap_id, "A", user.address)
    node.act(user, {"type": "twapCancel", "a": 0, "t": twap_id})
    assert asked(node, "webData2", user.address)["twapStates"] == []


# --- builders ------------------------------------------------------------------------------------


def test_a_fill_names_what_its_builder_earned(node: NodeProcess) -> None:
    """A tenth of a basis point is a unit of `f`; the fee holds the builder's share as well."""
    [fill] = [one for one in asked(node, "userFills", CAROL.address) if one["sz"] == "0.5"]
    notional = Fraction("0.5") * 100_010
    assert Fraction(fill["builderFee"]) == notional / 10_000
    assert Fraction(fill["fee"]) == notional * Fraction("0.00045") + notional / 10_000
    [theirs] = [one for one in asked(node, "userFills", BOB.address) if one["tid"] == fill["tid"]]
    assert "builderFee" not in theirs
    assert Fraction(theirs["fee"]) == notional * Fraction("0.00015")


def test_the_builder_has_a_row_and_the_trader_has_his_fill(node: NodeProcess) -> None:
    """Both histories of value end at what the account is worth."""
    ledger = "userNonFundingLedgerUpdates"
    rows = [row["delta"] for row in asked(node, ledger, BUILDER.address, startTime=0)]
    assert [row["type"] for row in rows] == ["deposit", "internalTransfer"]
    assert Fraction(rows[1]["usdc"]) == Fraction("0.5") * 10_001 / 1_000
    rows = [row["delta"] for row in asked(node, ledger, CAROL.address, startTime=0)]
    assert [row["type"] for row in rows] == ["deposit"]
    for who in (CAROL, BUILDER):
        worth = asked(node, "clearinghouseState", who.address)["marginSummary"]["accountValue"]
        periods = dict(asked(node, "portfolio", who.address))
        assert periods["allTime"]["accountValueHistory"][-1][1] == worth
    assert Fraction(periods["allTime"]["pnlHistory"][-1][1]) > 0


# --- what accounts begin with ---------------------------------------------------------------------


def test_a_balance_of_the_genesis_is_the_first_deposit(node: NodeProcess) -> None:
    """Whole USDC in the genesis, and the same in the ledger."""
    who = account(5)
    worth = asked(node, "clearinghouseState", who.address)["marginSummary"]["accountValue"]
    [row] = asked(node, "userNonFundingLedgerUpdates", who.address, startTime=0)
    assert row["delta"] == {"type": "deposit", "usdc": worth}
    assert asked(node, "webData2", who.address)["cumLedger"] == worth


# --- clients -------------------------------------------------------------------------------------


def test_the_python_client_reads_slices(node: NodeProcess) -> None:
    """`user_twap_slice_fills`, unmodified."""
    info = Info(node.url, skip_ws=True)
    rows = info.user_twap_slice_fills(ALICE.address)
    assert rows == asked(node, "userTwapSliceFills")
    assert info.name_to_coin["CHP/USDC"] == "CHP/USDC"


def test_ccxt_sends_and_cancels(node: NodeProcess) -> None:
    """`create_twap_order`, and `cancel_order` with `twap`, unmodified."""
    me = account(6)
    exchange: Any = ccxt.hyperliquid({"walletAddress": me.address, "privateKey": me.secret})
    exchange.set_sandbox_mode(True)
    exchange.urls["api"] |= {"public": node.url, "private": node.url}
    markets = exchange.load_markets()
    assert (markets["CHP/USDC"]["type"], markets["CHP/USDC"]["baseId"]) == ("spot", "10000")
    order = exchange.create_twap_order(SYMBOL, "buy", 0.11, MINUTES * 60_000)
    run_for(node, 60)
    [[twap_id, state]] = asked(node, "webData2", me.address)["twapStates"]
    assert order["id"] == str(twap_id)
    assert Fraction(state["executedSz"]) > 0
    exchange.cancel_order(order["id"], SYMBOL, {"twap": True})
    newest = asked(node, "twapHistory", me.address)[0]
    assert newest["status"] == {"status": "terminated"}
    assert newest["state"]["executedSz"] == state["executedSz"]


# --- the listed pair -----------------------------------------------------------------------------


def test_tokens_and_pairs_stand_at_their_index(node: NodeProcess) -> None:
    """Clients look tokens up by index and contexts by the pair's place."""
    meta, contexts = node.info("spotMetaAndAssetCtxs").document
    assert [token["index"] for token in meta["tokens"]] == list(range(len(meta["tokens"])))
    assert [pair["index"] for pair in meta["universe"]] == list(range(len(meta["universe"])))
    assert [one["coin"] for one in contexts] == [pair["name"] for pair in meta["universe"]]
    assert node.info("spotMeta").document == meta


# --- channels ------------------------------------------------------------------------------------


class Listener:
    """A client with one subscription for each TWAP channel of an account."""

    def __init__(self, raw: RawSocket, user: str) -> None:
        self.raw = raw
        self.snapshots: dict[str, Any] = {}
        for name in ("twapStates", "userTwapSliceFills", "userTwapHistory", "userEvents"):
            raw.send_json({"method": "subscribe", "subscription": {"type": name, "user": user}})
            assert raw.read_json()["channel"] == "subscriptionResponse"
            if name != "userEvents":
                told = raw.read_json()
                assert told["channel"] == name
                self.snapshots[name] = told["data"]

    def gather(self) -> list[tuple[str, Any]]:
        """Everything that came so far."""
        self.raw.send_json({"method": "ping"})
        found: list[tuple[str, Any]] = []
        while (told := self.raw.read_json()) != {"channel": "pong"}:
            found.append((told["channel"], told["data"]))
        return found


def forward(node: LiveNode, seconds: int) -> None:
    """Move the node's clock and make a block."""
    clock = node.node.clock
    node.read(lambda: clock.move_to(clock.now() + seconds * 1000))
    node.make_block()


def rows_of(heard: list[tuple[str, Any]], channel: str, key: str) -> list[Any]:
    """Rows that came under a key of a channel, in order."""
    return [row for name, data in heard if name == channel for row in data.get(key, [])]


def test_channels_tell_begin_slices_and_end() -> None:
    """Each event once, in order; a late subscriber finds in the snapshots what the first heard."""
    with live_node() as node, RawSocket(node.port) as raw, RawSocket(node.port) as second:
        user = node.users[2]
        node.order(3, False, "100010", "2")
        assert raw.handshake()[0] == second.handshake()[0] == 101
        first = Listener(raw, user)
        assert first.snapshots["twapStates"] == {"dex": "", "user": user, "states": []}
        assert first.snapshots["userTwapHistory"]["history"] == []
        node.act(2, twap_order("0.11"))
        for _ in range(SLICES):
            forward(node, 30)
        heard = first.gather()
        history = rows_of(heard, "userTwapHistory", "history")
        slices = rows_of(heard, "userTwapSliceFills", "twapSliceFills")
        assert [row["status"]["status"] for row in history] == ["activated", "finished"]
        assert SLICES - 3 < len(slices) <= SLICES
        fills = [one["fill"] for one in slices]
        assert total(fills, "sz") == Fraction("0.11")
        assert {one["hash"] for one in fills} == {ZERO_HASH}
        assert rows_of(heard, "user", "twapSliceFills") == slices
        assert rows_of(heard, "user", "twapHistory") == history
        assert rows_of(heard, "user", "fills") == fills
        late = Listener(second, user)
        assert late.snapshots["userTwapHistory"] == {
            "user": user, "history": history[::-1], "isSnapshot": True,
        }  # fmt: skip
        assert late.snapshots["userTwapSliceFills"]["twapSliceFills"] == slices[::-1]
        check_states([data["states"] for name, data in heard if name == "twapStates"])


def check_states(told: list[list[Any]]) -> None:
    """One order that is filled more and more, and then none."""
    assert told[-1] == []
    states = [state for states in told for _, state in states]
    assert {number for states in told for number, _ in states} == {1}
    assert [one for state in states for one in misfits(TWAP, state)] == []
    executed = [Fraction(state["executedSz"]) for state in states]
    assert executed[0] == 0
    assert executed == sorted(set(executed))
