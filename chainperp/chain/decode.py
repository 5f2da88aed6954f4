"""From the signed bytes of a transaction to the action that the engine carries out.

The bytes are a canonical MessagePack map (`base/msgpack.py` here; a faster decoder may be handed
in; the most usual actions need none, `chain/plain_actions.py`). Whatever is not exactly the shape
of a known action is refused with InvalidBytes: the edge has checked it before (`wire`), so in a log
it means that the log was not made by these rules.
Source: hyperliquid-api 3.4 and 4.3 to 4.5.
"""

from collections.abc import Callable
from typing import Any, Final

from chainperp.base import canonical, msgpack
from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.units import Address
from chainperp.chain.decode_actions import ADDRESS, L1_DECODERS, USER_DECODERS, Fields
from chainperp.chain.plain_actions import plain_action
from chainperp.model.actions import Action, NotOffered
from chainperp.model.blocks import MultiSigned, SystemInput, Transaction
from chainperp.model.decisions import SystemType
from chainperp.model.envelope import (
    L1,
    MULTI_SIG,
    PLAIN,
    USER_SIGNED,
    Envelope,
    decode_envelope,
    plain_head,
)
from chainperp.transition.block import VOTE_BODY

Unpack = Callable[[bytes], Any]
ADDRESS_SIZE: Final = 20


def transaction_of(raw: bytes, signers: bytes, unpack: Unpack = msgpack.unpack) -> Transaction:
    """The transaction of envelope bytes whose signers are known: 20 bytes of who signed it, and
    for a multi-sig envelope 20 bytes more for each signature inside, in their order.

    Raises InvalidBytes when the bytes are not an envelope with a well-formed action, or when the
    signers are not as many as its signatures.
    """
    plain = _plain_transaction(raw, signers)
    if plain is not None:
        return plain
    envelope = decode_envelope(raw)
    fields = unpack(envelope.action_bytes)
    if envelope.scheme == MULTI_SIG:
        return _multi_signed(raw, envelope, signers, fields)
    if len(signers) != ADDRESS_SIZE:
        raise InvalidBytes(f"one signer has 20 bytes: were {len(signers)}")
    return Transaction(
        Address(signers),
        decode_action(fields, envelope.scheme),
        envelope.nonce,
        raw,
        is_user_signed=envelope.scheme == USER_SIGNED,
        vault=envelope.vault,
        expires_after=envelope.expires_after,
    )


def _plain_transaction(raw: bytes, signers: bytes) -> Transaction | None:
    """The transaction of the most usual envelope and action, cut at their fixed places; None when
    it is any other, or none at all."""
    nonce, end = plain_head(raw)
    if not end or len(signers) != ADDRESS_SIZE:
        return None
    action = plain_action(raw, PLAIN.size, end)
    return None if action is None else Transaction(Address(signers), action, nonce, raw)


def _multi_signed(raw: bytes, envelope: Envelope, signers: bytes, fields: object) -> Transaction:
    """The action inside a multi-sig envelope, with who asks and who agreed."""
    try:
        user, leader, inner, count = _payload(fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidBytes(f"multi-sig envelope is malformed: {error}") from error
    if len(signers) != ADDRESS_SIZE * (1 + count):
        raise InvalidBytes(f"{count} signatures and the leader's: were {len(signers)} bytes")
    is_user_signed = inner["type"] in USER_DECODERS
    inside = range(ADDRESS_SIZE, len(signers), ADDRESS_SIZE)
    return Transaction(
        Address(signers[:ADDRESS_SIZE]),
        decode_action(inner, USER_SIGNED if is_user_signed else L1),
        envelope.nonce,
        raw,
        is_user_signed=is_user_signed,
        vault=envelope.vault,
        expires_after=envelope.expires_after,
        multi_sig=MultiSigned(
            user, leader, tuple(Address(signers[at : at + ADDRESS_SIZE]) for at in inside)
        ),
    )


def _payload(fields: Any) -> tuple[Address, Address, Fields, int]:
    """Multi-sig user, outer signer, inner action, and number of signatures of an envelope."""
    if fields["type"] != "multiSig" or not isinstance(fields["signatures"], list):
        raise ValueError("it is not one")
    payload = fields["payload"]
    addresses: list[Address] = []
    for key in ("multiSigUser", "outerSigner"):
        if ADDRESS.fullmatch(payload[key]) is None:
            raise ValueError(f"{key} is not an address: was {payload[key]!r}")
        addresses.append(Address(bytes.fromhex(payload[key][2:])))
    inner: Fields = payload["action"]
    if not isinstance(inner, dict) or not isinstance(inner["type"], str):
        raise TypeError("its action is not a map with a type")
    return addresses[0], addresses[1], inner, len(fields["signatures"])


def system_input_of(kind: int, body: bytes, unpack: Unpack = msgpack.unpack) -> SystemInput:
    """The system input of a log entry's type and body."""
    try:
        system_type = SystemType(kind)
    except ValueError as error:
        raise InvalidBytes(f"system transaction type {kind} does not exist") from error
    if system_type is not SystemType.ORACLE_VOTE:
        return SystemInput(system_type, body)
    fields = canonical.decode(VOTE_BODY, body)
    vote = _vote_of(fields["envelope"], fields["signer"], unpack)
    return SystemInput(system_type, body, vote)


def _vote_of(raw: bytes, signer: bytes, unpack: Unpack) -> Transaction:
    """A validator's prices: its own key signs them, nobody else."""
    vote = transaction_of(raw, signer, unpack)
    if vote.multi_sig is not None:
        raise InvalidBytes("an oracle vote is no multi-sig envelope")
    return vote


def vote_input(raw: bytes, signer: Address, unpack: Unpack = msgpack.unpack) -> SystemInput:
    """The system input of a validator's signed prices."""
    body = canonical.encode(VOTE_BODY, {"envelope": raw, "signer": signer})
    return SystemInput(SystemType.ORACLE_VOTE, body, _vote_of(raw, signer, unpack))


def decode_action(fields: object, scheme: int) -> Action:
    """The action of a canonical map signed under a scheme.

    Raises InvalidBytes naming the key. Well-formed actions of other kinds become NotOffered.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise InvalidBytes("action is not a map with a type")
    name = fields["type"]
    if scheme == L1 and name in L1_DECODERS:
        decoder = L1_DECODERS[name]
    elif scheme == USER_SIGNED and name in USER_DECODERS:
        decoder = USER_DECODERS[name]
    else:
        return NotOffered(name)
    try:
        return decoder(fields)
    except (KeyError, TypeError, AttributeError, ValueError, BadRequest) as error:
        raise InvalidBytes(f"action {name} is malformed: {error}") from error
