"""What runs in the EVM's own process: the machine, its journal, and the keeper's steps.

py-evm is slow (10 to 100 ms a transaction) and web3 takes seconds to import; neither may hold up
the node's loop. Everything that comes in and goes out is plain data. No exception leaves: many of
ours cannot cross a process boundary, and one that cannot would take the process along.

One writer: the journal lies behind a lock of the kernel, which ends with the process. A child whose
node was killed lives on for a second at most; the child of the restarted node waits for its lock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import ChainperpError, DirectoryError
from chainperp.evm.machine import Genesis
from chainperp.storage.datadir import free_lock, take_lock
from chainperp.storage.files import Files

LOCK_SECONDS: Final = 5
"""How long the child of a node that was killed may take to end."""
POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Site:
    """Which machine is meant: its directory, what its block 0 is made of, and whether developers
    may mine."""

    directory: Path
    genesis: Genesis
    is_dev: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What a piece of work gave; or why not, in one sentence, and then `result` is None."""

    result: Any
    head: int = 0
    "Number of the machine's last block."
    failure: str = ""
    is_shut: bool = False
    "The machine is not open: it could not be opened, or was let go of after a fault."


class Held:
    """The machine that this process has open."""

    def __init__(self, site: Site) -> None:
        from chainperp.evm.journal import Journal

        self.site = site
        Files().make_directories(site.directory)
        self._lock = _wait_for_lock(site.directory)
        is_open = False
        try:
            self.journal = Journal.open(site.directory, site.genesis)
            is_open = True
        finally:
            if not is_open:
                free_lock(site.directory, self._lock)

    def close(self) -> None:
        """Let go of the file, then of the lock."""
        self.journal.close()
        free_lock(self.site.directory, self._lock)


def _wait_for_lock(directory: Path) -> int:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return take_lock(directory)
        except DirectoryError:
            if time.monotonic() >= end:
                raise
            time.sleep(POLL_SECONDS)


class Child:
    """What this process holds. A process has one; work comes one piece after the other."""

    def __init__(self) -> None:
        self.held: Held | None = None

    def at(self, site: Site) -> Held:
        """The machine of a site, opened now if need be; another one is closed before."""
        if self.held is not None and self.held.site != site:
            self.close()
        if self.held is None:
            self.held = Held(site)
        return self.held

    def close(self) -> None:
        """Let go of the machine."""
        if self.held is not None:
            self.held.close()
            self.held = None

    def run(self, site: Site, work: Callable[[Held], Any]) -> Done:
        """Do a piece of work on a machine. After a fault memory and disk may differ, so the machine
        is let go of and made again from its journal by whatever comes next."""
        try:
            held = self.at(site)
            result = work(held)
        except Exception as fault:  # noqa: BLE001 (told to whoever asked)
            self.close()
            kind = "" if isinstance(fault, ChainperpError) else f"{type(fault).__name__}: "
            return Done(None, 0, f"{kind}{fault}", is_shut=True)
        return Done(result, held.journal.machine.head.number)


CHILD: Final = Child()


def answer(site: Site, body: bytes, now: int) -> Done:
    """The HTTP body that answers a JSON-RPC body, at a time in seconds."""
    from chainperp.evm.rpc import answer_body

    return CHILD.run(site, lambda held: answer_body(held.journal, body, now, is_dev=site.is_dev))
