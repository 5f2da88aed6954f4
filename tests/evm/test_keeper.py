"""The keeper between a real ledger and a real machine, both on disk."""

import pickle
from pathlib import Path

import pytest

from chainperp.state.store import ASSISTANCE_FUND
from contracts_py.bridge import Withdrawal
from tests.evm.bridged import KEYS, USD, Bridged, Killed, account, address_of
from tests.evm.world import IS_LONG

ANN, BEN, CAT = (account(name) for name in ("ann", "ben", "cat"))


@pytest.fixture
def made(tmp_path: Path) -> Bridged:
    """Deployed contracts, three people with 1,000 test dollars each, an empty ledger."""
    return Bridged(tmp_path)


def test_a_deposit_comes_and_goes_by_the_keeper_alone(made: Bridged) -> None:
    """Deposit, credit, withdrawal, anchor, request, payout, record: each pair agrees."""
    made.bridge.deposit(ANN, 100 * USD)
    made.bridge.deposit_for(BEN, CAT.address, 30 * USD)
    first = made.tick()
    assert len(first.inputs) == 2
    assert (made.cash("ann"), made.cash("ben"), made.cash("cat")) == (100 * USD, 0, 30 * USD)
    wid = made.withdraw("ann", 40, address_of("ben"))
    asked = made.tick()
    assert (asked.done.requested, asked.done.anchored) == ((wid,), asked.anchored_size)
    assert made.keeper.anchor.latest()[0] == asked.anchored_size
    reports = made.settle()
    assert [one.done.finalized for one in reports if one.done.finalized] == [(wid,)]
    assert made.usd.balance_of(BEN.address) == (1_000 - 30 + 39) * USD
    assert made.engine.state.custody == 91 * USD == made.usd.balance_of(made.bridge.address)
    assert not any(one.notes for one in (first, asked, *reports))
    found = made.compare()
    assert (found.findings, found.open, found.remarks) == ([], [], [])
    assert found.checked == {
        "deposit": 2, "payout": 1, "request": 1, "anchored size": 1, "total": 5,
    }  # fmt: skip


def test_the_fund_buys_and_burns_on_the_evm(made: Bridged) -> None:
    """A transfer to the vault, its payout, one purchase that cites it, its record."""
    made.now += 100
    made.grant(ASSISTANCE_FUND, 500)
    fund = made.engine.state.fund
    assert fund.sent == 50 * USD
    for _ in range(9):
        made.tick()
    ending = made.ending()
    assert ending["sent"] == (50 * USD, 50 * USD, 0, 50 * USD)
    assert ending["purchases"] == (1, 1)
    assert ending["held"] == (0, 0, 0)
    assert fund.evm_burned == fund.evm_bought == made.token.burned() > 0
    found = made.compare()
    assert (found.findings, found.open, found.remarks) == ([], [], [])
    assert found.checked["purchase"] == 1


def test_a_large_transfer_is_spent_in_parts(made: Bridged) -> None:
    """The schedule lets a thousandth of the pool go at a time: each purchase cites the transfer,
    and the fund sends nothing more until it is spent."""
    made.now += 100
    made.grant(ASSISTANCE_FUND, 150_000)
    fund = made.engine.state.fund
    assert fund.sent == 15_000 * USD
    for _ in range(14):
        made.tick()
    assert (fund.sent, fund.evm_spent, fund.evm_purchases) == (15_000 * USD, 15_000 * USD, 2)
    found = made.compare()
    assert (found.findings, found.open, found.remarks) == ([], [], [])
    assert len({one.fields["decision"] for one in made.book().purchases.values()}) == 1


def test_facts_and_reports_cross_a_process_boundary(made: Bridged) -> None:
    """Plain values: what is pickled comes back equal."""
    made.bridge.deposit(ANN, 100 * USD)
    made.tick()
    made.withdraw("ann", 40)
    facts = made.facts()
    assert pickle.loads(pickle.dumps(facts)) == facts
    report = made.tick()
    assert pickle.loads(pickle.dumps(report)) == report


def story(made: Bridged, *, deadly: bool, spared: int = 0) -> dict[str, object]:
    """Deposits, withdrawals with and without money behind them, a purchase; how it ends.

    When it is deadly, every transaction of the keeper but the first `spared` is the last thing its
    process does, and every report that has something to record is lost once.
    """
    made.now += 100
    made.bridge.deposit(ANN, 100 * USD)
    made.bridge.deposit(BEN, 60 * USD)
    live(made, deadly, spared)
    made.grant(address_of("ann"), 100)
    made.withdraw("ann", 140)
    made.withdraw("ben", 60, address_of("cat"))
    made.grant(ASSISTANCE_FUND, 500)
    live(made, deadly, spared)
    return made.ending()


def live(made: Bridged, deadly: bool, spared: int) -> None:
    """Steps until nothing is left to do."""
    is_lost = False
    for _ in range(60):
        made.now += 1
        made.provider.left = made.provider.sent + 1 + spared if deadly else None
        try:
            report = made.step()
        except Killed:
            made.reopen()
            continue
        made.provider.left = None
        if report.inputs and deadly and not is_lost:
            is_lost = True
            made.reopen()
            continue
        is_lost = False
        made.record(report)
        fund = made.engine.state.fund
        is_idle = not report.inputs and not made.engine.state.withdrawals
        if is_idle and fund.sent == fund.evm_spent:
            return
    raise AssertionError("never settled")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The story as it goes when nobody is killed."""
    return story(Bridged(tmp_path_factory.mktemp("undisturbed")), deadly=False)


@pytest.mark.parametrize("spared", range(4) if IS_LONG else range(1))
def test_killed_at_every_point_and_still_once(
    tmp_path: Path, undisturbed: dict[str, object], spared: int
) -> None:
    """After each EVM transaction the process dies, after each report it dies before the record;
    it comes back from disk each time, and every pair is complete exactly once."""
    made = Bridged(tmp_path)
    assert story(made, deadly=True, spared=spared) == undisturbed
    assert made.deaths == 8 or spared
    found = made.compare()
    assert (found.findings, found.open, found.remarks) == ([], [], [])
    assert found.checked["deposit"] == 2
    assert found.checked["payout"] == found.checked["request"] == 3
    assert found.checked["purchase"] == 1


def test_a_withdrawal_that_the_log_does_not_have_is_cancelled(made: Bridged) -> None:
    """A corrupt quorum signs the number of a true withdrawal for another receiver. It is disputed
    with the log's own entry, and the true one goes back to its owner."""
    made.bridge.deposit(ANN, 100 * USD)
    made.settle()
    wid = made.withdraw("ann", 50)
    index = made.engine.state.withdrawals[wid].entry_index
    anchor_now(made)
    false = Withdrawal(wid, ANN.address, CAT.address, 49 * USD, index)
    signed = KEYS.sign(made.bridge.withdrawal_digest(false))
    made.bridge.request_withdrawals(CAT, [(false, signed)], KEYS.set)
    made.now += 10  # the dispute period is over, and still the keeper does not pay it
    first = made.tick()
    assert [one.wid for one in first.suspects] == [wid]
    assert first.done.finalized == ()
    assert "is not the ledger's" in first.notes[0]
    second = made.tick()
    assert second.done.disputed == (wid,)
    made.settle()
    assert made.cash("ann") == 99 * USD
    assert made.usd.balance_of(CAT.address) == 1_000 * USD
    assert made.bridge.paid() == 0
    found = made.compare()
    assert (found.findings, found.open) == ([], [])


def anchor_now(made: Bridged) -> None:
    """Anchor the log as it is, without the keeper."""
    facts, anchor = made.facts(), made.keeper.anchor
    size, root = facts.head.size, facts.head.root
    signed = KEYS.sign(anchor.checkpoint_digest(size, root))
    anchor.anchor(ANN, (size, root), facts.consistency, KEYS.set, signed)
