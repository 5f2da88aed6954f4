"""Lets the keeper work: after blocks, and while something waits that only time brings nearer.

    facts of a durable block → one step in the EVM's process → what it saw, as system inputs
      → recorded in a block → the next step

One step at a time, and none before what the last one saw is recorded: otherwise it would be seen
again. The chain never waits for any of it. What fails is said once and tried again after a growing
pause; nothing is lost by that, since the keeper finds everything again by comparing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from chainperp.base.errors import ChainperpError
from chainperp.evm.facts import Done, KeeperReport, LedgerFacts, facts_of, view_of
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import REASONS, Rejection, SystemType
from chainperp.node import evm_child
from chainperp.node.effects import Effects
from chainperp.node.evm_process import EvmProcess
from chainperp.node.producer import Producer, Stopped

Say = Callable[[str], None]

ANCHOR_INTERVAL: Final = 1_000
"""Blocks after which the log is anchored without any other need."""
STEP_SECONDS: Final = 0.25
"""At least this long from the end of a step to the next."""
POLL_SECONDS: Final = 1.0
"""How often to look while a payout or a purchase waits for its time."""
POLL_LATER_SECONDS: Final = 10.0
"""How often, once so many looks found nothing to do."""
FRUITLESS_MAX: Final = 10
PAUSE_MAX_S: Final = 60.0


class Keeping:
    """The loop of one node. Lives on the event loop's thread."""

    def __init__(
        self, producer: Producer, evm: EvmProcess, say: Say, anchor_interval: int = ANCHOR_INTERVAL
    ) -> None:
        self.producer = producer
        self.evm = evm
        self.say = say
        self.anchor_interval = anchor_interval
        self.report: KeeperReport | None = None
        """Of the last step on this chain."""
        self.trouble = ""
        """Why the last step could not be made."""
        self._due = asyncio.Event()
        self._read = asyncio.Event()
        self._looked = producer.engine.height
        self._queued: list[asyncio.Future[Effects]] = []
        self._pause = 0.0
        self._seen = (0, 0, 0)
        self._fruitless = 0
        self._task: asyncio.Task[None] | None = None
        self._steps: Counter | None = None
        evm.on_blocks.append(self._due.set)

    def register(self, registry: CollectorRegistry) -> None:
        """Figures for operators."""
        self._steps = Counter(
            "chainperp_keeper_steps", "Steps of the keeper", ("outcome",), registry=registry
        )
        for name, text, read in (
            ("chainperp_anchored_size", "Entries anchored on the EVM", self._anchored),
            ("chainperp_payouts_pending", "Withdrawals not settled", self._pending),
            ("chainperp_evm_block", "Last block of the EVM, 0 while it is not open", self._head),
        ):
            Gauge(name, text, registry=registry).set_function(read)

    def _anchored(self) -> int:
        return 0 if self.report is None else self.report.anchored_size

    def _pending(self) -> int:
        return len(self.producer.engine.state.withdrawals)

    def _head(self) -> int:
        return self.evm.head or 0

    # --- when ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. A machine that was used before may know what the ledger does not."""
        if self.evm.site() is None:
            return
        self._task = asyncio.create_task(self._run())
        if self.evm.blocks_written() or self._waits():
            self._due.set()

    def look(self, _published: object = None) -> None:
        """Notice after a block that there is something to do."""
        state = self.producer.engine.state
        seen = (state.next_wid, len(state.withdrawals), state.fund.sent)
        if self._is_anchor_due() or (seen != self._seen and self._waits()):
            self._fruitless = 0
            self._due.set()
        self._seen = seen

    def _is_anchor_due(self) -> bool:
        """Whether the log should be anchored without any other need."""
        return 0 < self.anchor_interval <= self.producer.engine.height - self._looked

    async def when_read(self) -> None:
        """Return when the contracts were read, or when there are none that could be."""
        if self.evm.blocks_written():
            await self._read.wait()

    def _waits(self) -> bool:
        """Whether a withdrawal is to be paid, or a purchase of the vault to be made."""
        state = self.producer.engine.state
        return bool(state.withdrawals) or state.fund.sent > state.fund.evm_spent

    def _poll_seconds(self) -> float | None:
        """How long until something may have become possible by time alone."""
        if not self._waits():
            return None
        return POLL_SECONDS if self._fruitless < FRUITLESS_MAX else POLL_LATER_SECONDS

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._poll_seconds())
            self._due.clear()
            outcome = await self._try()
            if self._steps is not None:
                self._steps.labels(outcome).inc()
            await asyncio.sleep(max(STEP_SECONDS, self._pause))

    async def _try(self) -> str:
        """One step, whatever comes of it; the word for it."""
        try:
            refused = await self._step()
        except Stopped:
            return "stopped"
        except Exception as fault:  # noqa: BLE001 (the chain goes on without the EVM)
            known = isinstance(fault, ChainperpError)
            self._fail(str(fault) if known else f"{type(fault).__name__}: {fault}")
            return "failed"
        if refused:
            self._fail(refused)
            return "refused"
        if self.trouble:
            self.say("the keeper works again")
        self.trouble, self._pause = "", 0.0
        return "done"

    def _fail(self, text: str) -> None:
        if text != self.trouble:
            self.say(f"the keeper cannot go on: {text}; it tries again")
        self.trouble = text
        self._pause = min(max(2 * self._pause, POLL_SECONDS), PAUSE_MAX_S)
        self._due.set()

    # --- what ------------------------------------------------------------------------------------

    async def _step(self) -> str:
        """Facts, step, inputs; why an input was refused, or nothing.

        Raises: EvmUnavailable, Stopped, StorageFault.
        """
        facts = await self._facts()
        self._looked = facts.head.height
        report: KeeperReport = await self.evm.run(evm_child.step, facts, self.anchor_interval)
        before, self.report = self.report, report
        self._read.set()
        is_idle = not report.inputs and report.done == Done()
        self._fruitless = self._fruitless + 1 if is_idle else 0
        if before is None or _asks(report) != _asks(before):
            # The next facts prove from there, and show what is asked for.
            self._due.set()
        return await self._record(report)

    async def _facts(self) -> LedgerFacts:
        """Of the last durable block; with a checkpoint of it when it is to be anchored."""
        producer = self.producer
        await producer.when_settled()
        async with producer.between_blocks():
            engine, store = producer.engine, producer.store
            waiting = engine.state.withdrawals.values()
            is_wanted = any(one.entry_index >= store.signed_size for one in waiting)
            if is_wanted or self._is_anchor_due():
                await asyncio.to_thread(store.publish)
            return await asyncio.to_thread(facts_of, engine, view_of(store), self.report)

    async def _record(self, report: KeeperReport) -> str:
        """Have everything that the step saw recorded; the first refusal's reason, or nothing."""
        self._queued = [
            self.producer.queue_system(SystemInput(SystemType(kind), body))
            for kind, body in report.inputs
        ]
        if self._queued:
            self.producer.wake()
        for (kind, _), done in zip(report.inputs, self._queued, strict=True):
            effects = await done
            if effects.code is not Rejection.ACCEPTED:
                name = SystemType(kind).name.lower().replace("_", " ")
                return f"a {name} of the EVM is refused: {REASONS[effects.code].text}"
        return ""

    # --- another chain, and the end --------------------------------------------------------------

    def leave(self) -> None:
        """Forget the chain that is left, and what of its contracts was still to be recorded: it
        must not be recorded in another. Call it between blocks."""
        waiting = self._queued
        self.producer.system = [one for one in self.producer.system if one[1] not in waiting]
        self._queued, self.report = [], None
        self._read.clear()
        self.trouble, self._pause = "", 0.0
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def arrive(self) -> None:
        """Go on with the chain that is run now. Call it between blocks."""
        self._looked = self.producer.engine.height
        self._due.clear()
        self.start()

    async def finish(self) -> None:
        """End the loop. What it was doing is found again at the next start."""
        if self._task is not None:
            # Not in the middle of a checkpoint: whoever publishes holds the blocks up.
            async with self.producer.between_blocks():
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None


def _asks(report: KeeperReport) -> tuple[object, ...]:
    """What the next facts are to begin from and to answer."""
    return report.anchored_size, report.suspects, report.transfers
