"""The closed union of what a transaction may ask.

Prices and sizes are decimals times 10^8 (`E8`), as signed; the market's grid is applied when the
order is checked, so that a refusal can name the rule. Plain slotted classes: one is made for
every transaction.
Source: hyperliquid-api 4.3 to 4.5.
"""

from enum import IntEnum
from typing import Final

from chainperp.base.units import E8, Address
from chainperp.model.tokens import USDC_NAME
from chainperp.model.vault_actions import CreateVault as CreateVault
from chainperp.model.vault_actions import VaultDistribute as VaultDistribute
from chainperp.model.vault_actions import VaultModify as VaultModify
from chainperp.model.vault_actions import VaultTransfer as VaultTransfer


class TimeInForce(IntEnum):
    """What happens to the part of an order that does not match at once."""

    GTC = 1  # rests
    IOC = 2  # is cancelled
    ALO = 3  # the whole order is refused if any part would match


# An enum's member is looked up slowly (`model/rejections.py`); every order asks for these.
GTC: Final = TimeInForce.GTC
IOC: Final = TimeInForce.IOC
ALO: Final = TimeInForce.ALO


class Grouping(IntEnum):
    """What the trigger orders of one action belong to."""

    NONE = 0  # `na` and `{p}`: nothing
    PARENT = 1  # `normalTpsl`: the order before them
    POSITION = 2  # `positionTpsl`: the account's position in the market


class TriggerTerms:
    """When an order is to be sent: a stop, or else a take-profit, at this mark price."""

    __slots__ = ("is_market", "is_stop", "price")

    def __init__(self, price: E8, is_market: bool, is_stop: bool) -> None:
        self.price = price
        self.is_market = is_market
        self.is_stop = is_stop


# A builder's address, and its rate in tenths of a basis point.
BuilderTerms = tuple[Address, int]


class OrderRequest:
    """One order as its owner signed it."""

    __slots__ = (
        "asset", "builder", "cloid", "is_buy", "price", "reduce_only", "size", "tif", "trigger",
    )  # fmt: skip

    def __init__(
        self,
        asset: int,
        is_buy: bool,
        price: E8,
        size: E8,
        reduce_only: bool,
        tif: TimeInForce,
        *,
        cloid: bytes | None = None,
        trigger: TriggerTerms | None = None,
    ) -> None:
        self.asset = asset
        self.is_buy = is_buy
        self.price = price
        self.size = size
        self.reduce_only = reduce_only
        self.tif = tif
        self.cloid = cloid
        self.trigger = trigger
        self.builder: BuilderTerms | None = None


class PlaceOrders:
    """`order`: orders of one action, judged one after another. A builder is named for all."""

    __slots__ = ("builder", "grouping", "orders")

    def __init__(
        self,
        orders: list[OrderRequest],
        grouping: Grouping = Grouping.NONE,
        builder: BuilderTerms | None = None,
    ) -> None:
        self.orders = orders
        self.grouping = grouping
        self.builder = builder
        if builder is not None:
            for request in orders:
                request.builder = builder


class CancelOrders:
    """`cancel` and `cancelByCloid`: pairs of asset and order id (int) or client id (bytes)."""

    __slots__ = ("targets",)

    def __init__(self, targets: list[tuple[int, int | bytes]]) -> None:
        self.targets = targets


class ModifyOrders:
    """`modify` and `batchModify`: replace an order, found by id or client id, by a new one."""

    __slots__ = ("always_place", "modifies")

    def __init__(
        self, modifies: list[tuple[int | bytes, OrderRequest]], always_place: bool
    ) -> None:
        self.modifies = modifies
        self.always_place = always_place


class UpdateLeverage:
    """`updateLeverage`: leverage and margin mode of the account in one market."""

    __slots__ = ("asset", "is_cross", "leverage")

    def __init__(self, asset: int, is_cross: bool, leverage: int) -> None:
        self.asset = asset
        self.is_cross = is_cross
        self.leverage = leverage


class UpdateIsolatedMargin:
    """`updateIsolatedMargin`: signed micro-USDC added to an isolated position."""

    __slots__ = ("amount", "asset")

    def __init__(self, asset: int, amount: int) -> None:
        self.asset = asset
        self.amount = amount


class ScheduleCancel:
    """`scheduleCancel`: the time in ms at which all orders are cancelled, None to unset it."""

    __slots__ = ("at",)

    def __init__(self, at: int | None) -> None:
        self.at = at


class TwapOrder:
    """`twapOrder`: an order in slices over `minutes`. `has_details`: with trigger or stop price."""

    __slots__ = ("asset", "has_details", "is_buy", "minutes", "randomize", "reduce_only", "size")

    def __init__(self, asset: int, is_buy: bool, size: E8, reduce_only: bool, minutes: int) -> None:
        self.asset = asset
        self.is_buy = is_buy
        self.size = size
        self.reduce_only = reduce_only
        self.minutes = minutes
        self.randomize = False
        self.has_details = False


class TwapCancel:
    """`twapCancel`: end a running TWAP order."""

    __slots__ = ("asset", "twap_id")

    def __init__(self, asset: int, twap_id: int) -> None:
        self.asset = asset
        self.twap_id = twap_id


class UsdSend:
    """`usdSend`: USDC to another account. `amount` is micro-USDC, None if not a valid amount."""

    __slots__ = ("amount", "destination")

    def __init__(self, destination: Address, amount: int | None) -> None:
        self.destination = destination
        self.amount = amount


class Withdraw:
    """`withdraw3`: USDC to an address outside."""

    __slots__ = ("amount", "destination")

    def __init__(self, destination: Address, amount: int | None) -> None:
        self.destination = destination
        self.amount = amount


class ApproveAgent:
    """`approveAgent`: a key that may trade for the account; empty name for the unnamed one."""

    __slots__ = ("agent", "name")

    def __init__(self, agent: Address, name: str) -> None:
        self.agent = agent
        self.name = name


class ApproveBuilderFee:
    """`approveBuilderFee`: a builder's highest rate in tenths of a basis point, None if the text
    is no rate."""

    __slots__ = ("builder", "rate")

    def __init__(self, builder: Address, rate: int | None) -> None:
        self.builder = builder
        self.rate = rate


class ConvertToMultiSig:
    """`convertToMultiSigUser`: who signs for the account and how many of them are enough. No users
    convert back; None is a text that says neither."""

    __slots__ = ("threshold", "users")

    def __init__(self, users: list[Address] | None, threshold: int) -> None:
        self.users = users
        self.threshold = threshold


class SetDisplayName:
    """`setDisplayName`: a name that is shown for the account, empty for none."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class CreateSubAccount:
    """`createSubAccount`: an account without a key, traded by this one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class RenameSubAccount:
    """`subAccountModify`: another name for a sub-account."""

    __slots__ = ("name", "sub")

    def __init__(self, sub: Address, name: str) -> None:
        self.sub = sub
        self.name = name


class SubAccountTransfer:
    """`subAccountTransfer`: micro-USDC to a sub-account (`is_deposit`), or back from it."""

    __slots__ = ("amount", "is_deposit", "sub")

    def __init__(self, sub: Address, is_deposit: bool, amount: int) -> None:
        self.sub = sub
        self.is_deposit = is_deposit
        self.amount = amount


class ClassTransfer:
    """`usdClassTransfer`: micro-USDC between the margin of perpetuals and the spot balance, of the
    signer or of its sub-account `sub`."""

    __slots__ = ("amount", "sub", "to_perp")

    def __init__(self, amount: int | None, to_perp: bool, sub: Address | None = None) -> None:
        self.amount = amount
        self.to_perp = to_perp
        self.sub = sub


class SendAsset:
    """`spotSend` and `sendAsset`: a token from one cell to another, of any two accounts.

    `token` is named as signed; `amount` is micro-USDC, of any other token 10^-8 of it, None if it
    is no amount. `from_spot` and `to_spot` are None for a dex that does not exist. `sub` is the
    sub-account that sends; `is_plain` says that it was a `spotSend`.
    """

    __slots__ = ("amount", "destination", "from_spot", "is_plain", "sub", "to_spot", "token")

    def __init__(self, destination: Address, amount: int | None, token: str = USDC_NAME) -> None:
        self.destination = destination
        self.amount = amount
        self.token = token
        self.from_spot: bool | None = True
        self.to_spot: bool | None = True
        self.sub: Address | None = None
        self.is_plain = True


class SubAccountSpotTransfer:
    """`subAccountSpotTransfer`: a token between the spot balances of a master and a sub. Token and
    amount as in `SendAsset`."""

    __slots__ = ("amount", "is_deposit", "sub", "token")

    def __init__(
        self, sub: Address, is_deposit: bool, amount: int | None, token: str = USDC_NAME
    ) -> None:
        self.sub = sub
        self.is_deposit = is_deposit
        self.amount = amount
        self.token = token


class Noop:
    """`noop`: uses up the nonce."""

    __slots__ = ()


class OracleVote:
    """`setGlobal`: a validator's prices, as (asset, oracle price, external perp price or None)."""

    __slots__ = ("prices",)

    def __init__(self, prices: list[tuple[int, E8, E8 | None]]) -> None:
        self.prices = prices


class RegisterReferrer:
    """`registerReferrer`: a referral code for the account."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


class SetReferrer:
    """`setReferrer`: the code of the account that brought this one."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


class ClaimRewards:
    """`claimRewards`: all that the account has earned as referrer."""

    __slots__ = ()


class NotOffered:
    """A well-formed action that this version of the exchange refuses."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


Action = (
    PlaceOrders
    | CancelOrders
    | ModifyOrders
    | UpdateLeverage
    | UpdateIsolatedMargin
    | ScheduleCancel
    | TwapOrder
    | TwapCancel
    | UsdSend
    | Withdraw
    | ApproveAgent
    | ApproveBuilderFee
    | ConvertToMultiSig
    | SetDisplayName
    | CreateSubAccount
    | RenameSubAccount
    | SubAccountTransfer
    | CreateVault
    | VaultTransfer
    | VaultModify
    | VaultDistribute
    | ClassTransfer
    | SendAsset
    | SubAccountSpotTransfer
    | RegisterReferrer
    | SetReferrer
    | ClaimRewards
    | Noop
    | OracleVote
    | NotOffered
)
