"""What each ADL policy keeps and breaks: adl-and-scenarios 4 and the cells of its table 4.1.

A cell that says yes is a property over drawn books; one that says no is an example that breaks it.
Integers stand within a unit of the exact answer, so properties of shares hold within a unit each.
"""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base.rounding import order_keys
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.allocate import tie_key, tie_keys, waterfill
from chainperp.rules.adl.chance import Urn
from chainperp.rules.adl.choose import POLICIES, allocate, policy_named
from chainperp.rules.adl.policy import Allocation, Candidate, ExemptMode, Round, Terms
from chainperp.rules.adl.ranked import (
    Score,
    binance_score,
    bitmex_score,
    leverage_score,
    okx_score,
    product_score,
)
from tests.oracles import slow_adl
from tests.support.adl import candidate

COIN = 1_000_000
NAMES = [policy.name for policy in POLICIES]
SCORES = {
    "hyperliquid": product_score,
    "bitmex": bitmex_score,
    "binance": binance_score,
    "okx": okx_score,
    "huobi": leverage_score,
}
QUEUES = [*SCORES, "queue_profit", "queue_pnl_x_leverage", "random_lots", "random", "time"]
PROPORTIONAL = ["pro_rata_lots", "pro_rata_pnl", "pro_rata_capped", "pro_rata_equity",
                "pro_rata_notional", "rap_linear", "quadratic", "severity", "clawback"]  # fmt: skip
# P0 takes nothing, P14 may pass everybody over, P19 rounds in favour of the vault.
EXACT = [name for name in NAMES if name not in {"market_unwind", "dydx", "junior_profit"}]
SYBIL_PROOF = ["pro_rata_lots", "pro_rata_pnl", "pro_rata_capped", "rap_linear", "severity",
               "pro_rata_equity", "vega", "junior_profit", "clawback"]  # fmt: skip
MONOTONE = ["pro_rata_pnl", "pro_rata_capped", "severity", "vega", "junior_profit"]

amount = st.integers(0, 10**12) | st.integers(0, 20)
lots = st.integers(1, 10**6) | st.integers(1, 5)


@st.composite
def books(draw: st.DrawFn, exempt: bool = True) -> list[Candidate]:
    """A side of a book: winners, losers, insolvent and exempt ones, many of them equal."""
    size = draw(st.integers(0, 9))
    return [
        candidate(
            f"{number:02}",
            lots=draw(lots),
            pnl=draw(amount | st.integers(-(10**9), 0)),
            value=draw(amount | st.integers(-(10**9), 10**9)),
            notional=draw(st.integers(1, 10**13)),
            entry=draw(st.integers(0, 10**13)),
            maintenance=draw(st.integers(0, 10**11)),
            opened_at=draw(st.integers(0, 3)),
            exempt=exempt and draw(st.booleans()),
            cap_ppb=draw(st.integers(0, 10**9)),
            is_long=draw(st.booleans()),
            is_isolated=draw(st.booleans()),
        )
        for number in range(size)
    ]


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    """A round with any need and any exemption mode."""
    terms = Terms(
        exempt_mode=draw(st.sampled_from(ExemptMode)),
        open_interest_limit=draw(st.integers(0, 2)),
        profit_only=draw(st.booleans()),
        haircut_limit_ppb=draw(st.integers(0, 10**9)),
        severity_ppb=draw(st.integers(0, 10**9)),
        newest_first=draw(st.booleans()),
    )
    return Round(
        seed=draw(st.binary(min_size=32, max_size=32)),
        lots=draw(st.integers(0, 10**7)),
        budget=draw(amount),
        mark=100,
        price=draw(st.integers(90, 110)),
        open_interest=1,
        terms=terms,
    )


thorough = settings(derandomize=True, deadline=None, max_examples=30)


def needed(name: str, this_round: Round) -> int:
    """What the round asks for, in the policy's unit."""
    policy = policy_named(name)
    if policy.in_lots:
        return this_round.lots
    if name == "severity":
        return this_round.budget * this_round.terms.severity_ppb // 10**9
    return this_round.budget


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(books(), rounds())
def test_everybody_is_listed_once_and_gives_no_more_than_he_can(
    name: str, rows: list[Candidate], this_round: Round
) -> None:
    """Order is a permutation, eligible first; 0 <= take <= capacity; refused ones give nothing."""
    found = allocate(policy_named(name), this_round, rows)
    assert sorted(found.order) == list(range(len(rows)))
    reasons = [found.reasons[index] for index in found.order]
    assert reasons == sorted(reasons)
    refused = [index for index in found.order if found.reasons[index]]
    assert refused == sorted(refused, key=lambda index: (found.reasons[index], rows[index].key))
    for index, one in enumerate(rows):
        most = one.lots if found.in_lots else max(0, min(one.pnl, one.account_value))
        assert 0 <= found.takes[index] <= found.weights[index] <= most
        assert found.reasons[index] is AdlReason.ELIGIBLE or found.weights[index] == 0
    assert found.shortfall >= 0


@pytest.mark.parametrize("name", EXACT)
@thorough
@given(books(), rounds())
def test_budget_is_met_to_the_unit(name: str, rows: list[Candidate], this_round: Round) -> None:
    """Sum of takes is the smaller of the need and all capacities; the shortfall is the rest."""
    found = allocate(policy_named(name), this_round, rows)
    total = needed(name, this_round)
    assert sum(found.takes) + found.shortfall == total
    # Risk weights round down to nothing for tiny leverage: such accounts cannot give.
    if name != "rap_linear":
        assert sum(found.takes) == min(total, sum(found.weights))


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(books(), rounds(), st.randoms(use_true_random=False))
def test_order_of_the_input_does_not_matter(
    name: str, rows: list[Candidate], this_round: Round, draw: Random
) -> None:
    """Shuffled candidates give the same to each account, in the same ranks."""
    mixed = list(rows)
    draw.shuffle(mixed)
    first = allocate(policy_named(name), this_round, rows)
    second = allocate(policy_named(name), this_round, mixed)
    assert by_key(rows, first) == by_key(mixed, second)
    assert [rows[i].key for i in first.order] == [mixed[i].key for i in second.order]


def by_key(rows: list[Candidate], found: Allocation) -> dict[bytes, int]:
    """Takes by account."""
    return {one.key: take for one, take in zip(rows, found.takes, strict=True)}


@pytest.mark.parametrize("name", QUEUES)
@thorough
@given(books(), rounds())
def test_queue_takes_a_prefix(name: str, rows: list[Candidate], this_round: Round) -> None:
    """Before the last one that gives, all have given everything; after it, nobody gives."""
    found = allocate(policy_named(name), this_round, rows)
    left = needed(name, this_round)
    for index in found.order:
        assert found.takes[index] == min(left, found.weights[index])
        left -= found.takes[index]


@pytest.mark.parametrize("name", list(SCORES))
@thorough
@given(books(), rounds())
def test_ranks_follow_exact_scores_then_tie_key(
    name: str, rows: list[Candidate], this_round: Round
) -> None:
    """The order-preserving integer keys order as the fractions themselves do."""
    terms = replace(this_round.terms, exempt_mode=ExemptMode.HARD)
    this_round = replace(this_round, terms=terms)
    found = allocate(policy_named(name), this_round, rows)
    eligible = [index for index in found.order if not found.reasons[index]]

    def place(index: int) -> tuple[Fraction, bytes, bytes]:
        score: Score = SCORES[name](rows[index])
        key = rows[index].key
        return -Fraction(score[0], score[1]), tie_key(this_round.seed, key), key

    assert eligible == sorted(eligible, key=place)


def test_neighbouring_fractions_of_256_bits_keep_their_order() -> None:
    """The closest two fractions that a round can hold are told apart, and equal ones are not."""
    top = 2**256
    keys = order_keys([(1, top - 1), (1, top - 2), (2, 2 * top - 4), (top - 2, top - 1)])
    assert keys[0] < keys[1] == keys[2] < keys[3]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    amount,
    st.lists(st.tuples(amount, amount | st.integers(0, 3)), max_size=12),
    st.binary(min_size=32, max_size=32),
)
def test_waterfill_is_the_pseudo_code_and_within_one_unit_of_the_level(
    budget: int, pairs: list[tuple[int, int]], seed: bytes
) -> None:
    """One sorted walk finds what the repeated passes find."""
    caps, weights = [cap for cap, _ in pairs], [weight for _, weight in pairs]
    ties = tie_keys(seed, [candidate(str(number)) for number in range(len(pairs))])
    takes = waterfill(budget, caps, weights, ties)
    assert takes == slow_adl.waterfill(budget, caps, weights, ties)
    for take, exact in zip(takes, slow_adl.level(budget, caps, weights), strict=True):
        assert abs(take - exact) < 1


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.integers(0, 60), st.lists(st.tuples(st.integers(1, 20), st.integers(1, 50)), max_size=8))
def test_lots_by_smallest_share_are_those_given_one_by_one(
    total: int, pairs: list[tuple[int, int]]
) -> None:
    """P11 in lots starts from the water level and ends where the heap would."""
    rows = [
        candidate(str(number), lots=most, value=value) for number, (most, value) in enumerate(pairs)
    ]
    this_round = Round(seed=bytes(32), lots=total)
    found = allocate(policy_named("min_max_lots"), this_round, rows)
    ties = tie_keys(this_round.seed, rows)
    values = [value for _, value in pairs]
    assert found.takes == slow_adl.lots_one_by_one(total, [most for most, _ in pairs], values, ties)


# Table 4.1, column by column.

whole_book = st.lists(
    st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=6
)


def simple(pairs: list[tuple[int, int, int]], factor: int = 1) -> list[Candidate]:
    """Winners with whole leverage; every amount a multiple of 12, so that parts are exact."""
    return [
        candidate(
            str(number),
            lots=12 * profit * factor,
            pnl=12 * profit * COIN * factor,
            value=12 * value * COIN * factor,
            notional=12 * value * leverage * COIN * factor,
            entry=12 * profit * COIN * factor,
            cash=12 * value * COIN * factor,
            maintenance=12 * value * COIN * factor,
        )
        for number, (profit, value, leverage) in enumerate(pairs)
    ]


def parts_of(one: Candidate, count: int) -> list[Candidate]:
    """The same account as equal parts under other addresses."""
    return [
        candidate(
            one.key + bytes([part]),
            lots=one.lots // count,
            pnl=one.pnl // count,
            value=one.account_value // count,
            notional=one.notional // count,
            entry=one.entry_notional // count,
            cash=one.cash // count,
            maintenance=one.maintenance // count,
        )
        for part in range(count)
    ]


@pytest.mark.parametrize("name", SYBIL_PROOF)
@thorough
@given(whole_book, st.integers(1, 600 * COIN), st.sampled_from([2, 3, 4]))
def test_splitting_an_account_changes_nothing(
    name: str, pairs: list[tuple[int, int, int]], need: int, count: int
) -> None:
    """Sybil-proof: the parts together give what the whole gave, within a unit for each account."""
    rows = simple(pairs)
    this_round = Round(seed=bytes(32), budget=need, lots=need // COIN)
    whole = allocate(policy_named(name), this_round, rows).takes[0]
    split = allocate(policy_named(name), this_round, parts_of(rows[0], count) + rows[1:])
    assert abs(sum(split.takes[:count]) - whole) <= count + len(rows)


@pytest.mark.parametrize("name", ["hyperliquid", "bitmex", "binance", "huobi", "okx"])
def test_splitting_pays_in_a_queue(name: str) -> None:
    """Not Sybil-proof: what the whole would lose, its less leveraged part does not."""
    first = candidate("a", lots=10, pnl=50, value=100, notional=1_000, cash=2 * COIN,
                      maintenance=10)  # fmt: skip
    rival = candidate("b", lots=10, pnl=45, value=95, notional=900, cash=2 * COIN,
                      maintenance=10)  # fmt: skip
    need = Round(seed=bytes(32), lots=10)
    assert allocate(policy_named(name), need, [first, rival]).takes == [10, 0]
    # The same money and lots in two accounts, the cash put where most of the position is.
    safe = candidate("a1", lots=9, pnl=45, value=99, notional=900, cash=2 * COIN, maintenance=9)
    bold = candidate("a2", lots=1, pnl=5, value=1, notional=100, cash=COIN, maintenance=1)
    split = allocate(policy_named(name), need, [safe, bold, rival])
    assert split.takes[0] + split.takes[1] < 10


def test_splitting_halves_the_quadratic_tax() -> None:
    """P9: an account alone with its like gives half; as two halves it gives a third."""
    rows = [candidate(key, pnl=8 * COIN, value=99 * COIN) for key in ("a", "b")]
    halves = [candidate(key, pnl=4 * COIN, value=49 * COIN) for key in ("a1", "a2")]
    need = Round(seed=bytes(32), budget=6 * COIN)
    whole = allocate(policy_named("quadratic"), need, rows).takes[0]
    split = sum(allocate(policy_named("quadratic"), need, halves + rows[1:]).takes[:2])
    assert (whole, split) == (3 * COIN, 2 * COIN)


@pytest.mark.parametrize("name", [*PROPORTIONAL, *QUEUES, "vega", "junior_profit"])
@thorough
@given(whole_book, st.integers(0, 600))
def test_scaling_everything_scales_the_answer(
    name: str, pairs: list[tuple[int, int, int]], need: int
) -> None:
    """Seven times all amounts: seven times each take; queues exactly, shares within a unit."""
    once = Round(seed=bytes(32), budget=need * COIN, lots=need)
    sevenfold = replace(once, budget=7 * once.budget, lots=7 * once.lots)
    small = allocate(policy_named(name), once, simple(pairs)).takes
    large = allocate(policy_named(name), sevenfold, simple(pairs, 7)).takes
    slack = 0 if name in QUEUES else 8 * (len(pairs) if name == "vega" else 1)
    for one, seven in zip(small, large, strict=True):
        assert abs(seven - 7 * one) <= slack


@pytest.mark.parametrize("name", MONOTONE)
@thorough
@given(books(exempt=False), amount, st.integers(0, 10**9))
def test_survivors_keep_their_order(
    name: str, rows: list[Candidate], budget: int, limit: int
) -> None:
    """Who had more before has no less after, within the units that rounding moves."""
    terms = Terms(haircut_limit_ppb=limit if name == "pro_rata_capped" else 10**9)
    for one in rows:
        one.pnl = min(one.pnl, one.account_value)
        one.cash = one.account_value - one.pnl
    this_round = Round(seed=bytes(32), budget=budget, terms=terms)
    found = allocate(policy_named(name), this_round, rows)
    pairs = sorted(
        (one.pnl, one.pnl - take)
        for one, take in zip(rows, found.takes, strict=True)
        if one.pnl > 0
    )
    slack = {"vega": len(rows), "junior_profit": 0}.get(name, 1)
    best = 0
    for _, survivor in pairs:
        assert survivor >= best - slack
        best = max(best, survivor)


@pytest.mark.parametrize(
    ("name", "budget", "profits", "values", "leverage"),
    [
        ("queue_profit", 10, (20, 19), (50, 50), 1),
        ("random", 20, (20, 19), (50, 50), 1),
        ("rap_linear", 10, (20, 19), (25, 500), 5),
        ("quadratic", 20, (20, 10), (50, 50), 1),
        ("pro_rata_equity", 10, (20, 19), (500, 25), 1),
    ],
)
def test_survivors_change_places(
    name: str, budget: int, profits: tuple[int, int], values: tuple[int, int], leverage: int
) -> None:
    """Not monotone: the larger winner ends with less than the smaller one."""
    rows = [
        candidate(key, pnl=profit * COIN, value=value * COIN, notional=25 * leverage * COIN)
        for key, profit, value in zip(("a", "b"), profits, values, strict=True)
    ]
    found = allocate(policy_named(name), Round(seed=bytes(32), budget=budget * COIN), rows)
    after = [one.pnl - take for one, take in zip(rows, found.takes, strict=True)]
    assert after[0] < after[1]


@pytest.mark.parametrize("name", [name for name in NAMES
                                  if not name.startswith("random") and name != "dydx"])  # fmt: skip
@thorough
@given(whole_book, st.integers(0, 600), st.binary(min_size=32, max_size=32))
def test_the_seed_decides_among_equals_only(
    name: str, pairs: list[tuple[int, int, int]], need: int, seed: bytes
) -> None:
    """No random: another seed moves no more than the unit of rounding when no two are equal."""
    rows = simple(pairs)
    for number, one in enumerate(rows):
        one.opened_at = number
    scores = [(one.pnl, one.account_value, one.notional, one.pnl * one.notional) for one in rows]
    ratios = [Fraction(one.notional * one.pnl, one.account_value**2) for one in rows]
    score = SCORES.get(name)
    if len(set(ratios)) < len(rows) or len({one[0] for one in scores}) < len(rows):
        return
    if score is not None and len({Fraction(*score(one)) for one in rows}) < len(rows):
        return
    first = Round(seed=bytes(32), budget=need * COIN, lots=need)
    found = allocate(policy_named(name), first, rows).takes
    other = allocate(policy_named(name), replace(first, seed=seed), rows).takes
    slack = 0 if name in QUEUES else 1
    assert all(abs(one - two) <= slack for one, two in zip(found, other, strict=True))


@pytest.mark.parametrize("name", ["random_lots", "random_single_lots", "dydx"])
def test_chance_is_the_seed(name: str) -> None:
    """P12 and P14 pick another account under another seed."""
    rows = [candidate(str(number), value=1, pnl=1) for number in range(9)]
    picks = {
        tuple(allocate(policy_named(name), Round(seed=bytes([byte]) * 32, lots=1), rows).takes)
        for byte in range(40)
    }
    assert len(picks) > 4
    assert all(sum(pick) == 1 for pick in picks)


@thorough
@given(st.lists(st.integers(0, 5), max_size=9))
def test_urn_counts_lots_in_account_order(counts: list[int]) -> None:
    """Every number belongs to the account whose lots it falls in, also after some are gone."""
    urn = Urn(counts)
    for owner in range(len(counts)):
        expected = [place for place, count in enumerate(counts) for _ in range(count)]
        assert [urn.owner(number) for number in range(urn.left)] == expected
        urn.take(owner, counts[owner])
        counts[owner] = 0
    assert urn.left == 0


def test_single_lots_fall_on_positions_by_size() -> None:
    """P12 lot by lot: a position nine times as large gives about nine times as much."""
    rows = [candidate("a", lots=90_000, value=1), candidate("b", lots=10_000, value=1)]
    this_round = Round(seed=bytes(32), lots=10_000)
    takes = allocate(policy_named("random_single_lots"), this_round, rows).takes
    assert sum(takes) == 10_000
    assert 8_800 < takes[0] < 9_200


@thorough
@given(books(), rounds(), st.sampled_from(NAMES))
def test_exempt_accounts_give_only_what_the_others_cannot(
    rows: list[Candidate], this_round: Round, name: str
) -> None:
    """P20 over any policy: an exempt account gives after the others are at their limit."""
    terms = replace(this_round.terms, exempt_mode=ExemptMode.LAST_RESORT)
    this_round = replace(this_round, terms=terms)
    found = allocate(policy_named(name), this_round, rows)
    others = [one for one in rows if not one.exempt]
    alone = allocate(policy_named(name), this_round, others)
    assert [found.takes[i] for i, one in enumerate(rows) if not one.exempt] == alone.takes
    if any(found.takes[index] for index, one in enumerate(rows) if one.exempt):
        assert alone.shortfall > 0


@thorough
@given(books(), rounds())
def test_market_unwind_chooses_nobody(rows: list[Candidate], this_round: Round) -> None:
    """P0: all takes are zero, the whole position is left to the book."""
    found = allocate(policy_named("market_unwind"), this_round, rows)
    assert found.takes == [0] * len(rows)
    assert found.shortfall == this_round.lots


@thorough
@given(books(exempt=False), amount)
def test_junior_profit_waits_for_no_more_than_a_unit_each(
    rows: list[Candidate], budget: int
) -> None:
    """P19 holds back the loss, and by rounding at most one unit less than there are winners."""
    found = allocate(policy_named("junior_profit"), Round(seed=bytes(32), budget=budget), rows)
    due = min(budget, sum(found.weights))
    winners = sum(1 for weight in found.weights if weight)
    assert due <= sum(found.takes) <= due + max(0, winners - 1)


@thorough
@given(books(exempt=False), amount)
def test_loss_socialisation_favours_the_last_by_less_than_the_receivers(
    rows: list[Candidate], budget: int
) -> None:
    """P15: others give their share rounded up at most; the last ones less, by n - 1 at most."""
    found = allocate(policy_named("vega"), Round(seed=bytes(32), budget=budget), rows)
    total = sum(found.weights)
    due = min(budget, total)
    receivers = [index for index in found.order if found.weights[index]]
    for index in receivers:
        exact = Fraction(found.weights[index] * due, total)
        assert -len(receivers) < found.takes[index] - exact < 1


def test_residue_of_a_settlement_gives_nobody_more_than_his_gain() -> None:
    """P15: gains of 10, 10 and 1, of which 20 was collected: the residue of 2 is 1 for the last."""
    rows = [candidate(key, pnl=pnl, value=99) for key, pnl in (("a", 10), ("b", 10), ("c", 1))]
    found = allocate(policy_named("vega"), Round(seed=bytes(32), budget=1), rows)
    assert found.takes == [1, 0, 0]
