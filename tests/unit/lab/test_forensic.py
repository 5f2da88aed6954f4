"""The detector on rounds made here: against brute force, with planted exemptions, and on tables."""

import csv
import json
import random
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, NotFound
from chainperp.cli.venue_forensic import examine_venue
from chainperp.lab.forensic import BY_NAME, RANKINGS, Position, examine
from chainperp.lab.venue_csv import COLUMNS, read_venue
from chainperp.rules.adl.allocate import queue
from chainperp.rules.adl.policy import Candidate
from tests.support.chain import run_cli

OCTOBER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "oct10" / "gpl3"
PROFIT = BY_NAME["profit"]


def ranked(score: int, most: int, taken: int, tie: bytes = b"") -> Position:
    """A position whose profit is its score."""
    return Position(
        Candidate(b"x", most, entry_notional=100, notional=100, account_value=50, pnl=score),
        taken, most, tie,
    )  # fmt: skip


def least_unexplained(positions: list[Position]) -> int:
    """Brute force: over every order of equals and every end of the queue, the fewest misfits."""
    least = len(positions)
    for order in permutations(positions):
        scores = [one.candidate.pnl for one in order]
        if scores != sorted(scores, reverse=True):
            continue
        for end in range(len(order)):
            misfits = sum(one.taken < one.most for one in order[:end])
            misfits += sum(one.taken > 0 for one in order[end + 1 :])
            least = min(least, misfits)
    return least


@pytest.mark.parametrize("seed", range(150))
def test_out_of_order_is_the_least_that_brute_force_finds(seed: int) -> None:
    """Without equal scores exactly; with them at most, since equals are given the benefit."""
    rng = random.Random(seed)
    few = rng.random() < 0.5
    scores = [rng.randint(0, 3) for _ in range(6)] if few else rng.sample(range(100), 6)
    positions = []
    for score in scores:
        most = rng.randint(1, 3)
        positions.append(ranked(score, most, rng.randint(0, most)))
    fit = examine(positions, PROFIT)
    least = least_unexplained(positions)
    assert fit.out_of_order <= least
    if len(set(scores)) == 6:
        assert fit.out_of_order == least
    assert fit.closures == sum(one.taken > 0 for one in positions)
    assert fit.fitting + len(fit.before_turn) == fit.closures


def venue_round(rng: random.Random, size: int) -> list[Candidate]:
    """Candidates with inputs like those of a venue, some at a loss."""
    made = []
    for number in range(size):
        lots = rng.randint(1, 10**6)
        entry = lots * rng.randint(50_000, 150_000) // 1000
        notional = lots * 100
        is_long = True
        pnl = notional - entry
        value = rng.randint(1, 10**8)
        made.append(
            Candidate(
                b"account %d" % number, lots, entry_notional=entry, notional=notional,
                account_value=value, pnl=pnl, cash=value - pnl,
                maintenance=notional * rng.randint(1, 5) // 100, opened_at=number, is_long=is_long,
            )
        )  # fmt: skip
    return made


def closed_by(name: str, candidates: list[Candidate], lots: int, spared: int | None) -> list[int]:
    """Takes of a venue that closes by a ranking, and secretly leaves one account alone."""
    score = BY_NAME[name].score
    order = sorted(range(len(candidates)), key=lambda at: _ratio(score(candidates[at])))[::-1]
    return queue(lots, [one.lots for one in candidates], [at for at in order if at != spared])


def _ratio(score: tuple[int, int]) -> Decimal:
    return Decimal(score[0]) / Decimal(score[1]) if score[1] else Decimal("Infinity")


@pytest.mark.parametrize("name", [ranking.name for ranking in RANKINGS])
def test_every_planted_exemption_is_found_and_named(name: str) -> None:
    """Each account that the queue would have closed is spared in turn; an honest round fits."""
    rng = random.Random(name)
    candidates = venue_round(rng, 60)
    lots = sum(one.lots for one in candidates) // 4
    honest = closed_by(name, candidates, lots, None)
    positions = [
        Position(one, taken, one.lots) for one, taken in zip(candidates, honest, strict=True)
    ]
    assert examine(positions, BY_NAME[name]).out_of_order == 0
    due = [at for at, taken in enumerate(honest) if taken]
    assert len(due) > 5
    for spared in due:
        takes = closed_by(name, candidates, lots, spared)
        positions = [
            Position(one, taken, one.lots) for one, taken in zip(candidates, takes, strict=True)
        ]
        fit = examine(positions, BY_NAME[name])
        if honest[spared] == candidates[spared].lots:
            assert fit.passed_over == (spared,)
            assert fit.before_turn == ()
        else:
            # The last one of the queue, closed in part: sparing it moves the rest to the next.
            assert fit.out_of_order == 1
    # Of another ranking the same closures are not explained.
    other = BY_NAME["profit" if name != "profit" else "size"]
    honest_positions = [
        Position(one, taken, one.lots) for one, taken in zip(candidates, honest, strict=True)
    ]
    assert examine(honest_positions, other).out_of_order > 0


def test_published_ties_are_an_order_and_unpublished_ones_are_not() -> None:
    """Of two equal scores the later one may be closed alone, unless the order is published."""
    free = [ranked(5, 2, 0), ranked(5, 2, 2), ranked(1, 2, 0)]
    assert examine(free, PROFIT).out_of_order == 0
    tied = [ranked(5, 2, 0, b"a"), ranked(5, 2, 2, b"b"), ranked(1, 2, 0, b"c")]
    assert examine(tied, PROFIT).passed_over == (0,)


def test_a_round_in_which_all_was_closed_tests_nothing() -> None:
    assert not examine([ranked(1, 2, 2), ranked(2, 2, 2)], PROFIT).is_tested
    assert not examine([ranked(1, 2, 0), ranked(2, 2, 0)], PROFIT).is_tested
    assert not examine([], PROFIT).is_tested
    assert examine([ranked(1, 2, 0), ranked(2, 2, 2)], PROFIT).is_tested


def write_table(path: Path, candidates: list[Candidate], takes: list[int]) -> None:
    """A table as a venue might publish it."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["market", "time", "account", "size", "closed", "entry_notional", "notional",
                      "account_value", "maintenance"])  # fmt: skip
        for one, taken in zip(candidates, takes, strict=True):
            money = [Decimal(amount) / 10**6 for amount in (one.entry_notional, one.notional,
                     one.account_value, one.maintenance)]  # fmt: skip
            sizes = [Decimal(lots) / 10**8 for lots in (one.lots, taken)]
            out.writerow(["BTC", "21:16:04", one.key.decode(), *sizes, *money])


def test_a_table_of_a_venue_names_its_ranking_and_its_secret(tmp_path: Path) -> None:
    """The ranking used leaves one account to explain, the others leave many."""
    candidates = venue_round(random.Random(3), 400)
    lots = sum(one.lots for one in candidates) // 5
    honest = closed_by("bitmex", candidates, lots, None)
    spared = max(range(400), key=lambda at: honest[at])
    table = tmp_path / "venue.csv"
    write_table(table, candidates, closed_by("bitmex", candidates, lots, spared))
    done = run_cli("lab", "forensic", str(table), "--json")
    assert done.code == 0, done.err
    rows = {row["ranking"]: row for row in done.document["rankings"]}
    assert rows["bitmex"]["out_of_order"] == 1
    assert rows["bitmex"]["passed_over"] == [
        {"round": "BTC 21:16:04", "account": f"account {spared}"}
    ]
    assert rows["oldest"]["lacks"] == ["opened_at"]
    # Among winners with cross margin these are one order: no table can tell them apart.
    tied = {name for name, row in rows.items() if row["tested"] and row["out_of_order"] == 1}
    assert tied == {"bitmex", "hyperliquid", "okx"}
    assert all(row["out_of_order"] > 5 for name, row in rows.items()
               if row["tested"] and name not in tied)  # fmt: skip
    strict = run_cli("lab", "forensic", str(table), "--policy", "bitmex")
    assert strict.code == 1
    assert f"passed over: account {spared} in round BTC 21:16:04" in strict.out
    assert "cannot show" in strict.out
    write_table(table, candidates, honest)
    assert run_cli("lab", "forensic", str(table), "--policy", "bitmex").code == 0


def test_fills_beside_positions_are_added_up(tmp_path: Path) -> None:
    positions, fills = tmp_path / "positions.csv", tmp_path / "fills.csv"
    positions.write_text(
        "round,account,side,size,entry_price,mark,account_value,exempt\n"
        "r,a,short,10,120,100,50,\nr,b,short,10,110,100,50,no\nr,c,short,10,130,100,50,yes\n"
        "s,a,long,1,1,2,9,\n"
    )
    fills.write_text("account,closed,round\na,4,r\nb,0.5,r\na,6,r\na,0,s\n")
    first, second = read_venue(positions, fills)
    assert [one.taken for one in first.positions] == [10 * 10**8, 5 * 10**7]
    assert [one.candidate.pnl for one in first.positions] == [200_000_000, 100_000_000]
    assert (first.exempt, second.name, len(second.positions)) == (1, "s", 1)
    (document, lines), fits = examine_venue(positions, fills, "hyperliquid")
    assert fits
    assert document["exempt_in_public"] == 1
    assert any("1 are exempt in public" in line for line in lines)
    fills.write_text("account,closed,round\nz,4,r\n")
    with pytest.raises(BadRequest, match="z was closed in round 'r', which has no such row"):
        read_venue(positions, fills)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "account is missing"),
        ("account,size\na,1\n", "no column closed"),
        ("account,closed,size,colour\na,1,1,red\n", "unknown: colour"),
        ("account,closed,closed\na,1,1\n", "one twice"),
        ("account,closed,size\na,1\n", "line 2 has 2 cells, expected 3"),
        ("account,closed,size\na,2,1\n", "line 2: closed: closed 200000000 of a position"),
        ("account,closed,size\na,-1,1\n", "closed: closed -100000000"),
        ("account,closed,size\na,x,1\n", "a plain decimal is needed, was 'x'"),
        ("account,closed,size\na,nan,1\n", "a plain decimal is needed"),
        ("account,closed,size\na,1e40,1\n", "a plain decimal is needed"),
        ("account,closed,size\na,1,1\na,0,1\n", "line 3: a is twice in round all"),
        ("account,closed,side\na,1,up\n", "side is long or short"),
        ("account,closed,isolated\na,1,perhaps\n", "yes or no is needed"),
        ("account,closed,opened_at\na,1,-3\n", "a whole number is needed"),
        ('account,closed\n"a,1\n', "after"),
        ("account,closed\n\xff", None),
    ],
)
def test_malformed_tables_are_refused_naming_the_place(
    tmp_path: Path, text: str, message: str | None
) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadRequest, match=message):
        read_venue(table)
    outcome = run_cli("lab", "forensic", str(table))
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_wrong_questions_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("account,closed,size\na,1,2\n")
    assert run_cli("lab", "forensic", str(tmp_path / "none.csv")).code == 3
    lacking = run_cli("lab", "forensic", str(table), "--policy", "bitmex")
    assert lacking.code == 2
    assert "bitmex needs of every position: notional, entry_notional, account_value" in lacking.err
    assert run_cli("lab", "forensic", str(table), "--policy", "coin_toss").code == 2
    with pytest.raises(BadRequest, match="--fills adds nothing"):
        read_venue(table, table)
    with pytest.raises(NotFound):
        read_venue(tmp_path / "none.csv")


def test_the_columns_that_are_documented_are_those_that_are_read() -> None:
    import chainperp.lab.venue_csv as module

    documented = module.__doc__ or ""
    assert all(name in documented for name in COLUMNS)


needs_october = pytest.mark.skipif(
    not (OCTOBER / "adl_by_user_half.csv").is_file(), reason="the October tables are not beside us"
)


@needs_october
def test_the_october_table_is_read_and_called_untestable() -> None:
    """Only accounts that were closed are in it: the detector must say that it can say nothing."""
    (document, lines), _fits = examine_venue(OCTOBER / "adl_by_user_half.csv", None, None)
    assert document["positions"] == document["closed"] == 9826
    assert document["closed_at_a_loss"] == 58
    assert document["left"] == 0
    assert not any(row["tested"] for row in document["rankings"])
    assert any("neither an order nor an exemption can be tested" in line for line in lines)


@needs_october
def test_planted_exemptions_among_the_october_winners_are_found(tmp_path: Path) -> None:
    """Real concentration: a queue by profit over 9,768 winners that spares one of them."""
    with (OCTOBER / "adl_by_user_half.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if Decimal(row["closed_pnl"]) > 0]
    rows.sort(key=lambda row: Decimal(row["closed_pnl"]), reverse=True)
    assert len(rows) == 9768
    for spared in (0, 1, 5, 9, 97, 490):
        table = tmp_path / f"spared{spared}.csv"
        with table.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["account", "pnl", "account_value_realtime", "size", "closed"])
            for at, row in enumerate(rows):
                out.writerow([row["user"], row["closed_pnl"], row["account_value_realtime"], 1,
                              int(at < 500 and at != spared)])  # fmt: skip
        (document, _lines), fits = examine_venue(table, None, "profit")
        assert not fits
        (found,) = document["rankings"]
        assert [one["account"] for one in found["passed_over"]] == [rows[spared]["user"]]
        assert found["before_turn"] == []
    assert json.dumps(document)
