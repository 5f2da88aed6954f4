"""SIG: accounts for which several keys sign together."""

from collections.abc import Sequence

from chainperp.base.units import Address
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule


@rule("SIG-1")
def check_multi_sig_users(
    users: Sequence[Address], threshold: int, owner: Address, known: int, parameters: Parameters
) -> Rejection:
    """An account becomes a multi-sig user of one to ten others, each an account and no agent, none
    twice and none itself, of whom one to all must sign.

    `known` counts the users that are accounts and no agents. The same action, in an envelope,
    changes the users, or with none makes a plain account again.
    Rejects: no users or a threshold out of range, too many, itself, a stranger.
    Source: DOC[Multi-sig], hyperliquid-api 3.4.
    """
    if len(users) > parameters.multi_sig_users_max:
        return Rejection.MULTI_SIG_TOO_MANY
    if owner in users:
        return Rejection.MULTI_SIG_SELF
    if known < len(users):
        return Rejection.MULTI_SIG_SIGNER_UNKNOWN
    if not 1 <= threshold <= len(users) or len(dict.fromkeys(users)) < len(users):
        return Rejection.MULTI_SIG_TERMS_INVALID
    return Rejection.ACCEPTED


@rule("SIG-2")
def check_envelope(
    users: Sequence[Address] | None, threshold: int, is_led: bool, signers: Sequence[Address]
) -> Rejection:
    """A multi-sig envelope is carried out as its user's own action when one of the authorised users
    leads it, himself or through an agent, and enough of them signed the action inside, each once.

    `users` is None for an account that is no multi-sig user. The leader's key signs the envelope
    and gives the nonce; his signature inside counts only if it is there. The effect, the class in
    the block and the answer are those of the action inside.
    Rejects: user, leader, a signer that is not authorised, too few or one twice.
    Source: DOC[Multi-sig], hyperliquid-api 3.4 and 3.6, U-SIG-1.
    """
    if users is None:
        return Rejection.MULTI_SIG_USER_INVALID
    if not is_led:
        return Rejection.MULTI_SIG_OUTER_INVALID
    if not all(one in users for one in signers):
        return Rejection.MULTI_SIG_INNER_INVALID
    if len(dict.fromkeys(signers)) < len(signers) or len(signers) < threshold:
        return Rejection.MULTI_SIG_THRESHOLD
    return Rejection.ACCEPTED


@rule("SIG-3")
def may_act_alone(is_multi_sig: bool, is_agent: bool) -> bool:
    """A multi-sig user's own key signs nothing alone; an agent that was approved through an
    envelope trades as any agent does.

    Source: DOC[Multi-sig], hyperliquid-api 3.4.

    >>> may_act_alone(True, False), may_act_alone(True, True), may_act_alone(False, False)
    (False, True, True)
    """
    return is_agent or not is_multi_sig
