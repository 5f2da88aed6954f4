"""Senders that do not get on are cut, and everybody else is served meanwhile: rows 14 and 15."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.node import NodeProcess, running_node

TRICKLERS = 64
IDLERS = 200
HEAD_CUT_SECONDS = 10
BODY_CUT_SECONDS = 15
SLACK_SECONDS = 6
ANSWER_SECONDS = 2
HEAD = b"POST /info HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """One node for this file."""
    with running_node() as running:
        yield running


def is_cut(connection: socket.socket) -> bool:
    """Whether the other side has closed, after whatever it still had to say."""
    try:
        while select.select([connection], [], [], 0)[0]:
            if not connection.recv(65_536):
                return True
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_senders_that_trickle_are_cut_while_others_are_served(node: NodeProcess) -> None:
    """64 heads and 8 bodies that come a byte a second."""
    with ExitStack() as stack:
        heads = [connect(node, stack) for _ in range(TRICKLERS)]
        bodies = [connect(node, stack) for _ in range(8)]
        for one in bodies:
            one.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        start = time.monotonic()
        heads_cut = bodies_cut = 0.0
        letters = iter(HEAD * 2)
        while time.monotonic() - start < BODY_CUT_SECONDS + SLACK_SECONDS:
            letter = bytes((next(letters),))
            for one in heads:
                trickle(one, letter)
            asked = time.monotonic()
            assert node.info("meta").status == 200
            assert time.monotonic() - asked < ANSWER_SECONDS
            passed = time.monotonic() - start
            if not heads_cut and all(is_cut(one) for one in heads):
                heads_cut = passed
            if not bodies_cut and all(is_cut(one) for one in bodies):
                bodies_cut = passed
            if heads_cut and bodies_cut:
                break
            time.sleep(1)
        assert 0 < heads_cut < HEAD_CUT_SECONDS + SLACK_SECONDS
        assert 0 < bodies_cut < BODY_CUT_SECONDS + SLACK_SECONDS


def connect(node: NodeProcess, stack: ExitStack) -> socket.socket:
    """A connection that is closed with the stack."""
    return stack.enter_context(socket.create_connection((node.host, node.port), timeout=5))


def trickle(connection: socket.socket, letter: bytes) -> None:
    """Send a byte; nobody may be there any more."""
    try:
        connection.send(letter)
    except OSError:
        return


def test_idle_connections_do_not_keep_others_out(node: NodeProcess) -> None:
    """Two hundred connections that say nothing; the next one is answered at once."""
    with ExitStack() as stack:
        for _ in range(IDLERS):
            connect(node, stack)
        asked = time.monotonic()
        assert node.info("meta").status == 200
        assert time.monotonic() - asked < ANSWER_SECONDS


def test_a_stop_does_not_wait_for_a_body_that_never_ends() -> None:
    """SIGTERM ends the node soon, with exit 0, although a request is unfinished."""
    with running_node() as node, ExitStack() as stack:
        unfinished = connect(node, stack)
        unfinished.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        assert node.info("meta").status == 200
        start = time.monotonic()
        node.stop()
        assert time.monotonic() - start < 8  # 5 s on an idle machine
