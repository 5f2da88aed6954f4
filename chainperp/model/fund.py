"""The books of the assistance fund: where its money came from and what became of it."""

from typing import Final

FUND_KEY: Final = b"fund"
NATIVE: Final = 1
"""Number of the token that the exchange issues, the fund buys and nobody mints again."""


class Fund:
    """Running totals since genesis, in micro-USDC; tokens in their smallest unit.

    Invariant: after `settle_fund`, `balance` is what the fund's cash and spot cells hold together.
    `tried_ms` is when a purchase was due last, whether it could be made or not.

    `to_vault` is the liquidity vault's. `sent` went to the contract that buys on the EVM, or is on
    its way there; what is cancelled is not sent. Of what that contract spent, `evm_spent` came from
    the fund and `evm_gifts` from anybody else; `evm_spent` is never more than what was paid of
    `sent`.
    """

    __slots__ = (
        "bought", "burned", "evm_bought", "evm_burned", "evm_gifts", "evm_purchases", "evm_spent",
        "fees", "liquidations", "other", "purchases", "sent", "spent", "to_referrals", "to_vault",
        "tried_ms",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fees = 0
        self.liquidations = 0
        self.other = 0
        self.to_vault = 0
        self.to_referrals = 0
        self.spent = 0
        self.bought = 0
        self.burned = 0
        self.purchases = 0
        self.tried_ms = 0
        self.sent = 0
        self.evm_spent = 0
        self.evm_gifts = 0
        self.evm_bought = 0
        self.evm_burned = 0
        self.evm_purchases = 0

    @property
    def credited(self) -> int:
        """All that the fund ever got."""
        return self.fees + self.liquidations + self.other

    @property
    def balance(self) -> int:
        """What is left of it."""
        return self.credited - self.to_vault - self.to_referrals - self.spent - self.sent


def average_price(spent: int, bought: int, wei_decimals: int) -> tuple[int, int]:
    """Average price of what was bought as an exact fraction: micro-USDC for one whole token.

    `bought` must be positive, in the token's smallest unit.

    >>> average_price(3_000_000, 150_000_000, 8)
    (300000000000000, 150000000)
    """
    return spent * 10**wei_decimals, bought
