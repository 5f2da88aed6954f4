"""Malformed and refused orders, cancels and modifies: rows 42 to 50 of reliability 9.3."""

from typing import Any, Final

from tests.attacks.abuse_exchange import FAR, MALFORMED, Attack, Body, Make, Row, values
from tests.support.node import limit_order

REFUSED: Final = ("each: .", "err: .")
EITHER: Final = (*MALFORMED, *REFUSED)
GONE: Final = r"each: Order was never placed, already canceled, or filled\."
PLAIN: Final[Body] = limit_order(0, True, FAR, "0.01")["orders"][0]

BAD_NUMBERS: Final[tuple[object, ...]] = (
    "", " ", "-1", "-0", "NaN", "inf", "Infinity", "1e3", "1E3", "0x10", " 1", "1 ", "+1", "1_000",
    "1,5", "１２", "1.", ".5", "00.5", "01", "1.2.3", "1" * 400, "0." + "1" * 400, "1\x00", "1\n",
    100, 1, None, True, [], {}, "Ⅷ", "1\u200b",
)  # fmt: skip


def _order(**changes: Any) -> Make:
    return lambda attack: attack.order(**changes)


def _action(action: Body) -> Make:
    return lambda attack: attack.sign(action)


def _orders(orders: object, grouping: object = "na") -> Make:
    return _action({"type": "order", "orders": orders, "grouping": grouping})


def _cancel(*targets: object) -> Make:
    return _action({"type": "cancel", "cancels": list(targets)})


def _trigger(**changes: Any) -> Body:
    trigger: Body = {"isMarket": True, "triggerPx": "80000", "tpsl": "sl"}
    return {"trigger": trigger | changes}


def _builder(**fields: Any) -> Make:
    builder: Body = {"b": "0x" + "11" * 20, "f": 10}
    return _action(limit_order(0, True, FAR, "0.01") | {"builder": builder | fields})


def _victims_order(attack: Attack) -> Body:
    return attack.sign({"type": "cancel", "cancels": [{"a": 0, "o": attack.victim_oid}]})


def _victims_cloid(attack: Attack) -> Body:
    cancels = [{"asset": 0, "cloid": "0x" + "0f" * 16}]
    return attack.sign({"type": "cancelByCloid", "cancels": cancels})


def _victims_modify(attack: Attack) -> Body:
    modifies = [{"oid": attack.victim_oid, "order": PLAIN}]
    return attack.sign({"type": "batchModify", "modifies": modifies})


ORDER_ROWS: Final = [
    *(Row(f"42-orders {name}", _orders(value), MALFORMED if name != "empty" else EITHER)
      for name, value in (("empty", []), ("null", None), ("object", {}), ("with null", [None]),
                          ("text", "[]"), ("with list", [[PLAIN]]))),
    Row("42-3000 orders", _orders([PLAIN] * 3000), ("413", *MALFORMED)),
    *(Row(f"42-{key} left out", _order(drop=key), MALFORMED)
      for key in ("a", "b", "p", "s", "r", "t")),
    Row("42-unknown key", _order(reduceOnly=True), MALFORMED),
    *(Row(f"43-asset {value!r}", _order(a=value), MALFORMED)
      for value in values(-1, 1 << 63, 1 << 64, "0", None, [], True)),
    *(Row(f"43-asset {value!r}", _order(a=value), EITHER)
      for value in values(9999, 10_000, 110_000, 100_000_000, (1 << 31), (1 << 32) - 1, 1 << 32)),
    *(Row(f"44-{key} {value!r}", _order(**{key: value}), MALFORMED)
      for key in ("b", "r") for value in values("true", 1, 0, None, "buy", [])),
    *(Row(f"45-{key} {value!r}", _order(**{key: value}), MALFORMED)
      for key in ("p", "s") for value in BAD_NUMBERS),
    Row("45-price 0", _order(p="0"), EITHER),
    Row("45-size 0", _order(s="0"), EITHER),
    Row("45-price off the tick", _order(p="90000.5"), ("each: .*tick size",)),
    Row("45-six figures", _order(p="90000.1"), ("each: .*tick size",)),
    Row("45-size off the lot", _order(s="0.0000001"), REFUSED),
    Row("45-below ten dollars", _order(s="0.00001"), ("each: .*minimum value",)),
    Row("45-more than all margin", _order(s="99999"), REFUSED),
    Row("45-more than 64 bits", _order(s="99999999999999999999"), EITHER),
    Row("45-price far away", _order(p="1"), REFUSED),
    Row("45-price beyond everything", _order(p="99999999999999999999"), EITHER),
    *(Row(f"46-{name}", _order(t=value), MALFORMED) for name, value in (
        ("no kind", {}), ("null", None), ("text", "limit"),
        ("both kinds", {"limit": {"tif": "Gtc"}} | _trigger()),
        ("unknown tif", {"limit": {"tif": "Fok"}}), ("tif null", {"limit": {"tif": None}}),
        ("tif other case", {"limit": {"tif": "gtc"}}), ("empty limit", {"limit": {}}),
        ("isMarket text", _trigger(isMarket="true")), ("isMarket 1", _trigger(isMarket=1)),
        ("unknown tpsl", _trigger(tpsl="stop")), ("tpsl null", _trigger(tpsl=None)),
        ("trigger price text", _trigger(triggerPx="high")),
        ("trigger price number", _trigger(triggerPx=80000)),
        ("twap", {"twap": {"m": 5}}), ("key more", _trigger(extra=1)))),
    Row("46-trigger price 0", _order(t=_trigger(triggerPx="0")), EITHER),
    Row("46-stop on the wrong side", _order(b=False, p="110000", t=_trigger(triggerPx="120000")),
        REFUSED),
    *(Row(f"47-cloid {value!r}", _order(c=value), MALFORMED)
      for value in values("0x", "0x" + "1" * 31, "0x" + "1" * 33, "1" * 32, "0x" + "g" * 32, 17,
                          "", [], True)),
    *(Row(f"48-builder {name}", _builder(**value), EITHER) for name, value in (
        ("not approved", {}), ("fee negative", {"f": -1}), ("fee too high", {"f": 100_000}),
        ("fee text", {"f": "10"}), ("fee 2^64", {"f": 1 << 64}), ("short", {"b": "0x11"}),
        ("null", {"b": None}))),
    *(Row(f"49-grouping {value!r}", _orders([PLAIN], value), MALFORMED)
      for value in values(None, "", "NA", "tpsl", 1, {}, [], {"q": 1}, {"p": -1}, True)),
    Row("49-child without parent", _orders([PLAIN | {"t": _trigger(), "r": True}], "normalTpsl"),
        EITHER),
    Row("49-position group of a limit order", _orders([PLAIN], "positionTpsl"), EITHER),
    Row("50-cancel nothing", _cancel(), EITHER),
    *(Row(f"50-oid {value!r}", _cancel({"a": 0, "o": value}), MALFORMED)
      for value in values(-1, "1", None, 1 << 64, True, [])),
    Row("50-unknown oid", _cancel({"a": 0, "o": 1 << 40}), (GONE,)),
    Row("50-twice in a batch", _cancel({"a": 0, "o": 1 << 41}, {"a": 0, "o": 1 << 41}), (GONE,)),
    Row("50-somebody else's", _victims_order, (GONE,)),
    Row("50-somebody else's cloid", _victims_cloid, (GONE,)),
    Row("50-null in the list", _cancel(None), MALFORMED),
    Row("50-modify somebody else's", _victims_modify, ("each: Cannot modify", "err: .")),
    Row("50-modify oid text", _action(
        {"type": "batchModify", "modifies": [{"oid": "x", "order": PLAIN}]}), MALFORMED),
    Row("50-modify nothing", _action({"type": "batchModify", "modifies": []}), EITHER),
    Row("50-modify without order", _action({"type": "modify", "oid": 1}), MALFORMED),
    Row("50-cancel by short cloid", _action(
        {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": "0x12"}]}), MALFORMED),
    Row("50-cancel with the other keys", _action(
        {"type": "cancel", "cancels": [{"asset": 0, "oid": 1}]}), MALFORMED),
]  # fmt: skip
