"""A stage with a funded market-making child, and what its rounds say."""

from chainperp.base.canonical import Record
from chainperp.base.units import Address
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.decisions import Kind
from chainperp.model.orders import Order
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER
from tests.support.forced import ETH, Stage
from tests.support.world import RULES, Result

FAMILY = (LIQUIDITY_VAULT, BACKSTOP_VAULT, MARKET_MAKER)


class Desk(Stage):
    """`maker` and `parent` are USDC deposited for the market-making child and the whole vault's
    parent. `round` makes the block of the next round of quotes."""

    def __init__(
        self, *, maker: str = "100000", parent: str = "0", vault: str = "0", **options: object
    ) -> None:
        super().__init__(vault=vault, **options)  # type: ignore[arg-type]
        self.names[LIQUIDITY_VAULT] = "parent"
        for address, amount in ((MARKET_MAKER, maker), (LIQUIDITY_VAULT, parent)):
            if amount != "0":
                self.block(system=[self.deposit_to(address, amount)])

    def round(self, prices: dict[int, str] | None = None) -> Result:
        """The first block at or after the next multiple of 3 s, with prices if given."""
        at = self.state.time_ms // 3000 * 3000 + 3000
        return self.block(system=[self.vote(prices)] if prices else [], at=at)

    def quotes(self, asset: int = ETH, is_buy: bool | None = None) -> list[Order]:
        """The child's resting orders in a market, by id."""
        orders = self.engine.state.accounts[MARKET_MAKER].orders.values()
        return [
            one
            for one in sorted(orders, key=lambda one: one.oid)
            if one.asset == asset and (is_buy is None or one.is_buy is is_buy)
        ]

    def held(self, who: Address = MARKET_MAKER, asset: int = ETH) -> int:
        """Signed lots of a child."""
        exposure = self.engine.state.accounts[who].exposures.get(asset)
        return 0 if exposure is None else exposure.lots

    def family_value(self) -> int:
        """Value of the parent and its children."""
        return sum(self.value(one) for one in FAMILY)

    def fresh(self) -> Engine:
        """Another engine of the same chain, before block 0."""
        return Engine(parse_genesis(self.engine.genesis.raw), RULES)


def rounds_of(result: Result) -> list[Record]:
    """QUOTE entries of a block."""
    return result.of(Kind.QUOTE)
