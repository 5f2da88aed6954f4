"""What the kinds of `shapes.py` accept, in the words of JSON Schema.

Kept beside the kinds, not inside them: a kind is a function on the hot path of every request. The
published description of the API is made from it, so it cannot say anything else than the code does.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

Kind = Callable[[Any], Any]
Schema = dict[str, Any]
Field = tuple[str, Kind, Any]

REQUIRED: Final = object()
"""In a field's third place: the key must be there."""

_SCHEMAS: Final[dict[Kind, Schema]] = {}


def described(kind: Kind, schema: Schema) -> Kind:
    """The same kind, with what it accepts."""
    _SCHEMAS[kind] = schema
    return kind


def schema_of(kind: Kind) -> Schema:
    """What a kind accepts; anything, where it was never described."""
    return _SCHEMAS.get(kind, {})


def fields_schema(fields: Iterable[Field], *, is_closed: bool) -> Schema:
    """An object with the given keys. A key that may be absent may be null, too."""
    properties: Schema = {}
    required: list[str] = []
    for key, kind, absent in fields:
        schema = schema_of(kind)
        if absent is REQUIRED:
            required.append(key)
            properties[key] = schema
        else:
            properties[key] = {"anyOf": [schema, {"type": "null"}]}
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": not is_closed,
    }


def variant_schemas(options: dict[str, Kind], *, typed: bool) -> list[Schema]:
    """One object for each option, with its key alone (behind `type`, when typed)."""
    shared: Schema = {"type": {"type": "string"}} if typed else {}
    return [
        {
            "type": "object",
            "properties": shared | {key: schema_of(kind)},
            "required": [*shared, key],
            "additionalProperties": False,
        }
        for key, kind in options.items()
    ]
