"""Who signed what: hashes, digests and signer recovery, in exactly Hyperliquid's scheme.

Three schemes, told apart by the action's type: an L1 action is signed as a hash of its MessagePack,
nonce, vault and expiry; a user-signed action is signed field by field; a multi-sig envelope is
signed by its leader around either. Everything here works from the stored bytes: they are hashed
as they stand and never encoded again.

`admit` turns a request into an `Envelope`, doing the checks that need no state. `recover_envelope`
is the signature check that replay is handed. `verify_envelope_form` judges an envelope that
somebody else admitted.

Source: hyperliquid-api 3.1 to 3.6.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.msgpack import pack, unpack
from chainperp.base.units import Address
from chainperp.model.envelope import L1, MULTI_SIG, SCHEMES, USER_SIGNED, Envelope
from chainperp.wire.actions import canonical_action, scheme_of
from chainperp.wire.shapes import (
    Misfit,
    field,
    integer,
    optional,
    scalar_text,
    shape,
    shown,
    u64,
)
from chainperp.wire.signature import check_signature, recover, recover_checked
from chainperp.wire.typed_data import (
    Network,
    agent_digest,
    envelope_digest,
    inner_user_digest,
    keccak,
    nonce_key,
    user_digest,
)

# The envelope is hashed without its type: one key less, and the bytes of `"type": "multiSig"` gone.
_MULTI_SIG_HEAD: Final = bytes.fromhex("84") + pack("type") + pack("multiSig")
_UNTYPED_HEAD: Final = bytes.fromhex("83")
_TYPE_KEY: Final = pack("type")
_LIST_OF_THREE: Final = bytes.fromhex("93")

NETWORK_TEXT: Final = "Mainnet and testnet require different signature."
NONCE_TEXT: Final = "Nonce mismatch."


def action_hash(
    action_bytes: bytes, nonce: int, vault: bytes | None, expires_after: int | None
) -> bytes:
    """Hash of an L1 action: MessagePack, nonce, vault and, only when given, expiry."""
    return keccak(
        action_bytes
        + nonce.to_bytes(8, "big")
        + (b"\x00" if vault is None else b"\x01" + vault)
        + (b"" if expires_after is None else b"\x00" + expires_after.to_bytes(8, "big"))
    )


def digest_of(envelope: Envelope, network: Network) -> bytes:
    """What the signature of an envelope signs, from the stored bytes.

    Raises: BadRequest when the scheme is not that of the action's type (else an L1 signature, which
    agents may give, could move money), and when a user-signed action is for the other network,
    repeats another nonce, or stands beside a vault or expiry that its signature does not cover.
    """
    _check_scheme(envelope, _type_of(envelope))
    if envelope.scheme == L1:
        return agent_digest(_hash(envelope, envelope.action_bytes), network)
    return _typed_digest(envelope, canonical_action(_unpacked(envelope)), network)


def _typed_digest(envelope: Envelope, action: dict[str, Any], network: Network) -> bytes:
    """The digest of a user-signed or multi-sig envelope with its canonical action."""
    if envelope.scheme == USER_SIGNED:
        check_user_signed(action, envelope.nonce, network)
        _check_nothing_beside(envelope)
        return user_digest(action)
    return envelope_digest(
        action["signatureChainId"], multi_sig_hash(envelope), envelope.nonce, network
    )


def recover_envelope(envelope: Envelope, network: Network) -> Address:
    """The key that signed an envelope: of the account, its agent, or a multi-sig leader."""
    return recover(digest_of(envelope, network), envelope.v, envelope.r, envelope.s)


def recover_formed(envelope: Envelope, action: dict[str, Any], network: Network) -> bytes:
    """Everybody who signed an envelope whose form was checked, given its canonical action (an L1
    action is not asked): 20 bytes each. What `verify_envelope_form` sees is not looked at again.

    Raises: BadRequest for another network and for the first signature that is none.
    """
    if envelope.scheme == L1:
        digest = agent_digest(_hash(envelope, envelope.action_bytes), network)
    else:
        digest = _typed_digest(envelope, action, network)
    signer = recover_checked(digest, envelope.v, envelope.r, envelope.s)
    if envelope.scheme != MULTI_SIG:
        return signer
    return signer + b"".join(_opened(envelope, action, network).signers)


def _hash(envelope: Envelope, hashed: bytes) -> bytes:
    return action_hash(hashed, envelope.nonce, envelope.vault, envelope.expires_after)


def _unpacked(envelope: Envelope) -> Any:
    try:
        return unpack(envelope.action_bytes)
    except InvalidBytes as error:
        raise BadRequest("msgpack", str(error)) from error


def _type_of(envelope: Envelope) -> str:
    """The type stands first in every canonical action, so a look at a few bytes is enough."""
    raw = envelope.action_bytes
    if raw[1:6] != _TYPE_KEY:
        raise BadRequest("key_order", f"an action starts with its type, was {raw[:16].hex()}")
    return raw[7 : 7 + (raw[6] & 0x1F)].decode("latin-1") if len(raw) > 6 else ""


def _check_scheme(envelope: Envelope, name: str) -> None:
    scheme = scheme_of(name)
    if envelope.scheme != scheme:
        raise BadRequest(
            "scheme",
            f"{shown(name)} is a {SCHEMES[scheme]}, the envelope says scheme {envelope.scheme}",
        )


def _check_nothing_beside(envelope: Envelope) -> None:
    if envelope.vault is not None or envelope.expires_after is not None:
        raise BadRequest(
            "not_signed", "a user-signed action covers neither vaultAddress nor expiresAfter"
        )


def check_user_signed(action: dict[str, Any], nonce: int, network: Network) -> None:
    """A user-signed action names its network, and repeats the request's nonce."""
    if action["hyperliquidChain"] != network:
        raise BadRequest("network", NETWORK_TEXT)
    if action[nonce_key(action["type"])] != nonce:
        raise BadRequest("nonce_mismatch", NONCE_TEXT)


# --- multi-sig ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MultiSig:
    """What a multi-sig envelope says, with the signers of its inner signatures recovered."""

    user: Address
    "The multi-sig account that the action is for."
    leader: Address
    "`outerSigner`: must be the key that signed the envelope."
    action: dict[str, Any]
    "Canonical inner action."
    signers: tuple[Address, ...]
    "In the order of the signatures; one may stand twice, which the rules refuse."


def multi_sig_hash(envelope: Envelope) -> bytes:
    """`multiSigActionHash`: the stored envelope without its type, hashed like an L1 action."""
    raw = envelope.action_bytes
    if not raw.startswith(_MULTI_SIG_HEAD):
        raise BadRequest("scheme", "a multi-sig envelope starts with its type and has four keys")
    return _hash(envelope, _UNTYPED_HEAD + raw[len(_MULTI_SIG_HEAD) :])


def inner_digest(envelope: Envelope, network: Network) -> bytes:
    """What each authorised user of a multi-sig envelope signs."""
    action = canonical_action(_unpacked(envelope))
    return _inner_digest(envelope, action["payload"], network)


def _inner_digest(envelope: Envelope, payload: dict[str, Any], network: Network) -> bytes:
    user, leader, action = payload["multiSigUser"], payload["outerSigner"], payload["action"]
    if scheme_of(action["type"]) == USER_SIGNED:
        check_user_signed(action, envelope.nonce, network)
        return inner_user_digest(action, user, leader)
    # [user, leader, action]: packing what was strictly unpacked gives back the signed bytes.
    hashed = _LIST_OF_THREE + pack(user) + pack(leader) + pack(action)
    return agent_digest(_hash(envelope, hashed), network)


def open_multi_sig(envelope: Envelope, network: Network) -> MultiSig:
    """Recover the signers inside a multi-sig envelope, whose leader `recover_envelope` gives.

    Raises: BadRequest naming the first signature that is not canonical.
    """
    _check_scheme(envelope, _type_of(envelope))
    action = canonical_action(_unpacked(envelope))
    if envelope.scheme != MULTI_SIG:
        raise BadRequest("scheme", f"{action['type']} is no multi-sig envelope")
    return _opened(envelope, action, network)


def _opened(envelope: Envelope, action: dict[str, Any], network: Network) -> MultiSig:
    payload = action["payload"]
    digest = _inner_digest(envelope, payload, network)
    signers: list[Address] = []
    for signature in action["signatures"]:
        v, r, s = _numbers(signature)
        try:
            signers.append(recover(digest, v, r, s))
        except BadRequest as error:
            place = f"signatures[{len(signers)}]"
            raise BadRequest(error.code, f"{place}: {error}") from error
    return MultiSig(
        Address(bytes.fromhex(payload["multiSigUser"][2:])),
        Address(bytes.fromhex(payload["outerSigner"][2:])),
        payload["action"],
        tuple(signers),
    )


def _numbers(signature: dict[str, Any]) -> tuple[int, bytes, bytes]:
    """v, r, s of a signature that its shape has already normalised."""
    return (
        signature["v"],
        bytes.fromhex(signature["r"][2:].zfill(64)),
        bytes.fromhex(signature["s"][2:].zfill(64)),
    )


# --- requests ----------------------------------------------------------------------------------


def _vault(value: Any) -> bytes:
    """A vault's 20 bytes; CCXT leaves out the 0x."""
    if type(value) is str:
        digits = value.removeprefix("0x")
        if len(digits) == 40 and digits.isascii() and digits.isalnum():
            try:
                return bytes.fromhex(digits)
            except ValueError:
                pass
    raise Misfit("address", f"an address (0x and 40 hex digits) is wanted, was {shown(value)}")


def _scalar_word(value: Any) -> bytes:
    """r or s of a request as 32 bytes; PY and RS leave out leading zeros."""
    digits: str = scalar_text(value)[2:]
    return bytes.fromhex(digits.zfill(64))


_REQUEST: Final = shape(
    field("action", canonical_action),
    field("nonce", u64),
    field(
        "signature",
        shape(field("r", _scalar_word), field("s", _scalar_word), field("v", integer(0, 255))),
    ),
    optional("vaultAddress", _vault),
    optional("expiresAfter", u64),
)


def admit(request: object, network: Network) -> Envelope:
    """Envelope of a decoded `/exchange` body, after every check that needs no state.

    A vault beside a user-signed action is ignored, as PY sends it there in some set-ups; an
    expiry is refused, because the trader believes in it and no signature covers it.
    Raises: BadRequest with the key, or with the exact text that clients know.
    """
    body = _REQUEST(request)
    action = body["action"]
    nonce = body["nonce"]
    vault = body.get("vaultAddress")
    expires_after = body.get("expiresAfter")
    scheme = scheme_of(action["type"])
    if scheme == USER_SIGNED:
        if expires_after is not None:
            raise BadRequest("expires_after", "expiresAfter: not supported for user-signed actions")
        check_user_signed(action, nonce, network)
        vault = None
    elif scheme == MULTI_SIG:
        inner = action["payload"]["action"]
        if scheme_of(inner["type"]) == USER_SIGNED:
            check_user_signed(inner, nonce, network)
    signature = body["signature"]
    v, r, s = signature["v"], signature["r"], signature["s"]
    check_signature(v, r, s)
    packed: bytes = msgpack.packb(action)
    return Envelope(scheme, nonce, vault, expires_after, packed, v, r, s)


def verify_envelope_form(envelope: Envelope) -> dict[str, Any]:
    """The canonical action of an envelope that came from a log or another proposer.

    Rejects, each with its own code: MessagePack that is not the one form of its value
    (`msgpack`), an action that has no canonical form (the codes of `canonical_action`), another
    order of keys (`key_order`), a value that the venue would have written otherwise
    (`not_normal`), a scheme that is not the type's (`scheme`), what no signature covers
    (`not_signed`, `nonce_mismatch`), and a signature that is not canonical (`signature_…`).
    """
    action = _unpacked_if_canonical(envelope.action_bytes)
    if action is None:
        action = _unpacked(envelope)
        rebuilt = canonical_action(action)
        if msgpack.packb(rebuilt) != envelope.action_bytes:
            raise _difference(rebuilt, action)
    _check_scheme(envelope, action["type"])
    if envelope.scheme == USER_SIGNED:
        check_user_signed(action, envelope.nonce, action["hyperliquidChain"])
        _check_nothing_beside(envelope)
    if envelope.vault is not None and len(envelope.vault) != 20:
        raise BadRequest("address", "a vault has 20 bytes")
    check_signature(envelope.v, envelope.r, envelope.s)
    # Equal to what it was rebuilt from, in the order of its keys too.
    canonical: dict[str, Any] = action
    return canonical


def _unpacked_if_canonical(raw: bytes) -> Any:
    """The action, if packing its canonical form gives these very bytes; None if anything differs.

    Bytes that come out of packing again are the one form of their value, so the strict reader,
    which is ten times slower, is asked for its refusals only.
    """
    try:
        action = msgpack.unpackb(raw)
        return action if msgpack.packb(canonical_action(action)) == raw else None
    except (BadRequest, ValueError, TypeError, OverflowError):
        return None


def _difference(rebuilt: Any, action: Any) -> BadRequest:
    """The first place where an action is not its own canonical form."""
    waiting: list[tuple[str, Any, Any]] = [("action", rebuilt, action)]
    while waiting:
        place, wanted, found = waiting.pop()
        if type(wanted) is dict and type(found) is dict:
            if list(wanted) != list(found):
                return BadRequest(
                    "key_order", f"{place}: keys are {list(wanted)}, were {list(found)}"
                )
            waiting.extend((f"{place}.{key}", wanted[key], found[key]) for key in wanted)
        elif type(wanted) is list and type(found) is list:
            pairs = zip(wanted, found, strict=True)
            waiting.extend(
                (f"{place}[{at}]", left, right) for at, (left, right) in enumerate(pairs)
            )
        elif wanted != found:
            return BadRequest(
                "not_normal", f"{place}: the canonical form is {shown(wanted)}, was {shown(found)}"
            )
    return BadRequest("not_normal", "the action is not in its canonical form")
