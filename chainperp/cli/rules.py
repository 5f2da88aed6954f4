"""The rule book, generated from the rules themselves.

`rule_book_markdown` is `docs/rules.md`; `explain_rule` is one rule for the terminal. Everything
comes from the docstrings, the parameter file and the refusal texts, so the book cannot say
anything that the code does not.
"""

import re
import sys
from importlib import import_module
from typing import Final, NamedTuple

from chainperp.model.decisions import REASONS, RULE_FAMILIES, Rejection
from chainperp.model.records import KIND_RULES
from chainperp.parameters.load import Annotated
from chainperp.rules.catalogue import REGISTERED, Rule, rules_in_order
from chainperp.storage.package import PACKAGE, documented_parameters, rule_text

FAMILY_TITLES: Final = {
    "ADM": "Admission",
    "BLK": "Order inside a block",
    "PRC": "Prices",
    "ORD": "Orders",
    "MAT": "Matching",
    "MRG": "Margin",
    "PNL": "Profit and entry",
    "FEE": "Fees",
    "FND": "Funding",
    "TRF": "Transfers",
    "TRG": "Triggers",
    "INV": "Invariants",
}
LABELS: Final = ("Formula", "Rounding", "Rejects", "Raises", "Source", "Example")
LABEL: Final = re.compile(r"(?:^|(?<=[.;:] ))(" + "|".join(LABELS) + r"): ", re.ASCII)


class Sections(NamedTuple):
    """A rule's docstring, taken apart."""

    law: str
    why: list[str]
    labelled: dict[str, str]
    doctest: list[str]


def load_rules() -> list[Rule]:
    """All rules, by family and number; imports every module of the rules package."""
    for path in sorted((PACKAGE / "rules").rglob("*.py")):
        if path.stem != "__init__":
            name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
            import_module(f"chainperp.{name}")
    return rules_in_order()


def sections_of(text: str) -> Sections:
    """Law, reasons, labelled parts and doctest of a docstring."""
    paragraphs: list[str] = []
    doctest: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines()]
        if lines[0].startswith(">>>"):
            doctest += lines
        else:
            paragraphs.append(" ".join(lines))
    why: list[str] = []
    labelled: dict[str, str] = {}
    for paragraph in paragraphs[1:]:
        pieces = LABEL.split(paragraph)
        if pieces[0].strip():
            why.append(pieces[0].strip())
        for label, content in zip(pieces[1::2], pieces[2::2], strict=True):
            labelled[label] = content.strip()
    return Sections(paragraphs[0], why, labelled, doctest)


def rule_book_markdown() -> str:
    """The whole rule book as Markdown."""
    rules = load_rules()
    parameters = documented_parameters()
    lines = [
        "# Rule book",
        "",
        "Generated from the rules by `make rules`; do not edit. Each rule is one pure function.",
        "Its code is in the log beside every decision it makes; its examples are tables that the",
        "tests run. `U-…` points and evidence tags are in [differences](differences.md), words in",
        "the [glossary](glossary.md).",
    ]
    for family in RULE_FAMILIES:
        members = [rule for rule in rules if rule.code.startswith(family)]
        if not members:
            continue
        lines += ["", f"## {family}: {FAMILY_TITLES.get(family, family)}"]
        for rule in members:
            lines += ["", *_rule_lines(rule, parameters)]
    return "\n".join(lines) + "\n"


def _rule_lines(rule: Rule, parameters: list[Annotated]) -> list[str]:
    """One rule of the book."""
    found = sections_of(rule_text(rule))
    family = rule.code.partition("-")[0]
    lines = [f"### {rule.code} {rule.name.replace('_', ' ')}", "", f"**{found.law}**"]
    for paragraph in found.why:
        lines += ["", paragraph]
    lines.append("")
    lines += [f"- {label}: {found.labelled[label]}" for label in LABELS if label in found.labelled]
    lines.append(f"- Function: `{rule.name}` in `{_place(rule)}`")
    table = f"../fixtures/rules/{family}.md"
    lines.append(f"- Table: [{family}.md]({table})")
    lines.append(f"- Recorded in: {_records(rule.code)}")
    for reason in _reasons(rule.code):
        lines.append(f"- Refusal: {reason}")
    mine = [one for one in parameters if one.rule == rule.code]
    if mine:
        lines += ["", "| parameter | value | unit | source |", "|---|---|---|---|"]
        lines += [
            f"| `{one.name}` | {one.value} | {one.unit or '–'} | {one.source} |" for one in mine
        ]
    if found.doctest:
        lines += ["", "```python", *found.doctest, "```"]
    return lines


def _place(rule: Rule) -> str:
    return rule.module.replace(".", "/") + ".py"


def _records(code: str) -> str:
    """The log entries that carry the rule's decision."""
    kinds = [kind.name for kind, codes in KIND_RULES.items() if code in codes]
    if any(reason.rule == code for reason in REASONS.values()):
        kinds.append("the result or reason of what it refuses")
    if kinds:
        return ", ".join(kinds)
    return "nothing: it stops the process" if code.startswith("INV") else "nothing yet"


def _reasons(code: str) -> list[str]:
    """How the rule's refusals are named in the log, and what a client reads."""
    return [
        f"`{rejection.name}`" + (f": {reason.text}" if reason.text else f" (`{reason.status}`)")
        for rejection, reason in REASONS.items()
        if reason.rule == code and rejection is not Rejection.ACCEPTED
    ]


def explain_rule(code: str) -> str:
    """One rule in words, with its parameters and refusals. LookupError when it does not exist."""
    load_rules()
    rule = REGISTERED.get(code.upper())
    if rule is None:
        families = sorted({one.partition("-")[0] for one in REGISTERED})
        raise LookupError(f"no rule {code}: there are the families {' '.join(families)}")
    found = sections_of(rule_text(rule))
    lines = [f"{rule.code} {rule.name.replace('_', ' ')}", "", found.law]
    for paragraph in found.why:
        lines += ["", paragraph]
    lines.append("")
    lines += [f"{label}: {found.labelled[label]}" for label in LABELS if label in found.labelled]
    lines.append(f"Function: {rule.name} in {_place(rule)}")
    lines.append(f"Table: fixtures/rules/{rule.code.partition('-')[0]}.md")
    lines.append(f"Recorded in: {_records(rule.code)}")
    lines += [f"Refusal: {reason.replace('`', '')}" for reason in _reasons(rule.code)]
    for one in documented_parameters():
        if one.rule == rule.code:
            lines.append(f"Parameter: {one.name} = {one.value} {one.unit} [{one.source}]")
    if found.doctest:
        lines += ["", *found.doctest]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(rule_book_markdown())
