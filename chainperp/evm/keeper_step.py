"""One step of the keeper in the making, and what the bridge says about withdrawals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chainperp.evm.events import Seen
from chainperp.evm.facts import Done, KeeperReport, LedgerFacts, Pointer, Waiting
from contracts_py.bridge import Failure
from contracts_py.handle import Receipt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the bridge says about one withdrawal: its request, and how it ended if it did."""

    requested: Seen | None = None
    ended: Seen | None = None

    def is_of(self, one: Waiting) -> bool:
        """Whether the request is the ledger's, to the last field."""
        if self.requested is None:
            return False
        found = self.requested.fields
        return (one.user, one.destination, one.amount, one.entry_index) == (
            found["user"],
            found["destination"],
            found["amount"],
            found["entry_index"],
        )


class Step:
    """One step in the making: what is known by now, and what goes into the report."""

    def __init__(self, facts: LedgerFacts) -> None:
        self.facts = facts
        self.inputs: list[tuple[int, bytes]] = []
        self.notes: list[str] = []
        self.done = Done()
        self.suspects: list[Pointer] = []
        self.transfers: list[Pointer] = []
        self.claims: dict[int, Claim] = {}
        self.head: Any = None
        self.anchored_size = facts.anchored.size
        self.can_anchor = False
        self._answers: dict[str, Any] = {}

    def rotated(self, rows: list[Waiting]) -> list[Waiting]:
        """Rows that begin elsewhere with every block, so that none that fails holds up the rest."""
        at = int(self.head["number"]) % max(1, len(rows))
        return rows[at:] + rows[:at]

    def once(self, name: str, ask: Callable[[], T]) -> T:
        """What a question was answered, asked at most once in this step."""
        if name not in self._answers:
            self._answers[name] = ask()
        answer: T = self._answers[name]
        return answer

    def note(self, sentence: str) -> None:
        """Say what could not be done."""
        self.notes.append(sentence)

    def did(self, **what: Any) -> None:
        """Note what was sent."""
        self.done = replace(self.done, **what)

    def report(self) -> KeeperReport:
        """The step as it ended."""
        return KeeperReport(
            tuple(self.inputs),
            self.anchored_size,
            0 if self.head is None else int(self.head["number"]),
            self.done,
            tuple(self.notes),
            tuple(self.suspects),
            tuple(self.transfers),
        )


def batches(rows: Sequence[T], size: int) -> list[Sequence[T]]:
    """Rows in parts of at most a size."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def wids_of(done: Receipt, event: str) -> tuple[int, ...]:
    """Withdrawals for which a transaction has this event."""
    return tuple(one.fields["wid"] for one in done.events if one.name == event)


def note_failures(now: Step, what: str, done: Receipt) -> None:
    """Note the items of a batch that the bridge left out."""
    for one in done.events:
        if one.name == "Failed":
            why = Failure(one.fields["code"]).words
            now.note(f"{what} of {one.fields['wid']}: {why}")


def sentence(error: Exception) -> str:
    """An error in one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
