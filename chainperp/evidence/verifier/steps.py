"""What a verification did, step by step, and what it found; a yes never hides an unchecked step."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

OK: Final = "ok"
NOT_CHECKED: Final = "not checked"
FAILED: Final = "FAILED"


class Step(NamedTuple):
    """One check: its name, `ok`, `not checked` or `FAILED`, and the values that were compared."""

    name: str
    result: str
    detail: str


class Sentence(NamedTuple):
    """One statement that the proof makes: its words, and the rule behind it, or nothing."""

    text: str
    rule: str


@dataclass(slots=True)
class Verdict:
    """The answer to a proof file. `holds` is true when no step failed."""

    kind: str
    steps: list[Step] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every step that was performed succeeded."""
        return bool(self.steps) and all(step.result != FAILED for step in self.steps)

    @property
    def failed(self) -> Step | None:
        """The step that failed."""
        return next((step for step in self.steps if step.result == FAILED), None)

    @property
    def not_checked(self) -> list[Step]:
        """Steps that were not performed."""
        return [step for step in self.steps if step.result == NOT_CHECKED]


class Steps:
    """Collects steps. `begin` names the one at work, so that an error says where it happened."""

    __slots__ = ("current", "verdict")

    def __init__(self, kind: str) -> None:
        self.verdict = Verdict(kind)
        self.current = "form of the file"

    def begin(self, name: str) -> None:
        """Start a step."""
        self.current = name

    def done(self, detail: str = "") -> None:
        """The step at work succeeded."""
        self.verdict.steps.append(Step(self.current, OK, detail))

    def skip(self, why: str) -> None:
        """The step at work was not performed, for a reason that the reader is told."""
        self.verdict.steps.append(Step(self.current, NOT_CHECKED, why))

    def fail(self, reason: str) -> Verdict:
        """The step at work failed: the end of the verification."""
        self.verdict.steps.append(Step(self.current, FAILED, reason))
        self.verdict.sentences = []
        return self.verdict

    def say(self, text: str, rule: str = "") -> None:
        """Add a statement that the checked steps support."""
        self.verdict.sentences.append(Sentence(text, rule))
