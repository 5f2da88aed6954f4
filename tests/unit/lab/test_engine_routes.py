"""Studies by two routes: a closed form, and the engine with its books, funds and rounds."""

import pytest

from chainperp.lab.studies import s07_refill
from chainperp.lab.studies.refill_paths import LUNA, BookPath, Case, Path, calibrated, follow
from chainperp.lab.studies.refill_paths import redeemed_in_book as luna_in_book
from chainperp.lab.token_venue import SELLER, TokenVenue


@pytest.mark.parametrize("millions", [10, 25, 40])
def test_a_book_of_bids_is_the_pool(millions: int) -> None:
    """The reference's sales through the spot book: what they raise, and the price they leave."""
    sold, left = {10: (312_500, 25.6), 25: (1_250_000, 10.0), 40: (5_000_000, 1.6)}[millions]
    venue = TokenVenue(50_000_001, 10_000_000)
    factor = venue.lay(40.0, 50e6, left / 40, 0.05)
    raised, taken = venue.sell(sold)
    assert taken == sold
    assert raised == pytest.approx(millions * 1e6, rel=1e-3)
    assert venue.bid / factor**0.5 == pytest.approx(left, rel=2e-3)
    assert venue.balance(SELLER) == round(raised * 10**6)


def test_a_refill_ends_alike_in_pool_and_book() -> None:
    """Recovery, a spiral of the automatic rule only, and one of both; the ledger has the money."""
    values = s07_refill.Values()
    rules = s07_refill.rules_of(values)
    for deficit, reaction, automatic, ending in (
        (0.1, 0.5, True, "recover"), (0.2, 1.0, True, "spiral"), (0.2, 1.0, False, "recover"),
        (0.8, 2.0, False, "spiral"),
    ):  # fmt: skip
        case = Case(deficit, reaction, 0.4, automatic, 0)
        book = BookPath(rules.treasury, values.pool_usd, values.pool_tokens)
        assert follow(Path(rules.treasury), case, rules) == ending
        assert follow(book, case, rules) == ending
        held = (book.venue.balance(SELLER) - book.owed) / 10**6
        assert book.fund * values.pool_usd == pytest.approx(held)


def test_speed_of_luna() -> None:
    """Two numbers and a day for three figures: each within a factor of 1.8; the book agrees."""
    speed = calibrated()
    for day, times in LUNA:
        assert 1 / 1.8 < speed.supply[day - 1] / times < 1.8
    booked, chain = luna_in_book(speed)
    assert booked == pytest.approx(speed.supply, rel=1e-3)
    assert chain.end["entries"] > 100
