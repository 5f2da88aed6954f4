"""Referral codes: registered, named, and paid for. Rewards go from the fund to the referrals' pot
at the end of a block, and from there to the referrer when it claims them."""

from chainperp.base.errors import ensure
from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import ClaimRewards, RegisterReferrer, SetReferrer
from chainperp.model.arrangements import Referral
from chainperp.model.decisions import Kind, LedgerType, ReferralEvent, Rejection, rule_number
from chainperp.rules.referrals import check_claim, check_new_code, check_referrer, referral_reward
from chainperp.state.store import ASSISTANCE_FUND, REFERRALS, State
from chainperp.transition.rates import set_terms
from chainperp.transition.recorder import Recorder
from chainperp.transition.transfers import move_cash

RULE_OF_EVENT = {
    ReferralEvent.CODE: rule_number("REF-1"),
    ReferralEvent.REFERRED: rule_number("REF-2"),
    ReferralEvent.REWARDED: rule_number("REF-4"),
}


def process_register_referrer(
    state: State, recorder: Recorder, account: Account, action: RegisterReferrer
) -> Rejection:
    """Register an account's code (REF-1)."""
    own = state.referrals.get(account.address)
    verdict = check_new_code(
        action.code,
        state.family_volume(account),
        own is not None and bool(own.code),
        action.code in state.referral_codes,
        state.parameters,
    )
    if verdict is not Rejection.ACCEPTED:
        return verdict
    referral = _open(state, account.address)
    referral.code = action.code
    state.referral_codes[action.code] = account.address
    _record(recorder, ReferralEvent.CODE, account.address, account.address, action.code)
    return Rejection.ACCEPTED


def process_set_referrer(
    state: State, recorder: Recorder, account: Account, action: SetReferrer
) -> Rejection:
    """Name an account's referrer (REF-2); the discount holds for its next trade."""
    referrer = state.referral_codes.get(action.code)
    own = state.referrals.get(account.address)
    verdict = check_referrer(
        referrer is not None,
        referrer == account.address,
        own is not None and own.referrer is not None,
    )
    if verdict is not Rejection.ACCEPTED or referrer is None:
        return verdict
    referral = _open(state, account.address)
    referral.referrer = referrer
    referral.joined = state.time_ms
    _open(state, referrer).users += 1
    rates = account.rates
    if rates.day == state.day:
        set_terms(state, account, rates)
        state.touch(account)
    _record(recorder, ReferralEvent.REFERRED, account.address, referrer, action.code)
    return Rejection.ACCEPTED


def process_claim_rewards(
    state: State, recorder: Recorder, account: Account, _action: ClaimRewards
) -> Rejection:
    """Pay a referrer all that it is owed (REF-5)."""
    referral = state.referrals.get(account.address)
    amount = 0 if referral is None else referral.unclaimed
    verdict = check_claim(amount, state.parameters)
    if verdict is Rejection.ACCEPTED and referral is not None:
        referral.unclaimed = 0
        referral.claimed += amount
        state.note("ref", account.address)
        pot = state.accounts[REFERRALS]
        move_cash(state, recorder, pot, account.address, amount, LedgerType.REFERRAL_CLAIM)
    return verdict


def owe_rewards(state: State, account: Account, fee: int, left: int) -> int:
    """Note what a trade of a referred account earns its referrer, and return it (REF-4)."""
    if fee <= 0:
        return 0
    reward = referral_reward(fee, left, account.rates.reward)
    fees, rewards = state.owed_rewards.get(account.address, (0, 0))
    state.owed_rewards[account.address] = fees + fee, rewards + reward
    return reward


def pay_rewards(state: State, recorder: Recorder) -> None:
    """Move what trades owe referrers since the last time, from the fund to the referrals' pot."""
    owed = state.owed_rewards
    if not owed:
        return
    total = 0
    for address in sorted(owed):
        fees, reward = owed[address]
        own = state.referrals[address]
        own.fees += fees
        own.rewarded += reward
        state.note("ref", address)
        referrer = own.referrer
        ensure(referrer is not None, "REF-4", "reward without a referrer", account=address.hex())
        if referrer is not None:
            state.referrals[referrer].unclaimed += reward
            state.note("ref", referrer)
            recorder.record(
                Kind.REFERRAL,
                {
                    "account": address,
                    "event": ReferralEvent.REWARDED,
                    "referrer": referrer,
                    "code": b"",
                    "fees": fees,
                    "amount": reward,
                    "rule": RULE_OF_EVENT[ReferralEvent.REWARDED],
                },
            )
        total += reward
    state.owed_rewards = {}
    if total:
        fund = state.accounts[ASSISTANCE_FUND]
        move_cash(state, recorder, fund, REFERRALS, total, LedgerType.REFERRAL_REWARD)


def _open(state: State, address: Address) -> Referral:
    state.note("ref", address)
    return state.referrals.setdefault(address, Referral())


def _record(
    recorder: Recorder, event: ReferralEvent, account: Address, referrer: Address, code: str
) -> None:
    fields = {"account": account, "event": event, "referrer": referrer, "fees": 0, "amount": 0}
    rule = RULE_OF_EVENT[event]
    recorder.record(Kind.REFERRAL, {**fields, "code": code.encode("ascii"), "rule": rule})
