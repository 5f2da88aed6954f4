"""Real winners of 10 October 2025: 72 published allocations, reproduced hash for hash.

The tables are under a licence of their own and stay where they are, beside the checkout; without
them the test is skipped. Inputs, rounding and tie-breaks: adl-and-scenarios 8.4.
"""

import csv
import hashlib
import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from chainperp.rules.adl.choose import allocate, policy_named
from chainperp.rules.adl.policy import Candidate, Round
from tests.support.adl import gini

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "oct10" / "gpl3"
TABLE = FOLDER / "adl_by_user_half.csv"
EXPECTED = FOLDER / "expected_allocation_half.json"
RUNS = 72

pytestmark = pytest.mark.skipif(
    not (TABLE.is_file() and EXPECTED.is_file()), reason="the October tables are not beside us"
)


def micro(text: str) -> int:
    """Whole micro-USD of a number in the table, rounded down."""
    scaled = Decimal(text) * 1_000_000
    return int(scaled.to_integral_value(rounding="ROUND_FLOOR"))


@cache
def winners() -> tuple[dict[str, Any], ...]:
    """Accounts with a positive closed profit, by address."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if Decimal(row["closed_pnl"]) > 0]
    return tuple(
        {
            "key": row["user"].encode(),
            "w": micro(row["closed_pnl"]),
            "e": max(0, micro(row["account_value_realtime"])),
            "n": micro(row["adl_notional"]),
        }
        for row in sorted(rows, key=lambda row: row["user"])
    )


@cache
def candidates(exempt_top: int) -> list[Candidate]:
    """Candidates of a run; the largest winners are exempt."""
    ranked = sorted(winners(), key=lambda row: (-row["w"], row["key"]))
    exempt = {row["key"] for row in ranked[:exempt_top]}
    return [
        Candidate(
            row["key"],
            1,
            entry_notional=row["n"],
            notional=row["n"],
            account_value=row["e"],
            pnl=row["w"],
            exempt=row["key"] in exempt,
        )
        for row in winners()
    ]


@cache
def expected() -> dict[str, Any]:
    """The published runs."""
    found: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def test_inputs_are_those_of_the_published_runs() -> None:
    """Number and sums of the winners' profits and capacities."""
    head = expected()
    caps = [min(row["w"], row["e"]) for row in winners()]
    assert len(winners()) == head["n_winners"]
    assert sum(row["w"] for row in winners()) == head["sum_w"]
    assert sum(caps) == head["sum_cap"]
    assert sum(1 for cap in caps if cap > 0) == head["n_cap_pos"]
    assert len(head["runs"]) == RUNS


@pytest.mark.parametrize("number", range(RUNS))
def test_allocation_is_the_published_one(number: int) -> None:
    """Same amount for every account, and same summary."""
    run = expected()["runs"][number]
    rows = candidates(run["exempt_top"])
    answer = allocate(
        policy_named(run["policy"]), Round(seed=bytes(32), budget=run["budget"]), rows
    )
    takes = answer.takes
    text = "".join(f"{one.key.decode()},{take}\n" for one, take in zip(rows, takes, strict=True))
    assert hashlib.sha256(text.encode()).hexdigest() == run["sha256"]
    assert sum(takes) == run["total"]
    assert answer.shortfall == run["shortfall"]
    assert sum(1 for take in takes if take) == run["n_hit"]
    assert max(takes) == run["max_single"]
    assert sum(sorted(takes)[-10:]) == run["top10"]
    hit = [(one, take) for one, take in zip(rows, takes, strict=True) if take]
    assert sum(1 for one, take in hit if take == min(one.pnl, one.account_value)) == run["n_full"]
    assert max(take * 10**9 // one.account_value for one, take in hit) == run["max_pct_ppb"]
    # What is left of the capacity; that of an exempt account counts as none.
    survivors = [cap - take for cap, take in zip(answer.weights, takes, strict=True)]
    assert max(survivors) == run["survivor_max"]
    numerator, denominator = gini(takes)
    assert abs(numerator / denominator - run["gini"]) < 1e-9
