"""Signatures with every usual mistake, made by independent clients, and the mistake named."""

import copy
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hyperliquid.utils import signing as official

from chainperp.base.errors import BadRequest
from chainperp.client.diagnosis import diagnose, recovered_signer
from chainperp.client.wallet import sign_action
from chainperp.wire.typed_data import USER_SIGNED_TYPES
from tests.unit.wire.samples import SAMPLES

KEY = bytes([7]) * 32
WALLET = Account.from_key(KEY)
ME = WALLET.address.lower()
NONCE = 1700000000000
VAULT = "0x" + 19 * "0a" + "bb"
BUILDER = "0xAbCdEf0123456789aBcDeF0123456789AbCdEf01"


def an_order(**changes: Any) -> dict[str, Any]:
    """An order action in signing order."""
    one = {"a": 0, "b": True, "p": "95000", "s": "0.01", "r": False,
           "t": {"limit": {"tif": "Gtc"}}} | changes  # fmt: skip
    return {"type": "order", "orders": [one], "grouping": "na"}


def official_request(
    signed: dict[str, Any],
    sent: dict[str, Any] | None = None,
    *,
    vault: tuple[str | None, str | None] = (None, None),
    expires: tuple[int | None, int | None] = (None, None),
    is_mainnet: bool = False,
) -> dict[str, Any]:
    """A request whose signature the official client made; pairs are (signed, sent)."""
    signature = official.sign_l1_action(WALLET, signed, vault[0], NONCE, expires[0], is_mainnet)
    return {
        "action": signed if sent is None else sent,
        "nonce": NONCE,
        "signature": signature,
        "vaultAddress": vault[1],
        "expiresAfter": expires[1],
    }


def shuffled(action: dict[str, Any]) -> dict[str, Any]:
    """The same action with its keys in another order."""
    return dict(reversed(list(action.items())))


CHECKSUMMED = Account.from_key(bytes([9]) * 32).address
MISTAKES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "keys as sent": (["key_order"], official_request(shuffled(an_order()))),
    "keys sorted": (
        ["key_order"],
        official_request(json.loads(json.dumps(an_order(), sort_keys=True)), an_order()),
    ),
    "trailing zeros": (["trailing_zeros"], official_request(an_order(s="0.010"))),
    "python floats as text": (["point_zero"], official_request(an_order(p="95000.0"), an_order())),
    "floats": (["float"], official_request(an_order(p=95000.0, s=0.01), an_order())),
    "mixed case, sent": (
        ["mixed_case"],
        official_request(an_order() | {"builder": {"b": BUILDER, "f": 1}}),
    ),
    "mixed case, sent lower": (
        ["mixed_case"],
        official_request(
            an_order() | {"builder": {"b": CHECKSUMMED, "f": 1}},
            an_order() | {"builder": {"b": CHECKSUMMED.lower(), "f": 1}},
        ),
    ),
    "null keys": (["null_keys"], official_request(an_order(c=None))),
    "other network": (["network"], official_request(an_order(), is_mainnet=True)),
    "vault not signed": (["vault"], official_request(an_order(), vault=(None, VAULT))),
    "own vault signed": (["vault"], official_request(an_order(), vault=(ME, None))),
    "expiry not signed": (["expiry"], official_request(an_order(), expires=(None, NONCE + 9))),
    "two at once": (
        ["trailing_zeros", "network"],
        official_request(an_order(p="95000.50"), is_mainnet=True),
    ),
    "three at once": (
        ["trailing_zeros", "key_order", "expiry"],
        official_request(shuffled(an_order(p="95000.50")), expires=(None, NONCE + 9)),
    ),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_each_mistake_is_named(name: str) -> None:
    """The smallest set of mistakes that gives the expected address is found."""
    codes, request = MISTAKES[name]
    result = diagnose(request, "Testnet", ME)
    assert result.recovered != ME
    assert result.found is not None
    assert [mistake.code for mistake in result.found.mistakes] == codes


def test_a_flipped_v_is_named() -> None:
    request = official_request(an_order())
    request["signature"]["v"] = 55 - request["signature"]["v"]
    result = diagnose(request, "Testnet", ME)
    assert result.found is not None
    assert [mistake.code for mistake in result.found.mistakes] == ["v"]


def test_another_chain_in_the_domain_is_named() -> None:
    request = sign_action(KEY, an_order(), NONCE, "Testnet")
    typed = copy.deepcopy(diagnose(request, "Testnet", ME).typed_data)
    typed["domain"]["chainId"] = 42161
    signed = WALLET.sign_message(encode_typed_data(full_message=typed))
    request["signature"] = {"r": hex(signed.r), "s": hex(signed.s), "v": signed.v}
    result = diagnose(request, "Testnet", ME)
    assert result.found is not None
    assert [mistake.code for mistake in result.found.mistakes] == ["chain"]
    assert "42161" in result.found.mistakes[0].sentence


def user_signed(signed: dict[str, Any], sent: dict[str, Any], primary: str = "") -> dict[str, Any]:
    """A usdSend that eth-account signed with some fields and that carries others."""
    right = sign_action(KEY, sent, sent["time"], "Testnet")
    typed = copy.deepcopy(diagnose(right, "Testnet", None).typed_data)
    typed["message"] |= signed
    if primary:
        typed["types"][primary] = typed["types"].pop(typed["primaryType"])
        typed["primaryType"] = primary
    made = WALLET.sign_message(encode_typed_data(full_message=typed))
    return right | {"signature": {"r": hex(made.r), "s": hex(made.s), "v": made.v}}


SEND = {"type": "usdSend", "destination": VAULT, "amount": "1.0", "time": NONCE}


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("trailing_zeros", user_signed({"amount": "1"}, SEND)),
        ("point_zero", user_signed({"amount": "1.0"}, SEND | {"amount": "1"})),
        ("network", user_signed({"hyperliquidChain": "Mainnet"}, SEND)),
        ("mixed_case",
         user_signed({"destination": CHECKSUMMED.lower()}, SEND | {"destination": CHECKSUMMED})),
        ("mixed_case",
         user_signed({"destination": CHECKSUMMED}, SEND | {"destination": CHECKSUMMED.lower()})),
        ("type_name", user_signed({}, SEND, "UsdSend")),
    ],
)  # fmt: skip
def test_mistakes_of_user_signed_actions_are_named(code: str, request_: dict[str, Any]) -> None:
    result = diagnose(request_, "Testnet", ME)
    assert result.found is not None
    assert [mistake.code for mistake in result.found.mistakes] == [code]


def test_a_user_signed_action_signed_as_a_hash_is_named() -> None:
    request = sign_action(KEY, SEND, NONCE, "Testnet")
    request["signature"] = official.sign_l1_action(
        WALLET, request["action"], None, NONCE, None, False
    )
    result = diagnose(request, "Testnet", ME)
    assert result.found is not None
    assert [mistake.code for mistake in result.found.mistakes] == ["scheme"]


def test_what_is_refused_unread_is_still_taken_apart() -> None:
    """Another network or nonce is a refusal of its own; the signer is shown all the same."""
    request = sign_action(KEY, SEND, NONCE, "Mainnet")
    result = diagnose(request, "Testnet", ME)
    assert result.refusal == "Mainnet and testnet require different signature."
    assert result.recovered == ME
    request = sign_action(KEY, SEND, NONCE, "Testnet") | {"nonce": NONCE + 1}
    result = diagnose(request, "Testnet", ME)
    assert result.refusal == "Nonce mismatch."
    assert result.recovered == ME


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"multiSig"}))
def test_typed_data_is_what_wallets_sign(name: str) -> None:
    """eth-account signs the document shown and gets the signature of our hand-made digests."""
    request = sign_action(KEY, SAMPLES[name], SAMPLES[name].get("nonce", NONCE)
                          if name in USER_SIGNED_TYPES else NONCE, "Testnet")  # fmt: skip
    result = diagnose(request, "Testnet", ME)
    assert result.recovered == ME
    assert result.found is None
    signed = WALLET.sign_message(encode_typed_data(full_message=result.typed_data))
    assert hex(signed.r) == request["signature"]["r"]
    assert recovered_signer(request, "Testnet") == ME


def test_another_key_is_not_explained_away() -> None:
    """Nothing is found where the mistake is another key, and single mistakes are listed."""
    result = diagnose(official_request(an_order()), "Testnet", "0x" + "11" * 20)
    assert result.found is None
    assert result.count > 30
    assert all(len(one.mistakes) == 1 for one in result.tried)
    assert len({one.address for one in result.tried}) == len(result.tried)


def test_what_is_no_request_is_refused() -> None:
    for body in ({}, {"action": {"type": "noop"}}, {"action": 5}):
        with pytest.raises(BadRequest):
            diagnose(body, "Testnet", ME)
