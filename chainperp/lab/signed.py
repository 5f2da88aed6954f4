"""Transactions of the lab's people, signed: a chain of the lab passes every check of a chain.

Keys follow from names, so the whole world knows them; they sign on the test network only.
"""

from functools import cache
from hashlib import sha256
from typing import Any, Final

import coincurve
import msgpack

from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of
from chainperp.client.wallet import address_of as address_of_key
from chainperp.client.wallet import complete_action
from chainperp.model.blocks import Transaction
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.wire.actions import scheme_of
from chainperp.wire.signing import digest_of

NETWORK: Final = "Testnet"


@cache
def key_of(name: str) -> bytes:
    """The private key of a name."""
    return sha256(b"lab/key/" + name.encode()).digest()


@cache
def address_of(name: str) -> Address:
    """The address of a name."""
    return address_of_key(key_of(name))


@cache
def _signer(name: str) -> coincurve.PrivateKey:
    return coincurve.PrivateKey(key_of(name))


def signed(name: str, action: dict[str, Any], nonce: int) -> Transaction:
    """A transaction of somebody. Raises BadRequest for an action that is none."""
    canonical = complete_action(action, nonce, NETWORK)
    packed: bytes = msgpack.packb(canonical)
    envelope = Envelope(
        scheme_of(canonical["type"]), nonce, None, None, packed, 27, bytes(32), bytes(32)
    )
    raw = _signer(name).sign_recoverable(digest_of(envelope, NETWORK), hasher=None)
    envelope.r, envelope.s, envelope.v = raw[:32], raw[32:64], 27 + raw[64]
    return transaction_of(encode_envelope(envelope), address_of(name))
