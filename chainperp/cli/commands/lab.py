"""`chainperp lab …`: studies, of ours and of other venues."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

app = typer.Typer(help="Studies.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def lab() -> None:
    """Studies of auto-deleveraging, on our own chains and on what other venues publish."""


@app.command("forensic")
def forensic(
    path: Annotated[
        Path, typer.Argument(help="Another venue's table or fills, or a data directory.")
    ],
    fills: Annotated[
        Path | None, typer.Option("--fills", help="What was closed, if the table does not say.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Exit 1 unless this ranking explains all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Which published ranking explains who was deleveraged, and who does not fit.

    A table has a row for each position of the deleveraged side, closed or not: account, size,
    closed, and what is known of round, side, mark, entry_price, account_value, maintenance.

    Example: chainperp lab forensic demo-data
    """
    from chainperp.cli.forensic import examine_own
    from chainperp.cli.venue_forensic import examine_venue
    from chainperp.lab.archive_tables import holds_fills

    if path.is_dir() and not holds_fills(path):
        if fills is not None or policy is not None:
            output.usage("--fills and --policy are for tables: our own log says both")
        (document, lines), fits = examine_own(path)
    else:
        (document, lines), fits = examine_venue(path, fills, policy)
    output.answer(document, lines, as_json)
    if not fits:
        raise typer.Exit(EXIT_FALSE)


@app.command("allocate")
def allocate(
    problem: Annotated[Path, typer.Argument(help="Winners, budgets and policies (JSON).")],
    out: Annotated[Path, typer.Argument(help="Where the answer is written (JSON).")],
    require_feasible: Annotated[
        bool, typer.Option("--require-feasible", help="Refuse a budget that cannot be raised.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Who pays how much of a budget, under each policy; the hash covers every single amount.

    Example: chainperp lab allocate problem.json answer.json
    """
    import json

    from chainperp.cli.lab_files import write_text
    from chainperp.lab.allocation import document as solved
    from chainperp.lab.problem import read_problem

    document = solved(read_problem(problem), require_feasible)
    write_text(out, json.dumps(document, indent=1) + "\n")
    if as_json:
        output.answer(document, [], as_json=True)
        return
    rows = [
        [run["policy"], str(run["budget"]), str(run["exempt_top"]), str(run["total"]),
         str(run["shortfall"]), str(run["n_hit"]), f"{run['gini']:.6f}", run["sha256"][:16]]
        for run in document["runs"]
    ]  # fmt: skip
    columns = ["policy", "budget", "exempt", "total", "shortfall", "hit", "gini", "sha256"]
    output.table(f"{document['n_winners']} winners, micro-USD", columns, rows)


@app.command("list")
def list_scenarios(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """The built-in scenarios and the claims that they test. Example: chainperp lab list"""
    from chainperp.lab.catalogue import claims_of
    from chainperp.lab.scenario import built_in, read_scenario

    rows: list[list[str]] = []
    for path in built_in():
        scenario = read_scenario(path)
        rows.append([path.stem, scenario.title, " ".join(claims_of(scenario.study)) or "-"])
    document = {
        "scenarios": [{"name": name, "title": title, "claims": claims.replace("-", "").split()}
                      for name, title, claims in rows]
    }  # fmt: skip
    if as_json:
        output.answer(document, [], as_json=True)
    else:
        output.table(counted_scenarios(len(rows)), ["name", "title", "claims"], rows)


def counted_scenarios(number: int) -> str:
    """A number of scenarios."""
    return output.counted(number, "scenario")


@app.command("run")
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario file, a built-in name, or `all`.")],
    out: Annotated[Path, typer.Option("--out", help="Where result folders go.")] = Path("results"),
    quick: Annotated[bool, typer.Option("--quick", help="The small values of each file.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes.")] = 1,
    chains: Annotated[
        bool, typer.Option("--chains/--no-chains", help="Write the engine's chains as well.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Run scenarios into folders, the same bytes each time. Example: chainperp lab run S2"""
    from chainperp.lab.runner import RunTerms, run_all
    from chainperp.lab.scenario import built_in, find_scenario

    paths = built_in() if scenario == "all" else [find_scenario(scenario)]
    with output.progress("lab", len(paths)) as bar:
        done: list[str] = []

        def step(name: str) -> None:
            done.append(name)
            bar(len(done), max(len(done), len(paths)))

        documents = run_all(paths, out, RunTerms(quick, jobs, chains), step)
    lines: list[str] = []
    for document in documents:
        lines.append(f"{document['name']}: {document['title']}")
        lines += [
            f"  claim {one['claim']}: {one['finding']} ({one['because']})"
            for one in document["verdicts"]
        ]
    lines.append(f"written to {out}, index in {out / 'index.html'}")
    found = {document["name"]: document["verdicts"] for document in documents}
    output.answer({"out": str(out), "verdicts": found}, lines, as_json)


@app.command("compare")
def compare(
    scenario: Annotated[str, typer.Argument(help="A shock: file or built-in name.")],
    policies: Annotated[
        str | None, typer.Option("--policies", help="Others than the file's: P1,P6 or names.")
    ] = None,
    exempt: Annotated[
        int | None, typer.Option("--exempt", min=0, help="So many largest winners are exempt.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """One shock under each policy, one row each. Example: chainperp lab compare shock-gap"""
    from chainperp.lab.compare import compared
    from chainperp.lab.outcome import shown

    with output.progress("policies") as bar:
        done: list[str] = []

        def step(name: str) -> None:
            done.append(name)
            bar(len(done))

        names = None if policies is None else policies.split(",")
        table = compared(scenario, names, exempt, jobs, step)
    if as_json:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        output.answer({"rows": rows}, [], as_json=True)
    else:
        output.table(table.title, table.columns, [[shown(cell) for cell in r] for r in table.rows])


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="A result folder, or the folder of several.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Make the pages of results again from the results. Example: chainperp lab report results"""
    from chainperp.lab.runner import read_result, write_index, write_report

    folders = [path.parent for path in sorted(folder.glob("*/result.json"))] or [folder]
    for one in folders:
        write_report(one, read_result(one))
    if folders != [folder]:
        write_index(folder)
    lines = [f"{one / 'report.html'}" for one in folders]
    output.answer({"reports": lines}, lines, as_json)


@app.command("replay")
def replay(
    directory: Annotated[Path, typer.Argument(help="Data directory of a recorded chain.")],
    policies: Annotated[
        str, typer.Option("--policies", help="Codes or names, by comma.")
    ] = "P2,P5,P6,P11,P12,P15",
    height: Annotated[
        int | None, typer.Option("--height", min=1, help="Block; otherwise the first with a round.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Accounts to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Run the block of an ADL again under other policies: who would have paid instead.

    Example: chainperp lab replay demo-data --policies P1,P6
    """
    from chainperp.cli.counterfactual import account_rows, replay_document, world_rows
    from chainperp.lab.counterfactual import counterfactual
    from chainperp.lab.problem import find_policy

    chosen = [find_policy("--policies", name) for name in policies.split(",")]
    with output.progress("worlds", len(chosen) + 1) as bar:
        done: list[str] = []

        def step(name: str) -> None:
            done.append(name)
            bar(len(done))

        found = counterfactual(directory, height, chosen, step)
    if as_json:
        output.answer(replay_document(found), [], as_json=True)
        return
    columns = ["policy", "rounds", "payers", "paid", "largest", "gini", "below zero"]
    output.table(f"block {found.height}, USDC against a world without ADL", columns,
                 world_rows(found))  # fmt: skip
    columns = ["account", *(world.policy.name for world in found.worlds)]
    output.table("who pays, largest differences first", columns, account_rows(found, top))


@app.command("sql")
def sql(
    folder: Annotated[Path, typer.Argument(help="Results, CSV tables, or node archives.")],
    query: Annotated[str, typer.Argument(help="A query; tables are named S4_growth and so on.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Ask the tables. Example: chainperp lab sql results "SELECT * FROM S4_growth" """
    from chainperp.lab.outcome import shown
    from chainperp.lab.query import select

    columns, rows = select(folder, query)
    if as_json:
        document = [dict(zip(columns, map(str, row), strict=True)) for row in rows]
        output.answer({"rows": document}, [], as_json=True)
        return
    cells = [[shown(cell if isinstance(cell, int | float | None) else str(cell)) for cell in row]
             for row in rows]  # fmt: skip
    output.table("", columns, cells)
