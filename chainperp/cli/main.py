"""The command line: groups and commands. Heavy packages load inside the command that needs them."""

import sys
from typing import Annotated

import typer

from chainperp import BUILD, __version__
from chainperp.base.errors import (
    EXIT_FALSE,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    BadRequest,
    ChainperpError,
    DirectoryError,
    Invalid,
    NotFound,
)
from chainperp.cli import output
from chainperp.cli.commands import (
    audit,
    bench,
    demo,
    dev,
    explain,
    keys,
    lab,
    node,
    prove,
    query,
    replay,
    rules,
    tick,
    tx,
    verify,
    witness,
)
from chainperp.client.refusal import Refused

app = typer.Typer(
    name="chainperp",
    help="A perpetuals exchange whose every decision can be checked.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("replay")(replay.replay)
app.command("verify")(verify.verify)
app.command("fsck")(verify.fsck)
app.command("audit")(audit.audit)
app.command("rules")(rules.rules)
app.command("bench")(bench.bench)
app.command("node")(node.node)
app.command("tick")(tick.tick)
app.add_typer(keys.app, name="keys")
app.add_typer(tx.app, name="tx")
app.add_typer(explain.app, name="explain")
app.add_typer(prove.app, name="prove")
app.add_typer(query.app, name="query")
app.add_typer(dev.app, name="dev")
app.add_typer(witness.app, name="witness")
app.add_typer(lab.app, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"chainperp {__version__} ({BUILD.words})\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    """A perpetuals exchange whose every decision can be checked."""


def run() -> None:
    """Run the command line and turn every named error into its exit code."""
    try:
        app()
    except BadRequest as error:
        output.fail(EXIT_USAGE, str(error))
    except (NotFound, DirectoryError) as error:
        output.fail(EXIT_UNREACHABLE, str(error))
    except Refused as error:
        output.fail(EXIT_REFUSED, str(error))
    except Invalid as error:
        output.fail(EXIT_FALSE, str(error))
    except ChainperpError as error:
        output.fault(str(error))
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:  # noqa: BLE001 - the last line before a traceback
        output.fault(f"{type(error).__name__}: {error}")
