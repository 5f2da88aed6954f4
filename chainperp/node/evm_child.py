"""What runs in the EVM's own process: the machine, its journal, the contracts, the keeper's steps.

py-evm is slow (10 to 100 ms a transaction) and web3 takes seconds to import; neither may hold up
the node's loop. Everything that comes in and goes out is plain data. No exception leaves: many of
ours cannot cross a process boundary, and one that cannot would take the process along.

One writer: the journal lies behind a lock of the kernel, which ends with the process. A child whose
node was killed lives on for a second at most; the child of the restarted node waits for its lock.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import ChainperpError, DirectoryError, Invalid
from chainperp.evm.deployment import LogName, deploy, endow, machine_genesis, plan
from chainperp.evm.facts import LedgerFacts
from chainperp.evm.keeper import Keeper, Settings
from chainperp.evm.signers import development_keys
from chainperp.model.bridge import EvmContracts
from chainperp.storage.datadir import free_lock, take_lock
from chainperp.storage.files import Files

LOCK_SECONDS: Final = 5
"""How long the child of a node that was killed may take to end."""
POLL_SECONDS: Final = 0.05
NEVER: Final = 2**63


@dataclass(frozen=True, slots=True)
class Site:
    """Which machine is meant, and what is on it."""

    directory: Path
    network: str
    contracts: EvmContracts
    "As the chain's genesis names them."
    log: LogName
    start: int
    "Second of block 0."
    wallets: tuple[bytes, ...]
    "Addresses that have ether from the beginning."
    is_dev: bool
    "Whether developers may mine."


@dataclass(frozen=True, slots=True)
class Done:
    """What a piece of work gave; or why not, in one sentence, and then `result` is None."""

    result: Any
    head: int = 0
    "Number of the machine's last block."
    failure: str = ""


class Held:
    """The machine that this process has open, with the contracts of its chain deployed."""

    def __init__(self, site: Site) -> None:
        from chainperp.evm.journal import Journal
        from chainperp.evm.provider import connect

        self.site = site
        self.now = site.start
        """Present second; each piece of work brings its own."""
        self.keys = development_keys(site.network)
        self._keeper: Keeper | None = None
        if plan(self.keys.operator_address) != site.contracts:
            raise Invalid("the contracts that this chain names are not those that a node deploys")
        Files().make_directories(site.directory)
        with ExitStack() as undo:
            lock = _wait_for_lock(site.directory)
            undo.callback(free_lock, site.directory, lock)
            genesis = machine_genesis(self.keys, site.start, site.wallets)
            self.journal = Journal.open(site.directory, genesis)
            undo.callback(self.journal.close)
            self.web3 = connect(self.journal, lambda: self.now)
            # The machine's own beginning is the time, whenever that is: deployments are alike.
            deploy(self.web3, self.keys, site.log)
            self._undo = undo.pop_all()

    def keeper(self, anchor_interval: int) -> Keeper:
        """The keeper of this machine, who remembers nothing. 0: anchors for payouts only."""
        settings = Settings(anchor_interval=anchor_interval or NEVER)
        # Made once: its handles of contracts take a third of what a step takes.
        if self._keeper is None or self._keeper.settings != settings:
            self._keeper = Keeper(
                self.web3, self.site.contracts, self.keys, lambda: self.now, settings
            )
        return self._keeper

    def close(self) -> None:
        """Let go of the file, then of the lock."""
        self._undo.close()


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

    def run(self, site: Site, now: int, work: Callable[[Held], Any]) -> Done:
        """Do a piece of work on a machine. After a fault memory and disk may differ, so the machine
        is let go of and made again from its journal by whatever comes next."""
        try:
            held = self.at(site)
            # Time on the machine never goes back, whatever the node's clock does.
            held.now = max(now, held.journal.machine.head.timestamp)
            result = work(held)
        except Exception as fault:  # noqa: BLE001 (told to whoever asked)
            self.close()
            kind = "" if isinstance(fault, ChainperpError) else f"{type(fault).__name__}: "
            return Done(None, 0, f"{kind}{fault}")
        return Done(result, held.journal.machine.head.number)


CHILD: Final = Child()


def answer(site: Site, now: int, body: bytes) -> Done:
    """The HTTP body that answers a JSON-RPC body, at a time in seconds."""
    from chainperp.evm.rpc import answer_body

    return CHILD.run(
        site, now, lambda held: answer_body(held.journal, body, held.now, is_dev=site.is_dev)
    )


def step(site: Site, now: int, facts: LedgerFacts, anchor_interval: int) -> Done:
    """The keeper's report about one step."""
    return CHILD.run(site, now, lambda held: held.keeper(anchor_interval).step(facts))


def fund(site: Site, now: int, user: bytes, amount: int) -> Done:
    """Give an address test dollars (micro-USDC) and an ether for gas; number of the last block."""

    def work(held: Held) -> int:
        endow(held.web3, held.keys, user, amount)
        return held.journal.machine.head.number

    return CHILD.run(site, now, work)
