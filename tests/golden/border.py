"""A chain with contracts: everything that crosses its border, and everything that may not.

The events that its inputs cite are made up: a ledger replays without an EVM.
"""

from chainperp.model.blocks import BlockInput, SystemInput
from chainperp.model.bridge import CANCELLED
from chainperp.model.decisions import SystemType
from chainperp.state.store import ASSISTANCE_FUND
from chainperp.storage.package import build_genesis
from tests.golden.refusals import Script
from tests.support.border import CONTRACTS, Events
from tests.support.world import START, VALIDATOR, address_of

USD = 10**6


def border_blocks() -> tuple[bytes, list[BlockInput]]:
    """Genesis and blocks of the chain."""
    genesis = build_genesis(
        "golden/border", START, [(VALIDATOR, 1)], parameters={"snapshot_interval": 10},
        evm=CONTRACTS,
    )  # fmt: skip
    script, events = Script(), Events()
    _in(script, events)
    _out(script, events)
    _vault(script, events)
    return genesis, script.blocks


def _in(script: Script, events: Events) -> None:
    """Deposits in their order, for oneself and by others; grants; and what is neither."""
    ann, ben = address_of("ann"), address_of("ben")
    script.block(system=[events.deposit(ann, 500 * USD, 1), events.deposit(ben, 50 * USD, 2, ann)])
    script.block(system=[events.deposit(ann, 5 * USD, 2), events.deposit(ann, 5 * USD, 4)])
    script.block(system=[events.deposit(ann, 0, 3), events.grant(ben, 0)])
    script.block(system=[events.grant(ben, 1_000 * USD)])
    whole = events.deposit(ann, 5 * USD, 3)
    script.block(system=[SystemInput(whole.type, whole.body[:-1]),
                         SystemInput(SystemType.EVM_BUYBACK, b"")])  # fmt: skip
    script.block(system=[script.deposit("ann", 5),
                         SystemInput(SystemType.WITHDRAWAL_DONE, bytes(40))])  # fmt: skip


def _out(script: Script, events: Events) -> None:
    """Withdrawals that are paid, cancelled, unknown, or go where the bridge pays nobody."""
    there = "0x" + "12" * 20
    for destination in (there, there, "0x" + CONTRACTS.bridge.hex(), "0x" + "00" * 20):
        action = {"type": "withdraw3", "destination": destination, "amount": "20"}
        script.block(script.by("ann", action))
    script.block(system=[events.payout(1), events.payout(1), events.payout(2, 3)])
    script.block(system=[events.payout(2, CANCELLED), events.payout(2)])


def _vault(script: Script, events: Events) -> None:
    """The fund's money to the vault and back, there again, and what the vault bought."""
    script.block(system=[events.deposit(ASSISTANCE_FUND, 400 * USD, 3)], gap=61_000)
    script.block(system=[events.payout(3, CANCELLED)])
    script.block(gap=61_000)
    script.block(system=[events.payout(4)])
    script.block(system=[events.bought(2, 10 * USD), events.bought(1, 10 * USD, 8, 7)])
    script.block(system=[events.bought(1, 10 * USD), events.bought(2, 90 * USD, 5, 6)])
