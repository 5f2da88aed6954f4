"""An operator who bends what crosses the border: the audit says what was done.

Each forger runs the engine with one function altered, so that the chain is consistent in itself.
What only the EVM knows (whether a cited event happened) is checked against the EVM, not here.
"""

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import chainperp.transition.bridge as bridge
from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.hashing import leaf_hash
from chainperp.model.accounts import Account
from chainperp.model.actions import Withdraw
from chainperp.model.bridge import CANCELLED
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.model.entries import HEADER_SIZE, decode_entry, decode_payload, encode_entry
from chainperp.model.records import SCHEMAS
from chainperp.rules.buyback import vault_transfer
from chainperp.rules.transfers import payout_split
from chainperp.state.store import ASSISTANCE_FUND, State
from chainperp.transition import block as block_module
from chainperp.transition import buyback
from chainperp.transition.recorder import Recorder
from chainperp.transition.transfers import hold_withdrawal
from tests.support.border import BorderStage, codes
from tests.support.forced import usdc
from tests.support.forgers import rewritten
from tests.support.proofs import audited
from tests.support.world import address_of

LONG = os.environ.get("CHAINPERP_LONG") == "1"
Patch = pytest.MonkeyPatch
BORDER, FUND = "deposits and payouts", "fund and buybacks"
MINUTE = 60_000


def scene(**parameters: Any) -> BorderStage:
    """Ann and Ben have money, 30 of Ann's wait to be paid, 50 of the fund's are on their way."""
    stage = BorderStage(**parameters)
    stage.bridged("Ann", "1000")
    stage.bridged("Ben", "1000")
    stage.act("Ann", Withdraw(address_of("out"), usdc("31")), user_signed=True)
    stage.give_fund("499")
    return stage


def told(stage: BorderStage, check: str = BORDER) -> str:
    """What the audit says of the border, or of the fund."""
    return "\n".join(one.text for one in audited(stage).findings if one.check == check)


def decision(stage: BorderStage) -> bytes:
    """Leaf hash of the fund's request."""
    return next(
        leaf_hash(raw)
        for block in stage.blocks
        for raw in block.entries
        if raw[1:3] == Kind.WITHDRAW_REQ.to_bytes(2, "big") and raw[27:47] == ASSISTANCE_FUND
    )


def test_the_honest_chain_has_no_finding() -> None:
    """The forgeries below are found because they are forgeries."""
    stage = scene()
    stage.inputs_of(stage.events.payout(1), stage.events.payout(2))
    stage.inputs_of(stage.events.bought(1, usdc("50"), decision=decision(stage)))
    stage.inputs_of(stage.events.bought(2, usdc("5")))
    stage.inputs_of(stage.events.grant(address_of("Cas"), usdc("5")))
    report = audited(stage)
    assert report.is_clean, [one.text for one in report.findings]
    found = report.border
    assert (found.deposits, found.grants, found.payouts, found.cancelled) == (3, 1, 2, 0)
    assert (found.receipts, found.strangers) == (2, 1)


def accept(*_: Any) -> Rejection:
    return Rejection.ACCEPTED


def yes(*_: Any) -> bool:
    return True


def test_a_deposit_number_is_skipped(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "is_next_deposit", yes)
        stage.deposits += 1
        stage.bridged("Eva", "5")
    assert "deposit 5 follows deposit 3" in told(stage)
    assert "the rules say DEPOSIT_NONCE" in told(stage)


def test_a_deposit_that_was_next_is_refused(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "is_next_deposit", lambda *_: False)
        stage.bridged("Eva", "5")
    assert "has the result DEPOSIT_NONCE, the rules say ACCEPTED" in told(stage)


def test_a_grant_on_the_main_network(monkeypatch: Patch) -> None:
    stage = scene(network="Mainnet")
    grant = stage.events.grant(address_of("Eva"), usdc("5"))
    assert codes(stage.inputs_of(grant)) == [Rejection.GRANT_FORBIDDEN]
    assert audited(stage).is_clean
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "check_grant", accept)
        stage.inputs_of(grant)
    assert "the rules say GRANT_FORBIDDEN" in told(stage)


def test_a_grant_is_passed_off_as_a_deposit(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "GRANT_NONCE", 4)
        stage.inputs_of(stage.events.grant(address_of("Eva"), usdc("5")))
    assert "DEPOSIT says" in told(stage)


def test_a_bare_deposit_on_a_chain_with_a_bridge(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(block_module, "check_border", accept)
        stage.fund(Eva="5")
    assert "the rules say BORDER_OTHER" in told(stage)


@pytest.mark.parametrize("name", ["user", "amount"])
def test_a_deposit_is_credited_otherwise(monkeypatch: Patch, name: str) -> None:
    """To somebody else, or more of it than came."""
    stage = scene()
    body, honest = block_module.SYSTEM_INPUTS[SystemType.BRIDGE_DEPOSIT]

    def forge(state: State, recorder: Recorder, fields: Record) -> Rejection:
        other = {"user": address_of("Ben"), "amount": fields["amount"] * 2}
        return honest(state, recorder, {**fields, name: other[name]})

    with monkeypatch.context() as patch:
        patch.setitem(block_module.SYSTEM_INPUTS, SystemType.BRIDGE_DEPOSIT, (body, forge))
        stage.bridged("Ann", "5")
    assert "DEPOSIT says" in told(stage)


def test_more_than_a_withdrawal_leaves_custody(monkeypatch: Patch) -> None:
    """The rest would be in the operator's pocket; he takes it from Ben."""
    stage = scene()

    def forge(outcome: int, amount: int) -> tuple[int, int] | None:
        stage.account("Ben").raw -= usdc("7")
        stage.state.touch(stage.account("Ben"))
        split = payout_split(outcome, amount)
        return None if split is None else (split[0] + usdc("7"), split[1])

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "payout_split", forge)
        stage.inputs_of(stage.events.payout(1))
    assert "the SEAL says custody" in told(stage)


def test_a_payout_is_recorded_that_nobody_saw(monkeypatch: Patch) -> None:
    """A withdrawal is taken off the list, with a record and without an input."""
    stage = scene()
    honest = bridge._deposit

    def forge(state: State, recorder: Recorder, credit: Any, is_own: bool) -> Rejection:
        found = honest(state, recorder, credit, is_own)
        bridge._end_withdrawal(state, recorder, 1, 1, bytes(32))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "_deposit", forge)
        stage.bridged("Eva", "5")
    assert "WITHDRAW_DONE wid 1" in told(stage)
    assert "has no input" in told(stage)


def test_a_payout_leaves_no_record(monkeypatch: Patch) -> None:
    stage = scene()
    body, _ = block_module.SYSTEM_INPUTS[SystemType.BRIDGE_PAYOUT]
    with monkeypatch.context() as patch:
        patch.setitem(block_module.SYSTEM_INPUTS, SystemType.BRIDGE_PAYOUT, (body, accept))
        stage.inputs_of(stage.events.payout(1))
    assert "an accepted input left no WITHDRAW_DONE" in told(stage)


def test_a_payout_of_another_outcome(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "payout_split", lambda _outcome, amount: (amount, 0))
        stage.inputs_of(stage.events.payout(1, 3))
    assert "the rules say PAYOUT_OUTCOME" in told(stage)


def test_a_cancelled_withdrawal_is_kept(monkeypatch: Patch) -> None:
    """Its amount leaves custody as if it had been paid."""
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "payout_split", lambda _outcome, amount: (amount, 0))
        stage.inputs_of(stage.events.payout(1, CANCELLED))
    assert "the SEAL says custody" in told(stage)


def test_a_receipt_out_of_order(monkeypatch: Patch) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "check_vault_purchase", accept)
        stage.inputs_of(stage.events.bought(2, usdc("5")))
    assert "the rules say VAULT_PURCHASE_NUMBER" in told(stage)


def test_a_gift_is_booked_as_the_funds_money(monkeypatch: Patch) -> None:
    """Nothing of the fund's has arrived; the books say that it was spent."""
    stage = scene()
    honest = bridge.process_vault_purchase
    body, _ = block_module.SYSTEM_INPUTS[SystemType.EVM_BUYBACK]

    def forge(state: State, recorder: Recorder, fields: Record) -> Rejection:
        found = honest(state, recorder, fields)
        state.fund.evm_spent, state.fund.evm_gifts = state.fund.evm_gifts, 0
        return found

    with monkeypatch.context() as patch:
        patch.setitem(block_module.SYSTEM_INPUTS, SystemType.EVM_BUYBACK, (body, forge))
        stage.inputs_of(stage.events.bought(1, usdc("5")))
        assert stage.state.fund.evm_spent == usdc("5")
        forged = audited(stage)
    assert "the fund's books say evm_spent" in "\n".join(one.text for one in forged.findings)


def due_again(stage: BorderStage) -> None:
    """The first transfer is paid and spent; a minute has passed."""
    stage.inputs_of(stage.events.payout(2))
    stage.inputs_of(stage.events.bought(1, usdc("50"), decision=decision(stage)))
    stage.block(at=stage.engine.state.time_ms + MINUTE)


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda honest: lambda *given: honest(*given) * 2, "the fund sent the vault 90000000"),
        (lambda honest: lambda *given: 0, "the fund sent the vault 0, due were 45000000"),
    ],
)
def test_another_amount_goes_to_the_vault(
    monkeypatch: Patch, forge: Callable[[Any], Any], words: str
) -> None:
    stage = scene()
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "vault_transfer", forge(vault_transfer))
        due_again(stage)
    assert words in told(stage, FUND)


def test_the_funds_money_goes_to_somebody_else(monkeypatch: Patch) -> None:
    stage = scene()

    def forge(
        state: State, recorder: Recorder, account: Account, _to: bytes, amount: int, fee: int
    ) -> None:
        hold_withdrawal(state, recorder, account, address_of("Eva"), amount, fee)

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "hold_withdrawal", forge)
        due_again(stage)
    assert "the fund's money goes to" in told(stage, FUND)


def test_the_fund_sends_money_when_nothing_was_due(monkeypatch: Patch) -> None:
    stage = scene()
    stage.inputs_of(stage.events.payout(2))
    stage.inputs_of(stage.events.bought(1, usdc("50")))
    honest = buyback.buy_back

    def forge(state: State, recorder: Recorder) -> None:
        honest(state, recorder)
        bridge.send_to_vault(state, recorder)

    with monkeypatch.context() as patch:
        patch.setattr(block_module, "buy_back", forge)
        stage.block()
    assert "away outside of a purchase" in told(stage, FUND)


CHANGES = [
    (Kind.DEPOSIT, "amount"), (Kind.DEPOSIT, "l1_nonce"),
    (Kind.WITHDRAW_DONE, "wid"), (Kind.WITHDRAW_DONE, "outcome"),
    (Kind.EVM_BUYBACK, "spent"), (Kind.EVM_BUYBACK, "burned"), (Kind.EVM_BUYBACK, "block"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), CHANGES)
def test_a_rewritten_entry_is_found(kind: Kind, name: str) -> None:
    """One field of an entry is another than it was."""
    stage = scene()
    stage.inputs_of(stage.events.payout(1), stage.events.payout(2))
    stage.inputs_of(stage.events.bought(1, usdc("50")))
    at, place = next(
        (at, place)
        for at, block in enumerate(stage.blocks)
        for place, raw in enumerate(block.entries)
        if raw[1:3] == kind.to_bytes(2, "big")
    )

    def change(raw: bytearray) -> None:
        entry = decode_entry(bytes(raw))
        fields = decode_payload(entry)
        payload = canonical.encode(SCHEMAS[kind], {**fields, name: fields[name] + 1})
        raw[:] = encode_entry(entry.kind, entry.height, entry.seq, payload)

    stage.blocks[at] = rewritten(stage.blocks[at], place, change)
    assert told(stage)


@pytest.mark.parametrize("code", [0xFFFF, int(Rejection.DEPOSIT_NONCE)])
def test_a_rewritten_result_is_found(code: int) -> None:
    """Of an input that was accepted; also a number that is no result at all."""
    stage = scene()
    place = next(
        place
        for place, raw in enumerate(stage.blocks[1].entries)
        if raw[1:3] == Kind.TX_SYSTEM.to_bytes(2, "big")
    )

    def change(raw: bytearray) -> None:
        raw[19:21] = code.to_bytes(2, "big")

    stage.blocks[1] = rewritten(stage.blocks[1], place, change)
    assert "the rules say ACCEPTED" in told(stage)
    assert "DEPOSIT user" in told(stage)  # which has no accepted input now


def test_a_block_of_a_day_that_never_comes_is_a_finding() -> None:
    """The time in a SEAL is anybody's number of 64 bits; leaves hold days of 32."""
    stage = scene()

    def change(raw: bytearray) -> None:
        raw[51:59] = b"\xff" * 8

    last = len(stage.blocks[-1].entries) - 1
    stage.blocks[-1] = rewritten(stage.blocks[-1], last, change)
    report = audited(stage)
    assert [one.check for one in report.findings] == ["execution"]


GIVEN = ((51, 59), (171, 203), (343, 363))


def test_any_byte_that_is_another_is_found_and_nothing_fails() -> None:
    """Of any entry behind its header. What a SEAL gives to its block (time, hash of the rules,
    proposer) is compared with nothing in the last block; its checkpoint signs it."""
    stage, draw = scene(), Random(2026)
    stage.inputs_of(stage.events.payout(1), stage.events.payout(2))
    stage.inputs_of(stage.events.bought(1, usdc("50")))
    honest = list(stage.blocks)
    for _ in range(1_500 if LONG else 40):
        at = draw.randrange(1, len(honest))
        place = draw.randrange(len(honest[at].entries))
        entry = honest[at].entries[place]
        byte, flip = draw.randrange(HEADER_SIZE, len(entry)), draw.randrange(1, 256)

        def change(raw: bytearray, byte: int = byte, flip: int = flip) -> None:
            raw[byte] ^= flip

        stage.blocks = [*honest]
        stage.blocks[at] = rewritten(honest[at], place, change)
        is_seal = entry[1:3] == Kind.SEAL.to_bytes(2, "big")
        is_free = is_seal and any(first <= byte < end for first, end in GIVEN)
        assert is_free or not audited(stage).is_clean, (at, place, byte)
