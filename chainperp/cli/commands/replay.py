"""`chainperp replay`: re-execute a chain and compare every byte."""

from typing import TYPE_CHECKING, Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

if TYPE_CHECKING:
    from chainperp.chain.replay import ReplayReport
    from chainperp.cli.parallel import Workers
    from chainperp.cli.replaying import Part, Planner, Runner
    from chainperp.cli.sources import Source


def replay(
    directory: Annotated[
        str, typer.Argument(help="Data directory, or the URL of a log served with its entries.")
    ],
    start: Annotated[
        int, typer.Option("--from", min=0, help="Begin at the last snapshot up to this height.")
    ] = 0,
    end: Annotated[int | None, typer.Option("--to", min=0, help="Stop after this height.")] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Processes; parts between snapshots at once.")
    ] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", help="Scheduler of a Dask cluster, tcp://host:port.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Re-execute a chain; exit 1 names the first difference. Example: chainperp replay demo-data"""
    from chainperp.cli.checking import replay_document, replay_lines
    from chainperp.cli.parallel import workers
    from chainperp.cli.replaying import run_replay

    with (
        workers(1 if dask is not None else jobs) as started,
        output.progress("replay", unit="blocks") as step,
    ):
        planner = _planner(directory, started, jobs, dask, step)
        report = run_replay(directory, start, end, planner)
    output.answer(replay_document(report), replay_lines(report), as_json)
    if not report.is_equal:
        raise typer.Exit(EXIT_FALSE)


def _planner(
    place: str, started: "Workers | None", jobs: int, dask: str | None, step: output.Progress
) -> "Planner":
    """Parts for every worker, or one walk where that is as fast."""
    from chainperp.cli.parallel import PARTS_PER_WORKER, cluster_size, over_cluster, over_processes
    from chainperp.cli.replaying import in_turn, is_worth_cutting, plan_parts

    def plan(source: "Source", span: tuple[int, int]) -> "tuple[list[Part], Runner]":
        if dask is not None:
            parts = plan_parts(place, source, span, PARTS_PER_WORKER * cluster_size(dask))
            return parts, over_cluster(dask, step)
        parts = plan_parts(place, source, span, PARTS_PER_WORKER * jobs)
        if started is not None and is_worth_cutting(parts, jobs):
            return parts, over_processes(started, step)
        whole = plan_parts(place, source, span, 1)
        return whole, in_turn(lambda part: _in_one_walk(part, started, step))

    return plan


def _in_one_walk(part: "Part", started: "Workers | None", step: output.Progress) -> "ReplayReport":
    """One walk in this process; signatures are recovered ahead of it by the other processes."""
    import msgpack

    from chainperp.cli.parallel import network_of
    from chainperp.cli.replaying import run_part
    from chainperp.cli.signers_ahead import SignersAhead

    ahead = SignersAhead(network_of(part.place), None if started is None else started.pool)
    return run_part(part, ahead.recover, msgpack.unpackb, ahead.blocks, step)
