"""The hub: which client has which subscription, and who hears what of a block.

    block is durable → channels build what is new, once → each member's queue → flush

Called by the engine loop after the flush of a block, so nothing is heard that could still be lost,
and every channel's messages come in the order of the blocks. Everything runs on the event loop.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterable

from chainperp.base.errors import BadRequest
from chainperp.node.documents.listing import listed_of
from chainperp.node.effects import Published
from chainperp.node.index.index import IndexUnavailable
from chainperp.node.info.registry import Context, Registry
from chainperp.node.socket import messages
from chainperp.node.socket.catalogue import MAKERS
from chainperp.node.socket.channels import Channel, Frames, Sources
from chainperp.node.socket.client import FAULT, POLICY, RESTART, SLOW, Client, Counters
from chainperp.node.socket.follow import Placed
from chainperp.node.socket.limits import LOCAL, Origins, SocketLimits
from chainperp.node.socket.protocol import text_frame
from chainperp.node.socket.subscriptions import Fields, Subscription, read_subscription
from chainperp.node.socket.view import BlockView


class Hub:
    """All clients and channels of one node."""

    def __init__(
        self,
        context: Context,
        registry: Registry,
        placed: Placed,
        limits: SocketLimits = LOCAL,
    ) -> None:
        self.context = context
        self.limits = limits
        self.sources = Sources(context, registry, placed)
        self.origins = Origins(limits)
        self.counters = Counters()
        self.clients: dict[Client, None] = {}
        self.channels: dict[str, Channel] = {}
        self._markets: dict[str, Channel] = {}
        self._users: dict[bytes, dict[str, Channel]] = {}
        self._late: dict[str, asyncio.Task[None]] = {}
        self._withdrawing = self._waiting()

    # --- what subscribers ask --------------------------------------------------------------------

    async def subscribe(self, client: Client, given: Fields) -> None:
        """Acknowledge a subscription and send its snapshot, or say why there is none."""
        try:
            subscription = read_subscription(given, self._is_coin)
        except BadRequest:
            return client.send(text_frame(messages.invalid_subscription(given)))
        refusal = self._refusal(client, subscription, given)
        if refusal is not None:
            return client.send(text_frame(refusal))
        client.subscriptions[subscription.key] = subscription
        await self.context.settled()
        if client.is_closed:
            return None
        client.push(text_frame(messages.acknowledgement("subscribe", subscription.echo)))
        try:
            await self._join(client, subscription)
        except IndexUnavailable as fault:
            client.subscriptions.pop(subscription.key, None)
            self._leave(client, subscription)
            client.send(text_frame(messages.error(str(fault))))
        return None

    def _refusal(self, client: Client, subscription: Subscription, given: Fields) -> str | None:
        limits = self.limits
        if subscription.key in client.subscriptions:
            return messages.already_subscribed(given)
        if len(client.subscriptions) >= limits.subscriptions:
            return messages.invalid_subscription(given)
        if limits.users is not None and subscription.user is not None:
            users = client.users()
            if subscription.user not in users and len(users) >= limits.users:
                return messages.too_many_users(limits.users)
        return None

    def _is_coin(self, name: str) -> bool:
        return listed_of(self.sources.state(), name) is not None

    async def _join(self, client: Client, subscription: Subscription) -> None:
        """Become a member; nothing is awaited between a snapshot of the state and this."""
        channel = self._channel(subscription)
        if not channel.has_history:
            if not channel.members:
                channel.begin(self.sources.state().time_ms)
            frames = channel.snapshot()
            channel.members[client] = None
            for frame in frames:
                client.push(frame)
            return client.flush()
        while subscription.key in self._late:
            # What earlier members still wait for is in the snapshot already.
            await asyncio.wait([self._late[subscription.key]])
        if client.is_closed:
            return None
        return await self._join_with_history(client, self._channel(subscription))

    async def _join_with_history(self, client: Client, channel: Channel) -> None:
        """Become a member now and get the snapshot when it is there, before anything newer."""
        time_ms = self.sources.state().time_ms
        if not channel.members:
            channel.begin(time_ms)
        collected: Frames = []
        channel.members[client] = collected
        client.flush()
        frames = await channel.history(time_ms)
        # A snapshot may be as large as the whole queue: it goes when nothing else waits.
        await client.room()
        if channel.members.get(client) is collected and not client.is_closed:
            for frame in frames + collected:
                client.push(frame)
            channel.members[client] = None
            client.flush()

    def _channel(self, subscription: Subscription) -> Channel:
        key = subscription.key
        channel = self.channels.get(key)
        if channel is None:
            channel = MAKERS[subscription.offer.name](subscription, self.sources)
            self.channels[key] = channel
            if subscription.user is None:
                self._markets[key] = channel
            else:
                self._users.setdefault(subscription.user, {})[key] = channel
        return channel

    def unsubscribe(self, client: Client, given: Fields) -> None:
        """Acknowledge the end of a subscription; nothing of it comes after that."""
        try:
            subscription = read_subscription(given, self._is_coin)
        except BadRequest:
            return client.send(text_frame(messages.invalid_subscription(given)))
        if client.subscriptions.pop(subscription.key, None) is None:
            return client.send(text_frame(messages.already_unsubscribed(given)))
        self._leave(client, subscription)
        text = messages.acknowledgement("unsubscribe", subscription.echo)
        return client.send(text_frame(text))

    def _leave(self, client: Client, subscription: Subscription) -> None:
        key, user = subscription.key, subscription.user
        channel = self.channels.get(key)
        if channel is None:
            return
        channel.members.pop(client, None)
        if channel.members:
            return
        del self.channels[key]
        self._markets.pop(key, None)
        if user is not None:
            del self._users[user][key]
            if not self._users[user]:
                del self._users[user]
        late = self._late.pop(key, None)
        if late is not None:
            late.cancel()

    def join(self, client: Client) -> None:
        """A client has connected."""
        self.clients[client] = None

    def leave(self, client: Client) -> None:
        """A client is gone."""
        client.forget()
        self.clients.pop(client, None)
        for subscription in client.subscriptions.values():
            self._leave(client, subscription)
        client.subscriptions.clear()

    # --- what happens ----------------------------------------------------------------------------

    def on_block(self, published: Published) -> None:
        """Tell everybody what a durable block did. A listener of the engine loop."""
        before, self._withdrawing = self._withdrawing, self._waiting()
        if not self.channels:
            return
        view = BlockView(published, self.sources.state(), before)
        touched: dict[Client, None] = {}
        for channel in list(self._markets.values()):
            self._publish(channel, view, touched)
        if self._users:
            for channel in self._user_channels(view):
                self._publish(channel, view, touched)
        for client in touched:
            client.flush()

    def _waiting(self) -> dict[int, bytes]:
        """Whose withdrawals wait, by number."""
        return {wid: one.user for wid, one in self.sources.state().withdrawals.items()}

    def _user_channels(self, view: BlockView) -> Iterable[Channel]:
        """Channels of accounts that the block changed, and of those that the marks move."""
        users = self._users
        changed = view.accounts
        for user in [user for user in users if user in changed]:
            yield from users[user].values()
        if view.prices:
            for user, channels in users.items():
                for channel in channels.values():
                    if channel.follows_prices and user not in changed:
                        yield channel

    def _publish(
        self, channel: Channel, view: BlockView | None, touched: dict[Client, None]
    ) -> None:
        """Give what is new to the members, now or when the channel's pause is over."""
        try:
            if view is not None and not channel.is_touched(view):
                return
            if channel.is_asked and view is not None:
                channel.note(view)
            if channel.is_asked or self._pause_left(channel) > 0:
                self._publish_later(channel)
            else:
                self._deliver(channel, channel.messages(view), touched)
        except Exception as fault:  # noqa: BLE001 (a feed's fault must not end the engine loop)
            self._fail(channel, fault)

    def _fail(self, channel: Channel, fault: Exception) -> None:
        """A fault of ours: a gap must not go unnoticed, so whoever listened is closed."""
        key = channel.subscription.key
        sys.stderr.write(f"fault in the feed {key}: {type(fault).__name__}: {fault}\n")
        for client in list(channel.members):
            client.close(FAULT, "a fault of the node")

    @staticmethod
    def _pause_left(channel: Channel) -> float:
        if not channel.pause:
            return 0.0
        return channel.sent_at + channel.pause - asyncio.get_running_loop().time()

    def _deliver(self, channel: Channel, frames: Frames, touched: dict[Client, None]) -> None:
        if not frames:
            return
        channel.sent_at = asyncio.get_running_loop().time()
        feed = channel.feed
        for client, collected in list(channel.members.items()):
            if collected is not None:
                if feed is not None:
                    collected.clear()
                collected.extend(frames)
                if len(collected) > self.limits.queue_messages:
                    client.close(POLICY, SLOW)
                continue
            for frame in frames:
                client.push(frame, feed)
            touched[client] = None

    def _publish_later(self, channel: Channel) -> None:
        channel.is_stale = True
        key = channel.subscription.key
        if key not in self._late:
            self._late[key] = asyncio.create_task(self._catch_up(channel))

    async def _catch_up(self, channel: Channel) -> None:
        """Publish what is new when the pause is over, and again what came meanwhile."""
        key = channel.subscription.key
        try:
            while channel.is_stale:
                await asyncio.sleep(max(self._pause_left(channel), 0))
                await self.context.settled()
                channel.is_stale = False
                touched: dict[Client, None] = {}
                self._deliver(channel, await channel.refresh(), touched)
                for client in touched:
                    client.flush()
        except (IndexUnavailable, sqlite3.Error, RuntimeError):
            # The index stopped, or was closed because the chain went back: the channel is tried
            # again at its next change.
            self.counters.drop("no index")
        except Exception as fault:  # noqa: BLE001 (nobody else hears of it)
            self._fail(channel, fault)
        finally:
            if self.channels.get(key) is channel:
                self._late.pop(key, None)

    # --- the node's side -------------------------------------------------------------------------

    def reset(self) -> None:
        """The chain is another one now: tell the members of state channels how it is there."""
        touched: dict[Client, None] = {}
        self.sources.reset()
        self._withdrawing = self._waiting()
        for channel in self.channels.values():
            channel.reset()
            self._publish(channel, None, touched)
        for client in touched:
            client.flush()

    def drop_connections(self) -> int:
        """End every connection; how many there were."""
        clients = list(self.clients)
        for client in clients:
            client.close(RESTART, "dropped")
        return len(clients)

    def figures(self) -> dict[str, int]:
        """What operators watch, beside `counters.dropped`."""
        counters = self.counters
        return {
            "clients": len(self.clients),
            "subscriptions": sum(len(one.subscriptions) for one in self.clients),
            "channels": len(self.channels),
            "sent": counters.sent,
            "sent_bytes": counters.sent_bytes,
            "received": counters.received,
            "replaced": counters.replaced,
        }
