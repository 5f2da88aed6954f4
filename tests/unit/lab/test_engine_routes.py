"""Studies by two routes: a closed form, and the engine with its books, funds and rounds."""

import pytest

from chainperp.lab.problem import find_policy
from chainperp.lab.studies import fund_year, s07_refill, vault_paths
from chainperp.lab.studies import s09_recourse as s09
from chainperp.lab.studies import s10_custody as s10
from chainperp.lab.studies import s11_contagion as s11
from chainperp.lab.studies.book_success import fee_table, success_table
from chainperp.lab.studies.endowments import drawn
from chainperp.lab.studies.engine_waves import crowd_of, through_waves, waved_table
from chainperp.lab.studies.funding_bias import bias_table
from chainperp.lab.studies.refill_paths import LUNA, BookPath, Case, Path, calibrated, follow
from chainperp.lab.studies.refill_paths import redeemed_in_book as luna_in_book
from chainperp.lab.studies.run_dynamics import FREE, HALT, LEAVERS, LIMIT, WAIT
from chainperp.lab.studies.run_tables import (
    Question,
    answer,
    beyond,
    calibration,
    day_table,
    redemption_table,
    stopping,
)
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


def test_waves_through_the_engine() -> None:
    """Who takes money takes the deficits; who closes lots at the previous mark takes the whole jump
    of each lot; nobody pays without a policy; P11 has no regret against itself."""
    crowd = crowd_of(drawn(40, 0.85, 1), 8, 10, 50, 10_000)
    budgets = [2_000_000_000, 0, 700_000_000]
    found = {
        code: through_waves(find_policy("test", code), crowd, budgets)
        for code in ("P0", "P1", "P6", "P11")
    }
    deficits = {code: [one.deficit for one in waved.rounds] for code, waved in found.items()}
    assert deficits["P1"] == deficits["P6"] == deficits["P0"]
    assert 0 <= budgets[0] - deficits["P6"][0] < 42_000, "to a lot's part"
    assert [one.removed for one in found["P6"].rounds] == deficits["P6"]
    assert found["P0"].uncovered == sum(deficits["P0"])
    assert sum(one.removed for one in found["P0"].rounds) == 0 == found["P0"].closed
    lots = found["P1"].closed
    assert lots == sum(max(1, budget // 42_000) for budget in budgets)
    assert sum(one.removed for one in found["P1"].rounds) == lots * 60_000
    rows = {str(row[0]): row for row in waved_table(list(found.values())).rows}
    assert rows["P11 pro_rata_equity"][6:8] == [0, 0]
    assert float(rows["P1 hyperliquid"][6] or 0) > float(rows["P6 pro_rata_pnl"][6] or 0)
    assert rows["P6 pro_rata_pnl"][11] is None
    assert float(rows["P0 market_unwind"][13] or 0) < 1


def test_routed_margin_buys_the_token() -> None:
    """S5: the same fall under both routings. What is seized buys tokens and lifts their price, the
    vault has that much less; deep prints provoke rounds that marks do not."""
    values = vault_paths.Values(traders=12, steps=25, paths=1, book_percent=1, wick_percent=3.0,
                        wick_chance_percent=100.0)  # fmt: skip
    worlds = [vault_paths.world_of(values, 0, 20251010, 50)]
    kept, spent, wild = (
        vault_paths.cell(values, worlds, terms)
        for terms in (
            vault_paths.Terms(100),
            vault_paths.Terms(100, "mark", 10_000),
            vault_paths.Terms(100, "last price"),
        )
    )
    assert kept.accounts == spent.accounts > 0
    assert kept.bought == 0
    assert spent.seized - 2 * 10**6 < spent.bought <= spent.seized
    assert kept.vault - spent.vault == pytest.approx(spent.seized, abs=10**6)
    assert kept.price == 1 < spent.price
    # A pool of X dollars from which s are bought is dearer by (1 + s / X)^2.
    pool = (1 + spent.bought / 10**6 / values.pool_usd) ** 2
    assert spent.price == pytest.approx(pool, rel=3e-3)
    assert kept.rounds == 0 < wild.rounds, "prints jump over what marks would have met"


def test_success_of_a_book_and_fees() -> None:
    """S5: single lots take next to nothing, deep ones all, and more is never worse; fees
    are the rate times what went through the book, and the slope is their difference."""
    values = vault_paths.Values(traders=12, steps=25, paths=1, depths_percent=(0, 1, 100))
    worlds = [vault_paths.world_of(values, 0, 20251010, 50)]
    table, points = success_table(values, worlds, 67)
    assert [share for _, share in points["mark"]][::2] == pytest.approx([0, 100], abs=0.1)
    assert points["mark"] == sorted(points["mark"])
    assert 0 < int(table.rows[0][2] or 0) <= 25, "one lot a step at most"
    assert table.rows[-1][3] == 0, "nothing is left to the vault"
    one, two = vault_paths.Sum(through_book=10**10), vault_paths.Sum(through_book=3 * 10**10)
    cells = {("r", "mark", 30): one, ("r", "mark", 67): one, ("r", "mark", 100): two}
    fees, per_point = fee_table(values, cells, {("r", "mark"): 2.0}, (30, 67, 100))
    assert fees.rows[0][2:5] == pytest.approx([4.5, 4.5, 13.5])
    assert per_point["r", "mark"] == pytest.approx(9 / 70)


def test_day_zero_by_two_routes() -> None:
    """S11: haircuts and holes of four venues, one of them with too few left to pay; to a cent."""
    table, off, chains = day_table(s11.Values(), (40,))
    assert off < 0.01
    assert [row[3:] for row in table.rows][1] == pytest.approx([204, 204, 0, 0])
    assert [row[3:] for row in table.rows][3] == pytest.approx([30, 30, 38, 38])
    assert len(chains) == 4


def test_runs_under_each_rule() -> None:
    """The pace is Bybit's; nothing is lost in state B without exemptions; limits stop the run of a
    fall of 20 %; leavers pay P16's haircut, exempt firms too, and who waits sells nothing."""
    values = s11.Values()
    free, limited = calibration(values).rows
    assert free[2] == pytest.approx(100 / 3)
    assert float(limited[2] or 0) < 10
    assert answer(values, Question(0, "B")).amplification == 1
    ran = {rule: answer(values, Question(60, "A", rule)) for rule in (FREE, LIMIT, LEAVERS, WAIT,
                                                                    HALT)}  # fmt: skip
    assert ran[FREE].amplification > 2
    assert ran[LIMIT].amplification == pytest.approx(1)
    assert ran[FREE].classes["exempt users"] == 0
    assert ran[LEAVERS].classes["exempt users"] == pytest.approx(102.2)
    assert ran[WAIT].total == pytest.approx(ran[WAIT].first)
    assert ran[HALT].halts[0] == ("venue 2", 0)
    for one in ran.values():
        assert one.first == pytest.approx(1022)
        assert one.total >= one.first - 1e-6, "no loss vanishes"
    _, names = stopping(values, 80, (20, 40))
    assert names == {20: ["custodian must pay", "withdrawal limits"], 40: ["custodian must pay"]}


def test_redemptions_and_an_outside_lender() -> None:
    """S11: 13 % of what lies at venues is gone after two days where all pay; a lender after users
    takes losses off them and is the only one to lose its own loan; no loss vanishes."""
    values = s11.Values()
    table = redemption_table(values)
    two_days = next(row for row in table.rows if row[0] == 48)
    assert two_days[1:] == pytest.approx([13, 0.13 * 14_600, 0.13 * 1_460])
    calm = answer(values, Question(0, "B", redeems=True, has_lender=True))
    assert calm.amplification == 1
    assert calm.out_in_a_day > answer(values, Question(0, "B")).out_in_a_day
    equal, last = (
        answer(values, Question(60, "A", has_lender=True, is_lender_last=rank))
        for rank in (False, True)
    )
    assert 0 < equal.classes["outside lender"] < last.classes["outside lender"] <= 4 * 600
    assert last.classes["other users"] < equal.classes["other users"]
    rows = beyond(values, 60, (20,))[0].rows
    assert float(rows[0][5] or 0) == answer(values, Question(60, "A")).amplification
    assert all(float(row[4] or 0) >= 1022 - 1e-6 for row in rows)


def test_a_guarantee_booked_as_money() -> None:
    """S9: credits keep the account open, and are the hole: loss less margin; the token's sale."""
    values = s09.Values(steps=7)
    ledger = s09.with_exemption(values)
    booked = s09.with_guarantee(values, ledger)
    lots, margin = 140_000, 140_000 * 36 // 100
    assert booked.holes[-1] == (lots * 70 // 100 - margin) * 10**6
    assert booked.holes[0] == 0 < booked.holes[-1] < booked.credited
    assert booked.holes[-1] / 10**9 - ledger["paid in"] == pytest.approx(ledger["before"])
    assert booked.raised / 1000 == pytest.approx(ledger["raised"], rel=2e-3)
    depth, sold = ledger["depth"], ledger["nominal"]
    assert booked.token_price == pytest.approx((depth / (depth + sold)) ** 2, rel=2e-2)


@pytest.mark.parametrize(
    "source",
    [fund_year.Source(2.9), fund_year.Source(0.024), fund_year.Source(0.024, 2.4),
     fund_year.Source(0.024, sells=True)],
)  # fmt: skip
def test_a_year_of_the_fund(source: fund_year.Source) -> None:
    """S6: the engine's insurance account after each shock, what winners paid, and what the treasury
    raised, against arithmetic; a treasury's book has steps."""
    sizes = ((3, 200_000), (90, 900_000), (91, 50_000), (300, 1_500_000))
    shocks = [fund_year.Shock(day, lots) for day, lots in sizes]
    pool = fund_year.Pool(50.0, 1_250_000, 10_000_000)
    exact = fund_year.in_closed_form(shocks, source, 10.0, 25.0, pool)
    found = fund_year.through_engine(shocks, source, 10.0, 25.0, pool)
    slack = 0.6 if source.sells else 1e-6
    assert found.funds == pytest.approx(exact.funds, abs=slack)
    assert found.socialised == pytest.approx(exact.socialised, abs=slack)
    assert found.sold == pytest.approx(exact.sold, abs=slack)
    assert (found.empty > 0) == (source.income < 1)
    assert fund_year.shocks_of(365, 0.02, 4.0, 1.5, 1)[0].deficit >= 4


def test_funding_that_damping_asks_for() -> None:
    """S3: damped forwards of the reference, and the engine's gains integrated: the same bias."""
    table, worst, _ = bias_table()
    assert [row[2] for row in table.rows] == pytest.approx(
        [99.990332, 99.706353, 99.735788], abs=1e-6
    )
    assert worst < 1e-3
    assert all(float(row[4] or 0) > 0 for row in table.rows), "shorts pay"


def test_a_venue_whose_issuer_refuses() -> None:
    """S10: users' claims on the engine's book less what is held for them is the move since the last
    settlement, whatever moved before; a state decides how much of it the custodian pays."""
    values = s10.Values(notional_usd=10_000, move_percent=2, settled_percent=(5, 1))
    found = s10.booked(values)
    assert found.claims - found.backing == 200 * 10**6
    assert found.moved == (500 + 100) * 10**6
    assert found.claims == (10_000 + 500 - 100 + 200) * 10**6
    table, agrees = s10.book_table(values, found)
    assert agrees
    assert [row[5] for row in table.rows] == [200, 0, 100]
