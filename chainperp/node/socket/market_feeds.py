"""Channels of markets: books, trades, candles, prices and contexts.

Source: hyperliquid-api 6.3.
"""

import base64
import zlib
from typing import Any, Final

from chainperp.model.tokens import SPOT_FIRST
from chainperp.node.documents.fills import trade
from chainperp.node.documents.markets import LEVELS_MAX, Merging, bbo, book, mids
from chainperp.node.socket.channels import Frames, MarketChannel, Sources, StateChannel
from chainperp.node.socket.messages import dumps, envelope
from chainperp.node.socket.protocol import text_frame
from chainperp.node.socket.subscriptions import Subscription
from chainperp.node.socket.view import BlockView

BOOK_SECONDS: Final = 0.5
CONTEXT_SECONDS: Final = 0.5
FAST_LEVELS: Final = 5
RAW_DEFLATE: Final = -15


class AllMids(StateChannel):
    """Middle prices of all markets."""

    def document(self) -> Any:
        """The mids by coin."""
        return {"mids": mids(self.sources.state())}

    def is_touched(self, view: BlockView) -> bool:
        """Books and marks make mids."""
        return bool(view.books or view.prices)


class BookFeed(MarketChannel, StateChannel):
    """A book's best levels, in full each time."""

    pause = BOOK_SECONDS

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self.merging = Merging(self.fields["nSigFigs"] or 0, self.fields["mantissa"] or 1)
        self.is_fast = self.fields["fast"]

    def document(self) -> Any:
        """The book; 5 levels of it when it has to be fast."""
        depth = FAST_LEVELS if self.is_fast else LEVELS_MAX
        found = book(self.market, self.sources.state().time_ms, self.merging, depth)
        return found | {"fast": True} if self.is_fast else found

    def essence(self, document: Any) -> Any:
        """The levels."""
        return document["levels"]

    def is_touched(self, view: BlockView) -> bool:
        """Orders and trades of the market."""
        return self.asset in view.books


class BestFeed(MarketChannel, StateChannel):
    """A book's best prices. A new subscriber hears of them when they change."""

    is_newest_only = False

    def begin(self, time_ms: int) -> None:
        """What there is now is no change."""
        self._last = dumps(self.essence(self.document()))

    def document(self) -> Any:
        """Best bid and ask."""
        return bbo(self.market, self.sources.state().time_ms)

    def essence(self, document: Any) -> Any:
        """The levels."""
        return document["bbo"]

    def snapshot(self) -> Frames:
        """None: on change only."""
        return []

    def is_touched(self, view: BlockView) -> bool:
        """Orders and trades of the market."""
        return self.asset in view.books


class TradesFeed(MarketChannel):
    """Trades of one market, oldest first; a new subscriber gets the recent ones."""

    has_history = True

    async def history(self, time_ms: int) -> Frames:
        """Recent trades; nothing when there are none."""
        rows = await self.sources.ask("recentTrades", coin=self.fields["coin"])
        found = [row for row in reversed(rows) if row["time"] <= time_ms]
        return [self.frame(found)] if found else []

    def is_touched(self, view: BlockView) -> bool:
        """Whether the market traded."""
        return self.asset in view.traded

    def messages(self, view: BlockView | None) -> Frames:
        """The block's trades in one message."""
        if view is None:
            return []
        terms = self.market.terms
        return [
            self.frame(
                [
                    trade(record, terms, view.time_ms, view.hash_of(record))
                    for record in view.traded[self.asset]
                ]
            )
        ]


class _Contextual(StateChannel):
    """Contexts: they hold sums of the last day, which the index keeps."""

    pause = CONTEXT_SECONDS
    is_asked = True
    has_history = True

    async def history(self, _time_ms: int) -> Frames:
        """The contexts now."""
        await self.sources.indexed()
        return self.snapshot()

    async def refresh(self) -> Frames:
        """The contexts when they have changed."""
        await self.sources.indexed()
        return self.messages(None)


class ContextFeed(MarketChannel, _Contextual):
    """What is going on in one market or spot pair, which has a channel name of its own."""

    def frame(self, data: Any) -> bytes:
        """A message under the name that clients expect."""
        if self.asset < SPOT_FIRST:
            return super().frame(data)
        return text_frame(envelope("activeSpotAssetCtx", data))

    def document(self) -> Any:
        """The market's context."""
        if self.asset >= SPOT_FIRST:
            found = self.sources.spot_contexts()[self.asset - SPOT_FIRST]
            return {"coin": self.fields["coin"], "ctx": found}
        return {"coin": self.fields["coin"], "ctx": self.sources.contexts()[self.asset]}

    def is_touched(self, view: BlockView) -> bool:
        """Trades, orders, prices and funding of the market."""
        return self.asset in view.books or self.asset in view.prices


class _AllContexts(_Contextual):
    """Contexts of all markets."""

    def is_touched(self, view: BlockView) -> bool:
        """Any market."""
        return bool(view.books or view.prices)


class Contexts(_AllContexts):
    """Contexts of the main exchange's markets, in asset order."""

    def document(self) -> Any:
        """With the exchange's name, which is empty."""
        return {"dex": "", "ctxs": self.sources.contexts()}


class ContextsOfAll(_AllContexts):
    """Contexts by exchange; there is only the main one."""

    def document(self) -> Any:
        """Pairs of name and contexts."""
        return {"ctxs": [["", self.sources.contexts()]]}


class FastContexts(_AllContexts):
    """Marks and mids, deflated: everything first, then what has changed."""

    is_newest_only = False

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self._sent: dict[str, Any] = {}

    def document(self) -> Any:
        """All of it."""
        names = [market.terms.name for market in self.sources.state().markets]
        found = zip(names, self.sources.contexts(), strict=True)
        return {name: {"markPx": one["markPx"], "midPx": one["midPx"]} for name, one in found}

    def snapshot(self) -> Frames:
        """All of it, as of now."""
        document = self.document()
        if not self._sent:
            self._sent = document
        return [self._packed(document)]

    def messages(self, _view: BlockView | None) -> Frames:
        """The markets that have changed."""
        document = self.document()
        changed = {name: one for name, one in document.items() if self._sent.get(name) != one}
        self._sent = document
        return [self._packed(changed)] if changed else []

    def _packed(self, document: Any) -> bytes:
        packer = zlib.compressobj(wbits=RAW_DEFLATE)
        packed = packer.compress(dumps(document).encode()) + packer.flush()
        return self.frame(base64.b64encode(packed).decode())

    def reset(self) -> None:
        """Say everything anew."""
        super().reset()
        self._sent = {}


class SpotContexts(_AllContexts):
    """Contexts of spot pairs."""

    def document(self) -> Any:
        """One for each pair, in order."""
        return self.sources.spot_contexts()
