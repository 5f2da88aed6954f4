"""The kinds of what the log contains, and every reason for a refusal.

The reasons themselves are in `model/rejections.py`. An order's decision carries the deciding rule
and the two numbers that the rule compared, so it can be re-evaluated alone.
Source: audit-log-and-consensus section 4.
"""

from enum import IntEnum, unique
from typing import Final

from chainperp.model.order_reasons import ORDER_REASONS
from chainperp.model.referral_reasons import REFERRAL_REASONS
from chainperp.model.rejections import ACCEPTED as ACCEPTED
from chainperp.model.rejections import REASONS as OWN_REASONS
from chainperp.model.rejections import Reason as Reason
from chainperp.model.rejections import Rejection as Rejection
from chainperp.model.vault_reasons import VAULT_REASONS

REASONS: Final[dict[Rejection, Reason]] = {
    **OWN_REASONS, **ORDER_REASONS, **REFERRAL_REASONS, **VAULT_REASONS,
}  # fmt: skip


@unique
class Kind(IntEnum):
    """Kind of a log entry (u16 in the entry header)."""

    GENESIS = 0x0001
    SEAL = 0x0002
    STATE_COMMIT = 0x0003
    TX_USER = 0x0010
    TX_SYSTEM = 0x0011
    MULTI_SIG = 0x0012
    ORACLE = 0x0020
    MARK = 0x0021
    MARK_INPUTS = 0x0022
    ORDER = 0x0030
    TRIGGER = 0x0031
    FILL = 0x0032
    LEVERAGE = 0x0034
    TWAP = 0x0035
    SCHEDULE = 0x0036
    FUNDING = 0x0040
    PREMIUM = 0x0041
    LIQ_TEST = 0x0050
    BACKSTOP = 0x0052
    VAULT = 0x0053
    USER_VAULT = 0x0054
    SHARES = 0x0055
    QUOTE = 0x0056
    CHILDREN = 0x0057
    ADL_BEGIN = 0x0060
    ADL_ROWS = 0x0061
    ADL_NET = 0x0062
    ADL_END = 0x0063
    DEPOSIT = 0x0070
    WITHDRAW_REQ = 0x0071
    WITHDRAW_DONE = 0x0072
    AGENT = 0x0073
    SUB_ACCOUNT = 0x0074
    BUILDER = 0x0075
    MULTI_SIG_USER = 0x0076
    DISPLAY_NAME = 0x0077
    TOKEN = 0x0078
    REFERRAL = 0x0079
    LEDGER = 0x0080
    BUYBACK = 0x0082
    EVM_BUYBACK = 0x0083
    PARAM = 0x0090


class SystemType(IntEnum):
    """Kind of a system transaction."""

    ORACLE_VOTE = 1
    DEPOSIT = 2
    WITHDRAWAL_DONE = 3
    EXEMPTION = 4
    BRIDGE_DEPOSIT = 5  # 5 to 7 cite an event of the chain's contracts (model/bridge.py)
    BRIDGE_PAYOUT = 6
    EVM_BUYBACK = 7
    GRANT = 8  # money of a development chain with nothing behind it


class OrderStatus(IntEnum):
    """State of an order after a decision about it."""

    OPEN = 1
    FILLED = 2
    CANCELED = 3
    REJECTED = 4
    PARTIALLY_FILLED = 5
    REQUEST_REFUSED = 6  # a cancel or modify; the order that it names is as it was
    WAITING_FOR_TRIGGER = 7  # a trigger order waits for the mark
    WAITING_FOR_FILL = 8  # a trigger order waits for its parent


class TwapEvent(IntEnum):
    """What happens to a TWAP order."""

    ACTIVATED = 1
    SLICE = 2  # its order follows
    TERMINATED = 3  # by its account, or with its scope
    FINISHED = 4  # its time is over


class ReferralEvent(IntEnum):
    """What a REFERRAL entry says."""

    CODE = 1  # the account has a code now
    REFERRED = 2  # the account has a referrer now
    REWARDED = 3  # fees of the account earned its referrer a reward


class CommitReason(IntEnum):
    """Why the state was committed in the middle of a block."""

    LIQUIDATION = 1
    ADL_ROUND = 2


class LiquidationOutcome(IntEnum):
    """What the liquidation phase did with a scope that failed its test."""

    RECOVERED = 0  # an earlier step of the same phase made it safe
    BOOK = 1  # sold into the book and safe, or more of it next block
    BACKSTOP = 2  # taken over by the liquidator vault
    ADL_CASE = 3  # account value below zero: auto-deleveraging
    WAITING = 4  # beyond the block's limit, or no fresh price: tested again in the next block


class BuybackOutcome(IntEnum):
    """What became of a purchase of the assistance fund that was due."""

    BOUGHT = 0
    NO_MARK = 1  # one side of the book is empty, or nothing was ever traded
    NO_DEPTH = 2  # less than the smallest order is offered up to the limit
    TOO_LITTLE = 3  # the fund's money does not buy the smallest order


class AdlReason(IntEnum):
    """Why a position of the other side is, or is not, a candidate of an ADL round."""

    ELIGIBLE = 0
    NOT_IN_PROFIT = 1
    VALUE_NOT_POSITIVE = 2
    UNDERWATER = 3
    EXEMPT = 4
    CAPPED = 5


class LedgerType(IntEnum):
    """Why money moved between two cells outside of fills."""

    USD_SEND = 1
    ACTIVATION_FEE = 2
    WITHDRAWAL_FEE = 3
    FEE_SHARE = 4
    FUNDING_ROUNDING = 5
    ISOLATED_MARGIN_ADDED = 6
    ISOLATED_MARGIN_REMOVED = 7
    BACKSTOP_COLLATERAL = 8
    INSURANCE_DRAW = 9
    LIQUIDATION_PROFIT = 10
    ADL_HAIRCUT = 11
    DEFICIT = 12
    SUB_ACCOUNT_TRANSFER = 13
    BUILDER_FEE = 14
    CLASS_TO_PERP = 15  # between the two cells of one account
    CLASS_TO_SPOT = 16
    SPOT_SEND = 17  # spot to spot
    ASSET_PERP_TO_PERP = 18
    ASSET_PERP_TO_SPOT = 19
    ASSET_SPOT_TO_PERP = 20
    ASSET_SPOT_TO_SPOT = 21
    SUB_ACCOUNT_SPOT_TRANSFER = 22  # spot to spot
    SPOT_ACTIVATION_FEE = 23  # spot to cash
    VAULT_CREATE = 30  # the leader's first deposit
    VAULT_CREATION_FEE = 31
    VAULT_DEPOSIT = 32
    VAULT_WITHDRAWAL = 33  # also what a holder gets when the vault is closed
    VAULT_COMMISSION = 34
    VAULT_DISTRIBUTION = 35
    VAULT_ROUNDING = 36  # what whole units leave of a vault that is closed
    BUYBACK_MONEY = 44  # the fund's cash to its spot balance, for a purchase
    BUYBACK_REST = 45  # back again: what a purchase left
    BUYBACK_BURN = 46  # in a TOKEN entry: what the fund bought, gone from the supply
    SPOT_FEE_BURN = 24  # in a TOKEN entry: a buyer's fee in the token, gone from the supply
    CHILD_CAPITAL = 38  # between the liquidity vault and a child
    REFERRAL_REWARD = 50  # from the fund: the rewards of a block's trades
    REFERRAL_CLAIM = 51


RULE_FAMILIES: Final = (
    "ADM", "BLK", "PRC", "ORD", "MAT", "MRG", "PNL", "FEE", "FND", "TRF", "INV",
    "TRG", "LIQ", "BKS", "ADL", "EXM", "VLT", "BUY", "SUB", "SIG", "TWP", "SPT", "REF",
)  # fmt: skip


def rule_number(code: str) -> int:
    """A rule code as the u16 that decisions carry: family in the high byte.

    >>> hex(rule_number("ORD-11"))
    '0x40b'
    """
    family, _, number = code.partition("-")
    return (RULE_FAMILIES.index(family) + 1) << 8 | int(number)


def rule_code(number: int) -> str:
    """The rule code of a decision's u16.

    >>> rule_code(0x40b)
    'ORD-11'
    """
    return f"{RULE_FAMILIES[(number >> 8) - 1]}-{number & 0xFF}"
