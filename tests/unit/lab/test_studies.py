"""Studies against the reference's figures, closed forms and slow second routes."""

from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import pytest

from chainperp.base.errors import BadRequest
from chainperp.lab.clearing import Debt, Pool, System, clear, debt_rank, open_ledger
from chainperp.lab.draws import Draws, generator
from chainperp.lab.forensic import Position
from chainperp.lab.group_test import Count, below_marginal, p_published, p_unrelated
from chainperp.lab.metrics import (
    Round,
    churn,
    fairness_regret,
    overshoot,
    overshoot_regret,
    pmr,
    ptsr,
    rd_nse,
    revenue_loss,
    severity,
)
from chainperp.lab.outcome import Finding
from chainperp.lab.problem import find_policy
from chainperp.lab.studies import (
    damping,
    s01_bitmex,
    s02_arithmetic,
    s03_thin_tails,
    s06_income,
    s07_refill,
    s09_recourse,
    s10_custody,
    s11_contagion,
    tail_figures,
)
from chainperp.lab.studies import s04_exempt_list as s04
from chainperp.lab.studies import s08_ordering as s08
from chainperp.lab.studies import s12_detection as s12
from chainperp.lab.studies.commitment import (
    commit,
    commitment_table,
    hashes_of,
    some_list_explains,
)
from chainperp.lab.studies.endowments import drawn
from chainperp.lab.studies.growth import Terms, grow, hazard, median_time
from chainperp.lab.studies.overload import Question
from chainperp.lab.studies.queue_rounds import candidates_of, closed_in_round
from chainperp.lab.studies.safety_report import Report
from chainperp.lab.studies.waves import through, waves_table
from chainperp.rules.adl.choose import policy_named

M = s11_contagion.MILLION
# adl-and-scenarios 11.3: E, B, M, D pay; B users and D winners get.
CLEARED = {
    "custodian must pay": (60, 80, 40, 45, 30, 45),
    "custodian refuses": (0, 30, 23.75, 31.75, 11.25, 31.75),
    "must pay, venue's cash stolen": (60, 60, 40, 45, 22.5, 45),
    "refuses and stolen": (0, 0, 5, 13, 0, 13),
    "half": (30, 60, 40, 45, 22.5, 45),
}


@pytest.mark.parametrize("case", CLEARED)
def test_five_firms(case: str) -> None:
    """Every payment of the worked example, to the micro-dollar."""
    system = s11_contagion.five_firms(*s11_contagion.CASES[case])
    done = clear(system)
    paid = [done.paid(system, firm) for firm in "EBMD"]
    got = [done.received(system, who) for who in ("B users", "D winners")]
    assert paid + got == [round(amount * M) for amount in CLEARED[case]]


def slow_clear(system: System) -> list[Fraction]:
    """Another route: exact fractions, from full payment down, for systems with one class."""
    owed: dict[str, int] = {}
    for debt in system.debts:
        owed[debt.debtor] = owed.get(debt.debtor, 0) + debt.amount
    ratio = {name: Fraction(1) for name in system.assets}
    for _ in range(400):
        for name, total in owed.items():
            income = Fraction(system.assets[name]) + sum(
                ratio[debt.debtor] * debt.amount for debt in system.debts if debt.creditor == name
            )
            after = min(Fraction(1), max(Fraction(0), income / total)) if total else Fraction(1)
            ratio[name] = after.limit_denominator(10**9)
    return [ratio[debt.debtor] * debt.amount for debt in system.debts]


def test_clearing_against_exact_fractions() -> None:
    """Random systems: within the units that floors leave, conserved, and a fixed point."""
    for number in range(30):
        draws = Draws(5, f"clear/{number}")
        names = [f"f{k}" for k in range(5)]
        assets = {name: draws.whole(0, 10**9) for name in names}
        debts = tuple(
            Debt(a, b, draws.whole(1, 10**9))
            for a in names
            for b in names
            if a != b and draws.unit() < 0.5
        )
        system = System(assets, debts)
        done = clear(system)
        assert sum(done.left.values()) == sum(assets.values())
        assert all(amount >= 0 for amount in done.left.values())
        for debt, amount, exact in zip(debts, done.payments, slow_clear(system), strict=True):
            assert 0 <= amount <= debt.amount
            assert abs(amount - exact) < 200
        for name in names:
            unpaid = sum(d.amount for d in debts if d.debtor == name) - done.paid(system, name)
            assert unpaid == 0 or done.left[name] < 200, "who owes keeps only what floors leave"


def test_clearing_by_hand() -> None:
    """Seniority and default costs."""
    senior = System({"a": 50, "b": 0, "c": 0}, (Debt("a", "b", 40, True), Debt("a", "c", 40)))
    assert clear(senior).payments == (40, 10)
    costly = System({"a": 50, "b": 0}, (Debt("a", "b", 60),), {"a": (7, 10)})
    assert clear(costly).payments == (35,)
    fine = System({"a": 60, "b": 0}, (Debt("a", "b", 60),), {"a": (7, 10)})
    assert clear(fine).payments == (60,)


BAD: tuple[tuple[System, str], ...] = (
    (System({"a": -1}, ()), r"clearing: assets\.a: was -1, must not be below zero"),
    (System({"a": 1}, (Debt("a", "b", 1),)), r"debts\[0\]\.creditor: was b, which is no firm"),
    (System({"a": 1}, (Debt("a", "a", 1),)), r"debts\[0\]\.creditor: was a, .* debtor itself"),
    (System({"a": 1, "b": 1}, (Debt("a", "b", -1),)), r"debts\[0\]\.amount: was -1"),
)


@pytest.mark.parametrize(("system", "sentence"), BAD)
def test_infeasible_clearing_is_refused(system: System, sentence: str) -> None:
    """A sentence with row and field."""
    with pytest.raises(BadRequest, match=sentence):
        clear(system)


def test_dollar_counted_twice_is_refused() -> None:
    """The ledger does not start."""
    open_ledger([Pool("p", 60, {"a": 30, "b": 30})])
    with pytest.raises(BadRequest, match=r"pool p: holds 60, .* a 60, b 60: 60 too much"):
        open_ledger([Pool("p", 60, {"a": 60, "b": 60})])


def test_debt_rank_by_hand() -> None:
    """One step of distress, and nothing without exposure."""
    found = debt_rank({("a", "b"): 0.5, ("b", "c"): 0.4}, {"c": 0.5})
    assert found == pytest.approx({"a": 0.1, "b": 0.2, "c": 0.5})


# adl-and-scenarios 10.2: cap, deviation, ratio; all in percent but the ratio.
CAPS = ((8, 3.130, 0), (10, 3.299, 0), (20, 3.651, 0), (40, 3.827, 0.01057), (100, 3.932, 0.01043))


@pytest.mark.parametrize(("cap", "deviation", "ratio"), CAPS)
def test_relative_tails_of_the_reference(cap: int, deviation: float, ratio: float) -> None:
    """Damped t(3) at 4 % a day."""
    scale = 0.04 / 3**0.5
    assert damping.capped_deviation(3.0, scale, cap / 100) * 100 == pytest.approx(
        deviation, abs=1e-3
    )
    assert damping.capped_ratio(3.0, scale, cap / 100) == pytest.approx(ratio, abs=1e-5)


def test_undamped_tails_and_the_boundary() -> None:
    """Normal, Student, bond; the cap that is ten deviations of what it caps."""
    assert damping.normal_ratio() == pytest.approx(3.35e-22, rel=1e-3)
    assert damping.student_ratio(3.0) == pytest.approx(0.010350, abs=1e-6)
    assert damping.student_ratio(4.0) == pytest.approx(0.0030604, abs=1e-6)
    assert damping.bond_ratio(0.001, 1e-4) == pytest.approx(1.0, abs=1e-3)
    scale = 0.04 / 3**0.5
    edge = damping.boundary(3.0, scale)
    assert 0.38 < edge < 0.39
    assert damping.capped_ratio(3.0, scale, edge * 0.999) == 0
    assert damping.capped_ratio(3.0, scale, edge * 1.001) > 0


# adl-and-scenarios 10.4: volatility, days, strike, call, damped call, damped forward.
OPTIONS = (
    (0.8, 1, 100, 1.670405, 1.653167, 99.990332),
    (0.8, 1, 105, 0.258397, 0.241158, 99.990332),
    (0.8, 7, 100, 4.417541, 3.164353, 99.706353),
    (2.0, 1, 100, 4.174412, 3.093605, 99.735788),
    (2.0, 1, 108, 1.462762, 0.381955, 99.735788),
)


@pytest.mark.parametrize(("volatility", "days", "strike", "call", "damped", "forward"), OPTIONS)
def test_options_of_the_reference(
    volatility: float, days: int, strike: int, call: float, damped: float, forward: float
) -> None:
    """Six digits each."""
    years = days / 365
    found = damping.black_scholes_call(100.0, strike, volatility, years)
    above = damping.black_scholes_call(100.0, 110.0, volatility, years)
    assert found == pytest.approx(call, abs=1e-6)
    assert found - above == pytest.approx(damped, abs=1e-6)
    assert damping.damped_forward(100.0, 0.1, volatility, years) == pytest.approx(forward, abs=1e-6)


def test_discounts_and_individual_damping() -> None:
    """ADL discounts of two loser classes; a negative rest is a dead venue."""
    two = [(0.5, 0.05), (0.5, 0.2)]
    for volatility, hours, worth in ((0.8, 24, 0.1292), (2.0, 24, 1.2119), (0.8, 8, 0.0100)):
        found = damping.adl_discount(100.0, two, volatility, hours / 24 / 365)
        assert found == pytest.approx(worth, abs=1e-4)
    assert damping.damped(0.10, [(0.5, 0.06), (0.5, 0.10)]) == pytest.approx(0.08)
    assert damping.damped(0.10, [(1.0, 0.08)], book=0.5, fund=0.005) == pytest.approx(0.095)
    assert damping.exempt_rest(0.10, [(1.0, 0.08)], 0.9) < 0


def test_hill_and_moments_where_the_answer_is_known() -> None:
    """Exact Pareto powers within three standard errors; a capped sample has a negative shape."""
    uniform = generator(1, "pareto").random(100_000)
    raw = (1 - uniform) ** (-1 / 3)
    for beta, expected in ((0.0, 3.0), (0.3, 3 / 0.7), (0.5, 6.0)):
        index, error = tail_figures.hill(raw ** (1 - beta), 1000)
        assert abs(index - expected) < 3 * error
    assert tail_figures.moment_shape(np.sqrt(uniform) + 1, 1000) < 0
    assert tail_figures.moment_shape(np.ones(5000), 100) == -inf


def test_damping_through_the_engine() -> None:
    """The second route to D: two margin classes, moves below, between and above them."""
    losers = [(0.5, 0.05), (0.5, 0.2)]
    gains, _ = s03_thin_tails.engine_gain(losers, [20, 50, 120, 300])
    exact = [damping.damped(move / 1000, losers) for move in (20, 50, 120, 300)]
    assert gains == pytest.approx(exact, abs=1e-9)


def test_settlement_option_of_the_reference() -> None:
    """Million dollars a cycle; each state has one bearer."""
    for hours, worth in ((2, 4.82), (4, 6.82), (8, 9.64), (24, 16.7)):
        assert s10_custody.option_value(1e9, 0.8, hours) / 1e6 == pytest.approx(worth, abs=0.01)
    assert s10_custody.losses("A", 100, 50, 0) == {"venue's users": 100, "issuer's holders": 0}
    assert s10_custody.losses("B", 100, 50, 0) == {"venue's users": 0, "issuer's holders": 100}
    assert s10_custody.losses("S", 100, 30, 0) == {"venue's users": 70, "issuer's holders": 30}
    assert run_study("S10", paths=2000)["C21"] is Finding.SUPPORTED


def test_pool_of_the_reference() -> None:
    """Tokens, prices and the ceiling of S7."""
    rows = s07_refill.raises(s07_refill.Values()).rows
    assert rows[0][:3] == [10_000_000, 312_500.0, 25.6]
    assert rows[1][:3] == [25_000_000, 1_250_000.0, 10.0]
    assert rows[2][:3] == [40_000_000, 5_000_000.0, 1.6]
    assert rows[4][4] == "impossible"
    assert rows[5][0] == pytest.approx(44.444444e6, rel=1e-6)


def test_triples_of_the_essay() -> None:
    """20 + 60 with 40 % closed at 5 %; and every row sums to 80."""
    table = s02_arithmetic.triples(Fraction(10), Fraction(8))
    first = table.rows[0]
    assert first[:5] == [0.4, 5.0, 10.0, 20.0, 60.0]
    assert all(row[5] == pytest.approx(80) for row in table.rows)
    assert [0.25, 8.0, 8.0, 20.0, 60.0] in [row[:5] for row in table.rows]


def test_payout_through_the_engine() -> None:
    """The boundary of S2: money and bankruptcy-price policies pay 80 in one gap, P1 pays nothing;
    with a mark at the limit before it, P1 pays 80 too."""
    values = s02_arithmetic.Values(shorts=4)
    end, limit = s02_arithmetic.ENTRY * 90 // 100, s02_arithmetic.ENTRY * 92 // 100
    for code, path, percent in (
        ("P1", [end], 0), ("P1", [limit, end], 80), ("P2", [end], 80), ("P6", [end], 80),
        ("P12", [limit, end], 80), ("P15", [end], 80), ("P19", [end], 80),
    ):  # fmt: skip
        policy = find_policy("test", code)
        venue, gains, marked = s02_arithmetic.engine_payout(values, policy, path)
        assert sum(gains.values()) * 100 == marked * percent, code
        held = sum(gains.values()) + venue.value("long") + venue.insurance
        assert held == sum(range(1, 5)) * 100 * 8 * 10**6 // 100, "what the long brought"


def test_exemptions_closed_form_against_engine() -> None:
    """Rates to a micro-dollar, death exactly beyond the limit, in money and in lots."""
    values = s04.Values(engine_winners=12, engine_deficit_percent=(30,))
    winners = drawn(60, 0.85, 1)
    table, worst, agrees, _ = s04.agreement(winners, values)
    assert agrees
    assert worst <= 1
    assert {row[-1] for row in table.rows} == {"alive", "dead"}
    for row in table.rows:
        assert (row[-1] == "dead") == (float(row[2] or 0) > float(row[3] or 0))
    lots, lots_agree = s04.in_lots(winners, values)
    assert lots_agree
    assert any(row[3] for row in lots.rows)


def test_concentration_counts() -> None:
    """Fatal and halving counts by hand."""
    winners = [one._replace(w=w, cap=w) for one, w in zip(drawn(4, 1.0, 1), (8, 4, 2, 2),
                                                         strict=True)]  # fmt: skip
    assert s04.fatal_count(winners, 9) == 1
    assert s04.fatal_count(winners, 8) == 2
    assert s04.fatal_count(winners, 17) == 0
    assert s04.halving_count(winners) == 2


def test_growth_by_two_routes() -> None:
    """The product of hazards and the simulated share alive; the hazard by hand."""
    terms = Terms(grant=1.0, fee_share=0.0, alpha=1.5, ruin=0.5, fund=0.02, leave=0.2,
                  is_public=False)  # fmt: skip
    assert hazard(0.02, 0.02, terms) == pytest.approx(1 - 0.5 ** (1 / 12))
    assert hazard(0.0, 0.02, terms) == 1.0
    found = grow([50, 30, 15, 5], terms, 12, 4000, 3)
    assert abs(found.survival[-1] - found.simulated) < 4 * found.error
    assert found.survival == sorted(found.survival, reverse=True)
    assert median_time([0.9, 0.4]) == 2
    assert median_time([0.8, 0.64]) == pytest.approx(2 + np.log(0.5 / 0.64) / np.log(0.8))


def test_report_is_a_bound_and_breaks_where_it_is_blind() -> None:
    """S1 on a small grid."""
    values = s01_bitmex.Values(check_seconds=(60,), gaps_percent=(10, 20), funds_percent=(1.0,),
                               traders=10, book_percent=0)  # fmt: skip
    found = verdicts_of(s01_bitmex.run(values, 3))
    assert found["C4"] is Finding.CONDITIONAL
    assert found["C19"] is Finding.SUPPORTED
    report = Report(100, 0, ((100, 50 * 10**6), (100, 5 * 10**6)))
    assert report.shortfall(Fraction(1, 10)) == 5 * 10**6
    assert report.payout(Fraction(1, 10)) == Fraction(3, 4)
    assert report.survivable() == Fraction(1, 20)


def test_overload_stretches_what_the_blocks_show() -> None:
    """S1: intervals by the formula, and again by the block times of the engine's chain; later
    checks help nobody."""
    values = s01_bitmex.Values(traders=10)
    world = s01_bitmex.world_of(values, 3)
    calm, late = (
        s01_bitmex.move(values, world, Question(15, 20, 0.1, peak=peak)) for peak in (0, 300)
    )
    assert calm.report.checked == late.report.checked == (15, 15, 15)
    assert calm.checked == (15, 15, 15)
    assert late.checked == (15, 26.25, 45.938), "15 (1 + 3 t / 60) from t = 0, 15, 41.25"
    assert late.winners_lost >= calm.winners_lost > 0


def test_orderings_agree_with_the_vectors() -> None:
    """S8: the five accounts, and a policy that splitting helps."""
    table, takes = s08.in_money(list(s08.FIVE), [20 * 10**6], (0,))
    assert takes["P6"] == [10_000_000, 6_000_000, 2_400_000, 1_200_000, 400_000]
    by_name = {str(row[0]).split()[0]: row for row in table.rows}
    assert float(by_name["P9"][11] or 0) > 10, "splitting pays under the quadratic tax"
    assert by_name["P6"][11] == 0
    assert by_name["P6"][10] == 0, "nobody overtakes anybody"


def test_detection() -> None:
    """S12: no false alarm with all inputs; noise hides; a second run of the block always shows."""
    values = s12.Values(positions=30, rounds=30, exempt=(5,), noise_percent=(0, 100),
                        engine_rounds=2)  # fmt: skip
    assert set(s12.counts(values, 0, 0.0, 1)) == {0}
    clean, dirty = s12.counts(values, 0, 1.0, 1), s12.counts(values, 5, 1.0, 2)
    sure = s12.separation(s12.counts(values, 0, 0.0, 1), s12.counts(values, 5, 0.0, 1))
    assert s12.separation(clean, dirty) < sure
    assert s12.engine_rounds(values, 1)[:3] == (2, 2, 0)


def test_what_a_commitment_lets_an_outsider_refute() -> None:
    """S12: nothing of a venue that keeps to its list; everything else at its moment, always."""
    table = commitment_table(20, 30, 30, 5)
    found = {str(row[0]): row[1:] for row in table.rows}
    assert found["keeps to its list"] == [0, 0, 0, 0, 100]
    assert found["writes its list in the last block"] == [0, 0, 0, 0, 100]
    assert found["keeps to its list, a fresh salt each block"] == [0, 0, 0, 0, 0]
    assert found["spares an account that is not on its list"][1:3] == [0, 100]
    assert found["opens another list than it committed to"][1:3] == [100, 0]
    assert found["says that its list was empty"][1:3] == [100, 100]
    assert found["never opens"] == [0, 0, 0, 100, 100]
    assert found["closes half of the spared account"][0] == 100


def test_lists_that_explain_closures() -> None:
    """Against trying every list of a small round; hashes change where the list does."""
    rows = candidates_of(6, Draws(2, "lists"))
    need = sum(one.lots for one in rows) // 2
    keys = [one.key for one in rows]
    every = [
        closed_in_round(rows, {key for at, key in enumerate(keys) if mask >> at & 1}, need)
        for mask in range(1 << len(keys))
    ]
    assert all(some_list_explains(rows, takes) for takes in every)
    wrong = [max(1, one.lots // 2) for one in rows]
    assert wrong not in every
    assert not some_list_explains(rows, wrong)
    hashes = hashes_of(frozenset(keys[:1]), b"salt", 3, is_fresh=False)
    assert [one == commit(keys[:1], b"salt") for one in hashes] == [False] * 17 + [True] * 3


def test_p_values_of_groups() -> None:
    """S12: what cannot be tested says why; with all inputs an honest group and one with exemptions
    have nothing below, another order has; p-values are at most as often small as they say."""
    draws = Draws(3, "groups")
    rows = candidates_of(12, draws)
    whole = [Position(one, one.lots, one.lots) for one in rows]
    assert below_marginal(whole, s12.RANKING) == "no position closed in part"
    half = [Position(one, one.lots - 1, one.lots) for one in rows]
    assert below_marginal(half, s12.RANKING) == "several closed in part"
    assert below_marginal(half[:1], s12.RANKING) == "no position closed whole"
    values = s12.Values(positions=40, rounds=60, exempt=(5,))
    honest, spared, other = (s12.groups_of(values, world, 0.0, 1) for world in s12.WORLDS)
    assert len(honest) > 40
    assert {one.below for one in honest} == {one.below for one in spared} == {0}
    assert sum(one.below > 0 for one in other) > len(other) // 3
    many = s12.Values(positions=40, rounds=300, exempt=(5,))
    noisy = [one.below for one in s12.groups_of(many, s12.WORLDS[0], 0.5, 2)]
    again = s12.groups_of(values, s12.WORLDS[0], 0.5, 1)
    small = sum(p_published(one.below, noisy) <= 0.05 for one in again)
    assert small <= 0.15 * len(again)
    places = [p_unrelated(Count(9, k, k)) for k in range(10)]
    assert places == pytest.approx([k / 10 for k in range(1, 11)]), "uniform when unrelated"


def test_other_studies_find_what_they_should() -> None:
    """S6, S9 and S11 on small values: verdicts with their boundaries."""
    assert run_study("S6", years=1, paths=200)["C15"] is Finding.CONDITIONAL
    nine = run_study("S9", steps=7)
    assert nine == {"C11": Finding.SUPPORTED, "C20": Finding.SUPPORTED}
    assert s09_recourse.with_exemption(s09_recourse.Values())["after"] == pytest.approx(84)
    values = s11_contagion.Values()
    for percent in (0, 60):
        for law in ("A", "B"):
            one = s11_contagion.spread_run(values, percent, law)
            assert one.total >= one.first - 1e-9, "no loss vanishes"
    assert s11_contagion.spread_run(values, 0, "B").amplification == pytest.approx(1)
    assert s06_income.best_fund(s06_income.Values()) == pytest.approx(4 * 4 ** (2 / 3))


def verdicts_of(outcome: Any) -> dict[str, Finding]:
    """Findings by claim."""
    return {one.claim: one.finding for one in outcome.verdicts}


def run_study(code: str, **values: Any) -> dict[str, Finding]:
    """A study with small values."""
    module: Any = {"S6": s06_income, "S9": s09_recourse, "S10": s10_custody}[code]
    return verdicts_of(module.run(module.Values(**values), 1))


def test_metrics_of_rounds() -> None:
    """Identities of adl-and-scenarios 8.2 and the undefined cases."""
    one = Round(deficit=100.0, largest_loss=80.0, removed=60.0, needed=50.0, survivor=20.0)
    assert (severity(one), overshoot(one), ptsr(one)) == (0.6, 10.0, 0.5)
    assert pmr(one) == 0.5 * 100 / 80
    assert rd_nse(one) == 0.5 / 1.5
    full = one._replace(removed=100.0)
    assert ptsr(full) is pmr(full) is rd_nse(full) is None
    assert severity(one._replace(deficit=0.0)) is None
    assert overshoot_regret([one, one._replace(removed=30.0)]) == 30.0
    assert fairness_regret([one], [0.5], [0.3]) == pytest.approx(10.0)


def test_waves_carry_endowments_over() -> None:
    """Budgets of 20 and 15 from five accounts: sums, regrets, and a planned budget's error."""
    five, budgets = list(s08.FIVE), [20 * 10**6, 15 * 10**6]
    equity = through(policy_named("pro_rata_equity"), five, budgets, mirror=False)
    assert [one.removed for one in equity.rounds] == [float(one) for one in budgets]
    assert equity.left == 100 * 10**6 - sum(budgets)
    mirror = through(policy_named("pro_rata_pnl"), five, budgets, mirror=True)
    assert mirror.rounds[0].removed == budgets[0], "the first wave is known"
    assert mirror.rounds[1].removed != budgets[1], "the second is forecast"
    rows = {str(row[0]): row for row in waves_table(list(s08.MONEY), five, budgets).rows}
    assert rows["P11 pro_rata_equity"][5] == 0, "the reference has no regret against itself"
    assert float(rows["P10 mirror descent"][3] or 0) > 0
    assert rows["P6 pro_rata_pnl"][3] == 0 < float(rows["P6 pro_rata_pnl"][4] or 0)
    assert revenue_loss([100, 0], [20, 0]) == pytest.approx(730 * 7.6e-4 * 100 * churn(0.2))
