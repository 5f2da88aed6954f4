"""Why an order is refused, or ends unfilled. Part of `REASONS` in `model/decisions.py`.

Source: hyperliquid-api 4.2.
"""

from typing import Final

from chainperp.model.rejections import Reason, Rejection

ORDER_REASONS: Final[dict[Rejection, Reason]] = {
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
        "TRG-7", "rejected", "TP/SL order is not a reduce-only trigger order."
    ),
    Rejection.LIQUIDATED: Reason("LIQ-2", "liquidatedCanceled", ""),
    Rejection.LIQUIDATION: Reason("LIQ-4", "filled", ""),
    Rejection.SIBLING_FILLED: Reason("TRG-4", "siblingFilledCanceled", ""),
    Rejection.PARENT_ENDED: Reason("TRG-5", "canceled", "Order that this order waits for is gone."),
    Rejection.UNWIND: Reason("BKS-3", "filled", ""),
    Rejection.SCHEDULED_CANCEL: Reason("ORD-16", "scheduledCancel", ""),
}
