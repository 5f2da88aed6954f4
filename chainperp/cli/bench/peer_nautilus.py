"""nautilus_trader's simulated exchange, fed with the standard flow, in the peer's own process.

One trader has one margin account with a venue there, so all orders are his: the accounts of the
flow have no part in it. Its exchange trades a trader's orders with the market's book, not with one
another; here that book is what rests of them. For each order: risk engine, execution engine, the
venue's matching against a book of orders, then for each maker a fill by the venue's own function,
and the changes of the book as one batch of market data. The account's margin, the positions (one
netted for each market) and every event of an order are kept as its backtests keep them.
"""

import importlib
from collections import deque
from decimal import Decimal
from typing import Any, Final

from chainperp.cli.bench.peer_process import Trade

MARKETS: Final = 10
PRICE_DECIMALS: Final = 4
SIZE_DECIMALS: Final = 2
# So many that floats still hold the account's balance to its eighth decimal.
DEPOSIT: Final = 10_000_000
FAR_BELOW: Final = 5_000  # in ticks; the flow stays within 60 of 10,000
FAR_ABOVE: Final = 15_000
FLOW_FIRST: Final = 2  # ids of the flow's orders in the market's data come after those


def names_of(module: str) -> Any:
    """A module of the package: it is not there when types are checked."""
    return importlib.import_module(f"nautilus_trader.{module}")


class Resting:
    """An order of the book: the peer's own, and what is left of it."""

    __slots__ = ("lots", "market", "oid", "order", "price", "side")

    def __init__(self, oid: int, order: Any, market: int, price: int, lots: int) -> None:
        self.oid = oid
        self.order = order
        self.side = order.side
        self.market = market
        self.price = price
        self.lots = lots


class Nautilus:
    """A venue with its ten markets, one margin account and one strategy that sends the flow."""

    def __init__(self) -> None:
        self.data: Any = names_of("model.data")
        self.enums: Any = names_of("model.enums")
        self.objects: Any = names_of("model.objects")
        self.ids: Any = names_of("model.identifiers")
        self.limit_order: Any = names_of("model.orders").LimitOrder
        self.uuid: Any = names_of("core.uuid").UUID4
        # How many raw units a tick and a lot are: builds of the package differ in precision.
        self.tick = self.objects.Price(1, PRICE_DECIMALS).raw // 10**PRICE_DECIMALS
        self.lot = self.objects.Quantity(1, SIZE_DECIMALS).raw // 10**SIZE_DECIMALS
        self.now = 1
        self.resting: dict[int, Resting] = {}
        self.queues: list[dict[int, deque[Resting]]] = [{} for _ in range(MARKETS)]
        self.found: list[Trade] = []
        self.refused = 0
        self._make_venue()

    def _make_venue(self) -> None:
        """Message bus, cache, engines, exchange and strategy, put together as in its own tests."""
        component: Any = names_of("common.component")
        self.clock = component.TestClock()
        trader = self.ids.TraderId("BENCH-001")
        bus = component.MessageBus(trader_id=trader, clock=self.clock)
        cache = names_of("cache.cache").Cache(database=None)
        parts = {"msgbus": bus, "cache": cache, "clock": self.clock}
        portfolio = names_of("portfolio.portfolio").Portfolio(**parts)
        execution = names_of("execution.engine").ExecutionEngine(**parts)
        unlimited = "1000000000/00:00:01"
        config = names_of("config").RiskEngineConfig(
            max_order_submit_rate=unlimited, max_order_modify_rate=unlimited
        )
        risk = names_of("risk.engine").RiskEngine(portfolio=portfolio, config=config, **parts)
        self.feed = names_of("data.engine").DataEngine(**parts)
        self.exchange = self._exchange(portfolio, parts)
        client = names_of("backtest.execution_client").BacktestExecClient(
            exchange=self.exchange, **parts
        )
        execution.register_client(client)
        self.exchange.register_client(client)
        self.markets = [self._instrument(number) for number in range(MARKETS)]
        for instrument in self.markets:
            self.exchange.add_instrument(instrument)
            cache.add_instrument(instrument)
        self.engines = [self.exchange.get_matching_engine(one.id) for one in self.markets]
        config = names_of("config").StrategyConfig(strategy_id="FLOW", order_id_tag="000")
        self.strategy = names_of("trading.strategy").Strategy(config)
        self.strategy.register(trader_id=trader, portfolio=portfolio, **parts)
        for part in (execution, risk, self.feed):
            part.start()
        self.exchange.initialize_account()
        self.strategy.start()
        self.trader = trader
        for market in range(MARKETS):
            self._open(market)

    def _exchange(self, portfolio: Any, parts: dict[str, Any]) -> Any:
        """A venue that keeps a book of orders and answers a command at once."""
        models: Any = names_of("backtest.models")
        usdc = names_of("model.currencies").USDC
        return names_of("backtest.engine").SimulatedExchange(
            venue=self.ids.Venue("SIM"),
            oms_type=self.enums.OmsType.NETTING,
            account_type=self.enums.AccountType.MARGIN,
            starting_balances=[self.objects.Money(DEPOSIT, usdc)],
            base_currency=usdc,
            default_leverage=Decimal(20),
            leverages={},
            modules=[],
            fill_model=models.FillModel(),
            fee_model=models.MakerTakerFeeModel(),
            portfolio=portfolio,
            book_type=self.enums.BookType.L3_MBO,
            use_message_queue=False,
            **parts,
        )

    def _instrument(self, number: int) -> Any:
        """A perpetual with the flow's decimals and our default margins and fees."""
        currencies: Any = names_of("model.currencies")
        symbol = self.ids.Symbol(f"M{number}")
        return names_of("model.instruments").CryptoPerpetual(
            instrument_id=self.ids.InstrumentId(symbol, self.ids.Venue("SIM")),
            raw_symbol=symbol,
            base_currency=currencies.BTC,
            quote_currency=currencies.USDC,
            settlement_currency=currencies.USDC,
            is_inverse=False,
            price_precision=PRICE_DECIMALS,
            price_increment=self._price(1),
            size_precision=SIZE_DECIMALS,
            size_increment=self._size(1),
            margin_init=Decimal("0.05"),
            margin_maint=Decimal("0.0125"),
            maker_fee=Decimal("0.00015"),
            taker_fee=Decimal("0.00045"),
            ts_event=0,
            ts_init=0,
        )

    def _price(self, ticks: int) -> Any:
        return self.objects.Price.from_raw(ticks * self.tick, PRICE_DECIMALS)

    def _size(self, lots: int) -> Any:
        return self.objects.Quantity.from_raw(lots * self.lot, SIZE_DECIMALS)

    def _open(self, market: int) -> None:
        """An order of the market on each side, which no order of the flow reaches: the venue fills
        nothing before it has seen both sides."""
        sides: Any = self.enums.OrderSide
        for number, side, price in ((1, sides.BUY, FAR_BELOW), (2, sides.SELL, FAR_ABOVE)):
            order = self.data.BookOrder(side, self._price(price), self._size(1), number)
            self._publish(market, [self._delta(market, self.enums.BookAction.ADD, order)])

    def add(self, oid: int, market: int, is_buy: int, price: int, lots: int, ioc: int) -> None:
        """Send a limit order; its fills say which orders at rest it met."""
        enums, instrument = self.enums, self.markets[market]
        self.now += 1
        order = self.limit_order(
            trader_id=self.trader,
            strategy_id=self.strategy.id,
            instrument_id=instrument.id,
            client_order_id=self.ids.ClientOrderId(f"O-{oid}"),
            order_side=enums.OrderSide.BUY if is_buy else enums.OrderSide.SELL,
            quantity=self._size(lots),
            price=self._price(price),
            init_id=self.uuid(),
            ts_init=self.now,
            time_in_force=enums.TimeInForce.IOC if ioc else enums.TimeInForce.GTC,
        )
        self.strategy.submit_order(order)
        left = lots
        changes: list[Any] = []
        if order.filled_qty.raw:
            for event in order.events:
                if hasattr(event, "last_qty"):
                    left -= self._fill_makers(market, event, changes)
        if left and order.is_open:
            resting = Resting(oid, order, market, price, left)
            self.resting[oid] = resting
            self.queues[market].setdefault(price, deque()).append(resting)
            changes.append(self._change(enums.BookAction.ADD, resting))
        elif left and not ioc:
            self.refused += 1
        self._publish(market, changes)

    def _fill_makers(self, market: int, event: Any, changes: list[Any]) -> int:
        """The other side of a taker's fill: the orders at its price, in their order."""
        lots: int = event.last_qty.raw // self.lot
        price = event.last_px.raw // self.tick
        queue = self.queues[market][price]
        left = lots
        while left:
            maker = queue[0]
            taken = min(left, maker.lots)
            left -= taken
            maker.lots -= taken
            self.found.append((market, price, taken))
            self.engines[market].fill_order(
                maker.order, event.last_px, self._size(taken), self.enums.LiquiditySide.MAKER
            )
            if maker.lots:
                changes.append(self._change(self.enums.BookAction.UPDATE, maker))
            else:
                queue.popleft()
                del self.resting[maker.oid]
                changes.append(self._change(self.enums.BookAction.DELETE, maker))
        return lots

    def cancel(self, oid: int) -> None:
        """Cancel an order that still rests."""
        found = self.resting.pop(oid, None)
        if found is None:
            return
        self.queues[found.market][found.price].remove(found)
        self.strategy.cancel_order(found.order)
        self._publish(found.market, [self._change(self.enums.BookAction.DELETE, found)])

    def _change(self, action: Any, one: Resting) -> Any:
        """The market's data about an order at rest."""
        oid = FLOW_FIRST + one.oid
        order = self.data.BookOrder(one.side, self._price(one.price), self._size(one.lots), oid)
        return self._delta(one.market, action, order)

    def _delta(self, market: int, action: Any, order: Any) -> Any:
        self.now += 1
        return self.data.OrderBookDelta(
            self.markets[market].id, action, order, 0, 0, self.now, self.now
        )

    def _publish(self, market: int, changes: list[Any]) -> None:
        if changes:
            deltas = self.data.OrderBookDeltas(self.markets[market].id, changes)
            self.exchange.process_order_book_deltas(deltas)

    def quote(self, market: int, price: int) -> None:
        """An oracle price, as a quote one tick wide: to the venue, then to the portfolio."""
        self.now += 1
        one = self._size(1)
        tick = self.data.QuoteTick(
            self.markets[market].id, self._price(price), self._price(price + 1), one, one,
            self.now, self.now,
        )  # fmt: skip
        self.exchange.process_quote_tick(tick)
        self.feed.process(tick)

    def trades(self) -> list[Trade]:
        """One for each maker. Raises when the venue refused an order: it would not be this flow."""
        if self.refused:
            raise ValueError(f"{self.refused} orders of the flow were refused")
        found, self.found = self.found, []
        return found
