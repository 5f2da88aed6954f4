"""`lab allocate`: the reference's five winners, summaries, own caps, and what is refused."""

import json
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.allocation import LINEAR, SCORED, document, exempted, solve
from chainperp.lab.metrics import gini, herfindahl, majorises, rank_breaks, top_share
from chainperp.lab.problem import LISTED, Problem, Run, Winner, find_policy, read_problem

ROWS = (
    ("a", 50, 400, 500),
    ("b", 30, 40, 300),
    ("c", 12, 30, 60),
    ("d", 6, 8, 90),
    ("e", 2, 10, 4),
)
USD = 10**6
# adl-and-scenarios 13: budget, exempt, policy, takes of a to e.
VECTORS: tuple[tuple[int, int, str, list[int]], ...] = (
    (20_000_000, 0, "queue_profit", [20000000, 0, 0, 0, 0]),
    (20_000_000, 0, "queue_pnl_x_leverage", [0, 14000000, 0, 6000000, 0]),
    (20_000_000, 0, "pro_rata_pnl", [10000000, 6000000, 2400000, 1200000, 400000]),
    (20_000_000, 0, "pro_rata_equity", [16393443, 1639344, 1229508, 327869, 409836]),
    (20_000_000, 0, "rap_linear", [607192, 13115353, 373059, 5901909, 2487]),
    (20_000_000, 0, "quadratic", [13950893, 5022321, 803571, 200893, 22322]),
    (20_000_000, 0, "random", [20000000, 0, 0, 0, 0]),
    (20_000_000, 1, "pro_rata_pnl", [0, 12000000, 4800000, 2400000, 800000]),
    (20_000_000, 1, "pro_rata_equity", [0, 9230769, 6923077, 1846154, 2000000]),
    (20_000_000, 1, "rap_linear", [0, 13610282, 387137, 6000000, 2581]),
    (20_000_000, 1, "random", [0, 0, 12000000, 6000000, 2000000]),
    (33_333_333, 0, "pro_rata_pnl", [16666666, 10000000, 4000000, 2000000, 666667]),
    (33_333_333, 0, "pro_rata_equity", [27322404, 2732241, 2049180, 546448, 683060]),
    (33_333_333, 0, "rap_linear", [1177222, 25428003, 723286, 6000000, 4822]),
    (33_333_333, 0, "quadratic", [23251488, 8370536, 1339286, 334821, 37202]),
    (70_000_000, 0, "queue_profit", [50000000, 20000000, 0, 0, 0]),
    (70_000_000, 0, "queue_pnl_x_leverage", [22000000, 30000000, 12000000, 6000000, 0]),
    (70_000_000, 0, "pro_rata_equity", [50000000, 9230769, 6923077, 1846154, 2000000]),
    (70_000_000, 0, "rap_linear", [21910256, 30000000, 12000000, 6000000, 89744]),
    (70_000_000, 0, "quadratic", [48828125, 17578125, 2812500, 703125, 78125]),
    *((70_000_000, 1, name, [0, 30000000, 12000000, 6000000, 2000000]) for name in LISTED),
)
GINI = {
    "queue_profit": 0.8,
    "queue_pnl_x_leverage": 0.68,
    "pro_rata_pnl": 0.48,
    "pro_rata_equity": 0.667213,
    "rap_linear": 0.635092,
    "quadratic": 0.653571,
}


def tree(**changes: Any) -> dict[str, Any]:
    """The five winners as a problem."""
    return {
        "candidates": [
            {"id": name, "w": w * USD, "e": e * USD, "n": n * USD} for name, w, e, n in ROWS
        ],
        "runs": [{"budget": 20 * USD}],
        **changes,
    }


def problem(folder: Path, given: object) -> Problem:
    """A problem read from a file."""
    path = folder / "problem.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given), encoding="utf-8")
    return read_problem(path)


@pytest.mark.parametrize(("budget", "exempt", "name", "takes"), VECTORS)
def test_vectors_of_the_reference(
    tmp_path: Path, budget: int, exempt: int, name: str, takes: list[int]
) -> None:
    """Every amount, the hash over them, and the shortfall."""
    runs = [{"budget": budget, "exempt_top": exempt, "policy": name}]
    [run] = document(problem(tmp_path, tree(runs=runs)))["runs"]
    lines = "".join(f"{key},{take}\n" for key, take in zip("abcde", takes, strict=True))
    assert run["sha256"] == sha256(lines.encode()).hexdigest()
    assert (run["total"], run["shortfall"]) == (sum(takes), budget - sum(takes))


def test_gini_of_the_reference(tmp_path: Path) -> None:
    """Six values at 20 million."""
    found = document(problem(tmp_path, tree(policies=list(GINI))))["runs"]
    assert {run["policy"]: pytest.approx(run["gini"], abs=1e-6) for run in found} == GINI


def test_summary_by_hand(tmp_path: Path) -> None:
    """One run whose figures are worked out here: a exempt, d and e and c and b all full."""
    runs = [{"budget": 70 * USD, "exempt_top": 1, "policy": "P6"}]
    [run] = document(problem(tmp_path, tree(runs=runs)))["runs"]
    assert (run["n_hit"], run["n_full"], run["max_single"]) == (4, 4, 30 * USD)
    assert run["max_pct_ppb"] == 750_000_000  # 30 of 40
    assert (run["survivor_max"], run["top10"]) == (0, 50 * USD)


def test_candidates_in_any_order_and_as_lists(tmp_path: Path) -> None:
    """Columns instead of objects, from the last to the first: the same hashes."""
    lists = [
        [name, w * USD, e * USD, n * USD, min(w, e) * USD, n * USD // e]
        for name, w, e, n in reversed(ROWS)
    ]
    plain = document(problem(tmp_path, tree()))["runs"]
    assert document(problem(tmp_path, tree(candidates=lists)))["runs"] == plain
    assert [run["policy"] for run in plain] == list(LISTED)


def test_own_caps_agree_with_the_rules(tmp_path: Path) -> None:
    """The route for caps of one's own gives the rules' answer where both apply: it is forced by
    one more candidate, from whom nothing is to be had and whose leverage is made up."""
    stranger = Winner("z", 0, 0, 0, 0, 7)
    for budget, exempt in ((20 * USD, 0), (33_333_333, 1), (70 * USD, 1), (1, 0)):
        given = problem(tmp_path, tree(runs=[{"budget": budget}]))
        winners = exempted(given.winners, exempt)
        for name in (*LINEAR, *SCORED):
            run = Run(find_policy("", name), budget, exempt)
            rules = solve(run, winners, given.seed, "")
            own = solve(run, [*winners, stranger], given.seed, "")
            assert [*rules.takes, 0] == own.takes, name
            assert rules.shortfall == own.shortfall


def test_own_cap_is_kept(tmp_path: Path) -> None:
    """A cap below profit and equity limits the take; who has no equity ranks last by leverage."""
    rows = tree()["candidates"]
    rows[0]["cap"] = 10 * USD
    given = tree(candidates=rows, policies=["pro_rata_notional"])
    [run] = document(problem(tmp_path, given))["runs"]
    assert (run["total"], run["n_full"]) == (20 * USD, 1)
    with pytest.raises(BadRequest, match=r"candidates \(id a\): cap or lam .* vega does not read"):
        document(problem(tmp_path, tree(candidates=rows, policies=["vega"])))


BAD: tuple[tuple[object, str], ...] = (
    ("{", r"problem\.json: line 1, column 2: no JSON"),
    ([], r"problem\.json: is \[\], must be an object"),
    (tree(policies=["P99"]), r'policies\[0\]: "P99" is no policy: there are P0 market_unwind'),
    (tree(policies=["P1"]), r'policies\[0\]: "P1" hands out lots'),
    (tree(runs=[{"budget": -1}]), r"runs\[0\]\.budget: was -1, input should be greater"),
    (
        tree(runs=[{"budget": 1.5}]),
        r"runs\[0\]\.budget: was 1.5, must be a whole number \(amounts are micro-USD",
    ),
    (tree(runs=[{"budget": "1"}]), r'runs\[0\]\.budget: was "1"'),
    (tree(runs=[{}]), r"runs\[0\]\.budget: is missing"),
    (tree(runs=[{"budget": 1, "exempt_top": 6}]), r"exempt_top: was 6, there are 5 candidates"),
    (tree(runs=[{"budget": 1, "policy": "x"}]), r'runs\[0\]\.policy: "x" is no policy'),
    (tree(runs=[{"budget": 1, "colour": 1}]), r"runs\[0\]\.colour: is not a known field"),
    (tree(seed="zz"), r'seed: was "zz", must be hexadecimal'),
    (tree(seed="00"), r"seed: has 1 bytes, must have 32"),
    (tree(candidates=[["a", 1]]), r"candidates\[0\]: has 2 columns, must be id, w, e, n, cap, lam"),
    (tree(candidates=[{"id": "a", "w": 1, "e": 1}]), r"candidates\[0\]\.n: is missing"),
    (tree(candidates=[["a", 1, 1, 1, 2, 0]]), r"candidates\[0\]\.cap: was 2, must not exceed w, 1"),
    (tree(candidates=[["a,", 1, 1, 1, 1, 0]]), r"candidates\[0\]\.id: was \"a,\""),
    (
        tree(candidates=[["a", 1, 1, 1, 1, 0], ["a", 2, 1, 1, 1, 0]]),
        r'candidates\[1\]\.id: "a" stands in candidates\[0\] already',
    ),
)


@pytest.mark.parametrize(("given", "sentence"), BAD)
def test_what_is_refused(tmp_path: Path, given: object, sentence: str) -> None:
    """One sentence with file, row and field."""
    with pytest.raises(BadRequest, match=sentence):
        document(problem(tmp_path, given))


def test_missing_file_and_infeasible_budget(tmp_path: Path) -> None:
    """A file that is not there is not found; a shortfall is an answer unless it must not be."""
    with pytest.raises(NotFound, match=r"no\.json: No such file"):
        read_problem(tmp_path / "no.json")
    given = problem(tmp_path, tree(runs=[{"budget": 101 * USD, "policy": "P6"}]))
    assert document(given)["runs"][0]["shortfall"] == USD
    with pytest.raises(BadRequest, match=r"runs\[0\]\.budget: was 101000000, pro_rata_pnl can"):
        document(given, require_feasible=True)


def test_measures_by_hand() -> None:
    """Empty and flat cases, and a slow second count of rank breaks."""
    assert gini([]) == gini([0, 0]) == herfindahl([0]) == top_share([0], 1) == Fraction(0)
    assert majorises([4, 4, 4], [12, 0, 0]) == "fairer"
    have, takes = [9, 7, 7, 5, 5, 1, 0], [9, 0, 3, 0, 1, 0, 0]
    slow = sum(
        have[i] > have[j] and have[i] - takes[i] < have[j] - takes[j]
        for i in range(7)
        for j in range(7)
    )
    assert rank_breaks(have, takes) == slow == 6
