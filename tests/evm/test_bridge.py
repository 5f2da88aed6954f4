"""The Bridge: deposits, withdrawals, payouts and disputes.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

from dataclasses import replace

import pytest

from chainperp.base.hashing import leaf_hash
from contracts_py.bridge import Approval, Bridge, Failure, Status, Withdrawal
from contracts_py.digests import ORDER, Domain, Signatures, ValidatorSet, address_of, struct_hash
from contracts_py.handle import Handle, Reverted
from tests.evm.hostile import Hostile
from tests.evm.world import (
    ACCOUNTS,
    CHAIN,
    KEYS,
    ORIGIN,
    USD,
    VALIDATOR_KEYS,
    VALIDATORS,
    Custody,
    World,
    anchor_log,
    codes,
    deploy_anchor,
    plain_log,
    request_entry,
)

OWNER, ANN, BEN, CAT = ACCOUNTS[:4]


def custody(count: int = 2) -> Custody:
    """A bridge and accounts with dollars."""
    made = Custody(World())
    made.fund(count=count)
    return made


def paid_in() -> Custody:
    """A bridge that holds 500 dollars of Ann's."""
    made = custody()
    made.bridge.deposit(ANN, 500 * USD)
    return made


# Deposits


def test_deposits_are_numbered_in_order() -> None:
    """From 1, without gaps, over all depositors and ways."""
    made = custody()
    first = made.bridge.deposit(ANN, 5 * USD)
    second = made.bridge.deposit_for(BEN, CAT.address, 7 * USD)
    assert first.event("Deposit") == {
        "nonce": 1, "user": ANN.address, "amount": 5 * USD, "beneficiary": ANN.address,
    }  # fmt: skip
    assert second.event("Deposit") == {
        "nonce": 2, "user": BEN.address, "amount": 7 * USD, "beneficiary": CAT.address,
    }  # fmt: skip
    assert (made.bridge.deposit_nonce(), made.bridge.deposited()) == (2, 12 * USD)
    assert made.usd.balance_of(made.bridge.address) == 12 * USD


def test_deposit_below_five_dollars_is_refused() -> None:
    """Not lost, as elsewhere: the money stays where it was."""
    made = custody()
    with pytest.raises(Reverted, match="below 5 USDC"):
        made.bridge.deposit(ANN, 5 * USD - 1)
    with pytest.raises(Reverted, match="nobody's account"):
        made.bridge.deposit_for(ANN, "0x" + "00" * 20, 5 * USD)
    assert made.usd.balance_of(ANN.address) == 1_000 * USD


def test_permit_deposits_for_its_owner() -> None:
    """A stranger brings the permit; owner pays, owner is credited."""
    made = custody(count=0)
    made.usd.mint(OWNER, ANN.address, 100 * USD)
    until = made.world.now + 100
    signature = made.usd.sign_permit(KEYS[1], ANN.address, made.bridge.address, 50 * USD, until)
    done = made.bridge.deposit_with_permit(CAT, ANN.address, 50 * USD, until, signature)
    assert done.event("Deposit")["beneficiary"] == ANN.address


def test_broken_permit_of_a_stranger_spends_no_allowance() -> None:
    """Ann's allowance from before must not be drawn by somebody else; she herself goes on."""
    made = custody()
    until = made.world.now + 100
    broken = made.usd.sign_permit(KEYS[3], ANN.address, made.bridge.address, 50 * USD, until)
    with pytest.raises(Reverted, match="the permit failed"):
        made.bridge.deposit_with_permit(CAT, ANN.address, 50 * USD, until, broken)
    made.bridge.deposit_with_permit(ANN, ANN.address, 50 * USD, until, broken)
    assert made.bridge.deposited() == 50 * USD


def test_dollar_that_keeps_a_fee_or_answers_no_is_refused() -> None:
    """What arrives must be what is credited."""
    made = Custody(World())
    odd = Hostile(made.world, "Reentrant")
    bridge = made.another(odd.address)
    odd.send("mint", ANN.address, 100 * USD)
    odd.send("configure", 1, True)
    with pytest.raises(Reverted, match="amount differs"):
        bridge.deposit(ANN, 50 * USD)
    odd.send("configure", 0, False)
    with pytest.raises(Reverted, match="the dollar refused"):
        bridge.deposit(ANN, 50 * USD)


def test_deposit_inside_a_deposit_is_not_credited_twice() -> None:
    """Reentrancy: the dollar calls deposit again and moves the amount only once."""
    made = Custody(World())
    odd = Hostile(made.world, "Reentrant")
    bridge = made.another(odd.address)
    odd.send("mint", odd.address, 100 * USD)
    odd.send("mint", ANN.address, 100 * USD)
    again = bridge.contract.encode_abi("deposit_for", [ANN.address, 50 * USD])
    odd.send("arm", bridge.address, again, True)
    with pytest.raises(Reverted):
        bridge.deposit(ANN, 50 * USD)
    assert bridge.deposited() == 0


# Withdrawals


def test_withdrawal_is_paid_after_time_and_blocks() -> None:
    """Request, too early by time, too early by blocks, paid, never again."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address, BEN.address)
    made.anchor_all()
    asked = made.request(one).event("Requested")
    assert (asked["wid"], asked["entry_index"]) == (1, one.entry_index)
    assert codes(made.request(one)) == [(1, Failure.ALREADY_REQUESTED)]
    assert codes(made.bridge.finalize(CAT, [1, 9])) == [
        (1, Failure.EARLY_BY_TIME),
        (9, Failure.NOT_REQUESTED),
    ]
    made.world.wait(110)
    assert codes(made.bridge.finalize(CAT, [1])) == [(1, Failure.EARLY_BY_BLOCKS)]
    made.world.wait(1, blocks=10)
    before = made.usd.balance_of(BEN.address)
    done = made.bridge.finalize(CAT, [1]).event("Finalized")
    assert (done["destination"], done["amount"]) == (BEN.address, 80 * USD)
    assert made.usd.balance_of(BEN.address) == before + 80 * USD
    assert made.bridge.request(1).status is Status.PAID
    assert codes(made.bridge.finalize(CAT, [1])) == [(1, Failure.ALREADY_FINALIZED)]
    assert codes(made.request(one)) == [(1, Failure.ALREADY_FINALIZED)]
    assert made.usd.balance_of(made.bridge.address) == 420 * USD
    assert made.bridge.paid() == 80 * USD


def test_period_ends_strictly_after_its_last_second() -> None:
    """At exactly the period it still runs."""
    made = Custody(World(), block_ms=10**9)
    made.fund()
    made.bridge.deposit(ANN, 500 * USD)
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    made.request(one)
    since = made.bridge.request(1).since
    made.world.now = since + 100
    assert codes(made.bridge.finalize(CAT, [1])) == [(1, Failure.EARLY_BY_TIME)]
    made.world.now = since + 101
    assert made.bridge.finalize(CAT, [1]).event("Finalized")["wid"] == 1


def test_withdrawal_of_an_unanchored_entry_waits() -> None:
    """It could not be disputed; once anchored it can be requested."""
    made = paid_in()
    made.anchor_all()
    one = made.write(1, 80 * USD, ANN.address)
    assert codes(made.request(one)) == [(1, Failure.NOT_ANCHORED)]
    made.anchor_all()
    assert made.request(one).event("Requested")["wid"] == 1


def test_one_bad_item_does_not_stop_the_batch() -> None:
    """A known number and an unanchored one are events; the third is requested."""
    made = paid_in()
    first, second = (made.write(wid, 50 * USD, ANN.address) for wid in (1, 2))
    made.anchor_all()
    third = made.write(3, 50 * USD, ANN.address)
    made.request(first)
    done = made.request(first, third, second)
    assert codes(done) == [(1, Failure.ALREADY_REQUESTED), (3, Failure.NOT_ANCHORED)]
    assert done.event("Requested")["wid"] == 2


def test_dollar_that_refuses_one_receiver_does_not_stop_the_others() -> None:
    """A blocked address stays pending and is paid when it is free again."""
    made = Custody(World())
    odd = Hostile(made.world, "Reentrant")
    made.bridge = made.another(odd.address)
    odd.send("mint", ANN.address, 500 * USD)
    made.bridge.deposit(ANN, 500 * USD)
    rows = [made.write(1, 50 * USD, ANN.address), made.write(2, 60 * USD, BEN.address)]
    made.anchor_all()
    made.request(*rows)
    made.world.wait(110, blocks=11)
    odd.send("block", ANN.address, True)
    done = made.bridge.finalize(CAT, [1, 2])
    assert codes(done) == [(1, Failure.DOLLAR_REFUSED)]
    assert done.event("Finalized")["wid"] == 2
    assert made.bridge.paid() == 60 * USD
    odd.send("block", ANN.address, False)
    assert made.bridge.finalize(CAT, [1]).event("Finalized")["wid"] == 1


def test_finalize_inside_a_payout_pays_once() -> None:
    """Reentrancy: the dollar calls finalize again in the middle of a transfer."""
    made = Custody(World())
    odd = Hostile(made.world, "Reentrant")
    made.bridge = made.another(odd.address)
    odd.send("mint", ANN.address, 500 * USD)
    made.bridge.deposit(ANN, 500 * USD)
    one = made.write(1, 50 * USD, BEN.address)
    made.anchor_all()
    made.request(one)
    made.world.wait(110, blocks=11)
    odd.send("arm", made.bridge.address, made.bridge.contract.encode_abi("finalize", [[1]]), False)
    made.bridge.finalize(CAT, [1])
    assert odd.call("balanceOf", BEN.address) == 50 * USD
    assert (made.bridge.paid(), odd.call("called_back")) == (50 * USD, False)


# Signatures


def reason_of(made: Custody, one: Withdrawal, signed: Signatures) -> str:
    """Why a request is refused as a whole."""
    with pytest.raises(Reverted) as caught:
        made.bridge.request_withdrawals(CAT, [(one, signed)], VALIDATORS)
    return caught.value.reason


def test_signature_of_another_chain_or_contract_is_refused() -> None:
    """Other EVM chain, other bridge, other exchange: the digest differs."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    kind = (
        "Withdrawal(bytes32 chain,uint64 wid,address user,address destination,"
        "uint256 amount,uint64 entryIndex)"
    )
    fields = (one.wid, one.user, one.destination, one.amount, one.entry_index)
    hashed, foreign = (struct_hash(kind, chain, *fields) for chain in (CHAIN, ORIGIN))
    for digest in (
        Domain(1, made.bridge.address).digest(hashed),
        Domain(1337, made.another(made.usd.address).address).digest(hashed),
        made.bridge.domain.digest(foreign),
    ):
        signed = VALIDATORS.sign(digest, VALIDATOR_KEYS)
        assert reason_of(made, one, signed) == "quorum: wrong signer"


@pytest.mark.parametrize("field", ["wid", "user", "destination", "amount", "entry_index"])
def test_every_field_of_a_withdrawal_is_signed(field: str) -> None:
    """Changing any one makes the signatures those of somebody else."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    _one, signed = made.signed(one)
    other = {"user": CAT.address, "destination": CAT.address}.get(field)
    changed = replace(one, **{field: other or getattr(one, field) - 1})  # type: ignore[arg-type]
    assert reason_of(made, changed, signed) == "quorum: wrong signer"


def test_bridge_quorum_counts_each_validator_once() -> None:
    """Two of four, one of them twice, a malleable copy, a broken one."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    _one, two = made.signed(one, signers=2)
    assert reason_of(made, one, two) == "quorum: not reached"
    r, s, v = two.sigs[1]
    place = two.idx[1]
    twice = Signatures((*two.idx, place), (*two.sigs, (r, s, v)))
    assert reason_of(made, one, twice) == "quorum: positions must ascend"
    bent = Signatures((*two.idx, place), (*two.sigs, (r, ORDER - s, 55 - v)))
    assert reason_of(made, one, bent) == "quorum: positions must ascend"
    _one, three = made.signed(one)
    r, s, v = three.sigs[2]
    malleable = Signatures(three.idx, (*three.sigs[:2], (r, ORDER - s, 55 - v)))
    assert reason_of(made, one, malleable) == "quorum: s is high"


def test_old_validators_cannot_request_after_a_change() -> None:
    """A stale set is refused, and a signature must be made anew by the new set."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    keys = [KEYS[4], KEYS[5]]
    new = ValidatorSet.of({address_of(key): 1 for key in keys})
    digest = made.bridge.sets_digest(2, new, new)
    approval = Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS[:3]))
    made.bridge.update_validators(CAT, 2, (new, new), approval)
    made.world.wait(101)
    made.bridge.activate_validators(CAT)
    assert reason_of(made, one, made.signed(one)[1]) == "bridge: not the hot set"
    signed = new.sign(made.bridge.withdrawal_digest(one), keys)
    done = made.bridge.request_withdrawals(CAT, [(one, signed)], new)
    assert done.event("Requested")["wid"] == 1


# Disputes


def dispute(made: Custody, one: Withdrawal, size: int, index: int | None = None) -> Handle:
    """Dispute a withdrawal with the entry that the log has at an index."""
    place = one.entry_index if index is None else index
    entry, proof = made.log.entries[place], made.log.inclusion(place, size)
    made.bridge.dispute(CAT, one.wid, (size, place), entry, proof)
    return made.bridge


def test_fabricated_withdrawal_is_cancelled() -> None:
    """A quorum signed what the log does not say; one look into the log cancels it for ever."""
    made = paid_in()
    changes = {
        "wid": 99,
        "user": CAT.address,
        "destination": CAT.address,
        "amount": 81 * USD,
        "entry_index": 1,
    }
    false: list[Withdrawal] = []
    for wid, (field, value) in enumerate(changes.items()):
        true = made.write(wid, 80 * USD, ANN.address, BEN.address)
        false.append(replace(true, **{field: value}))  # type: ignore[arg-type]
    size = made.anchor_all()
    made.request(*false)
    for one in false:
        dispute(made, one, size)
        assert made.bridge.request(one.wid).status is Status.INVALID, one
    made.world.wait(200, blocks=11)
    expected = [(one.wid, Failure.INVALIDATED) for one in false]
    assert codes(made.bridge.finalize(CAT, [one.wid for one in false])) == expected
    assert codes(made.request(*false)) == expected


def test_true_withdrawal_cannot_be_cancelled() -> None:
    """Not by its own entry, another entry, a made-up entry, or a proof that is cut short."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.log.grow([b"later", b"and later"])
    size = made.anchor_all()
    made.request(one)
    place = (size, one.entry_index)
    entry, proof = made.log.entries[one.entry_index], made.log.inclusion(one.entry_index, size)
    with pytest.raises(Reverted, match="the log has this request"):
        dispute(made, one, size)
    with pytest.raises(Reverted, match="another index"):
        dispute(made, one, size, index=0)
    forged = request_entry(1, ANN.address, ANN.address, 81 * USD)
    inner = b"\x01" + leaf_hash(made.log.entries[2]) + leaf_hash(entry)
    for bad in (forged, inner, b"", made.log.entries[0]):
        with pytest.raises(Reverted, match="not the entry of the log"):
            made.bridge.dispute(CAT, 1, place, bad, proof)
    with pytest.raises(Reverted, match="not the entry of the log"):
        made.bridge.dispute(CAT, 1, (size - 1, one.entry_index), forged, proof)
    assert proof
    with pytest.raises(Reverted, match="not the entry of the log"):
        made.bridge.dispute(CAT, 1, place, entry, proof[:-1])
    assert made.bridge.request(1).status is Status.PENDING


def test_withdrawal_that_cites_a_long_entry_can_be_disputed() -> None:
    """Entries above the 4,096 bytes of verify_entry hide no false withdrawal."""
    made = paid_in()
    index = made.log.grow([b"\x01\x00\x60" + b"row" * 6_000]) - 1
    size = made.anchor_all()
    false = Withdrawal(1, ANN.address, ANN.address, 80 * USD, index)
    made.request(false)
    dispute(made, false, size)
    assert made.bridge.request(1).status is Status.INVALID


def test_only_a_waiting_withdrawal_is_disputed() -> None:
    """Neither an unknown one, nor one that was paid, nor one that was cancelled."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    false = replace(made.write(2, 80 * USD, ANN.address), amount=90 * USD)
    size = made.anchor_all()
    for bad in (one, false):
        with pytest.raises(Reverted, match="dispute: not waiting"):
            dispute(made, bad, size)
    made.request(one, false)
    dispute(made, false, size)
    made.world.wait(110, blocks=11)
    made.bridge.finalize(CAT, [1])
    for bad in (one, false):
        with pytest.raises(Reverted, match="dispute: not waiting"):
            dispute(made, bad, size)


def test_forked_log_stops_requests_and_payouts() -> None:
    """Once the Anchor shows two histories, nothing is paid on either."""
    made = paid_in()
    one, two = (made.write(wid, 50 * USD, ANN.address) for wid in (1, 2))
    size = made.anchor_all()
    made.request(one)
    other = plain_log(size, first=90)
    sides = []
    for log in (made.log, other):
        digest = made.anchor.checkpoint_digest(size, log.root(size))
        sides.append((log.root(size), VALIDATORS.sign(digest, VALIDATOR_KEYS)))
    made.anchor.report_fork(CAT, size, sides[0], sides[1], VALIDATORS)
    made.world.wait(110, blocks=11)
    with pytest.raises(Reverted, match="the log forked"):
        made.bridge.finalize(CAT, [1])
    with pytest.raises(Reverted, match="the log forked"):
        made.request(two)


def test_bridges_of_one_anchor_are_apart() -> None:
    """A request on one bridge is unknown on another."""
    made = paid_in()
    one = made.write(1, 80 * USD, ANN.address)
    made.anchor_all()
    made.request(one)
    other: Bridge = made.another(made.usd.address)
    assert other.request(1).status is Status.UNKNOWN
    assert deploy_anchor(made.world).latest() == (0, bytes(32))
    assert anchor_log(deploy_anchor(made.world), plain_log(2), 2).gas_used > 0
