"""The market of the exchange's own token in the demo: who makes it, and who trades there.

They got their tokens at genesis and move their USDC to their spot balance themselves. All of them
sign what they send; none knows of the fund, which buys from whoever offers least.
"""

from typing import Any, Final

from chainperp.cli.demo.path import CHP, PricePath, on_grid
from chainperp.cli.demo.signer import Signer
from chainperp.cli.demo.traders import SIZE_DECIMALS, Maker, order, size_text
from chainperp.cli.draws import Draws
from chainperp.model.tokens import SPOT_FIRST

MAKER_USDC: Final = 3_000_000
MAKER_TOKENS: Final = 2_000_000
TRADER_USDC: Final = 100_000
TRADER_TOKENS: Final = 20_000


class TokenMaker(Maker):
    """Quotes both sides of the token's book, in the crash as before."""

    scale = 10

    def __init__(self, key: bytes, agent_key: bytes, draws: Draws) -> None:
        super().__init__(key, agent_key, SPOT_FIRST, draws)

    def move_in(self, time_ms: int) -> dict[str, Any]:
        """All USDC to the spot balance."""
        return to_spot(self.owner, MAKER_USDC, time_ms)


class TokenTrader:
    """Buys and sells tokens at the best price there is."""

    def __init__(self, key: bytes, draws: Draws) -> None:
        self.signer = Signer(key)
        self.draws = draws

    def move_in(self, time_ms: int) -> dict[str, Any]:
        """All USDC to the spot balance."""
        return to_spot(self.signer, TRADER_USDC, time_ms)

    def act(self, path: PricePath, time_ms: int) -> dict[str, Any]:
        """One signed order that trades at once or not at all."""
        price = path.price(CHP, time_ms)
        is_buy = self.draws.chance(50)
        bound = price + price // 50 if is_buy else price - price // 50
        size = size_text(CHP, self.draws.between(20, 900), price)
        request = order(SPOT_FIRST, is_buy, on_grid(bound, SIZE_DECIMALS[CHP]), size, "Ioc")
        action = {"type": "order", "orders": [request], "grouping": "na"}
        return self.signer.sign(action, time_ms)


def to_spot(signer: Signer, usdc: int, time_ms: int) -> dict[str, Any]:
    """A signed move of USDC from the margin of perpetuals to the spot balance."""
    return signer.sign({"type": "usdClassTransfer", "amount": str(usdc), "toPerp": False}, time_ms)
