"""A chain with contracts as people see it: its fund, its entries in sentences, its audit."""

from pathlib import Path
from typing import Any

import pytest

from chainperp.base.hashing import leaf_hash
from chainperp.cli.border_words import BORDER_SENTENCES
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.entry_words import entry_sentence
from chainperp.model.actions import Withdraw
from chainperp.model.bridge import CANCELLED
from chainperp.model.decisions import Kind
from chainperp.state.store import ASSISTANCE_FUND
from chainperp.storage.datadir import DataDir
from chainperp.storage.store import ChainStore
from tests.support.border import CONTRACTS, BorderStage
from tests.support.chain import run_cli
from tests.support.forced import usdc
from tests.support.info_shapes import FUND, misfits
from tests.support.world import address_of

ONE = 10**18


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Money in by all ways and out by all ways, and a purchase on the EVM."""
    stage = BorderStage()
    stage.bridged("Ann", "1000")
    stage.inputs_of(stage.events.grant(address_of("Ben"), usdc("5")))
    for amount in ("31", "61"):
        stage.act("Ann", Withdraw(address_of("out"), usdc(amount)), user_signed=True)
    stage.give_fund("498")
    stage.inputs_of(stage.events.payout(1), stage.events.payout(2, CANCELLED))
    stage.inputs_of(stage.events.payout(3))
    (decision,) = (
        leaf_hash(raw)
        for block in stage.blocks
        for raw in block.entries
        if raw[1:3] == Kind.WITHDRAW_REQ.to_bytes(2, "big") and raw[27:47] == ASSISTANCE_FUND
    )
    made = stage.events.bought(1, usdc("45.5"), 3 * ONE, 4 * ONE, decision)
    stage.inputs_of(made)
    folder = tmp_path_factory.mktemp("border") / "chain"
    DataDir.create(folder, stage.engine.genesis.raw, bytes(32)).close()
    with ChainStore.open(folder) as store:
        for block in stage.blocks:
            store.commit(block)
        store.publish()
    return folder


def test_every_entry_of_the_border_has_a_sentence(path: Path) -> None:
    """In words, with the rule that decided."""
    log = ChainLog(path)
    told = [
        entry_sentence(log, entry)
        for block in log.blocks()
        for entry in block.of(*BORDER_SENTENCES)
    ]
    texts = "\n".join(one.line() for one in told)
    for words in (
        "Deposit 1 of 1000", "was granted 5", "with nothing behind it", "Withdrawal 1: ",
        "for a fee of 1", "to buy with on the EVM", "Withdrawal 1 was paid outside",
        "Withdrawal 2 was cancelled outside", "its amount is its account's again",
        "Purchase 1 on the EVM: the vault spent 45.5", "bought 3 tokens and burned 4",
    ):  # fmt: skip
        assert words in texts, texts
    for rule in ("TRF-3", "TRF-4", "TRF-7", "TRF-8", "BUY-7", "BUY-8"):
        assert rule in texts


def test_the_fund_tells_what_it_sent_and_what_came_of_it(path: Path) -> None:
    """As a document and as tables."""
    outcome = run_cli("query", "fund", str(path), "--json")
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = outcome.document
    assert misfits(FUND | {"source": str}, document) == []
    assert document["paid"]["evm"] == "50.0"
    assert document["evm"] == {
        "vault": "0x" + CONTRACTS.vault.hex(), "sent": "50.0", "spent": "45.5", "unspent": "4.5",
        "gifts": "0.0", "bought": "3.0", "burned": "4.0", "purchases": 1,
    }  # fmt: skip
    shown = run_cli("query", "fund", str(path)).out
    for words in ("sent to the vault on the EVM", "on its way or not spent", "tokens burned"):
        assert words in shown


def test_a_purchase_is_explained_with_the_transfer_behind_it(path: Path) -> None:
    """The sentence names the vault, the amount and the rule."""
    shown = run_cli("explain", "buyback", str(path)).out
    assert "sends 50" in shown
    assert CONTRACTS.vault.hex() in shown
    assert "BUY-7" in shown
