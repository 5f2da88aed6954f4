"""Filters of JSON-RPC: what is new since the last question, how many live, and for how long."""

from typing import Any

import pytest

from chainperp.evm.filters import FILTERS_MAX, LIFETIME_S
from contracts_py.tokens import TestUSD
from tests.evm.world import ACCOUNTS, USD, World

ANN, BEN = ACCOUNTS[:2]


def deployed() -> tuple[World, TestUSD]:
    """A chain with a dollar."""
    world = World()
    return world, TestUSD.deploy(world.web3, ANN, ANN.address)


def result(world: World, method: str, *params: Any) -> Any:
    """The result of a call that must succeed."""
    found = world.rpc(method, *params)
    assert "result" in found, found
    return found["result"]


def test_filters_tell_each_thing_once() -> None:
    """web3.py's own filters: logs, blocks and transactions since the last time, no more."""
    world, usd = deployed()
    logs = usd.contract.events["Transfer"].create_filter(from_block=0)
    blocks, pending = world.web3.eth.filter("latest"), world.web3.eth.filter("pending")
    assert [logs.get_new_entries(), blocks.get_new_entries(), pending.get_new_entries()] == [[]] * 3
    first = usd.mint(ANN, BEN.address, 7 * USD)
    world.journal.mine(world.now)
    assert [one["args"]["value"] for one in logs.get_new_entries()] == [7 * USD]
    assert len(blocks.get_new_entries()) == 2
    hashes: list[Any] = list(pending.get_new_entries())
    assert [bytes(one) for one in hashes] == [first.transaction_hash]
    assert [logs.get_new_entries(), blocks.get_new_entries(), pending.get_new_entries()] == [[]] * 3
    assert [one["args"]["value"] for one in logs.get_all_entries()] == [7 * USD]
    assert world.web3.eth.uninstall_filter(logs.filter_id)
    assert not world.web3.eth.uninstall_filter(logs.filter_id)


def test_only_the_blocks_and_logs_asked_for() -> None:
    """Bounds, addresses and topics hold for what comes later too."""
    world, usd = deployed()
    padded = "0x" + BEN.address[2:].lower().rjust(64, "0")
    bounded = result(world, "eth_newFilter", {"fromBlock": "0x3", "toBlock": "0x3"})
    to_ben = result(world, "eth_newFilter", {"topics": [None, None, padded]})
    other = result(world, "eth_newFilter", {"address": BEN.address})
    for amount, receiver in ((1, ANN), (2, BEN), (3, ANN)):
        usd.mint(ANN, receiver.address, amount)
    expected = result(world, "eth_getLogs", {"fromBlock": "0x3", "toBlock": "0x3"})
    assert len(expected) == 1
    assert result(world, "eth_getFilterChanges", bounded) == expected
    assert result(world, "eth_getFilterChanges", to_ben) == expected
    assert result(world, "eth_getFilterChanges", other) == []
    assert result(world, "eth_getFilterLogs", bounded) == expected


def test_filters_are_few_and_die() -> None:
    """The one that was asked longest ago makes room; whoever does not ask begins again."""
    world = World()
    first, second = (result(world, "eth_newBlockFilter") for _ in range(2))
    result(world, "eth_getFilterChanges", first)
    for _ in range(FILTERS_MAX - 1):
        result(world, "eth_newBlockFilter")
    assert result(world, "eth_getFilterChanges", first) == []
    assert world.rpc("eth_getFilterChanges", second)["error"]["message"] == "filter not found"
    world.now += LIFETIME_S
    assert result(world, "eth_getFilterChanges", first) == []
    world.now += LIFETIME_S + 1
    assert world.rpc("eth_getFilterChanges", first)["error"]["code"] == -32000


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_newFilter", [], -32602),
        ("eth_newFilter", [{"fromBlock": "yesterday"}], -32602),
        ("eth_newFilter", [{"toBlock": "0x01"}], -32602),
        ("eth_getFilterChanges", [], -32000),
        ("eth_getFilterChanges", [["0x1"]], -32000),
        ("eth_getFilterLogs", ["0x1"], -32000),
    ],
)
def test_bad_questions_get_the_right_code(method: str, params: list[Any], code: int) -> None:
    """Never a traceback."""
    assert World().rpc(method, *params)["error"]["code"] == code


def test_a_filter_of_blocks_has_no_logs() -> None:
    """eth_getFilterLogs is for logs."""
    world = World()
    found = world.rpc("eth_getFilterLogs", result(world, "eth_newBlockFilter"))
    assert found["error"]["message"] == "not a filter of logs"
