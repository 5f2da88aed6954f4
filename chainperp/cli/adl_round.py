"""An auto-deleveraging round as the log holds it, and the policy run over it once more."""

from dataclasses import dataclass
from hashlib import sha256
from math import gcd

from chainperp.base.canonical import Record, encode
from chainperp.cli.chain_log import ChainLog, LoggedBlock
from chainperp.model.decisions import Kind
from chainperp.model.records import ADL_ROW
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import (
    Candidate,
    ExemptMode,
    Policy,
    Round,
    Terms,
    terms_hash,
    terms_of,
)
from chainperp.rules.adl.ranked import (
    SCORES,
    Score,
    binance_score,
    bitmex_score,
    leverage_score,
    okx_score,
)
from chainperp.rules.margin import maintenance_margin
from chainperp.state.root import merkle_root
from chainperp.transition.receipts import ROW_PREFIX, SCOPE_ISOLATED, SCOPE_LISTED
from chainperp.transition.recorder import FLAG_ADL


@dataclass
class AdlRound:
    """One logged round: head, list, trades, end, and the log indexes they stand at."""

    block: LoggedBlock
    index: int
    begin: Record
    rows: list[Record]
    row_index: dict[int, int]
    fills: dict[bytes, tuple[int, Record]]
    end_index: int
    end: Record

    @property
    def candidates_long(self) -> bool:
        """Side of the candidates."""
        return bool(self.begin["candidate_side"] == 0)


def rounds_of(block: LoggedBlock) -> list[AdlRound]:
    """All auto-deleveraging rounds of a block."""
    found: dict[int, AdlRound] = {}
    for entry in block.of(Kind.ADL_BEGIN, Kind.ADL_ROWS, Kind.ADL_END, Kind.FILL):
        fields = entry.fields()
        if entry.kind is Kind.ADL_BEGIN:
            found[entry.index] = AdlRound(block, entry.index, fields, [], {}, {}, 0, {})
        elif entry.kind is Kind.ADL_ROWS:
            round_ = found[fields["begin_index"]]
            for row in fields["rows"]:
                round_.row_index[row["rank"]] = entry.index
                round_.rows.append(row)
        elif entry.kind is Kind.ADL_END:
            found[fields["begin_index"]].end = fields
            found[fields["begin_index"]].end_index = entry.index
        elif fields["flags"] & FLAG_ADL and fields["cause_index"] in found:
            found[fields["cause_index"]].fills[fields["maker"]] = (entry.index, fields)
    return list(found.values())


def candidate_of(log: ChainLog, found: AdlRound, row: Record) -> Candidate:
    """What the policy saw of a row, from the row's own fields and the marks in the head."""
    lots, entry = row["lots"], row["entry_notional"]
    notional = lots * found.begin["mark"]
    pnl = notional - entry if found.candidates_long else entry - notional
    value = row["account_value"]
    return Candidate(
        row["account"],
        lots,
        entry_notional=entry,
        notional=notional,
        account_value=value,
        pnl=pnl,
        cash=value - pnl,
        maintenance=maintenance_margin(notional, log.terms[found.begin["asset"]]),
        exempt=bool(row["scope"] & SCOPE_LISTED),
        is_long=found.candidates_long,
        is_isolated=bool(row["scope"] & SCOPE_ISOLATED),
    )


def round_of(log: ChainLog, found: AdlRound) -> Round:
    """What the policy was told of the round itself."""
    begin = found.begin
    return Round(
        seed=begin["seed"],
        asset=begin["asset"],
        is_target_long=not found.candidates_long,
        lots=begin["target_lots"],
        budget=begin["budget"],
        mark=begin["mark"],
        previous_mark=begin["previous_mark"],
        price=begin["adl_price"],
        open_interest=abs(begin["coll_lots"]) * begin["mark"],
        terms=terms_of(log.genesis.parameters),
    )


def score_of(policy: Policy, terms: Terms, candidate: Candidate) -> Score | None:
    """The exact score by which a queue ranks a candidate; None where the policy has no queue."""
    by_policy = {
        100: SCORES[terms.score_mode],
        200: bitmex_score,
        300: binance_score,
        350: okx_score,
        400: leverage_score,
    }
    score = by_policy.get(policy.policy_id)
    return None if score is None else score(candidate)


def rounded(score: Score | None) -> str:
    """A fraction cut to six decimals."""
    if score is None or score[1] == 0:
        return "-"
    whole = score[0] * 1_000_000 // score[1]
    return f"{whole // 1_000_000}.{whole % 1_000_000:06d}"


def fraction(score: Score | None) -> str:
    """A fraction in lowest terms."""
    if score is None:
        return "-"
    common = gcd(*score) or 1
    return f"{score[0] // common}/{score[1] // common}"


def recheck(log: ChainLog, found: AdlRound) -> list[str]:
    """The list hashed and the policy run again over the logged inputs: what is not equal."""
    begin = found.begin
    policy, terms = policy_with_id(begin["policy_id"]), terms_of(log.genesis.parameters)
    hashes = [sha256(ROW_PREFIX + encode(ADL_ROW, row)).digest() for row in found.rows]
    problems: list[str] = []
    if merkle_root(hashes) != begin["queue_root"] or len(hashes) != begin["queue_count"]:
        problems.append("the list does not hash to the receipt's root")
    if terms_hash(policy.policy_id, terms) != begin["params_hash"]:
        problems.append("the policy's parameters are not those of genesis")
    if begin["exempt_count"] and begin["exempt_mode"] == ExemptMode.CAPPED:
        return [
            *problems,
            "order and takes not checked, the rows do not say what an account's cap is",
        ]
    # The policy gets the candidates in address order, as the engine gives them.
    logged = sorted(found.rows, key=lambda row: bytes(row["account"]))
    this_round = round_of(log, found)
    again = allocate(policy, this_round, [candidate_of(log, found, row) for row in logged])
    if [logged[index]["account"] for index in again.order] != [
        row["account"] for row in found.rows
    ]:
        problems.append("the policy gives another order")
    if policy.in_lots and again.takes != [row["take_lots"] for row in logged]:
        problems.append("the policy takes otherwise")
    return problems
