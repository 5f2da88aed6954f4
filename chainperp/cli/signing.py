"""What every `chainperp tx` command does with its action: check, sign, send, say what came of it.

The options are one dataclass (`Signing`). A `Session` made from them knows the key, the node and
the markets, each only when it is asked for, so that `--offline` touches no network and a refused
price costs nobody a password.
"""

import json
import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chainperp.base.errors import EXIT_REFUSED, EXIT_UNREACHABLE, BadRequest
from chainperp.base.units import Address, address_text
from chainperp.cli import output
from chainperp.cli.commands.keys import DEFAULT_DIR, password_of
from chainperp.model.tokens import SPOT_FIRST

if TYPE_CHECKING:
    from chainperp.chain.genesis import Genesis as ChainGenesis
    from chainperp.client.markets import Market
    from chainperp.client.node import NodeClient
    from chainperp.wire.typed_data import Network

URL: Final = "http://127.0.0.1:3001"
URL_HELP: Final = f"The node; CHAINPERP_URL, else {URL}."
TIMEOUT: Final = 10
NONCES: Final = Path("~/.chainperp/nonces")

Url = Annotated[str | None, typer.Option("--url", help=URL_HELP)]
Timeout = Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait for an answer.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Genesis = Annotated[
    Path | None, typer.Option("--genesis", help="Genesis file to read the markets from.")
]


@dataclass(frozen=True, slots=True)
class Signing:
    """Options of everything that signs; each may stand behind `tx` or behind the command."""

    sender: Annotated[
        str | None, typer.Option("--from", help="Key name, or the number of a development account.")
    ] = None
    url: Url = None
    network: Annotated[str, typer.Option("--network", help="Testnet or Mainnet.")] = "Testnet"
    vault: Annotated[
        str | None, typer.Option("--vault", help="Vault or sub-account to act for.")
    ] = None
    nonce: Annotated[
        int | None, typer.Option("--nonce", help="Milliseconds; the next free one if not given.")
    ] = None
    expires: Annotated[
        int | None, typer.Option("--expires", help="Time in milliseconds after which it is void.")
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Print the signed JSON, send nothing.")
    ] = False
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Orders: until none of them rests or waits for a trigger. Else: until the number "
            "of the block is known.",
        ),
    ] = False
    wait_max: Annotated[
        int, typer.Option("--wait-max", min=1, help="Seconds that --wait waits; then exit 1.")
    ] = 60
    timeout: Timeout = TIMEOUT
    genesis: Genesis = None
    keys: Annotated[Path, typer.Option("--keys", help="Folder of the key files.")] = DEFAULT_DIR
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Read the password from a file.")
    ] = None
    as_json: Json = False


def url_of(given: str | None) -> str:
    """The node to ask: the option, else the environment, else the local one."""
    return given or os.environ.get("CHAINPERP_URL") or URL


def node_of(given: str | None, timeout: int) -> "NodeClient":
    """A connection to the node that the options name."""
    from chainperp.client.node import NodeClient

    return NodeClient(url_of(given), timeout)


def now_ms() -> int:
    """This machine's time in milliseconds."""
    return time.time_ns() // 1_000_000


def genesis_markets(genesis: Path | None) -> "list[Market]":
    """Perpetuals of a genesis file, or of the default one."""
    from chainperp.client.markets import markets_of_terms

    return markets_of_terms(genesis_of(genesis).terms)


def genesis_pairs(genesis: Path | None) -> "list[Market]":
    """Spot pairs of a genesis file, or of the default one."""
    from chainperp.client.markets import pairs_of_listing

    return pairs_of_listing(genesis_of(genesis).listing)


def genesis_of(genesis: Path | None) -> "ChainGenesis":
    """A genesis file, or the default one."""
    from chainperp.chain.genesis import parse_genesis
    from chainperp.storage.package import build_genesis

    if genesis is None:
        raw = build_genesis("cli", 1, [(Address(b"\x01" * 20), 1)])
    else:
        try:
            raw = genesis.read_bytes()
        except OSError as error:
            output.fail(
                EXIT_UNREACHABLE, f"genesis file cannot be read: {genesis} ({error.strerror})"
            )
    return parse_genesis(raw)


class Session:
    """One command's key, node and markets."""

    def __init__(self, options: Signing) -> None:
        if options.network not in ("Testnet", "Mainnet"):
            output.usage(f"network is Testnet or Mainnet, was {options.network!r}")
        self.options = options
        self.network: Network = "Mainnet" if options.network == "Mainnet" else "Testnet"

    @cached_property
    def node(self) -> "NodeClient":
        """The node."""
        return node_of(self.options.url, self.options.timeout)

    @cached_property
    def markets(self) -> "list[Market]":
        """Markets: of the genesis file if one is given, of the node, or offline the default."""
        from chainperp.client.markets import markets_of_meta

        if self.options.offline or self.options.genesis is not None:
            return genesis_markets(self.options.genesis)
        return markets_of_meta(self.node.info("meta"))

    @cached_property
    def _spot_meta(self) -> Any:
        """The node's list of tokens and pairs; None where a genesis file says it."""
        if self.options.offline or self.options.genesis is not None:
            return None
        return self.node.info("spotMeta")

    @cached_property
    def pairs(self) -> "list[Market]":
        """Spot pairs, from where the markets are."""
        from chainperp.client.markets import pairs_of_meta

        meta = self._spot_meta
        return genesis_pairs(self.options.genesis) if meta is None else pairs_of_meta(meta)

    def token(self, name: str) -> str:
        """A token as signed actions name it. Raises BadRequest listing those that exist."""
        from chainperp.client.markets import token_names_of_listing, token_names_of_meta

        meta = self._spot_meta
        if meta is None:
            names = token_names_of_listing(genesis_of(self.options.genesis).listing)
        else:
            names = token_names_of_meta(meta)
        if name not in names:
            raise BadRequest("token", f"there is no token {name[:20]!r}; tokens: {' '.join(names)}")
        return names[name]

    def market(self, name: str) -> "Market":
        """A market by name; a spot pair has a slash. Raises BadRequest listing those there are."""
        from chainperp.client.markets import find_market

        return find_market(self.pairs if "/" in name else self.markets, name)

    def perpetual(self, name: str) -> "Market":
        """A perpetual by name. Raises BadRequest listing those that exist."""
        from chainperp.client.markets import find_market

        return find_market(self.markets, name)

    def market_of(self, asset: object) -> "Market | None":
        """A market or pair by its number."""
        is_pair = isinstance(asset, int) and asset >= SPOT_FIRST
        for market in self.pairs if is_pair else self.markets:
            if market.asset == asset:
                return market
        return None

    @cached_property
    def key(self) -> bytes:
        """The private key that signs."""
        from chainperp.client.wallet import development_key
        from chainperp.storage.keystore import load_key

        options = self.options
        sender = options.sender
        if sender is None:
            output.usage("--from is missing: who signs?", "a key's name, or 0 to 9 for a "
                         "development account; chainperp keys list shows the keys")  # fmt: skip
        if sender.isascii() and sender.isdigit():
            if len(sender) > 4:
                output.usage(f"development accounts are numbered 0 to 9999, was {sender}")
            output.say(f"development account {sender}: its key is public, use it for testing only")
            return development_key(int(sender))
        folder = options.keys.expanduser()
        return load_key(folder, sender, lambda: password_of(options.password_file))

    @cached_property
    def signer(self) -> str:
        """Address of the key."""
        from chainperp.client.wallet import address_of

        return address_text(address_of(self.key))

    @cached_property
    def account(self) -> str:
        """Address that is acted for: the vault, the agent's master, or the signer."""
        from chainperp.client.refusal import Refused

        if self.options.vault is not None:
            return self.options.vault.lower()
        try:
            role = self.node.info("userRole", user=self.signer)
        except Refused:
            return self.signer
        if isinstance(role, dict) and role.get("role") == "agent":
            return str(role["data"]["user"])
        return self.signer

    def sign(self, action: dict[str, Any]) -> dict[str, Any]:
        """The request for an action. A `nonce` of None in the action repeats the request's."""
        from chainperp.cli.chain_log import parse_hex
        from chainperp.client.wallet import complete_action, sign_action

        options = self.options
        repeats = "nonce" in action and action["nonce"] is None
        # What is wrong with the action costs nobody a nonce.
        complete_action(action | {"nonce": 1} if repeats else action, 1, self.network)
        vault = None if options.vault is None else parse_hex(options.vault, 20, "vault")
        nonce = self._nonce() if options.nonce is None else options.nonce
        if repeats:
            action = action | {"nonce": nonce}
        return sign_action(self.key, action, nonce, self.network, vault, options.expires)

    def _nonce(self) -> int:
        from chainperp.client.nonces import NonceSource

        folder = Path(os.environ.get("CHAINPERP_NONCES", NONCES)).expanduser()
        try:
            return NonceSource(folder, bytes.fromhex(self.signer[2:]), now_ms).take()
        except OSError as error:
            output.say(f"nonces are not kept in {folder} ({error.strerror}): the clock is used")
            return now_ms()

    def submit(self, action: dict[str, Any]) -> None:
        """Sign an action and print it, or send it and say what came of it."""
        from chainperp.cli.sending import send

        body = self.sign(action)
        if self.options.offline:
            output.say(f"signed by {self.signer} for {self.network}, nonce {body['nonce']}")
            output.answer(body, [], as_json=True)
            return
        send(self, body)


def checked_price(market: "Market", text: str) -> str:
    """The price as the wire writes it; off the grid it is refused with its neighbours."""
    from chainperp.base.units import E8_DECIMALS, parse_decimal, strip_decimal
    from chainperp.client.markets import is_valid_price, neighbours

    value = parse_decimal(text, E8_DECIMALS, "price")
    if is_valid_price(market, value):
        return strip_decimal(value, E8_DECIMALS)
    if value <= 0:
        output.fail(EXIT_REFUSED, f"ORD-3 a price is above zero, was {text}")
    around = neighbours(market, value)
    near = [strip_decimal(one, E8_DECIMALS) for one in around if one]
    output.fail(
        EXIT_REFUSED,
        f"ORD-3 price is not on the tick grid for {market.name}",
        f"was {text}; nearest valid price{'s' if len(near) > 1 else ''} {' and '.join(near)} "
        f"({market.price_rule})",
        f"try: chainperp tick {market.name} {text}",
    )


def checked_size(market: "Market", text: str, *, may_be_zero: bool = False) -> str:
    """The size as the wire writes it; between lots it is refused."""
    from chainperp.base.units import E8_DECIMALS, parse_decimal, strip_decimal
    from chainperp.client.markets import is_valid_size

    value = parse_decimal(text, E8_DECIMALS, "size")
    if not is_valid_size(market, value) and not (may_be_zero and value == 0):
        output.fail(
            EXIT_REFUSED,
            f"ORD-2 size is not a positive whole number of lots for {market.name}",
            f"was {text}; one lot is {market.lot}",
        )
    return strip_decimal(value, E8_DECIMALS)


def order_id(text: str) -> int:
    """An order id from the command line."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        output.usage(f"an order id is a whole number, was {text[:40]!r}")
    return int(text)


def micro_usdc(text: str, field: str) -> int:
    """A positive amount of USDC in millionths."""
    from chainperp.base.units import USD_DECIMALS, parse_decimal

    value = parse_decimal(text, USD_DECIMALS, field)
    if value <= 0:
        output.usage(f"{field} is above zero, was {text}")
    return value


def json_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object from the command line or a file."""
    from chainperp.wire.actions import read_json

    parsed = read_json(text.encode("utf-8"))
    if not isinstance(parsed, dict):
        raise BadRequest("json", f"{what} is a JSON object, was {json.dumps(parsed)[:60]}")
    return parsed
