"""`chainperp tx vault`: deposits into vaults, and vaults of one's own."""

from typing import Annotated, Any

import typer

from chainperp.cli.options import takes
from chainperp.cli.signing import Session, Signing, micro_usdc

app = typer.Typer(
    help="Deposit into a vault, withdraw, lead one.", no_args_is_help=True, rich_markup_mode=None
)

Vault = Annotated[str, typer.Argument(help="Address of the vault.")]
Amount = Annotated[str, typer.Argument(help="USDC.")]


@app.callback()
def vault() -> None:
    """Deposit into a vault, withdraw, lead one."""


@app.command("deposit")
@takes(Signing)
def deposit(options: Signing, address: Vault, amount: Amount) -> None:
    """Put USDC into a vault. Example: chainperp tx vault deposit 0x5e9e…a13a 100 --from 0"""
    _move(options, address, amount, is_deposit=True)


@app.command("withdraw")
@takes(Signing)
def withdraw(options: Signing, address: Vault, amount: Amount) -> None:
    """Take USDC out. Example: chainperp tx vault withdraw 0x5e9e…a13a 100 --from 0"""
    _move(options, address, amount, is_deposit=False)


def _move(options: Signing, address: str, amount: str, *, is_deposit: bool) -> None:
    action = {"type": "vaultTransfer", "vaultAddress": address, "isDeposit": is_deposit}
    Session(options).submit(action | {"usd": micro_usdc(amount, "amount")})


@app.command("create")
@takes(Signing)
def create(
    options: Signing,
    name: Annotated[str, typer.Argument(help="Name.")],
    amount: Annotated[str, typer.Argument(help="USDC to begin with, at least 100.")],
    description: Annotated[
        str, typer.Option("--description", help="What it does, 10 to 250 characters.")
    ] = "A vault without a description.",
) -> None:
    """Lead a new vault. Example: chainperp tx vault create Calm 100 --from 0"""
    # The action repeats the request's nonce: None asks for it.
    action: dict[str, Any] = {
        "type": "createVault",
        "name": name,
        "description": description,
        "initialUsd": micro_usdc(amount, "amount"),
        "nonce": None,
    }
    Session(options).submit(action)


@app.command("distribute")
@takes(Signing)
def distribute(
    options: Signing,
    address: Vault,
    amount: Annotated[str, typer.Argument(help="USDC to all depositors; 0 closes the vault.")],
) -> None:
    """Pay out to depositors. Example: chainperp tx vault distribute 0x5e9e…a13a 100 --from 0"""
    usd = 0 if amount == "0" else micro_usdc(amount, "amount")
    action = {"type": "vaultDistribute", "vaultAddress": address, "usd": usd}
    Session(options).submit(action)


@app.command("settings", hidden=True)
@app.command("modify")
@takes(Signing)
def modify(
    options: Signing,
    address: Vault,
    deposits: Annotated[
        bool | None, typer.Option("--deposits/--no-deposits", help="Whether others may deposit.")
    ] = None,
    close: Annotated[
        bool | None,
        typer.Option("--close/--no-close", help="Close positions pro rata on each withdrawal."),
    ] = None,
) -> None:
    """Change its settings. Example: chainperp tx vault modify 0x5e…3a --no-deposits --from 0"""
    action = {"type": "vaultModify", "vaultAddress": address, "allowDeposits": deposits}
    Session(options).submit(action | {"alwaysCloseOnWithdraw": close})
