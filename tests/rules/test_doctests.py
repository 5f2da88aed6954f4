"""The examples in docstrings hold: the rule book prints them, so they must be true.

They are read from the source and run against the module, compiled or not: compiled functions have
no docstrings.
"""

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "chainperp"
FOLDERS = ("base", "model", "parameters", "rules")
FILES = [
    path
    for folder in FOLDERS
    for path in sorted((PACKAGE / folder).rglob("*.py"))
    if path.stem != "__init__"
]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def examples_of(path: Path) -> list[doctest.DocTest]:
    """The examples of a module and of its functions and classes, with the module's names."""
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    names = vars(import_module(name))
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, Documented) else None
        if text:
            where = f"{name}.{getattr(node, 'name', '')}"
            found.append(doctest.DocTestParser().get_doctest(text, names, where, str(path), 0))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_examples_of_the_module_hold(path: Path) -> None:
    """Every `>>>` line gives what the line below it says."""
    for test in examples_of(path):
        result = doctest.DocTestRunner(verbose=False).run(test)
        assert result.failed == 0, f"{test.name}: {result.failed} of {result.attempted} fail"


def test_there_are_examples() -> None:
    """The finder finds them: most rules have one."""
    assert sum(len(test.examples) for path in FILES for test in examples_of(path)) >= 40
