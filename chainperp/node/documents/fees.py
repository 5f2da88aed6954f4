"""Fees of an account, referrals, and the ways of the exchange's fees.

Source: hyperliquid-api 5.4.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from chainperp.base.units import Address, format_decimal
from chainperp.chain.fee_flows import BESIDE, BURNED, IN, OUT, kept_by_fund
from chainperp.model.accounts import Account
from chainperp.model.arrangements import Referral
from chainperp.model.tokens import Token
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.parameters.schema import Parameters
from chainperp.state.store import State
from chainperp.transition.rates import rates_today

RATE_DECIMALS: Final = 6
BPS_DECIMALS: Final = 4
ZERO_DISCOUNT: Final = {"bpsOfMaxSupply": "0.0", "discount": "0.0"}
EPOCH: Final = date(1970, 1, 1)
NO_REFERRAL: Final = Referral()


def rate(millionths: int) -> str:
    """A rate as a fraction."""
    return format_decimal(millionths, RATE_DECIMALS)


def fraction(bps: int) -> str:
    """Basis points as a fraction."""
    return format_decimal(bps, BPS_DECIMALS)


def schedule(parameters: Parameters) -> Document:
    """The published rates: tiers by volume, rebates by share of maker volume, referrals."""
    perps, spot = parameters.fee_tiers, parameters.spot_fee_tiers
    cutoffs = sorted({row[0] for row in (*perps[1:], *spot[1:])})
    return {
        "cross": rate(perps[0][1]),
        "add": rate(perps[0][2]),
        "spotCross": rate(spot[0][1]),
        "spotAdd": rate(spot[0][2]),
        "tiers": {
            "vip": [_tier(cutoff, _at(perps, cutoff), _at(spot, cutoff)) for cutoff in cutoffs],
            "mm": [
                {"makerFractionCutoff": fraction(above), "add": rate(-rebate)}
                for above, rebate in parameters.maker_rebate_tiers
            ],
        },
        "referralDiscount": fraction(parameters.referral_discount_bps),
        "stakingDiscountTiers": [ZERO_DISCOUNT],
    }


def _at(tiers: tuple[tuple[int, int, int], ...], volume: int) -> tuple[int, int, int]:
    """The row that holds above a volume."""
    return [row for row in tiers if row[0] <= volume][-1]


def _tier(cutoff: int, perps: tuple[int, int, int], spot: tuple[int, int, int]) -> Document:
    return {
        "ntlCutoff": usd(cutoff),
        "cross": rate(perps[1]),
        "add": rate(perps[2]),
        "spotCross": rate(spot[1]),
        "spotAdd": rate(spot[2]),
    }


def user_fees(state: State, account: Account, days: list[Document]) -> Document:
    """An account's rates today, without its referral discount, the schedule behind them, and its
    volume of the last days."""
    rates = rates_today(state, account)
    return {
        "dailyUserVlm": days,
        "feeSchedule": schedule(state.parameters),
        "userCrossRate": rate(rates.taker),
        "userAddRate": rate(rates.maker),
        "userSpotCrossRate": rate(rates.spot_taker),
        "userSpotAddRate": rate(rates.spot_maker),
        "activeReferralDiscount": fraction(rates.discount),
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": ZERO_DISCOUNT,
    }


def volume_row(day: int, volume: int, made: int, exchange: int) -> Document:
    """Volume of one UTC day, as it counts for tiers."""
    return {
        "date": (EPOCH + timedelta(days=day)).isoformat(),
        "userCross": usd(volume - made),
        "userAdd": usd(made),
        "exchange": usd(exchange),
    }


def referral(state: State, address: Address, history: list[Document]) -> Document:
    """An account's part in referrals: who brought it, its code, whom it brought, its rewards."""
    own = state.referrals.get(address, NO_REFERRAL)
    account = state.accounts.get(address)
    referred_by = None
    if own.referrer is not None:
        code = state.referrals[own.referrer].code
        referred_by = {"referrer": hex_text(own.referrer), "code": code}
    return {
        "referredBy": referred_by,
        "cumVlm": usd(0 if account is None else account.volume_total),
        "unclaimedRewards": usd(own.unclaimed),
        "claimedRewards": usd(own.claimed),
        "builderRewards": "0.0",
        "referrerState": _stage(state, account, own),
        "rewardHistory": history,
        "tokenToState": [],
    }


def _stage(state: State, account: Account | None, own: Referral) -> Document:
    if own.code and account is not None:
        users = _referred(state, account.address)
        data = {"code": own.code, "nReferrals": own.users, "referralStates": users}
        return {"stage": "ready", "data": data}
    required = state.parameters.referral_volume_min
    if account is None or state.family_volume(account) < required:
        return {"stage": "needToTrade", "data": {"required": usd(required)}}
    return {"stage": "needToCreateCode"}


def _referred(state: State, referrer: Address) -> list[Document]:
    """Whom a referrer brought, in the order they came."""
    found = [
        (one.joined, address, one)
        for address, one in state.referrals.items()
        if one.referrer == referrer
    ]
    return [
        {
            "cumVlm": usd(state.accounts[address].volume_total),
            "cumRewardedFeesSinceReferred": usd(one.fees),
            "cumFeesRewardedToReferrer": usd(one.rewarded),
            "timeJoined": joined,
            "user": hex_text(address),
        }
        for joined, address, one in sorted(found, key=lambda row: row[:2])
    ]


def exchange_fees(parameters: Parameters, sums: Mapping[str, int], tokens: list[Token]) -> Document:
    """The schedule, and since genesis what came in by source and where it went; fees in a token
    are what was burned of it."""
    burned: dict[str, str] = {}
    for name, amount in sorted(sums.items()):
        if name.startswith(BURNED):
            token = tokens[int(name.removeprefix(BURNED))]
            burned[token.name] = format_decimal(amount, token.wei_decimals)
    return {
        "schedule": schedule(parameters),
        "cameIn": {name: usd(sums.get(name, 0)) for name in IN},
        "went": {
            **{name: usd(sums.get(name, 0)) for name in OUT},
            "assistance_fund": usd(kept_by_fund(dict(sums))),
        },
        "beside": {name: usd(sums.get(name, 0)) for name in BESIDE},
        "burned": burned,
    }
