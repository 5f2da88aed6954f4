"""Reads the annotated parameter file: each value with unit, rule, evidence and source.

The text is handed in; floors below storage read no files.
"""

import tomllib
from dataclasses import dataclass
from typing import Any

from chainperp.base.errors import InvalidGenesis
from chainperp.parameters.schema import Parameters, parameters_from

KEYS = ("value", "unit", "since", "rule", "source")


@dataclass(frozen=True, slots=True)
class Annotated:
    """One parameter as documented: its value and where it comes from."""

    name: str
    value: Any
    unit: str
    since: int
    rule: str
    source: str


def annotated_parameters(text: str) -> list[Annotated]:
    """Parameters with their documentation, in file order. Unknown keys are refused."""
    found: list[Annotated] = []
    for name, table in tomllib.loads(text).items():
        if not isinstance(table, dict) or sorted(table) != sorted(KEYS):
            raise InvalidGenesis(f"parameter {name} needs exactly the keys {', '.join(KEYS)}")
        found.append(Annotated(name, *(table[key] for key in KEYS)))
    return found


def load_parameters(text: str, height: int = 0) -> Parameters:
    """The values in force at a height. A value not yet in force is refused as missing."""
    values = {one.name: one.value for one in annotated_parameters(text) if one.since <= height}
    return parameters_from(values)
