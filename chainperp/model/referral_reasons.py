"""Why referrals refuse: the reasons of the REF rules. Part of `REASONS` in `model/decisions.py`."""

from typing import Final

from chainperp.model.rejections import Reason, Rejection

REFERRAL_REASONS: Final[dict[Rejection, Reason]] = {
    Rejection.REFERRAL_UNKNOWN: Reason("REF-2", "rejected", "Referral code not registered"),
    Rejection.NO_REWARDS: Reason("REF-5", "rejected", "No rewards to claim"),
    Rejection.REFERRAL_VOLUME: Reason(
        "REF-1", "rejected", "Cannot generate referral code until enough volume traded"
    ),
    Rejection.REFERRAL_CODE_INVALID: Reason("REF-1", "rejected", "Referral code is invalid."),
    Rejection.REFERRAL_CODE_TAKEN: Reason("REF-1", "rejected", "Referral code already registered"),
    Rejection.REFERRAL_CODE_HELD: Reason(
        "REF-1", "rejected", "Account already has a referral code."
    ),
    Rejection.REFERRER_HELD: Reason("REF-2", "rejected", "Referrer already set."),
    Rejection.REFERRER_SELF: Reason("REF-2", "rejected", "Cannot refer oneself."),
}
