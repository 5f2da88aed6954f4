"""TWAP orders: how a running one stands, and how it began and ended.

Source: hyperliquid-api 5.3, 5.4.
"""

from dataclasses import dataclass
from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import Address
from chainperp.model.decisions import TwapEvent
from chainperp.model.markets import MarketTerms
from chainperp.node.documents.fills import FillView, fill
from chainperp.node.documents.listing import Coin
from chainperp.node.documents.texts import Document, hex_text, side, size, usd
from chainperp.state.store import State

WORDS: Final = {
    TwapEvent.ACTIVATED: "activated",
    TwapEvent.TERMINATED: "terminated",
    TwapEvent.FINISHED: "finished",
}


@dataclass(frozen=True, slots=True)
class TwapView:
    """A TWAP order; what its slices have filled is in lots and in micro-USDC."""

    terms: Coin
    user: bytes
    is_buy: bool
    reduce_only: bool
    randomize: bool
    lots: int
    minutes: int
    start_ms: int
    executed_lots: int
    executed_notional: int


def twap_state(view: TwapView) -> Document:
    """A TWAP order. It has no trigger and no stop price: such are refused."""
    return {
        "coin": view.terms.name,
        "user": hex_text(view.user),
        "side": side(is_buy=view.is_buy),
        "sz": size(view.terms, view.lots),
        "executedSz": size(view.terms, view.executed_lots),
        "executedNtl": usd(view.executed_notional),
        "minutes": view.minutes,
        "reduceOnly": view.reduce_only,
        "randomize": view.randomize,
        "timestamp": view.start_ms,
        "stopPx": None,
        "trigger": None,
    }


def twap_event(time_ms: int, event: TwapEvent, twap_id: int, view: TwapView) -> Document:
    """A row of `twapHistory`: one when an order begins, one when it ends. Its time is in seconds,
    as clients know it."""
    return {
        "time": floor_div(time_ms, 1000),
        "state": twap_state(view),
        "status": {"status": WORDS[event]},
        "twapId": twap_id,
    }


def event_of_record(time_ms: int, fields: Record, terms: MarketTerms) -> Document:
    """The row of a TWAP record that is not of a slice."""
    view = TwapView(
        terms,
        fields["account"],
        fields["is_buy"],
        fields["reduce_only"],
        fields["randomize"],
        fields["lots"],
        fields["minutes"],
        fields["start"],
        fields["executed_lots"],
        fields["executed_notional"],
    )
    return twap_event(time_ms, TwapEvent(fields["event"]), fields["twap_id"], view)


def twap_states(state: State, user: bytes) -> list[Any]:
    """Number and state of an account's running TWAP orders, oldest first."""
    found: list[Any] = []
    for twap_id in state.twaps_of.get(Address(user), ()):
        twap = state.twaps[twap_id]
        view = TwapView(
            state.markets[twap.asset].terms,
            twap.account,
            twap.is_buy,
            twap.reduce_only,
            twap.randomize,
            twap.lots,
            twap.minutes,
            twap.start,
            twap.executed_lots,
            twap.executed_notional,
        )
        found.append([twap_id, twap_state(view)])
    return found


def slice_fill(view: FillView) -> Document:
    """A fill of a slice, under the number of its TWAP order."""
    return {"fill": fill(view), "twapId": view.twap_id}
