"""SUB: accounts without a key of their own, which a master trades and funds."""

from typing import Final

from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import floor_div
from chainperp.base.units import Address
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule
from chainperp.rules.transfers import check_send

NAME_MAX: Final = 16


@rule("SUB-1")
def check_new_sub_account(name: str, count: int, volume: int, parameters: Parameters) -> Rejection:
    """An account that has traded 100,000 USDC, its sub-accounts included, may have ten of them, one
    more for each further 100M USDC, at most 50.

    `count` is how many it has. A name has 1 to 16 printable ASCII characters, no space at its ends.
    Rejects: too little volume, too many, a name that is none.
    Source: DOC[Sub-accounts], hyperliquid-api 4.2, U-SUB-1 (which names).
    """
    if volume < parameters.sub_account_volume_min:
        return Rejection.SUB_VOLUME
    earned = floor_div(volume, parameters.sub_accounts_volume_step)
    if count >= min(parameters.sub_accounts_base + earned, parameters.sub_accounts_max):
        return Rejection.SUB_TOO_MANY
    return Rejection.ACCEPTED if is_sub_account_name(name) else Rejection.SUB_NAME_INVALID


def is_sub_account_name(name: str) -> bool:
    """Whether a name has 1 to 16 printable ASCII characters and no space at its ends."""
    return (
        0 < len(name) <= NAME_MAX
        and name == name.strip(" ")
        and all(" " <= letter <= "~" for letter in name)
    )


@rule("SUB-2")
def sub_account_address(master: bytes, number: int) -> Address:
    """A sub-account's address follows from its master's and its number, counted from 0; nobody has
    a key to it.

    Formula: the first 20 bytes of SHA-256("chainperp/v1/sub" 00 || master || u32 number). Money
    that was sent there before is the sub-account's from the start.
    Source: OURS: the address is a function of committed state (U-SUB-2).

    >>> sub_account_address(bytes(20), 0).hex()
    '5f42749e409863185312412fbecf2a6f3f760447'
    """
    return Address(tagged_hash("sub", master + number.to_bytes(4, "big"))[:20])


@rule("SUB-3")
def check_sub_account_transfer(amount: int, available: int, is_own: bool) -> Rejection:
    """A master moves USDC to its sub-account and back, without a fee; what may leave is what a send
    could take (TRF-1).

    `is_own`: the sub-account is the master's. Rejects: another's, no amount, too little.
    Source: DOC[Sub-accounts], hyperliquid-api 4.2.

    >>> check_sub_account_transfer(5, 5, True).name, check_sub_account_transfer(5, 5, False).name
    ('ACCEPTED', 'SUB_NOT_REGISTERED')
    """
    if not is_own:
        return Rejection.SUB_NOT_REGISTERED
    if amount == 0:
        return Rejection.SUB_TRANSFER_INVALID
    return check_send(amount, available, False)


@rule("SUB-4")
def check_on_behalf(is_own: bool, is_trading: bool) -> Rejection:
    """Whoever may trade for a master, itself or an agent, may trade for each of its sub-accounts by
    naming it as `vaultAddress`; nothing else is done in a sub-account's name.

    Trading is: orders, cancels, modifies, TWAP orders, leverage, isolated margin, the dead man's
    switch, noop.
    Source: DOC[Sub-accounts], hyperliquid-api 3.6, reliability 10.1.

    >>> check_on_behalf(False, True).name, check_on_behalf(True, False).name
    ('VAULT_NOT_REGISTERED', 'NOT_FOR_SUB')
    """
    if not is_own:
        return Rejection.VAULT_NOT_REGISTERED
    return Rejection.ACCEPTED if is_trading else Rejection.NOT_FOR_SUB
