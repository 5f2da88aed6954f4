"""Prices of a local chain: votes of the validators whose keys everybody knows.

A local chain has no outside world. Its prices start from a table, stay until a developer control
sets them or walks them along a path, and enter the chain as signed oracle votes like any others.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from chainperp.base.rounding import half_even
from chainperp.base.units import E8_DECIMALS, Address, parse_decimal, strip_decimal
from chainperp.chain.decode import vote_input
from chainperp.client.wallet import address_of, sign_action
from chainperp.model.blocks import SystemInput
from chainperp.model.envelope import encode_envelope
from chainperp.rules.prices import round_to_price_grid
from chainperp.state.store import State
from chainperp.wire.signing import admit
from chainperp.wire.typed_data import Network

START: Final = {"BTC": "100000", "ETH": "4000", "SOL": "200", "HYPE": "40", "DOGE": "0.2"}
START_ELSE: Final = "100"
VOTE_INTERVAL_MS: Final = 3_000


class PriceFeed:
    """Signs what the local validators say, one vote each, at most every `interval_ms`."""

    def __init__(
        self,
        state: State,
        keys: Sequence[bytes],
        network: Network,
        interval_ms: int = VOTE_INTERVAL_MS,
    ) -> None:
        self.network: Network = network
        self.interval_ms = interval_ms
        self.signers = [
            (key, address) for key, address in _addressed(keys) if address in state.validators
        ]
        self.decimals = [market.terms.size_decimals for market in state.markets]
        self.prices = [_start_price(state, asset) for asset in range(len(state.markets))]
        """Price of each market, in 10^-8."""
        self.paths: dict[int, list[tuple[int, int]]] = {}
        """Points (time, price in 10^-8) that a market's price walks along."""
        self._nonces = {address: _highest_nonce(state, address) for _, address in self.signers}
        self._voted_ms = 0
        self._is_changed = True

    def set_price(self, asset: int, price_e8: int) -> None:
        """Hold a price from the next block on."""
        self.paths.pop(asset, None)
        self.prices[asset] = price_e8
        self._is_changed = True

    def set_path(self, asset: int, points: list[tuple[int, int]]) -> None:
        """Walk a price along straight lines between (time, price) points, then hold the last."""
        self.paths[asset] = points
        self._is_changed = True

    def votes(self, time_ms: int) -> list[SystemInput]:
        """The votes that a block at this time has to begin with: none while they are fresh."""
        if not self.signers or not (
            self._is_changed or time_ms - self._voted_ms >= self.interval_ms
        ):
            return []
        self._voted_ms = time_ms
        self._is_changed = False
        for asset, points in list(self.paths.items()):
            self.prices[asset] = price_on_path(points, time_ms)
            if time_ms >= points[-1][0]:
                del self.paths[asset]
        action: dict[str, Any] = {
            "type": "setGlobal",
            "pxs": [
                {"a": asset, "p": on_grid(price, self.decimals[asset])}
                for asset, price in enumerate(self.prices)
            ],
        }
        return [self._vote(key, address, action, time_ms) for key, address in self.signers]

    def _vote(
        self, key: bytes, address: Address, action: dict[str, Any], time_ms: int
    ) -> SystemInput:
        nonce = max(time_ms, self._nonces[address] + 1)
        self._nonces[address] = nonce
        envelope = admit(sign_action(key, action, nonce, self.network), self.network)
        return vote_input(encode_envelope(envelope), address, msgpack.unpackb)


def price_on_path(points: list[tuple[int, int]], time_ms: int) -> int:
    """Price on the straight line between the points around a time.

    >>> price_on_path([(0, 100), (10, 200)], 5), price_on_path([(0, 100), (10, 200)], 99)
    (150, 200)
    """
    before = points[0]
    for after in points[1:]:
        if time_ms < after[0]:
            part = max(time_ms - before[0], 0)
            return before[1] + half_even((after[1] - before[1]) * part, after[0] - before[0])
        before = after
    return before[1]


def on_grid(price_e8: int, size_decimals: int) -> str:
    """The nearest price that the market allows, as the wire writes it."""
    step = 10 ** (2 + size_decimals)
    return strip_decimal(
        max(round_to_price_grid(price_e8, step, size_decimals), 1) * step, E8_DECIMALS
    )


def _addressed(keys: Sequence[bytes]) -> list[tuple[bytes, Address]]:
    return [(key, address_of(key)) for key in keys]


def _start_price(state: State, asset: int) -> int:
    """The oracle price in force; of a new chain, the table's."""
    market = state.markets[asset]
    if market.oracle:
        in_force: int = market.oracle * market.tick_e8
        return in_force
    return parse_decimal(START.get(market.terms.name, START_ELSE), E8_DECIMALS, "price")


def _highest_nonce(state: State, address: Address) -> int:
    return max(state.validators[address].nonces.kept, default=0)
