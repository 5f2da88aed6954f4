"""The HTTP client: one kept connection, precise errors, a signed action sent exactly once."""

import socket
import time
from typing import Any

import pytest

from chainperp.base.errors import BadRequest
from chainperp.client.node import NodeClient
from chainperp.client.refusal import Refused, Unavailable, Unreachable
from tests.support.other_node import other_node

BODY = {"action": {"type": "noop"}}
DONE = {"status": "ok", "response": {"type": "default"}}


def test_questions_carry_their_fields_and_reuse_the_connection() -> None:
    with other_node(info={"l2Book": {"coin": "BTC"}}) as other:
        node = NodeClient(other.url)
        assert node.info("l2Book", coin="BTC") == {"coin": "BTC"}
        kept = node._connection.sock
        assert node.info("l2Book", coin="BTC", nSigFigs=5) == {"coin": "BTC"}
        assert node._connection.sock is kept
        assert other.asked[1] == {"type": "l2Book", "coin": "BTC", "nSigFigs": 5}
        node.close()


def test_small_questions_do_not_wait_for_acknowledgements() -> None:
    """Nagle against delayed acknowledgement costs 40 ms for each request; none here takes that."""
    with other_node(info={"allMids": {}}) as other:
        node = NodeClient(other.url)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            node.info("allMids")
            times.append(time.perf_counter() - start)
        assert sorted(times)[10] < 0.03
        assert node._connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        node.close()


@pytest.mark.parametrize("url", ["127.0.0.1:3001", "ftp://host", "http://", "http://[::1", "x"])
def test_what_is_no_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(BadRequest, match="URL"):
        NodeClient(url)


def test_nobody_there_is_unreachable_and_nothing_was_sent() -> None:
    with pytest.raises(Unreachable, match="nothing was sent"):
        NodeClient("http://127.0.0.1:1").exchange(BODY)


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ({"status": 422, "body": b"Failed to\n deserialize"}, Refused, "Failed to deserialize"),
        ({"status": 429, "body": b"slow down", "headers": {"retry-after": "7"}}, Unavailable,
         "try again in 7 s"),
        ({"status": 503, "body": b"busy"}, Unavailable, r"\(503\): busy"),
        ({"status": 500, "body": b""}, Unavailable, "Internal Server Error"),
        ({"status": 301, "body": b"", "headers": {"location": "https://other"}}, Unreachable,
         "points to https://other"),
        ({"body": b"<html>proxy</html>"}, Unreachable, "not JSON"),
        ({"body": b"[" * 100_000}, Unreachable, "not JSON"),
        ({"body": b"[1]"}, Unreachable, "no reply"),
    ],
)  # fmt: skip
def test_every_strange_answer_has_a_name(
    how: dict[str, Any], error: type[Exception], text: str
) -> None:
    with other_node(**how) as other, pytest.raises(error, match=text):
        NodeClient(other.url).exchange(BODY)


def test_silence_ends_after_the_timeout_and_says_what_is_not_known() -> None:
    with other_node(delay_seconds=30, exchange=DONE) as other:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="not known whether the request was accepted"):
            NodeClient(other.url, 0.2).exchange(BODY)
        assert time.monotonic() - start < 5


def test_a_question_survives_a_closed_connection() -> None:
    """The node closes what was kept; the client asks again on a new connection, once."""
    with other_node(info={"allMids": {"BTC": "1"}}) as other:
        node = NodeClient(other.url)
        node.info("allMids")
        other.drops = 1
        assert node.info("allMids") == {"BTC": "1"}
        other.drops = 2
        with pytest.raises(Unreachable):
            node.info("allMids")
        node.close()


def test_a_signed_action_is_never_sent_twice() -> None:
    """Not even when the connection breaks: a second answer would hide the first."""
    with other_node(exchange=DONE, info={"allMids": {}}) as other:
        node = NodeClient(other.url)
        node.info("allMids")
        other.drops = 1
        with pytest.raises(Unreachable, match="not known"):
            node.exchange(BODY)
        assert other.asked.count(BODY) == 1
        assert node.exchange(BODY) == DONE
        node.close()
