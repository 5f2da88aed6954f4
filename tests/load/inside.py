"""Where the time of a signed order goes inside a node, without HTTP: `python -m tests.load.inside`.

Runs the pipeline and raw recovery in turn and prints both rates, the processor time of the node's
own process and of its pool, and with --profile the functions of the node's own process.
"""

import argparse
import cProfile
import pstats
import sys
import time

from chainperp import BUILD
from chainperp.cli.bench.pipeline import CORES, TOGETHER, Pipeline, Spent
from chainperp.cli.bench.two_cores import raw_rate

PROFILE_LINES = 70


def show(name: str, spent: Spent) -> None:
    """One run in a line."""
    used = spent.own + spent.children
    print(f"{name:<24} {spent.wall:7.1f} us on the clock; processor {used:6.1f} us"
          f" = {spent.own:5.1f} own + {spent.children:5.1f} pool;"
          f" {used / spent.wall:4.2f} cores busy")  # fmt: skip


def main() -> int:
    """Run what is asked for and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.load.inside", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=CORES)
    parser.add_argument("--together", type=int, default=TOGETHER)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(BUILD.words)
    pipeline = Pipeline(options.count)
    if options.profile:
        profile = cProfile.Profile(time.thread_time)
        profile.enable()
        pipeline.run(options.processes, options.together)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(PROFILE_LINES)
        return 0
    for _ in range(options.rounds):
        raw, spent = raw_rate(CORES), pipeline.run(options.processes, options.together)
        show("raw recovery", Spent(raw.wall_us, 0.0, raw.processor_us))
        show("inside a node", spent)
        processor = raw.processor_us / (spent.own + spent.children)
        print(f"  of the raw rate: {raw.wall_us / spent.wall:.2f} on the clock,"
              f" {processor:.2f} by processor time")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
