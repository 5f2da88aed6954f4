"""Runs the stages in interleaved rounds and reports medians, minima and ratios."""

import json
import platform
from pathlib import Path
from statistics import median
from typing import Any

from chainperp import BUILD, __version__
from chainperp.base.errors import InvalidFile
from chainperp.cli.bench import stages
from chainperp.cli.bench.adl import adl_stage
from chainperp.cli.bench.chain import chain_stages
from chainperp.cli.bench.peers import peer_stages
from chainperp.cli.bench.pipeline import pipeline_stage
from chainperp.cli.bench.proofs import proof_stages, round_check_stage
from chainperp.cli.bench.quotes import quote_stages
from chainperp.cli.bench.replaying import replay_stages
from chainperp.cli.bench.sweep import sweep_stages
from chainperp.cli.output import Progress


def measure(rounds: int, quick: bool, step: Progress, python: Path) -> dict[str, Any]:
    """Measure every stage: one warm-up round, then `rounds` interleaved ones. `python` is the
    interpreter that may have peers."""
    listed = prepare(quick, python)
    stages.freeze()
    results: dict[str, list[float]] = {stage.name: [] for stage in listed}
    for number in range(rounds + 1):
        for stage in listed:
            value = stage.run()
            if number:
                results[stage.name].append(value)
        step(number, rounds)
    rows = []
    for stage in listed:
        values = results[stage.name]
        middle = median(values)
        reference = median(results[stage.reference])
        rows.append(
            {
                "stage": stage.name,
                "unit": stage.unit,
                "median": round(middle, 3),
                "least": round(min(values), 3),
                "budget": stage.budget,
                "reference": stage.reference,
                "ratio": round(middle / reference, 3),
                "within": None if stage.budget is None else middle <= stage.budget,
            }
        )
    return {
        "ok": all(row["within"] is not False for row in rows),
        "version": __version__,
        "build": BUILD.words,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rounds": rounds,
        "quick": quick,
        "stages": rows,
    }


def prepare(quick: bool, python: Path) -> list[stages.Stage]:
    """All stages with their worlds built."""
    accounts = 2_000 if quick else 10_000
    large = 10_000 if quick else 100_000
    curve = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    return [
        *stages.crypto_stages(),
        *chain_stages(),
        *replay_stages(4_000 if quick else 100_000),
        pipeline_stage(4_000 if quick else 20_000),
        stages.hash_stage(),
        stages.flow_stage(1_000, "standard flow, 1k accounts", None),
        stages.flow_stage(accounts, f"standard flow, {accounts // 1000}k accounts", 25.0),
        stages.flow_stage(large, f"standard flow, {large // 1000}k accounts", None),
        *peer_stages(python),
        stages.commit_stage(large),
        stages.durable_stage(),
        adl_stage(1_000 if quick else 10_000),
        round_check_stage(1_000 if quick else 10_000),
        *quote_stages(),
        *proof_stages(large, 100_000 if quick else 1_000_000),
        *(stage for size in curve for stage in sweep_stages(size)),
    ]


def save_history(path: Path, document: dict[str, Any]) -> None:
    """Append a result to a JSON Lines file, for comparing builds."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document) + "\n")


def last_of(path: Path) -> dict[str, Any]:
    """The last result in a history. Raises InvalidFile when there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found: dict[str, Any] = json.loads(lines[-1])
    except (OSError, IndexError, ValueError) as error:
        raise InvalidFile(f"{path} holds no earlier result: {error}") from error
    return found


def compare(before: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    """Stages of two results side by side. `change` is the quotient of their ratios to the
    reference, each of its own run: below 1 is faster, whatever machine was busier."""
    known = {row["stage"]: row for row in before["stages"]}
    return [
        {"stage": row["stage"], "before": known[row["stage"]]["ratio"], "now": row["ratio"],
         "change": round(row["ratio"] / known[row["stage"]]["ratio"], 3)}
        for row in now["stages"]
        if row["stage"] != row["reference"] and known.get(row["stage"], {}).get("ratio")
    ]  # fmt: skip
