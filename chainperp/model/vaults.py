"""Pooled accounts: the vault, and what each holder owns of it.

A vault is an account whose owners hold whole shares. Its leader trades it and cannot take money
out of it; the vault that provides the exchange's liquidity has no leader with a key, and children
whose value is part of its own.
"""

from enum import IntEnum

from chainperp.base.units import Address


class VaultEvent(IntEnum):
    """What happens to a vault as a whole."""

    CREATED = 1
    MODIFIED = 2
    DISTRIBUTED = 3
    CLOSING = 4  # the book did not take all of its positions: no new deposits, all else as before
    CLOSED = 5


class ShareEvent(IntEnum):
    """Why a holder's shares or basis changed."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    DISTRIBUTION = 3
    CLOSE = 4
    SEED = 5  # what the exchange's own accounts had before anybody deposited


class Share:
    """One holder's part of one vault.

    `basis` is what the shares cost, in micro-USDC; `entered` the time of the first deposit,
    `locked_until` when the last one may be withdrawn, in ms; `realised` the profit or loss that was
    paid out so far, commission and closing costs off.
    """

    __slots__ = ("basis", "entered", "locked_until", "realised", "shares")

    def __init__(self, entered: int) -> None:
        self.shares = 0
        self.basis = 0
        self.entered = entered
        self.locked_until = 0
        self.realised = 0


class Vault:
    """A vault. `number` counts the leader's vaults from 0; `shares` is the sum over `holders`.

    `day`, `day_value` and `day_paid` are of the liquidity vault: its value at the start of a UTC
    day, and what left it on that day.
    """

    __slots__ = (
        "address", "allow_deposits", "always_close", "created", "day", "day_paid", "day_value",
        "description", "holders", "is_closed", "leader", "name", "number", "shares",
    )  # fmt: skip

    def __init__(self, address: Address, leader: Address, number: int, name: str) -> None:
        self.address = address
        self.leader = leader
        self.number = number
        self.name = name
        self.description = ""
        self.created = 0
        self.shares = 0
        self.allow_deposits = True
        self.always_close = False
        self.is_closed = False
        self.day = 0
        self.day_value = 0
        self.day_paid = 0
        self.holders: dict[Address, Share] = {}
