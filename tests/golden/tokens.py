"""Refusals of the spot market and of referrals, a purchase of the fund, and quotes that move, for
the chain of refusals (`refusals.py`)."""

from collections.abc import Iterator
from typing import Any

from chainperp.base.units import address_text
from chainperp.model.tokens import SPOT_FIRST, wire_name
from chainperp.state.store import MARKET_MAKER
from tests.golden.refusals import BTC, ETH, ODD, Script, order, place, stop, twap
from tests.support.world import address_of

CHP = SPOT_FIRST
PRICES = {BTC: "100000", ETH: "4000", ODD: "19.6"}
HIGHER = {BTC: "101000", ETH: "4040", ODD: "19.8"}


def refer(kind: str, code: str) -> dict[str, Any]:
    """A referral code registered or named."""
    return {"type": kind, "code": code}


def tokens(script: Script) -> Iterator[None]:
    """Codes first, then the spot market, then what the exchange does by itself."""
    for who, action in _referrals():
        script.block(script.by(who, action))
    for who, action in _spot_orders():
        script.block(script.by(who, action))
    script.block(script.by("alice", place(order(CHP, "sell", "900", "10.1"))), gap=61_000)
    script.block(system=[script.deposit(MARKET_MAKER, 200_000), script.vote(PRICES)], gap=5_000)
    script.block(system=[script.vote(HIGHER)], gap=5_000)
    yield


def _referrals() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "carol", refer("registerReferrer", "CAROL")  # never traded
    yield "alice", refer("registerReferrer", "al!ce")
    yield "alice", refer("registerReferrer", "ALICE")
    yield "alice", refer("registerReferrer", "SECOND")
    yield "bob", refer("registerReferrer", "ALICE")
    yield "alice", refer("setReferrer", "ALICE")
    yield "bob", refer("setReferrer", "ALICE")
    yield "bob", refer("setReferrer", "ALICE")
    yield "alice", {"type": "claimRewards"}


def _spot_orders() -> Iterator[tuple[str, dict[str, Any]]]:
    buys, sells = order(CHP, "buy", "1", "10"), order(CHP, "sell", "1", "10")
    builder = {"b": address_text(address_of("alice")), "f": 10}
    out = {"type": "sendAsset", "destination": address_text(address_of("bob")),
           "sourceDex": "spot", "destinationDex": "", "token": wire_name(1, "CHP"),
           "amount": "5", "fromSubAccount": ""}  # fmt: skip
    yield "alice", place(order(CHP, "buy", "0.01", "10"))
    yield "hal", place(order(CHP, "buy", "100000", "10"))
    yield "alice", place({**sells, "r": True})
    yield "alice", place({**stop(CHP, "5", "9"), "p": "9"})
    yield "hal", {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": builder["b"]}
    yield "hal", {**place(buys), "builder": builder}
    yield "alice", twap(CHP, "10", 5)
    yield "alice", out
    yield "hal", {"type": "usdClassTransfer", "amount": "1000", "toPerp": False}
    yield "hal", place(order(CHP, "buy", "20", "10"))
    yield "alice", place(order(CHP, "sell", "10", "10", "Ioc"))
