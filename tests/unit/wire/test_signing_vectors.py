"""Every published signing vector, from the JSON of the request to the recovered signer."""

import json
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.msgpack import pack, unpack
from chainperp.model.envelope import decode_envelope, encode_envelope
from chainperp.wire import signing
from chainperp.wire.actions import canonical_action, read_json
from chainperp.wire.typed_data import Network

FIXTURE = Path(__file__).parents[3] / "fixtures/wire/hyperliquid-signing-vectors.json"
DOCUMENT: dict[str, Any] = json.loads(FIXTURE.read_text())
VECTORS: dict[str, dict[str, Any]] = {vector["name"]: vector for vector in DOCUMENT["vectors"]}
NONCE = 1700000000000


def named(prefix: str) -> list[str]:
    return [name for name in VECTORS if name.startswith(prefix)]


def network_of(vector: dict[str, Any]) -> Network:
    return "Mainnet" if vector.get("source") == "a" else "Testnet"


def request_of(vector: dict[str, Any]) -> Any:
    body = {
        "action": vector["action"],
        "nonce": vector.get("nonce", NONCE),
        "signature": vector["sig"],
        "vaultAddress": vector.get("vaultAddress"),
        "expiresAfter": vector.get("expiresAfter"),
    }
    return read_json(json.dumps(body).encode())


def hex_of(digest: bytes) -> str:
    return "0x" + digest.hex()


@pytest.mark.parametrize("name", named("L1"))
def test_l1_vector(name: str) -> None:
    vector = VECTORS[name]
    envelope = signing.admit(request_of(vector), network_of(vector))
    assert envelope.scheme == 1
    assert envelope.action_bytes.hex() == vector["msgpack"]
    assert pack(unpack(envelope.action_bytes)) == envelope.action_bytes
    hashed = signing.action_hash(
        envelope.action_bytes, envelope.nonce, envelope.vault, envelope.expires_after
    )
    assert hex_of(hashed) == vector["actionHash"]
    assert hex_of(signing.digest_of(envelope, network_of(vector))) == vector["digest"]
    signer = signing.recover_envelope(envelope, network_of(vector))
    assert hex_of(signer) == vector["signer"]
    assert signing.verify_envelope_form(envelope) == canonical_action(vector["action"])
    assert decode_envelope(encode_envelope(envelope)) == envelope


@pytest.mark.parametrize("name", named("US"))
def test_user_signed_vector(name: str) -> None:
    vector = VECTORS[name]
    envelope = signing.admit(request_of(vector), "Testnet")
    assert envelope.scheme == 2
    assert hex_of(signing.digest_of(envelope, "Testnet")) == vector["digest"]
    assert hex_of(signing.recover_envelope(envelope, "Testnet")) == vector["signer"]
    stored = signing.verify_envelope_form(envelope)
    assert list(stored)[:3] == ["type", "signatureChainId", "hyperliquidChain"]
    assert stored == vector["action"]


@pytest.mark.parametrize("name", named("MS"))
def test_multi_sig_vector(name: str) -> None:
    vector = VECTORS[name]
    envelope = signing.admit(request_of(vector), "Testnet")
    assert envelope.scheme == 3
    assert hex_of(signing.multi_sig_hash(envelope)) == vector["multiSigActionHash"]
    assert hex_of(signing.recover_envelope(envelope, "Testnet")) == vector["signer"]
    if "innerDigest" in vector:
        assert hex_of(signing.inner_digest(envelope, "Testnet")) == vector["innerDigest"]
    opened = signing.open_multi_sig(envelope, "Testnet")
    keys = DOCUMENT["keys"]
    assert hex_of(opened.user) == keys["A"]["address"]
    assert hex_of(opened.leader) == keys["B"]["address"] == vector["signer"]
    assert [hex_of(signer) for signer in opened.signers] == [
        keys["B"]["address"],
        keys["C"]["address"],
    ]
    assert opened.action == vector["action"]["payload"]["action"]
    signing.verify_envelope_form(envelope)


def test_unnamed_agent_is_one_signature_and_one_stored_form() -> None:
    vector = VECTORS["US-7"]
    stored = set()
    for change in ({}, {"agentName": None}, {"agentName": ""}):
        action = {key: item for key, item in vector["action"].items() if key != "agentName"}
        request = request_of(vector | {"action": action | change})
        envelope = signing.admit(request, "Testnet")
        assert hex_of(signing.recover_envelope(envelope, "Testnet")) == vector["signer"]
        stored.add(envelope.action_bytes)
    assert len(stored) == 1


def test_neg_1_trailing_zero_recovers_a_stranger() -> None:
    vector = VECTORS["NEG-1"]
    request = {"action": vector["signed"], "nonce": NONCE, "signature": vector["sig"]}
    envelope = signing.admit(request, "Testnet")
    hashed = signing.action_hash(envelope.action_bytes, NONCE, None, None)
    assert hex_of(hashed) == vector["serverHash"]
    assert hex_of(signing.recover_envelope(envelope, "Testnet")) == vector["recovered"]
    assert (
        hex_of(signing.action_hash(pack(vector["signed"]), NONCE, None, None))
        == (vector["signedHash"])
    )


def test_neg_2_keys_in_another_order_have_the_hash_of_the_type() -> None:
    vector = VECTORS["NEG-2"]
    sent = read_json(vector["alphabetical_json"].encode())
    assert hex_of(signing.action_hash(pack(sent), NONCE, None, None)) == vector["alphabetical"]
    canonical = pack(canonical_action(sent))
    assert hex_of(signing.action_hash(canonical, NONCE, None, None)) == vector["canonical"]
    assert canonical.hex() == VECTORS["L1-4"]["msgpack"]


def test_neg_3_other_network_recovers_a_stranger() -> None:
    envelope = signing.admit(request_of(VECTORS["L1-1"]), "Mainnet")
    found = signing.recover_envelope(envelope, "Mainnet")
    assert hex_of(found) == VECTORS["NEG-3"]["recovered"]


def test_neg_4_vault_and_expiry_taken_away_recovers_a_stranger() -> None:
    request = request_of(VECTORS["L1-3"] | {"vaultAddress": None, "expiresAfter": None})
    envelope = signing.admit(request, "Testnet")
    found = signing.recover_envelope(envelope, "Testnet")
    assert hex_of(found) == VECTORS["NEG-4"]["recovered"]
