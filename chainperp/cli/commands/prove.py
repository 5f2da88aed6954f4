"""`chainperp prove …`: write a proof file that anybody can check with `chainperp verify`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chainperp.cli import output

app = typer.Typer(
    help="Make a proof of one fact in the log.", no_args_is_help=True, rich_markup_mode=None
)

Directory = Annotated[Path, typer.Argument(help="Data directory.")]
Account = Annotated[str, typer.Argument(help="Account, 0x and 40 hex digits.")]
Height = Annotated[
    int | None, typer.Option("--height", min=0, help="End of this block; the newest otherwise.")
]
Out = Annotated[Path | None, typer.Option("--out", help="File to write; stdout otherwise.")]


@app.command("entry")
def entry(
    directory: Directory,
    index: Annotated[int, typer.Argument(min=0, help="Log index of the entry.")],
    out: Out = None,
) -> None:
    """One log entry, as C2SP .tlog-proof. Example: chainperp prove entry demo-data 5 --out e"""
    from chainperp.chain.proving.log import prove_entry
    from chainperp.cli.proving import open_fast

    _write(prove_entry(open_fast(directory), index), out)


@app.command("tx")
def tx(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="Transaction hash, 0x and 64 hex digits.")],
    out: Out = None,
) -> None:
    """A transaction with its result and all its effects. Example: chainperp prove tx D 0x8d1f…"""
    from chainperp.chain.proving.log import find_transaction, prove_transaction
    from chainperp.cli.chain_log import parse_hex
    from chainperp.cli.proving import open_fast

    source = open_fast(directory)
    index = find_transaction(source, parse_hex(name, 32, "hash"))
    _write(prove_transaction(source, index), out)


@app.command("account")
def account(directory: Directory, address: Account, height: Height = None, out: Out = None) -> None:
    """Cash and positions at the end of a block. Example: chainperp prove account D 0x5e9e…a13a"""
    from chainperp.chain.proving.account import prove_account
    from chainperp.cli.proving import open_fast, parse_account, state_at

    source = open_fast(directory)
    _write(prove_account(source, parse_account(address), state_at(source, height)), out)


@app.command("absence")
def absence(
    directory: Directory,
    address: Account,
    market: Annotated[
        int | None, typer.Option("--market", min=0, help="Only of a position in this market.")
    ] = None,
    height: Height = None,
    out: Out = None,
) -> None:
    """That an account or a position did not exist. Example: chainperp prove absence D 0x5e9e…"""
    from chainperp.chain.proving.account import prove_absence
    from chainperp.cli.proving import open_fast, parse_account, state_at

    source = open_fast(directory)
    state = state_at(source, height)
    _write(prove_absence(source, parse_account(address), state, market), out)


@app.command("adl")
def adl(
    directory: Directory,
    address: Account,
    block: Annotated[int, typer.Option("--block", min=0, help="Block of the round.")],
    market: Annotated[
        int | None, typer.Option("--market", min=0, help="Only rounds in this market.")
    ] = None,
    out: Out = None,
) -> None:
    """Why an account was, or was not, auto-deleveraged. Example: chainperp prove adl D 0x5e9e…
    --block 619 --out adl.proof
    """
    from chainperp.chain.proving.adl import prove_adl
    from chainperp.cli.proving import open_fast, parse_account

    _write(prove_adl(open_fast(directory), parse_account(address), block, market), out)


@app.command("liq")
def liq(
    directory: Directory,
    address: Account,
    block: Annotated[int, typer.Option("--block", min=0, help="Block of the liquidation.")],
    market: Annotated[
        int | None, typer.Option("--market", min=0, help="The isolated position in this market.")
    ] = None,
    out: Out = None,
) -> None:
    """That a liquidation was due. Example: chainperp prove liq D 0x5e9e…a13a --block 571"""
    from chainperp.chain.proving.liquidation import prove_liquidation
    from chainperp.cli.proving import open_fast, parse_account
    from chainperp.model.records import CROSS_SCOPE

    scope = CROSS_SCOPE if market is None else market
    _write(prove_liquidation(open_fast(directory), parse_account(address), block, scope), out)


@app.command("refute")
def refute(
    directory: Directory,
    block: Annotated[int, typer.Option("--block", min=0, help="Block to look into.")],
    out: Out = None,
) -> None:
    """What is wrong with a block's liquidations or ADL rounds. Example: chainperp prove refute D
    --block 619; exit 3 when there is nothing to refute
    """
    from chainperp.cli.proving import open_fast, refute_block

    _write(refute_block(open_fast(directory), block), out)


@app.command("solvency")
def solvency(
    directory: Directory, address: Account, height: Height = None, out: Out = None
) -> None:
    """An account's claim in all that is owed. Example: chainperp prove solvency D 0x5e9e…a13a"""
    from chainperp.chain.proving.solvency import prove_solvency
    from chainperp.cli.proving import open_fast, parse_account, state_at

    source = open_fast(directory)
    _write(prove_solvency(source, parse_account(address), state_at(source, height)), out)


@app.command("consistency")
def consistency(
    directory: Directory,
    old: Annotated[Path, typer.Argument(help="An older checkpoint of the same log.")],
    out: Out = None,
) -> None:
    """That the log only grew since a checkpoint. Example: chainperp prove consistency D old"""
    from chainperp.chain.proving.log import prove_growth
    from chainperp.cli.proof_files import read_limited
    from chainperp.cli.proving import open_fast

    _write(prove_growth(open_fast(directory), read_limited(old)), out)


@app.command("equivocation")
def equivocation(
    first: Annotated[Path, typer.Argument(help="A checkpoint.")],
    second: Annotated[Path, typer.Argument(help="Another one of the same log and size.")],
    out: Out = None,
) -> None:
    """Evidence of two histories, from two checkpoints. Example: chainperp prove equivocation A B"""
    from chainperp.chain.proving.log import prove_equivocation
    from chainperp.cli.proof_files import read_limited

    _write(prove_equivocation(read_limited(first), read_limited(second)), out)


def _write(raw: bytes, out: Path | None) -> None:
    """Write a proof to its file, or to stdout."""
    if out is None:
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
        return
    out.write_bytes(raw)
    output.say(f"wrote {out}: {len(raw)} bytes; check it with: chainperp verify {out}")
