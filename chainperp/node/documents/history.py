"""What happened to markets and accounts: candles, funding, money that moved.

Source: hyperliquid-api 5.2, 5.3, 5.4.
"""

from dataclasses import dataclass
from typing import Final

from chainperp.base.rounding import half_even
from chainperp.base.units import format_decimal
from chainperp.node.documents.listing import Coin
from chainperp.node.documents.markets import PREMIUM_DECIMALS
from chainperp.node.documents.texts import (
    PPB_DECIMALS,
    ZERO_HASH,
    Document,
    hex_text,
    price,
    size,
    usd,
)

INTERVALS: Final = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 0,
}
"""Length of a candle in milliseconds; a month has no fixed one."""


@dataclass(slots=True)
class Candle:
    """Prices on the grid, lots and trades between `start` and `end`, both included."""

    start: int
    end: int
    first: int
    high: int
    low: int
    last: int
    lots: int
    trades: int


def candle(terms: Coin, interval: str, one: Candle) -> Document:
    """One candle."""
    return {
        "t": one.start,
        "T": one.end,
        "s": terms.name,
        "i": interval,
        "o": price(terms, one.first),
        "c": price(terms, one.last),
        "h": price(terms, one.high),
        "l": price(terms, one.low),
        "v": size(terms, one.lots),
        "n": one.trades,
    }


def funding_rate_row(
    coin: str, time_ms: int, rate_ppb: int, premium_sum: int, samples: int
) -> Document:
    """A settled hourly rate and the average premium behind it."""
    premium = half_even(premium_sum, samples) if samples else 0
    return {
        "coin": coin,
        "fundingRate": format_decimal(rate_ppb, PPB_DECIMALS),
        "premium": format_decimal(premium, PREMIUM_DECIMALS),
        "time": time_ms,
    }


def funding_delta(terms: Coin, lots: int, rate_ppb: int, payment: int) -> Document:
    """What an account received (`usdc` positive) or paid for one position in one hour."""
    return {
        "coin": terms.name,
        "usdc": usd(-payment),
        "szi": size(terms, lots),
        "fundingRate": format_decimal(rate_ppb, PPB_DECIMALS),
        "nSamples": None,
    }


def user_funding(time_ms: int, delta: Document) -> Document:
    """A row of `userFunding`: nobody signed it, so its hash is zero."""
    return {"time": time_ms, "hash": ZERO_HASH, "delta": {"type": "funding", **delta}}


def stream_funding(time_ms: int, delta: Document) -> Document:
    """A row of the channel `userFundings`."""
    return {"time": time_ms, **delta}


# --- ledger --------------------------------------------------------------------------------------


def ledger_row(time_ms: int, hash_text: str, delta: Document) -> Document:
    """A row of `userNonFundingLedgerUpdates`."""
    return {"time": time_ms, "hash": hash_text, "delta": delta}


def deposit(amount: int) -> Document:
    """Money that came in."""
    return {"type": "deposit", "usdc": usd(amount)}


def withdrawal(amount: int, nonce: int, fee: int) -> Document:
    """Money that is on its way out: `usdc` arrives, `fee` stays here."""
    return {"type": "withdraw", "usdc": usd(amount), "nonce": nonce, "fee": usd(fee)}


def internal_transfer(amount: int, source: bytes, destination: bytes, fee: int = 0) -> Document:
    """Money from account to account; the fee is the sender's, on top."""
    return {
        "type": "internalTransfer",
        "usdc": usd(amount),
        "user": hex_text(source),
        "destination": hex_text(destination),
        "fee": usd(fee),
    }


def sub_account_transfer(amount: int, source: bytes, destination: bytes) -> Document:
    """Money between a master and his sub-account."""
    return {
        "type": "subAccountTransfer",
        "usdc": usd(amount),
        "user": hex_text(source),
        "destination": hex_text(destination),
    }


def class_transfer(amount: int, *, to_perp: bool) -> Document:
    """Money between an account's margin and its spot balance."""
    return {"type": "accountClassTransfer", "usdc": usd(amount), "toPerp": to_perp}


def spot_transfer(amount: int, source: bytes, destination: bytes, nonce: int) -> Document:
    """USDC from spot balance to spot balance; the fee is the sender's, on top."""
    return {
        "type": "spotTransfer",
        **_sent(amount, source, destination, nonce),
    }


def token_transfer(
    token: str, amount: str, ends: tuple[bytes, bytes], nonce: int, *, is_plain: bool
) -> Document:
    """A token from spot balance to spot balance, what it is worth not said. `is_plain`: sent as
    `spotSend`, or between an account and its own."""
    row = _sent(0, *ends, nonce) | {"token": token, "amount": amount}
    if is_plain:
        return {"type": "spotTransfer", **row}
    return {"type": "send", **row, "sourceDex": "spot", "destinationDex": "spot"}


def rewards_claim(amount: int) -> Document:
    """What a referrer has claimed."""
    return {"type": "rewardsClaim", "amount": usd(amount), "token": "USDC"}


def asset_send(
    amount: int, source: bytes, destination: bytes, dexes: tuple[str, str], nonce: int
) -> Document:
    """USDC between two cells of accounts, named by their dexes."""
    return {
        "type": "send",
        **_sent(amount, source, destination, nonce),
        "sourceDex": dexes[0],
        "destinationDex": dexes[1],
    }


def _sent(amount: int, source: bytes, destination: bytes, nonce: int) -> Document:
    return {
        "token": "USDC",
        "amount": usd(amount),
        "usdcValue": usd(amount),
        "user": hex_text(source),
        "destination": hex_text(destination),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": nonce,
        "feeToken": "USDC",
    }


def liquidation(
    notional: int, value: int, *, is_cross: bool, positions: list[tuple[Coin, int]]
) -> Document:
    """A scope that was liquidated: what of it, by market and signed lots."""
    return {
        "type": "liquidation",
        "liquidatedNtlPos": usd(notional),
        "accountValue": usd(value),
        "leverageType": "Cross" if is_cross else "Isolated",
        "liquidatedPositions": [
            {"coin": terms.name, "szi": size(terms, lots)} for terms, lots in positions
        ],
    }
