"""The gas table of docs/contracts.md is what the contracts use, and near the reference."""

from tests.evm.gas import BEGIN, DOCUMENT, END, measure, table, without_times


def test_gas_is_as_documented_and_near_the_reference() -> None:
    """Every figure; those further than ten per cent from the reference say why."""
    rows = measure()
    text = DOCUMENT.read_text(encoding="utf-8")
    written = text[text.index(BEGIN) : text.index(END)]
    assert without_times(written) == without_times(table(rows)), (
        "docs/contracts.md is stale: run make gas"
    )
    for row in rows:
        assert row.is_near or row.why, f"{row.name}: {row.gas} is far from {row.reference}"
