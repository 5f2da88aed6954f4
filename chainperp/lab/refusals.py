"""What is wrong with a file that we were given: a sentence with file, row, field and value."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from chainperp.base.errors import BadRequest, NotFound

SHOWN = 60


def refuse(where: str, sentence: str) -> NoReturn:
    """Refuse an input; `where` names file, row and field."""
    raise BadRequest("bad_input", f"{where}: {sentence}")


def shown(value: object) -> str:
    """A value as it stood in the file, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def place_of(parts: Sequence[str | int]) -> str:
    """A place inside a document, as `candidates[3].w`; rows count from 0.

    >>> place_of(("candidates", 3, "w"))
    'candidates[3].w'
    """
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the document"


def refuse_invalid(name: str, error: ValidationError) -> NoReturn:
    """The first thing that pydantic found, as a sentence."""
    first = error.errors(include_url=False)[0]
    place = place_of(first["loc"])
    if first["type"] == "missing":
        refuse(f"{name}: {place}", "is missing")
    if first["type"] == "extra_forbidden":
        refuse(f"{name}: {place}", "is not a known field")
    message = first["msg"].removeprefix("Value error, ")
    refuse(f"{name}: {place}", f"was {shown(first['input'])}, {message[:1].lower()}{message[1:]}")


def read_text(path: Path) -> str:
    """The text of a file. Raises NotFound, or BadRequest when it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        refuse(path.name, f"is not UTF-8 at byte {error.start}")
    except OSError as error:
        raise NotFound(f"{path.name}: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """A JSON document; duplicate keys and numbers with a fraction are refused by who reads it."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        refuse(f"{path.name}: line {error.lineno}, column {error.colno}", f"no JSON: {error.msg}")
