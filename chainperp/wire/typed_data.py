"""EIP-712 digests made by hand: two or three Keccaks over fixed templates.

The general encoders of eth-account cost fifty times as much, and every transaction needs a
digest. The types are few and flat, so the whole of EIP-712 that is needed fits here; tests compare
each with eth-account and with the official client.

    digest = keccak(19 01 || domain separator || keccak(type hash || field words))

Source: EIP-712; hyperliquid-api 3.2 to 3.4.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import sha3

Network = Literal["Mainnet", "Testnet"]

Fields = tuple[tuple[str, str], ...]

_CHAIN: Final = ("hyperliquidChain", "string")
_NONCE: Final = ("nonce", "uint64")
_TIME: Final = ("time", "uint64")

# action type -> (suffix of the primary type, fields signed, in order)
USER_SIGNED_TYPES: Final[dict[str, tuple[str, Fields]]] = {
    "usdSend": ("UsdSend", (_CHAIN, ("destination", "string"), ("amount", "string"), _TIME)),
    "spotSend": (
        "SpotSend",
        (_CHAIN, ("destination", "string"), ("token", "string"), ("amount", "string"), _TIME),
    ),
    "withdraw3": ("Withdraw", (_CHAIN, ("destination", "string"), ("amount", "string"), _TIME)),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (_CHAIN, ("amount", "string"), ("toPerp", "bool"), _NONCE),
    ),
    "sendAsset": (
        "SendAsset",
        (
            _CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            _NONCE,
        ),
    ),
    "sendToEvmWithData": (
        "SendToEvmWithData",
        (
            _CHAIN,
            ("token", "string"),
            ("amount", "string"),
            ("sourceDex", "string"),
            ("destinationRecipient", "string"),
            ("addressEncoding", "string"),
            ("destinationChainId", "uint32"),
            ("gasLimit", "uint64"),
            ("data", "bytes"),
            _NONCE,
        ),
    ),
    "approveAgent": (
        "ApproveAgent",
        (_CHAIN, ("agentAddress", "address"), ("agentName", "string"), _NONCE),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (_CHAIN, ("maxFeeRate", "string"), ("builder", "address"), _NONCE),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (_CHAIN, ("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), _NONCE),
    ),
    "cDeposit": ("CDeposit", (_CHAIN, ("wei", "uint64"), _NONCE)),
    "cWithdraw": ("CWithdraw", (_CHAIN, ("wei", "uint64"), _NONCE)),
    "convertToMultiSigUser": ("ConvertToMultiSigUser", (_CHAIN, ("signers", "string"), _NONCE)),
    "linkStakingUser": (
        "LinkStakingUser",
        (_CHAIN, ("user", "address"), ("isFinalize", "bool"), _NONCE),
    ),
    "stakingLinkDisableTradingUser": (
        "StakingLinkDisableTradingUser",
        (_CHAIN, ("tradingUser", "address"), _NONCE),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), _NONCE),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (_CHAIN, ("user", "address"), ("abstraction", "string"), _NONCE),
    ),
    "userPortfolioMargin": (
        "UserPortfolioMargin",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), _NONCE),
    ),
}

# Inside a multi-sig payload the wire has a letter where the signers sign the word.
ABSTRACTION_WORDS: Final = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}


def keccak(data: bytes) -> bytes:
    """Keccak-256, as Ethereum uses it (not the later SHA3-256)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def nonce_key(action_type: str) -> str:
    """The field of a user-signed action that repeats the request's nonce."""
    return USER_SIGNED_TYPES[action_type][1][-1][0]


def _type_hash(suffix: str, fields: Fields) -> bytes:
    members = ",".join(f"{kind} {name}" for name, kind in fields)
    return keccak(f"HyperliquidTransaction:{suffix}({members})".encode())


def _with_signers(fields: Fields) -> Fields:
    """Fields of an inner signature: it names the account it is for and who leads."""
    extra = (("payloadMultiSigUser", "address"), ("outerSigner", "address"))
    return fields[:1] + extra + fields[1:]


_TYPES: Final = {
    name: (_type_hash(suffix, fields), fields)
    for name, (suffix, fields) in USER_SIGNED_TYPES.items()
}
_INNER_TYPES: Final = {
    name: (_type_hash(suffix, _with_signers(fields)), _with_signers(fields))
    for name, (suffix, fields) in USER_SIGNED_TYPES.items()
}
_ENVELOPE_FIELDS: Final[Fields] = (_CHAIN, ("multiSigActionHash", "bytes32"), _NONCE)
_ENVELOPE_TYPE: Final = _type_hash("SendMultiSig", _ENVELOPE_FIELDS)

_DOMAIN_TYPE: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_VERSION: Final = keccak(b"1")


def _domain(name: bytes, chain: int) -> bytes:
    """Domain separator; the verifying contract is the zero address everywhere."""
    return keccak(_DOMAIN_TYPE + keccak(name) + _VERSION + chain.to_bytes(32, "big") + bytes(32))


@lru_cache(maxsize=256)
def _user_domain(chain: int) -> bytes:
    return _domain(b"HyperliquidSignTransaction", chain)


_AGENT_HEAD: Final = b"\x19\x01" + _domain(b"Exchange", 1337)
_AGENT_TYPE: Final = keccak(b"Agent(string source,bytes32 connectionId)")
_AGENT: Final[dict[str, bytes]] = {
    "Mainnet": _AGENT_TYPE + keccak(b"a"),
    "Testnet": _AGENT_TYPE + keccak(b"b"),
}


def agent_digest(action_hash: bytes, network: Network) -> bytes:
    """What an L1 signature signs: a phantom agent whose connection is the action's hash."""
    return keccak(_AGENT_HEAD + keccak(_AGENT[network] + action_hash))


def user_digest(action: Mapping[str, Any]) -> bytes:
    """What the signature of a canonical user-signed action signs."""
    type_hash, fields = _TYPES[action["type"]]
    return _digest(action["signatureChainId"], type_hash, fields, action)


def inner_user_digest(action: Mapping[str, Any], user: str, leader: str) -> bytes:
    """What one authorised user of a multi-sig account signs of a user-signed action."""
    type_hash, fields = _INNER_TYPES[action["type"]]
    values = dict(action) | {"payloadMultiSigUser": user, "outerSigner": leader}
    if action["type"] == "userSetAbstraction":
        word = action["abstraction"]
        values["abstraction"] = ABSTRACTION_WORDS.get(word, word)
    return _digest(action["signatureChainId"], type_hash, fields, values)


def envelope_digest(chain_id: str, action_hash: bytes, nonce: int, network: Network) -> bytes:
    """What the leader of a multi-sig envelope signs; the network is the verifier's own."""
    values = {"hyperliquidChain": network, "multiSigActionHash": action_hash, "nonce": nonce}
    return _digest(chain_id, _ENVELOPE_TYPE, _ENVELOPE_FIELDS, values)


def _digest(chain_id: str, type_hash: bytes, fields: Fields, values: Mapping[str, Any]) -> bytes:
    # An agent without a name may come without the key; the empty text is what was signed.
    words = [_word(kind, values.get(name, "")) for name, kind in fields]
    body = keccak(type_hash + b"".join(words))
    return keccak(b"\x19\x01" + _user_domain(int(chain_id, 16)) + body)


def _word(kind: str, value: Any) -> bytes:
    """The 32 bytes that stand for one field."""
    if kind == "string":
        return keccak(value.encode())
    if kind == "address":
        return bytes(12) + bytes.fromhex(value[2:])
    if kind == "bytes":
        return keccak(bytes.fromhex(value[2:]))
    if kind == "bytes32":
        return bytes(value)
    return int(value).to_bytes(32, "big")
