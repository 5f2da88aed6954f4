"""The questions of the tables about accounts' arrangements to their rules, as in `cases.py`.

Importing this module registers them.
"""

from chainperp.rules import admission, schedules, subaccounts
from tests.rules.cases import PARAMETERS, case, is_yes, maybe, usd, verdict, whole
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


@case("ADM-5")
def _own_key(row: Row) -> str:
    return verdict(admission.check_own_key(is_yes(row, "agent"), is_yes(row, "for the owner only")))


@case("SUB-1")
def _new_sub_account(row: Row) -> str:
    name = row["name"].removesuffix('"').removeprefix('"')
    return verdict(
        subaccounts.check_new_sub_account(name, whole(row, "has"), usd(row, "traded"), PARAMETERS)
    )


@case("SUB-2")
def _sub_account_address(row: Row) -> str:
    master = bytes.fromhex(row["master"].removeprefix("0x"))
    return "0x" + subaccounts.sub_account_address(master, whole(row, "number")).hex()


@case("SUB-3")
def _sub_account_transfer(row: Row) -> str:
    return verdict(
        subaccounts.check_sub_account_transfer(
            usd(row, "amount"), usd(row, "withdrawable"), is_yes(row, "own")
        )
    )


@case("SUB-4")
def _on_behalf(row: Row) -> str:
    return verdict(subaccounts.check_on_behalf(is_yes(row, "own"), is_yes(row, "trading")))
