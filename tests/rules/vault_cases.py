"""The questions of the tables about vaults to their rules, as in `cases.py`.

Importing this module registers them.
"""

from chainperp.rules import conservation, vault_closing, vaults
from chainperp.rules.vaults import Standing
from tests.rules.cases import (
    PARAMETERS,
    case,
    holds,
    is_yes,
    micro,
    percent,
    usd,
    verdict,
    whole,
    yes_no,
)
from tests.rules.runner import Row

HOUR_MS = 3_600_000


def _standing(row: Row) -> Standing:
    return Standing(
        usd(row, "value"), usd(row, "M shares"), is_yes(row, "liquidatable"), is_yes(row, "fresh")
    )


@case("INV-7")
def _shares_kept(row: Row) -> str:
    return holds(
        lambda: conservation.check_shares(whole(row, "of holders"), whole(row, "of vaults"))
    )


@case("VLT-1")
def _new_vault(row: Row) -> str:
    return verdict(
        vaults.check_new_vault(
            _text(row["name"]), _text(row["description"]), usd(row, "deposit"),
            usd(row, "withdrawable"), PARAMETERS,
        )
    )  # fmt: skip


def _text(cell: str) -> str:
    """A cell's text: `n times 50` repeats, a backslash escapes."""
    text, _, times = cell.removesuffix('"').removeprefix('"').partition(" times ")
    text = text.encode("ascii").decode("unicode_escape") if text.isascii() else text
    return text * int(times or 1)


@case("VLT-2")
def _vault_address(row: Row) -> str:
    leader = bytes.fromhex(row["leader"].removeprefix("0x"))
    return "0x" + vaults.vault_address(leader, whole(row, "number")).hex()


@case("VLT-3")
def _bought(row: Row) -> str:
    bought, cost = vaults.shares_bought(
        whole(row, "amount"), whole(row, "value"), whole(row, "shares")
    )
    return f"{bought} for {cost}"


@case("VLT-4")
def _equity(row: Row) -> str:
    return str(vaults.equity(whole(row, "held"), whole(row, "value"), whole(row, "shares")))


@case("VLT-5")
def _redeemed(row: Row) -> str:
    redeemed, gross = vaults.shares_redeemed(
        whole(row, "amount"), whole(row, "held"), whole(row, "value"), whole(row, "shares")
    )
    return f"{redeemed} for {gross}"


@case("VLT-6")
def _commission(row: Row) -> str:
    charge, part = vaults.commission(
        usd(row, "paid"), whole(row, "shares"), whole(row, "of"), usd(row, "basis"),
        PARAMETERS.vault_commission_percent,
    )  # fmt: skip
    return f"{micro(charge)}, basis {micro(part)}"


@case("VLT-7")
def _leader_share(row: Row) -> str:
    return yes_no(
        vaults.is_leader_share_enough(
            whole(row, "leader's shares"), whole(row, "shares"), PARAMETERS
        )
    )


@case("VLT-8")
def _unlocks(row: Row) -> str:
    until = vaults.unlocks_at(0, is_yes(row, "liquidity vault"), PARAMETERS)
    return f"{until // HOUR_MS} h"


@case("VLT-9")
def _deposit(row: Row) -> str:
    return verdict(
        vaults.check_vault_deposit(
            usd(row, "amount"), usd(row, "withdrawable"), _standing(row), is_yes(row, "deposits"),
            is_yes(row, "full"), PARAMETERS,
        )
    )  # fmt: skip


@case("VLT-10")
def _withdrawal(row: Row) -> str:
    return verdict(
        vaults.check_vault_withdrawal(
            usd(row, "amount"), usd(row, "M held"), _standing(row), whole(row, "locked until"),
            whole(row, "now"), PARAMETERS,
        )
    )  # fmt: skip


@case("VLT-11")
def _daily(row: Row) -> str:
    left = vaults.daily_withdrawal_left(
        usd(row, "value of the day"), usd(row, "paid"), PARAMETERS.liquidity_vault_day_percent
    )
    return micro(left)


@case("VLT-12")
def _distribution(row: Row) -> str:
    return verdict(
        vaults.check_distribution(
            usd(row, "amount"), usd(row, "withdrawable"), usd(row, "value"),
            is_yes(row, "leader"), PARAMETERS,
        )
    )  # fmt: skip


@case("VLT-13")
def _part(row: Row) -> str:
    paid, part = vaults.distribution_part(
        usd(row, "amount"), usd(row, "value"), whole(row, "held"), whole(row, "shares"),
        usd(row, "basis"),
    )  # fmt: skip
    return f"{micro(paid)}, basis {micro(part)}"


@case("VLT-14")
def _asset(row: Row) -> str:
    return yes_no(vaults.may_trade_asset(whole(row, "asset")))


@case("VLT-15")
def _rank(row: Row) -> str:
    margin, oid = vault_closing.cancel_rank(
        usd(row, "notional"), whole(row, "leverage"), whole(row, "order")
    )
    return f"{micro(margin)}, #{oid}"


@case("VLT-16")
def _lots(row: Row) -> str:
    part, whole_of = row["part"].split(" of ")
    return str(vault_closing.lots_to_close(whole(row, "lots"), int(part), int(whole_of)))


@case("VLT-17")
def _limit(row: Row) -> str:
    limit = vault_closing.closing_limit(
        whole(row, "mark"), row["side"] == "buy", whole(row, "lots"), whole(row, "budget"),
        PARAMETERS.vault_close_band_bps, percent(row, "fee", 1_000_000),
    )  # fmt: skip
    return "none" if limit is None else str(limit)


@case("VLT-18")
def _covered(row: Row) -> str:
    return micro(
        vault_closing.amount_covered(usd(row, "owed"), usd(row, "cost"), usd(row, "withdrawable"))
    )
