"""The assistance fund as people see it: `query fund`, `explain buyback`, the demo's money table."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.units import parse_decimal
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.commands.demo import _money
from chainperp.cli.demo.money import Cause
from chainperp.cli.demo.run import Demo
from chainperp.cli.fund_report import fund_in_directory
from chainperp.cli.risk_report import state_at_tip
from chainperp.model.decisions import Kind
from chainperp.model.tokens import SPOT_FIRST as CHP
from tests.support.chain import CALM_MS, CRASH_MS, DemoChain, run_cli
from tests.support.info_shapes import FUND, misfits
from tests.support.node import NodeProcess, account, limit_order, running_node


def usdc(text: str) -> int:
    """Micro-USDC of a decimal string."""
    return parse_decimal(text, 6, "amount")


def tokens(text: str) -> int:
    """Smallest units of a token amount."""
    return parse_decimal(text, 8, "amount")


@pytest.fixture(scope="module")
def report(demo_chain: DemoChain) -> dict[str, Any]:
    """The fund at the end of the chain, as a program gets it."""
    outcome = run_cli("query", "fund", str(demo_chain.path), "--history", "--json")
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = outcome.document
    assert misfits(FUND | {"source": str}, document) == []
    return document


def test_the_books_add_up(report: dict[str, Any]) -> None:
    """Sources less what was paid is the balance; supply is what was made less what is burned."""
    sources, paid, token = report["sources"], report["paid"], report["token"]
    assert usdc(sources["total"]) == sum(
        usdc(sources[name]) for name in ("fees", "liquidations", "other")
    )
    assert usdc(report["balance"]) == usdc(sources["total"]) - sum(map(usdc, paid.values()))
    assert tokens(token["supply"]) == tokens(token["initialSupply"]) - tokens(token["burned"])
    assert tokens(token["burned"]) == tokens(token["burnedByBuyback"]) + tokens(
        token["burnedByFees"]
    )
    average = report["averagePrice"]
    assert int(average["numerator"]) * tokens(token["bought"]) * 10**6 == (
        int(average["denominator"]) * usdc(paid["buybacks"]) * 10**8
    )


def test_the_history_is_the_log_and_sums_to_the_books(
    demo_chain: DemoChain, report: dict[str, Any]
) -> None:
    """One row for each BUYBACK entry; spent, bought and burned are the sums of the rows."""
    rows = report["history"]
    entries = [
        entry.index
        for block in ChainLog(demo_chain.path).blocks()
        for entry in block.of(Kind.BUYBACK)
    ]
    assert [row["index"] for row in rows] == entries
    assert sum(usdc(row["spent"]) for row in rows) == usdc(report["paid"]["buybacks"])
    for name, total in (("bought", "bought"), ("burned", "burnedByBuyback")):
        assert sum(tokens(row[name]) for row in rows) == tokens(report["token"][total])
    assert report["purchases"] == sum(row["outcome"] == "bought" for row in rows) > 20


def test_any_block_can_be_asked_about(demo_chain: DemoChain, report: dict[str, Any]) -> None:
    """At each height the fund is what the history up to it gives, from whatever snapshot."""
    for row in report["history"][5:40:12]:
        for height in (row["height"] - 1, row["height"]):
            found = fund_in_directory(demo_chain.path, height, history=True)
            upto = [one for one in report["history"] if one["height"] <= height]
            assert found["height"] == height
            assert found["history"] == upto
            assert usdc(found["paid"]["buybacks"]) == sum(usdc(one["spent"]) for one in upto)
    outcome = run_cli("query", "fund", str(demo_chain.path), "--height", "1000000")
    assert outcome.code == 3
    assert "the last block of this log is" in outcome.err


def test_people_get_plain_tables(demo_chain: DemoChain, report: dict[str, Any]) -> None:
    """Every number of the tables is one of the document."""
    outcome = run_cli("query", "fund", str(demo_chain.path), "--history")
    assert outcome.code == 0, outcome.err
    for text in (report["sources"]["fees"], report["token"]["supply"], report["balance"],
                 report["averagePrice"]["decimal"], report["history"][7]["offered"]):  # fmt: skip
        assert text in outcome.out
    assert run_cli("query", "fund", "--height", "3").code == 2


def test_a_purchase_is_explained_with_its_numbers(
    demo_chain: DemoChain, report: dict[str, Any]
) -> None:
    """Sentences with places in the log, and the rules asked again; one that bought nothing too."""
    bought = next(row for row in report["history"] if row["outcome"] == "bought")
    nothing = next(row for row in report["history"] if row["outcome"] != "bought")
    found = run_cli("explain", "buyback", str(demo_chain.path), str(bought["height"]))
    assert found.code == 0, found.err
    numbers = [bought[name] for name in ("balance", "offered", "spent", "burned")]
    for text in (*numbers, "The rules give the same", "[BUY-1]", "[BUY-2]", "[BUY-3]", "[BUY-6]"):
        assert text in found.out
    found = run_cli("explain", "buyback", str(demo_chain.path), str(nothing["height"]))
    assert "Nothing was bought" in found.out
    last = run_cli("explain", "buyback", str(demo_chain.path), "--json").document
    assert last["height"] == report["history"][-1]["height"]
    missing = run_cli("explain", "buyback", str(demo_chain.path), "0")
    assert missing.code == 3


# --- the money table ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A short run of the demo."""
    made = Demo(tmp_path_factory.mktemp("money") / "chain", 7, calm_ms=CALM_MS, crash_ms=CRASH_MS)
    made.run(lambda done, total=None: None)
    return made


def test_every_dollar_of_the_crash_is_somewhere(demo: Demo) -> None:
    """All sums are exact; the fund turned fees into tokens and burned them."""
    table = demo.money_table()
    for name, one, other in table.equalities():
        assert one == other, name
    assert len(table.losers) > 10
    assert table.grown("burned") > 0
    assert _money(demo)[0]
    members = [one for accounts in table.groups().values() for one in accounts]
    assert len(members) == len(set(members))
    assert set(members) | set(table.losers) == set(table.worths)


def test_a_micro_dollar_that_is_missing_fails_the_demo(demo: Demo) -> None:
    """The check is real: entries and state are counted apart."""
    victim = demo.money_table().losers[0]
    demo.tally.money.sums[victim][Cause.MARKET] += 1
    ok, detail = _money(demo)
    demo.tally.money.sums[victim][Cause.MARKET] -= 1
    assert not ok
    assert "is not" in detail
    honest = demo.tally.money
    demo.tally.money = replace(honest, burned=honest.burned + 1)
    assert not _money(demo)[0]
    demo.tally.money = honest
    assert _money(demo)[0]


def test_the_state_is_what_the_log_gives(demo_chain: DemoChain) -> None:
    """The report's state is executed, so the books are those of the SEAL."""
    state, _, _ = state_at_tip(demo_chain.path)
    assert state.fund.balance >= 0
    assert state.fund.spent > 0


# --- a node ---------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A development node."""
    with running_node(tmp_path / "chain", "--dev") as started:
        yield started


def test_a_node_tells_of_its_fund(node: NodeProcess) -> None:
    """A purchase that is due and impossible is in its history, and in the tables."""
    node.post("/dev", {"type": "fund", "user": "0x" + 20 * "fe", "amount": "25"})
    node.post("/dev", {"type": "increaseTime", "ms": 61_000})
    node.post("/dev", {"type": "mine"})
    document = node.info("assistanceFund", history=True).document
    assert misfits(FUND, document) == []
    assert usdc(document["sources"]["other"]) >= usdc("25")
    assert document["history"][0]["outcome"] == "no_mark"
    assert document["nextEarliest"] == document["history"][-1]["time"] + 60_000
    assert "history" not in node.info("assistanceFund").document
    shown = run_cli("query", "fund", "--history", "--url", node.url)
    assert shown.code == 0, shown.err
    assert "no_mark" in shown.out


def test_a_node_buys_and_tells_of_it(node: NodeProcess) -> None:
    """With a market of the token the fund's money becomes tokens, and its trade has a row."""
    for who in (account(0), account(1)):
        node.act(who, {"type": "usdClassTransfer", "amount": "9000", "toPerp": False})
    node.act(account(0), limit_order(CHP, False, "1", "20"))
    node.act(account(1), limit_order(CHP, True, "1", "20"))
    node.act(account(0), limit_order(CHP, False, "1", "5000"))
    node.act(account(1), limit_order(CHP, True, "0.99", "5000"))
    node.post("/dev", {"type": "fund", "user": "0x" + 20 * "fe", "amount": "25"})
    node.post("/dev", {"type": "mine"})
    document = node.info("assistanceFund", history=True).document
    (bought,) = [one for one in document["history"] if one["outcome"] == "bought"]
    assert usdc(bought["spent"]) == usdc(document["paid"]["buybacks"]) == usdc("9.91")
    assert tokens(document["token"]["burnedByBuyback"]) == tokens(bought["bought"])
    assert document["purchases"] == 1
    fills = node.info("userFills", user=document["address"]).document
    assert [(one["side"], one["sz"], one["px"]) for one in fills] == [("B", "9.91", "1.0")]
