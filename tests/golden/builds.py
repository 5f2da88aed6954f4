"""The two builds give the same bytes: `python -m tests.golden.builds` (docs/compiled.md).

Each build in a process of its own: the golden chains, the standard flow, the hash of the rules.
Exit code 0 when all agree, or when there is no compiled build to compare. With `--speed` the flow
is timed instead: the builds in turn, three processes each.
"""

import json
import os
import subprocess
import sys
from hashlib import sha256
from time import perf_counter
from typing import Any

from chainperp import BUILD
from chainperp.cli.bench import stages
from chainperp.cli.bench.flow import Flow, flow_blocks, flow_engine
from chainperp.storage.package import rules_hash
from tests.golden.chains import all_chains
from tests.golden.regenerate import roots_text
from tests.support.chain import ROOT

COMPILED = ROOT / "build" / "compiled"


def flow_digest() -> str:
    """Hash over every entry of a few blocks of the standard flow, and their state root."""
    engine = flow_engine(1_000)
    found = sha256()
    for block in flow_blocks(Flow(1_000), engine, 5, 1_000):
        for entry in engine.execute(block).entries:
            found.update(entry)
    found.update(engine.commitment.commit(engine.state).state_root)
    return found.hexdigest()


def digests() -> dict[str, str]:
    """What this build makes of the golden chains and of the flow."""
    found = {"rules": rules_hash().hex(), "flow": flow_digest()}
    for golden in all_chains():
        found[golden.path.name] = sha256(roots_text(golden).encode()).hexdigest()
    return found


def run_in(path: str, wanted: str = "--one") -> dict[str, Any]:
    """The answer of a process that finds the package in this place first."""
    environment = {
        **os.environ,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join((path, str(ROOT))),
    }
    command = [sys.executable, "-m", "tests.golden.builds", wanted]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> int:
    """Compare the builds and say how it went."""
    if not COMPILED.is_dir():
        sys.stdout.write("no compiled build to compare\n")
        return 0
    pure, compiled = run_in(str(ROOT)), run_in(str(COMPILED))
    for one in (pure, compiled):
        sys.stdout.write(f"{one['build']}: {one['seconds']} s\n")
    if pure["modules"] or not compiled["modules"]:
        sys.stdout.write("not one pure and one compiled build\n")
        return 1
    same = pure["digests"] == compiled["digests"]
    for name, digest in pure["digests"].items():
        other = compiled["digests"][name]
        sys.stdout.write(f"  {name:<12}{digest[:16]} {'=' if digest == other else other[:16]}\n")
    sys.stdout.write("both builds give the same bytes\n" if same else "THE BUILDS DIFFER\n")
    return 0 if same else 1


def flow_times() -> dict[str, Any]:
    """Microseconds of processor time for an operation of the flow and for a hash, least of five."""
    hashing = stages.hash_stage()
    flow = stages.flow_stage(10_000, "standard flow", None)
    stages.freeze()
    rounds = [(flow.run(), hashing.run()) for _ in range(6)][1:]
    return {
        "build": BUILD.words,
        "flow": round(min(one for one, _ in rounds), 2),
        "hash": round(min(one for _, one in rounds), 3),
    }


def speed() -> int:
    """Time the flow in both builds, one after the other, three times."""
    for _ in range(3):
        for path in (ROOT, COMPILED):
            found = run_in(str(path), "--flow")
            sys.stdout.write(
                f"{found['build']:<24}{found['flow']:6.2f} us an operation, "
                f"{found['flow'] / found['hash']:5.1f} hashes of 200 B\n"
            )
    return 0


def one() -> None:
    """This process's own answer, as JSON."""
    start = perf_counter()
    found = digests()
    answer = {
        "build": BUILD.words,
        "modules": BUILD.modules,
        "digests": found,
        "seconds": round(perf_counter() - start, 1),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--one"]:
            one()
        case ["--flow"]:
            sys.stdout.write(json.dumps(flow_times()) + "\n")
        case ["--speed"]:
            sys.exit(speed())
        case _:
            sys.exit(main())
