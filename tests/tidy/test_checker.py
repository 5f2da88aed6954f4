"""The checker reports each hazard once it is there, and stays silent about honest code."""

import pytest

from tests.tidy.checker import HAZARDS, SHAPE, findings

BAD = {
    "float": ["x = 1.5", "x = float(3)", "from math import exp", "def f(x: float): ..."],
    "/": ["x = 3 / 2", "x /= 2"],
    "round": ["x = round(y)"],
    "hash": ["x = hash(y)", "rows.sort(key=hash)"],
    "id": ["x = id(y)"],
    "print": ["print(1)"],
    "open": ["open('f')"],
    "eval": ["eval('1')"],
    "division": ["x = 7 // 2", "x = 7 % 2", "x //= 2", "divmod(7, 2)"],
    "set order": [
        "for x in {1, 2}: pass",
        "y = [x for x in set(z)]",
        "s = {1, 2}\nfor x in s: pass",
        "s: set[int] = make()\nlist(s)",
        "def f(s: frozenset[int]):\n    return sum(s)",
        "for x in {1} | other: pass",
        "b''.join({b'a'})",
        "s = set()\ns.pop()",
        "for x in a.union(b): pass",
        "y = [*{1, 2}]",
    ],
    "import": [
        "import web3",
        "from pydantic import BaseModel",
        "import os",
        "import time",
        "import random",
        "from datetime import datetime",
        "import threading",
        "import logging",
        "import asyncio",
        "import decimal",
        "import secrets",
        "import uuid",
        "import pickle",
        "import os.path",
        "import math",
        "def f():\n    import os",
    ],
    "assert": ["assert True"],
    "global": ["def f():\n    global x"],
    "except": [
        "try: pass\nexcept Exception: pass",
        "try: pass\nexcept: pass",
        "try: pass\nexcept (ValueError, BaseException): pass",
    ],
    "bare raise": ["raise InvalidBlock", "raise InvalidProof()"],
    "recursion": [
        "def f():\n    f()",
        "def f():\n    g()\ndef g():\n    f()",
        "class A:\n    def f(self):\n        self.g()\n    def g(self):\n        self.f()",
    ],
    "docstring": [
        "x = 1",
        '"x"\nclass A: pass',
        '"x"\ndef f(): pass',
        '"x"\nclass A:\n    "x"\n    def f(self): pass',
    ],
    "source": ['@rule("X-1")\ndef f():\n    "A law without a source."'],
    "long function": ["def f():\n" + "    x = 1\n" * 60],
    "arguments": [
        "def f(a, b, c, d, e, f, g): pass",
        "class A:\n    def f(self, a, b, c, d, e, f, g): pass",
    ],
}
GOOD = '''"""A module."""

import struct
from bisect import insort
from math import lcm

from chainperp.base.errors import InvalidBlock
from chainperp.base.rounding import floor_div

KNOWN = frozenset({1, 2})


@rule("X-1")
def law(value: int, members: set[int]) -> int:
    """A law. Source: DOC[Law]."""
    if value not in KNOWN or value in members:
        raise InvalidBlock("where", "1", "2")
    for one in sorted(members):
        insort(found, one)
    try:
        return floor_div(value, lcm(2, 3))
    except ValueError as error:
        raise InvalidBlock(f"{value}", "a", "b") from error


def _private(a, b, c, d, e, f, *, g, h):
    return law(a, b)
'''


@pytest.mark.parametrize("hazard", sorted(BAD))
def test_each_bad_example_is_reported(hazard: str) -> None:
    """Every example of a hazard is found under its name."""
    for example in BAD[hazard]:
        found = [finding.hazard for finding in findings(example, HAZARDS + SHAPE)]
        assert hazard in found, f"{example!r} gave {found}"


def test_honest_code_is_left_alone() -> None:
    """No finding in a module that does all of it the right way."""
    assert findings(GOOD, HAZARDS + SHAPE) == []
