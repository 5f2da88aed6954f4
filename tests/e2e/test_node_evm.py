"""A node with its contracts, as people use them: a wallet's library deposits through the Bridge, is
credited, withdraws and is paid; the node is killed meanwhile, and everything happens once."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3
from websockets.sync.client import connect

from contracts_py.anchor import Anchor
from contracts_py.bridge import Bridge, Status
from contracts_py.digests import Signatures, ValidatorSet
from contracts_py.tokens import TestUSD
from tests.support.chain import run_cli
from tests.support.node import NodeProcess, account, running_node

USD = 10**6
IS_LONG = os.environ.get("CHAINPERP_LONG") == "1"
ANN, BEN = account(0), account(1)
RECEIVER = "0x" + "ab" * 20


class Wallet:
    """Somebody with a key, web3.py and the address of a node."""

    def __init__(self, node: NodeProcess, key: bytes = ANN.key) -> None:
        self.node = node
        self.web3 = Web3(HTTPProvider(f"{node.url}/evm"))
        self.signer = Account.from_key(key)
        at = node.info("evmContracts").document["contracts"]
        self.usd, self.bridge = TestUSD(self.web3, at["usd"]), Bridge(self.web3, at["bridge"])

    def value(self) -> str:
        """What the exchange says this account is worth."""
        state = self.node.info("clearinghouseState", user=self.signer.address.lower()).document
        return str(state["marginSummary"]["accountValue"])

    def deposit(self, usd: int) -> None:
        """Let the bridge take dollars, and deposit them."""
        self.usd.approve(self.signer, self.bridge.address, usd * USD)
        self.bridge.deposit(self.signer, usd * USD)

    def withdraw(self, amount: str, receiver: str = RECEIVER) -> Any:
        """A signed `withdraw3`; the reply."""
        action = {"type": "withdraw3", "destination": receiver, "amount": amount}
        return self.node.act(ANN, action)


def control(node: NodeProcess, name: str, **fields: Any) -> Any:
    """A developer control that must be carried out."""
    reply = node.post("/dev", {"type": name, **fields}).document
    assert reply["status"] == "ok", reply
    return reply


def until(holds: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)
    return found


def status(node: NodeProcess) -> Any:
    """The books of the border."""
    return node.info("bridgeStatus").document


def is_settled(node: NodeProcess) -> bool:
    """Whether no withdrawal waits."""
    return not status(node)["pending"]


def kill_alone(node: NodeProcess) -> None:
    """SIGKILL to the node itself: the process of its EVM lives on for a moment."""
    os.kill(node.process.pid, signal.SIGKILL)
    node.process.wait()


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Directory of a chain that is not there yet."""
    return tmp_path / "chain"


def check_books(node: NodeProcess, deposits: int, received: int) -> None:
    """Everything happened once, there and here, and custody is what is left of it. Of what was
    paid, the fund may have sent its vault a part."""
    wallet, found = Wallet(node), status(node)
    assert found["deposits"]["count"] == deposits == wallet.bridge.deposit_nonce()
    paid = [one.fields["wid"] for _, one in wallet.bridge.events() if one.name == "Finalized"]
    assert sorted(paid) == list(range(1, found["payouts"]["count"] + 1))
    assert wallet.usd.balance_of(RECEIVER) == received * USD
    credited, left, custody, genesis, grants = (
        round(float(text) * USD)
        for text in (
            found["deposits"]["amount"], found["payouts"]["amount"], found["custody"],
            found["genesis"], found["grants"],
        )
    )  # fmt: skip
    assert credited == wallet.bridge.deposited()
    assert left == wallet.bridge.paid()
    assert custody == genesis + grants + credited - left


def test_money_goes_in_and_out_once_though_the_node_is_killed(chain: Path) -> None:
    """Deposit, credit, withdrawal; killed while the payout waits, and again when it was paid."""
    with running_node(chain, "--dev") as node:
        assert "evm" not in os.listdir(chain), "nobody has used the EVM yet"
        control(node, "evmFund", user=ANN.address, usd="100")
        wallet = Wallet(node)
        assert wallet.web3.eth.chain_id == node.info("evmContracts").document["chainId"]
        wallet.deposit(50)
        until(lambda: wallet.value() == "1000050.0")
        assert wallet.withdraw("21") == {"status": "ok", "response": {"type": "default"}}
        until(lambda: wallet.bridge.request(1).status == Status.PENDING)
        kill_alone(node)
    with running_node(chain, "--dev") as node:
        wallet = Wallet(node)
        # Each transaction of the machine is a second, so its time is ahead of the clock.
        control(node, "increaseTime", ms=30_000)
        until(lambda: wallet.bridge.request(1).status == Status.PAID)
        kill_alone(node)
    with running_node(chain, "--dev") as node:
        until(lambda: is_settled(node))
        check_books(node, 1, 20)
        kinds = [
            (row["delta"]["type"], row["delta"]["usdc"])
            for row in node.info(
                "userNonFundingLedgerUpdates", user=ANN.address, startTime=0
            ).document
        ]
        assert kinds == [("deposit", "1000000.0"), ("deposit", "50.0"), ("withdraw", "20.0")]
    outcome = run_cli("replay", str(chain))
    assert outcome.code == 0, outcome.err


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node whose machine is open, and which anchors only for payouts."""
    with running_node(None, "--dev", "--anchor-interval", "0") as running:
        control(running, "evmFund", user=BEN.address, usd="100")
        yield running


def rpc(node: NodeProcess, method: str, *params: Any, **headers: str) -> Any:
    """A JSON-RPC request as it goes over the wire; the HTTP answer."""
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    raw = json.dumps(body).encode()
    return node.request("POST", "/evm", raw, {"content-type": "application/json", **headers})


def test_browsers_of_this_machine_and_wallets_may_ask(node: NodeProcess) -> None:
    """What a browser asks first, what it must read in the answer, and whom it turns away."""
    for origin in ("http://localhost:5173", "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn"):
        asked = node.request("OPTIONS", "/evm", None, {"origin": origin})
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == origin
        assert asked.headers["access-control-allow-methods"] == "POST"
        assert asked.headers["access-control-allow-headers"] == "content-type"
        told = rpc(node, "eth_chainId", origin=origin)
        assert told.document == {"jsonrpc": "2.0", "id": 7, "result": "0x539"}
        assert told.headers["access-control-allow-origin"] == origin
        assert told.headers["vary"] == "origin"
    for method in ("OPTIONS", "POST"):
        refused = node.request(method, "/evm", b"{}", {"origin": "https://page.example"})
        assert refused.status == 403
        assert "access-control-allow-origin" not in refused.headers
    wallet = {"origin": "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn"}
    assert node.request("POST", "/exchange", b"{}", wallet).status == 403
    assert "access-control-allow-origin" not in rpc(node, "eth_chainId").headers


def test_bodies_go_through_as_they_are(node: NodeProcess) -> None:
    """What is no JSON-RPC is answered by the machine, what is no JSON body by the node."""
    kind = {"content-type": "application/json"}
    assert node.request("POST", "/evm", b"{", kind).document["error"]["code"] == -32700
    assert node.request("POST", "/evm", b"[]", kind).document["error"]["code"] == -32600
    notice = b'{"jsonrpc":"2.0","method":"eth_chainId"}'
    assert node.request("POST", "/evm", notice, kind)[::2] == (204, b"")
    assert node.request("POST", "/evm", notice, {"content-type": "text/plain"}).status == 415
    # Only announced: the node answers before it reads, and closes.
    large = {**kind, "content-length": str(2**21 + 1)}
    assert node.request("POST", "/evm", b" ", large).status == 413
    assert node.request("GET", "/evm").status == 405
    assert rpc(node, "evm_mine").document["result"] == "0x0"


def test_what_validators_sign_is_of_use_to_anybody(node: NodeProcess) -> None:
    """Ben, who is nobody, anchors the log."""
    wallet = Wallet(node, BEN.key)
    wanted = node.info("anchorRequest").document
    at = node.info("evmContracts").document
    assert [row["address"] for row in at["validators"]] == wanted["validators"]
    members = ValidatorSet(tuple(wanted["validators"]), tuple(wanted["powers"]))
    signed = Signatures(
        tuple(wanted["idx"]),
        tuple((int(one["r"], 16), int(one["s"], 16), one["v"]) for one in wanted["signatures"]),
    )
    anchor = Anchor(wallet.web3, at["contracts"]["anchor"])
    head = wanted["size"], bytes.fromhex(wanted["root"][2:])
    proof = [bytes.fromhex(one[2:]) for one in wanted["proof"]]
    anchor.anchor(wallet.signer, head, proof, members, signed)
    assert anchor.latest() == head
    until(lambda: status(node)["keeper"]["anchoredSize"] == wanted["size"])
    assert node.info("anchorRequest").document["anchoredSize"] == wanted["size"]
    figures = node.request("GET", "/metrics").text
    assert f"chainperp_anchored_size {wanted['size']}.0" in figures


def test_going_back_takes_the_machine_along(node: NodeProcess) -> None:
    """A deposit after the snapshot is gone here and there, also one that was about to be recorded;
    money of the developer's own control is a grant; and the feed tells of what comes in."""
    wallet = Wallet(node, BEN.key)
    moment = control(node, "snapshot")["id"]
    blocks = wallet.web3.eth.block_number
    before = status(node)["grants"]
    control(node, "fund", user=BEN.address, amount="7")
    assert float(status(node)["grants"]) == float(before) + 7
    control(node, "pause")
    wallet.deposit(60)
    time.sleep(1)  # the keeper has seen it and waits for a block
    control(node, "revert", id=moment)
    assert wallet.web3.eth.block_number == blocks
    control(node, "mine")
    found = status(node)
    assert (found["deposits"]["count"], found["grants"]) == (0, before)
    assert wallet.value() == "1000000.0"
    control(node, "resume")
    with connect(node.ws_url) as socket:
        feed = {"type": "userNonFundingLedgerUpdates", "user": BEN.address}
        socket.send(json.dumps({"method": "subscribe", "subscription": feed}))
        wallet.deposit(40)
        news = (json.loads(socket.recv(15)) for _ in range(10))
        rows = next(
            one["data"]["nonFundingLedgerUpdates"]
            for one in news
            if one["channel"] == feed["type"] and not one["data"].get("isSnapshot")
        )
        assert [row["delta"] for row in rows] == [{"type": "deposit", "usdc": "40.0"}]
    assert wallet.value() == "1000040.0"
    control(node, "reset")
    assert (wallet.bridge.deposit_nonce(), status(node)["deposits"]["count"]) == (0, 0)


@pytest.mark.timeout(900)
@pytest.mark.skipif(not IS_LONG, reason="CHAINPERP_LONG=1 runs this")
def test_many_kills_at_any_moment(chain: Path) -> None:
    """Deposits and withdrawals, and the node killed wherever it happens to be."""
    seed = int(os.environ.get("CHAINPERP_SEED", str(time.time_ns() % 10**6)))
    draw = random.Random(seed)
    sent = 0
    for _round in range(12):
        with running_node(chain, "--dev") as node:
            control(node, "evmFund", user=ANN.address, usd="10")
            Wallet(node).deposit(10)
            assert Wallet(node).withdraw("6")["status"] == "ok"
            sent += 1
            control(node, "increaseTime", ms=draw.choice((1, 30_000)))
            time.sleep(draw.uniform(0, 3))
            kill_alone(node)
    with running_node(chain, "--dev") as node:
        control(node, "increaseTime", ms=60_000)
        until(lambda: is_settled(node), 120)
        until(lambda: status(node)["deposits"]["count"] == sent)
        check_books(node, sent, 5 * sent)
    assert run_cli("replay", str(chain)).code == 0, f"CHAINPERP_SEED={seed}"
