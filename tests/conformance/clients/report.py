"""What each client's methods did against a running node, as a table of method and client.

An outcome is one of four words. `worked`: the client returned what its caller wants, and where it
can be seen elsewhere it was looked up there. `refused`: the exchange answered with a sentence.
`not offered`: the node says that it does not know the method. `failed`: anything else, which is a
defect of the node (or of the harness).
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

WORKED: Final = "worked"
REFUSED: Final = "refused"
NOT_OFFERED: Final = "not offered"
FAILED: Final = "failed"
UNKNOWN: Final = ("unknown variant", "is not offered", "not offered")
TEXT_MAX: Final = 160

P0_ACTIONS: Final = (
    "order", "cancel", "cancelByCloid", "batchModify", "modify", "updateLeverage",
    "updateIsolatedMargin", "scheduleCancel", "usdSend", "usdClassTransfer", "withdraw3",
    "spotSend", "approveAgent", "noop",
)  # fmt: skip
P0_QUERIES: Final = (
    "meta", "spotMeta", "metaAndAssetCtxs", "spotMetaAndAssetCtxs", "perpDexs", "outcomeMeta",
    "exchangeStatus", "allMids", "l2Book", "recentTrades", "candleSnapshot", "fundingHistory",
    "clearinghouseState", "spotClearinghouseState", "openOrders", "frontendOpenOrders",
    "orderStatus", "historicalOrders", "userFills", "userFillsByTime", "userFunding",
    "userNonFundingLedgerUpdates", "userFees", "userRateLimit", "userRole", "extraAgents",
    "activeAssetData", "userAbstraction",
)  # fmt: skip
P0_SUBSCRIPTIONS: Final = (
    "ws ping", "ws unsubscribe", "ws l2Book", "ws trades", "ws allMids", "ws bbo", "ws candle",
    "ws activeAssetCtx", "ws userFills", "ws orderUpdates", "ws userEvents",
    "ws clearinghouseState", "ws post action", "ws post info",
)  # fmt: skip


class Refused(Exception):
    """The exchange answered with a sentence."""


class Outcome(NamedTuple):
    """What one call did."""

    row: str
    method: str
    word: str
    text: str = ""


@dataclass
class Recorder:
    """The calls of one client."""

    client: str
    outcomes: list[Outcome] = field(default_factory=list)
    skipped: str = ""
    "Why the client was not run at all."

    def call(
        self,
        row: str,
        method: str,
        run: Callable[[], Any],
        check: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Run a call and note what it did; what it returned, or None."""
        try:
            value = run()
            refuse(value)
            if check is not None:
                verdict = check(value)
                assert verdict is None or verdict, f"answer was {value!r}"
        except Exception as error:  # noqa: BLE001 - every failure is an entry of the table
            self.outcomes.append(outcome_of(row, method, error))
            return None
        self.outcomes.append(Outcome(row, method, WORKED))
        return value

    def guarded(self, part: Callable[[], None], name: str) -> None:
        """Run a part of a flow; what ends it early is an entry, and the rest goes on."""
        try:
            part()
        except Exception as error:  # noqa: BLE001 - every failure is an entry of the table
            self.outcomes.append(outcome_of(name, name, error))

    def note(self, row: str, method: str, word: str, text: str = "") -> None:
        """Note an outcome that was found some other way."""
        self.outcomes.append(Outcome(row, method, word, text))


def refuse(value: Any) -> None:
    """Raise Refused for a reply of `/exchange` that is one, also when it is inside a batch."""
    if not isinstance(value, dict) or "status" not in value:
        return
    if value["status"] == "err":
        raise Refused(value["response"])
    response = value.get("response")
    data = response.get("data") if isinstance(response, dict) else None
    statuses = data.get("statuses", [data.get("status")]) if isinstance(data, dict) else []
    for status in statuses:
        if isinstance(status, dict) and "error" in status:
            raise Refused(status["error"])


def outcome_of(row: str, method: str, error: BaseException) -> Outcome:
    """The word for an error."""
    text = str(getattr(error, "error_message", "") or error)
    if any(one in text for one in UNKNOWN):
        return Outcome(row, method, NOT_OFFERED, text[:TEXT_MAX])
    if isinstance(error, Refused) or '"status":"err"' in text:
        return Outcome(row, method, REFUSED, text[:TEXT_MAX])
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f" ({place.name}:{place.lineno})" if place.name else ""
    return Outcome(row, method, FAILED, f"{type(error).__name__}: {text[:400]}{where}")


def worst(outcomes: list[Outcome]) -> str:
    """The word for several calls of one row."""
    words = [one.word for one in outcomes]
    for word in (FAILED, REFUSED, NOT_OFFERED, WORKED):
        if word in words:
            return word
    return ""


def rows_of(recorders: list[Recorder]) -> list[str]:
    """Row names: those of the matrix first, in its order, then the others as they came."""
    found = [*P0_ACTIONS, *P0_QUERIES, *P0_SUBSCRIPTIONS]
    for recorder in recorders:
        for one in recorder.outcomes:
            if one.row not in found:
                found.append(one.row)
    used = {one.row for recorder in recorders for one in recorder.outcomes}
    return [row for row in found if row in used]


def _section(row: str) -> int:
    return 2 if row.startswith("ws ") else 1 if row in P0_QUERIES or row.startswith("? ") else 0


def markdown(recorders: list[Recorder]) -> str:
    """The table, and under it every sentence of a refusal or failure."""
    run = [one for one in recorders if not one.skipped]
    lines = [
        "# Conformance of unmodified clients",
        "",
        "Generated by `make conform`; not edited by hand. Each client is the published package,",
        "run against a node on this machine with nothing changed but the address. `worked`: the",
        "call returned what its caller wants, and its effect was seen. `refused`: the exchange",
        "answered with the sentence below the tables. `not offered`: the node says that it does",
        "not know the method. An empty cell: the client has no such call, or it was not tried.",
        "",
    ]  # fmt: skip
    for number, title in enumerate(("Actions", "Queries", "Websocket")):
        rows = [row for row in rows_of(run) if _section(row) == number]
        lines += [f"## {title}", ""]
        lines.append("| method | " + " | ".join(one.client for one in run) + " |")
        lines.append("|---" * (len(run) + 1) + "|")
        for row in rows:
            cells = [worst([one for one in rec.outcomes if one.row == row]) for rec in run]
            lines.append(f"| {row.removeprefix('? ')} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## Sentences", ""]
    for recorder in run:
        for one in recorder.outcomes:
            if one.word != WORKED:
                text = one.text.replace("\n", " ").replace("|", "/")
                lines.append(f"- {recorder.client}, {one.method}: {one.word}: {text}")
    lines += ["", *(f"Not run: {one.client}: {one.skipped}" for one in recorders if one.skipped)]
    return "\n".join(lines).rstrip() + "\n"


def failures(recorders: list[Recorder]) -> list[str]:
    """What makes a run a failed one."""
    return [
        f"{recorder.client} {one.method} ({one.row}): {one.text}"
        for recorder in recorders
        for one in recorder.outcomes
        if one.word == FAILED
    ]


def not_working(recorders: list[Recorder]) -> list[str]:
    """Rows of the first tier that some client has and that do not work."""
    tier = (*P0_ACTIONS, *P0_QUERIES, *P0_SUBSCRIPTIONS)
    found: dict[str, None] = {}
    for recorder in recorders:
        for one in recorder.outcomes:
            if one.row in tier and one.word != WORKED:
                found[f"{one.row} ({one.word})"] = None
    return list(found)
