"""The parts of `chainperp bench` that are not a measurement."""

from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import InvalidFile
from chainperp.cli.bench.flow import Flow
from chainperp.cli.bench.peers import play
from chainperp.cli.bench.run import compare, last_of, save_history
from chainperp.model.actions import OrderRequest
from tests.support.chain import run_cli


def result(**ratios: float) -> dict[str, Any]:
    """A result with these ratios; the first stage is the reference."""
    return {
        "stages": [
            {"stage": name, "reference": "raw", "ratio": ratio} for name, ratio in ratios.items()
        ]
    }


def test_two_builds_are_compared_by_their_ratios(tmp_path: Path) -> None:
    """References, and stages that only one result has, are left out."""
    history = tmp_path / "history.jsonl"
    save_history(history, result(raw=1.0, flow=9.0))
    save_history(history, result(raw=1.0, flow=8.0, old=1.0))
    rows = compare(last_of(history), result(raw=1.0, flow=4.0, new=1.0))
    assert rows == [{"stage": "flow", "before": 8.0, "now": 4.0, "change": 0.5}]


def test_a_history_without_a_result_is_refused(tmp_path: Path) -> None:
    """Before anything is measured."""
    with pytest.raises(InvalidFile, match="no earlier result"):
        last_of(tmp_path / "missing")
    outcome = run_cli("bench", "--compare", str(tmp_path / "missing"))
    assert outcome.code == 1
    assert "no earlier result" in outcome.err


class Counting:
    """A peer that checks that ids are those of the flow."""

    def __init__(self) -> None:
        self.orders: dict[int, OrderRequest] = {}
        self.unknown = 0

    def add(self, oid: int, order: OrderRequest) -> None:
        """Keep it."""
        assert oid not in self.orders
        self.orders[oid] = order

    def cancel(self, oid: int) -> None:
        """Every cancelled order was placed before."""
        self.unknown += oid not in self.orders


def test_peers_are_given_the_flow_with_its_order_ids() -> None:
    """An order that is cancelled or replaced is one that was placed."""
    flow, peer = Flow(100), Counting()
    actions = [one.action for one in flow.transactions(2_000)]
    assert play(peer, actions, 1) == flow.oid
    assert len(peer.orders) > 1_000
    assert peer.unknown == 0
