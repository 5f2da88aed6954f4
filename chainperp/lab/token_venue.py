"""A venue with a spot market of its own token, for experiments on what its sale and purchase do.

A market maker lays bids that are a constant-product pool cut into steps: between two prices the
pool buys N (sqrt(P / low) - sqrt(P / high)) tokens for X (sqrt(high / P) - sqrt(low / P)) dollars,
so that a step's order at the geometric mean of its ends has the pool's tokens and dollars exactly;
only within a step do book and pool differ. Dollars and tokens here are floats of the experiment,
lots and micro-USDC on the chain.
"""

from math import ceil, log, sqrt
from typing import Any, Final

from chainperp.base.errors import ensure
from chainperp.base.units import strip_decimal
from chainperp.lab.signed import address_of
from chainperp.lab.venue import USD, Told, Venue, order_action
from chainperp.model.actions import TimeInForce
from chainperp.model.tokens import SPOT_FIRST, USDC, wire_name
from chainperp.state.store import ASSISTANCE_FUND

MAKER: Final = "market maker"
SELLER: Final = "treasury"
TOKEN: Final = 1
STEPS_MIN: Final = 6
"""Of a ladder, however short it is."""
LOTS: Final = 100
"""Of a token."""
GRID: Final = 10**4
"""Prices of the pair have at most four decimals and five figures here."""
NO_SPOT_FEES: Final[dict[str, object]] = {"spot_fee_tiers": [[0, 0, 0]], "spot_order_value_min": 0}


class TokenVenue(Venue):
    """A venue on which `SELLER` holds tokens, and `MAKER` dollars to buy them with."""

    def __init__(self, dollars: int, tokens: int, maker: int = 1, **terms: Any) -> None:
        self.tokens = {SELLER: tokens, MAKER: maker}
        super().__init__(**{**NO_SPOT_FEES, **terms})
        self.to_spot(MAKER, dollars)

    def holders(self) -> list[tuple[bytes, int]]:
        """Whole tokens of each; the rest of the supply belongs to the validator."""
        for name in self.tokens:
            self.names[address_of(name)] = name
        return [(address_of(name), count) for name, count in self.tokens.items() if count]

    def to_spot(self, name: str, dollars: int) -> None:
        """Whole dollars from outside into somebody's spot balance."""
        self.join({name: dollars * USD})
        move = {"type": "usdClassTransfer", "amount": str(dollars), "toPerp": False}
        self.checked(self.block([self.signed(name, move)]))

    def pay(self, source: str, destination: str, micro_usd: int) -> None:
        """Micro-USDC from one spot balance to another."""
        send = {
            "type": "spotSend",
            "destination": f"0x{address_of(destination).hex()}",
            "token": wire_name(USDC, "USDC"),
            "amount": strip_decimal(micro_usd, 6),
        }
        if micro_usd > 0:
            self.checked(self.block([self.signed(source, send)]))

    def lay(self, price: float, dollars: float, lowest: float, step: float) -> float:
        """The maker's bids anew: a pool of so many dollars at a price, in equal steps of at most
        `step` down to `lowest` times the price, and one step more. Returns the steps' factor."""
        book = self.engine.state.pairs[0].book
        old = [{"a": SPOT_FIRST, "o": order.oid} for order in book.bids.walk()]
        changes = [{"type": "cancel", "cancels": old}] if old else []
        count = max(STEPS_MIN, ceil(log(lowest) / log(1 - step)))
        factor = float(lowest ** (1 / count))
        rows: list[dict[str, Any]] = []
        for place in range(count + 1):
            high, low = factor**place, factor ** (place + 1)
            bought = dollars / price * (sqrt(1 / low) - sqrt(1 / high))
            rows += self._row(int(bought * LOTS), price * sqrt(low * high))
        if rows:
            changes.append({"type": "order", "orders": rows, "grouping": "na"})
        self.checked(self.block([self.signed(MAKER, change) for change in changes]))
        return factor

    def offer(self, price: float, dollars: float, highest: float, step: float) -> None:
        """The other side of the same pool: offers up to `highest` times the price, and one bid of a
        token just below it, so that the pair has a mark."""
        rows = self._row(LOTS, price * (1 - step))
        low = 1.0
        while low < highest:
            high = low * (1 + step)
            sold = dollars / price * (sqrt(1 / low) - sqrt(1 / high))
            rows += self._row(-int(sold * LOTS), price * sqrt(low * high))
            low = high
        order = {"type": "order", "orders": rows, "grouping": "na"}
        self.checked(self.block([self.signed(MAKER, order)]))

    def _row(self, lots: int, price: float) -> list[dict[str, Any]]:
        at = on_grid(price)
        if not lots or not at:
            return []
        action = order_action(SPOT_FIRST, lots, at * (10**8 // GRID), TimeInForce.GTC)
        rows: list[dict[str, Any]] = action["orders"]
        return rows

    def sell(self, tokens: float) -> tuple[float, float]:
        """The treasury sells at whatever is bid. Returns dollars raised and tokens sold."""
        before = self.balance(SELLER), self.balance(SELLER, TOKEN)
        lots = min(int(tokens * LOTS), before[1] * LOTS // 10**8)
        if lots:
            action = order_action(SPOT_FIRST, -lots, 10**8 // GRID, TimeInForce.IOC)
            self.block([self.signed(SELLER, action)])
        raised, sold = self.balance(SELLER) - before[0], before[1] - self.balance(SELLER, TOKEN)
        return raised / USD, sold / 10**8

    def buy(self, name: str, tokens: float) -> None:
        """Somebody buys at whatever is offered."""
        limit = on_grid(self.ask * 1.5) * (10**8 // GRID)
        action = order_action(SPOT_FIRST, int(tokens * LOTS), limit, TimeInForce.IOC)
        self.checked(self.block([self.signed(name, action)]))

    @property
    def bid(self) -> float:
        """The best bid in dollars; 0 where nobody bids."""
        best = self.engine.state.pairs[0].book.bids.best_price()
        return 0.0 if best is None else best / USD * LOTS

    @property
    def ask(self) -> float:
        """The best offer in dollars; 0 where nobody offers."""
        best = self.engine.state.pairs[0].book.asks.best_price()
        return 0.0 if best is None else best / USD * LOTS

    def balance(self, name: str, token: int = USDC) -> int:
        """A spot balance, in micro-USDC or the token's smallest unit."""
        found: int = self.engine.state.spot[token].get(address_of(name), 0)
        return found

    @property
    def spent(self) -> int:
        """What the assistance fund has spent on tokens, in micro-USDC."""
        return self.engine.state.fund.spent

    @property
    def fund(self) -> int:
        """What the assistance fund holds, in micro-USDC."""
        return self.engine.state.accounts[ASSISTANCE_FUND].raw

    def checked(self, told: Told) -> Told:
        """A block in which nothing may be refused."""
        ensure(not told.refused, "INV-0", "a lab order was refused", codes=told.refused[:3])
        return told


def on_grid(price: float) -> int:
    """A price in units of the grid with at most five figures, rounded down.

    >>> on_grid(25.6), on_grid(123.4567), on_grid(0.00012)
    (256000, 1234500, 1)
    """
    units, step = int(price * GRID), 1
    while units // step >= 100_000:
        step *= 10
    return units // step * step
