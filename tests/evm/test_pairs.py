"""The comparison of ledger and contracts names every kind of difference, and counts what agrees."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainperp.evm.book import Book, Recorded
from chainperp.evm.contract_facts import ContractFacts, header_hash, read_contracts
from chainperp.evm.events import Citation, Seen
from chainperp.evm.pairs import Comparison, compare
from tests.evm.bridged import CONTRACTS, Bridged
from tests.evm.test_keeper import story

Tamper = Callable[[Book, ContractFacts], ContractFacts]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bridged, ContractFacts]:
    """A finished story: two deposits, three payouts, a purchase."""
    made = Bridged(tmp_path_factory.mktemp("pairs"))
    story(made, deadly=False)
    facts = read_contracts(made.web3, CONTRACTS)
    # By number, so that cases can name one; the keeper asks and pays in any order.
    requested, ended = (
        tuple(sorted(rows, key=lambda one: int(one.fields["wid"])))
        for rows in (facts.requested, facts.ended)
    )
    return made, replace(facts, requested=requested, ended=ended)


def judged(sides: tuple[Bridged, ContractFacts], tamper: Tamper) -> Comparison:
    """A comparison after one side was changed."""
    made, facts = sides
    book = made.book()
    changed = tamper(book, facts)
    roots = {one.fields["size"]: one.fields["root"] for one in facts.anchored}
    return compare(book, changed, lambda size: roots[size])


def other(rows: tuple[Seen, ...], at: int = 0, **fields: Any) -> tuple[Seen, ...]:
    """The same events, with other fields in one of them."""
    one = replace(rows[at], fields={**rows[at].fields, **fields})
    return (*rows[:at], one, *rows[at + 1 :])


def recited(name: str, number: int) -> Tamper:
    """A record that cites another log of its block."""

    def tamper(book: Book, facts: ContractFacts) -> ContractFacts:
        table: dict[int, Recorded] = getattr(book, name)
        one = table[number]
        table[number] = replace(one, at=replace(one.at, log_index=one.at.log_index + 1))
        return facts

    return tamper


def repeated(book: Book, facts: ContractFacts) -> ContractFacts:
    """A log with a deposit that is recorded twice."""
    book.repeated.append("nonce 1 is recorded again by entry 9")
    return facts


def test_what_agrees_is_counted(sides: tuple[Bridged, ContractFacts]) -> None:
    """Nothing is found, nothing open, and each kind has its number."""
    found = judged(sides, lambda _book, facts: facts)
    assert (found.findings, found.open, found.remarks) == ([], [], [])
    assert {name: number for name, number in found.checked.items() if name != "total"} == {
        "deposit": 2, "payout": 3, "request": 3, "purchase": 1, "anchored size": 1,
    }  # fmt: skip


TAMPERS: list[tuple[str, Tamper]] = [
    ("deposit 1, amount", lambda _b, f: replace(f, deposits=other(f.deposits, amount=1))),
    ("deposit 2, user", lambda _b, f: replace(f, deposits=other(f.deposits, 1, beneficiary=b"x"))),
    ("deposit 1, payer", lambda _b, f: replace(f, deposits=other(f.deposits, user=b"x"))),
    ("deposit 2", lambda _b, f: replace(f, deposits=f.deposits[:1])),
    ("deposit 1, citation", recited("deposits", 1)),
    ("deposit 1", lambda b, f: (b.deposits.pop(1), f)[1]),
    ("sum of deposits", lambda _b, f: replace(f, totals=replace(f.totals, deposited=7))),
    ("payout 2", lambda _b, f: replace(f, ended=f.ended[:1] + f.ended[2:])),
    ("payout 1, outcome", lambda _b, f: replace(
        f, ended=(replace(f.ended[0], name="Cancelled"), *f.ended[1:]))),
    ("payout 3, citation", recited("payouts", 3)),
    ("withdrawal 1, amount", lambda _b, f: replace(f, ended=other(f.ended, amount=5))),
    ("withdrawal 1, destination",
     lambda _b, f: replace(f, ended=other(f.ended, destination=b"x"))),
    ("withdrawal 1, entry", lambda _b, f: replace(f, requested=other(f.requested, entry_index=1))),
    ("withdrawal 9", lambda _b, f: replace(f, ended=(*f.ended, other(f.ended, wid=9)[0]))),
    ("withdrawal 2", lambda _b, f: replace(f, ended=(*f.ended, f.ended[1]))),
    ("request 9", lambda _b, f: replace(f, requested=(*f.requested, other(f.requested, wid=9)[0]))),
    ("purchase 1, spent", lambda _b, f: replace(f, purchases=other(f.purchases, usd_spent=5))),
    ("purchase 1, bought", lambda _b, f: replace(f, purchases=other(f.purchases, tokens_bought=5))),
    ("purchase 1, burned", lambda _b, f: replace(f, purchases=other(f.purchases, tokens_burned=5))),
    ("purchase 1, decision", lambda _b, f: replace(f, purchases=other(f.purchases, decision=b"x"))),
    ("purchase 1", lambda _b, f: replace(f, purchases=())),
    ("purchase 1, receipts root", lambda _b, f: replace(f, receipts_roots={
        number: (header, b"x") for number, (header, _root) in f.receipts_roots.items()})),
    ("purchase 1, hash of the block's header", lambda _b, f: replace(f, receipts_roots={
        number: (b"x", root) for number, (_header, root) in f.receipts_roots.items()})),
    ("anchored size", lambda _b, f: replace(f, anchored=other(f.anchored, root=b"x"))),
    ("anchored size", lambda _b, f: replace(f, forks=other(f.anchored))),
    ("token supply", lambda _b, f: replace(f, totals=replace(f.totals, supply=7))),
    ("tokens burned",
     lambda _b, f: replace(f, totals=replace(f.totals, burned=0, supply=f.totals.initial_supply))),
    ("dollars of the bridge", lambda _b, f: replace(f, totals=replace(
        f.totals, bridge_usd=0, deposited=10**9))),
    ("log", repeated),
]  # fmt: skip


@pytest.mark.parametrize(("pair", "tamper"), TAMPERS)
def test_every_difference_is_named(
    sides: tuple[Bridged, ContractFacts], pair: str, tamper: Tamper
) -> None:
    """Missing, extra, other amounts, other places: the pair is in the finding."""
    found = judged(sides, tamper)
    assert any(one.pair == pair or one.pair.startswith(f"{pair} ") for one in found.findings), [
        one.sentence() for one in found.findings
    ]


def test_what_is_not_complete_yet_is_open(sides: tuple[Bridged, ContractFacts]) -> None:
    """The ledger may be behind the EVM, and the EVM behind the ledger."""

    def behind(book: Book, facts: ContractFacts) -> ContractFacts:
        del book.deposits[2], book.payouts[3], book.purchases[1]
        return facts

    found = judged(sides, behind)
    assert found.findings == []
    assert [one.split(" happened")[0] for one in found.open] == [
        "deposit 2", "payout 3", "purchase 1",
    ]  # fmt: skip

    def ahead(book: Book, facts: ContractFacts) -> ContractFacts:
        book.payouts.clear()
        book.purchases.clear()
        return replace(facts, ended=(), requested=facts.requested[:1], purchases=())

    found = judged(sides, ahead)
    assert "withdrawal 1 waits on the EVM" in found.open
    assert "withdrawal 3 is not requested on the EVM yet" in found.open


def test_strangers_are_remarks(sides: tuple[Bridged, ContractFacts]) -> None:
    """A cancelled false withdrawal, a purchase for nobody's decision, tokens sent to the vault."""

    def strange(book: Book, facts: ContractFacts) -> ContractFacts:
        book.decisions.clear()
        false = replace(other(facts.ended, wid=9)[0], name="Cancelled")
        return replace(
            facts, ended=(*facts.ended, false), totals=replace(facts.totals, vault_tokens=3)
        )

    found = judged(sides, strange)
    assert found.findings == []
    assert len(found.remarks) == 3


def test_headers_hash_to_their_blocks(sides: tuple[Bridged, ContractFacts], tmp_path: Path) -> None:
    """Every block of the machine, computed from its JSON form."""
    made, _facts = sides
    for block in made.journal.machine.blocks:
        assert header_hash(made.web3.eth.get_block(block.number)) == block.hash
    changed = dict(made.web3.eth.get_block(1)) | {"receiptsRoot": bytes(32)}
    assert header_hash(changed) != made.journal.machine.blocks[1].hash
    assert str(Citation(3, bytes(32), 1)) == "EVM block 3, log 1"
