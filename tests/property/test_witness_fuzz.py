"""Whatever bytes come in from outside: a named refusal, never anything else."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base.errors import BadRequest, InvalidProof
from chainperp.evidence.cosignature import add_lines, take_cosignatures
from chainperp.evidence.note import parse_note, parse_vkey
from chainperp.evidence.policy import check_policy, parse_policy
from chainperp.evidence.witness import Answer, format_request, judge, parse_request
from chainperp.storage.logkey import verify_ed25519
from tests.support.witness import MadeLog

NOTE = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())["note"]
LOG = MadeLog("one.example/log", 1)
POLICY: bytes = NOTE["policy"].encode()
REQUEST = LOG.request(40, 300)
WITNESS = parse_vkey(NOTE["witness_vkeys"][0])
TEXT, _blank, LINES = NOTE["checkpoint"].encode().partition(b"\n\n")


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some places overwritten, cut out, doubled, or spliced with others."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        kind = draw(st.integers(0, 3))
        piece = draw(st.binary(min_size=1, max_size=8))
        if kind == 0:
            raw[at : at + len(piece)] = piece
        elif kind == 1:
            del raw[at : at + draw(st.integers(1, 40))]
        elif kind == 2:
            raw[at:at] = raw[at : at + draw(st.integers(1, 60))]
        else:
            raw[at:at] = draw(st.sampled_from((b"\n", b"\n\n", b" ", b"\t", b"+", "—".encode())))
    return bytes(raw)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=300), damaged(POLICY)))
def test_policies(raw: bytes) -> None:
    try:
        policy = parse_policy(raw)
    except BadRequest as error:
        str(error).encode()  # a message that cannot be printed would be a fault of its own
        return
    try:
        check_policy(policy, NOTE["checkpoint"].encode(), verify_ed25519).sentence().encode()
    except InvalidProof as error:
        str(error).encode()


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=300), damaged(REQUEST)))
def test_requests(raw: bytes) -> None:
    """Only the honest bytes are cosigned: another size or root needs another signature."""
    try:
        request = parse_request(raw)
    except InvalidProof:
        return
    again = parse_request(format_request(request.old_size, request.proof, request.note))
    assert again == request
    judged = judge(request, {LOG.origin: [LOG.key.verifier]}, lambda _origin: None, verify_ed25519)
    assert judged.sentence.encode("utf-8", "backslashreplace")
    if judged.head is not None:
        assert parse_note(judged.head.note).text == parse_note(LOG.note(300)).text
    assert judged.answer is not Answer.COSIGNED or request.old_size == 0


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=300), damaged(LINES)))
def test_answers_of_witnesses(raw: bytes) -> None:
    """A line is taken only as the witness wrote it."""
    try:
        lines = take_cosignatures(TEXT + b"\n", raw, [WITNESS], verify_ed25519)
    except InvalidProof:
        return
    honest = take_cosignatures(TEXT + b"\n", LINES, [WITNESS], verify_ed25519)
    assert lines == honest
    assert add_lines(NOTE["checkpoint"].encode(), lines)
