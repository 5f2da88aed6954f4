"""The built-in studies by code. A study is a module with `TITLE`, `CLAIMS`, `Values` and `run`.

Modules load when they run: NumPy and SciPy stay out of everything else.
"""

from importlib import import_module
from typing import Any, Final, Protocol, cast

from pydantic import ValidationError

from chainperp.lab.outcome import Outcome
from chainperp.lab.refusals import refuse, refuse_invalid
from chainperp.lab.scenario import Strict, StudyFile

MODULES: Final = {
    "S1": "s01_bitmex",
    "S2": "s02_arithmetic",
    "S3": "s03_thin_tails",
    "S4": "s04_exempt_list",
    "S5": "s05_incentive",
    "S6": "s06_income",
    "S7": "s07_refill",
    "S8": "s08_ordering",
    "S9": "s09_recourse",
    "S10": "s10_custody",
    "S11": "s11_contagion",
    "S12": "s12_detection",
}


class Study(Protocol):
    """What a study module offers."""

    TITLE: str
    CLAIMS: tuple[str, ...]
    Values: type[Strict]

    def run(self, values: Any, seed: int) -> Outcome:
        """The experiment."""


def study_of(where: str, code: str) -> Study:
    """A study by its code. Raises BadRequest."""
    if code not in MODULES:
        refuse(where, f"there is no study {code}: there are {', '.join(MODULES)}")
    return cast(Study, import_module(f"chainperp.lab.studies.{MODULES[code]}"))


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
