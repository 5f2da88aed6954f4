"""One code, four places: rule, decision record, table, rule book. And every choice is listed.

The INV family never becomes a record: it stops the process before anything is published.
"""

import re
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from chainperp.cli.rules import explain_rule, rule_book_markdown
from chainperp.model.decisions import REASONS, RULE_FAMILIES
from chainperp.model.records import KIND_RULES
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import REGISTERED
from chainperp.storage.package import documented_parameters, rule_text

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "chainperp"
for module in sorted((PACKAGE / "rules").rglob("*.py")):
    if module.stem != "__init__":
        import_module(".".join(module.relative_to(ROOT).with_suffix("").parts))
CODES = sorted(REGISTERED)
CHOICE = re.compile(r"U-([A-Z0-9]+)-(\d+)(?:\.\.(\d+))?", re.ASCII)
CODE = re.compile(r"(?<!U-)\b(?:" + "|".join(RULE_FAMILIES) + r")-\d+\b", re.ASCII)


def texts(folder: Path, pattern: str = "*.py") -> str:
    """All files of a folder as one text."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob(pattern)))


def recorded_codes() -> set[str]:
    """Codes that some record of the log carries or stands for."""
    codes = {reason.rule for reason in REASONS.values()}
    for rules in KIND_RULES.values():
        codes.update(rules)
    codes.update(re.findall(r'rule_number\("([A-Z]+-\d+)"\)', texts(PACKAGE / "transition")))
    return codes


def choices_in(text: str) -> set[str]:
    """`U-…` codes named in a text; `U-ORA-3..5` stands for three."""
    found: set[str] = set()
    for family, first, last in CHOICE.findall(text):
        for number in range(int(first), int(last or first) + 1):
            found.add(f"U-{family}-{number}")
    return found


@pytest.mark.parametrize("code", CODES)
def test_rule_is_in_all_four_places(code: str) -> None:
    """Registered with a law and a source, recorded, in a table, in the rule book."""
    rule = REGISTERED[code]
    assert rule_text(rule).strip(), f"{rule.module}.{rule.name} has no docstring"
    is_recorded = code in recorded_codes()
    assert is_recorded != code.startswith("INV"), f"{code} is in no record"
    table = (ROOT / "fixtures" / "rules" / f"{code[:3]}.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {code}\b", table, re.MULTILINE), f"{code} has no table"
    book = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert re.search(rf"^### {code}\b", book, re.MULTILINE), f"{code} is not in docs/rules.md"


def test_no_code_is_named_that_does_not_exist() -> None:
    """Records and tables name registered rules only."""
    assert recorded_codes() <= set(CODES)
    headings = re.findall(r"^## ([A-Z]+-\d+)", texts(ROOT / "fixtures" / "rules", "*.md"), re.M)
    assert set(headings) == set(CODES)


def test_every_code_in_the_source_is_a_rule() -> None:
    """A comment or docstring of floors 0 to 4 cites rules that exist. `INV-M1` and the like are
    the reference's names for invariants and do not match."""
    for folder in ("rules", "transition", "state", "chain", "model"):
        unknown = {
            code
            for code in CODE.findall(texts(PACKAGE / folder))
            if code not in REGISTERED and code != "INV-0"
        }
        assert not unknown, f"chainperp/{folder} names {sorted(unknown)}"


def test_rule_book_is_current() -> None:
    """docs/rules.md equals what the rules say now; `make rules` writes it."""
    book = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert book == rule_book_markdown(), "docs/rules.md is stale: run make rules"


@pytest.mark.parametrize("code", CODES)
def test_rule_explains_itself(code: str) -> None:
    """The explanation of one rule names it and its source, in any case."""
    text = explain_rule(code.lower())
    assert text.startswith(code)
    assert "Source" in text


def test_unknown_rule_is_named_with_what_exists() -> None:
    """Asking for a rule that does not exist names the families."""
    with pytest.raises(LookupError, match="ORD"):
        explain_rule("XYZ-1")


@pytest.mark.parametrize("name", [field.name for field in fields(Parameters)])
def test_parameter_is_read_and_names_a_rule(name: str) -> None:
    """Each constant is read by some rule, transition or the engine, and names an existing rule."""
    known = {one.name: one for one in documented_parameters()}
    assert known[name].rule in REGISTERED, f"{name} names rule {known[name].rule}"
    assert known[name].source, f"{name} has no source"
    readers = "".join(texts(PACKAGE / folder) for folder in ("rules", "transition", "state"))
    readers += (PACKAGE / "chain" / "engine.py").read_text(encoding="utf-8")
    assert re.search(rf"\bparameters\.{name}\b", readers), f"nothing reads parameters.{name}"


def test_every_choice_is_listed_among_the_differences() -> None:
    """Each `U-…` point that code or parameters name is in docs/differences.md, and no other."""
    listed = choices_in((ROOT / "docs" / "differences.md").read_text(encoding="utf-8"))
    used = choices_in(texts(PACKAGE)) | choices_in(texts(PACKAGE, "*.toml"))
    assert used <= listed, f"docs/differences.md lacks {sorted(used - listed)}"


def test_every_dependency_has_its_reason() -> None:
    """Each package of pyproject.toml has a line in the decision about dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = [re.split(r"[<>=\[]", one)[0] for one in wanted]
    decision = (ROOT / "docs" / "adr" / "0010-dependencies.md").read_text(encoding="utf-8")
    missing = [name for name in names if f"| {name} |" not in decision]
    assert not missing, f"docs/adr/0010-dependencies.md has no line for {', '.join(missing)}"


def test_links_of_the_documents_lead_somewhere() -> None:
    """Relative links in README and docs name files that exist."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.relative_to(ROOT)} links to {link}"
