"""What the assistance fund got, spent, bought and burned, as a document."""

from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import format_decimal, price_decimals
from chainperp.model.bridge import EVM_TOKEN_DECIMALS
from chainperp.model.decisions import BuybackOutcome, rule_code
from chainperp.model.fund import NATIVE, Fund, average_price
from chainperp.model.tokens import Token
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.parameters.schema import Parameters
from chainperp.state.store import ASSISTANCE_FUND, State

AVERAGE_DECIMALS = 6


def average_document(spent: int, bought: int, wei_decimals: int) -> Document | None:
    """Average price in USDC for a token: the exact fraction, and its decimal rounded down."""
    if not bought:
        return None
    numerator, denominator = average_price(spent, bought, wei_decimals)
    scale = 10**AVERAGE_DECIMALS
    return {
        "decimal": format_decimal(floor_div(numerator, denominator), AVERAGE_DECIMALS),
        "numerator": str(numerator),
        "denominator": str(denominator * scale),
    }


def schedule_document(parameters: Parameters) -> Document:
    """The published schedule in numbers."""
    return {
        "balanceMin": usd(parameters.buyback_balance_min),
        "intervalMs": parameters.buyback_interval_ms,
        "slippageBps": parameters.buyback_slippage_bps,
        "depthBps": parameters.buyback_depth_bps,
        "valueMin": usd(parameters.buyback_value_min),
        "evmBps": parameters.buyback_evm_bps,
        "evmMin": usd(parameters.buyback_evm_min),
    }


def _token_document(token: Token, fund: Fund) -> Document:
    def amount(wei: int) -> str:
        return format_decimal(wei, token.wei_decimals)

    return {
        "name": token.name,
        "initialSupply": amount(token.supply),
        "burned": amount(token.burned),
        "burnedByBuyback": amount(fund.burned),
        "burnedByFees": amount(token.burned - fund.burned),
        "supply": amount(token.circulating),
        "bought": amount(fund.bought),
    }


def _evm_document(vault: bytes, fund: Fund) -> Document:
    """What became of the money that was sent to the vault on the EVM."""
    return {
        "vault": hex_text(vault),
        "sent": usd(fund.sent),
        "spent": usd(fund.evm_spent),
        "unspent": usd(fund.sent - fund.evm_spent),
        "gifts": usd(fund.evm_gifts),
        "bought": format_decimal(fund.evm_bought, EVM_TOKEN_DECIMALS),
        "burned": format_decimal(fund.evm_burned, EVM_TOKEN_DECIMALS),
        "purchases": fund.evm_purchases,
    }


def fund_document(state: State) -> Document:
    """The fund's books after the state's block. Amounts are decimals; nothing is rounded but the
    decimal of the average price."""
    fund, parameters = state.fund, state.parameters
    token = state.tokens[NATIVE] if len(state.tokens) > NATIVE else None
    return {
        "address": hex_text(ASSISTANCE_FUND),
        "height": state.height,
        "time": state.time_ms,
        "token": None if token is None else _token_document(token, fund),
        "sources": {
            "fees": usd(fund.fees),
            "liquidations": usd(fund.liquidations),
            "other": usd(fund.other),
            "total": usd(fund.credited),
        },
        "paid": {
            "vault": usd(fund.to_vault),
            "referrals": usd(fund.to_referrals),
            "buybacks": usd(fund.spent),
            "evm": usd(fund.sent),
        },
        "evm": None if state.buyback_vault is None else _evm_document(state.buyback_vault, fund),
        "balance": usd(fund.balance),
        "purchases": fund.purchases,
        "averagePrice": None
        if token is None
        else average_document(fund.spent, fund.bought, token.wei_decimals),
        "lastDue": fund.tried_ms or None,
        "nextEarliest": fund.tried_ms + parameters.buyback_interval_ms if fund.tried_ms else 0,
        "schedule": schedule_document(parameters),
    }


def purchase_document(
    height: int, time_ms: int, index: int, fields: Record, token: Token
) -> Document:
    """One purchase that was due, as its BUYBACK entry says it."""
    decimals = price_decimals(token.size_decimals)

    def price(value: int | None) -> str | None:
        return None if value is None else format_decimal(value, decimals)

    return {
        "height": height,
        "time": time_ms,
        "index": index,
        "outcome": BuybackOutcome(fields["outcome"]).name.lower(),
        "rule": rule_code(fields["rule"]),
        "balance": usd(fields["balance"]),
        "bid": price(fields["bid"]),
        "ask": price(fields["ask"]),
        "last": price(fields["last"]),
        "mark": price(fields["mark"]),
        "limit": price(fields["limit"]),
        "offered": usd(fields["depth"]),
        "size": format_decimal(fields["lots"], token.size_decimals),
        "filled": format_decimal(fields["filled"], token.size_decimals),
        "spent": usd(fields["spent"]),
        "bought": format_decimal(fields["bought"], token.wei_decimals),
        "burned": format_decimal(fields["burned"], token.wei_decimals),
        "averagePrice": average_document(fields["spent"], fields["bought"], token.wei_decimals),
        "sources": {
            "fees": usd(fields["fees"]),
            "liquidations": usd(fields["liquidations"]),
            "other": usd(fields["other"]),
        },
    }
