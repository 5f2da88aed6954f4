"""What must not pass as a signature, and what an envelope must look like (reliability 10.3)."""

from dataclasses import replace
from typing import Any

import coincurve
import msgpack
import pytest

from chainperp.base.errors import BadRequest
from chainperp.base.msgpack import pack
from chainperp.client.wallet import address_of, sign_action, sign_digest, sign_multi_sig
from chainperp.model.envelope import Envelope
from chainperp.wire import signing
from chainperp.wire.signature import CURVE_ORDER, recover
from chainperp.wire.signing import admit, recover_envelope
from chainperp.wire.typed_data import keccak
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
OWNER = address_of(KEY)
NONCE = 1700000000000
VAULT = bytes(19) + b"\xaa"
FIELD_PRIME = 2**256 - 2**32 - 977


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def signed(name: str, **changes: Any) -> Envelope:
    body = sign_action(KEY, SAMPLES[name], NONCE, "Testnet", **changes)
    return admit(body, "Testnet")


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        call(*arguments)
    return caught.value.code


def outcome(envelope: Envelope) -> str:
    """'owner', 'stranger', or the code of the refusal."""
    try:
        return "owner" if recover_envelope(envelope, "Testnet") == OWNER else "stranger"
    except BadRequest as error:
        return error.code


def numbers(digest: bytes) -> tuple[int, int, int]:
    signature = sign_digest(KEY, digest)
    return signature["v"], int(signature["r"], 16), int(signature["s"], 16)


def test_valid_signatures_of_every_kind_recover_their_key() -> None:
    seen: set[str] = set()
    for counter in range(3000):
        digest = keccak(word(counter))
        v, r, s = numbers(digest)
        traits = {f"v{v}"}
        traits |= {"short r"} if r < 2**248 else set()
        traits |= {"short s"} if s < 2**248 else set()
        traits |= {"short digest"} if digest[0] == 0 else set()
        if traits - seen:
            assert recover(digest, v, word(r), word(s)) == OWNER
            seen |= traits
    assert seen == {"v27", "v28", "short r", "short s", "short digest"}


def test_a_digest_of_zero_still_recovers() -> None:
    v, r, s = numbers(bytes(32))
    assert recover(bytes(32), v, word(r), word(s)) == OWNER


def test_smallest_and_largest_legal_s_recover_some_key() -> None:
    digest = keccak(b"")
    _, r, _ = numbers(digest)
    for s in (1, CURVE_ORDER >> 1):
        assert len(recover(digest, 27, word(r), word(s))) == 20
    high = word((CURVE_ORDER >> 1) + 1)
    assert code_of(recover, digest, 27, word(r), high) == "signature_high_s"


@pytest.mark.parametrize("wrong", [0, CURVE_ORDER, CURVE_ORDER + 1, FIELD_PRIME, 2**256 - 1])
def test_r_and_s_out_of_range_are_refused_with_their_own_reason(wrong: int) -> None:
    digest = keccak(b"")
    v, r, s = numbers(digest)
    assert code_of(recover, digest, v, word(wrong), word(s)) == "signature_r"
    assert code_of(recover, digest, v, word(r), word(wrong)) == "signature_s"


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 35, 36, 255, 2709, 2 * 421614 + 35])
def test_other_recovery_ids_are_refused(v: int) -> None:
    digest = keccak(b"")
    _, r, s = numbers(digest)
    assert code_of(recover, digest, v, word(r), word(s)) == "signature_v"


def test_forms_of_other_lengths_are_refused() -> None:
    digest = keccak(b"")
    v, r, s = numbers(digest)
    for left, right in ((word(r)[1:], word(s)), (word(r), b"\x00" + word(s)), (b"", word(s))):
        assert code_of(recover, digest, v, left, right) == "signature_shape"


def test_r_that_is_no_point_is_refused_by_the_curve() -> None:
    # x = 5 has no y on secp256k1: 5^3 + 7 = 132 is not a square.
    assert pow(132, (FIELD_PRIME - 1) // 2, FIELD_PRIME) != 1
    assert code_of(recover, keccak(b""), 27, word(5), word(1)) == "signature"


def test_a_key_at_infinity_is_refused() -> None:
    # Q = r^-1 (s R - e G) vanishes for R = G, s = 1, e = 1.
    point = coincurve.PrivateKey(word(1)).public_key.format(compressed=False)
    v = 27 + (point[-1] & 1)
    assert code_of(recover, word(1), v, point[1:33], word(1)) == "signature"


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"multiSig"}))
def test_every_type_signs_stores_and_recovers(name: str) -> None:
    envelope = signed(name)
    assert recover_envelope(envelope, "Testnet") == OWNER
    assert signing.verify_envelope_form(envelope) == SAMPLES[name]
    assert envelope.action_bytes == pack(SAMPLES[name]) == msgpack.packb(SAMPLES[name])


@pytest.mark.parametrize("name", ["order", "usdSend", "approveAgent", "noop"])
def test_every_flipped_byte_is_refused_or_recovers_a_stranger(name: str) -> None:
    envelope = signed(name)
    assert outcome(envelope) == "owner"
    for mask in (0x01, 0x80):
        for part in ("r", "s", "action_bytes"):
            whole = getattr(envelope, part)
            for at in range(len(whole)):
                flipped = whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :]
                changed = replace(envelope, **{part: flipped})
                # Letters outside the typed fields are not signed; their form is fixed instead.
                assert outcome_with_form(changed) != "owner", (part, at)
        for at in range(8):
            changed = replace(envelope, nonce=envelope.nonce ^ (mask << 8 * at))
            assert outcome_with_form(changed) != "owner", at
        assert outcome_with_form(replace(envelope, v=envelope.v ^ mask)) != "owner"
    other = replace(envelope, v=55 - envelope.v)
    assert outcome(other) in ("stranger", "signature")


def outcome_with_form(envelope: Envelope) -> str:
    try:
        signing.verify_envelope_form(envelope)
    except BadRequest as error:
        return error.code
    return outcome(envelope)


def test_every_mirrored_signature_is_refused() -> None:
    for name in sorted(set(SAMPLES) - {"multiSig"}):
        envelope = signed(name)
        mirror = word(CURVE_ORDER - int.from_bytes(envelope.s, "big"))
        assert outcome(replace(envelope, s=mirror, v=55 - envelope.v)) == "signature_high_s"


def test_vault_and_expiry_are_part_of_what_is_signed() -> None:
    envelope = signed("order", vault=VAULT, expires_after=NONCE + 5)
    assert outcome(envelope) == "owner"
    assert outcome(replace(envelope, vault=None)) == "stranger"
    assert outcome(replace(envelope, vault=bytes(20))) == "stranger"
    assert outcome(replace(envelope, expires_after=None)) == "stranger"
    assert outcome(replace(signed("order"), expires_after=0)) == "stranger"
    assert outcome(replace(signed("order"), vault=bytes(20))) == "stranger"


def test_the_other_network_is_another_signature() -> None:
    assert recover_envelope(signed("order"), "Mainnet") != OWNER
    assert code_of(recover_envelope, signed("usdSend"), "Mainnet") == "network"
    body = sign_action(KEY, SAMPLES["noop"], NONCE, "Mainnet")
    assert recover_envelope(admit(body, "Mainnet"), "Mainnet") == OWNER


# --- requests ----------------------------------------------------------------------------------


def request(name: str = "order", **changes: Any) -> dict[str, Any]:
    return sign_action(KEY, SAMPLES[name], NONCE, "Testnet") | changes


def test_vault_is_taken_with_and_without_prefix_and_in_any_case() -> None:
    body = sign_action(KEY, SAMPLES["order"], NONCE, "Testnet", VAULT)
    for text in ("0x" + VAULT.hex(), VAULT.hex(), "0x" + VAULT.hex().upper()):
        envelope = admit(body | {"vaultAddress": text}, "Testnet")
        assert envelope.vault == VAULT
        assert outcome(envelope) == "owner"


@pytest.mark.parametrize(
    "wrong", ["", "0x", "0xaa", 5, True, [], "0x" + "g" * 40, "0x" + " " * 40, "１" * 40, "a" * 41]
)
def test_a_vault_that_is_no_address_is_refused(wrong: Any) -> None:
    assert code_of(admit, request(vaultAddress=wrong), "Testnet") in ("address", "wrong_type")


def test_leading_zeros_of_r_and_s_may_be_there_or_not() -> None:
    body = request()
    signature = body["signature"]
    padded = {key: "0x" + signature[key][2:].zfill(64) for key in "rs"} | {"v": signature["v"]}
    assert admit(request(signature=padded), "Testnet") == admit(body, "Testnet")


SIGNATURES_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"r": "0x0"}, "signature_r"),
    ({"r": hex(CURVE_ORDER)}, "signature_r"),
    ({"s": hex(CURVE_ORDER)}, "signature_s"),
    ({"s": hex(CURVE_ORDER - 1)}, "signature_high_s"),
    ({"r": "0x" + "1" * 65}, "signature_shape"),
    ({"r": "0x"}, "signature_shape"),
    ({"r": "12"}, "signature_shape"),
    ({"r": "0X12"}, "signature_shape"),
    ({"r": "-0x12"}, "signature_shape"),
    ({"r": "0xzz"}, "signature_shape"),
    ({"r": 12}, "wrong_type"),
    ({"r": None}, "wrong_type"),
    ({"v": 26}, "signature_v"),
    ({"v": -1}, "range"),
    ({"v": 2**64}, "range"),
    ({"v": "27"}, "wrong_type"),
    ({"v": 27.0}, "wrong_type"),
    ({"v": True}, "wrong_type"),
    ({"v": [27]}, "wrong_type"),
    ({"w": 1}, "unknown_key"),
]


@pytest.mark.parametrize(("change", "code"), SIGNATURES_REFUSED)
def test_signatures_of_another_form_are_refused(change: dict[str, Any], code: str) -> None:
    body = request()
    body["signature"] = body["signature"] | change
    assert code_of(admit, body, "Testnet") == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nonce": None}, "wrong_type"),
        ({"nonce": "5"}, "wrong_type"),
        ({"nonce": True}, "wrong_type"),
        ({"nonce": 5.0}, "wrong_type"),
        ({"nonce": -1}, "range"),
        ({"nonce": 2**64}, "range"),
        ({"expiresAfter": "5"}, "wrong_type"),
        ({"expiresAfter": -5}, "range"),
        ({"action": None}, "wrong_type"),
        ({"signature": []}, "wrong_type"),
        ({"extra": 1}, "unknown_key"),
    ],
)
def test_requests_of_another_form_are_refused(change: dict[str, Any], code: str) -> None:
    assert code_of(admit, request() | change, "Testnet") == code
    for key in ("action", "nonce", "signature"):
        rest = {other: item for other, item in request().items() if other != key}
        assert code_of(admit, rest, "Testnet") == "missing_key"
    others: list[Any] = [None, [], 5, "x"]
    for other in others:
        assert code_of(admit, other, "Testnet") == "wrong_type"


def test_user_signed_requests_are_for_this_network_and_this_nonce() -> None:
    body = request("usdSend")
    with pytest.raises(BadRequest, match=r"^Mainnet and testnet require different signature\.$"):
        admit(body, "Mainnet")
    with pytest.raises(BadRequest, match=r"^Nonce mismatch\.$"):
        admit(body | {"nonce": NONCE + 1}, "Testnet")
    assert code_of(admit, body | {"expiresAfter": NONCE + 5}, "Testnet") == "expires_after"
    assert admit(body | {"vaultAddress": "0x" + VAULT.hex()}, "Testnet").vault is None
    for chain in ("0x0", "0x" + "1" * 100, "421614", "66eee", 421614, None):
        wrong = body | {"action": body["action"] | {"signatureChainId": chain}}
        assert code_of(admit, wrong, "Testnet") in ("chain_id", "wrong_type")


def test_typed_data_of_another_chain_type_or_field_recovers_a_stranger() -> None:
    body = request("usdSend")
    for change in (
        {"signatureChainId": "0x1"},
        {"type": "withdraw3"},
        {"amount": "12.50"},
        {"destination": SAMPLES["usdSend"]["destination"].upper().replace("X", "x")},
    ):
        changed = body | {"action": body["action"] | change}
        assert outcome(admit(changed, "Testnet")) == "stranger"


# --- envelopes of others -----------------------------------------------------------------------


def stored(action: Any, scheme: int = 1, **changes: Any) -> Envelope:
    raw = action if isinstance(action, bytes) else pack(action)
    return replace(signed("noop"), scheme=scheme, action_bytes=raw, **changes)


def renamed(name: str, old: Any, new: Any) -> bytes:
    return pack(SAMPLES[name]).replace(pack(old), pack(new))


ORDER = SAMPLES["order"]
FORMS: list[tuple[Envelope, str]] = [
    (stored(b"\x82" + pack("type") + pack("noop") + pack("type") + pack("noop")), "msgpack"),
    (stored(pack(SAMPLES["noop"]) + b"\x00"), "msgpack"),
    (stored(b"\x81\xd9\x04type" + pack("noop")), "msgpack"),
    (stored(msgpack.packb({"type": "scheduleCancel", "time": 1.5})), "msgpack"),
    (stored(pack(SAMPLES["twapCancel"])[:-1] + b"\xcc\x07"), "msgpack"),
    (stored({key: ORDER[key] for key in reversed(ORDER)}), "key_order"),
    (stored(renamed("order", "0.01", "0.010")), "not_normal"),
    (stored(renamed("order", "29300", "29300.0")), "not_normal"),
    (stored(renamed("order", ORDER["builder"]["b"], ORDER["builder"]["b"].upper())), "address"),
    (
        stored(renamed("vaultTransfer", ORDER["builder"]["b"], ORDER["builder"]["b"][:-1] + "A")),
        "not_normal",
    ),
    (stored(SAMPLES["usdSend"] | {"signatureChainId": "0x066eee"}, 2), "not_normal"),
    (stored({"type": "scheduleCancel", "time": None}), "key_order"),
    (stored({"type": "noop", "x": 1}), "unknown_key"),
    (stored({"type": "nop"}), "unknown_type"),
    (stored([1, 2]), "wrong_type"),
    (stored(SAMPLES["noop"], 2), "scheme"),
    (stored(SAMPLES["noop"], 3), "scheme"),
    (stored(SAMPLES["usdSend"], 1), "scheme"),
    (stored(SAMPLES["multiSig"], 1), "scheme"),
    (stored(SAMPLES["usdSend"], 2, nonce=5), "nonce_mismatch"),
    (stored(SAMPLES["usdSend"], 2, vault=VAULT), "not_signed"),
    (stored(SAMPLES["usdSend"], 2, expires_after=5), "not_signed"),
    (stored(SAMPLES["noop"], vault=b"short"), "address"),
    (stored(SAMPLES["noop"], v=29), "signature_v"),
    (stored(SAMPLES["noop"], r=bytes(32)), "signature_r"),
]


@pytest.mark.parametrize(("envelope", "code"), FORMS)
def test_an_envelope_of_another_form_is_refused_with_its_reason(
    envelope: Envelope, code: str
) -> None:
    assert code_of(signing.verify_envelope_form, envelope) == code


def test_what_user_signatures_do_not_cover_never_reaches_the_digest() -> None:
    envelope = signed("usdSend")
    assert outcome(replace(envelope, vault=VAULT)) == "not_signed"
    assert outcome(replace(envelope, expires_after=1)) == "not_signed"
    assert outcome(replace(envelope, nonce=1)) == "nonce_mismatch"


def test_recovery_itself_refuses_a_scheme_that_is_not_the_types() -> None:
    """An agent may sign L1 actions; a transfer signed that way must never count."""
    envelope = stored(SAMPLES["usdSend"], 1)
    for scheme, name in ((1, "usdSend"), (1, "multiSig"), (2, "noop"), (3, "noop"), (2, "nop")):
        wrong = stored(pack({"type": name}), scheme)
        assert code_of(recover_envelope, wrong, "Testnet") == "scheme"
    assert code_of(recover_envelope, envelope, "Testnet") == "scheme"
    for raw in (b"", b"\x80", b"\x81\xa1a\xc0", b"\xa4type"):
        assert code_of(recover_envelope, stored(raw), "Testnet") == "key_order"
    assert code_of(signing.open_multi_sig, signed("noop"), "Testnet") == "scheme"


def test_a_malformed_stored_action_is_refused_before_any_field_is_read() -> None:
    for action in ({"type": "usdSend"}, {"type": "usdSend", "time": "x"}):
        assert code_of(recover_envelope, stored(action, 2), "Testnet") == "missing_key"
    broken = stored(pack({"type": "multiSig"}) + b"\x00", 3)
    assert code_of(recover_envelope, broken, "Testnet") == "msgpack"


# --- multi-sig ---------------------------------------------------------------------------------

LEADER, OTHER = bytes([2]) * 32, bytes([3]) * 32


@pytest.mark.parametrize("name", ["order", "usdSend", "userSetAbstraction", "vaultModify"])
def test_multi_sig_envelopes_recover_leader_and_signers(name: str) -> None:
    body = sign_multi_sig(LEADER, [LEADER, OTHER], OWNER, SAMPLES[name], NONCE, "Testnet")
    envelope = admit(body, "Testnet")
    assert recover_envelope(envelope, "Testnet") == address_of(LEADER)
    opened = signing.open_multi_sig(envelope, "Testnet")
    assert opened.signers == (address_of(LEADER), address_of(OTHER))
    assert (opened.user, opened.leader) == (OWNER, address_of(LEADER))
    for at in range(8):
        changed = replace(envelope, nonce=NONCE ^ (1 << 8 * at))
        with pytest.raises(BadRequest) if name.startswith("us") else no_error():
            assert address_of(OTHER) not in signing.open_multi_sig(changed, "Testnet").signers


def no_error() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_a_bad_inner_signature_is_named_by_its_place() -> None:
    body = sign_multi_sig(LEADER, [LEADER, OTHER], OWNER, SAMPLES["noop"], NONCE, "Testnet")
    body["action"]["signatures"][1]["s"] = hex(CURVE_ORDER - 1)
    envelope = admit(body, "Testnet")
    with pytest.raises(BadRequest, match=r"^signatures\[1\]: signature is not canonical"):
        signing.open_multi_sig(envelope, "Testnet")


def test_inner_user_signed_actions_keep_network_and_nonce() -> None:
    body = sign_multi_sig(LEADER, [OTHER], OWNER, SAMPLES["usdSend"], NONCE, "Testnet")
    assert code_of(admit, body, "Mainnet") == "network"
    assert code_of(admit, body | {"nonce": NONCE + 1}, "Testnet") == "nonce_mismatch"
