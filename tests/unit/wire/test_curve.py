"""The C functions of coincurve, called by hand, say what its public API says."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import coincurve
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.wire import curve
from chainperp.wire.curve import recover_by_functions, recover_by_objects, recover_key
from chainperp.wire.signature import CURVE_ORDER
from tests.support.chain import ROOT

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=300)
EDGES = (0, 1, 5, CURVE_ORDER >> 1, CURVE_ORDER - 1, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1)

words = st.binary(min_size=32, max_size=32) | st.sampled_from(
    [edge.to_bytes(32, "big") for edge in EDGES]
)


def test_the_functions_are_found_in_the_pinned_release() -> None:
    assert curve.IS_DIRECT
    assert recover_key is recover_by_functions


@FIXED
@given(words, words, words, st.booleans())
def test_any_numbers_give_the_same_key_or_none(
    digest: bytes, r: bytes, s: bytes, is_odd: bool
) -> None:
    found = recover_by_functions(digest, r + s, is_odd)
    assert found == recover_by_objects(digest, r + s, is_odd)
    assert found is None or len(found) == 64


@FIXED
@given(st.integers(1, CURVE_ORDER - 1), words)
def test_a_signature_gives_its_own_key_whatever_was_asked_before(
    secret: int, digest: bytes
) -> None:
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    signature = key.sign_recoverable(digest, hasher=None)
    assert recover_by_functions(digest, bytes(64), False) is None
    found = recover_by_functions(digest, signature[:64], signature[64] == 1)
    assert found == key.public_key.format(compressed=False)[1:]


@pytest.mark.parametrize(("digest", "numbers"), [(31, 64), (33, 64), (0, 64), (32, 63), (32, 65)])
def test_other_lengths_never_reach_the_library(digest: int, numbers: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        recover_by_functions(bytes(digest), bytes(numbers), False)


def test_threads_do_not_write_into_each_others_memory() -> None:
    draw = random.Random(7)
    work = [(draw.randbytes(32), draw.randbytes(64), draw.random() < 0.5) for _ in range(2_000)]
    expected = [recover_by_objects(*one) for one in work]
    assert None in expected
    assert len(set(expected)) > 500
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: recover_by_functions(*one), work)) == expected


def test_without_the_functions_the_public_api_does_the_work() -> None:
    script = (
        "import coincurve.context; del coincurve.context.GLOBAL_CONTEXT\n"
        "from chainperp.wire import curve, signing\n"
        "assert curve.recover_key is curve.recover_by_objects\n"
        "from tests.unit.wire.test_signing import OWNER, numbers, word\n"
        "v, r, s = numbers(bytes(32))\n"
        "assert signing.recover(bytes(32), v, word(r), word(s)) == OWNER\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, check=True)
