"""A second spot market, slow and obvious: what the fast one must agree with.

Everything is an exact fraction in whole USDC and whole tokens. Nothing is kept that can be worked
out: holds are summed over the open orders, rates over all trades ever made, the best order is found
by sorting. It knows no leaf, no level and no lot; it is written from `fixtures/rules/SPT.md`.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

USDC_STEP = Fraction(1, 10**6)
TOKEN_STEP = Fraction(1, 10**8)
LOT = Fraction(1, 100)
TICK = Fraction(1, 10**4)
DAY_MS = 86_400_000


def down(amount: Fraction, step: Fraction) -> Fraction:
    """An amount rounded down to whole steps."""
    return floor(amount / step) * step


@dataclass
class Wish:
    """An order as somebody asks for it. `tif` is Gtc, Ioc or Alo."""

    who: str
    is_buy: bool
    price: Fraction
    size: Fraction
    tif: str
    cloid: bytes | None = None


@dataclass
class Open:
    """An order that rests; the number says when it came."""

    number: int
    who: str
    is_buy: bool
    price: Fraction
    left: Fraction
    cloid: bytes | None

    def gives(self) -> Fraction:
        """What it holds: USDC of a buy, tokens of a sell."""
        return self.left * self.price if self.is_buy else self.left


@dataclass
class Trade:
    """One trade that was made."""

    day: int
    buyer: str
    seller: str
    value: Fraction


Outcome = tuple[int, str, str]  # number of the order, status, reason


@dataclass
class NaiveSpot:
    """The whole market. `tiers` are (14-day volume above in USDC, taker rate, maker rate)."""

    tiers: list[tuple[Fraction, Fraction, Fraction]]
    masters: dict[str, str] = field(default_factory=dict)
    orders_max: int = 1000
    margin: dict[str, Fraction] = field(default_factory=dict)
    usdc: dict[str, Fraction] = field(default_factory=dict)
    tokens: dict[str, Fraction] = field(default_factory=dict)
    burned: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    last: Fraction | None = None
    opened: list[Open] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    next_number: int = 1
    day: int = 0
    told: list[Outcome] = field(default_factory=list)

    # --- balances ---------------------------------------------------------------------------------

    def held(self, who: str, is_usdc: bool) -> Fraction:
        """What the open orders of an account give of a token."""
        return sum(
            (one.gives() for one in self.opened if one.who == who and one.is_buy is is_usdc),
            Fraction(0),
        )

    def free(self, who: str, is_usdc: bool) -> Fraction:
        """What is not held."""
        table = self.usdc if is_usdc else self.tokens
        return table.get(who, Fraction(0)) - self.held(who, is_usdc)

    def add(self, who: str, usdc: Fraction, tokens: Fraction) -> None:
        """Change both balances."""
        self.usdc[who] = self.usdc.get(who, Fraction(0)) + usdc
        self.tokens[who] = self.tokens.get(who, Fraction(0)) + tokens
        assert self.usdc[who] >= 0
        assert self.tokens[who] >= 0

    def shift(self, who: str, amount: Fraction, to_perp: bool) -> bool:
        """Between the margin and the spot balance of an account without positions."""
        source = self.free(who, True) if to_perp else self.margin.get(who, Fraction(0))
        if amount <= 0 or amount > source:
            return False
        signed = amount if to_perp else -amount
        self.margin[who] = self.margin.get(who, Fraction(0)) + signed
        self.add(who, -signed, Fraction(0))
        return True

    def send(self, who: str, to: str, amount: Fraction, is_usdc: bool) -> bool:
        """To the spot balance of another account that exists."""
        if who == to or amount <= 0 or amount > self.free(who, is_usdc):
            return False
        none = Fraction(0)
        self.add(who, *((-amount, none) if is_usdc else (none, -amount)))
        self.add(to, *((amount, none) if is_usdc else (none, amount)))
        return True

    # --- orders -----------------------------------------------------------------------------------

    def find(self, who: str, target: int | bytes) -> Open | None:
        """An open order of an account."""
        for one in self.opened:
            if one.who == who and target in (one.number, one.cloid):
                return one
        return None

    def cancel(self, who: str, target: int | bytes) -> None:
        """End an order that is one's own."""
        found = self.find(who, target)
        if found is None:
            number = 0 if isinstance(target, bytes) else target
            self.told.append((number, "REQUEST_REFUSED", "MISSING_ORDER"))
            return
        self.end(found, "CANCELED_BY_USER")

    def end(self, order: Open, reason: str) -> None:
        """It is gone, and what it held is free because nothing counts it any more."""
        self.opened.remove(order)
        self.told.append((order.number, "CANCELED", reason))

    def modify(self, target: int | bytes, wish: Wish, always: bool) -> None:
        """Replace an order; without `always` only by one that does not match at once."""
        old = self.find(wish.who, target)
        if old is None and not always:
            number = 0 if isinstance(target, bytes) else target
            self.told.append((number, "REQUEST_REFUSED", "MODIFY_MISSING"))
            return
        if wish.tif == "Ioc" and not always:
            number = 0 if isinstance(target, bytes) else target
            self.told.append((number, "REQUEST_REFUSED", "MODIFY_INVALID"))
            return
        if not always:
            wish = Wish(wish.who, wish.is_buy, wish.price, wish.size, "Alo", wish.cloid)
        self.place(wish, old)

    def place(self, wish: Wish, old: Open | None = None) -> None:
        """Judge an order, then trade, then let it rest or not."""
        number = self.next_number
        self.next_number += 1
        before = list(self.opened)
        if old is not None:
            self.opened.remove(old)
        reason = self.refusal(wish)
        self.opened = before
        if reason:
            self.told.append((number, "REJECTED", reason))
            return
        if old is not None:
            self.end(old, "MODIFIED")
        left = wish.size
        while left > 0:
            best = self.best_against(wish)
            if best is None:
                break
            if best.who == wish.who:
                self.end(best, "SELF_TRADE")
                continue
            left -= self.trade(best, wish, min(left, best.left))
        self.told.append((number, *self.settle(number, wish, left)))

    def settle(self, number: int, wish: Wish, left: Fraction) -> tuple[str, str]:
        """How an order ends, or that it rests."""
        if left == 0:
            return "FILLED", "ACCEPTED"
        if wish.tif != "Ioc":
            self.opened.append(Open(number, wish.who, wish.is_buy, wish.price, left, wish.cloid))
            return ("OPEN" if left == wish.size else "PARTIALLY_FILLED"), "ACCEPTED"
        if left == wish.size:
            return "REJECTED", "IOC_CANCEL"
        return "CANCELED", "IOC_REMAINDER"

    def refusal(self, wish: Wish) -> str:
        """Why an order is refused, empty if it is not."""
        digits = str(floor(wish.price / TICK)).rstrip("0")
        if wish.size % LOT:
            return "SIZE_INVALID"
        if not wish.size:
            return "SIZE_ZERO"
        if wish.price <= 0 or wish.price % TICK or (len(digits) > 5 and wish.price % 1):
            return "TICK"
        if wish.price * wish.size < 10:
            return "SPOT_MIN_NOTIONAL"
        mine = [one for one in self.opened if one.who == wish.who]
        if len(mine) >= self.orders_max:
            return "TOO_MANY_OPEN_ORDERS"
        if wish.cloid is not None and wish.cloid in [one.cloid for one in mine]:
            return "CLOID_IN_USE"
        if wish.tif == "Alo" and self.best_against(wish) is not None:
            return "BAD_ALO_PRICE"
        needed = wish.size * wish.price if wish.is_buy else wish.size
        return "" if needed <= self.free(wish.who, wish.is_buy) else "SPOT_BALANCE"

    def best_against(self, wish: Wish) -> Open | None:
        """The open order that this one meets first."""
        sign = 1 if wish.is_buy else -1
        met = [
            one
            for one in self.opened
            if one.is_buy is not wish.is_buy and sign * one.price <= sign * wish.price
        ]
        met.sort(key=lambda one: (sign * one.price, one.number))
        return met[0] if met else None

    def trade(self, maker: Open, wish: Wish, size: Fraction) -> Fraction:
        """Tokens against USDC at the price of the order that was there first."""
        price = maker.price
        buyer, seller = (wish.who, maker.who) if wish.is_buy else (maker.who, wish.who)
        value = size * price
        taker_rate, maker_rate = self.rates(wish.who)[0], self.rates(maker.who)[1]
        buyer_rate, seller_rate = (
            (taker_rate, maker_rate) if wish.is_buy else (maker_rate, taker_rate)
        )
        token_fee = down(size * buyer_rate, TOKEN_STEP)
        usdc_fee = down(value * seller_rate, USDC_STEP)
        maker.left -= size
        if maker.left == 0:
            self.opened.remove(maker)
        self.add(seller, value - usdc_fee, -size)
        self.add(buyer, -value, size - token_fee)
        self.burned += token_fee
        self.fees += usdc_fee
        self.last = price
        self.trades.append(Trade(self.day, buyer, seller, value))
        return size

    def rates(self, who: str) -> tuple[Fraction, Fraction]:
        """Taker and maker rate by the volume of the fourteen days before today, spot twice."""
        family = self.masters.get(who, who)
        volume = Fraction(0)
        for one in self.trades:
            if self.day - 14 <= one.day < self.day:
                sides = [self.masters.get(name, name) for name in (one.buyer, one.seller)]
                volume += 2 * one.value * sides.count(family)
        taker, maker = self.tiers[0][1:]
        for above, tier_taker, tier_maker in self.tiers[1:]:
            if volume > above:
                taker, maker = tier_taker, tier_maker
        return taker, maker
