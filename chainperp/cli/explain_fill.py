"""Why a trade cost what it cost and went to whom: price, tier, discount, rebate, shares, cause.

Rates are worked out again from the log alone: the volumes of its trades, by day and family, and
the codes that were registered and named in it.
"""

from pathlib import Path
from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.units import day_of, strip_decimal, usd_text
from chainperp.chain.audit.fees import FREE
from chainperp.cli.chain_log import (
    ChainLog,
    Logged,
    LoggedBlock,
    Sentence,
    clock,
    money,
    nothing,
    who,
)
from chainperp.cli.entry_words import fill_rule, fill_sentence, fill_side
from chainperp.cli.explain import Explanation
from chainperp.cli.fee_book import FeeBook, SideFee
from chainperp.model.decisions import Kind
from chainperp.model.envelope import transaction_hash
from chainperp.rules.fees import hlp_share
from chainperp.rules.referrals import referral_reward
from chainperp.transition.recorder import (
    FLAG_ADL,
    FLAG_BACKSTOP,
    FLAG_LIQUIDATION,
    FLAG_NETTED,
    FLAG_TAKER_BUYS,
)

CAUSES: Final = {
    Kind.CHILDREN: ("positions of the children are netted", "VLT-27"),
    Kind.BUYBACK: ("a purchase of the fund was due", "BUY-1"),
    Kind.TRIGGER: ("a trigger order met its mark", "TRG-2"),
}


def explain_fill(path: Path, tid: int) -> Explanation:
    """A trade: price, both sides, cause. Raises NotFound when the log has none of that number."""
    log = ChainLog(path)
    book = FeeBook(log.genesis.parameters)
    for block in log.blocks():
        today = day_of(block.time_ms)
        for entry in block.of(Kind.SUB_ACCOUNT, Kind.REFERRAL, Kind.FILL):
            fields = entry.fields()
            if entry.kind is Kind.FILL and fields["tid"] == tid:
                sides = book.sides(fields, today, is_spot=log.base(fields["asset"]) is not None)
                routing, routed = _routing(log, entry, fields, sides)
                sentences = _fill_sentences(log, block, entry, fields)
                sentences[-1:-1] = routing
                return Explanation(
                    {
                        "tid": tid,
                        "height": block.height,
                        "time_ms": block.time_ms,
                        "index": entry.index,
                        "market": log.market(fields["asset"]),
                        "price": log.price(fields["asset"], fields["price"]),
                        "size": log.units(fields["asset"], fields["lots"]),
                        "maker": who(fields["maker"]),
                        "taker": who(fields["taker"]),
                        "cause_index": fields["cause_index"],
                        "fees": routed,
                        "sentences": [one.document() for one in sentences],
                    },
                    [f"block {block.height}, {clock(block.time_ms)}: trade {tid}",
                     *(f"  {one.line()}" for one in sentences)],
                )  # fmt: skip
            book.take(entry.kind, fields, today, is_spot=_is_spot(log, entry.kind, fields))
    raise nothing(f"no trade {tid} in this log")


def _is_spot(log: ChainLog, kind: Kind, fields: Record) -> bool:
    return kind is Kind.FILL and log.base(fields["asset"]) is not None


def _percent(millionths: int) -> str:
    return f"{strip_decimal(millionths, 4)} %"


def _side_words(side: SideFee) -> str:
    """Tier, rebate and discount of a side."""
    tier = f"tier {side.tier} by {usd_text(side.volume)} USDC in {side.window} days"
    rate = f"{_percent(side.rate)} ({tier})"
    if side.rate < 0:
        rate = (
            f"a rebate of {_percent(-side.rate)} by {usd_text(side.made)} of "
            f"{usd_text(side.exchange)} USDC made in {side.window} days"
        )
    if side.discount and side.rate > 0:
        rate += f", less {strip_decimal(side.discount, 2)} % as a referred account"
    return rate


def _routing(
    log: ChainLog, entry: Logged, fields: Record, sides: dict[str, SideFee]
) -> tuple[list[Sentence], dict[str, Any]]:
    """How each fee came about and where it went; nothing of a trade that nobody pays for."""
    if fields["flags"] & FREE:
        return [], {}
    found: list[Sentence] = []
    document: dict[str, Any] = {}
    base = log.base(fields["asset"])
    buyer = "taker" if fields["flags"] & FLAG_TAKER_BUYS else "maker"
    in_usdc: dict[str, int] = {}
    for name in ("taker", "maker"):
        side, fee = sides[name], fields[f"{name}_fee"]
        in_token = base is not None and name == buyer
        text = log.amount(base.index, fee) if base is not None and in_token else money(fee)
        rule = "SPT-6" if base is not None else "FEE-8" if side.rate < 0 else "FEE-2"
        found.append(Sentence(f"{name.capitalize()}'s fee {text}: {_side_words(side)}", rule,
                              entry.index))  # fmt: skip
        document[name] = side.document() | {"fee": text}
        if in_token:
            found.append(Sentence(f"{text} of fees is burned", "SPT-7", entry.index))
        else:
            in_usdc[name] = fee
    total = left = sum(in_usdc.values())
    for name, fee in in_usdc.items():
        side = sides[name]
        if side.referrer is not None and side.reward and fee > 0:
            reward = referral_reward(fee, left, side.reward)
            left -= reward
            document[name]["reward"] = usd_text(reward)
            found.append(Sentence(
                f"Of the {name}'s fee {money(reward)} goes to its referrer {who(side.referrer)} "
                "at the end of the block", "REF-4", entry.index))  # fmt: skip
    share = hlp_share(left, log.genesis.parameters.hlp_fee_share_bps)
    found.append(Sentence(
        f"Of {money(total)} the assistance fund keeps {money(left - share)}, the liquidity vault "
        f"gets {money(share)} at the end of the block", "FEE-3", entry.index))  # fmt: skip
    document["routing"] = {
        "total": usd_text(total), "fund": usd_text(left - share), "vault": usd_text(share),
        "referrers": usd_text(total - left),
    }  # fmt: skip
    return found, document


def _fill_sentences(
    log: ChainLog, block: LoggedBlock, entry: Logged, fields: Record
) -> list[Sentence]:
    asset, index = fields["asset"], entry.index
    flags = fields["flags"]
    price = f"The price {log.price(asset, fields['price'])} is "
    if flags & FLAG_ADL:
        price += "that of the auto-deleveraging round, the same for all who are closed in it"
    elif flags & FLAG_NETTED:
        price += "the mark, without fees: two children of the liquidity vault are netted"
    elif flags & FLAG_BACKSTOP:
        price += "the mark, without fees: the backstop vault took the position over"
    else:
        price += f"that of the resting order {fields['maker_oid']}"
    fee_rule = fill_rule(fields) if flags & FREE else "FEE-2"
    if log.base(asset) is not None:
        fee_rule = "SPT-6"
    sentences = [
        fill_sentence(log, entry),
        Sentence(f"It is worth {money(fields['price'] * fields['lots'])}",
                 "PNL-1" if log.base(asset) is None else "SPT-4", index),
        Sentence(price, fill_rule(fields), index),
        *(
            Sentence(f"{side.capitalize()} {who(fields[side])}: {fill_side(log, fields, side)}",
                     fee_rule, index)
            for side in ("maker", "taker")
        ),
    ]  # fmt: skip
    return [*sentences, _cause(block, fields, flags)]


def _cause(block: LoggedBlock, fields: Record, flags: int) -> Sentence:
    """The entry that led to a trade."""
    cause = fields["cause_index"]
    entry = block.at(cause - block.first_index)
    if entry.kind is Kind.TX_USER:
        name = "0x" + transaction_hash(entry.fields()["envelope"]).hex()
        return Sentence(f"Cause: transaction {name} of {who(entry.fields()['signer'])}", "",
                        cause)  # fmt: skip
    if flags & (FLAG_LIQUIDATION | FLAG_BACKSTOP):
        tested = who(fields["taker" if flags & FLAG_LIQUIDATION else "maker"])
        return Sentence(f"Cause: {tested} failed the liquidation test", "MRG-8", cause)
    if flags & FLAG_ADL:
        return Sentence(f"Cause: {who(fields['taker'])} was below zero", "ADL-4", cause)
    if entry.kind is Kind.TWAP:
        return Sentence(f"Cause: a slice of TWAP order {entry.fields()['twap_id']}", "TWP-4", cause)
    text, rule = CAUSES.get(entry.kind, ("the backstop vault works its positions off", "BKS-3"))
    return Sentence(f"Cause: {text}", rule, cause)
