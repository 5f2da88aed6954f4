"""Malformed HTTP, row by row as in reliability 9.2: what is sent, and which answers are allowed.

Rows are `(name, bytes or request, allowed statuses)`; status 0 stands for a closed connection.
"""

import gzip
import json
import zlib
from typing import Final, NamedTuple

MIB: Final = 1 << 20
JSON: Final = {"Content-Type": "application/json"}
CLOSED: Final = 0


class BodyRow(NamedTuple):
    """A body that is posted to `path` as JSON."""

    name: str
    path: str
    body: bytes
    allowed: tuple[int, ...]


class RequestRow(NamedTuple):
    """A request whose method, path or headers are the matter."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    allowed: tuple[int, ...]


class RawRow(NamedTuple):
    """Bytes for a socket. At most `responses` answers may come back before it is closed."""

    name: str
    data: bytes
    allowed: tuple[int, ...]
    responses: int = 1


def _bodies(number: int, allowed: tuple[int, ...], rows: dict[str, bytes]) -> list[BodyRow]:
    return [
        BodyRow(f"{number}-{name}{path.replace('/', '-')}", path, body, allowed)
        for name, body in rows.items()
        for path in ("/info", "/exchange")
    ]


def _open(count: int, mark: bytes) -> bytes:
    return b'{"type":"meta","x":' + mark * count


BODIES: Final = [
    *_bodies(1, (400,), {
        "empty": b"",
        "blanks": b" \n\t ",
        "cut": b'{"type":"meta"',
        "cut in a string": b'{"type":"me',
        "text behind": b'{"type":"meta"} x',
        "two documents": b'{"type":"meta"}{"type":"meta"}',
        "comment": b'{"type":"meta"/* c */}',
        "single quotes": b"{'type':'meta'}",
        "trailing comma": b'{"type":"meta",}',
        "mark": b'\xef\xbb\xbf{"type":"meta"}',
    }),
    *_bodies(2, (400,), {
        "utf-16": '{"type":"meta"}'.encode("utf-16"),
        "no utf-8": b'{"type":"me\xffta"}',
        "overlong": b'{"type":"me\xc0\xafta"}',
        "control": b'{"type":"me\x01ta"}',
        "surrogate": b'{"type":"me\\ud800ta"}',
        "nul": b'{"type":"me\\u0000ta"}',
    }),
    *_bodies(3, (422,), {
        "null": b"null",
        "true": b"true",
        "number": b"17",
        "text": b'"meta"',
        "list": b'[{"type":"meta"}]',
        "nothing in it": b"{}",
        "no type": b'{"typ":"meta"}',
        "type is a number": b'{"type":1}',
        "type is null": b'{"type":null}',
        "type is a list": b'{"type":["meta"]}',
        "other case": b'{"type":"META"}',
        "blank in type": b'{"type":" meta"}',
        "long type": b'{"type":"' + b"m" * MIB + b'"}',
    }),
    *_bodies(4, (400,), {
        "double key": b'{"type":"meta","type":"meta"}',
        "double key below": b'{"type":"meta","x":{"a":1,"a":1}}',
        "double by escape": b'{"type":"meta","ty\\u0070e":"allMids"}',
    }),
    *_bodies(5, (400, 422), {
        "nan": b'{"type":"userFillsByTime","startTime":NaN}',
        "infinity": b'{"type":"userFillsByTime","startTime":Infinity}',
        "1e400": b'{"type":"userFillsByTime","startTime":1e400}',
        "1e5": b'{"type":"userFillsByTime","startTime":1e5}',
        "1.0": b'{"type":"userFillsByTime","startTime":1.0}',
        "5000 digits": b'{"type":"userFillsByTime","startTime":' + b"9" * 5000 + b"}",
        "2^64": b'{"type":"userFillsByTime","startTime":18446744073709551616}',
        "-0": b'{"type":"userFillsByTime","startTime":-0}',
    }),
    *_bodies(6, (400,), {
        "100000 lists open": _open(100_000, b"["),
        "50000 lists": _open(50_000, b"[") + b"]" * 50_000 + b"}",
        "20000 objects": _open(20_000, b'{"x":') + b"1" + b"}" * 20_001,
        "33 deep": _open(33, b"[") + b"]" * 33 + b"}",
    }),
    BodyRow(
        "7-unknown keys",
        "/exchange",
        json.dumps({f"key{number}": number for number in range(40_000)}).encode(),
        (422,),
    ),
    BodyRow("7-long key", "/exchange", b'{"' + b"k" * MIB + b'":1}', (422,)),
    *_bodies(8, (413, CLOSED), {"too large": b'{"type":"' + b"m" * (2 * MIB) + b'"}'}),
]  # fmt: skip

META: Final = b'{"type":"meta"}'


def _types(rows: dict[str, str]) -> list[RequestRow]:
    return [
        RequestRow(f"9-{name} {path}", "POST", path, {"Content-Type": value}, META, (415,))
        for name, value in rows.items()
        for path in ("/info", "/exchange")
    ]


def _encoded(rows: dict[str, tuple[str, bytes]]) -> list[RequestRow]:
    return [
        RequestRow(f"10-{name}", "POST", "/info", JSON | {"Content-Encoding": value}, body, (415,))
        for name, (value, body) in rows.items()
    ]


def _methods() -> list[RequestRow]:
    return [
        RequestRow(f"11-{method} {path}", method, path, JSON, b"", (405,))
        for path in ("/info", "/exchange")
        for method in ("GET", "PUT", "DELETE", "PATCH")
    ]


def _paths(rows: dict[str, tuple[str, tuple[int, ...]]]) -> list[RequestRow]:
    return [
        RequestRow(f"11-{name}", "GET", path, {}, b"", allowed)
        for name, (path, allowed) in rows.items()
    ]


REQUESTS: Final = [
    *_types({
        "text": "text/plain",
        "form": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data",
        "xml": "application/xml",
        "long": "application/" + "x" * 1024,
        "other charset": "application/json; charset=utf-16",
        "empty": "",
    }),
    *_encoded({
        "gzip": ("gzip", gzip.compress(META)),
        "bomb": ("gzip", gzip.compress(bytes(60 * MIB))),
        "deflate": ("deflate", zlib.compress(META)),
        "br": ("br", META),
        "nested": ("gzip, gzip", gzip.compress(gzip.compress(META))),
        "not what it is": ("gzip", META),
        "unknown": ("rot13", META),
    }),
    *_methods(),
    *_paths({
        "unknown": ("/nothing-here", (404,)),
        "dots": ("/log/../genesis.json", (400, 404)),
        "escaped dots": ("/log/%2e%2e/genesis.json", (400, 404)),
        "twice escaped": ("/log/%252e%252e/genesis.json", (400, 404)),
        "backslash": ("/log/..%5cgenesis.json", (400, 404)),
        "nul": ("/log/%00", (400, 404)),
        "bad escape": ("/log/%zz", (400, 404)),
        "absolute": ("/log//etc/passwd", (400, 404)),
        "key file": ("/log/../signer.key", (400, 404)),
        "10 KiB": ("/" + "a" * 10_240, (400, 404, 414)),
        "100 KiB": ("/" + "a" * 102_400, (400, 404, 414, 431, CLOSED)),
    }),
    RequestRow("20-HEAD", "HEAD", "/info", {}, b"", (405,)),
    RequestRow("20-OPTIONS", "OPTIONS", "/exchange", {"Origin": "http://evil.example"}, b"",
               (400, 403, 405)),
    RequestRow("20-other host", "POST", "/info", JSON | {"Host": "evil.example"}, META, (403, 421)),
    RequestRow("20-other origin", "POST", "/exchange", JSON | {"Origin": "http://evil.example"},
               META, (403,)),
]  # fmt: skip

_HEAD: Final = b"POST /info HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_LENGTH: Final = b"Content-Length: 15\r\n"
_SECOND: Final = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BAD: Final = (400, CLOSED)
LARGE: Final = (400, 413, 431, CLOSED)


def _headed(extra: bytes, body: bytes = META) -> bytes:
    return _HEAD + extra + b"\r\n" + body


RAW: Final = [
    RawRow("12-two lengths", _headed(_LENGTH + b"Content-Length: 16\r\n", META + _SECOND), BAD),
    RawRow("12-length and chunked",
           _headed(_LENGTH + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + _SECOND), BAD),
    RawRow("12-negative length", _headed(b"Content-Length: -1\r\n"), BAD),
    RawRow("12-length in letters", _headed(b"Content-Length: ten\r\n"), BAD),
    RawRow("12-length with plus", _headed(b"Content-Length: +15\r\n"), BAD),
    RawRow("12-10 TB", _headed(b"Content-Length: 10000000000000\r\n"), LARGE),
    RawRow("12-40 digits", _headed(b"Content-Length: " + b"9" * 40 + b"\r\n"), LARGE),
    RawRow("12-bad chunk size", _headed(b"Transfer-Encoding: chunked\r\n", b"zz\r\nabc\r\n"), BAD),
    RawRow("12-chunk of 2^64",
           _headed(b"Transfer-Encoding: chunked\r\n", b"10000000000000000\r\nabc\r\n"), LARGE),
    RawRow("12-unknown coding", _headed(b"Transfer-Encoding: rot13\r\n"), (400, 501, CLOSED)),
    RawRow("12-256 KiB header", _headed(b"X-Long: " + b"x" * 262_144 + b"\r\n"), LARGE),
    RawRow("12-5000 headers",
           _headed(b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(5000))), LARGE),
    RawRow("12-no header name", _headed(b": value\r\n" + _LENGTH), BAD),
    RawRow("12-blank before colon", _headed(b"Content-Length : 15\r\n"), BAD),
    RawRow("12-bare CR", _headed(b"X-A: b\rContent-Length: 15\r\n"), BAD),
    RawRow("12-folded", _headed(b"X-A: b\r\n c\r\n" + _LENGTH + b"Connection: close\r\n"),
           (200, *BAD)),
    RawRow("12-no host", b"POST /info HTTP/1.1\r\n" + _LENGTH + b"\r\n" + META, BAD),
    RawRow("12-two hosts", _headed(b"Host: 127.0.0.2\r\n" + _LENGTH), BAD),
    RawRow("12-version 9.9", b"POST /info HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", (505, *BAD)),
    RawRow("12-version 2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (404, 421, 505, *BAD),
           responses=2),
    RawRow("12-no version", b"POST /info\r\n\r\n", BAD),
    RawRow("12-TLS hello", bytes.fromhex("16030100c8010000c40303") + bytes(range(189)), BAD),
    RawRow("12-noise", bytes(range(256)) * 8 + b"\r\n\r\n", BAD),
    RawRow("12-only newlines", b"\r\n" * 4096, BAD),
    RawRow("12-4 KiB method", b"M" * 4096 + b" /info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
           (405, 501, *BAD)),
    RawRow("12-upgrade to h2c",
           _headed(_LENGTH + b"Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                   b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), (200, *BAD)),
    RawRow("8-declared too large", _headed(b"Content-Length: 3000000\r\n", b""), (413,)),
    RawRow("8-chunked too large",
           _headed(b"Transfer-Encoding: chunked\r\n", b"100000\r\n" + b" " * MIB + b"\r\n"
                   b"100000\r\n" + b" " * MIB + b"\r\n1\r\n \r\n0\r\n\r\n"), (413, CLOSED)),
    RawRow("20-expect", _headed(_LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n"),
           (100, 200, 417), responses=2),
    RawRow("20-range", _headed(_LENGTH + b"Range: bytes=0-3\r\nConnection: close\r\n"), (200,)),
]  # fmt: skip

USER: Final = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
BAD_USERS: Final[dict[str, object]] = {
    "empty": "",
    "short": USER[:-1],
    "long": USER + "0",
    "no 0x": USER[2:],
    "no hex": "0x" + "g" * 40,
    "full-width digits": "0x" + "１" * 40,
    "a number": 17,
    "a list": [USER],
    "null": None,
    "10 KiB": "0x" + "a" * 10_240,
    "SQL": "' OR 1=1; DROP TABLE fills; --",
    "a path": "../../etc/passwd",
    "NUL": USER + "\x00",
}
BAD_COINS: Final[dict[str, object]] = {
    "a number": 17,
    "a list": ["BTC"],
    "null": None,
    "true": True,
    "10 KiB": "B" * 10_240,
}
UNKNOWN_COINS: Final = ("NOTHING", "btc", "ВТС", "BTC ", "", "BTC'; --", "../BTC")
BAD_TIMES: Final[dict[str, object]] = {
    "negative": -1,
    "2^63": 1 << 63,
    "2^64 - 1": (1 << 64) - 1,
    "text": "1700000000000",
    "true": True,
    "null": None,
    "a list": [1],
}


def info_rows() -> list[BodyRow]:
    """Questions with bad users, coins, times and intervals: rows 17 to 19."""
    rows: list[BodyRow] = []

    def add(name: str, allowed: tuple[int, ...], **fields: object) -> None:
        rows.append(BodyRow(name, "/info", json.dumps(fields).encode(), allowed))

    for question in ("clearinghouseState", "userFills"):
        add(f"17-{question} without user", (422,), type=question)
        for name, user in BAD_USERS.items():
            allowed = (400, 422) if name == "NUL" else (422,)
            add(f"17-{question} user {name}", allowed, type=question, user=user)
    for name, coin in BAD_COINS.items():
        add(f"18-coin {name}", (422,), type="l2Book", coin=coin)
    for coin in UNKNOWN_COINS:
        add(f"18-coin {coin!r}", (200, 422), type="l2Book", coin=coin)
    for name, time in BAD_TIMES.items():
        add(f"19-start {name}", (422,), type="userFillsByTime", user=USER, startTime=time)
    for interval in ("7m", "1S", "", " 1m", 60, None):
        request = {"coin": "BTC", "interval": interval, "startTime": 0, "endTime": 1}
        add(f"19-interval {interval!r}", (422,), type="candleSnapshot", req=request)
    return rows
