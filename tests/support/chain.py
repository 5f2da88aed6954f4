"""A short run of the demo's chain, made once for each test process and copied by who damages it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from chainperp.cli.demo.run import Demo

ROOT = Path(__file__).resolve().parent.parent.parent
CALM_MS = 60_000
CRASH_MS = 15_000


@dataclass(frozen=True)
class DemoChain:
    """A finished chain on disk and what its maker counted."""

    path: Path
    height: int
    log_size: int
    log_root: str
    signatures: int

    def copy(self, target: Path) -> Path:
        """A copy that may be damaged."""
        shutil.copytree(self.path, target, ignore=shutil.ignore_patterns("LOCK"))
        return target


def build_chain(path: Path, seed: int) -> DemoChain:
    """Two hours in about 160 blocks: deposits, agents, quotes, trades, two funding hours."""
    demo = Demo(path, seed, calm_ms=CALM_MS, crash_ms=CRASH_MS)
    tally = demo.run(lambda done, total=None: None)
    engine = demo.sequencer.engine
    return DemoChain(
        path,
        engine.height,
        engine.frontier.size,
        engine.frontier.root().hex(),
        tally.transactions + tally.votes,
    )


@pytest.fixture(scope="session")
def demo_chain() -> Iterator[DemoChain]:
    """One chain for the whole test process."""
    with TemporaryDirectory(prefix="chainperp-test-") as scratch:
        yield build_chain(Path(scratch) / "chain", 7)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its JSON answer."""
        return json.loads(self.out)


def run_cli(
    *arguments: str,
    python: str = sys.executable,
    flags: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    text_in: str | None = None,
    cwd: Path | None = None,
) -> Outcome:
    """Run the command line in a new process, as a person does."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    done = subprocess.run(
        [python, *flags, "-m", "chainperp", *arguments],
        capture_output=True,
        text=True,
        env=variables,
        input=text_in,
        cwd=cwd,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
