"""Scenario files: one experiment as a TOML file, checked before anything runs.

A built-in study:

    title = "One shock, one round: the payout of every policy"
    study = "S2"
    seed = 20251010
    [values]               # parameters of the study; what is left out has its default
    gap_percent = 10
    [quick]                # values that replace these with --quick
    [sources]              # where each value comes from, or "assumption"
    gap_percent = "essay"

A shock of one's own, run through the engine under each policy (`study = "shock"`, or no study):

    title = "A fall of ten percent"
    seed = 20251010
    parameters = "hyperliquid"
    policies = ["P1", "P6"]
    insurance = "0"        # USDC, as decimal text
    exempt_top = 0         # so many of the largest winners are on the public list
    [[market]]
    name = "ETH"
    max_leverage = 20
    oracle = [[0, "100"], [1, "90"]]        # seconds, price: one mark update each
    [[traders]]
    count = 50
    direction = "long"
    leverage = { low = 5, high = 19 }
    notional = { low = "100", high = "100000" }
    [measure]
    report = ["shortfall", "haircut_concentration"]

Prices and amounts are text, so that nothing is rounded on the way.
"""

import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from chainperp.lab.cases import find_case
from chainperp.lab.refusals import read_text, refuse, refuse_invalid

FOLDER: Final = Path(__file__).resolve().parent / "scenarios"
MEASURES: Final = (
    "shortfall", "overshoot", "haircut_concentration", "accounts_hit", "second_round_losses",
)  # fmt: skip
MORE_MEASURES: Final = (
    "hhi", "severity", "severity_load", "leverage_imbalance", "ptsr", "pmr", "rd_nse",
)  # fmt: skip
"""Those that a file asks for by name: the last three are defined where a deficit is left only."""
Seed = Annotated[int, Field(ge=0, lt=1 << 64)]
Percent = Annotated[int, Field(ge=0, le=100)]
PartPercent = Annotated[float, Field(ge=0, le=100)]
Move = Annotated[int, Field(ge=1, le=99)]
"""Percent by which a price falls."""
Millions = Annotated[int, Field(ge=0, le=10**9)]


class Strict(BaseModel):
    """No unknown fields, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StudyFile(Strict):
    """A built-in study with its values."""

    title: str
    study: Annotated[str, Field(pattern=r"^S([1-9]|1[0-2])$")]
    seed: Seed
    values: dict[str, Any] = Field(default_factory=dict)
    quick: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)


def decimal_of(text: str) -> Decimal:
    """A plain decimal above or equal to zero with at most six decimals."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("must be a decimal in text") from None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value < 0 or exponent < -6:
        raise ValueError("must be at least 0, with at most six decimals")
    return value


def micro(text: str) -> int:
    """Micro-USD of a decimal in text.

    >>> micro("1.5")
    1500000
    """
    return int(decimal_of(text) * 10**6)


class Leverage(Strict):
    """Drawn evenly between two whole numbers."""

    low: Annotated[int, Field(ge=1, le=100)]
    high: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> "Leverage":
        if self.high < self.low:
            raise ValueError(f"high, {self.high}, must not be below low, {self.low}")
        return self


class Notional(Strict):
    """Drawn evenly in the logarithm between two amounts of USDC."""

    low: str
    high: str

    @field_validator("low", "high")
    @classmethod
    def _decimal(cls, text: str) -> str:
        if decimal_of(text) < 1:
            raise ValueError("must be at least 1 USDC")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> "Notional":
        if decimal_of(self.high) < decimal_of(self.low):
            raise ValueError(f"high, {self.high}, must not be below low, {self.low}")
        return self


class Market(Strict):
    """The one market: its leverage limit and the marks, one update each."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,12}$")]
    max_leverage: Annotated[int, Field(ge=1, le=100)] = 20
    oracle: Annotated[
        list[Annotated[tuple[int, str], Field(strict=False)]], Field(min_length=2, max_length=1000)
    ]

    @field_validator("oracle")
    @classmethod
    def _path(cls, path: list[tuple[int, str]]) -> list[tuple[int, str]]:
        before = -1
        for at, (second, text) in enumerate(path):
            if second <= before:
                raise ValueError(f"row {at}: second {second} does not come after {before}")
            if not 0 < decimal_of(text) < 100_000:
                raise ValueError(f"row {at}: price {text} must be above 0 and below 100000")
            if len(text.replace(".", "").lstrip("0")) > 5:
                raise ValueError(f"row {at}: price {text} has more than five figures")
            before = second
        return path


class Traders(Strict):
    """A group that opens its positions at the first price."""

    count: Annotated[int, Field(ge=1, le=20_000)]
    direction: Literal["long", "short"]
    leverage: Leverage
    notional: Notional = Notional(low="100", high="10000")


class Measure(Strict):
    """What `lab compare` prints."""

    report: list[str] = Field(default_factory=lambda: list(MEASURES))

    @field_validator("report")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            known = (*MEASURES, *MORE_MEASURES)
            if name not in known:
                raise ValueError(f'"{name}" is no measure: there are {", ".join(known)}')
        return names


class ShockFile(Strict):
    """A shock of one's own."""

    title: str
    study: Literal["shock"] = "shock"
    seed: Seed
    parameters: Literal["hyperliquid"] = "hyperliquid"
    policies: Annotated[list[str], Field(min_length=1)]
    insurance: str = "0"
    exempt_top: Annotated[int, Field(ge=0)] = 0
    market: Annotated[list[Market], Field(min_length=1, max_length=1)]
    traders: Annotated[list[Traders], Field(min_length=1)]
    measure: Measure = Measure()

    @field_validator("insurance")
    @classmethod
    def _decimal(cls, text: str) -> str:
        decimal_of(text)
        return text

    @model_validator(mode="after")
    def _both_sides(self) -> "ShockFile":
        sides = {one.direction for one in self.traders}
        if len(sides) < 2:
            raise ValueError(f"traders are all {sides.pop()}: a market has two sides")
        for one in self.traders:
            if one.leverage.high > self.market[0].max_leverage:
                raise ValueError(
                    f"traders have leverage up to {one.leverage.high}, the market's limit is "
                    f"{self.market[0].max_leverage}"
                )
        return self


Scenario = StudyFile | ShockFile


def built_in() -> list[Path]:
    """The scenario files of the package, S1 to S12, then the shocks."""
    return sorted(FOLDER.glob("*.toml"), key=lambda path: (len(path.stem), path.stem))


def find_scenario(text: str) -> Path:
    """A scenario file by its path, or a built-in one by name. Raises BadRequest."""
    for path in built_in():
        if text == path.stem:
            return path
    path = Path(text)
    if path.suffix == ".toml" or path.exists():
        return path
    names = ", ".join(one.stem for one in built_in())
    refuse(text, f"is no scenario file and no built-in scenario: there are {names}")


def read_scenario(path: Path) -> Scenario:
    """A scenario, checked. Raises NotFound, or BadRequest naming file and field."""
    try:
        tree = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        refuse(path.name, f"no TOML: {error}")
    kind = ShockFile if tree.get("study", "shock") == "shock" else StudyFile
    try:
        scenario: Scenario = kind.model_validate(tree)
    except ValidationError as error:
        refuse_invalid(path.name, error)
    if isinstance(scenario, ShockFile):
        for at, name in enumerate(scenario.policies):
            find_case(f"{path.name}: policies[{at}]", name)
    return scenario
