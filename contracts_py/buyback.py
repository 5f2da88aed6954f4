"""The BuybackVault: the assistance fund's dollars become burned tokens, by a published schedule."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from contracts_py.digests import Domain, checked, sign, struct_hash
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

QUOTE_TYPE: Final = "Quote(address maker,uint256 usd,uint256 tokens,uint256 expires,uint256 salt)"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the vault promises; it never changes."""

    interval_s: int = 60
    "Least seconds between two purchases, and span of the average price."
    minimum_usd: int = 10_000_000
    "Least micro-USD of a purchase."
    share_ppm: int = 1_000
    "Most of a purchase, in millionths of the pool's dollars."
    slippage_bps: int = 100
    "Most above the average price, in 1/10,000."


@dataclass(frozen=True, slots=True)
class Quote:
    """A maker's offer: token units for micro-USD, until a second; the salt tells offers apart."""

    maker: str
    usd: int
    tokens: int
    expires: int
    salt: int


class BuybackVault(Handle):
    """Errors are `Reverted` with the reason named at the method."""

    artifact: ClassVar[str] = "BuybackVault"

    @classmethod
    def deploy(
        cls,
        web3: "Web3",
        account: "LocalAccount",
        contracts: tuple[str, str, str],
        schedule: Schedule,
    ) -> Self:
        """Deploy for (token, usd, pool). Raises `vault: schedule`."""
        terms = (
            schedule.interval_s,
            schedule.minimum_usd,
            schedule.share_ppm,
            schedule.slippage_bps,
        )
        return cls._deploy(web3, account, *checked(web3, contracts), *terms)

    def schedule(self) -> Schedule:
        """The schedule as it stands in the contract."""
        names = ("INTERVAL_S", "MINIMUM_USD", "SHARE_PPM", "SLIPPAGE_BPS")
        return Schedule(*(int(self.call(name)) for name in names))

    def next_purchase(self) -> int:
        """Micro-USD that a purchase would spend now; 0 when the schedule allows none."""
        return int(self.call("next_purchase"))

    def average_price(self) -> int:
        """Micro-USD per token unit, times 2^96. Raises `vault: no average price yet`."""
        return int(self.call("average_price"))

    def count(self) -> int:
        """Purchases so far."""
        return int(self.call("count"))

    def spent(self) -> int:
        """Micro-USD spent so far."""
        return int(self.call("spent"))

    def burned(self) -> int:
        """Token units burned so far."""
        return int(self.call("burned"))

    def observe(self, account: "LocalAccount") -> Receipt:
        """Note the pool's price sum. Raises `observe: too early`."""
        return self.send(account, "observe")

    def buy_from_pool(self, account: "LocalAccount", decision: bytes) -> Receipt:
        """Spend what the schedule allows in the pool and burn; event `Bought`.

        Raises: `vault: too early`, `vault: below the minimum`, `vault: no average price yet`,
        `pool: less than asked` (the price is above the bound).
        """
        return self.send(account, "buy_from_pool", decision)

    def sign_quote(self, quote: Quote, key: bytes) -> tuple[int, bytes, bytes]:
        """(v, r, s) of a quote under the maker's 32-byte key."""
        domain = Domain(self.web3.eth.chain_id, self.address)
        values = (quote.maker, quote.usd, quote.tokens, quote.expires, quote.salt)
        r, s, v = sign(domain.digest(struct_hash(QUOTE_TYPE, *values)), key)
        return v, r.to_bytes(32, "big"), s.to_bytes(32, "big")

    def buy_from_quote(
        self,
        account: "LocalAccount",
        quote: Quote,
        signature: tuple[int, bytes, bytes],
        decision: bytes,
    ) -> Receipt:
        """Fill a maker's quote and burn; the maker must have approved the vault.

        Raises: `quote: expired`, `quote: s is high`, `quote: wrong signer`, `quote: used`,
        `vault: …`, `quote: price above the bound`, `allowance …`, `balance …`.
        """
        maker = self.web3.to_checksum_address(quote.maker)
        row = (maker, quote.usd, quote.tokens, quote.expires, quote.salt)
        return self.send(account, "buy_from_quote", row, *signature, decision)
