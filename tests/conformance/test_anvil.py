"""anvil, cast and ethers judge our machine: same transactions, same contracts, same gas.

They come as npm packages and are installed into a folder of their own; where that is not possible
the tests are skipped. `make conform` runs this, `make test` does not.
"""

import functools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from contracts_py.anchor import Anchor
from contracts_py.artifact import ARTIFACTS, load_artifact
from contracts_py.buyback import BuybackVault
from contracts_py.digests import keccak
from contracts_py.handle import Handle, Receipt
from contracts_py.pool import Pool
from contracts_py.registry import Registry, Version
from contracts_py.tokens import TestUSD, Token
from tests.evm.http import served
from tests.evm.test_buyback import SCHEDULE
from tests.evm.world import (
    ACCOUNTS,
    CHAIN,
    ETHER,
    KEYS,
    ORIGIN,
    START,
    USD,
    VALIDATOR_KEYS,
    VALIDATORS,
    Custody,
    TestLog,
    World,
    anchor_log,
    plain_log,
)
from tests.support.node import account, running_node

PACKAGES = ("@foundry-rs/anvil@1.7.1", "@foundry-rs/cast@1.7.1", "ethers@6")
OWNER, ANN, BEN = ACCOUNTS[:3]
pytestmark = pytest.mark.skipif(
    os.environ.get("CHAINPERP_CONFORM") != "1", reason="make conform runs this"
)


@functools.cache
def tools() -> Path:
    """Folder with anvil and cast, installed once per run. Skips when that is not possible."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = Path(tempfile.mkdtemp(prefix="chainperp-foundry-"))
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    binaries = folder / "node_modules" / ".bin"
    if done.returncode != 0 or not (binaries / "anvil").exists():
        pytest.skip(f"anvil cannot be installed: {done.stderr[-200:]}")
    return binaries


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def anvil() -> Iterator[str]:
    """A running anvil with our genesis: chain id, time, gas limit, base fee."""
    port = free_port()
    words = [
        str(tools() / "anvil"), "--port", str(port), "--chain-id", "1337", "--hardfork", "prague",
        "--timestamp", str(START), "--gas-limit", "30000000", "--base-fee", "1000000000",
        "--accounts", "1", "--silent",
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        web3 = Web3(HTTPProvider(url))
        for _attempt in range(100):
            if web3.is_connected():
                break
            time.sleep(0.1)
        for one in ACCOUNTS:
            method = RPCEndpoint("anvil_setBalance")
            web3.provider.make_request(method, [one.address, hex(1_000 * ETHER)])
        yield url
    finally:
        process.terminate()
        process.wait(10)


class OnAnvil(World):
    """A world whose chain is anvil; time is set before each transaction, as in ours."""

    def __init__(self, url: str) -> None:
        self.now = START
        self.web3 = Web3(HTTPProvider(url))

    def __post_init__(self) -> None:
        """Nothing: there is no machine of ours."""

    def wait(self, seconds: int, blocks: int = 1) -> None:
        """Let time and blocks pass."""
        self.now = self.web3.eth.get_block("latest")["timestamp"] + seconds
        for at in range(blocks):
            self.rpc("evm_mine", {"timestamp": self.now + at, "blocks": 1})


class History:
    """The same story on any chain: what each step used and said."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.used: list[tuple[str, int]] = []
        self.said: list[Any] = []

    def add(self, name: str, action: Callable[[], Any]) -> Any:
        """One step: its gas, and what it emitted."""
        self.tick()
        made = action()
        block = self.world.web3.eth.get_block("latest", full_transactions=True)
        sent: Any = block["transactions"][-1]
        receipt = self.world.web3.eth.get_transaction_receipt(sent["hash"])
        self.used.append((name, receipt["gasUsed"]))
        shown = made.events if isinstance(made, Receipt) else (made.address, code_of(made))
        topics = [dict(one)["topics"] for one in receipt["logs"]]
        self.said.append((name, shown, block["timestamp"], topics))
        return made

    def tick(self) -> None:
        """The next block is one second later, on either chain."""
        latest = self.world.web3.eth.get_block("latest")["timestamp"]
        self.world.now = latest + 1
        if isinstance(self.world, OnAnvil):
            self.world.rpc("evm_setNextBlockTimestamp", latest + 1)


def code_of(made: Handle) -> bytes:
    """Code of a contract as it stands on its chain."""
    return bytes(made.web3.eth.get_code(made.address))


def tell(world: World) -> History:
    """Deploy everything; anchor, deposit, withdraw, dispute, trade, buy back, burn."""
    web3, story = world.web3, History(world)
    usd = story.add("usd", lambda: TestUSD.deploy(web3, OWNER, OWNER.address))
    token = story.add(
        "token", lambda: Token.deploy(web3, OWNER, ("Example", "EX"), 10**27, OWNER.address)
    )
    pool = story.add("pool", lambda: Pool.deploy(web3, OWNER, token.address, usd.address, 30))
    story.add("approve", lambda: usd.approve(OWNER, pool.address, 2**256 - 1))
    story.add("approve", lambda: token.approve(OWNER, pool.address, 2**256 - 1))
    story.add("mint", lambda: usd.mint(OWNER, OWNER.address, 10**12))
    story.add("liquidity", lambda: pool.add_liquidity(OWNER, 1_000 * 10**18, 20_000 * USD))
    contracts = (token.address, usd.address, pool.address)
    vault = story.add("vault", lambda: BuybackVault.deploy(web3, OWNER, contracts, SCHEDULE))
    story.add("fund", lambda: usd.transfer(OWNER, vault.address, 1_000 * USD))
    world.wait(61)
    story.add("buyback", lambda: vault.buy_from_pool(ANN, keccak(b"decision")))
    story.add("burn", lambda: token.burn(OWNER, 5))
    log = tell_bridge(story, usd)
    anchor = story.add("anchor", lambda: Anchor.deploy(web3, OWNER, ORIGIN, 100, VALIDATORS))
    for size in (6, 13, 200):
        story.add(f"anchor {size}", partial(anchor_log, anchor, log, size))
    registry = story.add(
        "registry",
        lambda: Registry.deploy(
            web3, OWNER, (CHAIN, anchor.address), 100, Version(keccak(b"r"), keccak(b"p"), 0)
        ),
    )
    version = Version(keccak(b"r2"), keccak(b"p"), 9)
    signed = VALIDATORS.sign(registry.announcement_digest(version), VALIDATOR_KEYS)
    story.add("announce", lambda: registry.announce(OWNER, version, VALIDATORS, signed))
    return story


def tell_bridge(story: History, usd: TestUSD) -> TestLog:
    """The bridge's part; a long log for the anchor's part."""
    made = Custody.__new__(Custody)
    made.world, made.usd, made.log = story.world, usd, plain_log(3)
    web3 = story.world.web3
    from contracts_py.bridge import Settings

    made.settings = Settings(100, 10_000, (ACCOUNTS[6].address, ACCOUNTS[7].address), 2)
    made.anchor = story.add(
        "bridge's anchor", lambda: Anchor.deploy(web3, OWNER, ORIGIN, 100, VALIDATORS)
    )
    made.bridge = story.add("bridge", lambda: made.another(usd.address))
    story.add("mint", lambda: usd.mint(OWNER, ANN.address, 1_000 * USD))
    story.add("approve", lambda: usd.approve(ANN, made.bridge.address, 2**256 - 1))
    story.add("deposit", lambda: made.bridge.deposit(ANN, 500 * USD))
    until = story.world.now + 10**6
    permit = usd.sign_permit(KEYS[1], ANN.address, made.bridge.address, 50 * USD, until)
    story.add(
        "permit",
        lambda: made.bridge.deposit_with_permit(BEN, ANN.address, 50 * USD, until, permit),
    )
    rows = [made.write(wid, 50 * USD, ANN.address) for wid in (1, 2)]
    size = len(made.log.entries)
    story.add("bridge's checkpoint", lambda: anchor_log(made.anchor, made.log, size))
    forged = type(rows[0])(2, rows[1].user, rows[1].destination, 51 * USD, rows[1].entry_index)
    story.add("request", lambda: made.request(rows[0], forged))
    entry, proof = made.log.entries[size - 1], made.log.inclusion(size - 1, size)
    story.add("dispute", lambda: made.bridge.dispute(ANN, 2, (size, size - 1), entry, proof))
    story.world.wait(200, blocks=11)
    story.add("finalize", lambda: made.bridge.finalize(ANN, [1, 2]))
    return plain_log(200)


def test_anvil_agrees_step_by_step() -> None:
    """Addresses, code, events, times and gas of the whole story, deployments included."""
    ours = tell(World())
    with anvil() as url:
        theirs = tell(OnAnvil(url))
    assert ours.used == theirs.used
    assert ours.said == theirs.said


def cast(url: str, *words: str) -> str:
    """Run cast against a node; its output."""
    done = subprocess.run(
        [str(tools() / "cast"), *words], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"ETH_RPC_URL": url, "NO_COLOR": "1"},
    )  # fmt: skip
    # The npm package's launcher exits with 0 whatever happened.
    assert not done.stderr.startswith("Error"), done.stderr
    return done.stdout.strip()


def test_cast_deploys_sends_and_reads() -> None:
    """cast against our JSON-RPC, over a socket: every command that people use first."""
    world = World()
    key = "0x" + KEYS[0].hex()
    with served(world) as url:
        assert cast(url, "chain-id") == "1337"
        assert cast(url, "block-number") == "0"
        assert int(cast(url, "balance", OWNER.address)) == 1_000 * ETHER
        code = load_artifact("TestUSD").bytecode + OWNER.address[2:].lower().rjust(64, "0")
        made = json.loads(cast(url, "send", "--private-key", key, "--json", "--create", code))
        assert made["status"] == "0x1"
        usd = made["contractAddress"]
        sent = json.loads(
            cast(url, "send", "--private-key", key, "--json", usd, "mint(address,uint256)",
                 ANN.address, "5000000")
        )  # fmt: skip
        assert sent["status"] == "0x1"
        balance = cast(url, "call", usd, "balanceOf(address)(uint256)", ANN.address)
        assert balance.split()[0] == "5000000"
        assert cast(url, "code", usd) != "0x"
        assert json.loads(cast(url, "block", "latest", "--json"))["number"] in ("0x2", 2)
        assert (
            json.loads(cast(url, "receipt", sent["transactionHash"], "--json"))["status"] == "0x1"
        )
        assert cast(url, "tx", sent["transactionHash"], "nonce") == "1"
        logs = cast(url, "logs", "--from-block", "0", "--address", usd)
        assert sent["transactionHash"] in logs
        assert int(cast(url, "nonce", OWNER.address)) == 2
        assert int(cast(url, "storage", usd, "0"), 16) == 5_000_000
        assert (
            int(cast(url, "estimate", usd, "transfer(address,uint256)", BEN.address, "0")) > 21_000
        )
        assert int(cast(url, "gas-price")) > 0
        failing = subprocess.run(
            [str(tools() / "cast"), "call", usd, "mint(address,uint256)", ANN.address, "1",
             "--from", BEN.address, "--rpc-url", url],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert failing.stderr.startswith("Error")
        assert "only the minter" in failing.stderr


def ask_ethers(url: str, key: bytes, other: str) -> Any:
    """What the script of ethers found out at an address."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = tools().parent.parent / "ethers.mjs"
    shutil.copy(Path(__file__).resolve().parent / "ethers.mjs", script)
    done = subprocess.run(
        [node, str(script), url, "0x" + key.hex(), other, str(ARTIFACTS / "TestUSD.json")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ETHERS_FOUND = {
    "chain": 1337, "status": 1, "balance": "5000000", "events": ["5000000"],
    "reason": "only the minter", "nonce": "NONCE_EXPIRED", "block": 2, "full": 1, "fee": True,
}  # fmt: skip


def test_ethers_deploys_sends_and_reads() -> None:
    """What most wallets and pages are built on; it sends its questions in batches."""
    with served(World()) as url:
        assert ask_ethers(url, KEYS[0], ANN.address) == ETHERS_FOUND


def test_cast_and_ethers_on_a_node() -> None:
    """The same tools at `POST /evm` of a real node: cast deposits through the Bridge and the
    exchange credits it; ethers finds what it finds everywhere."""
    with running_node(None, "--dev", "--anchor-interval", "0") as node:
        url, who = f"{node.url}/evm", account(0)
        at = node.info("evmContracts").document["contracts"]
        funded = node.post("/dev", {"type": "evmFund", "user": who.address, "usd": "100"})
        assert funded.document["status"] == "ok"
        key = ("--private-key", who.secret, "--json")
        assert cast(url, "call", at["usd"], "balanceOf(address)(uint256)", who.address) == (
            "100000000 [1e8]"
        )
        approve = "approve(address,uint256)"
        cast(url, "send", *key, at["usd"], approve, at["bridge"], "50000000")
        sent = json.loads(cast(url, "send", *key, at["bridge"], "deposit(uint256)", "50000000"))
        assert int(sent["status"], 16) == 1
        for _attempt in range(100):
            count = node.info("bridgeStatus").document["deposits"]["count"]
            if count:
                break
            time.sleep(0.1)
        state = node.info("clearinghouseState", user=who.address).document
        assert state["marginSummary"]["accountValue"] == "1000050.0"
        found = ask_ethers(url, account(1).key, account(2).address)
        assert found == ETHERS_FOUND | {"block": int(cast(url, "block-number"))}
