"""TRF: money between accounts and across the border of the exchange."""

from chainperp.model.bridge import CANCELLED, PAID
from chainperp.model.decisions import Rejection, SystemType
from chainperp.model.tokens import USDC
from chainperp.rules.catalogue import rule

AMOUNT_MAX = 2**62
BARE = (SystemType.DEPOSIT, SystemType.WITHDRAWAL_DONE)
CITED = (SystemType.BRIDGE_DEPOSIT, SystemType.BRIDGE_PAYOUT, SystemType.EVM_BUYBACK)


@rule("TRF-1")
def check_send(amount: int | None, available: int, is_same_account: bool) -> Rejection:
    """A send moves a positive amount that is withdrawable, to another account.

    Rejects: not an amount, destination equals source, too little withdrawable.
    Source: DOC[Exchange endpoint], MRG-5.

    >>> check_send(5, 5, False).name, check_send(6, 5, False).name, check_send(0, 5, False).name
    ('ACCEPTED', 'BALANCE_TRANSFER', 'AMOUNT_INVALID')
    """
    if amount is None or amount <= 0:
        return Rejection.AMOUNT_INVALID
    if is_same_account:
        return Rejection.DESTINATION_INVALID
    return Rejection.ACCEPTED if amount <= available else Rejection.BALANCE_TRANSFER


@rule("TRF-2")
def activation_fee(is_new: bool, fee: int) -> int:
    """The first send to an address that never existed costs the sender 1 USDC besides the amount.

    Source: DOC[Activation gas fee], U-ACC-4 (the sender pays).

    >>> activation_fee(True, 1_000_000), activation_fee(False, 1_000_000)
    (1000000, 0)
    """
    return fee if is_new else 0


@rule("TRF-3")
def check_withdrawal(amount: int | None, available: int, fee: int, is_payable: bool) -> Rejection:
    """A withdrawal is debited at once; the fee of 1 USDC is taken from it, so it must exceed it. It
    names an address that can be paid: not the empty one, nor the bridge itself.

    Until it is paid out it is a cell of the custody sum. Source: DOC[USDC], CODE[Bridge2], U-BR-7.

    >>> check_withdrawal(2_000_000, 2_000_000, 1_000_000, True).name
    'ACCEPTED'
    >>> check_withdrawal(1_000_000, 2_000_000, 1_000_000, True).name
    'AMOUNT_INVALID'
    """
    if not is_payable:
        return Rejection.DESTINATION_INVALID
    if amount is None or amount <= fee:
        return Rejection.AMOUNT_INVALID
    return Rejection.ACCEPTED if amount <= available else Rejection.BALANCE_WITHDRAWAL


@rule("TRF-4")
def is_next_deposit(nonce: int, deposits: int) -> bool:
    """Deposits are credited once each, in the order of their sequence number outside.

    A deposit of the bridge is credited to its beneficiary, whoever paid; what names the account of
    referrals is the assistance fund's. Source: audit-log-and-consensus T13, U-BR-4, U-BR-8.

    >>> is_next_deposit(1, 0), is_next_deposit(3, 1)
    (True, False)
    """
    return nonce == deposits + 1


@rule("TRF-5")
def check_class_transfer(amount: int | None, available: int) -> Rejection:
    """An account has two cells of USDC: the margin of its perpetuals, and a spot balance, which is
    no margin. It moves a positive amount between them without a fee; what comes in counts at once.

    `available`: out of the margin what is withdrawable (MRG-5), out of the spot balance all of it.
    Rejects: not an amount of micro-USDC, more than is available.
    Source: DOC[Exchange endpoint], DOC[Margining], U-SPT-4 (who may be liquidated).

    >>> check_class_transfer(5, 5).name, check_class_transfer(6, 5).name
    ('ACCEPTED', 'BALANCE_TRANSFER')
    """
    return check_send(amount, available, False)


@rule("TRF-6")
def check_asset_send(
    token: int | None, from_spot: bool | None, to_spot: bool | None, is_same_account: bool
) -> Rejection:
    """A send of a token names a cell of the sender and one of the receiver: the margin (dex "") or
    the spot balance (dex "spot"). Only USDC is margin; sender and receiver may be one account when
    the cells differ. What may leave a cell is what TRF-5 says, a new address costs the fee of
    TRF-2: taken from the same cell, for another token from the spot balance of USDC.

    `token` is a number, None for one that is not listed; `from_spot` and `to_spot` are None for
    another dex. Rejects: an unknown token, another dex, another token than USDC as margin, a cell
    to itself. Source: DOC[Exchange endpoint], hyperliquid-api 4.4, U-SPT-5 (who pays the fee).

    >>> check_asset_send(0, True, False, True).name, check_asset_send(1, True, False, True).name
    ('ACCEPTED', 'TOKEN_NOT_MARGIN')
    >>> check_asset_send(0, True, True, True).name
    'DESTINATION_INVALID'
    """
    if token is None:
        return Rejection.TOKEN_UNKNOWN
    if from_spot is None or to_spot is None:
        return Rejection.DEX_UNKNOWN
    if token != USDC and not (from_spot and to_spot):
        return Rejection.TOKEN_NOT_MARGIN
    is_same_cell = is_same_account and from_spot is to_spot
    return Rejection.DESTINATION_INVALID if is_same_cell else Rejection.ACCEPTED


@rule("TRF-7")
def check_grant(amount: int, is_testnet: bool) -> Rejection:
    """On a testnet, whoever runs the exchange may grant money that nothing stands behind. A grant
    is written down as one; it has no number and is no deposit. On the main network there is none.

    `amount` in micro-USDC. Rejects: another network, an amount that is not positive or more than
    2^62. Source: U-BR-1.

    >>> check_grant(5, True).name, check_grant(5, False).name, check_grant(0, True).name
    ('ACCEPTED', 'GRANT_FORBIDDEN', 'AMOUNT_INVALID')
    """
    if not is_testnet:
        return Rejection.GRANT_FORBIDDEN
    return Rejection.ACCEPTED if 0 < amount <= AMOUNT_MAX else Rejection.AMOUNT_INVALID


@rule("TRF-8")
def payout_split(outcome: int, amount: int) -> tuple[int, int] | None:
    """A withdrawal ends once: paid outside, then its amount leaves custody; or cancelled there,
    then its amount is its account's again and custody stays. The fee of a cancelled one is not
    given back.

    `outcome` is 1 for paid, 2 for cancelled. Returns what leaves custody and what goes back, in
    micro-USDC; None for another outcome. Source: CODE[Bridge2], audit-log-and-consensus 15, U-BR-2.

    >>> payout_split(1, 5), payout_split(2, 5), payout_split(3, 5)
    ((5, 0), (0, 5), None)
    """
    if outcome == PAID:
        return amount, 0
    return (0, amount) if outcome == CANCELLED else None


@rule("TRF-9")
def check_border(kind: int, has_contracts: bool) -> Rejection:
    """What crosses the border is recorded in one way. A chain whose genesis names contracts takes
    their events, each cited by block and log; any other takes bare deposits and payouts. The input
    is exactly the body of its type: any other bytes are refused and written down.

    `kind` is the type of a system input. Rejects: inputs of the other way. Source: U-BR-3.

    >>> check_border(SystemType.DEPOSIT, True).name, check_border(SystemType.GRANT, True).name
    ('BORDER_OTHER', 'ACCEPTED')
    """
    refused = BARE if has_contracts else CITED
    return Rejection.BORDER_OTHER if kind in refused else Rejection.ACCEPTED
