"""The demo's clock and prices: anchors of 10 October 2025, joined by straight lines."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chainperp.base.units import E8_DECIMALS, parse_decimal, strip_decimal

FILE: Final = Path(__file__).with_name("prices.toml")
COINS: Final = ("BTC", "ETH", "SOL", "DOGE")
CHP: Final = "CHP"
CHP_START: Final = 25 * 10**E8_DECIMALS


class PricePath:
    """Prices of the four markets at any time of the window, as integers of 10^-8."""

    def __init__(self) -> None:
        table = tomllib.loads(FILE.read_text(encoding="utf-8"))
        midnight = datetime.fromisoformat(table["date"]).replace(tzinfo=UTC)
        base = int(midnight.timestamp()) * 1000
        self.points: dict[str, list[tuple[int, int]]] = {}
        for coin in COINS:
            self.points[coin] = [
                (base + _clock_ms(clock), parse_decimal(price, E8_DECIMALS, coin))
                for clock, price, _ in table[coin]["points"]
            ]
        self.start: int = self.points["BTC"][0][0]
        self.end: int = self.points["BTC"][-1][0]

    def price(self, coin: str, time_ms: int) -> int:
        """Price of a coin at a time, on the line between its anchors. The exchange's token, for
        which there is no history, starts at 25 and moves as ether does."""
        if coin == CHP:
            return CHP_START * self.price("ETH", time_ms) // self.price("ETH", self.start)
        points = self.points[coin]
        before = points[0]
        for after in points[1:]:
            if time_ms <= after[0]:
                span, part = after[0] - before[0], time_ms - before[0]
                return before[1] + (after[1] - before[1]) * part // span
            before = after
        return before[1]

    def block_times(self, calm_ms: int, crash_ms: int) -> list[int]:
        """Times of the blocks: slow while calm, fast from 21:13 to 21:22."""
        crash_start, crash_end = self.start + 73 * 60_000, self.start + 82 * 60_000
        times: list[int] = []
        now = self.start
        while now < self.end:
            now += crash_ms if crash_start <= now < crash_end else calm_ms
            times.append(now)
        return times


def _clock_ms(clock: str) -> int:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def on_grid(price_e8: int, size_decimals: int) -> str:
    """A price as a decimal on the market's grid: five figures, at most 6 - d decimals."""
    digits = len(str(price_e8))
    step = max(10 ** (digits - 5), 10 ** (2 + size_decimals))
    return strip_decimal((price_e8 + step // 2) // step * step, E8_DECIMALS)
