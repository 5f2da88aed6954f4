"""The examples in docstrings hold: the rule book prints them, so they must be true."""

import doctest
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "chainperp"
FOLDERS = ("base", "model", "parameters", "rules")
MODULES = [
    import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    for folder in FOLDERS
    for path in sorted((PACKAGE / folder).rglob("*.py"))
    if path.stem != "__init__"
]


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_examples_of_the_module_hold(module: ModuleType) -> None:
    """Every `>>>` line gives what the line below it says."""
    result = doctest.testmod(module)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail"


def test_there_are_examples() -> None:
    """The finder finds them: most rules have one."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(len(test.examples) for module in MODULES for test in finder.find(module))
    assert found >= 40
