"""What accounts have arranged for besides orders and positions. Each kind is a collection of the
state tree (`state/arrangements.py`); an account without any has no leaf there.
"""

from chainperp.base.units import Address


class Schedule:
    """An account's dead man's switch: when it is due, 0 when it is not set, and how many times it
    fired on the UTC day `day`."""

    __slots__ = ("at", "day", "fired")

    def __init__(self, at: int = 0, day: int = 0, fired: int = 0) -> None:
        self.at = at
        self.day = day
        self.fired = fired


class SubAccount:
    """An account without a key, traded by its master. `number` counts the master's, from 0."""

    __slots__ = ("address", "master", "name", "number")

    def __init__(self, address: Address, master: Address, number: int, name: str) -> None:
        self.address = address
        self.master = master
        self.number = number
        self.name = name


class MultiSigUser:
    """Who signs for an account whose own key no longer does, and how many of them are enough."""

    __slots__ = ("threshold", "users")

    def __init__(self, users: tuple[Address, ...], threshold: int) -> None:
        self.users = users
        self.threshold = threshold
