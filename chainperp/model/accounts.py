"""Accounts and what they have at risk. Hot nouns: plain slotted classes, changed in place.

`Exposure` is all that one account has in one market: the position, the leverage setting and what
its resting orders reserve. It holds two cached numbers, `value` (position at mark) and `margin`
(requirement held from cross), and the account holds their sums. The caches belong to one
`mark_epoch`; a later epoch recomputes them lazily (`transition/valuation.py`).
"""

from array import array
from typing import TYPE_CHECKING, Final

from chainperp.base.units import Address

if TYPE_CHECKING:
    from chainperp.model.orders import Order


class Exposure:
    """One account in one market. Lots are signed; `raw_isolated` is 0 for cross positions."""

    __slots__ = (
        "asks_lots", "asks_notional", "asset", "bids_lots", "bids_notional", "entry_notional",
        "is_cross", "is_dirty", "leverage", "lots", "margin", "raw_isolated",
        "reduce_only_orders", "value",
    )  # fmt: skip

    def __init__(self, asset: int, is_cross: bool, leverage: int) -> None:
        self.asset = asset
        self.is_cross = is_cross
        self.leverage = leverage
        self.lots = 0
        self.entry_notional = 0
        self.raw_isolated = 0
        self.bids_lots = 0
        self.bids_notional = 0
        self.asks_lots = 0
        self.asks_notional = 0
        self.reduce_only_orders = 0
        self.value = 0
        self.margin = 0
        self.is_dirty = False


class Rates:
    """What an account pays on one UTC day: rates in millionths, negative for a rebate. `discount`
    (of what it pays) and `reward` (of its fees, to its referrer) are in basis points."""

    __slots__ = (
        "day", "discount", "maker", "reward", "spot_maker", "spot_taker", "taker",
    )  # fmt: skip

    def __init__(self, day: int, taker: int, maker: int, spot_taker: int, spot_maker: int) -> None:
        self.day = day
        self.taker = taker
        self.maker = maker
        self.spot_taker = spot_taker
        self.spot_maker = spot_maker
        self.discount = 0
        self.reward = 0


class NonceSet:
    """The nonces a key has used: at most the configured number, ascending, no duplicates; eight
    bytes each, because a busy key keeps a hundred. `highest` is the last one, -1 without any."""

    __slots__ = ("highest", "kept")

    def __init__(self, kept: list[int] | None = None) -> None:
        self.kept = array("Q", [] if kept is None else kept)
        self.highest = -1 if not kept else kept[-1]


# An account that has not traded yet; never changed in place.
NO_RATES: Final = Rates(-1, 0, 0, 0, 0)

# An account without agents, which is most of them; never changed in place.
NO_AGENTS: Final[dict[str, Address]] = {}


class Account:
    """A 20-byte address with cash, positions and orders.

    Invariant: `raw` + `raw_isolated_total` is this account's part of the custody sum;
    `position_value` and `margin_total` are the sums of the exposures' caches at `epoch`.
    """

    __slots__ = (
        "address", "agents", "cloids", "cooldown", "days", "epoch", "exposures", "is_dirty",
        "is_filed", "maker_day", "margin_total", "nonces", "orders", "position_value", "rates",
        "raw", "raw_isolated_total", "volume_day", "volume_total",
    )  # fmt: skip

    def __init__(self, address: Address) -> None:
        self.address = address
        self.raw = 0
        self.raw_isolated_total = 0
        self.exposures: dict[int, Exposure] = {}
        self.orders: dict[int, Order] = {}
        self.cloids: dict[bytes, Order] = {}
        self.nonces = NonceSet()
        self.agents: dict[str, Address] = NO_AGENTS
        self.epoch = -1
        self.position_value = 0
        self.margin_total = 0
        # Fees: the rates of the day that `volume_day` and `maker_day` count, and the volumes of
        # closed days: (day, all, of it as maker) in weighted micro-USDC. The total is not weighted.
        self.rates = NO_RATES
        self.volume_day = 0
        self.maker_day = 0
        self.volume_total = 0
        self.days: tuple[tuple[int, int, int], ...] = ()
        self.cooldown = 0
        self.is_dirty = False
        self.is_filed = False


class Agent:
    """A key that trades for an account (API wallet); a revoked one outlives its nonces."""

    __slots__ = ("address", "master", "name", "nonces", "valid_until")

    def __init__(self, address: Address, master: Address | None, name: str) -> None:
        self.address = address
        self.master = master
        self.name = name
        self.valid_until = 0
        self.nonces = NonceSet()


class Validator:
    """A key named in genesis whose oracle votes count with `power`."""

    __slots__ = ("address", "nonces", "power")

    def __init__(self, address: Address, power: int) -> None:
        self.address = address
        self.power = power
        self.nonces = NonceSet()


class Exemption:
    """One range of heights in which an account is spared from auto-deleveraging, and how far.

    An account's ranges are in order and do not overlap: a change ends the range that it falls
    into where the new one begins, never before.
    """

    __slots__ = ("cap_ppb", "from_height", "to_height")

    def __init__(self, cap_ppb: int, from_height: int, to_height: int) -> None:
        self.cap_ppb = cap_ppb
        self.from_height = from_height
        self.to_height = to_height


class Withdrawal:
    """Money debited from an account and not yet paid out. A cell of the custody sum.

    `entry_index` is the log index of its WITHDRAW_REQ, which the bridge's signatures cite.
    """

    __slots__ = ("amount", "destination", "entry_index", "user", "wid")

    def __init__(
        self, wid: int, user: Address, destination: Address, amount: int, entry_index: int
    ) -> None:
        self.wid = wid
        self.user = user
        self.destination = destination
        self.amount = amount
        self.entry_index = entry_index
