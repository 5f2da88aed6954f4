"""Why a liquidation, a transaction or a trade went as it did: the log's entries in sentences.

Every sentence ends with the rule that decided and the log index of the entry that says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.units import Address, usd_text
from chainperp.cli.chain_log import (
    ChainLog,
    Logged,
    LoggedBlock,
    Sentence,
    money,
    nothing,
    who,
)
from chainperp.cli.entry_words import (
    entry_sentences,
    fill_sentence,
    ledger_sentence,
    transaction_sentences,
)
from chainperp.evidence.verifier.log_proofs import EFFECTS_END
from chainperp.model.decisions import (
    Kind,
    LedgerType,
    LiquidationOutcome,
    OrderStatus,
    Rejection,
    rule_code,
)
from chainperp.model.envelope import transaction_hash
from chainperp.model.records import CROSS_SCOPE


class Explanation(NamedTuple):
    """An answer as a document with stable keys and as lines for people."""

    document: dict[str, Any]
    lines: list[str]


def explain_liq(path: Path, address: Address, height: int | None = None) -> Explanation:
    """Every liquidation test of an account. Raises NotFound when it was never tested."""
    log = ChainLog(path)
    tests: list[dict[str, Any]] = []
    lines: list[str] = []
    for block in log.blocks():
        if height is not None and block.height > height:
            break
        if height is not None and block.height != height:
            continue
        for entry, scope_entries in _tests_of(block, address):
            sentences = _test_sentences(log, block, entry, scope_entries)
            tests.append(_test_document(log, block, entry, sentences))
            title = f"{block.title()}: {_scope_name(log, entry.fields())} of {who(address)}"
            lines += [title, *(f"  {sentence.line()}" for sentence in sentences)]
    if not tests:
        where = "in this log" if height is None else f"in block {height}"
        raise nothing(f"{who(address)} had no liquidation test {where}")
    counts: dict[str, int] = {}
    for test in tests:
        counts[test["outcome"]] = counts.get(test["outcome"], 0) + 1
    first, last = tests[0]["height"], tests[-1]["height"]
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    where = f"in block {first}" if first == last else f"in blocks {first} to {last}"
    number = "once" if len(tests) == 1 else f"{len(tests)} times"
    text = f"{who(address)} failed the liquidation test {number} {where}: {told}"
    summary = Sentence(text, "MRG-8", tests[-1]["index"])
    document = {"account": who(address), "outcomes": counts, "tests": tests}
    return Explanation(document, [summary.line(), *lines])


def _tests_of(block: LoggedBlock, address: bytes) -> Iterator[tuple[Logged, list[Logged]]]:
    """Liquidation tests of an account in a block, each with the entries that belong to it."""
    if not block.has(Kind.LIQ_TEST):
        return
    places = [entry.index - block.first_index for entry in block.of(Kind.LIQ_TEST)]
    adl_start = max(places) + 1
    for place in places:
        entry = block.at(place)
        fields = entry.fields()
        if fields["account"] != address:
            continue
        found: list[Logged] = []
        after = [other for other in places if other > place]
        for other in range(place + 1, after[0] if after else len(block.entries)):
            one = block.at(other)
            if one.kind is Kind.STATE_COMMIT:
                break
            found.append(one)
        if fields["outcome"] == LiquidationOutcome.ADL_CASE:
            found += [block.at(other) for other in range(adl_start, len(block.entries) - 1)]
        yield entry, list({one.index: one for one in found}.values())


def _scope_name(log: ChainLog, fields: Record) -> str:
    if fields["asset"] == CROSS_SCOPE:
        return "cross account"
    return f"isolated {log.market(fields['asset'])} position"


def _test_sentences(
    log: ChainLog, block: LoggedBlock, entry: Logged, found: list[Logged]
) -> list[Sentence]:
    """A test from the numbers it was found with to what it ended with."""
    fields = entry.fields()
    outcome = LiquidationOutcome(fields["outcome"])
    value, maintenance = fields["value"], fields["maintenance"]
    newest = max((mark.index for mark in log.marks.values()), default=entry.index)
    sentences = [
        Sentence(f"The marks in force: {log.marks_text()}", "PRC-4", newest),
        Sentence(
            f"Value {money(value)} "
            + (f"was below maintenance {money(maintenance)}: liquidatable" if value < maintenance
               else f"was no longer below maintenance {money(maintenance)}"),
            "MRG-8", entry.index,
        ),
    ]  # fmt: skip
    begins: list[int] = []
    for one in found:
        sentences += _step(log, fields, entry.index, one, begins)
    sentences.append(_verdict(outcome, fields, entry.index))
    return sentences


def _step(
    log: ChainLog, test: Record, cause: int, entry: Logged, begins: list[int]
) -> list[Sentence]:
    """What one entry after a test says about the tested account, if anything."""
    account = test["account"]
    kind = entry.kind
    if kind is Kind.FILL:
        fields = entry.fields()
        if fields["cause_index"] == cause and account in (fields["taker"], fields["maker"]):
            return [fill_sentence(log, entry, account)]
    elif kind is Kind.ORDER:
        return _order_step(log, test, entry)
    elif kind is Kind.BACKSTOP:
        return _backstop_step(log, entry) if entry.fields()["account"] == account else []
    elif kind is Kind.LEDGER:
        fields = entry.fields()
        kind_of_move = fields["type"]
        helped = kind_of_move in (LedgerType.INSURANCE_DRAW, LedgerType.DEFICIT)
        if (helped and fields["destination"] == account) or (
            kind_of_move == LedgerType.BACKSTOP_COLLATERAL and fields["source"] == account
        ):
            return [ledger_sentence(entry)]
    return _adl_step(log, account, entry, begins)


def _order_step(log: ChainLog, test: Record, entry: Logged) -> list[Sentence]:
    fields = entry.fields()
    if fields["account"] != test["account"]:
        return []
    asset, reason = fields["asset"], fields["reason"]
    side = "buy" if fields["is_buy"] else "sell"
    size, price = log.size(asset, fields["lots"]), log.price(asset, fields["price"])
    if reason == Rejection.LIQUIDATED:
        text = f"Its open order {fields['oid']} to {side} {size} at {price} was cancelled first"
        return [Sentence(text, "LIQ-2", entry.index)]
    if reason != Rejection.LIQUIDATION:
        return []
    filled = fields["lots"] - fields["remaining"]
    result = (
        "all of it was filled"
        if fields["status"] == OrderStatus.FILLED
        else f"{log.size(asset, filled)} was filled, for the rest nobody paid that much"
        if filled
        else "nobody paid that much"
    )
    text = f"The liquidation order was to {side} {size} at {price} or better: {result}"
    return [Sentence(text, "LIQ-4", entry.index)]


def _backstop_step(log: ChainLog, entry: Logged) -> list[Sentence]:
    fields = entry.fields()
    held = ", ".join(
        f"{log.position(row['asset'], row['lots'])} at {log.price(row['asset'], row['price'])}"
        for row in fields["positions"]
    )
    vault = (
        f"with it the vault is worth {money(fields['vault_value_after'])} and must hold "
        f"{money(fields['vault_margin_after'])}"
    )
    rule = rule_code(fields["rule"])
    if fields["taken"]:
        text = (
            f"The backstop vault took it over whole: {held}, and the margin that was left, "
            f"{money(fields['collateral'])}; {vault}"
        )
    elif rule == "BKS-4":
        text = f"The backstop vault is not offered {held}: the market is isolated only"
    else:
        text = f"The backstop vault was offered {held} and could not take it: {vault}"
    return [Sentence(text, rule, entry.index)]


def _adl_step(log: ChainLog, account: bytes, entry: Logged, begins: list[int]) -> list[Sentence]:
    if entry.kind is Kind.ADL_NET:
        fields = entry.fields()
        if account in (fields["long_account"], fields["short_account"]):
            is_long = account == fields["long_account"]
            other = fields["short_account" if is_long else "long_account"]
            text = (
                f"{log.size(fields['asset'], fields['lots'])} was closed against the bankrupt "
                f"other side, {who(other)}, at {log.price(fields['asset'], fields['price'])}"
            )
            return [Sentence(text, rule_code(fields["rule"]), entry.index)]
    elif entry.kind is Kind.ADL_BEGIN:
        fields = entry.fields()
        if fields["target"] == account:
            begins.append(entry.index)
            text = (
                f"Auto-deleveraging closes its {log.size(fields['asset'], fields['target_lots'])} "
                f"at {log.price(fields['asset'], fields['adl_price'])} against "
                f"{fields['n_eligible']} candidates of the other side; value before: "
                f"{money(fields['target_value'])}"
            )
            return [Sentence(text, "ADL-4", entry.index)]
    elif entry.kind is Kind.ADL_END:
        fields = entry.fields()
        if fields["begin_index"] in begins:
            text = (
                f"{fields['n_fills']} accounts closed it; value afterwards: "
                f"{money(fields['target_value_after'])}"
            )
            return [Sentence(text, "ADL-2", entry.index)]
    return []


def _verdict(outcome: LiquidationOutcome, fields: Record, index: int) -> Sentence:
    """How the test ended, by the rule that its entry names."""
    value, maintenance = fields["value_after"], fields["maintenance_after"]
    numbers = f"value {money(value)}, maintenance {money(maintenance)}"
    if outcome is LiquidationOutcome.RECOVERED:
        text = f"An earlier step of the block had made it safe: {numbers}"
    elif outcome is LiquidationOutcome.BOOK and value >= maintenance:
        text = f"Safe again, what is left stays with the account: {numbers}"
    elif outcome is LiquidationOutcome.BOOK:
        text = f"Still below maintenance, tested again in the next block: {numbers}"
    elif outcome is LiquidationOutcome.BACKSTOP:
        text = f"Taken over by the backstop vault: {numbers}"
    elif outcome is LiquidationOutcome.ADL_CASE:
        text = f"The book did not rescue it and its value is below zero: {numbers}"
    else:
        text = f"The block's limit of liquidations was reached, it waits for the next: {numbers}"
    return Sentence(text, rule_code(fields["rule"]), index)


def _test_document(
    log: ChainLog, block: LoggedBlock, entry: Logged, sentences: list[Sentence]
) -> dict[str, Any]:
    fields = entry.fields()
    return {
        "height": block.height,
        "time_ms": block.time_ms,
        "index": entry.index,
        "scope": _scope_name(log, fields),
        "value": usd_text(fields["value"]),
        "maintenance": usd_text(fields["maintenance"]),
        "value_after": usd_text(fields["value_after"]),
        "maintenance_after": usd_text(fields["maintenance_after"]),
        "outcome": LiquidationOutcome(fields["outcome"]).name.lower(),
        "rule": rule_code(fields["rule"]),
        "marks_root": "0x" + fields["marks_root"].hex(),
        "marks": {
            log.market(asset): log.price(asset, mark.mark)
            for asset, mark in sorted(log.marks.items())
        },
        "sentences": [sentence.document() for sentence in sentences],
    }


def explain_tx(path: Path, name: bytes) -> Explanation:
    """A transaction and all it did. Raises NotFound when the log has none of that hash."""
    log = ChainLog(path)
    for block in log.blocks():
        for entry in block.of(Kind.TX_USER):
            if transaction_hash(entry.fields()["envelope"]) == name:
                sentences, document = transaction_sentences(entry)
                effects = _effects(log, block, entry)
                document |= {"height": block.height, "time_ms": block.time_ms,
                             "index": entry.index}  # fmt: skip
                document["sentences"] = [one.document() for one in sentences]
                document["effects"] = [one.document() for one in effects]
                lines = [block.title(), *(f"  {one.line()}" for one in [*sentences, *effects])]
                return Explanation(document, lines)
    raise nothing(f"no transaction 0x{name.hex()} in this log")


def _effects(log: ChainLog, block: LoggedBlock, entry: Logged) -> list[Sentence]:
    """Entries that follow a transaction's own, up to the next transaction or phase."""
    found: list[Sentence] = []
    for place in range(entry.index - block.first_index + 1, len(block.entries)):
        one = block.at(place)
        if one.kind in EFFECTS_END:
            break
        fields = one.fields()
        if (
            (one.kind is Kind.FILL and fields["cause_index"] != entry.index)
            or (one.kind is Kind.ORDER and fields["reason"] == Rejection.UNWIND)
            or (one.kind is Kind.LEDGER and fields["type"] == LedgerType.FEE_SHARE)
        ):
            break
        found += entry_sentences(log, one)
    return found
