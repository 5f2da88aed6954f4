"""Run the command line: `chainperp`, or `python -m chainperp`.

Where the packages of the full command line are not installed, the bare one does what an auditor
needs: replay, verify, fsck.
"""

import importlib.util
import sys


def main() -> None:
    """Start the full command line, or the bare one."""
    if importlib.util.find_spec("typer") is None:
        from chainperp.cli.bare import run as run_bare

        sys.exit(run_bare(sys.argv[1:]))
    from chainperp.cli.main import run

    run()


if __name__ == "__main__":
    main()
