"""The built-in studies by code. A study is a module with `TITLE`, `Values` and `run`.

Modules load when they run: NumPy and SciPy stay out of everything else.
"""

from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol, cast

from pydantic import ValidationError

from chainperp.lab.outcome import Outcome
from chainperp.lab.refusals import refuse, refuse_invalid
from chainperp.lab.scenario import Strict, StudyFile


class Listed(NamedTuple):
    """A study's module and the claims that it tests."""

    module: str
    claims: str


STUDIES: Final = {
    "S1": Listed("s01_bitmex", "C1 C2 C4 C5 C19"),
    "S2": Listed("s02_arithmetic", "C3 C6 C7 C8"),
    "S3": Listed("s03_thin_tails", "C6 C8 C9 C10"),
    "S4": Listed("s04_exempt_list", "C11 C12 C13 C19"),
    "S5": Listed("s05_incentive", "C14 C15"),
    "S6": Listed("s06_income", "C5 C15"),
    "S7": Listed("s07_refill", "C15 C16"),
    "S8": Listed("s08_ordering", "C18"),
    "S9": Listed("s09_recourse", "C11 C20"),
    "S10": Listed("s10_custody", "C21"),
    "S11": Listed("s11_contagion", "C10 C21 C22"),
    "S12": Listed("s12_detection", "C17 C19"),
}


class Study(Protocol):
    """What a study module offers."""

    TITLE: str
    Values: type[Strict]

    def run(self, values: Any, seed: int) -> Outcome:
        """The experiment."""


def study_of(where: str, code: str) -> Study:
    """A study by its code. Raises BadRequest."""
    if code not in STUDIES:
        refuse(where, f"there is no study {code}: there are {', '.join(STUDIES)}")
    return cast(Study, import_module(f"chainperp.lab.studies.{STUDIES[code].module}"))


def values_of(name: str, scenario: StudyFile, quick: bool) -> Strict:
    """The study's values. Raises BadRequest naming the field."""
    study = study_of(f"{name}: study", scenario.study)
    given = {**scenario.values, **(scenario.quick if quick else {})}
    try:
        return study.Values.model_validate_json(_json(given))
    except ValidationError as error:
        refuse_invalid(f"{name}: values", error)


def _json(tree: dict[str, Any]) -> str:
    """As JSON, in which a list may stand for a tuple also in strict mode."""
    import json

    return json.dumps(tree)


def unsourced(scenario: StudyFile) -> list[str]:
    """Values of a scenario without a word on where they come from."""
    study = study_of("study", scenario.study)
    return [name for name in study.Values.model_fields if name not in scenario.sources]


def claims_of(code: str) -> tuple[str, ...]:
    """Claims that a study tests, in its own order; none for a shock."""
    return tuple(STUDIES[code].claims.split()) if code in STUDIES else ()
