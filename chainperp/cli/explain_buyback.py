"""Why the assistance fund bought, how much and at which price: a BUYBACK entry in sentences.

The numbers are put to the rules again; a sentence says so when they give anything else.
"""

from pathlib import Path
from typing import Any

from chainperp.base.canonical import Record
from chainperp.base.units import strip_decimal
from chainperp.cli.chain_log import ChainLog, Logged, LoggedBlock, Sentence, money, nothing
from chainperp.cli.entry_words import entry_sentence
from chainperp.cli.explain import Explanation
from chainperp.model.decisions import BuybackOutcome, Kind, rule_code
from chainperp.model.fund import NATIVE
from chainperp.node.documents.fund import purchase_document
from chainperp.parameters.schema import Parameters
from chainperp.rules.buyback import Quotes, is_purchase_due, plan_purchase
from chainperp.state.store import ASSISTANCE_FUND

BPS = 10_000


def explain_buyback(path: Path, height: int | None = None) -> Explanation:
    """The purchases of a block, or the last one of the log. Raises NotFound when there is none."""
    log = ChainLog(path)
    found: tuple[LoggedBlock, Logged] | None = None
    for block in log.blocks():
        if height is not None and block.height > height:
            break
        if height is None or block.height == height:
            for entry in block.of(Kind.BUYBACK):
                found = block, entry
    if found is None:
        where = "in this log" if height is None else f"in block {height}"
        raise nothing(f"no purchase of the assistance fund was due {where}")
    block, entry = found
    sentences = _sentences(log, block, entry)
    document: dict[str, Any] = purchase_document(
        block.height, block.time_ms, entry.index, entry.fields(), log.tokens[NATIVE]
    )
    document["sentences"] = [one.document() for one in sentences]
    title = f"{block.title()}: purchase of the assistance fund"
    return Explanation(document, [title, *(f"  {one.line()}" for one in sentences)])


def _sentences(log: ChainLog, block: LoggedBlock, entry: Logged) -> list[Sentence]:
    fields, parameters = entry.fields(), log.genesis.parameters
    index, now_ms = entry.index, block.time_ms
    since = (
        f"{(now_ms - fields['tried_ms']) / 1000:.3f} s after the last one was due"
        if fields["tried_ms"]
        else "for the first time"
    )
    sentences = [
        Sentence(
            f"A purchase was due {since}: the fund held {money(fields['balance'])}, at least "
            f"{money(parameters.buyback_balance_min)} and {parameters.buyback_interval_ms} ms are "
            "asked for", "BUY-1", index,
        ),
        Sentence(
            f"Of all that it ever got, {money(fields['fees'])} were fees of trades, "
            f"{money(fields['liquidations'])} shares of seized margin, {money(fields['other'])} "
            f"other income; {money(fields['to_vault'])} went on to the liquidity vault, "
            f"{money(fields['to_referrals'])} to referrers, {money(fields['spent_before'])} into "
            "purchases before" + _sent_before(fields), "BUY-5", index,
        ),
        *_decision(log, fields, parameters, index),
    ]  # fmt: skip
    if fields["lots"]:
        sentences += _carried_out(log, block, entry)
    verdict = _again(fields, now_ms, log.decimals(fields["asset"]), parameters)
    sentences.append(Sentence(verdict, rule_code(fields["rule"]), index))
    return [*sentences, *_transfer(log, block, index)]


def _sent_before(fields: Record) -> str:
    sent = fields["sent_before"]
    return f", {money(sent)} to the vault on the EVM" if sent else ""


def _transfer(log: ChainLog, block: LoggedBlock, index: int) -> list[Sentence]:
    """What the fund sent to the vault on the EVM after this purchase."""
    return [
        entry_sentence(log, one)
        for one in block.of(Kind.WITHDRAW_REQ)
        if one.index > index and one.fields()["user"] == ASSISTANCE_FUND
    ]


def _decision(log: ChainLog, fields: Record, parameters: Parameters, index: int) -> list[Sentence]:
    """Mark, limit and size, or why there was no purchase."""
    asset = fields["asset"]

    def price(value: int | None) -> str:
        return "none" if value is None else log.price(asset, value)

    outcome = BuybackOutcome(fields["outcome"])
    quotes = (
        f"best bid {price(fields['bid'])}, best ask {price(fields['ask'])}, last trade "
        f"{price(fields['last'])}"
    )
    if outcome is BuybackOutcome.NO_MARK:
        text = f"Nothing was bought: {quotes}, so there was no mark to go by"
        return [Sentence(text, "BUY-4", index)]
    slippage = strip_decimal(parameters.buyback_slippage_bps, 2)
    share = strip_decimal(parameters.buyback_depth_bps, 2)
    sentences = [
        Sentence(
            f"The mark was {price(fields['mark'])} ({quotes}); {slippage} % more is the limit, "
            f"{price(fields['limit'])}", "BUY-2", index,
        )
    ]  # fmt: skip
    offered = f"{money(fields['depth'])} were offered up to it"
    least = money(parameters.buyback_value_min)
    if outcome is BuybackOutcome.NO_DEPTH:
        text = f"Nothing was bought: {offered}, less than the smallest order, {least}"
    elif outcome is BuybackOutcome.TOO_LITTLE:
        text = (
            f"Nothing was bought: {offered}, and the fund's money does not buy the smallest order, "
            f"{least} rounded up to a lot"
        )
    else:
        thousandth = fields["depth"] * parameters.buyback_depth_bps // BPS
        text = (
            f"{offered}: {share} % of that is {money(thousandth)}, the smallest order is {least} "
            f"and the fund held {money(fields['balance'])}; that is "
            f"{log.size(asset, fields['lots'])} at the limit, "
            f"{money(fields['lots'] * fields['limit'])}"
        )
    return [*sentences, Sentence(text, "BUY-3", index)]


def _carried_out(log: ChainLog, block: LoggedBlock, entry: Logged) -> list[Sentence]:
    """The entries of the purchase itself, then what came of it."""
    fields, index = entry.fields(), entry.index
    asset = fields["asset"]
    sentences: list[Sentence] = []
    for place in range(index - block.first_index + 1, len(block.entries)):
        one = block.at(place)
        if one.kind not in (Kind.LEDGER, Kind.FILL, Kind.ORDER, Kind.TOKEN):
            break
        sentences.append(entry_sentence(log, one))
        if one.kind is Kind.TOKEN and one.fields()["amount"] == fields["burned"]:
            break
    average = (
        f", on average {money(fields['spent'] * 10**8 // fields['bought'])} for one"
        if fields["bought"]
        else ""
    )
    text = (
        f"It got {log.size(asset, fields['filled'])} for {money(fields['spent'])}{average}, and "
        f"burned {log.amount(NATIVE, fields['burned'])} in the same block"
    )
    return [*sentences, Sentence(text, "BUY-6", index)]


def _again(fields: Record, now_ms: int, size_decimals: int, parameters: Parameters) -> str:
    """Whether the rules give the same from the entry's own inputs."""
    quotes = Quotes(fields["bid"], fields["ask"], fields["last"], fields["mark"])
    plan = plan_purchase(
        fields["balance"], quotes, size_decimals, lambda _limit: fields["depth"], parameters
    )
    is_due = is_purchase_due(fields["balance"], now_ms, fields["tried_ms"], parameters)
    same = is_due and (plan.outcome, plan.limit, plan.lots) == (
        fields["outcome"], fields["limit"], fields["lots"],
    )  # fmt: skip
    if same:
        return "The rules give the same from these inputs; chainperp audit derives the inputs too"
    return "THE RULES GIVE SOMETHING ELSE from these inputs"
