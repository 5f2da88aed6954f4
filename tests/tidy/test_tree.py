"""The shipped source keeps the house rules, with a counted list of exceptions.

The list may only shrink: a number that is too high fails like one that is too low.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tidy.checker import (
    HAZARDS,
    LINES_MODULE_MAX,
    SHAPE,
    Finding,
    findings,
    function_lengths,
    module_length,
)

PACKAGE = Path(__file__).resolve().parents[2] / "chainperp"
LOW_FLOORS = ("base", "model", "parameters", "rules", "state", "transition", "evidence", "chain")
# The options of a command are its arguments; typer passes them by name.
COMMANDS = "cli/commands/"
DIVIDES = "base/rounding.py"


class Exempt(NamedTuple):
    """So many findings of a hazard in a file are known, for this reason."""

    file: str
    hazard: str
    number: int
    reason: str


EXEMPT = (
    Exempt("rules/margin.py", "division", 1, "hot spot: MRG-1 is asked for every order and fill"),
    Exempt("base/canonical.py", "recursion", 4, "depth is that of a fixed schema, at most three"),
    Exempt("model/envelope.py", "arguments", 1, "constructor of a hot noun: Envelope"),
    Exempt("model/orders.py", "arguments", 1, "constructor of a hot noun: Order"),
    Exempt("transition/matching.py", "arguments", 1, "hot loop: one match, both sides"),
    Exempt("transition/fills.py", "arguments", 1, "apply_fill is called twice for every fill"),
)


def modules() -> Iterator[tuple[str, str]]:
    """Path below the package and text of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")


def found_in(file: str, source: str) -> list[Finding]:
    """Findings of a module under the checks that hold for its floor."""
    checks = SHAPE if not file.startswith(COMMANDS) else (function_lengths,)
    if file.partition("/")[0] in LOW_FLOORS:
        checks = HAZARDS + checks
    found = findings(source, checks)
    if file == DIVIDES:
        found = [one for one in found if one.hazard != "division"]
    lines = module_length(source)
    if lines > LINES_MODULE_MAX:
        found.append(Finding(1, "long module", f"{lines} lines"))
    return found


@pytest.mark.parametrize(("file", "source"), list(modules()), ids=[file for file, _ in modules()])
def test_module_keeps_the_house_rules(file: str, source: str) -> None:
    """Nothing is found but what the counted list allows."""
    allowed = {one.hazard: one.number for one in EXEMPT if one.file == file}
    found = found_in(file, source)
    for hazard in sorted({one.hazard for one in found} | set(allowed)):
        here = [one for one in found if one.hazard == hazard]
        places = "\n".join(f"  chainperp/{file}:{one.line} {one.what}" for one in here)
        count, limit = len(here), allowed.get(hazard, 0)
        assert count <= limit, f"{hazard}: {count} found, {limit} allowed\n{places}"
        assert count == limit, f"{file} {hazard}: only {count} left, lower the number {limit}"


def test_every_exception_names_a_file_and_a_reason() -> None:
    """The list has no dead lines."""
    files = dict(modules())
    for one in EXEMPT:
        assert one.file in files
        assert one.number > 0
        assert len(one.reason) > 10


def test_packages_of_the_low_floors_exist() -> None:
    """A renamed package must not fall out of the checks."""
    for floor in LOW_FLOORS:
        assert (PACKAGE / floor / "__init__.py").is_file()
