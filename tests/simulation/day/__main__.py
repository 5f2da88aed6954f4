"""Make the day, replay it and audit it with the commands that anybody has, and print what it took.

python -m tests.simulation.day [--accounts 1000] [--block-ms 20000] [--dir D] [--jobs 2]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulation.day.chain import Day

LIMIT_S = 300


def timed(*arguments: str) -> float:
    """Run a command of the package; its answer is printed. Ends the program when it fails."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "chainperp", *arguments], check=False)
    if done.returncode:
        sys.exit(f"chainperp {arguments[0]} failed")
    return time.monotonic() - began


def main() -> None:
    """The whole measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--block-ms", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dir", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="chainperp-day-") as folder:
        path = given.dir or Path(folder) / "chain"
        began = time.monotonic()
        day = Day(path, given.seed, given.accounts, given.block_ms)
        day.run()
        print(f"made {day.blocks} blocks in {time.monotonic() - began:.0f} s")
        for name, count in sorted(day.tally.items()):
            print(f"  {count:9,} {name}")
        replay = timed("replay", str(path), "--jobs", str(given.jobs))
        audit = timed("audit", str(path), "--jobs", str(given.jobs))
        print(f"replay {replay:.0f} s, audit {audit:.0f} s, together {replay + audit:.0f} s")
        if replay + audit > LIMIT_S:
            sys.exit(f"slower than {LIMIT_S} s")


if __name__ == "__main__":
    main()
