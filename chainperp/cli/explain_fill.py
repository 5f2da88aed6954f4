"""Why a trade went as it did: price, both sides, and the entry that led to it, in sentences."""

from pathlib import Path
from typing import Final

from chainperp.base.canonical import Record
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
from chainperp.model.decisions import Kind
from chainperp.model.envelope import transaction_hash
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_LIQUIDATION

CAUSES: Final = {
    Kind.BUYBACK: ("a purchase of the fund was due", "BUY-1"),
    Kind.TRIGGER: ("a trigger order met its mark", "TRG-2"),
}


def explain_fill(path: Path, tid: int) -> Explanation:
    """A trade: price, both sides, cause. Raises NotFound when the log has none of that number."""
    log = ChainLog(path)
    wanted = tid.to_bytes(8, "big")
    for block in log.blocks():
        for entry in block.of(Kind.FILL):
            fields = entry.fields()
            if fields["tid"].to_bytes(8, "big") == wanted:
                sentences = _fill_sentences(log, block, entry, fields)
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
                        "sentences": [one.document() for one in sentences],
                    },
                    [f"block {block.height}, {clock(block.time_ms)}: trade {tid}",
                     *(f"  {one.line()}" for one in sentences)],
                )  # fmt: skip
    raise nothing(f"no trade {tid} in this log")


def _fill_sentences(
    log: ChainLog, block: LoggedBlock, entry: Logged, fields: Record
) -> list[Sentence]:
    asset, index = fields["asset"], entry.index
    flags = fields["flags"]
    price = f"The price {log.price(asset, fields['price'])} is "
    if flags & FLAG_ADL:
        price += "that of the auto-deleveraging round, the same for all who are closed in it"
    elif flags & FLAG_BACKSTOP:
        price += "the mark, without fees: the backstop vault took the position over"
    else:
        price += f"that of the resting order {fields['maker_oid']}"
    fee_rule = fill_rule(fields) if flags & (FLAG_ADL | FLAG_BACKSTOP) else "FEE-2"
    worth, worth_rule = money(fields["price"] * fields["lots"]), "PNL-1"
    if log.base(asset) is not None:
        fee_rule, worth_rule = "SPT-6", "SPT-4"
    sentences = [
        fill_sentence(log, entry),
        Sentence(f"It is worth {worth}", worth_rule, index),
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
