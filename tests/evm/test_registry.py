"""The Registry: rules and parameters count only after their notice.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

import pytest

from contracts_py.digests import keccak
from contracts_py.handle import Reverted
from contracts_py.registry import Registry, Version
from tests.evm.world import (
    ACCOUNTS,
    CHAIN,
    VALIDATOR_KEYS,
    VALIDATORS,
    World,
    deploy_anchor,
    plain_log,
)

ANN = ACCOUNTS[0]
NOTICE_S = 1_000
FIRST = Version(keccak(b"rules 1"), keccak(b"parameters 1"), 0)
SECOND = Version(keccak(b"rules 2"), keccak(b"parameters 1"), 500)
THIRD = Version(keccak(b"rules 2"), keccak(b"parameters 3"), 900)


def registry(world: World) -> Registry:
    """A registry that starts with the first version."""
    anchor = deploy_anchor(world)
    return Registry.deploy(world.web3, ANN, (CHAIN, anchor.address), NOTICE_S, FIRST)


def announce(made: Registry, one: Version, signers: int = 3) -> None:
    """Announce a version."""
    digest = made.announcement_digest(one)
    made.announce(ANN, one, VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS[:signers]))


def is_known(made: Registry, one: Version, height: int) -> bool:
    """Whether a block may carry a version's hashes."""
    return made.is_known(one.rules, one.parameters, height)


def test_version_counts_after_its_notice() -> None:
    """Before, blocks above its height are unknown under either version."""
    world = World()
    made = registry(world)
    announce(made, SECOND)
    number, now = made.current()
    assert (number, now.rules) == (1, FIRST.rules)
    assert is_known(made, FIRST, 499)
    assert not is_known(made, SECOND, 500)
    world.wait(NOTICE_S - 10)
    assert made.current()[0] == 1
    world.wait(11)
    number, now = made.current()
    assert (number, now.rules, now.height) == (2, SECOND.rules, 500)
    assert is_known(made, SECOND, 500)
    assert is_known(made, FIRST, 499)
    assert not is_known(made, FIRST, 500)


def test_one_announcement_runs_at_a_time_with_growing_heights() -> None:
    """The next waits for the first, and its height is larger."""
    world = World()
    made = registry(world)
    announce(made, SECOND)
    with pytest.raises(Reverted, match="one runs already"):
        announce(made, THIRD)
    world.wait(NOTICE_S + 1)
    with pytest.raises(Reverted, match="height must grow"):
        announce(made, SECOND)
    announce(made, THIRD)
    world.wait(NOTICE_S + 1)
    assert made.current()[0] == 3
    assert is_known(made, SECOND, 899)


def test_announcement_needs_the_validators() -> None:
    """A quorum, over this very text, used once."""
    world = World()
    made = registry(world)
    with pytest.raises(Reverted, match="quorum: not reached"):
        announce(made, SECOND, signers=2)
    signed = VALIDATORS.sign(made.announcement_digest(THIRD), VALIDATOR_KEYS)
    with pytest.raises(Reverted, match="quorum: wrong signer"):
        made.announce(ANN, SECOND, VALIDATORS, signed)


def test_announcement_can_be_taken_back_and_not_repeated() -> None:
    """Its signatures were for one step; repeating it needs new ones."""
    world = World()
    made = registry(world)
    signed = VALIDATORS.sign(made.announcement_digest(SECOND), VALIDATOR_KEYS[:3])
    made.announce(ANN, SECOND, VALIDATORS, signed)
    back = VALIDATORS.sign(made.withdraw_digest(), VALIDATOR_KEYS[:3])
    made.withdraw(ANN, VALIDATORS, back)
    assert made.current()[0] == 1
    assert is_known(made, FIRST, 500)
    with pytest.raises(Reverted, match="none runs"):
        made.withdraw(ANN, VALIDATORS, back)
    with pytest.raises(Reverted, match="quorum: wrong signer"):
        made.announce(ANN, SECOND, VALIDATORS, signed)


def test_forked_log_announces_nothing() -> None:
    """Once its validators signed two histories, their word is not taken."""
    world = World()
    anchor = deploy_anchor(world)
    made = Registry.deploy(world.web3, ANN, (CHAIN, anchor.address), NOTICE_S, FIRST)
    sides = []
    for first in (0, 9):
        log = plain_log(3, first)
        digest = anchor.checkpoint_digest(3, log.root(3))
        sides.append((log.root(3), VALIDATORS.sign(digest, VALIDATOR_KEYS)))
    anchor.report_fork(ANN, 3, sides[0], sides[1], VALIDATORS)
    with pytest.raises(Reverted, match="the log forked"):
        announce(made, SECOND)
