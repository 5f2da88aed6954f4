"""What every `chainperp query` command needs: the node, the account, tables of answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainperp.base.errors import EXIT_REFUSED
from chainperp.base.units import address_text
from chainperp.cli import output
from chainperp.cli.commands.keys import DEFAULT_DIR
from chainperp.cli.signing import TIMEOUT, Json, Timeout, Url, node_of

if TYPE_CHECKING:
    from chainperp.client.node import NodeClient


@dataclass(frozen=True, slots=True)
class Asking:
    """Options of everything that asks a node."""

    url: Url = None
    timeout: Timeout = TIMEOUT
    as_json: Json = False


Account = Annotated[
    str,
    typer.Argument(help="Address, name of a key, or number of a development account."),
]


def ask(options: Asking, name: str, /, **fields: Any) -> Any:
    """Answer of the node to one question; exit 4 with its text when it does not offer it."""
    return ask_node(node_of(options.url, options.timeout), name, **fields)


def ask_node(node: "NodeClient", name: str, /, **fields: Any) -> Any:
    """Answer of a node to one question; exit 4 with its text when it does not offer it."""
    from chainperp.client.refusal import Refused

    try:
        return node.info(name, **fields)
    except Refused as error:
        output.fail(
            EXIT_REFUSED,
            f"{node.url} does not offer {name}",
            f"it answers {error.status}: {error.text}",
        )


def address_of_account(text: str) -> str:
    """Address of what somebody typed for an account. Raises BadRequest."""
    from chainperp.cli.chain_log import parse_hex

    if text.startswith("0x"):
        return address_text(parse_hex(text, 20, "account"))
    if text.isascii() and text.isdigit() and len(text) <= 4:
        from chainperp.client.wallet import address_of, development_key

        return address_text(address_of(development_key(int(text))))
    from chainperp.storage.keystore import list_keys

    for key in list_keys(DEFAULT_DIR.expanduser()):
        if key.name == text:
            return address_text(key.address)
    output.fail(3, f"there is no key named {text!r} in {DEFAULT_DIR}",
                "an account is 0x and 40 hex digits, a key's name, or 0 to 9")  # fmt: skip


def show(options: Asking, answer: Any, draw: "Sequence[Table]") -> None:
    """The node's document as it came with --json, else tables."""
    if options.as_json:
        output.answer(answer, [], as_json=True)
        return
    for one in draw:
        output.table(one.title, one.columns, one.rows)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of an answer."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def words(value: Any) -> str:
    """A JSON value in a cell."""
    return "-" if value is None else str(value)
