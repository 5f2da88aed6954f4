"""One market's resting orders.

Each side is a dict from price to level and an ascending list of price keys (asks negated), so that
the best price is the last key: the top of the book, where nearly everything happens, is changed by
`append` and `pop`. Orders of a level are a linked list; a cancel unlinks without a search.
Invariants: no empty level, keys strictly ascending, `top` is the level of the last key, a level's
lots are the sum of its orders'.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from chainperp.base.units import Price
from chainperp.model.orders import Level, Order


class BookSide:
    """The bids or the asks. `sign` is 1 for bids and -1 for asks: keys are sign * price. `top` is
    the level with the best price, None without any; only the book itself changes it."""

    __slots__ = ("keys", "levels", "sign", "top")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}
        self.top: Level | None = None

    def best_price(self) -> int | None:
        """The best price, or None."""
        top = self.top
        return None if top is None else top.price

    def add(self, order: Order) -> None:
        """Queue an order last at its price."""
        price = order.price
        level = self.levels.get(price)
        if level is None:
            level = Level(Price(price))
            self.levels[price] = level
            key = self.sign * price
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
                self.top = level
            else:
                insort(keys, key)
            level.first = order
        else:
            last = level.last
            order.previous = last
            if last is not None:
                last.next_order = order
        level.last = order
        level.lots += order.remaining
        order.level = level

    def remove(self, order: Order) -> None:
        """Unlink an order; an emptied level goes with it."""
        level = order.level
        if level is None:
            return
        previous, following = order.previous, order.next_order
        if previous is None:
            level.first = following
        else:
            previous.next_order = following
        if following is None:
            level.last = previous
        else:
            following.previous = previous
        level.lots -= order.remaining
        order.level = order.previous = order.next_order = None
        if level.first is None:
            price = level.price
            del self.levels[price]
            key = self.sign * price
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
                self.top = self.levels[self.sign * keys[-1]] if keys else None
            else:
                del keys[bisect_left(keys, key)]

    def walk(self) -> Iterator[Order]:
        """All orders, best price first, then arrival."""
        for key in reversed(self.keys):
            order = self.levels[self.sign * key].first
            while order is not None:
                yield order
                order = order.next_order

    def lots_within(self, limit: int, lots_max: int) -> int:
        """Lots that match an incoming order with this limit, at most `lots_max`."""
        found = 0
        bound = self.sign * limit
        keys = self.keys
        place = len(keys) - 1
        while place >= 0 and keys[place] >= bound and found < lots_max:
            found += self.levels[self.sign * keys[place]].lots
            place -= 1
        return found if found < lots_max else lots_max

    def worth_within(self, limit: int) -> int:
        """Sum of price times lots of the orders that match an incoming one with this limit."""
        bound = self.sign * limit
        total = 0
        for key in reversed(self.keys):
            if key < bound:
                break
            price = self.sign * key
            total += price * self.levels[price].lots
        return total


class Book:
    """Both sides of one market and its last trade price."""

    __slots__ = ("asks", "bids", "price_last")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.price_last: int | None = None

    def side(self, is_buy: bool) -> BookSide:
        """The side on which an order of this direction rests."""
        return self.bids if is_buy else self.asks

    def opposite(self, is_buy: bool) -> BookSide:
        """The side against which an order of this direction matches."""
        return self.asks if is_buy else self.bids
