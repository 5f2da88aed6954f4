"""ADM: which signed transactions are executed at all. Signatures are checked before (`wire`)."""

from bisect import bisect_left
from typing import Final

from chainperp.model.accounts import NonceSet
from chainperp.model.decisions import ACCEPTED, Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule

DISPLAY_NAME_MAX: Final = 20


@rule("ADM-1")
def check_nonce(nonces: NonceSet, nonce: int, time_ms: int, parameters: Parameters) -> Rejection:
    """A nonce is used once per key, lies within two days before and one day after block time, and
    is above the smallest of the 100 highest nonces that the key has used.

    The nonce is used up by inclusion, whatever the action's result (U-ACC-3).
    Rejects: too low, too high, duplicate, too low for a full set.
    Source: DOC[Nonces and API wallets], U-ACC-2.

    Example: at 1,700,000,000,000 the range is (1,699,827,200,000 ; 1,700,086,400,000), open.
    """
    if nonce <= time_ms - parameters.nonce_window_past_ms:
        return Rejection.NONCE_TOO_LOW
    if nonce >= time_ms + parameters.nonce_window_future_ms:
        return Rejection.NONCE_TOO_HIGH
    if nonce > nonces.highest:
        return ACCEPTED
    kept = nonces.kept
    place = bisect_left(kept, nonce)
    if kept[place] == nonce:
        return Rejection.NONCE_DUPLICATE
    if place == 0 and len(kept) >= parameters.nonces_kept:
        return Rejection.NONCE_TOO_LOW
    return ACCEPTED


@rule("ADM-2")
def check_authority(is_account: bool, is_agent_in_force: bool, is_user_signed: bool) -> Rejection:
    """An account acts for itself; an agent in force acts for its master, with signed actions of
    the trading kind only. Everybody else is a stranger.

    Source: DOC[Nonces and API wallets], hyperliquid-api 3.6.

    >>> check_authority(False, True, False).name, check_authority(False, True, True).name
    ('ACCEPTED', 'MUST_DEPOSIT')
    """
    if is_account or (is_agent_in_force and not is_user_signed):
        return ACCEPTED
    return Rejection.MUST_DEPOSIT if is_user_signed else Rejection.SIGNER_UNKNOWN


@rule("ADM-3")
def is_expired(expires_after: int | None, time_ms: int) -> bool:
    """An action with `expiresAfter` is refused once block time has passed it.

    Source: DOC[Exchange endpoint].

    >>> is_expired(100, 100), is_expired(100, 101), is_expired(None, 101)
    (False, True, False)
    """
    return expires_after is not None and time_ms > expires_after


@rule("ADM-4")
def check_agent(name: str, named: int, subs: int, valid_until: int, time_ms: int,
                parameters: Parameters) -> Rejection:  # fmt: skip
    """An account has one unnamed agent and three named ones, two more for each sub-account, each
    for at most 180 days; a new approval under a name replaces the old.

    `named` counts the other names in use, `subs` the sub-accounts.

    Rejects: too many, already expired, too far ahead.
    Source: DOC[Nonces and API wallets], hyperliquid-api 3.7.
    """
    if valid_until <= time_ms:
        return Rejection.AGENT_EXPIRED
    if valid_until > time_ms + parameters.agent_validity_max_ms:
        return Rejection.AGENT_NAME_INVALID
    limit = parameters.named_agents_max + subs * parameters.named_agents_per_sub_account
    if name and named >= limit:
        return Rejection.AGENT_TOO_MANY
    return ACCEPTED


@rule("ADM-5")
def check_own_key(is_agent: bool, is_for_owner: bool) -> Rejection:
    """An agent trades; opening, naming and funding sub-accounts and vaults, and the account's
    display name, need its own key.

    Whatever moves money out is user-signed and no agent's anyway (ADM-2).
    Source: CODE[SDK examples], reliability 10.1.

    >>> check_own_key(True, True).name, check_own_key(False, True).name
    ('AGENT_NOT_ALLOWED', 'ACCEPTED')
    """
    return Rejection.AGENT_NOT_ALLOWED if is_agent and is_for_owner else ACCEPTED


@rule("ADM-6")
def refusal_of(name: str) -> Rejection:
    """A well-formed action of a kind that the exchange does not carry out is refused by name, and
    its nonce is used up.

    Source: hyperliquid-api 9.1.

    >>> refusal_of("borrowLend").name
    'ACTION_NOT_OFFERED'
    """
    # Every kind has the same text today; `name` is here because the rule is about kinds.
    return Rejection.ACTION_NOT_OFFERED


@rule("ADM-7")
def is_display_name(name: str) -> bool:
    """An account may show a name of up to 20 printable ASCII characters without a space at its
    ends; an empty one takes it away. It says nothing about who it is.

    Source: hyperliquid-api 4.5, U-ACC-6 (which names).

    >>> is_display_name("Ann"), is_display_name(""), is_display_name(" Ann")
    (True, True, False)
    """
    return (
        len(name) <= DISPLAY_NAME_MAX
        and name == name.strip(" ")
        and all(" " <= letter <= "~" for letter in name)
    )
