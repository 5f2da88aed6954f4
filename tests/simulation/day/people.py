"""Who takes part in the simulated day, and the requests that they sign.

Everybody decides by seeded draws from public prices and notes of his own. Some requests are refused
(no margin, locked shares, nothing to cancel): that is part of an exchange's day.
"""

from hashlib import sha256
from typing import Any, Final

from chainperp.base.units import Address, address_text, strip_decimal
from chainperp.cli.demo.path import on_grid
from chainperp.cli.draws import Draws
from chainperp.client.wallet import address_of, sign_action

Request = dict[str, Any]
# Name and size decimals of the markets, and the price at midnight in 1e-8 USDC.
MARKETS: Final = (
    ("BTC", 5, 120_000 * 10**8),
    ("ETH", 4, 4_300 * 10**8),
    ("SOL", 2, 220 * 10**8),
    ("DOGE", 0, 25 * 10**6),
)
CHP: Final = 10_000
CHP_DECIMALS: Final = 2
CHP_PRICE: Final = 20 * 10**8
BPS: Final = 10_000
# What the vaults' leaders register, by their place.
CODES: Final = ("FIRST", "SECOND")
LEVELS: Final = 4


def size_text(usdc: int, price_e8: int, decimals: int) -> str:
    """A size worth about `usdc`."""
    return strip_decimal(max(usdc * 10 ** (8 + decimals) // price_e8, 1), decimals)


def order(
    asset: int, is_buy: bool, price: str, size: str, tif: str, reduce: bool = False
) -> Request:
    """An order in the wire's form."""
    return {"a": asset, "b": is_buy, "p": price, "s": size, "r": reduce,
            "t": {"limit": {"tif": tif}}}  # fmt: skip


class Prices:
    """Where the day's prices are: a random walk, and a fall of a fifth in the middle of it."""

    def __init__(self, seed: str, crash_start: int, crash_end: int) -> None:
        self.draws = Draws(f"prices {seed}")
        self.now = [price for _, _, price in MARKETS]
        self.chp = CHP_PRICE
        self.crash = range(crash_start, crash_end)

    def step(self, block: int) -> None:
        """Move to the next block's prices."""
        fall = 2 * BPS // (10 * len(self.crash)) if block in self.crash else 0
        for asset, price in enumerate(self.now):
            move = self.draws.below(13) - 6 - (fall + self.draws.below(fall) if fall else 0)
            self.now[asset] = price + price * move // BPS
        self.chp += self.chp * (self.draws.below(21) - 10) // BPS


class Person:
    """A key, its account, and a nonce that follows the chain's time."""

    def __init__(self, name: str) -> None:
        self.key = sha256(f"day {name}".encode("ascii")).digest()
        self.address = Address(address_of(self.key))
        self.draws = Draws(f"draws {name}")
        self.nonce = 0

    def sign(self, action: Request, time_ms: int, vault: bytes | None = None) -> Request:
        """Body of `POST /exchange`."""
        self.nonce = max(self.nonce + 1, time_ms)
        return sign_action(self.key, action, self.nonce, "Testnet", vault)

    def place(self, orders: list[Request], time_ms: int, vault: bytes | None = None) -> Request:
        """Orders in one action."""
        return self.sign({"type": "order", "orders": orders, "grouping": "na"}, time_ms, vault)


class Quoter(Person):
    """Keeps a ladder on both sides of one market: quotes by name, moved when the price moves."""

    def __init__(self, name: str, asset: int, usdc: int) -> None:
        super().__init__(name)
        self.asset = asset
        self.usdc = usdc
        self.rounds = 0

    def fund_spot(self, time_ms: int) -> Request:
        """A third of what the quoter brought goes to where spot is paid from."""
        action = {"type": "usdClassTransfer", "amount": "1000000", "toPerp": False}
        return self.sign(action, time_ms)

    def requote(self, price: int, decimals: int, time_ms: int) -> list[Request]:
        """Cancel the old ladder, place the new one."""
        requests: list[Request] = []
        if self.rounds:
            old = [{"asset": self.asset, "cloid": self._name(self.rounds, place)}
                   for place in range(2 * LEVELS)]  # fmt: skip
            requests.append(self.sign({"type": "cancelByCloid", "cancels": old}, time_ms))
        self.rounds += 1
        orders = []
        for place in range(2 * LEVELS):
            step, is_buy = place // 2 + 1, place % 2 == 0
            distance = price * (4 * step + self.draws.below(4)) // BPS
            at = on_grid(price - distance if is_buy else price + distance, decimals)
            size = size_text(self.usdc * step, price, decimals)
            request = order(self.asset, is_buy, at, size, "Alo")
            orders.append({**request, "c": self._name(self.rounds, place)})
        requests.append(self.place(orders, time_ms))
        return requests

    def _name(self, number: int, place: int) -> str:
        return f"0x{self.asset:016x}{number << 8 | place:016x}"


class Trader(Person):
    """Opens and closes positions, holds some CHP, moves money, follows vaults.

    `usdc` is what he brought; `boldness` multiplies the size of what he opens.
    """

    def __init__(self, name: str, usdc: int, boldness: int) -> None:
        super().__init__(name)
        self.usdc = usdc
        self.boldness = boldness
        self.sides: dict[int, bool] = {}
        self.in_vault: str | None = None

    def act(
        self, prices: Prices, time_ms: int, others: list["Trader"], vaults: list[str]
    ) -> Request:
        """One request."""
        kind = self.draws.below(100)
        if kind < 66:
            return self._trade(prices, time_ms)
        if kind < 84:
            return self._trade_spot(prices, time_ms)
        if kind < 90:
            return self._follow(time_ms, vaults)
        if kind < 93:
            return self._send(time_ms, others)
        if kind < 96:
            return self._move_cash(time_ms)
        if kind < 98:
            return self._leverage(time_ms)
        if kind < 99:
            code = {"type": "setReferrer", "code": CODES[self.draws.below(len(CODES))]}
            return self.sign(code, time_ms)
        return self._twap(prices, time_ms)

    def _trade(self, prices: Prices, time_ms: int, vault: bytes | None = None) -> Request:
        draws = self.draws
        asset = draws.below(len(MARKETS))
        _, decimals, _ = MARKETS[asset]
        price = prices.now[asset]
        closes = asset in self.sides and draws.chance(45)
        is_buy = (
            not self.sides.pop(asset) if closes else self.sides.setdefault(asset, draws.chance(60))
        )
        worth = self.usdc * self.boldness * (100 if closes else draws.between(5, 40)) // 100
        size = size_text(max(worth, 20), price, decimals)
        if not closes and draws.chance(30):
            offset = price * draws.between(1, 40) // BPS
            at = on_grid(price - offset if is_buy else price + offset, decimals)
            return self.place([order(asset, is_buy, at, size, "Gtc")], time_ms, vault)
        bound = price + price // 40 if is_buy else price - price // 40
        at = on_grid(bound, decimals)
        return self.place([order(asset, is_buy, at, size, "Ioc", closes)], time_ms, vault)

    def _trade_spot(self, prices: Prices, time_ms: int) -> Request:
        is_buy = self.draws.chance(60)
        price = prices.chp
        size = size_text(self.draws.between(12, 400), price, CHP_DECIMALS)
        offset = price * self.draws.between(1, 30) // BPS
        if self.draws.chance(50):
            at = on_grid(price + price // 50 if is_buy else price - price // 50, CHP_DECIMALS)
            return self.place([order(CHP, is_buy, at, size, "Ioc")], time_ms)
        at = on_grid(price - offset if is_buy else price + offset, CHP_DECIMALS)
        return self.place([order(CHP, is_buy, at, size, "Gtc")], time_ms)

    def _follow(self, time_ms: int, vaults: list[str]) -> Request:
        """Into a vault, or out of the one he is in."""
        if not vaults:
            return self._leverage(time_ms)
        is_deposit = self.in_vault is None or self.draws.chance(50)
        if self.in_vault is None:
            self.in_vault = vaults[self.draws.below(len(vaults))]
        usd = self.draws.between(5, 300) * 1_000_000
        action = {"type": "vaultTransfer", "vaultAddress": self.in_vault, "isDeposit": is_deposit,
                  "usd": usd}  # fmt: skip
        return self.sign(action, time_ms)

    def _send(self, time_ms: int, others: list["Trader"]) -> Request:
        target = address_text(others[self.draws.below(len(others))].address)
        amount = str(self.draws.between(1, 30))
        return self.sign({"type": "usdSend", "destination": target, "amount": amount}, time_ms)

    def _move_cash(self, time_ms: int) -> Request:
        """Mostly into the spot cell, where CHP is bought."""
        action = {"type": "usdClassTransfer", "amount": str(self.draws.between(50, 500)),
                  "toPerp": self.draws.chance(30)}  # fmt: skip
        return self.sign(action, time_ms)

    def _leverage(self, time_ms: int) -> Request:
        action = {
            "type": "updateLeverage",
            "asset": self.draws.below(len(MARKETS)),
            "isCross": self.draws.chance(80),
            "leverage": self.draws.between(3, 10),
        }
        return self.sign(action, time_ms)

    def _twap(self, prices: Prices, time_ms: int) -> Request:
        asset = self.draws.below(len(MARKETS))
        size = size_text(2_000, prices.now[asset], MARKETS[asset][1])
        twap = {"a": asset, "b": self.draws.chance(50), "s": size, "r": False, "m": 10, "t": False}
        return self.sign({"type": "twapOrder", "twap": twap}, time_ms)


class Leader(Trader):
    """Opens a vault in the morning, and trades for it as others trade for themselves."""

    def __init__(self, name: str, usdc: int) -> None:
        super().__init__(name, usdc, 1)
        self.vault: bytes | None = None

    def create(self, name: str, time_ms: int) -> Request:
        """The vault's first deposit is a fifth of what the leader has."""
        self.nonce = max(self.nonce + 1, time_ms)
        action = {"type": "createVault", "name": name, "description": "Trades by seeded draws",
                  "initialUsd": self.usdc * 200_000, "nonce": self.nonce}  # fmt: skip
        return sign_action(self.key, action, self.nonce, "Testnet")

    def register(self, code: str, time_ms: int) -> Request:
        """Ask for a referral code, which takes some volume."""
        return self.sign({"type": "registerReferrer", "code": code}, time_ms)

    def claim(self, time_ms: int) -> Request:
        """Ask for what the code has earned."""
        return self.sign({"type": "claimRewards"}, time_ms)

    def lead(self, prices: Prices, time_ms: int) -> Request:
        """One order of the vault."""
        return self._trade(prices, time_ms, self.vault)
