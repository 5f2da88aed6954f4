"""`chainperp replay`: re-execute a chain and compare every byte."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output

if TYPE_CHECKING:
    from chainperp.wire.typed_data import Network


def replay(
    directory: Annotated[Path, typer.Argument(help="Data directory.")],
    start: Annotated[
        int, typer.Option("--from", min=0, help="Begin at the last snapshot up to this height.")
    ] = 0,
    end: Annotated[int | None, typer.Option("--to", min=0, help="Stop after this height.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes for signatures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Re-execute a chain; exit 1 names the first difference. Example: chainperp replay demo-data"""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    import msgpack

    from chainperp.cli.checking import replay_document, replay_lines, run_replay
    from chainperp.cli.signers_ahead import SignersAhead
    from chainperp.storage.datadir import DataDir

    network = _network(DataDir.open(directory, write=False).genesis.network)
    pool = None
    if jobs > 1:
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    ahead = SignersAhead(network, pool)
    with output.progress("replay") as step:
        report = run_replay(
            directory,
            start=start,
            end=end,
            recover=ahead.recover,
            unpack=msgpack.unpackb,
            ahead=ahead.blocks,
            step=step,
        )
    if pool is not None:
        pool.shutdown()
    output.answer(replay_document(report), replay_lines(report), as_json)
    if not report.is_equal:
        raise typer.Exit(EXIT_FALSE)


def _network(name: str) -> "Network":
    return "Mainnet" if name == "Mainnet" else "Testnet"
