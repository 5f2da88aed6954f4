"""What the log makes of a witness's answers, told by a server that answers whatever it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from chainperp.base.errors import BadRequest, InvalidProof, NotFound
from chainperp.client.witness import Witness, collect, post, submit
from chainperp.evidence.cosignature import format_lines
from chainperp.evidence.note import KIND_COSIGNATURE, cosign_text, parse_note
from chainperp.evidence.witness import SIZE_TYPE, parse_request
from chainperp.storage.logkey import LogKey, verify_ed25519
from tests.support.witness import MadeLog

LOG = MadeLog("one.example/log", 1)
KEY = LogKey("w.example/w", b"\x11" * 32, KIND_COSIGNATURE)
NOTE = LOG.note(300)
TEXT = parse_note(NOTE).text
LINE = cosign_text(TEXT, KEY.verifier, 1_700_000_000, KEY.sign)
GOOD = (200, "text/plain", format_lines([LINE]))
Scripted = tuple[int, str, bytes]


def at(size: int | str) -> Scripted:
    return 409, SIZE_TYPE, f"{size}\n".encode()


@contextmanager
def server(*answers: Scripted) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that gives these answers in turn, and what it was asked."""
    asked: list[tuple[str, bytes]] = []
    left = list(answers)

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, body))
            status, kind, reply = left.pop(0)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_arguments: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/prefix/", asked
    finally:
        running.shutdown()
        running.server_close()


def test_a_fresh_witness_is_asked_from_zero_and_remembered() -> None:
    with server(at(120), GOOD, GOOD) as (url, asked):
        witness = Witness(url, KEY.verifier)
        outcome = submit(witness, NOTE, LOG.proof, verify_ed25519)
        assert outcome.lines == (LINE,)
        assert witness.size == 300
        submit(witness, NOTE, LOG.proof, verify_ed25519)
    assert {path for path, _body in asked} == {"/prefix/add-checkpoint"}
    requests = [parse_request(body) for _path, body in asked]
    assert [one.old_size for one in requests] == [0, 120, 300]
    assert [list(one.proof) for one in requests] == [[], LOG.proof(120, 300), []]
    assert {one.note for one in requests} == {NOTE}


@pytest.mark.parametrize(
    ("answers", "problem", "contradicts"),
    [
        ([at(301)], "it has cosigned size 301 of this log, which here has 300", True),
        ([(409, "text/plain", b"root differs\n")], "it answered 409: root differs", True),
        ([(422, "text/plain", b"")], "it answered 422: nothing", True),
        ([at(1), at(2), at(3)], "its size was another each of 3 times", False),
        ([at("many")], "size of the witness is not a decimal", False),
        ([at("007")], "leading zeros", False),
        ([(404, "text/plain", b"who?")], "it answered 404: who?", False),
        ([(403, "text/plain", b"")], "it answered 403", False),
        ([(500, "text/plain", b"\xff")], "it answered 500", False),
        ([(302, "text/plain", b"")], "it answered 302", False),
        ([(200, "text/plain", b"")], "does not end", False),
        ([(200, "text/plain", b"hello\n")], "does not start with a dash", False),
        ([(200, "text/plain", format_lines([LINE]) * 300)], "signature line", False),
    ],
)
def test_every_other_answer_is_an_outcome(
    answers: list[Scripted], problem: str, contradicts: bool
) -> None:
    with server(*answers) as (url, asked):
        outcome = submit(Witness(url, KEY.verifier), NOTE, LOG.proof, verify_ed25519)
    assert outcome.lines == ()
    assert problem in outcome.problem
    assert outcome.contradicts == contradicts
    assert outcome.is_reached
    assert len(asked) == len(answers)


def test_a_line_of_another_key_or_text_does_not_count() -> None:
    other = LogKey("v.example/w", b"\x12" * 32, KIND_COSIGNATURE)
    foreign = cosign_text(TEXT, other.verifier, 1, other.sign)
    moved = cosign_text(parse_note(LOG.note(299)).text, KEY.verifier, 1, KEY.sign)
    for line, problem in ((foreign, "has no line of"), (moved, "does not verify")):
        with server((200, "text/plain", format_lines([line]))) as (url, _asked):
            outcome = submit(Witness(url, KEY.verifier), NOTE, LOG.proof, verify_ed25519)
        assert problem in outcome.problem


def test_one_silent_witness_does_not_hold_up_the_others() -> None:
    import socket
    import time

    with socket.socket() as silent, server(GOOD) as (url, _asked):
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        deaf = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        witnesses = [Witness(deaf, KEY.verifier), Witness(url, KEY.verifier)]
        outcomes = collect(witnesses, NOTE, LOG.proof, verify_ed25519, timeout_s=0.5)
        assert time.monotonic() - start < 3
    assert [outcome.is_reached for outcome in outcomes] == [False, True]
    assert [bool(outcome.lines) for outcome in outcomes] == [False, True]
    assert "does not answer" in outcomes[0].problem
    assert collect([], NOTE, LOG.proof, verify_ed25519) == []


def test_addresses_that_are_none_and_notes_that_are_none() -> None:
    for url in ("ftp://x", "w.example", "http://", "file:///etc/passwd"):
        with pytest.raises(BadRequest, match="http or https"):
            post(url, "x", b"", 1)
    with pytest.raises(NotFound):
        post("http://127.0.0.1:99999", "x", b"", 1)
    with pytest.raises(InvalidProof):
        collect([Witness("http://x", KEY.verifier)], b"hello", LOG.proof, verify_ed25519)
