"""Signs as the official Python client does: typed data through eth-account.

Deliberately not the node's own digest code, so that the demo's chain rests on two independent
implementations of the published scheme. Only the action hash is shared.
"""

from typing import Any

import msgpack
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from chainperp.wire.signing import action_hash

ZERO_ADDRESS = "0x" + "00" * 20
CHAIN = "0x66eee"
DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
USER_FIELDS = {
    "usdSend": ("UsdSend", [("destination", "string"), ("amount", "string"), ("time", "uint64")]),
    "withdraw3": (
        "Withdraw",
        [("destination", "string"), ("amount", "string"), ("time", "uint64")],
    ),
    "usdClassTransfer": (
        "UsdClassTransfer",
        [("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64")],
    ),
    "approveAgent": (
        "ApproveAgent",
        [("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")],
    ),
}


class Signer:
    """A key that numbers its own nonces from the chain's time."""

    def __init__(self, key: bytes) -> None:
        self.wallet: LocalAccount = Account.from_key(key)
        self.address = bytes.fromhex(self.wallet.address[2:])
        self.nonce = 0

    def sign(self, action: dict[str, Any], time_ms: int) -> dict[str, Any]:
        """Body of `POST /exchange` for an action; user-signed ones are completed."""
        self.nonce = max(self.nonce + 1, time_ms)
        if action["type"] in USER_FIELDS:
            action, typed = self._user_signed(action)
        else:
            typed = self._phantom_agent(action)
        signed = self.wallet.sign_message(encode_typed_data(full_message=typed))
        return {
            "action": action,
            "nonce": self.nonce,
            "signature": {"r": hex(signed.r), "s": hex(signed.s), "v": signed.v},
        }

    def _phantom_agent(self, action: dict[str, Any]) -> dict[str, Any]:
        digest = action_hash(msgpack.packb(action), self.nonce, None, None)
        return {
            "domain": {
                "name": "Exchange",
                "version": "1",
                "chainId": 1337,
                "verifyingContract": ZERO_ADDRESS,
            },
            "types": {
                "Agent": [
                    {"name": "source", "type": "string"},
                    {"name": "connectionId", "type": "bytes32"},
                ],
                "EIP712Domain": DOMAIN_FIELDS,
            },
            "primaryType": "Agent",
            "message": {"source": "b", "connectionId": digest},
        }

    def _user_signed(self, action: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        name, fields = USER_FIELDS[action["type"]]
        complete = {
            **action,
            "signatureChainId": CHAIN,
            "hyperliquidChain": "Testnet",
            fields[-1][0]: self.nonce,
        }
        primary = f"HyperliquidTransaction:{name}"
        types = [("hyperliquidChain", "string"), *fields]
        typed = {
            "domain": {
                "name": "HyperliquidSignTransaction",
                "version": "1",
                "chainId": int(CHAIN, 16),
                "verifyingContract": ZERO_ADDRESS,
            },
            "types": {
                primary: [{"name": field, "type": kind} for field, kind in types],
                "EIP712Domain": DOMAIN_FIELDS,
            },
            "primaryType": primary,
            "message": {field: complete[field] for field, _ in types},
        }
        return complete, typed
