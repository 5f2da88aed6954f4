"""The published description of the HTTP surface, OpenAPI 3.1, made from what the code accepts."""

from typing import Any, Final

from chainperp import __version__
from chainperp.node.dev import SHAPES as DEV_SHAPES
from chainperp.node.info.registry import Registry
from chainperp.storage.history import LIMIT_MAX
from chainperp.wire.actions import SHAPES
from chainperp.wire.schema import Schema, fields_schema, schema_of

TEXT: Final = {"content": {"text/plain": {"schema": {"type": "string", "maxLength": 4096}}}}
ERRORS: Final[dict[str, Schema]] = {
    "400": {"description": "not JSON, or JSON that two readers could read differently", **TEXT},
    "403": {"description": "a web page of another origin", **TEXT},
    "413": {"description": "the body is too large", **TEXT},
    "415": {"description": "not sent as plain JSON", **TEXT},
    "421": {"description": "a host name that is not this node's", **TEXT},
    "422": {"description": "JSON that is no request", **TEXT},
    "429": {"description": "too many requests", **TEXT},
    "503": {"description": "busy, stopping or out of room: nothing was accepted", **TEXT},
}
SIGNATURE: Final = {
    "type": "object",
    "properties": {
        "r": {"type": "string", "pattern": "^0x[0-9a-fA-F]{1,64}$"},
        "s": {"type": "string", "pattern": "^0x[0-9a-fA-F]{1,64}$"},
        "v": {"type": "integer", "enum": [27, 28]},
    },
    "required": ["r", "s", "v"],
    "additionalProperties": False,
}

PROMISE: Final[Schema] = {
    "name": "X-Promise",
    "in": "header",
    "required": False,
    "description": "1: the reply carries a signed promise of inclusion",
    "schema": {"type": "string", "enum": ["1"]},
}


def openapi(registry: Registry) -> Schema:
    """The whole document."""
    refused = {"status": {"const": "err"}, "response": {"type": "string"}}
    done = {"status": {"const": "ok"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chainperp node",
            "version": __version__,
            "description": "Hyperliquid's wire on a chain whose every decision can be checked.",
        },
        "paths": {
            "/info": {"post": _operation("Ask", _questions(registry), {})},
            "/exchange": {
                "post": _operation(
                    "Send a signed action",
                    _signed_request(),
                    {"oneOf": [_object(refused), _object(done)]},
                )
                | {"parameters": [PROMISE]}
            },
            "/dev": {
                "post": _operation(
                    "Control a development chain",
                    {"oneOf": [_named(name, schema_of(kind)) for name, kind in DEV_SHAPES.items()]},
                    {"oneOf": [_object(refused), _object(done)]},
                )
            },
            "/evm": {"post": _json_rpc()},
            "/log/checkpoint": {"get": _document("The log's signed checkpoint", "text/plain")},
            "/log/checkpoints": {
                "get": _document(
                    "Checkpoints published so far, one a line", "application/jsonl", "400"
                )
                | {"parameters": [_option("after", 0, 10**15 - 1), _option("limit", 1, LIMIT_MAX)]}
            },
            "/healthz": {"get": _document("Whether the loop turns", "application/json", "503")},
            "/readyz": {
                "get": _document("Whether questions are answered", "application/json", "503")
            },
            "/metrics": {"get": _document("Prometheus text", "text/plain")},
            "/openapi.json": {"get": _document("This document", "application/json")},
        },
    }


def _questions(registry: Registry) -> Schema:
    return {
        "oneOf": [
            _named(query.name, fields_schema(query.fields, is_closed=False))
            for query in registry.queries.values()
        ]
    }


def _signed_request() -> Schema:
    address = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    return {
        "type": "object",
        "properties": {
            "action": {"oneOf": [_named(name, schema_of(kind)) for name, kind in SHAPES.items()]},
            "nonce": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
            "signature": SIGNATURE,
            "vaultAddress": address,
            "expiresAfter": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        },
        "required": ["action", "nonce", "signature"],
        "additionalProperties": False,
    }


def _json_rpc() -> Schema:
    """JSON-RPC of the EVM: a request, or a batch of them. Methods are those of other nodes."""
    request = {
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["integer", "string", "null"]},
            "method": {"type": "string", "maxLength": 60},
            "params": {"type": "array", "maxItems": 8},
        },
        "required": ["jsonrpc", "id", "method"],
    }
    answer: Schema = {"type": "object", "required": ["jsonrpc", "id"]}
    described = _operation(
        "JSON-RPC of the EVM beside the chain",
        {"oneOf": [request, {"type": "array", "items": request, "minItems": 1, "maxItems": 200}]},
        {"oneOf": [answer, {"type": "array", "items": answer}]},
    )
    described["responses"] |= {
        "204": {"description": "nothing was asked that has an answer"},
        "404": {"description": "the chain names no contracts", **TEXT},
    }
    return described


def _named(name: str, schema: Schema) -> Schema:
    """The schema of an object whose `type` is a word."""
    named = dict(schema)
    if "oneOf" in named:
        return {"oneOf": [_named(name, one) for one in named["oneOf"]]}
    named["properties"] = {**named.get("properties", {}), "type": {"const": name}}
    named["required"] = sorted({*named.get("required", []), "type"})
    return named


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _operation(summary: str, request: Schema, answer: Schema) -> Schema:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {
                "description": "understood; what the exchange refuses says so in the document",
                "content": {"application/json": {"schema": answer}},
            },
            **ERRORS,
        },
    }


def _option(name: str, least: int, most: int) -> Schema:
    """A whole number in the query."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _document(summary: str, media_type: str, *others: str) -> Schema:
    content: dict[str, Any] = {media_type: {}}
    found: Schema = {"200": {"description": summary, "content": content}}
    for status in (*others, "403", "421", "429"):
        found[status] = {
            "description": "not now, or not for you",
            "content": content | TEXT["content"],
        }
    return {"summary": summary, "responses": found}
