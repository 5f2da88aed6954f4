"""What accounts have arranged for besides orders and positions. Each kind is a collection of the
state tree (`state/arrangements.py`); an account without any has no leaf there.
"""


class Schedule:
    """An account's dead man's switch: when it is due, 0 when it is not set, and how many times it
    fired on the UTC day `day`."""

    __slots__ = ("at", "day", "fired")

    def __init__(self, at: int = 0, day: int = 0, fired: int = 0) -> None:
        self.at = at
        self.day = day
        self.fired = fired
