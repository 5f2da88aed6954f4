"""The answer types of `hyperliquid_rust_sdk` 0.6.0, transcribed from its source: strict decoders.

serde's rules: a field is required unless it is an Option (then null or absence will do), keys that
no field has are ignored, a String takes only text, a u64 only a JSON integer from 0 to 2^64 - 1,
and an enum takes only its own variants. The crate itself is not built here: it pulls in some three
hundred others.
"""

import re
from collections.abc import Callable
from typing import Any, Final

Decode = Callable[[Any, str], None]
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class Undecodable(Exception):
    """What serde would report."""


def _fail(at: str, wanted: str, found: Any) -> Undecodable:
    return Undecodable(f"{at or 'answer'}: {wanted} wanted, was {found!r:.80}")


def string(value: Any, at: str) -> None:
    """String."""
    if type(value) is not str:
        raise _fail(at, "String", value)


def whole(bits: int) -> Decode:
    """u8, u32, u64, usize."""

    def decode(value: Any, at: str) -> None:
        if type(value) is not int or not 0 <= value < 1 << bits:
            raise _fail(at, f"u{bits}", value)

    return decode


def boolean(value: Any, at: str) -> None:
    """bool."""
    if type(value) is not bool:
        raise _fail(at, "bool", value)


def h160(value: Any, at: str) -> None:
    """H160 of ethers: 0x and 40 hex digits."""
    if type(value) is not str or not ADDRESS.fullmatch(value):
        raise _fail(at, "H160", value)


def h128(value: Any, at: str) -> None:
    """H128: 0x and 32 hex digits."""
    if type(value) is not str or not re.fullmatch(r"0x[0-9a-fA-F]{32}", value):
        raise _fail(at, "H128", value)


def option(inner: Decode) -> Decode:
    """Option: null or the thing."""

    def decode(value: Any, at: str) -> None:
        if value is not None:
            inner(value, at)

    decode.__doc__ = "option"
    return decode


def vec(inner: Decode, size: int | None = None) -> Decode:
    """Vec, or an array of a fixed size."""

    def decode(value: Any, at: str) -> None:
        if type(value) is not list or (size is not None and len(value) != size):
            raise _fail(at, "Vec", value)
        for place, item in enumerate(value):
            inner(item, f"{at}[{place}]")

    return decode


def mapping(inner: Decode) -> Decode:
    """HashMap<String, …>."""

    def decode(value: Any, at: str) -> None:
        if type(value) is not dict:
            raise _fail(at, "map", value)
        for key, item in value.items():
            inner(item, f"{at}.{key}")

    return decode


def struct(**fields: Decode) -> Decode:
    """A struct; a name that Python keeps for itself has an underscore behind it."""

    def decode(value: Any, at: str) -> None:
        if type(value) is not dict:
            raise _fail(at, "struct", value)
        for name, inner in fields.items():
            key = name.rstrip("_")
            if key not in value and inner.__doc__ != "option":
                raise Undecodable(f"{at}: missing field `{key}`")
            inner(value.get(key), f"{at}.{key}")

    return decode


def variants(units: tuple[str, ...] = (), **inners: Decode) -> Decode:
    """An externally tagged enum: a bare word, or an object with exactly one key."""

    def decode(value: Any, at: str) -> None:
        if type(value) is str and value in units:
            return
        if type(value) is not dict or len(value) != 1:
            raise _fail(at, "one variant", value)
        (name,) = value
        if name not in inners:
            raise Undecodable(f"{at}: unknown variant `{name}`")
        inners[name](value[name], f"{at}.{name}")

    return decode


def tagged(tag: str, **inners: Decode) -> Decode:
    """An internally tagged enum."""

    def decode(value: Any, at: str) -> None:
        name = value.get(tag) if type(value) is dict else None
        if name not in inners:
            raise Undecodable(f"{at}: unknown variant `{name}`")
        inners[name](value, at)

    return decode


def first_of(*inners: Decode) -> Decode:
    """An untagged enum: the first form that fits."""

    def decode(value: Any, at: str) -> None:
        errors: list[str] = []
        for inner in inners:
            try:
                return inner(value, at)
            except Undecodable as error:
                errors.append(str(error))
        raise Undecodable(f"{at}: no variant fits: " + "; ".join(errors))

    return decode


u8, u32, u64 = whole(8), whole(32), whole(64)

# --- exchange_responses.rs ------------------------------------------------------------------------

STATUS: Final = variants(
    ("success", "waitingForFill", "waitingForTrigger"),
    error=string,
    resting=struct(oid=u64),
    filled=struct(totalSz=string, avgPx=string, oid=u64),
)
RESPONSE: Final = struct(type_=string, data=option(struct(statuses=vec(STATUS))))


def exchange_response(value: Any, at: str) -> None:
    """ExchangeResponseStatus: adjacently tagged by status and response."""
    if type(value) is not dict or value.get("status") not in ("ok", "err"):
        raise _fail(at, "status ok or err", value)
    (RESPONSE if value["status"] == "ok" else string)(value.get("response"), at + ".response")


# --- meta.rs --------------------------------------------------------------------------------------

META: Final = struct(universe=vec(struct(name=string, szDecimals=u32)))
SPOT_META: Final = struct(
    universe=vec(struct(tokens=vec(u64, 2), name=string, index=u64, isCanonical=boolean)),
    tokens=vec(
        struct(name=string, szDecimals=u8, weiDecimals=u8, index=u64, tokenId=h128,
               isCanonical=boolean)
    ),
)  # fmt: skip
SPOT_CONTEXT: Final = struct(
    dayNtlVlm=string, markPx=string, midPx=option(string), prevDayPx=string,
    circulatingSupply=string, coin=string,
)  # fmt: skip

# --- info/response_structs.rs, info/sub_structs.rs ------------------------------------------------

LEVEL: Final = struct(n=u64, px=string, sz=string)
MARGIN: Final = struct(
    accountValue=string, totalMarginUsed=string, totalNtlPos=string, totalRawUsd=string
)
POSITION: Final = struct(
    coin=string, entryPx=option(string),
    leverage=struct(type_=string, value=u32, rawUsd=option(string)),
    liquidationPx=option(string), marginUsed=string, positionValue=string, returnOnEquity=string,
    szi=string, unrealizedPnl=string, maxLeverage=u32,
    cumFunding=struct(allTime=string, sinceOpen=string, sinceChange=string),
)  # fmt: skip
ORDER_INFO: Final = struct(
    order=struct(
        coin=string, side=string, limitPx=string, sz=string, oid=u64, timestamp=u64,
        triggerCondition=string, isTrigger=boolean, triggerPx=string, isPositionTpsl=boolean,
        reduceOnly=boolean, orderType=string, origSz=string, tif=string, cloid=option(string),
    ),
    status=string,
    statusTimestamp=u64,
)  # fmt: skip
INFO: Final[dict[str, Decode]] = {
    "meta": META,
    "spotMeta": SPOT_META,
    "spotMetaAndAssetCtxs": vec(first_of(SPOT_META, vec(SPOT_CONTEXT))),
    "allMids": mapping(string),
    "openOrders": vec(
        struct(coin=string, limitPx=string, oid=u64, side=string, sz=string, timestamp=u64)
    ),
    "clearinghouseState": struct(
        assetPositions=vec(struct(position=POSITION, type_=string)),
        crossMarginSummary=MARGIN,
        marginSummary=MARGIN,
        withdrawable=string,
    ),
    "spotClearinghouseState": struct(
        balances=vec(struct(coin=string, hold=string, total=string, entryNtl=string))
    ),
    "userFees": struct(
        activeReferralDiscount=string,
        dailyUserVlm=vec(struct(date=string, exchange=string, userAdd=string, userCross=string)),
        feeSchedule=struct(
            add=string,
            cross=string,
            referralDiscount=string,
            tiers=struct(
                mm=vec(struct(add=string, makerFractionCutoff=string)),
                vip=vec(struct(add=string, cross=string, ntlCutoff=string)),
            ),
        ),
        userAddRate=string,
        userCrossRate=string,
    ),
    "userFills": vec(
        struct(
            closedPnl=string, coin=string, crossed=boolean, dir=string, hash=string, oid=u64,
            px=string, side=string, startPosition=string, sz=string, time=u64, fee=string,
        )
    ),
    "fundingHistory": vec(struct(coin=string, fundingRate=string, premium=string, time=u64)),
    "userFunding": vec(
        struct(
            time=u64,
            hash=string,
            delta=struct(type_=string, coin=string, usdc=string, szi=string, fundingRate=string),
        )
    ),
    "recentTrades": vec(
        struct(coin=string, side=string, px=string, sz=string, time=u64, hash=string)
    ),
    "l2Book": struct(coin=string, levels=vec(vec(LEVEL)), time=u64),
    "candleSnapshot": vec(
        struct(t=u64, T=u64, s=string, i=string, o=string, c=string, h=string, l=string, v=string,
               n=u64)
    ),
    "orderStatus": struct(status=string, order=option(ORDER_INFO)),
    "historicalOrders": vec(ORDER_INFO),
    "referral": struct(
        referredBy=option(struct(referrer=h160, code=string)),
        cumVlm=string,
        unclaimedRewards=string,
        claimedRewards=string,
        referrerState=struct(stage=string, data=struct(required=string)),
    ),
}  # fmt: skip

# --- ws/sub_structs.rs ----------------------------------------------------------------------------

TRADE_INFO: Final = struct(
    coin=string, side=string, px=string, sz=string, time=u64, hash=string, startPosition=string,
    dir=string, closedPnl=string, oid=u64, cloid=option(string), crossed=boolean, fee=string,
    feeToken=string, tid=u64,
)  # fmt: skip
FUNDING: Final = struct(time=u64, coin=string, usdc=string, szi=string, fundingRate=string)
SHARED: Final = {
    "dayNtlVlm": string, "prevDayPx": string, "markPx": string, "midPx": option(string),
}  # fmt: skip
USD: Final = struct(usdc=string)
LEDGER: Final = tagged(
    "type",
    deposit=USD,
    withdraw=struct(usdc=string, nonce=u64, fee=string),
    internalTransfer=struct(usdc=string, user=h160, destination=h160, fee=string),
    subAccountTransfer=struct(usdc=string, user=h160, destination=h160),
    vaultDeposit=struct(vault=h160, usdc=string),
    vaultCreate=struct(vault=h160, usdc=string),
    vaultDistribution=struct(vault=h160, usdc=string),
    accountClassTransfer=struct(usdc=string, toPerp=boolean),
)
WS: Final[dict[str, Decode]] = {
    "trades": vec(
        struct(coin=string, side=string, px=string, sz=string, time=u64, hash=string, tid=u64)
    ),
    "l2Book": struct(coin=string, time=u64, levels=vec(vec(LEVEL))),
    "allMids": struct(mids=mapping(string)),
    "user": variants(
        fills=vec(TRADE_INFO),
        funding=FUNDING,
        nonUserCancel=vec(struct(coin=string, oid=u64)),
    ),
    "userFills": struct(isSnapshot=option(boolean), user=h160, fills=vec(TRADE_INFO)),
    "candle": struct(
        T=u64, c=string, h=string, i=string, l=string, n=u64, o=string, s=string, t=u64, v=string
    ),
    "orderUpdates": vec(
        struct(
            order=struct(
                coin=string, side=string, limitPx=string, sz=string, oid=u64, timestamp=u64,
                origSz=string, cloid=option(string),
            ),
            status=string,
            statusTimestamp=u64,
        )
    ),
    "userFundings": struct(isSnapshot=option(boolean), user=h160, fundings=vec(FUNDING)),
    "userNonFundingLedgerUpdates": struct(
        isSnapshot=option(boolean),
        user=h160,
        nonFundingLedgerUpdates=vec(struct(time=u64, hash=string, delta=LEDGER)),
    ),
    "webData2": struct(user=h160),
    "activeAssetCtx": struct(
        coin=string,
        ctx=first_of(
            struct(**SHARED, funding=string, openInterest=string, oraclePx=string),
            struct(**SHARED, circulatingSupply=string),
        ),
    ),
}  # fmt: skip
"""Data by channel. Any other channel than these and `subscriptionResponse`, `pong` is an error."""
