"""What goes over the socket: envelopes, error texts, and how a client's message is read.

Source: hyperliquid-api 6.1, 6.2, 6.4.
"""

import json
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.wire.actions import read_json
from chainperp.wire.shapes import SHOWN_MAX, u64

ECHO_MAX: Final = 1_024
"""Longer text is not repeated in full. No client sends a subscription that long."""

UNDECODABLE: Final = "Failed to deserialize the JSON body into the target type"
PONG: Final = '{"channel":"pong"}'

Message = dict[str, Any]


class Unreadable(BadRequest):
    """A client's message that is no request. Its text is what the client is told."""


def dumps(document: Any) -> str:
    """Compact JSON, everything beyond ASCII escaped."""
    return json.dumps(document, separators=(",", ":"))


def envelope(channel: str, data: Any) -> str:
    """A message of a channel."""
    return f'{{"channel":"{channel}","data":{dumps(data)}}}'


def acknowledgement(method: str, subscription: Any) -> str:
    """What was subscribed to or unsubscribed from, with its defaults."""
    return envelope("subscriptionResponse", {"method": method, "subscription": subscription})


def error(text: str) -> str:
    """An error that belongs to no `post`."""
    return envelope("error", text)


def repeated(text: str) -> str:
    """What a client sent, as an error repeats it: in full unless it is long."""
    return text if len(text) <= ECHO_MAX else f"{text[:SHOWN_MAX]}..."


def already_subscribed(subscription: Any) -> str:
    """The client has this subscription."""
    return error(f"Already subscribed: {repeated(dumps(subscription))}")


def already_unsubscribed(subscription: Any) -> str:
    """The client has no such subscription."""
    return error(f"Already unsubscribed: {repeated(dumps(subscription))}")


def invalid_subscription(subscription: Any) -> str:
    """There is no such subscription."""
    return error(f"Invalid subscription {repeated(dumps(subscription))}")


def unreadable(text: str) -> str:
    """The message is no request."""
    return f"Error parsing JSON into valid websocket request: {repeated(text)}"


def too_many_users(limit: int) -> str:
    """The client follows as many accounts as it may."""
    return error(f"Cannot track more than {limit} total users.")


def too_many_posts(post_id: int) -> str:
    """The client waits for as many answers as it may."""
    return error(f"too many pending post requests id={post_id}")


def post_answer(post_id: int, kind: str, payload: Any) -> str:
    """The answer to a `post`: kind `info`, `action` or `error`."""
    return envelope("post", {"id": post_id, "response": {"type": kind, "payload": payload}})


def read_message(text: str) -> Message:
    """A client's message: an object with a known method and what this method needs.

    Raises: Unreadable.
    """
    try:
        message = read_json(text.encode())
    except (BadRequest, UnicodeEncodeError) as refusal:
        raise Unreadable("json", unreadable(text)) from refusal
    if type(message) is not dict or not _is_request(message):
        raise Unreadable("request", unreadable(text))
    return message


def _is_request(message: Message) -> bool:
    method = message.get("method")
    if method == "ping":
        return True
    if method in ("subscribe", "unsubscribe"):
        return type(message.get("subscription")) is dict
    if method == "post":
        return _is_id(message.get("id")) and type(message.get("request")) is dict
    return False


def _is_id(value: Any) -> bool:
    try:
        u64(value)
    except BadRequest:
        return False
    return True
