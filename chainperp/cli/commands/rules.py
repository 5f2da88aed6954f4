"""`chainperp rules`: the rule book, from the rules themselves."""

import sys
from typing import Annotated

import typer

from chainperp.cli import output


def rules(
    code: Annotated[str | None, typer.Argument(help="One rule, such as MRG-2.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole book.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show the rules, or one of them. Example: chainperp rules MRG-2"""
    from chainperp.cli import rules as book
    from chainperp.storage.package import rule_text

    if markdown:
        sys.stdout.write(book.rule_book_markdown())
        return
    listed = {rule.code: rule for rule in book.load_rules()}
    code = code.upper() if code is not None else None
    if code is None:
        rows = [[rule.code, rule_text(rule).strip().split("\n\n")[0].replace("\n", " ")]
                for rule in listed.values()]  # fmt: skip
        laws = [{"code": one, "law": " ".join(law.split())} for one, law in rows]
        output.answer(
            {"rules": laws}, [f"{one:<7}{' '.join(law.split())}" for one, law in rows], as_json
        )
        return
    if code not in listed:
        output.fail(3, f"there is no rule {code!r}", "chainperp rules lists them all")
    found = listed[code]
    document = {
        "code": found.code,
        "function": f"{found.module}.{found.name}",
        "text": rule_text(found),
    }
    output.answer(document, book.explain_rule(code).splitlines(), as_json)
