"""Our wallet, eth-account and the official client make the same signatures."""

import copy
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hyperliquid.utils import signing as official

from chainperp.base.errors import BadRequest
from chainperp.client.wallet import (
    address_of,
    development_key,
    sign_action,
    sign_multi_sig,
)
from chainperp.wire.signing import admit, open_multi_sig, recover_envelope
from chainperp.wire.typed_data import USER_SIGNED_TYPES, Network, inner_user_digest, user_digest
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
NONCE = 1700000000000
VAULT = bytes(19) + b"\xaa"
WALLET = Account.from_key(KEY)
NETWORKS: tuple[Network, ...] = ("Mainnet", "Testnet")
L1 = sorted(set(SAMPLES) - set(USER_SIGNED_TYPES) - {"multiSig"})


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", L1)
def test_l1_signatures_are_those_of_the_official_client(name: str, network: Network) -> None:
    for vault, expires in ((None, None), (VAULT, None), (VAULT, NONCE + 5), (None, 0)):
        text = None if vault is None else "0x" + vault.hex()
        theirs = official.sign_l1_action(
            WALLET, SAMPLES[name], text, NONCE, expires, network == "Mainnet"
        )
        ours = sign_action(KEY, SAMPLES[name], NONCE, network, vault, expires)
        assert ours["signature"] == theirs
        assert ours["vaultAddress"] == text
        assert recover_envelope(admit(ours, network), network) == address_of(KEY)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", sorted(USER_SIGNED_TYPES))
def test_user_signatures_are_those_of_the_official_client(name: str, network: Network) -> None:
    suffix, fields = USER_SIGNED_TYPES[name]
    action = {
        key: item
        for key, item in SAMPLES[name].items()
        if key not in ("signatureChainId", "hyperliquidChain")
    }
    members = [{"name": key, "type": kind} for key, kind in fields]
    theirs = official.sign_user_signed_action(
        WALLET,
        copy.deepcopy(action),
        members,
        f"HyperliquidTransaction:{suffix}",
        network == "Mainnet",
    )
    ours = sign_action(KEY, action, NONCE, network)
    assert ours["signature"] == theirs
    assert recover_envelope(admit(ours, network), network) == address_of(KEY)


def test_the_official_clients_own_types_are_our_types() -> None:
    named = {
        "usdSend": official.USD_SEND_SIGN_TYPES,
        "spotSend": official.SPOT_TRANSFER_SIGN_TYPES,
        "withdraw3": official.WITHDRAW_SIGN_TYPES,
        "usdClassTransfer": official.USD_CLASS_TRANSFER_SIGN_TYPES,
        "sendAsset": official.SEND_ASSET_SIGN_TYPES,
        "userDexAbstraction": official.USER_DEX_ABSTRACTION_SIGN_TYPES,
        "userSetAbstraction": official.USER_SET_ABSTRACTION_SIGN_TYPES,
        "tokenDelegate": official.TOKEN_DELEGATE_TYPES,
        "convertToMultiSigUser": official.CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES,
    }
    for name, members in named.items():
        ours = [{"name": key, "type": kind} for key, kind in USER_SIGNED_TYPES[name][1]]
        assert ours == members, name


@pytest.mark.parametrize("chain", ["0x1", "0xa4b1", "0x66eee", "0xffffffffffffffff"])
@pytest.mark.parametrize("name", sorted(USER_SIGNED_TYPES))
def test_digests_are_those_of_eth_accounts_encoder(name: str, chain: str) -> None:
    suffix, fields = USER_SIGNED_TYPES[name]
    action = SAMPLES[name] | {"signatureChainId": chain}
    primary = f"HyperliquidTransaction:{suffix}"
    members = [{"name": key, "type": kind} for key, kind in fields]
    payload = official.user_signed_payload(primary, members, typed(fields, action))
    assert user_digest(action) == eip712(payload)
    user, leader = "0x" + "aa" * 20, "0x" + "bb" * 20
    extended = official.add_multi_sig_types(members)
    filled = official.add_multi_sig_fields(typed(fields, action), user, leader)
    inner = official.user_signed_payload(primary, extended, filled)
    assert inner_user_digest(action, user, leader) == eip712(inner)


def typed(fields: Any, action: dict[str, Any]) -> dict[str, Any]:
    """eth-account wants byte strings as bytes."""
    found = {key: bytes.fromhex(action[key][2:]) for key, kind in fields if kind == "bytes"}
    return action | found


def eip712(payload: dict[str, Any]) -> bytes:
    message = encode_typed_data(full_message=payload)
    digest: bytes = Account.sign_message(message, KEY).message_hash
    return bytes(digest)


@pytest.mark.parametrize("network", NETWORKS)
def test_multi_sig_envelopes_are_those_of_the_official_client(network: Network) -> None:
    other = Account.from_key(bytes([2]) * 32)
    user = address_of(bytes([3]) * 32)
    main = network == "Mainnet"
    inner = SAMPLES["order"]
    ours = sign_multi_sig(KEY, [KEY, bytes([2]) * 32], user, inner, NONCE, network)
    text = "0x" + user.hex()
    theirs = [
        official.sign_multi_sig_l1_action_payload(
            wallet, inner, main, None, NONCE, None, text, WALLET.address
        )
        for wallet in (WALLET, other)
    ]
    assert ours["action"]["signatures"] == theirs
    outer = official.sign_multi_sig_action(WALLET, ours["action"], main, None, NONCE, None)
    assert ours["signature"] == outer


def test_multi_sig_over_a_user_signed_action_is_that_of_the_official_client() -> None:
    user = address_of(bytes([3]) * 32)
    inner = SAMPLES["userSetAbstraction"]
    ours = sign_multi_sig(KEY, [KEY], user, inner, NONCE, "Testnet")
    theirs = official.sign_multi_sig_user_signed_action_payload(
        WALLET,
        inner,
        False,
        official.USER_SET_ABSTRACTION_SIGN_TYPES,
        "HyperliquidTransaction:UserSetAbstraction",
        "0x" + user.hex(),
        WALLET.address,
    )
    assert ours["action"]["signatures"] == [theirs]
    assert ours["action"]["payload"]["action"]["abstraction"] == "i"
    assert open_multi_sig(admit(ours, "Testnet"), "Testnet").signers == (address_of(KEY),)


def test_development_accounts_are_the_known_ones() -> None:
    known = ["f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "70997970c51812dc3a010c7d01b50e0d17dc79c8"]
    assert [address_of(development_key(index)).hex() for index in range(2)] == known


def test_what_cannot_be_signed_is_refused() -> None:
    with pytest.raises(BadRequest, match="require different signature"):
        sign_action(KEY, SAMPLES["usdSend"], NONCE, "Mainnet")
    with pytest.raises(BadRequest, match="Nonce mismatch"):
        sign_action(KEY, SAMPLES["usdSend"], NONCE + 1, "Testnet")
    with pytest.raises(BadRequest, match="covers neither"):
        sign_action(KEY, SAMPLES["usdSend"], NONCE, "Testnet", VAULT)
    with pytest.raises(BadRequest, match="unknown variant"):
        sign_action(KEY, {"type": "nop"}, NONCE, "Testnet")
    with pytest.raises(BadRequest, match="envelope"):
        sign_multi_sig(KEY, [], address_of(KEY), SAMPLES["multiSig"], NONCE, "Testnet")
