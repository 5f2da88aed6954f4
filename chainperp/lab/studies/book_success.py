"""S5: how often a book can take a liquidation before the vault must, and what fees add.

Source: adl-and-scenarios 9, S5 ("book liquidation success curve", "operator utility = token
holdings x price + fees").
"""

from collections.abc import Mapping

from chainperp.lab.outcome import Cell, Figure, Series, Table
from chainperp.lab.studies.vault_paths import CHECKS, Sum, Terms, Values, World, cell
from chainperp.lab.venue import USD

Points = dict[str, list[tuple[float, float]]]


def success(one: Sum) -> float | None:
    """Share of liquidated lots that the book took; undefined where nothing was liquidated."""
    lots = one.sold_lots + one.taken_lots
    return one.sold_lots / lots if lots else None


def success_table(values: Values, worlds: list[World], threshold: int) -> tuple[Table, Points]:
    """The curve on the same paths, by depth of the book; its points in percent by checked price."""
    rows: list[list[Cell]] = []
    points: Points = {check: [] for check in CHECKS}
    for depth in values.depths_percent:
        deeper = values.model_copy(update={"book_percent": depth})
        for check in CHECKS:
            one = cell(deeper, worlds, Terms(threshold, check))
            share = success(one)
            if share is not None:
                points[check].append((float(depth), share * 100))
            rows.append([depth, check, one.sold_lots, one.taken_lots,
                         None if share is None else share * 100, one.deficits / USD,
                         one.vault / USD])  # fmt: skip
    columns = ["bids a step / open interest (%)", "checked against", "lots sold into the book",
               "lots taken over by the vault", "book's success (%)", "deficits (USD)",
               "vault's result (USD)"]  # fmt: skip
    title = f"Liquidations that the book takes, backstop at {threshold} % of maintenance"
    return Table("book", title, columns, rows), points


def success_figure(points: Points) -> Figure:
    """The curve."""
    return Figure(
        name="book",
        title="Liquidations that the book takes before the vault",
        x="bids a step / open interest (%)",
        y="success (% of liquidated lots)",
        series=[Series(check, [x for x, _ in row], [y for _, y in row])
                for check, row in points.items()],
    )  # fmt: skip


def fees_of(values: Values, one: Sum) -> float:
    """Fees in USD on what went through the book, at the assumed rate."""
    return one.through_book / USD * values.fee_bps / 10_000


def fee_table(
    values: Values,
    cells: Mapping[tuple[str, str, int], Sum],
    slopes: dict[tuple[str, str], float],
    around: tuple[int, int, int],
) -> tuple[Table, dict[tuple[str, str], float]]:
    """Fees at the documented threshold and around it, and what a point of threshold adds."""
    rows: list[list[Cell]] = []
    found: dict[tuple[str, str], float] = {}
    low, documented, high = around
    for (routing, check), slope in slopes.items():
        below, here, above = (
            fees_of(values, cells[routing, check, threshold])
            for threshold in (low, documented, high)
        )
        found[routing, check] = (above - below) / (high - low)
        rows.append([routing, check, below, here, above, found[routing, check],
                     slope + found[routing, check]])  # fmt: skip
    columns = ["routing (depositors, purchases, insurance)", "checked against",
               f"fees at {low} % (USD)", f"fees at {documented} % (USD)",
               f"fees at {high} % (USD)", "fees per point of threshold (USD)",
               "fees and tokens per point (USD)"]  # fmt: skip
    return Table("fees", f"An operator's fees at {values.fee_bps:g} bps", columns, rows), found
