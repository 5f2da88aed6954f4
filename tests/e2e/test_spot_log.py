"""A log with spot trades: audited, proven, and explained in the right token and decimals."""

from pathlib import Path

import pytest

from chainperp.base.units import address_text
from chainperp.chain import engine
from chainperp.chain.proving.account import prove_account, sealed_state
from chainperp.chain.proving.log import find_transaction, prove_transaction
from chainperp.chain.proving.solvency import prove_solvency
from chainperp.cli.explain import explain_tx
from chainperp.model.actions import ClassTransfer, PlaceOrders, SendAsset
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import transaction_hash
from chainperp.model.tokens import SPOT_FIRST as CHP
from chainperp.model.tokens import wire_name
from chainperp.storage.datadir import DataDir
from chainperp.storage.store import ChainStore
from chainperp.transition import spot_matching
from tests.support.chain import run_cli
from tests.support.proofs import LoggedStage, assert_yes, audited
from tests.support.world import address_of, order

USDC = 1_000_000
ANN, BEN = address_text(address_of("Ann")), address_text(address_of("Ben"))


def traded() -> LoggedStage:
    """Ann sells 30 CHP to Ben at 2, sends 1 to Cat, has an order refused, and has a position."""
    stage = LoggedStage(fees=True, holders={"Ann": 1000}, snapshot_interval=1)
    stage.mark("4000")
    stage.person("Ann", "10000")
    stage.person("Ben", "10000")
    stage.person("Cat", "10")
    stage.act("Ben", ClassTransfer(1000 * USDC, False), user_signed=True)
    stage.place("Ann", order(CHP, "sell", "100", "2"))
    stage.place("Ben", order(CHP, "buy", "30", "2.5", "Ioc"))
    stage.act("Ann", SendAsset(address_of("Cat"), 10**8, wire_name(1, "CHP")), user_signed=True)
    stage.act("Ann", PlaceOrders([order(CHP, "sell", "10", "2", reduce_only=True)]))
    stage.trade("Ann", "Ben", "1", "4000")
    return stage


def names(stage: LoggedStage) -> list[bytes]:
    """Hashes of all users' transactions, in order."""
    entries = [decode_entry(raw) for block in stage.blocks for raw in block.entries]
    return [
        transaction_hash(decode_payload(one)["envelope"])
        for one in entries
        if one.kind is Kind.TX_USER
    ]


@pytest.fixture(name="log", scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoggedStage, Path]:
    """The chain and its data directory."""
    stage = traded()
    path = tmp_path_factory.mktemp("spot") / "chain"
    DataDir.create(path, stage.engine.genesis.raw, bytes(32)).close()
    store = ChainStore.open(path)
    for block in stage.blocks:
        store.commit(block)
    store.close()
    return stage, path


def test_an_audit_and_proofs_hold_on_a_chain_with_spot_trades() -> None:
    """Executed again; all claims are the custody; the trade's transaction is proven whole."""
    stage = traded()
    report = audited(stage)
    assert report.is_clean, [finding.text for finding in report.findings]
    assert report.liabilities - report.deficit + report.pending == report.custody
    source = stage.source
    told = " ".join(
        sentence.text
        for name in names(stage)
        for sentence in assert_yes(
            prove_transaction(source, find_transaction(source, name))
        ).sentences
    )
    assert "of spot pair 10000" in told
    state = sealed_state(source, stage.engine.height)
    for name in ("Ann", "Ben"):
        said = assert_yes(prove_account(source, address_of(name), state)).sentences
        had = {"Ann": "969.0", "Ben": "29.979"}[name]
        assert any(f"It had {had} CHP of spot balance" in one.text for one in said), said
        assert_yes(prove_solvency(source, address_of(name), state))


def test_an_audit_finds_tokens_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever trades is given five units, and the engine looks away."""
    monkeypatch.setattr(engine, "check_tokens", lambda _state, _committed: None)
    monkeypatch.setattr(
        spot_matching,
        "count_trade",
        lambda state, maker, _taker, _notional, is_spot: state.add_spot(1, maker.address, 5),
    )
    texts = [finding.text for finding in audited(traded()).findings]
    assert any("the supply is 100000000000000000" in text for text in texts), texts
    assert any("of all tokens" in text for text in texts), texts


def test_a_spot_trade_is_explained_in_tokens_and_usdc(log: tuple[LoggedStage, Path]) -> None:
    """Balances, what was paid, and each fee in what its side received."""
    stage, path = log
    tid = next(one["tid"] for one in fills(stage) if one["asset"] == CHP)
    document = run_cli("explain", "fill", str(path), str(tid), "--json").document
    assert (document["market"], document["price"], document["size"]) == ("CHP/USDC", "2", "30")
    told = run_cli("explain", "fill", str(path), str(tid)).out
    assert f"{BEN} bought 30 CHP at 2 from {ANN}" in told
    assert "0.0 CHP became 29.979 CHP; paid 60.0 USDC; fee 0.021 CHP [SPT-6]" in told
    assert "1000.0 CHP became 970.0 CHP; received 60.0 USDC; fee 0.024 USDC [SPT-6]" in told
    assert "It is worth 60.0 USDC [SPT-4]" in told
    assert "Cause: transaction" in told


def test_effects_of_spot_transactions_are_sentences(log: tuple[LoggedStage, Path]) -> None:
    """An order's refusal as signed; a burned fee; a token that was sent."""
    stage, path = log
    told = "\n".join(line for name in names(stage) for line in explain_tx(path, name).lines)
    assert "Order 1 to sell 100 CHP at 2 rests in the book with 100 CHP" in told
    assert "0.021 CHP of " + BEN + ": the buyer's fee, burned; 999999999.979 CHP are left" in told
    assert f"1.0 CHP from {ANN} to {address_text(address_of('Cat'))}: sent from spot" in told
    assert "to sell 1000000000e-8 of CHP/USDC at 200000000e-8 was refused: Reduce only" in told


def fills(stage: LoggedStage) -> list[dict[str, int]]:
    """All trades."""
    entries = [decode_entry(raw) for block in stage.blocks for raw in block.entries]
    return [decode_payload(one) for one in entries if one.kind is Kind.FILL]
