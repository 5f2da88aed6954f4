"""The list of rules. `@rule("MRG-2")` registers a function under its code and changes nothing.

The docstring's first sentence is the law; `docs/rules.md` is generated from the source files,
because a compiled function has no docstring. Codes are unique; readers walk the list in code order,
so the order of imports does not matter.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from chainperp.base.errors import ensure
from chainperp.model.decisions import rule_number

Function = TypeVar("Function", bound=Callable[..., Any])


class Rule(NamedTuple):
    """One rule: its code, and where it stands."""

    code: str
    module: str
    name: str


REGISTERED: Final[dict[str, Rule]] = {}


def rule(code: str) -> Callable[[Function], Function]:
    """Register the decorated function as the rule with this code."""

    def register(function: Function) -> Function:
        ensure(code not in REGISTERED, "INV-0", "a rule code is used twice", rule=code)
        REGISTERED[code] = Rule(code, function.__module__, function.__name__)
        return function

    return register


def rules_in_order() -> list[Rule]:
    """All rules, by family and number."""
    return [REGISTERED[code] for code in sorted(REGISTERED, key=rule_number)]
