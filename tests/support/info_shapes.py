"""The form of each answer of `POST /info`, in words of our own, from the reference's examples.

A form is a type; a one-item list for lists of any length; a tuple for rows of fixed length; a dict
with exact keys, of which those ending in `?` may be missing. `DEC` is a decimal string, `Maybe`
allows null.
"""

import re
from typing import Any, Final, NamedTuple

DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
HASH: Final = re.compile(r"0x[0-9a-f]{64}")


class Text(NamedTuple):
    """Text of a pattern."""

    pattern: re.Pattern[str]


class Maybe(NamedTuple):
    """A form, or null."""

    form: Any


DEC: Final = Text(DECIMAL)
ADDR: Final = Text(ADDRESS)
TX: Final = Text(HASH)
CLOID: Final = Text(re.compile(r"0x[0-9a-f]{32}"))
SIDE: Final = Text(re.compile(r"[AB]"))


def misfits(form: Any, value: Any, path: str = "answer") -> list[str]:
    """What of a value does not have the form; empty when it fits."""
    if isinstance(form, Maybe):
        return [] if value is None else misfits(form.form, value, path)
    if isinstance(form, Text):
        good = isinstance(value, str) and form.pattern.fullmatch(value)
        return [] if good else [f"{path}: {value!r} is not {form.pattern.pattern}"]
    if isinstance(form, list):
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [
            one for at, item in enumerate(value) for one in misfits(form[0], item, f"{path}[{at}]")
        ]
    if isinstance(form, tuple):
        if not isinstance(value, list) or len(value) != len(form):
            return [f"{path}: {value!r} is no row of {len(form)}"]
        pairs = zip(form, value, strict=True)
        return [
            one for at, (part, item) in enumerate(pairs)
            for one in misfits(part, item, f"{path}[{at}]")
        ]  # fmt: skip
    if isinstance(form, dict):
        return _object_misfits(form, value, path)
    if isinstance(form, type):
        return [] if type(value) is form else [f"{path}: {value!r} is not {form.__name__}"]
    return [] if value == form else [f"{path}: {value!r} is not {form!r}"]


def _object_misfits(form: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    if set(form) == {"*"}:
        return [
            one for key, item in value.items() for one in misfits(form["*"], item, f"{path}.{key}")
        ]
    known = {key.removesuffix("?"): part for key, part in form.items()}
    needed = {key for key in form if not key.endswith("?")}
    found = [f"{path}: no key {key}" for key in sorted(needed - value.keys())]
    found += [f"{path}: key {key} is not known" for key in sorted(value.keys() - known.keys())]
    for key in known.keys() & value.keys():
        found += misfits(known[key], value[key], f"{path}.{key}")
    return found


TABLE: Final = {"description": str, "marginTiers": [{"lowerBound": DEC, "maxLeverage": int}]}
META: Final = {
    "universe": [
        {
            "szDecimals": int, "name": str, "maxLeverage": int, "marginTableId": int,
            "isDelisted?": bool, "onlyIsolated?": bool, "marginMode?": str,
        }
    ],
    "marginTables": [(int, TABLE)],
    "collateralToken": int,
}  # fmt: skip
CTX: Final = {
    "funding": DEC, "openInterest": DEC, "prevDayPx": DEC, "dayNtlVlm": DEC, "premium": Maybe(DEC),
    "oraclePx": DEC, "markPx": DEC, "midPx": Maybe(DEC), "impactPxs": Maybe((DEC, DEC)),
    "dayBaseVlm": DEC,
}  # fmt: skip
SPOT_META: Final = {
    "universe": [{"tokens": (int, int), "name": str, "index": int, "isCanonical": bool}],
    "tokens": [
        {
            "name": str, "szDecimals": int, "weiDecimals": int, "index": int, "tokenId": str,
            "isCanonical": bool, "evmContract": None, "fullName": None,
            "deployerTradingFeeShare": DEC,
        }
    ],
}  # fmt: skip
LEVEL: Final = {"px": DEC, "sz": DEC, "n": int}
BOOK: Final = {"coin": str, "time": int, "levels": ([LEVEL], [LEVEL]), "spread?": DEC}
TRADE: Final = {
    "coin": str, "side": SIDE, "px": DEC, "sz": DEC, "time": int, "hash": TX, "tid": int,
    "users": (ADDR, ADDR),
}  # fmt: skip
CANDLE: Final = {
    "t": int, "T": int, "s": str, "i": str, "o": DEC, "c": DEC, "h": DEC, "l": DEC, "v": DEC,
    "n": int,
}  # fmt: skip
SUMMARY: Final = {
    "accountValue": DEC, "totalNtlPos": DEC, "totalRawUsd": DEC, "totalMarginUsed": DEC,
}  # fmt: skip
LEVERAGE: Final = {"type": str, "value": int, "rawUsd?": DEC}
POSITION: Final = {
    "coin": str, "szi": DEC, "leverage": LEVERAGE, "entryPx": DEC, "positionValue": DEC,
    "unrealizedPnl": DEC, "returnOnEquity": DEC, "liquidationPx": Maybe(DEC), "marginUsed": DEC,
    "maxLeverage": int, "cumFunding": {"allTime": DEC, "sinceOpen": DEC, "sinceChange": DEC},
}  # fmt: skip
ACCOUNT: Final = {
    "marginSummary": SUMMARY, "crossMarginSummary": SUMMARY, "crossMaintenanceMarginUsed": DEC,
    "withdrawable": DEC, "assetPositions": [{"type": "oneWay", "position": POSITION}], "time": int,
}  # fmt: skip
SPOT_STATE: Final = {
    "balances": [{"coin": str, "token": int, "total": DEC, "hold": DEC, "entryNtl": DEC}]
}
SUB_ACCOUNT: Final = {
    "name": str, "subAccountUser": ADDR, "master": ADDR, "spotState": SPOT_STATE,
}  # fmt: skip
OPEN_ORDER: Final = {
    "coin": str, "side": SIDE, "limitPx": DEC, "sz": DEC, "oid": int, "timestamp": int,
    "origSz": DEC, "cloid?": CLOID, "reduceOnly?": True,
}  # fmt: skip
FULL_ORDER: Final[dict[str, Any]] = {
    "coin": str, "side": SIDE, "limitPx": DEC, "sz": DEC, "oid": int, "timestamp": int,
    "origSz": DEC, "triggerCondition": str, "isTrigger": bool, "triggerPx": DEC,
    "isPositionTpsl": bool, "reduceOnly": bool, "orderType": str, "tif": Maybe(str),
    "cloid": Maybe(CLOID),
}  # fmt: skip
FULL_ORDER["children"] = [FULL_ORDER]
ORDER_ROW: Final = {"order": FULL_ORDER, "status": str, "statusTimestamp": int}
FILL: Final = {
    "coin": str, "px": DEC, "sz": DEC, "side": SIDE, "time": int, "startPosition": DEC, "dir": str,
    "closedPnl": DEC, "hash": TX, "oid": int, "crossed": bool, "fee": DEC, "tid": int,
    "feeToken": str, "twapId": Maybe(int), "cloid?": CLOID, "builderFee?": DEC,
    "liquidation?": {"liquidatedUser": ADDR, "markPx": DEC, "method": str},
}  # fmt: skip
TWAP: Final = {
    "coin": str, "user": ADDR, "side": SIDE, "sz": DEC, "executedSz": DEC, "executedNtl": DEC,
    "minutes": int, "reduceOnly": bool, "randomize": bool, "timestamp": int, "stopPx": None,
    "trigger": None,
}  # fmt: skip
SLICE: Final = {"fill": FILL, "twapId": int}
SPOT_CTX: Final = {
    "coin": str, "prevDayPx": DEC, "dayNtlVlm": DEC, "markPx": DEC, "midPx": Maybe(DEC),
    "circulatingSupply": DEC, "totalSupply": DEC, "dayBaseVlm": DEC,
}  # fmt: skip
TIER: Final = {"ntlCutoff": DEC, "cross": DEC, "add": DEC, "spotCross": DEC, "spotAdd": DEC}
DISCOUNT: Final = {"bpsOfMaxSupply": DEC, "discount": DEC}
FEES: Final = {
    "dailyUserVlm": [{"date": str, "userCross": DEC, "userAdd": DEC, "exchange": DEC}],
    "feeSchedule": {
        "cross": DEC, "add": DEC, "spotCross": DEC, "spotAdd": DEC,
        "tiers": {"vip": [TIER], "mm": [{"makerFractionCutoff": DEC, "add": DEC}]},
        "referralDiscount": DEC, "stakingDiscountTiers": [DISCOUNT],
    },
    "userCrossRate": DEC, "userAddRate": DEC, "userSpotCrossRate": DEC, "userSpotAddRate": DEC,
    "activeReferralDiscount": DEC, "trial": None, "feeTrialEscrow": DEC,
    "nextTrialAvailableTimestamp": None, "stakingLink": None, "activeStakingDiscount": DISCOUNT,
}  # fmt: skip
PERIOD: Final = {
    "accountValueHistory": [(int, DEC)], "pnlHistory": [(int, DEC)], "vlm": DEC,
}  # fmt: skip
FUNDING: Final = {
    "time": int, "hash": TX,
    "delta": {"type": "funding", "coin": str, "usdc": DEC, "szi": DEC, "fundingRate": DEC,
              "nSamples": None},
}  # fmt: skip
LEDGER: Final = {"time": int, "hash": TX, "delta": dict}
SENT: Final[dict[str, Any]] = {
    "type": str, "token": str, "amount": DEC, "usdcValue": DEC, "user": ADDR,
    "destination": ADDR, "fee": DEC, "nativeTokenFee": DEC, "nonce": int, "feeToken": str,
}  # fmt: skip
DELTAS: Final[dict[str, dict[str, Any]]] = {
    "deposit": {"type": str, "usdc": DEC},
    "withdraw": {"type": str, "usdc": DEC, "nonce": int, "fee": DEC},
    "internalTransfer": {
        "type": str, "usdc": DEC, "user": ADDR, "destination": ADDR, "fee": DEC,
    },
    "subAccountTransfer": {"type": str, "usdc": DEC, "user": ADDR, "destination": ADDR},
    "accountClassTransfer": {"type": str, "usdc": DEC, "toPerp": bool},
    "spotTransfer": SENT,
    "send": {**SENT, "sourceDex": str, "destinationDex": str},
    "vaultCreate": {"type": str, "vault": ADDR, "usdc": DEC, "fee": DEC},
    "vaultDeposit": {"type": str, "vault": ADDR, "usdc": DEC},
    "vaultDistribution": {"type": str, "vault": ADDR, "usdc": DEC},
    "vaultWithdraw": {
        "type": str, "vault": ADDR, "user": ADDR, "requestedUsd": DEC, "commission": DEC,
        "closingCost": DEC, "basis": DEC, "netWithdrawnUsd": DEC,
    },
    "vaultLeaderCommission": {"type": str, "user": ADDR, "usdc": DEC},
    "rewardsClaim": {"type": str, "amount": DEC, "token": str},
    "liquidation": {
        "type": str, "liquidatedNtlPos": DEC, "accountValue": DEC, "leverageType": str,
        "liquidatedPositions": [{"coin": str, "szi": DEC}],
    },
}  # fmt: skip
FOLLOWER: Final[dict[str, Any]] = {
    "user": str, "vaultEquity": DEC, "pnl": DEC, "allTimePnl": DEC, "daysFollowing": int,
    "vaultEntryTime": int, "lockupUntil": int,
}  # fmt: skip
RELATIONSHIP: Final[dict[str, Any]] = {
    "type": str, "data?": {"childAddresses?": [ADDR], "parentAddress?": ADDR},
}  # fmt: skip
VAULT: Final[dict[str, Any]] = {
    "name": str, "vaultAddress": ADDR, "leader": ADDR, "description": str, "portfolio": [list],
    "apr": float, "followerState": Maybe(FOLLOWER), "leaderFraction": float,
    "leaderCommission": float, "followers": [FOLLOWER], "maxDistributable": float,
    "maxWithdrawable": float, "isClosed": bool, "relationship": RELATIONSHIP,
    "allowDeposits": bool, "alwaysCloseOnWithdraw": bool,
}  # fmt: skip
WEB_DATA: Final = {
    "clearinghouseState": ACCOUNT, "leadingVaults": [{"address": ADDR, "name": str}],
    "totalVaultEquity": DEC,
    "openOrders": [FULL_ORDER], "agentAddress": Maybe(ADDR), "agentValidUntil": Maybe(int),
    "cumLedger": DEC, "meta": META, "assetCtxs": [CTX], "serverTime": int, "isVault": bool,
    "user": ADDR, "twapStates": [(int, TWAP)], "spotState": SPOT_STATE, "spotAssetCtxs": [SPOT_CTX],
}  # fmt: skip

AVERAGE: Final = Maybe({"decimal": DEC, "numerator": str, "denominator": str})
PENDING: Final = {
    "wid": int,
    "user": ADDR,
    "destination": ADDR,
    "amount": DEC,
    "entryIndex": int,
}
APPROVAL: Final = {
    "validators": [ADDR],
    "powers": [int],
    "idx": [int],
    "signatures": [{"r": TX, "s": TX, "v": int}],
}
FUND: Final = {
    "address": ADDR, "height": int, "time": int, "purchases": int, "averagePrice": AVERAGE,
    "token": Maybe({
        "name": str, "initialSupply": DEC, "burned": DEC, "burnedByBuyback": DEC,
        "burnedByFees": DEC, "supply": DEC, "bought": DEC,
    }),
    "sources": {"fees": DEC, "liquidations": DEC, "other": DEC, "total": DEC},
    "paid": {"vault": DEC, "referrals": DEC, "buybacks": DEC, "evm": DEC},
    "evm": Maybe({
        "vault": ADDR, "sent": DEC, "spent": DEC, "unspent": DEC, "gifts": DEC, "bought": DEC,
        "burned": DEC, "purchases": int,
    }),
    "balance": DEC, "lastDue": Maybe(int), "nextEarliest": int,
    "schedule": {
        "balanceMin": DEC, "intervalMs": int, "slippageBps": int, "depthBps": int,
        "valueMin": DEC, "evmBps": int, "evmMin": DEC,
    },
    "history?": [{
        "height": int, "time": int, "index": int, "outcome": str, "rule": str, "balance": DEC,
        "bid": Maybe(DEC), "ask": Maybe(DEC), "last": Maybe(DEC), "mark": Maybe(DEC),
        "limit": DEC, "offered": DEC, "size": DEC, "filled": DEC, "spent": DEC, "bought": DEC,
        "burned": DEC, "averagePrice": AVERAGE,
        "sources": {"fees": DEC, "liquidations": DEC, "other": DEC},
    }],
}  # fmt: skip

REFERRED: Final = {
    "cumVlm": DEC, "cumRewardedFeesSinceReferred": DEC, "cumFeesRewardedToReferrer": DEC,
    "timeJoined": int, "user": ADDR,
}  # fmt: skip

SHAPES: Final[dict[str, Any]] = {
    "meta": META,
    "allPerpMetas": [META],
    "metaAndAssetCtxs": (META, [CTX]),
    "spotMeta": SPOT_META,
    "spotMetaAndAssetCtxs": (SPOT_META, [SPOT_CTX]),
    "perpDexs": [None],
    "outcomeMeta": {"outcomes": [dict], "questions": [dict]},
    "allMids": {"*": DEC},
    "l2Book": BOOK,
    "exchangeStatus": {"time": int, "specialStatuses": None},
    "predictedFundings": [
        (str, [(str, {"fundingRate": DEC, "nextFundingTime": int, "fundingIntervalHours": int})])
    ],
    "perpsAtOpenInterestCap": [str],
    "marginTable": TABLE,
    "maxMarketOrderNtls": [(int, DEC)],
    "liquidatable": [dict],
    "perpDexLimits": None,
    "perpDexStatus": None,
    "perpCategories": [list],
    "perpConciseAnnotations": [list],
    "clearinghouseState": ACCOUNT,
    "batchClearinghouseStates": [ACCOUNT],
    "spotClearinghouseState": SPOT_STATE,
    "activeAssetData": {
        "user": ADDR, "coin": str, "leverage": LEVERAGE, "maxTradeSzs": (DEC, DEC),
        "availableToTrade": (DEC, DEC), "markPx": DEC,
    },
    "userRole": {"role": str, "data?": {"user": ADDR}},
    "extraAgents": [{"name": str, "address": ADDR, "validUntil": int}],
    "userAbstraction": "default",
    "userDexAbstraction": None,
    "webData2": WEB_DATA,
    "subAccounts": Maybe([SUB_ACCOUNT | {"clearinghouseState": ACCOUNT}]),
    "subAccounts2": Maybe([SUB_ACCOUNT | {"dexToClearinghouseState": [("", ACCOUNT)]}]),
    "userToMultiSigSigners": Maybe({"authorizedUsers": [ADDR], "threshold": int}),
    "maxBuilderFee": int,
    "approvedBuilders": [ADDR],
    "userVaultEquities": [{"vaultAddress": ADDR, "equity": DEC, "lockedUntilTimestamp": int}],
    "vaultDetails": Maybe(VAULT),
    "leadingVaults": [{"address": ADDR, "name": str}],
    "vaultSummaries": [
        {"name": str, "vaultAddress": ADDR, "leader": ADDR, "tvl": DEC, "isClosed": bool,
         "relationship": RELATIONSHIP, "createTimeMillis": int}
    ],
    "preTransferCheck": {
        "fee": DEC, "isSanctioned": bool, "userExists": bool, "userHasSentTx": bool,
    },
    "isVip": None,
    "legalCheck": {"acceptedTerms": bool, "userAllowed": bool, "restrictions": str},
    "delegatorSummary": {
        "delegated": DEC, "undelegated": DEC, "totalPendingWithdrawal": DEC,
        "nPendingWithdrawals": int,
    },
    "delegations": [dict],
    "delegatorRewards": [dict],
    "delegatorHistory": [dict],
    "openOrders": [OPEN_ORDER],
    "frontendOpenOrders": [FULL_ORDER],
    "orderStatus": {"status": str, "order?": ORDER_ROW},
    "historicalOrders": [ORDER_ROW],
    "userFills": [FILL],
    "userFillsByTime": [FILL],
    "recentTrades": [TRADE],
    "candleSnapshot": [CANDLE],
    "fundingHistory": [{"coin": str, "fundingRate": DEC, "premium": DEC, "time": int}],
    "userFunding": [FUNDING],
    "userNonFundingLedgerUpdates": [LEDGER],
    "userTwapSliceFills": [SLICE],
    "userTwapSliceFillsByTime": [SLICE],
    "twapHistory": [
        {"time": int, "state": TWAP, "status": {"status": str}, "twapId": int}
    ],
    "userFees": FEES,
    "userRateLimit": {
        "cumVlm": DEC, "nRequestsUsed": int, "nRequestsCap": int, "nRequestsSurplus": int,
    },
    "assistanceFund": FUND,
    "evmContracts": {
        "chainId": int, "ledgerChain": TX, "validators": [{"address": ADDR, "power": int}],
        "contracts": dict.fromkeys(
            ("usd", "token", "anchor", "bridge", "pool", "vault", "registry"), ADDR
        ),
    },
    "bridgeStatus": {
        "custody": DEC, "genesis": DEC, "grants": DEC, "deposits": {"count": int, "amount": DEC},
        "payouts": {"count": int, "amount": DEC}, "pending": [PENDING],
        "keeper": Maybe({"anchoredSize": int, "head": int, "notes": [str]}),
    },
    "anchorRequest": {"anchoredSize": int, "size": int, "root": TX, "proof": [TX], **APPROVAL},
    "withdrawalSignatures": Maybe({"withdrawal": PENDING, **APPROVAL}),
    "evmBuybacks": [{
        "number": int, "decision": TX, "spent": DEC, "bought": str, "burned": str, "block": int,
        "logIndex": int, "time": int,
    }],
    "portfolio": [(str, PERIOD)],
    "referral": {
        "referredBy": Maybe({"referrer": ADDR, "code": str}), "cumVlm": DEC,
        "unclaimedRewards": DEC, "claimedRewards": DEC, "builderRewards": DEC,
        "referrerState": {
            "stage": str,
            "data?": {"required?": DEC, "code?": str, "nReferrals?": int,
                      "referralStates?": [REFERRED]},
        },
        "rewardHistory": [{"earned": DEC, "vlm": DEC, "referralVlm": DEC, "time": int}],
        "tokenToState": [dict],
    },
    "vaultReport": Maybe(dict),
    "exchangeFees": {
        "schedule": FEES["feeSchedule"], "cameIn": {"*": DEC}, "went": {"*": DEC},
        "beside": {"*": DEC}, "burned": {"*": DEC},
    },
    "tokenDetails": Maybe({
        "name": str, "maxSupply": DEC, "totalSupply": DEC, "circulatingSupply": DEC,
        "szDecimals": int, "weiDecimals": int, "midPx": Maybe(DEC), "markPx": Maybe(DEC),
        "prevDayPx": Maybe(DEC), "genesis": None, "deployer": None, "deployGas": None,
        "deployTime": None, "seededUsdc": DEC, "nonCirculatingUserBalances": [list],
        "futureEmissions": DEC,
    }),
}  # fmt: skip
