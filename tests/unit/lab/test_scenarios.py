"""Scenario files: what is refused and how; built-in files; results and pages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import BadRequest
from chainperp.lab.cases import find_case
from chainperp.lab.catalogue import STUDIES, claims_of, study_of, unsourced, values_of
from chainperp.lab.chain import Chain
from chainperp.lab.claims import CLAIMS, DEFECTS, OVERCLAIMS
from chainperp.lab.outcome import Figure, Finding, Outcome, Series, Table, plain, verdict
from chainperp.lab.report import html_page, index_markdown, markdown_page
from chainperp.lab.runner import csv_text, execute, write_result
from chainperp.lab.scenario import (
    ShockFile,
    StudyFile,
    built_in,
    find_scenario,
    read_scenario,
)
from chainperp.lab.shock import crowd_of, grid
from tests.support.chain import run_cli

SHOCK = """
title = "x"
seed = 1
policies = ["P1"]
[[market]]
name = "ETH"
max_leverage = 20
oracle = [[0, "100"], [1, "90"]]
[[traders]]
count = 4
direction = "long"
leverage = { low = 5, high = 15 }
[[traders]]
count = 4
direction = "short"
leverage = { low = 1, high = 3 }
"""
BAD: tuple[tuple[str, str, str], ...] = (
    ('title = "x"', "title = 5", r"x\.toml: title: was 5, input should be a valid string"),
    ("seed = 1", "seed = -1", r"x\.toml: seed: was -1"),
    ("seed = 1", "", r"x\.toml: seed: is missing"),
    ("seed = 1", "seed = 1\ncolour = 2", r"x\.toml: colour: is not a known field"),
    ('["P1"]', '["P1", "P77"]', r'x\.toml: policies\[1\]: "P77" is no policy: there are P0'),
    ('"90"', '"-90"', r"market\[0\]\.oracle: .*must be at least 0"),
    ('"90"', '"90.12345"', r"row 1: price 90.12345 has more than five figures"),
    ('"90"', '"ninety"', r"must be a decimal in text"),
    ("[1,", "[0,", r"row 1: second 0 does not come after 0"),
    ('"long"', '"up"', r"traders\[0\]\.direction: was \"up\""),
    ('"long"', '"short"', r"traders are all short: a market has two sides"),
    ("high = 15", "high = 50", r"traders have leverage up to 50, the market's limit is 20"),
    ("low = 5", "low = 16", r"traders\[0\]\.leverage: .*high, 15, must not be below low, 16"),
    ("count = 4", "count = 0", r"traders\[0\]\.count: was 0"),
    ("[[market]]", "[measure]\nreport = ['glee']\n[[market]]", r'"glee" is no measure: there are'),
    ("title", "title = = ", r"x\.toml: no TOML: "),
)


@pytest.mark.parametrize(("old", "new", "sentence"), BAD)
def test_shock_files_are_refused_by_field(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    """One sentence naming file and field."""
    path = tmp_path / "x.toml"
    path.write_text(SHOCK.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadRequest, match=sentence):
        read_scenario(path)


def test_study_files_are_refused_by_value(tmp_path: Path) -> None:
    """Unknown study, unknown value, a value beyond its limits."""
    path = tmp_path / "x.toml"
    for text, sentence in (
        ('study = "S13"', r"x\.toml: study: was \"S13\""),
        ('study = "S2"\n[values]\ngap = 5', r"x\.toml: values: gap: is not a known field"),
        ('study = "S2"\n[values]\ngap_percent = 90', r"x\.toml: values: gap_percent: was 90"),
        ('study = "S2"\n[quick]\nshorts = "5"', r"x\.toml: values: shorts: was \"5\""),
    ):
        path.write_text(f'title = "x"\nseed = 1\n{text}\n', encoding="utf-8")
        with pytest.raises(BadRequest, match=sentence):
            checked(path)
    with pytest.raises(BadRequest, match="is no scenario file and no built-in scenario"):
        find_scenario("S0")


def checked(path: Path) -> None:
    """A study's file and its values."""
    scenario = read_scenario(path)
    assert isinstance(scenario, StudyFile)
    values_of(path.name, scenario, quick=True)


def test_built_in_files_are_valid_and_every_value_has_a_source() -> None:
    """All twelve studies, every value with a word on where it comes from."""
    studies = set()
    for path in built_in():
        scenario = read_scenario(path)
        if isinstance(scenario, StudyFile):
            assert unsourced(scenario) == [], path.name
            assert scenario.sources.keys() <= set(study_of("", scenario.study).Values.model_fields)
            for quick in (False, True):
                values_of(path.name, scenario, quick)
            assert scenario.study == path.stem
            assert scenario.title == study_of("", scenario.study).TITLE
            assert set(claims_of(scenario.study)) <= set(CLAIMS)
            studies.add(scenario.study)
    assert studies == set(STUDIES) == {f"S{number}" for number in range(1, 13)}


def document(**changes: Any) -> dict[str, Any]:
    """A small result."""
    outcome = Outcome(
        verdicts=[verdict("C8", True, "0.1 < 0.2", "other <b>numbers</b>", boundary=True)],
        tables=[Table("t", "A table", ["name", "amount (USD)"], [["a|b", 1 / 3], ["c", None]])],
        figures=[Figure(name="f", title="F", x="x", y="y", series=[Series("s", [1.0], [2.0])])],
        assumed={"U6": "none"},
        notes=["n"],
        chains={"main": Chain(b"", [], {"height": 1, "entries": 2, "state_root": "00"})},
        defects=True,
    )
    head = {"format": 1, "name": "x", "study": "S2", "title": "T & <x>", "command": "c", "seed": 1,
            "versions": {"python": "3"}, "rules_hash": "ab", "claims": ["C8"],
            "values": {"gap": 10}, "sources": {"gap": "essay"}}  # fmt: skip
    return {**head, **outcome.document(), **changes}


def test_pages_state_claims_defects_and_limits() -> None:
    """Escaped, self-contained, with everything that must be said."""
    page = html_page(document(), {"f": "<svg/>"})
    text = markdown_page(document())
    for found in (page, text):
        for one in (CLAIMS["C8"], "conditional", "0.1 &lt; 0.2" if found is page else "0.1 < 0.2"):
            assert one in found
        for one in (*DEFECTS, *OVERCLAIMS):
            assert one.replace("'", "&#39;") in found or one in found
    assert "<b>numbers</b>" not in page
    assert "T &amp; &lt;x&gt;" in page
    assert "http" not in page
    assert "data:image/svg+xml;base64," in page
    assert "| a\\|b | 0.333333 |" in text
    bare = markdown_page(document(defects=False))
    assert DEFECTS[0] not in bare


def test_index_has_every_claim() -> None:
    """All 22, with results or without."""
    text = index_markdown([document()])
    assert all(f"| {code} |" in text for code in CLAIMS)
    assert len(CLAIMS) == 22
    assert "[x](x/report.md) conditional" in text
    assert text.count("not run here") == 21


def test_verdicts_and_numbers() -> None:
    """Four findings; ten digits; CSV with Unix line ends."""
    assert verdict("C1", None, "", "").finding is Finding.INCONCLUSIVE
    assert verdict("C1", False, "", "", boundary=True).finding is Finding.REFUTED
    assert verdict("C1", True, "", "").finding is Finding.SUPPORTED
    assert plain((1, True, 2 / 3)) == [1, True, 0.6666666667]
    assert csv_text({"columns": ["a"], "rows": [[1], ["x,y"]]}) == 'a\n1\n"x,y"\n'


BAD_VALUES: tuple[tuple[str, str, str, str], ...] = (
    ("S11", "cash", "[-20_000, 1, 1, 1]", r"cash\[0\]: was -20000, input should be greater"),
    ("S11", "exempt_percent", "[0, 200]", r"exempt_percent\[1\]: was 200, input should be less"),
    ("S11", "fall_percent", "0.2", r"fall_percent: was 0\.2, input should be a valid integer"),
    ("S7", "pool_usd", '"50m"', r'pool_usd: was "50m", input should be a valid integer'),
    ("S8", "waves_usd", "[]", r"waves_usd: was \[\], tuple should have at least 1 item"),
    ("S8", "gap_percent", '10\ndata = "DIR"', r"adl_by_user_half\.csv: line 1: has no column clo"),
)


@pytest.mark.parametrize(("code", "name", "value", "sentence"), BAD_VALUES)
def test_bad_values(tmp_path: Path, code: str, name: str, value: str, sentence: str) -> None:
    """Wrong units and ranges in a study's file: file, field, place in a list; what only the run
    sees, such as a column that a table lacks, names the scenario as well."""
    (tmp_path / "gpl3").mkdir()
    (tmp_path / "gpl3" / "adl_by_user_half.csv").write_text("user,adl_notional\n")
    text = find_scenario(code).read_text(encoding="utf-8").partition("[quick]")[0]
    value = value.replace("DIR", str(tmp_path))
    text = re.sub(rf"^{name} = .*$", lambda _: f"{name} = {value}", text, flags=re.MULTILINE)
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match=rf"bad\.toml: values: {sentence}"):
        execute(path)


def imbalance_of(path: Path) -> float:
    """Lambda by the definition, from the people before the shock and the first mark that bankrupts
    somebody; as results print it."""
    scenario = read_scenario(path)
    assert isinstance(scenario, ShockFile)
    crowd = crowd_of(scenario)
    for _, text in scenario.market[0].oracle[1:]:
        price = grid(text)
        equity = {n: crowd.deposits[n] + lots * (price - crowd.entry)
                  for n, lots in crowd.lots.items()}  # fmt: skip
        leverage = {n: abs(crowd.lots[n]) * price / abs(e) for n, e in equity.items() if e}
        bankrupt = sum(one for n, one in leverage.items() if equity[n] < 0)
        if bankrupt:
            winning = sum(one for n, one in leverage.items() if crowd.lots[n] < 0)
            return float(plain(winning / bankrupt))
    raise AssertionError("nobody is bankrupt")


def test_settlements_and_exempt_last(tmp_path: Path) -> None:
    """P16 takes the same part of every balance, P18 profits only, P20 what P6 takes in all, from
    the exempt account too; they leave nothing uncovered where P0 leaves all."""
    path = tmp_path / "x.toml"
    text = SHOCK.replace('"P1"', '"P0", "P6", "P16", "P18", "P20", "P1+last"')
    asked = ["accounts_hit", "shortfall", "overshoot", "severity", "severity_load",
             "leverage_imbalance", "ptsr", "rd_nse"]  # fmt: skip
    text += f"[measure]\nreport = {json.dumps(asked)}\n"
    path.write_text(text.replace("seed = 1\n", "seed = 1\nexempt_top = 1\n", 1), encoding="utf-8")
    [table] = execute(path)["tables"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert list(rows)[-2:] == ["P20 exempt_last", "P1 hyperliquid+last"]
    assert rows["P6 pro_rata_pnl"]["severity (paid / deficit)"] == pytest.approx(1)
    assert rows["P6 pro_rata_pnl"]["PTSR"] is None
    assert {row["leverage imbalance (Lambda)"] for row in rows.values()} == {imbalance_of(path)}
    load = "severity load (kappa)"
    assert rows["P0 market_unwind"][load] == 0 < rows["P6 pro_rata_pnl"][load]
    spared = rows["P0 market_unwind"]
    assert spared["RD-NSE"] == pytest.approx(spared["PTSR"] / (1 + spared["PTSR"]))
    owed = spared["uncovered (USD)"]
    assert owed > 0
    paid = {name: row["winners paid at the round (USD)"] for name, row in rows.items()}
    assert 0 < paid["P16 withdrawal_haircut"] < owed, "the others' balances pay as well"
    assert paid["P18 period_profits"] == pytest.approx(owed)
    assert rows["P16 withdrawal_haircut"]["uncovered (USD)"] < 1e-3
    assert rows["P16 withdrawal_haircut"]["overshoot at the round (USD)"] == 0
    assert paid["P20 exempt_last"] == paid["P6 pro_rata_pnl"]
    hit = {name: row["accounts hit"] for name, row in rows.items()}
    assert hit["P6 pro_rata_pnl"] == 3 < hit["P18 period_profits"] == 4
    with pytest.raises(BadRequest, match=r'policies: "P99\+last" is no policy|"P99" is no policy'):
        find_case("policies", "P99+last")


def test_a_shock_runs_and_writes_a_folder(tmp_path: Path) -> None:
    """Deficit, payments and roots of a small shock; old tables do not survive; its chains pass the
    checks of any chain: log, re-execution with every signature, audit of the money."""
    path = tmp_path / "x.toml"
    path.write_text(SHOCK.replace('"P1"', '"P1", "P6", "P0"'), encoding="utf-8")
    found = execute(path, out=tmp_path / "out")
    [table] = found["tables"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    first, money, nobody = rows
    assert first["deficit (USD)"] == money["deficit (USD)"] == nobody["uncovered (USD)"] > 0
    assert money["winners paid at the round (USD)"] == money["deficit (USD)"]
    assert first["overshoot at the round (USD)"] > 0 == money["overshoot at the round (USD)"]
    assert len({chain["state_root"] for chain in found["chains"].values()}) == 3
    assert found["command"] == "chainperp lab run x.toml"
    folder = tmp_path / "out" / "x"
    log = folder / "chains" / "p6"
    again = run_cli("replay", str(log), "--json").document
    assert again["state_root"] == found["chains"]["P6"]["state_root"]
    assert again["signatures_checked"] == again["transactions"] + 2, "with two oracle votes"
    for command in ("verify", "audit"):
        assert run_cli(command, str(log)).code == 0
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "old.csv").write_text("old")
    write_result(folder, found, "text")
    assert not (folder / "tables" / "old.csv").exists()
    assert json.loads((folder / "result.json").read_text(encoding="utf-8")) == found
