"""Every reason why an action or an order is refused, or an order ends unfilled.

A rejection is a value, part of the deterministic result: `Rejection` is the closed list; `REASONS`
says for each the deciding rule, the exchange's published status name and the text that clients
know. A text's {names} are filled in by who shows it.
Source: hyperliquid-api section 4.2.
"""

from enum import IntEnum, unique
from typing import Final, NamedTuple


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
    SCHEDULED_CANCEL = 61
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
    SCHEDULE_VOLUME = 120
    SCHEDULE_TOO_EARLY = 121
    SCHEDULE_TOO_OFTEN = 122
    AGENT_NOT_ALLOWED = 123
    NOT_FOR_SUB = 124
    SUB_VOLUME = 125
    SUB_TOO_MANY = 126
    SUB_NAME_INVALID = 127
    SUB_NOT_REGISTERED = 128
    SUB_TRANSFER_INVALID = 129
    BUILDER_RATE_INVALID = 130
    BUILDER_TOO_MANY = 131
    BUILDER_BALANCE = 132
    BUILDER_NOT_APPROVED = 133
    MULTI_SIG_REQUIRED = 134
    MULTI_SIG_USER_INVALID = 135
    MULTI_SIG_OUTER_UNKNOWN = 136
    MULTI_SIG_OUTER_INVALID = 137
    MULTI_SIG_INNER_INVALID = 138
    MULTI_SIG_THRESHOLD = 139
    MULTI_SIG_SELF = 140
    MULTI_SIG_SIGNER_UNKNOWN = 141
    MULTI_SIG_TOO_MANY = 142
    MULTI_SIG_TERMS_INVALID = 143
    TWAP_DURATION = 144
    TWAP_TOO_SMALL = 145
    TWAP_REDUCE_ONLY = 146
    TWAP_TOO_MANY = 147
    TWAP_DETAILS = 148
    TWAP_MISSING = 149
    REFERRAL_UNKNOWN = 150
    NO_REWARDS = 152
    DISPLAY_NAME_INVALID = 153
    TOKEN_UNKNOWN = 154
    DEX_UNKNOWN = 155
    # Vaults.
    VAULT_TEXT_INVALID = 170
    VAULT_PERPS_ONLY = 171
    VAULT_INITIAL_TOO_SMALL = 172
    VAULT_CREATION_BALANCE = 173
    VAULT_NOT_LEADER = 174
    VAULT_WORTHLESS = 175
    VAULT_DEPOSITS_OFF = 176
    VAULT_DEPOSIT_LIQUIDATABLE = 177
    VAULT_WITHDRAWAL_LIQUIDATABLE = 178
    VAULT_AMOUNT_TOO_SMALL = 179
    VAULT_DEPOSIT_BALANCE = 180
    VAULT_LEADER_SHARE = 181
    VAULT_FULL = 182
    VAULT_EQUITY = 183
    VAULT_LOCKED = 184
    VAULT_DAILY_LIMIT = 185
    VAULT_CASH = 186
    VAULT_NO_PRICE = 187
    VAULT_WITHDRAWAL_CANCELED = 188
    VAULT_CLOSING = 189
    # Spot.
    SPOT_MIN_NOTIONAL = 156
    SPOT_BALANCE = 157
    SPOT_REDUCE_ONLY = 158
    SPOT_TRIGGER = 159
    SPOT_BUILDER = 160
    SPOT_TWAP = 161
    TOKEN_NOT_MARGIN = 162
    QUOTE_MOVED = 190
    REFERRAL_VOLUME = 205
    REFERRAL_CODE_INVALID = 206
    REFERRAL_CODE_TAKEN = 207
    REFERRAL_CODE_HELD = 208
    REFERRER_HELD = 209
    REFERRER_SELF = 210
    # Orders of the assistance fund.
    BUYBACK = 200
    # System transactions.
    NOT_A_VALIDATOR = 100
    DEPOSIT_NONCE = 101
    WITHDRAWAL_UNKNOWN = 102
    EXEMPTION_NOTICE = 103
    EXEMPTION_LIST_FULL = 104
    SYSTEM_MALFORMED = 220
    BORDER_OTHER = 221
    GRANT_FORBIDDEN = 222
    PAYOUT_OUTCOME = 223
    VAULT_PURCHASE_NUMBER = 224
    VAULT_PURCHASE_AMOUNT = 225


# CPython 3.11 needs 0.15 µs to look up an enum's member: what all orders ask for is named once.
ACCEPTED: Final = Rejection.ACCEPTED


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
    Rejection.VAULT_NOT_REGISTERED: Reason("SUB-4", "rejected", "Vault not registered: {vault}"),
    Rejection.EXPIRED: Reason("ADM-3", "rejected", "Action already expired"),
    Rejection.ACTION_NOT_OFFERED: Reason(
        "ADM-6", "rejected", "Action is not offered by this exchange"
    ),
    Rejection.SCHEDULE_VOLUME: Reason(
        "ORD-15",
        "rejected",
        "Cannot set scheduled cancel time until enough volume traded. Required: ${required}. "
        "Traded: ${traded}.",
    ),
    Rejection.SCHEDULE_TOO_EARLY: Reason(
        "ORD-15",
        "rejected",
        "Scheduled cancel time too early, must be at least 5 seconds from now.",
    ),
    Rejection.SCHEDULE_TOO_OFTEN: Reason(
        "ORD-15",
        "rejected",
        "Cannot set scheduled cancel time: it was triggered 10 times on this UTC day.",
    ),
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
        "Too many extra agents for cumulative volume traded. Current limit is {limit}",
    ),
    Rejection.AGENT_EXPIRED: Reason("ADM-4", "rejected", "Agent valid_until already expired."),
    Rejection.AGENT_NAME_INVALID: Reason("ADM-4", "rejected", "Agent name is invalid."),
    Rejection.AGENT_NOT_ALLOWED: Reason(
        "ADM-5", "rejected", "Agents do not have permission to perform this action."
    ),
    Rejection.NOT_FOR_SUB: Reason(
        "SUB-4", "rejected", "Action cannot be performed on behalf of a sub-account or vault."
    ),
    Rejection.SUB_VOLUME: Reason(
        "SUB-1",
        "rejected",
        "Cannot create sub-accounts until enough volume traded. Required: ${required}. "
        "Traded: ${traded}.",
    ),
    Rejection.SUB_TOO_MANY: Reason("SUB-1", "rejected", "Too many sub-accounts"),
    Rejection.SUB_NAME_INVALID: Reason("SUB-1", "rejected", "Sub-account name is invalid."),
    Rejection.SUB_NOT_REGISTERED: Reason(
        "SUB-3", "rejected", "Sub-account {sub} is not registered to {user}"
    ),
    Rejection.SUB_TRANSFER_INVALID: Reason(
        "SUB-3", "rejected", "Invalid sub-account transfer from {source} to {destination}"
    ),
    Rejection.BUILDER_RATE_INVALID: Reason("FEE-6", "rejected", "Builder fee rate is invalid."),
    Rejection.BUILDER_TOO_MANY: Reason("FEE-6", "rejected", "Too many approved builders."),
    Rejection.BUILDER_BALANCE: Reason(
        "FEE-6", "rejected", "Builder has insufficient balance to be approved."
    ),
    Rejection.BUILDER_NOT_APPROVED: Reason(
        "FEE-7", "rejected", "Builder fee has not been approved."
    ),
    Rejection.MULTI_SIG_REQUIRED: Reason("SIG-3", "rejected", "Multi-sig required"),
    Rejection.MULTI_SIG_USER_INVALID: Reason("SIG-2", "rejected", "Invalid multi-sig user"),
    Rejection.MULTI_SIG_OUTER_UNKNOWN: Reason(
        "SIG-2", "rejected", "Multi-sig outer signer must be an L1 user."
    ),
    Rejection.MULTI_SIG_OUTER_INVALID: Reason(
        "SIG-2", "rejected", "Invalid multi-sig outer signer"
    ),
    Rejection.MULTI_SIG_INNER_INVALID: Reason(
        "SIG-2", "rejected", "Invalid multi-sig inner signer"
    ),
    Rejection.MULTI_SIG_THRESHOLD: Reason("SIG-2", "rejected", "Multi-sig threshold not met"),
    Rejection.MULTI_SIG_SELF: Reason(
        "SIG-1", "rejected", "Cannot register self as multi-sig authorized user"
    ),
    Rejection.MULTI_SIG_SIGNER_UNKNOWN: Reason(
        "SIG-1", "rejected", "Multi-sig authorized user must exist on L1"
    ),
    Rejection.MULTI_SIG_TOO_MANY: Reason("SIG-1", "rejected", "Too many multi-sig signers"),
    Rejection.MULTI_SIG_TERMS_INVALID: Reason(
        "SIG-1", "rejected", "Multi-sig users or threshold are invalid."
    ),
    Rejection.TWAP_DURATION: Reason("TWP-1", "rejected", "Invalid TWAP duration: {minutes} min(s)"),
    Rejection.TWAP_TOO_SMALL: Reason(
        "TWP-1", "rejected", "TWAP order value too small. Min is ${required}."
    ),
    Rejection.TWAP_REDUCE_ONLY: Reason(
        "TWP-1", "rejected", "Reduce-only TWAP order would increase position."
    ),
    Rejection.TWAP_TOO_MANY: Reason("TWP-1", "rejected", "Too many TWAP orders."),
    Rejection.TWAP_DETAILS: Reason(
        "TWP-1", "rejected", "TWAP trigger and stop prices are not offered by this exchange."
    ),
    Rejection.TWAP_MISSING: Reason(
        "TWP-6", "rejected", "TWAP was never placed, already canceled, or filled."
    ),
    Rejection.DISPLAY_NAME_INVALID: Reason("ADM-7", "rejected", "Display name is invalid."),
    Rejection.TOKEN_UNKNOWN: Reason("TRF-6", "rejected", "Token is not offered by this exchange."),
    Rejection.DEX_UNKNOWN: Reason("TRF-6", "rejected", "Dex is not offered by this exchange."),
    Rejection.SPOT_MIN_NOTIONAL: Reason(
        "SPT-3", "minTradeNtlRejected", "Order must have minimum value of 10 USDC."
    ),
    Rejection.SPOT_BALANCE: Reason(
        "SPT-5", "insufficientSpotBalanceRejected", "Insufficient spot balance"
    ),
    Rejection.SPOT_REDUCE_ONLY: Reason(
        "SPT-2", "rejected", "Reduce only orders are not offered on spot."
    ),
    Rejection.SPOT_TRIGGER: Reason("SPT-2", "rejected", "TP/SL orders are not offered on spot."),
    Rejection.SPOT_BUILDER: Reason("SPT-2", "rejected", "Builder fees are not offered on spot."),
    Rejection.SPOT_TWAP: Reason("SPT-2", "rejected", "TWAP orders are not offered on spot."),
    Rejection.TOKEN_NOT_MARGIN: Reason(
        "TRF-6", "rejected", "Only USDC is margin; other tokens stay in the spot balance."
    ),
    Rejection.QUOTE_MOVED: Reason("VLT-25", "canceled", ""),
    Rejection.BUYBACK: Reason("BUY-3", "filled", ""),
    Rejection.NOT_A_VALIDATOR: Reason("PRC-3", "rejected", "Signer is not a validator."),
    Rejection.DEPOSIT_NONCE: Reason("TRF-4", "rejected", "Deposit nonce is out of order."),
    Rejection.EXEMPTION_NOTICE: Reason(
        "EXM-1", "rejected", "Exemptions are announced before they hold."
    ),
    Rejection.EXEMPTION_LIST_FULL: Reason("EXM-1", "rejected", "Exemption list is full."),
    Rejection.SYSTEM_MALFORMED: Reason(
        "TRF-9", "rejected", "System input is not the body of its type."
    ),
    Rejection.BORDER_OTHER: Reason(
        "TRF-9", "rejected", "This chain takes deposits and payouts another way."
    ),
    Rejection.GRANT_FORBIDDEN: Reason("TRF-7", "rejected", "Grants are for testnets only."),
    Rejection.PAYOUT_OUTCOME: Reason(
        "TRF-8", "rejected", "A withdrawal is either paid or cancelled."
    ),
    Rejection.VAULT_PURCHASE_NUMBER: Reason(
        "BUY-8", "rejected", "Purchase of the vault is out of order."
    ),
    Rejection.VAULT_PURCHASE_AMOUNT: Reason(
        "BUY-8", "rejected", "Purchase of the vault has an impossible amount."
    ),
    Rejection.WITHDRAWAL_UNKNOWN: Reason("TRF-3", "rejected", "Withdrawal does not exist."),
}
