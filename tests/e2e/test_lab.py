"""The lab from the command line, and the designer's guide executed word for word."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.compare import compared
from chainperp.lab.runner import RunTerms, read_result, run_all
from chainperp.lab.scenario import find_scenario
from tests.support.chain import ROOT, DemoChain, Outcome, run_cli

GUIDE = (ROOT / "docs" / "guide" / "designer.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+) ([\w./-]+)\n(.*?)```", re.DOTALL)
BLOCKS = {name: text for _, name, text in BLOCK.findall(GUIDE)}


def run_in(folder: Path, *arguments: str) -> Outcome:
    """The command line of the package that lies in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "chainperp", *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_guide_adds_a_policy_and_sees_it(tmp_path: Path) -> None:
    """The file and the row of the guide, in a copy of the package; then its own command."""
    shutil.copytree(ROOT / "chainperp", tmp_path / "chainperp",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    for name in ("my-shock.toml", "chainperp/rules/adl/largest.py"):
        (tmp_path / name).write_text(BLOCKS[name], encoding="utf-8")
    table = tmp_path / "chainperp" / "rules" / "adl" / "choose.py"
    text = table.read_text(encoding="utf-8")
    head = "from chainperp.rules.adl.policy import ("
    imported = re.findall(r"`(from chainperp\.rules\.adl\.largest import \w+)`", GUIDE)[0]
    text = text.replace(head, f"{imported}\n{head}", 1)
    last = text.index("\n)\nBY_NAME")
    table.write_text(text[:last] + "\n" + BLOCKS["row"].rstrip() + text[last:], encoding="utf-8")
    command = re.findall(r"chainperp (lab compare \S+ --policies \S+largest_first)", GUIDE)[0]
    done = run_in(tmp_path, *command.split(), "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["rows"]
    assert [row["policy"] for row in rows] == [
        "P1 hyperliquid", "P6 pro_rata_pnl", "P13.2 largest_first",
    ]  # fmt: skip
    hits = [row["accounts hit"] for row in rows]
    assert hits[2] < hits[1], "the largest are fewer than all"


def test_guide_shock_problem_and_commands(tmp_path: Path) -> None:
    """The other files of the guide are accepted, and every command in it exists."""
    for name in ("my-shock.toml", "problem.json"):
        (tmp_path / name).write_text(BLOCKS[name], encoding="utf-8")
    plain = run_cli("lab", "compare", str(tmp_path / "my-shock.toml"), "--json").document["rows"]
    spared = run_cli("lab", "compare", str(tmp_path / "my-shock.toml"), "--exempt", "2", "--json")
    assert len(plain) == 3
    assert spared.document["rows"] != plain
    assert run_cli(
        "lab", "allocate", str(tmp_path / "problem.json"), str(tmp_path / "answer.json")
    ).code == 0  # fmt: skip
    runs = json.loads((tmp_path / "answer.json").read_text(encoding="utf-8"))["runs"]
    assert [run["total"] for run in runs] == [20_000_000] * 6
    offered = set(re.findall(r"^  (\w+) ", run_cli("lab", "--help").out, re.MULTILINE))
    assert set(re.findall(r"chainperp lab (\w+)", GUIDE)) <= offered


def test_a_run_is_the_same_bytes_twice(tmp_path: Path) -> None:
    """A study and a shock with one process and with two, chains and all; the pages again from the
    results; the command line has the same bytes."""
    shock = tmp_path / "my-shock.toml"
    shock.write_text(BLOCKS["my-shock.toml"], encoding="utf-8")
    for out, jobs in (("one", 1), ("two", 2)):
        run_all([find_scenario("S9"), shock], tmp_path / out, RunTerms(True, jobs))
    first = files(tmp_path / "one")
    assert first == files(tmp_path / "two")
    assert {
        "S9/result.json", "S9/report.html", "S9/tables/worlds.csv", "index.html",
        "my-shock/figures/lorenz.svg", "my-shock/chains/p6/log/checkpoint",
    } <= set(first)  # fmt: skip
    assert run_cli("lab", "run", str(shock), "--quick", "--out", str(tmp_path / "cli")).code == 0
    alone = {name: raw for name, raw in files(tmp_path / "cli").items() if "/" in name}
    assert alone == {name: raw for name, raw in first.items() if name.startswith("my-shock/")}
    for name in ("S9/report.html", "index.md", "my-shock/figures/lorenz.svg"):
        (tmp_path / "one" / name).unlink()
    assert run_cli("lab", "report", str(tmp_path / "one")).code == 0
    assert files(tmp_path / "one") == first


def files(folder: Path) -> dict[str, bytes]:
    """All files by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_list_names_all_twelve_studies() -> None:
    """S1 to S12, each with claims."""
    rows = run_cli("lab", "list", "--json").document["scenarios"]
    found = {row["name"]: row["claims"] for row in rows}
    assert all(found[f"S{number}"] for number in range(1, 13))
    tested = {claim for claims in found.values() for claim in claims}
    assert tested == {f"C{number}" for number in range(1, 23)}


def test_what_is_refused(tmp_path: Path) -> None:
    """Exit 2 and a sentence; 3 for a file that is not there."""
    done = run_cli("lab", "run", "S99")
    assert done.code == 2
    assert "S99: is no scenario file and no built-in scenario: there are S1, S2" in done.err
    assert run_cli("lab", "run", str(tmp_path / "no.toml")).code == 3
    with pytest.raises(BadRequest, match=r"S2\.toml: is the study S2, only shocks can be compared"):
        compared("S2", None, None, 1, lambda _: None)
    with pytest.raises(BadRequest, match='--policies: "P99" is no policy'):
        compared("shock-gap", ["P99"], None, 1, lambda _: None)
    with pytest.raises(NotFound, match=r"result\.json: No such file or directory"):
        read_result(tmp_path)


def test_counterfactual_replay_of_a_recorded_chain(demo_chain: DemoChain) -> None:
    """The recorded world comes out again; another policy closes others; the total of a policy that
    takes money is the deficit."""
    done = run_cli("lab", "replay", str(demo_chain.path), "--policies", "P6,P12", "--json")
    assert done.code == 0, done.err
    recorded, money, chance = done.document["worlds"]
    assert recorded["recorded"]
    assert not money["recorded"]
    assert recorded["state_root"] != chance["state_root"] != money["state_root"]
    assert recorded["paid"] != chance["paid"]
    assert sum(money["paid"].values()) < sum(recorded["paid"].values())
    assert {world["below_zero"] for world in done.document["worlds"]} == {0}
    refused = run_cli("lab", "replay", str(demo_chain.path), "--height", "1")
    assert refused.code == 2
    assert "block 1 has no round" in refused.err


@pytest.mark.skipif("CHAINPERP_LONG" not in os.environ, reason="CHAINPERP_LONG runs all studies")
def test_all_studies_quickly_and_twice(tmp_path: Path) -> None:
    """The whole quick set: same bytes with one process and two."""
    for out, jobs in (("one", "1"), ("two", "2")):
        done = run_cli("lab", "run", "all", "--quick", "--jobs", jobs, "--out", str(tmp_path / out))
        assert done.code == 0, done.err
    assert files(tmp_path / "one") == files(tmp_path / "two")
