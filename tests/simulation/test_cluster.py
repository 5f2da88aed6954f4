"""A replay on a Dask cluster of real processes, one of which dies with a part in its hands.

Needs the extra `cluster` and CHAINPERP_CLUSTER=1: `make cluster`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainperp.cli.demo.forge import forge_fee
from tests.support.chain import ROOT, DemoChain, run_cli
from tests.support.static_log import static_log

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(
    os.environ.get("CHAINPERP_CLUSTER") != "1", reason="takes its time: make cluster"
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
WORKERS = 3


def start(scratch: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of the cluster."""
    command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    command += ["--scheduler-file", str(scratch / "scheduler.json")]
    return subprocess.Popen(
        command, env=ENVIRONMENT, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextmanager
def cluster(scratch: Path) -> Iterator[Any]:
    """A client of a scheduler with its workers."""
    scheduler = start(scratch, "scheduler", "--host", "127.0.0.1", "--port", "0")
    flags = ("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(scratch))
    workers = [start(scratch, *flags) for _ in range(WORKERS)]
    try:
        deadline = time.monotonic() + 60
        while not (scratch / "scheduler.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with distributed.Client(
            scheduler_file=str(scratch / "scheduler.json"), set_as_default=False
        ) as client:
            client.wait_for_workers(WORKERS, timeout=60)
            yield client
    finally:
        for one in (*workers, scheduler):
            one.kill()
            one.wait()


def replay(client: Any, place: str, *flags: str) -> subprocess.Popen[str]:
    """The command, running on the cluster."""
    address = client.scheduler.address
    command = [sys.executable, "-m", "chainperp", "replay", place, "--dask", address, "--json"]
    return subprocess.Popen([*command, *flags], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def kill_busy_worker(client: Any, pids: dict[str, int]) -> str:
    """Kill a worker that has a part in its hands; returns its address."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for address, tasks in client.processing().items():
            if tasks:
                os.kill(pids[address], signal.SIGKILL)
                return str(address)
        time.sleep(0.005)
    raise AssertionError("no worker ever had a part")


def test_a_worker_killed_in_the_middle_changes_nothing(
    demo_chain: DemoChain, tmp_path: Path
) -> None:
    """From shared storage, from tiles over HTTP, and on a forged chain: what one process says."""
    forged = demo_chain.copy(tmp_path / "forged")
    forge_fee(forged)
    local = run_cli("replay", str(demo_chain.path), "--json").document
    found_locally = run_cli("replay", str(forged), "--json").document
    with cluster(tmp_path) as client:
        pids = client.run(os.getpid)
        running = replay(client, str(demo_chain.path))
        lost = kill_busy_worker(client, pids)
        out, _ = running.communicate(timeout=120)
        assert running.returncode == 0
        assert json.loads(out) == local
        assert lost not in client.scheduler_info()["workers"]
        with static_log(demo_chain.path) as url:
            served = replay(client, url)
            out, _ = served.communicate(timeout=120)
        assert {**json.loads(out), "notes": []} == local
        running = replay(client, str(forged))
        out, _ = running.communicate(timeout=120)
        assert running.returncode == 1
        assert json.loads(out) == found_locally
