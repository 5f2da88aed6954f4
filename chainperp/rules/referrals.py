"""REF: codes by which accounts bring others, what the others save, and what it earns."""

from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import BPS_ONE, Parameters
from chainperp.rules.catalogue import rule

CODE_MAX: Final = 20


@rule("REF-1")
def check_new_code(
    code: str, traded: int, has_code: bool, is_taken: bool, parameters: Parameters
) -> Rejection:
    """An account that has traded 10,000 USDC, its sub-accounts included, may register one code,
    once.

    A code has 1 to 20 of the letters A to Z and digits, and is one account's for ever.
    Rejects: too little volume, a second code, a code that is none, another's code.
    Source: DOC[Referrals], hyperliquid-api 4.2, U-REF-1 (which codes).
    """
    if traded < parameters.referral_volume_min:
        return Rejection.REFERRAL_VOLUME
    if has_code:
        return Rejection.REFERRAL_CODE_HELD
    if not is_code(code):
        return Rejection.REFERRAL_CODE_INVALID
    return Rejection.REFERRAL_CODE_TAKEN if is_taken else Rejection.ACCEPTED


def is_code(code: str) -> bool:
    """Whether a text has the form of a code."""
    return 0 < len(code) <= CODE_MAX and all("A" <= one <= "Z" or "0" <= one <= "9" for one in code)


@rule("REF-2")
def check_referrer(is_registered: bool, is_own: bool, has_referrer: bool) -> Rejection:
    """An account names its referrer by code, once and for ever; not itself. A sub-account or vault
    names none: the action is the owner's (SUB-4).

    Rejects: a code that nobody has, the account's own, a second referrer.
    Source: DOC[Referrals], hyperliquid-api 4.2.

    >>> check_referrer(True, False, False).name, check_referrer(False, False, True).name
    ('ACCEPTED', 'REFERRAL_UNKNOWN')
    """
    if not is_registered:
        return Rejection.REFERRAL_UNKNOWN
    if is_own:
        return Rejection.REFERRER_SELF
    return Rejection.REFERRER_HELD if has_referrer else Rejection.ACCEPTED


@rule("REF-3")
def referral_terms(has_referrer: bool, traded: int, parameters: Parameters) -> tuple[int, int]:
    """A referred account pays 4 % less on the UTC days that it begins with less than 25M USDC
    traded; its referrer gets 10 % of its fees on those that it begins with less than 1B.

    Both hold from the moment that it names its referrer. `traded` is its own volume at that moment,
    and later at the first trade of each day; its sub-accounts have neither. Returns the discount
    and the reward, in basis points of the fee.
    Source: DOC[Fees], DOC[Referrals], U-FEE-8 (when the limits take hold).
    """
    if not has_referrer:
        return 0, 0
    discount = parameters.referral_discount_bps
    reward = parameters.referral_reward_bps
    return (
        discount if traded < parameters.referral_discount_volume else 0,
        reward if traded < parameters.referral_reward_volume else 0,
    )


@rule("REF-4")
def referral_reward(fee: int, left: int, reward_bps: int) -> int:
    """A referrer gets its share of the fee that its account paid on a trade, discount and rebate
    already taken off.

    `left` is what the trade has brought so far, after a maker's rebate and another reward: no trade
    pays out more than it brings. A rebate earns nothing, nor does a fee in a token: it is burned.
    Amounts are in micro-USDC. The rewards of a block's trades move
    together at its end. Rounding: down, at each trade, so the residue is the fund's.
    Source: DOC[Referrals], U-REF-2.

    >>> referral_reward(4_320_000, 5_820_000, 1000), referral_reward(100, 7, 1000)
    (432000, 7)
    """
    return min(floor_div(fee * reward_bps, BPS_ONE), left) if fee > 0 else 0


@rule("REF-5")
def check_claim(unclaimed: int, parameters: Parameters) -> Rejection:
    """A referrer claims all its rewards at once, from 1 USDC; they are added to its cash.

    Source: DOC[Referrals], hyperliquid-api 4.2, U-REF-3 (to which cell).
    """
    if unclaimed < max(parameters.referral_claim_min, 1):
        return Rejection.NO_REWARDS
    return Rejection.ACCEPTED
