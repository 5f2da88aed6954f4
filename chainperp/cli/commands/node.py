"""`chainperp node`: run a chain on this machine."""

from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from chainperp import __version__
from chainperp.base.units import address_text
from chainperp.cli import output

if TYPE_CHECKING:
    from chainperp.node.node import Node

ACCOUNTS_MAX = 100
VALIDATOR_INDEX = 1_000
VAULT_USDC = 10_000_000
INSURANCE_USDC = 1_000_000
VOLUME_MINIMA = ("schedule_cancel_volume_min", "sub_account_volume_min")


def node(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535)] = 3001,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Data directory; a temporary one otherwise.")
    ] = None,
    genesis: Annotated[Path | None, typer.Option("--genesis", help="Genesis file.")] = None,
    block_time: Annotated[
        int, typer.Option("--block-time", min=0, help="Milliseconds; 0: when something waits.")
    ] = 0,
    no_mining: Annotated[bool, typer.Option("--no-mining", help="Only on request.")] = False,
    accounts: Annotated[int, typer.Option("--accounts", min=0, max=ACCOUNTS_MAX)] = 10,
    balance: Annotated[int, typer.Option("--balance", min=0, help="USDC of each.")] = 1_000_000,
    seed: Annotated[int | None, typer.Option("--seed", help="Fixes the log's key.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Offer developer controls.")] = False,
) -> None:
    """Run a local chain. Example: chainperp node --dev"""
    import asyncio

    from chainperp.node.node import Settings
    from chainperp.node.producer import Pace
    from chainperp.node.server import serve

    with ExitStack() as scratch:
        if directory is None:
            path = Path(scratch.enter_context(TemporaryDirectory(prefix="chainperp-"))) / "chain"
        else:
            path = directory
        keys = _development_keys(accounts)
        validator = _development_keys(1, VALIDATOR_INDEX)[0]
        if not (path / "FORMAT").exists():
            _create(path, genesis, seed, keys, balance, validator)
        settings = Settings(
            path,
            host,
            port,
            Pace(block_time, is_mining=not no_mining),
            (validator,),
            is_dev=dev,
        )
        asyncio.run(serve(settings, output.say, lambda running: _banner(running, keys)))


def _development_keys(count: int, first: int = 0) -> list[bytes]:
    from chainperp.client.wallet import development_key

    return [development_key(index) for index in range(first, first + count)]


def _create(
    path: Path, genesis: Path | None, seed: int | None, keys: list[bytes], balance: int,
    validator: bytes,
) -> None:  # fmt: skip
    from chainperp.client.wallet import address_of
    from chainperp.node.clock import now_ms
    from chainperp.state.store import BACKSTOP_VAULT, INSURANCE
    from chainperp.storage.datadir import DataDir
    from chainperp.storage.package import build_genesis

    if genesis is not None:
        raw = genesis.read_bytes()
    else:
        funded = [(address_of(key), balance) for key in keys]
        raw = build_genesis(
            "local/chainperp",
            now_ms(),
            [(address_of(validator), 1)],
            accounts=[*funded, (BACKSTOP_VAULT, VAULT_USDC), (INSURANCE, INSURANCE_USDC)],
            # Nobody has traded a million on a chain that has just begun.
            parameters=dict.fromkeys(VOLUME_MINIMA, 0),
        )
    log_seed = token_bytes(32) if seed is None else sha256(f"node log {seed}".encode()).digest()
    DataDir.create(path, raw, log_seed).close()


def _banner(running: "Node", keys: list[bytes]) -> None:
    from chainperp.client.wallet import address_of

    settings = running.settings
    output.say(f"chainperp {__version__} listens on http://{settings.host}:{running.port}")
    for index, key in enumerate(keys):
        output.say(f"  ({index}) {address_text(address_of(key))}  0x{key.hex()}")
