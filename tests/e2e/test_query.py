"""`query risk` on a short demo chain: keys, exact sums, and the same answer from any start."""

import shutil
from typing import Any

import pytest

from chainperp.base.units import parse_decimal
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.risk_report import light, risk_report, shocked_mark, state_at_tip
from chainperp.model.decisions import Kind
from chainperp.rules.margin import is_liquidatable
from chainperp.transition.valuation import scope_value_and_maintenance
from tests.support.chain import DemoChain, run_cli

KEYS = {
    "open_risk": {"maintenance", "value", "scopes", "below_maintenance", "uncovered"},
    "funds": {
        "insurance", "backstop_value", "backstop_maintenance", "backstop_positions",
        "backstop_room",
    },
    "tests": {
        "total", "minutes_with_tests", "busiest_minute", "per_minute", "latency_blocks",
        "still_waiting",
    },
    "exempt": {
        "accounts", "accounts_with_positions", "open_interest_usdc",
        "open_interest_both_sides_usdc", "list",
    },
}  # fmt: skip
ROW_KEYS = {
    "markets": {
        "market", "mark", "open_interest", "open_interest_usdc", "longs", "shorts", "maintenance",
    },
    "lights": {
        "market", "side", "account", "rank", "of", "lights", "reason", "size", "profit",
    },
    "distance": {"market", "move_percent", "mark", "scopes", "notional_usdc"},
}  # fmt: skip


def usdc(text: str) -> int:
    """Micro-USDC of a decimal string."""
    return parse_decimal(text, 6, "amount")


@pytest.fixture(scope="module")
def report(demo_chain: DemoChain) -> dict[str, Any]:
    """The report as a program gets it."""
    outcome = run_cli("query", "risk", str(demo_chain.path), "--json")
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = outcome.document
    return document


def test_keys_are_stable(report: dict[str, Any]) -> None:
    """Programs may rely on every key."""
    assert set(report) == {
        "height", "time_ms", "time", "source", "open_risk", "markets", "tests", "funds", "policy",
        "lights", "exempt", "distance", "uncovered_at_seal",
    }  # fmt: skip
    for name, keys in KEYS.items():
        assert set(report[name]) == keys
    for name, keys in ROW_KEYS.items():
        assert all(set(row) == keys for row in report[name])


def test_sums_are_those_of_the_state(demo_chain: DemoChain, report: dict[str, Any]) -> None:
    """Open risk is the sum of the markets' maintenance, open interest that of the holders."""
    state, _, _ = state_at_tip(demo_chain.path)
    assert report["height"] == state.height == demo_chain.height
    assert usdc(report["open_risk"]["maintenance"]) == sum(
        usdc(row["maintenance"]) for row in report["markets"]
    )
    both = sum(2 * usdc(row["open_interest_usdc"]) for row in report["markets"])
    assert usdc(report["exempt"]["open_interest_both_sides_usdc"]) == both
    assert usdc(report["open_risk"]["uncovered"]) == 0


def test_lights_cover_every_position_once(demo_chain: DemoChain, report: dict[str, Any]) -> None:
    """One row for each position; ranks are whole and lights are fifths of them."""
    state, _, _ = state_at_tip(demo_chain.path)
    assert len(report["lights"]) == sum(len(market.holders) for market in state.markets)
    for market in state.markets:
        for side in ("long", "short"):
            rows = [
                row for row in report["lights"]
                if (row["market"], row["side"]) == (market.terms.name, side)
            ]  # fmt: skip
            assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
            for row in rows:
                if row["reason"] == "eligible":
                    assert row["lights"] == light(row["rank"] - 1, row["of"])
                else:
                    assert row["lights"] == 0


def test_distance_is_what_a_walk_over_all_scopes_finds(
    demo_chain: DemoChain, report: dict[str, Any]
) -> None:
    """Moving the mark in the state and testing every holder again gives the same amounts."""
    state, _, _ = state_at_tip(demo_chain.path)
    rows = {(row["market"], row["move_percent"]): row for row in report["distance"]}
    for market in state.markets:
        mark = market.mark
        for percent in (-20, -5, -1, 0, 10):
            market.mark = shocked_mark(mark, percent) if percent else mark
            found = 0
            for address, one in market.holders.items():
                asset = 0xFFFF_FFFF if one.is_cross else one.asset
                tested = scope_value_and_maintenance(state, state.accounts[address], asset)
                found += abs(one.lots) * market.mark if is_liquidatable(*tested) else 0
            assert usdc(rows[market.terms.name, percent]["notional_usdc"]) == found
        market.mark = mark


def test_every_test_is_in_a_minute_and_has_a_wait(
    demo_chain: DemoChain, report: dict[str, Any]
) -> None:
    """Minutes and waits add up to the LIQ_TEST entries of the log."""
    tests = report["tests"]
    logged = [
        entry.fields()["outcome"]
        for block in ChainLog(demo_chain.path).blocks()
        for entry in block.of(Kind.LIQ_TEST)
    ]
    assert tests["total"] == len(logged) > 0
    counted = sum(
        count for row in tests["per_minute"] for name, count in row.items() if name != "minute"
    )
    assert counted == len(logged)
    waiting = logged.count(4)
    assert sum(row["tests"] for row in tests["latency_blocks"]) == len(logged) - waiting


def test_snapshot_and_genesis_give_the_same_report(
    demo_chain: DemoChain, report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where execution started changes nothing but the line that says so."""
    assert "snapshot" in report["source"]
    copy = demo_chain.copy(tmp_path_factory.mktemp("query") / "copy")
    shutil.rmtree(copy / "snapshots")
    (copy / "snapshots").mkdir()
    other = risk_report(copy)
    assert other.pop("source") == "executed from genesis"
    assert other == {name: value for name, value in report.items() if name != "source"}


def test_tables_say_what_the_numbers_mean(demo_chain: DemoChain) -> None:
    """People get tables with units."""
    outcome = run_cli("query", "risk", str(demo_chain.path))
    assert outcome.code == 0, outcome.err
    for words in ("safety net, USDC", "sum of maintenance margins", "ADL lights", "liquidatable if",
                  "blocks that a failing scope waited"):  # fmt: skip
        assert words in outcome.out


def test_a_missing_directory_is_not_found(demo_chain: DemoChain) -> None:
    """Exit 3 and one sentence."""
    outcome = run_cli("query", "risk", str(demo_chain.path / "nothing"))
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
