"""Developer controls from the command line: each does what it says, each refusal says why."""

from collections.abc import Iterator
from time import sleep
from typing import Any

import pytest

from tests.support.chain import run_cli
from tests.support.running import RunningNode, running_node

IDLE_SECONDS = 3.5
"""A little more than the distance of an idle chain's blocks."""
SOMEBODY = "0x5e9ee1089755c3435139848e47e6635505d5a13a"


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    """A local chain of its own: these tests move its clock and begin it again."""
    with running_node("--dev", "--accounts", "2") as started:
        yield started


def control(node: RunningNode, *words: str) -> Any:
    """Answer of an accepted control."""
    outcome = node.run("dev", *words, "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert document["status"] == "ok"
    return document


def mids(node: RunningNode) -> Any:
    """Middle prices: of an empty book the mark."""
    return node.run("query", "mids", "--json").document


def test_money_prices_and_blocks(node: RunningNode) -> None:
    first = control(node, "mine")["height"]
    assert control(node, "mine", "3")["height"] >= first + 3
    assert control(node, "fund", SOMEBODY, "1000")["height"] > first
    both = control(node, "oracle", "BTC=95000", "ETH=3500")
    assert len(both["replies"]) == 2
    control(node, "path", "BTC", "0:95000", "600:70000")


def test_time_and_its_pause(node: RunningNode) -> None:
    before = control(node, "mine")["time"]
    later = control(node, "time", "add", "3600")["time"]
    assert later >= before + 3_600_000
    assert control(node, "time", "set", str(later + 5_000))["time"] >= later + 5_000
    control(node, "pause")
    sleep(IDLE_SECONDS)  # a block that was already due may still come
    paused = control(node, "mine")["height"]
    sleep(IDLE_SECONDS)
    assert control(node, "mine")["height"] == paused + 1
    control(node, "resume")


def test_snapshot_revert_and_reset(node: RunningNode) -> None:
    taken = control(node, "snapshot")
    control(node, "mine", "5")
    assert control(node, "revert", taken["id"])["height"] == taken["height"]
    people = node.run("dev", "reset")
    assert people.code == 0
    assert people.out.startswith("done height=1")


def test_connections_are_dropped(node: RunningNode) -> None:
    assert control(node, "drop-connections")["dropped"] >= 0
    assert control(node, "mine")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("fund", "0x12", "1"), 2, "account"),
        (("fund", SOMEBODY, "1e3"), 2, "plain decimal"),
        (("fund", SOMEBODY, "5", "--token", "HYPE"), 4, "not offered"),
        (("oracle", "BTC"), 2, "BTC=95000"),
        (("oracle", "ABC=1"), 4, "there is no market 'ABC'"),
        (("path", "BTC", "soon:1"), 2, "points read"),
        (("path", "BTC", "60:1", "0:2"), 4, "rising"),
        (("mine", "0"), 2, "blocks"),
        (("mine", "100000"), 4, "blocks"),
        (("time", "set", "5"), 4, "time only goes forward"),
        (("revert", "0x99"), 4, "there is no snapshot"),
        (("mine", "--url", "http://127.0.0.1:1"), 3, "no node"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_refusals_say_why(
    node: RunningNode, words: tuple[str, ...], code: int, message: str
) -> None:
    outcome = node.run("dev", *words)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert outcome.out == ""


def test_a_node_without_dev_is_named_as_the_reason() -> None:
    with running_node("--accounts", "1") as plain:
        outcome = run_cli("dev", "mine", "--url", plain.url)
        assert outcome.code == 4
        assert "chainperp node --dev" in outcome.err
