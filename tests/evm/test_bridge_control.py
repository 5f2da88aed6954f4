"""Who can stop, change and empty the Bridge, and who cannot.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

from collections.abc import Callable

import pytest

from contracts_py.bridge import COLD, FINALIZER, HOT, LOCKER, Approval, Failure, Settings, Status
from contracts_py.digests import ValidatorSet, address_of
from contracts_py.handle import Receipt, Reverted
from tests.evm.world import (
    ACCOUNTS,
    COLD_KEYS,
    KEYS,
    USD,
    VALIDATOR_KEYS,
    VALIDATORS,
    Custody,
    World,
    codes,
    deploy_anchor,
)
from tests.evm.world import (
    COLD as COLD_SET,
)

OWNER, ANN, BEN, CAT = ACCOUNTS[:4]
LOCKERS = ACCOUNTS[6:8]
NEW_KEYS = [KEYS[4], KEYS[5]]
NEW = ValidatorSet.of({address_of(key): 1 for key in NEW_KEYS})


def paid_in() -> Custody:
    """A bridge that holds 500 dollars of Ann's."""
    made = Custody(World())
    made.fund(count=2)
    made.bridge.deposit(ANN, 500 * USD)
    return made


def stopped() -> Custody:
    """A bridge that two lockers stopped, with one withdrawal waiting since long."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    made.request(one)
    made.world.wait(110, blocks=11)
    for locker in LOCKERS:
        made.bridge.vote_lock(locker)
    return made


def test_lockers_stop_everything_at_their_threshold() -> None:
    """One of two does not; two do: no deposit, request, payout or new set while stopped."""
    made = paid_in()
    one, two = (made.write(wid, 80 * USD, ANN.address) for wid in (1, 2))
    made.anchor_all()
    made.request(one)
    made.world.wait(110, blocks=11)
    made.bridge.vote_lock(LOCKERS[0])
    assert not made.bridge.paused()
    made.bridge.vote_lock(LOCKERS[1])
    assert made.bridge.paused()
    digest = made.bridge.sets_digest(2, NEW, NEW)
    approval = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS))
    attempts: tuple[Callable[[], Receipt], ...] = (
        lambda: made.bridge.deposit(ANN, 5 * USD),
        lambda: made.request(two),
        lambda: made.bridge.finalize(CAT, [1]),
        lambda: made.bridge.update_validators(CAT, 2, (NEW, NEW), approval),
        lambda: made.bridge.activate_validators(CAT),
        lambda: made.bridge.unvote_lock(LOCKERS[0]),
    )
    for attempt in attempts:
        with pytest.raises(Reverted, match="bridge: paused"):
            attempt()


def test_only_lockers_vote_and_each_once() -> None:
    """A stranger has no vote; a vote can be taken back before the bridge stops."""
    made = paid_in()
    with pytest.raises(Reverted, match="not a locker"):
        made.bridge.vote_lock(CAT)
    made.bridge.vote_lock(LOCKERS[0])
    with pytest.raises(Reverted, match="voted already"):
        made.bridge.vote_lock(LOCKERS[0])
    made.bridge.unvote_lock(LOCKERS[0])
    with pytest.raises(Reverted, match="has not voted"):
        made.bridge.unvote_lock(LOCKERS[0])
    made.bridge.vote_lock(LOCKERS[1])
    assert not made.bridge.paused()


def unlock(made: Custody, approval: Approval, epoch: int = 2, anchor: str = "") -> None:
    """Unlock with a new set for both purposes."""
    place = anchor or made.anchor.address
    made.bridge.emergency_unlock(CAT, epoch, (NEW, NEW), place, approval)


def test_cold_set_unlocks_with_new_sets() -> None:
    """False withdrawals are struck out first; then the bridge runs under the new sets."""
    made = stopped()
    made.bridge.invalidate(CAT, [1], made.cold(made.bridge.invalidate_call([1])))
    fresh = deploy_anchor(made.world)
    call = made.bridge.unlock_call(2, NEW, NEW, fresh.address)
    unlock(made, made.cold(call), anchor=fresh.address)
    assert not made.bridge.paused()
    assert (made.bridge.epoch(), made.bridge.hot_set()) == (2, NEW.hash)
    assert made.bridge.call("log_anchor") == fresh.address
    assert codes(made.bridge.finalize(CAT, [1])) == [(1, Failure.INVALIDATED)]
    made.bridge.vote_lock(LOCKERS[0])
    assert not made.bridge.paused(), "old votes do not count any more"


def test_hot_set_or_a_third_of_the_cold_cannot_unlock() -> None:
    """Neither does the right set with a signature over something else."""
    made = stopped()
    call = made.bridge.unlock_call(2, NEW, NEW, made.anchor.address)
    digest = made.bridge.command_digest(COLD, call)
    hot = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS))
    with pytest.raises(Reverted, match="set: another set"):
        unlock(made, hot)
    with pytest.raises(Reverted, match="quorum: not reached"):
        unlock(made, made.cold(call, signers=2))
    other = made.bridge.unlock_call(3, NEW, NEW, made.anchor.address)
    with pytest.raises(Reverted, match="quorum: wrong signer"):
        unlock(made, made.cold(other))
    assert made.bridge.paused()


def test_unlock_needs_a_stop_and_a_larger_epoch() -> None:
    """A running bridge keeps its sets."""
    made = paid_in()
    call = made.bridge.unlock_call(2, NEW, NEW, made.anchor.address)
    with pytest.raises(Reverted, match="unlock: not paused"):
        unlock(made, made.cold(call))
    made = stopped()
    call = made.bridge.unlock_call(1, NEW, NEW, made.anchor.address)
    with pytest.raises(Reverted, match="epoch must grow"):
        unlock(made, made.cold(call), epoch=1)


def test_unlock_clears_the_waiting_sets() -> None:
    """A proposal of stolen hot keys does not survive the emergency."""
    made = paid_in()
    digest = made.bridge.sets_digest(9, NEW, NEW)
    approval = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS))
    made.bridge.update_validators(CAT, 9, (NEW, NEW), approval)
    for locker in LOCKERS:
        made.bridge.vote_lock(locker)
    call = made.bridge.unlock_call(2, VALIDATORS, COLD_SET, made.anchor.address)
    made.bridge.emergency_unlock(
        CAT, 2, (VALIDATORS, COLD_SET), made.anchor.address, made.cold(call)
    )
    made.world.wait(200)
    with pytest.raises(Reverted, match="set: none waits"):
        made.bridge.activate_validators(CAT)


def test_command_works_once() -> None:
    """Its number is in what is signed: the same approval cannot be used again, in any order."""
    made = paid_in()
    call = made.bridge.role_call(FINALIZER, BEN.address, True)
    approval = made.hot(call)
    made.bridge.set_role(CAT, FINALIZER, BEN.address, True, approval)
    removal = made.cold(made.bridge.role_call(FINALIZER, BEN.address, False))
    made.bridge.set_role(CAT, FINALIZER, BEN.address, False, removal)
    with pytest.raises(Reverted, match="quorum: wrong signer"):
        made.bridge.set_role(CAT, FINALIZER, BEN.address, True, approval)


def test_hot_adds_and_only_cold_removes() -> None:
    """Stolen hot keys must not be able to remove the lockers."""
    made = paid_in()
    locker = LOCKERS[0].address
    digest = made.bridge.command_digest(HOT, made.bridge.role_call(LOCKER, locker, False))
    hot = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS))
    with pytest.raises(Reverted, match="set: another set"):
        made.bridge.set_role(CAT, LOCKER, locker, False, hot)
    cold = made.cold(made.bridge.role_call(LOCKER, locker, False))
    made.bridge.set_role(CAT, LOCKER, locker, False, cold)
    with pytest.raises(Reverted, match="not a locker"):
        made.bridge.vote_lock(LOCKERS[0])
    with pytest.raises(Reverted, match="role: unknown"):
        made.bridge.set_role(CAT, 3, locker, True, made.hot(made.bridge.role_call(3, locker, True)))


def test_closed_finalisation_asks_for_a_finalizer() -> None:
    """The cold set closes it; then only named accounts start payouts."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    made.request(one)
    made.world.wait(110, blocks=11)
    settings = Settings(100, 10_000, (), 2)
    approval = made.cold(made.bridge.parameters_call(settings, is_open=False))
    made.bridge.set_parameters(CAT, settings, False, approval)
    with pytest.raises(Reverted, match="not a finalizer"):
        made.bridge.finalize(BEN, [1])
    call = made.bridge.role_call(FINALIZER, BEN.address, True)
    made.bridge.set_role(CAT, FINALIZER, BEN.address, True, made.hot(call))
    assert made.bridge.finalize(BEN, [1]).event("Finalized")["wid"] == 1


def test_only_waiting_withdrawals_are_struck_out() -> None:
    """By the cold set; a paid or unknown one cannot be."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    made.request(one)
    with pytest.raises(Reverted, match="not waiting"):
        made.bridge.invalidate(CAT, [2], made.cold(made.bridge.invalidate_call([2])))
    digest = made.bridge.command_digest(COLD, made.bridge.invalidate_call([1]))
    approval = Approval(COLD_SET, COLD_SET.sign(digest, COLD_KEYS[:2]))
    with pytest.raises(Reverted, match="quorum: not reached"):
        made.bridge.invalidate(CAT, [1], approval)
    made.bridge.invalidate(CAT, [1], made.cold(made.bridge.invalidate_call([1])))
    assert made.bridge.request(1).status is Status.INVALID


def test_sweep_returns_only_what_no_deposit_brought() -> None:
    """Plain transfers come back by the cold set; deposits never leave that way."""
    made = paid_in()
    with pytest.raises(Reverted, match="sweep: nothing"):
        made.bridge.sweep_unattributed(
            CAT, CAT.address, made.cold(made.bridge.sweep_call(CAT.address))
        )
    made.usd.transfer(BEN, made.bridge.address, 3 * USD)
    approval = made.cold(made.bridge.sweep_call(BEN.address))
    with pytest.raises(Reverted, match="quorum: wrong signer"):
        made.bridge.sweep_unattributed(CAT, CAT.address, approval)
    done = made.bridge.sweep_unattributed(CAT, BEN.address, approval)
    assert done.event("Swept")["amount"] == 3 * USD
    assert made.usd.balance_of(made.bridge.address) == 500 * USD


def test_bridge_sets_change_only_by_growing_epochs_after_the_period() -> None:
    """As in the Anchor: one proposal waits, a later one replaces it and waits anew."""
    made = paid_in()

    def propose(epoch: int, signers: int = 3) -> None:
        digest = made.bridge.sets_digest(epoch, NEW, COLD_SET)
        approval = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS[:signers]))
        made.bridge.update_validators(CAT, epoch, (NEW, COLD_SET), approval)

    with pytest.raises(Reverted, match="epoch must grow"):
        propose(1)
    with pytest.raises(Reverted, match="quorum: not reached"):
        propose(2, signers=2)
    propose(3)
    with pytest.raises(Reverted, match="epoch must grow"):
        propose(2)
    made.world.wait(90)
    propose(4)
    made.world.wait(50)
    with pytest.raises(Reverted, match="the dispute period runs"):
        made.bridge.activate_validators(CAT)
    made.world.wait(60)
    made.bridge.activate_validators(CAT)
    assert (made.bridge.epoch(), made.bridge.hot_set()) == (4, NEW.hash)
