"""What is sent to the socket by those who do not know better, or do: reliability 9.4, rows 60-68
and 70. Each gets its refusal, and the node goes on serving."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.live_node import LiveNode, limit_order, live_node
from tests.support.raw_socket import CLOSE, PING, PONG, TEXT, RawSocket, frame

CONT, BINARY = 0, 2
PARSING = "Error parsing JSON into valid websocket request: "
BIG = b" " * (128 * 1024)


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    """One node for all the abuse; each test looks whether it still serves."""
    with live_node() as running:
        yield running


@pytest.fixture(autouse=True)
def _still_serves(node: LiveNode, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
    with RawSocket(node.port) as other:
        assert other.handshake()[0] == 101
        other.send_json({"method": "ping"})
        assert other.read_json() == {"channel": "pong"}


@pytest.fixture
def raw(node: LiveNode) -> Iterator[RawSocket]:
    """A connection that is through the handshake."""
    with RawSocket(node.port) as opened:
        assert opened.handshake()[0] == 101
        yield opened


# --- 60: handshakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "path", "without", "changed"),
    [
        (400, "/ws", "Sec-WebSocket-Key", {}),
        (400, "/ws", "", {"Sec_WebSocket_Key": "short"}),
        (426, "/ws", "", {"Sec_WebSocket_Version": "12"}),
        (426, "/ws", "Sec-WebSocket-Version", {}),
        (404, "/wss", "", {}),
        (404, "/ws/../ws/x", "", {}),
        (101, "/ws", "", {"Sec_WebSocket_Extensions": "permessage-deflate; x=\x7f"}),
        (101, "/ws", "", {"Sec_WebSocket_Extensions": "x-odd; a=b, permessage-bzip2"}),
        (101, "/ws", "", {"Sec_WebSocket_Protocol": "graphql-ws, v10.stomp"}),
        (431, "/ws", "", {"X_Long": "a" * 100_000}),
    ],
)
def test_a_handshake_that_is_none_is_refused(
    node: LiveNode, status: int, path: str, without: str, changed: dict[str, str]
) -> None:
    """60: the status says what is wrong; an odd extension is left out of the answer."""
    with RawSocket(node.port) as other:
        found, head = other.handshake(path, without, **changed)
        allowed = {status, 400} if status in (101, 426, 431) else {status}
        assert found in allowed, head
        assert "sec-websocket-extensions" not in head.lower()


def test_compression_is_not_offered(node: LiveNode) -> None:
    """64: a client that offers it is answered without it, and a compressed frame ends it."""
    with RawSocket(node.port) as other:
        status, head = other.handshake(Sec_WebSocket_Extensions="permessage-deflate")
        assert status == 101
        assert "extensions" not in head.lower()
        other.send(frame(TEXT, b"x" * 100, reserved=4))
        assert other.read_close()[0] == 1002


# --- 61 to 63: frames -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, b"{}", masked=False),
        frame(TEXT, b"{}", reserved=1),
        frame(TEXT, b"{}", reserved=4),
        frame(3, b""),
        frame(11, b""),
        frame(CONT, b"{}"),
        frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
        frame(PING, b"x" * 126),
        frame(PING, b"", final=False),
        frame(CLOSE, b"\x03"),
        frame(CLOSE, struct.pack(">H", 1005)),
    ],
)
def test_a_frame_against_the_protocol_ends_the_connection(raw: RawSocket, sent: bytes) -> None:
    """61."""
    raw.send(sent)
    assert raw.read_close()[0] == 1002


@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, b'{"method":"\xc3\x28"}'),
        frame(TEXT, b'"\xc3', final=False) + frame(CONT, b'\x28"'),
        frame(TEXT, b'"\xed\xa0\x80"'),
        frame(TEXT, b'"\xc0\xaf"'),
    ],
    ids=["whole", "split", "surrogate", "overlong"],
)
def test_text_that_is_not_utf8_ends_the_connection(raw: RawSocket, sent: bytes) -> None:
    """62."""
    raw.send(sent)
    assert raw.read_close()[0] == 1007


def test_a_letter_may_be_split(raw: RawSocket) -> None:
    """62: text is judged as a whole."""
    raw.send(frame(TEXT, b'"\xc3', final=False) + frame(CONT, b'\xa9"'))
    assert raw.read_json() == {"channel": "error", "data": PARSING + '"\u00e9"'}


@pytest.mark.parametrize(
    "sent",
    [
        bytes([0x81, 0xFF]) + struct.pack(">Q", 2**62) + b"mask",
        frame(TEXT, BIG + b" "),
        frame(TEXT, BIG, final=False) + frame(CONT, b" "),
        frame(TEXT, b"x", final=False) + frame(CONT, b" " * 8192, final=False) * 20,
        frame(BINARY, BIG * 2),
    ],
    ids=["claimed", "one", "two", "endless", "binary"],
)  # fmt: skip
def test_a_message_that_is_too_long_ends_the_connection(raw: RawSocket, sent: bytes) -> None:
    """63: at 128 KiB, claimed or sent, whole or in pieces."""
    raw.send(sent)
    assert raw.read_close()[0] == 1009


def test_a_length_beyond_all_numbers_ends_the_connection(raw: RawSocket) -> None:
    """63: the highest bit of a length must not be set."""
    raw.send(bytes([0x81, 0xFF]) + struct.pack(">Q", 2**63) + b"mask")
    assert raw.read_close()[0] in (1002, 1009)


def test_a_message_of_the_whole_length_is_read(raw: RawSocket) -> None:
    """63: 128 KiB are allowed."""
    raw.send(frame(TEXT, BIG[:-17] + b'{"method":"ping"}'))
    assert raw.read_json() == {"channel": "pong"}


def test_pings_of_the_protocol_are_answered(raw: RawSocket) -> None:
    """Control frames may come inside a message."""
    raw.send(frame(TEXT, b'{"method":', final=False) + frame(PING, b"hi") + frame(CONT, b'"ping"}'))
    assert raw.read_frame() == (PONG, b"hi")
    assert raw.read_json() == {"channel": "pong"}


# --- 65, 66: messages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "[]",
        "[{}]",
        "true",
        "7",
        '"ping"',
        "{}",
        "{",
        '{"method":"ping"',
        '{"method":"ping"}}',
        '{"method":"ping"} {"method":"ping"}',
        '{"method":"ping","method":"ping"}',
        '{"method":NaN}',
        '{"method":"post","id":1e400,"request":{}}',
        '{"method":"post","id":1.5,"request":{"type":"info"}}',
        '{"method":"post","id":-1,"request":{"type":"info"}}',
        '{"method":"post","id":18446744073709551616,"request":{"type":"info"}}',
        '{"method":"post","id":"7","request":{"type":"info"}}',
        '{"method":"post","id":true,"request":{"type":"info"}}',
        '{"method":"post","request":{"type":"info","payload":{"type":"meta"}}}',
        '{"method":"post","id":7}',
        '{"method":"post","id":7,"request":null}',
        '{"method":"post","id":7,"request":[]}',
        '{"method":"\\ud800"}',
        '{"method":"PING"}',
        '{"method":"sub"}',
        '{"method":null}',
        '{"method":7}',
        '{"method":{}}',
        '{"type":"allMids"}',
        '{"method":"subscribe"}',
        '{"method":"subscribe","subscription":null}',
        '{"method":"subscribe","subscription":[]}',
        '{"method":"subscribe","subscription":"allMids"}',
        '{"method":"unsubscribe"}',
        "\ufeff" + '{"method":"ping"}',
        "ping",
    ],
)
def test_what_is_no_request_is_repeated_in_the_error(raw: RawSocket, text: str) -> None:
    """65, 66: the client may go on."""
    raw.send(frame(TEXT, text.encode()))
    assert raw.read_json() == {"channel": "error", "data": PARSING + text}
    raw.send_json({"method": "ping"})
    assert raw.read_json() == {"channel": "pong"}


def test_a_long_text_is_not_repeated_in_full(raw: RawSocket) -> None:
    """65, 66: 60,000 brackets are refused without recursion and come back cut."""
    raw.send(frame(TEXT, b"[" * 60_000))
    assert raw.read_json() == {"channel": "error", "data": PARSING + "[" * 64 + "..."}
    raw.send(frame(TEXT, b"[]," * 20_000))
    assert len(raw.read_json()["data"]) < 200


def test_binary_messages_are_not_read(raw: RawSocket) -> None:
    """65."""
    raw.send(frame(BINARY, b'{"method":"ping"}'))
    assert raw.read_json() == {"channel": "error", "data": PARSING + "(binary)"}


def compact(document: Any) -> str:
    """JSON without blanks."""
    return json.dumps(document, separators=(",", ":"))


USER = "0x" + "ab" * 20


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"type": None},
        {"type": 7},
        {"type": "nothing"},
        {"type": "AllMids"},
        {"type": "explorerBlock"},
        {"type": "trades"},
        {"type": "trades", "coin": None},
        {"type": "trades", "coin": 7},
        {"type": "trades", "coin": "btc"},
        {"type": "trades", "coin": "NOPE"},
        {"type": "trades", "coin": "PURR/USDC"},
        {"type": "trades", "coin": "B" * 65},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 1},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 6},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": "5"},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 3},
        {"type": "l2Book", "coin": "BTC", "mantissa": 5},
        {"type": "candle", "coin": "BTC"},
        {"type": "candle", "coin": "BTC", "interval": "7m"},
        {"type": "candle", "coin": "BTC", "interval": 60},
        {"type": "userFills"},
        {"type": "userFills", "user": USER[:-1]},
        {"type": "userFills", "user": USER[2:]},
        {"type": "userFills", "user": 7},
        {"type": "userFills", "user": USER, "aggregateByTime": 1},
        {"type": "clearinghouseState", "user": USER, "dex": "other"},
        {"type": "allMids", "dex": "other"},
        {"type": "activeAssetData", "user": USER},
        {"type": "activeAssetData", "user": USER, "coin": "NOPE"},
    ],
)
def test_a_subscription_that_does_not_exist_is_repeated(
    raw: RawSocket, given: dict[str, Any]
) -> None:
    """66: whether it is subscribed to or unsubscribed from."""
    told = {"channel": "error", "data": f"Invalid subscription {compact(given)}"}
    raw.send_json({"method": "subscribe", "subscription": given})
    assert raw.read_json() == told
    raw.send_json({"method": "unsubscribe", "subscription": given})
    assert raw.read_json() == told


def test_a_long_subscription_is_cut(raw: RawSocket) -> None:
    """66: at 64 characters."""
    raw.send_json({"method": "subscribe", "subscription": {"type": "x" * 2_000}})
    told = raw.read_json()["data"]
    assert told == 'Invalid subscription {"type":"' + "x" * 55 + "..."


# --- 67, 68: the same again -----------------------------------------------------------------------


def test_unsubscribing_from_nothing(raw: RawSocket) -> None:
    """67."""
    given = {"type": "trades", "coin": "BTC"}
    raw.send_json({"method": "unsubscribe", "subscription": given})
    told = raw.read_json()
    assert told == {
        "channel": "error",
        "data": 'Already unsubscribed: {"type":"trades","coin":"BTC"}',
    }


def test_one_subscription_fifty_times(node: LiveNode, raw: RawSocket) -> None:
    """68: one subscription, an error for each of the others, data once."""
    given = {"type": "bbo", "coin": "BTC"}
    for _ in range(50):
        raw.send_json({"method": "subscribe", "subscription": given})
    assert raw.read_json()["channel"] == "subscriptionResponse"
    for _ in range(49):
        told = raw.read_json()
        assert told == {
            "channel": "error",
            "data": 'Already subscribed: {"type":"bbo","coin":"BTC"}',
        }
    node.order(0, True, "90000", "0.1")
    assert raw.read_json()["channel"] == "bbo"
    raw.send_json({"method": "ping"})
    assert raw.read_json() == {"channel": "pong"}
    node.act(0, {"type": "cancel", "cancels": [{"a": 0, "o": 1}]})


# --- 70: posts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_sent", "beginning"),
    [
        ({}, "422 Failed to deserialize the JSON body into the target type: type: info or action"),
        ({"type": None}, "422 "),
        ({"type": "explorer", "payload": {}}, "422 "),
        ({"type": "info"}, "422 "),
        ({"type": "info", "payload": None}, "422 "),
        ({"type": "info", "payload": []}, "422 "),
        ({"type": "info", "payload": {"type": "metaa"}}, "422 "),
        ({"type": "info", "payload": {"type": "l2Book"}}, "422 "),
        ({"type": "action"}, "422 "),
        ({"type": "action", "payload": {}}, "422 "),
        ({"type": "action", "payload": {"action": {"type": "order"}, "nonce": 1}}, "422 "),
    ],
)
def test_a_post_that_cannot_be_understood(
    raw: RawSocket, request_sent: dict[str, Any], beginning: str
) -> None:
    """70: the error carries the id and is what HTTP answers with 422."""
    raw.send_json({"method": "post", "id": 41, "request": request_sent})
    told = raw.read_json()
    assert told["channel"] == "post"
    assert told["data"]["id"] == 41
    assert told["data"]["response"]["type"] == "error"
    text = told["data"]["response"]["payload"]
    assert text.startswith(beginning)
    assert "Traceback" not in text
    assert "/" not in text.removeprefix(beginning)


def test_signed_actions_through_the_socket_are_checked_as_over_http(
    node: LiveNode, raw: RawSocket
) -> None:
    """70: a good one is executed, one that was changed is a stranger's, one sent twice is known."""
    action = {"type": "order", "orders": [limit_order(0, True, "90000", "0.1")], "grouping": "na"}
    body = node.signed(1, action)
    changed = json.loads(json.dumps(body))
    changed["action"]["orders"][0]["s"] = "0.2"
    for place, sent in enumerate((body, body, changed)):
        raw.send_json(
            {"method": "post", "id": place, "request": {"type": "action", "payload": sent}}
        )
    answers = {}
    for _ in range(3):
        told = raw.read_json()["data"]
        assert told["response"]["type"] == "action"
        answers[told["id"]] = told["response"]["payload"]
    assert "resting" in answers[0]["response"]["data"]["statuses"][0]
    assert answers[1]["response"].startswith("Invalid nonce: duplicate nonce")
    assert answers[2]["response"].startswith("User or API Wallet 0x")
