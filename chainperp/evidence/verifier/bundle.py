"""The container of a proof: one JSON object, in one byte form, every field of it read.

Decides what a proof file looks like, never what it proves. The container is never hashed; its
form is strict all the same, so that no byte of a file can be changed unnoticed: another spelling of
the same JSON, a field that nobody reads and a second spelling of the same base64 are refused.

    {"format": "chainperp-proof/1", "hashes": [...], "kind": "...", ...}    keys sorted, no indent

Bytes are padded base64; addresses are 0x and 40 hex digits; numbers are whole. Ways to one root
share most of their hashes, so each hash is written once, in `hashes`, in the order of first use;
the lists `inclusion`, `before`, `after` and `proof` hold places in it.
Source: audit-log-and-consensus 9.2.
"""

import json
from base64 import b64encode
from typing import Any, Final, NoReturn

from chainperp.base.errors import InvalidProof
from chainperp.base.units import Address, address_text
from chainperp.evidence.merkle import PROOF_MAX, SIZE_MAX
from chainperp.evidence.note import decode_base64, decode_hash

FORMAT: Final = "chainperp-proof/1"
FILE_BYTES_MAX: Final = 64 << 20
ROWS_MAX: Final = 1 << 20
HASH_LISTS: Final = ("after", "before", "inclusion", "proof")

Tree = dict[str, Any]


def encode_bundle(kind: str, tree: Tree) -> bytes:
    """Bytes of a proof file."""
    return _spell({"format": FORMAT, "kind": kind, **tree})


def _spell(tree: Tree) -> bytes:
    """The one spelling: shared hashes, sorted keys, one line for each value."""
    copied = json.loads(json.dumps(tree))
    known: dict[str, int] = {}
    for holder, name in _hash_lists(copied):
        holder[name] = [known.setdefault(text, len(known)) for text in holder[name]]
    copied["hashes"] = list(known)
    return (json.dumps(copied, indent=0, sort_keys=True) + "\n").encode("ascii")


def unshare(shared: Tree) -> Tree:
    """The tree with its hashes in place, in itself.

    Raises LookupError, TypeError, AttributeError for places that are not in `hashes`.
    """
    hashes = shared.pop("hashes")
    for holder, name in _hash_lists(shared):
        holder[name] = [hashes[at] for at in holder[name]]
    return shared


def _hash_lists(tree: Tree) -> list[tuple[Tree, str]]:
    """Every list of hashes, as (object, field), depth first and by field name."""
    found: list[tuple[Tree, str]] = []
    waiting: list[Any] = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            holder, name = one
            found.append((holder, name))
        elif isinstance(one, dict):
            for name in sorted(one, reverse=True):
                is_hashes = name in HASH_LISTS and isinstance(one[name], list)
                waiting.append((one, name) if is_hashes else one[name])
        elif isinstance(one, list):
            waiting.extend(reversed(one))
    return found


def parse_bundle(raw: bytes) -> "Fields":
    """The fields of a proof file.

    Raises: InvalidProof for bytes that are not JSON in this module's spelling, or another format.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise InvalidProof(f"proof file has {len(raw)} bytes, at most {FILE_BYTES_MAX}")
    try:
        tree = unshare(json.loads(raw, parse_float=_refuse, parse_constant=_refuse))
        spelled = _spell(tree)
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError) as error:
        raise InvalidProof(f"proof file is not JSON of its form: {str(error)[:120]}") from error
    if spelled != raw:
        raise InvalidProof("proof file is not spelled as chainperp writes it")
    fields = Fields(tree, "")
    found = fields.text("format")
    if found != FORMAT:
        raise InvalidProof(f"proof format was {found[:40]!r}, expected {FORMAT!r}")
    return fields


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"number {text[:40]} is not a whole number")


def base64_text(raw: bytes) -> str:
    """Bytes as a field of a proof file."""
    return b64encode(raw).decode("ascii")


def base64_list(pieces: "list[bytes] | tuple[bytes, ...]") -> list[str]:
    """A list of byte strings as a field of a proof file."""
    return [base64_text(piece) for piece in pieces]


class Fields:
    """One object of a proof file. Each field is read once, by its type; `finish` finds the rest.

    Every reader raises InvalidProof naming the field when it is missing or of another type.
    """

    __slots__ = ("_tree", "where")

    def __init__(self, tree: Tree, where: str) -> None:
        self._tree = dict(tree)
        self.where = where

    def _take(self, name: str, kind: type) -> Any:
        if name not in self._tree:
            raise InvalidProof(f"{self.where}{name} is missing")
        value = self._tree.pop(name)
        if type(value) is not kind:
            raise InvalidProof(f"{self.where}{name} is not a {kind.__name__}: {str(value)[:60]!r}")
        return value

    def has(self, name: str) -> bool:
        """Whether a field, which must be there, is not null; a null is read by this."""
        if name not in self._tree:
            raise InvalidProof(f"{self.where}{name} is missing")
        if self._tree[name] is None:
            del self._tree[name]
            return False
        return True

    def holds(self, name: str) -> bool:
        """Whether a field is there at all."""
        return name in self._tree

    def text(self, name: str) -> str:
        """A string."""
        value: str = self._take(name, str)
        return value

    def count(self, name: str) -> int:
        """A whole number from 0 to 2^63 - 1."""
        value: int = self._take(name, int)
        if not 0 <= value <= SIZE_MAX:
            raise InvalidProof(f"{self.where}{name} was {value}, expected 0 to {SIZE_MAX}")
        return value

    def raw(self, name: str) -> bytes:
        """Bytes."""
        return decode_base64(self._encoded(self.text(name), name), self.where + name)

    def raws(self, name: str, most: int = ROWS_MAX) -> list[bytes]:
        """A list of byte strings."""
        rows = self._rows(name, most)
        return [decode_base64(self._encoded(row, name), self.where + name) for row in rows]

    def hashes(self, name: str) -> list[bytes]:
        """A list of 32-byte hashes."""
        rows = self._rows(name, PROOF_MAX)
        return [decode_hash(self._encoded(row, name), self.where + name) for row in rows]

    def note(self, name: str) -> bytes:
        """A signed note, which is text."""
        return self.text(name).encode("utf-8", "surrogatepass")

    def address(self, name: str) -> Address:
        """An account's address."""
        text = self.text(name)
        try:
            found = Address(bytes.fromhex(text[2:]))
        except ValueError:
            found = Address(b"")
        if len(found) != 20 or address_text(found) != text:
            raise InvalidProof(f"{self.where}{name} is not an address: was {text[:60]!r}")
        return found

    def part(self, name: str) -> "Fields":
        """An object inside this one."""
        return Fields(self._take(name, dict), f"{self.where}{name}.")

    def parts(self, name: str) -> "list[Fields]":
        """A list of objects."""
        rows = self._rows(name, ROWS_MAX)
        found: list[Fields] = []
        for at, row in enumerate(rows):
            if type(row) is not dict:
                raise InvalidProof(f"{self.where}{name}[{at}] is not an object")
            found.append(Fields(row, f"{self.where}{name}[{at}]."))
        return found

    def finish(self) -> None:
        """Refuse fields that nobody has read: nothing in a proof goes unchecked."""
        if self._tree:
            left = ", ".join(sorted(self._tree))[:120]
            raise InvalidProof(f"{self.where or 'proof file '}has fields that mean nothing: {left}")

    def _rows(self, name: str, most: int) -> list[Any]:
        rows: list[Any] = self._take(name, list)
        if len(rows) > most:
            raise InvalidProof(f"{self.where}{name} has {len(rows)} rows, at most {most}")
        return rows

    def _encoded(self, value: Any, name: str) -> bytes:
        if type(value) is not str:
            raise InvalidProof(f"{self.where}{name} holds {str(value)[:40]!r}, expected base64")
        return value.encode("utf-8", "surrogatepass")
