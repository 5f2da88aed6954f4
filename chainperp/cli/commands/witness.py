"""`chainperp witness`: cosign other people's logs, and have ours cosigned."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.cli import output

app = typer.Typer(rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.callback(invoke_without_command=True)
def witness(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="The witness's own directory.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 7380,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    name: Annotated[
        str, typer.Option("--name", help="Name of the key that is made at the first start.")
    ] = "",
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="Verifier key of a log to cosign, or a file that holds it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the C2SP witness protocol: cosign what continues the last tree, and nothing else.

    Example: chainperp witness --dir W --name witness.example/w --log demo-data/log/vkey
    """
    if context.invoked_subcommand is not None:
        return
    if directory is None:
        output.usage("a witness needs a directory of its own", "give --dir W")
    from chainperp.cli.witnessing import run_witness

    run_witness(directory, (host, port), name, log or [], as_json)


@app.command("submit")
def submit(
    directory: Annotated[Path, typer.Argument(help="Data directory.")],
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Submission prefix of a witness.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Verifier key of a witness to believe.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file: keys, URLs and the quorum.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Have a data directory's checkpoint cosigned, and add the cosignatures to it.

    Example: chainperp witness submit demo-data --to http://127.0.0.1:7380 --key VKEY
    """
    from chainperp.cli.witnessing import Wanted, submit_checkpoint

    wanted = Wanted(tuple(to or ()), tuple(key or ()), policy, timeout)
    document, lines, code = submit_checkpoint(directory, wanted)
    output.answer(document, lines, as_json)
    if code:
        raise typer.Exit(code)
