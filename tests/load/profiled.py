"""A node under cProfile: `python -m tests.load.profiled FILE node …`; writes FILE when it ends."""

import cProfile
import sys
import time

from chainperp.cli.main import run


def main() -> None:
    """Run the command line that stands behind the file's name."""
    path = sys.argv.pop(1)
    # CPU time: what other processes take does not count.
    profile = cProfile.Profile(time.process_time)
    try:
        profile.runcall(run)
    finally:
        profile.dump_stats(path)


if __name__ == "__main__":
    main()
