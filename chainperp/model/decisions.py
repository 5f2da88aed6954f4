"""What the log contains: kinds of entries, their fields, and every reason for a refusal.

A rejection is a value, part of the deterministic result: `Rejection` is the closed list, with the
exchange's published status name and text. An order's decision carries the deciding rule and the
two numbers that the rule compared, so it can be re-evaluated alone.
Source: audit-log-and-consensus section 4; hyperliquid-api section 4.2.
"""

from enum import IntEnum, unique
from typing import Final, NamedTuple

from chainperp.base.canonical import Schema


@unique
class Kind(IntEnum):
    """Kind of a log entry (u16 in the entry header)."""

    GENESIS = 0x0001
    SEAL = 0x0002
    STATE_COMMIT = 0x0003
    TX_USER = 0x0010
    TX_SYSTEM = 0x0011
    ORACLE = 0x0020
    MARK = 0x0021
    MARK_INPUTS = 0x0022
    ORDER = 0x0030
    TRIGGER = 0x0031
    FILL = 0x0032
    LEVERAGE = 0x0034
    FUNDING = 0x0040
    PREMIUM = 0x0041
    LIQ_TEST = 0x0050
    BACKSTOP = 0x0052
    VAULT = 0x0053
    ADL_BEGIN = 0x0060
    ADL_ROWS = 0x0061
    ADL_NET = 0x0062
    ADL_END = 0x0063
    DEPOSIT = 0x0070
    WITHDRAW_REQ = 0x0071
    WITHDRAW_DONE = 0x0072
    AGENT = 0x0073
    LEDGER = 0x0080
    PARAM = 0x0090


class SystemType(IntEnum):
    """Kind of a system transaction."""

    ORACLE_VOTE = 1
    DEPOSIT = 2
    WITHDRAWAL_DONE = 3
    EXEMPTION = 4


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
    WAITING = 4  # beyond the block's limit: first in the next block


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


@unique
class Rejection(IntEnum):
    """Every reason why an action or an order is refused, or an order ends unfilled."""

    ACCEPTED = 0
    # The whole action.
    NONCE_DUPLICATE = 1
    NONCE_TOO_LOW = 2
    NONCE_TOO_HIGH = 3
    SIGNER_UNKNOWN = 4
    MUST_DEPOSIT = 5
    VAULT_NOT_REGISTERED = 6
    EXPIRED = 7
    ACTION_NOT_OFFERED = 8
    ORDERS_EMPTY = 9
    TOO_MANY_IN_ACTION = 10
    # One order.
    MARKET_UNKNOWN = 20
    SIZE_ZERO = 21
    SIZE_INVALID = 22
    TICK = 23
    ORACLE_BAND = 24
    MIN_TRADE_NOTIONAL = 25
    MAX_ORDER_VALUE = 26
    TOO_MANY_OPEN_ORDERS = 27
    REDUCE_ONLY = 28
    BAD_ALO_PRICE = 29
    PERP_MAX_POSITION = 30
    PERP_MARGIN = 31
    IOC_CANCEL = 32
    CLOID_IN_USE = 33
    NO_PRICE = 35
    MODIFY_MISSING = 36
    MODIFY_INVALID = 37
    MISSING_ORDER = 38
    BAD_TRIGGER_PRICE = 39
    STALE_PRICE = 45
    TRIGGER_NOT_REDUCE_ONLY = 40
    # An order that rested ends.
    CANCELED_BY_USER = 50
    SELF_TRADE = 51
    MARGIN_CANCELED = 52
    REDUCE_ONLY_CANCELED = 53
    IOC_REMAINDER = 54
    MODIFIED = 55
    LIQUIDATED = 56
    LIQUIDATION = 57
    SIBLING_FILLED = 58
    PARENT_ENDED = 59
    UNWIND = 60
    # Accounts and money.
    LEVERAGE_INVALID = 70
    LEVERAGE_SWITCH_WITH_POSITION = 71
    CROSS_NOT_ALLOWED = 72
    CROSS_MARGIN_FOR_LEVERAGE = 73
    ISOLATED_MARGIN_FOR_LEVERAGE = 74
    ISOLATED_UPDATE_ZERO = 75
    ISOLATED_NO_POSITION = 76
    ISOLATED_NOT_USED = 77
    ISOLATED_ADD_TOO_MUCH = 78
    ISOLATED_REMOVE_TOO_MUCH = 79
    ISOLATED_REMOVE_FORBIDDEN = 80
    AMOUNT_INVALID = 81
    BALANCE_TRANSFER = 82
    BALANCE_TRANSFER_GAS = 83
    BALANCE_WITHDRAWAL = 84
    DESTINATION_INVALID = 85
    AGENT_IN_USE = 86
    AGENT_TOO_MANY = 87
    AGENT_EXPIRED = 88
    AGENT_NAME_INVALID = 89
    # System transactions.
    NOT_A_VALIDATOR = 100
    DEPOSIT_NONCE = 101
    WITHDRAWAL_UNKNOWN = 102
    EXEMPTION_NOTICE = 103
    EXEMPTION_LIST_FULL = 104
    EXEMPTION_MODE = 105


class Reason(NamedTuple):
    """The rule that decides, the published status name, and the text that clients know."""

    rule: str
    status: str
    text: str


REASONS: Final[dict[Rejection, Reason]] = {
    Rejection.ACCEPTED: Reason("ORD-11", "open", ""),
    Rejection.NONCE_DUPLICATE: Reason("ADM-1", "rejected", "Invalid nonce: duplicate nonce"),
    Rejection.NONCE_TOO_LOW: Reason("ADM-1", "rejected", "Invalid nonce: nonce too low"),
    Rejection.NONCE_TOO_HIGH: Reason("ADM-1", "rejected", "Invalid nonce: nonce too high"),
    Rejection.SIGNER_UNKNOWN: Reason(
        "ADM-2", "rejected", "User or API Wallet {signer} does not exist."
    ),
    Rejection.MUST_DEPOSIT: Reason(
        "ADM-2", "rejected", "Must deposit before performing actions. User: {signer}"
    ),
    Rejection.VAULT_NOT_REGISTERED: Reason("ADM-2", "rejected", "Vault not registered: {vault}"),
    Rejection.EXPIRED: Reason("ADM-3", "rejected", "Action already expired"),
    Rejection.ACTION_NOT_OFFERED: Reason(
        "ADM-2", "rejected", "Action is not offered by this exchange"
    ),
    Rejection.ORDERS_EMPTY: Reason("ORD-1", "rejected", "Orders are empty"),
    Rejection.TOO_MANY_IN_ACTION: Reason("ORD-1", "rejected", "Too many orders in one action."),
    Rejection.MARKET_UNKNOWN: Reason("ORD-1", "rejected", "Asset does not exist."),
    Rejection.SIZE_ZERO: Reason("ORD-2", "rejected", "Order has zero size."),
    Rejection.SIZE_INVALID: Reason("ORD-2", "rejected", "Order has invalid size."),
    Rejection.TICK: Reason("ORD-3", "tickRejected", "Price must be divisible by tick size."),
    Rejection.ORACLE_BAND: Reason("ORD-4", "oracleRejected", "Order price too far from oracle"),
    Rejection.MIN_TRADE_NOTIONAL: Reason(
        "ORD-5", "minTradeNtlRejected", "Order must have minimum value of $10."
    ),
    Rejection.MAX_ORDER_VALUE: Reason(
        "ORD-6", "rejected", "Order value is above the maximum of this asset."
    ),
    Rejection.TOO_MANY_OPEN_ORDERS: Reason(
        "ORD-7", "tooManyOpenOrdersRejected", "Too many open orders."
    ),
    Rejection.REDUCE_ONLY: Reason(
        "ORD-8", "reduceOnlyRejected", "Reduce only order would increase position."
    ),
    Rejection.BAD_ALO_PRICE: Reason(
        "ORD-9",
        "badAloPxRejected",
        "Post only order would have immediately matched, bbo was {bid}@{ask}.",
    ),
    Rejection.PERP_MAX_POSITION: Reason(
        "ORD-10",
        "perpMaxPositionRejected",
        "Order would cause position to exceed margin tier limit at current leverage",
    ),
    Rejection.PERP_MARGIN: Reason(
        "ORD-11", "perpMarginRejected", "Insufficient margin to place order."
    ),
    Rejection.IOC_CANCEL: Reason(
        "MAT-4",
        "iocCancelRejected",
        "Order could not immediately match against any resting orders.",
    ),
    Rejection.CLOID_IN_USE: Reason(
        "ORD-12", "rejected", "Client order id is already in use by an open order."
    ),
    Rejection.NO_PRICE: Reason("ORD-4", "rejected", "Asset has no oracle price yet."),
    Rejection.MODIFY_MISSING: Reason(
        "ORD-13", "rejected", "Cannot modify canceled or filled order"
    ),
    Rejection.MODIFY_INVALID: Reason(
        "ORD-13", "rejected", "Attempted to modify to invalid new order"
    ),
    Rejection.MISSING_ORDER: Reason(
        "ORD-14", "rejected", "Order was never placed, already canceled, or filled."
    ),
    Rejection.CANCELED_BY_USER: Reason("ORD-14", "canceled", ""),
    Rejection.SELF_TRADE: Reason("MAT-2", "selfTradeCanceled", ""),
    Rejection.MARGIN_CANCELED: Reason("MAT-3", "marginCanceled", ""),
    Rejection.REDUCE_ONLY_CANCELED: Reason("ORD-8", "reduceOnlyCanceled", ""),
    Rejection.IOC_REMAINDER: Reason("MAT-4", "canceled", ""),
    Rejection.MODIFIED: Reason("ORD-13", "canceled", ""),
    Rejection.STALE_PRICE: Reason(
        "PRC-9", "rejected", "Asset price is stale; only reducing orders are accepted."
    ),
    Rejection.BAD_TRIGGER_PRICE: Reason("TRG-1", "badTriggerPxRejected", "Invalid TP/SL price."),
    Rejection.TRIGGER_NOT_REDUCE_ONLY: Reason(
        "TRG-7", "rejected", "Trigger order is not reduce only."
    ),
    Rejection.LIQUIDATED: Reason("LIQ-2", "liquidatedCanceled", ""),
    Rejection.LIQUIDATION: Reason("LIQ-4", "filled", ""),
    Rejection.SIBLING_FILLED: Reason("TRG-4", "siblingFilledCanceled", ""),
    Rejection.PARENT_ENDED: Reason("TRG-5", "canceled", "Order that this order waits for is gone."),
    Rejection.UNWIND: Reason("BKS-3", "filled", ""),
    Rejection.LEVERAGE_INVALID: Reason("MRG-6", "rejected", "Invalid leverage value"),
    Rejection.LEVERAGE_SWITCH_WITH_POSITION: Reason(
        "MRG-6", "rejected", "Cannot switch leverage type with open position."
    ),
    Rejection.CROSS_NOT_ALLOWED: Reason(
        "MRG-6", "rejected", "Cross margin is not allowed for this asset."
    ),
    Rejection.CROSS_MARGIN_FOR_LEVERAGE: Reason(
        "MRG-6",
        "rejected",
        "Cross position does not have sufficient margin available to decrease leverage.",
    ),
    Rejection.ISOLATED_MARGIN_FOR_LEVERAGE: Reason(
        "MRG-6",
        "rejected",
        "Isolated position does not have sufficient margin available to decrease leverage.",
    ),
    Rejection.ISOLATED_UPDATE_ZERO: Reason(
        "MRG-7", "rejected", "Update to isolated margin cannot be zero."
    ),
    Rejection.ISOLATED_NO_POSITION: Reason(
        "MRG-7", "rejected", "Cannot update margin for empty position."
    ),
    Rejection.ISOLATED_NOT_USED: Reason(
        "MRG-7", "rejected", "Position does not use isolated margin."
    ),
    Rejection.ISOLATED_ADD_TOO_MUCH: Reason(
        "MRG-7", "rejected", "Account does not have sufficient margin available for increase."
    ),
    Rejection.ISOLATED_REMOVE_TOO_MUCH: Reason(
        "MRG-7", "rejected", "Position does not have sufficient margin for reduction."
    ),
    Rejection.ISOLATED_REMOVE_FORBIDDEN: Reason(
        "MRG-7", "rejected", "Cannot remove isolated margin for this asset"
    ),
    Rejection.AMOUNT_INVALID: Reason("TRF-1", "rejected", "Amount is invalid."),
    Rejection.BALANCE_TRANSFER: Reason(
        "TRF-1", "rejected", "Insufficient balance for token transfer"
    ),
    Rejection.BALANCE_TRANSFER_GAS: Reason(
        "TRF-2", "rejected", "Insufficient USDC balance for token transfer gas"
    ),
    Rejection.BALANCE_WITHDRAWAL: Reason(
        "TRF-3", "rejected", "Insufficient balance for withdrawal"
    ),
    Rejection.DESTINATION_INVALID: Reason("TRF-1", "rejected", "Destination is invalid."),
    Rejection.AGENT_IN_USE: Reason("ADM-4", "rejected", "Extra agent already used."),
    Rejection.AGENT_TOO_MANY: Reason(
        "ADM-4",
        "rejected",
        "Too many extra agents for cumulative volume traded. Current limit is 3",
    ),
    Rejection.AGENT_EXPIRED: Reason("ADM-4", "rejected", "Agent valid_until already expired."),
    Rejection.AGENT_NAME_INVALID: Reason("ADM-4", "rejected", "Agent name is invalid."),
    Rejection.NOT_A_VALIDATOR: Reason("PRC-3", "rejected", "Signer is not a validator."),
    Rejection.DEPOSIT_NONCE: Reason("TRF-4", "rejected", "Deposit nonce is out of order."),
    Rejection.EXEMPTION_NOTICE: Reason(
        "EXM-1", "rejected", "Exemptions are announced before they hold."
    ),
    Rejection.EXEMPTION_MODE: Reason(
        "EXM-1", "rejected", "Exemptions have the mode that the parameters name."
    ),
    Rejection.EXEMPTION_LIST_FULL: Reason("EXM-1", "rejected", "Exemption list is full."),
    Rejection.WITHDRAWAL_UNKNOWN: Reason("TRF-3", "rejected", "Withdrawal does not exist."),
}

RULE_FAMILIES: Final = (
    "ADM", "BLK", "PRC", "ORD", "MAT", "MRG", "PNL", "FEE", "FND", "TRF", "INV",
    "TRG", "LIQ", "BKS", "ADL", "EXM", "VLT", "BUY",
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


RULE_OF: Final[dict[int, int]] = {
    int(rejection): rule_number(reason.rule) for rejection, reason in REASONS.items()
}

SEAL_SIZE: Final = 392
CROSS_SCOPE: Final = 0xFFFF_FFFF
ADL_ROWS_PER_ENTRY: Final = 500
FUNDING_ROWS_PER_ENTRY: Final = 1000

# One candidate of an ADL round: 114 bytes, hashed into `queue_root` behind a leading 41.
ADL_ROW: Final[Schema] = (
    ("rank", "u32"), ("account", "b20"), ("scope", "u8"), ("lots", "u64"),
    ("entry_notional", "u128"), ("account_value", "i128"), ("reason", "u8"),
    ("take_lots", "u64"), ("weight", "u128"), ("cum_weight", "u128"), ("cum_take", "u64"),
)  # fmt: skip

# Source: audit-log-and-consensus 4.1. `signer` follows the envelope so that a chain can be
# replayed where no signature check is installed (ADR 0003); start position and realised profit
# in FILL, rule and the two compared numbers in ORDER make each decision explain itself.
SCHEMAS: Final[dict[Kind, Schema]] = {
    Kind.SEAL: (
        ("chain_id", "b32"), ("time_ms", "u64"), ("prev_seal", "b32"), ("first_index", "u64"),
        ("n_entries", "u32"), ("log_root", "b32"), ("state_root", "b32"),
        ("n_collections", "u32"), ("rules_hash", "b32"), ("marks_root", "b32"),
        ("n_marks", "u32"), ("liq_root", "b32"), ("n_liq", "u32"), ("adl_root", "b32"),
        ("n_adl", "u32"), ("valset_hash", "b32"), ("proposer", "b20"), ("cash_sum", "i128"),
        ("entry_sum", "i128"), ("custody", "u128"),
    ),
    Kind.TX_USER: (("code", "u16"), ("envelope", "bytes"), ("signer", "b20")),
    Kind.TX_SYSTEM: (("code", "u16"), ("type", "u16"), ("body", "bytes")),
    Kind.ORACLE: (
        ("asset", "u32"), ("price", "u64"),
        ("votes", [(("validator", "b20"), ("power", "u64"), ("price", "u64"),
                    ("external", "u64"), ("vote_hash", "b32"))]),
    ),
    Kind.MARK: (("asset", "u32"), ("mark", "u64"), ("previous_mark", "u64"), ("oracle", "u64")),
    Kind.MARK_INPUTS: (
        ("asset", "u32"), ("rule", "u16"), ("oracle", "u64"), ("bid", "opt:u64"),
        ("ask", "opt:u64"), ("last", "opt:u64"), ("external", "opt:u64"),
        ("ema_basis", "i64"), ("ema_book", "opt:u64"), ("elapsed_ms", "u64"),
    ),
    Kind.ORDER: (
        ("oid", "u64"), ("status", "u8"), ("reason", "u16"), ("rule", "u16"),
        ("account", "b20"), ("asset", "u32"), ("is_buy", "bool"), ("price", "u64"),
        ("lots", "u64"), ("remaining", "u64"), ("tif", "u8"), ("reduce_only", "bool"),
        ("found", "i128"), ("needed", "i128"), ("cloid", "opt:b16"),
    ),
    Kind.FILL: (
        ("tid", "u64"), ("asset", "u32"), ("price", "u64"), ("lots", "u64"),
        ("maker", "b20"), ("maker_oid", "u64"), ("maker_fee", "i64"), ("maker_start", "i64"),
        ("maker_pnl", "i64"), ("taker", "b20"), ("taker_oid", "u64"), ("taker_fee", "i64"),
        ("taker_start", "i64"), ("taker_pnl", "i64"), ("flags", "u16"), ("cause_index", "u64"),
    ),
    Kind.LEVERAGE: (
        ("account", "b20"), ("asset", "u32"), ("is_cross", "bool"), ("leverage", "u32"),
        ("rule", "u16"),
    ),
    Kind.FUNDING: (
        ("asset", "u32"), ("rate_ppb", "i64"), ("oracle", "u64"), ("rule", "u16"),
        ("hour", "u64"), ("hours", "u32"), ("premium_sum", "i128"), ("n_samples", "u32"),
        ("rows", [(("account", "b20"), ("lots", "i64"), ("payment", "i128"))]),
    ),
    Kind.PREMIUM: (
        ("asset", "u32"), ("rule", "u16"), ("oracle", "u64"), ("premium", "i64"),
        ("n_samples", "u32"),
    ),
    Kind.STATE_COMMIT: (("reason", "u8"), ("state_root", "b32"), ("n_collections", "u32")),
    Kind.TRIGGER: (
        ("oid", "u64"), ("account", "b20"), ("asset", "u32"), ("mark", "u64"),
        ("trigger_price", "u64"), ("is_stop", "bool"), ("rule", "u16"),
    ),
    # `asset` is ffffffff for a cross scope. `rule` is the one that decided the outcome.
    Kind.LIQ_TEST: (
        ("account", "b20"), ("asset", "u32"), ("value", "i128"), ("maintenance", "u128"),
        ("marks_root", "b32"), ("outcome", "u8"), ("rule", "u16"), ("value_after", "i128"),
        ("maintenance_after", "u128"),
    ),
    Kind.BACKSTOP: (
        ("account", "b20"), ("asset", "u32"), ("vault", "b20"), ("value", "i128"),
        ("maintenance", "u128"), ("vault_value_after", "i128"), ("vault_margin_after", "u128"),
        ("taken", "bool"), ("rule", "u16"), ("collateral", "i128"),
        ("positions", [(("asset", "u32"), ("lots", "i64"), ("price", "u64"))]),
    ),
    Kind.VAULT: (
        ("vault", "b20"), ("value", "i128"), ("margin", "u128"), ("positions", "u32"),
        ("notional", "u128"), ("rule", "u16"),
    ),
    Kind.ADL_BEGIN: (
        ("policy_id", "u16"), ("asset", "u32"), ("candidate_side", "u8"), ("target", "b20"),
        ("target_scope", "u8"), ("target_value", "i128"), ("target_lots", "u64"),
        ("adl_price", "u64"), ("state_index", "u64"), ("marks_root", "b32"), ("coll_h", "b32"),
        ("coll_count", "u64"), ("coll_lots", "i128"), ("coll_entry", "i128"),
        ("exempt_h", "b32"), ("exempt_count", "u64"), ("exempt_mode", "u8"),
        ("params_hash", "b32"), ("budget", "u128"), ("previous_mark", "u64"), ("mark", "u64"),
        ("waterfall", [(("stage", "u16"), ("before", "i128"), ("after", "i128"))]),
        ("seed", "b32"), ("queue_root", "b32"), ("queue_count", "u32"), ("n_eligible", "u32"),
    ),
    Kind.ADL_ROWS: (("begin_index", "u64"), ("first_rank", "u32"), ("rows", [ADL_ROW])),
    Kind.ADL_NET: (
        ("asset", "u32"), ("long_account", "b20"), ("short_account", "b20"), ("lots", "u64"),
        ("price", "u64"), ("rule", "u16"),
    ),
    Kind.ADL_END: (
        ("begin_index", "u64"), ("filled_lots", "u64"), ("shortfall_lots", "u64"),
        ("marginal_rank", "u32"), ("remainder", "i128"), ("target_value_after", "i128"),
        ("n_fills", "u32"),
    ),
    Kind.DEPOSIT: (("user", "b20"), ("amount", "u128"), ("l1_nonce", "u64"), ("l1_ref", "b32")),
    Kind.WITHDRAW_REQ: (
        ("wid", "u64"), ("user", "b20"), ("destination", "b20"), ("amount", "u128"),
        ("fee", "u128"),
    ),
    Kind.WITHDRAW_DONE: (("wid", "u64"), ("l1_ref", "b32"), ("outcome", "u8")),
    Kind.AGENT: (
        ("account", "b20"), ("agent", "b20"), ("name", "bytes"), ("valid_until", "u64"),
        ("rule", "u16"),
    ),
    Kind.PARAM: (
        ("name", "str"), ("old", "bytes"), ("new", "bytes"), ("activation_height", "u64"),
    ),
    Kind.LEDGER: (("source", "b20"), ("destination", "b20"), ("amount", "i128"),
                  ("type", "u16")),
}  # fmt: skip

# Which rules an entry kind records by itself, where its payload carries no rule field.
KIND_RULES: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.TX_USER: ("ADM-1", "ADM-2", "ADM-3", "BLK-1"),
    Kind.TX_SYSTEM: ("TRF-4", "PRC-3"),
    Kind.ORACLE: ("PRC-3",),
    Kind.MARK: ("PRC-2", "PRC-4"),
    Kind.MARK_INPUTS: ("PRC-4", "PRC-5", "PRC-6", "PRC-7"),
    Kind.ORDER: ("PRC-1", "PRC-8", "MRG-1"),
    Kind.TRIGGER: ("TRG-2", "TRG-3", "TRG-6", "TRG-8"),
    Kind.FILL: (
        "MAT-1", "FEE-1", "FEE-2", "FEE-4", "PNL-1", "PNL-2", "MRG-1", "MRG-2", "MRG-3", "MRG-4",
    ),
    Kind.LEVERAGE: ("MRG-6",),
    Kind.FUNDING: ("BLK-2", "FND-2", "FND-3"),
    Kind.PREMIUM: ("BLK-2", "FND-1", "FND-4"),
    Kind.LIQ_TEST: (
        "MRG-2", "MRG-8", "LIQ-1", "LIQ-2", "LIQ-3", "LIQ-5", "LIQ-6", "LIQ-7", "LIQ-8",
    ),
    Kind.BACKSTOP: ("BKS-1", "BKS-2", "BKS-4", "BKS-6"),
    Kind.VAULT: ("BKS-3", "BKS-5"),
    # The policy's number in ADL_BEGIN names the rule that ranked or split; see rules/adl/choose.py.
    Kind.ADL_BEGIN: (
        "ADL-2", "ADL-3", "ADL-4", "ADL-5", "ADL-10", "ADL-11", "ADL-12", "ADL-13", "ADL-14",
        "ADL-15", "ADL-16", "ADL-17", "ADL-18", "ADL-19", "ADL-20", "ADL-21", "ADL-22", "ADL-23",
        "ADL-24", "ADL-25", "ADL-26", "ADL-27", "ADL-28", "ADL-29", "ADL-30", "ADL-31",
    ),
    Kind.ADL_ROWS: ("ADL-1", "EXM-2"),
    Kind.PARAM: ("EXM-1",),
    Kind.DEPOSIT: ("TRF-4",),
    Kind.WITHDRAW_REQ: ("TRF-3", "MRG-5"),
    Kind.WITHDRAW_DONE: ("TRF-3",),
    Kind.AGENT: ("ADM-4",),
    Kind.LEDGER: ("TRF-1", "TRF-2", "FEE-3"),
}  # fmt: skip
