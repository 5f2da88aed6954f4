"""What a node offers beside orders: controls that replay, the log, health, proofs, doors."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.chain import run_cli
from tests.support.node import Answered, NodeProcess, account, limit_order, running_node

STRANGER = "0x00000000000000000000000000000000000000ab"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A development node with one trade."""
    path = tmp_path_factory.mktemp("surface") / "chain"
    with running_node(path, "--dev", "--quiet") as started:
        started.act(account(0), limit_order(0, True, "99000", "0.01"))
        reply = started.act(account(1), limit_order(0, False, "99000", "0.01", tif="Ioc"))
        assert "filled" in reply["response"]["data"]["statuses"][0]
        yield started


def dev(node: NodeProcess, **control: Any) -> Any:
    """Reply of a developer control."""
    answered = node.post("/dev", control)
    assert answered.status == 200, answered
    return answered.document


def get(node: NodeProcess, path: str, **headers: str) -> Answered:
    """One GET."""
    return node.request("GET", path, None, {"Host": "localhost", **headers})


def get_when_published(node: NodeProcess, path: str) -> Answered:
    """One GET of evidence, once a checkpoint covers what it is about."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        answered = get(node, path)
        if answered.status != 404:
            return answered
        dev(node, type="mine")
        time.sleep(0.5)
    raise AssertionError(answered)


def test_a_manipulated_chain_replays(tmp_path: Path) -> None:
    """Money, prices, time, going back: all is in blocks, and both chains replay to the byte."""
    path = tmp_path / "chain"
    with running_node(path, "--dev", "--quiet") as node:
        dev(node, type="fund", user=STRANGER, amount="12.5")
        assert dev(node, type="snapshot")["id"] == "0x1"
        dev(node, type="setOracle", coin="ETH", px="3500")
        assert node.info("allMids").document["ETH"] == "3500.0"
        dev(node, type="increaseTime", ms=3_600_000)
        dev(node, type="oraclePath", coin="BTC", points=[[0, "100000"], [60, "90000"]])
        back = dev(node, type="revert", id="0x1")
        assert node.info("allMids").document["ETH"] == "4000.0"
        state = node.info("clearinghouseState", user=STRANGER).document
        assert state["marginSummary"]["accountValue"] == "12.5"
        refused = dev(node, type="revert", id="0x1")
        assert refused["status"] == "err"
        node.act(account(0), limit_order(0, True, "90000", "0.1"))
    branch = Path(back["dir"])
    for directory in (path, branch):
        outcome = run_cli("replay", str(directory))
        assert outcome.code == 0, outcome.out
        assert run_cli("fsck", str(directory)).code == 0
    keys = {(one / "log" / "vkey").read_text() for one in (path, branch)}
    assert len(keys) == 2, "no key ever signs two logs"


def test_funding_refuses_what_the_rules_refuse(node: NodeProcess) -> None:
    """A control cannot do what no deposit may."""
    assert dev(node, type="fund", user=STRANGER, amount="0")["status"] == "err"
    assert dev(node, type="fund", user=STRANGER, amount="1", token="DOGE")["status"] == "err"
    assert dev(node, type="setOracle", coin="NOPE", px="1")["status"] == "err"
    assert dev(node, type="setTime", time=1)["status"] == "err"
    assert node.post("/dev", {"type": "fund", "user": "0xab", "amount": "1"}).status == 422
    assert node.post("/dev", {"type": "print"}).status == 422


def test_controls_are_off_unless_asked_for(tmp_path: Path) -> None:
    """Without --dev the path leads nowhere."""
    with running_node(tmp_path / "chain") as node:
        assert node.post("/dev", {"type": "mine"}).status == 404


def test_the_log_is_served_as_static_files(node: NodeProcess) -> None:
    """Checkpoint, key and tiles are the files of the directory; nothing else is reachable."""
    log = node.path / "log"
    assert get(node, "/log/vkey").body == (log / "vkey").read_bytes()
    checkpoint = get(node, "/log/checkpoint").text
    assert checkpoint.startswith("local/chainperp\n")
    tile = next(path for path in sorted((log / "tile").rglob("*")) if path.is_file())
    served = get(node, "/log/" + tile.relative_to(log).as_posix())
    assert served.body == tile.read_bytes()
    assert "immutable" in served.headers["cache-control"]
    for path in ("/log/../log.key", "/log/%2e%2e/log.key", "/log/tile/0/../../vkey", "/log/LOCK"):
        assert get(node, path).status == 404, path


def test_health_and_figures_say_what_the_chain_did(node: NodeProcess) -> None:
    """The loop turns, the index keeps up, and the counters count actions by type."""
    assert get(node, "/healthz").document["ok"] is True
    ready = get(node, "/readyz").document
    assert ready["checks"] == {"loop": "ok", "storage": "ok", "index": "ok"}
    text = get(node, "/metrics").text
    assert 'chainperp_actions_total{outcome="accepted",type="order"} 2.0' in text
    assert STRANGER not in text


def test_proofs_of_the_node_verify_without_it(node: NodeProcess, tmp_path: Path) -> None:
    """A transaction, an entry, an account and an absence: files that anybody can check."""
    fills = node.info("userFills", user=account(0).address).document
    name = fills[0]["hash"]
    for number, path in enumerate(
        (
            f"/proof/tx/{name}",
            "/proof/entry/3",
            f"/proof/account/{account(0).address}",
            f"/proof/absence/{'0x' + 'cd' * 20}",
            f"/proof/solvency/{account(1).address}",
        )
    ):
        file = tmp_path / f"{number}.proof"
        answered = get_when_published(node, path)
        assert answered.status == 200, (path, answered)
        file.write_bytes(answered.body)
        outcome = run_cli("verify", str(file))
        assert outcome.code == 0, (path, outcome)
    told = get_when_published(node, f"/explain/tx/{name}").document
    assert "MAT-1" in str(told), "the trade is explained by its rule"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/proof/tx/0x12", 400),
        ("/proof/entry/-1", 400),
        ("/proof/entry/999999999", 404),
        ("/proof/adl/0x00000000000000000000000000000000000000ab", 400),
        ("/proof/account/0x00000000000000000000000000000000000000ab?height=x", 400),
        ("/proof/account/0x00000000000000000000000000000000000000ab?out=/tmp/x", 400),
        ("/proof/secrets/1", 404),
        ("/explain/rule/XYZ-1", 404),
    ],
)
def test_bad_questions_about_the_log_are_refused(node: NodeProcess, path: str, status: int) -> None:
    """One line of text, without the machine's paths."""
    answered = get(node, path)
    assert answered.status == status, answered
    assert len(answered.body) < 4096
    assert str(node.path) not in answered.text


def test_only_local_names_and_origins_come_in(node: NodeProcess) -> None:
    """A web page cannot drive a local node, whatever name it points at 127.0.0.1."""
    assert get(node, "/healthz", Host="localhost:3001").status == 200
    assert get(node, "/healthz", Host="evil.example").status == 421
    assert get(node, "/healthz", Origin="http://localhost:5173").status == 200
    assert get(node, "/healthz", Origin="https://evil.example").status == 403


def test_limits_of_the_public_exchange_can_be_asked_for(tmp_path: Path) -> None:
    """1200 a minute, an l2Book weighs 2: the six hundred and some-th is told to wait."""
    with running_node(tmp_path / "chain", "--limits", "--no-mining") as node:
        connection = node.connect()
        body = b'{"type":"exchangeStatus"}'
        status = 200
        for _ in range(1_300):
            connection.request("POST", "/info", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            status = response.status
            if status != 200:
                break
        assert status == 429
        assert int(response.headers["retry-after"]) >= 1


def test_the_description_names_every_door(node: NodeProcess) -> None:
    """OpenAPI lists what is served, and the refusals' schema."""
    document = get(node, "/openapi.json").document
    assert {"/info", "/exchange", "/dev", "/log/checkpoint"} <= set(document["paths"])


def test_a_head_that_never_ends_is_cut(node: NodeProcess) -> None:
    """A connection that trickles its head is closed after ten seconds; others are served."""
    with socket.create_connection((node.host, node.port), 5) as slow:
        slow.sendall(b"POST /info HTTP/1.1\r\nHost: localhost\r\n")
        slow.settimeout(20)
        start = time.monotonic()
        assert get(node, "/healthz").status == 200
        with suppress(ConnectionResetError):
            assert slow.recv(100) == b""
        assert 5 < time.monotonic() - start < 15
