"""The index of what crossed the border: its rows add up to what the accounts hold."""

import json
import sqlite3

import pytest

from chainperp.model.actions import Withdraw
from chainperp.model.bridge import CANCELLED
from chainperp.node.effects import Published
from chainperp.node.index.rows import Rows
from chainperp.node.index.schema import TABLES
from chainperp.node.socket.view import BlockView
from chainperp.state.store import ASSISTANCE_FUND
from tests.support.border import BorderStage
from tests.support.forced import usdc
from tests.support.world import START, address_of


def index_of(stage: BorderStage, every: int) -> sqlite3.Connection:
    """The index of a stage's log, written after every so many blocks."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    rows = Rows(connection, stage.engine.genesis, START)
    for number, block in enumerate(stage.blocks):
        rows.add(block.height, block.time_ms, block.first_index, block.entries)
        if number % every == every - 1:
            rows.write()
            # As after a restart: what is not in the tables is not known.
            rows = Rows(connection, stage.engine.genesis, START)
    rows.write()
    return connection


@pytest.mark.parametrize("every", [1, 1000])
def test_withdrawals_that_were_cancelled_are_back(every: int) -> None:
    stage = BorderStage()
    stage.bridged("Ann", "1000")
    stage.act("Ann", Withdraw(address_of("out"), usdc("31")), user_signed=True)
    stage.act("Ann", Withdraw(address_of("out"), usdc("61")), user_signed=True)
    stage.give_fund("498")  # 500 with the two fees: 50 go to the vault
    stage.inputs_of(stage.events.grant(address_of("Ann"), usdc("7")))
    stage.inputs_of(stage.events.payout(1), stage.events.payout(2, CANCELLED))
    stage.inputs_of(stage.events.payout(3, CANCELLED))
    run = index_of(stage, every).execute
    for address in (address_of("Ann"), ASSISTANCE_FUND):
        (cash,) = run(
            "SELECT sum(cash) FROM ledger JOIN users ON id = user WHERE address = ?", (address,)
        ).fetchone()
        left = stage.state.accounts[address].raw
        # Fees of withdrawals are in the rows of those who paid them, not in the fund's.
        assert cash == left - (usdc("2") if address == ASSISTANCE_FUND else 0)
    rows = [json.loads(delta) for (delta,) in run("SELECT delta FROM ledger ORDER BY idx")]
    told = [(row["type"], row["usdc"]) for row in rows]
    assert told == [
        ("deposit", "1000.0"), ("withdraw", "30.0"), ("withdraw", "60.0"), ("deposit", "498.0"),
        ("withdraw", "50.0"), ("deposit", "7.0"), ("deposit", "60.0"), ("deposit", "50.0"),
    ]  # fmt: skip
    assert [row["nonce"] > 0 for row in rows if row["type"] == "withdraw"] == [True, True, False]
    names = [name for (name,) in run("SELECT name FROM transactions")]
    assert {"bridgeDeposit", "bridgePayout", "grant"} <= set(names)


def test_feeds_hear_of_a_withdrawal_that_is_back() -> None:
    """Its record names a number only; whose it was, the state before the block knew."""
    stage = BorderStage()
    stage.bridged("Ann", "1000")
    stage.act("Ann", Withdraw(address_of("out"), usdc("31")), user_signed=True)
    before = {wid: one.user for wid, one in stage.state.withdrawals.items()}
    stage.inputs_of(stage.events.payout(1, CANCELLED))
    published = Published.of(stage.blocks[-1])
    assert address_of("Ann") in BlockView(published, stage.state, before).accounts
    assert address_of("Ann") not in BlockView(published, stage.state).accounts
