"""`make conform`: unmodified clients against a node; prints the table, `--write FILE` keeps it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance.clients import ccxt_pro, ccxt_sync, python_reads, rust_shapes, typescript_sdk
from tests.conformance.clients.report import FAILED, Recorder, failures, markdown, not_working
from tests.support.node import NodeProcess

CLIENTS: dict[str, Callable[[NodeProcess], Recorder]] = {
    "py": python_reads.run,
    "ccxt": ccxt_sync.run,
    "pro": ccxt_pro.run,
    "ts": typescript_sdk.run,
    "rs": rust_shapes.run,
}


def judged(node: NodeProcess) -> str:
    """Stop a node; what was wrong with its end or its stderr."""
    try:
        node.stop()
    except AssertionError as error:
        node.kill()
        return str(error).strip().splitlines()[-1]
    return ""


def main() -> int:
    """Run the clients, each against a fresh node; exit 1 when a call failed."""
    parser = argparse.ArgumentParser(prog="conform", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    recorders: list[Recorder] = []
    for name in options.only:
        with TemporaryDirectory(prefix="chainperp-conform-") as scratch:
            node = NodeProcess(Path(scratch) / "chain", "--dev")
            node.wait_until_it_answers()
            try:
                recorder = CLIENTS[name](node)
            finally:
                ended = judged(node)
            if ended:
                recorder.note("node", "the node's own end", FAILED, ended)
            recorders.append(recorder)
    table = markdown(recorders)
    print(table)
    if options.write is not None:
        options.write.write_text(table)
    failed = failures(recorders)
    print(f"{len(failed)} calls failed" + "".join(f"\n  {one}" for one in failed), file=sys.stderr)
    print("first tier, not working: " + ", ".join(not_working(recorders)), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
