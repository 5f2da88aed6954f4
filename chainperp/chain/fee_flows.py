"""Where fees came from and where they went, summed over the entries of a log.

A name for each way, in micro-USDC; fees that were paid in a token and burned have the token's
number behind the name and its smallest unit. Executes nothing: the entries say it all.
"""

from typing import Final

from chainperp.model.decisions import LedgerType
from chainperp.model.tokens import SPOT_FIRST
from chainperp.transition.recorder import FLAG_TAKER_BUYS

IN: Final = ("perp_taker", "perp_maker", "spot_usdc", "activation", "withdrawal", "vault_creation")
OUT: Final = ("maker_rebates", "referral_rewards", "vault_share")
BESIDE: Final = (
    "builders", "referral_claims", "liquidation_to_fund", "liquidation_to_insurance",
)  # fmt: skip
BURNED: Final = "spot_token:"
BY_LEDGER: Final = {
    LedgerType.ACTIVATION_FEE: "activation",
    LedgerType.SPOT_ACTIVATION_FEE: "activation",
    LedgerType.WITHDRAWAL_FEE: "withdrawal",
    LedgerType.VAULT_CREATION_FEE: "vault_creation",
    LedgerType.FEE_SHARE: "vault_share",
    LedgerType.REFERRAL_REWARD: "referral_rewards",
    LedgerType.REFERRAL_CLAIM: "referral_claims",
    LedgerType.BUILDER_FEE: "builders",
}


class FeeFlows:
    """Sums by name; `base_of` gives the token of a spot pair by its place."""

    __slots__ = ("base_of", "sums")

    def __init__(self, base_of: tuple[int, ...]) -> None:
        self.base_of = base_of
        self.sums: dict[str, int] = {}

    def _add(self, name: str, amount: int) -> None:
        if amount:
            self.sums[name] = self.sums.get(name, 0) + amount

    def trade(self, asset: int, flags: int, maker_fee: int, taker_fee: int) -> None:
        """The exchange's fees of one trade."""
        if asset < SPOT_FIRST:
            self._add("perp_taker", taker_fee)
            self._add("perp_maker", max(maker_fee, 0))
            self._add("maker_rebates", max(-maker_fee, 0))
            return
        in_token, in_usdc = maker_fee, taker_fee
        if flags & FLAG_TAKER_BUYS:
            in_token, in_usdc = taker_fee, maker_fee
        self._add("spot_usdc", in_usdc)
        self._add(f"{BURNED}{self.base_of[asset - SPOT_FIRST]}", in_token)

    def moved(self, kind: int, amount: int, *, to_fund: bool) -> None:
        """A transfer between two cells; `to_fund`: the assistance fund got it."""
        if kind == LedgerType.LIQUIDATION_PROFIT:
            self._add(f"liquidation_to_{'fund' if to_fund else 'insurance'}", amount)
            return
        name = BY_LEDGER.get(LedgerType(kind))
        if name is not None:
            self._add(name, amount)


def kept_by_fund(sums: dict[str, int]) -> int:
    """What of all fees has stayed with the assistance fund."""
    came = sum(sums.get(name, 0) for name in IN)
    return came - sum(sums.get(name, 0) for name in OUT)
