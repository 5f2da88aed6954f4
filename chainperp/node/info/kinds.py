"""Keys that several questions share."""

from typing import Any, Final

from chainperp.model.accounts import Account
from chainperp.node.info.registry import Context, Fields
from chainperp.wire.schema import described
from chainperp.wire.shapes import (
    Misfit,
    address,
    boolean,
    field,
    integer,
    optional,
    shown,
    text,
    u64,
)


def _main_dex(value: Any) -> str:
    """There is one exchange, whose name is empty."""
    if value == "" and type(value) is str:
        return ""
    code = "choice" if type(value) is str else "wrong_type"
    raise Misfit(code, f'there is no other exchange here, "" is wanted, was {shown(value)}')


described(_main_dex, {"type": "string", "const": ""})

DEX: Final = optional("dex", _main_dex)
USER: Final = field("user", address)
COIN: Final = field("coin", text(64))
_time: Final = integer(0, 2**63 - 1)
START: Final = field("startTime", _time)
START_OR_NONE: Final = optional("startTime", _time)
END: Final = optional("endTime", _time)
CURSOR: Final = optional("cursor", u64)
AGGREGATE: Final = optional("aggregateByTime", boolean)
REVERSED: Final = optional("reversed", boolean)

I64_MAX: Final = 2**63 - 1
TIME_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def raw_address(fields: Fields) -> bytes:
    """The 20 bytes of `user`."""
    return bytes.fromhex(fields["user"][2:])


def account_of(context: Context, fields: Fields) -> Account | None:
    """The account that is asked about, None when it was never seen."""
    state = context.state()
    found: Account | None = state.accounts.get(raw_address(fields))  # type: ignore[call-overload]
    return found


def window(fields: Fields) -> tuple[int, int]:
    """Both ends of the time that is asked about, each included; without an end, all."""
    start = min(fields.get("startTime", 0), TIME_MAX)
    return start, min(fields.get("endTime", TIME_MAX), TIME_MAX)


def cursor_of(fields: Fields, otherwise: int) -> int:
    """Where a list is to continue, small enough for the index."""
    found: int = min(fields.get("cursor", otherwise), I64_MAX - 1)
    return found
