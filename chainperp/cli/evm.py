"""The EVM half of a command: which chain is asked, at which addresses, and what a refusal says.

A node answers at `/evm` of its URL; `--evm` names another JSON-RPC endpoint; a data directory
brings its own machine, executed again from `evm/evm.jsonl`. web3 is imported when it is used.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chainperp.base.errors import EXIT_REFUSED, EXIT_UNREACHABLE
from chainperp.base.units import address_text
from chainperp.cli import output
from chainperp.cli.asking import ask_node

if TYPE_CHECKING:
    from web3 import Web3

    from chainperp.client.node import NodeClient

TIMEOUT_SECONDS: Final = 30
GENESIS: Final = "genesis"

Evm = Annotated[
    str | None,
    typer.Option("--evm", help="JSON-RPC of the EVM; /evm of the node when not given."),
]


@dataclass(frozen=True, slots=True)
class Contracts:
    """What a node says of the contracts of its chain: addresses by name, and the EVM's chain id."""

    chain_id: int
    addresses: dict[str, str]


def contracts_of(node: "NodeClient") -> Contracts:
    """The contracts that the chain's genesis names; exit 4 when it names none."""
    found = ask_node(node, "evmContracts")
    if found is None:
        output.fail(
            EXIT_REFUSED,
            f"the chain of {node.url} has no contracts: its genesis names none",
            "chainperp node --dir NEW makes a chain that has",
        )
    return Contracts(found["chainId"], found["contracts"])


def web3_of(url: str, chain_id: int | None = None) -> "Web3":
    """A web3 on a JSON-RPC endpoint; exit 3 when nobody answers, 4 for another chain."""
    from requests.exceptions import RequestException
    from web3 import HTTPProvider, Web3
    from web3.exceptions import Web3Exception

    web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS}))
    try:
        found = web3.eth.chain_id
    except (RequestException, Web3Exception, ValueError) as error:
        output.fail(EXIT_UNREACHABLE, f"no EVM answers at {url}: {_first_line(error)}")
    if chain_id is not None and found != chain_id:
        output.fail(
            EXIT_REFUSED, f"the EVM at {url} is chain {found}, the contracts are on {chain_id}"
        )
    return web3


def web3_of_directory(directory: Path, now: Callable[[], int]) -> "Web3 | None":
    """A web3 on the machine of a data directory, executed again; None when it has none.

    Raises: InvalidBlock when executing it again gives something else.
    """
    from chainperp.evm.journal import DIRECTORY, FILE, Journal

    folder = directory / DIRECTORY
    if not (folder / FILE).exists():
        return None
    from chainperp.evm.provider import connect

    return connect(Journal.read(folder), now)


def anchor_of(what: str, address: str, url: str | None) -> "tuple[Web3, str]":
    """The EVM on which a log's Anchor is, and its address: the one given, or `genesis` for the one
    that the chain names. `what` is the log: a data directory or a node's URL.

    Without a URL the machine of the directory is executed again, and a node is asked at /evm.
    """
    if "://" in what:
        from chainperp.client.node import NodeClient

        node = NodeClient(what)
        if url is not None and address != GENESIS:
            return web3_of(url), address
        contracts = contracts_of(node)
        web3 = web3_of(url or node.url + "/evm", contracts.chain_id)
        return web3, contracts.addresses["anchor"] if address == GENESIS else address
    named = named_contracts(Path(what))
    if address == GENESIS:
        if named is None:
            output.fail(EXIT_REFUSED, f"the genesis of {what} names no contracts")
        address = named.addresses["anchor"]
    if url is not None:
        return web3_of(url, None if named is None else named.chain_id), address
    found = web3_of_directory(Path(what), lambda: int(time.time()))
    if found is None:
        output.fail(EXIT_UNREACHABLE, f"{what} has no EVM of its own", "--evm URL names one")
    return found, address


def named_contracts(directory: Path) -> Contracts | None:
    """The contracts that a data directory's genesis names."""
    from chainperp.storage.datadir import DataDir

    named = DataDir.open(directory, write=False).genesis.evm
    if named is None:
        return None
    rows = named._asdict()
    return Contracts(rows.pop("chain_id"), {name: address_text(at) for name, at in rows.items()})


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what an EVM refuses, and one that does not answer, into exit 4 and 3."""
    from requests.exceptions import RequestException
    from web3.exceptions import Web3Exception

    from contracts_py.handle import Reverted

    try:
        yield
    except Reverted as error:
        output.fail(EXIT_REFUSED, str(error))
    except RequestException as error:
        output.fail(EXIT_UNREACHABLE, f"the EVM does not answer: {_first_line(error)}")
    except Web3Exception as error:
        output.fail(EXIT_REFUSED, f"the EVM refuses: {_first_line(error)}")


def account_of(key: bytes) -> Any:
    """The account that signs EVM transactions with a key."""
    from eth_account import Account

    return Account.from_key(key)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
