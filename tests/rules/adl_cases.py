"""How the rows of `ADL.md` become rounds of auto-deleveraging, and the answers texts.

A candidate is a cell such as `lots 50, profit 510, value 100`; what is not said is 1 for lots,
value and notional, and 0 for the rest. Amounts are micro-USDC, so that nothing hides in rounding.
"""

import re
from typing import Final

from chainperp.rules.adl import policy, price, settlement
from chainperp.rules.adl.choose import POLICIES, allocate, policy_named
from chainperp.rules.adl.policy import Candidate, ExemptMode, PriceRule, Round, ScoreMode, Terms
from tests.rules.cases import CASES, case, is_yes, percent, usd, whole, yes_no
from tests.rules.runner import Row

__all__ = ["CASES"]

SEED: Final = bytes(32)
WORD = re.compile(r"([a-z]+)(?: (-?[\d,]+))?", re.ASCII)
MODES: Final = {mode.name.lower().replace("_", " "): mode for mode in ExemptMode}
PRICES: Final = {one.name.lower().replace("_", " "): one for one in PriceRule}


def words(text: str) -> dict[str, int]:
    """Named numbers of a cell; a word alone stands for 1."""
    found: dict[str, int] = {}
    for part in text.split(", "):
        match = WORD.fullmatch(part)
        if match is None:
            raise ValueError(f"neither a word nor a word with a number: {part!r}")
        found[match.group(1)] = int((match.group(2) or "1").replace(",", ""))
    return found


def candidate(name: str, text: str) -> Candidate:
    """The candidate that a cell describes."""
    found = words(text)
    value, profit = found.pop("value", 1), found.pop("profit", 0)
    notional = found.pop("notional", 1)
    made = Candidate(
        name.encode(),
        found.pop("lots", 1),
        entry_notional=found.pop("entry", notional),
        notional=notional,
        account_value=value,
        pnl=profit,
        cash=found.pop("cash", value - profit),
        maintenance=found.pop("maintenance", 0),
        opened_at=found.pop("since", 0),
        exempt=bool(found.pop("exempt", 0)),
        cap_ppb=found.pop("cap", 0) * 10_000_000,
        is_long=not found.pop("short", 0),
        is_isolated=bool(found.pop("isolated", 0)),
    )
    if found:
        raise ValueError(f"a candidate has no {', '.join(found)}")
    return made


def terms_of(row: Row) -> Terms:
    """Terms that a row names; those of the default otherwise."""
    if "terms" not in row or row["terms"] in {"-", ""}:
        return Terms()
    found = words(row["terms"])
    score = {"documented": ScoreMode.DOCUMENTED, "literal": ScoreMode.LITERAL}
    made = Terms(
        score_mode=next((score[word] for word in score if found.pop(word, 0)), ScoreMode.PRODUCT),
        exempt_mode=MODES[row["exemption"]] if "exemption" in row else ExemptMode.HARD,
        profit_only=bool(found.pop("winners", 0)),
        rank_insolvent=bool(found.pop("insolvent", 0)),
        haircut_limit_ppb=found.pop("limit", 100) * 10_000_000,
        equity_floor=found.pop("floor", 0),
        risk_power=found.pop("power", 1),
        risk_threshold_ppm=found.pop("threshold", 0),
        severity_ppb=found.pop("share", 100) * 10_000_000,
        newest_first=bool(found.pop("newest", 0)),
        offset_limit=found.pop("tries", 500),
    )
    if found:
        raise ValueError(f"no policy has terms {', '.join(found)}")
    return made


def played(row: Row) -> str:
    """One round: what each candidate gives or why not, and what is not covered."""
    first = next((one.name for one in POLICIES if one.rule == row.code), "")
    chosen = policy_named(row.cells.get("policy", first))
    names = [name for name in row.cells if len(name) == 1 and row[name] not in {"-", ""}]
    candidates = [candidate(name, row[name]) for name in names]
    needed = whole(row, "needed")
    mark = whole(row, "mark") if "mark" in row else 0
    this_round = Round(
        seed=SEED,
        lots=needed,
        budget=needed,
        mark=mark,
        price=whole(row, "price") if "price" in row else mark,
        terms=terms_of(row),
    )
    found = allocate(chosen, this_round, candidates)
    parts: list[str] = []
    for name, take, reason in zip(names, found.takes, found.reasons, strict=True):
        parts.append(f"{name} refused: {reason.name}" if reason else f"{name} {take}")
    text = ", ".join(parts)
    return f"{text}; {found.shortfall} left" if found.shortfall > 0 else text


for _code in ("11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24",
              "25", "27", "29", "31"):  # fmt: skip
    case(f"ADL-{_code}")(played)


@case("ADL-30")
def _exempt_last(row: Row) -> str:
    return played(row)


@case("ADL-1")
def _reason(row: Row) -> str:
    terms = Terms(profit_only=is_yes(row, "winners only"), exempt_mode=MODES[row["exemption"]])
    found = policy.candidate_reason(
        candidate("a", row["candidate"]),
        terms,
        row["hands out"] == "lots",
        policy.is_exemption_in_force(terms, 0),
    )
    return "eligible" if found == 0 else f"refused: {found.name}"


@case("ADL-2")
def _price(row: Row) -> str:
    marks = [whole(row, name) for name in ("previous mark", "mark", "bankruptcy price")]
    return str(price.adl_price(PRICES[row["rule"]], marks[0], marks[1], marks[2]))


@case("ADL-3")
def _shift(row: Row) -> str:
    shift = price.adl_price_shift(whole(row, "value at price") * -1, whole(row, "lots"))
    found = price.shifted_price(whole(row, "price"), shift, row["side"] == "long")
    moved = (found - whole(row, "price")) * whole(row, "lots")
    after = whole(row, "value at price") + (moved if row["side"] == "long" else -moved)
    return f"{found}, ends at {after}"


@case("ADL-4")
def _lots(row: Row) -> str:
    found = price.adl_lots(whole(row, "position"), usd(row, "account value"))
    return f"{found} lots" if found else "nothing"


@case("ADL-5")
def _in_force(row: Row) -> str:
    terms = Terms(exempt_mode=MODES[row["exemption"]], open_interest_limit=whole(row, "limit"))
    # The rule says whether the exemption holds: who asks to be a candidate is refused.
    return yes_no(not policy.is_exemption_in_force(terms, whole(row, "open interest")))


@case("ADL-6")
def _payable(row: Row) -> str:
    one = Candidate(
        b"a",
        whole(row, "lots"),
        entry_notional=0,
        notional=0,
        account_value=whole(row, "value"),
        pnl=0,
        is_long=row["side"] == "long",
        is_isolated=row["scope"] == "isolated",
    )
    return str(policy.payable_lots(one, whole(row, "price"), whole(row, "mark")))


@case("ADL-10")
def _slice(row: Row) -> str:
    found = settlement.disposal_slice(
        whole(row, "lots"),
        whole(row, "full"),
        percent(row, "fraction", policy.PPB),
        percent(row, "share", policy.PPB),
        whole(row, "volume"),
    )
    return f"{found} lots"


@case("ADL-26")
def _haircut(row: Row) -> str:
    columns = ("amount", "bankruptcies", "fund", "positive balances")
    amounts = [whole(row, name) for name in columns]
    return str(settlement.withdrawal_haircut(amounts[0], amounts[1], amounts[2], amounts[3]))


@case("ADL-28")
def _day(row: Row) -> str:
    rows = [
        (int(time) * 1000, key.encode(), int(profit))
        for key, profit, time in re.findall(r"([a-z]) ([+-]\d+) at (\d+) s", row["profits"])
    ]
    found = settlement.profits_of_day(rows, whole(row, "day"))
    return ", ".join(f"{key.decode()} {profit}" for key, profit in found) or "nobody"
