"""The money table of the demo: who lost what in the crash, to what, and who has it now.

Losses by cause come from the entries (`money.py`), what everybody is worth from the state; both
must be equal to the micro-dollar, account by account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chainperp.base.units import format_decimal, usd_text
from chainperp.cli.demo.money import Cause, Money, books_of, worths_of
from chainperp.model.fund import NATIVE
from chainperp.rules.backstop import routed_share
from chainperp.state.store import (
    ASSISTANCE_FUND,
    BACKSTOP_VAULT,
    HLP_MEMBERS,
    INSURANCE,
    State,
)

Row = tuple[str, int]
Equality = tuple[str, int, int]
HALF_BPS: Final = 5_000

LOST: Final = (
    ("prices moved against their positions, and their own trades", (Cause.MARKET, Cause.TRADE)),
    ("sold into the book below the mark", (Cause.BOOK,)),
    ("margin that the backstop vault took over", (Cause.SEIZED,)),
    ("fees of trades", (Cause.FEES,)),
    ("funding", (Cause.FUNDING,)),
    (
        "sent, new addresses, withdrawals' fees",
        (Cause.SENT, Cause.SHARES, Cause.TOKENS, Cause.BUYBACK),
    ),
    ("given back by winners who were deleveraged", (Cause.ADL,)),
    ("paid for them by the insurance", (Cause.INSURANCE,)),
)


@dataclass
class MoneyTable:
    """The table at the end of a run. `parties` are the addresses of each kind of trader."""

    money: Money
    state: State
    parties: Mapping[str, Iterable[bytes]]

    def __post_init__(self) -> None:
        self.worths = worths_of(self.state)
        self.books = books_of(self.state)

    def gain(self, accounts: Iterable[bytes]) -> int:
        """What accounts gained since the crash began, by the state: without what they paid in and
        with what they took out."""
        total = 0
        for one in accounts:
            change = self.worths.get(one, 0) - self.money.worths.get(one, 0)
            total += change - self.money.since((one,), Cause.OUTSIDE)
        return total

    def grown(self, name: str) -> int:
        """Growth of one of the fund's totals since the crash began, by the state."""
        return self.books[name] - self.money.books.get(name, 0)

    @property
    def losers(self) -> list[bytes]:
        """Accounts that were liquidated."""
        return list(self.money.liquidated)

    def lost_rows(self) -> list[Row]:
        """What the liquidated lost, by cause, from the entries."""
        return [(text, -self.money.since(self.losers, *causes)) for text, causes in LOST]

    def groups(self) -> dict[str, list[bytes]]:
        """Everybody else, each account in one group."""
        money = self.money
        seen = dict.fromkeys(self.losers)
        groups: dict[str, list[bytes]] = {}
        named: list[tuple[str, Iterable[bytes]]] = [
            ("the backstop vault", (BACKSTOP_VAULT,)),
            ("the liquidity vault", [one for one in HLP_MEMBERS if one != BACKSTOP_VAULT]),
            ("the insurance", (INSURANCE,)),
            ("the assistance fund", (ASSISTANCE_FUND,)),
            ("winners who were deleveraged", money.deleveraged),
            *self.parties.items(),
            ("others", self.worths),
        ]
        for name, accounts in named:
            groups[name] = [one for one in accounts if one not in seen]
            seen.update(dict.fromkeys(groups[name]))
        return groups

    def held_rows(self) -> list[Row]:
        """Who has it now, from the state."""
        return [(name, self.gain(accounts)) for name, accounts in self.groups().items()]

    def fund_rows(self) -> list[Row]:
        """What the fund got and did with it, from its books."""
        return [
            ("fees of trades", self.grown("fees")),
            ("share of the margin that was taken over", self.grown("liquidations")),
            ("withdrawals' fees, new addresses", self.grown("other")),
            ("to the liquidity vault, its share of fees", -self.grown("to_vault")),
            ("to referrers", -self.grown("to_referrals")),
            ("spent on tokens", -self.grown("spent")),
        ]

    def token_text(self, amount: int) -> str:
        """An amount of the token, with its name."""
        token = self.state.tokens[NATIVE]
        return f"{format_decimal(amount, token.wei_decimals)} {token.name}"

    def tokens_line(self) -> str:
        """What the fund bought and what became of it."""
        spent, bought = self.grown("spent"), self.grown("bought")
        decimals = self.state.tokens[NATIVE].wei_decimals
        average = usd_text(spent * 10**decimals // bought) if bought else "-"
        return (
            f"{self.grown('purchases')} purchases: {self.token_text(bought)} bought for "
            f"{usd_text(spent)} USDC, {average} on average, all of it burned; "
            f"{self.token_text(self.grown('token_burned') - self.grown('burned'))} more burned as "
            "fees"
        )

    def routing_line(self) -> str:
        """What another routing vector would have done with the margin that was taken over."""
        half = sum(routed_share(one, HALF_BPS) for one in self.money.seized)
        return (
            f"with half of the seized margin routed to the fund (liquidation_fund_bps 5000) it "
            f"would have had {usd_text(half)} USDC more to spend, and the vault's depositors so "
            "much less"
        )

    def equalities(self) -> list[Equality]:
        """Everything that must be equal to the unit, both sides counted separately."""
        money = self.money
        lost = -self.gain(self.losers)
        fees = money.since((ASSISTANCE_FUND,), Cause.FEES)
        bought = -money.since((ASSISTANCE_FUND,), Cause.BUYBACK)
        wrong = [one for one, worth in self.worths.items() if worth != money.worth(one)]
        unbalanced = [
            cause
            for cause in Cause
            if cause is not Cause.OUTSIDE and money.since(money.sums, cause) != 0
        ]
        return [
            ("losses by cause = what the liquidated are worth less",
             sum(amount for _, amount in self.lost_rows()), lost),
            ("what the others gained = what the liquidated lost",
             sum(amount for _, amount in self.held_rows()), lost),
            ("accounts whose entries do not give their worth", len(wrong), 0),
            ("causes that do not sum to zero over all accounts", len(unbalanced), 0),
            ("fees in the fund's books = fees of all trades", self.grown("fees"), fees),
            ("what the fund's books got and spent = what it is worth more",
             sum(amount for _, amount in self.fund_rows()), self.gain((ASSISTANCE_FUND,))),
            ("spent on tokens = paid in trades", self.grown("spent"), bought),
            ("tokens bought = tokens burned by the fund", self.grown("bought"),
             self.grown("burned")),
            ("burned of the supply = burned in entries", self.grown("token_burned"), money.burned),
        ]  # fmt: skip

    def rows(self) -> list[list[str]]:
        """The table: who and what, USDC."""
        lost = -self.gain(self.losers)
        fund = self.gain((ASSISTANCE_FUND,))
        lines: list[tuple[str, int | None]] = [
            (f"{len(self.losers)} accounts were liquidated; they lost", lost),
            *((f"  {text}", amount) for text, amount in self.lost_rows()),
            ("which is now with", None),
            *((f"  {text}", amount) for text, amount in self.held_rows()),
            ("  sum", sum(amount for _, amount in self.held_rows())),
            ("the assistance fund", None),
            *((f"  {text}", amount) for text, amount in self.fund_rows()),
            ("  change of its balance", fund),
        ]
        return [[text, "" if amount is None else usd_text(amount)] for text, amount in lines]

    def document(self) -> dict[str, object]:
        """All of it with stable keys; amounts are decimal strings."""
        return {
            "liquidated": len(self.losers),
            "lost": {text: usd_text(amount) for text, amount in self.lost_rows()},
            "held": {text: usd_text(amount) for text, amount in self.held_rows()},
            "fund": {text: usd_text(amount) for text, amount in self.fund_rows()},
            "purchases": self.grown("purchases"),
            "bought": self.token_text(self.grown("bought")),
            "burned": self.token_text(self.grown("token_burned")),
            "equal": [
                {"what": name, "one": str(one), "other": str(other), "equal": one == other}
                for name, one, other in self.equalities()
            ],
        }
