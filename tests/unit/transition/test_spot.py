"""Spot balances: what is read, restored, committed, counted by audits and shown by proofs."""

from typing import Any

import pytest

from chainperp.base.errors import InvariantBroken
from chainperp.base.units import address_text
from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine, recount
from chainperp.chain.genesis import parse_genesis
from chainperp.chain.proving.account import prove_account, sealed_state
from chainperp.chain.proving.solvency import prove_solvency
from chainperp.model.actions import (
    ApproveAgent,
    ClassTransfer,
    CreateSubAccount,
    SendAsset,
    SubAccountSpotTransfer,
    SubAccountTransfer,
)
from chainperp.model.decisions import Kind, LedgerType, Rejection
from chainperp.model.tokens import USDC_NAME as TOKEN
from chainperp.state.schemas import SPOT_USDC
from tests.support.forgers import before_the_fall
from tests.support.mutations import field_changes
from tests.support.proofs import LoggedStage, assert_yes, audited, verdict_of
from tests.support.world import RULES, World, address_of

USDC = 1_000_000
SUB = "0x" + "12" * 20


def shifted() -> World:
    """Ann with 40 of her 100 USDC in the spot balance; Ben with 100 in his margin."""
    world = World({"sub_account_volume_min": 0, "snapshot_interval": 1})
    world.fund(ann="100", ben="100")
    done(world, "ann", ClassTransfer(40 * USDC, False))
    return world


def done(world: World, name: str, action: Any, *, user_signed: bool = True) -> None:
    """Something that is carried out."""
    assert world.act(name, action, user_signed=user_signed).codes == [Rejection.ACCEPTED]


def test_class_transfers_are_read_with_and_without_a_sub_account() -> None:
    """The address may lack its 0x, as CCXT writes it; what is no amount is left to the rules."""
    fields = {"type": "usdClassTransfer", "toPerp": True, "nonce": 1}
    for amount, read, sub in (
        ("10.0", 10 * USDC, None),
        (f"10 subaccount:{SUB}", 10 * USDC, b"\x12" * 20),
        (f"10 subaccount:{SUB[2:].upper()}", 10 * USDC, b"\x12" * 20),
        ("0.0000001", None, None),
        ("10 subaccount:0xab", None, None),
        (f"10 subaccount:{SUB} ", None, None),
        (f" subaccount:{SUB}", None, b"\x12" * 20),
    ):
        action = decode_action({**fields, "amount": amount}, 2)
        assert isinstance(action, ClassTransfer)
        assert (action.amount, action.sub, action.to_perp) == (read, sub, True), amount


def test_sends_are_read() -> None:
    """Tokens, dexes, and sub-accounts, those that do not exist included."""
    plain = {"type": "spotSend", "destination": SUB, "token": TOKEN, "amount": "1.5", "time": 1}
    action = decode_action(plain, 2)
    assert isinstance(action, SendAsset)
    assert (action.destination, action.amount, action.token) == (b"\x12" * 20, 1_500_000, TOKEN)
    assert (action.from_spot, action.to_spot, action.sub, action.is_plain) == (
        True, True, None, True,
    )  # fmt: skip
    other = decode_action({**plain, "token": "USDC:0xeb62eee3685fc4c43992febcd9e75443"}, 2)
    assert isinstance(other, SendAsset)
    assert (other.amount, other.token) == (150_000_000, "USDC:0xeb62eee3685fc4c43992febcd9e75443")
    fields = {**plain, "type": "sendAsset", "sourceDex": "", "destinationDex": "xyz"}
    for text, sub in (("", None), (SUB, b"\x12" * 20), ("me", bytes(20))):
        action = decode_action({**fields, "fromSubAccount": text}, 2)
        assert isinstance(action, SendAsset)
        assert (action.from_spot, action.to_spot, action.sub) == (False, None, sub)
        assert not action.is_plain
    moved = decode_action(
        {"type": "subAccountSpotTransfer", "subAccountUser": SUB, "isDeposit": False,
         "token": TOKEN, "amount": "7.0"}, 1,
    )  # fmt: skip
    assert isinstance(moved, SubAccountSpotTransfer)
    assert (moved.sub, moved.is_deposit, moved.amount, moved.token) == (
        b"\x12" * 20, False, 7 * USDC, TOKEN,
    )  # fmt: skip


def test_a_balance_is_a_cell_of_the_sealed_sum_and_leaves_the_tree_when_it_is_empty() -> None:
    """INV-1: the column of the collection is part of cash_sum; nothing is no leaf."""
    world = shifted()
    assert world.account("ann").raw == 60 * USDC
    committed = world.engine.committed
    assert committed is not None
    assert committed.roots[SPOT_USDC].sums == (40 * USDC,)
    assert committed.cash_sum() == world.state.custody == 200 * USDC
    result = world.act("ann", SendAsset(address_of("ben"), 40 * USDC), user_signed=True)
    [entry] = result.of(Kind.LEDGER)
    assert (entry["source"], entry["destination"], entry["amount"], entry["type"]) == (
        address_of("ann"), address_of("ben"), 40 * USDC, LedgerType.SPOT_SEND,
    )  # fmt: skip
    assert world.state.spot[0] == {address_of("ben"): 40 * USDC}
    done(world, "ben", ClassTransfer(40 * USDC, True))
    assert world.engine.committed is not None
    assert world.engine.committed.roots[SPOT_USDC].count == 0
    assert world.account("ben").raw == 140 * USDC


def test_a_spot_balance_out_of_nothing_stops_the_engine() -> None:
    """Neither the sealed sum nor the recount takes it."""
    world = shifted()
    world.state.add_spot(0, address_of("ben"), 1)
    with pytest.raises(InvariantBroken, match="money was made or lost"):
        recount(world.state)
    with pytest.raises(InvariantBroken, match="money was made or lost"):
        world.block()


def test_a_restored_engine_has_the_balances_and_goes_on() -> None:
    """A snapshot holds them; the blocks after it give the same bytes."""
    world = shifted()
    height, raw = world.engine.height, world.engine.snapshot()
    done(world, "ann", SendAsset(address_of("new"), 5 * USDC))
    done(world, "ann", ClassTransfer(34 * USDC, True))
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    assert engine.state.spot[0] == {address_of("ann"): 40 * USDC}
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()
    assert engine.state.spot[0] == {address_of("new"): 5 * USDC}


def test_agents_move_nothing_and_nobody_moves_another_masters_money() -> None:
    """ADM-5, SUB-3: own keys only, own sub-accounts only."""
    world = shifted()
    sub = address_of("ann/1")
    done(world, "ann", CreateSubAccount("desk"), user_signed=False)
    done(world, "ann", ApproveAgent(address_of("key"), ""))
    done(world, "ann", SubAccountSpotTransfer(sub, True, 10 * USDC), user_signed=False)
    done(world, "ann", SubAccountTransfer(sub, True, 10 * USDC), user_signed=False)
    theft = SendAsset(address_of("ben"), USDC)
    theft.sub = sub
    for name, action, user_signed, code in (
        ("key", SubAccountSpotTransfer(sub, False, USDC), False, Rejection.AGENT_NOT_ALLOWED),
        ("key", ClassTransfer(USDC, True), True, Rejection.MUST_DEPOSIT),
        ("key", theft, True, Rejection.MUST_DEPOSIT),
        ("ben", SubAccountSpotTransfer(sub, False, USDC), False, Rejection.SUB_NOT_REGISTERED),
        ("ben", ClassTransfer(USDC, False, sub), True, Rejection.SUB_NOT_REGISTERED),
        ("ben", theft, True, Rejection.SUB_NOT_REGISTERED),
    ):
        before = dict(world.state.spot[0])
        assert world.act(name, action, user_signed=user_signed).codes == [code], (name, action)
        assert world.state.spot[0] == before
    done(world, "ann", theft)
    assert world.state.spot[0] == {
        address_of("ann"): 30 * USDC, sub: 9 * USDC, address_of("ben"): USDC,
    }  # fmt: skip


# --- audits and proofs ----------------------------------------------------------------------------


def stage_with_spot() -> LoggedStage:
    """A chain with positions on which Fay holds 300 of her 1,000 USDC in the spot balance."""
    stage = before_the_fall()
    stage.person("Fay", "1000")
    stage.act("Fay", ClassTransfer(300 * USDC, False), user_signed=True)
    stage.act("Fay", SendAsset(address_of("New"), 20 * USDC), user_signed=True)
    return stage


def test_an_audit_counts_spot_balances_among_what_is_owed() -> None:
    """Executed again from the log, all claims are the custody."""
    stage = stage_with_spot()
    report = audited(stage)
    assert report.findings == []
    assert report.liabilities - report.deficit + report.pending == report.custody
    assert report.custody == stage.state.custody
    assert sum(stage.state.spot[0].values()) == 300 * USDC


def test_a_solvency_proof_counts_the_own_spot_balance() -> None:
    """Fay has 700 in the margin and 280 in spot; New has spot alone, Ann has none."""
    stage = stage_with_spot()
    source = stage.source
    state = sealed_state(source, stage.blocks[-1].height)
    for name, owed in (("Fay", "980"), ("New", "20"), ("Ann", "40000")):
        verdict = assert_yes(prove_solvency(source, address_of(name), state))
        owned = f"the exchange owed {address_text(address_of(name))} {owed}"
        assert any(owned in one.text for one in verdict.sentences), verdict.sentences
    verdict = assert_yes(prove_account(source, address_of("Fay"), state))
    assert any("280.0 USDC of spot balance" in one.text for one in verdict.sentences)


def test_no_changed_proof_with_a_spot_balance_is_believed() -> None:
    """The leaf taken out, another total, another path: every field of it is checked."""
    stage = stage_with_spot()
    source = stage.source
    state = sealed_state(source, stage.blocks[-1].height)
    raw = prove_solvency(source, address_of("Fay"), state)
    count = 0
    for name, changed in field_changes(raw):
        if changed != raw:
            assert not verdict_of(changed).holds, name
            count += 1
    assert count > 100
