"""A node in a process of its own, as a person starts it, and the command line against it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.chain import ROOT, Outcome, run_cli

LISTENS = re.compile(r"listens on (http://\S+)")
START_SECONDS = 60


@dataclass(frozen=True)
class RunningNode:
    """A node that listens."""

    url: str
    process: "subprocess.Popen[str]"
    scratch: Path

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> Outcome:
        """A command whose CHAINPERP_URL is this node."""
        return run_cli(
            *arguments,
            environment={
                "CHAINPERP_URL": self.url,
                "CHAINPERP_NONCES": str(self.scratch / "nonces"),
                **(environment or {}),
            },
        )


@contextmanager
def running_node(*flags: str) -> Iterator[RunningNode]:
    """Start `chainperp node` on a free port; stop it as an operator does and expect exit 0."""
    with TemporaryDirectory(prefix="chainperp-node-") as folder:
        scratch = Path(folder)
        log = scratch / "node.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "chainperp", "node", "--port", "0", *flags],
                stderr=stream,
                stdout=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        try:
            yield RunningNode(_url(process, log), process, scratch)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _url(process: "subprocess.Popen[str]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = LISTENS.search(log.read_text())
        if found is not None:
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"the node did not start: {log.read_text()}")
