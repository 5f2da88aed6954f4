"""Send a signed request and say what the exchange did with it.

The node answers when the block is durable, so an answer needs no waiting. `--wait` goes on from
there: for orders until none of them rests or waits for a trigger (filled, canceled, rejected), for
everything else until the node names the block.
"""

import time
from typing import TYPE_CHECKING, Any, Final

from chainperp.base.errors import EXIT_FALSE, EXIT_REFUSED
from chainperp.cli import output
from chainperp.client.refusal import Refused

if TYPE_CHECKING:
    from chainperp.cli.signing import Session

LOOK_SECONDS: Final = 0.25
LIVE: Final = ("open", "triggered")


def send(session: "Session", body: dict[str, Any]) -> None:
    """Post a request; print the reply; exit 4 when the exchange or the node refuses any of it."""
    from chainperp.cli.refusals.advice import explain_refusal

    document: dict[str, Any] = {
        "status": "ok",
        "signer": session.signer,
        "network": session.network,
        "nonce": body["nonce"],
        "hash": transaction_name(body, session),
        "reply": None,
        "refusals": [],
        "waited": None,
    }
    try:
        reply = session.node.exchange(body)
    except Refused as error:
        reply = {"status": "err", "response": error.text}
        document["http_status"] = error.status
    document["reply"] = reply
    for place, text in refusals_of(reply):
        document["refusals"].append(
            {"order": place, "text": text, "help": explain_refusal(session, body, place, text)}
        )
    lines = lines_of(reply)
    if document["refusals"]:
        document["status"] = "refused"
    elif session.options.wait:
        document["waited"] = wait_for(session, body, reply, document["hash"])
        lines += document["waited"]["lines"]
    output.say(f"sent to {session.node.url}, signed by {session.signer}, nonce {body['nonce']}")
    output.answer(document, lines, session.options.as_json)
    for refusal in document["refusals"]:
        output.say(f"error: {refusal['text']}")
        for line in refusal["help"]:
            output.say(f"  {line}")
    if document["refusals"]:
        raise SystemExit(EXIT_REFUSED)
    if document["waited"] is not None and not document["waited"]["done"]:
        raise SystemExit(EXIT_FALSE)


def transaction_name(body: dict[str, Any], session: "Session") -> str:
    """Hash under which a chainperp log knows the transaction."""
    from chainperp.model.envelope import encode_envelope, transaction_hash
    from chainperp.wire.signing import admit

    return "0x" + transaction_hash(encode_envelope(admit(body, session.network))).hex()


def statuses_of(reply: dict[str, Any]) -> list[Any]:
    """Status of each order or cancel of a reply; empty where it has none."""
    response = reply.get("response")
    data = response.get("data") if isinstance(response, dict) else None
    if isinstance(data, dict):
        if isinstance(data.get("statuses"), list):
            return list(data["statuses"])
        if "status" in data:
            return [data["status"]]
    return []


def refusals_of(reply: dict[str, Any]) -> list[tuple[int | None, str]]:
    """What was refused: place in the batch (None: the action as a whole) and text."""
    if reply["status"] != "ok":
        return [(None, str(reply.get("response", "refused without a text")))]
    return [
        (place, str(status["error"]))
        for place, status in enumerate(statuses_of(reply))
        if isinstance(status, dict) and "error" in status
    ]


def lines_of(reply: dict[str, Any]) -> list[str]:
    """A reply for people; refusals are told elsewhere."""
    if reply["status"] != "ok":
        return []
    statuses = statuses_of(reply)
    if not statuses:
        response = reply.get("response")
        data = response.get("data") if isinstance(response, dict) else None
        return ["done" if data is None else f"done: {data}"]
    return [line for line in map(_status_line, statuses) if line]


def _status_line(status: Any) -> str:
    if not isinstance(status, dict):
        return str(status)
    named = next(iter(status.values()))
    cloid = f", client id {named['cloid']}" if isinstance(named, dict) and "cloid" in named else ""
    if "filled" in status:
        return f"filled {named['totalSz']} at {named['avgPx']}: order {named['oid']}{cloid}"
    if "resting" in status:
        return f"resting: order {named['oid']}{cloid}"
    return "" if "error" in status else str(status)


# --- --wait --------------------------------------------------------------------------------------


def wait_for(
    session: "Session", body: dict[str, Any], reply: dict[str, Any], name: str
) -> dict[str, Any]:
    """Wait as `--wait` promises. `done` False: the time was over first."""
    oids = [
        status[kind]["oid"]
        for status in statuses_of(reply)
        if isinstance(status, dict)
        for kind in ("resting", "filled")
        if kind in status
    ]
    try:
        if oids:
            return _wait_for_orders(session, oids)
        return _wait_for_block(session, name)
    except Refused as error:
        what = "orders' statuses" if oids else "numbers of blocks"
        line = f"this node tells no {what} ({error.text}); its answer came from a durable block"
        return {"done": True, "lines": [line], "orders": [], "block": None}


def _wait_for_orders(session: "Session", oids: list[int]) -> dict[str, Any]:
    deadline = time.monotonic() + session.options.wait_max
    found: dict[int, str] = {}
    while True:
        for oid in oids:
            if found.get(oid, LIVE[0]) in LIVE:
                found[oid] = _order_status(session, oid)
        live = [oid for oid in oids if found[oid] in LIVE]
        if not live or time.monotonic() >= deadline:
            break
        time.sleep(LOOK_SECONDS)
    lines = [f"order {oid}: {found[oid]}" for oid in oids]
    if live:
        lines.append(f"not over within {session.options.wait_max} s")
    orders = [{"oid": oid, "status": found[oid]} for oid in oids]
    return {"done": not live, "lines": lines, "orders": orders, "block": None}


def _order_status(session: "Session", oid: int) -> str:
    answer = session.node.info("orderStatus", user=session.account, oid=oid)
    if answer.get("status") == "order":
        return str(answer["order"]["status"])
    return str(answer.get("status", "unknownOid"))


def _wait_for_block(session: "Session", name: str) -> dict[str, Any]:
    deadline = time.monotonic() + session.options.wait_max
    while True:
        try:
            answer = session.node.post("/explorer", {"type": "txDetails", "hash": name})
            found = answer.get("tx") if isinstance(answer, dict) else None
        except Refused as error:
            # Without the page no transaction is ever known; with it this one may be, soon.
            if error.status in (404, 405) or "unknown variant" in error.text:
                raise
            found = None
        if found is not None:
            return {"done": True, "lines": [f"block {found['block']}"], "orders": [],
                    "block": found["block"]}  # fmt: skip
        if time.monotonic() >= deadline:
            line = f"the block is not known after {session.options.wait_max} s"
            return {"done": False, "lines": [line], "orders": [], "block": None}
        time.sleep(LOOK_SECONDS)
