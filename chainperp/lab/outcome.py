"""What an experiment hands back: tables, figures, verdicts, and what was assumed. Plain data.

Everything goes into `result.json`, from which reports are made again without running anything.
"""

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from chainperp.lab.chain import Chain, slug

Cell = str | int | float | None
DIGITS: Final = 10


class Finding(StrEnum):
    """What a run says about a claim."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    CONDITIONAL = "conditional"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim, what was found, on which figures, and what would change it."""

    claim: str
    finding: Finding
    because: str
    would_change: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns that name their units."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one line."""

    label: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing, described. `kind`: line, steps, points, bars, stacked; `log` names the axes."""

    name: str
    title: str
    x: str
    y: str
    series: list[Series]
    kind: str = "line"
    log: str = ""
    ticks: list[str] = field(default_factory=list)
    """Words for x = 0, 1, 2 …, where x is no number."""
    marks: dict[str, float] = field(default_factory=dict)
    """Vertical lines by label."""


@dataclass(slots=True)
class Outcome:
    """All of it. `chains` has the end of each chain that the engine made."""

    verdicts: list[Verdict] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    assumed: dict[str, str] = field(default_factory=dict)
    """Open points by code (`U-…` of ours, U1 to U14 of the study), and what was chosen."""
    notes: list[str] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    defects: bool = False
    """Whether the tables of October 2025 were used, so that their defects must be stated."""

    def document(self) -> dict[str, Any]:
        """As JSON: numbers that are no integers cut to ten digits, so that bytes are equal."""
        ends = {
            name: {**chain.end, "log": f"chains/{slug(name)}"}
            for name, chain in self.chains.items()
        }
        tree: dict[str, Any] = plain({**asdict(replace(self, chains={})), "chains": ends})
        return tree


def plain(value: Any) -> Any:
    """A tree of plain values with short numbers.

    >>> plain({"a": [1 / 3, 2, None]})
    {'a': [0.3333333333, 2, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    return float(f"{float(value):.{DIGITS}g}")


def shown(value: Cell) -> str:
    """A cell for people.

    >>> [shown(one) for one in (1234567, 0.5, None, "a")]
    ['1,234,567', '0.5', '-', 'a']
    """
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}"


def verdict(
    claim: str, holds: bool | None, because: str, would_change: str, boundary: bool = False
) -> Verdict:
    """A verdict from a condition: None is inconclusive, a boundary makes it conditional."""
    if holds is None:
        finding = Finding.INCONCLUSIVE
    elif boundary and holds:
        finding = Finding.CONDITIONAL
    else:
        finding = Finding.SUPPORTED if holds else Finding.REFUTED
    return Verdict(claim, finding, because, would_change)
