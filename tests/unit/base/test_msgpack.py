"""The strict MessagePack reader: one encoding per value, precise refusals."""

from typing import Any

import msgpack as reference
import pytest

from chainperp.base.errors import InvalidBytes
from chainperp.base.msgpack import DEPTH_MAX, pack, unpack

BOUNDARIES = [0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1]
BOUNDARIES += [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63)]


@pytest.mark.parametrize("value", BOUNDARIES)
def test_integers_take_the_reference_librarys_form(value: int) -> None:
    assert pack(value) == reference.packb(value)
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("length", [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536])
def test_lengths_take_the_reference_librarys_form(length: int) -> None:
    for value in ("x" * length, [None] * length, {f"{n}": n for n in range(length)}):
        raw = pack(value)
        assert raw == reference.packb(value)
        assert unpack(raw) == value


def test_maps_keep_their_order() -> None:
    value = {"b": 1, "a": 2, "c": {"z": True, "y": False, "x": None}}
    again = unpack(pack(value))
    assert list(again) == ["b", "a", "c"]
    assert list(again["c"]) == ["z", "y", "x"]


REFUSED = [
    ("", "ends at byte 0, inside a value"),
    ("81", "ends at byte 1, inside a value"),
    ("81a161", "ends at byte 3, inside a value"),
    ("92c0", "ends at byte 2, inside a value"),
    ("a461", "ends at byte 2, but a text at byte 1 has 4 bytes"),
    ("cd01", "inside a number at byte 1"),
    ("d1ff", "inside a number at byte 1"),
    ("dd0000", "inside a number at byte 1"),
    ("ddffffffff", "ends at byte 5, inside a value"),
    ("dbffffffff61", "has 4294967295 bytes"),
    ("cc7f", "byte 0: 127 is not in its shortest form"),
    ("cd00ff", "byte 0: 255 is not in its shortest form"),
    ("ce0000ffff", "65535 is not in its shortest form"),
    ("cf00000000ffffffff", "4294967295 is not in its shortest form"),
    ("d005", "5 is not in its shortest form"),
    ("d0e0", "-32 is not in its shortest form"),
    ("d1ff80", "-128 is not in its shortest form"),
    ("d2ffff8000", "-32768 is not in its shortest form"),
    ("d3ffffffff80000000", "-2147483648 is not in its shortest form"),
    ("d30000000000000001", "1 is not in its shortest form"),
    ("d90161", "byte 0: 1 is not in its shortest form"),
    ("da000161", "1 is not in its shortest form"),
    ("db0000000161", "1 is not in its shortest form"),
    ("dc0001c0", "1 is not in its shortest form"),
    ("de0001a161c0", "1 is not in its shortest form"),
    ("81d90161c0", "byte 1: 1 is not in its shortest form"),
    ("ca3f800000", "byte 0 is a float (tag ca)"),
    ("cb3ff0000000000000", "is a float"),
    ("c40161", "is binary data"),
    ("d40000", "is an extension"),
    ("c7010000", "is an extension"),
    ("c1", "is the unused tag"),
    ("8101c0", "key at byte 1 is not text: tag 01"),
    ("81c0c0", "key at byte 1 is not text"),
    ("82a161c0a161c0", "key 'a' at byte 4 stands twice"),
    ("c0c0", "value ends at byte 1, 1 bytes follow"),
    ("a2c328", "text at byte 1 is not UTF-8"),
    ("a2c080", "text at byte 1 is not UTF-8"),
    ("a3eda080", "text at byte 1 is not UTF-8"),
    ("81a1ffc0", "text at byte 2 is not UTF-8"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_other_forms_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidBytes) as caught:
        unpack(bytes.fromhex(text))
    assert reason in str(caught.value)


def test_depth_limit_is_the_same_in_both_directions() -> None:
    deepest: Any = None
    for _ in range(DEPTH_MAX):
        deepest = [deepest]
    assert unpack(pack(deepest)) == deepest
    with pytest.raises(InvalidBytes, match="nested deeper than 8"):
        pack([deepest])
    with pytest.raises(InvalidBytes, match="nested deeper than 8"):
        unpack(b"\x91" + pack(deepest))


def test_an_endless_nest_ends_without_recursion() -> None:
    for tag in (b"\x91", b"\x81\xa0"):
        with pytest.raises(InvalidBytes, match="nested deeper"):
            unpack(tag * 100_000)


@pytest.mark.parametrize("value", [1.0, b"a", (1,), {1: 2}, {None: 2}, 2**64, -(2**63) - 1, {1}])
def test_what_no_action_holds_cannot_be_packed(value: Any) -> None:
    with pytest.raises(InvalidBytes):
        pack({"a": [value]})


def test_a_lone_surrogate_has_no_form() -> None:
    with pytest.raises(InvalidBytes, match="no UTF-8 form"):
        pack("\ud800")
