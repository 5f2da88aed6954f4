"""Changes a proof file in every way that its form allows: each byte class, each field, each list.

`field_changes` walks the JSON tree with its hashes in place and spells the result anew, so that the
container's form is right and only the content is wrong; `byte_changes` damages the file itself.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from chainperp.evidence.verifier.bundle import encode_bundle, unshare

Path = tuple[Any, ...]
CLASSES = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def byte_changes(raw: bytes, step: int, start: int = 0) -> Iterator[tuple[str, bytes]]:
    """Every `step`th byte flipped, dropped, doubled, or replaced by another of its class."""
    for at in range(start, len(raw), step):
        yield f"byte {at} bit flipped", raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
        yield f"byte {at} dropped", raw[:at] + raw[at + 1 :]
        yield f"byte {at} doubled", raw[: at + 1] + raw[at:]
        for members in CLASSES:
            place = members.find(chr(raw[at]))
            if place >= 0:
                other = members[(place + 1) % len(members)].encode()
                yield f"byte {at} of its class", raw[:at] + other + raw[at + 1 :]
    yield "last byte cut", raw[:-1]
    yield "a byte behind", raw + b"\n"
    yield "empty", b""


def tree_of(raw: bytes) -> dict[str, Any]:
    """The JSON tree of a proof file, hashes in place."""
    return unshare(json.loads(raw))


def field_changes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Each field, element and value of a proof changed, one at a time, spelled as a proof is."""
    tree = tree_of(raw)
    for path, value in list(_walk(tree, ())):
        for name, change in _changes(value):
            yield f"{'.'.join(map(str, path))} {name}", _spell(tree, path, change)
        if path and isinstance(path[-1], str):
            yield f"{'.'.join(map(str, path))} taken out", _without(tree, path)
    yield "a field more", _with(tree, (), "stranger", 1)
    yield "a null field more", _with(tree, (), "asset2", None)


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for name in value:
            yield from _walk(value[name], (*path, name))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _walk(one, (*path, at))


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    """Other values of the same kind, and of another."""
    if value is None:
        yield "null to 0", 0
        yield "null to object", {}
    elif isinstance(value, bool | int):
        yield "up", value + 1
        yield "down", value - 1
        yield "to text", str(value)
    elif isinstance(value, str):
        yield from _text_changes(value)
    elif isinstance(value, list):
        yield "with a stranger", [*value, "AAAA"]
        if value:
            yield "without its first", value[1:]
            yield "without its last", value[:-1]
            yield "doubled last", [*value, value[-1]]
        if len(value) > 1 and value[0] != value[-1]:
            yield "turned round", value[::-1]
    else:
        yield "with a stranger", {**value, "stranger": 1}
        yield "to null", None


def _text_changes(value: str) -> Iterator[tuple[str, Any]]:
    yield "emptied", ""
    yield "to a number", 7
    yield "to null", None
    raw = _decoded(value)
    if raw:
        for at in sorted({0, len(raw) // 3, len(raw) // 2, len(raw) - 1}):
            flipped = bytearray(raw)
            flipped[at] ^= 1 << (at % 8)
            yield f"bit of byte {at}", b64encode(flipped).decode()
        yield "a byte shorter", b64encode(raw[:-1]).decode()
        yield "a byte longer", b64encode(raw + b"\x00").decode()
        return
    for at in sorted({0, len(value) // 2, len(value) - 1} if value else set()):
        other = "1" if value[at] != "1" else "2"
        yield f"letter {at}", value[:at] + other + value[at + 1 :]


def _decoded(value: str) -> bytes:
    try:
        raw = b64decode(value, validate=True)
    except ValueError:
        return b""
    return raw if b64encode(raw).decode() == value and len(value) >= 8 else b""


def _spell(tree: dict[str, Any], path: Path, change: Any) -> bytes:
    changed = deepcopy(tree)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = change
    return _encode(changed)


def _without(tree: dict[str, Any], path: Path) -> bytes:
    changed = deepcopy(tree)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return _encode(changed)


def _with(tree: dict[str, Any], path: Path, name: str, value: Any) -> bytes:
    return _spell({**tree, name: None}, (*path, name), value)


def _encode(tree: dict[str, Any]) -> bytes:
    try:
        return encode_bundle("", tree)
    except TypeError:
        # A list of hashes that holds what is no text cannot be shared; the plain form is refused.
        return (json.dumps(tree, indent=0, sort_keys=True) + "\n").encode()
