"""Every row of every rule table holds, and every rule has its rows."""

import pytest

import tests.rules.account_cases
import tests.rules.buyback_cases
import tests.rules.quoting_cases
import tests.rules.risk_cases
import tests.rules.spot_cases
import tests.rules.vault_cases  # noqa: F401 - registers its cases
from chainperp.model.decisions import REASONS, Rejection
from chainperp.rules.catalogue import REGISTERED
from tests.rules.adl_cases import CASES
from tests.rules.runner import Table, failing_rows, load_tables, parse
from tests.rules.story import play

TABLES = load_tables()
FAMILIES = sorted({code[:3] for code in REGISTERED})
# A rule refuses if a reason names it, or if it stops the process.
REFUSING = sorted(
    {reason.rule for code, reason in REASONS.items() if code is not Rejection.ACCEPTED}
    | {code for code in REGISTERED if code.startswith("INV")}
)


@pytest.mark.parametrize(
    "table", TABLES, ids=[f"{table.code}-{number}" for number, table in enumerate(TABLES)]
)
def test_every_row_of_the_table_holds(table: Table) -> None:
    """The rule says what the table expects; failing rows are printed with the law."""
    wrong = failing_rows(table, CASES, play)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("code", sorted(REGISTERED))
def test_rule_has_rows_of_its_own_function(code: str) -> None:
    """At least two rows ask the pure function itself, so both sides of a bound are there."""
    rows = [row for table in TABLES if table.code == code and not table.is_story
            for row in table.rows]  # fmt: skip
    assert len(rows) >= 2, f"{code} has {len(rows)} rows in fixtures/rules/{code[:3]}.md"


@pytest.mark.parametrize("code", REFUSING)
def test_refusing_rule_has_a_refusal_row(code: str) -> None:
    """A rule that can say no has a row in which it does."""
    rows = [row for table in TABLES if table.code == code for row in table.rows]
    assert any(row.is_refusal for row in rows), f"{code} has no row that is refused"


def test_every_reason_of_a_refusal_is_named_by_some_row() -> None:
    """Each reason in the closed list is the outcome of a row, so none is dead."""
    expected = " ".join(row["expect"] for table in TABLES for row in table.rows)
    plain = {"SIZE_ZERO", "SIZE_INVALID", "ACCEPTED"}
    missing = [one.name for one in REASONS if one.name not in expected and one.name not in plain]
    assert not missing, f"no row ends with {', '.join(missing)}"


def test_every_row_names_its_rule_and_source() -> None:
    """Tables stand in their family's file, under rules that exist, and every row cites."""
    for table in TABLES:
        assert table.code in REGISTERED
        for row in table.rows:
            assert row.file == f"{table.code[:3]}.md"
            assert row["because"]


def test_every_family_has_a_file() -> None:
    """One file per family of rules."""
    assert sorted({row.file for table in TABLES for row in table.rows}) == [
        f"{family}.md" for family in FAMILIES
    ]


def test_a_wrong_row_is_reported_with_file_row_and_law() -> None:
    """The runner is not vacuous: a false row names its place, what was found, and the law."""
    text = "## MRG-8 x\n\n| account value | maintenance margin | expect | because |\n"
    text += "|---|---|---|---|\n| 100 | 100 | liquidatable | nobody says so |\n"
    (table,) = parse(text, "MRG.md")
    (message,) = failing_rows(table, CASES, play)
    assert "MRG.md:5 MRG-8" in message
    assert "found  safe" in message
    assert "equality is safe" in message


def test_a_wrong_story_row_is_reported() -> None:
    """A story that ends otherwise than it says is reported too."""
    text = "## MAT-1 x\n\n| block | who | does | expect | because |\n|-|-|-|-|-|\n"
    text += "| 1 | Ann | deposit 10 | refused: AMOUNT_INVALID | nobody says so |\n"
    (table,) = parse(text, "MAT.md")
    (message,) = failing_rows(table, CASES, play)
    assert "found  done" in message
