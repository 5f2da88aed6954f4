"""VLT: vaults: how they begin, what a share costs and is worth, who may put in and take out.

Shares are whole. Both ways between money and shares are rounded so that the others never pay for
it, and so that the one who moves loses less than one micro-USDC, whatever a share is worth: a
deposit takes only what its whole shares cost, a withdrawal pays what its whole shares are worth.
Closing positions for somebody who leaves is in `rules/vault_closing.py`.
"""

from typing import Final, NamedTuple

from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import Address
from chainperp.model.decisions import Rejection
from chainperp.model.tokens import SPOT_FIRST
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule

NAME_LENGTH: Final = (3, 50)
DESCRIPTION_LENGTH: Final = (10, 250)
SHARES_PER_UNIT_MAX: Final = 1_000_000
# Ranges of characters that are not text to be shown: controls, direction marks, invisible ones.
UNSHOWN: Final = (
    (0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x061C, 0x061C), (0x180E, 0x180E), (0x200B, 0x200F),
    (0x2028, 0x202E), (0x2060, 0x206F), (0xD800, 0xDFFF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFF0, 0xFFFF), (0xE0000, 0xE0FFF),
)  # fmt: skip


class Standing(NamedTuple):
    """A vault as a deposit or withdrawal finds it: value in micro-USDC with all members, shares in
    all, whether a scope of it is below maintenance, and whether its positions have young prices."""

    value: int
    shares: int
    is_liquidatable: bool
    is_fresh: bool


@rule("VLT-1")
def check_new_vault(
    name: str, description: str, initial: int, available: int, parameters: Parameters
) -> Rejection:
    """Whoever has 10,000 USDC for the creation fee and at least 100 USDC for the first deposit may
    open a vault and lead it; the fee goes the way of trading fees.

    A name has 3 to 50 characters, a description 10 to 250; controls, direction marks and invisible
    characters are refused, line ends in a description are not; no space at an end of the name.
    `available` is withdrawable (MRG-5). Rejects: a text that is none, too small a deposit, too
    little available. Source: DOC[For vault leaders], hyperliquid-api 4.2, U-VLT-7 (which texts).
    """
    if name != name.strip(" ") or not _is_shown(name, NAME_LENGTH):
        return Rejection.VAULT_TEXT_INVALID
    if not _is_shown(description.replace("\n", " "), DESCRIPTION_LENGTH):
        return Rejection.VAULT_TEXT_INVALID
    if initial < parameters.vault_initial_min:
        return Rejection.VAULT_INITIAL_TOO_SMALL
    needed = initial + parameters.vault_creation_fee
    return Rejection.ACCEPTED if needed <= available else Rejection.VAULT_CREATION_BALANCE


def _is_shown(text: str, length: tuple[int, int]) -> bool:
    """Whether a text has that many characters, all of them shown."""
    if not length[0] <= len(text) <= length[1]:
        return False
    return not any(first <= ord(one) <= last for one in text for first, last in UNSHOWN)


@rule("VLT-2")
def vault_address(leader: bytes, number: int) -> Address:
    """A vault's address follows from its leader's and its number, counted from 0; nobody has a key
    to it.

    Formula: the first 20 bytes of SHA-256("chainperp/v1/vault" 00 || leader || u32 number). Money
    that was sent there before is in the first deposit's shares.
    Source: OURS: the address is a function of committed state (U-VLT-8).

    >>> vault_address(bytes(20), 0).hex()
    '4b080d460d4ab1e70b6558e7863b0adbbe8065a1'
    """
    return Address(tagged_hash("vault", leader + number.to_bytes(4, "big"))[:20])


@rule("VLT-3")
def shares_bought(amount: int, value: int, shares: int) -> tuple[int, int]:
    """A deposit buys as many whole shares as it pays for at the vault's value before it, and costs
    what they cost; the first makes one share of each micro-USDC that the vault is worth with it.

    Returns the shares and their cost. `value` is positive when there are shares.
    Formula: bought = amount * shares / value; cost = bought * value / shares.
    Rounding: shares down, their cost up: the price of the others' shares never falls, and what
    does not pay for a share stays with the depositor (U-REL-3).
    Source: U-VLT-1, U-VLT-9 (only the cost is taken), INV-V2.

    Example: 100 into a vault of 900 with 900 shares; 5 units where a share is worth 2.

    >>> shares_bought(100, 900, 900), shares_bought(5, 18, 9), shares_bought(100, 7, 0)
    ((100, 100), (2, 4), (107, 100))
    """
    if shares == 0:
        return amount + value, amount
    bought = floor_div(amount * shares, value)
    return bought, ceil_div(bought * value, shares)


@rule("VLT-4")
def equity(held: int, value: int, shares: int) -> int:
    """What a holder's shares are worth: his part of the vault's value at the marks; nothing while
    that is negative.

    Formula: held * value / shares. Rounding: down, so that all together are never worth more than
    the vault. Source: U-VLT-1, INV-V5.

    >>> equity(1, 1_999, 3), equity(3, -5, 3)
    (666, 0)
    """
    return floor_div(held * value, shares) if shares and value > 0 else 0


@rule("VLT-5")
def shares_redeemed(amount: int, held: int, value: int, shares: int) -> tuple[int, int]:
    """A withdrawal redeems as few whole shares as are worth what was asked, and pays what they are
    worth; asking for all of one's equity redeems all shares.

    Returns the shares and their worth. `amount` is at most the equity. Rounding: shares up, their
    worth down. Source: U-VLT-1, U-VLT-9, INV-V3.

    Example: 200 of 1,000 shares of a vault of 2,000; 3 units where a share is worth 2.

    >>> shares_redeemed(200, 1_000, 2_000, 1_000), shares_redeemed(3, 9, 18, 9)
    ((100, 200), (2, 4))
    >>> shares_redeemed(66, 100, 200, 300)
    (100, 66)
    """
    if amount == equity(held, value, shares):
        return held, amount
    redeemed = min(held, ceil_div(amount * shares, value))
    return redeemed, equity(redeemed, value, shares)


@rule("VLT-6")
def commission(amount: int, redeemed: int, held: int, basis: int, percent: int) -> tuple[int, int]:
    """The leader gets 10 % of what a holder's shares made over what they cost, when they are paid
    out; what a part of them cost is that part of the basis, so no profit is charged twice.

    Returns the commission, and the part of the basis that is used up. `amount` is what is paid for
    `redeemed` of `held` shares, closing costs off; a loss is not charged. `percent` is 0 for the
    leader himself and for the liquidity vault.
    Rounding: the basis used up, the commission down, both for the holder.
    Source: DOC[For vault depositors], U-VLT-2, INV-V7.

    Example: 100 into 900; the vault grows to 2,000; 200 taken out cost 10.

    >>> commission(200_000_000, 100, 100, 100_000_000, 10)
    (10000000, 100000000)
    >>> commission(50, 1, 2, 101, 10)
    (0, 51)
    """
    part = ceil_div(basis * redeemed, held)
    return floor_div(max(0, amount - part) * percent, 100), part


@rule("VLT-7")
def is_leader_share_enough(leader_shares: int, shares: int, parameters: Parameters) -> bool:
    """The leader holds at least 5 % of the shares and at least 10^8 of them, after everything that
    he does and after every deposit of others; he who wants less closes the vault.

    So that somebody who trades with others' money loses his own too, and no vault is left with a
    few shares. Source: DOC[For vault leaders], U-REL-3, INV-V6, INV-V12.
    """
    is_part = leader_shares * 100 >= shares * parameters.vault_leader_percent
    return is_part and leader_shares >= parameters.vault_shares_min


@rule("VLT-8")
def unlocks_at(now_ms: int, is_liquidity_vault: bool, parameters: Parameters) -> int:
    """A deposit locks all that its holder has in the vault for one day, in the liquidity vault for
    four; block time decides, and the first moment after the lock-up is free.

    Source: DOC[For vault depositors], DOC[Protocol vaults], INV-V8.
    """
    if is_liquidity_vault:
        return now_ms + parameters.liquidity_vault_lockup_ms
    return now_ms + parameters.vault_lockup_ms


@rule("VLT-9")
def check_vault_deposit(
    amount: int, available: int, standing: Standing, allows: bool, is_full: bool,
    parameters: Parameters,
) -> Rejection:  # fmt: skip
    """A deposit is at least 1 USDC of withdrawable money, into a vault that takes deposits, is
    worth something, is not below maintenance and has a fresh price for all that it holds.

    `allows`: the leader takes deposits; `is_full`: this would be one holder too many. Shares worth
    less than 10^-6 units are not sold: their number would outgrow every field.
    Rejects in this order: an amount too small, deposits off, below maintenance or without value, no
    fresh price, worthless shares, too many holders, too little money.
    Source: U-VLT-4, INV-V9, U-VLT-10 (minimum, number of holders), hyperliquid-api 4.2.
    """
    if amount < parameters.vault_transfer_min:
        return Rejection.VAULT_AMOUNT_TOO_SMALL
    if not allows:
        return Rejection.VAULT_DEPOSITS_OFF
    if standing.is_liquidatable or (standing.shares and standing.value <= 0):
        return Rejection.VAULT_DEPOSIT_LIQUIDATABLE
    if not standing.is_fresh:
        return Rejection.VAULT_NO_PRICE
    if standing.shares > standing.value * SHARES_PER_UNIT_MAX and standing.shares:
        return Rejection.VAULT_WORTHLESS
    if is_full:
        return Rejection.VAULT_FULL
    return Rejection.ACCEPTED if amount <= available else Rejection.VAULT_DEPOSIT_BALANCE


@rule("VLT-10")
def check_vault_withdrawal(
    amount: int, held: int, standing: Standing, locked_until: int, now_ms: int,
    parameters: Parameters,
) -> Rejection:  # fmt: skip
    """A holder takes out at most what his shares are worth, at least 1 USDC unless it is all, after
    his lock-up, and not while the vault is below maintenance, worthless or without a fresh price.

    Rejects in this order: no shares or more than they are worth, lock-up, below maintenance, no
    fresh price, an amount too small.
    Source: U-VLT-4, INV-V8, INV-V9, U-VLT-10, hyperliquid-api 4.2.
    """
    worth = equity(held, standing.value, standing.shares)
    if held and (standing.is_liquidatable or standing.value <= 0):
        return Rejection.VAULT_WITHDRAWAL_LIQUIDATABLE
    if amount > worth or amount == 0:
        return Rejection.VAULT_EQUITY
    if now_ms < locked_until:
        return Rejection.VAULT_LOCKED
    if not standing.is_fresh:
        return Rejection.VAULT_NO_PRICE
    if amount < parameters.vault_transfer_min and amount < worth:
        return Rejection.VAULT_AMOUNT_TOO_SMALL
    return Rejection.ACCEPTED


@rule("VLT-11")
def daily_withdrawal_left(day_value: int, day_paid: int, percent: int) -> int:
    """Of the liquidity vault at most 10 % of what it was worth at the start of the UTC day leaves
    on that day, for all holders together.

    It does not sell for those who leave: it pays out of the money that the parent may withdraw.
    Rounding: down. Source: RE-HYP (hyperliquid-protocol 8.2), U-VLT-11.

    >>> daily_withdrawal_left(1_000, 60, 10), daily_withdrawal_left(1_000, 100, 10)
    (40, 0)
    """
    return max(0, floor_div(max(0, day_value) * percent, 100) - day_paid)


@rule("VLT-12")
def check_distribution(
    amount: int, available: int, value: int, is_leader: bool, parameters: Parameters
) -> Rejection:
    """Only the leader changes a vault's settings, pays out to all holders, or closes it. A payment
    is at least 1 USDC, at most what the vault may withdraw, and leaves 100 USDC of value.

    Rejects: another than the leader, an amount too small, more than can be paid.
    Source: DOC[For vault leaders], hyperliquid-api 4.2, U-VLT-12.
    """
    if not is_leader:
        return Rejection.VAULT_NOT_LEADER
    if amount < parameters.vault_transfer_min:
        return Rejection.VAULT_AMOUNT_TOO_SMALL
    if amount > available or value - amount < parameters.vault_initial_min:
        return Rejection.VAULT_CASH
    return Rejection.ACCEPTED


@rule("VLT-13")
def distribution_part(
    amount: int, value: int, held: int, shares: int, basis: int
) -> tuple[int, int]:
    """A distribution pays every holder his part and leaves all shares as they are; the part of his
    basis that goes with it is the part of the vault's value that is paid out.

    Returns the money and the basis, for the commission of VLT-6. Rounding: money down, the rest
    stays in the vault; basis up, for the holder. Source: DOC[For vault leaders], U-VLT-12, INV-V7.

    >>> distribution_part(100, 1_000, 1, 3, 200)
    (33, 20)
    """
    return floor_div(amount * held, shares), ceil_div(basis * amount, value)


@rule("VLT-14")
def may_trade_asset(asset: int) -> bool:
    """A vault trades perpetuals only. Its leader and the leader's agents trade it by naming it as
    `vaultAddress`, as a master does for a sub-account; nobody sends money out of it in its name.

    Its volume is its own and no part of the leader's; its orders pay no builder.
    Source: DOC[Vaults], hyperliquid-api 3.6, INV-V11.

    >>> may_trade_asset(0), may_trade_asset(10_001)
    (True, False)
    """
    return asset < SPOT_FIRST
