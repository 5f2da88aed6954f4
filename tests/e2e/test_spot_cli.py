"""Spot on the command line without a node: signed orders, sends, shifts, and early refusals."""

from typing import Any

import pytest

from chainperp.chain.genesis import parse_genesis
from chainperp.client.markets import (
    Market,
    pairs_of_listing,
    pairs_of_meta,
    token_names_of_listing,
    token_names_of_meta,
)
from chainperp.client.refusal import Unreachable
from chainperp.storage.package import build_genesis
from tests.support.chain import run_cli

ANY = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
CHP = Market("CHP/USDC", 10_000, 2, 0)
LISTING = parse_genesis(build_genesis("test/cli", 1, [(bytes([1]) * 20, 1)])).listing
META = {
    "tokens": [{"name": "USDC", "index": 0, "szDecimals": 6, "tokenId": "0x6d1e"},
               {"name": "CHP", "index": 1, "szDecimals": 2, "tokenId": "0x3831"}],
    "universe": [{"name": "CHP/USDC", "index": 0, "tokens": [1, 0]}],
}  # fmt: skip


def offline(*words: str) -> dict[str, Any]:
    """The action that a command signs."""
    outcome = run_cli("tx", *words, "--from", "0", "--offline")
    assert outcome.code == 0, outcome.err
    action: dict[str, Any] = outcome.document["action"]
    return action


def refused(*words: str) -> tuple[int, str]:
    """Exit code and first line of a command that signs nothing."""
    outcome = run_cli("tx", *words, "--from", "0", "--offline")
    assert outcome.out == ""
    told = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    return outcome.code, told[0]


def test_orders_of_a_pair_have_its_number_and_grid() -> None:
    """Asset 10000; a price or size off the grid is refused with what would be valid."""
    action = offline("order", "chp/usdc", "buy", "25", "@", "0.4")
    (order,) = action["orders"]
    assert (order["a"], order["p"], order["s"]) == (10_000, "0.4", "25")
    assert offline("cancel", "CHP/USDC", "7")["cancels"] == [{"a": 10_000, "o": 7}]
    code, told = refused("order", "CHP/USDC", "buy", "25.001", "@", "0.4")
    assert (code, told) == (
        4, "error: ORD-2 size is not a positive whole number of lots for CHP/USDC",
    )  # fmt: skip
    assert refused("order", "CHP/USDC", "buy", "25", "@", "0.40001")[0] == 4
    assert refused("order", "CHP/USDC", "buy", "25", "@", "0.4", "--tp", "1")[0] == 2
    assert "markets: CHP/USDC" in refused("order", "PURR/USDC", "buy", "1", "@", "1")[1]
    assert "no market 'CHP/USDC'" in refused("leverage", "CHP/USDC", "3")[1]


def test_the_advice_of_a_refused_price_works() -> None:
    """`chainperp tick` knows pairs of a genesis file; without a node those of the default one."""
    outcome = run_cli("tick", "CHP/USDC", "0.40001", "--json")
    assert outcome.code == 1
    found = outcome.document
    assert (found["below"], found["above"], found["lot"]) == ("0.4", "0.4001", "0.01")


def test_tokens_are_sent_and_usdc_is_shifted() -> None:
    """A token by its wire name with its decimals; USDC between the two cells."""
    action = offline("transfer", ANY, "1.00000001", "--token", "CHP")
    assert (action["type"], action["amount"]) == ("spotSend", "1.00000001")
    assert action["token"] == token_names_of_listing(LISTING)["CHP"]
    assert offline("transfer", ANY, "1", "--token", "USDC")["token"].startswith("USDC:0x6d1e")
    assert offline("transfer", ANY, "1")["type"] == "usdSend"
    assert refused("transfer", ANY, "1", "--token", "PURR")[1].endswith("tokens: USDC CHP")
    assert refused("transfer", ANY, "0.0000001", "--token", "USDC")[0] == 2
    moved = offline("shift", "5.5", "spot")
    assert (moved["type"], moved["toPerp"], moved["amount"]) == ("usdClassTransfer", False, "5.5")
    assert refused("shift", "5", "margin")[0] == 2


def test_a_nodes_list_and_a_genesis_file_say_the_same() -> None:
    """Pairs and token names; an answer that is no list is named."""
    assert pairs_of_meta(META) == pairs_of_listing(LISTING) == [CHP]
    assert token_names_of_meta(META) == {"USDC": "USDC:0x6d1e", "CHP": "CHP:0x3831"}
    answers: list[Any] = [None, {}, {"tokens": [{}], "universe": []}]
    for broken in answers:
        with pytest.raises(Unreachable):
            pairs_of_meta(broken)
        with pytest.raises(Unreachable):
            token_names_of_meta(broken)
