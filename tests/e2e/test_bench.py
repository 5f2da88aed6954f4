"""The parts of `chainperp bench` that are not a measurement."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import InvalidFile
from chainperp.cli.bench.flow import BASE_PRICE, Flow, flow_blocks, flow_engine
from chainperp.cli.bench.peer_process import (
    ADD,
    CANCEL,
    QUOTE,
    REPLACE,
    WITHDRAW,
    Tape,
    Trade,
    play,
)
from chainperp.cli.bench.peers import PEERS, PeerProcess, compare_peers, read_block, rows_of
from chainperp.cli.bench.run import compare, last_of, save_history
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


class Book:
    """The plainest book there is, as a peer: lists of orders, the best found by looking at all."""

    def __init__(self) -> None:
        self.resting: list[list[int]] = []  # oid, market, is_buy, price, lots left; oldest first
        self.seen: set[int] = set()
        self.quotes = 0
        self.found: list[Trade] = []

    def add(self, oid: int, market: int, is_buy: int, price: int, lots: int, ioc: int) -> None:
        """Price, then time."""
        assert oid not in self.seen
        self.seen.add(oid)
        sign = 1 if is_buy else -1
        while lots:
            others = [one for one in self.resting if one[1] == market and one[2] != is_buy]
            best = min(others, key=lambda one: sign * one[3], default=None)
            if best is None or sign * best[3] > sign * price:
                break
            traded = min(lots, best[4])
            lots -= traded
            best[4] -= traded
            self.found.append((market, best[3], traded))
            if not best[4]:
                self.resting.remove(best)
        if lots and not ioc:
            self.resting.append([oid, market, is_buy, price, lots])

    def cancel(self, oid: int) -> None:
        """Of what rests."""
        self.resting = [one for one in self.resting if one[0] != oid]

    def quote(self, market: int, price: int) -> None:
        """Prices of oracles move no order."""
        assert market < 10
        assert abs(price - BASE_PRICE) <= 10
        self.quotes += 1

    def trades(self) -> list[Trade]:
        """Since the last call."""
        found, self.found = self.found, []
        return found


def test_a_peer_that_gets_the_rows_of_the_flow_makes_its_fills() -> None:
    """Order ids, order of execution, replacements, and what self-trade prevention takes out: with
    few accounts it is called often, and without its rows the tapes differ."""
    accounts = 30
    engine, flow, book, oid = flow_engine(accounts), Flow(accounts), Book(), 1
    ours, theirs, kinds = Tape(), Tape(), Counter[int]()
    for block in flow_blocks(flow, engine, 4, 500):
        rows, oid = rows_of(block, read_block(engine.execute(block), ours), oid)
        kinds.update(row[0] for row in rows)
        play(book, rows)
        theirs.add(book.trades())
        assert theirs.document() == ours.document()
    assert oid == flow.oid == len(book.seen) + 1
    assert book.quotes == kinds[QUOTE] == 40
    assert kinds[ADD] + kinds[CANCEL] + kinds[REPLACE] == 2_000
    assert kinds[WITHDRAW] > 10
    assert ours.count > 300


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_installed_makes_our_fills(name: str) -> None:
    """With this interpreter, where it has them."""
    with PeerProcess(name, Path(sys.executable)) as peer:
        if peer.version is None:
            pytest.skip(f"{name} is not installed")
    rows = compare_peers(2_000, Path(sys.executable), lambda done, total=None: None)["peers"]
    found = next(row for row in rows if row["who"].startswith(name))
    assert found["same_fills"]
    assert found["operations"] == 2_000
    assert found["fills"] > 300


ENGINE_THAT_NEVER_TRADES = """
class Side:
    BUY, SELL = 1, 2

class LightMatchingEngine:
    def add_order(self, instrument, price, quantity, side):
        self.leaves_qty = quantity
        self.order_id = 1
        self.instmt = instrument
        return self, []

    def cancel_order(self, order_id, instrument):
        return self
"""


def test_a_peer_that_trades_otherwise_is_not_compared(tmp_path: Path) -> None:
    """Its time would be that of another flow: exit code 1. The interpreter is another one."""
    package = tmp_path / "lightmatchingengine"
    about = tmp_path / "lightmatchingengine-1.0.dist-info"
    for folder in (package, about):
        folder.mkdir()
    (package / "__init__.py").touch()
    (package / "lightmatchingengine.py").write_text(ENGINE_THAT_NEVER_TRADES)
    (about / "METADATA").write_text("Name: lightmatchingengine\nVersion: 1.0\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o700)
    given = ("--operations", "2000", "--peer-python", str(python))
    outcome = run_cli("bench", "--peers", *given, "--json")
    assert outcome.code == 1
    rows = {row["who"].split()[0]: row for row in json.loads(outcome.out)["peers"]}
    assert rows["chainperp"]["same_fills"]
    assert rows["chainperp"]["fills"] > 300
    assert rows["lightmatchingengine"]["who"] == "lightmatchingengine 1.0"
    assert not rows["lightmatchingengine"]["same_fills"]
    assert rows["lightmatchingengine"]["fills"] == 0


def test_a_peer_that_breaks_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an interpreter that is not there."""
    package = tmp_path / "pyorderbook"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('not today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InvalidFile, match=r"pyorderbook ended: .*PackageNotFoundError"):
        PeerProcess("pyorderbook", Path(sys.executable))
    with pytest.raises(InvalidFile, match="cannot be started"):
        PeerProcess("pyorderbook", tmp_path / "python")
