"""Counterfactual replay: the block of an auto-deleveraging under other policies.

The chain is executed again from its recorded inputs up to the block; in that block, and only there,
the policy is another one. What an account paid is its value at the block's end in a world without
auto-deleveraging (P0) minus its value in this world, at the same marks. The recorded policy is run
too and must give the recorded bytes. Signatures are not checked here: that is `replay`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from chainperp.base.errors import BadRequest, NotFound, ensure
from chainperp.base.units import address_text
from chainperp.chain.engine import Engine
from chainperp.chain.replay import read_block
from chainperp.lab.metrics import gini
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.rules.adl.choose import policy_with_id
from chainperp.rules.adl.policy import Policy
from chainperp.state.store import INSURANCE, State
from chainperp.storage.datadir import DataDir
from chainperp.storage.recovery import inspect
from chainperp.storage.segments import read_blocks

NOBODY: Final = 0
"""P0: the policy under which no position is closed by force."""
BEGIN: Final = Kind.ADL_BEGIN.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class World:
    """The end of the block under one policy. `paid` is micro-USDC by account, signed: above zero
    it is worse off than without auto-deleveraging."""

    policy: Policy
    rounds: int
    paid: dict[str, int]
    insolvent: int
    """Sum of account values below zero, the insurance account's debt included."""
    state_root: str
    is_recorded: bool

    @property
    def payments(self) -> list[int]:
        """Those who are worse off."""
        return [amount for amount in self.paid.values() if amount > 0]

    @property
    def gini(self) -> float:
        """Inequality among all accounts that are touched in any direction."""
        return float(gini([max(0, amount) for amount in self.paid.values()]))


@dataclass(frozen=True, slots=True)
class Replayed:
    """A block in all its worlds; the recorded one is first."""

    height: int
    worlds: list[World]


def adl_heights(path: Path) -> list[int]:
    """Blocks of a data directory with at least one round."""
    return [
        height
        for height, entries in _blocks(path)
        if any(raw[1:3] == BEGIN for raw in entries)
    ]  # fmt: skip


def counterfactual(
    path: Path,
    height: int | None,
    policies: list[Policy],
    step: Callable[[str], None] | None = None,
) -> Replayed:
    """The first block with a round, or the one at a height, under each policy.

    Raises: NotFound when there is no such block; BadRequest for a block without a round.
    """  # fmt: skip
    heights = adl_heights(path)
    if not heights:
        raise NotFound("the chain has no auto-deleveraging round")
    chosen = heights[0] if height is None else height
    if chosen not in heights:
        near = ", ".join(str(one) for one in heights[:8])
        raise BadRequest("no_round", f"block {chosen} has no round; blocks with one: {near}")
    genesis = DataDir.open(path, write=False).genesis
    blocks = [(h, entries) for h, entries in _blocks(path) if h <= chosen]
    inputs = [read_block(h, entries).block for h, entries in blocks if h > 0]
    recorded = policy_with_id(genesis.parameters.adl_policy)
    rules_hash = decode_payload(decode_entry(blocks[0][1][-1]))["rules_hash"]

    def world(policy: Policy) -> tuple[Engine, list[bytes]]:
        engine = Engine(genesis, rules_hash)
        engine.seal_genesis()
        return engine, _run(engine, inputs, policy)

    bare = _values(world(policy_with_id(NOBODY))[0].state)
    worlds: list[World] = []
    for policy in [recorded, *(one for one in policies if one is not recorded)]:
        engine, entries = world(policy)
        if policy is recorded:
            ensure(
                entries == blocks[-1][1],
                "INV-0",
                "the recorded block is not what its inputs give: run replay",
                height=chosen,
            )
        after = _values(engine.state)
        paid = {
            address_text(address): bare[address] - after[address]
            for address in sorted(bare)
            if bare[address] > 0 and bare[address] != after[address]
        }
        insolvent = -sum(min(0, value) for value in after.values())
        rounds = sum(raw[1:3] == BEGIN for raw in entries)
        root = "" if engine.committed is None else engine.committed.state_root.hex()
        worlds.append(World(policy, rounds, paid, insolvent, root, policy is recorded))
        if step is not None:
            step(policy.name)
    return Replayed(chosen, worlds)


def _run(engine: Engine, inputs: list[BlockInput], policy: Policy) -> list[bytes]:
    """Execute all blocks, the last one under the policy; returns the last one's entries."""
    for block in inputs[:-1]:
        engine.execute(block)
    engine.state.parameters = replace(engine.state.parameters, adl_policy=policy.policy_id)
    return engine.execute(inputs[-1]).entries


def _values(state: State) -> dict[bytes, int]:
    """Value of every account at the marks, isolated positions included."""
    values: dict[bytes, int] = {}
    for address, account in state.accounts.items():
        value = account.raw
        for asset, exposure in account.exposures.items():
            value += exposure.raw_isolated + exposure.lots * state.markets[asset].mark
        values[address] = value
    values.setdefault(INSURANCE, 0)
    return values


def _blocks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    directory = DataDir.open(path, write=False)
    tip, _ = inspect(directory.segments)
    for stored in read_blocks(directory.segments, 0, tip.height):
        yield stored.height, stored.entries
