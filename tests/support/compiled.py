"""Tests under the compiled build: `make test-compiled` (docs/compiled.md).

Functions of compiled modules call each other directly, so a test cannot put its own function in
the place of one of theirs. Such a test is skipped, by the attempt itself: no list to keep.
"""

import sys
from typing import Any

import pytest

from chainperp import BUILD


def is_compiled(target: object) -> bool:
    """Whether an object is a compiled module or a class that one defines."""
    name = target if isinstance(target, str) else getattr(target, "__module__", None)
    if not isinstance(name, str):
        name = str(getattr(target, "__name__", ""))
    while name and name not in sys.modules:
        name = name.rpartition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return name.startswith("chainperp.") and not file.endswith(".py")


def install() -> None:
    """Let MonkeyPatch skip the test where it would change a compiled module in vain."""
    if not BUILD.modules:
        return
    setattr_before = pytest.MonkeyPatch.setattr

    def setattr_or_skip(self: pytest.MonkeyPatch, target: Any, *rest: Any, **named: Any) -> None:
        if is_compiled(target):
            pytest.skip("replaces a function inside a compiled module")
        setattr_before(self, target, *rest, **named)

    pytest.MonkeyPatch.setattr = setattr_or_skip  # type: ignore[method-assign]
