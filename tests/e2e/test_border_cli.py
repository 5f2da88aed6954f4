"""The border from a terminal: dollars in and out, what is anchored, and an audit that sees both
sides. Told as one story on one node, because each of its parts needs the one before."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chainperp.cli.border_audit import audit_border
from chainperp.storage.branch import branch
from chainperp.storage.datadir import DataDir
from tests.support.chain import Outcome, run_cli
from tests.support.running import RunningNode, running_node

OUTSIDE = "0x5e9ee1089755c3435139848e47e6635505d5a13a"


@pytest.fixture
def node() -> Iterator[RunningNode]:
    """A local chain with developer controls."""
    with running_node("--dev", "--anchor-interval", "0") as started:
        yield started


def asked(node: RunningNode, *words: str) -> Any:
    """The document of a command that must succeed."""
    outcome = node.run(*words, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.document


def ask(node: RunningNode, name: str) -> Any:
    """The node's answer to a question, without the EVM's."""
    return asked(node, "query", "raw", json.dumps({"type": name}))


def refused(outcome: Outcome, code: int, *texts: str) -> None:
    """A command that must fail so, in these words and without a traceback."""
    assert outcome.code == code, outcome.err
    assert all(text in outcome.err for text in texts), outcome.err
    assert "Traceback" not in outcome.err


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.2)
    return found


def test_dollars_cross_the_border_and_an_audit_sees_both_sides(node: RunningNode) -> None:
    asked(node, "dev", "evm-fund", "3", "120")
    poor = node.run("tx", "deposit", "121", "--from", "3", "--json")
    refused(poor, 4, "has 120.0 USDC on the EVM, 121.0 wanted", "chainperp dev evm-fund")
    refused(node.run("tx", "deposit", "4.99", "--from", "3"), 4, "from 5.0 USDC on, was 4.99")

    deposit = asked(node, "tx", "deposit", "100", "--from", "3", "--for", OUTSIDE, "--wait")
    assert (deposit["nonce"], deposit["beneficiary"]) == (1, OUTSIDE)
    assert deposit["credited"] is True
    state = asked(node, "query", "account", OUTSIDE)
    assert state["marginSummary"]["accountValue"] == "100.0"

    asked(node, "tx", "withdraw", OUTSIDE, "50", "--from", "3")
    until(lambda: ask(node, "bridgeStatus")["payouts"]["count"] == 1)
    books = asked(node, "query", "bridge")
    assert books["evm"]["paid"] == books["ledger"]["payouts"]["amount"] == "49.0"
    assert books["evm"]["deposits"] == books["ledger"]["deposits"]
    refused(node.run("tx", "claim", "1", "--from", "4"), 4, "withdrawal 1 is paid already")

    # The payout needed an anchor; anybody brings the next.
    before = asked(node, "query", "anchor")
    assert before["log_has_this_root"] is True
    anchored = asked(node, "tx", "anchor", "--from", "4")
    assert anchored["size"] > before["size"] > 0
    told = asked(node, "verify", node.url, "--anchor", "genesis")
    assert told["checks"][1]["detail"].startswith("2 checkpoints, the last of size")
    assert asked(node, "query", "buyback")["evm"]["purchases"] == 0


def test_what_does_not_fit_is_named(crossed: Path, tmp_path: Path) -> None:
    """A copy whose machine was changed or shortened, or is missing; a log that was cut."""
    outcome = run_cli("audit", str(crossed), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["evm"]["pairs"]["purchase"] == 1

    journal = crossed / "evm" / "evm.jsonl"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = json.loads(lines[-1])
    changed["state_root"] = "00" * 32
    journal.write_bytes(b"".join(lines[:-1]) + json.dumps(changed).encode() + b"\n")
    assert f"evm block {changed['number']} state_root" in findings(crossed)[0]
    # The ledger recorded what a shorter machine never did.
    journal.write_bytes(b"".join(lines[:-3]))
    assert any("no such event" in one for one in findings(crossed))
    outcome = run_cli("audit", str(crossed))
    assert outcome.code == 1
    assert "FAILED   contracts on the EVM" in outcome.out

    journal.unlink()
    alone = audit_border(crossed, None)
    assert alone is not None
    assert alone.lines() == [
        "note     contracts on the EVM: 1 deposit, 2 payouts, 1 purchase NOT CHECKED, "
        "there is no EVM here: --evm URL"
    ]
    refused(run_cli("verify", str(crossed), "--anchor", "genesis"), 3, "has no EVM of its own")
    journal.write_bytes(whole)

    # A log that ends before what was anchored, though everything in it is right.
    cut = tmp_path / "cut"
    branch(DataDir.open(crossed, write=False), 20, cut)
    shutil.copytree(crossed / "evm", cut / "evm")
    outcome = run_cli("verify", str(cut), "--anchor", "genesis")
    assert outcome.code == 1
    assert "is anchored, the log has" in outcome.out
    assert "it was cut" in outcome.out
    nobody = run_cli("verify", str(crossed), "--anchor", OUTSIDE)
    refused(nobody, 4, f"there is no contract at {OUTSIDE}")


def findings(directory: Path) -> list[str]:
    """What an audit of the border finds."""
    found = audit_border(directory, None)
    assert found is not None
    return found.findings


@pytest.fixture
def crossed(tmp_path: Path) -> Path:
    """A short demo that ends at the border, made in this process."""
    from chainperp.cli.demo.run import Demo

    directory = tmp_path / "chain"
    demo = Demo(directory, 1, calm_ms=240_000, crash_ms=60_000, has_border=True)
    demo.run(lambda _done, _total=None: None)
    assert demo.border is not None
    for name, one, other in demo.border.equalities():
        assert one == other, name
    return directory
