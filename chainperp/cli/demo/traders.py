"""The demo's participants: validators, market makers, takers. They decide by seeded draws.

They know public prices and their own past actions, and sign everything they send. Some of what they
send is refused: that is part of an exchange's day.
"""

from typing import Any, Final

from chainperp.base.units import address_text, strip_decimal
from chainperp.cli.demo.path import CHP, COINS, PricePath, on_grid
from chainperp.cli.demo.signer import Signer
from chainperp.cli.draws import Draws

SIZE_DECIMALS: Final = {"BTC": 5, "ETH": 4, "SOL": 2, "DOGE": 0, CHP: 2}
LADDER: Final = 4
BPS: Final = 10_000
THIN_WIDTH: Final = 120
THIN_SIZE: Final = 200
THIN_USDC_LEAST: Final = 15


def size_text(coin: str, usdc: int, price_e8: int) -> str:
    """A size worth about `usdc`, in lots of the coin."""
    decimals = SIZE_DECIMALS[coin]
    lots = usdc * 10 ** (8 + decimals) // price_e8
    return strip_decimal(max(lots, 1), decimals)


def order(
    asset: int, is_buy: bool, price: str, size: str, tif: str, reduce_only: bool = False
) -> dict[str, Any]:
    """An order in the wire's form, keys in signing order."""
    return {"a": asset, "b": is_buy, "p": price, "s": size, "r": reduce_only,
            "t": {"limit": {"tif": tif}}}  # fmt: skip


class Validator:
    """Publishes the path's prices with a few hundredths of a percent of its own noise."""

    def __init__(self, key: bytes, power: int, draws: Draws) -> None:
        self.signer = Signer(key)
        self.power = power
        self.draws = draws

    def vote(self, path: PricePath, time_ms: int) -> dict[str, Any]:
        """Signed prices of all markets."""
        prices = []
        for asset, coin in enumerate(COINS):
            price = path.price(coin, time_ms)
            noisy = price + price * (self.draws.below(7) - 3) // BPS
            external = price + price * (self.draws.below(7) - 3) // BPS
            decimals = SIZE_DECIMALS[coin]
            prices.append(
                {"a": asset, "p": on_grid(noisy, decimals), "x": on_grid(external, decimals)}
            )
        return self.signer.sign({"type": "setGlobal", "pxs": prices}, time_ms)


class Maker:
    """Quotes a ladder on both sides of one market through an agent key, and requotes it.

    `scale` multiplies the size of its quotes.
    """

    scale = 1

    def __init__(self, key: bytes, agent_key: bytes, asset: int, draws: Draws) -> None:
        self.owner = Signer(key)
        self.agent = Signer(agent_key)
        self.asset = asset
        self.coin = COINS[asset] if asset < len(COINS) else CHP
        self.draws = draws
        self.rounds = 0
        self.price = 0
        self.live: dict[int, str] = {}

    def approve(self, time_ms: int) -> dict[str, Any]:
        """Let the agent key trade for the owner."""
        action = {
            "type": "approveAgent",
            "agentAddress": address_text(self.agent.address),
            "agentName": "quotes",
        }
        return self.owner.sign(action, time_ms)

    def requote(self, path: PricePath, time_ms: int, *, thin: bool = False) -> dict[str, Any]:
        """Replace the old ladder by a new one around the price, each order in one step.

        In a crash it is `thin`: a small part of the size, and further away.
        """
        price = path.price(self.coin, time_ms)
        moved = abs(price - self.price) * BPS // price if self.price else 0
        width = max(moved, THIN_WIDTH if thin else 5)
        orders = self._ladder(price, width, falling=price < self.price, thin=thin)
        self.price = price
        self.rounds += 1
        action: dict[str, Any]
        if self.live:
            modifies = [
                {"oid": self.live.get(place, request["c"]), "order": request}
                for place, request in orders.items()
            ]
            # With `a`, a quote that was filled or refused before is simply placed again.
            action = {"type": "batchModify", "modifies": modifies, "a": True}
        else:
            action = {"type": "order", "orders": list(orders.values()), "grouping": "na"}
        return self.agent.sign(action, time_ms)

    def saw(self, cloid: bytes, is_open: bool) -> None:
        """Learn from the log that one of the maker's quotes rests, or does no longer."""
        place, name = cloid[-1], "0x" + cloid.hex()
        if is_open:
            self.live[place] = name
        elif self.live.get(place) == name:
            del self.live[place]

    def _ladder(
        self, price: int, width: int, *, falling: bool, thin: bool
    ) -> dict[int, dict[str, Any]]:
        """Post-only quotes by place, further out in larger size, wider when prices run.

        The side that makes way comes first: a new ask must not meet an own bid of before.
        """
        decimals = SIZE_DECIMALS[self.coin]
        orders: dict[int, dict[str, Any]] = {}
        for is_buy in (True, False) if falling else (False, True):
            for step in range(1, LADDER + 1):
                distance = price * (width + 4 * (step - 1) + self.draws.below(4)) // BPS
                at = on_grid(price - distance if is_buy else price + distance, decimals)
                usdc = self.draws.between(2_000, 12_000) * step * self.scale
                if thin:
                    usdc = max(usdc // THIN_SIZE, THIN_USDC_LEAST)
                place = step << 1 | is_buy
                request = order(self.asset, is_buy, at, size_text(self.coin, usdc, price), "Alo")
                cloid = f"0x{self.asset:016x}{self.rounds << 8 | place:016x}"
                orders[place] = {**request, "c": cloid}
        return orders


class Taker:
    """Opens and closes positions, moves leverage and money, and makes mistakes.

    `boldness` multiplies the size of what it opens.
    """

    def __init__(self, key: bytes, usdc: int, draws: Draws, boldness: int = 1) -> None:
        self.signer = Signer(key)
        self.usdc = usdc
        self.draws = draws
        self.boldness = boldness
        self.sides: dict[int, bool] = {}

    def act(self, path: PricePath, time_ms: int, others: list["Taker"]) -> dict[str, Any]:
        """One signed request."""
        draws = self.draws
        asset = draws.below(len(COINS))
        coin = COINS[asset]
        price = path.price(coin, time_ms)
        kind = draws.below(100)
        if kind < 4:
            return self._leverage(asset, time_ms)
        if kind < 6:
            return self._send(others, time_ms)
        if kind < 7:
            return self._withdraw(time_ms)
        if kind < 10:
            return self._mistake(asset, coin, price, time_ms)
        if asset in self.sides and draws.chance(45):
            request = self._close(asset, coin, price)
        else:
            request = self._open(asset, coin, price)
        return self._order([request], time_ms)

    def _order(self, orders: list[dict[str, Any]], time_ms: int) -> dict[str, Any]:
        return self.signer.sign({"type": "order", "orders": orders, "grouping": "na"}, time_ms)

    def _open(self, asset: int, coin: str, price: int) -> dict[str, Any]:
        draws = self.draws
        is_buy = self.sides.setdefault(asset, draws.chance(70))
        usdc = max(self.usdc * self.boldness * draws.between(5, 60) // 100, 20)
        size = size_text(coin, usdc, price)
        if draws.chance(30):
            offset = price * draws.between(1, 40) // BPS
            at = price - offset if is_buy else price + offset
            return order(asset, is_buy, on_grid(at, SIZE_DECIMALS[coin]), size, "Gtc")
        bound = price + price // 50 if is_buy else price - price // 50
        return order(asset, is_buy, on_grid(bound, SIZE_DECIMALS[coin]), size, "Ioc")

    def _close(self, asset: int, coin: str, price: int) -> dict[str, Any]:
        is_buy = not self.sides.pop(asset)
        bound = price + price // 20 if is_buy else price - price // 20
        size = size_text(coin, self.usdc * self.boldness, price)
        return order(asset, is_buy, on_grid(bound, SIZE_DECIMALS[coin]), size, "Ioc", True)

    def _leverage(self, asset: int, time_ms: int) -> dict[str, Any]:
        action = {
            "type": "updateLeverage",
            "asset": asset,
            "isCross": self.draws.chance(70),
            "leverage": self.draws.between(3, 22),
        }
        return self.signer.sign(action, time_ms)

    def _send(self, others: list["Taker"], time_ms: int) -> dict[str, Any]:
        target = others[self.draws.below(len(others))]
        action = {
            "type": "usdSend",
            "destination": address_text(target.signer.address),
            "amount": str(self.draws.between(1, 40)),
        }
        return self.signer.sign(action, time_ms)

    def _withdraw(self, time_ms: int) -> dict[str, Any]:
        action = {
            "type": "withdraw3",
            "destination": address_text(self.signer.address),
            "amount": str(self.draws.between(2, 200)),
        }
        return self.signer.sign(action, time_ms)

    def _mistake(self, asset: int, coin: str, price: int, time_ms: int) -> dict[str, Any]:
        """An order that the rules refuse: off the grid, too small, or far beyond the margin."""
        kind = self.draws.below(3)
        good = on_grid(price, SIZE_DECIMALS[coin])
        if kind == 0:
            request = order(asset, True, strip_decimal(price // 100 * 100 + 7, 8), "1", "Gtc")
        elif kind == 1:
            request = order(asset, True, good, size_text(coin, 3, price), "Gtc")
        else:
            request = order(asset, True, good, size_text(coin, self.usdc * 90, price), "Gtc")
        return self._order([request], time_ms)
