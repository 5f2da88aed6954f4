"""The questions of the tables about accounts' arrangements to their rules, as in `cases.py`.

Importing this module registers them.
"""

from chainperp.rules import schedules
from tests.rules.cases import PARAMETERS, case, maybe, usd, verdict, whole
from tests.rules.runner import Row

NOW = 1_700_000_000_000


@case("ORD-15")
def _schedule(row: Row) -> str:
    ahead = maybe(row, "ahead ms")
    at = None if ahead is None else NOW + int(ahead.replace(",", ""))
    return verdict(
        schedules.check_schedule(at, NOW, usd(row, "traded"), whole(row, "fired"), PARAMETERS)
    )


@case("ORD-16")
def _due(row: Row) -> str:
    due = schedules.is_schedule_due(whole(row, "time"), whole(row, "block time"))
    return "fires" if due else "waits"
