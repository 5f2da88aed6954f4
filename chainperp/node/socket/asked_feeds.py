"""Channels whose messages are answers of `/info`: how an account is, candles, rows of the past.

Where an answer comes from the index it is waited for, outside the engine loop. A channel has one
answer under way at most; what several blocks change meanwhile is in the next one.
Source: hyperliquid-api 6.3.
"""

from typing import Any, ClassVar, Final

from chainperp.base.units import DAY_MS
from chainperp.node.documents.history import INTERVALS
from chainperp.node.documents.listing import listed_of
from chainperp.node.documents.orders import open_order
from chainperp.node.documents.texts import Document
from chainperp.node.documents.twaps import twap_states
from chainperp.node.index.read import candle_start
from chainperp.node.socket.account_feeds import ListFeed
from chainperp.node.socket.channels import Channel, Frames, Sources, StateChannel
from chainperp.node.socket.follow import OrderChange
from chainperp.node.socket.messages import dumps
from chainperp.node.socket.subscriptions import Fields, Subscription
from chainperp.node.socket.view import BlockView

WEB_SECONDS: Final = 0.5
CANDLES_BACK: Final = 2
MONTH_MS: Final = 31 * DAY_MS


class AskedChannel(StateChannel):
    """The newest answer to one question, when it differs from the last one sent."""

    is_asked = True
    has_history = True
    question: ClassVar[str] = ""

    def asked(self) -> Fields:
        """The question's keys."""
        return {"user": self.fields["user"]}

    def wrapped(self, answer: Any) -> Any:
        """The answer as this channel's data."""
        return answer

    async def _ask(self) -> Any:
        return self.wrapped(await self.sources.ask(self.question, **self.asked()))

    async def history(self, _time_ms: int) -> Frames:
        """The answer now."""
        document = await self._ask()
        if self._last is None:
            self._last = dumps(self.essence(document))
        return [self.frame(document)]

    async def refresh(self) -> Frames:
        """The answer when it has changed."""
        document = await self._ask()
        essence = dumps(self.essence(document))
        if essence == self._last:
            return []
        self._last = essence
        return [self.frame(document)]

    def is_touched(self, _view: BlockView) -> bool:
        """Asked only for accounts that the block changed."""
        return True


class MarginState(AskedChannel):
    """Margin and positions of an account."""

    question = "clearinghouseState"
    follows_prices = True

    def wrapped(self, answer: Any) -> Any:
        """With account and exchange."""
        return {"dex": "", "user": self.fields["user"], "clearinghouseState": answer}

    def essence(self, document: Any) -> Any:
        """All but the time."""
        return document | {"clearinghouseState": _timeless(document["clearinghouseState"])}


class MarginStates(MarginState):
    """The same by exchange; there is only the main one."""

    def wrapped(self, answer: Any) -> Any:
        """Pairs of name and state."""
        return {"user": self.fields["user"], "clearinghouseStates": [["", answer]]}

    def essence(self, document: Any) -> Any:
        """All but the time."""
        return [_timeless(state) for _, state in document["clearinghouseStates"]]


class OpenOrders(AskedChannel):
    """Open orders of an account in their long form."""

    question = "frontendOpenOrders"

    def wrapped(self, answer: Any) -> Any:
        """With account and exchange."""
        return {"dex": "", "user": self.fields["user"], "orders": answer}


class SpotState(AskedChannel):
    """Token balances of an account."""

    question = "spotClearinghouseState"

    def wrapped(self, answer: Any) -> Any:
        """With the account."""
        return {"user": self.fields["user"], "spotState": answer}


class AssetData(AskedChannel):
    """Leverage and room to trade of an account in one market."""

    question = "activeAssetData"
    follows_prices = True

    def asked(self) -> Fields:
        """Account and coin."""
        return {"user": self.fields["user"], "coin": self.fields["coin"]}


class WebData2(AskedChannel):
    """Everything that a trading page shows of an account."""

    question = "webData2"
    follows_prices = True
    pause = WEB_SECONDS

    def essence(self, document: Any) -> Any:
        """All but the times."""
        margin = _timeless(document["clearinghouseState"])
        return document | {"clearinghouseState": margin, "serverTime": 0}


class WebData3(AskedChannel):
    """What is left of it, by exchange."""

    question = "webData2"
    pause = WEB_SECONDS

    def wrapped(self, answer: Any) -> Any:
        """The account's part and one entry for the only exchange."""
        keys = "agentAddress", "agentValidUntil", "cumLedger", "serverTime", "isVault", "user"
        return {
            "userState": {key: answer[key] for key in keys},
            "perpDexStates": [
                {
                    "totalVaultEquity": answer["totalVaultEquity"],
                    "leadingVaults": answer["leadingVaults"],
                }
            ],
        }

    def essence(self, document: Any) -> Any:
        """All but the time."""
        return document | {"userState": document["userState"] | {"serverTime": 0}}


def _timeless(state: Document) -> Document:
    return state | {"time": 0}


class TwapStates(StateChannel):
    """Running TWAP orders of an account."""

    def document(self) -> Any:
        """Numbers and states, oldest first."""
        user = self.fields["user"]
        states = twap_states(self.sources.state(), bytes.fromhex(user[2:]))
        return {"dex": "", "user": user, "states": states}

    def is_touched(self, _view: BlockView) -> bool:
        """Asked only for accounts that the block changed."""
        return True


class CandleFeed(Channel):
    """Candles of one market: the one that trades are counted in, and the one before when it was
    not complete yet."""

    is_asked = True
    has_history = True

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        found = listed_of(sources.state(), subscription.fields["coin"])
        if found is None:
            raise LookupError(f"there is no market {subscription.fields['coin']}")
        self.asset = found.asset
        self._sent: dict[int, Document] = {}
        self._since = 0

    def is_touched(self, view: BlockView) -> bool:
        """Whether the market traded."""
        return self.asset in view.traded

    async def _ask(self, since_ms: int) -> list[Document]:
        keys = {"coin": self.fields["coin"], "interval": self.fields["interval"]}
        rows: list[Document] = await self.sources.ask(
            "candleSnapshot", req={**keys, "startTime": since_ms}
        )
        return rows

    async def history(self, time_ms: int) -> Frames:
        """The latest candle, if there were trades in this one or the one before."""
        length = INTERVALS[self.fields["interval"]] or MONTH_MS
        rows = await self._ask(max(time_ms - length, 0))
        return [self.frame(rows[-1])] if rows else []

    def begin(self, time_ms: int) -> None:
        """Candles that ended before are nothing new."""
        self._since = candle_start(self.fields["interval"], time_ms)
        self._sent = {}

    async def refresh(self) -> Frames:
        """The candles that trades have changed, oldest first."""
        rows = await self._ask(self._since)
        changed = [row for row in rows if self._sent.get(row["t"]) != row]
        self._sent = {row["t"]: row for row in rows[-CANDLES_BACK:]}
        if rows:
            self._since = rows[-CANDLES_BACK:][0]["t"]
        return [self.frame(row) for row in changed]

    def reset(self) -> None:
        """Begin anew."""
        self.begin(self.sources.state().time_ms)


class LedgerUpdates(ListFeed):
    """Deposits, withdrawals, transfers and liquidations of an account."""

    is_asked = True
    key = "nonFundingLedgerUpdates"
    question = "userNonFundingLedgerUpdates"

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self._until = 0

    def begin(self, time_ms: int) -> None:
        """Only what comes later is new."""
        self._until = time_ms

    async def refresh(self) -> Frames:
        """Rows since the last message, oldest first."""
        rows = await self.sources.all_rows(self.question, user=self.user, startTime=self._until + 1)
        if not rows:
            return []
        self._until = rows[-1]["time"]
        return [self.message(rows)]

    async def past(self) -> list[Document]:
        """The latest rows, oldest first."""
        return await self.latest()

    def reset(self) -> None:
        """The other chain's past is not told again."""
        super().reset()
        self._until = self.sources.state().time_ms


class HistoricalOrders(ListFeed):
    """Orders of an account with every state that they come into. What stays the same about an
    order comes from the index, what happened to it from the block."""

    is_asked = True
    key = "orderHistory"
    question = "historicalOrders"

    def __init__(self, subscription: Subscription, sources: Sources) -> None:
        super().__init__(subscription, sources)
        self._waiting: list[tuple[OrderChange, int]] = []

    def time_of(self, row: Document) -> int:
        """When the order came into its state."""
        time_ms: int = row["statusTimestamp"]
        return time_ms

    def note(self, view: BlockView) -> None:
        """The block's decisions about the account's orders."""
        block = self.followed.on_block(view)
        self._waiting.extend((change, view.time_ms) for change in block.orders)

    async def refresh(self) -> Frames:
        """Rows of what waits."""
        waiting, self._waiting = self._waiting, []
        known: dict[int, Document] = {}
        rows: list[Document] = []
        for change, time_ms in waiting:
            oid = change.view.oid
            if oid not in known:
                known[oid] = await self._order(oid)
            rows.append(_row(change, time_ms, known[oid]))
        return [self.message(rows)] if rows else []

    async def _order(self, oid: int) -> Document:
        answer = await self.sources.ask("orderStatus", user=self.user, oid=oid)
        found: Document = answer["order"]["order"]
        return found

    def reset(self) -> None:
        """What waits is of the other chain."""
        super().reset()
        self._waiting = []


def _row(change: OrderChange, time_ms: int, known: Document) -> Document:
    order = known | {"sz": open_order(change.view)["sz"]}
    return {"order": order, "status": change.word, "statusTimestamp": time_ms}
