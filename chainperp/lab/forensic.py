"""Does an auto-deleveraging round follow a published ranking? The question, for any venue's data.

A queue closes whole positions from the top: everything ranked above the last closed position is
closed whole, everything below is untouched. So two kinds of things do not fit: a position passed
over (ranked above, not closed whole) and a closure before its turn (ranked below). `examine` finds
the end of the queue at which the fewest things do not fit, and names them. Scores are exact
fractions; positions of equal score may stand in any order, unless the order is published too.

Decides nothing about causes: a position passed over may be exempt in secret, may have published
inputs that are wrong, or may have been ranked by something that is not published.

Source: adl-and-scenarios 4, 6 ("queue violation"), 12; audit-log-and-consensus 9.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from chainperp.base.rounding import order_keys
from chainperp.rules.adl.policy import Candidate
from chainperp.rules.adl.ranked import (
    Score,
    binance_score,
    bitmex_score,
    documented_score,
    leverage_score,
    literal_score,
    okx_score,
    product_score,
)


class Ranking(NamedTuple):
    """A published order of a queue: its name, what it says, and what it must know of a position."""

    name: str
    title: str
    needs: tuple[str, ...]
    score: Callable[[Candidate], Score]


VALUE_AND_ENTRY: Final = ("notional", "entry_notional", "account_value")
MARGINS: Final = (*VALUE_AND_ENTRY, "maintenance")
RANKINGS: Final = (
    Ranking("hyperliquid", "leverage times profit ratio", VALUE_AND_ENTRY, product_score),
    Ranking("hyperliquid_documented", "price ratio times leverage, shorts inverted",
            VALUE_AND_ENTRY, documented_score),
    Ranking("hyperliquid_literal", "mark / entry times leverage, both sides alike",
            VALUE_AND_ENTRY, literal_score),
    Ranking("bitmex", "profit ratio times leverage, losers divided by it",
            VALUE_AND_ENTRY, bitmex_score),
    Ranking("binance", "profit over wallet times margin ratio", MARGINS, binance_score),
    Ranking("okx", "return on margin over margin ratio", MARGINS, okx_score),
    Ranking("huobi", "leverage alone", ("notional", "account_value"), leverage_score),
    Ranking("profit", "profit in money", ("pnl",), lambda one: (one.pnl, 1)),
    Ranking("profit_ratio", "profit over entry", ("pnl", "entry_notional"),
            lambda one: (one.pnl, one.entry_notional or 1)),
    Ranking("size", "largest notional first", ("notional",), lambda one: (one.notional, 1)),
    Ranking("oldest", "first opened first", ("opened_at",), lambda one: (-one.opened_at, 1)),
    Ranking("newest", "last opened first", ("opened_at",), lambda one: (one.opened_at, 1)),
)  # fmt: skip
BY_NAME: Final = {ranking.name: ranking for ranking in RANKINGS}


@dataclass(frozen=True, slots=True)
class Position:
    """A position of the side that was deleveraged, as it stood before the round.

    `taken` and `most` are lots that the round closed, and that it could close at most. `tie` is
    the published order among equal scores, empty where there is none; `tranche` is 1 for positions
    that a public rule reaches only after all others.
    """

    candidate: Candidate
    taken: int
    most: int
    tie: bytes = b""
    tranche: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """How one ranking explains a round. Members are places in the list of positions.

    `is_tested` is false when no position was left in part or whole: then any order fits.
    """

    ranking: str
    closures: int
    passed_over: tuple[int, ...]
    before_turn: tuple[int, ...]
    is_tested: bool

    @property
    def out_of_order(self) -> int:
        """Least number of positions that must be explained by something else than the ranking."""
        return len(self.passed_over) + len(self.before_turn)

    @property
    def fitting(self) -> int:
        """Closures that the ranking explains."""
        return self.closures - len(self.before_turn)


def examine(positions: Sequence[Position], ranking: Ranking) -> Fit:
    """Where a queue in this order can have ended, and what does not fit there.

    Of several ends that fit equally well the last is taken: it explains by positions passed over
    rather than by closures before their turn.
    """
    groups = _groups(positions, ranking)
    unfilled = [sum(positions[at].taken < positions[at].most for at in group) for group in groups]
    touched = [sum(positions[at].taken > 0 for at in group) for group in groups]
    closures = sum(touched)
    best, best_cost, above, below = 0, len(positions) + 1, 0, closures
    for place in range(len(groups)):
        below -= touched[place]
        if above + below <= best_cost:
            best, best_cost = place, above + below
        above += unfilled[place]
    return Fit(
        ranking.name,
        closures,
        tuple(
            at
            for group in groups[:best]
            for at in group
            if positions[at].taken < positions[at].most
        ),
        tuple(at for group in groups[best + 1 :] for at in group if positions[at].taken > 0),
        is_tested=closures > 0 and above > 0,
    )


def _groups(positions: Sequence[Position], ranking: Ranking) -> list[list[int]]:
    """Places of the positions by rank; those that may stand in any order share a rank."""
    keys = order_keys([ranking.score(one.candidate) for one in positions])
    ranks = [(one.tranche, -key, one.tie) for one, key in zip(positions, keys, strict=True)]
    groups: list[list[int]] = []
    last: tuple[int, int, bytes] | None = None
    for at in sorted(range(len(positions)), key=ranks.__getitem__):
        if ranks[at] != last:
            groups.append([])
            last = ranks[at]
        groups[-1].append(at)
    return groups
