"""Whatever the official client's methods post is admitted, and its signer is found.

The client is the published one; only its HTTP call is replaced by a list.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.utils.types import Cloid

from chainperp.client.wallet import address_of
from chainperp.wire.actions import read_json
from chainperp.wire.signing import admit, open_multi_sig, recover_envelope, verify_envelope_form
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
WALLET = Account.from_key(KEY)
USER = "0x5E9ee1089755c3435139848e47e6635505d5a13a"
TOKEN = "PURR:0xc1fb593aeffbeb02f85e0308e9956a90"
CLOID = Cloid.from_int(0xC0DE)
META = {"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "ETH", "szDecimals": 4}]}
GTC: Any = {"limit": {"tif": "Gtc"}}
STOP: Any = {"trigger": {"triggerPx": 1860.0, "isMarket": True, "tpsl": "sl"}}

CALLS: dict[str, Callable[[Any], object]] = {
    "order": lambda x: x.order("BTC", True, 0.01, 29300.0, GTC),
    "order_stop_builder": lambda x: x.order(
        "ETH", False, 1.25, 1850.5, STOP, True, CLOID, {"b": USER, "f": 10}
    ),
    "modify_order": lambda x: x.modify_order(5, "BTC", True, 0.02, 29301.0, GTC, cloid=CLOID),
    "modify_by_cloid": lambda x: x.modify_order(CLOID, "BTC", True, 0.02, 29301.0, GTC),
    "cancel": lambda x: x.cancel("BTC", 123456789012),
    "cancel_by_cloid": lambda x: x.cancel_by_cloid("BTC", CLOID),
    "schedule_cancel": lambda x: x.schedule_cancel(1700000060000),
    "unschedule": lambda x: x.schedule_cancel(None),
    "update_leverage": lambda x: x.update_leverage(5, "BTC"),
    "update_isolated_margin": lambda x: x.update_isolated_margin(-1.5, "ETH"),
    "set_referrer": lambda x: x.set_referrer("CODE"),
    "create_sub_account": lambda x: x.create_sub_account("desk-1"),
    "usd_class_transfer": lambda x: x.usd_class_transfer(10.0, True),
    "send_asset": lambda x: x.send_asset(USER, "", "spot", TOKEN, 1.0),
    "sub_account_transfer": lambda x: x.sub_account_transfer(USER.lower(), True, 5000000),
    "sub_account_spot": lambda x: x.sub_account_spot_transfer(USER.lower(), True, TOKEN, 1.0),
    "vault_usd_transfer": lambda x: x.vault_usd_transfer(USER.lower(), True, 5000000),
    "usd_transfer": lambda x: x.usd_transfer(100.0, USER),
    "usd_transfer_tiny": lambda x: x.usd_transfer(0.00001, USER),
    "spot_transfer": lambda x: x.spot_transfer(3.0, USER, TOKEN),
    "token_delegate": lambda x: x.token_delegate(USER, 100000000, False),
    "withdraw": lambda x: x.withdraw_from_bridge(7.0, USER),
    "approve_agent": lambda x: x.approve_agent(),
    "approve_named_agent": lambda x: x.approve_agent("bot1 valid_until 1800000000000"),
    "approve_builder_fee": lambda x: x.approve_builder_fee(USER, "0.01%"),
    "convert_to_multi_sig": lambda x: x.convert_to_multi_sig_user([USER.lower()], 1),
    "register_token": lambda x: x.spot_deploy_register_token("TOK", 2, 8, 1000, "Token"),
    "user_genesis": lambda x: x.spot_deploy_user_genesis(1, [(USER, "5")], [(2, "7")]),
    "genesis": lambda x: x.spot_deploy_genesis(1, "1000", True),
    "register_spot": lambda x: x.spot_deploy_register_spot(1, 0),
    "hyperliquidity": lambda x: x.spot_deploy_register_hyperliquidity(1, 2.0, 4.0, 100, None),
    "fee_share": lambda x: x.spot_deploy_set_deployer_trading_fee_share(1, "100%"),
    "freeze_user": lambda x: x.spot_deploy_freeze_user(1, USER, True),
    "enable_quote": lambda x: x.spot_deploy_enable_quote_token(1),
    "register_asset": lambda x: x.perp_deploy_register_asset(
        "abc", None, "abc:X", 2, "10.0", 10, False, None
    ),
    "set_oracle": lambda x: x.perp_deploy_set_oracle(
        "abc", {"abc:X": "1.5"}, [{"abc:X": "1.5"}], {"abc:X": "1.6"}
    ),
    "jail": lambda x: x.c_signer_jail_self(),
    "validator": lambda x: x.c_validator_register(
        "1.2.3.4", "name", "text", False, 5, USER.lower(), True, 1
    ),
    "profile": lambda x: x.c_validator_change_profile(
        None, None, None, True, None, None, USER.lower()
    ),
    "unregister": lambda x: x.c_validator_unregister(),
    "big_blocks": lambda x: x.use_big_blocks(True),
    "agent_dex": lambda x: x.agent_enable_dex_abstraction(),
    "agent_abstraction": lambda x: x.agent_set_abstraction("u"),
    "user_dex": lambda x: x.user_dex_abstraction(USER, True),
    "user_abstraction": lambda x: x.user_set_abstraction(USER, "unifiedAccount"),
    "noop": lambda x: x.noop(1700000000000),
    "gossip": lambda x: x.gossip_priority_bid(0, "1.2.3.4", 100),
}


def client_of(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[bytes]]:
    """The published client, for a local node, and what it posts."""
    sent: list[bytes] = []
    client = Exchange(
        WALLET, "http://localhost:3001", meta=META, spot_meta={"universe": [], "tokens": []}
    )

    def post(_path: str, payload: Any = None) -> Any:
        sent.append(json.dumps(payload).encode())
        return {"status": "ok"}

    monkeypatch.setattr(client, "post", post)
    return client, sent


@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_the_official_client_posts_is_admitted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, sent = client_of(monkeypatch)
    CALLS[name](client)
    assert len(sent) == 1
    envelope = admit(read_json(sent[0]), "Testnet")
    assert recover_envelope(envelope, "Testnet") == address_of(KEY)
    verify_envelope_form(envelope)


def test_vault_and_expiry_of_the_official_client_are_covered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, sent = client_of(monkeypatch)
    client.vault_address = USER
    client.set_expires_after(1800000000000)
    client.order("BTC", True, 0.01, 29300.0, GTC)
    envelope = admit(read_json(sent[0]), "Testnet")
    assert envelope.vault == bytes.fromhex(USER[2:])
    assert envelope.expires_after == 1800000000000
    assert recover_envelope(envelope, "Testnet") == address_of(KEY)


@pytest.mark.parametrize("name", ["order", "usdSend", "userSetAbstraction"])
def test_multi_sig_of_the_official_client(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, sent = client_of(monkeypatch)
    client.multi_sig(USER, SAMPLES[name], [{"r": "0x1", "s": "0x2", "v": 27}], 1700000000000)
    envelope = admit(read_json(sent[0]), "Testnet")
    assert recover_envelope(envelope, "Testnet") == address_of(KEY)
    assert open_multi_sig(envelope, "Testnet").leader == address_of(KEY)
