"""The quick reader of JSON gives what the strict one gives, or leaves the text to it."""

import json
import random
from collections.abc import Callable
from typing import Any

from chainperp.base.errors import BadRequest
from chainperp.client.wallet import sign_action
from chainperp.wire.actions import _read_plain, read_json, read_strictly
from tests.unit.wire.samples import SAMPLES

BODIES = 20_000
NAMES = ("a", "b", "nonce", "c:d", "", "\\u0061", "é")
ATOMS = (
    "0", "7", "-0", "-7", "1.0", "1e3", "9" * 20, "9" * 21, "NaN", "true", "false", "null", "01",
    "tru", '"', "", '"a"', '"0.5"', '"x:y"', '"\\u0041"', '"\\ud800"', '"\t"',
)  # fmt: skip
BLANKS = ("",) * 12 + (" ", "\n ")
PATCHES = ("", ":", ",", '"', "}", "[", "0", "\\", " ")


def text_of(draw: random.Random, depth: int) -> str:
    """Text that is JSON most of the time, with what two parsers could read differently."""
    kind = draw.random() if depth else 1.0
    if kind < 0.6:
        pairs = [
            f'{draw.choice(BLANKS)}"{draw.choice(NAMES)}"{draw.choice(BLANKS)}:'
            f"{draw.choice(BLANKS)}{text_of(draw, depth - 1)}"
            for _ in range(draw.randrange(4))
        ]
        return "{" + ",".join(pairs) + draw.choice(BLANKS) + "}"
    if kind < 0.75:
        return "[" + ",".join(text_of(draw, depth - 1) for _ in range(draw.randrange(3))) + "]"
    return draw.choice(ATOMS[:2] + ATOMS) if draw.random() < 0.5 else '"0.01"'


def damaged(draw: random.Random, text: str) -> str:
    """The text with one letter changed, left out or put in."""
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(PATCHES) + text[at + draw.randrange(2) :]


def outcome(read: Callable[[Any], Any], body: Any) -> tuple[str, str]:
    """What a reader says: the value with its order of keys and its types, or the refusal."""
    try:
        return "", repr(read(body))
    except BadRequest as error:
        return error.code, str(error)


def test_values_and_refusals_are_those_of_the_strict_reader() -> None:
    draw = random.Random(11)
    quick = 0
    codes: set[str] = set()
    for number in range(BODIES):
        text = text_of(draw, 1 + number % 4)
        for body in (text, damaged(draw, text), f"{draw.choice(BLANKS)}{text}\n"):
            expected = outcome(read_strictly, body)
            assert outcome(read_json, body.encode()) == expected, body
            codes.add(expected[0])
            quick += _read_plain(body) is not None
    assert codes == {"", "json", "number", "duplicate_key"}
    assert quick > BODIES / 10


def test_what_traders_send_is_read_quickly() -> None:
    for name in ("order", "cancel", "cancelByCloid", "modify", "batchModify", "setGlobal"):
        body = json.dumps(sign_action(bytes([1]) * 32, SAMPLES[name], 1700000000000, "Testnet"))
        assert repr(_read_plain(body)) == repr(read_strictly(body)), name
