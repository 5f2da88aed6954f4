"""ADL: at which price a round closes, and how much of the bankrupt position.

All prices are on the market's grid, where price times lots is micro-USDC.
"""

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.rules.adl.policy import PriceRule
from chainperp.rules.catalogue import rule


@rule("ADL-2")
def adl_price(price_rule: PriceRule, previous_mark: int, mark: int, bankruptcy: int) -> int:
    """All auto-deleveraging of a market in a block closes at one price: the mark that was in
    force before the latest mark update; a policy may name the bankruptcy price or the mark.

    The previous mark still covers the bankrupt account in most cases, so no bad debt is left. Who
    opened after the move may be closed at a price that is older than his position; he ranks last,
    and ADL-6 keeps him above zero.
    Bankruptcy price: P2, P3, P4, P14. Current mark: P3b.
    Source: DOC[Auto-deleveraging], U-ADL-5; 3P[BitMEX ADL], 3P[OKX ADL].

    >>> adl_price(PriceRule.PREVIOUS_MARK, 3640, 3590, 3600)
    3640
    """
    if price_rule is PriceRule.PREVIOUS_MARK:
        return previous_mark
    return mark if price_rule is PriceRule.MARK else bankruptcy


def bankruptcy_price(account_value: int, lots: int, mark: int, is_long: bool) -> int:
    """Price at which closing the whole position leaves the scope with nothing.

    Formula: long mark - value / lots, short mark + value / lots. Rounding: in favour of the
    position, so it never ends below zero.

    >>> bankruptcy_price(-1_000, 300, 3590, is_long=True)
    3594
    """
    if is_long:
        return mark - floor_div(account_value, lots)
    return mark + floor_div(account_value, lots)


@rule("ADL-3")
def adl_price_shift(deficit: int, lots: int) -> int:
    """When a bankrupt account would stay below zero at the round's price, the price moves in its
    favour until it does not.

    Formula: deficit / lots; a long sells so much higher, a short buys so much lower.
    Rounding: up, so that the account ends at zero or above. Source: U-ADL-6, our own rule.

    >>> adl_price_shift(1_000, 300), adl_price_shift(900, 300), adl_price_shift(-5, 300)
    (4, 3, 0)
    """
    return ceil_div(deficit, lots) if deficit > 0 else 0


def deficit_share(deficit: int, notional: int, notional_total: int) -> int:
    """Part of an account's deficit that one of its positions carries, by notional. Rounds up.

    >>> deficit_share(100, 1, 3), deficit_share(100, 2, 3)
    (34, 67)
    """
    return ceil_div(deficit * notional, notional_total)


def shifted_price(price: int, shift: int, is_target_long: bool) -> int:
    """The round's price after the shift, for the side of the bankrupt position.

    >>> shifted_price(3640, 4, is_target_long=True), shifted_price(3640, 4, is_target_long=False)
    (3644, 3636)
    """
    return price + shift if is_target_long else price - shift


@rule("ADL-4")
def adl_lots(size_signed: int, account_value: int) -> int:
    """A scope whose account value is below zero is closed whole: every lot of every position.

    At exactly zero nothing happens; the next block tests again.
    Source: RE-OSEC, OBS-1010, U-ADL-3, U-ADL-8.

    >>> adl_lots(-100, -1), adl_lots(-100, 0)
    (100, 0)
    """
    if account_value >= 0:
        return 0
    return size_signed if size_signed >= 0 else -size_signed
