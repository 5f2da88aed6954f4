"""What can be subscribed to: the table of types, and how a subscription is read.

Keys that nobody knows are ignored, null is absent. Two subscriptions that mean the same have one
`key`, whatever their keys' order or their addresses' case; the `echo` holds everything that came
and the defaults beside it, because one client compares it with what it sent.
Source: hyperliquid-api 6.2, 6.3, 9.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from chainperp.base.units import Address
from chainperp.node.documents.history import INTERVALS
from chainperp.node.socket.messages import dumps
from chainperp.wire.shapes import (
    Field,
    Misfit,
    address,
    boolean,
    choice,
    field,
    filled,
    integer,
    shape,
    shown,
    text,
)

Fields = dict[str, Any]
Grade = Literal["full", "partial"]
NAME_MAX: Final = 64


def _main_dex(value: Any) -> str:
    """The main exchange, which is the only one here and has the empty name."""
    if value != "":
        raise Misfit("dex", f"there is no exchange {shown(value)}")
    return ""


def _unnamed_dex(value: Any) -> None:
    """The main exchange, which this subscription does not name."""
    _main_dex(value)


def _mantissa(value: Any) -> int:
    if type(value) is not int or value not in (1, 2, 5):
        raise Misfit("range", f"1, 2 or 5 is wanted, was {shown(value)}")
    return value


USER: Final = field("user", address)
COIN: Final = field("coin", text(NAME_MAX))
DEX: Final = filled("dex", _main_dex, "")


@dataclass(frozen=True, slots=True)
class Offer:
    """One type of subscription: the keys it has beside `type`, and how fully it is served.

    `channel` is the name its data comes under.
    """

    name: str
    fields: tuple[Field, ...]
    channel: str
    tier: str
    grade: Grade = "full"
    note: str = ""

    @property
    def has_user(self) -> bool:
        """Whether it follows one account."""
        return USER in self.fields


def _offer(
    name: str,
    *fields: Field,
    tier: str = "P1",
    grade: Grade = "full",
    note: str = "",
    channel: str = "",
) -> Offer:
    return Offer(name, fields, channel or name, tier, grade, note)


RECENT: Final = "begins with the last 30 days, at most 500 rows, oldest first"
OFFERS: Final = {
    offer.name: offer
    for offer in (
        _offer("allMids", filled("dex", _unnamed_dex), tier="P0"),
        _offer(
            "l2Book",
            COIN,
            filled("nSigFigs", integer(2, 5)),
            filled("mantissa", _mantissa),
            filled("fast", boolean, absent=False),
            tier="P0",
        ),
        _offer("bbo", COIN, tier="P0", note="no snapshot: on change only"),
        _offer("trades", COIN, tier="P0", note="begins with up to 100 trades, oldest first"),
        _offer(
            "candle",
            COIN,
            field("interval", choice(*INTERVALS)),
            tier="P0",
            note="one message for each block that trades; begins with the latest candle",
        ),
        _offer("activeAssetCtx", COIN, tier="P0", note="of a spot pair: `activeSpotAssetCtx`"),
        _offer("userFills", USER, filled("aggregateByTime", boolean, absent=False), tier="P0"),
        _offer(
            "orderUpdates",
            USER,
            tier="P0",
            note="no snapshot; a resting order filled in part is told as `open` with what is left",
        ),
        _offer(
            "userEvents",
            USER,
            tier="P0",
            channel="user",
            note="fills of TWAP orders come under `fills` and under `twapSliceFills`",
        ),
        _offer("clearinghouseState", USER, DEX, tier="P0"),
        _offer("userFundings", USER, note=RECENT),
        _offer("userNonFundingLedgerUpdates", USER, note=RECENT),
        _offer("activeAssetData", USER, COIN),
        _offer("webData2", USER),
        _offer("openOrders", USER, DEX),
        _offer(
            "spotState",
            USER,
            filled("ignorePortfolioMargin", boolean, absent=False),
        ),
        _offer("webData3", USER),
        _offer("twapStates", USER, DEX),
        _offer("notification", USER, grade="partial", note="nothing is notified yet"),
        _offer("userTwapSliceFills", USER),
        _offer("userTwapHistory", USER),
        _offer("userHistoricalOrders", USER),
        _offer("assetCtxs", DEX, tier="P2"),
        _offer("spotAssetCtxs", tier="P2"),
        _offer("allDexsAssetCtxs", tier="P2"),
        _offer("allDexsClearinghouseState", USER, tier="P2"),
        _offer("fastAssetCtxs", tier="P2"),
        _offer("outcomeMetaUpdates", tier="P2", note="there are no outcomes"),
    )
}
REFUSED: Final = {
    "explorerBlock": "blocks are read with POST /explorer, or from the log",
    "explorerTxs": "transactions are read with POST /explorer, or from the log",
}

_SHAPES: Final = {name: shape(*offer.fields) for name, offer in OFFERS.items()}
# Left out of the echo where they did not come: the clients that know them are few.
_SILENT: Final = frozenset({"fast", "aggregateByTime"})


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one client asked for. `fields` are its checked keys, `echo` what it is told back."""

    offer: Offer
    key: str
    fields: Fields
    echo: Fields
    user: Address | None


def read_subscription(given: Fields, is_coin: Callable[[str], bool]) -> Subscription:
    """A subscription as it was sent. Raises BadRequest when there is no such one."""
    name = given.get("type")
    offer = OFFERS.get(name) if type(name) is str else None
    if offer is None:
        raise Misfit("unknown_type", f"there is no subscription {shown(name)}", "type")
    known = [key for key, _, _ in offer.fields]
    fields: Fields = _SHAPES[offer.name]({key: given[key] for key in known if key in given})
    _check(fields, is_coin)
    echo = given | {
        key: value
        for key, value in fields.items()
        if given.get(key) is None and (key not in _SILENT or key in given)
    }
    user = None
    if "user" in fields:
        echo["user"] = fields["user"]
        user = Address(bytes.fromhex(fields["user"][2:]))
    return Subscription(offer, dumps({"type": offer.name} | fields), fields, echo, user)


def _check(fields: Fields, is_coin: Callable[[str], bool]) -> None:
    """What the keys' own kinds cannot see."""
    if "coin" in fields and not is_coin(fields["coin"]):
        raise Misfit("coin", f"there is no market {shown(fields['coin'])}", "coin")
    if fields.get("mantissa") is not None and fields["nSigFigs"] != 5:
        raise Misfit("mantissa", "only 5 significant figures have a mantissa", "mantissa")


def compatibility_rows() -> list[tuple[str, str, str]]:
    """Name, grade and note of every subscription, by name: the table in docs/compatibility.md."""
    rows: list[tuple[str, str, str]] = [
        (offer.name, offer.grade, offer.note) for offer in OFFERS.values()
    ]
    rows.extend((name, "refused", note) for name, note in REFUSED.items())
    return sorted(rows)
