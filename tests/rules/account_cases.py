"""The questions of the tables about accounts' arrangements to their rules, as in `cases.py`.

Importing this module registers them.
"""

from chainperp.base.units import FEE_RATE_ONE, Address, price_decimals, strip_decimal
from chainperp.parameters.schema import BPS_ONE
from chainperp.rules import admission, fees, multisig, referrals, schedules, subaccounts, twaps
from tests.rules.cases import (
    PARAMETERS,
    case,
    decimal,
    is_yes,
    maybe,
    micro,
    percent,
    usd,
    verdict,
    whole,
    yes_no,
)
from tests.rules.runner import Row
from tests.rules.story import rate_of
from tests.support.world import address_of

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


@case("FEE-5")
def _builder_fee(row: Row) -> str:
    return micro(fees.builder_fee(usd(row, "notional"), whole(row, "tenths of bp")))


@case("FEE-6")
def _builder_approval(row: Row) -> str:
    return verdict(
        fees.check_builder_approval(
            rate_of(row["rate"]), whole(row, "others"), usd(row, "builder's value"), PARAMETERS
        )
    )


@case("FEE-7")
def _builder_order(row: Row) -> str:
    return yes_no(
        fees.is_builder_fee_approved(
            whole(row, "order's rate"), whole(row, "approved"), PARAMETERS.builder_fee_max
        )
    )


def names(row: Row, column: str) -> list[Address]:
    """Addresses of the names in a cell; a dash is nobody."""
    return [address_of(one) for one in row[column].split() if one != "-"]


@case("SIG-1")
def _multi_sig_users(row: Row) -> str:
    users = names(row, "users")
    known = sum(one != address_of("Nobody") for one in users)
    return verdict(
        multisig.check_multi_sig_users(
            users, whole(row, "threshold"), address_of("Ann"), known, PARAMETERS
        )
    )


@case("SIG-2")
def _envelope(row: Row) -> str:
    users = None if row["users"] == "no multi-sig user" else names(row, "users")
    return verdict(
        multisig.check_envelope(
            users, whole(row, "threshold"), is_yes(row, "led by one"), names(row, "signed by")
        )
    )


@case("SIG-3")
def _alone(row: Row) -> str:
    return yes_no(multisig.may_act_alone(is_yes(row, "multi-sig user"), is_yes(row, "agent")))


@case("TWP-1")
def _twap(row: Row) -> str:
    return verdict(
        twaps.check_twap(
            whole(row, "minutes"), usd(row, "value"), is_yes(row, "may reduce"),
            whole(row, "others"), PARAMETERS,
        )
    )  # fmt: skip


@case("TWP-2")
def _slices(row: Row) -> str:
    return str(
        twaps.slice_count(
            whole(row, "lots"), usd(row, "value"), whole(row, "minutes") * 60_000,
            is_yes(row, "random"), PARAMETERS,
        )
    )  # fmt: skip


@case("TWP-3")
def _slice_time(row: Row) -> str:
    duration = whole(row, "minutes") * 60_000
    return str(twaps.slice_time(0, whole(row, "slice"), whole(row, "of"), duration))


@case("TWP-4")
def _slice_lots(row: Row) -> str:
    draw = maybe(row, "draw")
    return str(
        twaps.slice_lots(
            whole(row, "lots"), whole(row, "executed"), whole(row, "slice"), whole(row, "of"),
            None if draw is None else int(draw), PARAMETERS,
        )
    )  # fmt: skip


@case("TWP-5")
def _slice_price(row: Row) -> str:
    decimals = whole(row, "size decimals")
    scale = price_decimals(decimals)
    mark = decimal(row["mark"], scale)
    found = twaps.slice_price(mark, row["side"] == "buy", PARAMETERS.twap_slippage_bps, decimals)
    return strip_decimal(found, scale)


@case("TWP-6")
def _own_twap(row: Row) -> str:
    running = {int(one): None for one in row["own running"].split() if one != "-"}
    return yes_no(twaps.is_own_twap(running, whole(row, "cancel")))


@case("ADM-6")
def _not_offered(row: Row) -> str:
    return verdict(admission.refusal_of(row["action"]))


@case("ADM-7")
def _display_name(row: Row) -> str:
    return yes_no(admission.is_display_name(row["name"].strip('"')))


@case("FEE-8")
def _maker_rate(row: Row) -> str:
    rate = fees.maker_rate(
        percent(row, "tier", FEE_RATE_ONE), usd(row, "made"), usd(row, "exchange"),
        PARAMETERS.maker_rebate_tiers,
    )  # fmt: skip
    return f"{strip_decimal(rate, 4)} %"


@case("FEE-9")
def _maker_fee_paid(row: Row) -> str:
    return micro(fees.maker_fee_paid(usd(row, "maker"), usd(row, "taker")))


@case("REF-1")
def _new_code(row: Row) -> str:
    code = row["code"].removesuffix('"').removeprefix('"')
    return verdict(
        referrals.check_new_code(
            code, usd(row, "traded"), is_yes(row, "has one"), is_yes(row, "taken"), PARAMETERS
        )
    )


@case("REF-2")
def _referrer(row: Row) -> str:
    return verdict(
        referrals.check_referrer(
            is_yes(row, "registered"), is_yes(row, "own"), is_yes(row, "has one")
        )
    )


@case("REF-3")
def _terms(row: Row) -> str:
    discount, reward = referrals.referral_terms(
        is_yes(row, "referred"), usd(row, "traded"), PARAMETERS
    )
    return f"discount {strip_decimal(discount, 2)} %, reward {strip_decimal(reward, 2)} %"


@case("REF-4")
def _reward(row: Row) -> str:
    share = percent(row, "share", BPS_ONE)
    return micro(referrals.referral_reward(usd(row, "fee"), usd(row, "left"), share))


@case("REF-5")
def _claim(row: Row) -> str:
    return verdict(referrals.check_claim(usd(row, "unclaimed"), PARAMETERS))
