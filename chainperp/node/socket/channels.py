"""A channel: one subscription's messages, built once and sent to all who have it.

A channel of events sends what happened in each block. A channel of states sends how something is:
when it has changed, and some of them not more often than a pause allows.
"""

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from chainperp.base.units import Address
from chainperp.node.documents.listing import Listed, listed_of
from chainperp.node.documents.markets import ctxs
from chainperp.node.documents.spot import spot_ctxs
from chainperp.node.documents.texts import Document
from chainperp.node.info.registry import Context, Registry
from chainperp.node.socket.client import Client
from chainperp.node.socket.follow import Followed, Placed
from chainperp.node.socket.messages import dumps, envelope
from chainperp.node.socket.protocol import text_frame
from chainperp.node.socket.subscriptions import Fields, Subscription
from chainperp.node.socket.view import BlockView
from chainperp.state.store import State

Frames = list[bytes]


class Sources:
    """What channels are made from: the state, and the answers of `/info`."""

    def __init__(self, context: Context, registry: Registry, placed: Placed) -> None:
        self.context = context
        self.registry = registry
        self.placed = placed
        self._contexts: tuple[State, int, list[Document]] | None = None
        self._followed: WeakValueDictionary[Address, Followed] = WeakValueDictionary()

    def state(self) -> State:
        """The state between two blocks."""
        return self.context.state()

    def contexts(self) -> list[Document]:
        """Contexts of all markets, made once for each block. Await `indexed` before."""
        state = self.state()
        if self._contexts is None or self._contexts[:2] != (state, state.height):
            days = self.context.index().days
            self._contexts = (state, state.height, ctxs(state, days))
        return self._contexts[2]

    def spot_contexts(self) -> list[Document]:
        """Contexts of the spot pairs. Await `indexed` before."""
        return spot_ctxs(self.state(), self.context.index().spot_days)

    def reset(self) -> None:
        """The chain is another one now."""
        self._contexts = None
        self._followed.clear()

    async def indexed(self) -> None:
        """Return when the index knows the last block and the state is that of a durable one."""
        await self.context.index().reached(self.state().height)
        await self.context.settled()

    def follow(self, user: Address) -> Followed:
        """One account's orders and events, for as long as a channel keeps it."""
        followed = self._followed.get(user)
        if followed is None:
            followed = self._followed[user] = Followed(user, self.state(), self.placed)
        return followed

    async def ask(self, name: str, **fields: Any) -> Any:
        """The answer to a question. Raises IndexUnavailable."""
        _, document = await self.registry.ask(self.context, {"type": name, **fields})
        return document

    async def all_rows(self, name: str, **fields: Any) -> list[Document]:
        """The answer to a question, with the pages that follow it."""
        rows: list[Document] = []
        cursor: int | None = None
        while True:
            answer = await self.registry.answer(
                self.context, {"type": name, **fields, "cursor": cursor}
            )
            rows.extend(answer.document)
            cursor = answer.next_cursor
            if cursor is None:
                return rows


class Channel:
    """Messages of one subscription. `members` are its clients; one that still waits for the
    snapshot collects what comes meanwhile."""

    pause: ClassVar[float] = 0.0
    """Seconds between two messages, at least."""

    is_newest_only: ClassVar[bool] = False
    """Whether a slow reader gets only the newest message."""

    follows_prices: ClassVar[bool] = False
    """Whether a change of marks alone may change what an account's channel says."""

    is_asked: ClassVar[bool] = False
    """Whether messages are answers that have to be waited for: `refresh` makes them."""

    has_history: ClassVar[bool] = False
    """Whether the snapshot comes from the index."""

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        self.subscription = subscription
        self.sources = sources
        self.members: dict[Client, Frames | None] = {}
        self.sent_at = float("-inf")
        self.is_stale = False
        """Whether there may be something that was not sent yet."""

    @property
    def fields(self) -> Fields:
        """The subscription's keys."""
        return self.subscription.fields

    @property
    def feed(self) -> str | None:
        """Name under which waiting messages replace each other."""
        return self.subscription.key if self.is_newest_only else None

    def frame(self, data: Any) -> bytes:
        """A message of this channel."""
        return text_frame(envelope(self.subscription.offer.channel, data))

    def snapshot(self) -> Frames:
        """What a new subscriber gets at once."""
        return []

    async def history(self, _time_ms: int) -> Frames:
        """The snapshot of a channel with history: what happened up to a time."""
        return []

    def is_touched(self, _view: BlockView) -> bool:
        """Whether a block may have something for this channel."""
        return False

    def messages(self, _view: BlockView | None) -> Frames:
        """What is new. Channels with a pause are asked without a block when the pause is over."""
        return []

    def note(self, _view: BlockView) -> None:
        """Take from a block what `refresh` will need, for channels that are asked."""

    async def refresh(self) -> Frames:
        """What is new, for channels that are asked. Never runs twice at once."""
        return self.messages(None)

    def begin(self, _time_ms: int) -> None:
        """The first member joins."""

    def reset(self) -> None:
        """Forget what was sent: the chain is another one now."""


class StateChannel(Channel):
    """How something is. Sent when it differs from what was sent last."""

    is_newest_only = True

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self._last: str | None = None
        self._snapshot: tuple[State, int, Frames] | None = None
        self.snapshots_built = 0

    def document(self) -> Any:
        """The data of a message now; None when there is nothing to say."""
        raise NotImplementedError

    def essence(self, document: Any) -> Any:
        """What has to differ for a new message: the document without its time."""
        return document

    def snapshot(self) -> Frames:
        """The same message for everybody who subscribes at the same block."""
        state = self.sources.state()
        if self._snapshot is None or self._snapshot[:2] != (state, state.height):
            document = self.document()
            if self._last is None:
                self._last = dumps(self.essence(document))
            frames = [] if document is None else [self.frame(document)]
            self.snapshots_built += 1
            self._snapshot = (state, state.height, frames)
        return self._snapshot[2]

    def begin(self, _time_ms: int) -> None:
        """Nobody was told anything yet."""
        self._last = None

    def messages(self, _view: BlockView | None) -> Frames:
        """The document when it has changed."""
        document = self.document()
        essence = dumps(self.essence(document))
        if essence == self._last:
            return []
        self._last = essence
        return [] if document is None else [self.frame(document)]

    def reset(self) -> None:
        """Say it anew."""
        super().reset()
        self._last = self._snapshot = None


class MarketChannel(Channel):
    """A channel of one market or spot pair."""

    @property
    def market(self) -> Listed:
        """The market as it is now."""
        found = listed_of(self.sources.state(), self.fields["coin"])
        if found is None:
            raise LookupError(f"there is no market {self.fields['coin']}")
        return found

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self.asset = self.market.asset


Maker = Callable[[Subscription, Sources], Channel]
