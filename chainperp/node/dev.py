"""Developer controls of a local chain: money, prices, time, blocks, snapshots.

What touches the chain is recorded in a block like everything else, so that even a manipulated chain
replays: money is a deposit whose reference says `dev`, a price is a validator's signed vote, time
stands in the block's header. Going back makes a new branch in a directory of its own.
Source: ecosystem 4.
"""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol

from chainperp.base import canonical
from chainperp.base.errors import BadRequest
from chainperp.base.units import E8_DECIMALS, USD_DECIMALS, parse_decimal
from chainperp.model.blocks import SystemInput
from chainperp.model.bridge import GRANT_BODY
from chainperp.model.decisions import REASONS, Rejection, SystemType
from chainperp.node import evm_child
from chainperp.node.answers import Reply, refused
from chainperp.node.clock import Clock
from chainperp.node.evm_process import EvmProcess, EvmUnavailable
from chainperp.node.prices import PriceFeed
from chainperp.node.producer import Producer
from chainperp.transition.block import DEPOSIT_BODY
from chainperp.wire.shapes import (
    Kind,
    Misfit,
    address,
    amount,
    decimal,
    field,
    integer,
    listing,
    optional,
    row,
    shape,
    shown,
    text,
)

MARK: Final = b"dev".ljust(32, b"\x00")
"""Reference of a deposit that a developer control made: no chain outside has one like it."""

BLOCKS_MAX: Final = 1_000
POINTS_MAX: Final = 1_000
WEEK_SECONDS: Final = 7 * 86_400
TIME_MAX: Final = 2**53

_TYPE: Final = field("type", text(32))
SHAPES: Final[dict[str, Kind]] = {
    "fund": shape(
        _TYPE, field("user", address), field("amount", amount), optional("token", text(16))
    ),
    "evmFund": shape(_TYPE, field("user", address), field("usd", amount)),
    "setOracle": shape(_TYPE, field("coin", text(16)), field("px", decimal)),
    "oraclePath": shape(
        _TYPE,
        field("coin", text(16)),
        field("points", listing(row(integer(0, WEEK_SECONDS), decimal), POINTS_MAX)),
    ),
    "mine": shape(_TYPE, optional("blocks", integer(1, BLOCKS_MAX))),
    "pause": shape(_TYPE),
    "resume": shape(_TYPE),
    "setTime": shape(_TYPE, field("time", integer(1, TIME_MAX))),
    "increaseTime": shape(_TYPE, field("ms", integer(1, TIME_MAX))),
    "snapshot": shape(_TYPE),
    "revert": shape(_TYPE, field("id", text(20))),
    "reset": shape(_TYPE),
    "dropConnections": shape(_TYPE),
}

Fields = dict[str, Any]


class Moment(NamedTuple):
    """What a snapshot remembers. The EVM's journal as it stood then knows only blocks up to that
    height, so both can be gone back to together."""

    height: int
    evm_lines: int


class Controlled(Protocol):
    """What the controls move: one running chain."""

    clock: Clock
    producer: Producer
    feed: PriceFeed

    evm: EvmProcess

    async def go_back(self, height: int, evm_lines: int) -> str:
        """Leave the chain as it is and go on from a height in a branch; its directory."""

    def drop_connections(self) -> int:
        """Close every connection of every client; how many there were."""


class DevControls:
    """`POST /dev`. Only offered with `--dev`, and only to this machine."""

    def __init__(self, node: Controlled) -> None:
        self.node = node
        self.snapshots: dict[str, Moment] = {}
        self._next_snapshot = 1
        self._handlers: dict[str, Callable[[Fields], Awaitable[Reply]]] = {
            "fund": self._fund,
            "evmFund": self._fund_on_evm,
            "setOracle": self._set_oracle,
            "oraclePath": self._oracle_path,
            "mine": self._mine,
            "pause": self._pause,
            "resume": self._resume,
            "setTime": self._set_time,
            "increaseTime": self._increase_time,
            "snapshot": self._snapshot,
            "revert": self._revert,
            "reset": self._reset,
            "dropConnections": self._drop_connections,
        }

    async def handle(self, request: object) -> Reply:
        """Carry out one control. Raises BadRequest when it cannot be understood."""
        name = request.get("type") if type(request) is dict else None
        if type(name) is not str or name not in SHAPES:
            raise Misfit("unknown_type", f"one of {', '.join(SHAPES)} is wanted, was {shown(name)}")
        try:
            return await self._handlers[name](SHAPES[name](request))
        except _NotPossible as error:
            return refused(str(error))

    # --- what is recorded in a block -------------------------------------------------------------

    async def _fund(self, fields: Fields) -> Reply:
        if fields.get("token", "USDC") != "USDC":
            raise _NotPossible(f"token {fields['token']} is not offered: USDC is")
        producer = self.node.producer
        user = bytes.fromhex(fields["user"][2:])
        waiting = producer.queue_system(self._gift(user, _dollars(fields["amount"])))
        published = await producer.make_block()
        effects = await waiting
        if effects.code is not Rejection.ACCEPTED:
            raise _NotPossible(REASONS[effects.code].text)
        return _done(height=published.height)

    def _gift(self, user: bytes, amount: int) -> SystemInput:
        """Money from nowhere: a grant, or where no contracts are, a deposit with the next number
        that says so."""
        producer = self.node.producer
        if producer.engine.genesis.evm is not None:
            body = canonical.encode(GRANT_BODY, {"user": user, "amount": amount})
            return SystemInput(SystemType.GRANT, body)
        coming = sum(item.type is SystemType.DEPOSIT for item, _ in producer.system)
        number = producer.engine.state.deposits + coming + 1
        fields = {"user": user, "amount": amount, "l1_nonce": number, "l1_ref": MARK}
        return SystemInput(SystemType.DEPOSIT, canonical.encode(DEPOSIT_BODY, fields))

    async def _fund_on_evm(self, fields: Fields) -> Reply:
        """Test dollars and gas, as a faucet gives them; the ledger hears of it by a deposit."""
        user, amount = bytes.fromhex(fields["user"][2:]), _dollars(fields["usd"])
        try:
            block = await self.node.evm.run(evm_child.fund, user, amount)
        except EvmUnavailable as error:
            raise _NotPossible(str(error)) from error
        return _done(evmBlock=block)

    async def _set_oracle(self, fields: Fields) -> Reply:
        asset = self._asset(fields["coin"])
        self.node.feed.set_price(asset, _price(fields["px"]))
        return await self._block()

    async def _oracle_path(self, fields: Fields) -> Reply:
        asset = self._asset(fields["coin"])
        now = self.node.clock.now()
        points = [(now + 1000 * seconds, _price(price)) for seconds, price in fields["points"]]
        if not points or any(before[0] >= after[0] for before, after in pairwise(points)):
            raise _NotPossible("points are pairs of seconds from now, rising, and a price")
        self.node.feed.set_path(asset, points)
        return await self._block()

    async def _mine(self, fields: Fields) -> Reply:
        for _ in range(fields.get("blocks", 1) - 1):
            await self.node.producer.make_block()
        return await self._block()

    async def _set_time(self, fields: Fields) -> Reply:
        last = self.node.producer.engine.state.time_ms
        if fields["time"] <= last:
            raise _NotPossible(f"time only goes forward: the last block's is {last}")
        self.node.clock.move_to(fields["time"])
        return await self._block()

    async def _increase_time(self, fields: Fields) -> Reply:
        self.node.clock.offset_ms += fields["ms"]
        return await self._block()

    async def _block(self) -> Reply:
        published = await self.node.producer.make_block()
        return _done(height=published.height, time=published.time_ms)

    # --- what is not -----------------------------------------------------------------------------

    async def _pause(self, _fields: Fields) -> Reply:
        self.node.producer.pace.is_mining = False
        return _done()

    async def _resume(self, _fields: Fields) -> Reply:
        self.node.producer.pace.is_mining = True
        self.node.producer.wake()
        return _done()

    async def _snapshot(self, _fields: Fields) -> Reply:
        name = hex(self._next_snapshot)
        self._next_snapshot += 1
        async with self.node.producer.between_blocks():
            moment = Moment(self.node.producer.engine.height, self.node.evm.blocks_written())
            self.snapshots[name] = moment
        return _done(id=name, height=moment.height)

    async def _revert(self, fields: Fields) -> Reply:
        name = fields["id"]
        if name not in self.snapshots:
            raise _NotPossible(f"there is no snapshot {shown(name)}")
        moment = self.snapshots[name]
        height = moment.height
        # Later snapshots are of blocks that the new branch does not have.
        self.snapshots = {one: at for one, at in self.snapshots.items() if at.height < height}
        return _done(height=height, dir=await self.node.go_back(*moment))

    async def _reset(self, _fields: Fields) -> Reply:
        self.snapshots = {}
        directory = await self.node.go_back(0, 0)
        # Block 0 has no prices yet; nobody could trade on it.
        published = await self.node.producer.make_block()
        return _done(height=published.height, dir=directory)

    async def _drop_connections(self, _fields: Fields) -> Reply:
        return _done(dropped=self.node.drop_connections())

    def _asset(self, coin: str) -> int:
        if not self.node.feed.signers:
            raise _NotPossible("this node holds no validator's key: prices come from their votes")
        for market in self.node.producer.engine.state.markets:
            if market.terms.name == coin:
                return market.asset
        raise _NotPossible(f"there is no market {shown(coin)}")


class _NotPossible(Exception):
    """A control that was understood and cannot be carried out; says why."""


def _done(**values: Any) -> Reply:
    return {"status": "ok", **values}


def _dollars(words: str) -> int:
    return parse_decimal(words, USD_DECIMALS, "amount")


def _price(words: str) -> int:
    price = parse_decimal(words, E8_DECIMALS, "px")
    if not 0 < price < 2**53 * 10**4:
        raise BadRequest("number", "px: a price above zero and below 10^12 is wanted")
    return price
