"""The public tables of 10 October 2025: loaders that check columns and rows.

Formats are those of two public repositories: `autodeleveraging-analysis` (result tables, MIT) and
`HyperReplay` (canonical tables). A folder has them below `mit/` and `gpl3/`, whole or in part. None
of it is in this package. Money is in USD as `Decimal`, times are Unix milliseconds.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import NotFound
from chainperp.lab.problem import PPM, Winner
from chainperp.lab.refusals import read_text, refuse, shown

Row = dict[str, str]
USERS: Final = "gpl3/adl_by_user_half.csv"
COINS: Final = "gpl3/adl_net_volume_81coins.csv"
COIN_USERS: Final = "gpl3/adl_by_coin_81coins.csv"
WAVES: Final = "mit/two_pass_equity_delta_by_wave_h0_waves01_11.csv"
GAPS: Final = "mit/two_pass_wave_coin_gap_per_contract_waves01_11.csv"
POLICY: Final = "mit/policy_per_wave_metrics_waves01_11.csv"
BAD_DEBT: Final = "mit/bad_debt_loser_waves.csv"
SHOCKS: Final = "mit/per_shock_metrics_queue_81coins.csv"
HORIZONS: Final = "mit/eval_horizon_sweep_gap_ms_5000.csv"
HEADLINES: Final = "mit/headlines.json"
ROBUSTNESS: Final = "mit/overshoot_robustness.json"
TOTALS: Final = "mit/summary_totals.csv"
REACTIONS: Final = ("mit/strategic_accounts.csv", "mit/passive_accounts.csv")
NEEDED: Final = {
    USERS: ("user", "adl_notional", "closed_pnl", "account_value_realtime", "is_negative_equity"),
    COINS: ("ticker", "net_volume", "net_notional_usd", "total_pnl", "num_adl_events"),
    COIN_USERS: ("coin", "adl_notional", "closed_pnl", "num_users", "num_events"),
    WAVES: ("wave", "t_start_ms", "deficit_usd", "max_loss_usd", "budget_needed_usd",
            "budget_prod_usd", "overshoot_prod_minus_needed_usd"),
    GAPS: ("wave", "coin", "gap_usd_x_qty", "qty_contracts", "gap_per_contract_usd"),
    POLICY: ("wave", "budget_needed", "budget_prod", "deficit_usd", "max_loss_usd"),
    BAD_DEBT: ("wave", "n_rows", "unique_losers", "deficit_usd", "max_loss_usd"),
    SHOCKS: ("coin", "deficit_usd", "budget_queue_usd", "overshoot_queue_usd",
             "residual_queue_usd"),
    HORIZONS: ("eval_horizon_ms", "total_deficit_usd", "total_budget_needed_usd",
               "total_H_prod_usd", "total_overshoot_prod_minus_needed_usd"),
    TOTALS: ("policy", "total_residual", "total_overshoot"),
}  # fmt: skip
REPEATED: Final = Decimal("10925707.159377944")
"""The insolvent account that nine waves contain with the same value: counted once, it is a fact
about the reconstruction, not nine deficits."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A folder of tables."""

    folder: Path

    def rows(self, name: str) -> list[Row]:
        """Rows of a table. Raises NotFound, or BadRequest naming file, line and column."""
        return read_table(self.folder / name, NEEDED.get(name, ()))

    def has(self, name: str) -> bool:
        """Whether the folder has a table."""
        return (self.folder / name).is_file()

    def document(self, name: str) -> Any:
        """A JSON table."""
        return json.loads(read_text(self.folder / name))

    def hash(self, name: str) -> str:
        """SHA-256 of a table's bytes: what a result names instead of a path."""
        return sha256((self.folder / name).read_bytes()).hexdigest()


def read_table(path: Path, needed: Iterable[str]) -> list[Row]:
    """A CSV table with at least the needed columns, every cell present."""
    text = read_text(path)
    reader = csv.DictReader(text.splitlines())
    columns = reader.fieldnames or []
    for name in needed:
        if name not in columns:
            refuse(f"{path.name}: line 1", f"has no column {name}")
    rows: list[Row] = []
    for row in reader:
        if None in row or None in row.values():
            refuse(f"{path.name}: line {reader.line_num}", f"does not have {len(columns)} cells")
        rows.append(row)
    return rows


def usd(path: str, line: int, row: Row, column: str) -> Decimal:
    """A number of dollars in a cell."""
    try:
        value = Decimal(row[column])
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        refuse(f"{path}: line {line}, {column}", f"was {shown(row[column])}, must be a number")
    return value


def column(path: str, rows: list[Row], name: str) -> list[Decimal]:
    """A column of dollars."""
    return [usd(path, line, row, name) for line, row in enumerate(rows, start=2)]


def floor_micro(value: Decimal) -> int:
    """Whole micro-USD, rounded down (8.4: floor of x times 10^6)."""
    return int((value * PPM).to_integral_value(rounding="ROUND_FLOOR"))


def winners_of(rows: list[Row], path: str = USERS) -> list[Winner]:
    """Winners by address: users with closed profit, as adl-and-scenarios 8.4 defines them."""
    found: list[Winner] = []
    for line, row in enumerate(rows, start=2):
        w = floor_micro(usd(path, line, row, "closed_pnl"))
        if usd(path, line, row, "closed_pnl") <= 0:
            continue
        e = max(0, floor_micro(usd(path, line, row, "account_value_realtime")))
        n = floor_micro(usd(path, line, row, "adl_notional"))
        found.append(Winner(row["user"], w, e, n, min(w, e), n * PPM // e if e else 0))
    return sorted(found)


def deficit_once(rows: list[Row]) -> tuple[Decimal, Decimal]:
    """Sum of the waves' deficits as printed, and with the repeated account counted once."""
    printed = sum(column(BAD_DEBT, rows, "deficit_usd"), Decimal(0))
    times = sum(Decimal(row["max_loss_usd"]) == REPEATED for row in rows)
    return printed, printed - REPEATED * max(0, times - 1)


def open_tables(folder: Path) -> Tables:
    """A folder of tables. Raises NotFound when it is not there."""
    if not folder.is_dir():
        raise NotFound(f"{folder.name}: is no folder of tables")
    return Tables(folder)
