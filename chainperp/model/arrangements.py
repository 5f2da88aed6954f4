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


class Referral:
    """An account's part in referrals. As referrer: its code (empty for none), how many use it, and
    rewards not yet and already claimed. As user: its referrer, since when (ms), the fees it has
    paid since then, and what of them was its referrer's. Amounts are in micro-USDC."""

    __slots__ = (
        "claimed", "code", "fees", "joined", "referrer", "rewarded", "unclaimed", "users",
    )  # fmt: skip

    def __init__(self) -> None:
        self.code = ""
        self.users = 0
        self.unclaimed = 0
        self.claimed = 0
        self.referrer: Address | None = None
        self.joined = 0
        self.fees = 0
        self.rewarded = 0


class Twap:
    """A running TWAP order. `index` is the next slice, `due` its time in ms like `start`;
    `executed_lots` and `executed_notional` are what its slices have filled."""

    __slots__ = (
        "account", "asset", "due", "executed_lots", "executed_notional", "index", "is_buy", "lots",
        "minutes", "randomize", "reduce_only", "slices", "start", "twap_id",
    )  # fmt: skip

    def __init__(self, twap_id: int, account: Address, asset: int, is_buy: bool, lots: int) -> None:
        self.twap_id = twap_id
        self.account = account
        self.asset = asset
        self.is_buy = is_buy
        self.lots = lots
        self.reduce_only = False
        self.randomize = False
        self.minutes = 0
        self.start = 0
        self.slices = 1
        self.index = 0
        self.due = 0
        self.executed_lots = 0
        self.executed_notional = 0

    def key(self) -> bytes:
        """Its key in the state tree."""
        return self.twap_id.to_bytes(8, "big")
