"""A node process, and the command line against it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.chain import Outcome, run_cli
from tests.support.node import running_node as started_node


@dataclass(frozen=True)
class RunningNode:
    """A node that listens."""

    url: str
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
        with started_node(scratch / "chain", *flags) as node:
            yield RunningNode(node.url, scratch)
