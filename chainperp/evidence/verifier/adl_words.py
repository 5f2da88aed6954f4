"""What a checked round says, in words with the numbers."""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import address_text, usd_text
from chainperp.evidence.verifier.accounts import scope_words
from chainperp.evidence.verifier.adl_round import RoundView, rank_key, row_candidate
from chainperp.evidence.verifier.steps import Steps
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.policy import Candidate
from chainperp.rules.adl.ranked import Score

MILLION: Final = 1_000_000
REASONS: Final = {
    AdlReason.NOT_IN_PROFIT: "its position was not in profit, and this policy takes profit only",
    AdlReason.VALUE_NOT_POSITIVE: "its account value was zero",
    AdlReason.UNDERWATER: "its account value was below zero: it was bankrupt itself",
    AdlReason.EXEMPT: "it was on the public list of exemptions",
    AdlReason.CAPPED: "nothing may be taken from it at this price",
}


def score_text(score: Score) -> str:
    """A score cut to six decimals."""
    if score[1] == 0:
        return "above all"
    whole = floor_div(score[0] * MILLION, score[1])
    sign, size = ("-", -whole) if whole < 0 else ("", whole)
    units = floor_div(size, MILLION)
    return f"{sign}{units}.{size - units * MILLION:06d}"


def tell_round(steps: Steps, found: RoundView) -> None:
    """Who was bankrupt, what was closed, at which price."""
    begin, terms = found.begin, found.terms
    side = "short" if found.candidates_long else "long"
    unproven = {"target bankrupt", "price of the round"}
    is_shown = all(step.name not in unproven for step in steps.verdict.not_checked)
    source = "" if is_shown else "By the log, which this proof does not show: "
    target = f"{scope_words(found.target_scope, terms)} of {address_text(begin['target'])}"
    lots = terms.size(found.asset, begin["target_lots"])
    steps.say(
        f"{source}In block {found.placed.height} {target} was bankrupt: its {side} {lots} had to "
        "be closed whole", "ADL-4",
    )  # fmt: skip
    steps.say(
        f"The price was {terms.price(found.asset, begin['adl_price'])}; the mark was "
        f"{terms.price(found.asset, begin['mark'])}, the mark before it "
        f"{terms.price(found.asset, begin['previous_mark'])}", "ADL-2",
    )  # fmt: skip
    steps.say(
        f"All {begin['coll_count']} positions of the other side are in the list, "
        f"{begin['n_eligible']} of them candidates; {begin['exempt_count']} accounts were on the "
        "public list of exemptions", "ADL-1",
    )  # fmt: skip


def tell_candidate(
    steps: Steps, found: RoundView, candidate: Candidate, row: Record, before: Record | None
) -> None:
    """Where one account stood, with which inputs, and what was taken from it."""
    terms, asset = found.terms, found.asset
    side = "long" if candidate.is_long else "short"
    steps.say(
        f"{address_text(row['account'])} was {side} {terms.size(asset, candidate.lots)}, entered "
        f"for {usd_text(candidate.entry_notional)}, worth {usd_text(candidate.notional)} (profit "
        f"{usd_text(candidate.pnl)}), with a value of {usd_text(candidate.account_value)}", "ADL-1",
    )  # fmt: skip
    reason = AdlReason(row["reason"])
    if reason is not AdlReason.ELIGIBLE:
        steps.say(f"It was not a candidate: {REASONS[reason]}", "ADL-1")
        return
    score = rank_key(found, candidate, reason).score
    steps.say(
        f"Its score was {score_text(score)}: rank {row['rank'] + 1} of "
        f"{found.begin['n_eligible']}, policy {found.queue.name}", found.queue.rule,
    )  # fmt: skip
    if before is not None:
        other = row_candidate(found, before)
        theirs = rank_key(found, other, AdlReason(before["reason"])).score
        steps.say(
            f"Directly before it stood {address_text(before['account'])} with score "
            f"{score_text(theirs)}; everybody up to there gave {before['cum_take']} of "
            f"{before['cum_weight']} lots they could", found.queue.rule,
        )  # fmt: skip
    take = row["take_lots"]
    if take:
        steps.say(
            f"{terms.size(asset, take)} of its {terms.size(asset, candidate.lots)} was closed",
            found.queue.rule,
        )
    else:
        steps.say("Nothing was taken from it: enough was found before its turn", found.queue.rule)
