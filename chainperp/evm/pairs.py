"""Compares what the ledger recorded of the EVM with what the contracts say, pair by pair.

Pure: a book of the log, the facts of the contracts, and the log's own roots. A pair that one side
has not completed yet is `open`, not false. Everything that was compared is counted, so that an
audit can say what it checked and what it did not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chainperp.evm.book import Book, Recorded
from chainperp.evm.contract_facts import ContractFacts
from chainperp.evm.events import Citation, Seen
from chainperp.evm.inputs import OUTCOMES
from chainperp.model.bridge import PAID

RootAt = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Finding:
    """A pair whose sides disagree."""

    pair: str
    "Such as `deposit 3`."
    expected: str
    "What the ledger says."
    found: str
    "What the contracts say."

    def sentence(self) -> str:
        """In words."""
        return f"{self.pair}: the ledger has {self.expected}, the EVM has {self.found}"


@dataclass(slots=True)
class Comparison:
    """What came of a comparison."""

    findings: list[Finding] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    "Pairs that were compared, by kind, whether they agreed or not."
    open: list[str] = field(default_factory=list)
    "Pairs that one side has not completed yet."
    remarks: list[str] = field(default_factory=list)
    "What is no fault and worth knowing."
    block: int = 0
    "Last block of the EVM that was read."

    def count(self, kind: str, number: int = 1) -> None:
        """Note that pairs were compared."""
        self.checked[kind] = self.checked.get(kind, 0) + number

    def differ(self, pair: str, expected: Any, found: Any) -> None:
        """Note that two sides disagree."""
        self.findings.append(Finding(pair, _shown(expected), _shown(found)))

    def same(self, pair: str, expected: Any, found: Any) -> None:
        """Note a difference unless there is none."""
        if expected != found:
            self.differ(pair, expected, found)


def compare(book: Book, facts: ContractFacts, root_at: RootAt) -> Comparison:
    """Every pair of a log and its contracts.

    `root_at(size)` is the root of the log's first `size` entries; it is asked for sizes up to
    `book.size` only.
    """
    made = Comparison(block=facts.block)
    for sentence in book.repeated:
        made.differ("log", sentence, "each once")
    _deposits(made, book, facts)
    _payouts(made, book, facts)
    _requests(made, book, facts)
    _purchases(made, book, facts)
    _anchored(made, book, facts, root_at)
    _totals(made, book, facts)
    return made


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Citation):
        return f"{value}, block hash 0x{value.block_hash.hex()[:16]}…"
    return str(value)


def _numbered(made: Comparison, kind: str, rows: tuple[Seen, ...], name: str) -> dict[int, Seen]:
    """Events by their number, which must run from 1 without gaps."""
    for expected, one in enumerate(rows, 1):
        if one.fields[name] != expected:
            made.differ(f"{kind} {expected}", "numbers without gaps", one.fields[name])
            break
    return {one.fields[name]: one for one in rows}


def _pairs(
    made: Comparison, kind: str, recorded: dict[int, Recorded], events: dict[int, Seen]
) -> Iterator[tuple[str, Recorded, Seen]]:
    """Recorded effects with their events; what has only one side is noted."""
    for number in sorted({*recorded, *events}):
        pair = f"{kind} {number}"
        mine, theirs = recorded.get(number), events.get(number)
        if mine is None:
            made.open.append(f"{pair} happened on the EVM and is not recorded yet")
            continue
        made.count(kind)
        if theirs is None:
            made.differ(pair, f"it at {_shown(mine.at)}", "no such event")
            continue
        made.same(f"{pair}, citation", mine.at, theirs.at)
        yield pair, mine, theirs


def _deposits(made: Comparison, book: Book, facts: ContractFacts) -> None:
    events = _numbered(made, "deposit", facts.deposits, "nonce")
    for pair, mine, theirs in _pairs(made, "deposit", book.deposits, events):
        for name, event in (("user", "beneficiary"), ("payer", "user"), ("amount", "amount")):
            made.same(f"{pair}, {name}", mine.fields[name], theirs.fields[event])
    _only_later(made, "deposit", book.deposits, events)


def _only_later(
    made: Comparison, kind: str, recorded: dict[int, Recorded], events: dict[int, Seen]
) -> None:
    """What the ledger has not recorded must come after everything that it has."""
    last = max(recorded, default=0)
    for number in sorted(events):
        if number < last and number not in recorded:
            made.differ(f"{kind} {number}", "nothing, but later ones", _shown(events[number].at))


def _payouts(made: Comparison, book: Book, facts: ContractFacts) -> None:
    requested = {one.fields["wid"]: one for one in facts.requested}
    ended: dict[int, Seen] = {}
    for one in facts.ended:
        wid = one.fields["wid"]
        if wid in ended:
            made.differ(f"withdrawal {wid}", "one end", f"{ended[wid].name} and {one.name}")
        ended[wid] = one
    known = {wid: one for wid, one in ended.items() if wid in book.requests or wid in book.payouts}
    for pair, mine, theirs in _pairs(made, "payout", book.payouts, known):
        made.same(f"{pair}, outcome", mine.fields["outcome"], OUTCOMES[theirs.name])
        wid = mine.fields["wid"]
        if wid not in book.requests:
            made.differ(pair, "no withdrawal of that number", theirs.name)
    for wid, one in sorted(ended.items()):
        if OUTCOMES[one.name] == PAID:
            _paid(made, book, one, requested.get(wid))
        elif wid not in book.requests:
            made.remarks.append(f"withdrawal {wid}, which the ledger does not have, was cancelled")


def _paid(made: Comparison, book: Book, end: Seen, request: Seen | None) -> None:
    """Dollars that left the bridge must be a withdrawal of the log, to the last field."""
    wid = end.fields["wid"]
    mine = book.requests.get(wid)
    if mine is None:
        made.differ(f"withdrawal {wid}", "no such withdrawal", f"it paid at {_shown(end.at)}")
        return
    for name in ("user", "destination", "amount"):
        made.same(f"withdrawal {wid}, {name}", getattr(mine, name), end.fields[name])
    index = None if request is None else request.fields["entry_index"]
    made.same(f"withdrawal {wid}, entry", mine.entry_index, index)


def _requests(made: Comparison, book: Book, facts: ContractFacts) -> None:
    """Requests whose dispute period may still run."""
    ended = {one.fields["wid"] for one in facts.ended}
    waiting = {one.fields["wid"] for one in facts.requested} - ended
    for one in facts.requested:
        wid = one.fields["wid"]
        made.count("request")
        mine = book.requests.get(wid)
        if wid not in waiting:
            continue
        if mine is None:
            entry = one.fields["entry_index"]
            made.differ(f"request {wid}", f"no such withdrawal (entry {entry})", "it waiting")
            continue
        for name in ("user", "destination", "amount", "entry_index"):
            made.same(f"request {wid}, {name}", getattr(mine, name), one.fields[name])
        made.open.append(f"withdrawal {wid} waits on the EVM")
    known = ended | waiting
    for wid in sorted(book.requests):
        if wid not in known and wid not in book.payouts:
            made.open.append(f"withdrawal {wid} is not requested on the EVM yet")


def _purchases(made: Comparison, book: Book, facts: ContractFacts) -> None:
    events = _numbered(made, "purchase", facts.purchases, "number")
    names = (("decision", "decision"), ("spent", "usd_spent"), ("bought", "tokens_bought"),
             ("burned", "tokens_burned"))  # fmt: skip
    for pair, mine, theirs in _pairs(made, "purchase", book.purchases, events):
        for name, event in names:
            made.same(f"{pair}, {name}", mine.fields[name], theirs.fields[event])
        header, root = facts.receipts_roots[theirs.at.block]
        made.same(f"{pair}, receipts root", mine.fields["log_root"], root)
        made.same(f"{pair}, hash of the block's header", mine.at.block_hash, header)
    _only_later(made, "purchase", book.purchases, events)
    for one in facts.purchases:
        if one.fields["decision"] not in book.decisions:
            number = one.fields["number"]
            made.remarks.append(f"purchase {number} cites no transfer of the fund: a stranger's")
    cited = {one.fields["decision"] for one in facts.purchases}
    paid = {wid for wid, one in book.payouts.items() if one.fields["outcome"] == PAID}
    for decision, wid in sorted(book.decisions.items(), key=lambda row: row[1]):
        if wid in paid and decision not in cited:
            made.open.append(f"withdrawal {wid} reached the vault and no purchase cites it yet")


def _anchored(made: Comparison, book: Book, facts: ContractFacts, root_at: RootAt) -> None:
    for one in facts.anchored:
        size = one.fields["size"]
        if size > book.size:
            made.open.append(f"anchored size {size} is beyond this log of {book.size} entries")
            continue
        made.count("anchored size")
        made.same(f"anchored size {size}, root", root_at(size), one.fields["root"])
    for one in facts.forks:
        size = one.fields["size"]
        made.differ(f"anchored size {size}", "one root", "two, each signed by a quorum")


def _totals(made: Comparison, book: Book, facts: ContractFacts) -> None:
    """Sums that must hold on the EVM, and between the two."""
    totals = facts.totals
    seen = {
        "deposits": sum(one.fields["amount"] for one in facts.deposits),
        "payouts": sum(one.fields["amount"] for one in facts.ended if one.name == "Finalized"),
        "burned": sum(one.fields["tokens_burned"] for one in facts.purchases),
    }
    rows = [
        ("sum of deposits", seen["deposits"], totals.deposited),
        ("sum of payouts", seen["payouts"], totals.paid),
        ("token supply", totals.initial_supply - totals.burned, totals.supply),
    ]
    credited = sum(one.fields["amount"] for one in book.deposits.values())
    unseen = sum(
        one.fields["amount"] for one in facts.deposits if one.fields["nonce"] not in book.deposits
    )
    rows.append(("deposits credited and waiting", credited + unseen, totals.deposited))
    for name, expected, found in rows:
        made.count("total")
        made.same(name, expected, found)
    made.count("total")
    if totals.bridge_usd < totals.deposited - totals.paid:
        made.differ("dollars of the bridge", totals.deposited - totals.paid, totals.bridge_usd)
    if totals.burned < seen["burned"]:
        made.differ("tokens burned", f"{seen['burned']} in purchases", totals.burned)
    if totals.vault_tokens:
        made.remarks.append(
            f"the vault holds {totals.vault_tokens} token units that were sent to it"
        )
