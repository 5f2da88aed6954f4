"""An allocation problem as a JSON file: winners, budgets, policies. What `lab allocate` reads.

    {"seed": "00…", "policies": ["pro_rata_pnl", "P11"],
     "candidates": [{"id": "a", "w": 50000000, "e": 400000000, "n": 500000000}],
     "runs": [{"budget": 20000000, "exempt_top": 1}]}

All amounts are whole micro-USD: `w` the profit that may be taken, `e` the equity, `n` the notional.
`cap` (default min(w, e)) is the most that may be taken, `lam` (default n * 10^6 / e, cut) the
leverage in millionths. A candidate may also be a list in the order id, w, e, n, cap, lam. A run
without `policy` or `policies` is made for each policy of the problem.

Source: adl-and-scenarios 8.4.
"""

from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from chainperp.lab.refusals import read_json, refuse, refuse_invalid, shown
from chainperp.rules.adl.choose import POLICIES
from chainperp.rules.adl.policy import Policy

PPM: Final = 10**6
COLUMNS: Final = ("id", "w", "e", "n", "cap", "lam")
LISTED: Final = (
    "queue_profit", "queue_pnl_x_leverage", "pro_rata_pnl", "pro_rata_equity", "pro_rata_notional",
    "rap_linear", "quadratic", "random",
)  # fmt: skip
"""The policies of the published allocations; those that a problem asks for when it names none."""


def _whole(value: object) -> object:
    """An amount must be a whole number; say of what."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(
            "must be a whole number (amounts are micro-USD, leverage is in millionths)"
        )
    return value


Amount = Annotated[int, BeforeValidator(_whole), StrictInt, Field(ge=0, lt=1 << 96)]


class Winner(NamedTuple):
    """One candidate; amounts in micro-USD, leverage in millionths."""

    id: str
    w: int
    e: int
    n: int
    cap: int
    lam: int


class Run(NamedTuple):
    """One allocation that is asked for."""

    policy: Policy
    budget: int
    exempt_top: int


class Problem(NamedTuple):
    """A whole problem, checked."""

    name: str
    seed: bytes
    winners: list[Winner]
    runs: list[Run]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Winner(_Strict):
    id: StrictStr
    w: Amount
    e: Amount
    n: Amount
    cap: Amount | None = None
    lam: Amount | None = None


class _Run(_Strict):
    budget: Amount
    exempt_top: Annotated[int, Field(ge=0)] = 0
    policy: StrictStr | None = None
    policies: list[StrictStr] | None = None


class _Problem(_Strict):
    seed: StrictStr = "00" * 32
    title: StrictStr = ""
    policies: list[StrictStr] = Field(default_factory=lambda: list(LISTED))
    candidates: list[_Winner]
    runs: list[_Run]


def read_problem(path: Path) -> Problem:
    """A problem from its file. Raises NotFound, or BadRequest naming file, row and field."""
    tree = read_json(path)
    if not isinstance(tree, dict):
        refuse(path.name, f"is {shown(tree)}, must be an object with candidates and runs")
    if isinstance(tree.get("candidates"), list):
        tree["candidates"] = [
            _named(path.name, at, row) for at, row in enumerate(tree["candidates"])
        ]
    try:
        given = _Problem.model_validate(tree)
    except ValidationError as error:
        refuse_invalid(path.name, error)
    return Problem(
        path.name, _seed(path.name, given.seed), _winners(path.name, given), _runs(path.name, given)
    )


def _named(name: str, at: int, row: Any) -> Any:
    """A candidate that is written as a list, as an object."""
    if not isinstance(row, list):
        return row
    if len(row) != len(COLUMNS):
        refuse(f"{name}: candidates[{at}]", f"has {len(row)} columns, must be {', '.join(COLUMNS)}")
    return dict(zip(COLUMNS, row, strict=True))


def _seed(name: str, text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        seed = bytes.fromhex(digits)
    except ValueError:
        refuse(f"{name}: seed", f"was {shown(text)}, must be hexadecimal")
    if len(seed) != 32:
        refuse(f"{name}: seed", f"has {len(seed)} bytes, must have 32")
    return seed


def _winners(name: str, given: _Problem) -> list[Winner]:
    first: dict[str, int] = {}
    found: list[Winner] = []
    for at, row in enumerate(given.candidates):
        where = f"{name}: candidates[{at}].id"
        if row.id in first:
            refuse(where, f"{shown(row.id)} stands in candidates[{first[row.id]}] already")
        if not row.id or any(mark in row.id for mark in ",\r\n"):
            refuse(where, f"was {shown(row.id)}, must be text without comma and line break")
        first[row.id] = at
        cap = min(row.w, row.e) if row.cap is None else row.cap
        if cap > row.w:
            refuse(f"{name}: candidates[{at}].cap", f"was {cap}, must not exceed w, {row.w}")
        leverage = row.n * PPM // row.e if row.e else 0
        lam = leverage if row.lam is None else row.lam
        found.append(Winner(row.id, row.w, row.e, row.n, cap, lam))
    return found


def _runs(name: str, given: _Problem) -> list[Run]:
    shared = [money_policy(f"{name}: policies[{at}]", one) for at, one in enumerate(given.policies)]
    runs: list[Run] = []
    for at, row in enumerate(given.runs):
        where = f"{name}: runs[{at}]"
        if row.exempt_top > len(given.candidates):
            refuse(
                f"{where}.exempt_top",
                f"was {row.exempt_top}, there are {len(given.candidates)} candidates",
            )
        policies = shared
        if row.policies is not None:
            policies = [
                money_policy(f"{where}.policies[{place}]", one)
                for place, one in enumerate(row.policies)
            ]
        if row.policy is not None:
            policies = [money_policy(f"{where}.policy", row.policy)]
        runs += [Run(policy, row.budget, row.exempt_top) for policy in policies]
    return runs


def code_of(policy: Policy) -> str:
    """The short code of a policy: `P6`, and `P3b` for the one between two numbers.

    >>> [code_of(one) for one in POLICIES[5:8]]
    ['P3', 'P3b', 'P4']
    """
    whole, variant = divmod(policy.policy_id, 100)
    return f"P{whole}b" if variant == 50 else f"P{whole}" + (f".{variant}" if variant else "")


def find_policy(where: str, text: str) -> Policy:
    """A policy by name or code. Raises BadRequest with those that there are."""
    for policy in POLICIES:
        if text in (policy.name, code_of(policy)):
            return policy
    names = ", ".join(f"{code_of(policy)} {policy.name}" for policy in POLICIES)
    refuse(where, f"{shown(text)} is no policy: there are {names}")


def money_policy(where: str, text: str) -> Policy:
    """A policy that hands out money, which is what a problem has a budget of."""
    policy = find_policy(where, text)
    if policy.in_lots:
        names = ", ".join(one.name for one in POLICIES if not one.in_lots)
        refuse(where, f"{shown(text)} hands out lots, a problem has a budget: take one of {names}")
    return policy
