"""`make load`: how many signed transactions a node on this machine takes, clients included.

Everything shares two cores: the node, its recovery process and the client. Figures of one run are
to be compared with each other and with the raw recovery rate of the same run, not with other
machines.
"""

import argparse
import json
import pstats
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.load.machine import Usage, recovers_per_second, slope, usage
from tests.support.node import ROOT, NodeProcess, running_node

ACCOUNTS = 10
RATE_MAX = 3_000
BATCH = 20
BATCH_RATE_MAX = 600
MIB = 1 << 20
PROFILE_LINES = 120


class Plan(NamedTuple):
    """One run."""

    name: str
    is_ws: bool
    batch: int
    lanes: int
    window: int
    is_presigned: bool = True


PLANS = {
    "http": Plan("HTTP keep-alive, 1 order", False, 1, 32, 1),
    "ws": Plan("websocket post, 1 order", True, 1, 4, 8),
    "batch": Plan("HTTP keep-alive, 20 orders", False, BATCH, 16, 1),
    "sign": Plan("HTTP, 1 order, client signs", False, 1, 32, 1, False),
    "calm": Plan("HTTP keep-alive, 1 order, 1 lane", False, 1, 1, 1),
}


@contextmanager
def sampled(node: NodeProcess) -> Iterator[list[tuple[float, int]]]:
    """Resident bytes of the node each half second."""
    samples: list[tuple[float, int]] = []
    told = threading.Event()

    def sample() -> None:
        while not told.wait(0.5):
            samples.append((time.monotonic(), usage(node.process.pid).resident))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        told.set()
        thread.join()


def drive(node: NodeProcess, plan: Plan, seconds: float) -> tuple[dict[str, Any], float]:
    """One client process against a node; its report, and the node's growth in bytes a second."""
    rate_max = RATE_MAX if plan.batch == 1 else BATCH_RATE_MAX
    options = {
        "port": node.port,
        "seconds": seconds,
        "is_ws": plan.is_ws,
        "batch": plan.batch,
        "lanes": plan.lanes,
        "window": plan.window,
        "accounts": ACCOUNTS,
        "seed": 1,
        "presigned": int(seconds * rate_max) if plan.is_presigned else 0,
    }
    command = [sys.executable, "-m", "tests.load.client", json.dumps(options)]
    client = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    before = usage(node.process.pid)
    with sampled(node) as samples:
        out, _ = client.communicate("go\n")
    after = usage(node.process.pid)
    report: dict[str, Any] = json.loads(out)
    report["node"] = Usage(
        after.cpu - before.cpu, after.resident, after.children_cpu - before.children_cpu
    )
    return report, slope(samples)


def show(plan: Plan, report: dict[str, Any], growth: float, recovers: float) -> None:
    """One run in a few lines."""
    rate = report["good"] / report["seconds"]
    used: Usage = report["node"]
    share = 100 / report["seconds"]
    print(f"{plan.name}: {report['seconds']:.1f} s")
    orders = f" = {rate * plan.batch:.0f} orders/s" if plan.batch > 1 else ""
    print(f"  {rate:.0f} tx/s{orders}; {rate / recovers:.2f} of the raw recovery rate of one core")
    print(f"  answer p50 {report['p50_ms']:.1f} ms, p99 {report['p99_ms']:.1f} ms,"
          f" max {report['max_ms']:.0f} ms")  # fmt: skip
    print(f"  node {used.cpu * share:.0f} % of a core, recovery {used.children_cpu * share:.0f} %,"
          f" client {report['cpu'] * share:.0f} %;"
          f" {used.cpu / max(report['good'], 1) * 1e6:.0f} us of node per transaction")  # fmt: skip
    print(f"  memory {used.resident / MIB:.0f} MiB, {growth * 60 / MIB:+.1f} MiB/min,"
          f" {growth / max(rate, 1):+.0f} bytes per transaction")  # fmt: skip
    if report["bad"] or report["refusals"]:
        print(f"  not ok {report['bad']}, refused orders {report['refusals']}: {report['sample']}")


def profiled(plan: Plan, seconds: float) -> None:
    """One more run with the node under cProfile, and where its time went."""
    with TemporaryDirectory(prefix="chainperp-load-") as scratch:
        file = Path(scratch) / "profile"
        with running_node(Path(scratch) / "chain", profile=file) as node:
            drive(node, plan, seconds)
        for order in ("tottime", "cumtime"):
            stats = pstats.Stats(str(file))
            stats.sort_stats(order).print_stats(PROFILE_LINES)


def main() -> int:
    """Run what is asked for and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", choices=sorted(PLANS), nargs="*", default=list(PLANS))
    parser.add_argument("--profile", action="store_true", help="one plan under cProfile instead")
    parser.add_argument("--python", default=sys.executable, help="another interpreter's node")
    options = parser.parse_args()
    for name in options.only:
        plan = PLANS[name]
        if options.profile:
            profiled(plan, options.seconds)
            continue
        first = recovers_per_second()
        with running_node(python=options.python) as node:
            report, growth = drive(node, plan, options.seconds)
        recovers = (first + recovers_per_second()) / 2
        show(plan, report, growth, recovers)
        print(f"  raw recovery on one core: {recovers:.0f}/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
