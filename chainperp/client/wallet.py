"""Sign actions as Hyperliquid's own clients do, and send nothing.

The request body that comes out is the one that PY would post: the canonical action, its nonce, and
r and s as numbers in hex. Signatures are deterministic (RFC 6979), so two wallets with one key
make equal bytes. Keys are 32 bytes, come from a keystore file or from the mnemonic of every local
chain, and are never printed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import coincurve
import msgpack

from chainperp.base.errors import BadRequest
from chainperp.base.units import Address, address_text
from chainperp.model.envelope import L1, USER_SIGNED, Envelope
from chainperp.wire.actions import canonical_action, scheme_of
from chainperp.wire.signing import digest_of, inner_digest
from chainperp.wire.typed_data import ABSTRACTION_WORDS, Network, keccak, nonce_key

DEV_MNEMONIC: Final = "test test test test test test test test test test test junk"
# The chain that PY, RS and CCXT put into typed data; any chain verifies.
SIGNATURE_CHAIN: Final = "0x66eee"


def address_of(private_key: bytes) -> Address:
    """Address of a private key."""
    public = coincurve.PrivateKey(private_key).public_key.format(compressed=False)
    return Address(keccak(public[1:])[12:])


def development_key(index: int) -> bytes:
    """Private key of development account `index`: the whole world knows it.

    >>> address_text(address_of(development_key(0)))
    '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'
    """
    # Imported here because it costs more than a second, and only local chains need it.
    from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

    key: bytes = key_from_seed(seed_from_mnemonic(DEV_MNEMONIC, ""), f"m/44'/60'/0'/0/{index}")
    return key


def sign_digest(private_key: bytes, digest: bytes) -> dict[str, Any]:
    """r, s and v over a digest, in the form of PY."""
    raw = coincurve.PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return {
        "r": hex(int.from_bytes(raw[:32], "big")),
        "s": hex(int.from_bytes(raw[32:64], "big")),
        "v": 27 + raw[64],
    }


def complete_action(action: Mapping[str, Any], nonce: int, network: Network) -> dict[str, Any]:
    """Canonical action; chains and nonce of a user-signed one are put in when absent."""
    given = dict(action)
    name = given.get("type")
    if isinstance(name, str) and scheme_of(name) == USER_SIGNED:
        given = {
            "signatureChainId": SIGNATURE_CHAIN,
            "hyperliquidChain": network,
            nonce_key(name): nonce,
        } | given
    return canonical_action(given)


def sign_action(
    private_key: bytes,
    action: Mapping[str, Any],
    nonce: int,
    network: Network,
    vault: bytes | None = None,
    expires_after: int | None = None,
) -> dict[str, Any]:
    """Body of `POST /exchange` for one action.

    Raises: BadRequest when the action is malformed, or a user-signed one is for another network,
    repeats another nonce, or comes with a vault or an expiry, which it cannot cover.
    """
    canonical = complete_action(action, nonce, network)
    scheme = scheme_of(canonical["type"])
    digest = digest_of(_unsigned(scheme, canonical, nonce, vault, expires_after), network)
    return {
        "action": canonical,
        "nonce": nonce,
        "signature": sign_digest(private_key, digest),
        "vaultAddress": None if vault is None else address_text(vault),
        "expiresAfter": expires_after,
    }


def sign_multi_sig(
    leader_key: bytes,
    signer_keys: Sequence[bytes],
    user: Address,
    action: Mapping[str, Any],
    nonce: int,
    network: Network,
) -> dict[str, Any]:
    """Body of `POST /exchange` for a multi-sig account: every key signs, the leader sends."""
    inner = complete_action(action, nonce, network)
    if inner["type"] == "multiSig":
        raise BadRequest("unknown_type", "an envelope cannot hold an envelope")
    if inner["type"] == "userSetAbstraction":
        # The wire has a letter where the signers sign the word.
        letters = {word: letter for letter, word in ABSTRACTION_WORDS.items()}
        inner["abstraction"] = letters[inner["abstraction"]]
    envelope: dict[str, Any] = {
        "type": "multiSig",
        "signatureChainId": SIGNATURE_CHAIN,
        "signatures": [],
        "payload": {
            "multiSigUser": address_text(user),
            "outerSigner": address_text(address_of(leader_key)),
            "action": inner,
        },
    }
    digest = inner_digest(_unsigned(L1, envelope, nonce, None, None), network)
    envelope["signatures"] = [sign_digest(key, digest) for key in signer_keys]
    return sign_action(leader_key, envelope, nonce, network)


def _unsigned(
    scheme: int,
    action: Mapping[str, Any],
    nonce: int,
    vault: bytes | None,
    expires_after: int | None,
) -> Envelope:
    packed: bytes = msgpack.packb(action)
    return Envelope(scheme, nonce, vault, expires_after, packed, 27, bytes(32), bytes(32))
