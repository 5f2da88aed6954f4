"""Why an account was, or was not, auto-deleveraged: its row in the logged list of candidates.

The list is taken from the log, its hash is compared with the receipt's, and the policy is run over
it once more: order and takes must come out as logged.
"""

from pathlib import Path
from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.units import Address, usd_text
from chainperp.cli.adl_round import (
    AdlRound,
    candidate_of,
    fraction,
    recheck,
    rounded,
    rounds_of,
    score_of,
)
from chainperp.cli.chain_log import ChainLog, Sentence, money, nothing, who
from chainperp.cli.explain import Explanation
from chainperp.model.decisions import AdlReason, Kind
from chainperp.rules.adl.choose import policy_with_id
from chainperp.rules.adl.policy import Candidate, PriceRule, terms_of

REASONS: Final = {
    AdlReason.ELIGIBLE: "it was a candidate",
    AdlReason.NOT_IN_PROFIT: "its position was not in profit, and this policy takes profit only",
    AdlReason.VALUE_NOT_POSITIVE: "its account value was zero",
    AdlReason.UNDERWATER: "its account value was below zero: it is bankrupt itself",
    AdlReason.EXEMPT: "it is on the public list of exemptions, in force at this height",
    AdlReason.CAPPED: (
        "nothing may be taken from it: its exemption says so, or its value does not pay for one "
        "lot at the round's price"
    ),
}


def explain_adl(path: Path, address: Address, height: int | None = None) -> Explanation:
    """An account's part in the rounds of a chain or a block. Raises NotFound when it had none."""
    log = ChainLog(path)
    documents: list[dict[str, Any]] = []
    lines: list[str] = []
    seen = 0
    for block in log.blocks():
        if height is not None and block.height > height:
            break
        if (height is not None and block.height != height) or not block.has(Kind.ADL_BEGIN):
            continue
        for found in rounds_of(block):
            seen += 1
            part = _part(log, found, address)
            if part is not None:
                documents.append(part[0])
                lines.append(f"{block.title()}: auto-deleveraging in "
                             f"{log.market(found.begin['asset'])}")  # fmt: skip
                lines += [f"  {sentence.line()}" for sentence in part[1]]
    if not documents:
        where = "in this log" if height is None else f"in block {height}"
        raise nothing(f"{who(address)} had no part in the {seen} ADL rounds {where}")
    return Explanation({"account": who(address), "rounds": documents}, lines)


def _part(
    log: ChainLog, found: AdlRound, address: Address
) -> tuple[dict[str, Any], list[Sentence]] | None:
    """The account's part in one round, or None."""
    row = next((one for one in found.rows if one["account"] == address), None)
    if row is None and found.begin["target"] != address:
        return None
    sentences = [*_target_sentences(log, found), *_price_sentences(log, found)]
    document: dict[str, Any] = _round_document(log, found)
    if row is None:
        document["part"] = "bankrupt"
        sentences.append(_end_sentence(log, found))
    else:
        more, sentences_of_row = _row_part(log, found, row)
        document |= more
        sentences += sentences_of_row
    problems = recheck(log, found)
    document["rechecked"] = not problems
    sentences.append(_check_sentence(found, problems))
    document["sentences"] = [sentence.document() for sentence in sentences]
    return document, sentences


def _round_document(log: ChainLog, found: AdlRound) -> dict[str, Any]:
    begin = found.begin
    asset = begin["asset"]
    policy = policy_with_id(begin["policy_id"])
    return {
        "height": found.block.height,
        "index": found.index,
        "market": log.market(asset),
        "policy": policy.name,
        "rule": policy.rule,
        "target": who(begin["target"]),
        "target_value": usd_text(begin["target_value"]),
        "target_size": log.units(asset, begin["target_lots"]),
        "price": log.price(asset, begin["adl_price"]),
        "previous_mark": log.price(asset, begin["previous_mark"]),
        "mark": log.price(asset, begin["mark"]),
        "candidates": begin["queue_count"],
        "eligible": begin["n_eligible"],
        "insurance_paid": usd_text(sum(one["before"] - one["after"] for one in begin["waterfall"])),
    }


def _target_sentences(log: ChainLog, found: AdlRound) -> list[Sentence]:
    """Who was bankrupt, and what the insurance did."""
    begin = found.begin
    side = "short" if found.candidates_long else "long"
    draws = begin["waterfall"]
    before = sum(one["before"] for one in draws)
    paid = before - sum(one["after"] for one in draws)
    return [
        Sentence(
            f"{who(begin['target'])} was bankrupt: value {money(begin['target_value'])}, "
            f"{side} {log.size(begin['asset'], begin['target_lots'])}, closed whole",
            "ADL-4", found.index,
        ),
        Sentence(
            f"The insurance had {money(before)} and paid {money(paid)} towards it", "ADL-3",
            found.index,
        ),
    ]  # fmt: skip


def _price_sentences(log: ChainLog, found: AdlRound) -> list[Sentence]:
    """At which price the round closed, and by which rule."""
    begin = found.begin
    asset = begin["asset"]
    policy = policy_with_id(begin["policy_id"])
    price, previous, mark = begin["adl_price"], begin["previous_mark"], begin["mark"]
    base = {PriceRule.PREVIOUS_MARK: previous, PriceRule.MARK: mark}.get(policy.price_rule)
    name = {
        PriceRule.PREVIOUS_MARK: "the mark before the latest one",
        PriceRule.MARK: "the mark",
        PriceRule.BANKRUPTCY: "the price at which the bankrupt account has nothing left",
    }[policy.price_rule]
    text = f"The round closed at {log.price(asset, price)}: {name}"
    sentences = [Sentence(text, "ADL-2", found.index)]
    if base is not None and base != price:
        sentences[0] = Sentence(
            f"The round closed at {log.price(asset, price)}: {name}, {log.price(asset, base)}, "
            f"moved by {log.price(asset, abs(price - base))} in favour of the bankrupt account, "
            "which would still be below zero there",
            "ADL-3", found.index,
        )  # fmt: skip
    sentences.append(Sentence(f"The mark itself was {log.price(asset, mark)}", "PRC-4",
                              found.index))  # fmt: skip
    return sentences


def _row_part(log: ChainLog, found: AdlRound, row: Record) -> tuple[dict[str, Any], list[Sentence]]:
    """A candidate's rank, inputs, neighbours and take."""
    begin = found.begin
    policy, terms = policy_with_id(begin["policy_id"]), terms_of(log.genesis.parameters)
    one = candidate_of(log, found, row)
    reason = AdlReason(row["reason"])
    index = found.row_index[row["rank"]]
    score = None if reason else score_of(policy, terms, one)
    take, asset = row["take_lots"], begin["asset"]
    cost = take * abs(begin["adl_price"] - begin["mark"])
    against = begin["adl_price"] < begin["mark"] if one.is_long else (
        begin["adl_price"] > begin["mark"])  # fmt: skip
    cost = cost if against else -cost
    document = {
        "part": "candidate" if not reason else "not eligible",
        "reason": reason.name.lower(),
        "rank": row["rank"] + 1,
        "size": log.units(asset, row["lots"]),
        "entry_notional": usd_text(row["entry_notional"]),
        "notional": usd_text(one.notional),
        "account_value": usd_text(one.account_value),
        "profit": usd_text(one.pnl),
        "leverage": rounded((one.notional, one.account_value)) if one.account_value > 0 else "-",
        "score": fraction(score),
        "score_rounded": rounded(score),
        "take_size": log.units(asset, take),
        "cost_against_mark": usd_text(cost),
    }
    sentences = [_input_sentence(log, found, one, index)]
    if reason:
        sentences.append(Sentence(f"Not a candidate: {REASONS[reason]}", "ADL-1", index))
        return document, sentences
    if score is not None:
        sentences.append(
            Sentence(
                f"Its score was {rounded(score)}, exactly {fraction(score)}", policy.rule, index
            )
        )
    sentences.append(Sentence(
        f"That was rank {row['rank'] + 1} of {begin['n_eligible']} candidates "
        f"({begin['queue_count']} positions of its side, policy {policy.name})",
        policy.rule, index))  # fmt: skip
    sentences += _neighbours(log, found, row)
    if not take:
        sentences.append(Sentence(
            f"Not taken: {log.size(asset, begin['target_lots'])} was found before its turn, the "
            f"last one taken had rank {found.end['marginal_rank'] + 1}", policy.rule,
            found.end_index))  # fmt: skip
        return document, sentences
    fill_index, fill = found.fills[row["account"]]
    document["realised"] = usd_text(fill["maker_pnl"])
    words = (
        f"cost {money(cost)}" if cost > 0 else f"brought {money(-cost)}" if cost else "cost nothing"
    )
    sentences.append(Sentence(
        f"Taken: {log.size(asset, take)} of its {log.size(asset, row['lots'])} was closed; "
        f"realised {money(fill['maker_pnl'])}, no fee; against the mark that {words}",
        policy.rule, fill_index))  # fmt: skip
    return document, sentences


def _input_sentence(log: ChainLog, found: AdlRound, one: Candidate, index: int) -> Sentence:
    scope = "the position's own" if one.is_isolated else "the account's"
    leverage = (
        f"leverage {rounded((one.notional, one.account_value))}" if one.account_value > 0
        else "no leverage, for want of value"
    )  # fmt: skip
    ratio = rounded((abs(one.pnl), one.entry_notional or 1))
    kind = "profit" if one.pnl >= 0 else "loss"
    return Sentence(
        f"The inputs: {'long' if one.is_long else 'short'} "
        f"{log.size(found.begin['asset'], one.lots)}, entered for {money(one.entry_notional)}, "
        f"worth {money(one.notional)}: {kind} {money(abs(one.pnl))} ({ratio} of entry); {scope} "
        f"value {money(one.account_value)}: {leverage}",
        "ADL-1",
        index,
    )


def _neighbours(log: ChainLog, found: AdlRound, row: Record) -> list[Sentence]:
    """Who ranked directly before and after."""
    sentences: list[Sentence] = []
    policy, terms = policy_with_id(found.begin["policy_id"]), terms_of(log.genesis.parameters)
    for step, word in ((-1, "before"), (1, "after")):
        rank = row["rank"] + step
        if not 0 <= rank < len(found.rows):
            continue
        other = found.rows[rank]
        if other["reason"]:
            continue
        score = score_of(policy, terms, candidate_of(log, found, other))
        told = "" if score is None else f" with score {rounded(score)}"
        lots = other["take_lots"]
        gave = log.size(found.begin["asset"], lots) if lots else "nothing"
        sentences.append(Sentence(
            f"Directly {word} stood {who(other['account'])}{told}, of whom {gave} was taken",
            policy.rule, found.row_index[rank]))  # fmt: skip
    return sentences


def _end_sentence(log: ChainLog, found: AdlRound) -> Sentence:
    end = found.end
    asset = found.begin["asset"]
    return Sentence(
        f"{end['n_fills']} accounts closed {log.size(asset, end['filled_lots'])} of it; what was "
        f"left of its value: {money(end['target_value_after'])}",
        "ADL-4", found.end_index,
    )  # fmt: skip


def _check_sentence(found: AdlRound, problems: list[str]) -> Sentence:
    found_equal = "the same hash, the same order, the same takes"
    text = f"Checked again from the logged inputs: {'; '.join(problems) or found_equal}"
    return Sentence(text, policy_with_id(found.begin["policy_id"]).rule, found.index)
