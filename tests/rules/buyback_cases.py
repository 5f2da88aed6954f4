"""The questions of the table BUY to its rules, as in `cases.py`. Importing this registers them.

The spot pair of the tables has sizes in hundredths of a token, so a price in USDC is a number of
hundredths of a micro-USDC for a lot: 1.01 is 10,100 for 0.01 token.
"""

from chainperp.base.units import strip_decimal
from chainperp.model.decisions import LedgerType
from chainperp.rules import buyback
from tests.rules.cases import PARAMETERS, case, decimal, maybe, micro, usd, verdict, whole
from tests.rules.runner import Row

SIZE_DECIMALS = 2
PRICE_DECIMALS = 4
WEI_DECIMALS = 8


def price_of(row: Row, column: str) -> int | None:
    """A price on the pair's grid, or None for a dash."""
    text = maybe(row, column)
    return None if text is None else decimal(text, PRICE_DECIMALS)


@case("BUY-1")
def _due(row: Row) -> str:
    due = buyback.is_purchase_due(
        usd(row, "balance"), whole(row, "now ms"), whole(row, "due last ms"), PARAMETERS
    )
    return "due" if due else "not due"


@case("BUY-2")
def _limit(row: Row) -> str:
    limit = buyback.purchase_limit(
        price_of(row, "mark") or 0, SIZE_DECIMALS, PARAMETERS.buyback_slippage_bps
    )
    return strip_decimal(limit, PRICE_DECIMALS)


@case("BUY-3")
def _lots(row: Row) -> str:
    limit = price_of(row, "limit") or 0
    lots = buyback.purchase_lots(usd(row, "balance"), usd(row, "offered"), limit, PARAMETERS)
    if not lots:
        return "none"
    worth = strip_decimal(lots * limit, 6)
    return f"{strip_decimal(lots, SIZE_DECIMALS)} for at most {worth}"


@case("BUY-4")
def _usable(row: Row) -> str:
    found = buyback.is_mark_usable(
        price_of(row, "bid"), price_of(row, "ask"), price_of(row, "mark")
    )
    return "usable" if found else "no purchase"


@case("BUY-5")
def _source(row: Row) -> str:
    name = row["transfer"]
    kind = 0 if name == "DEPOSIT" else LedgerType[name]
    return buyback.source_of(kind).name.lower().replace("_", " ")


@case("BUY-6")
def _burn(row: Row) -> str:
    burned = buyback.tokens_to_burn(
        decimal(row["held before"], WEI_DECIMALS), decimal(row["bought"], WEI_DECIMALS)
    )
    return strip_decimal(burned, WEI_DECIMALS)


@case("BUY-7")
def _transfer(row: Row) -> str:
    return micro(buyback.vault_transfer(usd(row, "balance"), usd(row, "unspent"), PARAMETERS))


@case("BUY-8")
def _receipt(row: Row) -> str:
    receipt = buyback.Receipt(
        usd(row, "spent"),
        decimal(row["bought"], WEI_DECIMALS),
        decimal(row["burned"], WEI_DECIMALS),
    )
    return verdict(
        buyback.check_vault_purchase(whole(row, "number"), whole(row, "taken so far"), receipt)
    )
