"""The vectors of adl-and-scenarios section 13, and the example of hyperliquid-protocol 7.7."""

import pytest

from chainperp.base.errors import InvariantBroken
from chainperp.model.decisions import AdlReason
from chainperp.rules import pnl
from chainperp.rules.adl.allocate import round_seed, tie_key
from chainperp.rules.adl.chance import bankruptcy_quote
from chainperp.rules.adl.choose import POLICIES, allocate, policy_named, policy_with_id
from chainperp.rules.adl.policy import (
    Allocation,
    Candidate,
    ExemptMode,
    Round,
    ScoreMode,
    Terms,
    terms_hash,
)
from chainperp.rules.adl.price import bankruptcy_price
from chainperp.rules.adl.ranked import documented_score, literal_score, product_score
from chainperp.rules.adl.settlement import clawback_rate, disposal_schedule
from chainperp.rules.catalogue import REGISTERED
from tests.support.adl import candidate, gini

SEED = bytes(32)
M = 1_000_000
WINNERS = (("a", 50, 400, 500), ("b", 30, 40, 300), ("c", 12, 30, 60), ("d", 6, 8, 90),
           ("e", 2, 10, 4))  # fmt: skip
QUEUE, LEVERAGE = "queue_profit", "queue_pnl_x_leverage"
ANY = (QUEUE, LEVERAGE, "pro_rata_pnl", "pro_rata_equity", "rap_linear", "quadratic", "random",
       "pro_rata_notional", "pro_rata_capped", "vega", "clawback")  # fmt: skip

# Budget, policy, whether a is exempt, amounts of a to e.
TABLE: list[tuple[int, str, bool, list[int]]] = [
    (20_000_000, QUEUE, False, [20000000, 0, 0, 0, 0]),
    (20_000_000, LEVERAGE, False, [0, 14000000, 0, 6000000, 0]),
    (20_000_000, "pro_rata_pnl", False, [10000000, 6000000, 2400000, 1200000, 400000]),
    (20_000_000, "pro_rata_equity", False, [16393443, 1639344, 1229508, 327869, 409836]),
    (20_000_000, "rap_linear", False, [607192, 13115353, 373059, 5901909, 2487]),
    (20_000_000, "quadratic", False, [13950893, 5022321, 803571, 200893, 22322]),
    (20_000_000, "random", False, [20000000, 0, 0, 0, 0]),
    (20_000_000, "pro_rata_pnl", True, [0, 12000000, 4800000, 2400000, 800000]),
    (20_000_000, "pro_rata_equity", True, [0, 9230769, 6923077, 1846154, 2000000]),
    (20_000_000, "rap_linear", True, [0, 13610282, 387137, 6000000, 2581]),
    (20_000_000, "random", True, [0, 0, 12000000, 6000000, 2000000]),
    (33_333_333, "pro_rata_pnl", False, [16666666, 10000000, 4000000, 2000000, 666667]),
    (33_333_333, "pro_rata_equity", False, [27322404, 2732241, 2049180, 546448, 683060]),
    (33_333_333, "rap_linear", False, [1177222, 25428003, 723286, 6000000, 4822]),
    (33_333_333, "quadratic", False, [23251488, 8370536, 1339286, 334821, 37202]),
    (70_000_000, QUEUE, False, [50000000, 20000000, 0, 0, 0]),
    (70_000_000, LEVERAGE, False, [22000000, 30000000, 12000000, 6000000, 0]),
    (70_000_000, "pro_rata_equity", False, [50000000, 9230769, 6923077, 1846154, 2000000]),
    (70_000_000, "rap_linear", False, [21910256, 30000000, 12000000, 6000000, 89744]),
    (70_000_000, "quadratic", False, [48828125, 17578125, 2812500, 703125, 78125]),
    *[(70_000_000, name, True, [0, 30000000, 12000000, 6000000, 2000000]) for name in ANY],
]  # fmt: skip


def winners(is_a_exempt: bool = False) -> list[Candidate]:
    """The five winners."""
    return [
        candidate(key, pnl=w * M, value=e * M, notional=n * M, exempt=is_a_exempt and key == "a")
        for key, w, e, n in WINNERS
    ]


def answer(name: str, rows: list[Candidate], *, lots: int = 0, budget: int = 0) -> Allocation:
    """A policy's answer with the seed of the vectors."""
    return allocate(policy_named(name), Round(seed=SEED, lots=lots, budget=budget), rows)


@pytest.mark.parametrize(("budget", "name", "is_a_exempt", "amounts"), TABLE)
def test_five_winners(budget: int, name: str, is_a_exempt: bool, amounts: list[int]) -> None:
    """Amounts to the micro-USDC, and what could not be covered."""
    found = answer(name, winners(is_a_exempt), budget=budget)
    assert found.takes == amounts
    assert found.shortfall == budget - sum(amounts)
    assert not found.in_lots
    if is_a_exempt:
        assert found.reasons[0] is AdlReason.EXEMPT
        assert found.order[-1] == 0
        assert found.weights[0] == 0


def test_order_among_equals_is_that_of_the_vectors() -> None:
    """Tie order a, d, e, c, b with the zero seed."""
    assert sorted("abcde", key=lambda key: tie_key(SEED, key.encode())) == list("adecb")


@pytest.mark.parametrize(
    ("name", "expected"),
    [(QUEUE, "0.800000"), (LEVERAGE, "0.680000"), ("pro_rata_pnl", "0.480000"),
     ("pro_rata_equity", "0.667213"), ("rap_linear", "0.635092"), ("quadratic", "0.653571")],
)  # fmt: skip
def test_gini_at_twenty_million(name: str, expected: str) -> None:
    """Inequality over all five, zeros included."""
    numerator, denominator = gini(answer(name, winners(), budget=20 * M).takes)
    assert f"{numerator / denominator:.6f}" == expected


def test_example_of_the_paper() -> None:
    """Severity one half of 15; the queue in the order 2, 1, 3; pro rata spares everybody a part."""
    profits, equities = (8_000_000, 4_000_000, 500_000), (10_000_000, 5_000_000, 1_000_000)
    rows = [
        candidate(str(number), pnl=w, value=e)
        for number, (w, e) in enumerate(zip(profits, equities, strict=True), start=1)
    ]
    half = Terms(severity_ppb=500_000_000)
    fair = allocate(policy_named("severity"), Round(seed=SEED, budget=15 * M, terms=half), rows)
    assert fair.takes == [4_800_000, 2_400_000, 300_000]
    assert [e - x for e, x in zip(equities, fair.takes, strict=True)] == [
        5_200_000, 2_600_000, 700_000,
    ]  # fmt: skip
    # The order 2, 1, 3 is that of leverage; any notionals with that order will do.
    for row, notional in zip(rows, (20, 20, 1), strict=True):
        row.notional = notional * M
    queue = answer(LEVERAGE, rows, budget=7_500_000)
    assert queue.order == [1, 0, 2]
    assert queue.takes == [3_500_000, 4_000_000, 0]
    assert [e - x for e, x in zip(equities, queue.takes, strict=True)] == [
        6_500_000, 1_000_000, 1_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "shares"),
    [
        (Terms(), (164, 589, 246)),
        (Terms(risk_power=2), (155, 498, 348)),
        (Terms(risk_threshold_ppm=900_000), (149, 114, 737)),
    ],
)
def test_book_of_the_paper(terms: Terms, shares: tuple[int, ...]) -> None:
    """Risk-aware shares of A, C, E with one, four and one contracts at 1.3; B and D are bankrupt.

    The printed equities have four places and the printed shares three, some cut and some rounded
    up, so they agree to one in a thousand.
    """
    book = (("A", 1_261_300, 1), ("B", -72_000, 2), ("C", 5_621_400, 4), ("D", -633_400, 3),
            ("E", 839_700, 1))  # fmt: skip
    rows = [
        candidate(key, pnl=abs(equity), value=equity, notional=lots * 1_300_000)
        for key, equity, lots in book
    ]
    deficit = sum(-row.account_value for row in rows if row.account_value < 0)
    assert deficit == 705_400
    found = allocate(
        policy_named("rap_linear"), Round(seed=SEED, budget=deficit, terms=terms), rows
    )
    assert found.reasons[1] is found.reasons[3] is AdlReason.UNDERWATER
    assert sum(found.takes) == deficit
    for index, share in zip((0, 2, 4), shares, strict=True):
        assert abs(found.takes[index] * 1_000 - share * deficit) < deficit


def test_example_of_bitmex() -> None:
    """A short of 20 takes all 10 of account 2 and 10 of the 20 of account 5."""
    rows = [
        candidate(str(number), lots=lots, pnl=score, value=10, notional=10)
        for number, (lots, score) in enumerate(
            zip((10, 10, 20, 30, 20, 10), (3, 6, 1, 4, 5, 2), strict=True), start=1
        )
    ]
    found = answer("bitmex", rows, lots=20)
    assert found.takes == [0, 10, 0, 0, 10, 0]
    assert [index + 1 for index in found.order] == [2, 5, 4, 1, 6, 3]
    assert found.in_lots


def test_bitmex_losers_stand_behind_winners_by_ratio_over_leverage() -> None:
    """A loser with more leverage stands before one with less: his ratio is divided by it."""
    rows = [
        candidate("careful", pnl=-10, value=100, notional=100),
        candidate("reckless", pnl=-10, value=10, notional=100),
        candidate("winner", pnl=1, value=1000, notional=100),
    ]
    assert answer("bitmex", rows, lots=1).order == [2, 1, 0]


def test_disposal_of_vega() -> None:
    """0012-POSR-013: 280 in slices of half, at most a hundredth of 10,000, the last 50 at once."""
    assert disposal_schedule(280, 50, 500_000_000, 10_000_000, 10_000) == [100, 90, 45, 45]


def test_profit_and_loss_of_vega() -> None:
    """0012-POSR-016: long 1 from 100, then a short at 120, price 60: realised 20, unrealised 60.

    The position afterwards is -1, so two are taken over: one closes the long, one opens the short.
    """
    entry_long = 100
    realised = pnl.realised_pnl(entry_long, 120, True)
    assert realised == 20
    entry_short = 120
    assert entry_short - 60 == 60
    assert pnl.entry_after_close(entry_long, 1, 0) == 0


def test_price_identity_of_dydx() -> None:
    """The whole position at the bankruptcy quote leaves exactly nothing, a part its share."""
    long_notional, collateral = 900_000, -37_501
    quote = bankruptcy_quote(-long_notional, collateral, -45_000, 45_000)
    assert quote == long_notional - collateral
    assert collateral - long_notional + quote == 0
    # Rounded up, in favour of the one who is closed: 307 / 3.
    assert bankruptcy_quote(-100, -7, -1, 3) == 103
    third = bankruptcy_quote(-300_000, collateral, -15_000, 45_000)
    assert collateral - 300_000 + third >= collateral - collateral // 3 - 1


def test_clawback_of_bitvc() -> None:
    """A loss of 3,000 at 46.1 % means a pool of profits of about 6,508."""
    assert clawback_rate(3_000, 6_508) // 1_000_000 == 460
    assert round(clawback_rate(3_000, 6_508) / 10**7, 1) == 46.1


def test_worked_example_of_the_queue() -> None:
    """hyperliquid-protocol 7.7: B whole, then 20 of A; all three indexes as printed there."""
    mark, previous = 3_590, 3_640
    rows = [
        candidate(key, lots=lots, pnl=lots * (entry - mark), value=value, notional=lots * mark,
                  entry=lots * entry, is_long=False)
        for key, lots, entry, value in (("A", 50, 4_100, 100_000), ("B", 80, 3_700, 20_000),
                                        ("C", 200, 3_600, 500_000))
    ]  # fmt: skip
    printed = {
        product_score: "0.2232805 0.4269189 0.0039889",
        literal_score: "1.5717 13.9331 1.4320",
        documented_score: "2.0500 14.8000 1.4400",
    }
    for score, text in printed.items():
        pairs = [score(row) for row in rows]
        places = len(text.split()[0]) - 2
        assert " ".join(f"{top / below:.{places}f}" for top, below in pairs) == text
    for mode in ScoreMode:
        this_round = Round(
            seed=SEED, is_target_long=True, lots=100, mark=mark, previous_mark=previous,
            price=previous, terms=Terms(score_mode=mode),
        )  # fmt: skip
        found = allocate(policy_with_id(100), this_round, rows)
        assert found.takes == [20, 80, 0]
        assert found.order == [1, 0, 2]
        assert found.weights == [50, 80, 200]
    assert -1_000 + 100 * (previous - mark) == 4_000
    assert bankruptcy_price(-1_000, 100, mark, is_long=True) == 3_600


@pytest.mark.parametrize(
    ("value", "is_long", "expected"),
    [(-1_000, True, 3_594), (-1_000, False, 3_586), (1_000, True, 3_587), (1_000, False, 3_593),
     (900, True, 3_587), (900, False, 3_593), (0, True, 3_590)],
)  # fmt: skip
def test_bankruptcy_price_never_leaves_a_debt(value: int, is_long: bool, expected: int) -> None:
    """300 lots closed at the price end at zero or above, and a tick worse would end below."""
    price = bankruptcy_price(value, 300, 3_590, is_long)
    assert price == expected
    sign = 1 if is_long else -1
    after = value + sign * 300 * (price - 3_590)
    assert 0 <= after < 300


def test_insolvent_candidates_have_no_profit_to_give() -> None:
    """Ranking them first concerns lots; in wealth space they stay underwater."""
    terms = Terms(rank_insolvent=True)
    found = allocate(
        policy_named("queue_profit"),
        Round(seed=SEED, budget=9, terms=terms),
        [candidate("a", pnl=9, value=-1)],
    )
    assert found.reasons == [AdlReason.UNDERWATER]


def test_literal_index_puts_the_least_profitable_short_first() -> None:
    """hyperliquid-protocol 7.2: at equal leverage entry 3,600 ranks above entry 4,100."""
    rows = [
        candidate(str(entry), pnl=entry - 3_590, value=3_590, notional=3_590, entry=entry,
                  is_long=False)
        for entry in (4_100, 3_600)
    ]  # fmt: skip
    orders = {
        mode: allocate(
            policy_with_id(100), Round(seed=SEED, lots=1, terms=Terms(score_mode=mode)), rows
        ).order
        for mode in ScoreMode
    }
    assert orders[ScoreMode.LITERAL] == [1, 0]
    assert orders[ScoreMode.DOCUMENTED] == orders[ScoreMode.PRODUCT] == [0, 1]


def test_floors_of_the_product_score_leave_losers_to_leverage() -> None:
    """Profit counts at least 1e-8, so losers rank by leverage, behind a winner of any size."""
    rows = [
        candidate("calm", pnl=-5, value=1_000, notional=100, entry=105),
        candidate("bold", pnl=-5, value=10, notional=100, entry=105),
        candidate("winner", pnl=5, value=1_000, notional=100, entry=95),
    ]
    assert answer("hyperliquid", rows, lots=1).order == [2, 1, 0]
    assert product_score(candidate("x", pnl=0, value=10**9 * 2, notional=1, entry=5)) == (
        1, 10**16,
    )  # fmt: skip


@pytest.mark.parametrize("mode", [ScoreMode.DOCUMENTED, ScoreMode.LITERAL])
def test_insolvent_candidates_rank_first_when_the_terms_say_so(mode: ScoreMode) -> None:
    """P1 as adl-and-scenarios writes it; by default they are excluded with a reason."""
    rows = [candidate("a", pnl=9, value=1, notional=10), candidate("b", pnl=9, value=-1)]
    strict = Round(seed=SEED, lots=1, terms=Terms(score_mode=mode))
    found = allocate(policy_named("hyperliquid"), strict, rows)
    assert (found.order, found.takes) == ([0, 1], [1, 0])
    assert found.reasons == [AdlReason.ELIGIBLE, AdlReason.UNDERWATER]
    first = Round(seed=SEED, lots=1, terms=Terms(score_mode=mode, rank_insolvent=True))
    assert allocate(policy_named("hyperliquid"), first, rows).takes == [0, 1]


@pytest.mark.parametrize(
    ("mode", "takes", "shortfall"),
    [
        (ExemptMode.HARD, [0, 30, 12, 6, 2], 30),
        (ExemptMode.LAST_RESORT, [30, 30, 12, 6, 2], 0),
        (ExemptMode.CAPPED, [5, 30, 12, 6, 2], 25),
        (ExemptMode.OI_CONDITIONAL, [40, 24, 10, 5, 1], 0),
    ],
)
def test_exemption_modes(mode: ExemptMode, takes: list[int], shortfall: int) -> None:
    """80 from winners of 50, 30, 12, 6, 2, the first exempt; its cap is a tenth."""
    rows = [
        candidate(key, pnl=w, value=e, exempt=key == "a", cap_ppb=100_000_000)
        for key, w, e, _ in WINNERS
    ]
    terms = Terms(exempt_mode=mode, open_interest_limit=1_000)
    this_round = Round(seed=SEED, budget=80, open_interest=1_000, terms=terms)
    found = allocate(policy_named("pro_rata_pnl"), this_round, rows)
    assert found.shortfall == shortfall
    if mode is ExemptMode.OI_CONDITIONAL:
        assert found.takes[0] == 40
        assert sum(found.takes) == 80
    else:
        assert found.takes == takes
    assert sorted(found.order) == [0, 1, 2, 3, 4]


def test_receipt_numbers_are_stable_and_rules_exist() -> None:
    """Numbers and names are unique; each policy names a registered rule."""
    assert len({policy.policy_id for policy in POLICIES}) == len(POLICIES)
    assert len({policy.name for policy in POLICIES}) == len(POLICIES)
    assert all(policy.rule in REGISTERED for policy in POLICIES)
    assert [policy_named("pro_rata_lots").policy_id, policy_named("okx").policy_id] == [500, 350]
    with pytest.raises(InvariantBroken, match="policy=7"):
        policy_with_id(7)
    with pytest.raises(LookupError, match="hyperliquid"):
        policy_named("fairness")


def test_commitments_of_a_round_depend_on_each_input() -> None:
    """Seed and terms hash change with every field, so a receipt cannot swap one."""
    seeds = {
        round_seed(parent, asset, number)
        for parent in (bytes(32), b"\x01" * 32)
        for asset in (0, 256)
        for number in (0, 1)
    }
    assert len(seeds) == 8
    assert len({terms_hash(100, Terms()), terms_hash(200, Terms()),
                terms_hash(100, Terms(profit_only=True))}) == 3  # fmt: skip
