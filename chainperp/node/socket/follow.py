"""A followed account: its live orders, and what each block did to it.

A record of the log names an order that a trade has used up, and no more; its size, client id and
limit are remembered here from when it was placed, or from the state where the following began.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from chainperp.base.canonical import Record
from chainperp.base.units import Address
from chainperp.model.decisions import LiquidationOutcome, OrderStatus, Rejection, TwapEvent
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.node.documents.fills import (
    FillView,
    Liquidation,
    fills_of,
    liquidation_of,
    victim_of,
)
from chainperp.node.documents.history import funding_delta
from chainperp.node.documents.listing import coin_terms, known_terms
from chainperp.node.documents.orders import (
    FILLED,
    LIVE,
    OPEN,
    TRIGGERED,
    OrderView,
    coin_of,
    status_word,
    view_of_order,
    view_of_record,
)
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.node.documents.twaps import event_of_record
from chainperp.node.effects import FillRecord, OrderRecord
from chainperp.node.socket.view import BlockView, Decision
from chainperp.state.store import BACKSTOP_VAULT, State
from chainperp.transition.receipts import SCOPE_CROSS
from chainperp.transition.recorder import FLAG_ADL, FLAG_MAKER_DONE

Placed = Callable[[int], int]
"""When the order with an oid was placed, in milliseconds; 0: not known."""

# Why an order ended although its owner asked for nothing at that time.
NOT_BY_USER: Final = (
    Rejection.SELF_TRADE,
    Rejection.MARGIN_CANCELED,
    Rejection.REDUCE_ONLY_CANCELED,
    Rejection.LIQUIDATED,
    Rejection.SIBLING_FILLED,
    Rejection.PARENT_ENDED,
    Rejection.SCHEDULED_CANCEL,
)
SETTLED: Final = (LiquidationOutcome.RECOVERED, LiquidationOutcome.WAITING)


class OrderChange(NamedTuple):
    """An order after something happened to it, with the published word for its state."""

    view: OrderView
    word: str
    is_forced: bool = False
    "Whether it was cancelled and its owner did not ask for that."


@dataclass(slots=True)
class AccountBlock:
    """What one block did to one account, in order."""

    orders: list[OrderChange]
    fills: list[FillView]
    fundings: list[Document]
    liquidations: list[Document]
    twaps: list[Document]
    "TWAP orders that began or ended, as rows of their history."


class Followed:
    """One account with at least one channel of events."""

    def __init__(self, user: Address, state: State, placed: Placed) -> None:
        self.user = user
        self.placed = placed
        self.live: dict[int, OrderView] = {}
        self._seen: tuple[BlockView, AccountBlock] | None = None
        account = state.accounts.get(user)
        for order in [] if account is None else account.orders.values():
            terms = known_terms(state, order.asset)
            self.live[order.oid] = view_of_order(order, terms, placed(order.oid))

    def on_block(self, view: BlockView) -> AccountBlock:
        """What a block did to the account. The same answer for every channel that asks."""
        if self._seen is None or self._seen[0] is not view:
            self._seen = view, self._read(view)
        return self._seen[1]

    def _read(self, view: BlockView) -> AccountBlock:
        decisions = view.decisions.get(self.user, [])
        cloids = self._cloids(decisions)
        found = AccountBlock(
            [], [], self._fundings(view), self._liquidations(view), self._twaps(view)
        )
        for decision in decisions:
            if isinstance(decision, OrderRecord):
                self._decided(view, decision, found)
            elif isinstance(decision, FillRecord):
                self._traded(view, decision, cloids, found)
            elif decision in self.live:
                self._fired(decision, found)
        return found

    # --- orders ----------------------------------------------------------------------------------

    def _cloids(self, decisions: list[Decision]) -> dict[int, bytes]:
        """Client ids of the account's orders, those of the block included: a trade comes before
        the record of the order that made it."""
        known = {oid: one.cloid for oid, one in self.live.items() if one.cloid is not None}
        for one in decisions:
            if isinstance(one, OrderRecord) and one.cloid is not None:
                known[one.oid] = one.cloid
        return known

    def _decided(self, view: BlockView, record: OrderRecord, found: AccountBlock) -> None:
        word = status_word(record)
        if word is None:
            return
        known = self.live.get(record.oid)
        terms = coin_terms(view.state, record.asset)
        decimals = 0 if terms is None else terms.size_decimals
        placed = view.time_ms if known is None else known.placed_ms
        one = view_of_record(record, coin_of(view.state, record.asset), decimals, placed)
        if known is not None and known.lots:
            one = replace(one, lots=known.lots)
        if record.status in LIVE:
            self.live[record.oid] = one
        else:
            self.live.pop(record.oid, None)
        is_forced = record.status == OrderStatus.CANCELED and record.rejection in NOT_BY_USER
        found.orders.append(OrderChange(one, word, is_forced))

    def _fired(self, oid: int, found: AccountBlock) -> None:
        found.orders.append(OrderChange(self.live[oid], TRIGGERED))

    def _used(self, record: FillRecord, found: AccountBlock) -> None:
        """A resting order of the account was filled, in part or to its end."""
        known = self.live.get(record.maker_oid)
        if known is None:
            return
        one = replace(known, remaining=known.remaining - record.lots)
        if record.flags & FLAG_MAKER_DONE:
            del self.live[record.maker_oid]
            found.orders.append(OrderChange(one, FILLED))
        else:
            self.live[record.maker_oid] = one
            found.orders.append(OrderChange(one, OPEN))

    # --- trades ----------------------------------------------------------------------------------

    def _traded(
        self, view: BlockView, record: FillRecord, cloids: dict[int, bytes], found: AccountBlock
    ) -> None:
        maker, taker = fills_of(
            record,
            known_terms(view.state, record.asset),
            view.time_ms,
            view.hash_of(record),
            _liquidation(view, record),
            (cloids.get(record.maker_oid), cloids.get(record.taker_oid)),
        )
        if record.maker == self.user:
            found.fills.append(maker)
            self._used(record, found)
        if record.taker == self.user:
            found.fills.append(replace(taker, twap_id=view.twap_of(record)))

    def _twaps(self, view: BlockView) -> list[Document]:
        """TWAP orders of the account that began or ended."""
        markets = view.state.markets
        return [
            event_of_record(view.time_ms, fields, markets[fields["asset"]].terms)
            for fields in view.twaps
            if fields["account"] == self.user and fields["event"] != TwapEvent.SLICE
        ]

    # --- funding and liquidation -----------------------------------------------------------------

    def _fundings(self, view: BlockView) -> list[Document]:
        """Hourly payments of the account, by market."""
        return [
            funding_delta(view.state.markets[asset].terms, lots, rate, payment)
            for asset, rate, lots, payment in view.fundings.get(self.user, [])
        ]

    def _liquidations(self, view: BlockView) -> list[Document]:
        """Scopes of the account of which the block took something."""
        found: list[Document] = []
        for index, fields in view.tests:
            if fields["account"] != self.user or fields["outcome"] in SETTLED:
                continue
            notional = _notional(view, self.user, fields)
            if notional:
                found.append(
                    {
                        "lid": index,
                        "liquidator": hex_text(BACKSTOP_VAULT),
                        "liquidated_user": hex_text(self.user),
                        "liquidated_ntl_pos": usd(notional),
                        "liquidated_account_value": usd(fields["value"]),
                    }
                )
        return found


def _cause(view: BlockView, record: FillRecord) -> Record:
    """The entry that a forced trade names as its cause."""
    published = view.published
    return decode_payload(
        decode_entry(published.entries[record.cause_index - published.first_index])
    )


def _is_cross(record: FillRecord, cause: Record) -> bool:
    if record.flags & FLAG_ADL:
        return bool(cause["target_scope"] == SCOPE_CROSS)
    return bool(cause["asset"] == CROSS_SCOPE)


def _liquidation(view: BlockView, record: FillRecord) -> Liquidation | None:
    if victim_of(record) is None:
        return None
    mark = view.state.markets[record.asset].mark
    return liquidation_of(record, mark, is_cross=_is_cross(record, _cause(view, record)))


def _notional(view: BlockView, user: Address, fields: Record) -> int:
    """What of a scope was closed in the block, in micro-USDC."""
    is_cross = fields["asset"] == CROSS_SCOPE
    return sum(
        record.price * record.lots
        for record in view.fills
        if victim_of(record) == user
        and _is_cross(record, _cause(view, record)) is is_cross
        and (is_cross or record.asset == fields["asset"])
    )
