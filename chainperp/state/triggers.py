"""One market's trigger orders that wait for the mark.

Two ascending lists of keys, built so that the next one to fire is the last: for a mark that rises
the lowest price, for one that falls the highest, and the lowest order id among equal prices.
Invariant: `orders` are all that wait; the keys are those whose parent, if they have one, is done.
"""

from bisect import bisect_left, insort

from chainperp.model.orders import Order, Trigger

Key = tuple[int, int]


class TriggerBook:
    """The waiting trigger orders of a market by order id, and the armed ones by price."""

    __slots__ = ("falling", "orders", "rising")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.rising: list[Key] = []
        self.falling: list[Key] = []

    def arm(self, order: Order, trigger: Trigger) -> None:
        """Let an order fire from now on."""
        insort(self._side(trigger), _key(order, trigger))

    def remove(self, order: Order, trigger: Trigger) -> None:
        """Take an order out, armed or not."""
        del self.orders[order.oid]
        side = self._side(trigger)
        key = _key(order, trigger)
        place = bisect_left(side, key)
        if place < len(side) and side[place] == key:
            del side[place]

    def heads(self) -> list[Order]:
        """The next order to fire of each direction, whether or not the mark is there."""
        return [self.orders[-side[-1][1]] for side in (self.rising, self.falling) if side]

    def _side(self, trigger: Trigger) -> list[Key]:
        return self.rising if trigger.rises else self.falling


def _key(order: Order, trigger: Trigger) -> Key:
    return (-trigger.price if trigger.rises else trigger.price), -order.oid
