"""Multi-sig users with real signatures: envelopes executed, logged, and replayed with and without
a signature check."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from chainperp.base.errors import InvalidBlock, InvalidBytes
from chainperp.base.units import Address, address_text
from chainperp.chain.decode import decode_action, transaction_of
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.chain.replay import Replay, ReplayReport, replay
from chainperp.client.wallet import address_of, sign_action, sign_multi_sig
from chainperp.model.actions import ConvertToMultiSig
from chainperp.model.blocks import BlockInput, Transaction
from chainperp.model.decisions import Kind, Rejection
from chainperp.model.entries import decode_entry, decode_payload, encode_entry
from chainperp.model.envelope import encode_envelope
from chainperp.storage.package import build_genesis
from chainperp.wire.recovery import recover_signers, signers_of
from chainperp.wire.signing import admit
from tests.support.world import RULES, START, World
from tests.support.world import address_of as named

OWNER, LEADER, OTHER, THIRD = (bytes([number]) * 32 for number in (1, 2, 3, 4))
NOOP = {"type": "noop"}


def converted(keys: list[bytes], threshold: int) -> dict[str, Any]:
    """The action that hands an account to keys, as PY writes it."""
    users = sorted(address_text(address_of(key)) for key in keys)
    text = json.dumps({"authorizedUsers": users, "threshold": threshold})
    return {"type": "convertToMultiSigUser", "signers": text}


class Signed:
    """A chain of real signatures on which `OWNER` becomes a multi-sig user."""

    def __init__(self) -> None:
        accounts = [(bytes(address_of(key)), 1_000) for key in (OWNER, LEADER, OTHER, THIRD)]
        raw = build_genesis("test/sig", START, [(b"\xaa" * 20, 1)], accounts=accounts,
                            parameters={"sub_account_volume_min": 0})  # fmt: skip
        self.genesis = parse_genesis(raw)
        self.engine = Engine(self.genesis, RULES)
        self.blocks = [self.engine.seal_genesis()]
        self.nonce = START

    def carry(self, body: Mapping[str, Any]) -> Rejection:
        """Admit a request as the node does and make a block of it."""
        envelope = admit(json.loads(json.dumps(body)), "Testnet")
        signers = recover_signers(envelope, "Testnet")
        return self.block(transaction_of(encode_envelope(envelope), signers))

    def block(self, transaction: Transaction) -> Rejection:
        """One transaction in its block; its result."""
        time_ms = self.engine.state.time_ms + 200
        block = BlockInput(time_ms, self.genesis.proposer, [], [transaction])
        self.blocks.append(self.engine.execute(block))
        (fields,) = self.of(Kind.TX_USER)
        return Rejection(fields["code"])

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        """Entries of a kind in the last block."""
        found = [decode_entry(raw) for raw in self.blocks[-1].entries]
        return [decode_payload(entry) for entry in found if entry.kind is kind]

    def alone(self, key: bytes, action: dict[str, Any]) -> Rejection:
        """An action signed by one key."""
        self.nonce += 1
        return self.carry(sign_action(key, action, self.nonce, "Testnet"))

    def together(self, keys: list[bytes], action: dict[str, Any], leader: bytes = LEADER) -> Any:
        """The body of an envelope for the owner."""
        self.nonce += 1
        owner = address_of(OWNER)
        return sign_multi_sig(leader, keys, owner, action, self.nonce, "Testnet")

    def replayed(self, blocks: list[SealedBlock], *, checked: bool) -> ReplayReport:
        """What a replay of these blocks says."""
        recover = (lambda raws: signers_of(raws, "Testnet")) if checked else None
        run = Replay(self.genesis, RULES, recover=recover)
        return replay(run, [(one.height, one.entries) for one in blocks])


def shared() -> Signed:
    """Two of three sign for the owner."""
    chain = Signed()
    assert chain.alone(OWNER, converted([LEADER, OTHER, THIRD], 2)) is Rejection.ACCEPTED
    return chain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", ([], 0)),
        ('{"authorizedUsers":[],"threshold":0}', ([], 0)),
        ('{"threshold":1,"authorizedUsers":["0x' + "aB" * 20 + '"]}', ([b"\xab" * 20], 1)),
        ('{"authorizedUsers":["0x' + "ab" * 20 + '"],"threshold":1.0}', (None, 0)),
        ('{"authorizedUsers":["0x' + "ab" * 20 + '"],"threshold":true}', (None, 0)),
        ('{"authorizedUsers":["0x' + "ab" * 20 + '"],"threshold":1,"x":1}', (None, 0)),
        ('{"authorizedUsers":["0x' + "ab" * 20 + '"],"threshold":1,"threshold":2}', (None, 0)),
        ('{"authorizedUsers":["' + "ab" * 20 + '"],"threshold":1}', (None, 0)),
        ('{"authorizedUsers":[5],"threshold":1}', (None, 0)),
        ('{"authorizedUsers":{},"threshold":1}', (None, 0)),
        ("[" * 4000, (None, 0)), ("5", (None, 0)), ("", (None, 0)), ("NaN", (None, 0)),
        ("9" * 4000, (None, 0)), ('"' + "\\ud800" + '"', (None, 0)),
    ],
)  # fmt: skip
def test_the_text_of_users_and_threshold_is_read_or_refused(text: str, expected: Any) -> None:
    """Whatever was signed decodes; what says nothing is refused by the rules."""
    action = decode_action({"type": "convertToMultiSigUser", "signers": text}, 2)
    assert isinstance(action, ConvertToMultiSig)
    assert (action.users, action.threshold) == expected


def test_an_unreadable_text_is_refused_as_a_value() -> None:
    """Never a traceback, never a half-applied block."""
    chain = Signed()
    action = {"type": "convertToMultiSigUser", "signers": "[1"}
    assert chain.alone(OWNER, action) is Rejection.MULTI_SIG_TERMS_INVALID
    assert not chain.engine.state.multi_sigs


def test_envelopes_of_real_signatures_move_the_account_and_replay() -> None:
    """L1 and user-signed actions inside; equal bytes from a bare and from a checking replay."""
    chain = shared()
    assert chain.alone(OWNER, NOOP) is Rejection.MULTI_SIG_REQUIRED
    assert chain.carry(chain.together([LEADER, OTHER], NOOP)) is Rejection.ACCEPTED
    opened = {"type": "createSubAccount", "name": "desk"}
    assert chain.carry(chain.together([OTHER, THIRD], opened)) is Rejection.ACCEPTED
    assert len(chain.engine.state.subs_of[address_of(OWNER)]) == 1
    send = {"type": "usdSend", "destination": address_text(address_of(THIRD)), "amount": "7"}
    assert chain.carry(chain.together([OTHER, THIRD], send, OTHER)) is Rejection.ACCEPTED
    assert chain.engine.state.accounts[address_of(OWNER)].raw == 993_000_000
    back = {"type": "convertToMultiSigUser", "signers": "null"}
    assert chain.carry(chain.together([LEADER, THIRD], back)) is Rejection.ACCEPTED
    assert chain.alone(OWNER, NOOP) is Rejection.ACCEPTED
    for checked in (True, False):
        report = chain.replayed(chain.blocks, checked=checked)
        assert report.divergence is None
        assert report.signatures_checked == (7 if checked else 0)


def test_the_log_names_who_signed_inside_behind_the_transaction() -> None:
    """MULTI_SIG follows TX_USER, also when the envelope is refused."""
    chain = shared()
    body = chain.together([LEADER, LEADER], NOOP)
    assert chain.carry(body) is Rejection.MULTI_SIG_THRESHOLD
    kinds = [decode_entry(raw).kind for raw in chain.blocks[-1].entries[:2]]
    assert kinds == [Kind.TX_USER, Kind.MULTI_SIG]
    (fields,) = chain.of(Kind.MULTI_SIG)
    leader = address_of(LEADER)
    assert (fields["user"], fields["leader"]) == (address_of(OWNER), leader)
    assert fields["signers"] == [{"signer": leader}, {"signer": leader}]


def test_a_wrong_signer_inside_is_found_by_whoever_can_recover() -> None:
    """The operator claims another signer: its chain executes, its signatures do not."""
    chain = shared()
    envelope = admit(chain.together([LEADER], NOOP), "Testnet")
    claimed = bytes(address_of(LEADER) + address_of(LEADER))
    forged = transaction_of(encode_envelope(envelope), claimed)
    assert forged.multi_sig is not None
    claims = (*forged.multi_sig.signers, address_of(OTHER))
    forged.multi_sig.signers = claims
    assert chain.block(forged) is Rejection.ACCEPTED
    with pytest.raises((InvalidBlock, InvalidBytes)):  # three signers for two signatures
        chain.replayed(chain.blocks, checked=True)
    chain = shared()
    envelope = admit(chain.together([LEADER, OWNER], NOOP), "Testnet")
    claimed = bytes(address_of(LEADER) + address_of(LEADER) + address_of(OTHER))
    assert chain.block(transaction_of(encode_envelope(envelope), claimed)) is Rejection.ACCEPTED
    assert chain.replayed(chain.blocks, checked=False).divergence is None
    divergence = chain.replayed(chain.blocks, checked=True).divergence
    assert divergence is not None
    assert (divergence.height, divergence.field) == (2, "signer")


def test_a_log_without_the_signers_of_an_envelope_is_no_block() -> None:
    """A MULTI_SIG entry that is missing is named."""
    chain = shared()
    chain.carry(chain.together([LEADER, OTHER], NOOP))
    last = chain.blocks[-1]
    entry = decode_entry(last.entries[1])
    last.entries[1] = encode_entry(Kind.AGENT, entry.height, entry.seq, entry.payload)
    with pytest.raises(InvalidBlock, match="MULTI_SIG"):
        chain.replayed(chain.blocks, checked=False)


def test_signatures_and_signers_must_be_as_many() -> None:
    """A transaction is not made of fewer or more signers than it has signatures."""
    chain = shared()
    raw = encode_envelope(admit(chain.together([LEADER, OTHER], NOOP), "Testnet"))
    for count in (0, 1, 2, 4):
        with pytest.raises(InvalidBytes, match="2 signatures"):
            transaction_of(raw, bytes(20) * count)


def test_an_envelope_taken_twice_is_refused_by_the_leaders_nonce() -> None:
    """Only the leader's nonce set is touched, and it is."""
    chain = shared()
    body = chain.together([LEADER, OTHER], NOOP)
    owner = chain.engine.state.accounts[address_of(OWNER)]
    before = list(owner.nonces.kept)
    assert chain.carry(body) is Rejection.ACCEPTED
    assert chain.carry(body) is Rejection.NONCE_DUPLICATE
    assert list(owner.nonces.kept) == before


def test_a_leader_named_wrongly_and_a_stranger_are_refused() -> None:
    """`outerSigner` is who signed the envelope."""
    world = World()
    world.fund(ann="10", ben="10", cat="10")
    users = [named("ben"), named("cat")]
    world.act("ann", ConvertToMultiSig(users, 1), user_signed=True)
    action = decode_action(NOOP, 1)
    for leader, outer, expected in (
        ("ben", "cat", Rejection.MULTI_SIG_OUTER_INVALID),
        ("nobody", None, Rejection.MULTI_SIG_OUTER_UNKNOWN),
        ("cat", None, Rejection.ACCEPTED),
    ):
        one = world.envelope(leader, "ann", ["ben"], action, outer=outer)
        assert world.block([one]).codes == [expected]


def test_a_restored_engine_knows_who_signs() -> None:
    """Users and threshold survive a snapshot."""
    world = World({"snapshot_interval": 1})
    world.fund(ann="10", ben="10", cat="10")
    users: list[Address] = [named("ben"), named("cat")]
    world.act("ann", ConvertToMultiSig(users, 2), user_signed=True)
    height, raw = world.engine.height, world.engine.snapshot()
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[height].entries[-1])
    action = decode_action(NOOP, 1)
    world.block([world.envelope("ben", "ann", ["ben"], action)])
    world.block([world.envelope("ben", "ann", ["cat", "ben"], action)])
    world.block(
        [world.envelope("cat", "ann", ["cat", "ben"], ConvertToMultiSig([], 0), user_signed=True)]
    )
    for number, block in enumerate(world.inputs[height:], start=height + 1):
        assert engine.execute(block).entries == world.blocks[number].entries
    assert engine.snapshot() == world.engine.snapshot()
    assert not world.state.multi_sigs
