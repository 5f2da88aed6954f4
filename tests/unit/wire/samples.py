"""One action of every type, in canonical form."""

from typing import Any, Final

_ADDRESS: Final = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
_CLOID: Final = "0x0000000000000000000000000000c0de"
_NONCE: Final = 1700000000000
_ORDER: Final[dict[str, Any]] = {
    "a": 0,
    "b": True,
    "p": "29300",
    "s": "0.01",
    "r": False,
    "t": {"limit": {"tif": "Gtc"}},
}
_TRIGGER: Final[dict[str, Any]] = _ORDER | {
    "t": {"trigger": {"isMarket": True, "triggerPx": "1860", "tpsl": "sl"}},
    "c": _CLOID,
}


def _user(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": name, "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"} | fields


_ALL: Final[list[dict[str, Any]]] = [
    {
        "type": "order",
        "orders": [_ORDER, _TRIGGER],
        "grouping": "na",
        "builder": {"b": _ADDRESS, "f": 10},
    },
    {"type": "cancel", "cancels": [{"a": 0, "o": 123456789012}], "f": True},
    {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": _CLOID}]},
    {"type": "modify", "oid": 5, "order": _ORDER, "a": True},
    {"type": "batchModify", "modifies": [{"oid": _CLOID, "order": _TRIGGER}]},
    {"type": "scheduleCancel", "time": _NONCE},
    {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 4, "isBuy": True, "ntli": -1000000},
    {"type": "topUpIsolatedOnlyMargin", "asset": 4, "leverage": "2.5"},
    {
        "type": "twapOrder",
        "twap": {"a": 0, "b": True, "s": "1.5", "r": False, "m": 30, "t": True},
        "details": {"t": {"p": "29000", "a": True}, "s": None},
    },
    {"type": "twapCancel", "a": 0, "t": 7},
    {"type": "noop"},
    {"type": "reserveRequestWeight", "weight": 100, "destination": _ADDRESS},
    {"type": "setGlobal", "pxs": [{"a": 0, "p": "29300.5", "x": "29301"}, {"a": 1, "p": "1"}]},
    {
        "type": "agentSendAsset",
        "destination": _ADDRESS,
        "sourceDex": "",
        "destinationDex": "spot",
        "token": "USDC:0x6d1e7cde53ba9467b783cb7c530ce054",
        "amount": "1.0",
        "fromSubAccount": "",
        "nonce": _NONCE,
    },
    {"type": "subAccountTransfer", "subAccountUser": _ADDRESS, "isDeposit": True, "usd": 5000000},
    {
        "type": "subAccountSpotTransfer",
        "subAccountUser": _ADDRESS,
        "isDeposit": False,
        "token": "PURR:0xc1fb593aeffbeb02f85e0308e9956a90",
        "amount": "1.0",
    },
    {"type": "vaultTransfer", "vaultAddress": _ADDRESS, "isDeposit": True, "usd": 5000000},
    {"type": "borrowLend", "operation": "repay", "token": 0, "amount": None},
    {"type": "createSubAccount", "name": "desk-1"},
    {"type": "subAccountModify", "subAccountUser": _ADDRESS, "name": "désk"},
    {
        "type": "createVault",
        "name": "vault",
        "description": "long\nand short",
        "initialUsd": 100000000,
        "nonce": _NONCE,
    },
    {
        "type": "vaultModify",
        "vaultAddress": _ADDRESS,
        "allowDeposits": None,
        "alwaysCloseOnWithdraw": False,
    },
    {"type": "vaultDistribute", "vaultAddress": _ADDRESS, "usd": 0},
    {"type": "setReferrer", "code": "CCXT1"},
    {"type": "registerReferrer", "code": "ME"},
    {"type": "claimRewards"},
    {"type": "agentEnableDexAbstraction"},
    {"type": "agentSetAbstraction", "abstraction": "u"},
    {"type": "setDisplayName", "displayName": ""},
    {"type": "spotUser", "toggleSpotDusting": {"optOut": True}},
    {"type": "evmUserModify", "usingBigBlocks": True},
    {
        "type": "spotDeploy",
        "registerToken2": {
            "spec": {"name": "TOK", "szDecimals": 2, "weiDecimals": 8},
            "maxGas": 1000,
            "fullName": "Token",
        },
    },
    {
        "type": "perpDeploy",
        "setOracle": {
            "dex": "abc",
            "oraclePxs": [["abc:X", "1.5"]],
            "markPxs": [[["abc:X", "1.5"]]],
            "externalPerpPxs": [],
        },
    },
    {"type": "CSignerAction", "jailSelf": None},
    {
        "type": "CValidatorAction",
        "changeProfile": {
            "node_ip": {"Ip": "1.2.3.4"},
            "name": None,
            "description": None,
            "unjailed": True,
            "disable_delegations": None,
            "commission_bps": 10,
            "signer": None,
        },
    },
    {"type": "finalizeEvmContract", "token": 200, "input": {"create": {"nonce": 0}}},
    {"type": "validatorL1Stream", "riskFreeRate": "0.05"},
    {"type": "gossipPriorityBid", "slotId": 0, "ip": "1.2.3.4", "maxGas": 5},
    {"type": "hip3LiquidatorTransfer", "dex": "abc", "ntl": 1000000000, "isDeposit": True},
    {"type": "activateOutcomeDeployer", "isDeactivate": False},
    {"type": "authorizeAqav2Role", "token": 0, "role": "technical"},
    {"type": "userOutcome", "mergeOutcome": {"outcome": 3, "amount": None}},
    _user("usdSend", destination=_ADDRESS, amount="12.5", time=_NONCE),
    _user("spotSend", destination=_ADDRESS, token="PURR:0xc1fb", amount="3", time=_NONCE),
    _user("withdraw3", destination=_ADDRESS, amount="7", time=_NONCE),
    _user("usdClassTransfer", amount="10 subaccount:0xab", toPerp=True, nonce=_NONCE),
    _user(
        "sendAsset",
        destination=_ADDRESS,
        sourceDex="",
        destinationDex="spot",
        token="USDC:0x6d1e",
        amount="1",
        fromSubAccount="",
        nonce=_NONCE,
    ),
    _user(
        "sendToEvmWithData",
        token="USDC",
        amount="1",
        sourceDex="",
        destinationRecipient=_ADDRESS,
        addressEncoding="hex",
        destinationChainId=999,
        gasLimit=200000,
        data="0xdeadbeef",
        nonce=_NONCE,
    ),
    _user("approveAgent", agentAddress=_ADDRESS, agentName="bot1", nonce=_NONCE),
    _user("approveBuilderFee", maxFeeRate="0.01%", builder=_ADDRESS, nonce=_NONCE),
    _user("tokenDelegate", validator=_ADDRESS, wei=1, isUndelegate=False, nonce=_NONCE),
    _user("cDeposit", wei=100000000, nonce=_NONCE),
    _user("cWithdraw", wei=100000000, nonce=_NONCE),
    _user("convertToMultiSigUser", signers='{"authorizedUsers": []}', nonce=_NONCE),
    _user("linkStakingUser", user=_ADDRESS, isFinalize=False, nonce=_NONCE),
    _user("stakingLinkDisableTradingUser", tradingUser=_ADDRESS, nonce=_NONCE),
    _user("userDexAbstraction", user=_ADDRESS, enabled=True, nonce=_NONCE),
    _user("userSetAbstraction", user=_ADDRESS, abstraction="disabled", nonce=_NONCE),
    _user("userPortfolioMargin", user=_ADDRESS, enabled=True, nonce=_NONCE),
    {
        "type": "multiSig",
        "signatureChainId": "0x66eee",
        "signatures": [{"r": "0x1", "s": "0x2", "v": 27}, {"r": "0x3", "s": "0x4", "v": 28}],
        "payload": {
            "multiSigUser": _ADDRESS,
            "outerSigner": _ADDRESS,
            "action": {"type": "noop"},
        },
    },
]

SAMPLES: Final[dict[str, dict[str, Any]]] = {action["type"]: action for action in _ALL}
