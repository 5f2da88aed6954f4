"""The Pool: a constant-product market between token and dollar.

Amounts are smallest units (10^-18 token, micro-USD). A price is micro-USD per token unit, times
2^96.
"""

from typing import TYPE_CHECKING, ClassVar, Final, Self

from contracts_py.digests import checked
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

FOREVER: Final = 2**64
"""A deadline that does not come."""


class Pool(Handle):
    """Errors are `Reverted` with `pool: …`."""

    artifact: ClassVar[str] = "Pool"

    @classmethod
    def deploy(
        cls, web3: "Web3", account: "LocalAccount", token: str, usd: str, fee_bps: int
    ) -> Self:
        """Deploy empty; `fee_bps` in 1/10,000 of what goes in."""
        return cls._deploy(web3, account, *checked(web3, (token, usd)), fee_bps)

    def reserves(self) -> tuple[int, int]:
        """Token and dollar units that trade."""
        return int(self.call("token_reserve")), int(self.call("usd_reserve"))

    def total_shares(self) -> int:
        """Shares of all, with the 1,000 that belong to nobody."""
        return int(self.call("total_shares"))

    def shares(self, owner: str) -> int:
        """Shares of an address."""
        return int(self.call("shares", self.web3.to_checksum_address(owner)))

    def add_liquidity(
        self, account: "LocalAccount", token_amount: int, usd_most: int, least_shares: int = 0
    ) -> Receipt:
        """Put in both coins at the present ratio; the first to do so sets it.

        Raises: `pool: too small a start`, `pool: more dollars needed`, `pool: fewer shares`.
        """
        return self.send(account, "add_liquidity", token_amount, usd_most, least_shares)

    def remove_liquidity(
        self, account: "LocalAccount", shares: int, least_token: int = 0, least_usd: int = 0
    ) -> Receipt:
        """Take out the part of both reserves that shares stand for, rounded down.

        Raises: `pool: not so many shares`, `pool: less than asked`.
        """
        return self.send(account, "remove_liquidity", shares, least_token, least_usd)

    def quote(self, *, buys_token: bool, amount_in: int) -> int:
        """Units that come out for `amount_in` now."""
        return int(self.call("quote", buys_token, amount_in))

    def swap(
        self,
        account: "LocalAccount",
        *,
        buys_token: bool,
        amount_in: int,
        least_out: int,
        deadline: int = FOREVER,
    ) -> Receipt:
        """Exchange an exact amount. Raises `pool: too late`, `pool: less than asked`."""
        return self.send(account, "swap", buys_token, amount_in, least_out, deadline)

    def price_observation(self) -> tuple[int, int]:
        """Sum of price times seconds, and the second it is for."""
        total, now = self.call("price_observation")
        return int(total), int(now)
