"""The end of a block by definition: every scope is looked at, every number is worked out anew.

Written from the protocol (6.3, 6.4, 7.2, 7.6) and reliability 5.6, on top of `naive_exchange`,
which has books, fills and margins by definition. No index, no cache, no receipts; fractions
wherever the text divides. Only the default policy, Hyperliquid's queue, is here.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from chainperp.model.actions import TimeInForce
from chainperp.model.decisions import AdlReason, LiquidationOutcome, OrderStatus, Rejection
from tests.oracles.naive_book import Resting, match, room
from tests.oracles.naive_exchange import (
    FUND,
    Holding,
    NaiveExchange,
    Person,
    Place,
)

BACKSTOP = b"\x00" * 18 + b"\xff\x02"
INSURANCE = b"\x00" * 18 + b"\xff\x03"
CROSS = 2**32 - 1
TINY = Fraction(1, 10**8)
Scope = tuple[bytes, int]


@dataclass
class Test:
    """What became of a scope that was below its maintenance margin."""

    who: bytes
    scope: int
    outcome: LiquidationOutcome
    value: int
    maintenance: int


@dataclass
class Case:
    """One position that is to be closed against the other side, and its price."""

    who: bytes
    scope: int
    asset: int
    value: int
    price: int


class SlowExchange(NaiveExchange):
    """The naive exchange with liquidation, backstop and auto-deleveraging at each block's end.

    `parent` is the hash of the last seal, which the owner sets before a block. `tests` and `rounds`
    (candidates in rank order with reason and take) tell what the last block did.
    """

    def __init__(self, genesis: bytes) -> None:
        super().__init__(genesis)
        self.people[BACKSTOP] = Person()
        self.people[INSURANCE] = Person()
        self.previous: dict[int, int] = {}
        self.cooldown: dict[bytes, int] = {}
        self.exempt: set[bytes] = set()
        self.forced: set[int] = set()
        self.parent = bytes(32)
        self.tests: list[Test] = []
        self.rounds: list[list[tuple[bytes, AdlReason, int]]] = []
        self.uncovered = 0

    def close_block(self, before: int) -> None:
        """What the naive exchange leaves out at the end of a block."""
        self.unwind(before)
        self.pay_share()
        self.end_of_block()
        self.pay_share()

    def move_mark(self, place: Place, oracle: int) -> None:
        """Remember the mark that was in force before this one."""
        before = place.mark
        super().move_mark(place, oracle)
        self.previous[place.asset] = before or place.mark

    # --- scopes -----------------------------------------------------------------------------------

    def held_in(self, scope: Scope) -> list[tuple[int, Holding]]:
        """Open positions of a scope, by asset."""
        who, at = scope
        return [
            (asset, held)
            for asset, held in sorted(self.people[who].holdings.items())
            if held.lots and (self.setting(who, asset)[0] if at == CROSS else asset == at)
        ]

    def worth(self, scope: Scope) -> int:
        """Value of a scope at the marks."""
        who, at = scope
        if at == CROSS:
            return self.value(who)
        held = self.people[who].held(at)
        return held.cash + held.lots * self.places[at].mark

    def notional(self, asset: int, held: Holding) -> int:
        """Position value without sign."""
        return abs(held.lots) * self.places[asset].mark

    def needs(self, scope: Scope) -> int:
        """Maintenance margin of a scope."""
        return sum(
            self.maintenance(asset, self.notional(asset, held))
            for asset, held in self.held_in(scope)
        )

    def fails(self, scope: Scope) -> bool:
        """Strictly below."""
        return self.worth(scope) < self.needs(scope)

    def all_scopes(self) -> list[Scope]:
        """Every scope with a position, of everybody."""
        scopes: list[Scope] = []
        for who in self.people:
            for at in [CROSS, *range(len(self.places))]:
                is_cross_market = at != CROSS and self.setting(who, at)[0]
                if not is_cross_market and self.held_in((who, at)):
                    scopes.append((who, at))
        return scopes

    # --- the waterfall ----------------------------------------------------------------------------

    def end_of_block(self) -> None:
        """6.4, then 7."""
        self.tests, self.rounds = [], []
        due = [scope for scope in self.all_scopes() if self.fails(scope)]
        due.sort(
            key=lambda scope: (
                Fraction(self.worth(scope), self.needs(scope)),
                scope[0],
                scope[1] != CROSS,
                scope[1],
            )
        )
        limit = self.p["liquidations_per_block"]
        found = [(scope, self.worth(scope), self.needs(scope)) for scope in due]
        for number, (scope, value, needed) in enumerate(found):
            outcome = LiquidationOutcome.WAITING
            if number < limit:
                value, needed = self.worth(scope), self.needs(scope)
                outcome = self.liquidate(scope)
            self.tests.append(Test(*scope, outcome, value, needed))
        worked = [scope for scope in due[:limit] if self.worth(scope) < 0]
        short = -sum(self.worth(scope) for scope in worked if scope[1] == CROSS)
        if short <= self.p["adl_tolerance"]:
            worked = [scope for scope in worked if scope[1] != CROSS]
        self.deleverage(worked)
        self.uncovered = max(0, -self.people[INSURANCE].raw)
        self.uncovered += sum(max(0, -self.worth(scope)) for scope in due)

    def liquidate(self, scope: Scope) -> LiquidationOutcome:
        """One scope: orders, book, vault."""
        if not self.fails(scope):
            return LiquidationOutcome.RECOVERED
        who, at = scope
        for asset, order in self.orders(who):
            if asset == at or (at == CROSS and self.setting(who, asset)[0]):
                self.end(self.places[asset], order, Rejection.LIQUIDATED)
        start = self.cooldown.get(who)
        cooling = start is not None and self.time - start < self.p["liq_cooldown_ms"]
        ranked = sorted(
            self.held_in(scope),
            key=lambda one: (-self.maintenance(one[0], self.notional(*one)), one[0]),
        )
        for asset, held in ranked:
            size = abs(held.lots)
            lots = size
            if self.notional(asset, held) > self.p["liq_partial_threshold"] and not cooling:
                lots = max(1, math.ceil(Fraction(size * self.p["liq_partial_percent"], 100)))
            filled = self.sell(scope, asset, lots)
            if filled and lots < size:
                self.cooldown[who] = self.time
            if not self.fails(scope):
                break
        value, needed = self.worth(scope), self.needs(scope)
        if value < 0:
            return LiquidationOutcome.ADL_CASE
        share = Fraction(self.p["backstop_numerator"], self.p["backstop_denominator"])
        if 0 < value < needed * share and self.take_over(scope):
            return LiquidationOutcome.BACKSTOP
        return LiquidationOutcome.BOOK

    def sell(self, scope: Scope, asset: int, lots: int) -> int:
        """One IOC order down to the scope's bankruptcy price."""
        who = scope[0]
        place, held = self.places[asset], self.people[who].held(asset)
        is_buy = held.lots < 0
        price = self.worst_price(scope, place, held)
        order = Resting(self.oid, who, is_buy, price, lots, lots, True, TimeInForce.IOC)
        self.oid += 1
        self.forced.add(order.oid)
        self.match_order(place, order)
        filled = lots - order.remaining
        self.say_ioc(order, Rejection.LIQUIDATION)
        return filled

    def match_order(self, place: Place, order: Resting) -> None:
        """Meet the book."""
        match(
            place.book,
            order,
            lambda owner: self.people[owner].held(place.asset).lots,
            lambda maker, why: self.end(place, maker, why),
            lambda maker, taker, size: self.trade(place, maker, taker, size),
        )

    def say_ioc(self, order: Resting, reason: Rejection) -> None:
        """Note how an order of the exchange's own ended."""
        status = OrderStatus.CANCELED
        if order.remaining == 0:
            status = OrderStatus.FILLED
        elif order.remaining == order.lots:
            status = OrderStatus.REJECTED
        self.say(order.oid, order.owner, status, reason, order.remaining)

    def worst_price(self, scope: Scope, place: Place, held: Holding) -> int:
        """U-REL-2 inside the price band, on the tick."""
        band = Fraction(self.p["order_band_numerator"], self.p["order_band_denominator"])
        away = math.floor(place.oracle * band)
        lowest, highest = max(1, place.oracle - away), place.oracle + away
        if self.p["liq_limit"] == 0:
            return lowest if held.lots > 0 else highest
        fee = Fraction(self.rates(scope[0])[0], 10**6)
        size, worth = abs(held.lots), self.worth(scope)
        if held.lots > 0:
            exact = (size * place.mark - worth) / (size * (1 - fee))
            return max(lowest, self.to_tick(max(1, math.ceil(exact)), place, up=True))
        exact = (size * place.mark + worth) / (size * (1 + fee))
        return min(highest, max(1, self.to_tick(max(1, math.floor(exact)), place, up=False)))

    def to_tick(self, price: int, place: Place, *, up: bool) -> int:
        """The next price of five figures, or whole dollars, in a direction."""
        whole: int = 10 ** (6 - int(place.row["size_decimals"]))
        figures: int = 10 ** max(0, len(str(price)) - 5)
        step = min(whole, figures)
        exact = Fraction(price, step)
        return int(math.ceil(exact) if up else math.floor(exact)) * step

    def affords(self, place: Place, order: Resting, maker: Resting, lots: int, fee: int) -> bool:
        """A liquidation must not leave its scope below zero, or lower than it was."""
        if order.oid not in self.forced:
            return super().affords(place, order, maker, lots, fee)
        who = order.owner
        scope = (who, CROSS if self.setting(who, place.asset)[0] else place.asset)
        held = self.people[who].held(place.asset)
        before = self.worth(scope)
        delta = lots if order.is_buy else -lots
        after = before + delta * (place.mark - maker.price) - fee
        assert abs(held.lots + delta) < abs(held.lots)
        return self.p["user_fill_limit"] == 0 or after >= 0 or after >= before

    def book_fill(self, place: Place, order: Resting, lots: int, price: int, fee: int) -> int:
        """A liquidation's money stays in the scope (U-LIQ-9)."""
        who = order.owner
        if order.oid not in self.forced or self.setting(who, place.asset)[0]:
            return super().book_fill(place, order, lots, price, fee)
        held = self.people[who].held(place.asset)
        held.cash -= fee
        pnl = self.move(who, place.asset, lots if order.is_buy else -lots, price)
        self.close_cell(who, place.asset)
        return pnl

    def move(self, who: bytes, asset: int, delta: int, price: int) -> int:
        """Trade lots in a scope's own cell; returns the realised profit."""
        person, held = self.people[who], self.people[who].held(asset)
        if self.setting(who, asset)[0]:
            person.raw -= delta * price
        else:
            held.cash -= delta * price
        closed = min(abs(delta), room(held.lots, delta > 0))
        left = abs(held.lots) - closed
        entry = held.entry
        if closed:
            entry = math.floor(Fraction(held.entry * left, abs(held.lots)))
        given = held.entry - entry
        pnl = closed * price - given if held.lots > 0 else given - closed * price
        held.entry = entry + (abs(delta) - closed) * price
        held.lots += delta
        return pnl if closed else 0

    def close_cell(self, who: bytes, asset: int) -> None:
        """What is left in the cell of a position that is gone returns to cross."""
        held = self.people[who].held(asset)
        if held.lots == 0:
            self.people[who].raw += held.cash
            held.cash = 0

    def swap(self, asset: int, price: int, lots: int, maker: bytes, taker: bytes, buys: bool,
             *, normal: bool) -> None:  # fmt: skip
        """A forced trade without a book and without fees. `normal`: the maker's side is closed like
        any decrease, so that an isolated position releases its share of margin."""
        place = self.places[asset]
        delta = lots if buys else -lots
        starts = [self.people[one].held(asset).lots for one in (maker, taker)]
        taker_pnl = self.move(taker, asset, delta, price)
        if normal:
            order = Resting(0, maker, not buys, price, lots, lots, True, TimeInForce.IOC)
            maker_pnl = self.book_fill(place, order, lots, price, 0)
        else:
            maker_pnl = self.move(maker, asset, -delta, price)
        self.events.append(
            ("fill", asset, price, lots, maker, 0, 0, starts[0], maker_pnl,
             taker, 0, 0, starts[1], taker_pnl)
        )  # fmt: skip

    def drop_useless(self, who: bytes, asset: int) -> None:
        """Reduce-only orders that no longer reduce."""
        for at, order in self.orders(who):
            useless = room(self.people[who].held(at).lots, order.is_buy) == 0
            if at == asset and order.reduce_only and useless:
                self.end(self.places[at], order, Rejection.REDUCE_ONLY_CANCELED)

    def take_over(self, scope: Scope) -> bool:
        """The vault takes all of a scope or nothing."""
        who, at = scope
        held = self.held_in(scope)
        if who == BACKSTOP or any(self.places[asset].row["isolated_only"] for asset, _ in held):
            return False
        value = self.worth(scope)
        margin = notional = 0
        for place in self.places:
            lots = self.people[BACKSTOP].held(place.asset).lots
            lots += sum(one.lots for asset, one in held if asset == place.asset)
            notional += abs(lots) * place.mark
            margin += math.ceil(Fraction(abs(lots) * place.mark, self.p["backstop_leverage"]))
        if self.value(BACKSTOP) + value < margin or notional > self.p["backstop_notional_max"]:
            return False
        for asset, one in held:
            mark = self.places[asset].mark
            self.swap(asset, mark, abs(one.lots), who, BACKSTOP, one.lots > 0, normal=False)
        if at != CROSS:
            self.close_cell(who, at)
        self.people[who].raw -= value
        self.people[BACKSTOP].raw += value
        for heir, bps in ((FUND, self.p["liquidation_fund_bps"]),
                          (INSURANCE, self.p["liquidation_insurance_bps"])):  # fmt: skip
            share = math.floor(Fraction(value * bps, 10_000))
            self.people[BACKSTOP].raw -= share
            self.people[heir].raw += share
        return True

    def unwind(self, before: int) -> None:
        """U-LIQ-15."""
        every = self.p["unwind_interval_ms"]
        elapsed = (self.time // every - before // every) * every
        if not elapsed:
            return
        for asset, held in self.held_in((BACKSTOP, CROSS)):
            place, size = self.places[asset], abs(held.lots)
            share = Fraction(size * 693_147 * elapsed, 10**6 * self.p["unwind_half_life_ms"])
            lots = min(size, math.ceil(share))
            slip = Fraction(self.p["unwind_slippage_bps"], 10_000)
            buys = held.lots < 0
            limit = (
                math.floor(place.mark * (1 + slip)) if buys else math.ceil(place.mark * (1 - slip))
            )
            order = Resting(self.oid, BACKSTOP, buys, limit, lots, lots, True, TimeInForce.IOC)
            self.oid += 1
            self.match_order(place, order)
            self.say_ioc(order, Rejection.UNWIND)

    # --- auto-deleveraging ------------------------------------------------------------------------

    def deleverage(self, underwater: list[Scope]) -> None:
        """Net, price, close."""
        self.net(underwater)
        cases: list[Case] = []
        for scope in underwater:
            if self.worth(scope) < 0:
                cases += self.price_scope(scope)
        cases.sort(
            key=lambda one: (
                one.asset, self.people[one.who].held(one.asset).lots < 0, one.value, one.who,
            )
        )  # fmt: skip
        for number, case in enumerate(cases):
            self.close(case, number)
        for scope in underwater:
            self.settle_closed(scope)

    def settle_closed(self, scope: Scope) -> None:
        """What a closed scope owes, the insurance account owes from now on."""
        if self.held_in(scope):
            return
        who, at = scope
        owed = max(0, -self.worth(scope))
        self.people[INSURANCE].raw -= owed
        if at == CROSS:
            self.people[who].raw += owed
        else:
            self.people[who].held(at).cash += owed
            self.close_cell(who, at)

    def net(self, underwater: list[Scope]) -> None:
        """Underwater longs against underwater shorts, worst first, at the previous mark."""
        held = [
            (asset, self.worth(scope), scope[0])
            for scope in underwater
            for asset, _ in self.held_in(scope)
        ]
        held.sort()
        for asset, _, long in held:
            for other, _, short in held:
                lots = min(self.people[long].held(asset).lots, -self.people[short].held(asset).lots)
                if other == asset and lots > 0:
                    price = self.previous[asset]
                    self.swap(asset, price, lots, short, long, False, normal=False)
                    self.drop_useless(long, asset)
                    self.drop_useless(short, asset)

    def price_scope(self, scope: Scope) -> list[Case]:
        """Previous marks; what is missing there the insurance pays, the rest moves the prices."""
        who, at = scope
        value, held = self.worth(scope), self.held_in(scope)
        missing = -value - sum(
            one.lots * (self.previous[asset] - self.places[asset].mark) for asset, one in held
        )
        drawn = max(0, min(missing, self.people[INSURANCE].raw))
        self.people[INSURANCE].raw -= drawn
        if at == CROSS:
            self.people[who].raw += drawn
        else:
            self.people[who].held(at).cash += drawn
        missing = max(0, missing - drawn)
        total = sum(self.notional(asset, one) for asset, one in held)
        cases: list[Case] = []
        for asset, one in held:
            share = math.ceil(Fraction(missing * self.notional(asset, one), total))
            shift = math.ceil(Fraction(share, abs(one.lots)))
            price = self.previous[asset] + (shift if one.lots > 0 else -shift)
            cases.append(Case(who, at, asset, value, max(1, price)))
        return cases

    def close(self, case: Case, number: int) -> None:
        """Whole positions from the top of the queue until the bankrupt one is closed."""
        asset, mark = case.asset, self.places[case.asset].mark
        long = self.people[case.who].held(asset).lots > 0
        seed = sha256(
            b"chainperp/v1/adl-seed\x00" + self.parent + asset.to_bytes(4, "little")
            + number.to_bytes(4, "little")
        ).digest()  # fmt: skip
        queue: list[tuple[Fraction, bytes, bytes, int]] = []
        others: list[tuple[AdlReason, bytes]] = []
        for who, person in self.people.items():
            held = person.held(asset)
            if held.lots == 0 or (held.lots > 0) is long:
                continue
            is_cross = self.setting(who, asset)[0]
            value = self.worth((who, CROSS if is_cross else asset))
            most = abs(held.lots)
            loss = mark - case.price if held.lots > 0 else case.price - mark
            if value < loss * most:
                most = math.floor(Fraction(value, loss)) if is_cross else 0
            if value <= 0 or who in self.exempt or most == 0:
                reason = AdlReason.EXEMPT if who in self.exempt else AdlReason.CAPPED
                if value <= 0:
                    reason = AdlReason.UNDERWATER if value < 0 else AdlReason.VALUE_NOT_POSITIVE
                others.append((reason, who))
                continue
            gain = held.lots * mark - (held.entry if held.lots > 0 else -held.entry)
            leverage = max(Fraction(abs(held.lots) * mark, value), TINY)
            profit = max(Fraction(max(0, gain), held.entry or 1), TINY)
            queue.append((-leverage * profit, sha256(seed + who).digest(), who, most))
        rows: list[tuple[bytes, AdlReason, int]] = []
        for _, _, who, most in sorted(queue):
            lots = min(abs(self.people[case.who].held(asset).lots), most)
            rows.append((who, AdlReason.ELIGIBLE, lots))
            if lots:
                self.swap(asset, case.price, lots, who, case.who, not long, normal=True)
                self.drop_useless(case.who, asset)
                self.drop_useless(who, asset)
        rows += [(who, reason, 0) for reason, who in sorted(others)]
        self.rounds.append(rows)
