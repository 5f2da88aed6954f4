"""Operators who cheat: the engine with one function altered, blocks with one entry changed.

The scene: Ann long 100 ETH from 4,000 against four shorts, and the block in which she is bankrupt.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chainperp.base.hashing import leaf_hash
from chainperp.chain.engine import SealedBlock
from chainperp.rules.adl import choose
from chainperp.rules.adl.policy import Allocation, Candidate
from chainperp.transition import deleverage
from tests.support.forced import Told
from tests.support.proofs import LoggedStage
from tests.support.world import address_of

Forge = Callable[[pytest.MonkeyPatch], None]
CANDIDATES = ("Ben", "Cas", "Dov", "Eva")


def before_the_fall() -> LoggedStage:
    """Ann long 100 ETH from 4,000 against four shorts of different leverage; nobody has a quote."""
    stage = LoggedStage()
    stage.mark("4000")
    stage.person("Ann", "40000")
    for name, money, size in zip(
        CANDIDATES, ("9000", "12000", "30000", "90000"), ("30", "30", "20", "20"), strict=True
    ):
        stage.person(name, money)
        stage.trade("Ann", name, size, "4000")
    return stage


def fall(stage: LoggedStage, monkeypatch: pytest.MonkeyPatch, forge: Forge | None) -> Told:
    """The block in which Ann is bankrupt, made by an operator with or without a trick."""
    with monkeypatch.context() as patch:
        if forge is not None:
            forge(patch)
        return stage.mark("3590")


def forged(monkeypatch: pytest.MonkeyPatch, forge: Forge | None) -> LoggedStage:
    """The chain after the fall."""
    stage = before_the_fall()
    fall(stage, monkeypatch, forge)
    return stage


def rewritten(block: SealedBlock, place: int, change: Callable[[bytearray], None]) -> SealedBlock:
    """A block with one entry changed; its hashes follow, as a forger's would."""
    entries = list(block.entries)
    raw = bytearray(entries[place])
    change(raw)
    entries[place] = bytes(raw)
    leaves = [leaf_hash(entry) for entry in entries]
    return SealedBlock(block.height, block.time_ms, block.first_index, entries, leaves,
                       block.state_root)  # fmt: skip


def flip_last(raw: bytearray) -> None:
    """Another last byte."""
    raw[-1] ^= 1


def hide_from_list(favourite: str) -> Forge:
    """The round does not see an account; the state that it commits still holds it."""
    honest = deleverage._round

    def hidden(state: Any, recorder: Any, phase: Any, case: Any) -> None:
        holders = state.markets[case.exposure.asset].holders
        kept = holders.pop(address_of(favourite))
        honest(state, recorder, phase, case)
        holders[address_of(favourite)] = kept

    return lambda patch: patch.setattr(deleverage, "_round", hidden)


def changed_allocation(change: Callable[[Allocation, Sequence[Candidate]], None]) -> Forge:
    """The policy's answer is altered before it is written and carried out."""
    honest = choose.allocate

    def altered(policy: Any, this_round: Any, candidates: Sequence[Candidate]) -> Allocation:
        allocation = honest(policy, this_round, candidates)
        change(allocation, candidates)
        return allocation

    return lambda patch: patch.setattr(deleverage, "allocate", altered)
