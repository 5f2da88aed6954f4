"""`chainperp node`: run a chain on this machine."""

from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from chainperp import __version__
from chainperp.base.errors import NotFound
from chainperp.base.units import address_text, strip_decimal
from chainperp.cli import output
from chainperp.model.rejections import Rejection

if TYPE_CHECKING:
    from chainperp.node.effects import Published
    from chainperp.node.node import Node

ACCOUNTS_MAX = 100
BALANCE_MAX = 10**9
LINES_PER_SECOND = 5
VALIDATOR_INDEX = 1_000
VAULT_USDC = 10_000_000
INSURANCE_USDC = 1_000_000
VOLUME_MINIMA = ("schedule_cancel_volume_min", "sub_account_volume_min")
ACCOUNT_TOKENS = 1_000_000

Directory = Annotated[
    Path | None, typer.Option("--dir", help="Data directory; a temporary one otherwise.")
]
Balance = Annotated[
    int, typer.Option("--balance", min=0, max=BALANCE_MAX, help="USDC of each account.")
]
BlockTime = Annotated[
    int, typer.Option("--block-time", min=0, help="Milliseconds; 0: when something waits.")
]
Limits = Annotated[
    bool | None,
    typer.Option("--limits/--no-limits", help="Rate limits; off on this machine only."),
]
Witnesses = Annotated[
    list[str] | None,
    typer.Option("--witness", metavar="VKEY=URL", help="Have every checkpoint cosigned there."),
]
AnchorInterval = Annotated[
    int,
    typer.Option("--anchor-interval", min=0, help="Blocks between anchors; 0: only for payouts."),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="C2SP policy file: each line `witness NAME VKEY URL` names a witness."
    ),
]


def node(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535)] = 3001,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    directory: Directory = None,
    genesis: Annotated[Path | None, typer.Option("--genesis", help="Genesis file.")] = None,
    block_time: BlockTime = 0,
    no_mining: Annotated[bool, typer.Option("--no-mining", help="Blocks only on request.")] = False,
    accounts: Annotated[int, typer.Option("--accounts", min=0, max=ACCOUNTS_MAX)] = 10,
    balance: Balance = 1_000_000,
    seed: Annotated[int | None, typer.Option("--seed", help="Fixes the log's key.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Offer developer controls.")] = False,
    limits: Limits = None,
    witness: Witnesses = None,
    policy: PolicyFile = None,
    anchor_interval: AnchorInterval = 1_000,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each block.")] = False,
) -> None:
    """Run a local chain. Example: chainperp node --dev"""
    import asyncio

    from chainperp.cli.witnessing import node_witnesses
    from chainperp.node.gate import is_local
    from chainperp.node.node import Settings
    from chainperp.node.producer import Pace
    from chainperp.node.server import serve
    from chainperp.node.socket.limits import LOCAL, PUBLIC

    if not is_local(host):
        _warn_public(host, dev)
    witnesses = node_witnesses(witness or [], policy)
    has_limits = not is_local(host) if limits is None else limits
    with ExitStack() as scratch:
        path = directory
        if path is None:
            path = Path(scratch.enter_context(TemporaryDirectory(prefix="chainperp-"))) / "chain"
        keys = _development_keys(accounts)
        validator = _development_keys(1, VALIDATOR_INDEX)[0]
        _prepare(path, genesis, seed, keys, balance, validator)
        settings = Settings(
            path,
            host,
            port,
            Pace(block_time, is_mining=not no_mining),
            (validator,),
            is_dev=dev,
            has_limits=has_limits,
            socket_limits=PUBLIC if has_limits else LOCAL,
            witnesses=witnesses,
            anchor_interval=anchor_interval,
        )

        def ready(running: "Node") -> None:
            _banner(running, keys)
            if not quiet:
                running.producer.listeners.append(BlockLines(output.say).on_block)

        asyncio.run(serve(settings, output.say, ready))


def _warn_public(host: str, dev: bool) -> None:
    output.say(f"warning: {host} can be reached from other machines; development keys are public")
    if dev:
        output.say("warning: whoever reaches this node may use its developer controls")


def _development_keys(count: int, first: int = 0) -> list[bytes]:
    from chainperp.client.wallet import development_key

    return [development_key(index) for index in range(first, first + count)]


def _prepare(
    path: Path, genesis: Path | None, seed: int | None, keys: list[bytes], balance: int,
    validator: bytes,
) -> None:  # fmt: skip
    """Make the data directory unless it is there; a genesis file must be the one it began with."""
    from chainperp.base.errors import InvalidGenesis
    from chainperp.storage.datadir import DataDir, load_genesis

    raw = None if genesis is None else _read(genesis)
    if (path / "FORMAT").exists():
        if raw is not None and load_genesis(path).raw != raw:
            raise InvalidGenesis(f"{path} began with another genesis than {genesis}")
        return
    log_seed = token_bytes(32) if seed is None else sha256(f"node log {seed}".encode()).digest()
    made = _local_genesis(keys, balance, validator) if raw is None else raw
    DataDir.create(path, made, log_seed).close()


def _read(genesis: Path) -> bytes:
    try:
        return genesis.read_bytes()
    except OSError as error:
        raise NotFound(f"genesis file cannot be read: {genesis} ({error.strerror})") from error


def _local_genesis(keys: list[bytes], balance: int, validator: bytes) -> bytes:
    """A chain that begins now: development accounts with USDC and tokens, one validator, who has
    the rest of the tokens, a backstop, and the contracts that a node deploys when asked for."""
    from chainperp.client.wallet import address_of
    from chainperp.node.clock import now_ms
    from chainperp.node.evm_site import planned_contracts
    from chainperp.state.store import BACKSTOP_VAULT, INSURANCE
    from chainperp.storage.package import build_genesis

    funded = [(address_of(key), balance) for key in keys]
    return build_genesis(
        "local/chainperp",
        now_ms(),
        [(address_of(validator), 1)],
        accounts=[*funded, (BACKSTOP_VAULT, VAULT_USDC), (INSURANCE, INSURANCE_USDC)],
        holders=[(address, ACCOUNT_TOKENS) for address, _ in funded],
        # Nobody has traded a million on a chain that has just begun.
        parameters=dict.fromkeys(VOLUME_MINIMA, 0),
        evm=planned_contracts("Testnet"),
    )


def _banner(running: "Node", keys: list[bytes]) -> None:
    """What a developer needs to begin: where, whose, and what to check the log with."""
    from chainperp.cli.chain_log import clock
    from chainperp.client.wallet import address_of
    from chainperp.storage.tiles import VKEY

    settings, engine = running.settings, running.producer.engine
    genesis = engine.genesis
    address = f"[{settings.host}]" if ":" in settings.host else settings.host
    funded = [key for key in keys if address_of(key) in engine.state.accounts]
    output.say(f"chainperp {__version__} listens on http://{address}:{running.port}")
    output.say(f"chain   {genesis.origin}, {genesis.network}, began {clock(genesis.time_ms)}")
    for token in engine.state.tokens[1:]:
        rest = engine.state.spot[token.index].get(genesis.proposer, 0)
        output.say(
            f"token   {token.name}: {strip_decimal(token.circulating, token.wei_decimals)} "
            f"circulate, {address_text(genesis.proposer)} (proposer) has "
            f"{strip_decimal(rest, token.wei_decimals)}"
        )
    output.say(f"data    {settings.path}, block {engine.height}")
    output.say(f"log     {(settings.path / 'log' / VKEY).read_text('ascii').strip()}")
    for one in settings.witnesses:
        output.say(f"witness {one.key.name} at {one.url}")
    if genesis.evm is not None:
        output.say(f"evm     POST /evm, chain id {genesis.evm.chain_id}, opened when it is used")
    if settings.is_dev:
        output.say("dev     POST /dev and `chainperp dev` move money, prices and time")
    if funded:
        output.say("Development accounts. The whole world knows these keys; what they sign here is")
        output.say("valid on the public test network, too.")
    for index, key in enumerate(funded):
        output.say(f"  ({index}) {address_text(address_of(key))}  0x{key.hex()}")


class BlockLines:
    """One line for each block that somebody acted in, and at most a few a second."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.second = 0
        self.said = 0
        self.skipped = 0

    def on_block(self, published: "Published") -> None:
        """Say what was in a block."""
        actions = [one for one in published.effects if not one.is_system]
        if not actions:
            return
        if published.time_ms // 1000 != self.second:
            self.second, self.said = published.time_ms // 1000, 0
            if self.skipped:
                self.say(f"… and {self.skipped} more blocks")
                self.skipped = 0
        if self.said == LINES_PER_SECOND:
            self.skipped += 1
            return
        self.said += 1
        refused = sum(one.code is not Rejection.ACCEPTED for one in actions)
        ending = f", {refused} refused" if refused else ""
        self.say(
            f"block {published.height}  {len(actions)} actions{ending}, "
            f"{len(published.entries)} entries"
        )
