"""What the keeper does when something is wrong: a note, and everything else goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainperp.evm.facts import Head, KeeperReport, Pointer
from chainperp.evm.keeper import Settings
from chainperp.state.store import ASSISTANCE_FUND
from chainperp.storage.files import StorageFault
from contracts_py.bridge import LOCKER, Status, Withdrawal
from tests.evm.bridged import CONTRACTS, KEYS, USD, Bridged, account, address_of
from tests.evm.test_keeper import anchor_now

ANN, BEN, CAT = (account(name) for name in ("ann", "ben", "cat"))


@pytest.fixture
def made(tmp_path: Path) -> Bridged:
    """Ann has 100 dollars on the ledger, which are in the bridge."""
    made = Bridged(tmp_path)
    made.bridge.deposit(ANN, 100 * USD)
    made.settle()
    return made


def test_a_receiver_that_the_bridge_refuses_holds_up_nobody(made: Bridged) -> None:
    """To nobody, to the bridge: left out with a note; the others are paid."""
    bad = [made.withdraw("ann", 5, one) for one in (address_of("ann"), address_of("cat"))]
    nobody = type(address_of("ann"))(bytes(20))
    state = made.engine.state
    # As a ledger without the rule against it would have it.
    state.withdrawals[bad[0]].destination = nobody
    state.withdrawals[bad[1]].destination = CONTRACTS.bridge
    good = made.withdraw("ann", 10)
    reports = [made.tick() for _ in range(6)]
    assert [one.done.finalized for one in reports if one.done.finalized] == [(good,)]
    assert sum("the bridge pays nobody" in note for note in reports[-1].notes) == 2
    assert not any("reverted" in note for one in reports for note in one.notes)


def test_one_bad_item_of_a_batch_holds_up_nobody(
    made: Bridged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that reverts is sent again item by item."""
    first, second = made.withdraw("ann", 5), made.withdraw("ann", 6)
    sign = type(KEYS).sign_withdrawal

    def wrong(keys: Any, domain: Any, chain_id: bytes, one: Any) -> Any:
        return sign(keys, domain, chain_id if one.wid == second else bytes(32), one)

    monkeypatch.setattr(type(KEYS), "sign_withdrawal", wrong)
    report = made.tick()
    assert report.done.requested == (second,)
    assert any(note.startswith(f"request of {first}: Bridge.") for note in report.notes)
    monkeypatch.undo()
    assert made.tick().done.requested == (first,)


def test_a_paused_bridge_is_a_note_and_deposits_go_on(made: Bridged) -> None:
    """Lockers stop payouts; what came in before is credited, the log is anchored."""
    made.bridge.deposit(BEN, 20 * USD)
    wid = made.withdraw("ann", 10)
    lock(made)
    report = made.tick()
    assert len(report.inputs) == 1
    assert report.done.anchored == report.anchored_size
    assert report.notes == (
        f"request of {wid}: Bridge.request_withdrawals reverted: bridge: paused",
    )
    assert made.tick().done.requested == ()


def lock(made: Bridged) -> None:
    """Two of the hot validators vote to stop; the operator pays for their gas."""
    from eth_account import Account

    from contracts_py.handle import send_ether

    for key in KEYS.hot[:2]:
        locker = Account.from_key(key)
        send_ether(made.web3, made.keeper.operator, locker.address, 10**18)
        made.bridge.vote_lock(locker)
    assert made.bridge.paused()
    assert LOCKER == 1


def test_a_forked_anchor_stops_requests_and_nothing_else(made: Bridged) -> None:
    """Another root at the size that the ledger knows: nothing is asked for on top of it."""
    made.withdraw("ann", 10)
    anchor = made.keeper.anchor
    size, root = made.facts().head.size, bytes(31) + b"\1"
    signed = KEYS.sign(anchor.checkpoint_digest(size, root))
    anchor.anchor(ANN, (size, root), (), KEYS.set, signed)
    made.bridge.deposit(BEN, 20 * USD)
    made.tick()  # hears of the size
    report = made.tick()
    assert any("is not the ledger's" in note for note in report.notes)
    assert (report.done.requested, report.done.anchored) == ((), 0)
    assert made.cash("ben") == 20 * USD
    assert any(one.pair == f"anchored size {size}, root" for one in made.compare().findings)


def test_a_proven_fork_is_a_note(made: Bridged) -> None:
    """The Anchor is stopped for good."""
    made.withdraw("ann", 10)
    anchor = made.keeper.anchor
    sides = [
        (root, KEYS.sign(anchor.checkpoint_digest(9, root))) for root in (b"a" * 32, b"b" * 32)
    ]
    anchor.report_fork(CAT, 9, sides[0], sides[1], KEYS.set)
    report = made.tick()
    assert "anchor: stopped for good, a fork was proven" in report.notes
    assert report.done.requested == ()
    assert made.compare().findings[0].pair == "anchored size 9"


def test_without_dollars_and_without_a_minter_some_wait(tmp_path: Path) -> None:
    """What is covered is paid; the rest waits with a note until there are dollars."""
    made = Bridged(tmp_path, Settings(is_minter=False))
    made.bridge.deposit(ANN, 50 * USD)
    made.settle()
    made.grant(address_of("ben"), 100)
    large, small = made.withdraw("ben", 90), made.withdraw("ann", 40)
    reports = [made.tick() for _ in range(7)]
    assert [one.done.finalized for one in reports if one.done.finalized] == [(small,)]
    assert f"finalize of {large}: the bridge has not enough dollars" in reports[-1].notes
    made.usd.transfer(CAT, made.bridge.address, 100 * USD)
    made.settle()
    assert made.usd.balance_of(BEN.address) == 1_089 * USD


def test_a_development_chain_gets_what_grants_lack(made: Bridged) -> None:
    """A grant has nothing behind it: the difference is minted, to the dollar, once."""
    made.grant(address_of("ben"), 500)
    made.withdraw("ben", 401)
    reports = made.settle()
    assert sum(one.done.minted for one in reports) == 300 * USD
    assert made.usd.balance_of(made.bridge.address) == 0


def test_a_withdrawal_of_nobody_is_disputed(made: Bridged) -> None:
    """A number that the ledger never gave, pointing at any entry."""
    anchor_now(made)
    false = Withdrawal(77, CAT.address, CAT.address, 60 * USD, 2)
    signed = KEYS.sign(made.bridge.withdrawal_digest(false))
    made.bridge.request_withdrawals(CAT, [(false, signed)], KEYS.set)
    assert [one.wid for one in made.tick().suspects] == [77]
    assert made.tick().done.disputed == (77,)
    assert made.bridge.request(77).status is Status.INVALID
    assert made.tick().suspects == ()
    found = made.compare()
    assert (found.findings, len(found.remarks)) == ([], 1)


def test_a_false_payout_is_never_recorded(made: Bridged) -> None:
    """Nobody disputed in time: the ledger does not believe it, and the comparison names it."""
    wid = made.withdraw("ann", 50)
    index = made.engine.state.withdrawals[wid].entry_index
    anchor_now(made)
    false = Withdrawal(wid, ANN.address, CAT.address, 49 * USD, index)
    signed = KEYS.sign(made.bridge.withdrawal_digest(false))
    made.bridge.request_withdrawals(CAT, [(false, signed)], KEYS.set)
    made.now += 5
    made.bridge.finalize(CAT, [wid])
    report = made.tick()
    assert report.inputs == ()
    assert f"withdrawal {wid} was paid on the EVM otherwise than the ledger says" in report.notes
    pairs = [one.pair for one in made.compare().findings]
    assert f"withdrawal {wid}, destination" in pairs


def test_strangers_may_spend_the_vaults_dollars_but_not_the_books(made: Bridged) -> None:
    """Somebody's purchase for no decision, with a gift in it, is recorded like any other; the
    fund's next transfer is bought with as usual."""
    made.now += 100
    made.usd.transfer(CAT, made.vault.address, 30 * USD)
    made.vault.buy_from_pool(CAT, b"\5" * 32)
    made.settle()
    fund = made.engine.state.fund
    assert (fund.evm_purchases, fund.evm_gifts, fund.evm_spent) == (1, 30 * USD, 0)
    made.grant(ASSISTANCE_FUND, 500)
    for _ in range(12):
        made.tick()
    assert (fund.evm_purchases, fund.evm_gifts, fund.evm_spent) == (2, 30 * USD, 50 * USD)
    found = made.compare()
    assert (found.findings, found.open) == ([], [])
    assert found.remarks == ["purchase 1 cites no transfer of the fund: a stranger's"]


def test_a_gift_alone_is_nobodys_decision(made: Bridged) -> None:
    """The keeper does not spend what the ledger did not send."""
    made.now += 100
    made.usd.transfer(CAT, made.vault.address, 30 * USD)
    assert made.tick().done.bought == 0


def test_a_price_above_the_bound_waits_for_a_new_average(made: Bridged) -> None:
    """Somebody pushed the price: no purchase at that price, and the average begins again."""
    from contracts_py.pool import Pool

    made.now += 100
    pool = Pool(made.web3, "0x" + CONTRACTS.pool.hex())
    made.usd.mint(made.keeper.operator, CAT.address, 10**6 * USD)
    made.usd.approve(CAT, pool.address, 2**256 - 1)
    pool.swap(CAT, buys_token=True, amount_in=10**6 * USD, least_out=0)
    made.grant(ASSISTANCE_FUND, 500)
    reports = [made.tick() for _ in range(16)]
    notes = [note for one in reports for note in one.notes]
    assert any("pool: less than asked" in note for note in notes)
    assert any("a new average begins" in note for note in notes)
    assert made.engine.state.fund.evm_purchases == 1


def test_the_log_is_anchored_from_time_to_time(tmp_path: Path) -> None:
    """Every so many blocks, whatever happens; somebody else may have been first."""
    made = Bridged(tmp_path, Settings(anchor_interval=5))
    assert made.tick().done.anchored == 0
    for _ in range(5):
        made.block()
    first = made.tick().done.anchored
    assert first == made.facts().head.size
    for _ in range(3):
        made.block()
    anchor_now(made)
    for _ in range(5):
        made.block()
    missed = made.tick()
    assert missed.done.anchored == 0
    assert missed.anchored_size > first
    assert missed.notes == (f"anchor: the next facts must prove from size {missed.anchored_size}",)
    assert made.tick().done.anchored == made.facts().head.size
    assert made.compare().checked["anchored size"] == 3


def test_what_is_not_deep_enough_waits(tmp_path: Path) -> None:
    """With confirmations, the ledger hears later, and of everything."""
    made = Bridged(tmp_path, Settings(confirmations=2))
    made.bridge.deposit(ANN, 50 * USD)
    assert made.tick().inputs == ()
    made.journal.mine(made.now)
    assert made.tick().inputs == ()
    made.journal.mine(made.now)
    assert len(made.tick().inputs) == 1
    assert made.cash("ann") == 50 * USD
    made.withdraw("ann", 20)
    reports = [made.tick() for _ in range(6)]
    assert [one.done.finalized for one in reports if one.done.finalized] == [(1,)]
    assert not any(one.inputs for one in reports)
    made.journal.mine(made.now)
    assert made.tick().inputs == ()
    made.journal.mine(made.now)
    assert len(made.tick().inputs) == 1
    assert not made.engine.state.withdrawals


def test_an_evm_that_lost_its_memory_is_a_note(made: Bridged, tmp_path: Path) -> None:
    """The ledger credited what this EVM does not have."""
    facts = made.facts()
    fresh = Bridged(tmp_path / "fresh")
    report = fresh.keeper.step(facts)
    assert "deposits: the ledger recorded 1, the EVM has 0 only" in report.notes
    assert report.inputs == ()


def test_an_evm_that_does_not_answer_is_a_note(made: Bridged) -> None:
    """Nothing is done, nothing is lost, nobody falls over."""
    made.bridge.deposit(BEN, 20 * USD)
    made.provider.fault = ConnectionError("nobody is there")
    report = made.tick()
    assert (report.inputs, report.notes) == ((), ("reading the EVM: nobody is there",))
    assert report.anchored_size == made.facts().anchored.size
    made.provider.fault = None
    assert len(made.tick().inputs) == 1


def test_a_disk_that_refuses_stops_the_keeper(made: Bridged) -> None:
    """The machine is then ahead of its journal: no note may hide that."""
    made.provider.fault = StorageFault("no room")
    with pytest.raises(StorageFault):
        made.step()


def test_a_gap_in_the_deposits_is_not_jumped_over(made: Bridged) -> None:
    """An event that the node keeps back stops what comes after it, until it is there."""
    blocks = [made.bridge.deposit(CAT, usd * USD).block for usd in (10, 20, 30)]
    made.provider.hidden = blocks[1]
    report = made.tick()
    assert (len(report.inputs), report.notes) == (1, ("deposits: number 3 has no event",))
    made.provider.hidden = -1
    assert len(made.tick().inputs) == 2
    assert made.cash("cat") == 60 * USD


def test_what_is_not_signed_yet_is_not_asked_for(made: Bridged) -> None:
    """A withdrawal behind the last checkpoint waits for the next, without a wasted transaction."""
    made.store.checkpoint_interval_ms = 10**9
    made.withdraw("ann", 10)
    before = made.provider.sent
    report = made.tick()
    assert (made.provider.sent, report.notes) == (before, ())
    made.store.publish()
    assert made.tick().done.requested == (1,)


def test_facts_answer_only_what_the_log_has(made: Bridged) -> None:
    """No decision from an entry that is no such request, no evidence beyond what is anchored."""
    wid = made.withdraw("ann", 10)
    index = made.engine.state.withdrawals[wid].entry_index
    report = made.tick()
    asked = (
        Pointer(wid, index), Pointer(wid + 1, index), Pointer(wid, index - 1), Pointer(wid, 10**6),
    )  # fmt: skip
    made.last = replace(report, transfers=asked, suspects=asked)
    facts = made.facts()
    assert [one.wid for one in facts.transfers] == [wid]
    assert [one.index for one in facts.evidence] == [index, index, index - 1]


def test_facts_of_a_log_behind_the_anchor(made: Bridged) -> None:
    """An Anchor that has more than this log: no proof, no traceback, nothing anchored."""
    made.withdraw("ann", 10)
    before = made.facts()
    beyond = before.head.size + 50
    made.last = KeeperReport((), beyond, 0, suspects=(Pointer(7, 2),))
    facts = made.facts()
    assert facts.anchored == Head(0, beyond, bytes(32))
    assert (facts.consistency, facts.evidence) == ((), ())
    assert made.step().done.anchored == 0
