"""The questions of the tables LIQ, BKS and EXM to their rules, as in `cases.py`.

Importing this module registers them.
"""

from chainperp.base.units import FEE_RATE_ONE, parse_decimal
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules import backstop, exemptions, liquidation
from tests.rules.cases import PARAMETERS, case, decimal, is_yes, micro, usd, verdict, whole, yes_no
from tests.rules.runner import Row


def first_of(row: Row, left: bool, right: bool) -> str:
    """Which of two comes first."""
    if left == right:
        return "equal"
    return "first" if left else "second"


@case("LIQ-1")
def _scope_rank(row: Row) -> str:
    one = liquidation.scope_rank(usd(row, "value"), usd(row, "maintenance"))
    other = liquidation.scope_rank(usd(row, "other value"), usd(row, "other maintenance"))
    return first_of(row, one < other, one > other)


@case("LIQ-2")
def _order_of_scope(row: Row) -> str:
    markets = {"BTC": 0, "ETH": 1, "cross": CROSS_SCOPE}
    found = liquidation.is_order_of_scope(
        markets[row["order in"]], is_yes(row, "held cross"), markets[row["scope"]], CROSS_SCOPE
    )
    return "canceled" if found else "stays"


@case("LIQ-3")
def _liquidation_lots(row: Row) -> str:
    lots = liquidation.liquidation_lots(
        whole(row, "lots"),
        usd(row, "worth"),
        PARAMETERS.liq_partial_threshold,
        PARAMETERS.liq_partial_percent,
        is_yes(row, "in cooldown"),
    )
    return str(lots)


@case("LIQ-4")
def _bankruptcy(row: Row) -> str:
    """Size 1 is one lot; prices are micro-USDC per lot."""
    price = liquidation.bankruptcy_price(
        whole(row, "lots"),
        usd(row, "mark"),
        usd(row, "value"),
        whole(row, "fee in millionths"),
        FEE_RATE_ONE,
    )
    return micro(price)


@case("LIQ-5")
def _position_rank(row: Row) -> str:
    one = liquidation.position_rank(usd(row, "maintenance"), whole(row, "asset"))
    other = liquidation.position_rank(usd(row, "other maintenance"), whole(row, "other asset"))
    return first_of(row, one < other, one > other)


@case("LIQ-6")
def _cooldown(row: Row) -> str:
    found = liquidation.is_in_cooldown(
        whole(row, "started"), whole(row, "now"), PARAMETERS.liq_cooldown_ms
    )
    return "cooling" if found else "over"


@case("LIQ-7")
def _work(row: Row) -> str:
    work, wait = liquidation.work_and_wait(whole(row, "due"), whole(row, "limit"))
    return f"{work} handled, {wait} wait"


@case("LIQ-8")
def _uncovered(row: Row) -> str:
    values = [parse_decimal(one, 6, "value") for one in row["values"].split()]
    return micro(liquidation.uncovered_deficit(values))


@case("BKS-1")
def _backstop_due(row: Row) -> str:
    due = backstop.is_backstop_due(
        usd(row, "value"),
        usd(row, "maintenance"),
        PARAMETERS.backstop_numerator,
        PARAMETERS.backstop_denominator,
    )
    return "due" if due else "not due"


@case("BKS-2")
def _affordable(row: Row) -> str:
    return yes_no(
        backstop.is_backstop_affordable(
            usd(row, "vault value"),
            usd(row, "vault margin"),
            usd(row, "its positions"),
            usd(row, "cap"),
        )
    )


@case("BKS-3")
def _unwind(row: Row) -> str:
    lots = backstop.unwind_lots(
        whole(row, "lots"), whole(row, "after ms"), PARAMETERS.unwind_half_life_ms
    )
    return str(lots)


@case("BKS-4")
def _offered(row: Row) -> str:
    return yes_no(backstop.is_backstop_offered(is_yes(row, "isolated only")))


@case("BKS-5")
def _unwind_limit(row: Row) -> str:
    limit = backstop.unwind_limit(
        decimal(row["mark"], 0), row["side"] == "buy", PARAMETERS.unwind_slippage_bps
    )
    return str(limit)


@case("BKS-6")
def _share(row: Row) -> str:
    return micro(backstop.routed_share(usd(row, "collateral"), whole(row, "basis points")))


@case("EXM-1")
def _exemption(row: Row) -> str:
    return verdict(
        exemptions.check_exemption(
            whole(row, "from height"),
            whole(row, "height"),
            whole(row, "notice"),
            is_yes(row, "new"),
            whole(row, "listed"),
            whole(row, "cap"),
        )
    )


@case("EXM-2")
def _exempt(row: Row) -> str:
    found = exemptions.is_exempt(whole(row, "from"), whole(row, "to"), whole(row, "height"))
    return "spared" if found else "not spared"
