"""Channels of what happens to one account: orders, fills, funding, money.

Source: hyperliquid-api 6.3.
"""

from typing import Any, Final

from chainperp.base.units import DAY_MS
from chainperp.node.documents.fills import fill
from chainperp.node.documents.history import stream_funding
from chainperp.node.documents.orders import order_update
from chainperp.node.documents.texts import Document
from chainperp.node.documents.twaps import slice_fill
from chainperp.node.info.history import aggregate
from chainperp.node.socket.channels import Channel, Frames, Sources
from chainperp.node.socket.follow import AccountBlock, Followed
from chainperp.node.socket.subscriptions import Subscription
from chainperp.node.socket.view import BlockView

SNAPSHOT_ROWS: Final = 500
SNAPSHOT_MS: Final = 30 * DAY_MS
"""How far a snapshot of funding or money goes back, and how many rows it has at most."""

TOLD_MAX: Final = 10_000
"""TWAP events that a channel remembers, for snapshots that are made while they come."""


class AccountChannel(Channel):
    """A channel of one account's events."""

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        if subscription.user is None:
            raise ValueError("this subscription follows no account")
        self.address = subscription.user
        self.followed: Followed = sources.follow(self.address)

    @property
    def user(self) -> str:
        """The account as the wire has it."""
        name: str = self.fields["user"]
        return name

    def is_touched(self, view: BlockView) -> bool:
        """Asked only for accounts that the block changed."""
        return True

    def reset(self) -> None:
        """Follow the account on the other chain."""
        super().reset()
        self.followed = self.sources.follow(self.address)

    def messages(self, view: BlockView | None) -> Frames:
        """What of the block belongs here."""
        if view is None:
            return []
        return self.frames_of(self.followed.on_block(view), view)

    def frames_of(self, _block: AccountBlock, _view: BlockView) -> Frames:
        """Messages about what a block did to the account."""
        return []


class OrderUpdates(AccountChannel):
    """Every decision about the account's orders, in one list for each block."""

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """The list; nothing when there was no decision."""
        rows = [order_update(one.view, one.word, view.time_ms) for one in block.orders]
        return [self.frame(rows)] if rows else []


class UserEvents(AccountChannel):
    """Fills, funding, liquidations, cancels and TWAP orders: one object with one key for each."""

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """At most one message of fills and one of cancels; one for each other event."""
        found: list[Document] = []
        if block.twaps:
            found.append({"twapHistory": block.twaps})
        if block.fills:
            found.append({"fills": [fill(one) for one in block.fills]})
        slices = slices_of(block)
        if slices:
            found.append({"twapSliceFills": slices})
        for funding in block.fundings:
            found.append({"funding": stream_funding(view.time_ms, funding)})
        for liquidation in block.liquidations:
            found.append({"liquidation": liquidation})
        forced = [
            {"coin": one.view.coin, "oid": one.view.oid} for one in block.orders if one.is_forced
        ]
        if forced:
            found.append({"nonUserCancel": forced})
        return [self.frame(one) for one in found]


class ListFeed(AccountChannel):
    """A list of rows under a key, with a snapshot from the index. `rows` name the list."""

    has_history = True
    key = ""
    question = ""

    def message(self, rows: list[Any], *, is_snapshot: bool = False) -> bytes:
        """One message; later ones have no flag."""
        data = {"user": self.user, self.key: rows}
        return self.frame(data | {"isSnapshot": True} if is_snapshot else data)

    async def past(self) -> list[Document]:
        """Rows of the past."""
        rows: list[Document] = await self.sources.ask(self.question, user=self.user)
        return rows

    async def latest(self) -> list[Document]:
        """The latest rows of a question that begins with the oldest."""
        start = max(self.sources.state().time_ms - SNAPSHOT_MS, 0)
        rows = await self.sources.all_rows(self.question, user=self.user, startTime=start)
        return rows[-SNAPSHOT_ROWS:]

    def time_of(self, row: Document) -> int:
        """When a row happened."""
        time_ms: int = row["time"]
        return time_ms

    async def history(self, time_ms: int) -> Frames:
        """What happened up to a time, as the question orders it."""
        rows = [row for row in await self.past() if self.time_of(row) <= time_ms]
        return [self.message(rows, is_snapshot=True)]


class UserFills(ListFeed):
    """The account's fills."""

    key = "fills"
    question = "userFills"

    async def past(self) -> list[Document]:
        """The latest fills, newest first."""
        rows: list[Document] = await self.sources.ask(
            self.question, user=self.user, aggregateByTime=self.fields["aggregateByTime"]
        )
        return rows

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """The block's fills, oldest first."""
        fills = aggregate(block.fills) if self.fields["aggregateByTime"] else block.fills
        return [self.message([fill(one) for one in fills])] if fills else []


def slices_of(block: AccountBlock) -> list[Document]:
    """Fills of TWAP orders, each with its order's number, oldest first."""
    return [slice_fill(one) for one in block.fills if one.twap_id is not None]


class TwapSliceFills(ListFeed):
    """Fills of the account's TWAP orders. They are in `userFills` as well."""

    key = "twapSliceFills"
    question = "userTwapSliceFills"

    def time_of(self, row: Document) -> int:
        """When the slice was filled."""
        time_ms: int = row["fill"]["time"]
        return time_ms

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """The block's, oldest first."""
        rows = slices_of(block)
        return [self.message(rows)] if rows else []


class TwapHistory(ListFeed):
    """How the account's TWAP orders begin and end."""

    key = "history"
    question = "twapHistory"

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self._told: dict[tuple[int, str], int] = {}

    async def history(self, time_ms: int) -> Frames:
        """What happened up to a time. A row's own time is in whole seconds, so rows that were told
        since are known by what they say."""
        told = self._told
        rows = [row for row in await self.past() if told.get(_event(row), 0) <= time_ms]
        return [self.message(rows, is_snapshot=True)]

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """The block's, in order."""
        if not block.twaps:
            return []
        self._told.update((_event(row), view.time_ms) for row in block.twaps)
        while len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]
        return [self.message(block.twaps)]

    def reset(self) -> None:
        """The other chain numbers its orders anew."""
        super().reset()
        self._told.clear()


def _event(row: Document) -> tuple[int, str]:
    return row["twapId"], row["status"]["status"]


class UserFundings(ListFeed):
    """The account's hourly funding."""

    key = "fundings"
    question = "userFunding"

    async def past(self) -> list[Document]:
        """The latest rows of the question, oldest first, in the form of this channel."""
        found: list[Document] = []
        for row in await self.latest():
            delta = {key: value for key, value in row["delta"].items() if key != "type"}
            found.append(stream_funding(row["time"], delta))
        return found

    def frames_of(self, block: AccountBlock, view: BlockView) -> Frames:
        """The hour's payments."""
        rows = [stream_funding(view.time_ms, one) for one in block.fundings]
        return [self.message(rows)] if rows else []
