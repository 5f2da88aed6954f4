"""A part of `make conform`: the clients that are installed with the tests, their main flows."""

from tests.conformance.clients.ccxt_sync import CcxtFlow
from tests.conformance.clients.market import quote
from tests.conformance.clients.python_sdk import PythonFlow
from tests.conformance.clients.report import (
    FAILED,
    NOT_OFFERED,
    REFUSED,
    WORKED,
    Outcome,
    Recorder,
    failures,
    markdown,
    outcome_of,
    refuse,
    worst,
)
from tests.support.node import running_node


def test_the_python_client_trades() -> None:
    """Order, modify, cancel, market orders, leverage, triggers, isolated margin, an agent."""
    recorder = Recorder("Python SDK")
    with running_node() as node:
        quote(node)
        flow = PythonFlow(node, recorder)
        for part in (flow.main_flow, flow.triggers, flow.isolated, flow.agent):
            part()
    assert [one for one in recorder.outcomes if one.word != WORKED] == []
    assert len(recorder.outcomes) > 25


def test_ccxt_trades() -> None:
    """Markets, orders, edits, cancels and positions, as ccxt's unified methods."""
    recorder = Recorder("ccxt")
    with running_node() as node:
        quote(node)
        CcxtFlow(node, recorder).orders()
    waived = ("scheduleCancel",)
    assert [one for one in recorder.outcomes if one.word != WORKED and one.row not in waived] == []
    assert len(recorder.outcomes) > 15


def test_the_clients_lead_vaults() -> None:
    """Opened, funded, traded in its name and left, by the Python SDK and by ccxt."""
    recorders = [Recorder("Python SDK"), Recorder("ccxt")]
    with running_node(None, "--dev") as node:
        quote(node)
        PythonFlow(node, recorders[0]).vaults()
        CcxtFlow(node, recorders[1]).vaults()
    outcomes = [one for recorder in recorders for one in recorder.outcomes]
    assert [one for one in outcomes if one.word != WORKED] == []
    assert {one.row for one in outcomes} >= {"createVault", "vaultTransfer", "order", "userRole"}


def test_the_report_tells_refusals_from_failures() -> None:
    """A refusal inside a batch is one; an unknown method is no failure; everything else is."""
    recorder = Recorder("one")
    recorder.call("order", "good", lambda: {"status": "ok", "response": {"type": "default"}})
    batch = {"statuses": [{"resting": {"oid": 1}}, {"error": "no margin"}]}
    recorder.call("order", "bad", lambda: refuse({"status": "ok", "response": {"data": batch}}))
    recorder.call("meta", "meta", lambda: dict[str, int]()["universe"])
    unknown = outcome_of("x", "x", ValueError("type: unknown variant 'x'"))
    assert unknown.word == NOT_OFFERED
    assert [one.word for one in recorder.outcomes] == [WORKED, REFUSED, FAILED]
    assert worst([Outcome("a", "a", WORKED), unknown]) == NOT_OFFERED
    assert len(failures([recorder])) == 1
    table = markdown([recorder, Recorder("two", skipped="npm is not installed")])
    assert "| order | refused |" in table
    assert "Not run: two: npm is not installed" in table
