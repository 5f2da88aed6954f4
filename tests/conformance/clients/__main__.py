"""`make conform`: unmodified clients against a node; prints the table, `--write FILE` keeps it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conformance.clients import ccxt_pro, ccxt_sync, python_reads, typescript_sdk
from tests.conformance.clients.report import Recorder, failures, markdown
from tests.support.node import NodeProcess, running_node

CLIENTS: dict[str, Callable[[NodeProcess], Recorder]] = {
    "py": python_reads.run,
    "ccxt": ccxt_sync.run,
    "pro": ccxt_pro.run,
    "ts": typescript_sdk.run,
}


def main() -> int:
    """Run the clients, each against a fresh node; exit 1 when a call failed."""
    parser = argparse.ArgumentParser(prog="conform", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    recorders: list[Recorder] = []
    for name in options.only:
        with running_node() as node:
            recorders.append(CLIENTS[name](node))
    table = markdown(recorders)
    print(table)
    if options.write is not None:
        options.write.write_text(table)
    failed = failures(recorders)
    print(f"{len(failed)} calls failed" + "".join(f"\n  {one}" for one in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
