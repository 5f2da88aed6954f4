"""The standard flow: a seeded, repeatable mix of operations on 10 markets and 10,000 accounts.

55 % new orders near the touch, 35 % cancels and replaces, 10 % crossing orders; an oracle round
between blocks. Draws come from SHA-256 of a counter, so the flow is the same everywhere.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from chainperp.base import msgpack
from chainperp.base.units import E8, Address
from chainperp.chain.decode import vote_input
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.cli.draws import Draws
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
)
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.envelope import L1, Envelope, encode_envelope
from chainperp.storage.package import build_genesis, default_markets

START: Final = 1_760_000_000_000
NEVER: Final = 1_000_000_000
VALIDATOR: Final = Address(b"\xaa" * 20)
BASE_PRICE: Final = 10_000  # grid units: four figures, so one unit is one tick


def flow_markets(count: int) -> list[dict[str, Any]]:
    """Markets of the flow: BTC's terms under other names."""
    terms = default_markets()[0]
    return [{**terms, "name": f"M{index}", "size_decimals": 2} for index in range(count)]


def flow_engine(accounts: int, markets: int = 10, usdc: int = 10_000_000) -> Engine:
    """A chain of the flow's size before block 0; its state commits only when asked."""
    raw = build_genesis(
        "bench/flow",
        START,
        [(VALIDATOR, 1)],
        markets=flow_markets(markets),
        parameters={"state_commit_every": NEVER, "snapshot_interval": NEVER,
                    "recount_interval": NEVER, "open_orders_base": 5000},
    )  # fmt: skip
    engine = Engine(parse_genesis(raw), bytes(32))
    state = engine.state
    for index in range(accounts):
        account = state.open_account(account_address(index))
        account.raw = usdc * 1_000_000
        state.custody += account.raw
        state.touch(account)
    return engine


def account_address(index: int) -> Address:
    """Address of the flow's account number `index`."""
    return Address(sha256(b"flow" + index.to_bytes(8, "big")).digest()[:20])


class Flow:
    """Generator of blocks of transactions. It keeps its own note of which orders it placed."""

    def __init__(self, accounts: int, markets: int = 10, seed: str = "standard") -> None:
        self.draws = Draws(seed)
        self.accounts = accounts
        self.markets = markets
        self.nonce = START
        self.oid = 1
        self.placed: list[tuple[int, int, int]] = []  # account index, asset, oid

    def oracle_round(self) -> SystemInput:
        """One vote for all markets, each a few ticks around its base."""
        prices = [
            {"a": asset, "p": f"{(BASE_PRICE + self.draws.below(21) - 10) / 10_000:.4f}"}
            for asset in range(self.markets)
        ]
        self.nonce += 1
        action = msgpack.pack({"type": "setGlobal", "pxs": prices})
        return vote_input(self.envelope(action), VALIDATOR)

    def envelope(self, action: bytes) -> bytes:
        """Bytes of an unsigned envelope with the next nonce."""
        return encode_envelope(
            Envelope(L1, self.nonce, None, None, action, 27, bytes(32), bytes(32))
        )

    def transactions(self, count: int) -> list[Transaction]:
        """The next `count` operations, decoded and ready to execute."""
        return [self._one() for _ in range(count)]

    def _one(self) -> Transaction:
        draws = self.draws
        kind = draws.below(100)
        index = draws.below(self.accounts)
        asset = draws.below(self.markets)
        action: Action
        if kind >= 65 and self.placed:
            place = draws.below(len(self.placed))
            index, asset, oid = self.placed[place]
            self.placed[place] = self.placed[-1]
            self.placed.pop()
            if kind < 82:
                action = CancelOrders([(asset, oid)])
            else:
                request = self._request(asset, crossing=False, tif=TimeInForce.GTC)
                action = ModifyOrders([(oid, request)], True)
                self._note(index, asset)
        elif kind < 10:
            action = PlaceOrders([self._request(asset, crossing=True, tif=TimeInForce.IOC)])
            self.oid += 1
        else:
            action = PlaceOrders([self._request(asset, crossing=False, tif=TimeInForce.GTC)])
            self._note(index, asset)
        self.nonce += 1
        return Transaction(
            account_address(index), action, self.nonce, self.envelope(b"\x81" + b"\x00" * 92)
        )

    def _note(self, index: int, asset: int) -> None:
        self.placed.append((index, asset, self.oid))
        self.oid += 1

    def _request(self, asset: int, *, crossing: bool, tif: TimeInForce) -> OrderRequest:
        draws = self.draws
        is_buy = draws.below(2) == 0
        distance = draws.below(50)
        if crossing:
            price = BASE_PRICE + (60 if is_buy else -60)
        else:
            price = BASE_PRICE - 1 - distance if is_buy else BASE_PRICE + 1 + distance
        size = 2_000 + draws.below(8_000)
        return OrderRequest(asset, is_buy, E8(price * 10_000), E8(size * 1_000_000), False, tif)


def flow_blocks(flow: Flow, engine: Engine, blocks: int, size: int) -> Iterator[BlockInput]:
    """Blocks of `size` operations, 200 ms apart, each after an oracle round."""
    if engine.frontier.size == 0:
        engine.seal_genesis()
    time_ms = engine.state.time_ms
    for _ in range(blocks):
        time_ms += 200
        yield BlockInput(
            time_ms, engine.genesis.proposer, [flow.oracle_round()], flow.transactions(size)
        )
